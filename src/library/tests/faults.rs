//! Damage that is found late, reads that fail for a moment, news that are lost, packs that crowd.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

use super::super::opener::{Outcome, Refused};
use super::super::scrub::{self, Scrubbed};
use super::super::version::Version;
use super::super::watch;
use super::*;
use crate::catalog::{Capacity, Catalog, Effect, Found, SourceSlot};
use crate::request::fixture::anonymous;

fn scrubbed(fixture: &Fixture, source: SourceId, change: impl FnOnce(&mut Version)) -> Event {
    let file = File::open(fixture.path("vod/a.pack")).unwrap();
    let mut version = Version::of_file(&file).unwrap();
    change(&mut version);
    let why = "object \"seg.ts\" is damaged (checksum)".to_owned();
    Event::Scrubbed(Scrubbed { source, found: scrub::Found::Damaged(version, why) })
}

#[test]
fn damage_found_while_a_pack_is_served_takes_it_from_all_shards() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/a.pack", b"a");
    fixture.pack("vod/b.pack", b"b");
    fixture.start_shards(&["vod"], 2, true);
    for shard in 0..2 {
        fixture.wait(shard, "both", |told| told.names.len() == 2);
    }
    let source = fixture.open(0, "a").unwrap().source;
    fixture.open(1, "a").unwrap();
    // Of another version than the listed one it proves nothing.
    fixture.happens(scrubbed(&fixture, source, |version| version.size += 1));
    fixture.shards[0].1.opened.clear();
    assert!(fixture.open(0, "a").is_ok() && fixture.shards[0].1.torn.is_empty());
    fixture.happens(scrubbed(&fixture, source, |_| {}));
    for shard in 0..2 {
        fixture.wait(shard, "it is taken back and listed under a new number", |told| {
            told.torn == ["a"] && told.names.get("a").is_some_and(|(now, _)| *now != source)
        });
        fixture.shards[shard].1.opened.clear();
        assert_eq!(fixture.open(shard, "a").unwrap_err(), OpenFault::Damaged);
    }
    assert_eq!(fixture.bytes("b"), b"b");
    fixture.pack("vod/a.pack", b"mended");
    fixture.wait_for_bytes("a", b"mended");
}

/// Gives a catalog the listings that came, until `done`.
#[track_caller]
fn list(fixture: &Fixture, catalog: &mut Catalog, done: impl Fn(&Catalog) -> bool) -> Vec<Effect> {
    let mut effects = Vec::new();
    while !done(catalog) {
        match fixture.shards[0].0.recv_timeout(Duration::from_secs(20)).expect("it is listed") {
            Update::Listed(batch) => catalog.list(&batch, &mut effects),
            Update::Reread => {}
            other => panic!("{other:?}"),
        }
    }
    effects
}

/// The source at a path whose source is not open.
fn closed(catalog: &Catalog) -> Option<SourceSlot> {
    match catalog.vod("a/seg.ts", &anonymous()) {
        Found::Closed(slot) => Some(slot),
        _ => None,
    }
}

#[test]
fn a_shard_resets_transfers_of_what_is_taken_back_and_refuses_it() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/a.pack", b"a");
    fixture.start(&["vod"]);
    let mut catalog = Catalog::new(Capacity { sources: 8, heap_bytes: 1 << 20 });
    list(&fixture, &mut catalog, |catalog| closed(catalog).is_some());
    let old = closed(&catalog).unwrap();
    let source = catalog.want(old).expect("nobody has asked");
    fixture.ask(ToLibrary::Open { shard: 0, source });
    fixture.wait(0, "it to open", |told| told.opened.contains_key(&source));
    let opened = fixture.shards[0].1.opened[&source].clone();
    let mut effects = Vec::new();
    catalog.open(&opened, &mut effects);
    catalog.lease(old);
    fixture.happens(scrubbed(&fixture, source, |_| {}));
    effects = list(&fixture, &mut catalog, |catalog| closed(catalog).is_some());
    assert!(effects.contains(&Effect::Reset(old)) && catalog.is_torn(old), "{effects:?}");
    let fresh = catalog.want(closed(&catalog).unwrap()).expect("the library is asked again");
    // An answer that was on its way when the damage was found opens nothing.
    catalog.open(&opened, &mut effects);
    assert!(!matches!(catalog.vod("a/seg.ts", &anonymous()), Found::Object(_)));
    assert_eq!(catalog.give_back(old), Some(source), "the reset transfer lets it go");
    // Nor does one that comes even later; and letting go of the old one is not about the new one.
    catalog.open(&opened, &mut effects);
    assert!(effects.contains(&Effect::LetGo(source)), "{effects:?}");
    fixture.ask(ToLibrary::Released { shard: 0, source });
    fixture.ask(ToLibrary::Open { shard: 0, source: fresh });
    fixture.wait(0, "a refusal", |told| told.failed.contains_key(&fresh));
    assert_eq!(fixture.shards[0].1.failed[&fresh], OpenFault::Damaged);
    catalog.fail(fresh, OpenFault::Damaged, &mut effects);
    assert!(matches!(catalog.vod("a/seg.ts", &anonymous()), Found::Damaged));
}

#[test]
fn damage_that_is_found_while_another_file_has_the_name_is_remembered() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/a.pack", b"a");
    fs::create_dir(fixture.path("first")).unwrap();
    fixture.start(&["first", "vod"]);
    fixture.wait_for_names(&["a"]);
    let source = fixture.open(0, "a").unwrap().source;
    fixture.pack("first/a.pack", b"first");
    fixture.wait_for_bytes("a", b"first");
    fixture.happens(scrubbed(&fixture, source, |_| {}));
    fs::remove_file(fixture.path("first/a.pack")).unwrap();
    let first = fixture.shards[0].1.names["a"].0;
    fixture.wait(0, "the next in line", |told| told.names["a"].0 != first);
    assert!(fixture.shards[0].1.torn.is_empty(), "what was served instead is good");
    assert_ne!(fixture.shards[0].1.names["a"].0, source);
    assert_eq!(fixture.open(0, "a").unwrap_err(), OpenFault::Damaged);
}

#[test]
fn what_comes_back_has_a_number_that_no_shard_knows() {
    let mut fixture = Fixture::new();
    fixture.write("vod/show/a.m3u8", b"#EXTM3U\n");
    fixture.write("vod/show/a.ts", b"segment");
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["show/a.m3u8", "show/a.ts"]);
    let mut numbers = vec![fixture.shards[0].1.names.clone()];
    for _ in 0..2 {
        fixture.pack("vod/show.pack", b"packed");
        fixture.wait_for_names(&["show"]);
        fs::remove_file(fixture.path("vod/show.pack")).unwrap();
        fixture.wait_for_names(&["show/a.m3u8", "show/a.ts"]);
        assert_eq!(fixture.bytes("show/a.m3u8"), b"#EXTM3U\n");
        assert_eq!(fixture.bytes("show/a.ts"), b"segment");
        numbers.push(fixture.shards[0].1.names.clone());
    }
    for name in ["show/a.m3u8", "show/a.ts"] {
        assert!(numbers.windows(2).all(|pair| pair[0][name].0 < pair[1][name].0), "{numbers:?}");
    }
}

#[test]
fn a_read_that_failed_for_want_of_something_is_tried_again() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/a.pack", b"a");
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["a"]);
    let source = fixture.open(0, "a").unwrap().source;
    for number in [libc::ENOMEM, libc::EINTR, libc::ESTALE, libc::EAGAIN, libc::ENOBUFS] {
        fixture.shards[0].1.opened.clear();
        fixture.ask(ToLibrary::Faulty { source, fault: Fault::Unreadable(number) });
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(fault) = fixture.open(0, "a") {
            assert_eq!(fault, OpenFault::Exhausted);
            assert!(Instant::now() < deadline, "it is never tried again");
        }
    }
    for fault in [Fault::Truncated, Fault::Unreadable(libc::EFAULT)] {
        fixture.shards[0].1.opened.clear();
        fixture.ask(ToLibrary::Faulty { source, fault });
        assert_eq!(fixture.open(0, "a").unwrap_err(), OpenFault::Damaged);
    }
}

#[test]
fn an_error_of_reading_is_not_for_good() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/a.pack", b"a");
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["a"]);
    let source = fixture.open(0, "a").unwrap().source;
    for refused in [
        Refused::from(std::io::Error::from_raw_os_error(libc::EIO)),
        Refused::from(std::io::Error::from_raw_os_error(libc::EINTR)),
        Refused::from(std::io::Error::from_raw_os_error(libc::EMFILE)),
        Refused::from(std::io::Error::from_raw_os_error(libc::ENOMEM)),
    ] {
        fixture.shards[0].1.opened.clear();
        fixture.ask(ToLibrary::Released { shard: 0, source });
        // Both queues end in one, so what follows must not overtake the release.
        assert_eq!(fixture.bytes("a"), b"a");
        fixture.shards[0].1.opened.clear();
        fixture.happens(Event::Shard(ToLibrary::Released { shard: 0, source }));
        fixture.happens(Event::Opened(Outcome { source, result: Err(refused) }));
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match fixture.open(0, "a") {
                Ok(opened) => break assert_eq!(identity(&opened), b"a"),
                Err(fault) => assert_eq!(fault, OpenFault::Exhausted),
            }
            assert!(Instant::now() < deadline, "it is never tried again");
        }
    }
}

#[test]
fn a_disk_that_will_not_read_is_not_asked_for_every_request() {
    let mut fixture = Fixture::new();
    // Its first byte is at an address that nobody has: EIO.
    fixture.start(&["/proc/self/mem"]);
    fixture.wait_for_names(&["mem"]);
    assert_eq!(fixture.open(0, "mem").unwrap_err(), OpenFault::Exhausted);
    let began = Instant::now();
    let mut answers = 0;
    while began.elapsed() < Duration::from_millis(200) {
        assert_eq!(fixture.open(0, "mem").unwrap_err(), OpenFault::Exhausted);
        answers += 1;
    }
    assert!(answers > 0);
}

#[test]
fn news_that_the_kernel_lost_are_made_up_for_by_a_scan() {
    let mut fixture = Fixture::new();
    fixture.write("vod/first.ts", b"first");
    let (open_gate, gate) = sync_channel::<()>(0);
    let overflowed = Arc::new(AtomicBool::new(false));
    let named = Arc::new(AtomicBool::new(false));
    let (saw_overflow, saw_name) = (Arc::clone(&overflowed), Arc::clone(&named));
    let limits = Limits::default();
    fixture.start_over(&["vod"], 1, limits, Duration::from_secs(60), move |events, lost| {
        let told = Arc::clone(&lost);
        Watch::over(lost, move |news| {
            // The watcher's thread stands still until the gate goes.
            let _ = gate.recv();
            if let Ok(event) = &news {
                saw_overflow.fetch_or(event.need_rescan(), Ordering::SeqCst);
                // That we open it when a scan has found it is no news.
                let is_news = event.kind.is_create() || event.kind.is_modify();
                let late = |path: &PathBuf| is_news && path.ends_with("late.ts");
                saw_name.fetch_or(event.paths.iter().any(late), Ordering::SeqCst);
            }
            watch::tell(news, &events, &told);
        })
    });
    fixture.wait_for_names(&["first.ts"]);
    // Two files by turns, because the kernel joins equal news that follow each other.
    fixture.write("vod/.a", b"a");
    fixture.write("vod/.b", b"b");
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    for _ in 0..limit / 2 + 100 {
        for name in ["vod/.a", "vod/.b"] {
            let file = File::open(fixture.path(name)).unwrap();
            file.set_modified(std::time::SystemTime::now()).unwrap();
        }
    }
    fixture.write("vod/late.ts", b"late");
    drop(open_gate);
    fixture.wait_for_names(&["first.ts", "late.ts"]);
    assert!(overflowed.load(Ordering::SeqCst), "the kernel's queue did not overflow");
    assert!(!named.load(Ordering::SeqCst), "nothing was lost");
    assert_eq!(fixture.bytes("late.ts"), b"late");
}

#[test]
fn news_that_found_our_own_queue_full_are_made_up_for_by_a_scan() {
    let (events, queue) = sync_channel(1);
    let lost = AtomicBool::new(false);
    let closed = notify::EventKind::Access(notify::event::AccessKind::Close(
        notify::event::AccessMode::Write,
    ));
    let news = || Ok(notify::Event::new(closed).add_path("/vod/x.ts".into()));
    watch::tell(news(), &events, &lost);
    assert!(!lost.load(Ordering::SeqCst));
    watch::tell(news(), &events, &lost);
    assert!(lost.load(Ordering::SeqCst), "the second one found no room");
    assert!(matches!(queue.recv(), Ok(Event::Noticed(..))));
    // What `take_lost` says makes the library scan: see the test above.
}

/// One shard's catalog, fed with what the library says; what it lets go of, the library hears.
struct Player {
    catalog: Catalog,
    opened: Vec<Weak<Opened>>,
}

impl Player {
    fn take(&mut self, fixture: &Fixture, update: Update) {
        let mut effects = Vec::new();
        match update {
            Update::Listed(batch) => self.catalog.list(&batch, &mut effects),
            Update::Opened(opened) => {
                self.opened.push(Arc::downgrade(&opened));
                self.catalog.open(&opened, &mut effects);
            }
            Update::Spare(source) => self.catalog.spare(source, &mut effects),
            _ => {}
        }
        for effect in effects {
            if let Effect::LetGo(source) = effect {
                fixture.ask(ToLibrary::Released { shard: 0, source });
            }
        }
    }

    fn alive(&self) -> usize {
        self.opened.iter().filter(|opened| opened.strong_count() > 0).count()
    }
}

#[test]
fn indexes_of_open_packs_take_no_more_memory_than_they_may() {
    const PACKS: usize = 100;
    let mut fixture = Fixture::new();
    for number in 0..PACKS {
        fixture.pack(&format!("vod/{number:03}.pack"), b"x");
    }
    let bytes = fs::read(fixture.path("vod/000.pack")).unwrap();
    let index_size = crate::pack::index::PackIndex::of_bytes(&bytes).unwrap().memory_size();
    let limits = Limits { index_memory: 20 * index_size, ..Limits::default() };
    fixture.start_over(&["vod"], 1, limits, Duration::from_secs(60), Watch::start);
    let capacity = Capacity { sources: 1000, heap_bytes: 1 << 20 };
    let mut player = Player { catalog: Catalog::new(capacity), opened: Vec::new() };
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut most = 0;
    for number in 0..PACKS {
        let path = format!("{number:03}/seg.ts");
        let mut asked = false;
        while !matches!(player.catalog.vod(&path, &anonymous()), Found::Object(_)) {
            assert!(Instant::now() < deadline, "{path} is never open");
            if let Found::Closed(source) = player.catalog.vod(&path, &anonymous())
                && !asked
            {
                asked = true;
                let source = player.catalog.want(source).unwrap();
                fixture.ask(ToLibrary::Open { shard: 0, source });
            }
            if let Ok(update) = fixture.shards[0].0.recv_timeout(Duration::from_millis(10)) {
                player.take(&fixture, update);
            }
        }
        // The first one is used all the time.
        let Found::Object(object) = player.catalog.vod("000/seg.ts", &anonymous()) else {
            panic!("what is used was let go")
        };
        let hot = object.key.source;
        player.catalog.touch(hot);
        most = most.max(player.alive());
    }
    while player.alive() > 24 {
        assert!(Instant::now() < deadline, "{} of {PACKS} stay open", player.alive());
        if let Ok(update) = fixture.shards[0].0.recv_timeout(Duration::from_millis(10)) {
            player.take(&fixture, update);
        }
    }
    // What waits to be closed counts here, and not for the library.
    assert!(most < 60, "{most} were open at once");
    assert!(player.opened[0].strong_count() > 0);
    assert_eq!(player.opened.len(), PACKS, "and the one that is used was opened once");
}
