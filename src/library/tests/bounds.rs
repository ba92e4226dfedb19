//! What bounds the library: memory of lists, links to folders, and readiness that waits for shards.

use super::*;
use crate::config::{INBOX_UPDATES_MAX, LISTED_MAX};

#[test]
fn lists_that_are_still_being_copied_count_as_well() {
    const LISTS: usize = 12;
    let mut fixture = Fixture::new();
    for number in 0..LISTS {
        // Sparse: it costs whoever makes them nothing.
        fixture.write(&format!("vod/l/{number}.m3u8"), b"");
        let path = fixture.path(&format!("vod/l/{number}.m3u8"));
        File::options().write(true).open(path).unwrap().set_len(1 << 20).unwrap();
    }
    let limits = Limits { folder_memory: 4 << 20, ..Limits::default() };
    fixture.start_over(&["vod"], 1, limits, Duration::from_secs(60), Watch::start);
    fixture.wait(0, "all of them", |told| told.names.len() == LISTS);
    let opened = fixture.shards[0].1.opened.len();
    assert!((1..=4).contains(&opened), "{opened} lists of 1 MiB in 4 MiB");
    // The others are copied when somebody asks.
    for number in 0..LISTS {
        assert!(fixture.bytes(&format!("l/{number}.m3u8")) == vec![0; 1 << 20]);
    }
}

#[test]
fn folders_full_of_links_to_each_other_are_scanned_to_an_end() {
    const FOLDERS: usize = 20;
    let mut fixture = Fixture::new();
    for number in 0..FOLDERS {
        fixture.write(&format!("vod/{number}/x.ts"), b"x");
        for other in 0..FOLDERS {
            let link = fixture.path(&format!("vod/{number}/to-{other}"));
            symlink(format!("../{other}"), link).unwrap();
        }
    }
    // On every way there is they would be entered more often than there are atoms in a person.
    fixture.start(&["vod"]);
    fixture.wait(0, "all real files", |told| {
        (0..FOLDERS).all(|number| told.names.contains_key(&format!("{number}/x.ts")))
    });
    assert!(fixture.shards[0].1.names.len() <= FOLDERS + 4096);
}

#[test]
fn it_is_ready_only_when_every_shard_has_been_sent_everything() {
    let fixture = Fixture::new();
    for number in 0..10 {
        fixture.pack(&format!("vod/{number}.pack"), b"x");
    }
    let bell = Arc::new(File::options().write(true).open("/dev/null").unwrap());
    let (mut full, slow) = queue(Arc::clone(&bell));
    for _ in 0..INBOX_UPDATES_MAX {
        full.send(Update::Reread);
    }
    let (quick, told) = queue(bell);
    let libraries = vec![Library { path: fixture.path("vod"), access: None }];
    let config = Config { libraries, access: Access::Open, ..Config::default() };
    let (_wishes, inbox) = channel();
    let handle = super::super::start(&config, vec![quick, full], inbox).unwrap();
    // The first shard has everything; the second one has not looked into its inbox.
    let update = told.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(update, Update::Listed(batch) if batch.len() == 10));
    for _ in 0..50 {
        assert!(!handle.is_ready(), "a shard knows nothing yet");
        handle.rescan();
        std::thread::yield_now();
    }
    for _ in 0..INBOX_UPDATES_MAX {
        assert!(matches!(slow.recv(), Ok(Update::Reread)));
    }
    let update = slow.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(update, Update::Listed(batch) if batch.len() == 10));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !handle.is_ready() {
        assert!(Instant::now() < deadline, "it is never ready");
        std::thread::yield_now();
    }
}

#[test]
fn more_files_than_can_be_listed_are_left_out_and_those_that_are_listed_stay() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/0/first.pack", b"x");
    for number in 1..LISTED_MAX + 500 {
        let path = fixture.path(&format!("vod/{}/{number}.pack", number % 100));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::hard_link(fixture.path("vod/0/first.pack"), path).unwrap();
    }
    fixture.start(&["vod"]);
    fixture.wait(0, "as many as can be", |told| told.names.len() == LISTED_MAX);
    let listed = fixture.shards[0].1.names.keys().next().unwrap().clone();
    assert_eq!(fixture.bytes(&listed), b"x");
    // What comes later has no place, until something goes.
    fixture.write("vod/late.ts", b"late");
    fixture.handle.as_ref().unwrap().rescan();
    fs::remove_file(fixture.path(&format!("vod/{listed}.pack"))).unwrap();
    fixture.wait(0, "one less, or another one", |told| !told.names.contains_key(&listed));
    fixture.handle.as_ref().unwrap().rescan();
    fixture.wait(0, "another one", |told| told.names.len() == LISTED_MAX);
}
