//! The text is read back by a strict parser of its format, and its figures are checked.

use std::collections::{BTreeMap, BTreeSet};

use hdrhistogram::Histogram;

use super::*;

/// Every name of the contract, with its kind.
const CONTRACT: &[(&str, &str)] = &[
    ("shardcast_build_info", "gauge"),
    ("shardcast_requests_total", "counter"),
    ("shardcast_sent_bytes_total", "counter"),
    ("shardcast_body_copied_bytes_total", "counter"),
    ("shardcast_connections", "gauge"),
    ("shardcast_connections_total", "counter"),
    ("shardcast_request_seconds", "histogram"),
    ("shardcast_ring_enters_total", "counter"),
    ("shardcast_ring_completions_total", "counter"),
    ("shardcast_send_backend", "gauge"),
    ("shardcast_cold_reads_total", "counter"),
    ("shardcast_parked_requests", "gauge"),
    ("shardcast_sharing_total", "counter"),
    ("shardcast_live_publish_seconds", "histogram"),
    ("shardcast_ingest_objects_total", "counter"),
    ("shardcast_sessions", "gauge"),
    ("shardcast_refusals_total", "counter"),
];

fn report(shard: u16) -> ShardReport {
    let mut histogram = Histogram::new(3).unwrap();
    for nanos in [40_000, 60_000, 60_000, 120_000_000_000] {
        histogram.record(nanos).unwrap();
    }
    ShardReport {
        shard,
        requests: vec![(Class::Segment, 200, 10), (Class::Other, 404, 1)],
        refusals: vec![("not_found", 1), ("a \"b\" \\ \n", 2)],
        latency: vec![(Class::Segment, histogram)],
        sent_bytes: 100,
        body_copied_bytes: 50,
        connections: 3,
        connections_total: 4,
        ring_enters: 5,
        ring_completions: 6,
        cold_reads: 7,
        parked: 8,
        backends: vec![("sendfile", 1)],
        cache_bytes: 9,
        access_dropped: 10,
        faults: 11,
        told: vec![("video", 1), ("audio", 0)],
        stalls: 2,
        starts: 3,
        malformed: 4,
        paces_set: 12,
    }
}

/// Every sample, by name and labels as they are written; panics on anything that is not the format.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeMap::new());
    let mut family: Option<(String, String)> = None;
    let mut helped = None;
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!help.is_empty() && helped.is_none(), "{line}");
            helped = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert_eq!(helped.take().as_deref(), Some(name), "{line}");
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
            family = Some((name.to_owned(), kind.to_owned()));
        } else {
            assert!(helped.is_none(), "{line}");
            let (name, labels, value) = sample(line);
            let (family, kind) = family.as_ref().expect("a family comes first");
            let ending = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line}"));
            let endings: &[_] =
                if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(endings.contains(&ending), "{line}");
            assert!(kind != "counter" || family.ends_with("_total"), "{line}");
            assert!(samples.insert(format!("{name}{{{labels}}}"), value).is_none(), "{line}");
        }
    }
    for (name, kind) in CONTRACT {
        assert_eq!(families.get(*name).map(String::as_str), Some(*kind), "{name}");
    }
    samples
}

/// Name, labels, value of one line.
fn sample(line: &str) -> (&str, &str, f64) {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).expect("a name");
    let (name, rest) = line.split_at(end);
    assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{line}");
    let (labels, value) = match rest.strip_prefix('{') {
        None => ("", rest),
        Some(rest) => {
            let labels = labels_end(rest);
            (&rest[..labels], &rest[labels + 1..])
        }
    };
    let value = value.strip_prefix(' ').expect("one space before the value");
    (name, labels, value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
}

/// Where the labels end: at a brace outside of quotes. Checks each `name="value"` on the way.
fn labels_end(text: &str) -> usize {
    let (mut at, mut seen) = (0, BTreeSet::new());
    loop {
        let equals = at + text[at..].find("=\"").expect("a label");
        let name = &text[at..equals];
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && seen.insert(name));
        at = equals + 2;
        loop {
            match text.as_bytes()[at] {
                b'\\' => {
                    assert!(b"\\\"n".contains(&text.as_bytes()[at + 1]));
                    at += 2;
                }
                b'"' => break,
                _ => at += 1,
            }
        }
        match text.as_bytes()[at + 1] {
            b',' => at += 2,
            b'}' => return at + 1,
            other => panic!("{other} after a label in {text}"),
        }
    }
}

#[test]
fn the_figures_of_all_shards_are_added_up() {
    let scrape = Reports { reports: vec![report(0), report(1)], silent: 1, shards: 3 };
    let mut times = Histogram::new(2).unwrap();
    for nanos in [90_000, 2_000_000, 30_000_000_000] {
        times.record(nanos).unwrap();
    }
    let objects = vec![("news".to_owned(), "published", 7)];
    let remuxes = vec![("news".to_owned(), 2)];
    let segments = [("committed", 8), ("failed", 1), ("dropped", 0)];
    let kept = vec![Kept { channel: "news".to_owned(), segments, bytes: 4096 }];
    let inputs = vec![("news".to_owned(), [1, 0, 3])];
    let pushed = Pushed { objects, remuxes, times: Some(times), kept, inputs };
    let asked = Asked {
        outcomes: vec![(("session", "allowed"), 7), (("session", "timed-out"), 2)],
        waiting: 1,
        is_left_alone: true,
    };
    let viewers =
        Viewers { sessions: 3, sharing: 2, sent: Some((9_000, true)), asked: Some(asked) };
    let text = text(&scrape, None, &pushed, (true, &viewers));
    let samples = parsed(&text);
    for (sample, value) in [
        ("shardcast_requests_total{class=\"segment\",status=\"200\"}", 20.0),
        ("shardcast_requests_total{class=\"other\",status=\"404\"}", 2.0),
        ("shardcast_refusals_total{reason=\"not_found\"}", 2.0),
        ("shardcast_refusals_total{reason=\"a \\\"b\\\" \\\\ \\n\"}", 4.0),
        ("shardcast_sent_bytes_total{}", 200.0),
        ("shardcast_archive_segments_total{channel=\"news\",result=\"committed\"}", 8.0),
        ("shardcast_archive_bytes{channel=\"news\"}", 4096.0),
        ("shardcast_connections{}", 6.0),
        ("shardcast_send_backend{backend=\"sendfile\"}", 2.0),
        ("shardcast_send_backend{backend=\"send_zc\"}", 0.0),
        ("shardcast_shards_silent{}", 1.0),
        ("shardcast_shards{}", 3.0),
        ("shardcast_sessions{}", 3.0),
        ("shardcast_ready{}", 1.0),
        ("shardcast_cmcd_requests_total{object=\"video\"}", 2.0),
        ("shardcast_cmcd_stalls_total{}", 4.0),
        ("shardcast_cmcd_starts_total{}", 6.0),
        ("shardcast_cmcd_malformed_total{}", 8.0),
        ("shardcast_pacing_changes_total{}", 24.0),
        ("shardcast_egress_bits_per_second{}", 9_000.0),
        ("shardcast_egress_full{}", 1.0),
        ("shardcast_access_log_lines_total{result=\"dropped\"}", 20.0),
        ("shardcast_request_seconds_bucket{class=\"segment\",le=\"0.00005\"}", 2.0),
        ("shardcast_request_seconds_bucket{class=\"segment\",le=\"0.0001\"}", 6.0),
        ("shardcast_request_seconds_bucket{class=\"segment\",le=\"60\"}", 6.0),
        ("shardcast_request_seconds_bucket{class=\"segment\",le=\"+Inf\"}", 8.0),
        ("shardcast_request_seconds_count{class=\"segment\"}", 8.0),
        ("shardcast_request_seconds_count{class=\"playlist\"}", 0.0),
        ("shardcast_live_publish_seconds_bucket{le=\"0.0001\"}", 1.0),
        ("shardcast_live_publish_seconds_bucket{le=\"0.005\"}", 2.0),
        ("shardcast_live_publish_seconds_bucket{le=\"10\"}", 2.0),
        ("shardcast_live_publish_seconds_count{}", 3.0),
        ("shardcast_ingest_objects_total{channel=\"news\",result=\"published\"}", 7.0),
        ("shardcast_remuxes_total{channel=\"news\"}", 2.0),
        ("shardcast_input_up{channel=\"news\"}", 1.0),
        ("shardcast_input_number{channel=\"news\"}", 0.0),
        ("shardcast_input_starts_total{channel=\"news\"}", 3.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}\n{text}");
    }
    let sum = samples["shardcast_request_seconds_sum{class=\"segment\"}"];
    assert!((sum - 240.0).abs() < 0.5, "{sum}");
    assert!(text.contains("shardcast_build_info{version=\""));
}

#[test]
fn buckets_never_fall() {
    let reports = Reports { reports: vec![report(0)], silent: 0, shards: 1 };
    let text = text(&reports, None, &Pushed::default(), (false, &Viewers::default()));
    for class in Class::ALL {
        let prefix = format!("shardcast_request_seconds_bucket{{class=\"{}\"", class.label());
        let counts: Vec<f64> =
            text.lines().filter(|l| l.starts_with(&prefix)).map(|l| sample(l).2).collect();
        assert_eq!(counts.len(), REQUEST_BOUNDS.len() + 1);
        assert!(counts.is_sorted());
    }
}

#[test]
fn a_server_without_shards_still_shows_every_name() {
    let samples =
        parsed(&text(&Reports::default(), None, &Pushed::default(), (false, &Viewers::default())));
    assert_eq!(samples["shardcast_ready{}"], 0.0);
    for process in ["process_resident_memory_bytes{}", "process_cpu_seconds_total{}"] {
        assert!(samples[process] >= 0.0, "{process}");
    }
}
