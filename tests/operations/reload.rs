//! SIGHUP, key by key: what is taken at once, and what is said to need a restart.

use super::running::{Place, Running, serve, until_found};

/// A further library of one playlist, named after its folder.
fn library(place: &Place, name: &str) {
    let folder = place.path(name);
    std::fs::create_dir_all(folder.join("show")).unwrap();
    std::fs::write(folder.join("show/a.m3u8"), format!("#EXTM3U\n#{name}\n")).unwrap();
}

/// Asks until the answer begins so: what is told to the shards is told soon, not at once.
#[track_caller]
fn answers(server: &Running, path: &str, begin: &str) {
    until_found(|| {
        let answer = server.public_get(path);
        answer.starts_with(begin).then_some(()).ok_or_else(|| format!("{path}: {answer}"))
    });
}

#[test]
fn libraries_are_added_and_removed_on_sighup() {
    let place = Place::new();
    for name in ["more", "late"] {
        library(&place, name);
    }
    std::fs::create_dir(place.path("more/only")).unwrap();
    std::fs::write(place.path("more/only/b.m3u8"), "#EXTM3U\n").unwrap();
    let server = Running::start(&mut serve(&place.config("")));
    answers(&server, "/vod/show/a.m3u8", "HTTP/1.1 404 ");

    place.config("[[library]]\npath = \"more\"\n[[library]]\npath = \"late\"\n");
    server.signal("HUP");
    assert_eq!(server.says("the config was read again")["changed"], "library.path");
    answers(&server, "/vod/show/a.m3u8", "HTTP/1.1 200 ");
    assert!(server.public_get("/vod/show/a.m3u8").ends_with("#more\n"), "the first one wins");
    // What was added is watched, too.
    std::fs::write(place.path("more/new.ts"), "new").unwrap();
    answers(&server, "/vod/new.ts", "HTTP/1.1 200 ");
    assert!(server.public_get("/vod/library/a.m3u8").starts_with("HTTP/1.1 200 "));

    place.config("[[library]]\npath = \"late\"\n");
    server.signal("HUP");
    assert_eq!(server.says("the config was read again")["changed"], "library.path");
    for path in ["/vod/only/b.m3u8", "/vod/new.ts"] {
        answers(&server, path, "HTTP/1.1 404 ");
    }
    let answer = server.public_get("/vod/show/a.m3u8");
    assert!(answer.ends_with("#late\n"), "the next in line follows: {answer}");
    // A library that comes again is served again, and one that does not change is left alone.
    place.config("[[library]]\npath = \"more\"\n");
    server.signal("HUP");
    answers(&server, "/vod/only/b.m3u8", "HTTP/1.1 200 ");
    server.signal("HUP");
    server.says("the config was read again");
    assert_eq!(server.says("the config was read again")["changed"], "");
    server.signal("TERM");
    assert!(server.ended().success());
}

#[test]
fn an_added_library_is_watched_by_whom_the_new_config_says() {
    let place = Place::new();
    library(&place, "more");
    library(&place, "late");
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    let reload = |old: &str, new: &str, more: &str| {
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace(old, new) + more).unwrap();
        server.signal("HUP");
        server.says("the config was read again");
    };
    reload("access = \"open\"", "access = \"token\"", "[[library]]\npath = \"more\"\n");
    answers(&server, "/vod/show/a.m3u8", "HTTP/1.1 403 ");
    let stays = server.public_get("/vod/library/a.m3u8");
    assert!(stays.starts_with("HTTP/1.1 200 "), "that takes a restart: {stays}");
    // Whoever stays keeps what it had, also if it was added meanwhile; the next one is new again.
    reload("access = \"token\"", "access = \"open\"", "[[library]]\npath = \"late\"\n");
    answers(&server, "/vod/show/a.m3u8", "HTTP/1.1 403 ");
    reload("path = \"more\"", "path = \"other\"", "");
    answers(&server, "/vod/show/a.m3u8", "HTTP/1.1 200 ");
    server.signal("TERM");
    assert!(server.ended().success());
}

#[test]
fn what_sighup_cannot_change_is_named() {
    // Of every key a value that is not its default and does not keep a server from starting.
    const KEYS: &str = "server.shards, server.state, http.cors, log.format, log.level, log.access, \
                        log.access_path, limits.connections, limits.open_sources, library.access";
    let place = Place::new();
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    let old = std::fs::read_to_string(&config).unwrap();
    let changed = old
        .replace("shards = 1", "shards = 2")
        .replace("state = \"state\"", "state = \"other\"")
        .replace("path = \"library\"", "path = \"library\"\naccess = \"token\"");
    let more = "[http]\ncors = \"\"\n[log]\nformat = \"text\"\nlevel = \"error\"\n\
                access = \"json\"\naccess_path = \"access.log\"\n\
                [limits]\nconnections = 100\nopen_sources = 100\n";
    std::fs::write(&config, changed + more).unwrap();
    // Twice: what was not taken is still not what the config says.
    for _ in 0..2 {
        server.signal("HUP");
        let said = server.says("changed, and taken at the next restart");
        assert_eq!((said["level"].as_str(), said["keys"].as_str()), (Some("WARN"), Some(KEYS)));
        assert_eq!(server.says("the config was read again")["changed"], "");
    }
    assert!(server.public_get("/vod/library/a.m3u8").starts_with("HTTP/1.1 200 "));
    std::fs::write(&config, old).unwrap();
    server.signal("HUP");
    assert_eq!(server.says("the config was read again")["changed"], "");
    server.signal("TERM");
    assert!(server.ended().success());
}
