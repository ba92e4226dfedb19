//! Subtitles beside a picture, a radio without one, and what segments say of themselves.

use super::boxes::{MIDNIGHT, Media, full_bytes, header, second_of, segment};
use super::{Station, channel, uris};

/// What a segment says of itself, in front of it.
fn styp(brand: &[u8; 4], segment: &[u8]) -> Vec<u8> {
    [&full_bytes(b"styp", u32::from_be_bytes(*b"cmfs"), &[&[0; 4][..], brand].concat()), segment]
        .concat()
}

#[test]
fn texts_that_are_rare_hold_nothing_up() {
    let station = Station::start(&channel("news"));
    for (name, media) in [("v", Media::Picture), ("t", Media::Text)] {
        assert_eq!(station.put(&format!("news/{name}/init.mp4"), &header(media)).status, 200);
    }
    for at in 0..6 {
        station.push(MIDNIGHT + at);
        if at % 4 == 0 {
            let name = format!("news/t/{at}.m4s");
            let answer = station.put(&name, &second_of(Media::Text, MIDNIGHT + at));
            assert_eq!((answer.status, answer.text()), (200, "taken\n"));
        }
    }
    station.settle();
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    assert_eq!(uris(&plain).len(), 6, "{plain}");
    let texts = station.get("news/t/index.m3u8").text().to_owned();
    let expected: Vec<_> = (0..5).map(|at| format!("{}.m4s", MIDNIGHT + at)).collect();
    assert_eq!(uris(&texts), expected);
    assert_eq!(texts.matches("#EXT-X-GAP\n").count(), 3, "{texts}");
    assert!(!texts.contains("DISCONTINUITY"), "{texts}");
    for name in ["master.m3u8", "ll.m3u8"] {
        let master = station.get(&format!("news/{name}")).text().to_owned();
        let group = "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"t\"";
        assert!(master.contains(group), "{master}");
        assert!(master.contains(",wvtt\"") && master.contains(",SUBTITLES=\"text\"\n"), "{master}");
    }
    let manifest = station.get("news/manifest.mpd").text().to_owned();
    let set = manifest.split("contentType=\"text\"").nth(1).expect("a set of texts");
    assert!(set.contains("value=\"subtitle\"") && set.contains("codecs=\"wvtt\""), "{manifest}");
}

#[test]
fn a_radio_is_a_channel() {
    let station = Station::start(&channel("radio"));
    assert_eq!(station.put("radio/a/init.mp4", &header(Media::Sound)).status, 200);
    // A picture is waited for until six seconds have come.
    for at in MIDNIGHT..MIDNIGHT + 8 {
        let answer = station.put(&format!("radio/a/{at}.m4s"), &second_of(Media::Sound, at));
        assert_eq!((answer.status, answer.text()), (200, "taken\n"));
    }
    station.settle();
    let master = station.get("radio/master.m3u8").text().to_owned();
    assert_eq!(uris(&master), ["a/index.m3u8"], "{master}");
    assert!(!master.contains("EXT-X-MEDIA") && !master.contains("I-FRAME"), "{master}");
    let plain = station.get("radio/a/index.m3u8").text().to_owned();
    assert_eq!(plain.matches("#EXTINF:1.0,").count(), 8, "{plain}");
    let manifest = station.get("radio/manifest.mpd").text().to_owned();
    assert_eq!(manifest.matches("<AdaptationSet id").count(), 1, "{manifest}");
}

#[test]
fn fillers_are_not_published_and_what_they_stand_for_may_come() {
    let station = Station::news();
    station.push(MIDNIGHT);
    let second = MIDNIGHT + 1;
    let filler = styp(b"slat", &segment(second));
    let answer = station.put(&format!("news/v/{second}.m4s"), &filler);
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("ignored: what only fills a gap"), "{}", answer.text());
    station.push(second);
    station.settle();
    assert!(station.get(&format!("news/v/{second}.m4s")).body == segment(second));
}

#[test]
fn behind_the_last_segment_nothing_is_missed() {
    // Lengths that are longer than what comes, and a patience that is over at once.
    let station = Station::start(
        "[[channel]]\nid = \"news\"\nsegment = \"2s\"\npart = \"500ms\"\npatience = \"500ms\"\n",
    );
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    let last = styp(b"lmsg", &segment(MIDNIGHT));
    assert_eq!(station.put("news/v/1.m4s", &last).status, 200);
    // Without that word it would wait for the rest of its two seconds.
    let number = MIDNIGHT / 2;
    let plain = station.until_says("news/v/index.m3u8", &format!("{number}.m4s"));
    assert!(plain.contains("#EXTINF:1.0,"), "{plain}");
    assert!(!plain.contains("#EXT-X-GAP"), "{plain}");
}
