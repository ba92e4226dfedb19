//! Passwords of one subscriber, kept and told.

use super::*;
use crate::control::registry::Revision;

const NOON: UnixTime = UnixTime(1_800_000_000);

/// The keys of a new server.
fn keys() -> Keys {
    Keys::new(Secrets::open(tempfile::tempdir().unwrap().path()).unwrap())
}

fn given(name: &str, password: &str) -> Given {
    Given { name: name.to_owned(), password: password.to_owned() }
}

/// What the registry would hold then.
fn kept(passwords: &Passwords<'_>) -> Option<Object> {
    let write = passwords.write();
    let (kind, id, number) = (write.kind, write.id, write.number);
    Some(Object { kind, id, number, revision: Revision(7), document: write.document? })
}

#[test]
fn what_was_given_is_known_again_and_nothing_else() {
    let keys = keys();
    let mut anna = Passwords::of(&keys, "anna", None);
    anna.add(&given("tv", "kx7mq2pt"), NOON).unwrap();
    anna.add(&given("phone", "Straße 7&?"), NOON).unwrap();
    let object = kept(&anna);
    let anna = Passwords::of(&keys, "anna", object.clone());
    assert_eq!(anna.name_of("kx7mq2pt"), Some("tv"));
    assert_eq!(anna.name_of("Straße 7&?"), Some("phone"));
    for wrong in ["", "kx7mq2p", "kx7mq2ptt", "KX7MQ2PT", "tv"] {
        assert_eq!(anna.name_of(wrong), None, "{wrong}");
    }
    let berta = Passwords::of(&keys, "berta", object.clone());
    assert_eq!(berta.name_of("kx7mq2pt"), None, "another one's are none of hers");
    let other = self::keys();
    assert_eq!(Passwords::of(&other, "anna", object).name_of("kx7mq2pt"), None);
}

#[test]
fn a_copy_of_the_registry_says_nothing_without_the_keys() {
    let (keys, other) = (keys(), keys());
    let mut anna = Passwords::of(&keys, "anna", None);
    anna.add(&given("tv", "kx7mq2pt"), NOON).unwrap();
    let object = kept(&anna);
    let text = object.as_ref().unwrap().document.to_string();
    assert!(!text.contains("kx7mq2pt"), "{text}");
    let told = |keys: &Keys, user: &str, reveal| {
        Passwords::of(keys, user, object.clone()).told(reveal).remove(0).password
    };
    assert_eq!(told(&keys, "anna", true).as_deref(), Some("kx7mq2pt"));
    assert_eq!(told(&keys, "anna", false), None);
    assert_eq!(told(&keys, "berta", true), None, "what was moved to another user is not opened");
    assert_eq!(told(&other, "anna", true), None);
}

#[test]
fn names_and_passwords_stand_there_once() {
    let keys = keys();
    let mut anna = Passwords::of(&keys, "anna", None);
    let mut add = |name: &str, password: &str| anna.add(&given(name, password), NOON);
    assert_eq!(add("tv", "one-of-them"), Ok(()));
    for (name, password, begin) in [
        ("tv", "another", "name: there is one called \"tv\""),
        ("phone", "one-of-them", "password: it is the one called \"tv\" already"),
        ("", "x", "name: \"\" is none"),
        ("a/b", "x", "name: \"a/b\" is none"),
        ("phone", "", "password: it is to have 1 to "),
        ("phone", "a\nb", "password: it has control characters"),
        ("phone", "..", "password: players take"),
    ] {
        let why = add(name, password).unwrap_err();
        assert!(why.starts_with(begin), "{why}");
    }
    for number in 1..APP_PASSWORDS_MAX {
        add(&number.to_string(), &format!("password {number}")).unwrap();
    }
    assert!(add("one more", "x").is_err());
}

#[test]
fn what_is_taken_away_is_gone_and_the_last_takes_the_object_with_it() {
    let keys = keys();
    let mut anna = Passwords::of(&keys, "anna", None);
    assert!(anna.are_nothing());
    anna.replace(&[given("tv", "a"), given("phone", "b")], NOON).unwrap();
    assert!(anna.are(&[given("phone", "b"), given("tv", "a")]));
    assert!(!anna.are(&[given("tv", "a")]));
    assert!(!anna.are(&[given("tv", "b"), given("phone", "a")]));
    assert!(anna.remove("tv") && !anna.remove("tv"));
    assert_eq!((anna.name_of("a"), anna.name_of("b")), (None, Some("phone")));
    let mut anna = Passwords::of(&keys, "anna", kept(&anna));
    assert!(anna.remove("phone"));
    let write = anna.write();
    assert_eq!((write.document, write.expected), (None, Expected::At(Revision(7))));
}

#[test]
fn what_is_none_of_them_knows_no_password() {
    let keys = keys();
    for document in ["null", "{}", r#"{"passwords":[{"name":"tv","hash":"","sealed":""}]}"#] {
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        let (kind, id, number) = (Kind::AppPasswords, "anna".to_owned(), None);
        let object = Object { kind, id, number, revision: Revision(1), document };
        let anna = Passwords::of(&keys, "anna", Some(object));
        assert_eq!((anna.name_of(""), anna.told(true).len()), (None, 0));
    }
}
