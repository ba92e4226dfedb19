//! Linear channels: assets of a library that follow each other, and nobody who pushes.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::boxes::{MIDNIGHT, Media, segment};
use super::http::{self, Answer};
use super::{quoted, resolved, uris};
use crate::running::{Place, Running, serve, until};

/// A library of two films, as a packager leaves them: 3 s in half seconds, and 2 s.
fn films(place: &Place) -> PathBuf {
    for (name, segments) in [("one", 6), ("two", 4)] {
        let folder = place.path("films").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let representation = |id: u8, codecs: &str| {
            format!(
                "<Representation id=\"{id}\" bandwidth=\"100000\" codecs=\"{codecs}\">\
                 <SegmentTemplate timescale=\"90000\" initialization=\"init-$RepresentationID$.mp4\" \
                 media=\"seg-$RepresentationID$-$Number%05d$.m4s\" startNumber=\"1\">\
                 <SegmentTimeline><S t=\"0\" d=\"45000\" r=\"{}\"/></SegmentTimeline>\
                 </SegmentTemplate></Representation>",
                segments - 1
            )
        };
        let (video, audio) = (representation(0, "avc1.64000c"), representation(1, "mp4a.40.2"));
        let manifest = format!(
            "<MPD><Period><AdaptationSet mimeType=\"video/mp4\">{video}</AdaptationSet>\
             <AdaptationSet mimeType=\"audio/mp4\">{audio}</AdaptationSet></Period></MPD>"
        );
        std::fs::write(folder.join("manifest.mpd"), manifest).unwrap();
        for id in 0..2 {
            std::fs::write(folder.join(format!("init-{id}.mp4")), format!("{name} {id}")).unwrap();
            for segment in 1..=segments {
                let path = folder.join(format!("seg-{id}-{segment:05}.m4s"));
                std::fs::write(path, format!("{name} {id} {segment}")).unwrap();
            }
        }
    }
    place.config(
        "[[library]]\npath = \"films\"\n[[channel]]\nid = \"cinema\"\nwindow = \"10s\"\n\
         playlist = [\"one\", \"two\", \"one\"]\n[[channel]]\nid = \"lost\"\nplaylist = [\"gone\"]\n",
    )
}

fn get(server: &Running, path: &str) -> Answer {
    http::get(server.public, path)
}

#[test]
fn a_channel_of_films_plays_what_lies_in_the_library() {
    let place = Place::new();
    let server = Running::start(&mut serve(&films(&place)));
    let master = get(&server, "/tv/cinema/master.m3u8");
    assert_eq!((master.status, master.header("Content-Type")), (200, Some(HLS)));
    assert_eq!(uris(master.text()), ["v0/index.m3u8"]);
    assert_eq!(quoted(master.text(), "URI"), "a1/index.m3u8");
    for path in ["/tv/cinema/v0/index.m3u8", "/tv/cinema/a1/index.m3u8"] {
        let playlist = get(&server, path);
        assert_eq!((playlist.status, playlist.header("Content-Type")), (200, Some(HLS)));
        let text = playlist.text();
        let segments = uris(text);
        assert!(segments.len() >= 20, "{text}");
        assert!(text.matches("#EXT-X-DISCONTINUITY\n").count() >= 3, "{text}");
        for uri in segments {
            let answer = get(&server, &resolved(path, uri));
            assert!(answer.status == 200 && !answer.body.is_empty(), "{uri}");
        }
        let header = resolved(path, quoted(text, "URI"));
        assert_eq!(get(&server, &header).status, 200, "{header}");
    }
    let manifest = get(&server, "/tv/cinema/manifest.mpd");
    assert_eq!(manifest.header("Content-Type"), Some("application/dash+xml"));
    let media = quoted(manifest.text(), "media").replace("$Number%05d$", "00001");
    let answer = get(&server, &resolved("/tv/cinema/manifest.mpd", &media));
    assert!(answer.status == 200, "{media}");
    for missing in ["v0/ll.m3u8", "v7/index.m3u8", "ll.m3u8", "x", "v0/index.m3u8/y"] {
        assert_eq!(get(&server, &format!("/tv/cinema/{missing}")).status, 404, "{missing}");
    }
    assert_eq!(get(&server, "/tv/other/master.m3u8").status, 404);
    assert_eq!(get(&server, "/tv/lost/master.m3u8").status, 503);
    assert_eq!(get(&server, "/healthz").status, 200);
}

const HLS: &str = "application/vnd.apple.mpegurl";

#[test]
fn servers_that_were_started_at_different_moments_say_the_same() {
    let place = Place::new();
    let config = films(&place);
    let one = Running::start(&mut serve(&config));
    for path in ["v0/index.m3u8", "a1/index.m3u8", "manifest.mpd"] {
        let path = format!("/tv/cinema/{path}");
        let old = get(&one, &path).body;
        // The other one starts when the first one has gone on.
        until("it goes on", || get(&one, &path).body != old);
        let other = Running::start(&mut serve(&config));
        // A segment may end between two requests; then both have it a moment later.
        let same = || get(&one, &path) == get(&other, &path);
        let differences = |text: &mut String| {
            let [one, other] = [&one, &other].map(|server| get(server, &path).body);
            let _ = writeln!(text, "{}", String::from_utf8_lossy(&one));
            let _ = writeln!(text, "{}", String::from_utf8_lossy(&other));
        };
        let mut seen = String::new();
        let is_same = (0..20).any(|_| same() || (differences(&mut seen), false).1);
        assert!(is_same, "{seen}");
    }
}

#[test]
fn a_film_that_has_playlists_only_is_shown_by_hls() {
    let place = Place::new();
    films(&place);
    let folder = place.path("films/plain");
    std::fs::create_dir_all(folder.join("sound")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write(
        "master.m3u8",
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"s\",NAME=\"x\",URI=\"sound/index.m3u8\"\n\
         #EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.64000c,mp4a.40.2\",AUDIO=\"s\"\nv.m3u8\n",
    );
    for (name, of) in [("v.m3u8", ""), ("sound/index.m3u8", "sound/")] {
        write(
            name,
            "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:0.5,\n1.m4s\n#EXTINF:0.75,\n2.m4s\n\
             #EXT-X-ENDLIST\n",
        );
        for file in ["init.mp4", "1.m4s", "2.m4s"] {
            write(&format!("{of}{file}"), &format!("{of}{file}"));
        }
    }
    let server = Running::start(&mut serve(&place.config(
        "[[library]]\npath = \"films\"\n[[channel]]\nid = \"cinema\"\nwindow = \"10s\"\n\
         playlist = [\"plain\", \"one\"]\n",
    )));
    for (rendition, file) in [("v0", "plain/2.m4s"), ("a1", "plain/sound/2.m4s")] {
        let path = format!("/tv/cinema/{rendition}/index.m3u8");
        let playlist = get(&server, &path);
        assert_eq!(playlist.status, 200);
        let text = playlist.text();
        assert!(text.contains(&format!("#EXTINF:0.75,\n../../../vod/{file}\n")), "{text}");
        assert!(text.contains("/vod/one/"), "{text}");
        for uri in uris(text).into_iter().chain([quoted(text, "URI")]) {
            assert_eq!(get(&server, &resolved(&path, uri)).status, 200, "{uri}");
        }
    }
    // Where the time of its media begins is in no playlist.
    assert_eq!(get(&server, "/tv/cinema/manifest.mpd").status, 404);
}

#[test]
fn what_has_a_time_of_day_begins_then() {
    let place = Place::new();
    films(&place);
    // Two minutes ago, on a clock that is three and a half hours behind UTC.
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs();
    let time = |moment: u64| {
        let of_day = moment % 86_400;
        format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
    };
    let (begun, there) = (time(now - 120), time(now - 120 + 86_400 - 12_600));
    let server = Running::start(&mut serve(&place.config(&format!(
        "[[library]]\npath = \"films\"\n[[channel]]\nid = \"cinema\"\nwindow = \"10min\"\n\
         utc_offset = \"-03:30\"\n\
         playlist = [\"one\", {{ asset = \"two\", at = \"{there}\" }}]\n"
    ))));
    for (rendition, id) in [("v0", 0), ("a1", 1)] {
        let answer = get(&server, &format!("/tv/cinema/{rendition}/index.m3u8"));
        assert_eq!(answer.status, 200);
        let film = format!("/vod/two/seg-{id}-00001.m4s");
        let all: Vec<_> = answer.text().split("#EXT-X-PROGRAM-DATE-TIME:").collect();
        let of_film = all.iter().filter(|text| text.contains(&film)).collect::<Vec<_>>();
        let [of_film] = of_film[..] else { panic!("{}", answer.text()) };
        assert!(of_film.contains(&format!("T{begun}.000Z\n#EXTINF:0.5,\n../../..{film}")));
        assert!(all.iter().filter(|text| text.contains("/vod/one/")).count() > 100);
    }
}

#[test]
fn linear_channels_come_and_go_on_sighup() {
    let place = Place::new();
    let server = Running::start(&mut serve(&films(&place)));
    assert_eq!(get(&server, "/tv/cinema/master.m3u8").status, 200);
    place.config(
        "[[library]]\npath = \"films\"\n[[channel]]\nid = \"night\"\nplaylist = [\"two\"]\n",
    );
    server.signal("HUP");
    until("the new one", || get(&server, "/tv/night/v0/index.m3u8").status == 200);
    until("the end of the old one", || get(&server, "/tv/cinema/master.m3u8").status == 404);
}

#[test]
fn one_name_may_be_of_a_channel_that_is_pushed_and_then_of_one_of_films_and_back() {
    let place = Place::new();
    films(&place);
    let write = |channel: &str| {
        let more = format!("[[library]]\npath = \"films\"\n{channel}{}", super::channel("mark"));
        super::config(&place, &more)
    };
    let pushed = super::channel("cinema");
    let of_films = "[[channel]]\nid = \"cinema\"\nplaylist = [\"two\"]\n";
    let server = Running::start(&mut serve(&write(&pushed)));
    let put = |name: &str, body: &[u8]| {
        http::put(server.ingest, &format!("/ingest/cinema/v/{name}"), body).status == 200
    };
    for round in 0..4 {
        let (header, second) = (super::boxes::header(Media::Picture), MIDNIGHT + round);
        until("a push", || put("init.mp4", &header) && put("1.m4s", &segment(second)));
        let path = format!("/tv/cinema/v/{second}.m4s");
        until(&path, || get(&server, &path).status == 200);
        assert_eq!(get(&server, "/tv/cinema/v0/index.m3u8").status, 404, "{round}");
        write(of_films);
        server.signal("HUP");
        server.says("the config was read again");
        // The pushed channel may be told of, or that it is gone, after the one of films.
        until("the end", || get(&server, &path).status == 404);
        until("the films", || get(&server, "/tv/cinema/v0/index.m3u8").status == 200);
        let master = get(&server, "/tv/cinema/master.m3u8");
        assert_eq!((master.status, uris(master.text())), (200, vec!["v0/index.m3u8"]), "{round}");
        write(&pushed);
        server.signal("HUP");
        server.says("the config was read again");
        until("the films' end", || get(&server, "/tv/cinema/v0/index.m3u8").status == 404);
    }
}
