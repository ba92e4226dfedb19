//! Guides of others: imported from files and addresses, merged, moved, matched; and everything that
//! is no guide, or lies where none may be fetched.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::running::{Place, Running, done, serve, until, verb};

/// The hour that it is.
fn hour() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now - now % 3600
}

/// A time as guides have it, by a tool that is not ours.
fn written(second: u64) -> String {
    let said = Command::new("date")
        .args(["-u", "+%Y%m%d%H%M%S +0000", "-d", &format!("@{second}")])
        .output()
        .unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// A guide of one channel: an hour each, from some hours from now on.
fn guide(channel: &str, name: &str, hours: std::ops::Range<i64>, title: &str) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE tv SYSTEM \"xmltv.dtd\">\n<tv>\n\
         <channel id=\"{channel}\"><display-name>{name}</display-name></channel>\n"
    );
    for at in hours {
        let start = hour().saturating_add_signed(at * 3600);
        let (start, stop) = (written(start), written(start + 3600));
        text += &format!(
            "<programme start=\"{start}\" stop=\"{stop}\" channel=\"{channel}\">\
             <title>{title} {at}</title></programme>\n"
        );
    }
    text + "</tv>\n"
}

/// What a tool makes of it.
fn by(tool: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new(tool).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let out = child.wait_with_output().unwrap().stdout;
    writing.join().unwrap().unwrap();
    out
}

/// A server with channels, and no port for encoders.
fn served(place: &Place, more: &str, channels: &[(&str, &str)]) -> (Running, PathBuf) {
    let config = place.config(more);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[server]\n", "[server]\ningest = \"off\"\n")).unwrap();
    let server = Running::start(&mut serve(&config));
    for (id, name) in channels {
        done(&config, &["channel", "add", id, "--name", name]);
    }
    (server, config)
}

/// Titles on a channel, from some hours from now on.
fn titles(config: &Path, channel: &str, from: i64, hours: u64) -> Vec<String> {
    let from = hour().saturating_add_signed(from * 3600).to_string();
    let hours = hours.to_string();
    let arguments = ["guide", "programmes", channel, "--from", &from, "--hours", &hours, "--json"];
    let told: Value = serde_json::from_str(&done(config, &arguments)).unwrap();
    let title = |of: &Value| of["title"].as_str().unwrap().to_owned();
    told["programmes"].as_array().unwrap().iter().map(title).collect()
}

#[track_caller]
fn refused(config: &Path, arguments: &[&str], why: &str) {
    let said = verb(config, arguments);
    assert!(said.code == 1 && said.err.contains(why), "{arguments:?}: {}", said.err);
}

#[test]
fn a_guide_is_imported_from_a_file_in_whatever_it_is_packed() {
    let place = Place::new();
    let folder = place.path("guides");
    std::fs::create_dir(&folder).unwrap();
    let (_server, config) =
        served(&place, "[guide]\nfolder = \"guides\"\n", &[("news", "The News")]);
    let broken = "<programme channel=\"n\" start=\"soon\"><title>x</title></programme>\n</tv>";
    let text = guide("n", "The NEWS HD", -2..3, "first").replace("</tv>", broken);
    std::fs::write(folder.join("a.xml"), text).unwrap();
    done(&config, &["guide", "add", "a", "--file", "a.xml", "--paused", "true"]);
    let shown = done(&config, &["guide", "refresh", "a"]);
    for line in ["programmes   5", "skipped      1", "line 10: a programme's start is no time"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert_eq!(titles(&config, "news", 0, 2), ["first 0", "first 1"]);
    let matched = done(&config, &["guide", "match"]);
    assert!(matched.contains("news     The News  name      0      a:n"), "{matched}");
    // The same file is not read again; another one is, whatever its name says that it is.
    assert_eq!(done(&config, &["guide", "refresh", "a"]), "a: it is what it was\n");
    for (tool, title) in [("gzip", "second"), ("xz", "third")] {
        let packed = by(tool, guide("n", "The News", 0..3, title).as_bytes());
        std::fs::write(folder.join("a.xml"), packed).unwrap();
        done(&config, &["guide", "refresh", "a"]);
        assert_eq!(titles(&config, "news", 0, 1), [format!("{title} 0")]);
    }
    assert_eq!(titles(&config, "news", -2, 2), ["first -2", "first -1"], "the past is kept");
    let listed = done(&config, &["guide", "ls"]);
    assert!(
        listed.starts_with("SOURCE  STATE") && listed.contains("\na       waiting"),
        "{listed}"
    );
    // What fails leaves what is there.
    let bomb = format!("<tv>{}</tv>", format!("<a>{}</a>", " ".repeat(4000)).repeat(10_000));
    for (bytes, why) in [
        (b"<tv>\n<programme".to_vec(), "line 2"),
        (b"<!DOCTYPE tv [<!ENTITY a \"b\">]>\n<tv>&a;</tv>".to_vec(), "DOCTYPE declares"),
        (by("gzip", bomb.as_bytes()), "that is no guide"),
        (by("xz", bomb.as_bytes()), "that is no guide"),
        (vec![b' '; 100 << 20], "a tag or a text is longer"),
        ("<a>".repeat(100).into_bytes(), "this is no XMLTV"),
        (b"<tv></tv>".to_vec(), "no programme in it"),
    ] {
        std::fs::write(folder.join("a.xml"), bytes).unwrap();
        refused(&config, &["guide", "refresh", "a"], why);
        assert_eq!(titles(&config, "news", 0, 1), ["third 0"], "{why}");
    }
    // Files lie in the folder, and nowhere else.
    std::os::unix::fs::symlink("/etc/hostname", folder.join("out.xml")).unwrap();
    done(&config, &["guide", "add", "out", "--file", "out.xml", "--paused", "true"]);
    refused(&config, &["guide", "refresh", "out"], "no file below guide.folder");
    refused(&config, &["guide", "add", "up", "--file", "../a.xml"], "file: it is no file below");
    done(&config, &["guide", "rm", "a"]);
    until("it is forgotten", || titles(&config, "news", 0, 1).is_empty());
}

/// What a path is answered with: a status, lines of a head, a body.
type Answer = (u16, Vec<String>, Vec<u8>);

/// A web server that counts what it is asked for.
struct Web {
    address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn new(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let web = Self {
            address: listener.local_addr().unwrap(),
            answers: Arc::default(),
            asked: Arc::default(),
        };
        let (answers, asked) = (Arc::clone(&web.answers), Arc::clone(&web.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let _ = answer(&stream, &answers, &asked);
            }
        });
        web
    }

    fn says(&self, path: &str, status: u16, lines: &[&str], body: impl Into<Vec<u8>>) {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        self.answers.lock().unwrap().insert(path.to_owned(), (status, lines, body.into()));
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(
    mut stream: &TcpStream,
    answers: &Mutex<BTreeMap<String, Answer>>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut conditions = Vec::new();
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        conditions.extend(line.strip_prefix("if-none-match: ").map(str::to_owned));
    }
    asked.lock().unwrap().push(format!("{path} {}", conditions.concat()).trim().to_owned());
    let found = answers.lock().unwrap().get(&path).cloned();
    let (status, lines, body) = found.unwrap_or((404, Vec::new(), Vec::new()));
    let is_same = conditions.iter().any(|tag| lines.contains(&format!("etag: {tag}")));
    let (status, body) = if is_same { (304, Vec::new()) } else { (status, body) };
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let size = body.len();
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {size}\r\n{lines}\r\n")?;
    stream.write_all(&body)
}

#[test]
fn a_guide_is_fetched_when_it_has_changed_and_from_nowhere_inside_that_is_not_allowed() {
    let (web, inside) = (Web::new("127.0.0.2"), Web::new("127.0.0.1"));
    let place = Place::new();
    let more = "[guide]\nnetworks = [\"127.0.0.2/32\"]\ndownload_max = \"1MiB\"\n";
    let (_server, config) = served(&place, more, &[("news", "News")]);
    let first = by("gzip", guide("news", "News", 0..3, "first").as_bytes());
    web.says("/a.xml", 200, &["etag: \"1\""], first);
    web.says("/moved", 302, &["location: /a.xml"], "");
    done(&config, &["guide", "add", "web", "--url", &web.url("/moved"), "--paused", "true"]);
    done(&config, &["guide", "refresh", "web"]);
    assert_eq!(titles(&config, "news", 0, 1), ["first 0"]);
    assert_eq!(web.asked(), ["/moved", "/a.xml"], "nothing was known of it");
    assert_eq!(done(&config, &["guide", "refresh", "web"]), "web: it is what it was\n");
    assert_eq!(web.asked(), ["/moved \"1\"", "/a.xml \"1\""]);
    web.says("/a.xml", 200, &["etag: \"2\""], guide("news", "News", 0..3, "second"));
    done(&config, &["guide", "refresh", "web"]);
    assert_eq!(titles(&config, "news", 0, 1), ["second 0"]);
    web.says("/large", 200, &[], vec![b' '; 2 << 20]);
    web.says("/none", 500, &[], "");
    web.says("/round", 302, &["location: /round"], "");
    web.says("/in", 307, &[&format!("location: {}", inside.url("/secret"))], "");
    web.says("/file", 302, &["location: file:///etc/passwd"], "");
    inside.says("/secret", 200, &[], guide("news", "News", 0..3, "secret"));
    let loopback = format!("http://[::ffff:127.0.0.1]:{}/secret", inside.address.port());
    let named = format!("http://localhost:{}/secret", inside.address.port());
    for (url, why) in [
        (web.url("/large"), "more than 1048576 bytes"),
        (web.url("/none"), "status 500"),
        (web.url("/round"), "redirected more than 3 times"),
        (web.url("/file"), "redirected, and there it is no URL"),
        (web.url("/in"), "127.0.0.1, which is inside"),
        (inside.url("/secret"), "127.0.0.1, which is inside"),
        (loopback, "127.0.0.1, which is inside"),
        (named, "which is inside"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "169.254.169.254, which is inside"),
        ("http://0.0.0.0:80/".to_owned(), "0.0.0.0, which is inside"),
        ("http://[fd00::1]/".to_owned(), "fd00::1, which is inside"),
    ] {
        done(&config, &["guide", "set", "web", "--url", &url]);
        refused(&config, &["guide", "refresh", "web"], why);
        assert_eq!(titles(&config, "news", 0, 1), ["second 0"], "{url}");
    }
    assert_eq!(inside.asked(), [""; 0], "nobody inside was asked");
    refused(&config, &["guide", "set", "web", "--url", "file:///etc/passwd"], "url: it is no");
}

#[test]
fn sources_are_merged_channels_are_moved_and_what_is_alike_waits_for_somebody() {
    let place = Place::new();
    let folder = place.path("guides");
    std::fs::create_dir(&folder).unwrap();
    let channels = [("news", "News"), ("nord", "Das Erste (Nord)")];
    let (server, config) = served(&place, "[guide]\nfolder = \"guides\"\n", &channels);
    std::fs::write(folder.join("a.xml"), guide("NEWS", "x", 1..3, "best")).unwrap();
    std::fs::write(folder.join("b.xml"), guide("b", "News", 0..5, "other")).unwrap();
    std::fs::write(folder.join("c.xml"), guide("erste", "Das Erste", 0..2, "erste")).unwrap();
    for (id, order) in [("b", "2"), ("a", "1"), ("c", "3")] {
        let file = format!("{id}.xml");
        done(&config, &["guide", "add", id, "--file", &file, "--order", order]);
        done(&config, &["guide", "refresh", id]);
    }
    let merged = ["other 0", "best 1", "best 2", "other 3", "other 4"];
    assert_eq!(titles(&config, "news", 0, 9), merged);
    done(&config, &["guide", "set", "b", "--order", "0"]);
    assert_eq!(titles(&config, "news", 0, 9), [0, 1, 2, 3, 4].map(|at| format!("other {at}")));
    done(&config, &["guide", "match", "news", "--shift", "60"]);
    assert_eq!(titles(&config, "news", 0, 2), ["other 0"]);
    done(&config, &["guide", "match", "news", "--xmltv", "news", "--source", "a"]);
    assert_eq!(titles(&config, "news", 0, 9), ["best 1", "best 2"]);
    done(&config, &["guide", "match", "news", "--off"]);
    assert!(titles(&config, "news", 0, 9).is_empty());
    done(&config, &["guide", "match", "news", "--auto", "--shift", "0"]);
    assert_eq!(titles(&config, "news", 0, 1), ["other 0"]);
    // What is only alike is proposed, and nothing comes of it by itself.
    let unmatched = done(&config, &["guide", "match", "--unmatched"]);
    assert!(unmatched.contains("c:erste?") && !unmatched.contains("news"), "{unmatched}");
    assert!(titles(&config, "nord", 0, 9).is_empty());
    done(&config, &["guide", "match", "nord", "--accept"]);
    assert_eq!(titles(&config, "nord", 0, 9), ["erste 0", "erste 1"]);
    refused(&config, &["guide", "match", "nord", "--accept"], "nothing is proposed");
    // All of it is there after a start.
    server.signal("KILL");
    server.ended();
    let _server = Running::start(&mut serve(&config));
    until("it is read again", || titles(&config, "nord", 0, 9) == ["erste 0", "erste 1"]);
    assert_eq!(titles(&config, "news", 0, 1), ["other 0"]);
    let sources: Vec<Value> = done(&config, &["guide", "ls", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<_> = sources.iter().map(|source| source["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["b", "a", "c"], "in the order in which they count");
    assert!(sources.iter().all(|source| source["next_at"].as_u64() > source["looked_at"].as_u64()));
}

#[test]
fn what_was_imported_is_told_to_apps_by_xmltv_and_by_the_api() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let place = Place::new();
    let folder = place.path("guides");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.xml"), guide("news", "News", -2..30, "Title &amp; more"))
        .unwrap();
    let more = format!("[guide]\nfolder = \"{}\"\n", folder.display());
    let (server, config) = served(&place, &more, &[("news", "News")]);
    for line in [
        "bouquet add all --name All --content tv/news",
        "plan add gold --name Gold --bouquet all",
        "subscriber add anna --plan gold",
    ] {
        done(&config, &line.split(' ').collect::<Vec<_>>());
    }
    let told = done(&config, &["subscriber", "password", "add", "anna", "--json"]);
    let password: Value = serde_json::from_str(&told).unwrap();
    let password = password["password"].as_str().unwrap();
    let number = done(&config, &["channel", "show", "news", "--json"]);
    let number = serde_json::from_str::<Value>(&number).unwrap()["number"].as_u64().unwrap();
    done(&config, &["guide", "add", "a", "--file", "a.xml", "--paused", "true"]);
    done(&config, &["guide", "refresh", "a"]);
    let body = |path: &str| {
        let whole = server.public_get(&format!("{path}username=anna&password={password}"));
        whole.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    };
    let is_told = |text: &str| text.contains("<title>Title &amp; more 3</title>");
    until("the guide is told", || is_told(&body("/xmltv.php?")));
    let guide = body("/xmltv.php?");
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let read = roxmltree::Document::parse_with_options(&guide, options).unwrap();
    let programmes = read.descendants().filter(|of| of.has_tag_name("programme"));
    let first = programmes.clone().next().unwrap();
    assert_eq!(first.attribute("channel"), Some("news"));
    // Without catch-up nothing is told of the past, and what is on began with the hour.
    assert!(first.attribute("start") <= Some(written(hour()).as_str()));
    assert!((30..=31).contains(&programmes.count()), "{guide}");

    let api = format!("/player_api.php?action=get_short_epg&limit=2&stream_id={number}&");
    let listings: Value = serde_json::from_str(&body(&api)).unwrap();
    let listings = listings["epg_listings"].as_array().unwrap();
    let title = |of: &Value| STANDARD.decode(of["title"].as_str().unwrap()).unwrap();
    let at = |of: &Value| of["start_timestamp"].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(listings.len(), 2);
    assert_eq!(at(&listings[1]), at(&listings[0]) + 3600);
    assert!(title(&listings[0]).starts_with(b"Title & more"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((now - 3700..=now).contains(&at(&listings[0])), "it is on");
}
