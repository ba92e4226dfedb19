//! Streams of records: how many pieces they have, of what, and what comes into places.

use super::coming::Arrived;
use super::*;
use crate::live::boxes::stream::{Event, Reader};
use crate::live::catchup::address::Stretch;
use crate::live::catchup::excerpt::excerpt;
use crate::live::catchup::fixture::{FIRST, at, audio, between, header, record, video};
use crate::live::protection::Protection;
use crate::live::record::Record;
use crate::live::ts::PACKET_SIZE;

/// Headers that ffmpeg wrote.
struct Seeds;

impl Headers for Seeds {
    fn header(&mut self, rendition: &str, _: &str) -> Option<Header> {
        let bytes: &[u8] = match rendition {
            "v" => include_bytes!("../../../../tests/fuzz/seeds/boxes/avc.mp4"),
            "a" => include_bytes!("../../../../tests/fuzz/seeds/boxes/aac.mp4"),
            _ => return None,
        };
        let mut events = Vec::new();
        Reader::default().take(bytes, &mut events).ok()?;
        events.into_iter().find_map(|event| match event {
            Event::Header(span, init) => {
                let header = bytes[span.start as usize..span.end as usize].to_vec();
                Some(Arc::new((header, init)))
            }
            Event::Chunk(..) => None,
        })
    }
}

/// A stream of so many seconds from midnight on, as it is at some second.
fn reel(record: &Record, seconds: i64, now: i64, lead: &str) -> Result<Reel, Unwritten> {
    let stretch = between(0, seconds);
    let Stretch::Between { until, .. } = stretch else { unreachable!("it is one") };
    Reel::new(excerpt(record, stretch, at(now))?, (lead, until), &mut Seeds)
}

fn needs(reel: &Reel, number: u32) -> String {
    let of = |(_, name, kept): &(usize, &str, Kept)| format!("{name}{}", kept.number - FIRST);
    reel.needs(number).iter().map(of).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_stream_has_a_piece_a_segment_with_what_is_heard_in_the_meantime() {
    let record = record(10);
    let of = reel(&record, 20, 1000, "v").unwrap();
    let sizes: Vec<_> = of.sizes().collect();
    assert_eq!(sizes.len(), 10);
    assert!(sizes.iter().all(|size| size % PACKET_SIZE as u64 == 0 && *size > 2000), "{sizes:?}");
    assert_eq!(of.begins(), at(0));
    assert!(!of.is_coming(9) && of.is_coming(10));
    for number in 0..10 {
        let needed = needs(&of, number);
        assert!(needed.contains(&format!("v{number} ")) && needed.contains(&format!("a{number}")));
        assert!(needed.split(' ').count() <= 4, "{needed}");
    }
    // Of sounds alone the sound leads, and a picture that is not there leads nowhere.
    assert_eq!(needs(&reel(&record, 20, 1000, "a").unwrap(), 3), "a3");
    assert!(matches!(reel(&record, 20, 1000, "w"), Err(Unwritten::Nothing)));
}

#[test]
fn where_nothing_came_there_is_no_piece_and_what_does_not_go_on_says_so() {
    let mut with_gap = record(6);
    with_gap.renditions[0].segments[2].size = 0;
    with_gap.renditions[0].segments[4].discontinuity = true;
    let of = reel(&with_gap, 12, 1000, "v").unwrap();
    assert_eq!(of.sizes().count(), 5);
    let anew: Vec<_> = of.pieces.iter().map(|piece| piece.is_anew).collect();
    assert_eq!(anew, [false, false, true, true, false]);
    assert!(needs(&of, 2).starts_with("v3 "), "{}", needs(&of, 2));
    let mut hidden = record(6);
    let protection = Protection { scheme: *b"cbcs", key: [7; 16], systems: Vec::new() };
    hidden.renditions[0].headers = vec![header(0, Some(protection))];
    assert!(matches!(reel(&hidden, 12, 1000, "v"), Err(Unwritten::Nothing)));
}

#[test]
fn the_best_picture_leads_that_somebody_may_have_and_else_the_lowest() {
    let mut of = [audio("a"), video("low"), video("high"), video("mid")];
    for (one, peak) in of.iter_mut().zip([0, 800_000, 5_000_500, 2_000_000]) {
        one.about.bandwidth.peak = peak;
    }
    for (cap, expected) in
        [(u32::MAX, "high"), (5001, "high"), (5000, "mid"), (2000, "mid"), (800, "low"), (1, "low")]
    {
        assert_eq!(lead(&of, cap).unwrap().name, expected, "{cap}");
    }
    assert_eq!(lead(&of[..1], u32::MAX).unwrap().name, "a");
    assert!(lead(&[], u32::MAX).is_none());
}

#[test]
fn what_is_not_over_has_places_into_which_comes_what_is_kept_next() {
    let of = reel(&record(3), 20, 7, "v").unwrap();
    let sizes: Vec<_> = of.sizes().collect();
    assert_eq!((sizes.len(), of.is_coming(2), of.is_coming(3)), (10, false, true));
    // A place has room for the peak: 900,000 bits a second for two seconds.
    assert!(sizes[3..].iter().all(|size| (225_000..500_000).contains(size)), "{sizes:?}");
    let arrived = |number, count, now| match of.arrived(number, &record(count), at(now)) {
        Arrived::NotYet => "not yet".to_owned(),
        Arrived::Never => "never".to_owned(),
        Arrived::There { before, segments } => {
            let name = |one: &super::coming::Sought| {
                format!("{}{}", one.rendition, one.kept.number - FIRST)
            };
            let names: Vec<_> = segments.iter().map(name).collect();
            format!("{} behind {}", names.join(" "), before.number - FIRST)
        }
    };
    assert_eq!(arrived(3, 3, 7), "not yet");
    let there = arrived(3, 5, 11);
    assert!(there.starts_with("v3 ") && there.ends_with(" behind 2"), "{there}");
    // However much has come since.
    assert_eq!(arrived(3, 9, 19), there);
    assert_eq!(arrived(5, 5, 11), "not yet");
    assert_eq!(arrived(5, 5, 1000), "never");
    // Sounds are waited for, and not for ever.
    let mut silent = record(5);
    silent.renditions[1].segments.truncate(3);
    assert!(matches!(of.arrived(3, &silent, at(11)), Arrived::NotYet));
    assert!(matches!(of.arrived(3, &silent, at(19)), Arrived::There { .. }));
    assert!(matches!(of.arrived(3, &Record::default(), at(11)), Arrived::Never));
}
