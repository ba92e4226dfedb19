//! Devices that look alike: one token, one address, the same player, on whatever shard.

use super::boxes::{MIDNIGHT, Media, header};
use super::http;
use super::{Station, channel, config};
use crate::running::{Place, Running, done, serve, until};

const SHARDS: usize = 4;

/// Rounds of one segment each: a lease, and thrice as much again for a busy machine.
const ROUNDS_MAX: u64 = 60;
const ROUND: std::time::Duration = std::time::Duration::from_secs(1);

fn station() -> Station {
    let place = Place::new();
    let news = format!("{}access = \"token\"\n", channel("news"));
    let config = config(&place, &format!("{news}{}", channel("mark")));
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("shards = 1\n", &format!("shards = {SHARDS}\n"));
    std::fs::write(&config, text).unwrap();
    let server = Running::start(&mut serve(&config));
    let station = Station { server, place, marks: Default::default() };
    for channel in ["news", "mark"] {
        let put = station.put(&format!("{channel}/v/init.mp4"), &header(Media::Picture));
        assert_eq!(put.status, 200);
    }
    done(&config, &["bouquet", "add", "all", "--name", "All", "--content", "tv/news"]);
    for (plan, sessions) in [("one", "1"), ("two", "2")] {
        let add = ["plan", "add", plan, "--name", plan, "--bouquet", "all"];
        done(&config, &[&add[..], &["--sessions", sessions]].concat());
    }
    for (name, plan) in [("Anna", "one"), ("Bela", "one"), ("Cora", "two")] {
        done(&config, &["subscriber", "add", name, "--plan", plan]);
    }
    station
}

/// A player's request by a token that was minted before: status and reason.
fn fetch(station: &Station, token: &str, name: &str, agent: &str) -> String {
    let head = format!(
        "GET /s/{token}/tv/news/v/{name} HTTP/1.1\r\nHost: tv\r\nUser-Agent: {agent}\r\n\
         Connection: close\r\n"
    );
    let answer = http::ask(station.server.public, &head, b"").expect("a whole answer");
    let reason = answer.header("X-Shardcast-Reason").unwrap_or_default();
    format!("{} {reason}", answer.status).trim_end().to_owned()
}

#[test]
fn two_that_look_alike_are_two_and_one_that_goes_back_is_one() {
    let station = station();
    let config = station.config();
    let [anna, bela, cora] = ["Anna", "Bela", "Cora"]
        .map(|name| done(&config, &["token", "mint", "--subscriber", name]).trim_end().to_owned());
    station.push(MIDNIGHT);
    let name = |number: u64| format!("{}.m4s", MIDNIGHT + number);
    for token in [&anna, &bela, &cora] {
        let is_known = || fetch(&station, token, &name(0), "TV") == "200";
        until("every shard knows the subscriber", || (0..6 * SHARDS).all(|_| is_known()));
    }
    let mut refused = None;
    for number in 1..ROUNDS_MAX {
        station.push(MIDNIGHT + number);
        // One device at one place, which goes back a few segments now and then.
        assert_eq!(fetch(&station, &bela, &name(number), "TV"), "200");
        if number % 10 == 0 {
            for back in number - 4..number {
                assert_eq!(fetch(&station, &bela, &name(back), "TV"), "200");
            }
        }
        // Two of them where there may be two, one of them behind the other.
        assert_eq!(fetch(&station, &cora, &name(number), "TV"), "200");
        assert_eq!(fetch(&station, &cora, &name(number.saturating_sub(2)), "TV"), "200");
        // And two where there may be one.
        let devices = [0; 2].map(|_| fetch(&station, &anna, &name(number), "TV"));
        if devices.iter().any(|of| of != "200") {
            assert!(devices.iter().any(|of| of == "403 session-limit"), "{devices:?}");
            refused = Some(number);
            break;
        }
        std::thread::sleep(ROUND);
    }
    let refused = refused.expect("they are seen as two");
    println!("refused after {refused} segments");
    assert_eq!(fetch(&station, &bela, &name(refused), "TV"), "200");
    assert_eq!(fetch(&station, &cora, &name(refused), "TV"), "200");
    let third = || fetch(&station, &cora, &name(refused), "VLC");
    until("there is no third place", || third() == "403 session-limit");
    let event = station.server.says("one token is used by devices that look alike");
    assert_eq!(event["client"], "127.0.0.1");
    let listed = done(&config, &["session", "sharing", "--json"]);
    let signal: serde_json::Value = serde_json::from_str(listed.trim_end()).expect("one line");
    assert_eq!((&signal["subscriber"], &signal["from"]), (&"Anna".into(), &signal["elsewhere"]));
    let listed = done(&config, &["session", "ls", "--json", "--subscriber", "Cora"]);
    assert!(listed.contains("\"two\":true"), "{listed}");
    let listed = done(&config, &["session", "ls", "--json", "--subscriber", "Bela"]);
    assert!(!listed.contains("\"two\""), "{listed}");
}
