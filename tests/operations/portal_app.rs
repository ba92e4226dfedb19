//! What the portal's pages ask of the server: who is let in, by what, and what keeps others out.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::running::{PATIENCE, Place, Running, done, serve, until};

const PASSWORD: &str = "seven quiet lanterns 31";

/// A server with a film, and Anna, who has an app password and a portal password.
struct Station {
    place: Place,
    config: PathBuf,
    server: Running,
    app: String,
}

impl Station {
    fn new(of_server: &str) -> Self {
        let place = Place::new();
        let config = place.config("");
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.replace("access = \"open\"\n", &format!("access = \"token\"\n{of_server}"));
        std::fs::write(&config, text).unwrap();
        let server = Running::start(&mut serve(&config));
        done(&config, &["bouquet", "add", "all", "--name", "All", "--content", "vod/library"]);
        done(&config, &["plan", "add", "all", "--name", "All", "--bouquet", "all"]);
        done(&config, &["subscriber", "add", "Anna", "--plan", "all"]);
        let given = json!({ "name": "tv", "password": "kitchen-radio-47" }).to_string();
        place.socket_ask("POST", "/api/v1/subscribers/Anna/app-passwords", &given);
        let set = json!({ "password": PASSWORD }).to_string();
        place.socket_ask("PUT", "/api/v1/subscribers/Anna/portal-password", &set);
        Self { place, config, server, app: "kitchen-radio-47".to_owned() }
    }

    fn ask(&self, method: &str, path: &str, lines: &[&str], body: &Value) -> Answer {
        let mut stream = TcpStream::connect(self.server.public).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let size = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: tv.example\r\nConnection: close\r\nContent-Type: \
             application/json\r\n{lines}Content-Length: {size}\r\n\r\n{body}"
        )
        .unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let response = String::from_utf8_lossy(&response).into_owned();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        Answer { status, head: head.to_owned(), body }
    }

    fn claim(&self, lines: &[&str], user: &str, password: &str) -> Answer {
        let claim = json!({ "user": user, "password": password });
        self.ask("POST", "/api/v1/session", lines, &claim)
    }

    /// Somebody who is signed in.
    fn signed_in(&self, password: &str) -> Visitor<'_> {
        let answer = self.claim(&[], "Anna", password);
        assert_eq!(answer.status, 204, "{}", answer.head);
        self.with(&answer)
    }

    /// Whoever was given a cookie in this answer.
    fn with(&self, answer: &Answer) -> Visitor<'_> {
        let cookie = answer.line("set-cookie").unwrap();
        let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
        let session = self.ask("GET", "/api/v1/session", &[&cookie], &Value::Null);
        assert_eq!(session.status, 200, "{}", session.head);
        let token = format!("X-CSRF-Token: {}", session.body["token"].as_str().unwrap());
        Visitor { station: self, cookie, token }
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn line(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (of, value) = line.split_once(": ")?;
            of.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

struct Visitor<'s> {
    station: &'s Station,
    cookie: String,
    token: String,
}

impl Visitor<'_> {
    fn get(&self, path: &str) -> Answer {
        self.station.ask("GET", &format!("/api/v1/{path}"), &[&self.cookie], &Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let lines = [self.cookie.as_str(), &self.token];
        self.station.ask("POST", &format!("/api/v1/{path}"), &lines, body)
    }
}

#[test]
fn a_right_password_gives_a_strict_cookie_and_a_wrong_one_looks_like_nobody() {
    let station = Station::new("");
    assert_eq!(station.ask("GET", "/api/v1/session", &[], &Value::Null).status, 401);
    let right = station.claim(&[], "Anna", &station.app);
    assert_eq!(right.status, 204);
    let cookie = right.line("set-cookie").unwrap();
    assert!(cookie.starts_with("shardcast-portal="), "{cookie}");
    for rule in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(rule), "{cookie}");
    }
    let wrong = station.claim(&[], "Anna", "wrong");
    let nobody = station.claim(&[], "Bela", "wrong");
    assert_eq!((wrong.status, wrong.body["reason"].as_str()), (401, Some("wrong")));
    assert_eq!((wrong.status, &wrong.body), (nobody.status, &nobody.body));
    let [of_app, of_portal] = [&station.app, PASSWORD].map(|password| station.signed_in(password));
    assert_eq!(of_app.get("session").body["app"], "tv");
    assert_eq!(of_portal.get("session").body["proved"], true);
    assert_eq!(of_portal.post("session/end", &Value::Null).status, 204);
    assert_eq!(of_portal.get("session").status, 401);
    assert_eq!(of_app.get("session").status, 200);
}

#[test]
fn what_changes_something_takes_the_sessions_token_and_comes_of_no_other_page() {
    let station = Station::new("");
    let anna = station.signed_in(&station.app);
    let body = json!({ "favourites": ["tv/news"] });
    let ask = |lines: &[&str]| station.ask("POST", "/api/v1/preferences", lines, &body).status;
    let (cookie, token) = (anna.cookie.as_str(), anna.token.as_str());
    assert_eq!(ask(&[cookie]), 403, "without a token");
    assert_eq!(ask(&[cookie, "X-CSRF-Token: AAAAAAAAAAAAAAAAAAAAAA"]), 403);
    assert_eq!(ask(&[cookie, token, "Origin: https://evil.example"]), 403);
    assert_eq!(ask(&[cookie, token, "Sec-Fetch-Site: cross-site"]), 403);
    assert_eq!(ask(&[token]), 401, "without a session");
    assert_eq!(ask(&[cookie, token, "Origin: http://tv.example"]), 204);
    assert_eq!(anna.get("preferences").body["preferences"]["favourites"], json!(["tv/news"]));
    // Nor does another page sign anybody in (RFC 6265bis, 8.8.2).
    let forged = station.claim(&["Origin: https://evil.example"], "Anna", &station.app);
    assert_eq!(forged.status, 403);
    let form = station.ask("POST", "/api/v1/session", &["Host: other.example"], &Value::Null);
    assert_eq!(form.status, 400, "two hosts");
}

#[test]
fn nobody_signs_in_over_plain_http_unless_a_trusted_proxy_says_that_it_was_tls() {
    let station = Station::new("trusted_proxies = [\"127.0.0.1\"]\n");
    let client = "X-Forwarded-For: 192.0.2.7";
    let plain = station.claim(&[client], "Anna", &station.app);
    assert_eq!((plain.status, plain.body["reason"].as_str()), (403, Some("plain-http")));
    let http = station.claim(&[client, "X-Forwarded-Proto: http"], "Anna", &station.app);
    assert_eq!(http.status, 403);
    let tls = station.claim(&[client, "X-Forwarded-Proto: https"], "Anna", &station.app);
    assert_eq!(tls.status, 204, "{}", tls.head);
    let cookie = tls.line("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-shardcast-portal=") && cookie.ends_with("; Secure"));
    // Who is no trusted proxy has no say in it.
    let open = Station::new("");
    let said = open.claim(&["X-Forwarded-Proto: https"], "Anna", &open.app);
    assert!(said.line("set-cookie").unwrap().starts_with("shardcast-portal="));
}

#[test]
fn who_guesses_has_to_wait() {
    let station = Station::new("");
    let statuses: Vec<_> =
        (0..8).map(|at| station.claim(&[], "Anna", &format!("guess {at}")).status).collect();
    assert_eq!(statuses[..5], [401; 5]);
    assert!(statuses[5..].contains(&429), "{statuses:?}");
    let held = station.claim(&[], "Anna", &station.app);
    assert_eq!(held.status, 429, "also what is right");
    assert!(held.line("retry-after").is_some());
}

#[test]
fn a_television_is_signed_in_once_by_a_code_that_is_confirmed() {
    let station = Station::new("");
    let shown = station.ask("POST", "/api/v1/tv-codes", &["User-Agent: Tizen"], &Value::Null);
    assert_eq!(shown.status, 201);
    let (code, secret) = (&shown.body["code"], json!({ "secret": shown.body["secret"] }));
    let fetch = || station.ask("POST", "/api/v1/tv-codes/fetch", &[], &secret);
    assert_eq!(fetch().status, 202);
    let anna = station.signed_in(&station.app);
    let code = json!({ "code": code.as_str().unwrap().to_lowercase() });
    assert_eq!(anna.post("tv-codes/look", &code).body["agent"], "Tizen");
    let without = station.ask("POST", "/api/v1/tv-codes/confirm", &[], &code);
    assert_eq!(without.status, 401, "somebody has to be signed in");
    assert_eq!(anna.post("tv-codes/confirm", &code).status, 204);
    assert_eq!(anna.post("tv-codes/confirm", &code).status, 404, "once");
    let fetched = fetch();
    assert_eq!(fetched.status, 204);
    assert_eq!(station.with(&fetched).get("session").body["user"], "Anna");
    assert_eq!(fetch().status, 410, "once");
    let guessed = (0..11).map(|_| anna.post("tv-codes/look", &json!({ "code": "BBBBBBBB" })));
    let guessed: Vec<_> = guessed.map(|answer| answer.status).collect();
    assert!(guessed.starts_with(&[404; 9]) && guessed.ends_with(&[429]), "{guessed:?}");
}

#[test]
fn an_account_is_changed_behind_the_portal_password_alone() {
    let station = Station::new("");
    let anna = station.signed_in(&station.app);
    let bedroom = json!({ "name": "bedroom" });
    let refused = anna.post("account/apps", &bedroom);
    assert_eq!((refused.status, refused.body["reason"].as_str()), (403, Some("prove")));
    let by_app = anna.post("session/prove", &json!({ "password": station.app }));
    assert_eq!(by_app.status, 401, "an app password proves nothing");
    let proved = anna.post("session/prove", &json!({ "password": PASSWORD }));
    assert_eq!(proved.status, 204);
    let made = anna.post("account/apps", &bedroom);
    assert_eq!(made.status, 201);
    let password = made.body["password"].as_str().unwrap().to_owned();
    let other = station.signed_in(&password);
    assert_eq!(other.get("session").body["app"], "bedroom");
    assert_eq!(anna.post("account/apps/remove", &bedroom).status, 204);
    assert_eq!(other.get("session").status, 401, "it is over with its password");
    let audited = done(&station.config, &["audit", "ls", "--json"]);
    assert!(audited.contains("subscriber:Anna"), "{audited}");
    let soon = anna.post("account/password", &json!({ "password": "password1" }));
    assert_eq!((soon.status, soon.body["reason"].as_str()), (400, Some("unfit")));
}

#[test]
fn a_token_of_the_portal_opens_what_the_plan_holds_and_its_session_is_ended_by_its_owner() {
    let station = Station::new("");
    let anna = station.signed_in(&station.app);
    let played = anna.post("play", &Value::Null);
    let path = played.body["path"].as_str().unwrap().to_owned();
    let film = format!("{path}vod/library/a.m3u8");
    until("the plan is known", || station.server.public_get(&film).contains(" 200 "));
    let running = || anna.get("sessions").body["sessions"].clone();
    until("the session is told", || running().as_array().is_some_and(|all| all.len() == 1));
    let session = running()[0].clone();
    assert_eq!(session["own"], true);
    let id = session["id"].as_str().unwrap();
    assert_eq!(anna.post("sessions/0000000000000000/end", &Value::Null).status, 404);
    assert_eq!(anna.post(&format!("sessions/{id}/end"), &Value::Null).status, 204);
    until("it is ended", || station.server.public_get(&film).contains("session-kicked"));
}

#[test]
fn who_is_signed_in_stays_so_over_a_restart_and_positions_too() {
    let mut station = Station::new("");
    let (cookie, token) = {
        let anna = station.signed_in(&station.app);
        let lot = json!({ "positions": [
            { "content": "vod/library", "seconds": 90, "duration": 600 },
            { "content": "vod/seen", "seconds": 599, "duration": 600 },
        ] });
        assert_eq!(anna.post("positions", &lot).status, 204);
        // What is read is written.
        let told = anna.get("positions").body["positions"].clone();
        assert_eq!(told.as_array().unwrap().len(), 1, "what was seen to its end is over");
        assert_eq!(told[0]["seconds"], 90);
        let wrong = json!({ "positions": [{ "content": "tv/a", "seconds": 1, "duration": 2 }] });
        assert_eq!(anna.post("positions", &wrong).status, 400);
        (anna.cookie, anna.token)
    };
    station.server.signal("TERM");
    let next = Running::start(&mut serve(&station.config));
    std::mem::replace(&mut station.server, next).ended();
    let anna = Visitor { station: &station, cookie, token };
    assert_eq!(anna.get("session").body["user"], "Anna");
    assert_eq!(anna.get("positions").body["positions"][0]["seconds"], 90);
    let file = std::fs::read(station.place.path("state/portal.db")).unwrap();
    let id = anna.cookie.split_once('=').unwrap().1.as_bytes();
    assert!(!file.windows(id.len()).any(|window| window == id), "ids are kept as hashes");
}

#[test]
fn the_page_may_load_nothing_of_others() {
    let station = Station::new("");
    let page = station.ask("GET", "/portal/", &["Accept-Encoding: gzip"], &Value::Null);
    assert!(matches!(page.status, 200 | 503), "{}", page.head);
    if page.status == 200 {
        let policy = page.line("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.line("cache-control"), Some("no-cache"));
        assert!(page.line("etag").is_some());
    }
    assert_eq!(station.ask("GET", "/portal/nothing.js", &[], &Value::Null).status, 404);
    assert_eq!(station.ask("GET", "/api/v1/nothing", &[], &Value::Null).status, 404);
}
