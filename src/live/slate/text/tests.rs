//! Playlists of a slate, at single moments and from one to the next.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::slates::{LANGUAGE_TAG_SIZE_MAX, SLATE_SEGMENT_MS_MAX, SLATE_SEGMENTS_MAX};
use crate::live::slate::fixture;

const NOON: u64 = 1_800_000_000_000;

fn slate() -> Slate {
    fixture().slates.remove(0)
}

fn text(slate: &Slate, reader: Reader, now_ms: u64) -> String {
    String::from_utf8(live(slate, reader, now_ms).bytes().to_vec()).unwrap()
}

#[test]
fn whoever_opened_it_sees_what_lies_beside_the_playlist() {
    // Passes of 11,520 ms: noon is in the first segment of one.
    assert_eq!(NOON % 11_520, 0);
    let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n\
         #EXT-X-MEDIA-SEQUENCE:468749997\n#EXT-X-DISCONTINUITY-SEQUENCE:156249998\n\
         #EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2027-01-15T07:59:48.480Z\n\
         #EXTINF:3.840,\n0.ts\n#EXTINF:3.840,\n1.ts\n#EXTINF:3.840,\n2.ts\n\
         #EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:00.000Z\n\
         #EXTINF:3.840,\n0.ts\n";
    assert_eq!(text(&slate(), Reader::Opened, NOON), expected);
    assert_eq!(text(&slate(), Reader::Opened, NOON + 3839), expected);
    assert_ne!(text(&slate(), Reader::Opened, NOON + 3840), expected);
}

#[test]
fn whoever_joins_goes_on_from_what_it_has_seen_for_a_while() {
    let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n\
         #EXT-X-MEDIA-SEQUENCE:900000007\n#EXT-X-DISCONTINUITY-SEQUENCE:156250000\n\
         #EXT-X-DISCONTINUITY\n#EXTINF:3.840,\n/slate/limit.en.01234567/0.ts\n\
         #EXTINF:3.840,\n/slate/limit.en.01234567/1.ts\n\
         #EXTINF:3.840,\n/slate/limit.en.01234567/2.ts\n#EXT-X-ENDLIST\n";
    assert_eq!(text(&slate(), Reader::Joins(900_000_007), NOON + 5000), expected);
    let ends_ms = (1..=100).map(|end| end * 1000).collect();
    let long = text(&Slate { ends_ms, ..slate() }, Reader::Joins(7), NOON);
    assert_eq!(long.matches("#EXTINF:1.000,").count(), 8);
}

#[test]
fn the_longest_text_has_room() {
    let last = SLATE_SEGMENTS_MAX as u64;
    let folder = format!("blocked.{}.01234567", "x".repeat(LANGUAGE_TAG_SIZE_MAX));
    let ends_ms: Vec<_> = (1..=last).map(|end| end * SLATE_SEGMENT_MS_MAX).collect();
    let slate = Slate { folder, ends_ms, ..slate() };
    // The last ones of a pass have the longest names; numbers of a far future.
    let pass = last * SLATE_SEGMENT_MS_MAX;
    for passes in [1, 10_000_000] {
        let now = passes * pass - 1;
        assert!(live(&slate, Reader::Opened, now).bytes().ends_with(b"\n255.ts\n"));
        let joined = live(&slate, Reader::Joins(u64::MAX), now);
        assert!(joined.bytes().ends_with(b"/7.ts\n#EXT-X-ENDLIST\n"));
    }
}

#[test]
fn a_film_is_all_of_it_and_ends() {
    let mut film = String::new();
    write_film(&mut film, &slate()).unwrap();
    assert!(film.ends_with("/slate/limit.en.01234567/2.ts\n#EXT-X-ENDLIST\n"), "{film}");
    assert_eq!(film.matches("#EXTINF:3.840,").count(), 3);
    let mut master = String::new();
    let of = ("avc1.4d401f,mp4a.40.2", Some((1280, 720)));
    write_master(&mut master, &slate(), of, (200_000, 100_000)).unwrap();
    let line = "#EXT-X-STREAM-INF:BANDWIDTH=200000,AVERAGE-BANDWIDTH=100000,\
                CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=1280x720\n\
                /slate/limit.en.01234567/live.m3u8\n";
    assert!(master.ends_with(line), "{master}");
}

/// What a playlist says of each of its segments: name, discontinuities up to it, date.
fn said(text: &str) -> BTreeMap<u64, (String, u64, Option<String>)> {
    let mut said = BTreeMap::new();
    let (mut number, mut breaks, mut date) = (0, 0, None);
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            number = value.parse().unwrap();
        } else if let Some(value) = line.strip_prefix("#EXT-X-DISCONTINUITY-SEQUENCE:") {
            breaks = value.parse().unwrap();
        } else if line == "#EXT-X-DISCONTINUITY" {
            breaks += 1;
        } else if let Some(value) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            date = Some(value.to_owned());
        } else if !line.starts_with('#') {
            said.insert(number, (line.to_owned(), breaks, date.take()));
            number += 1;
        }
    }
    said
}

proptest! {
    /// A segment is the same in every text that lists it (RFC 8216, 6.2.1 and 6.2.2), and numbers
    /// go on by one with each segment's time.
    #[test]
    fn texts_go_on_from_each_other(
        lengths in prop::collection::vec(1_000_u64..6_000, 1..9),
        begins in NOON..NOON + 100_000_000,
    ) {
        let ends = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        let slate = Slate { ends_ms: ends.collect(), ..slate() };
        let mut known: BTreeMap<u64, (String, u64, Option<String>)> = BTreeMap::new();
        let mut newest = None;
        for step in 0..100 {
            let said = said(&text(&slate, Reader::Opened, begins + step * 500));
            prop_assert_eq!(said.len() as u64, LISTED);
            let last = *said.last_key_value().unwrap().0;
            prop_assert!(newest.is_none_or(|newest| last == newest || last == newest + 1));
            newest = Some(last);
            for (number, (name, breaks, date)) in said {
                let before = known.entry(number).or_insert((name.clone(), breaks, date.clone()));
                prop_assert_eq!((&before.0, before.1), (&name, breaks));
                if let (Some(before), Some(date)) = (&before.2, date) {
                    prop_assert_eq!(before, &date);
                }
            }
        }
    }
}
