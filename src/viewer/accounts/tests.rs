//! Credentials that are found, and those that are not.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn hasher() -> Hasher {
    Hasher::new(&[7; 32])
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// The hash of anything, spread as those of passwords are.
fn credential(of: u32) -> Credential {
    Credential::of(&hasher().hash("anna", &of.to_string()))
}

fn entry(of: u32, subscriber: u32) -> Entry {
    let login = Login { subscriber: number(subscriber), which: (of % 16) as u8 };
    Entry::new(credential(of), login, Tag::of(u64::from(subscriber) << 40))
}

fn device<'r>(peer: &str, agent: &'r str) -> Device<'r> {
    let login = Login { subscriber: number(7), which: 1 };
    Device { login, peer: peer.parse().ok(), agent: agent.as_bytes() }
}

#[test]
fn whoever_is_there_is_found_and_nobody_else() {
    let accounts = Accounts::new(hasher());
    assert_eq!(accounts.find(credential(1)), None);
    let many: Vec<_> = (0..5_000).map(|of| entry(of, of + 1)).collect();
    let accounts = accounts.with(&[], &many);
    assert_eq!((accounts.settled.entries.len(), accounts.recent.len()), (5_000, 0));
    for of in 0..5_000 {
        let login = Login { subscriber: number(of + 1), which: (of % 16) as u8 };
        assert_eq!(accounts.find(credential(of)), Some(login));
    }
    assert!((5_000..10_000).all(|of| accounts.find(credential(of)).is_none()));
    let longest = accounts.settled.runs.windows(2).map(|run| run[1] - run[0]).max();
    assert!(longest <= Some(16), "a look-up stays short: {longest:?}");
}

#[test]
fn a_million_take_so_much() {
    assert_eq!(size_of::<Entry>(), 24);
    let entries = (0..100_000_u64).map(|of| {
        let spread = of.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Entry { credential: Credential(spread, of), subscriber: number(1), tag: 0 }
    });
    let settled = Settled::of(entries.collect());
    let bytes = settled.entries.len() * 24 + settled.runs.len() * 4;
    assert!(bytes <= 100_000 * 26 + 8, "{bytes}");
}

#[test]
fn those_of_a_name_can_be_taken_out_again() {
    let all = [entry(1, 1), entry(2, 2), entry(3, 2)];
    let accounts = Accounts::new(hasher()).with(&[], &all);
    let tagged = accounts.tagged(&[Tag::of(2 << 40)]);
    let mut found: Vec<_> = tagged.iter().map(|(_, entry)| entry.login().which).collect();
    found.sort_unstable();
    assert_eq!(found, [2, 3]);
    let gone: Vec<_> = tagged.iter().map(|(_, entry)| entry.credential()).collect();
    let accounts = accounts.with(&gone, &[]);
    assert_eq!((accounts.find(credential(2)), accounts.count()), (None, 1));
    assert_eq!(accounts.tagged(&[Tag::of(2 << 40)]), []);
}

#[test]
fn a_device_is_the_same_one_until_it_is_another_or_was_revoked() {
    let hasher = hasher();
    let of = |peer, agent| hasher.session(&device(peer, agent), 0);
    let one = of("192.0.2.1", "VLC");
    assert_eq!(one, of("::ffff:192.0.2.1", "VLC"));
    assert_eq!(one & EXCHANGED, 0, "it is none that was exchanged");
    assert_eq!(of("2001:db8::1", "VLC"), of("2001:db8::2", "VLC"), "a household");
    assert_ne!(of("2001:db8::1", "VLC"), of("2001:db8:0:1::1", "VLC"));
    let next = hasher.session(&device("192.0.2.1", "VLC"), 1);
    let other = Hasher::new(&[8; 32]).session(&device("192.0.2.1", "VLC"), 0);
    let which =
        Device { login: Login { which: 2, ..device("", "").login }, ..device("192.0.2.1", "VLC") };
    let which = hasher.session(&which, 0);
    for other in [of("192.0.2.2", "VLC"), of("192.0.2.1", "VLD"), of("", "VLC"), next, other, which]
    {
        assert_ne!(one, other);
    }
    let long = "x".repeat(SESSION_AGENT_SIZE_MAX);
    assert_eq!(of("", &long), of("", &format!("{long}y")), "as much as sessions keep of it");
}

#[test]
fn a_name_and_a_password_are_one_pair_and_no_other() {
    let hash = |user, password| hasher().hash(user, password);
    assert_eq!(hash("anna", "x"), hash("anna", "x"));
    assert_ne!(hash("anna", "x"), hash("ann", "ax"));
    assert_ne!(hash("anna", "x"), Hasher::new(&[8; 32]).hash("anna", "x"));
}

proptest! {
    #[test]
    fn whatever_was_changed_however_often_is_as_was_said_last(
        batches in prop::collection::vec(
            prop::collection::vec((0_u32..3000, any::<bool>()), 1..900), 1..8,
        ),
    ) {
        let mut accounts = Accounts::new(hasher());
        let mut model = BTreeMap::new();
        for batch in batches {
            let batch: BTreeMap<_, _> = batch.into_iter().collect();
            let gone: Vec<_> = batch.iter().filter(|(_, stays)| !**stays).collect();
            let gone: Vec<_> = gone.iter().map(|(of, _)| credential(**of)).collect();
            let come = batch.iter().filter(|(_, stays)| **stays);
            let come: Vec<_> = come.map(|(of, _)| entry(*of, of + 1)).collect();
            accounts = accounts.with(&gone, &come);
            model.extend(batch);
        }
        for of in 0..3000 {
            let expected = model.get(&of).copied().unwrap_or(false);
            prop_assert_eq!(accounts.find(credential(of)).is_some(), expected);
        }
        prop_assert_eq!(accounts.count(), model.values().filter(|stays| **stays).count());
    }
}
