//! What comes again, too late or in another order, and encoders that begin anew.

use super::boxes::{MIDNIGHT, Media, chunk, header, salted_segment, segment};
use super::http::Push;
use super::{Station, uris};

const TEXTS: [&str; 6] =
    ["v/index.m3u8", "v/ll.m3u8", "master.m3u8", "ll.m3u8", "manifest.mpd", "ll.mpd"];

impl Station {
    /// Every text of `news`.
    fn texts(&self) -> Vec<String> {
        self.settle();
        let text = |path: &str| self.get(&format!("news/{path}")).text().to_owned();
        TEXTS.into_iter().map(text).collect()
    }

    /// Pushes to the picture of `news`, and hears this.
    #[track_caller]
    fn hears(&self, name: &str, body: &[u8], said: &str) {
        let answer = self.put(&format!("news/v/{name}"), body);
        assert!(answer.status == 200 && answer.text().starts_with(said), "{}", answer.text());
    }

    /// An encoder begins: it sends its header first.
    fn begins(&self) {
        self.hears("init.mp4", &header(Media::Picture), "taken");
    }
}

#[test]
fn a_repetition_changes_nothing() {
    let station = Station::news();
    (0..3).for_each(|at| station.push(MIDNIGHT + at));
    let before = station.texts();
    // In its place, under another name, with the header again, and in part.
    station.push(MIDNIGHT + 2);
    station.push(MIDNIGHT);
    station.hears("7.m4s", &segment(MIDNIGHT + 1), "taken");
    station.begins();
    station.push(MIDNIGHT + 2);
    station.hears("8.m4s", &chunk((MIDNIGHT + 1) * 1000 + 500).bytes(), "taken");
    assert_eq!(station.texts(), before);
    // And it goes on as if nothing had been.
    station.push(MIDNIGHT + 3);
    let plain = station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 3));
    let began = before[0].as_str();
    assert_eq!(plain, format!("{began}#EXTINF:1.0,\n{}.m4s\n", MIDNIGHT + 3));
}

#[test]
fn other_bytes_for_a_time_that_is_published_leave_it_as_it_is() {
    let station = Station::news();
    (0..3).for_each(|at| station.push(MIDNIGHT + at));
    let before = station.texts();
    for second in MIDNIGHT..MIDNIGHT + 3 {
        let other = salted_segment(second, 1);
        assert_ne!(other, segment(second));
        station.hears(&format!("{second}.m4s"), &other, "ignored: other bytes were published");
    }
    assert_eq!(station.texts(), before);
    for second in MIDNIGHT..MIDNIGHT + 3 {
        let whole = station.get(&format!("news/v/{second}.m4s"));
        assert!(whole.body == segment(second), "{second}");
        let part = station.get(&format!("news/v/{second}.1.m4s"));
        assert!(segment(second).ends_with(&part.body) && part.status == 200, "{second}");
    }
}

#[test]
fn what_comes_too_late_while_a_segment_grows_is_answered_with_200_and_left_out() {
    let station = Station::news();
    (10..13).for_each(|at| station.push(MIDNIGHT + at));
    station.hears("13.m4s", &chunk((MIDNIGHT + 13) * 1000).bytes(), "taken");
    let before = station.texts();
    for second in [MIDNIGHT, MIDNIGHT + 9] {
        station.hears(&format!("{second}.m4s"), &segment(second), "ignored: the time of this");
    }
    assert_eq!(station.texts(), before);
    assert_eq!(station.get(&format!("news/v/{}.m4s", MIDNIGHT + 9)).status, 404);
}

#[test]
fn a_segment_that_is_passed_over_is_a_gap_and_stays_one() {
    let station = Station::news();
    for at in [0, 1, 3] {
        station.push(MIDNIGHT + at);
    }
    // It is waited for a segment's length.
    station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 3));
    let next = MIDNIGHT + 4;
    station.hears("4.m4s", &chunk(next * 1000).bytes(), "taken");
    let late = MIDNIGHT + 2;
    station.hears(&format!("{late}.m4s"), &segment(late), "ignored: the time of this");
    station.settle();
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    let gap = format!("#EXT-X-GAP\n#EXTINF:1.0,\n{late}.m4s\n#EXTINF:1.0,\n{}.m4s\n", late + 1);
    assert!(plain.ends_with(&gap), "{plain}");
    assert!(!plain.contains("DISCONTINUITY"), "{plain}");
    let low = station.get("news/v/ll.m3u8").text().to_owned();
    for part in [0, 1] {
        let gap = format!("#EXT-X-PART:DURATION=0.5,URI=\"{late}.{part}.m4s\",GAP=YES\n");
        assert!(low.contains(&gap), "{low}");
        assert_eq!(station.get(&format!("news/v/{late}.{part}.m4s")).status, 404);
    }
    assert_eq!(station.get(&format!("news/v/{late}.m4s")).status, 404);
}

#[test]
fn of_two_encoders_that_send_the_same_one_may_die() {
    let station = Station::news();
    let begin = |name: &str| Push::begin(station.server.ingest, &format!("/ingest/news/v/{name}"));
    let (mut first, mut second) = (begin("1.m4s"), begin("2.m4s"));
    let at = |half: u64| chunk(MIDNIGHT * 1000 + half * 500).bytes();
    for half in 0..5 {
        first.send(&at(half));
        second.send(&at(half));
    }
    let torn = at(5);
    first.send(&torn[..torn.len() / 2]);
    let dead = first.tear();
    (5..10).for_each(|half| second.send(&at(half)));
    assert_eq!(second.end().status, 200);
    drop(dead);
    station.settle();
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    let expected: Vec<_> = (0..5).map(|at| format!("{}.m4s", MIDNIGHT + at)).collect();
    assert_eq!(uris(&plain), expected);
    assert_eq!(plain.matches("#EXTINF:1.0,").count(), 5, "{plain}");
    assert!(!plain.contains("#EXT-X-GAP") && !plain.contains("DISCONTINUITY"), "{plain}");
    for second in MIDNIGHT..MIDNIGHT + 5 {
        assert!(station.get(&format!("news/v/{second}.m4s")).body == segment(second), "{second}");
    }
}

#[test]
fn an_encoder_on_the_epoch_that_begins_again_goes_on() {
    let station = Station::news();
    (0..3).for_each(|at| station.push(MIDNIGHT + at));
    station.begins();
    // It was away for two seconds, or sends again what was there.
    (1..3).chain(5..7).for_each(|at| station.push(MIDNIGHT + at));
    station.settle();
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    let expected: Vec<_> = (0..7).map(|at| format!("{}.m4s", MIDNIGHT + at)).collect();
    assert_eq!(uris(&plain), expected);
    assert_eq!(plain.matches("#EXT-X-GAP\n").count(), 2, "{plain}");
    assert!(!plain.contains("DISCONTINUITY"), "{plain}");
    assert_eq!(plain.matches("#EXT-X-PROGRAM-DATE-TIME").count(), 1, "{plain}");
}

#[test]
fn an_encoder_that_counts_from_its_start_begins_behind_a_discontinuity() {
    let station = Station::news();
    let mut expected = Vec::new();
    for salt in 0..3 {
        station.begins();
        for second in 0..3 {
            let media = salted_segment(second, salt);
            station.hears(&format!("{second}.m4s"), &media, "taken");
            expected.push(media);
        }
    }
    station.settle();
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    assert_eq!(plain.matches("#EXT-X-DISCONTINUITY\n").count(), 2, "{plain}");
    assert!(!plain.contains("#EXT-X-GAP"), "{plain}");
    let numbers: Vec<u64> = uris(&plain)
        .into_iter()
        .map(|name| name.strip_suffix(".m4s").and_then(|number| number.parse().ok()).unwrap())
        .collect();
    assert_eq!(numbers.len(), expected.len(), "{plain}");
    assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "{plain}");
    assert!(numbers[0] > MIDNIGHT / 2, "they follow from the clock: {plain}");
    for (number, media) in numbers.iter().zip(&expected) {
        assert!(station.get(&format!("news/v/{number}.m4s")).body == *media, "{number}");
    }
    // The second and third stretch say all that holds again.
    let stretches: Vec<_> = plain.split("#EXT-X-DISCONTINUITY\n").collect();
    for stretch in &stretches[1..] {
        assert!(stretch.starts_with("#EXT-X-MAP:URI=\"init-"), "{stretch}");
        assert!(stretch.contains("\n#EXT-X-PROGRAM-DATE-TIME:"), "{stretch}");
    }
}

#[test]
fn another_header_begins_another_stretch() {
    let station = Station::news();
    station.push(MIDNIGHT);
    let mut other = header(Media::Picture);
    // The level of its coding.
    let avcc = other.windows(4).position(|kind| kind == b"avcC").unwrap();
    other[avcc + 7] = 0x1f;
    station.hears("init.mp4", &other, "taken");
    station.push(MIDNIGHT + 1);
    station.settle();
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    let headers: Vec<_> = plain.split("#EXT-X-MAP:URI=\"").skip(1).collect();
    let headers = headers.iter().map(|rest| rest.split('"').next().unwrap());
    let headers = headers.map(|name| station.get(&format!("news/v/{name}")).body);
    assert_eq!(headers.collect::<Vec<_>>(), [header(Media::Picture), other], "{plain}");
    assert_eq!(plain.matches("#EXT-X-DISCONTINUITY\n#EXT-X-MAP").count(), 1, "{plain}");
    assert_eq!(uris(&plain), [0, 1].map(|at| format!("{}.m4s", MIDNIGHT + at)));
}
