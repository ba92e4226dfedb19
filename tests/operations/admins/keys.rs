//! Keys of the API: what a program may do with one, and who ever sees what.

use serde_json::{Value, json};

use super::super::running::{Place, Running, done, program, run, serve, verb};
use super::{Client, PASSWORD, add, with_olga};

fn bearer(client: &Client, key: &str) -> Client {
    client.with("Authorization", Some(&format!("Bearer {key}")))
}

#[test]
fn a_key_is_good_for_its_scopes_its_networks_and_its_time() {
    let place = Place::new();
    let (server, config) = with_olga(&place);
    let make = |arguments: &[&str]| {
        done(&config, &[&["admin", "key", "add"], arguments].concat()).trim_end().to_owned()
    };
    let billing = make(&["billing", "--scope", "read", "--scope", "subscribers:write"]);
    assert_eq!(billing.strip_prefix("sc_billing_").map(str::len), Some(43), "{billing}");
    let away = make(&["away", "--scope", "read", "--network", "192.0.2.0/24"]);
    let here = make(&["here", "--scope", "read", "--network", "127.0.0.2", "--expires", "30d"]);
    let client = Client::new(&server);
    let program = bearer(&client, &billing);
    assert_eq!(program.ask("PUT", "/api/v1/subscribers/anna", &json!({})).status, 200);
    assert_eq!(program.get("/api/v1/subscribers/anna").status, 200);
    assert_eq!(
        program.post("/api/v1/tokens", json!({})).says(),
        "403 this takes the scope tokens:mint"
    );
    assert_eq!(program.get("/api/v1/api-keys").says(), "403 this takes the scope admin");
    assert_eq!(
        program.get("/api/v1/session").says(),
        "403 this is for people, not for keys of the API"
    );
    const NO_KEY: &str = "401 this is no key of the API that is good here";
    let other = format!("{}A", &billing[..billing.len() - 1]);
    let other =
        if other == billing { format!("{}B", &billing[..billing.len() - 1]) } else { other };
    for (key, from, expected) in [
        (&away, 1, NO_KEY),
        (&here, 1, NO_KEY),
        (&here, 2, "200 "),
        (&other, 1, NO_KEY),
        (&billing.replace("billing", "nobody"), 1, NO_KEY),
        (&"x".to_owned(), 1, NO_KEY),
    ] {
        let program = bearer(&Client::from(server.admin, from), key);
        assert_eq!(program.get("/api/v1/plans").says(), expected, "{key}");
    }
    done(&config, &["admin", "key", "rm", "billing"]);
    assert_eq!(program.get("/api/v1/plans").says(), NO_KEY, "at once");
    let expired =
        verb(&config, &["admin", "key", "add", "old", "--scope", "read", "--expires", "1000"]);
    assert!(expired.err.contains("status 400: expires: that is over"), "{}", expired.err);
    let twice = verb(&config, &["admin", "key", "add", "here", "--scope", "read"]);
    assert!(twice.err.contains("status 409: it is there"), "{}", twice.err);
}

#[test]
fn a_verb_administers_another_machine_with_a_key() {
    let place = Place::new();
    let (server, config) = with_olga(&place);
    let key = done(
        &config,
        &["admin", "key", "add", "me", "--scope", "content:write", "--scope", "read"],
    );
    let url = format!("http://{}", server.admin);
    let asked = |arguments: &[&str], key: Option<&str>| {
        let mut verb = program();
        verb.args(arguments).args(["--server", &url]);
        run(verb.envs(key.map(|key| ("SHARDCAST_API_KEY", key))))
    };
    let add = ["plan", "add", "gold", "--name", "Gold"];
    let said = asked(&add, Some(key.trim_end()));
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(asked(&["plan", "ls"], Some(key.trim_end())).out.contains("Gold"));
    assert!(asked(&add, None).err.contains("status 401: sign in, or send a key of the API"));
    let forged = asked(&add, Some("x\r\nX-Other: y"));
    assert!(forged.err.contains("SHARDCAST_API_KEY: this is no key of an API"), "{}", forged.err);
    let refused = asked(&["admin", "ls"], Some(key.trim_end()));
    assert!(refused.err.contains("status 403: this takes the scope admin"), "{}", refused.err);
}

/// Neither lists, the change feed, copies nor the log have hashes, secrets or passwords.
#[test]
fn what_is_secret_is_told_once_or_never() {
    let place = Place::new();
    let (server, config) = with_olga(&place);
    let key = done(&config, &["admin", "key", "add", "spy", "--scope", "admin", "--scope", "read"]);
    let (key, secret) = (key.trim_end(), key.trim_end().rsplit_once('_').unwrap().1);
    let client = bearer(&Client::new(&server), key);
    let mut told = String::new();
    for path in ["admins", "admins/olga", "api-keys", "changes?since=0", "keys"] {
        let answer = client.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.says());
        told += &answer.body.to_string();
    }
    assert_eq!(client.get("/api/v1/changes?since=0").body["changes"], json!([]));
    told += &done(&config, &["admin", "ls", "--json"]);
    told += &done(&config, &["admin", "key", "ls", "--json"]);
    assert!(told.contains("\"olga\"") && told.contains("\"spy\""));
    for word in ["argon2", "hash", "password\":", "stamp", secret, PASSWORD] {
        assert!(!told.contains(word), "{word}: {told}");
    }
    let copy = place.path("copy.db");
    done(&config, &["backup", copy.to_str().unwrap()]);
    let bytes = std::fs::read(&copy).unwrap();
    // The audit log goes with a copy; it names who was made, and not to what.
    for word in ["argon2", "\"stamp\"", "\"made_by\""] {
        assert!(!bytes.windows(word.len()).any(|some| some == word.as_bytes()), "{word}");
    }
    // Whoever administers stays, and a copy lets in nobody who was put out.
    add(&place, &config, "otto", "operator");
    done(&config, &["admin", "key", "rm", "spy"]);
    done(&config, &["restore", copy.to_str().unwrap()]);
    assert_eq!(client.get("/api/v1/plans").status, 401);
    assert_eq!(Client::new(&server).login("otto", PASSWORD, None).status, 200);
    server.signal("TERM");
    let log: String = server.all_it_says().iter().map(ToString::to_string).collect();
    assert!(log.contains("admin-made") && log.contains("key-made"), "{log}");
    for word in ["argon2", secret, PASSWORD] {
        assert!(!log.contains(word), "{word}: {log}");
    }
}

#[test]
fn an_owner_administers_others_by_the_port() {
    let place = Place::new();
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    add(&place, &config, "olga", "owner");
    let olga = Client::new(&server).signed_in("olga");
    let new = json!({ "id": "otto", "role": "operator", "password": PASSWORD });
    let made = olga.post("/api/v1/admins", new.clone());
    assert_eq!((made.status, &made.body["role"]), (201, &json!("operator")), "{}", made.says());
    assert_eq!(olga.post("/api/v1/admins", new).says(), "409 it is there");
    let soon = json!({ "id": "eve", "role": "viewer", "password": "password1" });
    assert!(
        olga.post("/api/v1/admins", soon).says().starts_with("400 password: it is soon guessed")
    );
    let otto = Client::new(&server).signed_in("otto");
    let key = olga.post("/api/v1/api-keys", json!({ "id": "k", "scopes": ["read"] }));
    assert_eq!((key.status, &key.body["made_by"]), (201, &json!("operator:olga")));
    assert_eq!(
        bearer(&Client::new(&server), key.body["key"].as_str().unwrap())
            .get("/api/v1/plans")
            .status,
        200
    );
    assert_eq!(olga.ask("DELETE", "/api/v1/admins/otto", &Value::Null).status, 204);
    assert_eq!(otto.get("/api/v1/plans").status, 401);
    assert_eq!(olga.get("/api/v1/admins").body["admins"].as_array().unwrap().len(), 1);
}
