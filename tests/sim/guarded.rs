//! Who is kept out, and who is believed: bans while others watch, headers of proxies in pieces.

use std::sync::Arc;

use shardcast::guard::{Bans, Door, Networks};
use shardcast::messages::Update;
use shardcast::units::MIB;

use crate::client::{Ended, Manner};
use crate::content::Place;
use crate::request::Request;
use crate::run::{Run, Setup};
use crate::scenarios::{ended, get, statuses, world};
use crate::world::{MS, Profile, SECOND};

fn networks(all: &[&str]) -> Networks {
    Networks::of(all.iter().map(|text| text.parse().unwrap()))
}

/// A PROXY header for 10.0.0.7, and a request for what is not there.
const INTRODUCED: &str = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x07\x0a\0\0\x01\0P\0P\
                          GET /vod/nowhere/a HTTP/1.1\r\nHost: tv\r\n\r\n";
const HEADER_SIZE: usize = 28;

fn setup() -> Setup {
    let trusted = Arc::new(networks(&["127.0.0.2/32"]));
    Setup { door: Door { trusted, ..Door::default() }, ..Setup::new(1) }
}

#[test]
fn a_header_of_a_proxy_may_come_in_any_pieces() {
    let mut world = world(Profile { calm: false, ..Profile::calm() }, &[2048], Place::File);
    let mut proxies = Vec::new();
    let (mut broken, mut torn, mut strangers) = (Vec::new(), Vec::new(), Vec::new());
    let malformed = INTRODUCED.replace('\x21', "\x31");
    for write_size in [1, 3, 11, 12, 16, 27, 28, 29, 1000] {
        let manner = |address, pipeline| Manner {
            address,
            pipeline,
            write_size,
            write_gap: MS,
            may_be_cut: true,
            ..Manner::default()
        };
        let script = || vec![Request::fixed(INTRODUCED, 404), get(0), get(0)];
        proxies.push(world.add_client(10 * MS, manner(2, 1), script()));
        proxies.push(world.add_client(10 * MS, manner(2, 3), script()));
        let refused = vec![Request::fixed(&malformed, 400)];
        broken.push(world.add_client(10 * MS, manner(2, 1), refused));
        strangers.push(world.add_client(
            10 * MS,
            manner(3, 1),
            vec![Request::fixed(INTRODUCED, 400)],
        ));
        let half = vec![Request::fixed(&INTRODUCED[..HEADER_SIZE - 1], 408)];
        torn.push(world.add_client(10 * MS, manner(2, 1), half));
    }
    let mut run = Run::new(world, &setup());
    run.until_clients_end();
    for client in proxies {
        assert_eq!(statuses(&run, client), [404, 200, 200]);
    }
    for client in broken.into_iter().chain(strangers) {
        assert_eq!(statuses(&run, client), [400], "and the connection ends");
    }
    for client in torn {
        assert_eq!(statuses(&run, client), [408], "it has as long as a head has");
    }
    run.finish();
}

#[test]
fn whoever_is_banned_is_closed_within_a_second_and_others_go_on() {
    let profile = Profile { calm: false, ..Profile::calm() };
    let mut world = world(profile, &[2048, 4 * MIB as u64], Place::File);
    let slow = |address| Manner {
        address,
        pause: 100 * MS,
        read_size: 64 * 1024,
        read_gap: 20 * MS,
        may_be_cut: true,
        ..Manner::default()
    };
    // Some rest when it comes, some are being sent to, one has written half a head.
    let script = |number: u64| vec![get(number % 2); 200];
    let banned: Vec<_> =
        (0..600).map(|number| world.add_client(10 * MS, slow(1), script(number))).collect();
    let others: Vec<_> = (0..20)
        .map(|number| world.add_client(10 * MS, slow(4), vec![get(number % 2); 20]))
        .collect();
    let late = world.add_client(5 * SECOND, slow(1), vec![get(0)]);
    let last = world.add_client(9 * SECOND, slow(1), vec![get(0)]);
    let mut run = Run::new(world, &setup());
    run.for_seconds(3);
    assert!(banned.iter().all(|&client| ended(&run, client).is_none()), "they watch");
    let bans = |closed| Bans::new(Arc::default(), networks(closed), Networks::default());
    let tell = |run: &mut Run, bans: Bans| {
        run.world.borrow_mut().tell(Update::Bans(Arc::new(bans)));
    };
    tell(&mut run, bans(&["127.0.0.0/30"]));
    run.for_seconds(1);
    assert!(banned.iter().all(|&client| ended(&run, client) == Some(Ended::Reset)));
    run.for_seconds(3);
    assert_eq!((ended(&run, late), statuses(&run, late)), (Some(Ended::Reset), Vec::new()));
    tell(&mut run, bans(&[]));
    run.until_clients_end();
    assert_eq!(statuses(&run, last), [200], "it was lifted");
    for client in others {
        assert_eq!(statuses(&run, client), [200; 20]);
    }
    run.finish();
}
