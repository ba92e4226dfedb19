//! The way to the registry's thread.

use std::sync::mpsc::channel;

use super::*;

fn act() -> Act {
    Act::server(crate::units::UnixTime(1_800_000_000))
}

fn registry() -> (Registry, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    (Registry::open(state.path()).unwrap(), state)
}

#[test]
fn jobs_are_done_in_their_order() {
    let (registry, _state) = registry();
    let write = |document| Write {
        kind: Kind::SigningKey,
        id: "1".to_owned(),
        expected: Expected::Anything,
        document: Some(Value::from(document)),
        number: None,
        references: Vec::new(),
    };
    for document in 1..=3 {
        let write = write(document);
        let made = registry.ask_now(move |store| store.commit(&act(), &[write])).unwrap();
        assert_eq!(made, Ok(Revision(document)));
    }
    let object = registry.ask_now(|store| store.object(Kind::SigningKey, "1")).unwrap();
    assert_eq!(object.unwrap().unwrap().document, Value::from(3));
}

#[test]
fn who_finds_no_room_is_told_so_at_once() {
    let (registry, _state) = registry();
    let (begun, begins) = channel();
    let (go_on, goes_on) = channel::<()>();
    let hanging = registry.clone();
    let hangs = std::thread::spawn(move || {
        hanging.ask_now(move |_| {
            begun.send(()).unwrap();
            let _ = goes_on.recv();
        })
    });
    begins.recv().unwrap();
    for _ in 0..REGISTRY_JOBS_MAX {
        registry.send(Box::new(|_| {})).unwrap();
    }
    assert_eq!(registry.ask_now(|_| ()), Err(Busy));
    go_on.send(()).unwrap();
    assert_eq!(hangs.join().unwrap(), Ok(()));
}

#[test]
fn every_kind_has_a_word_of_its_own() {
    for kind in Kind::ALL {
        assert_eq!(Kind::of(kind.word()), Some(kind));
    }
    assert_eq!(Kind::of("signing"), None);
}
