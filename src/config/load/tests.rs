//! Which of file, environment and flag wins, and what the values must not be together.

use super::*;
use crate::config::{Config, settings};

fn sources(environment: &[(&str, &str)], flags: &[(&'static str, &'static str, &str)]) -> Sources {
    Sources {
        environment: environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        flags: flags.iter().map(|(f, k, v)| (*f, *k, (*v).to_owned())).collect(),
        ..Sources::default()
    }
}

const FILE: &str = "[server]\nshards = 1\nlisten = [\"127.0.0.1:1000\"]\n";

#[test]
fn a_flag_beats_a_variable_beats_the_file() {
    let environment =
        [("SHARDCAST_SERVER_SHARDS", "2"), ("SHARDCAST_SERVER_LISTEN", "127.0.0.1:1,127.0.0.1:2")];
    let file = Some((Path::new("f.toml"), FILE));
    for (sources, shards, listeners, from) in [
        (sources(&[], &[]), 1, 1, "f.toml:2"),
        (sources(&environment, &[]), 2, 2, "SHARDCAST_SERVER_SHARDS"),
        (sources(&environment, &[("--shards", "server.shards", "3")]), 3, 2, "--shards"),
    ] {
        let draft = sources.with_text(file);
        assert_eq!(draft.errors, []);
        assert_eq!(draft.config.shards, shards);
        assert_eq!(draft.config.listen.len(), listeners);
        assert_eq!(draft.places["server.shards"].to_string(), from);
    }
}

#[test]
fn errors_name_the_variable_or_the_flag() {
    let wrong = sources(
        &[("SHARDCAST_LIMITS_HEAD_TIMEOUT", "soon")],
        &[("--admin", "server.admin", "here")],
    );
    let errors: Vec<_> = wrong.with_text(None).errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2);
    assert!(errors[0].starts_with("SHARDCAST_LIMITS_HEAD_TIMEOUT: limits.head_timeout: \"soon\""));
    assert!(errors[1].starts_with("--admin: server.admin: \"here\""));
}

#[test]
fn unknown_variables_are_warned_of_and_known_others_are_not() {
    let draft = sources(
        &[
            ("SHARDCAST_SERVER_LISTN", "x"),
            ("SHARDCAST_RING_FEATURES", "-cachestat"),
            ("SHARDCAST_CONFIG", "/x"),
        ],
        &[],
    )
    .with_text(None);
    let warnings: Vec<_> = draft.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["SHARDCAST_SERVER_LISTN: is not a known variable (did you mean SHARDCAST_SERVER_LISTEN?)"]
    );
}

#[test]
fn every_setting_has_a_variable_of_its_own() {
    let mut names: Vec<_> = settings::SETTINGS.iter().map(|s| variable(s.key)).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), settings::SETTINGS.len());
}

#[test]
fn defaults_have_nothing_wrong() {
    let draft = Sources::default().with_text(None);
    assert_eq!((draft.errors, draft.warnings), (vec![], vec![]));
    assert_eq!(draft.config, Config::default());
}

#[test]
fn paths_without_a_config_are_open_and_with_one_follow_it() {
    let paths = Sources { paths: vec!["a".into(), "b".into()], ..Sources::default() };
    let draft = paths.with_text(None);
    assert_eq!(draft.config.access, Access::Open);
    assert_eq!(draft.config.libraries.len(), 2);
    let draft = paths.with_text(Some((Path::new("f.toml"), FILE)));
    assert_eq!(draft.config.access, Access::Token);
    let flagged =
        Sources { flags: vec![("--access", "server.access", "token".to_owned())], ..paths };
    assert_eq!(flagged.with_text(None).config.access, Access::Token);
}

#[test]
fn doors_that_are_the_same_are_refused() {
    for (listen, admin, wrong) in [
        ("[\"[::]:1\", \"[::]:1\"]", "off", true),
        ("[\"[::]:1\", \"0.0.0.0:1\"]", "off", true),
        ("[\"[::]:1\", \"127.0.0.1:1\"]", "off", false),
        ("[\"127.0.0.1:0\", \"127.0.0.1:0\"]", "127.0.0.1:0", false),
        ("[\"127.0.0.1:1\"]", "127.0.0.1:1", true),
        ("[\"127.0.0.1:1\"]", "127.0.0.2:1", false),
        ("[\"[::]:1\"]", "127.0.0.1:1", true),
        ("[\"0.0.0.0:1\"]", "[::1]:1", false),
        ("[\"0.0.0.0:1\"]", "[::ffff:127.0.0.1]:1", true),
    ] {
        let text = format!("[server]\nlisten = {listen}\nadmin = \"{admin}\"\n");
        let draft = Sources::default().with_text(Some((Path::new("f.toml"), &text)));
        assert_eq!(!draft.errors.is_empty(), wrong, "{text}{:?}", draft.errors);
    }
}

#[test]
fn of_two_keys_that_want_one_door_the_one_that_was_set_is_blamed() {
    for (keys, complaint) in [
        (
            "ingest = \"[::]:8080\"",
            "2: server.ingest: [::]:8080 is taken by server.listen [::]:8080",
        ),
        (
            "listen = [\"[::]:8082\"]",
            "2: server.listen: [::]:8082 is taken by server.ingest 127.0.0.1:8082",
        ),
        (
            "admin = \"127.0.0.1:8082\"",
            "2: server.admin: 127.0.0.1:8082 is taken by server.ingest 127.0.0.1:8082",
        ),
        (
            "ingest = \"127.0.0.1:8081\"",
            "2: server.ingest: 127.0.0.1:8081 is taken by server.admin 127.0.0.1:8081",
        ),
    ] {
        let text = format!("[server]\n{keys}\n");
        let draft = Sources::default().with_text(Some((Path::new("f.toml"), &text)));
        let errors: Vec<_> = draft.errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, [format!("f.toml:{complaint}")]);
    }
    for keys in ["listen = [\"[::]:8082\"]\ningest = \"off\"", "ingest = \"127.0.0.2:8081\""] {
        let text = format!("[server]\n{keys}\n");
        assert_eq!(Sources::default().with_text(Some((Path::new("f.toml"), &text))).errors, []);
    }
}

#[test]
fn it_is_known_whether_anything_takes_a_token() {
    for (text, expected) in [
        ("", false),
        ("[[channel]]\nid = \"a\"\n", true),
        ("[[channel]]\nid = \"a\"\naccess = \"open\"\n", false),
        ("[server]\naccess = \"open\"\n[[channel]]\nid = \"a\"\n", false),
        ("[server]\naccess = \"open\"\n[[library]]\npath = \"/a\"\naccess = \"token\"\n", true),
    ] {
        let draft = Sources::default().with_text(Some((Path::new("f.toml"), text)));
        assert_eq!((draft.errors, draft.warnings), (Vec::new(), Vec::new()), "{text}");
        assert_eq!(draft.config.takes_tokens(), expected, "{text}");
    }
}

#[test]
fn a_library_named_twice_and_a_public_admin_port_are_seen() {
    let text = "[server]\nadmin = \"0.0.0.0:8081\"\n[[library]]\npath = \"/a\"\naccess = \"open\"\n\
                [[library]]\npath = \"/a\"\naccess = \"open\"\n";
    let draft = Sources::default().with_text(Some((Path::new("f.toml"), text)));
    assert_eq!(draft.errors.len(), 1);
    assert_eq!(draft.errors[0].to_string(), "f.toml:6: library.path: /a is named twice");
    assert_eq!(draft.warnings.len(), 1, "{:?}", draft.warnings);
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let sources = Sources { file: Some("/nonexistent/x.toml".into()), ..Sources::default() };
    let errors = sources.read().errors;
    assert!(errors[0].to_string().starts_with("/nonexistent/x.toml: can't be read: "));
}
