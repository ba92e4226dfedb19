//! The audit log: what it says, that it holds over `kill -9` at any moment, and that a database
//! which was edited by hand does not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::asking::{Random, seed, try_ask};
use super::running::{Place, Running, Said, done, get, program, run, serve, verb};

/// `audit verify` on a state folder, whether or not a server runs there.
fn verify(state: &Path, more: &[&str]) -> Said {
    run(program().args(["audit", "verify", "--state"]).arg(state).args(more))
}

/// What the log has, without times and numbers.
fn told(config: &Path) -> Vec<String> {
    let said = done(config, &["audit", "ls", "--json"]);
    let entries = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let told =
        entries.map(|of| format!("{} {} {}", word(&of["deed"]), word(&of["kind"]), of["id"]));
    told.map(|line| line.replace('"', "").trim_end().to_owned()).collect()
}

#[test]
fn who_did_what_is_listed_and_holds() {
    let place = Place::new();
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    done(&config, &["plan", "add", "gold", "--name", "Gold"]);
    done(&config, &["plan", "set", "gold", "--sessions", "2"]);
    let token = done(&config, &["token", "mint", "--scope", "/vod/library/*"]);
    done(&config, &["key", "rotate"]);
    let copy = place.path("copy.db");
    done(&config, &["backup", copy.to_str().unwrap()]);
    done(&config, &["plan", "rm", "gold"]);
    done(&config, &["restore", copy.to_str().unwrap()]);
    let all = told(&config);
    let minted = all[4].strip_prefix("mint token ").expect("a session");
    assert_eq!(minted.len(), 16);
    assert_eq!(
        [&all[..4], &all[5..]].concat(),
        [
            "begin audit",
            "create signing-key 1",
            "create plan gold",
            "change plan gold",
            "rotate signing-key 2",
            "rotate signing-key 1",
            "backup registry",
            "remove plan gold",
            "restore plan gold",
            "restore registry",
        ]
    );
    let table = done(&config, &["audit", "ls", "--last", "8"]);
    assert_eq!(table.lines().count(), 9, "{table}");
    assert!(!table.contains(token.trim_end()) && table.contains("  rotate   signing-key 2  "));
    let set = table.lines().find(|line| line.contains("  restore  plan gold")).unwrap();
    assert!(set.contains("  local:"), "{set}");
    assert_eq!(done(&config, &["audit", "ls", "--actor", "server", "--json"]).lines().count(), 2);
    assert_eq!(done(&config, &["audit", "ls", "--since", "2100-01-01", "--json"]), "");
    // Whoever comes by the port is told nothing of it.
    assert!(get(server.admin, "/api/v1/audit").starts_with("HTTP/1.1 421 "));
    let page = try_ask(&place.path("state"), "GET", "/api/v1/audit?after=2&limit=1", "", "");
    let (status, page) = page.unwrap();
    assert_eq!(
        (status, &page["next"], &page["entries"][0]["id"]),
        (200, &json!(3), &json!("gold"))
    );
    let running = done(&config, &["audit", "verify"]);
    assert!(running.starts_with("11 entries, 3 objects as they say, head 11:"), "{running}");
}

#[test]
fn what_is_taken_off_its_end_is_missed_by_whoever_has_the_servers_log() {
    let place = Place::new();
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    done(&config, &["plan", "add", "gold", "--name", "Gold"]);
    done(&config, &["plan", "add", "iron", "--name", "Iron"]);
    let running = done(&config, &["audit", "verify"]);
    server.signal("TERM");
    let newest = || server.says("the newest entry of the audit log")["head"].to_string();
    // The one that was told at the start may come after the server was ready.
    let told = std::iter::repeat_with(newest).find(|head| head.starts_with("\"4:"));
    let head = told.unwrap().trim_matches('"').to_owned();
    server.ended();
    assert_eq!(running, format!("4 entries, 3 objects as they say, head {head}\n"));
    let said = verify(&place.path("state"), &["--head", &head]);
    assert_eq!((said.code, said.out), (0, running));
    by_hand(
        &place,
        "DELETE FROM audit WHERE sequence > 2; UPDATE registry SET revision = 1; DELETE FROM object \
         WHERE kind = 'plan';",
    );
    assert_eq!(verify(&place.path("state"), &[]).code, 0, "it holds by itself");
    let said = verify(&place.path("state"), &["--head", &head]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            1,
            "shardcast: verify the audit log: entry 3: it is missing, and so are all behind it: \
             there were at least 2 more\n"
        )
    );
}

fn by_hand(place: &Place, statements: &str) {
    let file = rusqlite::Connection::open(place.path("state/registry.db")).unwrap();
    file.execute_batch(statements).unwrap();
}

#[test]
fn a_database_that_was_edited_by_hand_does_not_verify() {
    let place = Place::new();
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    done(&config, &["plan", "add", "gold", "--name", "Gold"]);
    done(&config, &["subscriber", "add", "anna", "--plan", "gold"]);
    done(&config, &["subscriber", "set", "anna", "--status", "blocked"]);
    server.signal("KILL");
    server.ended();
    let state = place.path("state");
    assert_eq!(verify(&state, &[]).code, 0);
    for (statements, undo, why) in [
        (
            "UPDATE object SET document = json_set(document, '$.status', 'active') WHERE id = 'anna'",
            "UPDATE object SET document = json_set(document, '$.status', 'blocked') WHERE id = 'anna'",
            "subscriber \"anna\": it is not what entry 5 wrote",
        ),
        (
            "UPDATE audit SET actor = 'server' WHERE sequence = 5",
            "UPDATE audit SET actor = (SELECT actor FROM audit WHERE sequence = 4) WHERE sequence = 5",
            "entry 5: its MAC does not match what it says",
        ),
        (
            "UPDATE audit SET sequence = -4 WHERE sequence = 4; UPDATE audit SET sequence = 4 WHERE \
             sequence = 5; UPDATE audit SET sequence = 5 WHERE sequence = -4",
            "UPDATE audit SET sequence = -4 WHERE sequence = 4; UPDATE audit SET sequence = 4 WHERE \
             sequence = 5; UPDATE audit SET sequence = 5 WHERE sequence = -4",
            "entry 4: its MAC does not match what it says",
        ),
        ("DELETE FROM audit WHERE sequence = 4", "", "entry 4: it is missing; the next one is 5"),
    ] {
        by_hand(&place, statements);
        let said = verify(&state, &[]);
        let expected = format!("shardcast: verify the audit log: {why}\n");
        assert_eq!((said.code, said.err), (1, expected), "{statements}");
        by_hand(&place, undo);
    }
    // The server starts all the same: viewers are not those who did it.
    let _server = Running::start(&mut serve(&config));
    assert_eq!(verb(&config, &["audit", "verify"]).code, 1);
    assert_eq!(verb(&config, &["audit", "verify", "--head", "17"]).code, 2);
}

/// What one who writes knows.
#[derive(Default)]
struct Known {
    /// What was acknowledged: revision and number of what each object says.
    there: BTreeMap<String, (u64, u64, u64)>,
    /// Every number that was given, and to whom.
    numbers: BTreeMap<u64, String>,
    /// Every revision that was acknowledged, with what it did to what.
    made: BTreeMap<u64, (String, String)>,
    /// What was sent last, if nobody answered.
    unanswered: Option<(String, Wish)>,
    stamp: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Wish {
    Create(u64),
    Change(u64),
    Remove,
}

/// What a subscriber says, in several places.
fn document(id: &str, stamp: u64) -> String {
    format!(r#"{{"id":"{id}","notes":"w{stamp}","external_id":"{stamp}","sessions_max":{stamp}}}"#)
}

impl Known {
    /// Asks for one thing. False = there was no answer.
    fn ask(&mut self, state: &Path, id: &str, wish: Wish) -> bool {
        let path = format!("/api/v1/subscribers/{id}");
        let answer = match wish {
            Wish::Create(stamp) => {
                let line = format!("Idempotency-Key: \"{id}-{stamp}\"\r\n");
                try_ask(state, "POST", "/api/v1/subscribers", &line, &document(id, stamp))
            }
            Wish::Change(stamp) => try_ask(state, "PUT", &path, "", &document(id, stamp)),
            Wish::Remove => try_ask(state, "DELETE", &path, "", ""),
        };
        let Some((status, body)) = answer else {
            self.unanswered = Some((id.to_owned(), wish));
            return false;
        };
        self.unanswered = None;
        match wish {
            Wish::Remove => {
                assert_eq!(status, 204, "{body}");
                self.there.remove(id);
            }
            Wish::Create(stamp) => {
                assert_eq!(status, 201, "{body}");
                self.heard(id, stamp, &body, "create");
            }
            Wish::Change(stamp) => {
                assert_eq!(status, 200, "{body}");
                self.heard(id, stamp, &body, "change");
            }
        }
        true
    }

    fn heard(&mut self, id: &str, stamp: u64, body: &Value, deed: &str) {
        assert_eq!(whole(body), stamp, "{body}");
        let of = |field: &str| body[field].as_u64().unwrap();
        let (revision, number) = (of("revision"), of("number"));
        let highest = self.made.keys().next_back().copied().unwrap_or(0);
        let is_again = self.made.get(&revision).is_some_and(|(whose, _)| whose == id);
        assert!(revision > highest || is_again, "{revision} after {highest}");
        self.made.insert(revision, (id.to_owned(), deed.to_owned()));
        let owner = self.numbers.insert(number, id.to_owned());
        assert!(owner.is_none_or(|owner| owner == id), "{number} was given twice");
        self.there.insert(id.to_owned(), (stamp, revision, number));
    }

    /// One of many things, to one of few objects.
    fn wish(&mut self, random: &mut Random, whose: u64) -> (String, Wish) {
        let id = format!("s{whose}-{}", random.below(4));
        self.stamp += 1;
        let wish = match (self.there.contains_key(&id), random.below(4)) {
            (false, _) => Wish::Create(self.stamp),
            (true, 0) => Wish::Remove,
            (true, _) => Wish::Change(self.stamp),
        };
        (id, wish)
    }

    /// Whether all of it is there after a crash, and what became of what nobody answered.
    fn check(&mut self, state: &Path) {
        if let Some((id, wish)) = self.unanswered.take() {
            let found = subscriber(state, &id);
            match (wish, &found) {
                // Sent again with its key it is made, or was.
                (Wish::Create(_), _) => assert!(self.ask(state, &id, wish)),
                (Wish::Remove, None) => drop(self.there.remove(&id)),
                (Wish::Change(stamp), Some(body)) if whole(body) == stamp => {
                    self.heard(&id, stamp, body, "change");
                }
                _ => {}
            }
        }
        for (id, (stamp, revision, number)) in &self.there {
            let body = subscriber(state, id).unwrap_or_else(|| panic!("{id} is gone"));
            let stands = (whole(&body), body["revision"].as_u64(), body["number"].as_u64());
            assert_eq!(stands, (*stamp, Some(*revision), Some(*number)), "{id}");
        }
    }
}

/// The stamp in an object, if it says the same everywhere.
fn whole(body: &Value) -> u64 {
    let stamp = body["sessions_max"].as_u64().unwrap();
    let (notes, external) = (format!("w{stamp}"), stamp.to_string());
    assert_eq!((&body["notes"], &body["external_id"]), (&json!(notes), &json!(external)));
    stamp
}

fn subscriber(state: &Path, id: &str) -> Option<Value> {
    let asked = try_ask(state, "GET", &format!("/api/v1/subscribers/{id}"), "", "");
    let (status, body) = asked.expect("the server answers");
    (status == 200).then_some(body)
}

/// Everybody writes until the server is gone.
fn write(
    state: &Path,
    known: &mut [Known],
    random: &mut Random,
    pause: Duration,
    kill: impl FnOnce(),
) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (whose, known) in (0..).zip(known) {
            let mut random = Random(random.below(u64::MAX));
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let (id, wish) = known.wish(&mut random, whose);
                    if !known.ask(state, &id, wish) {
                        break;
                    }
                }
            });
        }
        std::thread::park_timeout(pause);
        kill();
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn whatever_was_acknowledged_is_there_after_kill_9_at_random_moments_and_the_chain_holds() {
    let rounds = if std::env::var_os("SHARDCAST_FULL").is_some() { 200 } else { 10 };
    let seed = seed();
    eprintln!("SEED={seed}");
    let mut random = Random(seed);
    let place = Place::new();
    let (config, state) = (place.config(""), place.path("state"));
    let mut known = [Known::default(), Known::default(), Known::default()];
    let mut revision = 0;
    for round in 0..rounds {
        let server = Running::start(&mut serve(&config));
        known.iter_mut().for_each(|known| known.check(&state));
        let changes = format!("/api/v1/changes?since={revision}");
        let (status, feed) = try_ask(&state, "GET", &changes, "", "").unwrap();
        assert_eq!(status, 200, "round {round}: the revision went back");
        revision = feed["next"].as_u64().unwrap();
        let made = known.iter().filter_map(|known| known.made.keys().next_back()).max();
        assert!(made.is_none_or(|made| *made <= revision), "round {round}");
        let pause = Duration::from_micros(random.below(300_000));
        write(&state, &mut known, &mut random, pause, || server.signal("KILL"));
        server.ended();
        let said = verify(&state, &[]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "round {round}");
    }
    let _server = Running::start(&mut serve(&config));
    known.iter_mut().for_each(|known| known.check(&state));
    // Nobody has the number of somebody else, and every acknowledged write has its entry.
    let mut numbers = BTreeMap::new();
    for (number, id) in known.iter().flat_map(|known| &known.numbers) {
        assert!(numbers.insert(number, id).is_none(), "{number} was given twice");
    }
    let listed = done(&config, &["audit", "ls", "--json"]);
    let entries = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let entries: BTreeMap<_, _> =
        entries.filter_map(|of| Some((of["revision"].as_u64()?, of))).collect();
    let mut count = 0;
    for (revision, (id, deed)) in known.iter().flat_map(|known| &known.made) {
        let entry = &entries[revision];
        assert_eq!((&entry["id"], &entry["deed"]), (&json!(id), &json!(deed)), "{revision}");
        assert!(entry["actor"].as_str().unwrap().starts_with("local:"));
        count += 1;
    }
    assert!(count >= rounds, "{count}");
    eprintln!("{rounds} kills, {count} acknowledged writes");
}
