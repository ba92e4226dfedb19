//! Media on the epoch's time: what is published follows from the media alone.

use super::boxes::{MIDNIGHT, Media, chunk, header, salted_segment, segment};
use super::http::{Push, put};
use super::{Station, channel, quoted, uris};

#[test]
fn a_small_channel_is_published_to_the_letter() {
    let station = Station::news();
    for second in [MIDNIGHT, MIDNIGHT + 1] {
        station.push(second);
    }
    let third = chunk((MIDNIGHT + 2) * 1000).bytes();
    station.put(&format!("news/v/{}.m4s", MIDNIGHT + 2), &third);
    let low = station.until_says("news/v/ll.m3u8", "1795651202.0.m4s\",INDEPENDENT");
    let init = quoted(&low, "URI").to_owned();
    let plain = station.get("news/v/index.m3u8");
    assert_eq!(plain.header("Content-Type"), Some("application/vnd.apple.mpegurl"));
    assert_eq!(
        plain.text(),
        format!(
            "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:1
#EXT-X-MEDIA-SEQUENCE:1795651200
#EXT-X-MAP:URI=\"{init}\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:00.000Z
#EXTINF:1.0,
1795651200.m4s
#EXTINF:1.0,
1795651201.m4s
"
        )
    );
    assert_eq!(
        low,
        format!(
            "#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:1
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=6.0,HOLD-BACK=3.0,PART-HOLD-BACK=1.75
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:1795651200
#EXT-X-MAP:URI=\"{init}\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:00.000Z
#EXT-X-PART:DURATION=0.5,URI=\"1795651200.0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI=\"1795651200.1.m4s\"
#EXTINF:1.0,
1795651200.m4s
#EXT-X-PART:DURATION=0.5,URI=\"1795651201.0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI=\"1795651201.1.m4s\"
#EXTINF:1.0,
1795651201.m4s
#EXT-X-PART:DURATION=0.5,URI=\"1795651202.0.m4s\",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"1795651202.1.m4s\"
"
        )
    );
    // The header's name says which bytes it has.
    let answer = station.get(&format!("news/v/{init}"));
    assert_eq!((answer.status, &answer.body), (200, &header(Media::Picture)));
    let tag = answer.header("ETag").unwrap().trim_matches('"');
    assert_eq!(init, format!("init-{tag}.mp4"));
}

#[test]
fn a_segment_is_what_was_pushed_and_its_parts_together() {
    let station = Station::news();
    station.push(MIDNIGHT);
    // The parts of a segment may come in several requests, and its name says nothing.
    let second = MIDNIGHT + 1;
    let other = salted_segment(second, 7);
    let (first, rest) = other.split_at(chunk(0).bytes().len());
    assert_eq!(station.put("news/v/9.m4s", first).status, 200);
    assert_eq!(station.put("news/v/8.m4s", rest).status, 200);
    station.push(MIDNIGHT + 2);
    station.settle();
    for (second, pushed) in [(MIDNIGHT, segment(MIDNIGHT)), (second, other.clone())] {
        let whole = station.get(&format!("news/v/{second}.m4s"));
        assert_eq!((whole.status, whole.header("Content-Type")), (200, Some("video/mp4")));
        assert!(whole.body == pushed, "{second}");
        let parts = [0, 1].map(|part| station.get(&format!("news/v/{second}.{part}.m4s")));
        assert!(parts.iter().all(|part| part.status == 200), "{second}");
        assert!([&parts[0].body[..], &parts[1].body].concat() == pushed, "{second}");
    }
}

#[test]
fn the_same_bytes_have_the_same_tag_on_every_server() {
    let (one, other) = (Station::news(), Station::news());
    one.push(MIDNIGHT);
    // Another server gets them in pieces.
    let mut push = Push::begin(other.server.ingest, "/ingest/news/v/1.m4s");
    for piece in segment(MIDNIGHT).chunks(7) {
        push.send(piece);
    }
    assert_eq!(push.end().status, 200);
    for name in ["0.m4s", "1.m4s", "m4s"] {
        let path = format!("news/v/{MIDNIGHT}.{name}");
        let tags = [&one, &other].map(|station| {
            station.settle();
            let answer = station.get(&path);
            (answer.header("ETag").map(str::to_owned), answer.body)
        });
        assert!(tags[0].0.is_some() && tags[0] == tags[1], "{name}: {:?}", tags[0].0);
    }
}

/// Everything that the picture of `news` has: path, tag, bytes.
fn published(station: &Station) -> Vec<(String, String, Vec<u8>)> {
    let low = station.get("news/v/ll.m3u8").text().to_owned();
    let index = station.get("news/v/index.m3u8").text().to_owned();
    let mut names: Vec<_> = ["index.m3u8", "ll.m3u8", "ll.m3u8?_HLS_skip=YES"].into();
    names.extend(uris(&low));
    names.extend(uris(&index));
    // What is hinted at comes last, and is not there yet.
    let (low, _) = low.split_once("#EXT-X-PRELOAD-HINT").expect("it goes on");
    names.extend(low.split("URI=\"").skip(1).filter_map(|rest| rest.split('"').next()));
    let of_rendition = names.into_iter().map(|name| format!("v/{name}"));
    let of_channel = ["master.m3u8", "ll.m3u8", "manifest.mpd", "ll.mpd"].map(str::to_owned);
    let of = |path: String| {
        let answer = station.get(&format!("news/{path}"));
        assert_eq!(answer.status, 200, "{path}");
        let tag = answer.header("ETag").expect("it is whole").to_owned();
        (path, tag, answer.body)
    };
    of_channel.into_iter().chain(of_rendition).map(of).collect()
}

#[test]
fn servers_that_are_fed_alike_publish_the_same_whatever_the_requests() {
    let seconds = MIDNIGHT..MIDNIGHT + 12;
    // One encoder sends a request a segment.
    let one = Station::news();
    seconds.clone().for_each(|second| one.push(second));
    // The other one sends all in one request, which is cut anywhere.
    let other = Station::start(&channel("news"));
    let mut push = Push::begin(other.server.ingest, "/ingest/news/Streams(v.cmfv)");
    let media = seconds.flat_map(segment);
    let stream: Vec<u8> = header(Media::Picture).into_iter().chain(media).collect();
    for piece in stream.chunks(101) {
        push.send(piece);
    }
    assert_eq!(push.end().status, 200);
    one.settle();
    other.settle();
    let (one, other) = (published(&one), published(&other));
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(&other) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(one.0, other.0);
        assert!(one == other, "{}:\n{}\n{}", one.0, text(&one.2), text(&other.2));
    }
    assert!(one.len() > 30, "{}", one.len());
}

#[test]
fn channels_do_not_mix() {
    // Two channels with the same paths below them.
    let station = Station::start(&[channel("one"), channel("two")].concat());
    for (id, salt) in [("one", 1), ("two", 2)] {
        let address = station.server.ingest;
        put(address, &format!("/ingest/{id}/v/init.mp4"), &header(Media::Picture));
        put(address, &format!("/ingest/{id}/v/1.m4s"), &salted_segment(MIDNIGHT, salt));
    }
    station.settle();
    for (id, salt) in [("one", 1), ("two", 2)] {
        let answer = station.get(&format!("{id}/v/{MIDNIGHT}.m4s"));
        assert!(answer.body == salted_segment(MIDNIGHT, salt), "{id}");
    }
}
