//! Who is not let in, or not so far.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::running::{Place, Running, serve, until};
use super::{Client, PASSWORD, add, with_olga};

#[test]
fn what_a_page_of_somebody_elses_sends_is_refused() {
    let place = Place::new();
    let (server, _) = with_olga(&place);
    let client = Client::new(&server);
    let olga = client.signed_in("olga");
    let own = format!("http://{}", server.admin);
    let plan = json!({ "id": "gold", "name": "Gold" });
    for (name, value, why) in [
        ("X-CSRF-Token", None, "403 X-CSRF-Token: it is missing, or not this session's"),
        ("X-CSRF-Token", Some("x"), "403 X-CSRF-Token: it is missing, or not this session's"),
        ("Origin", Some("http://evil.example"), "403 Origin: this comes of a page elsewhere"),
        ("Origin", Some("null"), "403 Origin: this comes of a page elsewhere"),
        ("Sec-Fetch-Site", Some("cross-site"), "403 Origin: this comes of a page elsewhere"),
        ("Sec-Fetch-Site", Some("same-site"), "403 Origin: this comes of a page elsewhere"),
        ("Cookie", None, "401 sign in, or send a key of the API"),
    ] {
        let answer = olga.with(name, value).post("/api/v1/plans", plan.clone());
        assert_eq!(answer.says(), why, "{name} {value:?}");
    }
    let other = client.signed_in("olga");
    let token = other.lines.iter().find(|(name, _)| *name == "X-CSRF-Token").unwrap();
    let answer = olga.with(token.0, Some(&token.1)).post("/api/v1/plans", plan.clone());
    assert_eq!(answer.status, 403, "the token of another session");
    for path in ["login", "setup"] {
        let evil = client.with("Origin", Some("http://evil.example"));
        let login = json!({ "user": "olga", "password": PASSWORD });
        assert_eq!(evil.post(&format!("/api/v1/{path}"), login).status, 403);
    }
    let form = client.with("Content-Type", Some("text/plain"));
    assert_eq!(form.ask("POST", "/api/v1/login", &Value::Null).status, 415);
    let olga = olga.with("Origin", Some(&own)).with("Sec-Fetch-Site", Some("same-origin"));
    assert_eq!(olga.post("/api/v1/plans", plan).status, 201);
    let read = olga.with("X-CSRF-Token", None).get("/api/v1/plans/gold");
    assert_eq!(read.status, 200, "nothing is changed by reading");
    assert_eq!(read.line("access-control-allow-origin"), None);
}

#[test]
fn a_port_that_is_called_by_another_name_signs_in_nobody() {
    let place = Place::new();
    let config = place.config("[admin]\nhosts = [\"tv.example.org\"]\n");
    let server = Running::start(&mut serve(&config));
    add(&place, &config, "olga", "owner");
    let client = Client::new(&server);
    for (host, status) in [
        ("evil.example:8081", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost:1", 200),
        ("[::1]:8081", 200),
        ("TV.example.org", 200),
    ] {
        let client = client.with("Host", Some(host));
        assert_eq!(client.login("olga", PASSWORD, None).status, status, "{host}");
        let olga = Client::new(&server).signed_in("olga").with("Host", Some(host));
        assert_eq!(olga.get("/api/v1/plans").status, status, "{host}");
        // Scrapers call it as they like; there is nothing to be had.
        assert_eq!(client.get("/healthz").status, 200);
    }
}

#[test]
fn a_role_may_do_what_it_is_there_for_and_nothing_else() {
    let place = Place::new();
    let (server, config) = with_olga(&place);
    let client = Client::new(&server);
    let plan = json!({ "name": "Gold" });
    // What they may: channels, read, subscribers, content, sessions, tokens, keys, administrators.
    for (role, may) in [
        ("owner", [true, true, true, true, true, true, true, true]),
        ("operator", [true, true, true, true, true, true, true, false]),
        ("support", [true, true, true, false, true, true, false, false]),
        ("viewer", [true, true, false, false, false, false, false, false]),
        ("ingest", [true, false, false, false, false, false, false, false]),
    ] {
        let id = format!("the-{role}");
        add(&place, &config, &id, role);
        let person = client.signed_in(&id);
        let answers = [
            person.get("/api/v1/channels"),
            person.get("/api/v1/subscribers"),
            person.ask("PUT", "/api/v1/subscribers/anna", &json!({})),
            person.ask("PUT", "/api/v1/plans/gold", &plan),
            person.ask("DELETE", "/api/v1/sessions/00", &Value::Null),
            person.post("/api/v1/tokens", json!({})),
            person.post("/api/v1/keys/rotate", json!({ "force": true })),
            person.get("/api/v1/admins"),
        ];
        for (index, (answer, may)) in answers.iter().zip(may).enumerate() {
            let is_refused = answer.says().starts_with("403 this takes the scope ");
            assert_eq!(is_refused, !may, "{role} {index}: {}", answer.says());
        }
        let restored = person.post("/api/v1/restore", json!({ "file": "x" }));
        assert_eq!(restored.status, if role == "owner" { 400 } else { 403 }, "{role}");
        let restored = person.post("/api/v1/restore", json!({ "file": "restore-1.db" }));
        assert_eq!(restored.status, if role == "owner" { 404 } else { 403 }, "{role}");
        let itself =
            person.ask("PATCH", &format!("/api/v1/admins/{id}"), &json!({ "role": "owner" }));
        assert_eq!(itself.status, if role == "owner" { 200 } else { 403 }, "{role}");
    }
}

#[test]
fn failures_at_one_address_hold_up_nobody_at_another() {
    let place = Place::new();
    let (server, _) = with_olga(&place);
    let eve = Client::from(server.admin, 2);
    let mut statuses = Vec::new();
    let last = loop {
        let answer = eve.login("olga", "wrong password", None);
        statuses.push(answer.status);
        if answer.status != 401 || statuses.len() > 20 {
            break answer;
        }
    };
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    assert!(last.says().starts_with("429 this failed too often from here: wait "));
    let seconds: u64 = last.line("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    let seen = server.says("operators");
    assert_eq!((&seen["event"], &seen["user"]), (&json!("admin-made"), &json!("olga")));
    let failed = server.says("operators");
    assert_eq!(failed["target"], "security");
    assert_eq!(
        (&failed["event"], &failed["address"]),
        (&json!("login-failed"), &json!("127.0.0.2"))
    );
    // The right one is held up there, too, and nowhere else.
    assert_eq!(eve.login("olga", PASSWORD, None).status, 429);
    assert_eq!(Client::from(server.admin, 3).login("olga", PASSWORD, None).status, 200);
    until("the time is over", || eve.login("olga", PASSWORD, None).status == 200);
    for _ in 0..5 {
        assert_eq!(eve.login("olga", "wrong password", None).status, 401, "counted anew");
    }
    // A name may be anything; a line of the log stays one.
    eve.login("eve\n\u{1b}[2J\" client: 192.0.2.1", "x", None);
    let forged = loop {
        let line = server.says("operators");
        if line["user"].as_str().is_some_and(|user| user.starts_with("eve")) {
            break line;
        }
    };
    assert_eq!(forged["user"], "eve\\n\\u{1b}[2J\\\" client: 192.0.2.1");
    assert_eq!(forged["address"], "127.0.0.2");
}

/// 29 addresses try passwords as fast as they are answered. What it costs players is for
/// `shardcast-bench storm` to measure beside such a flood.
#[test]
fn a_flood_of_sign_ins_keeps_neither_operators_nor_players_out() {
    let place = Place::new();
    let (server, _) = with_olga(&place);
    let (is_over, tried) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for first in 0..4 {
            let (admin, is_over, tried) = (server.admin, &is_over, &tried);
            scope.spawn(move || {
                for round in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let client = Client::from(admin, 2 + first * 7 + round % 7);
                    let status =
                        client.login(&format!("user{round}"), "wrong password", None).status;
                    assert!(matches!(status, 401 | 429 | 503), "{status}");
                    tried.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        until("it is a flood", || tried.load(Ordering::Relaxed) > 200);
        for last in 101..106 {
            let began = Instant::now();
            let olga = Client::from(server.admin, last).signed_in("olga");
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
            assert_eq!(olga.get("/api/v1/plans").status, 200);
            let segment = server.public_get("/vod/library/a.ts");
            assert!(segment.starts_with("HTTP/1.1 200 ") && segment.len() > 4 << 20);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_password_again_is_enough_for_what_is_dangerous() {
    let place = Place::new();
    let (server, _) = with_olga(&place);
    let client = Client::new(&server);
    let olga = client.signed_in("olga");
    assert_eq!(olga.get("/api/v1/session").body["is_fresh"], true);
    let wrong = olga.post("/api/v1/step-up", json!({ "password": "wrong" }));
    assert_eq!(wrong.says(), "401 user, password or code is wrong");
    let proof = json!({ "password": PASSWORD });
    let forged = olga.with("X-CSRF-Token", None);
    assert_eq!(forged.post("/api/v1/step-up", proof.clone()).status, 403);
    let again = olga.post("/api/v1/step-up", proof);
    let fresh = again.session(&client);
    assert_eq!(olga.get("/api/v1/session").status, 401, "it is another session");
    assert_eq!(fresh.post("/api/v1/keys/rotate", json!({ "force": true })).status, 200);
}
