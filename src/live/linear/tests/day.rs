//! A day that has times in it, against one that is played out by hand.

use super::*;
use crate::live::linear::plan::DAY;

/// How far the channel's place is ahead of UTC.
const AHEAD: u64 = 3600 * SECOND;

/// A time of day there, in nanoseconds of a day of UTC.
fn at(hours: u64, minutes: u64, seconds: u64) -> u64 {
    ((hours * 60 + minutes) * 60 + seconds) * SECOND + DAY - AHEAD
}

/// Nine seconds at 6:00 and then four again and again; from 20:15:03 on nine, nine and four, and
/// then nine and four again and again.
fn timed() -> Schedule {
    let assets = vec![
        Asset::read("films/nine", NINE).unwrap(),
        Asset::read("films/f\u{f6}ur", &four()).unwrap(),
    ];
    let entry = |asset, at: Option<u64>| Entry { asset, at: at.map(|at| at % DAY) };
    let list = [
        entry(1, None),
        entry(0, Some(at(6, 0, 0))),
        entry(1, None),
        entry(0, Some(at(20, 15, 3))),
        entry(0, None),
    ];
    Schedule::new(assets, &list, 60 * SECOND).unwrap().0
}

/// When a segment of the picture begins, in milliseconds of Unix time, and what it is; and whether
/// it begins an asset.
type Shown = (u64, String, bool);

/// Plays an asset from a moment to another one at most; gives when it is over.
fn play(shown: &mut Vec<Shown>, asset: usize, start: u64, end: u64) -> u64 {
    let (starts, names, length): (&[u64], _, _) = match asset {
        0 => (&[0, 2000, 4000, 6000, 8000, 9000], "nine", 9000),
        _ => (&[0, 2002, 4004], "f%C3%B6ur", 4004),
    };
    for (at, two) in starts.windows(2).enumerate() {
        // More than half of it is shown.
        if start + u64::midpoint(two[0], two[1]) < end {
            let file = match asset {
                0 => format!("seg-0-{:05}.m4s", at + 1),
                _ => format!("0/{}.m4s", 1001 + at * 48_048),
            };
            shown.push((start + two[0], format!("{names}/{file}"), at == 0));
        }
    }
    end.min(start + length)
}

/// All that is shown from 6:00 of one day to 6:00 of the next.
fn by_hand(morning: u64) -> Vec<Shown> {
    let mut shown = Vec::new();
    let evening = morning + ((14 * 60 + 15) * 60 + 3) * 1000;
    let mut now = play(&mut shown, 0, morning, evening);
    while now < evening {
        now = play(&mut shown, 1, now, evening);
    }
    let next = morning + 86_400_000;
    now = play(&mut shown, 0, evening, next);
    for asset in [0, 1].into_iter().cycle() {
        if now == next {
            break;
        }
        now = play(&mut shown, asset, now, next);
    }
    shown
}

#[test]
fn what_has_a_time_begins_then_every_day_and_numbers_go_on() {
    let (one, other) = (timed(), timed());
    let morning = MIDNIGHT + at(6, 0, 0) - DAY;
    let mut listed = BTreeMap::new();
    let mut now = morning - 60 * SECOND;
    while now < morning + 2 * DAY {
        for track in 0..2 {
            // The other server was started a day later.
            if now > morning + DAY {
                assert_eq!(linear::media(&one, track, now), linear::media(&other, track, now));
            }
            let change = one.next_change(track, now);
            assert!(now < change && change < now + 5 * SECOND, "{now}");
        }
        for pass in one.listed(0, now) {
            for (at, number) in pass.segments.clone().zip(pass.first_number..) {
                let file = format!("{}/{}", pass.asset.path, pass.rendition.segment_uri(at));
                let file = file.replace("films/", "").replace('\u{f6}', "%C3%B6");
                let seen = (pass.number, pass.start_of(at) / 1_000_000, file);
                let before = listed.insert(number, seen.clone());
                assert!(before.is_none_or(|before| before == seen), "{number}");
            }
        }
        now += 47_300_000_000;
    }
    let numbers: Vec<_> = listed.keys().copied().collect();
    assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "none is left out");
    let first = morning / 1_000_000;
    let days = [by_hand(first), by_hand(first + 86_400_000)].concat();
    let of_days = listed.values().filter(|(_, start, _)| *start >= first);
    let mut sequence = None;
    let mut count = 0;
    for ((number, start, file), expected) in of_days.zip(&days) {
        assert_eq!((start, file), (&expected.0, &expected.1));
        let next = sequence.map_or(*number, |sequence| sequence + u64::from(expected.2));
        assert_eq!(*number, next, "{start}");
        sequence = Some(next);
        count += 1;
    }
    // The last ones have not been listed yet.
    assert!(count + 40 > days.len(), "{count} of {}", days.len());
}

#[test]
fn a_period_ends_when_something_else_has_its_time() {
    let schedule = timed();
    let evening = MIDNIGHT + at(20, 15, 3) - DAY;
    let manifest = linear::manifest(&schedule, evening + 5 * SECOND, "../clock");
    let starts: Vec<_> = manifest.lines().filter(|line| line.contains("<Period")).collect();
    let seconds = evening / SECOND;
    assert!(starts.last().unwrap().contains(&format!("start=\"PT{seconds}.0S\"")), "{starts:?}");
    let playlist = linear::media(&schedule, 0, evening + 5 * SECOND);
    let new = "PROGRAM-DATE-TIME:2026-11-26T19:15:03.000Z\n#EXTINF:2.0,\n../../../vod/films/nine/";
    assert!(playlist.contains(new), "{playlist}");
}

#[test]
fn times_that_leave_no_room_are_refused() {
    let assets = || vec![Asset::read("a", NINE).unwrap()];
    let entry = |at| Entry { asset: 0, at: Some(at) };
    let close: Vec<_> = (0..4).map(|at| entry(at * SECOND)).collect();
    // What is cut off after a second is half of a segment, and left out.
    let (schedule, _) = Schedule::new(assets(), &close, 20 * SECOND).unwrap();
    let listed = schedule.listed(0, MIDNIGHT + 12 * SECOND);
    let last = listed.last().unwrap();
    assert_eq!(last.start, MIDNIGHT + 3 * SECOND);
    let unordered = Schedule::new(assets(), &[entry(SECOND), entry(SECOND)], SECOND);
    assert_eq!(unordered.unwrap_err().0, "its times are not in the order of a day");
}
