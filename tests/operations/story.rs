//! Stories that the documents tell: their commands, as they stand there, against a real server.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::live::encoder;
use super::running::{PATIENCE, Place, run};

/// Commands behind the mark that says that they are run here.
fn story(document: &str) -> String {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let (_, marked) = text.split_once("<!-- story:").expect("the document tells a story");
    let (_, block) = marked.split_once("```sh\n").expect("it is told in commands");
    block.split_once("```").expect("it ends").0.to_owned()
}

/// Runs commands in a folder with a film of which there is an asset; gives what they said.
#[track_caller]
fn told(commands: &str) -> String {
    let place = Place::new();
    assert!(
        encoder(6).arg(place.path("film.mp4")).status().expect("ffmpeg is installed").success()
    );
    let program = Path::new(env!("CARGO_BIN_EXE_shardcast"));
    let mut package = Command::new(program);
    package.args(["package", "--preset", "ultrafast", "film.mp4", "-o", "vod/film"]);
    std::fs::create_dir(place.path("vod")).unwrap();
    let said = run(package.current_dir(place.path("")));
    assert_eq!(said.code, 0, "{}", said.err);
    // Ports that are free; the documents have those that a server takes by itself.
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = listeners.map(|free| free.local_addr().unwrap().port());
    let mut commands = commands.to_owned();
    for (usual, port) in [8080, 8081, 8082].iter().zip(ports) {
        commands = commands.replace(&format!(":{usual}"), &format!(":{port}"));
    }
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("timeout");
    shell.args([&PATIENCE.as_secs().to_string(), "bash", "-euo", "pipefail", "-c"]);
    // What the story leaves running ends with it.
    shell.arg(format!("trap 'kill $(jobs -p)' EXIT\n{commands}"));
    shell.env("PATH", format!("{}:{path}", program.parent().unwrap().display()));
    for (name, port) in ["LISTEN", "ADMIN", "INGEST"].iter().zip(ports) {
        shell.env(format!("SHARDCAST_SERVER_{name}"), format!("127.0.0.1:{port}"));
    }
    shell.env("SHARDCAST_SERVER_SHARDS", "1").stdin(Stdio::null()).current_dir(place.path(""));
    let said = run(&mut shell);
    assert_eq!(said.code, 0, "{commands}\n{}\n{}", said.out, said.err);
    said.out
}

/// What is said by somebody who was let in, and then was not.
#[track_caller]
fn check(said: &str, in_order: &[&str]) {
    let mut rest = said;
    for part in in_order {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} in\n{said}"));
        rest = after;
    }
}

#[test]
fn the_story_of_the_readme_is_true() {
    let said = told(&story("README.md"));
    let explained = ["refused: subscriber-expired", "REFUSED LAST", "/tv/news/master.m3u8"];
    let played = ["ready", "h264", "aac", "HTTP/1.1 403", "subscriber-expired", "CHECK"];
    check(&said, &[&played[..], &explained[..]].concat());
}

#[test]
fn the_story_by_http_is_true_and_asks_what_the_document_of_the_api_has() {
    let readme = story("README.md");
    let (server, _) = readme.split_once("export ").expect("the server is started before");
    let by_http = story("docs/api.md");
    let document = "api $at/openapi.json > openapi.json\ncat openapi.json\n";
    let said = told(&format!("{server}{by_http}{document}"));
    let played = [
        "\"playlist\":[\"film\"]",
        "\"tv/news\"",
        "h264",
        "aac",
        "HTTP/1.1 403",
        "subscriber-expired",
    ];
    check(&said, &played);
    let (_, document) = said.split_once("{\"components\"").expect("it is told last");
    let document: Value = serde_json::from_str(&format!("{{\"components\"{document}")).unwrap();
    let mut asked = 0;
    for line in by_http.lines().filter(|line| line.contains("$at/")) {
        let (_, path) = line.split_once("$at/").unwrap();
        let path = path.split([' ', '?', '"']).next().unwrap().replace("bela", "{id}");
        let method = if line.contains("PATCH") {
            "patch"
        } else if line.contains("--json") {
            "post"
        } else {
            "get"
        };
        let operation = &document["paths"][format!("/api/v1/{path}")][method];
        assert!(operation.is_object(), "{method} {path}");
        asked += 1;
    }
    assert!(asked >= 7, "{by_http}");
}
