//! Chunks on a disk that loses what was not synced, and in files that go by turns.

use super::*;
use crate::library::tests::sim_disk::{Flaw, Random, SimDisk};

const FOLDER: &str = "/simulated/growing/news";

fn chunk(rendition: &str, number: i64, index: u32) -> Grown {
    let salt = number as u8 ^ index as u8 ^ rendition.as_bytes()[0];
    let header = format!("header {}", number / 4);
    let bytes = vec![salt; 300 + 100 * usize::from(salt % 8)];
    Grown {
        path: format!("{rendition}/init.mp4").into(),
        rendition: rendition.into(),
        number,
        index,
        source: 1,
        micros: number * 1_000_000,
        key: match rendition {
            "ts" => Key::Times(Run {
                track: 256,
                decode_time: (1 << 34) + u64::from(index),
                duration: 45_000,
                presentation_time: -i64::from(index),
                independent: index == 0,
                samples: 12,
                size: bytes.len() as u64,
                first_end: 0,
            }),
            _ => Key::Header(ETag::of(header.as_bytes()), header.into_bytes().into()),
        },
        bytes,
    }
}

/// Chunks of a segment of three renditions.
fn segment(number: i64) -> Vec<Grown> {
    let of = |index| ["v", "a", "ts"].map(|rendition| chunk(rendition, number, index));
    (0..4).flat_map(of).collect()
}

fn recovered(disk: &SimDisk, kept: Option<i64>) -> (Growing<'_, SimDisk>, Vec<Grown>) {
    Growing::recovered(disk, FOLDER.into(), |_| kept).unwrap()
}

fn files(disk: &SimDisk) -> usize {
    disk.names(Path::new(FOLDER)).unwrap().len()
}

#[test]
fn what_is_above_what_is_kept_is_there_again_in_its_order() {
    let disk = SimDisk::new(usize::MAX, Flaw::None);
    let (mut growing, found) = recovered(&disk, None);
    assert!(found.is_empty());
    let all: Vec<_> = (1..4).flat_map(segment).collect();
    for some in all.chunks(2) {
        growing.append(some).unwrap();
    }
    drop(growing);
    assert_eq!(recovered(&disk, None).1, all);
    assert_eq!(recovered(&disk, Some(2)).1, segment(3));
    let (mut growing, found) = recovered(&disk, Some(3));
    assert!(found.is_empty() && files(&disk) == 0, "nothing of it is needed");
    // What is whole by now need not be put down.
    growing.append(&segment(3)).unwrap();
    assert_eq!(files(&disk), 0);
    growing.append(&segment(4)).unwrap();
    clear(&disk, Path::new(FOLDER)).unwrap();
    assert_eq!(files(&disk), 0);
}

#[test]
fn behind_a_chunk_that_is_missing_nothing_of_its_segment_is_taken() {
    let disk = SimDisk::new(usize::MAX, Flaw::None);
    let (mut growing, _) = recovered(&disk, None);
    let wanted = [chunk("v", 1, 0), chunk("v", 2, 0), chunk("v", 2, 1)];
    let holes = [chunk("v", 1, 2), chunk("a", 1, 1), chunk("v", 2, 3), chunk("v", 2, 0)];
    growing.append(&[&wanted[..1], &holes[..2], &wanted[1..], &holes[2..]].concat()).unwrap();
    drop(growing);
    assert_eq!(recovered(&disk, None).1, wanted);
}

#[test]
fn files_go_when_their_segments_are_settled_and_are_few() {
    let disk = SimDisk::new(usize::MAX, Flaw::None);
    let (mut growing, _) = recovered(&disk, None);
    let mut most = 0;
    for number in 0..200 {
        growing.append(&segment(number)).unwrap();
        for rendition in ["v", "a", "ts"] {
            growing.settle(&rendition.into(), number - 1);
        }
        growing.remove_settled();
        most = files(&disk).max(most);
    }
    assert!(growing.next > 10 && most <= 3, "{} files, at most {most}", growing.next);
    // A segment that is never settled does not let them grow without end.
    for number in 200..600 {
        growing.append(&segment(number)).unwrap();
        growing.settle(&"v".into(), number - 1);
        growing.remove_settled();
        assert!(files(&disk) <= GROWING_FILES_MAX);
    }
}

#[test]
fn what_was_appended_survives_power_cuts_and_nothing_is_half_there() {
    let all: Vec<_> = (0..12).flat_map(segment).collect();
    let mut cuts = 0;
    for cut in 0.. {
        let disk = SimDisk::new(cut, Flaw::None);
        let Ok((mut growing, _)) = Growing::recovered(&disk, FOLDER.into(), |_| None) else {
            continue;
        };
        let appended = all.chunks(3).take_while(|some| growing.append(some).is_ok()).count();
        for seed in 0..6 {
            let after = disk.after_power_cut(&mut Random::new(seed));
            let (mut growing, found) = recovered(&after, None);
            assert!(found.len() >= 3 * appended && all.starts_with(&found), "cut {cut} {seed}");
            // It goes on, in another file.
            growing.append(&all[found.len()..]).unwrap();
            drop(growing);
            assert_eq!(recovered(&after, None).1, all, "cut {cut} {seed}");
        }
        cuts += 1;
        if 3 * appended == all.len() {
            break;
        }
    }
    assert!(cuts > 20);
}

#[test]
fn what_is_damaged_ends_a_file_and_nothing_makes_the_reader_panic() {
    let chunks = segment(1);
    let mut bytes = MAGIC.to_vec();
    for (at, chunk) in chunks.iter().enumerate() {
        let record = record(chunk, at < 3);
        bytes.extend(u32::try_from(record.len()).unwrap().to_le_bytes());
        bytes.extend(xxh3_64(&record).to_le_bytes());
        bytes.extend(record);
    }
    assert_eq!(records(&bytes), chunks);
    let mut random = Random::new(7);
    for _ in 0..300 {
        let mut wrong = bytes.clone();
        let at = random.below(wrong.len());
        wrong[at] ^= 1 << random.below(8);
        wrong.truncate(bytes.len() - random.below(200));
        let found = records(&wrong);
        assert!(found.len() < chunks.len() && chunks.starts_with(&found), "{at}");
    }
}
