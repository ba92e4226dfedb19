//! The verbs that push channels themselves, against a tiny live server.

use serde_json::Value;

use super::{bench, editions, report, station};

#[track_caller]
fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {value}"))
}

#[test]
fn parked_requests_are_released_and_compared() {
    let address = station::start();
    let (url, ingest) = (format!("http://{address}/tv"), format!("http://{address}/ingest"));
    let hot = format!("http://{address}/2k");
    let pid = std::process::id().to_string();
    let mut arguments = vec!["parked", &url, "--ingest", &ingest, "--hot", &hot];
    arguments.extend(["--connections", "40", "--rounds", "3", "--settle", "50ms"]);
    arguments.extend(["--settle-memory", "10ms", "--server-pid", &pid, "--steal-max", "100"]);
    let found = report(&arguments);
    let rounds = found["rounds"].as_array().expect("a list");
    assert_eq!(rounds.len(), 3, "{found}");
    for round in rounds {
        let (first, last) = (number(round, "/first_ms"), number(round, "/release_ms"));
        assert!(0.0 < first && first <= last, "{round}");
        assert!(number(round, "/plain_first_ms") <= number(round, "/plain_ms"), "{round}");
    }
    let ratios = ["/ratio/low", "/ratio/median", "/ratio/high"].map(|path| number(&found, path));
    assert!(ratios.is_sorted() && ratios[0] > 0.0, "{found}");
    assert!(number(&found, "/body_bytes") > 50.0, "{found}");
    assert!(number(&found, "/hot/quiet/requests") > 0.0, "{found}");
    assert_eq!(number(&found, "/hot/release/errors"), 0.0, "{found}");
    assert!(number(&found, "/memory/parked/user") > 0.0, "{found}");
}

#[test]
fn a_server_that_holds_nothing_is_no_server_for_parked() {
    let address = station::start();
    let (url, ingest) = (format!("http://{address}/tv"), format!("http://{address}/ingest"));
    // It says that none is held: there is no such metric.
    let arguments = ["parked", &url, "--ingest", &ingest, "--connections", "2", "--rounds", "1"];
    let admin = format!("http://{address}");
    let output = bench(&[&arguments[..], &["--admin", &admin, "--settle", "1ms"]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("/metrics: status 404"), "{errors}");
}

#[test]
fn one_viewer_and_many_are_compared() {
    let address = station::start();
    let (url, ingest) = (format!("http://{address}/tv"), format!("http://{address}/ingest"));
    let pid = std::process::id().to_string();
    let mut arguments = vec!["onecopy", &url, "--ingest", &ingest, "--server-pid", &pid];
    arguments.extend(["--viewers", "20", "--parts", "9", "--pairs", "2"]);
    let found = report(&arguments);
    // Two parts of each turn, by 1 and by 20 viewers, twice, and by 1 before; each is half a second
    // of 1 Mb/s, and boxes.
    let bytes = number(&found, "/fetched_bytes") / (2.0 * (21.0 * 2.0 + 1.0));
    assert!((62_500.0..70_000.0).contains(&bytes), "{found}");
    assert!(number(&found, "/one/user/median") > 0.0, "{found}");
}

#[test]
fn the_config_of_a_station_is_printed() {
    let arguments = ["parked", "http://a/tv", "--ingest", "http://a/in", "--print-config"];
    let output = bench(&[&arguments[..], &["--channel", "x", "--part", "200ms"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("id = \"x\"\nsegment = \"2000ms\"\npart = \"200ms\"\n"), "{text}");
}

#[test]
fn publishing_is_timed_from_the_sender_to_the_viewer() {
    let address = station::start();
    let (url, ingest) = (format!("http://{address}/tv"), format!("http://{address}/ingest"));
    for awaited in ["playlist", "part"] {
        let mut arguments = vec!["publish", &url, "--ingest", &ingest, "--awaited", awaited];
        arguments.extend(["--channels", "2", "--channel-prefix", awaited, "--duration", "2s"]);
        arguments.extend(["--bit-rates", "100000,50000", "--warmup", "800ms"]);
        arguments.extend(["--segment", "400ms", "--part", "100ms"]);
        let found = report(&arguments);
        // Four renditions, ten parts a second each; how many of them a busy machine misses is open.
        let parts = number(&found, "/parts");
        assert!((1.0..=84.0).contains(&parts), "{found}");
        assert!(number(&found, "/latency/p50_us") > 0.0, "{found}");
        assert_eq!(found["awaited"], awaited);
        assert_eq!(number(&found, "/sent/cuts"), 0.0, "{found}");
        assert_eq!(found["sent"]["refusals"], serde_json::json!({}));
    }
}

#[test]
fn the_config_for_publish_has_all_channels() {
    let arguments = ["publish", "http://a/tv", "--ingest", "http://a/in", "--print-config"];
    let output = bench(&[&arguments[..], &["--channels", "3"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("[[channel]]").count(), 3, "{text}");
    assert!(text.contains("id = \"bench2\"\nsegment = \"2000ms\""), "{text}");
}

/// Watches for a second a channel in which one thing is wrong.
#[track_caller]
fn watch(mistake: &str, expected: &[&str]) {
    let url = format!("http://{}/{mistake}", editions::start());
    let output = bench(&["watch", &url, "--duration", "1s", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let rules: Vec<_> = found["counts"].as_object().expect("by rule").keys().collect();
    assert_eq!(rules, expected, "{found}");
    assert_eq!(output.status.code(), Some(if expected.is_empty() { 0 } else { 1 }));
    assert!(number(&found, "/rounds") >= 1.0, "{found}");
}

#[test]
fn a_channel_that_is_right_has_no_findings() {
    watch("right", &[]);
}

#[test]
fn a_request_that_is_held_to_the_end_is_nothing_wrong() {
    watch("silent", &[]);
}

#[test]
fn what_is_wrong_with_a_channel_is_found() {
    watch("bytes", &["editions differ", "published bytes changed", "segment is not its parts"]);
    watch("missing", &["status"]);
    watch("late", &["editions differ"]);
    watch("other", &["editions differ"]);
}

#[test]
fn two_servers_that_do_not_agree_are_found() {
    let address = editions::start();
    let (one, two) = (format!("http://{address}/right"), format!("http://{address}/bytes"));
    for (other, code) in [(&one, 0), (&two, 1)] {
        let output = bench(&["watch", &one, "--also", other, "--duration", "1s"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert_eq!(text.contains("published bytes changed"), code == 1, "{text}");
    }
}

#[test]
fn numbers_that_go_back_are_found() {
    let url = format!("http://{}/back", editions::start());
    let output = bench(&["watch", &url, "--duration", "1s"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("numbers go back"), "{text}");
}
