//! Directed scenarios: one behaviour each, in a calm world unless it says otherwise.

use shardcast::config::{
    ASK_DEADLINE_MS, Backend, COLD_CHUNK_SIZE, IDLE_POLL_AFTER_MS, Limits, TURN_BYTES_MAX,
};
use shardcast::messages::{Fault, GrowingId, OpenFault, SourceId, Update};
use shardcast::units::{KIB, MIB};

use crate::client::{Ended, Manner};
use crate::content::{self, Place, Planned};
use crate::library::Action;
use crate::net::Server;
use crate::request::Request;
use crate::run::{Run, Setup};
use crate::world::{Call, MS, Profile, SECOND, World};

/// A world with one pack `a`, whose objects `0.m4s`, `1.m4s` … have these sizes.
pub fn world(profile: Profile, sizes: &[u64], place: Place) -> World {
    let mut world = World::new(1, profile);
    add_pack(&mut world, 1, "a", sizes, place);
    world
}

pub fn add_pack(world: &mut World, id: u64, path: &str, sizes: &[u64], place: Place) {
    let names: Vec<String> = (0..sizes.len()).map(|number| format!("{number}.m4s")).collect();
    let planned: Vec<Planned<'_>> =
        names.iter().zip(sizes).map(|(name, &size)| (name.as_str(), size, None)).collect();
    let source = world.add_source(content::pack(SourceId(id), path, &planned, place));
    world.plan(0, Action::List(source));
}

pub fn get(number: u64) -> Request {
    Request::get("a", &format!("{number}.m4s"))
}

pub fn start(world: World) -> Run {
    Run::new(world, &Setup::new(1))
}

pub fn ended(run: &Run, client: usize) -> Option<Ended> {
    run.world.borrow().clients[client].ended
}

pub fn statuses(run: &Run, client: usize) -> Vec<u16> {
    run.world.borrow().clients[client].statuses.clone()
}

/// Milliseconds from a client's first byte to its end.
pub fn lasted(run: &Run, client: usize, from_ms: u64) -> u64 {
    (run.world.borrow().clients[client].ended_at - 5 * SECOND) / MS - from_ms
}

#[test]
fn one_receive_buffer_serves_a_hundred_clients() {
    let mut world = world(Profile { buffers: 1, ..Profile::calm() }, &[2048], Place::File);
    for _ in 0..100 {
        world.add_client(10 * MS, Manner::default(), vec![get(0); 20]);
    }
    let mut run = start(world);
    run.until_clients_end();
    for client in 0..100 {
        assert_eq!(statuses(&run, client), [200; 20]);
    }
    run.finish();
}

#[test]
fn ten_thousand_pipelined_requests_wait_for_a_reader() {
    let mut world = world(Profile::calm(), &[2048], Place::File);
    let manner = Manner {
        pipeline: 10_000,
        write_size: 20_000,
        write_gap: 10 * MS,
        // It reads nothing for a second, then everything.
        read_gap: SECOND,
        ..Manner::default()
    };
    let patient = world.add_client(10 * MS, manner.clone(), vec![get(0); 10_000]);
    // All at once, and more than is ever kept: that may be cut off, but costs nobody else.
    let flood = Manner { write_size: u64::MAX, write_gap: 0, may_be_cut: true, ..manner };
    world.add_client(10 * MS, flood, vec![get(0); 10_000]);
    let mut run = start(world);
    run.until(|world| world.clients[patient].statuses.len() > 1_000);
    let bystander = run.world.borrow_mut().add_client(0, Manner::default(), vec![get(0)]);
    run.until(|world| world.clients[bystander].ended.is_some());
    assert_eq!(statuses(&run, bystander), [200]);
    assert_eq!(ended(&run, patient), None, "it is still at it");
    run.until_clients_end();
    assert_eq!(statuses(&run, patient).len(), 10_000);
    run.finish();
}

#[test]
fn a_slow_head_gets_408_in_time() {
    let mut world = world(Profile { calm: false, ..Profile::calm() }, &[2048], Place::File);
    let manner =
        Manner { write_size: 1, write_gap: 5 * SECOND, may_be_cut: true, ..Manner::default() };
    let slow = world.add_client(0, manner, vec![get(0)]);
    let mut run = start(world);
    run.until_clients_end();
    assert_eq!(statuses(&run, slow), [408]);
    let lasted = lasted(&run, slow, 0);
    let limit = Limits::default().head_timeout_ms;
    assert!((limit..limit + 300).contains(&lasted), "{lasted} ms");
    run.finish();
}

#[test]
fn a_reader_below_the_least_rate_is_reset_and_one_above_it_is_not() {
    for backend in [Backend::Sendfile, Backend::SendZeroCopy] {
        let mut world = world(Profile::calm(), &[4 * MIB as u64], Place::Mapped);
        let reads = |kib: usize, may_be_cut| Manner {
            read_size: (kib * KIB) as u64,
            read_gap: SECOND,
            capacity: 32 * KIB as u64,
            may_be_cut,
            ..Manner::default()
        };
        let slow = world.add_client(0, reads(8, true), vec![get(0)]);
        let good = world.add_client(0, reads(24, false), vec![get(0)]);
        let mut run = Run::new(world, &Setup { backend, ..Setup::new(1) });
        run.until_clients_end();
        assert_eq!(ended(&run, slow), Some(Ended::Reset));
        let lasted = lasted(&run, slow, 0);
        assert!((30_000..62_000).contains(&lasted), "{lasted} ms");
        assert_eq!(ended(&run, good), Some(Ended::Answered));
        run.finish();
    }
}

#[test]
fn clients_wait_until_everything_is_listed() {
    let mut world = World::new(1, Profile::calm());
    let client = world.add_client(0, Manner::default(), vec![get(0)]);
    let mut run = Run::new(world, &Setup { waits_to_accept: true, ..Setup::new(1) });
    run.for_seconds(5);
    assert_eq!(run.shard.connection_count(), 0);
    let mut world = run.world.borrow_mut();
    add_pack(&mut world, 1, "a", &[2048], Place::File);
    world.plan(10, Action::Accept);
    drop(world);
    run.until_clients_end();
    assert_eq!(statuses(&run, client), [200], "it never hears that something is not there");
    run.finish();
}

#[test]
fn an_address_has_no_more_connections_than_it_may() {
    let mut world = world(Profile::calm(), &[2048], Place::File);
    let manner = Manner { pause: SECOND, may_be_cut: true, ..Manner::default() };
    for _ in 0..5 {
        world.add_client(10 * MS, manner.clone(), vec![get(0); 3]);
    }
    let late = world.add_client(10 * SECOND, manner, vec![get(0)]);
    let limits = Limits { connections_per_address: 2, ..Limits::default() };
    let mut run = Run::new(world, &Setup { limits, ..Setup::new(1) });
    run.until_clients_end();
    let served = (0..5).filter(|&client| statuses(&run, client) == [200, 200, 200]).count();
    let refused = (0..5).filter(|&client| statuses(&run, client).is_empty()).count();
    assert_eq!((served, refused), (2, 3));
    assert_eq!(statuses(&run, late), [200], "those who went have made room");
    run.finish();
}

#[test]
fn lent_bytes_are_waited_for_but_not_for_ever() {
    let mut world = world(Profile::calm(), &[4 * MIB as u64], Place::Mapped);
    // The whole response is lent to the socket at once.
    let reads = |gap, may_be_cut| Manner {
        capacity: 8 * MIB as u64,
        read_size: 32 * KIB as u64,
        read_gap: gap,
        may_be_cut,
        ..Manner::default()
    };
    let last = Request { closes: true, ..get(0) };
    let good = world.add_client(0, reads(SECOND, false), vec![last.clone()]);
    let stops = world.add_client(0, reads(1_000_000 * SECOND, true), vec![last]);
    let backend = Backend::SendZeroCopy;
    let mut run = Run::new(world, &Setup { backend, ..Setup::new(1) });
    run.until(|world| world.clients[good].ended.is_some());
    assert_eq!(ended(&run, good), Some(Ended::Answered));
    run.for_seconds(60);
    assert_eq!(run.shard.connection_count(), 0, "who does not read is reset");
    run.world.borrow_mut().clients[stops].ended = Some(Ended::Left);
    run.finish();
}

#[test]
fn an_idle_client_is_polled_and_then_served_again() {
    let mut world = world(Profile::calm(), &[2048], Place::File);
    let pause = 3 * IDLE_POLL_AFTER_MS * MS;
    let client =
        world.add_client(0, Manner { pause, ..Manner::default() }, vec![get(0), get(0), get(0)]);
    let mut run = start(world);
    run.until(|world| world.clients[client].statuses.len() == 1);
    let operations = |run: &Run| {
        let world = run.world.borrow();
        (world.sockets[0].receive.is_some(), world.sockets[0].poll_in.is_some())
    };
    run.for_seconds(1);
    assert_eq!(operations(&run), (true, false), "a receive at first");
    run.for_seconds(IDLE_POLL_AFTER_MS / 1000 + 1);
    assert_eq!(operations(&run), (false, true), "a poll after a while");
    run.until_clients_end();
    assert_eq!(statuses(&run, client), [200, 200, 200]);
    run.finish();
}

#[test]
fn an_idle_client_is_closed_in_time() {
    let mut world = world(Profile::calm(), &[2048], Place::File);
    let manner = Manner { stays: true, ..Manner::default() };
    let spoke = world.add_client(0, manner.clone(), vec![get(0)]);
    let silent = world.add_client(0, manner, Vec::new());
    let mut run = start(world);
    run.until_clients_end();
    let limit = Limits::default().idle_timeout_ms;
    for client in [spoke, silent] {
        assert_eq!(ended(&run, client), Some(Ended::Answered), "closed, not reset");
        let lasted = lasted(&run, client, 0);
        assert!((limit..limit + 400).contains(&lasted), "{lasted} ms");
    }
    run.finish();
}

#[test]
fn a_request_that_nobody_releases_gets_503_in_time() {
    let mut world = world(Profile { calm: false, ..Profile::calm() }, &[2048], Place::File);
    world.plan(0, Action::Expect("/tv/news/1.m4s".to_owned()));
    world.library.silent = 1000;
    let requests =
        [Request::growing("/tv/news/1.m4s"), get(0), Request::ask(7, 1, None, vec![], false)];
    let clients =
        requests.map(|request| world.add_client(10 * MS, Manner::default(), vec![request]));
    let mut run = start(world);
    run.for_seconds(5);
    assert_eq!(run.report().parked, 3);
    run.until_clients_end();
    for client in clients {
        assert_eq!(statuses(&run, client), [503]);
        let lasted = lasted(&run, client, 10);
        assert!((ASK_DEADLINE_MS..ASK_DEADLINE_MS + 300).contains(&lasted), "{lasted} ms");
    }
    run.finish();
}

#[test]
fn a_request_waits_no_longer_for_being_released_in_vain() {
    let mut world = world(Profile { calm: false, ..Profile::calm() }, &[2048], Place::File);
    // The path is expected, given up and expected again, every few seconds.
    let path = "/tv/news/1.m4s".to_owned();
    for round in 0..10 {
        world.plan(round * 4_000, Action::Expect(path.clone()));
    }
    let mut listings = Vec::new();
    for change in [shardcast::messages::Change::Absent, shardcast::messages::Change::Expected] {
        listings.push(shardcast::messages::Listing { path: path.as_str().into(), change });
    }
    let client = world.add_client(10 * MS, Manner::default(), vec![Request::growing(&path)]);
    let mut run = start(world);
    for _ in 0..6 {
        run.for_seconds(3);
        run.world.borrow_mut().tell(Update::Listed(listings.clone().into()));
    }
    run.until_clients_end();
    assert_eq!(statuses(&run, client), [503]);
    let lasted = lasted(&run, client, 10);
    assert!((ASK_DEADLINE_MS..ASK_DEADLINE_MS + 300).contains(&lasted), "{lasted} ms");
    run.finish();
}

#[test]
fn those_who_leave_while_they_wait_are_forgotten() {
    let mut world = world(Profile::calm(), &[100], Place::File);
    let expected = "/tv/news/1.m4s";
    world.plan(0, Action::Expect(expected.to_owned()));
    let growing = "/tv/news/2.m4s";
    world.plan(0, Action::Begin(GrowingId(1), growing.to_owned()));
    for number in 0..2_000 {
        let path = if number % 2 == 0 { expected } else { growing };
        let manner = Manner { leaves_after: Some(100 * MS), ..Manner::default() };
        world.add_client((10 + number) * MS, manner, vec![Request::growing(path)]);
    }
    let mut run = start(world);
    let mut most = 0;
    while !run.world.borrow().clients.iter().all(|client| client.ended.is_some()) {
        run.turn();
        most = most.max(run.shard.waiter_count());
    }
    // A hundred wait at any time.
    assert!((100..500).contains(&most), "{most} entries");
    run.world.borrow_mut().tell(Update::Growing(GrowingId(1), shardcast::messages::Growth::Ended));
    run.finish();
}

#[test]
fn a_source_that_found_no_room_is_tried_again_once_for_all_that_wait() {
    let mut world = world(Profile { calm: false, ..Profile::calm() }, &[2048], Place::File);
    world.library.silent = 1000;
    let early: Vec<usize> =
        (0..50).map(|_| world.add_client(10 * MS, Manner::default(), vec![get(0)])).collect();
    let mut run = start(world);
    run.for_seconds(1);
    let fail = || Update::Failed(SourceId(1), OpenFault::Exhausted);
    let fail_and_forget = |run: &Run| {
        let mut world = run.world.borrow_mut();
        world.library.holds.clear();
        world.tell(fail());
    };
    fail_and_forget(&run);
    run.until_clients_end();
    for client in early {
        assert_eq!(statuses(&run, client), [503], "everybody is told at once");
    }
    // One who leaves before the answer comes must not spoil it for those who come after.
    let leaves = Manner { resets_after: Some(0), ..Manner::default() };
    run.world.borrow_mut().add_client(0, leaves, vec![get(0)]);
    run.for_seconds(1);
    fail_and_forget(&run);
    run.for_seconds(1);
    run.world.borrow_mut().library.silent = 0;
    let late = run.world.borrow_mut().add_client(0, Manner::default(), vec![get(0)]);
    run.until_clients_end();
    assert_eq!(statuses(&run, late), [200]);
    run.finish();
}

#[test]
fn a_permission_to_go_on_that_does_not_fit_breaks_no_response() {
    for size in (3_500..3_700).step_by(10) {
        let mut world = world(Profile::calm(), &[size], Place::File);
        let manner = Manner {
            pipeline: 2,
            write_size: 1,
            write_gap: MS,
            // The first response fills the socket all but a few bytes when the question comes.
            capacity: 4_096,
            read_gap: 3 * SECOND,
            may_be_cut: true,
            ..Manner::default()
        };
        let question = Request::ask(3, 10, Some(0), vec![b'x'; 300], false);
        let client = world.add_client(10 * MS, manner, vec![get(0), question]);
        let mut run = start(world);
        run.until_clients_end();
        // A reset is a pity, half a status line would be a lie.
        assert!(matches!(statuses(&run, client)[..], [] | [200] | [200, 200]));
        run.finish();
    }
}

#[test]
fn dates_are_renewed_and_never_under_a_send() {
    let mut world = world(Profile::calm(), &[30_000], Place::File);
    for number in 0..20 {
        // Some take the response in crumbs, over seconds in which others renew its date.
        let crumbs = Manner {
            capacity: 1024,
            read_size: 1024,
            read_gap: (number % 4) * 20 * MS,
            pause: 100 * MS,
            ..Manner::default()
        };
        world.add_client(number * 70 * MS, crumbs, vec![get(0); 10]);
    }
    let mut run = start(world);
    run.until_clients_end();
    let world = run.world.borrow();
    assert!(world.clients.iter().all(|client| client.statuses == [200; 10]));
    drop(world);
    run.finish();
}

#[test]
fn zero_copy_retreats_where_the_kernel_copies() {
    for (copied, expected) in [(1000, "sendfile"), (0, "send_zc")] {
        let profile = Profile { copied, ..Profile::calm() };
        let mut world = world(profile, &[4 * MIB as u64], Place::Mapped);
        world.add_client(10 * MS, Manner::default(), vec![get(0); 4]);
        let backend = Backend::SendZeroCopy;
        let mut run = Run::new(world, &Setup { backend, ..Setup::new(1) });
        run.until_clients_end();
        let report = run.report();
        let used: Vec<_> = report.backends.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(used, [&(expected, 1)]);
        assert_eq!(statuses(&run, 0), [200; 4]);
        run.finish();
    }
}

#[test]
fn a_small_request_waits_for_one_turn_while_fifty_clients_pull() {
    let sizes = [2048, 4 * MIB as u64];
    for capacity in [300 * KIB, 4 * MIB] {
        let mut world = world(Profile { latency: 0, ..Profile::calm() }, &sizes, Place::File);
        for _ in 0..50 {
            let manner = Manner { capacity: capacity as u64, ..Manner::default() };
            world.add_client(10 * MS, manner, vec![get(1); 10]);
        }
        let small = world.add_client(10 * MS, Manner::default(), vec![get(0); 50]);
        let mut run = start(world);
        let mut taken = 0;
        let mut asked_at = Vec::new();
        run.until(|world| {
            // What all clients together were sent between a request and its answer.
            let client = &world.clients[small];
            if client.statuses.len() > asked_at.len() {
                asked_at.push(world.taken - taken);
                taken = world.taken;
            }
            client.ended.is_some()
        });
        let most = asked_at[2..].iter().max().unwrap();
        assert!(*most <= 3 * TURN_BYTES_MAX as u64, "{most} bytes went before 2 KiB");
        run.until_clients_end();
        run.finish();
    }
}

#[test]
fn a_cold_chunk_is_read_once_for_fifty_clients_and_what_follows_is_fetched() {
    let sizes = [2 * MIB as u64, 2 * MIB as u64];
    let profile = Profile { cold: 1000, ..Profile::calm() };
    let mut world = world(profile, &sizes, Place::File);
    for number in 0..50 {
        world.add_client(10 * MS + number, Manner::default(), vec![get(0)]);
    }
    let mut run = start(world);
    run.until_clients_end();
    let world = run.world.borrow();
    assert!(world.clients.iter().all(|client| client.statuses == [200]));
    assert!(world.reads.values().all(|&count| count == 1), "{:?}", world.reads);
    let object = &world.sources[&SourceId(1)].objects;
    let next = object[1].identity.offset;
    let chunk = next - next % COLD_CHUNK_SIZE as u64;
    let fetched = world.reads.keys().any(|&(_, offset)| offset >= chunk);
    assert!(fetched, "the next segment's first chunk is there before it is asked for");
    drop(world);
    run.finish();
}

#[test]
fn a_file_that_fails_resets_its_clients_and_no_others() {
    for (place, backend) in
        [(Place::File, Backend::Sendfile), (Place::Mapped, Backend::SendZeroCopy)]
    {
        for (action, fault) in [
            (Action::Cut(SourceId(1), 3 * MIB as u64), Fault::Truncated),
            (Action::Break(SourceId(1)), Fault::Unreadable(libc::EIO)),
        ] {
            let mut world = world(Profile::calm(), &[4 * MIB as u64], place);
            add_pack(&mut world, 2, "b", &[4 * MIB as u64], place);
            let manner = Manner {
                capacity: 128 * KIB as u64,
                read_size: 128 * KIB as u64,
                read_gap: 10 * MS,
                ..Manner::default()
            };
            let hit = world.add_client(10 * MS, manner.clone(), vec![get(0)]);
            let other = world.add_client(10 * MS, manner, vec![Request::get("b", "0.m4s"); 2]);
            world.plan(100, action.clone());
            let mut run = Run::new(world, &Setup { backend, ..Setup::new(1) });
            run.until_clients_end();
            assert_eq!(ended(&run, hit), Some(Ended::Reset), "{action:?}");
            assert_eq!(statuses(&run, other), [200, 200]);
            let mut world = run.world.borrow_mut();
            let fault = match backend {
                // A mapping does not say which of the two it was.
                Backend::SendZeroCopy => Fault::Unreadable(libc::EFAULT),
                Backend::Sendfile => fault,
            };
            assert_eq!(world.library.faults, [(SourceId(1), fault)]);
            world.profile.calm = false;
            let late = world.add_client(0, Manner::default(), vec![get(0)]);
            drop(world);
            run.until_clients_end();
            assert_eq!(statuses(&run, late), [503], "it is served no more");
            run.finish();
        }
    }
}

#[test]
fn a_drain_finishes_what_runs_and_closes_what_is_idle() {
    let mut world = world(Profile::calm(), &[4 * MIB as u64, 100], Place::File);
    let slow = Manner { read_size: 256 * KIB as u64, read_gap: 500 * MS, ..Manner::default() };
    let running = world.add_client(10 * MS, slow, vec![get(0), get(1)]);
    let idle = world.add_client(10 * MS, Manner { stays: true, ..Manner::default() }, vec![get(1)]);
    let just = world.add_client(1_999 * MS, Manner::default(), vec![get(1)]);
    let late = world.add_client(2_500 * MS, Manner::default(), vec![get(1)]);
    world.plan(2_000, Action::Drain(30_000));
    let mut run = start(world);
    run.until(|_| false);
    assert_eq!(ended(&run, running), Some(Ended::Closed));
    assert_eq!(statuses(&run, running), [200], "what runs is finished");
    assert_eq!(ended(&run, idle), Some(Ended::Answered));
    let lasted = lasted(&run, idle, 2_000);
    assert!(lasted < 1_500, "an idle client is closed after {lasted} ms");
    assert_eq!(statuses(&run, just), [200], "who was in the queue is served");
    let world = run.world.borrow();
    assert_eq!(statuses(&run, late), [0; 0]);
    assert!(world.listeners[0].closed);
    let socket = world.clients[late].socket.expect("it connected");
    assert_eq!(world.sockets[socket].server, Server::Queued, "nobody was let in after that");
    drop(world);
    run.finish();
}

#[test]
fn a_stop_resets_a_body_that_only_the_connections_end_would_end() {
    let mut world = world(Profile::calm(), &[100], Place::File);
    let piece = content::piece(SourceId(9), 100_000, Place::File);
    world.add_source(piece);
    let path = "/tv/news/1.m4s";
    world.plan(0, Action::Begin(GrowingId(1), path.to_owned()));
    world.plan(10, Action::Append(GrowingId(1), SourceId(9)));
    let request = Request { http10: true, ..Request::growing(path) };
    let client = world.add_client(20 * MS, Manner::default(), vec![request]);
    world.plan(500, Action::Stop);
    let mut run = start(world);
    run.until(|_| false);
    // The client sees it with its next event.
    run.world.borrow_mut().run_out();
    assert_eq!(ended(&run, client), Some(Ended::Reset));
    run.finish();
}

#[test]
fn every_call_may_fail_at_any_time() {
    const CALLS: [Call; 11] = [
        Call::Accept,
        Call::Receive,
        Call::PollIn,
        Call::PollOut,
        Call::Send,
        Call::ZeroCopy,
        Call::Read,
        Call::AcceptNow,
        Call::SendNow,
        Call::SendFile,
        Call::ReadNow,
    ];
    let mut failed = 0;
    for call in CALLS {
        for number in 1.. {
            if !fails_once(call, number) {
                break;
            }
            failed += 1;
        }
    }
    assert!(failed > 100, "{failed} calls were made to fail");
}

/// Runs a small scenario in which the so-manieth call of a kind fails; false if there is none.
fn fails_once(call: Call, number: u64) -> bool {
    let profile = Profile { calm: false, cold: 300, latency: MS, ..Profile::calm() };
    let sizes = [100, 30_000, 100_000, 700_000];
    let mut world = world(profile, &sizes, Place::Mapped);
    add_pack(&mut world, 2, "b", &sizes, Place::File);
    world.fail_at = Some((call, number));
    for client in 0..4 {
        let manner = Manner {
            pipeline: 1 + client % 3,
            pause: (client as u64 % 2) * 5 * SECOND,
            capacity: (32 << client) * KIB as u64,
            ..Manner::default()
        };
        let path = if client % 2 == 0 { "a" } else { "b" };
        let requests = (0..4).map(|object| Request::get(path, &format!("{object}.m4s")));
        world.add_client((10 + client as u64) * MS, manner, requests.collect());
    }
    world.plan(8_000, Action::Drain(30_000));
    let backend = Backend::SendZeroCopy;
    let mut run = Run::new(world, &Setup { backend, ..Setup::new(number) });
    run.until(|_| false);
    run.world.borrow_mut().run_out();
    let world = run.world.borrow();
    assert!(world.clients.iter().all(|client| client.ended.is_some()), "{call:?} {number}");
    let hit = world.calls.get(&call).is_some_and(|&count| count >= number);
    drop(world);
    run.finish();
    hit
}
