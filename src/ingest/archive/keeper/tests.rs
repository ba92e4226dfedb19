//! A channel's archive on a disk that loses what was not synced: what was acknowledged is there and
//! right, nothing else is half there, and it goes on.

use std::collections::BTreeMap;

use super::*;
use crate::library::tests::sim_disk::{Flaw, Random, SimDisk};
use crate::live::playlist::multivariant::Bandwidth;
use crate::live::protection::sample;
use crate::live::record::{Carried, Record};
use crate::live::time::{Length, Moment};
use crate::live::timeline::Origin;
use crate::messages::SourceId;
use crate::pack::index::PackIndex;
use crate::request::fixture::file;
use crate::units::Extent;

const FOLDER: &str = "/simulated/news";
/// Milliseconds at which the first segment comes: half a minute before an hour ends.
const BEGAN_MS: u64 = 500_000 * HOUR_MS - 30_000;
const SEGMENT_MS: u64 = 2000;
const RETENTION: Retention = Retention { age_ms: 24 * HOUR_MS, size_max: None };

/// The bytes of a segment.
fn bytes(rendition: &str, number: i64) -> Vec<u8> {
    let seed = number as u8 ^ rendition.as_bytes()[0];
    vec![seed; 700 + 400 * usize::try_from(number % 5).unwrap()]
}

fn header(number: i64) -> (Header, Arc<Opened>) {
    let name = format!("init-{}.mp4", number / 8);
    let opened = file(SourceId(1), &name, format!("header {}", number / 8).as_bytes());
    // Every second one says that what follows it is encrypted.
    let protection = (number / 8 % 2 == 1).then(|| Arc::new(sample(*b"cbcs")));
    (Header { name, protection }, opened)
}

fn whole(rendition: &str, number: i64) -> Whole {
    let video = Carried::Video { resolution: (640, 360), frame_rate: Some((25, 1)) };
    let bandwidth = Bandwidth { peak: 1, average: 1 };
    let codecs = "avc1".to_owned();
    let lengths = Lengths { segment: Length::of_millis(SEGMENT_MS), part: Length::of_millis(500) };
    let is_gap = number % 7 == 6;
    let bytes = bytes(rendition, number);
    let origin = Origin { zero_micros: 0, start_micros: 0 };
    let kept = Kept {
        number,
        start: Moment { ticks: number * 180_000, timescale: 90_000 },
        duration: 180_000,
        size: if is_gap { 0 } else { bytes.len() as u64 },
        discontinuity: false,
        header: 0,
        origin,
    };
    Whole {
        rendition: rendition.into(),
        about: About { carries: video, codecs, language: None, bandwidth },
        lengths,
        kept,
        header: Some(header(number)),
        opened: (!is_gap).then(|| file(SourceId(1), &format!("{number}.m4s"), &bytes)),
    }
}

/// An archive on this disk, and what it says of itself.
fn recovered(disk: &SimDisk) -> (Keeper<'_, SimDisk>, Arc<Records>) {
    let records = Arc::<Records>::default();
    let who = ("news", Access::Open);
    let keeper = Keeper::recovered(disk, FOLDER.into(), who, RETENTION, Arc::clone(&records));
    (keeper.unwrap(), records)
}

/// Commits both renditions' segments of these numbers, two numbers at a time, also over the end of
/// an hour, until the disk refuses; gives the numbers that were acknowledged.
fn fill(keeper: &mut Keeper<'_, SimDisk>, numbers: std::ops::Range<i64>) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    for pair in numbers.collect::<Vec<_>>().chunks(2) {
        let batch: Vec<_> = pair.iter().flat_map(|&at| [whole("v", at), whole("a", at)]).collect();
        let now_ms = BEGAN_MS + SEGMENT_MS * u64::try_from(pair[0]).unwrap();
        match keeper.commit(&batch, now_ms) {
            Ok(()) => acknowledged.extend(pair),
            Err(_) => break,
        }
    }
    acknowledged
}

/// Every object that the lender was told of, by path, as it lies on the disk.
fn served(disk: &SimDisk, news: Vec<News>) -> Result<Served, String> {
    let mut served = Served::new();
    for one in news {
        match one {
            News::Committed { of, file, objects, .. } => {
                // It may have become a pack since.
                let pack = Path::new(FOLDER).join(format!("{}.pack", of.hour));
                let file = disk.file(&file).or_else(|| disk.file(&pack)).ok_or("no file")?;
                for (_, object) in objects {
                    let written = object.identity;
                    serve(&mut served, &object.path, &file, written.variant.extent, written.crc)?;
                }
            }
            News::Finished { file, numbers, headers, .. } => {
                let file = disk.file(&file).ok_or("no pack")?;
                let index = PackIndex::of_bytes(&file).map_err(|error| error.to_string())?;
                for header in &headers {
                    index.find(header.as_bytes()).ok_or(format!("{header} is missing"))?;
                }
                let is_header = |path: &str| what_is(path) == Some(What::Header);
                for entry in index.entries().filter(|entry| is_header(entry.path)) {
                    let is_told = headers.iter().any(|header| header == entry.path);
                    is_told.then_some(()).ok_or(format!("nobody is told of {}", entry.path))?;
                }
                let is_listed = |path: &str| match what_is(path) {
                    Some(What::Segment(rendition, number)) => {
                        let of = |(name, first, last): &(String, i64, i64)| {
                            *name == rendition && (*first..=*last).contains(&number)
                        };
                        numbers.iter().any(of)
                    }
                    what => what.is_some(),
                };
                for entry in index.entries().filter(|entry| is_listed(entry.path)) {
                    serve(&mut served, entry.path, &file, entry.identity.extent, entry.crc)?;
                }
            }
            News::Removed { .. } | News::Closed(_) => {}
        }
    }
    Ok(served)
}

type Served = BTreeMap<String, Vec<u8>>;

fn serve(
    served: &mut Served,
    path: &str,
    file: &[u8],
    extent: Extent,
    crc: u32,
) -> Result<(), String> {
    let start = usize::try_from(extent.offset).unwrap();
    let bytes = file.get(start..start + usize::try_from(extent.size).unwrap());
    let bytes = bytes.filter(|bytes| crc32fast::hash(bytes) == crc);
    served.insert(path.to_owned(), bytes.ok_or(format!("{path} is torn"))?.to_vec());
    Ok(())
}

/// What the record says is what is served, byte by byte; gives the newest number of all.
fn check(record: &Record, served: &Served) -> Result<i64, String> {
    let mut newest = -1;
    let mut count = 0;
    for one in &record.renditions {
        for (before, kept) in one.segments.iter().zip(&one.segments[1..]) {
            if kept.number != before.number + 1 || kept.discontinuity {
                return Err(format!("{} does not follow {}", kept.number, before.number));
            }
        }
        for kept in &one.segments {
            newest = newest.max(kept.number);
            if kept.is_gap() {
                continue;
            }
            count += 1;
            let path = format!("{}/{}.m4s", one.name, kept.number);
            let is_right = served.get(&path) == Some(&bytes(&one.name, kept.number));
            let header = one.headers.get(kept.header as usize);
            let named = header.is_some_and(|header| {
                *header == self::header(kept.number).0
                    && served.contains_key(&format!("{}/{}", one.name, header.name))
            });
            if !is_right || !named || kept.size != bytes(&one.name, kept.number).len() as u64 {
                return Err(format!("{path} is not as it was acknowledged"));
            }
        }
    }
    let segments = served.keys().filter(|path| matches!(what_is(path), Some(What::Segment(..))));
    if segments.count() == count { Ok(newest) } else { Err("more is served than is said".into()) }
}

/// What holds after a power cut, and that it goes on.
fn check_after(disk: &SimDisk, acknowledged: &[i64]) -> Result<(), String> {
    let (mut keeper, records) = recovered(disk);
    let news = keeper.take_news();
    let served_now = served(disk, news)?;
    let newest = records.with("news", |record| check(record, &served_now)).unwrap()?;
    for number in acknowledged {
        for rendition in ["v", "a"] {
            let is_there = records.with("news", |record| {
                record.rendition(rendition).is_some_and(|one| one.segment(*number).is_some())
            });
            if is_there != Some(true) {
                return Err(format!("{rendition}/{number} was acknowledged and is gone"));
            }
        }
    }
    let more = fill(&mut keeper, newest + 1..newest + 7);
    if more.len() != 6 {
        return Err("it does not go on".to_owned());
    }
    drop(keeper);
    let (mut keeper, records) = recovered(disk);
    let served = served(disk, keeper.take_news())?;
    records.with("news", |record| check(record, &served)).unwrap().map(drop)
}

/// Fills a disk until its power is cut; gives what was acknowledged.
fn run(disk: &SimDisk) -> Vec<i64> {
    let records = Arc::<Records>::default();
    let who = ("news", Access::Open);
    match Keeper::recovered(disk, FOLDER.into(), who, RETENTION, records) {
        Ok(mut keeper) => fill(&mut keeper, 0..30),
        Err(_) => Vec::new(),
    }
}

#[test]
fn what_was_acknowledged_survives_power_cuts_and_nothing_is_half_there() {
    let whole = SimDisk::new(usize::MAX, Flaw::None);
    let all = run(&whole);
    assert_eq!(all.len(), 30);
    let operations = whole.operations.get();
    let mut longest = 0;
    // Fifty moments and more, each with several ways to lose what was not synced.
    for at in 0..=60 {
        let cut = operations * at / 60;
        for seed in 0..4 {
            let disk = SimDisk::new(cut, Flaw::None);
            let acknowledged = run(&disk);
            longest = longest.max(acknowledged.len());
            let after = disk.after_power_cut(&mut Random::new(seed * 1000 + cut as u64));
            if let Err(why) = check_after(&after, &acknowledged) {
                panic!("{why}: cut after {cut} of {operations}, seed {seed}");
            }
        }
    }
    assert_eq!(longest, 30);
}

#[test]
fn a_forgotten_sync_is_noticed() {
    let found = (0..100u64).any(|seed| {
        let disk = SimDisk::new(60 + usize::try_from(seed).unwrap(), Flaw::Sync);
        let acknowledged = run(&disk);
        let after = disk.after_power_cut(&mut Random::new(seed));
        check_after(&after, &acknowledged).is_err()
    });
    assert!(found, "it goes unnoticed");
}

#[test]
fn after_a_sync_that_failed_the_archive_goes_on_by_itself_and_shows_what_is_missing() {
    let whole = SimDisk::new(usize::MAX, Flaw::None);
    run(&whole);
    let syncs = whole.syncs.get();
    for number in 1..=syncs {
        let disk = SimDisk::new(usize::MAX, Flaw::FailSync(number));
        let (mut keeper, records) = recovered(&disk);
        let mut acknowledged = fill(&mut keeper, 0..30);
        let failed = i64::try_from(acknowledged.len()).unwrap();
        // What was refused is not sent again, and what comes then goes on behind it.
        acknowledged.extend(fill(&mut keeper, failed + 2..32));
        assert!(acknowledged.len() as i64 >= 30 || failed == 30, "sync {number}");
        let served = served(&disk, keeper.take_news()).unwrap();
        let checked = records.with("news", |record| check(record, &served));
        checked.unwrap().unwrap_or_else(|why| panic!("{why}: sync {number}"));
        drop(keeper);
        for seed in 0..2 {
            let after = disk.after_power_cut(&mut Random::new(seed));
            let is_kept = check_after(&after, &acknowledged);
            assert!(is_kept.is_ok(), "sync {number}, seed {seed}: {is_kept:?}");
        }
    }
}

#[test]
fn a_disk_that_is_full_at_any_byte_costs_what_came_meanwhile_and_nothing_else() {
    for room in (5_000..120_000).step_by(1999) {
        let disk = SimDisk::new(usize::MAX, Flaw::None);
        disk.room.set(room);
        let records = Arc::<Records>::default();
        let who = ("news", Access::Open);
        let keeper = Keeper::recovered(&disk, FOLDER.into(), who, RETENTION, Arc::clone(&records));
        let mut keeper = keeper.unwrap();
        let mut acknowledged = fill(&mut keeper, 0..30);
        let failed = i64::try_from(acknowledged.len()).unwrap();
        if failed < 30 {
            // Full is full.
            assert!(fill(&mut keeper, failed..30).is_empty(), "room for {room}");
        }
        disk.room.set(usize::MAX);
        acknowledged.extend(fill(&mut keeper, failed.min(28) + 2..36));
        assert!(acknowledged.len() >= 34, "room for {room}: {}", acknowledged.len());
        let served = served(&disk, keeper.take_news()).unwrap();
        let checked = records.with("news", |record| check(record, &served)).unwrap();
        checked.unwrap_or_else(|why| panic!("{why}: room for {room}"));
        drop(keeper);
        let after = disk.after_power_cut(&mut Random::new(room as u64));
        let is_kept = check_after(&after, &acknowledged);
        assert!(is_kept.is_ok(), "room for {room}: {is_kept:?}");
    }
}

#[test]
fn hours_that_are_too_old_or_too_many_go_and_the_record_with_them() {
    let disk = SimDisk::new(usize::MAX, Flaw::None);
    let (mut keeper, records) = recovered(&disk);
    // Numbers of three hours, two segments each.
    for (at, hour) in (0..).zip([10, 10, 11, 11, 12, 12]) {
        keeper.commit(&[whole("v", at)], hour * HOUR_MS + 5).unwrap();
    }
    let first = |records: &Records| {
        records.with("news", |record| record.rendition("v").unwrap().segments[0].number).unwrap()
    };
    let removed = |keeper: &mut Keeper<'_, SimDisk>| {
        let news = keeper.take_news();
        let of = |one: &News| match one {
            News::Removed { of, .. } => Some(of.hour.since_1970),
            _ => None,
        };
        news.iter().filter_map(of).collect::<Vec<_>>()
    };
    keeper.retire(11 * HOUR_MS + RETENTION.age_ms - 1);
    assert_eq!((removed(&mut keeper), first(&records)), (Vec::new(), 0));
    keeper.retire(11 * HOUR_MS + RETENTION.age_ms);
    assert_eq!((removed(&mut keeper), first(&records)), (vec![10], 2));
    keeper.retention.size_max = Some(100_000);
    keeper.retire(12 * HOUR_MS);
    assert!(removed(&mut keeper).is_empty(), "there is room");
    keeper.retention.size_max = Some(1);
    keeper.retire(12 * HOUR_MS);
    assert_eq!(removed(&mut keeper), [11], "the hour that is written stays");
    assert_eq!(first(&records), 4);
}

/// What becomes of a segment that comes behind number 9 of a record.
#[track_caller]
fn check_placed(change: impl Fn(&mut Whole), expected: &[(i64, bool, bool)]) {
    let mut record = Record::default();
    let mut piece = Piece::default();
    let before = whole("v", 9);
    piece.renditions.push(Added {
        name: "v".to_owned(),
        about: before.about,
        lengths: before.lengths,
        headers: Vec::new(),
        segments: vec![before.kept],
    });
    record.add(&piece);
    let mut next = whole("v", 10);
    change(&mut next);
    let placed = placed(&next, record.rendition("v"), None).unwrap_or_default();
    let shown: Vec<_> =
        placed.iter().map(|kept| (kept.number, kept.is_gap(), kept.discontinuity)).collect();
    assert_eq!(shown, expected);
}

#[test]
fn what_follows_follows_and_what_does_not_is_a_gap_or_a_discontinuity() {
    let at = |whole: &mut Whole, number: i64| {
        *whole = self::whole("v", number);
    };
    check_placed(|_| {}, &[(10, false, false)]);
    check_placed(|whole| at(whole, 9), &[]);
    check_placed(
        |whole| at(whole, 12),
        &[(10, true, false), (11, true, false), (12, false, false)],
    );
    check_placed(|whole| at(whole, 9000), &[(9000, false, true)]);
    check_placed(|whole| whole.kept.origin.zero_micros = 5, &[(10, false, true)]);
    check_placed(|whole| whole.kept.start.timescale = 48_000, &[(10, false, true)]);
    check_placed(|whole| whole.kept.number = 12, &[(12, false, true)]);
    // It began later than it should have.
    check_placed(|whole| whole.kept.start.ticks += 90_000, &[(10, false, false)]);
}
