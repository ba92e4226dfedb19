//! Hours of archives on a real disk, as shards get them.

use super::*;
use crate::catalog::{Capacity, Catalog, Effect, Found, SourceSlot};
use crate::library::archive::Label;
use crate::library::hours::{Hour, Hours, RECORD, WHOLE_RECORD};
use crate::library::lender::{HourOf, Lender, News, What, start};
use crate::live::reload::Directives;
use crate::messages::mail::Inbox as _;
use crate::pack::writer::Object;
use crate::request::fixture::anonymous;

const HOUR: Hour = Hour { since_1970: 498_787, part: 0 };

/// One shard, and an archive in a scratch folder.
struct Archive {
    scratch: tempfile::TempDir,
    hours: Hours<'static, RealDisk>,
    lender: Lender,
    inbox: Receiver<Update>,
    catalog: Catalog,
}

fn object_bytes(number: i64) -> Vec<u8> {
    format!("segment {number}").into_bytes()
}

impl Archive {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let hours = Hours::new(&RealDisk, scratch.path().to_owned());
        let bell = Arc::new(File::options().write(true).open("/dev/null").unwrap());
        let (outbox, inbox) = queue(bell);
        let lender = start(vec![outbox]).unwrap();
        let catalog = Catalog::new(Capacity { sources: 10, heap_bytes: 1 << 20 });
        Self { scratch, hours, lender, inbox, catalog }
    }

    /// Commits segments, and with the first of them their header; tells of it.
    fn commit(&mut self, numbers: std::ops::Range<i64>) {
        if self.hours.open_hour().is_none() {
            self.hours.begin(HOUR).unwrap();
        }
        let first = numbers.start;
        let mut append = |path: &str, bytes: &[u8]| {
            let label = Label { path, media_type: "video/mp4", modified: (7, 0) };
            self.hours.append(&label, bytes).unwrap();
        };
        if first == 0 {
            append("v/init-1.mp4", b"header");
        }
        for number in numbers {
            append(&format!("v/{number}.m4s"), &object_bytes(number));
        }
        append(&format!("{RECORD}{first}"), b"record");
        let (objects, _) = self.hours.commit().unwrap();
        let what = |object: Object| {
            let name = object.path.strip_prefix("v/")?;
            let number = name.strip_suffix(".m4s").map(|number| number.parse().unwrap());
            let what = number.map_or(What::Header, |number| What::Segment("v".to_owned(), number));
            Some((what, object))
        };
        let objects = objects.into_iter().filter_map(what).collect();
        let (file, access) = (self.hours.payload(HOUR), Access::Open);
        self.lender.tell(News::Committed { of: of(), file, access, objects });
    }

    fn finish(&mut self, last: i64) {
        let label = Label { path: WHOLE_RECORD, media_type: "x", modified: (7, 0) };
        self.hours.append(&label, b"record").unwrap();
        assert_eq!(self.hours.finish().unwrap(), Some(HOUR));
        self.tell_finished(last);
    }

    fn tell_finished(&self, last: i64) {
        let numbers = vec![("v".to_owned(), 0, last)];
        let headers = vec!["v/init-1.mp4".to_owned()];
        let (file, access) = (self.hours.pack(HOUR), Access::Open);
        self.lender.tell(News::Finished { of: of(), file, access, numbers, headers });
    }

    /// Does what the shard is told, until `is_there`.
    fn until(&mut self, what: &str, is_there: impl Fn(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_there(self) {
            assert!(Instant::now() < deadline, "{what}");
            let Some(update) = self.inbox.take() else {
                std::thread::yield_now();
                continue;
            };
            let mut effects = Vec::new();
            match update {
                Update::Listed(listings) => self.catalog.list(&listings, &mut effects),
                Update::Opened(opened) => self.catalog.open(&opened, &mut effects),
                Update::Failed(source, fault) => self.catalog.fail(source, fault, &mut effects),
                other => panic!("{other:?}"),
            }
            for effect in effects {
                if let Effect::LetGo(source) = effect
                    && !source.is_live()
                {
                    self.lender.forward(ToLibrary::Released { shard: 0, source });
                }
            }
        }
    }

    fn found(&mut self, name: &str) -> Result<(Vec<u8>, SourceSlot), &'static str> {
        let path = format!("/tv/news/v/{name}");
        let slot = match self.catalog.live(&path, &Directives::default(), &anonymous()) {
            Found::Object(object) => {
                let extent = object.entry.identity.extent;
                let mut bytes = vec![0; usize::try_from(extent.size).unwrap()];
                match &object.opened.payload {
                    Payload::Heap(all) => {
                        let start = usize::try_from(extent.offset).unwrap();
                        bytes = all[start..][..bytes.len()].to_vec();
                    }
                    Payload::File(file) => {
                        use std::os::unix::fs::FileExt as _;
                        let file = File::from(file.fd.try_clone().unwrap());
                        file.read_exact_at(&mut bytes, extent.offset).unwrap();
                    }
                    Payload::Reel(_) => panic!("it is in the archive"),
                }
                assert_eq!(object.media_type(), "video/mp4");
                return Ok((bytes, object.key.source));
            }
            Found::Closed(slot) => slot,
            Found::Damaged => return Err("damaged"),
            _ => return Err("absent"),
        };
        if let Some(source) = self.catalog.want(slot) {
            self.lender.forward(ToLibrary::Open { shard: 0, source });
        }
        Err("closed")
    }

    fn has(&mut self, number: i64) -> bool {
        self.found(&format!("{number}.m4s")).is_ok_and(|(bytes, _)| bytes == object_bytes(number))
    }
}

fn of() -> HourOf {
    HourOf { channel: "news".into(), hour: HOUR }
}

#[test]
fn segments_of_an_open_hour_are_lent_one_by_one_and_those_of_a_finished_one_by_its_pack() {
    let mut archive = Archive::new();
    archive.commit(0..3);
    archive.until("segments", |archive| archive.has(2));
    assert_eq!(archive.found("init-1.mp4").unwrap().0, b"header");
    archive.commit(3..5);
    archive.until("more", |archive| archive.has(0) && archive.has(4));
    assert_eq!(archive.found("5.m4s").unwrap_err(), "absent");
    archive.finish(4);
    archive.until("the pack", |archive| archive.has(0) && archive.catalog.open_count() == 1);
    archive.until("its segments", |archive| (0..5).all(|number| archive.has(number)));
    assert_eq!(archive.catalog.open_count(), 1);
    assert_eq!(archive.found("init-1.mp4").unwrap().0, b"header");
    assert_eq!(archive.found("5.m4s").unwrap_err(), "absent");
}

#[test]
fn an_hour_that_was_there_has_its_header_and_a_damaged_one_fails_alone() {
    let mut archive = Archive::new();
    archive.commit(0..2);
    archive.until("segments", |archive| archive.has(1));
    archive.finish(1);
    // As after a restart.
    let mut again = Archive::new();
    std::mem::swap(&mut again.hours, &mut archive.hours);
    again.tell_finished(1);
    again.until("its segments", |again| again.has(0) && again.has(1));
    assert_eq!(again.found("init-1.mp4").unwrap().0, b"header");
    let pack = archive.scratch.path().join(format!("{HOUR}.pack"));
    let bytes = fs::read(&pack).unwrap();
    let mut damaged = Archive::new();
    fs::write(damaged.hours.pack(HOUR), &bytes[..bytes.len() - 1]).unwrap();
    damaged.tell_finished(1);
    damaged.until("a refusal", |damaged| damaged.found("0.m4s") == Err("damaged"));
}

#[test]
fn an_hour_is_withdrawn_before_its_file_goes_and_that_waits_for_who_reads_it() {
    let mut archive = Archive::new();
    archive.commit(0..2);
    archive.finish(1);
    archive.until("its pack", |archive| archive.has(0) && archive.catalog.open_count() == 1);
    let (_, slot) = archive.found("0.m4s").unwrap();
    archive.catalog.lease(slot);
    let pack = archive.hours.pack(HOUR);
    archive.lender.tell(News::Removed { of: of(), files: archive.hours.files(HOUR) });
    archive.lender.wait();
    archive.until("its end", |archive| !archive.has(0));
    assert!(pack.exists(), "somebody reads it");
    let source = archive.catalog.give_back(slot).expect("it was the last");
    archive.lender.forward(ToLibrary::Released { shard: 0, source });
    archive.until("the file to go", |_| !pack.exists());
}

#[test]
fn a_channel_that_is_gone_is_withdrawn_and_its_files_stay() {
    let mut archive = Archive::new();
    archive.commit(0..2);
    archive.until("segments", |archive| archive.has(1));
    archive.lender.tell(News::Closed("news".into()));
    archive.until("its end", |archive| archive.found("init-1.mp4").is_err());
    assert_eq!(archive.found("0.m4s").unwrap_err(), "absent");
    assert!(archive.hours.payload(HOUR).exists());
}
