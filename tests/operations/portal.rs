//! What subscribers sign in to the portal with: kept as a hash, and told to nobody.

use std::path::Path;

use super::running::{Place, Running, done, serve, verb};

/// What is said of a password of somebody.
fn checked(place: &Place, config: &Path, user: &str, password: &str) -> String {
    let file = place.path("typed");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    let file = file.to_str().unwrap();
    done(config, &["subscriber", "portal-password", "check", user, "--password-file", file])
}

fn started() -> (Place, std::path::PathBuf, Running) {
    let place = Place::new();
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    (place, config, server)
}

#[test]
fn a_portal_password_is_right_or_not_and_is_told_to_nobody() {
    let (place, config, server) = started();
    let portal = |arguments: &[&str]| {
        done(&config, &[&["subscriber", "portal-password"], arguments].concat())
    };
    done(&config, &["subscriber", "add", "Anna"]);
    assert_eq!(portal(&["show", "Anna"]), "it has none\n");
    assert_eq!(checked(&place, &config, "Anna", "whatever it is"), "it is not\n");
    let made = portal(&["set", "Anna"]);
    let password = made.trim_end().strip_prefix("Anna  ").unwrap();
    assert!(portal(&["show", "Anna"]).starts_with("it has one since "));
    assert_eq!(checked(&place, &config, "Anna", password), "it is the one\n");
    for (user, password) in [("Anna", "another one 7"), ("Bela", password), ("anna", password)] {
        assert_eq!(checked(&place, &config, user, password), "it is not\n", "{user}");
    }
    let weak = place.path("weak");
    std::fs::write(&weak, "password1\n").unwrap();
    let set = ["subscriber", "portal-password", "set", "Anna", "--password-file"];
    let said = verb(&config, &[&set[..], &[weak.to_str().unwrap()]].concat());
    assert!(said.err.contains("status 400: password: it is soon guessed"), "{}", said.err);
    assert_eq!(checked(&place, &config, "Anna", password), "it is the one\n", "as before");

    // Kept it is nowhere, and its hash is told to those who ask for it.
    let shown = done(&config, &["subscriber", "show", "Anna", "--json"]);
    let feed = place.socket_get("/api/v1/changes");
    let exported = done(&config, &["export"]);
    for told in [&shown, &feed, &exported, &done(&config, &["audit", "ls", "--json"])] {
        assert!(!told.contains("argon2id") && !told.contains(password), "{told}");
    }
    let all = place.path("all.jsonl");
    done(&config, &["export", "--passwords", "-o", all.to_str().unwrap()]);
    let exported = std::fs::read_to_string(&all).unwrap();
    assert!(exported.contains("$argon2id$v=19$m=19456,t=2,p=1$") && !exported.contains(password));
    server.signal("KILL");
    server.ended();
    let bytes = std::fs::read(place.path("state/registry.db")).unwrap();
    let is_it = |window: &[u8]| window == password.as_bytes();
    assert!(!bytes.windows(password.len()).any(is_it));
    let _server = Running::start(&mut serve(&config));
    assert_eq!(checked(&place, &config, "Anna", password), "it is the one\n");

    // It is good where it is taken to.
    let (there, elsewhere, _other) = started();
    done(&elsewhere, &["import", all.to_str().unwrap()]);
    assert_eq!(checked(&there, &elsewhere, "Anna", password), "it is the one\n");
    let again = done(&elsewhere, &["import", all.to_str().unwrap()]);
    assert!(again.contains("1 unchanged"), "{again}");

    portal(&["rm", "Anna"]);
    assert_eq!(checked(&place, &config, "Anna", password), "it is not\n");
    portal(&["set", "Anna"]);
    done(&config, &["subscriber", "rm", "Anna"]);
    done(&config, &["subscriber", "add", "Anna"]);
    assert_eq!(portal(&["show", "Anna"]), "it has none\n", "she is somebody else now");
    let said = verb(&config, &["subscriber", "portal-password", "set", "Bela"]);
    assert!(said.err.contains("status 404: no subscriber has this id"), "{}", said.err);
}
