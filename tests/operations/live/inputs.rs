//! Channels that a supervised ffmpeg reads: files, the network, the next input when one is gone;
//! and what a child can't do.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::Answering;
use super::transport::encoder;
use super::{Station, uris};
use crate::running::{Place, Running, program, run, serve, until, until_found};

/// A film of some seconds, of which each begins with a picture that needs no other.
fn write_film(to: &Path) {
    assert!(encoder(4).arg(to).status().expect("ffmpeg is installed").success());
}

/// A channel that reads these.
pub fn channel(id: &str, inputs: &str, more: &str) -> String {
    format!(
        "[[channel]]\nid = \"{id}\"\nsegment = \"1s\"\npart = \"500ms\"\ninputs = [{inputs}]\n\
         {more}\n"
    )
}

/// A server of these channels, with a film beside its config.
pub fn started(channels: &str, prepare: impl FnOnce(&Place, &mut Command)) -> Station {
    let place = Place::new();
    let config = super::config(&place, channels);
    let mut command = serve(&config);
    write_film(&place.path("film.mp4"));
    prepare(&place, &mut command);
    Station { server: Running::start(&mut command), place, marks: Default::default() }
}

impl Station {
    /// What the API says of the ffmpeg of a channel.
    fn ffmpeg(&self, id: &str) -> Value {
        let answer = self.place.socket_get(&format!("/api/v1/channels/{id}"));
        let (_, body) = answer.split_once("\r\n\r\n").expect("a whole answer");
        // A channel on demand is gone for the moment in which it goes to rest.
        serde_json::from_str::<Value>(body).map_or(Value::Null, |channel| channel["ffmpeg"].clone())
    }

    /// Waits until the API says something of it.
    #[track_caller]
    pub fn until_ffmpeg(&self, id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        until_found(|| {
            let said = self.ffmpeg(id);
            if is_wanted(&said) { Ok(said) } else { Err(format!("{said:#}")) }
        })
    }
}

fn exists(pid: u64) -> bool {
    // One that nobody has waited for yet is not running any more.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[track_caller]
fn until_gone(pid: u64) {
    until(&format!("{pid} is gone"), || !exists(pid));
}

/// The numbers of the segments that a playlist lists.
fn numbers(playlist: &str) -> Vec<u64> {
    let number = |uri: &&str| uri.split('.').next().and_then(|name| name.parse().ok());
    uris(playlist).iter().filter_map(number).collect()
}

/// The path of the playlist of the first rendition in a multivariant one.
fn rendition(master: &str, id: &str) -> String {
    let playlists = uris(master);
    let first = playlists.first().unwrap_or_else(|| panic!("{master}"));
    super::resolved(&format!("{id}/master.m3u8"), first)
}

#[test]
fn a_file_is_read_again_and_again_and_comes_back_when_its_child_is_killed() {
    let station = started(&channel("film", "\"film.mp4\"", ""), |_, _| {});
    let master = station.until("film/master.m3u8", |answer| answer.status == 200);
    let media = rendition(master.text(), "film");
    // Longer than the film is.
    let many = |count| move |answer: &super::Answer| numbers(answer.text()).len() >= count;
    let before = station.until(&media, many(6));
    assert_eq!(station.get("film/manifest.mpd").status, 200);
    let child = station.until_ffmpeg("film", |said| said["state"] == "running");
    assert_eq!((&child["start"], &child["starts"]), (&"always".into(), &1.into()));
    let pid = child["pid"].as_u64().unwrap();
    // Neither the login nor what it is made of is in what every user of the machine can read.
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(line.contains("-protocol_whitelist\0file\0") && !line.contains("Basic"), "{line}");
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    assert_eq!(environment, "LC_ALL=C\0PATH=/usr/bin:/bin\0");
    // Nobody else may push to the channel, also not from this machine.
    assert_eq!(station.put("film/v/init.mp4", b"x").status, 401);
    station.until_counted("shardcast_input_up{channel=\"film\"} 1");
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    let second = station.until_ffmpeg("film", |said| {
        said["state"] == "running" && said["pid"].as_u64() != Some(pid)
    });
    assert_eq!(second["starts"], 2);
    assert!(second["last_exit"]["what"].as_str().unwrap().contains("SIGKILL"), "{second:#}");
    station.until_counted("shardcast_input_starts_total{channel=\"film\"} 2");
    // It goes on in the same playlist, above the numbers that were.
    let last = *numbers(before.text()).last().unwrap();
    let goes_on = |answer: &super::Answer| {
        answer.text().contains("#EXT-X-DISCONTINUITY\n")
            && numbers(answer.text()).last() > Some(&(last + 2))
    };
    station.until(&media, goes_on);
    let shown = run(program().args(["channel", "show", "film", "--config"]).arg(station.config()));
    assert!(
        shown.out.contains("reads       ") && shown.out.contains("film.mp4 (1 of 1)"),
        "{}",
        shown.out
    );
    // Killed, the server takes its children along.
    let pid = second["pid"].as_u64().unwrap();
    station.server.signal("KILL");
    until_gone(pid);
}

#[test]
fn a_server_that_ends_leaves_no_child_behind() {
    let station = started(&channel("film", "\"film.mp4\"", ""), |_, _| {});
    let pid = station.until_ffmpeg("film", |said| said["pid"].is_u64())["pid"].as_u64().unwrap();
    station.server.signal("TERM");
    assert!(station.server.ended().success());
    until_gone(pid);
}

/// A server of one file, by HTTP, which is there as long as it is to be.
struct Web {
    port: u16,
    film: Vec<u8>,
    ends: Arc<AtomicBool>,
}

impl Web {
    fn new(film: Vec<u8>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { port, film, ends: Arc::default() }
    }

    fn begin(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("it was free");
        let (film, ends) = (self.film.clone(), Arc::clone(&self.ends));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (mut stream, film) = (stream.unwrap(), film.clone());
                std::thread::spawn(move || {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        if !matches!(stream.read(&mut byte), Ok(1)) {
                            return;
                        }
                        head.push(byte[0]);
                    }
                    let size = film.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
                    // A reader that has enough goes away.
                    let _ = stream.write_all(head.as_bytes());
                    let _ = stream.write_all(&film);
                });
            }
        });
    }
}

#[test]
fn the_next_input_is_taken_when_one_is_gone_and_the_first_when_it_is_back() {
    let place = tempfile::tempdir().unwrap();
    let long = place.path().join("long.ts");
    assert!(encoder(120).args(["-f", "mpegts"]).arg(&long).status().unwrap().success());
    let web = Web::new(std::fs::read(&long).unwrap());
    let first = format!("http://me:secret7@127.0.0.1:{}/live/key12345?token=abcdef", web.port);
    let inputs = format!("{{ url = \"{first}\", paced = \"on\" }}, \"film.mp4\"");
    let station = started(&channel("news", &inputs, ""), |_, _| {});
    let second =
        station.until_ffmpeg("news", |said| said["input"] == 1 && said["state"] == "running");
    // The first one was tried, and nothing of what its URL hides is shown.
    let exit = second["last_exit"]["what"].as_str().unwrap();
    assert!(exit.contains("refused"), "{second:#}");
    assert_eq!(second["inputs"][0], format!("http://127.0.0.1:{}/***", web.port));
    let shown = second.to_string();
    for secret in ["secret7", "key12345", "abcdef"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    station.until("news/master.m3u8", |answer| answer.status == 200);
    web.begin();
    let back =
        station.until_ffmpeg("news", |said| said["input"] == 0 && said["state"] == "running");
    assert!(back["starts"].as_u64() >= Some(3), "{back:#}");
    web.ends.store(true, Ordering::Relaxed);
}

#[test]
fn on_demand_nothing_runs_before_the_first_viewer_nor_after_the_last() {
    let more = "start = \"on-demand\"\nidle = \"10s\"";
    let station = started(&channel("film", "\"film.mp4\"", more), |_, _| {});
    let child = station.ffmpeg("film");
    assert_eq!((&child["state"], &child["starts"]), (&"resting".into(), &0.into()));
    assert!(child["pid"].is_null());
    // Whoever asks waits for it; if it takes long he is asked to come again.
    let master = station.until("film/master.m3u8", |answer| {
        assert!([200, 503].contains(&answer.status), "{}", answer.head);
        answer.status == 200
    });
    let media = rendition(master.text(), "film");
    let before = station.until(&media, |answer| numbers(answer.text()).len() >= 2);
    let pid = station.ffmpeg("film")["pid"].as_u64().unwrap();
    // Somebody watches, and it goes on for longer than it would without.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(14) {
        station.get(&media);
        std::thread::park_timeout(Duration::from_millis(500));
    }
    assert_eq!(station.ffmpeg("film")["pid"].as_u64(), Some(pid));
    let rests = station.until_ffmpeg("film", |said| said["state"] == "resting");
    assert_eq!(rests["starts"], 1, "it ended because nobody watched");
    until_gone(pid);
    // A player that was paused goes on where it was, and finds only what is live now.
    let after = station.until(&media, |answer| answer.status == 200);
    let (first, last) = (numbers(after.text())[0], *numbers(before.text()).last().unwrap());
    assert!(first > last, "{first} follows {last}");
    assert!(!after.text().contains("#EXT-X-GAP"), "{}", after.text());
    assert_eq!(station.ffmpeg("film")["starts"], 2);
    // Nothing waits for ever for what the channel does not have.
    let stream = Answering::get(station.server.public, "/tv/film/stream.ts");
    assert!([200, 503].contains(&stream.status), "{}", stream.status);
}

/// In place of ffmpeg: tries what a program might that was taken over by a stranger's stream.
fn write_intruder(place: &Place, admin: u16) {
    let text = format!(
        r#"#!/usr/bin/perl
use Socket;
sub told {{ my ($what, $is) = @_; print STDERR "$what: ", ($is ? "done" : "refused"), "\n"; }}
told("read state", open(my $a, '<', "{state}/secret"));
told("list state", opendir(my $b, "{state}"));
told("read config", open(my $c, '<', "{root}/shardcast.toml"));
told("list root", opendir(my $d, "/"));
told("read passwords", open(my $e, '<', "/etc/shadow"));
told("write", open(my $f, '>', "{root}/mine"));
told("write input", open(my $g, '>>', "{root}/film.mp4"));
told("socket of a server", socket(my $h, AF_UNIX, SOCK_STREAM, 0));
socket(my $i, AF_INET, SOCK_STREAM, 0);
told("admin port", connect($i, pack_sockaddr_in({admin}, inet_aton("127.0.0.1"))));
my $child = fork();
exit 0 if defined $child && $child == 0;
told("fork", defined $child);
told("signal", kill(0, getppid()));
told("trace", open(my $j, '<', "/proc/" . getppid() . "/environ"));
told("read input", open(my $k, '<', "{root}/film.mp4"));
told("read a program", open(my $l, '<', "/usr/bin/env"));
sleep 600;
"#,
        state = place.path("state").display(),
        root = place.path("").display().to_string().trim_end_matches('/'),
    );
    let folder = place.path("bin");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("ffmpeg");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_child_gets_at_its_input_and_at_nothing_else() {
    // Some port that takes connections.
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let station = started(&channel("film", "\"film.mp4\"", ""), |place, command| {
        write_intruder(place, admin.local_addr().unwrap().port());
        std::fs::create_dir(place.path("state")).unwrap();
        std::fs::write(place.path("state").join("secret"), "x").unwrap();
        let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
        command.env("PATH", path);
    });
    let said = station.until_ffmpeg("film", |said| {
        let lines = said["lines"].as_array();
        lines.and_then(|lines| lines.last()).is_some_and(|line| {
            line.as_str().is_some_and(|line| line.starts_with("read a program"))
        })
    });
    let lines: Vec<_> = said["lines"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    let refused = [
        "read state",
        "list state",
        "read config",
        "list root",
        "read passwords",
        "write",
        "write input",
        "socket of a server",
        "admin port",
        "fork",
        "signal",
        "trace",
    ];
    let mut expected: Vec<_> = refused.iter().map(|what| format!("{what}: refused")).collect();
    expected.extend(["read input: done".to_owned(), "read a program: done".to_owned()]);
    assert_eq!(lines, expected);
    // It has no capabilities, and can gain none.
    let pid = said["pid"].as_u64().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}\n{status}");
    }
}

#[test]
fn an_input_in_the_servers_own_folder_is_never_read() {
    let station = started(&channel("film", "\"state/film.mp4\"", ""), |place, _| {
        std::fs::create_dir(place.path("state")).unwrap();
        std::fs::copy(place.path("film.mp4"), place.path("state").join("film.mp4")).unwrap();
    });
    let said = station.until_ffmpeg("film", |said| said["starts"].as_u64() >= Some(2));
    let exit = said["last_exit"]["what"].as_str().unwrap();
    assert!(exit.contains("lie in each other"), "{said:#}");
    assert_eq!(station.get("film/master.m3u8").status, 404);
}

#[test]
fn without_ffmpeg_the_channel_and_the_doctor_say_so() {
    let station = started(&channel("film", "\"film.mp4\"", ""), |place, command| {
        command.env("PATH", place.path("nowhere"));
    });
    let said = station.until_ffmpeg("film", |said| !said["last_exit"].is_null());
    let exit = said["last_exit"]["what"].as_str().unwrap();
    assert!(exit.contains("there is no ffmpeg in the PATH"), "{said:#}");
    let mut doctor = program();
    doctor.arg("doctor").arg("--config").arg(station.config()).env("PATH", "/nowhere");
    let said = run(&mut doctor);
    let line = said.out.lines().find(|line| line.contains(" ffmpeg: ")).unwrap();
    assert!(line.contains("apt-get install ffmpeg"), "{line}");
    assert!(run(doctor.env("PATH", "/usr/bin:/bin")).out.contains("good    ffmpeg: "));
}

#[test]
fn a_channel_on_demand_that_is_added_is_watched_by_whom_the_new_config_says() {
    let station = started(&channel("film", "\"film.mp4\"", ""), |place, command| {
        command.env("PATH", place.path("nowhere"));
    });
    let text = std::fs::read_to_string(station.config()).unwrap();
    let text = text.replace("access = \"open\"", "access = \"token\"");
    let late = channel("late", "\"film.mp4\"", "start = \"on-demand\"");
    std::fs::write(station.config(), text + &late).unwrap();
    station.server.signal("HUP");
    station.server.says("a channel is added");
    let answer = station.until("late/master.m3u8", |answer| answer.status != 404);
    assert_eq!(answer.status, 403, "{}", answer.head);
}
