//! Every key once right and once wrong, and the lines that are named.

use super::*;

fn read(text: &str) -> Draft {
    let mut draft = Draft::default();
    draft.apply_file(Path::new("/etc/x.toml"), text);
    draft
}

#[track_caller]
fn refused(text: &str, complaint: &str) {
    let draft = read(text);
    let complaints: Vec<_> = draft.errors.iter().map(ToString::to_string).collect();
    assert_eq!(complaints, [complaint], "{text}");
}

/// Section, key, a good value, a wrong one, and what is said of it.
const KEYS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "server",
        "listen",
        "[\"[::]:80\"]",
        "[\"[::]\"]",
        "\"[::]\" is not an address with a port (write \"127.0.0.1:8081\" or \"[::]:8080\")",
    ),
    (
        "server",
        "listen",
        "[{address=\"1.2.3.4:5\"}]",
        "[{addres=\"1.2.3.4:5\"}]",
        "\"addres\" is not known here (write address and backend)",
    ),
    ("server", "listen", "[]#", "\"a\"", "is a string, not a list in [ ]"),
    ("server", "ingest", "\"127.0.0.1:1\"", "8082", "is a whole number, not a string"),
    (
        "server",
        "admin",
        "\"off\"",
        "\"none\"",
        "\"none\" is not an address with a port (write \"127.0.0.1:8081\" or \"[::]:8080\")",
    ),
    (
        "server",
        "public",
        "[\"http://tv\"]",
        "[\"tv\"]",
        "\"tv\" is not a base URL (write \"http://tv.example.org:8080\")",
    ),
    (
        "server",
        "trusted_proxies",
        "[\"::1\"]",
        "[\"::1/129\"]",
        "\"::1/129\" is not a network (write \"10.0.0.0/8\" or \"192.0.2.7\")",
    ),
    ("server", "shards", "4", "-1", "-1 is not a whole number from 0 to 512"),
    ("server", "shards", "0", "1.5", "is a number with a point, not a whole number"),
    ("server", "state", "\"/s\"", "\"\"", "is empty (write a path)"),
    (
        "server",
        "access",
        "\"open\"",
        "\"public\"",
        "\"public\" is not known here (write \"token\" or \"open\")",
    ),
    (
        "http",
        "cors",
        "\"\"",
        "\"a b\"",
        "\"a b\" is not an allowed origin (write \"*\", \"https://player.example.org\", or \"\" for none)",
    ),
    (
        "log",
        "format",
        "\"text\"",
        "\"xml\"",
        "\"xml\" is not known here (write \"json\" or \"text\")",
    ),
    (
        "log",
        "level",
        "\"info,shardcast::shard=trace\"",
        "\"loud\"",
        "\"loud\" is not a log level (write \"info\", or \"info,shardcast::library=debug\")",
    ),
    ("log", "access", "\"combined\"", "true", "is true or false, not a string"),
    ("log", "access_path", "\"-\"", "[]", "is a list, not a string"),
    ("limits", "connections", "0", "\"many\"", "is a string, not a whole number"),
    (
        "limits",
        "connections_per_address",
        "20",
        "99999999999",
        "99999999999 is not a whole number from 0 to 1073741824",
    ),
    (
        "limits",
        "head_timeout",
        "\"10s\"",
        "\"10x\"",
        "\"10x\" is not a duration (write \"10s\" or \"500ms\")",
    ),
    (
        "limits",
        "head_timeout",
        "\"1ms\"",
        "10",
        "\"10\" is not a duration (write \"10s\" or \"500ms\")",
    ),
    ("limits", "idle_timeout", "\"7d\"", "\"8d\"", "is longer than a week (write at most \"7d\")"),
    (
        "limits",
        "idle_timeout",
        "\"1s\"",
        "0",
        "is 0, and nobody could be served in no time (write \"10s\")",
    ),
    (
        "limits",
        "send_rate_min",
        "0",
        "\"16kb\"",
        "\"16kb\" is not a size (write \"16KiB\" or \"256MiB\")",
    ),
    ("limits", "cache_memory", "\"1GiB\"", "\"100TiB\"", "is more memory than any machine has"),
    ("limits", "open_sources", "5000", "1979-05-27", "is a date, not a whole number"),
    (
        "limits",
        "folder_memory",
        "\"64MiB\"",
        "4096",
        "is less than one such file may take (at least \"1MiB\")",
    ),
    ("limits", "index_memory", "\"2GiB\"", "\"100TiB\"", "is more memory than any machine has"),
    (
        "limits",
        "huge_pages",
        "\"off\"",
        "\"maybe\"",
        "\"maybe\" is not known here (write \"on\" or \"off\")",
    ),
    (
        "limits",
        "scrub_rate",
        "\"8MiB\"",
        "\"fast\"",
        "\"fast\" is not a size (write \"16KiB\" or \"256MiB\")",
    ),
    ("limits", "drain_timeout", "0", "{}", "is a table, not a string"),
];

#[test]
fn every_key_is_read_and_refused_with_its_line() {
    for (section, key, good, wrong, why) in KEYS {
        if !good.ends_with('#') {
            let draft = read(&format!("[{section}]\n{key} = {good}\n"));
            assert_eq!(draft.errors, [], "{section}.{key} = {good}");
        }
        let text = format!("# one\n# two\n[{section}]\n\n{key} = {wrong}\n");
        refused(&text, &format!("/etc/x.toml:5: {section}.{key}: {why}"));
    }
    for setting in SETTINGS {
        let known = KEYS.iter().any(|(section, key, ..)| format!("{section}.{key}") == setting.key);
        assert!(known, "{} has no case", setting.key);
    }
}

#[test]
fn libraries_and_channels_are_refused_with_their_lines() {
    for (text, complaint) in [
        ("[[library]]\n", "1: library.path: is missing"),
        ("\n[[library]]\npath = 1\n", "3: library.path: is a whole number, not a string"),
        ("[[library]]\npath = \"\"\n", "1: library.path: is missing"),
        ("[[library]]\npth = \"a\"\n", "2: library.pth: is not a known key (did you mean path?)"),
        (
            "[[library]]\npath = \"a\"\naccess = \"all\"\n",
            "3: library.access: \"all\" is not known here (write \"token\" or \"open\")",
        ),
        ("library = 3\n", "1: library: is a whole number (write [[library]])"),
        ("library = [3]\n", "1: library: is a whole number, not a table (write [[library]])"),
        ("[[channel]]\nname = \"x\"\n", "1: channel.id: is missing"),
        (
            "[[channel]]\nid = \"vod\"\n",
            "2: channel.id: \"vod\" is taken: it begins other URLs (choose another id)",
        ),
        (
            "[[channel]]\nid = \"a\"\nwindow = \"60\"\n",
            "3: channel.window: \"60\" is not a duration (write \"10s\" or \"500ms\")",
        ),
        (
            "[[channel]]\nid = \"a\"\ningest = { user = \"u\" }\n",
            "3: channel.ingest: needs user and password_file",
        ),
        (
            "[[channel]]\nid = \"a\"\ningest = 1\n",
            "3: channel.ingest: is a whole number, not a table in { }",
        ),
    ] {
        refused(text, &format!("/etc/x.toml:{complaint}"));
    }
}

#[test]
fn unknown_keys_and_sections_are_errors_with_a_suggestion() {
    refused("[sever]\n", "/etc/x.toml:1: sever: is not a known section (did you mean server?)");
    refused(
        "[limits]\nhead_timeot = \"1s\"\n",
        "/etc/x.toml:2: limits.head_timeot: is not a known key (did you mean limits.head_timeout?)",
    );
    refused("[server]\nzzzzzzzz = 1\n", "/etc/x.toml:2: server.zzzzzzzz: is not a known key");
    refused(
        "server = 1\n",
        "/etc/x.toml:1: server: is a whole number, not a section (write [server])",
    );
}

#[test]
fn an_element_of_a_list_is_named_by_its_own_line() {
    refused(
        "[server]\nlisten = [\n  \"[::]:80\",\n  \"x\",\n]\n",
        "/etc/x.toml:4: server.listen: \"x\" is not an address with a port (write \
         \"127.0.0.1:8081\" or \"[::]:8080\")",
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let draft = read("[server]\nshards = -1\nx = 2\n[limits]\nidle_timeout = 1\n[y]\n");
    let lines: Vec<_> = draft.errors.iter().map(|error| error.place.to_string()).collect();
    assert_eq!(lines.len(), 4, "{:?}", draft.errors);
}

#[test]
fn a_file_that_is_not_toml_is_refused_by_line() {
    let draft = read("[server]\nlisten = [\n\n[limits\n");
    assert!(!draft.errors.is_empty());
    for error in &draft.errors {
        assert!(error.to_string().contains("is not TOML: "), "{error}");
        assert!(error.place.to_string().starts_with("/etc/x.toml:"), "{error}");
    }
    let twice = read("[server]\nshards = 1\nshards = 2\n");
    assert!(twice.errors[0].to_string().starts_with("/etc/x.toml:3: is not TOML"), "{twice:?}");
}

#[test]
fn keys_of_later_versions_are_checked_and_warned_of() {
    let text = "[server]\ningest = \"127.0.0.1:8082\"\npublic = []\ntrusted_proxies = []\n\
                [[channel]]\nid = \"news\"\nname = \"N\"\nwindow = \"60s\"\narchive = \"7d\"\n\
                ingest = { user = \"enc1\", password_file = \"/etc/shardcast/enc1\" }\n";
    let draft = read(text);
    assert_eq!(draft.errors, []);
    let mut warnings: Vec<_> = draft.warnings.iter().map(ToString::to_string).collect();
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "/etc/x.toml:2: server.ingest: is not used by this version",
            "/etc/x.toml:3: server.public: is not used by this version",
            "/etc/x.toml:4: server.trusted_proxies: is not used by this version",
            "/etc/x.toml:5: channel: is not used by this version",
        ]
    );
}

#[test]
fn paths_count_from_the_file() {
    let draft = read(
        "[server]\nstate = \"state\"\n[log]\naccess_path = \"/var/log/a\"\n[[library]]\npath = \"vod\"\n",
    );
    assert_eq!(draft.config.state, Path::new("/etc/state"));
    assert_eq!(draft.config.access_log_path.as_deref(), Some(Path::new("/var/log/a")));
    assert_eq!(draft.config.libraries[0].path, Path::new("/etc/vod"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]\\{\\}a-z=\"\\n\\., 0-9é]{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn no_value_makes_a_setting_panic(index in 0..SETTINGS.len(), value: String) {
        let (section, key) = SETTINGS[index].key.split_once('.').unwrap();
        let quoted = toml::Value::String(value);
        let _ = read(&format!("[{section}]\n{key} = {quoted}\n"));
        let _ = read(&format!("[{section}]\n{key} = [{quoted}, {{ address = {quoted} }}]\n"));
    }
}
