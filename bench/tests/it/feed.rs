//! `feed` against a tiny ingest server: what comes is what the clock and the faults say.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ingest::{Ingest, Request};
use super::{bench, report};

/// Where the runs begin, in Unix time, and the segment of two seconds that begins there.
const FROM: &str = "1700000000";
const FIRST: u64 = 850_000_000;

/// Pictures and sound of four seconds, made once a process.
fn sources() -> &'static [PathBuf; 2] {
    static SOURCES: OnceLock<[PathBuf; 2]> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let paths = [folder.join("picture.mp4"), folder.join("sound.mp4")];
        let video = "testsrc2=size=128x72:rate=25:duration=4";
        let coder = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-sc_threshold", "0"];
        ffmpeg(video, &coder, &paths[0]);
        ffmpeg("sine=sample_rate=48000:duration=4", &["-c:a", "aac"], &paths[1]);
        paths
    })
}

fn ffmpeg(input: &str, coder: &[&str], path: &Path) {
    // Another process of these tests may be reading the file of the last run.
    let beside = path.with_extension(format!("{}.mp4", std::process::id()));
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", input])
        .args(coder)
        .args(["-movflags", "frag_keyframe+empty_moov+default_base_moof"])
        .args(["-frag_duration", "200000"])
        .arg(&beside)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    std::fs::rename(&beside, path).expect("the folder is ours");
}

/// Feeds so much media to a server, and gives what came and the report.
#[track_caller]
fn feed(ingest: &Ingest, sources: &[PathBuf], more: &[&str]) -> (Vec<Request>, Value) {
    let url = format!("http://{}/in", ingest.address);
    let mut arguments = vec!["feed", &url, "--from", FROM];
    for source in sources {
        arguments.extend(["--source", source.to_str().expect("the path is text")]);
    }
    arguments.extend(more);
    let found = report(&arguments);
    (ingest.requests(), found)
}

fn good(_: &str, _: usize) -> u16 {
    200
}

/// A box: kind and body.
fn boxes(bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while rest.len() >= 8 {
        let size = rest[..4].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
        let kind = String::from_utf8_lossy(&rest[4..8]).into_owned();
        found.push((kind, &rest[8..size.min(rest.len())]));
        rest = &rest[size.min(rest.len())..];
    }
    found
}

fn inner<'a>(bytes: &'a [u8], kind: &str) -> &'a [u8] {
    boxes(bytes).into_iter().find(|(name, _)| name == kind).unwrap_or_else(|| panic!("{kind}")).1
}

fn number_at(bytes: &[u8], range: std::ops::Range<usize>) -> u64 {
    bytes[range].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What is in a segment's bytes.
struct Segment {
    event: Value,
    hash: String,
    /// `tfdt` and the sum of durations of each chunk.
    chunks: Vec<(u64, u64)>,
    sequences: Vec<u64>,
}

#[track_caller]
fn segment(body: &[u8]) -> Segment {
    let all = boxes(body);
    let kinds: Vec<_> = all.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds[..2], ["styp", "emsg"]);
    assert!(kinds[2..].chunks(3).all(|three| three == ["prft", "moof", "mdat"]), "{kinds:?}");
    let event = inner(body, "emsg");
    let scheme = b"urn:shardcast:feed\0\0";
    assert!(event[24..].starts_with(scheme) && event[0] == 1);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let (mut chunks, mut sequences) = (Vec::new(), Vec::new());
    for (kind, inside) in &all {
        if kind == "mdat" {
            for byte in *inside {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        if kind == "moof" {
            let traf = inner(inside, "traf");
            let run = inner(traf, "trun");
            let entries = run[12..].chunks(16);
            chunks.push((
                number_at(inner(traf, "tfdt"), 4..12),
                entries.map(|entry| number_at(entry, 0..4)).sum(),
            ));
            assert_eq!(number_at(run, 8..12) as usize, inside.len() + 16, "past moof and mdat");
            sequences.push(number_at(inner(inside, "mfhd"), 4..8));
        }
    }
    let event = serde_json::from_slice(&event[24 + scheme.len()..]).expect("JSON");
    Segment { event, hash: format!("{hash:016x}"), chunks, sequences }
}

/// The media requests for one rendition.
fn media(requests: &[Request], place: &str) -> Vec<Request> {
    let is_its = |request: &&Request| {
        request.path.starts_with(&format!("in/{place}/")) && request.number().is_some()
    };
    requests.iter().filter(is_its).cloned().collect()
}

/// Letters a segment: its place from the first, and `-` where its end is missing.
fn order(requests: &[Request]) -> String {
    let word = |request: &Request| {
        let number = request.number().expect("only segments are asked for") - FIRST;
        format!("{number}{}", if request.whole { "" } else { "-" })
    };
    requests.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn segments_lie_on_the_time_of_the_epoch() {
    let started = Instant::now();
    let ingest = Ingest::start(good);
    let arguments = ["--speed", "4", "--duration", "8s", "--channels", "2", "--spread"];
    let (requests, found) = feed(&ingest, sources(), &arguments);
    assert!(started.elapsed().as_secs_f64() > 1.9, "8 s of media, four times as fast");
    assert_eq!(found["segments"], 16, "{found}");
    assert_eq!(found["refusals"], serde_json::json!({}));
    for (place, ticks) in
        [("feed0/r0", 25_600), ("feed1/r0", 25_600), ("feed0/r1", 96_000), ("feed1/r1", 96_000)]
    {
        let header = requests.iter().find(|one| one.path == format!("in/{place}/init.mp4"));
        assert!(header.is_some_and(|one| one.body()[4..8] == *b"ftyp" && one.method == "PUT"));
        let media = media(&requests, place);
        assert_eq!(order(&media), "0 1 2 3", "{place}");
        let (mut end, mut sequence) = (None, None);
        for (request, number) in media.iter().zip(FIRST..) {
            assert!(request.head.contains("DASH-IF-Ingest: 1.1\r\n"), "{}", request.head);
            let segment = segment(&request.body());
            assert_eq!(request.pieces.len(), segment.chunks.len(), "chunks are sent one by one");
            assert!(segment.chunks.len() >= 9, "0.2 s each");
            assert_eq!(segment.event["hash"], segment.hash);
            assert_eq!(segment.event["number"], number);
            let channel = place.split('/').next();
            assert_eq!(segment.event["channel"].as_str(), channel);
            // 93.75 frames of AAC are a segment: it begins with the first whole one.
            let tolerance = if place.ends_with("r1") { 1_024 } else { 1 };
            let late = segment.chunks[0].0 - number * ticks;
            assert!(late < tolerance, "{place} {number}: {late}");
            for (start, duration) in segment.chunks {
                assert!(end.is_none_or(|end| end == start), "{place}: a gap");
                end = Some(start + duration);
            }
            for next in segment.sequences {
                assert!(sequence.is_none_or(|sequence| sequence < next), "{place}");
                sequence = Some(next);
            }
        }
    }
}

#[test]
fn what_was_taken_is_noted_and_an_encoder_has_its_place() {
    let ingest = Ingest::start(|_, before| if before == 3 { 503 } else { 200 });
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("taken");
    let arguments = ["--speed", "20", "--duration", "8s", "--channel", "tv", "--encoder", "b"];
    let more = [&arguments[..], &["--log", log.to_str().expect("the path is text")]].concat();
    let (requests, found) = feed(&ingest, &sources()[..1], &more);
    // The third one was refused, and taken when it was sent again.
    assert_eq!(order(&media(&requests, "tv/@b/r0")), "0 1 2 2 3", "{found}");
    let segments = requests.iter().filter_map(|one| one.number().map(|_| one.body()));
    assert!(segments.map(|body| segment(&body)).all(|one| one.event["channel"] == "tv"));
    let expected: Vec<_> = (FIRST..FIRST + 4).map(|number| format!("tv/r0/{number}\n")).collect();
    assert_eq!(std::fs::read_to_string(&log).expect("it was written"), expected.concat());
}

#[test]
fn one_long_request_holds_the_header_and_all_segments() {
    let ingest = Ingest::start(good);
    let arguments = ["--speed", "20", "--duration", "8s", "--mode", "long", "--channel", "tv"];
    let (requests, found) = feed(&ingest, &sources()[..1], &arguments);
    assert_eq!(found["segments"], 4, "{found}");
    let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "in/tv/r0/stream.mp4"));
    assert!(request.whole);
    let body = request.body();
    let kinds: Vec<_> = boxes(&body).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds[..2], ["ftyp", "moov"]);
    assert_eq!(kinds.iter().filter(|kind| *kind == "emsg").count(), 4);
    assert_eq!(kinds.iter().filter(|kind| *kind == "moof").count(), 40);
}

#[test]
fn a_long_request_that_is_killed_begins_anew_with_the_header() {
    let ingest = Ingest::start(good);
    let arguments = ["--speed", "20", "--duration", "8s", "--mode", "long", "--fault", "kill:1"];
    let (requests, found) = feed(&ingest, &sources()[..1], &arguments);
    assert_eq!(found["segments"], 4, "{found}");
    let whole: Vec<_> = requests.iter().map(|request| request.whole).collect();
    assert_eq!(whole, [false, false, false, false, true]);
    assert!(requests.iter().all(|request| request.body()[4..8] == *b"ftyp"));
}

/// Eight seconds of pictures, four segments, with a fault in every segment.
#[track_caller]
fn faulty(fault: &str, expected: &str) -> Vec<Request> {
    let ingest = Ingest::start(good);
    let arguments = ["--speed", "20", "--duration", "8s", "--fault", &format!("{fault}:1")];
    let (requests, found) = feed(&ingest, &sources()[..1], &arguments);
    let media = media(&requests, "feed0/r0");
    assert_eq!(order(&media), expected, "{found}");
    assert_eq!(found["faults"][fault], if fault == "late" { 2 } else { 4 }, "{found}");
    assert_eq!(found["segments"], 4, "{found}");
    media
}

#[test]
fn a_killed_segment_is_sent_again() {
    let media = faulty("kill", "0- 0 1- 1 2- 2 3- 3");
    for pair in media.chunks(2) {
        assert!(pair[0].body().len() < pair[1].body().len());
        assert_eq!(segment(&pair[1].body()).chunks.len(), 10);
    }
}

#[test]
fn a_torn_segment_ends_early_and_cleanly() {
    for request in faulty("tear", "0 1 2 3") {
        let segment = segment(&request.body());
        assert!((1..10).contains(&segment.chunks.len()));
        assert_ne!(segment.event["hash"], segment.hash, "the hash is that of all");
    }
}

#[test]
fn a_duplicate_has_the_same_bytes_and_the_other_has_not() {
    for pair in faulty("duplicate", "0 0 1 1 2 2 3 3").chunks(2) {
        assert!(pair[0].body() == pair[1].body());
    }
    for pair in faulty("other", "0 0 1 1 2 2 3 3").chunks(2) {
        let (one, two) = (segment(&pair[0].body()), segment(&pair[1].body()));
        assert_ne!(one.hash, two.hash);
        assert_eq!(one.event["hash"], one.hash);
        assert_eq!(two.event["hash"], two.hash, "each says what it has");
        assert_eq!(one.chunks, two.chunks);
    }
}

#[test]
fn a_late_segment_comes_after_the_next() {
    for request in faulty("late", "1 0 3 2") {
        let segment = segment(&request.body());
        assert_eq!(segment.event["hash"], segment.hash);
    }
}

#[test]
fn feeders_that_are_alike_send_the_same_bytes() {
    let sent = || {
        let ingest = Ingest::start(good);
        let arguments = ["--speed", "20", "--duration", "8s", "--alike"];
        let (requests, _) = feed(&ingest, &sources()[..1], &arguments);
        media(&requests, "feed0/r0").iter().map(Request::body).collect::<Vec<_>>()
    };
    let (one, two) = (sent(), sent());
    assert_eq!(one.len(), 4);
    assert!(one == two);
}

#[test]
fn what_was_not_answered_is_sent_again() {
    let ingest = Ingest::start(|_, before| if before == 2 { 0 } else { 200 });
    let arguments = ["--speed", "4", "--duration", "8s"];
    let (requests, found) = feed(&ingest, &sources()[..1], &arguments);
    assert_eq!(order(&media(&requests, "feed0/r0")), "0 1 1 2 3");
    assert_eq!((&found["cuts"], &found["resent_segments"]), (&1.into(), &1.into()), "{found}");
    assert_eq!((&found["segments"], &found["chunks"]), (&4.into(), &50.into()), "{found}");
}

#[test]
fn what_is_refused_is_sent_again() {
    // The header is taken, a segment is not, and then the header is wanted again.
    let ingest = Ingest::start(|_, before| match before {
        1 | 3 => 403,
        5 => 412,
        _ => 200,
    });
    let arguments = ["--speed", "4", "--duration", "8s"];
    let (requests, found) = feed(&ingest, &sources()[..1], &arguments);
    assert_eq!(found["refusals"], serde_json::json!({ "403": 2, "412": 1 }));
    assert_eq!(found["segments"], 4, "{found}");
    assert_eq!(order(&media(&requests, "feed0/r0")), "0 0 1 1 2 2 3");
    let names: Vec<_> = requests.iter().map(|one| one.path.ends_with("init.mp4")).collect();
    assert_eq!(names, [true, false, false, false, false, false, true, false, false]);
}

#[test]
fn what_is_refused_for_too_long_is_given_up() {
    let ingest =
        Ingest::start(|path, _| if path.ends_with(&format!("{FIRST}.m4s")) { 503 } else { 200 });
    let arguments = ["--speed", "4", "--duration", "12s"];
    let (requests, found) = feed(&ingest, &sources()[..1], &arguments);
    assert_eq!(found["skipped_segments"], 1, "{found}");
    assert_eq!(found["segments"], 5, "{found}");
    let numbers = media(&requests, "feed0/r0");
    let numbers: Vec<_> = numbers.iter().filter_map(Request::number).collect();
    assert!(numbers.is_sorted() && numbers[0] == FIRST && numbers[1] == FIRST, "{numbers:?}");

    let ingest = Ingest::start(|_, _| 404);
    let url = format!("http://{}/in", ingest.address);
    let source = sources()[0].to_str().expect("the path is text");
    let more = ["--source", source, "--speed", "20", "--duration", "4s"];
    let output = bench(&[&["feed", &url][..], &more].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("feed0/r0, header: status 404"), "{errors}");
    assert!(errors.ends_with("shardcast-bench: no segment was taken\n"), "{errors}");
}

#[test]
fn a_folder_gets_whole_files() {
    let folder = std::env::temp_dir().join(format!("feed-into-{}", std::process::id()));
    let source = sources()[0].to_str().expect("the path is text");
    let found = report(&[
        "feed",
        "--into",
        folder.to_str().expect("the path is text"),
        "--source",
        source,
        "--stems",
        "--from",
        FROM,
        "--speed",
        "20",
        "--duration",
        "4s",
    ]);
    assert_eq!(found["segments"], 2, "{found}");
    let place = folder.join("feed0/picture");
    let names = std::fs::read_dir(&place).expect("it was made").flatten();
    let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["850000000.m4s", "850000001.m4s", "init.mp4"]);
    let bytes = std::fs::read(place.join("850000001.m4s")).expect("it is there");
    let segment = segment(&bytes);
    assert_eq!(segment.event["hash"], segment.hash);
    assert_eq!(segment.chunks.len(), 10);

    // What was written can be a source itself.
    let ingest = Ingest::start(good);
    let (requests, _) = feed(&ingest, &[place], &["--speed", "20", "--duration", "2s"]);
    assert_eq!(order(&media(&requests, "feed0/r0")), "0");
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

#[test]
fn a_feeder_that_never_catches_up_ends_when_it_is_told() {
    let folder = std::env::temp_dir().join(format!("feed-late-{}", std::process::id()));
    let mut feeder = Command::new(env!("CARGO_BIN_EXE_shardcast-bench"))
        .args(["feed", "--from", FROM, "--speed", "10000", "--into"])
        .arg(&folder)
        .arg("--source")
        .arg(&sources()[0])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program was built for this test");
    let deadline = Instant::now() + Duration::from_secs(30);
    let until = |condition: &mut dyn FnMut() -> bool| {
        while !condition() && Instant::now() < deadline {
            thread::park_timeout(Duration::from_millis(1));
        }
    };
    until(&mut || folder.join("feed0/r0/850000099.m4s").exists());
    let told = Command::new("kill").arg(feeder.id().to_string()).status();
    assert!(told.expect("it is a command").success());
    let mut ended = None;
    until(&mut || {
        ended = feeder.try_wait().expect("it is a child of this process");
        ended.is_some()
    });
    if ended.is_none() {
        feeder.kill().expect("it is a child of this process");
    }
    feeder.wait().expect("it has ended");
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    assert_eq!(ended.and_then(|status| status.code()), Some(3), "it was late, and told to end");
}

#[test]
fn wrong_usage_says_what_to_do() {
    let source = sources()[0].to_str().expect("the path is text");
    let url = "http://127.0.0.1:9/in";
    for (arguments, words) in [
        (&["feed", "--source", source][..], "<URL>"),
        (&["feed", url], "--source"),
        (&["feed", url, "--source", source, "--segment", "1.5s"], "no key frame at 1.5 s"),
        (&["feed", url, "--source", source, "--segment", "5s"], "less than one segment"),
        (&["feed", url, "--source", source, "--fault", "kill:2"], "write kill, tear"),
        (&["feed", url, "--source", source, "--channel", "a/b"], "make a name"),
        (&["feed", "https://127.0.0.1/", "--source", source], "only http://"),
        (&["feed", url, "--source", "/dev/null"], "not an MP4"),
    ] {
        let output = bench(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(words), "{arguments:?}: {errors}");
    }
}
