//! Disks that are slow or never answer: who waits for them, for how long, and how many.

use shardcast::config::{COLD_CHUNK_SIZE, COLD_DEADLINE_MS, COLD_QUEUE_MAX, COLD_READS_MAX};
use shardcast::messages::SourceId;
use shardcast::units::{Extent, KIB, MIB};

use crate::client::{Ended, Manner};
use crate::content::{DEVICES, Place};
use crate::library::{Action, Hold};
use crate::request::Request;
use crate::run::Run;
use crate::scenarios::{add_pack, ended, get, lasted, start, statuses, world};
use crate::world::{MS, Profile, SECOND, World};

/// A disk's pages are in memory or not in pieces of this size.
const PAGES_SIZE: u64 = 64 * KIB as u64;

/// A world in which nothing is in memory, and the disk is as told.
fn cold(sizes: &[u64], hangs: bool) -> World {
    let profile = Profile { calm: false, cold: 1000, ..Profile::calm() };
    let mut world = world(profile, sizes, Place::File);
    if hangs {
        world.hanging_devices = DEVICES.to_vec();
    }
    world
}

/// Puts the first pages of the source's objects into memory.
fn warm_first_pages(run: &Run) {
    let mut world = run.world.borrow_mut();
    let objects = world.sources[&SourceId(1)].objects.clone();
    for object in objects {
        let first = object.identity.offset / PAGES_SIZE;
        for page in [first, first + 1] {
            world.resident.insert((SourceId(1), page), true);
        }
    }
}

fn may_be_cut() -> Manner {
    Manner { may_be_cut: true, ..Manner::default() }
}

#[test]
fn while_a_disk_is_read_no_page_in_the_middle_is_overlooked() {
    let mut world = cold(&[MIB as u64, 2 * MIB as u64], false);
    let first = world.add_client(10 * MS, Manner::default(), vec![get(0)]);
    let second = world.add_client(500 * MS, Manner::default(), vec![get(1)]);
    world.overlooks = true;
    let mut run = start(world);
    run.turn();
    {
        let mut world = run.world.borrow_mut();
        let Extent { offset, size } = world.sources[&SourceId(1)].objects[1].identity;
        for page in offset / PAGES_SIZE..(offset + size).div_ceil(PAGES_SIZE) {
            world.resident.insert((SourceId(1), page), page != offset / PAGES_SIZE + 5);
        }
    }
    run.for_seconds(5);
    for client in [first, second] {
        assert_eq!(statuses(&run, client), [200]);
    }
    assert_eq!(run.world.borrow().counts.waited, 0);
    run.finish();
}

#[test]
fn a_disk_that_never_answers_keeps_nobody_for_ever() {
    let mut world = cold(&[2048, 2 * MIB as u64, 4 * MIB as u64], true);
    let small = world.add_client(10 * MS, Manner::default(), vec![get(0)]);
    let large = world.add_client(10 * MS, Manner::default(), vec![get(1)]);
    let running = world.add_client(10 * MS, may_be_cut(), vec![get(2)]);
    world.plan(5_000, Action::Remove("a".to_owned()));
    let mut run = start(world);
    run.turn();
    let first = {
        let mut world = run.world.borrow_mut();
        let first = world.sources[&SourceId(1)].objects[2].identity.offset;
        // The last one begins, and then needs what is not there.
        world.resident.insert((SourceId(1), first / PAGES_SIZE), true);
        first
    };
    assert_ne!(first, 0);
    run.for_seconds(COLD_DEADLINE_MS / 1000 + 2);
    let limit = COLD_DEADLINE_MS..COLD_DEADLINE_MS + 400;
    for client in [small, large] {
        assert_eq!(statuses(&run, client), [503]);
        assert!(limit.contains(&lasted(&run, client, 10)), "{} ms", lasted(&run, client, 10));
    }
    assert_eq!(ended(&run, running), Some(Ended::Reset), "a head is out: it can't be refused");
    assert!(limit.contains(&lasted(&run, running, 10)));
    let hold = |run: &Run| run.world.borrow().library.holds[&SourceId(1)];
    assert_eq!(hold(&run), Hold::Held, "the reads still use it");
    run.world.borrow_mut().go_on();
    run.for_seconds(1);
    assert_eq!(hold(&run), Hold::Closed, "nothing uses it any more");
    run.finish();
}

#[test]
fn a_disk_that_is_slow_delays_a_reader_and_does_not_count_against_him() {
    let mut world = cold(&[MIB as u64], true);
    // A little above the least rate: a chunk takes him longer than the time over which it is
    // judged, so he is judged while he reads it.
    let reads = Manner {
        read_size: 17 * KIB as u64,
        read_gap: SECOND,
        capacity: 32 * KIB as u64,
        ..Manner::default()
    };
    let client = world.add_client(10 * MS, reads, vec![get(0)]);
    let mut run = start(world);
    // The disk takes up to 20 seconds, in which he gets nothing, but not by his fault.
    while ended(&run, client).is_none() {
        run.for_seconds(20);
        let mut world = run.world.borrow_mut();
        world.go_on();
        world.hanging_devices = DEVICES.to_vec();
    }
    assert_eq!(statuses(&run, client), [200]);
    run.world.borrow_mut().go_on();
    run.finish();
}

#[test]
fn what_nobody_waits_for_any_more_is_not_read() {
    let sizes = [2048; 200];
    let mut world = cold(&sizes, true);
    let leaves = Manner { leaves_after: Some(1_000 * MS), ..Manner::default() };
    for number in 0..200 {
        world.add_client(10 * MS, leaves.clone(), vec![get(number)]);
    }
    let mut run = start(world);
    run.until_clients_end();
    // The shard hears of it a little later.
    run.for_seconds(1);
    assert_eq!(run.shard.connection_count(), 0);
    run.world.borrow_mut().go_on();
    run.for_seconds(1);
    let read = run.world.borrow().reads.len();
    assert_eq!(read, COLD_READS_MAX, "those that were under way, and no others");
    let late = run.world.borrow_mut().add_client(0, Manner::default(), vec![get(199)]);
    run.until_clients_end();
    assert_eq!(statuses(&run, late), [200], "what was dropped can be asked for again");
    run.finish();
}

#[test]
fn a_chunk_is_read_for_those_who_stay() {
    let mut world = cold(&[2048; 40], true);
    // The reads are all taken; then two ask for one more chunk, and one of them leaves.
    for number in 0..COLD_READS_MAX as u64 {
        world.add_client(10 * MS, Manner::default(), vec![get(number)]);
    }
    let leaves = Manner { leaves_after: Some(100 * MS), ..Manner::default() };
    world.add_client(20 * MS, leaves, vec![get(30)]);
    let stays = world.add_client(30 * MS, Manner::default(), vec![get(30)]);
    let mut run = start(world);
    run.for_seconds(1);
    run.world.borrow_mut().go_on();
    run.until_clients_end();
    assert_eq!(statuses(&run, stays), [200]);
    run.finish();
}

#[test]
fn who_finds_the_queue_full_is_refused_and_who_is_under_way_is_not() {
    let objects = COLD_READS_MAX + COLD_QUEUE_MAX + 100;
    let mut sizes = vec![2048; objects];
    sizes.push(2 * MIB as u64);
    let mut world = cold(&sizes, true);
    let running = world.add_client(10 * MS, Manner::default(), vec![get(objects as u64)]);
    let mut run = start(world);
    warm_first_pages_of_last(&run);
    // It reads what is in memory, and is not let on yet.
    run.for_seconds(1);
    let mut world = run.world.borrow_mut();
    let many: Vec<usize> = (0..objects as u64)
        .map(|number| world.add_client(10 * MS, Manner::default(), vec![get(number)]))
        .collect();
    drop(world);
    run.for_seconds(2);
    let of = |run: &Run, status| {
        many.iter().filter(|&&client| statuses(run, client) == [status]).count()
    };
    // One place was taken before; and what lies beside the last object's beginning is in memory.
    let refused = of(&run, 503);
    assert_eq!(refused + of(&run, 200), 101, "at once");
    assert!(refused > 80, "{refused} are refused");
    // Their room is not that of the one whose body is under way.
    run.world.borrow_mut().go_on();
    run.until_clients_end();
    assert_eq!(of(&run, 200), many.len() - refused);
    assert_eq!(statuses(&run, running), [200]);
    run.finish();
}

#[test]
fn disks_that_hang_delay_nobody_on_another_disk() {
    // The sources 1 to 3 hang with all that a disk may take, and more.
    let objects = COLD_READS_MAX + COLD_QUEUE_MAX;
    let mut world = cold(&vec![2048; objects], false);
    for (id, path) in [(2, "b"), (3, "c")] {
        add_pack(&mut world, id, path, &vec![2048; objects], Place::File);
    }
    add_pack(&mut world, 4, "d", &vec![COLD_CHUNK_SIZE as u64; 40], Place::File);
    world.hanging_devices = DEVICES[1..=3].to_vec();
    for path in ["a", "b", "c"] {
        for number in 0..objects {
            let request = Request::get(path, &format!("{number}.m4s"));
            world.add_client(10 * MS, Manner::default(), vec![request]);
        }
    }
    let good: Vec<usize> = (0..40)
        .map(|number| {
            let request = Request::get("d", &format!("{number}.m4s"));
            world.add_client(1_000 * MS, Manner::default(), vec![request])
        })
        .collect();
    let mut run = start(world);
    run.for_seconds(10);
    assert_eq!(run.world.borrow().hanging.len(), 3 * COLD_READS_MAX);
    for &client in &good {
        assert_eq!(statuses(&run, client), [200]);
    }
    run.world.borrow_mut().go_on();
    run.until_clients_end();
    run.finish();
}

fn warm_first_pages_of_last(run: &Run) {
    let mut world = run.world.borrow_mut();
    let last = world.sources[&SourceId(1)].objects.last().expect("there are some").identity.offset;
    world.resident.insert((SourceId(1), last / PAGES_SIZE), true);
}

#[test]
fn bodies_that_are_under_way_wait_however_many_they_are() {
    let objects = COLD_READS_MAX + 2 * COLD_QUEUE_MAX;
    let world = cold(&vec![COLD_CHUNK_SIZE as u64; objects], true);
    let mut run = start(world);
    warm_first_pages(&run);
    let mut world = run.world.borrow_mut();
    for number in 0..objects as u64 {
        world.add_client(10 * MS, may_be_cut(), vec![get(number)]);
    }
    drop(world);
    run.for_seconds(3);
    let world = run.world.borrow();
    let reset = world.clients.iter().filter(|client| client.ended == Some(Ended::Reset)).count();
    assert_eq!(reset, 0, "one client's thousand would cut off all others");
    assert_eq!(world.hanging.len(), COLD_READS_MAX);
    drop(world);
    // They wait as long as anybody does.
    run.until_clients_end();
    run.world.borrow_mut().go_on();
    run.finish();
}
