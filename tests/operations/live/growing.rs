//! A segment that is asked for while it is pushed: chunks are passed on as they come.

use super::Station;
use super::boxes::{MIDNIGHT, chunk};
use super::http::{Answering, Push};

/// An encoder of `news` that has pushed the first chunk of a segment; a player has had it.
fn half() -> (Station, Push, Answering) {
    let station = Station::news();
    let mut push = Push::begin(station.server.ingest, "/ingest/news/v/1.m4s");
    let first = chunk(MIDNIGHT * 1000).bytes();
    push.send(&first);
    station.until_says("news/v/ll.m3u8", &format!("{MIDNIGHT}.0.m4s\",IND"));
    let path = format!("/tv/news/v/{MIDNIGHT}.m4s");
    let mut growing = Answering::get(station.server.public, &path);
    assert_eq!(growing.status, 200);
    assert!(growing.is_chunked(), "{}", growing.head);
    assert_eq!(growing.chunk().unwrap(), Some(first));
    (station, push, growing)
}

#[test]
fn a_segment_is_passed_on_while_it_grows() {
    let (station, mut push, mut growing) = half();
    // Nothing of a chunk goes out before it is whole.
    let second = chunk(MIDNIGHT * 1000 + 500).bytes();
    let (begin, rest) = second.split_at(second.len() - 1);
    push.send(begin);
    push.send(rest);
    assert_eq!(growing.chunk().unwrap().as_ref(), Some(&second));
    // It is whole when the next one begins.
    push.send(&chunk((MIDNIGHT + 1) * 1000).bytes());
    assert_eq!(growing.chunk().unwrap(), None);
    let whole = station.until(&format!("news/v/{MIDNIGHT}.m4s"), |answer| {
        answer.header("Content-Length").is_some()
    });
    let expected = [chunk(MIDNIGHT * 1000).bytes(), second].concat();
    assert!(whole.body == expected);
    assert_eq!(push.end().status, 200);
}

#[test]
fn a_segment_ends_with_its_request_if_it_is_as_long_as_one() {
    let (_station, mut push, mut growing) = half();
    let second = chunk(MIDNIGHT * 1000 + 500).bytes();
    push.send(&second);
    assert_eq!(push.end().status, 200);
    assert_eq!(growing.chunk().unwrap(), Some(second));
    assert_eq!(growing.chunk().unwrap(), None);
}

#[test]
fn a_segment_whose_encoder_dies_ends_at_its_last_whole_chunk() {
    let (station, mut push, mut growing) = half();
    let second = chunk(MIDNIGHT * 1000 + 500).bytes();
    push.send(&second[..second.len() / 2]);
    let torn = push.tear();
    // It is published so, a segment's length later: this is all that it is.
    assert_eq!(growing.chunk().unwrap(), None);
    drop(torn);
    let plain = station.until_says("news/v/index.m3u8", &format!("{MIDNIGHT}.m4s"));
    assert!(plain.ends_with(&format!("#EXTINF:0.5,\n{MIDNIGHT}.m4s\n")), "{plain}");
    let whole = station.get(&format!("news/v/{MIDNIGHT}.m4s"));
    assert!(whole.status == 200 && whole.body == chunk(MIDNIGHT * 1000).bytes());
    // The encoder that comes back goes on with the next one.
    station.push(MIDNIGHT + 1);
    let plain = station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 1));
    assert!(!plain.contains("#EXT-X-GAP") && !plain.contains("DISCONTINUITY"), "{plain}");
}

#[test]
fn a_segment_is_waited_for_before_its_first_chunk_comes() {
    let station = Station::news();
    station.push(MIDNIGHT);
    station.settle();
    let (address, path) = (station.server.public, format!("/tv/news/v/{}.m4s", MIDNIGHT + 1));
    let waiting = std::thread::spawn(move || {
        let mut growing = Answering::get(address, &path);
        let first = growing.chunk().unwrap();
        (growing.status, growing.is_chunked(), first, growing)
    });
    station.until_held(1);
    let mut push = Push::begin(station.server.ingest, "/ingest/news/v/1.m4s");
    let first = chunk((MIDNIGHT + 1) * 1000).bytes();
    push.send(&first);
    let (status, is_chunked, got, mut growing) = waiting.join().unwrap();
    assert_eq!((status, is_chunked, got), (200, true, Some(first)));
    let second = chunk((MIDNIGHT + 1) * 1000 + 500).bytes();
    push.send(&second);
    assert_eq!(push.end().status, 200);
    assert_eq!(growing.chunk().unwrap(), Some(second));
    assert_eq!(growing.chunk().unwrap(), None);
}
