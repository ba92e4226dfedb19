//! How people come in, prove who they are, and go.

use serde_json::{Value, json};

use super::super::running::{Place, Running, done, serve, verb};
use super::{Client, PASSWORD, add, code, with_olga};

const WRONG: &str = "401 user, password or code is wrong";

#[test]
fn a_set_up_link_makes_the_first_owner_and_is_used_up() {
    let place = Place::new();
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    let link = server.set_up.clone().expect("a link");
    let (page, token) = link.split_once("#token=").unwrap();
    assert_eq!(page, format!("http://{}/admin/setup", server.admin));
    let client = Client::new(&server);
    for path in ["/admin/setup", "/admin/setup.js", "/admin/setup.css"] {
        let shown = client.get(path);
        assert_eq!(shown.status, 200, "{path}");
        let policy = shown.line("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    }
    // There is nobody, so there is no password that comes with the program.
    for (user, password) in [("admin", "admin"), ("root", ""), ("olga", PASSWORD)] {
        assert_eq!(client.login(user, password, None).says(), WRONG);
    }
    let set_up = |token: &str, user: &str, password: &str| {
        let first = json!({ "token": token, "user": user, "password": password });
        client.post("/api/v1/setup", first)
    };
    let refused = set_up(&token[1..], "olga", PASSWORD);
    assert!(refused.says().starts_with("403 token: it was used, or is too old"));
    assert!(set_up(token, "Olga", PASSWORD).says().starts_with("400 user: \"Olga\" is no id"));
    // A password that is not taken uses up nothing.
    assert!(set_up(token, "olga", "shardcast1").says().starts_with("400 password: it is soon"));
    let made = set_up(token, "olga", PASSWORD);
    assert_eq!((made.status, &made.body["role"]), (201, &json!("owner")), "{}", made.says());
    let olga = made.session(&client);
    assert_eq!(olga.get("/api/v1/session").body["user"], "olga");
    assert!(set_up(token, "eve", PASSWORD).says().starts_with("403 token: "));
    assert_eq!(done(&config, &["admin", "ls"]).lines().count(), 2);
    drop(server);
    let server = Running::start(&mut serve(&config));
    assert_eq!(server.set_up, None, "there is an administrator");
    assert_eq!(Client::new(&server).signed_in("olga").get("/api/v1/session").status, 200);
}

#[test]
fn a_session_is_a_strict_cookie_with_a_new_id_each_time() {
    let place = Place::new();
    let (server, _) = with_olga(&place);
    let client = Client::new(&server);
    let first = client.login("olga", PASSWORD, None);
    let cookie = first.line("set-cookie").unwrap();
    let (pair, rest) = cookie.split_once(';').unwrap();
    assert_eq!(rest, " HttpOnly; SameSite=Strict; Path=/");
    assert_eq!(pair.strip_prefix("shardcast=").unwrap().len(), 43, "256 bits in base64");
    let olga = first.session(&client);
    // Who signs in again with a session gets another one, and the old one is over.
    let second = olga.login("olga", PASSWORD, None);
    assert_ne!(second.line("set-cookie"), first.line("set-cookie"));
    assert_eq!(olga.get("/api/v1/session").status, 401);
    let olga = second.session(&client);
    let told = olga.get("/api/v1/session");
    assert_eq!(told.body["csrf_token"], second.body["csrf_token"]);
    assert_eq!(told.line("cache-control"), Some("no-store"));
    // An id that somebody made up begins nothing.
    let made_up = client.with("Cookie", Some("shardcast=x")).login("olga", PASSWORD, None);
    assert!(!made_up.line("set-cookie").unwrap().starts_with("shardcast=x;"));
    let out = olga.post("/api/v1/logout", Value::Null);
    assert_eq!(out.status, 204);
    assert!(out.line("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(olga.get("/api/v1/session").says(), "401 sign in, or send a key of the API");
    assert_eq!(
        olga.get("/api/v1/plans").line("www-authenticate"),
        Some("Bearer realm=\"shardcast\"")
    );
}

#[test]
fn whoever_has_a_second_factor_signs_in_with_it_and_with_each_code_once() {
    let place = Place::new();
    let (server, config) = with_olga(&place);
    let client = Client::new(&server);
    let olga = client.signed_in("olga");
    let other = client.signed_in("olga");
    let early = olga.post("/api/v1/session/factor/confirm", json!({ "code": "000000" }));
    assert!(early.says().starts_with("409 no second factor is being set up"), "{}", early.says());
    let enrolled = olga.post("/api/v1/session/factor", Value::Null);
    let secret = enrolled.body["secret"].as_str().unwrap().to_owned();
    let address = enrolled.body["address"].as_str().unwrap();
    assert_eq!(address, format!("otpauth://totp/shardcast:olga?secret={secret}&issuer=shardcast"));
    // It is none before a code of it was shown.
    assert_eq!(client.login("olga", PASSWORD, None).status, 200);
    let wrong = olga.post("/api/v1/session/factor/confirm", json!({ "code": "12345" }));
    assert!(wrong.says().starts_with("400 code: it is not the one"), "{}", wrong.says());
    // The one of the step before, so that others are left for what follows.
    let first = code(&secret, -1);
    let confirmed = olga.post("/api/v1/session/factor/confirm", json!({ "code": first }));
    let recovery = confirmed.body["recovery_codes"].as_array().unwrap().clone();
    assert_eq!((confirmed.status, recovery.len()), (200, 10));
    assert_eq!(other.get("/api/v1/session").status, 401, "the other sessions are over");
    assert_eq!(olga.get("/api/v1/session").body["factor"], true, "this one goes on");
    let without = client.login("olga", PASSWORD, None);
    assert_eq!((without.status, &without.body["code_required"]), (401, &json!(true)));
    assert_eq!(client.login("olga", "wrong", None).body["code_required"], Value::Null);
    assert_eq!(client.login("olga", PASSWORD, Some(&first)).says(), WRONG, "it was used");
    let now = code(&secret, 0);
    assert_eq!(client.login("olga", PASSWORD, Some(&now)).status, 200);
    assert_eq!(client.login("olga", PASSWORD, Some(&now)).says(), WRONG, "it was used");
    assert_eq!(client.login("olga", PASSWORD, Some(&code(&secret, 5))).says(), WRONG);
    // The used step is kept over a restart, and so is the factor.
    server.signal("KILL");
    server.ended();
    let server = Running::start(&mut serve(&config));
    let client = Client::new(&server);
    assert_eq!(client.login("olga", PASSWORD, Some(&now)).says(), WRONG);
    let recovery = recovery[3].as_str().unwrap();
    let typed = recovery.to_uppercase().replace('-', " ");
    let olga = client.login("olga", PASSWORD, Some(&typed)).session(&client);
    assert_eq!(olga.get("/api/v1/session").body["recovery_codes"], 9);
    assert_eq!(client.login("olga", PASSWORD, Some(recovery)).says(), WRONG, "it was used");
    let made = olga.post("/api/v1/session/recovery-codes", Value::Null);
    assert_eq!(made.body["recovery_codes"].as_array().unwrap().len(), 10);
    // Nothing of it lies in the registry as it is.
    let file = std::fs::read(place.path("state/registry.db")).unwrap();
    let log = std::fs::read(place.path("state/registry.db-wal")).unwrap_or_default();
    for secret in [secret.as_str(), recovery, PASSWORD] {
        let lies_in =
            |bytes: &[u8]| bytes.windows(secret.len()).any(|some| some == secret.as_bytes());
        assert!(!lies_in(&file) && !lies_in(&log), "{secret}");
    }
    done(&config, &["admin", "reset-factor", "olga"]);
    assert_eq!(olga.get("/api/v1/session").status, 401, "out at once");
    assert_eq!(client.login("olga", PASSWORD, None).status, 200);
}

#[test]
fn a_code_that_two_send_at_once_lets_in_one_of_them() {
    let place = Place::new();
    let (server, _) = with_olga(&place);
    let client = Client::new(&server);
    let olga = client.signed_in("olga");
    let enrolled = olga.post("/api/v1/session/factor", Value::Null);
    let secret = enrolled.body["secret"].as_str().unwrap();
    let first = json!({ "code": code(secret, -1) });
    assert_eq!(olga.post("/api/v1/session/factor/confirm", first).status, 200);
    let now = code(secret, 0);
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let login = |last| {
            let (client, now) = (Client::from(server.admin, last), &now);
            scope.spawn(move || client.login("olga", PASSWORD, Some(now)).status)
        };
        let all: Vec<_> = (2..6).map(login).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3, "{statuses:?}");
}

#[test]
fn another_password_ends_the_other_sessions() {
    let place = Place::new();
    let (server, config) = with_olga(&place);
    let client = Client::new(&server);
    let (olga, other) = (client.signed_in("olga"), client.signed_in("olga"));
    let new = |password: &str| {
        let new = json!({ "current": PASSWORD, "password": password });
        olga.post("/api/v1/session/password", new)
    };
    let wrong = json!({ "current": "wrong", "password": "kettle wander plum" });
    assert_eq!(olga.post("/api/v1/session/password", wrong).says(), WRONG);
    for (password, why) in [
        ("Zq7!xWp", "400 password: it has fewer than 8 characters (15 are better)"),
        ("olgaolga", "400 password: it is soon guessed."),
        (&*"x7Kq ".repeat(52), "400 password: it has more than 256 bytes"),
    ] {
        assert!(new(password).says().starts_with(why), "{}", new(password).says());
    }
    assert_eq!(other.get("/api/v1/session").status, 200);
    // Only lower case, only letters, and longer than 64 characters.
    let long = "kettle wander plum ".repeat(4);
    assert_eq!(new(&long).status, 204);
    assert_eq!(other.get("/api/v1/session").status, 401);
    assert_eq!(olga.get("/api/v1/session").status, 200);
    assert_eq!(client.login("olga", PASSWORD, None).says(), WRONG);
    assert_eq!(client.login("olga", long.trim_end(), None).says(), WRONG, "exactly as typed");
    assert_eq!(client.login("olga", &long, None).status, 200);
    let said = done(&config, &["admin", "password", "olga"]);
    assert_eq!(olga.get("/api/v1/session").status, 401, "out at once");
    let made = said.trim_end().strip_prefix("olga  ").unwrap();
    assert_eq!(client.login("olga", made, None).status, 200);
}

#[test]
fn who_is_disabled_or_removed_is_out_at_once() {
    let place = Place::new();
    let (server, config) = with_olga(&place);
    add(&place, &config, "otto", "operator");
    let client = Client::new(&server);
    let otto = client.signed_in("otto");
    assert_eq!(otto.get("/api/v1/plans").status, 200);
    done(&config, &["admin", "set", "otto", "--enabled", "false"]);
    assert_eq!(otto.get("/api/v1/plans").status, 401);
    assert_eq!(client.login("otto", PASSWORD, None).says(), WRONG, "it says no more");
    done(&config, &["admin", "set", "otto", "--enabled", "true"]);
    assert_eq!(otto.get("/api/v1/plans").status, 401, "what is over stays so");
    let otto = client.signed_in("otto");
    done(&config, &["admin", "rm", "otto"]);
    add(&place, &config, "otto", "owner");
    assert_eq!(otto.get("/api/v1/plans").status, 401, "that is somebody else");
    // A role that is taken away is, at once.
    done(&config, &["admin", "set", "otto", "--role", "viewer"]);
    for change in [
        &["set", "olga", "--role", "viewer"][..],
        &["set", "olga", "--enabled", "false"],
        &["rm", "olga"],
    ] {
        let said = verb(&config, &[&["admin"], change].concat());
        assert!(said.err.contains("status 409: nobody would be left"), "{}", said.err);
    }
}
