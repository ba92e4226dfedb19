//! Subscribers that come from elsewhere: in, out again, and in as if nothing had happened.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::running::{Place, Running, Said, done, program, serve, until, verb};

fn started() -> (Place, PathBuf, Running) {
    let place = Place::new();
    std::fs::create_dir_all(place.path("vod")).unwrap();
    let config = place.config("[[library]]\npath = \"vod\"\n");
    let server = Running::start(&mut serve(&config));
    (place, config, server)
}

/// A verb that reads this from stdin.
fn fed(config: &Path, arguments: &[&str], text: &str) -> String {
    let mut command = program();
    command.args(arguments).env("SHARDCAST_CONFIG", config);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn report(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const DUMP: &str = "\
CREATE TABLE `bouquets` (`id` int, `bouquet_name` text);
INSERT INTO `bouquets` VALUES (1,'Sport');
CREATE TABLE `lines` (`id` int, `username` text, `password` text, `exp_date` int, `bouquet` text,
  `max_connections` int, `is_isplock` tinyint);
INSERT INTO `lines` VALUES (1,'anna','geheim ä&?',1800000000,'[1]',2,0),
(2,'no good','x',NULL,'[1]',1,0),
(3,'bert','12345',NULL,'[1]',1,1);
";

#[test]
fn lines_of_a_panel_are_kept_as_they_were_and_those_that_cannot_are_told() {
    let (place, config, _server) = started();
    let (dump, told) = (place.path("panel.sql"), place.path("told.jsonl"));
    std::fs::write(&dump, DUMP).unwrap();
    let import = ["import", dump.to_str().unwrap(), "--report", told.to_str().unwrap()];
    let said = verb(&config, &import);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.out.starts_with("5 lines: 4 added, 1 refused; 1 with warnings; "), "{}", said.out);
    let last = said.err.lines().last().unwrap_or_default();
    assert!(
        last.contains("1 line was refused (") && last.contains("told.jsonl says why"),
        "{last}"
    );
    let results: Vec<_> = report(&told)
        .iter()
        .map(|told| (told["line"].as_u64().unwrap(), told["id"].clone(), told["result"].clone()))
        .collect();
    let expected = [
        (5, "xtream-1", "added"),
        (5, "xtream-1", "added"),
        (5, "anna", "added"),
        (6, "no good", "refused"),
        (7, "bert", "added"),
    ];
    assert_eq!(results, expected.map(|(line, id, result)| (line, id.into(), result.into())));
    let bert = report(&told).pop().unwrap();
    assert_eq!(
        bert["warnings"].as_array().unwrap().len(),
        2,
        "a lock that is not kept, and a weak password"
    );

    let anna: Value =
        serde_json::from_str(&done(&config, &["subscriber", "show", "anna", "--json"])).unwrap();
    assert_eq!((&anna["expires"], &anna["sessions_max"]), (&1_800_000_000.into(), &2.into()));
    assert_eq!(anna["plan"], "xtream-1");
    let check = ["subscriber", "password", "check", "anna"];
    assert_eq!(fed(&config, &check, "geheim ä&?\n"), "it is the one called app\n");
    assert_eq!(fed(&config, &check, "geheim a&?\n"), "it is none of them\n");

    // The same again changes nothing.
    let said = verb(&config, &import);
    assert!(said.out.starts_with("5 lines: 4 unchanged, 1 refused; "), "{}", said.out);
}

#[test]
fn what_was_exported_is_another_servers_and_passwords_only_if_they_were_asked_for() {
    let (place, config, _server) = started();
    done(
        &config,
        &["category", "add", "films", "--sorts", "film", "--name", "Films", "--number", "41"],
    );
    done(&config, &["bouquet", "add", "all", "--name", "All", "--content", "tv/news"]);
    done(&config, &["plan", "add", "gold", "--name", "Gold", "--bouquet", "all"]);
    done(&config, &["subscriber", "add", "anna", "--plan", "gold", "--number", "77"]);
    let made = done(&config, &["subscriber", "password", "add", "anna", "--name", "tv"]);
    assert_eq!(made.trim_end().len(), 14);
    fed(&config, &["subscriber", "password", "add", "anna", "--stdin"], "Straße 7\n");
    let (without, with) = (place.path("without.jsonl"), place.path("with.jsonl"));
    let said = done(&config, &["export", "-o", without.to_str().unwrap()]);
    assert!(said.contains(": 4 objects as of revision 7"), "{said}");
    done(&config, &["export", "--passwords", "-o", with.to_str().unwrap()]);
    let secret = |path: &Path| std::fs::read_to_string(path).unwrap().contains("Straße 7");
    assert_eq!((secret(&without), secret(&with)), (false, true));
    let again = verb(&config, &["export", "-o", with.to_str().unwrap()]);
    assert_eq!(again.code, 1, "what is there stays");
    assert_eq!(done(&config, &["export"]), std::fs::read_to_string(&without).unwrap());
    let said = verb(&config, &["import", with.to_str().unwrap()]);
    assert!(said.out.starts_with("4 lines: 4 unchanged; "), "{}", said.out);

    let (there, other, _server) = started();
    let said = done(&other, &["import", with.to_str().unwrap()]);
    assert!(said.starts_with("4 lines: 4 added; "), "{said}");
    let (first, second) = (place.path("first"), there.path("second"));
    let without_revisions = |config: &Path, path: &Path| {
        done(config, &["export", "--passwords", "-o", path.to_str().unwrap()]);
        let mut all = report(path);
        for one in &mut all {
            one.as_object_mut().unwrap().remove("revision");
        }
        all
    };
    let all = without_revisions(&other, &second);
    assert_eq!(all, without_revisions(&config, &first));
    assert_eq!((&all[0]["number"], &all[3]["number"]), (&41.into(), &77.into()));
    let check = ["subscriber", "password", "check", "anna"];
    assert_eq!(fed(&other, &check, &made), "it is the one called tv\n");

    // They go with their subscriber, and are in no feed.
    done(&other, &["subscriber", "rm", "anna"]);
    done(&other, &["subscriber", "add", "anna"]);
    assert_eq!(fed(&other, &check, &made), "it is none of them\n");
}

#[test]
fn an_import_that_is_killed_leaves_whole_lines_and_goes_on() {
    const LINES: usize = 20_000;
    let (place, config, _server) = started();
    let file = place.path("many.csv");
    let rows: String = (0..LINES).map(|one| format!("user{one},pass-word-{one}\n")).collect();
    std::fs::write(&file, format!("username,password\n{rows}")).unwrap();
    let mut command = program();
    command.args(["import", file.to_str().unwrap()]).env("SHARDCAST_CONFIG", &config);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("a part is there", || !done(&config, &["subscriber", "ls", "--json"]).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = place.path("kept.jsonl");
    done(&config, &["export", "--passwords", "-o", kept.to_str().unwrap()]);
    let all = report(&kept);
    let subscribers = all.iter().filter(|one| one["kind"] == "subscriber");
    for one in subscribers.clone() {
        let number = one["id"].as_str().unwrap().strip_prefix("user").unwrap();
        let password = &one["passwords"][0]["password"];
        assert_eq!(
            *password,
            format!("pass-word-{number}"),
            "each has its password, or is not there"
        );
    }
    let before = subscribers.count();
    let Said { out: stdout, .. } = verb(&config, &["import", file.to_str().unwrap()]);
    let expected = match LINES - before {
        0 => format!("{LINES} lines: {LINES} unchanged; "),
        added => format!("{LINES} lines: {added} added, {before} unchanged; "),
    };
    assert!(stdout.starts_with(&expected), "{stdout} {expected}");
}

/// How many children of a process there are.
fn children(of: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{of}/task")).unwrap();
    let of_task = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
    let all = tasks.filter_map(|task| of_task(task.unwrap()).ok());
    all.map(|children| children.split_whitespace().count()).sum()
}

#[test]
fn a_list_starts_no_source_and_whoever_opens_a_channel_starts_one() {
    let count = if std::env::var_os("SHARDCAST_FULL").is_some() { 10_000 } else { 1_000 };
    let place = Place::new();
    let config = place.config("");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replacen("[server]\n", "[server]\ningest = \"127.0.0.1:0\"\n", 1);
    std::fs::write(&config, text).unwrap();
    let server = Running::start(&mut serve(&config));
    let list = place.path("list.m3u");
    let entry = |at: usize| {
        format!(
            "#EXTINF:-1 tvg-id=\"c{at}.example\" group-title=\"Group {}\",Channel {at}\n\
             http://192.0.2.{}:8000/live/{at}.ts\n",
            at % 40,
            at % 250 + 1
        )
    };
    let text = |count: usize| (0..count).map(entry).collect::<String>();
    std::fs::write(&list, format!("#EXTM3U\n{}", text(count))).unwrap();
    let import = ["import", list.to_str().unwrap(), "--prefix", "p-", "--bouquet", "all"];
    let said = done(&config, &import);
    assert!(said.starts_with(&format!("{0} lines: {0} added; ", count + 40)), "{said}");
    let number = |id: &str| {
        let told = done(&config, &["channel", "show", id, "--json"]);
        serde_json::from_str::<Value>(&told).unwrap()["number"].as_u64().unwrap()
    };
    let last = format!("p-c{}-example", count - 1);
    let numbers = [number("p-c7-example"), number(&last)];
    assert_eq!(children(server.id()), 0, "nobody watches");

    // A newer list that lacks one, and knows another place of the first.
    let newer = text(count - 1).replacen("192.0.2.1:8000", "192.0.2.1:9000", 1);
    std::fs::write(&list, newer).unwrap();
    let again = verb(&config, &[&import[..], &["--existing", "replace"]].concat());
    let told = format!("{} lines: 1 replaced, {} unchanged, 1 vanished; ", count + 39, count + 38);
    assert!(again.out.starts_with(&told), "{}", again.out);
    assert!(again.err.contains(&format!("tv/{last}: the file does not name it any more")));
    assert_eq!([number("p-c7-example"), number(&last)], numbers, "ids and numbers stay");
    let bouquet = done(&config, &["bouquet", "show", "all", "--json"]);
    let bouquet: Value = serde_json::from_str(&bouquet).unwrap();
    let content = bouquet["content"].as_array().unwrap();
    assert_eq!((content.len(), &content[0]), (count - 1, &"tv/p-c0-example".into()));
    assert_eq!(children(server.id()), 0, "nobody watches");

    let begun = |id: &str| {
        let told = done(&config, &["channel", "show", id, "--json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        told["ffmpeg"]["starts"].as_u64().unwrap_or_default()
    };
    let mut viewer = TcpStream::connect(server.public).unwrap();
    viewer.write_all(b"GET /tv/p-c7-example/master.m3u8 HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
    until("its input is read", || begun("p-c7-example") > 0);
    assert!(children(server.id()) <= 1, "one input at a time");
    assert_eq!((begun("p-c8-example"), begun("p-c70-example")), (0, 0));
}
