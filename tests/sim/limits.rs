//! At the limits of a shard: floods, connections, descriptors, questions, closed libraries.

use shardcast::config::{
    Access, BODIES_SIZE_MAX, EARLY_SIZE_MAX, FLOOD_SIZE_MAX, IDLE_GIVEN_UP_AFTER_MS, Limits,
    PIPELINE_SIZE_MAX, REQUEST_BODY_SIZE_MAX,
};
use shardcast::units::MIB;

use crate::client::{Ended, Manner};
use crate::content::Place;
use crate::library::Hold;
use crate::net::Sock;
use crate::request::Request;
use crate::run::{Run, Setup};
use crate::scenarios::{ended, get, lasted, start, statuses, world};
use crate::world::{MS, Profile, SECOND};

/// A client that asks without reading an answer.
fn floods() -> Manner {
    Manner {
        pipeline: 100_000,
        read_gap: 1_000 * SECOND,
        capacity: 4_096,
        may_be_cut: true,
        ..Manner::default()
    }
}

#[test]
fn many_floods_together_take_no_more_than_a_shard_has_for_them() {
    let profile = Profile { calm: false, buffers: 256, ..Profile::calm() };
    let mut world = world(profile, &[2048], Place::File);
    // Far more than fits: their sum would be twice the bound.
    let count = 2 * EARLY_SIZE_MAX / FLOOD_SIZE_MAX * 2;
    for _ in 0..count {
        world.add_client(10 * MS, floods(), vec![get(0); 8_000]);
    }
    let mut good = Vec::new();
    for number in 0..50 {
        good.push(world.add_client(number * 20 * MS, Manner::default(), vec![get(0); 3]));
        // Some heads come in pieces, which must be kept.
        let pieces = Manner { write_size: 11, write_gap: MS, ..Manner::default() };
        good.push(world.add_client(number * 20 * MS, pieces, vec![get(0); 3]));
    }
    let mut run = start(world);
    let mut most = 0;
    let all_ended =
        |run: &Run, clients: &[usize]| clients.iter().all(|&client| ended(run, client).is_some());
    while !all_ended(&run, &good) {
        run.turn();
        most = most.max(run.shard.early_size());
    }
    // One client's memory may double in the moment in which it is found to be too much.
    let bound = EARLY_SIZE_MAX / 2 + 2 * FLOOD_SIZE_MAX + (count + 100) * 2 * PIPELINE_SIZE_MAX;
    assert!(most <= bound.min(EARLY_SIZE_MAX), "{most} bytes");
    assert!(most > EARLY_SIZE_MAX / 4, "{most} bytes: nobody floods");
    for client in good {
        assert_eq!(statuses(&run, client), [200, 200, 200], "others are served meanwhile");
    }
    let is_reset = |sock: &&Sock| sock.client < count && sock.dead.is_some();
    let reset = run.world.borrow().sockets.iter().filter(is_reset).count();
    assert!((1..count).contains(&reset), "{reset} of {count} are reset");
    run.for_seconds(100);
    assert_eq!(run.shard.connection_count(), 0, "who does not read is reset");
    assert_eq!(run.shard.early_size(), 0);
    let mut world = run.world.borrow_mut();
    world.clients.iter_mut().for_each(|client| client.ended = client.ended.or(Some(Ended::Left)));
    drop(world);
    run.finish();
}

/// One after the other comes, is answered, and stays.
fn stays() -> Manner {
    Manner { stays: true, may_be_cut: true, ..Manner::default() }
}

#[test]
fn many_bodies_together_take_no_more_than_a_shard_has_for_them() {
    let profile = Profile { calm: false, buffers: 256, ..Profile::calm() };
    let mut world = world(profile, &[2048], Place::File);
    // All but the last bytes of it come, and then nothing for a long time.
    let large = vec![b'x'; REQUEST_BODY_SIZE_MAX];
    let question = Request::ask(1, 5, Some(0), large.clone(), false);
    let stops = Manner {
        write_size: question.bytes.len() as u64 - 10,
        write_gap: 1_000 * SECOND,
        may_be_cut: true,
        ..Manner::default()
    };
    let count = 2 * BODIES_SIZE_MAX / REQUEST_BODY_SIZE_MAX;
    let stopped: Vec<_> = (0..count)
        .map(|_| world.add_client(10 * MS, stops.clone(), vec![question.clone()]))
        .collect();
    let good: Vec<_> = (0..50)
        .map(|number| world.add_client(number * 20 * MS, Manner::default(), vec![get(0); 3]))
        .collect();
    let mut run = start(world);
    let mut most = 0;
    while !good.iter().all(|&client| ended(&run, client).is_some()) {
        run.turn();
        most = most.max(run.shard.bodies_size());
    }
    // One body's memory may double in the moment in which it is found to be too much.
    assert!(most <= BODIES_SIZE_MAX + 2 * REQUEST_BODY_SIZE_MAX, "{most} bytes");
    assert!(most > BODIES_SIZE_MAX / 2, "{most} bytes: there is room for all");
    for client in good {
        assert_eq!(statuses(&run, client), [200, 200, 200], "others are served meanwhile");
    }
    run.for_seconds(60);
    let with =
        |status| stopped.iter().filter(|&&client| statuses(&run, client) == [status]).count();
    assert!(with(503) >= count / 4, "{} are refused", with(503));
    assert_eq!(with(503) + with(408), count, "each hears why");
    assert_eq!(run.shard.bodies_size(), 0);
    let late = Request::ask(2, 5, Some(0), large, false);
    let late = run.world.borrow_mut().add_client(0, Manner::default(), vec![late]);
    run.for_seconds(1);
    assert_eq!(statuses(&run, late), [200], "there is room again");
    let mut world = run.world.borrow_mut();
    world.clients.iter_mut().for_each(|client| client.ended = client.ended.or(Some(Ended::Left)));
    drop(world);
    run.finish();
}

#[test]
fn at_the_limit_of_connections_the_longest_idle_make_room() {
    let mut world = world(Profile::calm(), &[2048, 8 * MIB as u64], Place::File);
    let slow = Manner { read_size: 64 * 1024, read_gap: SECOND / 4, ..Manner::default() };
    let busy = world.add_client(10 * MS, slow, vec![get(1)]);
    let old: Vec<usize> =
        (0..20).map(|n| world.add_client((100 + n * 10) * MS, stays(), vec![get(0)])).collect();
    let young: Vec<usize> =
        (0..9).map(|_| world.add_client(8 * SECOND, stays(), vec![get(0)])).collect();
    // There is room for thirty.
    let new: Vec<usize> =
        (0..5).map(|_| world.add_client(9 * SECOND, stays(), vec![get(0)])).collect();
    let mut run = Run::new(world, &Setup { connections_max: 30, ..Setup::new(1) });
    run.for_seconds(9);
    assert_eq!(run.shard.connection_count(), 30);
    run.until(|world| new.iter().all(|&client| !world.clients[client].statuses.is_empty()));
    for &client in &new {
        let waited = run.world.borrow().clients[client].answered_at[0] / MS - 5_000 - 9_000;
        assert!(waited < IDLE_GIVEN_UP_AFTER_MS, "a new client waits for {waited} ms");
    }
    run.for_seconds(1);
    let gone: Vec<usize> = old.iter().copied().filter(|&n| ended(&run, n).is_some()).collect();
    assert!((5..=16).contains(&gone.len()), "{} made room for 5", gone.len());
    for &client in &gone {
        assert_eq!(ended(&run, client), Some(Ended::Answered), "closed, not reset");
    }
    assert!(young.iter().all(|&client| ended(&run, client).is_none()), "not those just served");
    run.until(|world| world.clients[busy].ended.is_some());
    assert_eq!(statuses(&run, busy), [200], "not those that are being served");
    run.until_clients_end();
    run.finish();
}

#[test]
fn nobody_is_given_up_while_there_is_room() {
    let mut world = world(Profile::calm(), &[2048], Place::File);
    let idle: Vec<usize> = (0..29).map(|_| world.add_client(0, stays(), vec![get(0)])).collect();
    let mut run = Run::new(world, &Setup { connections_max: 30, ..Setup::new(1) });
    run.for_seconds(60);
    assert!(idle.iter().all(|&client| ended(&run, client).is_none()));
    run.until_clients_end();
    run.finish();
}

#[test]
fn where_descriptors_run_out_the_longest_idle_make_room() {
    let mut world = world(Profile { calm: false, ..Profile::calm() }, &[2048], Place::File);
    world.descriptors = Some(30);
    let idle: Vec<usize> =
        (0..30).map(|n| world.add_client(n * 10 * MS, stays(), vec![get(0)])).collect();
    let new: Vec<usize> =
        (0..5).map(|_| world.add_client(5 * SECOND, Manner::default(), vec![get(0)])).collect();
    let mut run = start(world);
    run.until(|world| new.iter().all(|&client| world.clients[client].ended.is_some()));
    for &client in &new {
        assert_eq!(statuses(&run, client), [200]);
        let waited = lasted(&run, client, 5_000);
        assert!(waited < IDLE_GIVEN_UP_AFTER_MS, "a new client waits for {waited} ms");
    }
    let gone = idle.iter().filter(|&&client| ended(&run, client).is_some()).count();
    assert!((1..=16).contains(&gone), "{gone} made room");
    run.until_clients_end();
    run.finish();
}

#[test]
fn who_comes_from_another_address_is_not_counted_with_the_first() {
    let mut world = world(Profile::calm(), &[2048], Place::File);
    let many: Vec<usize> =
        (0..5).map(|_| world.add_client(10 * MS, stays(), vec![get(0)])).collect();
    let elsewhere = Manner { address: 2, ..Manner::default() };
    let other = world.add_client(100 * MS, elsewhere, vec![get(0)]);
    let limits = Limits { connections_per_address: 2, ..Limits::default() };
    let mut run = Run::new(world, &Setup { limits, ..Setup::new(1) });
    run.until(|world| world.clients[other].ended.is_some());
    assert_eq!(statuses(&run, other), [200]);
    let served = many.iter().filter(|&&client| statuses(&run, client) == [200]).count();
    assert_eq!(served, 2, "the rest was closed without an answer");
    run.until_clients_end();
    run.finish();
}

#[test]
fn a_question_that_finds_no_room_is_refused_at_once() {
    let mut world = world(Profile { calm: false, ..Profile::calm() }, &[2048], Place::File);
    let ask = |number| Request::ask(number, 5, Some(0), Vec::new(), false);
    let heard = world.add_client(10 * MS, Manner::default(), vec![ask(1)]);
    let refused: Vec<usize> = (2..10)
        .map(|number| world.add_client(SECOND, Manner::default(), vec![ask(number), get(0)]))
        .collect();
    let mut run = Run::new(world, &Setup { queue: 1, ..Setup::new(1) });
    run.control_sleeps = true;
    run.until(|world| refused.iter().all(|&client| world.clients[client].ended.is_some()));
    for client in refused {
        // The simulator's clients look for Retry-After in each 503.
        assert_eq!(statuses(&run, client), [503, 200], "and the connection goes on");
        assert!(lasted(&run, client, 1_000) < 200, "{} ms", lasted(&run, client, 1_000));
    }
    run.control_sleeps = false;
    run.until_clients_end();
    assert_eq!(statuses(&run, heard), [200], "who found room is answered");
    let report = run.report();
    let busy = report.refusals.iter().find(|(reason, _)| *reason == "busy");
    assert_eq!(busy.map(|(_, count)| *count), Some(8));
    run.finish();
}

#[test]
fn a_log_that_is_behind_costs_lines_and_delays_nobody() {
    let mut world = world(Profile { calm: false, ..Profile::calm() }, &[2048], Place::File);
    let client = world.add_client(10 * MS, Manner::default(), vec![get(0); 50]);
    let mut run = Run::new(world, &Setup { records: 10, ..Setup::new(1) });
    run.until_clients_end();
    assert_eq!(statuses(&run, client), [200; 50]);
    assert!(lasted(&run, client, 10) < 1_000, "{} ms", lasted(&run, client, 10));
    assert_eq!(run.report().access_dropped, 40);
    run.finish();
}

#[test]
fn who_has_no_token_learns_nothing_and_opens_nothing() {
    let mut world = world(Profile::calm(), &[2048], Place::File);
    world.library.access = Access::Token;
    let request =
        |path: &str| Request::fixed(&format!("GET {path} HTTP/1.1\r\nHost: tv\r\n\r\n"), 403);
    let paths = ["/vod/a/0.m4s", "/vod/a/9.m4s", "/vod/nowhere/0.m4s", "/s/x/vod/a/0.m4s"];
    let client =
        world.add_client(10 * MS, Manner::default(), paths.map(request).into_iter().collect());
    let mut run = start(world);
    run.until_clients_end();
    assert_eq!(statuses(&run, client), [403; 4]);
    let report = run.report();
    let counted = |reason| report.refusals.iter().find(|(of, _)| *of == reason).unwrap().1;
    assert_eq!((counted("token-missing"), counted("token-unknown")), (3, 1));
    let world = run.world.borrow();
    assert_eq!(world.library.opens, 0, "nobody made the library open it");
    assert!(world.library.holds.values().all(|hold| *hold == Hold::Closed));
    drop(world);
    run.finish();
}
