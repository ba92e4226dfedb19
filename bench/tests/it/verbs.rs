//! One test a verb, and the failures that `saturate` must tell apart.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{bench, listen, report, server};

/// A short run with the tiny server in this very process.
#[track_caller]
fn saturate(address: SocketAddr, path: &str, more: &[&str]) -> Value {
    let url = format!("http://{address}{path}");
    let pid = std::process::id().to_string();
    let mut arguments = vec!["saturate", &url, "--connections", "8", "--duration", "300ms"];
    arguments.extend(["--warmup", "50ms", "--server-pid", &pid]);
    arguments.extend(more);
    report(&arguments)
}

#[track_caller]
fn number(value: &Value, key: impl serde_json::value::Index + std::fmt::Display) -> f64 {
    value[&key].as_f64().unwrap_or_else(|| panic!("no number {key} in {value}"))
}

#[test]
fn every_way_of_receiving_counts_the_same() {
    let address = server::start();
    for (path, size) in [
        ("/2k", 2048.0),
        ("/1m", 1_048_576.0),
        ("/chunked", 5.0),
        ("/close", 2.0),
        ("/until-close", 13.0),
    ] {
        let chosen: [&[&str]; 4] =
            [&[], &["--way", "stream"], &["--way", "exact"], &["--way", "exact", "--read"]];
        for more in chosen {
            let found = saturate(address, path, more);
            let requests = number(&found, "requests");
            assert!(requests > 0.0, "{path} {more:?}: {found}");
            assert_eq!(number(&found, "body_bytes"), requests * size, "{path} {more:?}");
            assert_eq!(found["errors"], serde_json::json!({}), "{path} {more:?}");
            assert!(number(&found, "server_cpu_us_per_request") > 0.0, "{path} {more:?}");
        }
    }
}

#[test]
fn the_histogram_holds_every_request() {
    let address = server::start();
    let found = saturate(address, "/2k", &[]);
    let histogram = found["latency_histogram"].as_array().expect("a list of pairs");
    let pairs: Vec<_> = histogram.iter().map(|pair| (number(pair, 0), number(pair, 1))).collect();
    assert!(pairs.is_sorted_by(|one, two| one.0 < two.0), "{found}");
    let requests = number(&found, "requests");
    assert_eq!(pairs.iter().map(|pair| pair.1).sum::<f64>(), requests);
    // The percentiles are read from it.
    let latency = &found["latency"];
    assert!(number(latency, "max_us") <= pairs.last().expect("there were requests").0);
    let longest = |share: f64| {
        let mut left = (share * requests).ceil();
        let reached = |pair: &&(f64, f64)| {
            left -= pair.1;
            left <= 0.0
        };
        pairs.iter().find(reached).expect("they are all there").0
    };
    for (name, share) in [("p50_us", 0.5), ("p99_us", 0.99)] {
        let (said, read) = (number(latency, name), longest(share));
        assert!((said / read - 1.0).abs() < 0.002, "{name}: {said}, but the histogram says {read}");
    }
    // People get a picture of it.
    let url = format!("http://{address}/2k");
    let output = bench(&["saturate", &url, "--duration", "100ms", "--warmup", "0s"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.lines().any(|line| line.contains(" µs ") && line.contains(" % #")), "{text}");
}

#[test]
fn every_failure_has_its_name() {
    for (path, error) in [
        ("/sometimes-404", "status 404"),
        ("/sometimes-longer", "length changed"),
        ("/sometimes-short", "cut short"),
        ("/sometimes-more", "bytes nobody asked for"),
        ("/sometimes-garbage", "malformed: StatusLine"),
        ("/sometimes-silent", "closed without an answer"),
    ] {
        for way in ["stream", "exact"] {
            let found = saturate(server::start(), path, &["--way", way]);
            let errors = found["errors"].as_object().expect("a table");
            assert_eq!(errors.keys().collect::<Vec<_>>(), [error], "{path} {way}");
            assert!(number(&found, "requests") > 0.0, "{path} {way}: {found}");
        }
    }
}

#[test]
fn a_fixed_rate_is_kept_and_spread_over_the_connections() {
    let found = saturate(server::start(), "/2k", &["--rate", "500"]);
    let rate = number(&found, "requests_per_second");
    assert!((400.0..=520.0).contains(&rate), "{found}");
}

#[test]
fn lists_come_from_files_too() {
    let address = server::start();
    let path = std::env::temp_dir().join(format!("urls-{}", std::process::id()));
    let list = format!("# two of them\nhttp://{address}/2k\n\nhttp://{address}/1m\n");
    std::fs::write(&path, list).expect("the scratch folder is writable");
    let file = path.to_str().expect("the path is text");
    let found = report(&[
        "saturate",
        "--connections",
        "4",
        "--urls",
        file,
        "--duration",
        "1s",
        "--warmup",
        "0s",
    ]);
    std::fs::remove_file(&path).expect("it is ours");
    assert!(number(&found, "body_bytes") > 2048.0 * number(&found, "requests"), "{found}");
}

#[test]
fn what_cannot_be_measured_is_said_in_one_line() {
    for (arguments, code, words) in [
        (&["saturate"][..], 2, "no URLs"),
        (&["saturate", "ftp://x/"], 2, "only http://"),
        (&["saturate", "http://127.0.0.1:1/"], 1, "Connection refused"),
        (&["compare", "--server", "nginx"], 2, "at least two"),
        (&["compare", "--server", "nginx", "--server", "nginx"], 2, "two servers are called nginx"),
        (&["compare", "--server", "apache"], 2, "write NAME=COMMAND"),
    ] {
        let output = bench(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(words), "{arguments:?}: {errors}");
    }
    let url = format!("http://{}/missing", server::start());
    let output = bench(&["saturate", &url]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!("shardcast-bench: GET {url}: status 404\n")
    );
}

#[test]
fn a_run_that_says_nothing_ends_with_three() {
    let one = format!("one=http://{}", server::start());
    let two = format!("two=http://{}", server::start());
    let servers = ["compare", "--server", &one, "--server", &two, "--path", "/2k"];
    let short = ["--rounds", "1", "--duration", "400ms", "--warmup", "0s", "--client-cpu", "0"];
    // No machine has less than no steal: every round is dropped, here as on a busy one.
    let output = bench(&[&servers[..], &short, &["--connections", "2", "--steal-max=-1"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    let words = "shardcast-bench: invalid run: 4 of 4 rounds had more than -1 % steal: the machine";
    assert!(errors.starts_with(words), "{errors}");
}

/// The table of a report, with the rows' names in order.
#[track_caller]
fn rows<'a>(table: &'a Value, names: &[&str]) -> Vec<&'a Value> {
    let rows: Vec<&Value> = table["servers"].as_array().expect("rows").iter().collect();
    let found: Vec<_> = rows.iter().map(|row| row["name"].as_str().expect("a name")).collect();
    assert_eq!(found, names);
    rows
}

#[test]
fn compare_measures_servers_that_run_already() {
    let one = format!("one=http://{}", server::start());
    let two = format!("two=http://{}", server::start());
    let found = report(&[
        "compare",
        "--server",
        &one,
        "--server",
        &two,
        "--path",
        "/2k",
        "--path",
        "two=/1m",
        "--rounds",
        "2",
        "--duration",
        "200ms",
        "--warmup",
        "20ms",
        "--client-cpu",
        "0",
        "--steal-max",
        "100",
        "--half-load",
        "--connections",
        "2,4",
    ]);
    let tables = found["tables"].as_array().expect("tables");
    let loads: Vec<_> = tables.iter().map(|table| number(table, "connections")).collect();
    assert_eq!(loads, [2.0, 2.0, 4.0, 4.0]);
    for table in tables {
        let rows = rows(table, &["one", "two"]);
        assert_eq!(rows[0]["ratios"]["rate"]["median"], 1.0);
        assert!(rows[0]["ratios"]["server_cpu"].is_null(), "no process is known");
        assert_eq!(rows[1]["rounds"].as_array().map(Vec::len), Some(2));
    }
    let closed = number(&tables[0]["servers"][1], "requests_per_second");
    // What is read of a number's digits may be another one in its last bit.
    assert!(number(&tables[1], "rate") <= closed / 2.0 * (1.0 + 1e-9), "half of the slowest");
}

#[test]
fn compare_starts_nginx_and_h2o_in_a_namespace_and_ends_them() {
    let scratch = std::env::temp_dir().join(format!("compare-{}", std::process::id()));
    let folder = scratch.to_str().expect("the path is text");
    let found = report(&[
        "compare",
        "--server",
        "nginx",
        "--server",
        "h2o",
        "--workload",
        "tiny",
        "--scratch",
        folder,
        "--rounds",
        "2",
        "--duration",
        "200ms",
        "--warmup",
        "20ms",
        "--client-cpu",
        "0",
        "--steal-max",
        "100",
        "--connections",
        "4",
        "--netns",
    ]);
    assert_eq!(found["baseline"], "nginx");
    assert_eq!(found["machine"]["congestion_control"], "cubic");
    let rows = rows(&found["tables"][0], &["nginx", "h2o"]);
    assert!(number(rows[1], "server_cpu_us_per_request") > 0.0);
    let nginx = scratch.join("server-nginx");
    assert!(!nginx.join("nginx.pid").exists(), "nginx removes its pid file when it ends");
    assert_eq!(std::fs::read_to_string(nginx.join("error.log")).ok().as_deref(), Some(""));
    std::fs::remove_dir_all(&scratch).expect("the folder is ours");
}

#[test]
fn a_server_that_does_not_start_is_quoted() {
    let scratch = std::env::temp_dir().join(format!("broken-{}", std::process::id()));
    let folder = scratch.to_str().expect("the path is text");
    let output = bench(&[
        "compare",
        "--server",
        "a=sh -c 'echo no such luck; exit 7'",
        "--server",
        "nginx",
        "--workload",
        "tiny",
        "--scratch",
        folder,
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("ended at once") && errors.contains("no such luck"), "{errors}");
    std::fs::remove_dir_all(&scratch).expect("the folder is ours");
}

#[test]
fn runtimes_measures_all_three_styles() {
    let scratch = std::env::temp_dir().join(format!("runtimes-{}", std::process::id()));
    let folder = scratch.to_str().expect("the path is text");
    let found = report(&[
        "runtimes",
        "--rounds",
        "2",
        "--duration",
        "200ms",
        "--warmup",
        "20ms",
        "--client-cpu",
        "0",
        "--steal-max",
        "100",
        "--connections",
        "4",
        "--scratch",
        folder,
    ]);
    let rows = rows(&found["table"], &["ring", "tokio-uring", "glommio"]);
    for row in rows {
        assert!(number(row, "requests_per_second") > 0.0);
        assert!(number(row, "server_cpu_us_per_request") > 0.0);
        assert_eq!(number(&row["rounds"][0], "body_bytes") % 2048.0, 0.0);
    }
    std::fs::remove_dir_all(&scratch).expect("the folder is ours");
}

#[test]
fn idle_reports_memory_a_connection() {
    // In the process of the tests, the memory of the others comes and goes.
    let alone = server::Alone::start();
    let url = format!("http://{}/", alone.address);
    let pid = alone.process.id().to_string();
    let arguments = ["idle", &url, "--connections", "400", "--settle", "50ms"];
    let found = report(&[&arguments[..], &["--server-pid", pid.as_str()]].concat());
    assert_eq!(number(&found, "ended_by_server"), 0.0);
    // It gives every connection a buffer of 2 KiB.
    let user = number(&found, "user_bytes_per_connection");
    assert!((2_000.0..20_000.0).contains(&user), "{found}");
}

#[test]
fn a_storm_leaves_the_good_client_its_answers() {
    let address = server::start();
    let (good, large) = (format!("http://{address}/2k"), format!("http://{address}/1m"));
    let found = report(&[
        "storm",
        &good,
        "--storm-url",
        &large,
        "--slow-heads",
        "500",
        "--slow-readers",
        "50",
        "--resets-per-second",
        "200",
        "--pulls",
        "1",
        "--rate",
        "200",
        "--duration",
        "300ms",
        "--ramp",
        "500ms",
        "--settle",
        "0s",
    ]);
    assert_eq!(found["storm"]["errors"], serde_json::json!({}));
    assert!(number(&found["storm"], "requests") > 0.0, "{found}");
    assert!(number(&found["wreckage"], "heads_opened") > 0.0, "{found}");
    assert!(number(&found["wreckage"], "readers_opened") > 0.0, "{found}");
    assert!(number(&found["wreckage"], "resets") > 0.0, "{found}");
    assert_eq!(number(&found["wreckage"], "connect_failures"), 0.0);
}

#[test]
fn a_storms_pulls_keep_their_rate_and_order() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&paths);
    let address = listen::start(move |stream| {
        let (mut reader, mut writer) = listen::halves(stream)?;
        while let Some(head) = listen::head(&mut reader)? {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            asked.lock().expect("no thread panics").push(path);
            writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    });
    let good = format!("http://{}/2k", server::start());
    let urls: Vec<_> = (0..40).map(|number| format!("http://{address}/{number}")).collect();
    let mut arguments = vec!["storm", &good, "--pulls", "2", "--pull-rate", "1"];
    arguments.extend(["--rate", "50", "--duration", "1s", "--ramp", "0s", "--settle", "0s"]);
    arguments.extend(urls.iter().flat_map(|url| ["--storm-url", url.as_str()]));
    report(&arguments);
    let paths = paths.lock().expect("no thread panics");
    // One look at the first URL, and one at 16 that are drawn, come before.
    let pulled = &paths[17..];
    let expected: Vec<_> = (0..pulled.len()).map(|number| format!("/{number}")).collect();
    assert_eq!(pulled, expected);
    assert!((1..=5).contains(&pulled.len()), "one a second: {pulled:?}");
    let elsewhere = format!("http://{}/2k", server::start());
    let output = bench(&[&arguments[..], &["--storm-url", &elsewhere]].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
