//! What an operator hears of channels: by the API, on the terminal, in the metrics.

use serde_json::Value;

use super::boxes::{self, Chunk, MIDNIGHT, Media, chunk, salted_segment};
use super::{Station, channel};
use crate::running::{done, program, run};

fn body(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    serde_json::from_str(body).expect("JSON")
}

#[test]
fn a_channel_says_how_it_is() {
    let station = Station::news();
    for at in [0, 1, 4] {
        station.push(MIDNIGHT + at);
    }
    // What is missing before the last one is waited for.
    station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 4));
    station.put(&format!("news/v/{MIDNIGHT}.m4s"), &salted_segment(MIDNIGHT, 1));
    assert_eq!(station.put("news/v/5.m4s", b"no boxes").status, 400);
    station.settle();
    let news = body(&station.place.socket_get("/api/v1/channels/news"));
    assert_eq!(news["input"], "live", "{news}");
    assert_eq!((&news["segment_ms"], &news["part_ms"]), (&1000.into(), &500.into()), "{news}");
    assert_eq!(news["chunks"]["conflict"], 2, "{news}");
    let error = news["last_error"]["what"].as_str().expect("something went wrong");
    assert!(error.starts_with("PUT v/5.m4s: 400, "), "{error}");
    let v = &news["renditions"][0];
    assert_eq!((&v["name"], &v["carries"]), (&"v".into(), &"video".into()), "{v}");
    assert_eq!(v["segments"]["newest"], MIDNIGHT + 4, "{v}");
    assert_eq!((&v["segments"]["listed"], &v["segments"]["gaps"]), (&5.into(), &2.into()), "{v}");
    assert_eq!(v["segments"]["longest_ms"], 1000, "{v}");
    assert_eq!(v["tally"]["missing_segments"], 2, "{v}");
    assert!(v["average_bandwidth"].as_u64() > Some(0), "{v}");
    // That media is of a midnight that has passed, or has yet to come.
    assert!(v["delay_ms"].is_i64() && v["drift_ms"].is_null(), "{v}");
    let all = body(&station.place.socket_get("/api/v1/channels"));
    let ids = all["channels"].as_array().unwrap().iter().map(|one| &one["id"]);
    assert_eq!(ids.collect::<Vec<_>>(), ["mark", "news"]);
}

#[test]
fn channels_are_shown_on_a_terminal() {
    let station = Station::start(&format!("{}{}", channel("news"), channel("radio")));
    let url = format!("http://{}", station.server.admin);
    let config = station.config();
    let key = done(&config, &["admin", "key", "add", "wall", "--scope", "channels:read"]);
    let mut asked = program();
    asked.args(["channel", "ls", "--server", &url]).env("SHARDCAST_API_KEY", key.trim_end());
    let said = run(&mut asked);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let lines: Vec<_> = said.out.lines().map(|line| line.split_whitespace().collect()).collect();
    let words = |line: &Vec<&str>| line[..2].join(" ");
    let words: Vec<_> = lines.iter().map(words).collect();
    assert_eq!(words, ["CHANNEL INPUT", "mark waiting", "news waiting", "radio waiting"]);
    // By its socket, which its config leads to.
    let config = ["--config", config.to_str().unwrap()];
    let said = run(program().args(["channel", "show", "news", "--json"]).args(config));
    assert_eq!(said.code, 0, "{}", said.err);
    let news: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&news["id"], &news["input"]), (&"news".into(), &"waiting".into()));
    for (arguments, why) in [
        (["show", "film"], "status 404: no channel has this id"),
        (["show", "../x"], "no channel can have this id"),
    ] {
        let said = run(program().arg("channel").args(arguments).args(config));
        assert!(said.code == 1 && said.err.contains(why), "{}", said.err);
    }
    let said = run(program().args(["channel", "ls", "--server", "http://127.0.0.1:1/x"]));
    assert!(said.code == 1 && said.err.contains("not https://HOST:PORT"), "{}", said.err);
}

#[test]
fn how_long_publishing_takes_is_counted() {
    let station = Station::news();
    (0..3).for_each(|at| station.push(MIDNIGHT + at));
    station.settle();
    let metrics = station.server.admin_get("/metrics");
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse::<f64>().ok()).expect("it is there")
    };
    // Two chunks a segment, and those of the other channel.
    let count = value("shardcast_live_publish_seconds_count");
    assert!(count >= 6.0, "{count}");
    assert!(value("shardcast_live_publish_seconds_bucket{le=\"+Inf\"}") == count);
    assert!(value("shardcast_live_publish_seconds_sum") > 0.0);
}

#[test]
fn a_segment_that_is_too_long_is_noted() {
    let station = Station::start(&format!("{}{}", channel("news"), channel("radio")));
    assert_eq!(station.put("news/v/init.mp4", &boxes::header(Media::Picture)).status, 200);
    station.push(MIDNIGHT);
    // Two seconds, of which decoding can begin with the first only.
    let of = |half: u64| {
        let start = (MIDNIGHT + 1) * 1000 + half * 500;
        Chunk { independent: half == 0, ..chunk(start) }.bytes()
    };
    let long = (0..4).flat_map(of).collect::<Vec<_>>();
    assert_eq!(station.put("news/v/2.m4s", &long).status, 200);
    station.push(MIDNIGHT + 3);
    station.settle();
    let news = body(&station.place.socket_get("/api/v1/channels/news"));
    assert_eq!(news["renditions"][0]["tally"]["long_segments"], 1, "{news}");
    let error = news["last_error"]["what"].as_str().expect("it is noted");
    assert_eq!(error, format!("v: segment {} is longer than 1 s", MIDNIGHT + 1));
    // No playlist says that it is not.
    let plain = station.get("news/v/index-2-500.m3u8").text().to_owned();
    assert!(plain.contains("#EXT-X-TARGETDURATION:2\n") && plain.contains("#EXTINF:2.0,\n"));
}
