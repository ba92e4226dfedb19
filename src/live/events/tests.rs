//! Messages of a programme, and what is listed of them.

use super::super::fixture::MIDNIGHT;
use super::*;

const START: i64 = MIDNIGHT * 500_000;
const SCTE35: &str = "urn:scte:scte35:2013:bin";

/// `splice_insert`, out or in, without a duration.
fn insert(number: u8, out: bool) -> Vec<u8> {
    let flags = if out { 0xcf } else { 0x4f };
    let head = [0xfc, 0x30, 0x20, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0, 0, 5];
    [&head[..], &[0, 0, 0, number, 0x7f, flags, 0x7f, 0, 1, 0, 0]].concat()
}

fn message(scheme: &str, id: u32, at: At, data: &[u8]) -> Message {
    Message {
        scheme: scheme.to_owned(),
        value: "1".to_owned(),
        timescale: 1000,
        at,
        duration: Some(30_000),
        id,
        data: data.into(),
    }
}

fn found(second: i64) -> Found {
    let segment = Moment { ticks: START / 1000 + second * 1000, timescale: 1000 };
    Found { rendition: 0, zero_micros: 0, segment }
}

fn at(second: i64) -> At {
    At::Time(u64::try_from(START / 1000 + second * 1000).unwrap())
}

/// Ids of what is listed, with when each begins and ends, in seconds.
fn listed(events: &Events) -> Vec<(String, i64, Option<i64>)> {
    let second = |micros: i64| (micros - START) / 1_000_000;
    let of = |event: &Event| {
        let id = event.id.replace(&format!("{}", event.start_micros / 1000), "T");
        (id, second(event.start_micros), event.end_micros.map(second))
    };
    events.listed().map(of).collect()
}

#[test]
fn an_out_and_its_in_have_one_id() {
    let mut events = Events::default();
    events.take(&message(SCTE35, 1, at(10), &insert(7, true)), &found(4));
    // Told again, and by a message that counts from its segment.
    events.take(&message(SCTE35, 1, at(10), &insert(7, true)), &found(6));
    events.take(&message(SCTE35, 1, At::AfterStart(2000), &insert(7, true)), &found(8));
    events.take(&message(SCTE35, 2, at(40), &insert(7, false)), &found(34));
    let id = || "scte35-7-T".to_owned();
    assert_eq!(listed(&events), [(id(), 10, None), (id(), 10, Some(40))]);
    // An in without an out stands for itself; a number that is used again is another splice.
    events.take(&message(SCTE35, 3, at(50), &insert(8, false)), &found(44));
    events.take(&message(SCTE35, 1, at(60), &insert(7, true)), &found(54));
    let later = [("scte35-8-T".to_owned(), 50, None), (id(), 60, None)];
    assert_eq!(listed(&events)[2..], later);
}

#[test]
fn what_is_over_leaves_with_the_window_and_is_remembered_for_a_while() {
    let mut events = Events::default();
    events.take(&message(SCTE35, 1, at(10), &insert(7, true)), &found(4));
    events.take(&message(SCTE35, 2, at(20), &insert(7, false)), &found(14));
    let ids: Vec<_> = events.listed().map(|event| event.id.clone()).collect();
    let trim = |events: &mut Events, window: i64, edge: i64| {
        let micros = |second: i64| START + second * 1_000_000;
        events.trim(micros(window), micros(edge), 12_000_000);
    };
    // It was to take until 40, and that is what the first of the two says.
    trim(&mut events, 30, 60);
    assert_eq!(events.listed().count(), 2);
    trim(&mut events, 41, 71);
    assert_eq!(
        (events.listed().count(), events.removed().collect::<Vec<_>>()),
        (0, vec![&*ids[0]])
    );
    trim(&mut events, 53, 83);
    assert_eq!(events.removed().count(), 1);
    trim(&mut events, 54, 84);
    assert_eq!(events.removed().count(), 0);
    assert!(events.has_been());
}

#[test]
fn what_players_read_themselves_is_announced_and_not_listed() {
    let mut events = Events::default();
    for scheme in [ID3, "urn:mpeg:dash:event:2012", "urn:example:quiz"] {
        events.take(&message(scheme, 1, at(1), b"data"), &found(0));
        events.take(&message(scheme, 1, at(1), b"data"), &Found { rendition: 1, ..found(0) });
    }
    let listed = listed(&events);
    assert!(matches!(&listed[..], [(id, 1, None)] if id.starts_with("event-")), "{listed:?}");
    assert_eq!([0, 1, 2].map(|at| events.streams_of(at).count()), [3, 3, 0]);
}

#[test]
fn nothing_grows_without_end() {
    let mut events = Events::default();
    let long = "x".repeat(EVENT_NAME_SIZE_MAX + 1);
    events.take(&message(&long, 1, at(1), b""), &found(0));
    events.take(&message("urn:x", 1, at(1), &vec![0; EVENT_DATA_SIZE_MAX + 1]), &found(0));
    events.take(&message("urn:x", 1, At::Time(u64::MAX), b""), &found(0));
    events.take(&message("urn:x", 1, at(86_401), b""), &found(0));
    assert_eq!(events.listed().count(), 0);
    for number in 0..3 * u32::try_from(EVENTS_MAX).unwrap() {
        let scheme = format!("urn:{number}");
        events.take(&message(&scheme, number, at(86_400), b""), &found(0));
    }
    let counts = (events.listed().count(), events.removed().count(), events.streams.len());
    assert_eq!(counts, (EVENTS_MAX, EVENTS_MAX, EVENT_STREAMS_MAX));
}
