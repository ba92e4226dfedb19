//! How things end that will not end by themselves: drains, slow bodies, readers that stop.

use shardcast::config::{Backend, Limits, SENDFILE_SIZE_MAX, ZERO_COPY_SENDS_MAX};
use shardcast::messages::SourceId;
use shardcast::units::{KIB, MIB};

use crate::client::{Ended, Manner};
use crate::content::Place;
use crate::library::{Action, Hold};
use crate::request::Request;
use crate::run::{Run, Setup};
use crate::scenarios::{ended, get, lasted, start, statuses, world};
use crate::world::{MS, Profile, SECOND};

/// A client that reads nothing, ever.
fn stops(capacity: usize) -> Manner {
    Manner {
        capacity: capacity as u64,
        read_size: KIB as u64,
        read_gap: 1_000_000 * SECOND,
        may_be_cut: true,
        ..Manner::default()
    }
}

#[test]
fn a_transfer_beyond_the_deadline_of_a_drain_is_reset_and_the_shard_ends() {
    for backend in [Backend::Sendfile, Backend::SendZeroCopy] {
        let mut world = world(Profile::calm(), &[64 * MIB as u64, 100], Place::Mapped);
        let slow = Manner { read_size: 256 * KIB as u64, read_gap: 500 * MS, ..Manner::default() };
        let running = world.add_client(10 * MS, slow.clone(), vec![get(0), get(1)]);
        let question = Request::ask(1, 5, None, Vec::new(), false);
        let asks = world.add_client(1_900 * MS, Manner::default(), vec![question]);
        world.plan(2_000, Action::Drain(5_000));
        let mut run = Run::new(world, &Setup { backend, ..Setup::new(1) });
        run.until(|_| false);
        assert!(run.shard.is_over());
        let ended_at = run.world.borrow().now / MS - 5_000;
        assert!((7_000..7_300).contains(&ended_at), "it ends after {ended_at} ms");
        run.world.borrow_mut().run_out();
        for client in [running, asks] {
            assert_eq!(ended(&run, client), Some(Ended::Reset), "not closed as if it were whole");
            assert!(statuses(&run, client).is_empty());
        }
        let world = run.world.borrow();
        assert!(world.sockets.iter().all(|sock| sock.lent.is_empty()), "nothing is lent any more");
        drop(world);
        run.finish();
    }
}

#[test]
fn a_body_that_comes_too_slowly_is_refused_in_time() {
    let mut world = world(Profile { calm: false, ..Profile::calm() }, &[2048], Place::File);
    let question = |number, chunked| Request::ask(number, 5, Some(0), vec![b'x'; 3_000], chunked);
    // Each byte comes in time for any limit on the gap between two; only a sum ends it.
    let slow =
        Manner { write_size: 100, write_gap: 900 * MS, may_be_cut: true, ..Manner::default() };
    let plain = world.add_client(0, slow.clone(), vec![question(1, false)]);
    let chunked = world.add_client(0, slow.clone(), vec![question(2, true)]);
    let stops = Manner { write_size: 400, write_gap: 1_000 * SECOND, ..slow };
    let stopped = world.add_client(0, stops, vec![question(4, false)]);
    let mut run = start(world);
    let clients = [plain, chunked, stopped];
    run.until(|world| clients.iter().all(|&client| world.clients[client].ended.is_some()));
    let limit = Limits::default().head_timeout_ms;
    for client in clients {
        assert_eq!(statuses(&run, client), [408]);
        let answered = run.world.borrow().clients[client].answered_at[0] / MS - 5_000;
        assert!((limit..limit + 2_300).contains(&answered), "{answered} ms");
    }
    assert!(run.world.borrow().library.asked.is_empty(), "control hears of none");
    run.finish();
}

#[test]
fn a_reader_that_stops_for_good_is_reset_and_pins_nothing() {
    for (backend, object) in
        [(Backend::Sendfile, 1), (Backend::SendZeroCopy, 1), (Backend::Sendfile, 0)]
    {
        let mut world = world(Profile::calm(), &[30_000, 64 * MIB as u64], Place::Mapped);
        let client = world.add_client(10 * MS, stops(16 * KIB), vec![get(object)]);
        world.plan(1_000, Action::Remove("a".to_owned()));
        let mut run = Run::new(world, &Setup { backend, ..Setup::new(1) });
        run.for_seconds(2);
        assert_eq!(run.shard.connection_count(), 1);
        let hold = |run: &Run| run.world.borrow().library.holds[&SourceId(1)];
        if object == 1 {
            assert_eq!(hold(&run), Hold::Held, "its body is under way");
        }
        run.for_seconds(65);
        assert_eq!(run.shard.connection_count(), 0, "it is reset");
        assert_eq!(run.shard.exchange_count(), 0);
        assert_eq!(hold(&run), Hold::Closed, "what it pinned is free");
        let mut world = run.world.borrow_mut();
        assert!(world.sockets[0].lent.is_empty());
        assert!(world.sockets[0].dead.is_some(), "a reset, no clean end");
        world.clients[client].ended = Some(Ended::Left);
        drop(world);
        run.finish();
    }
}

#[test]
fn bytes_that_are_lent_to_one_client_have_a_bound() {
    let most = usize::from(ZERO_COPY_SENDS_MAX) * SENDFILE_SIZE_MAX;
    let mut world = world(Profile::calm(), &[4 * most as u64], Place::Mapped);
    // Its socket would take all of it.
    let client = world.add_client(10 * MS, stops(8 * most), vec![get(0)]);
    let backend = Backend::SendZeroCopy;
    let mut run = Run::new(world, &Setup { backend, ..Setup::new(1) });
    run.for_seconds(5);
    let mut world = run.world.borrow_mut();
    assert!(world.sockets[0].taken <= most as u64 + 1024, "{} bytes", world.sockets[0].taken);
    assert_eq!(world.sockets[0].lent.len(), usize::from(ZERO_COPY_SENDS_MAX));
    world.clients[client].ended = Some(Ended::Left);
    drop(world);
    run.for_seconds(65);
    assert_eq!(run.shard.connection_count(), 0, "and they come back");
    run.finish();
}

#[test]
fn a_hot_small_response_takes_one_send_and_no_direct_call() {
    for size in [0, 100, 2_048, 32 * KIB as u64] {
        let mut world = world(Profile::calm(), &[size], Place::File);
        let first = world.add_client(10 * MS, Manner::default(), vec![get(0)]);
        let many: Vec<usize> = (0..10)
            .map(|number| {
                let manner = Manner { pipeline: 1 + number % 3, ..Manner::default() };
                world.add_client(SECOND, manner, vec![get(0); 10])
            })
            .collect();
        let mut run = start(world);
        run.until(|world| world.clients[first].ended.is_some());
        let before = run.world.borrow().counts;
        assert_eq!(before.sends, 1, "{size} bytes");
        run.until_clients_end();
        let after = run.world.borrow().counts;
        assert_eq!((after.sends - before.sends, after.direct - before.direct), (100, 0));
        assert!(many.iter().all(|&client| statuses(&run, client) == [200; 10]));
        assert!(lasted(&run, first, 10) < 1_000);
        run.finish();
    }
}

#[test]
fn a_good_reader_behind_a_large_buffer_is_not_taken_for_a_slow_one() {
    let mut world = world(Profile::calm(), &[8 * MIB as u64], Place::File);
    // The socket takes 4 MiB at once, and then nothing for longer than a rate is judged over.
    let reads = |kib: usize, may_be_cut| Manner {
        read_size: (kib * KIB) as u64,
        read_gap: SECOND,
        capacity: 4 * MIB as u64,
        may_be_cut,
        ..Manner::default()
    };
    let good = world.add_client(0, reads(24, false), vec![get(0)]);
    let slow = world.add_client(0, reads(8, true), vec![get(0)]);
    let mut run = Run::new(world, &Setup::new(1));
    run.until_clients_end();
    assert_eq!(ended(&run, good), Some(Ended::Answered));
    assert_eq!(ended(&run, slow), Some(Ended::Reset));
    run.finish();
}

#[test]
fn a_last_response_is_lingered_for_as_long_as_the_client_reads_it() {
    for backend in [Backend::Sendfile, Backend::SendZeroCopy] {
        let mut world = world(Profile::calm(), &[2 * MIB as u64], Place::Mapped);
        // It goes on writing requests, a few bytes at a time: closed over these, it would be reset.
        let manner = Manner {
            pipeline: 5,
            write_size: 40,
            write_gap: 4 * SECOND,
            capacity: 4 * MIB as u64,
            read_size: 32 * KIB as u64,
            read_gap: SECOND,
            ..Manner::default()
        };
        let last = Request { http10: true, ..get(0) };
        let reads =
            world.add_client(0, manner.clone(), vec![last.clone(), get(0), get(0), get(0), get(0)]);
        let stalls = Manner { read_gap: 1_000 * SECOND, may_be_cut: true, ..manner };
        let stalled = world.add_client(0, stalls, vec![last, get(0)]);
        let mut run = Run::new(world, &Setup { backend, ..Setup::new(1) });
        run.until(|world| world.clients[reads].ended.is_some());
        assert_eq!(statuses(&run, reads), [200]);
        assert_eq!(ended(&run, reads), Some(Ended::Closed), "not reset");
        assert!(lasted(&run, reads, 0) > 60_000, "{} ms", lasted(&run, reads, 0));
        run.for_seconds(40);
        assert_eq!(run.shard.connection_count(), 0, "who does not read is not waited for");
        run.world.borrow_mut().clients[stalled].ended = Some(Ended::Left);
        run.finish();
    }
}
