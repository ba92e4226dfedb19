//! What is kept of a channel: it is there again after `kill -9`, under the same names and with the
//! same bytes, and goes on.

use super::boxes::{Chunk, MIDNIGHT, Media, chunk, header, salted_segment, segment};
use super::http::{Answer, Push, get};
use super::transport::{counter_gaps, segments};
use super::{Station, kept, past, uris};
use crate::running::{Running, serve, until, until_found};

impl Station {
    /// The channel `news`, kept, whose picture has its header.
    fn kept(mode: &str) -> Self {
        let station = Self::start(&kept("news", mode));
        station.begin();
        station
    }

    /// The encoder begins: the header of the picture of `news`.
    fn begin(&self) {
        assert_eq!(self.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    }

    /// Ends the server as nobody should, and starts it again; the encoder of `mark` comes back.
    pub fn killed(self) -> Self {
        let station = self.started_again();
        assert_eq!(station.put("mark/v/init.mp4", &header(Media::Picture)).status, 200);
        station
    }

    /// Waits until what `news` remembers has a line that begins so. It is put down a moment after.
    pub fn until_remembered(&self, line: &str) {
        let path = self.place.path("state/live/news");
        until(line, || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            text.lines().any(|one| one.starts_with(line))
        });
    }

    /// Waits until it is put down that a segment has begun.
    pub fn until_begun(&self, line: &str) {
        let path = self.place.path("state/begun/news");
        until(line, || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            text.lines().any(|one| one == line)
        });
    }

    /// What a player gets for the segment of a second, but for the date.
    fn segment(&self, second: u64) -> (u16, Vec<u8>, Vec<Option<String>>) {
        let answer = self.get(&format!("news/v/{second}.m4s"));
        let fields = ["ETag", "Content-Type", "Cache-Control", "Last-Modified", "Content-Length"];
        let fields = fields.map(|name| answer.header(name).map(str::to_owned));
        (answer.status, answer.body, fields.to_vec())
    }

    /// The name of the header that a playlist of the picture names.
    fn header_name(&self) -> String {
        let playlist = self.get("news/v/index.m3u8");
        super::quoted(playlist.text(), "URI").to_owned()
    }
}

#[test]
fn what_is_kept_has_the_same_names_and_bytes_after_kill_9_and_goes_on() {
    let station = Station::kept("required");
    (0..4).for_each(|at| station.push_durable(MIDNIGHT + at));
    let before: Vec<_> = (0..4).map(|at| station.segment(MIDNIGHT + at)).collect();
    assert!(before.iter().all(|(status, ..)| *status == 200));
    let name = station.header_name();
    let station = station.killed();
    // Before any encoder has come back.
    for (at, before) in (0..).zip(&before) {
        assert_eq!(station.segment(MIDNIGHT + at), *before, "{at}");
        assert!(before.1 == segment(MIDNIGHT + at));
    }
    let header_of = station.get(&format!("news/v/{name}"));
    assert!(header_of.status == 200 && header_of.body == header(Media::Picture));
    assert_eq!(station.get(&format!("news/v/{}.m4s", MIDNIGHT + 4)).status, 404);
    // The encoder sends its last segments again, and then goes on.
    station.begin();
    let again = station.put("news/v/3.m4s", &segment(MIDNIGHT + 3));
    assert_eq!((again.status, again.header("Shardcast-Durable")), (200, Some("yes")));
    (4..6).for_each(|at| station.push_durable(MIDNIGHT + at));
    station.until_says("news/v/index.m3u8", &format!("\n{}.m4s\n", MIDNIGHT + 5));
    assert_eq!(station.segment(MIDNIGHT + 3), before[3], "what is kept stays");
    let station = station.killed();
    for at in 0..6 {
        let (status, body, _) = station.segment(MIDNIGHT + at);
        assert!(status == 200 && body == segment(MIDNIGHT + at), "{at}: {status}");
    }
}

#[test]
fn what_a_manifest_named_by_its_time_is_found_after_kill_9() {
    let station = Station::kept("required");
    (0..3).for_each(|at| station.push_durable(MIDNIGHT + at));
    let timed = |at, extension| format!("news/v/0-{}.{extension}", (MIDNIGHT + at) * 90_000);
    let answer = station.get(&timed(1, "m4s"));
    assert!(answer.status == 200 && answer.body == segment(MIDNIGHT + 1));
    let station = station.killed();
    let moved = station.get(&timed(1, "m4s"));
    let name = format!("{}.m4s", MIDNIGHT + 1);
    assert_eq!((moved.status, moved.header("Location")), (302, Some(&*name)));
    assert!(station.segment(MIDNIGHT + 1).1 == segment(MIDNIGHT + 1));
    for other in [timed(9, "m4s"), timed(1, "ts"), "news/v/1-180000.m4s".to_owned()] {
        assert_eq!(station.get(&other).status, 404, "{other}");
    }
}

#[test]
fn where_it_need_not_be_durable_success_means_published_and_it_is_kept_a_moment_later() {
    let station = Station::kept("best-effort");
    let answer = station.put("news/v/1.m4s", &segment(MIDNIGHT));
    assert_eq!(answer.status, 200);
    assert!(matches!(answer.header("Shardcast-Durable"), Some("yes" | "no")));
    let figure = "shardcast_archive_segments_total{channel=\"news\",result=\"committed\"} 1\n";
    station.until_counted(figure);
    let again = station.put("news/v/1.m4s", &segment(MIDNIGHT));
    assert_eq!((again.status, again.header("Shardcast-Durable")), (200, Some("yes")));
    // Other bytes are not what is kept.
    let other = station.put("news/v/1.m4s", &salted_segment(MIDNIGHT, 1));
    assert_eq!((other.status, other.header("Shardcast-Durable")), (200, Some("no")));
    let station = station.killed();
    assert!(station.segment(MIDNIGHT).1 == segment(MIDNIGHT));
    let mark = station.put("mark/v/1.m4s", &segment(MIDNIGHT + 1));
    assert_eq!(mark.header("Shardcast-Durable"), None, "nothing of it is kept");
}

#[test]
fn a_stream_in_one_request_is_kept_segment_by_segment() {
    let station = Station::start(&kept("news", "required"));
    let mut push = Push::begin(station.server.ingest, "/ingest/news/Streams(v.cmfv)");
    push.send(&header(Media::Picture));
    (0..3).for_each(|at| push.send(&segment(MIDNIGHT + at)));
    station.until_counted(
        "shardcast_archive_segments_total{channel=\"news\",result=\"committed\"} 2\n",
    );
    let last = chunk((MIDNIGHT + 2) * 1000 + 500);
    station.until_put_down(&last.bytes());
    let station = station.killed();
    for at in 0..2 {
        let whole = station.get(&format!("news/v/{}.m4s", MIDNIGHT + at));
        assert!(whole.status == 200 && whole.body == segment(MIDNIGHT + at), "{at}");
    }
    // The third was not whole, and grows on.
    for (part, start_ms) in [(0, 2000), (1, 2500)] {
        let part = station.get(&format!("news/v/{}.{part}.m4s", MIDNIGHT + 2));
        let bytes = chunk(MIDNIGHT * 1000 + start_ms).bytes();
        assert!(part.status == 200 && part.body == bytes, "{start_ms}");
    }
    let mut push = Push::begin(station.server.ingest, "/ingest/news/Streams(v.cmfv)");
    push.send(&header(Media::Picture));
    (1..4).for_each(|at| push.send(&segment(MIDNIGHT + at)));
    let answer = push.end();
    assert_eq!((answer.status, answer.header("Shardcast-Durable")), (200, Some("yes")));
    for at in 0..4 {
        let whole = station.get(&format!("news/v/{}.m4s", MIDNIGHT + at));
        assert!(whole.status == 200 && whole.body == segment(MIDNIGHT + at), "{at}");
    }
}

#[test]
fn of_a_segment_that_was_begun_before_a_crash_nothing_is_published_from_its_middle() {
    let station = Station::kept("required");
    station.push_durable(MIDNIGHT);
    let station = station.killed();
    station.begin();
    let late = Chunk { independent: true, ..chunk((MIDNIGHT + 1) * 1000 + 500) };
    let answer = station.put("news/v/1.m4s", &late.bytes());
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert_eq!(station.get(&format!("news/v/{}.m4s", MIDNIGHT + 1)).status, 404);
    station.push_durable(MIDNIGHT + 1);
}

#[test]
fn a_disk_that_refuses_costs_what_came_meanwhile_and_live_goes_on() {
    let station =
        Station::start(&format!("{}{}", kept("news", "required"), kept("film", "best-effort")));
    station.begin();
    assert_eq!(station.put("film/v/init.mp4", &header(Media::Picture)).status, 200);
    station.push_durable(MIDNIGHT);
    // Nothing can be written where a file stands in the way of the folder.
    let folder = station.place.path("state/archive/news");
    let aside = station.place.path("state/aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    let station = station.killed();
    station.begin();
    let refused = station.put("news/v/1.m4s", &segment(MIDNIGHT + 1));
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert!(station.segment(MIDNIGHT + 1).1 == segment(MIDNIGHT + 1), "it is published");
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    // It is asked again by and by.
    let mut at = 2;
    while station.put(&format!("news/v/{at}.m4s"), &segment(MIDNIGHT + at)).status == 507 {
        at += 1;
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    let station = station.killed();
    for second in [MIDNIGHT, MIDNIGHT + at] {
        assert!(station.segment(second).1 == segment(second), "{second}");
    }
    assert_eq!(station.segment(MIDNIGHT + 1).0, 404, "it is a gap");
}

#[test]
fn numbers_that_do_not_follow_from_the_media_go_on_above_all_that_were_used() {
    let station = Station::news();
    // Of media that begins at its own zero.
    (0..3).for_each(|at| drop(station.put(&format!("news/v/{at}.m4s"), &segment(at))));
    let newest = |station: &Station| {
        let playlist = station.until_says("news/v/index.m3u8", ".m4s\n");
        let names = super::uris(&playlist);
        let number = names.last().and_then(|name| name.split('.').next()?.parse::<u64>().ok());
        number.expect("a segment has a number")
    };
    let before = newest(&station);
    let template = |station: &Station| {
        let manifest = station.until_says("news/manifest.mpd", "$Time$");
        super::quoted(&manifest, " media").to_owned()
    };
    let named = template(&station);
    station.until_remembered("number v ");
    let station = station.killed();
    station.begin();
    // The same timeline goes on, and one begins anew.
    (3..5).for_each(|at| drop(station.put(&format!("news/v/{at}.m4s"), &segment(at))));
    let behind = newest(&station);
    assert!(behind > before + 1, "{behind} after {before}");
    assert_ne!(template(&station), named, "names by time are others, too");
    let station = station.killed();
    station.begin();
    (0..2).for_each(|at| drop(station.put(&format!("news/v/{at}.m4s"), &segment(at))));
    assert!(newest(&station) > behind + 1);
}

#[test]
fn what_had_begun_and_is_not_kept_is_never_published_with_other_bytes() {
    let station = Station::news();
    let first = past();
    station.push(first);
    station.push(first + 1);
    // Half of a segment that somebody may have by now.
    assert_eq!(station.put("news/v/2.m4s", &chunk((first + 2) * 1000).bytes()).status, 200);
    station.until_begun(&format!("number v {}", first + 2));
    let station = station.killed();
    station.begin();
    // The encoder comes back in the middle of it, and then with other bytes.
    let middle = chunk((first + 2) * 1000 + 500).bytes();
    assert_eq!(station.put("news/v/2.m4s", &middle).status, 200);
    assert_eq!(station.put("news/v/2.m4s", &salted_segment(first + 2, 1)).status, 200);
    station.push(first + 3);
    station.until_says("news/v/ll.m3u8", &format!("\n{}.m4s\n", first + 3));
    for second in [first, first + 1, first + 2] {
        assert_eq!(station.segment(second).0, 404, "{second}");
    }
    assert!(station.segment(first + 3).1 == segment(first + 3));
}

#[test]
fn lengths_that_were_learnt_hold_after_a_restart() {
    let station = Station::start("[[channel]]\nid = \"news\"\npatience = \"60s\"\n");
    station.begin();
    (0..3).for_each(|at| station.push(MIDNIGHT + at));
    let parts = |station: &Station| {
        let low = station.until_says("news/v/ll.m3u8", "PART-TARGET");
        let (_, behind) = low.split_once("PART-TARGET=").unwrap();
        behind.split('\n').next().unwrap().to_owned()
    };
    let before = parts(&station);
    assert_eq!(before, "0.5");
    station.until_remembered("lengths ");
    let station = station.killed();
    station.begin();
    // One chunk is published at once: nothing is to be learnt from it.
    let first = chunk((MIDNIGHT + 3) * 1000).bytes();
    assert_eq!(station.put("news/v/3.m4s", &first).status, 200);
    assert_eq!(parts(&station), before);
}

/// The lines of a trace of which what they tell of has ended, in the order of these ends; `calls`
/// that were interrupted by others in the trace are put together.
fn ended_calls(trace: &str) -> Vec<String> {
    let mut begun = std::collections::HashMap::new();
    let mut ended = Vec::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap_or((line, ""));
        let call = call.trim_start();
        if let Some(call) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, call.trim_end());
        } else if call.contains(" resumed>") {
            let (_, rest) = call.split_once(" resumed>").expect("it was just seen");
            ended.push(format!("{}{rest}", begun.remove(thread).unwrap_or_default()));
        } else {
            ended.push(call.to_owned());
        }
    }
    ended
}

#[test]
fn the_disk_is_synced_before_the_encoder_hears_of_success() {
    let station = Station::start(&kept("news", "required"));
    station.server.signal("TERM");
    let Station { server, place, .. } = station;
    server.ended();
    let trace = place.path("trace");
    let mut command = std::process::Command::new("strace");
    // The server is our child, and strace its companion.
    command.args(["-D", "-f", "-y", "-s", "40", "-e"]);
    command.arg("trace=fdatasync,write,writev,sendto,sendmsg").arg("-o").arg(&trace);
    let serve = serve(&place.path("shardcast.toml"));
    command.arg(serve.get_program()).args(serve.get_args());
    let server = Running::start(&mut command);
    let put = |path: &str, body: &[u8]| {
        let answer = super::http::put(server.ingest, &format!("/ingest/news/v/{path}"), body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    put("init.mp4", &header(Media::Picture));
    (0..3).for_each(|at| put(&format!("{at}.m4s"), &segment(MIDNIGHT + at)));
    server.signal("KILL");
    server.ended();
    let trace = until_found(|| {
        let trace = std::fs::read_to_string(&trace).expect("strace is installed");
        let has_ended = trace.contains("+++ killed by SIGKILL +++");
        has_ended.then_some(trace).ok_or("the trace has no end")
    });
    let calls = ended_calls(&trace);
    let at = |what: &dyn Fn(&String) -> bool| -> Vec<_> {
        (0..).zip(&calls).filter(|(_, call)| what(call)).map(|(at, _): (usize, _)| at).collect()
    };
    let synced = |ending: &'static str| {
        at(&move |call| call.starts_with("fdatasync(") && call.contains(ending))
    };
    let (payload, journal) = (synced(".open>)"), synced(".open.journal>)"));
    let said = at(&|call| call.contains("\"HTTP/1.1 200 OK"));
    // Both files are synced when they are made, and the first answer is to the header.
    assert_eq!((said.len(), payload.len(), journal.len()), (4, 4, 4), "{trace}");
    for segment in 1..4 {
        assert!(payload[segment] < journal[segment], "{segment}: {trace}");
        assert!(journal[segment] < said[segment], "{segment}: {trace}");
        assert!(said[segment - 1] < payload[segment], "{segment}: {trace}");
    }
}

/// Kills the server at moments that nobody has chosen, while an encoder pushes; so often.
fn kill_at_random(rounds: u64) {
    let mut station = Station::kept("required");
    let mut acknowledged = Vec::new();
    let mut second = MIDNIGHT;
    for round in 0..rounds {
        let ingest = station.server.ingest;
        let from = second;
        let encoder = std::thread::spawn(move || {
            let mut acknowledged = Vec::new();
            for second in from..from + 60 {
                let path = format!("/ingest/news/v/{second}.m4s");
                let size = segment(second).len();
                let head = format!("PUT {path} HTTP/1.1\r\nHost: in\r\nContent-Length: {size}\r\n");
                match super::http::try_ask(ingest, &head, &segment(second)) {
                    Ok(answer) if answer.status == 200 => acknowledged.push(second),
                    _ => break,
                }
            }
            acknowledged
        });
        // The moment differs from round to round.
        std::thread::park_timeout(std::time::Duration::from_millis(200 + round * 7919 % 1000));
        station = station.killed();
        acknowledged.extend(encoder.join().unwrap());
        for &second in &acknowledged {
            let (status, body, _) = station.segment(second);
            assert!(status == 200 && body == segment(second), "round {round}: {second} {status}");
        }
        second = acknowledged.last().map_or(from, |last| last + 1);
        station.begin();
    }
    assert!(acknowledged.len() as u64 >= rounds, "{}", acknowledged.len());
}

#[test]
fn every_acknowledged_segment_is_there_after_kill_9_at_random_moments() {
    let is_full = std::env::var_os("SHARDCAST_FULL").is_some();
    kill_at_random(if is_full { 50 } else { 3 });
}

#[test]
fn an_hour_that_is_over_becomes_a_pack_and_nobody_can_tell() {
    let station = Station::kept("required");
    (0..3).for_each(|at| station.push_durable(MIDNIGHT + at));
    let before: Vec<_> = (0..3).map(|at| station.segment(MIDNIGHT + at)).collect();
    // Files of this hour, found in a later one.
    let folder = station.place.path("state/archive/news");
    station.server.signal("KILL");
    let files = || {
        let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name());
        let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
        files.sort();
        files
    };
    for name in files() {
        let (_, ending) = name.split_once('.').expect("it has an extension");
        let old = folder.join(format!("2026-11-25T23-0.{ending}"));
        std::fs::rename(folder.join(&name), old).unwrap();
    }
    let station = station.killed();
    until_found(|| match files() {
        files if files == ["2026-11-25T23-0.pack"] => Ok(()),
        files => Err(format!("{files:?}")),
    });
    let check = |station: &Station| {
        for (at, before) in (0..).zip(&before) {
            assert_eq!(station.segment(MIDNIGHT + at), *before, "{at}");
        }
    };
    check(&station);
    station.begin();
    station.push_durable(MIDNIGHT + 3);
    let station = station.killed();
    check(&station);
    assert!(station.segment(MIDNIGHT + 3).1 == segment(MIDNIGHT + 3));
    assert_eq!(files().len(), 3, "the pack, and an hour that is open");
}

#[test]
fn what_waits_for_the_disk_is_kept_when_the_server_is_told_to_end() {
    let station = Station::kept("best-effort");
    (0..3).for_each(|at| station.push(MIDNIGHT + at));
    station.server.signal("TERM");
    let Station { server, place, marks } = station;
    assert!(server.ended().success());
    let server = Running::start(&mut serve(&place.path("shardcast.toml")));
    let station = Station { server, place, marks };
    for at in 0..3 {
        assert!(station.segment(MIDNIGHT + at).1 == segment(MIDNIGHT + at), "{at}");
    }
}

#[test]
fn a_channel_that_goes_takes_its_archive_along_and_brings_it_back() {
    let station = Station::kept("required");
    station.push_durable(MIDNIGHT);
    let path = station.place.path("shardcast.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace(&kept("news", "required"), "")).unwrap();
    station.server.signal("HUP");
    station.until(&format!("news/v/{MIDNIGHT}.m4s"), |answer| answer.status == 404);
    std::fs::write(&path, config).unwrap();
    station.server.signal("HUP");
    let is_whole = |answer: &Answer| answer.status == 200 && answer.body == segment(MIDNIGHT);
    station.until(&format!("news/v/{MIDNIGHT}.m4s"), is_whole);
}

#[test]
fn what_is_kept_of_a_transport_stream_has_no_header_and_is_there_again() {
    let station = Station::start(&kept("news", "required"));
    let from = past();
    for (at, segment) in segments(4).iter().enumerate() {
        let answer = station.put(&format!("news/s{at}.ts"), segment);
        assert_eq!((answer.status, answer.header("Shardcast-Durable")), (200, Some("yes")));
    }
    let live = station.until("news/s/index.m3u8", |answer| uris(answer.text()).len() == 4);
    let names: Vec<_> = uris(live.text()).into_iter().map(str::to_owned).collect();
    let media = |station: &Station, name: &String| {
        let answer = station.get(&format!("news/s/{name}"));
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("video/mp2t")));
        answer.body
    };
    let before: Vec<_> = names.iter().map(|name| media(&station, name)).collect();
    let station = station.killed();
    // What was published a while before its media's end may be dated a little ahead.
    let folder = format!("news/archive/{from}-3600");
    let past = station.get(&format!("{folder}/s/media.m3u8"));
    let text = past.text();
    assert_eq!(past.status, 200, "{text}");
    assert!(!text.contains("EXT-X-MAP"), "{text}");
    let listed: Vec<_> = uris(text).into_iter().map(|uri| uri.rsplit_once('/').unwrap()).collect();
    assert!(listed.iter().all(|(folder, _)| *folder == "../../../s"), "{text}");
    assert_eq!(listed.iter().map(|(_, name)| *name).collect::<Vec<_>>(), names);
    let after: Vec<_> = names.iter().map(|name| media(&station, name)).collect();
    assert!(before == after);
    assert_eq!(counter_gaps(&after.concat()), []);
    let boxes = names[0].replace(".ts", ".m4s");
    assert_eq!(station.get(&format!("news/s/{boxes}")).status, 404);
    let master = station.get(&format!("{folder}/master.m3u8"));
    assert!(master.text().ends_with("s/media.m3u8\n"), "{}", master.text());
    let manifest = format!("/tv/{folder}/manifest.mpd");
    assert_eq!(get(station.server.public, &manifest).status, 404);
}
