//! Every key once right and once wrong, and the lines that are named.

use super::*;
use crate::config::sources::{Encoder, Shelf, Sources};
use crate::config::{Archive, CHANNELS_MAX, Channel, Password, Push};

mod outside;
mod paths;

mod any;

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
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);
const KEYS: &[Case] = &[
    (
        "admin",
        "hosts",
        "[\"tv.example.org\", \"localhost\"]",
        "[\"tv.example.org:80\"]",
        "\"tv.example.org:80\" is not a name of a host (write \"tv.example.org\")",
    ),
    (
        "admin",
        "tls",
        "{ cert = \"a.pem\", key = \"b.pem\" }",
        "\"a.pem\"",
        "is a string, not a table in { }",
    ),
    ("admin", "tls", "\"off\"", "{ cert = \"a.pem\" }", "has no key"),
    ("admin", "plaintext", "\"on\"", "true", "is true or false, not a string"),
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
        "ingest",
        "\"off\"",
        "\"127.0.0.1\"",
        "\"127.0.0.1\" is not an address with a port (write \"127.0.0.1:8081\" or \"[::]:8080\")",
    ),
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
    (
        "log",
        "security",
        "\"nginx\"",
        "\"syslog\"",
        "\"syslog\" is not known here (write \"json\" or \"nginx\")",
    ),
    ("log", "security_path", "\"-\"", "1", "is a whole number, not a string"),
    (
        "guard",
        "allow",
        "[]",
        "[\"10.0.0.0/33\"]",
        "\"10.0.0.0/33\" is not a network (write \"10.0.0.0/8\" or \"192.0.2.7\")",
    ),
    ("guard", "ban_after", "0", "2000", "2000 is not a whole number from 0 to 1000"),
    (
        "guard",
        "ban_for",
        "\"1h\"",
        "0",
        "is 0, and nobody could be served in no time (write \"10s\")",
    ),
    (
        "admin",
        "group",
        "\"wheel\"",
        "\"a group\"",
        "\"a group\" is not a name of a group (write \"shardcast-admin\")",
    ),
    (
        "sessions",
        "history",
        "\"90d\"",
        "\"soon\"",
        "\"soon\" is not a duration (write \"10s\" or \"500ms\")",
    ),
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
    (
        "limits",
        "egress",
        "\"9Gbit\"",
        "\"9Gb\"",
        "\"9Gb\" is not a rate (write \"9Gbit\" or \"500Mbit\")",
    ),
    (
        "limits",
        "egress",
        "0",
        "\"1kbit\"",
        "is less than one viewer takes (at least \"1Mbit\", or 0 for none)",
    ),
    ("slates", "path", "\"slates\"", "7", "is a whole number, not a string"),
    ("guide", "refresh", "\"6h\"", "\"10s\"", "is not between \"5m\" and \"7d\""),
    ("guide", "download_max", "\"1GiB\"", "\"1KiB\"", "1KiB is not from 1MiB to 64GiB"),
    ("guide", "unpacked_max", "\"8GiB\"", "\"100GiB\"", "100GiB is not from 1MiB to 64GiB"),
    (
        "guide",
        "networks",
        "[\"10.0.0.0/8\"]",
        "[\"here\"]",
        "\"here\" is not a network (write \"10.0.0.0/8\" or \"192.0.2.7\")",
    ),
    ("guide", "folder", "\"guides\"", "7", "is a whole number, not a string"),
    ("slates", "languages", "[\"en\"]", "[]", "is empty (write [\"en\"])"),
    ("slates", "reasons", "[\"limit\"]", "[]", "is empty (leave out slates.path)"),
    ("http", "cmsd", "\"on\"", "1", "is a whole number, not a string"),
    (
        "http",
        "pacing",
        "\"on\"",
        "\"fast\"",
        "\"fast\" is not known here (write \"on\" or \"off\")",
    ),
    (
        "limits",
        "ingest_idle",
        "\"45s\"",
        "0",
        "is 0, and nobody could be served in no time (write \"10s\")",
    ),
];

#[test]
fn every_key_is_read_and_refused_with_its_line() {
    let keys = || KEYS.iter().chain(outside::KEYS);
    for (section, key, good, wrong, why) in keys() {
        if !good.ends_with('#') {
            let draft = read(&format!("[{section}]\n{key} = {good}\n"));
            assert_eq!(draft.errors, [], "{section}.{key} = {good}");
        }
        let text = format!("# one\n# two\n[{section}]\n\n{key} = {wrong}\n");
        refused(&text, &format!("/etc/x.toml:5: {section}.{key}: {why}"));
    }
    for setting in SETTINGS {
        let known = keys().any(|(section, key, ..)| format!("{section}.{key}") == setting.key);
        assert!(known, "{} has no case", setting.key);
    }
}

#[test]
fn libraries_are_refused_with_their_lines() {
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
    ] {
        refused(text, &format!("/etc/x.toml:{complaint}"));
    }
}

#[test]
fn channels_are_refused_with_their_lines() {
    for (text, complaint) in [
        ("channel = 3\n", "1: channel: is a whole number (write [[channel]])"),
        ("[[channel]]\nname = \"x\"\n", "1: channel.id: is missing"),
        (
            "[[channel]]\nid = \"vod\"\n",
            "2: channel.id: \"vod\" is taken: it begins other URLs (choose another id)",
        ),
        (
            "[[channel]]\nid = \"a b\"\n",
            "2: channel.id: \"a b\" is not an id (letters, digits, \"-\", \"_\" and \".\", up to 64)",
        ),
        (
            "[[channel]]\nid = \"a\"\n[[channel]]\nname = \"b\"\nid = \"a\"\n",
            "5: channel.id: \"a\" is named twice",
        ),
        (
            "[[channel]]\nid = \"a\"\npart = \"2s\"\nsegment = \"1s\"\n",
            "3: channel.part: is longer than the segment (write at most \"1s\")",
        ),
        (
            "[[channel]]\nid = \"a\"\n[channel.ingest]\nuser = \"u\"\npassword_file = 1\n",
            "5: channel.ingest: is a whole number, not a string",
        ),
    ] {
        refused(text, &format!("/etc/x.toml:{complaint}"));
    }
}

#[test]
fn keys_of_a_channel_are_refused_with_their_lines() {
    for (line, complaint) in [
        ("widow = \"60s\"", "widow: is not a known key (did you mean window?)"),
        ("name = \"\"", "name: is empty (leave it out, and the id is the name)"),
        ("name = \"a\\nb\"", "name: has a control character in it (write one line of text)"),
        ("access = \"all\"", "access: \"all\" is not known here (write \"token\" or \"open\")"),
        ("window = \"60\"", "window: \"60\" is not a duration (write \"10s\" or \"500ms\")"),
        ("window = 60", "window: is a whole number, not a string"),
        ("window = \"9999ms\"", "window: is too short (write \"10s\" to \"4h\")"),
        ("window = \"5h\"", "window: is too long (write \"10s\" to \"4h\")"),
        ("segment = \"0\"", "segment: is too short (write \"500ms\" to \"30s\")"),
        ("segment = \"30001ms\"", "segment: is too long (write \"500ms\" to \"30s\")"),
        ("part = \"99ms\"", "part: is too short (write \"100ms\" to \"5s\")"),
        ("patience = \"499ms\"", "patience: is too short (write \"500ms\" to \"1h\")"),
        ("patience = \"2h\"", "patience: is too long (write \"500ms\" to \"1h\")"),
        ("part = \"5001ms\"", "part: is too long (write \"100ms\" to \"5s\")"),
        ("archive = \"long\"", "archive: \"long\" is not a duration (write \"10s\" or \"500ms\")"),
        ("archive = \"59min\"", "archive: is too short (write \"1h\" to \"366d\")"),
        ("archive = \"367d\"", "archive: is too long (write \"1h\" to \"366d\")"),
        ("archive_mode = \"best-effort\"", "archive_mode: needs archive (write archive = \"7d\")"),
        ("archive_size = \"1GB\"", "archive_size: needs archive (write archive = \"7d\")"),
        ("ingest = 1", "ingest: is a whole number, not a table in { }"),
        ("ingest = { user = \"u\" }", "ingest: needs user and password_file"),
        ("ingest = { password_file = \"p\" }", "ingest: needs user and password_file"),
        (
            "ingest = { user = \"u\", password = \"p\" }",
            "ingest: \"password\" is not known here (write user and password_file)",
        ),
        (
            "ingest = { user = \"a:b\", password_file = \"p\" }",
            "ingest: \"a:b\" is not a user (write a name without \":\")",
        ),
        (
            "ingest = { user = \"\", password_file = \"p\" }",
            "ingest: \"\" is not a user (write a name without \":\")",
        ),
        ("ingest = { user = \"u\", password_file = \"\" }", "ingest: is empty (write a path)"),
        ("playlist = []", "playlist: is empty (name an asset as it stands behind /vod/)"),
        (
            "playlist = [\"a/../b\"]",
            "playlist: \"a/../b\" is no asset (write what stands behind /vod/, such as \"films/a\")",
        ),
        ("playlist = [{ at = \"20:15\" }]", "playlist: needs an asset"),
        (
            "playlist = [{ asset = \"a\", at = \"8pm\" }]",
            "playlist: \"8pm\" is no time of a day (write \"20:15\" or \"20:15:30\")",
        ),
        (
            "playlist = [{ asset = \"a\", when = \"20:15\" }]",
            "playlist: \"when\" is not known here (write asset and at)",
        ),
        (
            "playlist = [{ asset = \"a\", at = \"20:15\" }, { asset = \"b\", at = \"08:00\" }]",
            "playlist: stands behind 20:15 (write times in the order of a day)",
        ),
        (
            "utc_offset = \"+01:00\"",
            "utc_offset: needs a playlist with times (write { asset = \"films/a\", at = \"20:15\" })",
        ),
        ("source = [{ user = \"u\", password_file = \"p\" }]", "source: needs a name"),
        (
            "source = [{ name = \"a\", user = \"u\" }]",
            "source: needs user and password_file, or neither",
        ),
        ("source = [{ name = \"a\" }, { name = \"a\" }]", "source: \"a\" is named twice"),
    ] {
        let text = format!("[[channel]]\nid = \"a\"\n{line}\n");
        refused(&text, &format!("/etc/x.toml:3: channel.{complaint}"));
    }
}

#[test]
fn a_playlist_may_have_times_of_day() {
    let text = "[[channel]]\nid = \"a\"\nplaylist = [\"ads\", { asset = \"news\", at = \"08:00\" }, \
         { asset = \"film\", at = \"20:15:30\" }, { asset = \"ads\" }]\n";
    let draft = read(&format!("{text}utc_offset = \"-03:30\"\n"));
    assert_eq!((draft.errors, draft.warnings), (vec![], vec![]));
    let sources = &draft.config.channels[0].sources;
    let list = sources.playlist.iter().map(|one| (one.asset.as_str(), one.at));
    let expected = [("ads", None), ("news", Some(28_800)), ("film", Some(72_930)), ("ads", None)];
    assert_eq!(list.collect::<Vec<_>>(), expected);
    assert_eq!(sources.utc_offset, -210);
    let complaint = "/etc/x.toml:4: channel.utc_offset: \"CET\" is no offset (write \"+01:00\", \
         \"-03:30\" or \"UTC\")";
    refused(&format!("{text}utc_offset = \"CET\"\n"), complaint);
}

#[test]
fn every_key_of_a_channel_is_read() {
    let draft = read(
        "[[channel]]\nid = \"news\"\nname = \"The news\"\naccess = \"open\"\nwindow = \"5min\"\n\
         segment = \"4s\"\npart = \"500ms\"\npatience = \"10s\"\nfolder = \"enc\"\n\
         archive = \"7d\"\narchive_mode = \"required\"\narchive_size = \"1TB\"\n\
         ingest = { user = \"enc1\", password_file = \"keys/enc1\" }\n\
         categories = [\"hd\"]\norder = -3\n\
         [[channel.source]]\nname = \"a\"\nfolder = \"enc-a\"\n\
         [[channel.source]]\nname = \"b\"\nuser = \"u\"\npassword_file = \"keys/b\"\n\
         [[channel]]\nid = \"b\"\n",
    );
    assert_eq!((draft.errors, draft.warnings), (vec![], vec![]));
    let file = |path: &str| Password::File(path.into());
    let news = Channel {
        id: "news".to_owned(),
        name: "The news".to_owned(),
        access: Some(Access::Open),
        window_ms: 300_000,
        segment_ms: Some(4000),
        part_ms: Some(500),
        patience_ms: Some(10_000),
        archive: Some(Archive {
            age_ms: 7 * 86_400_000,
            is_required: true,
            size_max: Some(1_000_000_000_000),
        }),
        push: Some(Push { user: "enc1".to_owned(), password: file("/etc/keys/enc1") }),
        sources: Sources {
            encoders: vec![
                Encoder { name: "a".to_owned(), push: None, folder: Some("/etc/enc-a".into()) },
                Encoder {
                    name: "b".to_owned(),
                    push: Some(Push { user: "u".to_owned(), password: file("/etc/keys/b") }),
                    folder: None,
                },
            ],
            playlist: Vec::new(),
            utc_offset: 0,
            folder: Some("/etc/enc".into()),
            inputs: Default::default(),
        },
        shelf: Shelf { categories: vec!["hd".to_owned()], order: -3, logo: None },
    };
    let defaults = Channel {
        id: "b".to_owned(),
        name: "b".to_owned(),
        access: None,
        window_ms: 60_000,
        segment_ms: None,
        part_ms: None,
        patience_ms: None,
        archive: None,
        push: None,
        sources: Sources::default(),
        shelf: Shelf::default(),
    };
    assert_eq!(draft.config.channels, [news, defaults]);
    let places: Vec<_> = draft.channel_places.iter().map(Place::line).collect();
    assert_eq!(places, [1, 23]);
}

#[test]
fn what_is_acknowledged_only_when_it_is_durable_has_lengths_that_are_known() {
    let text = |more: &str| {
        format!("[[channel]]\nid = \"a\"\narchive = \"1d\"\narchive_mode = \"required\"\n{more}")
    };
    let complaint = "/etc/x.toml:4: channel.archive_mode: \"required\" needs segment and part";
    for more in ["", "segment = \"2s\"\n", "part = \"1s\"\n"] {
        let draft = read(&text(more));
        assert_eq!(draft.errors.len(), 1);
        assert!(draft.errors[0].to_string().starts_with(complaint), "{:?}", draft.errors);
    }
    assert_eq!(read(&text("segment = \"2s\"\npart = \"1s\"\n")).errors, []);
    refused(
        "[[channel]]\nid = \"a\"\narchive = \"1d\"\narchive_mode = \"always\"\n",
        "/etc/x.toml:4: channel.archive_mode: \"always\" is not known here (write \
         \"best-effort\" or \"required\")",
    );
}

#[test]
fn what_lies_on_the_bounds_of_a_channel_is_read() {
    for keys in [
        "window = \"10s\"\nsegment = \"500ms\"\npart = \"100ms\"",
        "window = \"4h\"\nsegment = \"30s\"\npart = \"5s\"",
        "segment = \"2s\"\npart = \"2s\"",
        "patience = \"500ms\"",
        "patience = \"1h\"",
        "archive = \"1h\"",
        "archive = \"366d\"\narchive_mode = \"best-effort\"",
    ] {
        let draft = read(&format!("[[channel]]\nid = \"a\"\n{keys}\n"));
        assert_eq!(draft.errors, [], "{keys}");
        assert_eq!(draft.config.channels.len(), 1);
    }
}

#[test]
fn the_ingest_port_is_an_address_or_off() {
    for (text, ingest) in [
        ("", Some("127.0.0.1:8082")),
        ("ingest = \"[::1]:1\"", Some("[::1]:1")),
        ("ingest = \"off\"", None),
    ] {
        let draft = read(&format!("[server]\n{text}\n"));
        assert_eq!((draft.errors, draft.warnings), (vec![], vec![]));
        assert_eq!(draft.config.ingest.map(|address| address.to_string()).as_deref(), ingest);
    }
}

#[test]
fn a_file_names_a_thousand_channels_and_no_more() {
    let channels = |count: usize| -> String {
        (0..count).map(|number| format!("[[channel]]\nid = \"c{number}\"\n")).collect()
    };
    let draft = read(&channels(CHANNELS_MAX));
    assert_eq!((draft.errors, draft.config.channels.len()), (vec![], CHANNELS_MAX));
    let complaint = "/etc/x.toml:2001: channel: is one too many (a file may name 1000 channels)";
    refused(&channels(CHANNELS_MAX + 5), complaint);
}

#[test]
fn the_examples_that_we_ship_are_good() {
    let shipped = include_str!("../../../dist/shardcast.toml");
    let example = |section: &str| {
        let (_, example) = shipped.split_once(&format!("# {section}\n")).unwrap();
        let lines = example.lines().take_while(|line| !line.is_empty());
        let keys = lines.flat_map(|line| [line.trim_start_matches("# "), "\n"]);
        let text = [section, "\n"].into_iter().chain(keys).collect::<String>();
        let draft = read(&text);
        assert_eq!(draft.errors, [], "{text}");
        draft.config
    };
    assert!(example("[[channel]]").channels[0].push.is_some());
    assert_eq!(example("[[token]]").tokens[0].audience.as_deref(), Some("tv"));
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
    let text = "[server]\ningest = \"127.0.0.1:8082\"\npublic = []\n\
                [[channel]]\nid = \"news\"\nname = \"N\"\nwindow = \"60s\"\n\
                ingest = { user = \"enc1\", password_file = \"/etc/shardcast/enc1\" }\n";
    let draft = read(text);
    assert_eq!(draft.errors, []);
    let mut warnings: Vec<_> = draft.warnings.iter().map(ToString::to_string).collect();
    warnings.sort();
    assert_eq!(warnings, ["/etc/x.toml:3: server.public: is not used by this version"]);
}
