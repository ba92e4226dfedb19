//! The Xtream-compatible API and M3U as apps meet them: every action held against JSON Schemas, for
//! accounts of all kinds, and whatever else may be sent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::running::{PATIENCE, Place, Running, done, serve, until};
use super::schema::faults;

const SCHEMA: &str = include_str!("schemas/xtream.json");

struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    fn line(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.head))
    }
}

/// One request as it stands.
fn asked(server: &Running, request: &str) -> Response {
    let mut stream = TcpStream::connect(server.public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, head, body: bytes[end..].to_vec() }
}

fn got(server: &Running, target: &str, lines: &str) -> Response {
    let head =
        format!("GET {target} HTTP/1.1\r\nHost: tv:8080\r\nConnection: close\r\n{lines}\r\n");
    asked(server, &head)
}

fn posted(server: &Running, target: &str, media_type: &str, body: &str) -> Response {
    asked(
        server,
        &format!(
            "POST {target} HTTP/1.1\r\nHost: tv:8080\r\nConnection: close\r\nContent-Type: \
             {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

/// A server with two channels, two films and a series, and subscribers of all kinds, whose
/// passwords are `pass-NAME`.
fn started(more: &str) -> (Place, PathBuf, Running) {
    let place = Place::new();
    let config = place.config(&format!(
        "{more}[[channel]]\nid = \"news\"\nname = \"News\"\narchive = \"2d\"\ncategories = [\"live\"]\n\
         [[channel]]\nid = \"sport\"\n"
    ));
    let server = Running::start(serve(&config).env("SHARDCAST_SERVER_INGEST", "127.0.0.1:0"));
    shelve(&config);
    (place, config, server)
}

fn shelve(config: &Path) {
    let done = |line: &str| done(config, &line.split(' ').collect::<Vec<_>>());
    done("category add live --sorts live --name Live");
    done("category add drama --sorts film --name Drama");
    done("asset add films/a.mp4 --name A --category drama");
    done("asset add films/b --name B");
    done("asset add s/1 --name One --form episode");
    done("series add serial --name Serial");
    done("episode add e --of serial --season 1 --episode 1 --asset s/1");
    done(
        "bouquet add all --name All --content tv/news --content tv/sport --content vod/films --content vod/s",
    );
    done("plan add gold --name Gold --bouquet all --catch-up 7");
    done("plan add none --name None");
    for (subscriber, more) in [
        ("anna", "--plan gold"),
        ("empty", "--plan none"),
        ("over", "--plan gold --expires 1000"),
        ("shut", "--plan gold --status blocked"),
        ("free", ""),
    ] {
        done(format!("subscriber add {subscriber} {more}").trim_end());
        fed(config, subscriber);
    }
}

/// Gives a subscriber its password.
fn fed(config: &Path, subscriber: &str) {
    let mut command = super::running::program();
    command.args(["subscriber", "password", "add", subscriber, "--stdin", "--config"]).arg(config);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "pass-{subscriber}").unwrap();
    assert!(child.wait().unwrap().success());
}

fn api(user: &str, more: &str) -> String {
    format!("/player_api.php?username={user}&password=pass-{user}{more}")
}

/// The catalogue has come so far.
fn ready(server: &Running) {
    until("the catalogue is there", || {
        got(server, &api("anna", "&action=get_series"), "").text().contains("Serial")
            && got(server, &api("anna", "&action=get_live_streams"), "").text().contains("sport")
    });
}

const ACTIONS: [&str; 10] = [
    "get_account_info",
    "get_live_categories",
    "get_vod_categories",
    "get_series_categories",
    "get_live_streams",
    "get_vod_streams",
    "get_series",
    "get_vod_info",
    "get_series_info",
    "get_short_epg",
];

#[track_caller]
fn check(schema: &Value, definition: &str, value: &Value, about: &str) {
    let faults = faults(schema, definition, value);
    assert!(faults.is_empty(), "{about}: {faults:#?}\n{value}");
}

#[test]
fn every_action_has_the_fields_and_types_that_apps_need() {
    let (_place, _config, server) = started("");
    ready(&server);
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for user in ["anna", "empty", "over", "shut", "free"] {
        let has = user == "anna";
        for action in ACTIONS.into_iter().chain([
            "get_profile",
            "",
            "nonsense",
            "get_simple_data_table",
            "get_simple_date_table",
            "get_epg",
        ]) {
            let target = api(user, &format!("&action={action}&vod_id=1&series_id=1&stream_id=1"));
            let response = got(&server, &target, "");
            assert_eq!(response.status, 200, "{target}");
            let definition = match action {
                "get_profile" | "" | "nonsense" => "get_account_info",
                "get_vod_info" if !has => "no_vod_info",
                "get_series_info" if !has => "no_series_info",
                "get_simple_date_table" | "get_epg" => "get_simple_data_table",
                action => action,
            };
            let value = response.json();
            check(&schema, definition, &value, &target);
            if let Some(all) = value.as_array() {
                assert_eq!(!all.is_empty(), has, "{target}");
            }
        }
        let panel = got(&server, &api(user, "").replace("player", "panel"), "").json();
        check(&schema, "panel", &panel, user);
        assert_eq!(panel["available_channels"].as_object().unwrap().len(), if has { 2 } else { 0 });
    }
    let status = |user| got(&server, &api(user, ""), "").json()["user_info"]["status"].clone();
    let all = ["anna", "empty", "over", "shut", "free"].map(status);
    assert_eq!(all, ["Active", "Active", "Expired", "Banned", "Active"]);
    let live = got(&server, &api("anna", "&action=get_live_streams"), "").json();
    assert_eq!((&live[0]["name"], &live[0]["tv_archive_duration"]), (&"News".into(), &2.into()));
    assert_eq!((&live[1]["name"], &live[1]["tv_archive"]), (&"sport".into(), &0.into()));
    let info = got(&server, &api("anna", ""), "").json()["server_info"].clone();
    assert_eq!((&info["url"], &info["port"]), (&"tv".into(), &"8080".into()));
    assert_eq!((&info["https_port"], &info["server_protocol"]), (&"".into(), &"http".into()));
}

#[test]
fn who_is_wrong_is_told_so_and_nothing_else() {
    let (_place, config, server) = started("");
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for account in
        ["username=anna&password=wrong", "username=nobody&password=pass-anna", "username=anna", ""]
    {
        for action in ACTIONS {
            let response = got(&server, &format!("/player_api.php?{account}&action={action}"), "");
            assert_eq!(response.status, 200);
            check(&schema, "refused", &response.json(), account);
        }
        for page in ["get.php", "xmltv.php"] {
            let response = got(&server, &format!("/{page}?{account}"), "");
            assert!(matches!(response.status, 401 | 429), "{page} {}", response.head);
        }
    }
    for page in ["get.php", "xmltv.php"] {
        for user in ["over", "shut"] {
            let target = format!("/{page}?username={user}&password=pass-{user}");
            assert_eq!(got(&server, &target, "").status, 403, "{target}");
        }
    }
    drop(server);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}[apps]\nrefuse = \"401\"\n")).unwrap();
    let server = Running::start(serve(&config).env("SHARDCAST_SERVER_INGEST", "127.0.0.1:0"));
    let response = got(&server, "/player_api.php?username=anna&password=wrong", "");
    assert_eq!(response.status, 401);
    check(&schema, "refused", &response.json(), "401");
}

#[test]
fn parameters_come_in_the_query_in_a_form_and_in_parts() {
    let (_place, _config, server) = started("");
    ready(&server);
    let login = "username=anna&password=pass-anna&action=get_vod_streams";
    let expected = got(&server, &format!("/player_api.php?{login}"), "").json();
    let form = "application/x-www-form-urlencoded";
    assert_eq!(posted(&server, "/player_api.php", form, login).json(), expected);
    let part = |name, value| {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let all = [("username", "anna"), ("password", "pass-anna"), ("action", "get_vod_streams")];
    let parts: String = all.iter().map(|(name, value)| part(name, value)).collect();
    let kind = "multipart/form-data; boundary=X";
    let response = posted(&server, "/player_api.php", kind, &format!("{parts}--X--\r\n"));
    assert_eq!(response.json(), expected);
    let over = "/player_api.php?username=anna&password=&action=get_live_streams";
    let response = posted(&server, over, form, &login.replace("vod", "series"));
    assert!(response.text().contains("\"stream_type\":\"live\""), "the query wins");
    // What is in one category, and in none.
    let categories = got(&server, &api("anna", "&action=get_vod_categories"), "").json();
    let of = |id: &Value| {
        let id = id.as_str().unwrap();
        let target = api("anna", &format!("&action=get_vod_streams&category_id={id}"));
        got(&server, &target, "").json().as_array().unwrap().len()
    };
    assert_eq!(categories.as_array().unwrap().len(), 2);
    assert_eq!((of(&categories[0]["category_id"]), of(&categories[1]["category_id"])), (1, 1));
    for id in ["7777", "x", "-1", "99999999999999999999", "1'%20OR%20'1'='1"] {
        let target = api("anna", &format!("&action=get_vod_streams&category_id={id}"));
        assert_eq!(got(&server, &target, "").text(), "[]", "{id}");
    }
}

#[test]
fn a_list_is_personal_and_comes_whole() {
    let (_place, _config, server) = started("");
    ready(&server);
    let target = "/get.php?username=anna&password=pass-anna&type=m3u_plus&output=hls";
    let list = got(&server, target, "Accept-Encoding: gzip\r\n");
    assert_eq!(list.line("Content-Type"), Some("audio/x-mpegurl"));
    assert_eq!(list.line("Content-Disposition"), Some("attachment; filename=\"tv.m3u\""));
    assert_eq!(list.line("Content-Length"), Some(&*list.body.len().to_string()));
    assert!(list.line("Cache-Control").unwrap().starts_with("private"), "{}", list.head);
    let text = list.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 2 * 5, "{text}");
    assert!(lines[1].contains("catchup-days=\"2\"") && lines[1].ends_with(",News"), "{}", lines[1]);
    assert!(lines[2].starts_with("http://tv:8080/live/anna/pass-anna/"), "{}", lines[2]);
    assert!(lines[6].starts_with("http://tv:8080/movie/anna/pass-anna/"), "{}", lines[6]);
    let other = got(&server, &target.replace("anna", "empty"), "").text();
    assert_eq!(other.lines().count(), 1);
    let form = "application/x-www-form-urlencoded";
    let login = target.split_once('?').unwrap().1;
    assert_eq!(posted(&server, "/get.php", form, login).text(), text);
    let head = format!("HEAD {target} HTTP/1.1\r\nHost: tv:8080\r\nConnection: close\r\n\r\n");
    let head = asked(&server, &head);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.line("Content-Length"), list.line("Content-Length"));
    let ranged = got(&server, target, "Range: bytes=0-6\r\n");
    assert_eq!((ranged.status, ranged.text()), (206, "#EXTM3U".to_owned()));
}

#[test]
fn a_catalogue_is_sent_like_any_object() {
    let (_place, config, server) = started("");
    ready(&server);
    let target = api("anna", "&action=get_vod_streams");
    let plain = got(&server, &target, "");
    let etag = plain.line("ETag").unwrap();
    assert_eq!(plain.line("Content-Type"), Some("application/json"));
    let again = got(&server, &target, &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((again.status, again.body.len()), (304, 0));
    let gzip = got(&server, &target, "Accept-Encoding: gzip\r\n");
    assert_eq!(gzip.line("Content-Encoding"), Some("gzip"));
    let mut decoder = flate2::bufread::GzDecoder::new(&*gzip.body);
    let mut text = Vec::new();
    decoder.read_to_end(&mut text).unwrap();
    assert!(text == plain.body && decoder.into_inner().is_empty(), "one member is all of it");
    let began = std::time::Instant::now();
    done(&config, &["asset", "set", "films/b", "--name", "Another"]);
    until("the change is seen", || got(&server, &target, "").text().contains("Another"));
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    let list = format!("/get.php?{}", target.split_once('?').unwrap().1);
    until("in the list, too", || got(&server, &list, "").text().contains(",Another\n"));
}

#[test]
fn nothing_that_is_sent_is_answered_with_an_error_of_ours() {
    let (_place, _config, server) = started("");
    ready(&server);
    let long = "9".repeat(900);
    let odd = [
        "",
        "%00",
        "-1",
        "0",
        "1.5",
        "NaN",
        "2147483648",
        "1%27%3B%20DROP%20TABLE%20object%3B--",
        "..%2F..%2Fetc%2Fpasswd",
        "%F0%9F%98%80",
        "%FF%FE",
        "%",
        "%zz",
        "[]",
        "%7B%7D",
        "true",
        &long,
    ];
    for page in ["player_api.php", "panel_api.php", "get.php", "xmltv.php"] {
        for name in [
            "username",
            "password",
            "action",
            "category_id",
            "stream_id",
            "vod_id",
            "series_id",
            "limit",
            "type",
            "output",
            "catchup",
        ] {
            for value in odd {
                for action in ["get_vod_streams", "get_short_epg", "get_vod_info"] {
                    let target = format!(
                        "/{page}?{name}={value}&username=anna&password=pass-anna&action={action}"
                    );
                    // One name in its own place each time, and not every action for each page.
                    if page != "player_api.php" && action != "get_vod_info" {
                        continue;
                    }
                    let response = got(&server, &target, "");
                    let is_fine = matches!(response.status, 200 | 400 | 401 | 403 | 429);
                    assert!(is_fine, "{target}: {}", response.head);
                }
            }
        }
    }
    let form = "multipart/form-data; boundary=";
    for body in ["", "--", "--X", "\r\n\r\n", "--X\r\n\r\n--X"] {
        for boundary in ["", "X", "\"", ";;=", "--"] {
            let response = posted(&server, "/player_api.php", &format!("{form}{boundary}"), body);
            assert_eq!(response.status, 200, "{boundary} {body:?}");
        }
    }
    // The server is as it was.
    assert!(got(&server, &api("anna", "&action=get_live_streams"), "").text().contains("News"));
}

#[test]
fn the_config_says_by_which_name_the_server_is_reached() {
    let place = Place::new();
    let config = place.config("");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("shards = 1", "shards = 1\npublic = [\"https://tv.example.org\"]");
    std::fs::write(&config, text).unwrap();
    let server = Running::start(&mut serve(&config));
    done(&config, &["subscriber", "add", "anna"]);
    fed(&config, "anna");
    let info = got(&server, &api("anna", ""), "").json()["server_info"].clone();
    assert_eq!((&info["url"], &info["https_port"]), (&"tv.example.org".into(), &"443".into()));
    assert_eq!(info["server_protocol"], "https");
}
