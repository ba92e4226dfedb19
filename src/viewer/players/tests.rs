//! What players say, how fast they are sent to, and what control hears of it.

use std::net::IpAddr;

use super::*;
use crate::viewer::Viewing;
use crate::viewer::session::Content;

const PACED: Bounds = Bounds { cap_kbps: None, is_paced: true };

fn capped(kbps: u32) -> Bounds {
    Bounds { cap_kbps: NonZeroU32::new(kbps), is_paced: false }
}

fn session(token: u64) -> SessionId {
    let (peer, content) = (Some(IpAddr::from([192, 0, 2, 1])), Content::Channel("news"));
    Viewing { subscriber: NonZeroU32::new(7), token, peer, agent: b"VLC", content }.id()
}

fn video(kbps: u32) -> Told {
    Told { kind: Some(ObjectKind::Video), bitrate_kbps: Some(kbps), ..Told::default() }
}

fn begin(players: &mut Players, token: u64, bounds: Bounds) -> Option<u32> {
    players.begin(session(token), (bounds, None), Ticks(0)).map(NonZeroU32::get)
}

fn pace(players: &Players, token: u64, bounds: Bounds) -> Option<u32> {
    players.pace(session(token), bounds).map(NonZeroU32::get)
}

fn share(kbps: u32, may_hurry: bool) -> Share {
    Share { kbps: NonZeroU32::new(kbps), may_hurry }
}

fn told(players: &mut Players, now: u64) -> Vec<Report> {
    let mut told = Vec::new();
    players.tell(Ticks(now), |reports| {
        told.extend(reports);
        Ok(())
    });
    told
}

#[test]
fn connections_of_a_session_divide_its_rate() {
    let mut players = Players::default();
    let cap = capped(8_000);
    assert_eq!(begin(&mut players, 1, cap), Some(8_000));
    assert_eq!(begin(&mut players, 1, cap), Some(4_000));
    assert_eq!(begin(&mut players, 2, cap), Some(8_000), "another one has its own");
    assert_eq!(pace(&players, 1, cap), Some(4_000));
    players.share(session(1), share(2_000, true));
    assert_eq!(pace(&players, 1, cap), Some(1_000));
    players.end(session(1), 0, Ticks(0));
    assert_eq!(pace(&players, 1, cap), Some(2_000));
    assert_eq!(pace(&players, 1, capped(1_500)), Some(1_650), "the plan has changed");
    assert_eq!(pace(&players, 1, Bounds::default()), None);
    assert_eq!(begin(&mut players, 3, capped(1)), Some(PACE_MIN_KBPS));
}

#[test]
fn a_player_gets_what_it_wants_unless_it_hurries_and_may() {
    let mut players = Players::default();
    let id = session(1);
    players.hear(Some(id), &Told { rate_kbps: Some(9_000), ..video(3_000) }, Ticks(0));
    assert_eq!(begin(&mut players, 1, PACED), Some(9_000));
    assert_eq!(pace(&players, 1, capped(5_000)), Some(5_000), "nobody asked for this to count");
    let stalled = Told { stalled: true, rate_kbps: Some(9_000), ..video(3_000) };
    players.hear(Some(id), &stalled, Ticks(0));
    assert_eq!(pace(&players, 1, PACED), Some(3_000 * (4 + 5)));
    players.share(id, share(20_000, true));
    assert_eq!(pace(&players, 1, PACED), Some(20_000));
    players.share(id, share(12_000, false));
    assert_eq!(pace(&players, 1, PACED), Some(9_000), "it has had its fast start");
    players.hear(Some(id), &video(3_000), Ticks(0));
    assert_eq!(pace(&players, 1, PACED), Some(12_000));
    // Of whom nothing is known nothing is held back; nor is there a fast start to take.
    assert_eq!(begin(&mut players, 2, PACED), None);
    let blind = Told { starts: true, rate_kbps: Some(700), ..Told::default() };
    players.hear(Some(session(3)), &blind, Ticks(0));
    assert_eq!(begin(&mut players, 3, PACED), Some(700));
}

#[test]
fn what_is_fetched_counts_where_a_player_says_nothing_or_more() {
    let mut players = Players::default();
    let played = |kbps, is_sound| Some(Played { kbps: NonZeroU32::new(kbps).unwrap(), is_sound });
    let mut begin = |token: u64, played| {
        let pace = players.begin(session(token), (PACED, played), Ticks(0));
        players.end(session(token), 0, Ticks(0));
        pace.map(NonZeroU32::get)
    };
    // Nobody knows when a silent one starts: it has its fast start until that is used up.
    assert_eq!(begin(1, played(3_000, false)), Some(3_000 * (4 + 5)));
    assert_eq!(begin(1, played(100, true)), Some(3_100 * (4 + 5)));
    assert_eq!(begin(1, None), Some(3_100 * (4 + 5)), "a text is no other rendition");
    assert_eq!(begin(1, played(1_000, false)), Some(1_100 * (4 + 5)), "it has gone down");
    let report = told(&mut players, 0)[0];
    let rates = Rates { picture_kbps: 1_000, sound_kbps: 100 };
    assert_eq!((report.rates, report.heard.hurries), (rates, true));
    assert_eq!(report.heard.media_kbps, None, "that is what players say");
    players.share(session(1), share(4_400, false));
    assert_eq!(pace(&players, 1, PACED), Some(4_400));
    assert_eq!(pace(&players, 1, Bounds::default()), None, "where nothing is paced");
    // Who says more than it fetches is not believed, and who says less is.
    for (says, expected) in [(900_000, 3_000), (2_000, 2_000)] {
        let token = u64::from(says);
        players.hear(Some(session(token)), &video(says), Ticks(0));
        let pace = players.begin(session(token), (PACED, played(3_000, false)), Ticks(0));
        assert_eq!(pace.map(NonZeroU32::get), Some(expected * 4), "it does not hurry");
    }
}

#[test]
fn what_a_player_says_counts_once_it_is_known_what_it_fetches() {
    let mut players = Players::default();
    let played = Some(Played { kbps: NonZeroU32::new(1_000).unwrap(), is_sound: false });
    // It began with a playlist, of which nobody knows what it takes.
    begin(&mut players, 1, PACED);
    players.end(session(1), 0, Ticks(0));
    told(&mut players, 0);
    players.share(session(1), Share { kbps: None, may_hurry: true });
    players.hear(Some(session(1)), &video(900_000), Ticks(1_000));
    let rates = |told: Vec<Report>| told.first().map(|report| report.rates.picture_kbps);
    assert_eq!(rates(told(&mut players, 1_000)), Some(0), "it may wait for its first body");
    let pace = players.begin(session(1), (PACED, played), Ticks(1_010));
    assert_eq!(pace.map(NonZeroU32::get), Some(1_000 * 4), "before control has spoken");
    let soon = 1_000 + TIMER_TICK_MS + 10;
    assert_eq!(rates(told(&mut players, soon)), Some(1_000), "not a second later");
}

#[test]
fn what_is_played_is_sound_and_picture() {
    let mut players = Players::default();
    let id = session(1);
    let audio = Told { kind: Some(ObjectKind::Audio), ..video(128) };
    let text = Told { kind: Some(ObjectKind::Text), ..video(9) };
    for told in [audio, video(3_000), video(2_000), text] {
        players.hear(Some(id), &told, Ticks(0));
    }
    let manifest = Told { kind: Some(ObjectKind::Manifest), buffer_ms: Some(7), ..video(1) };
    players.hear(Some(id), &manifest, Ticks(0));
    let heard = told(&mut players, 0)[0].heard;
    assert_eq!((heard.media_kbps, heard.buffer_ms_min, heard.requests), (Some(2_128), Some(7), 5));
    assert_eq!(heard.kind, Some(ObjectKind::Text));
}

#[test]
fn control_hears_at_once_of_what_begins_and_then_every_second() {
    let mut players = Players::default();
    let id = session(1);
    assert_eq!(players.wait_ms(Ticks(0)), None);
    players.begin(id, (PACED, None), Ticks(100));
    players.hear(Some(id), &Told { starts: true, buffer_ms: Some(900), ..video(1) }, Ticks(100));
    players.hear(Some(id), &Told { stalled: true, buffer_ms: Some(300), ..video(1) }, Ticks(100));
    players.took(id, 5_000, Ticks(100));
    let first = told(&mut players, 100);
    assert_eq!((first.len(), first[0].busy, first[0].taken), (1, 1, 5_000));
    let heard = first[0].heard;
    assert_eq!((heard.starts, heard.stalls, heard.buffer_ms_min), (1, 1, Some(300)));
    assert_eq!(players.wait_ms(Ticks(100)), Some(LEASES_TOLD_MS));
    players.share(id, share(4, true));
    players.took(id, 7, Ticks(200));
    assert_eq!(told(&mut players, 200), []);
    let second = told(&mut players, 100 + LEASES_TOLD_MS);
    let heard = second[0].heard;
    assert_eq!((second[0].taken, heard.starts, heard.stalls, heard.hurries), (7, 0, 0, true));
    players.end(id, 3, Ticks(1_200));
    let third = told(&mut players, 100 + 2 * LEASES_TOLD_MS);
    assert_eq!((third[0].busy, third[0].taken), (0, 3));
    assert_eq!(told(&mut players, 100 + 3 * LEASES_TOLD_MS), [], "nothing is new");
    assert_eq!(players.wait_ms(Ticks(100)), None);
}

#[test]
fn what_finds_no_room_is_told_later_and_nothing_is_lost() {
    let mut players = Players::default();
    let id = session(1);
    players.begin(id, (PACED, None), Ticks(0));
    players.took(id, 5, Ticks(0));
    players.tell(Ticks(0), Err);
    players.took(id, 6, Ticks(500));
    players.tell(Ticks(LEASES_TOLD_MS), Err);
    let all = told(&mut players, 2 * LEASES_TOLD_MS);
    assert_eq!(all.iter().map(|report| report.taken).sum::<u64>(), 11);
}

#[test]
fn what_all_say_is_counted_whoever_they_are() {
    let mut players = Players::default();
    let told = Told { starts: true, stalled: true, malformed: 2, ..video(1) };
    players.hear(None, &told, Ticks(0));
    players.hear(None, &Told::default(), Ticks(0));
    let counts = players.counts();
    assert_eq!(counts.requests[ObjectKind::Video as usize], 1);
    assert_eq!(counts.requests[ObjectKind::Other as usize], 1);
    assert_eq!((counts.starts, counts.stalls, counts.malformed), (1, 1, 2));
    assert_eq!(players.known.len(), 0);
}

#[test]
fn who_is_long_gone_is_forgotten() {
    let mut players = Players::default();
    for token in 0..10 * PLAYERS_KEPT_MIN as u64 {
        let now = Ticks(token * 100);
        players.hear(Some(session(token)), &video(1), now);
        players.tell(now, |_| Ok(()));
    }
    let known = players.known.len();
    assert!(known <= 2 * PLAYERS_KEPT_MIN, "{known}");
}
