//! The same requests to shardcast and to nginx over the same files: the answers must be the same.
//!
//! Requests are made from a seed (printed; `SEED=…` replays it), sent pipelined or one a
//! connection, and compared by status, body, Content-Length, Content-Range, Content-Type,
//! Last-Modified and Accept-Ranges. Deliberate differences stand in
//! tests/differential/differences.toml. `SHARDCAST_FULL=1` sends 50,000 requests instead of 3,000.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[path = "differential/client.rs"]
mod client;
#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/content.rs"]
mod content;
#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/servers.rs"]
mod servers;

use client::{Request, Response};
use compare::Difference;
use content::Content;
use random::Random;

/// differences.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    difference: Vec<Row>,
}

/// One deliberate difference.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    tags: Vec<String>,
    /// What may differ: the status, or one header of answers with the same status.
    #[serde(default = "status")]
    aspect: String,
    nginx: Vec<u16>,
    ours: Vec<u16>,
    reason: String,
}

fn status() -> String {
    "status".to_owned()
}

impl Row {
    fn covers(&self, request: &Request, statuses: [u16; 2], difference: &Difference) -> bool {
        let tagged = self.tags.iter().any(|tag| request.tags.contains(&tag.as_str()));
        let [ours, theirs] = statuses;
        let fits = self.ours.contains(&ours) && self.nginx.contains(&theirs);
        tagged && fits && self.aspect == difference.aspect
    }
}

/// Two servers over the same files, and what is known of them.
struct Pair<'a> {
    ours: SocketAddr,
    nginx: SocketAddr,
    content: &'a Content,
    assets: &'a [&'a str],
    /// Of each server, the ETag of each target's file.
    etags: [BTreeMap<String, String>; 2],
    rows: &'a [Row],
}

/// What a run found.
#[derive(Default)]
struct Report {
    requests: usize,
    /// By what differs and the tags: how often, and the first request.
    unexplained: BTreeMap<String, (usize, String)>,
    /// How often each row of the table was needed.
    needed: Vec<usize>,
}

impl<'a> Pair<'a> {
    fn new(
        ours: SocketAddr,
        nginx: SocketAddr,
        content: &'a Content,
        assets: &'a [&'a str],
        rows: &'a [Row],
    ) -> Self {
        let etags = [ours, nginx].map(|server| etags(server, content, assets));
        Self { ours, nginx, content, assets, etags, rows }
    }

    fn etags_for(&self, server: usize, requests: &[Request]) -> Vec<String> {
        let etag = |request: &Request| {
            let known = request.file.as_ref().and_then(|file| self.etags[server].get(file));
            known.cloned().unwrap_or_else(|| "\"none\"".to_owned())
        };
        requests.iter().map(etag).collect()
    }

    fn run(&self, seed: u64, count: usize) -> Report {
        let mut random = Random::new(seed);
        let mut report = Report { needed: vec![0; self.rows.len()], ..Report::default() };
        while report.requests < count {
            let batch = generate::batch(&mut random, self.content, self.assets);
            let answers = [(0, self.ours), (1, self.nginx)].map(|(index, server)| {
                let etags = self.etags_for(index, &batch);
                client::exchange(server, &batch, &etags).unwrap_or_else(|error| {
                    let wire: String = batch.iter().map(|one| one.wire("{etag}")).collect();
                    panic!("seed {seed:#x}: server {index}: {error}\n{wire}")
                })
            });
            report.requests += batch.len();
            for (request, (ours, theirs)) in batch.iter().zip(answers[0].iter().zip(&answers[1])) {
                self.judge(request, ours, theirs, &mut report);
            }
            let [our_count, their_count] = [answers[0].len(), answers[1].len()];
            if our_count != their_count {
                // Whoever closed did it after the last request that was answered.
                let count = our_count.min(their_count);
                let who = if our_count < their_count {
                    "ours closed after"
                } else {
                    "nginx closed after"
                };
                report.note(who, &batch[count.saturating_sub(1)]);
            }
        }
        report
    }

    fn judge(&self, request: &Request, ours: &Response, theirs: &Response, report: &mut Report) {
        let file = request.file.as_ref().and_then(|path| {
            let (_, name) = path.split_once('/')?;
            self.content.get(name).map(Vec::as_slice)
        });
        for what in compare::falsehoods(request, ours, file) {
            report.note(&what, request);
        }
        for difference in compare::differences(request, ours, theirs) {
            let statuses = [ours.status, theirs.status];
            let row = self.rows.iter().position(|row| row.covers(request, statuses, &difference));
            match row {
                Some(row) => report.needed[row] += 1,
                None => report.note(&difference.what, request),
            }
        }
    }
}

impl Report {
    fn note(&mut self, what: &str, request: &Request) {
        // Sizes and dates vary from file to file; what they are does not matter to the group.
        let what: String = what.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        let group = format!("{what} · {}", request.tags.join(" "));
        let entry = self.unexplained.entry(group).or_insert_with(|| (0, request.wire("{etag}")));
        entry.0 += 1;
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (group, (count, sample)) in &self.unexplained {
            writeln!(
                text,
                "{count} times: {group}\n{}",
                sample.trim_end().replace("\r\n", "\n    ")
            )
            .expect("writing to a string cannot fail");
        }
        text
    }
}

/// The validators that a server gives, by asking for every file once.
fn etags(server: SocketAddr, content: &Content, assets: &[&str]) -> BTreeMap<String, String> {
    let mut etags = BTreeMap::new();
    for asset in assets {
        for name in content.keys() {
            let target: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let target = target.replace("%2f", "/");
            let file = format!("{asset}/{name}");
            let request = Request {
                method: "HEAD",
                target: format!("/vod/{asset}/{target}"),
                version: "HTTP/1.1",
                headers: vec![("Connection", "close".to_owned())],
                tags: Vec::new(),
                file: Some(file.clone()),
            };
            let answers = client::exchange(server, &[request], &[String::new()]);
            let answer = answers.expect("a plain HEAD is answered").pop().expect("one answer");
            assert_eq!(answer.status, 200, "{file} is not served");
            etags.insert(file, answer.header("etag").expect("every file has an ETag").to_owned());
        }
    }
    etags
}

fn rows() -> Vec<Row> {
    let table: Table =
        toml::from_str(include_str!("differential/differences.toml")).expect("the table parses");
    table.difference
}

fn seed() -> u64 {
    let given = std::env::var("SEED").ok();
    given.map_or(0x5eed, |seed| {
        let digits = seed.trim_start_matches("0x");
        let radix = if digits.len() == seed.len() { 10 } else { 16 };
        u64::from_str_radix(digits, radix).expect("SEED is a number")
    })
}

/// A scratch folder with one folder asset.
fn folder(assets: &[&str]) -> (tempfile::TempDir, PathBuf, Content) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    content::readable(scratch.path());
    let root = scratch.path().join("root");
    let mut content = Content::new();
    for asset in assets {
        content = content::write(&root.join(asset));
    }
    content::readable(&root);
    (scratch, root, content)
}

/// shardcast's libraries with the same two assets: one as a folder, one as a pack.
fn libraries(scratch: &Path, root: &Path) -> (PathBuf, PathBuf) {
    let (folders, packs) = (scratch.join("folders"), scratch.join("packs"));
    std::fs::create_dir_all(&packs).expect("a folder for packs");
    content::write(&folders.join("plain"));
    content::readable(&folders);
    let pack = std::process::Command::new(env!("CARGO_BIN_EXE_shardcast"))
        .arg("pack")
        .arg(root.join("packed"))
        .arg("-o")
        .arg(packs.join("packed.pack"))
        .status()
        .expect("the program under test runs");
    assert!(pack.success(), "shardcast pack: {pack}");
    (folders, packs)
}

#[test]
fn shardcast_answers_as_nginx_does() {
    let assets = ["plain", "packed"];
    let (scratch, root, content) = folder(&assets);
    let (folders, packs) = libraries(scratch.path(), &root);
    let ours = servers::shardcast(&[&folders, &packs], &scratch.path().join("state"));
    let nginx = servers::nginx(&scratch.path().join("nginx"), &root, "");
    let rows = rows();
    let pair = Pair::new(ours.address, nginx.address, &content, &assets, &rows);
    let count = if std::env::var_os("SHARDCAST_FULL").is_some() { 50_000 } else { 3_000 };
    let report = pair.run(seed(), count);
    assert!(report.unexplained.is_empty(), "seed {:#x}:\n{}", seed(), report.text());
    for (row, needed) in rows.iter().zip(&report.needed) {
        assert!(*needed > 0, "no request needed the row of {:?} ({})", row.tags, row.reason);
    }
}

/// The runner itself: two servers that are the same give no difference.
#[test]
fn two_nginx_servers_do_not_differ() {
    let assets = ["plain"];
    let (scratch, root, content) = folder(&assets);
    let one = servers::nginx(&scratch.path().join("one"), &root, "");
    let other = servers::nginx(&scratch.path().join("other"), &root, "");
    let pair = Pair::new(one.address, other.address, &content, &assets, &[]);
    let report = pair.run(seed(), 1_000);
    assert!(report.unexplained.is_empty(), "seed {:#x}:\n{}", seed(), report.text());
}

/// The runner can fail: a server that answers only slightly otherwise is found.
#[test]
fn a_server_that_differs_is_found() {
    let assets = ["plain"];
    let (scratch, root, content) = folder(&assets);
    let nginx = servers::nginx(&scratch.path().join("nginx"), &root, "");
    for (extra, expected) in [
        ("max_ranges 1;", "status 200 not 206"),
        ("if_modified_since exact;", "status 200 not 304"),
        ("default_type text/plain;", "content-type"),
        ("location ~ \\.vtt$ { types { } root /nowhere; }", "status 404 not 200"),
    ] {
        let odd = servers::nginx(&scratch.path().join("odd"), &root, extra);
        let pair = unchecked(&odd, &nginx, &content, &assets);
        let report = pair.run(seed(), 600);
        assert!(
            report.text().contains(expected),
            "{extra}: {expected} is not in:\n{}",
            report.text()
        );
    }
}

/// A pair whose servers need not serve every file: the validators are nginx's for both.
fn unchecked<'a>(
    odd: &servers::Server,
    nginx: &servers::Server,
    content: &'a Content,
    assets: &'a [&'a str],
) -> Pair<'a> {
    let known = etags(nginx.address, content, assets);
    let etags = [known.clone(), known];
    Pair { ours: odd.address, nginx: nginx.address, content, assets, etags, rows: &[] }
}
