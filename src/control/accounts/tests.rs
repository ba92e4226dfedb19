//! Accounts and numbers over a real registry.

use serde_json::{Value, json};

use super::*;
use crate::control::app_passwords::{Given, Passwords};
use crate::control::audit::Act;
use crate::control::registry::{Expected, Sqlite, Write};
use crate::control::secrets::Secrets;
use crate::units::UnixTime;
use crate::viewer::accounts::Credential;

const NOON: UnixTime = UnixTime(1_800_000_000);

struct Place {
    store: Sqlite,
    keys: Keys,
    known: Known,
    _state: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let keys = Keys::new(Secrets::open(state.path()).unwrap());
        let known = Known::new(Some(keys.hasher().clone()));
        Self { store: Sqlite::open(state.path()).unwrap(), keys, known, _state: state }
    }

    fn write(&mut self, kind: Kind, id: &str, document: Option<Value>) {
        let (id, expected, number) = (id.to_owned(), Expected::Anything, None);
        let write = Write { kind, id, expected, document, number, references: Vec::new() };
        self.store.commit(&Act::server(UnixTime(1)), &[write]).unwrap();
    }

    /// These are a subscriber's, and no others.
    fn give(&mut self, id: &str, passwords: &[&str]) {
        let found = self.store.object(Kind::AppPasswords, id).unwrap();
        let mut of = Passwords::of(&self.keys, id, found);
        let given = |password: &&str| Given {
            name: format!("app {password}"),
            password: (*password).to_owned(),
        };
        of.replace(&passwords.iter().map(given).collect::<Vec<_>>(), NOON).unwrap();
        self.store.commit(&Act::server(UnixTime(1)), &[of.write()]).unwrap();
    }

    /// Number and place of whoever says this, as far as is followed.
    fn who(&mut self, user: &str, password: &str) -> Option<(u32, u8)> {
        self.known.follow(&self.store).unwrap();
        let hash = self.keys.hasher().hash(user, password);
        let login = self.known.apps.accounts.find(Credential::of(&hash))?;
        Some((login.subscriber.get(), login.which))
    }

    fn played(&mut self, kind: Numbered, number: u32) -> Option<String> {
        self.known.follow(&self.store).unwrap();
        self.known.apps.numbers.find(kind, number).map(|played| played.path().to_owned())
    }

    /// What is followed says what is read at a start.
    fn is_as_read_anew(&mut self) {
        self.known.follow(&self.store).unwrap();
        let mut anew = Known::new(Some(self.keys.hasher().clone()));
        anew.follow(&self.store).unwrap();
        assert_eq!(anew.apps.accounts.count(), self.known.apps.accounts.count());
    }
}

#[test]
fn what_was_given_can_be_said_and_what_was_taken_can_not() {
    let mut place = Place::new();
    for id in ["anna", "berta", "cleo"] {
        place.write(Kind::Subscriber, id, Some(json!({})));
    }
    place.give("anna", &["kx7mq2pt", "Straße 7"]);
    place.give("cleo", &["kx7mq2pt"]);
    assert_eq!(place.who("anna", "kx7mq2pt"), Some((1, 0)));
    assert_eq!(place.who("anna", "Straße 7"), Some((1, 1)));
    assert_eq!(place.who("cleo", "kx7mq2pt"), Some((3, 0)));
    for (user, password) in [("berta", "kx7mq2pt"), ("anna", "kx7mq2p"), ("zoe", "kx7mq2pt")] {
        assert_eq!(place.who(user, password), None, "{user} {password}");
    }
    place.give("anna", &["Straße 7"]);
    assert_eq!(place.who("anna", "kx7mq2pt"), None);
    assert_eq!(place.who("anna", "Straße 7"), Some((1, 0)));
    place.is_as_read_anew();
    place.give("anna", &[]);
    assert_eq!(place.who("anna", "Straße 7"), None);
    assert_eq!(place.who("cleo", "kx7mq2pt"), Some((3, 0)));
    place.is_as_read_anew();
}

#[test]
fn whoever_goes_and_comes_again_between_two_looks_is_somebody_else() {
    let mut place = Place::new();
    place.write(Kind::Subscriber, "anna", Some(json!({})));
    place.give("anna", &["first"]);
    assert_eq!(place.who("anna", "first"), Some((1, 0)));
    place.give("anna", &[]);
    place.write(Kind::Subscriber, "anna", None);
    place.write(Kind::Subscriber, "anna", Some(json!({})));
    place.give("anna", &["second"]);
    assert_eq!(place.who("anna", "second"), Some((2, 0)));
    assert_eq!(place.who("anna", "first"), None);
    place.is_as_read_anew();
}

#[test]
fn names_with_one_tag_keep_their_own() {
    let mut place = Place::new();
    for id in ["anna", "berta"] {
        place.write(Kind::Subscriber, id, Some(json!({})));
        place.give(id, &["kx7mq2pt"]);
    }
    assert_eq!(place.who("berta", "kx7mq2pt"), Some((2, 0)));
    // As if her name had the other's tag.
    let login = Login { subscriber: NonZeroU32::new(2).unwrap(), which: 0 };
    let credential = Credential::of(&place.keys.hasher().hash("berta", "kx7mq2pt"));
    let entry = Entry::new(credential, login, place.known.tag("anna"));
    place.known.apps.accounts = place.known.apps.accounts.with(&[], &[entry]);
    place.give("anna", &["other"]);
    assert_eq!(place.who("anna", "kx7mq2pt"), None);
    assert_eq!(place.who("berta", "kx7mq2pt"), Some((2, 0)));
}

#[test]
fn numbers_stand_for_channels_assets_and_what_episodes_are() {
    let mut place = Place::new();
    place.write(Kind::Channel, "news", Some(json!({ "name": "News" })));
    place.write(Kind::Asset, "films/a.mp4", Some(json!({ "name": "A" })));
    place.write(Kind::Episode, "b-1-1", Some(json!({ "asset": "series/b/1" })));
    let all = |place: &mut Place| {
        [Numbered::Channel, Numbered::Film, Numbered::Episode].map(|kind| place.played(kind, 1))
    };
    let text = |text: &str| Some(text.to_owned());
    let expected = [text("/tv/news/master.m3u8"), text("films/a.mp4"), text("series/b/1")];
    assert_eq!(all(&mut place), expected);
    place.known = Known::new(None);
    assert_eq!(all(&mut place), expected, "read at a start");
    place.write(Kind::Asset, "films/a.mp4", None);
    place.write(Kind::Episode, "b-1-1", Some(json!({ "asset": "series/b/2" })));
    let expected = [text("/tv/news/master.m3u8"), None, text("series/b/2")];
    assert_eq!(all(&mut place), expected);
}
