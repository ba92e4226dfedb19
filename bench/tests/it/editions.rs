//! A tiny channel for `watch`: a part more with each held request, and mistakes by the URL.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

use super::listen;

/// The first segment; segments have two parts of a second, and begin at 2026-11-26T00:00:00Z.
const FIRST: u64 = 7;
const ZERO: u64 = 1_795_651_200;

/// Parts at first.
const PARTS: u64 = 16;

/// Starts it; it ends with the test process. The first element of a path is the mistake.
pub fn start() -> SocketAddr {
    let parts = AtomicU64::new(PARTS);
    listen::start(move |stream| serve(stream, &parts))
}

fn serve(stream: TcpStream, parts: &AtomicU64) -> io::Result<()> {
    let (mut reader, mut writer) = listen::halves(stream)?;
    while let Some(head) = listen::head(&mut reader)? {
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path.contains("_HLS_msn") {
            parts.fetch_add(1, Ordering::Relaxed);
        }
        // Nothing comes any more, and who waits for it is held.
        if path.starts_with("/silent/") && path.contains("_HLS_msn") {
            listen::head(&mut reader)?;
            return Ok(());
        }
        let count = parts.load(Ordering::Relaxed);
        let mut words = path.trim_start_matches('/').splitn(2, '/');
        let mistake = words.next().unwrap_or_default();
        let body = answer(mistake, words.next().unwrap_or_default(), count);
        let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
        let (body, kind) = (body.unwrap_or_default(), "application/vnd.apple.mpegurl");
        let size = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n{body}"
        );
        writer.write_all(head.as_bytes())?;
    }
    Ok(())
}

fn answer(mistake: &str, path: &str, count: u64) -> Option<String> {
    let (file, query) = path.split_once('?').unwrap_or((path, ""));
    match file {
        "master.m3u8" => Some(master("index.m3u8")),
        "ll.m3u8" => Some(master("ll.m3u8")),
        "manifest.mpd" => Some(manifest(mistake, count, false)),
        "ll.mpd" => Some(manifest(mistake, count, true)),
        "v/index.m3u8" => Some(playlist(mistake, count, false, 0)),
        "v/ll.m3u8" => {
            // Twelve seconds stay of a delta.
            let skipped = if query == "_HLS_skip=YES" { (count / 2).saturating_sub(6) } else { 0 };
            Some(playlist(mistake, count, true, skipped))
        }
        "v/init.mp4" => Some("init".to_owned()),
        _ => object(mistake, file.strip_prefix("v/")?.strip_suffix(".m4s")?, count),
    }
}

fn master(name: &str) -> String {
    format!(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=8,CODECS=\"avc1\"\nv/{name}\n"
    )
}

fn playlist(mistake: &str, count: u64, is_low: bool, skipped: u64) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n".to_owned();
    if is_low {
        text = text.replace("VERSION:6", "VERSION:9");
        text += "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0,\
                 PART-HOLD-BACK=3.0\n#EXT-X-PART-INF:PART-TARGET=1.0\n";
    }
    // It goes back by one now and then.
    let first = FIRST - u64::from(mistake == "back" && count % 4 == 1);
    text += &format!("#EXT-X-MEDIA-SEQUENCE:{first}\n");
    if skipped > 0 {
        text += &format!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n");
    }
    text += "#EXT-X-MAP:URI=\"init.mp4\"\n";
    let seconds = 2 * skipped;
    let (minute, second) = (seconds / 60, seconds % 60);
    text += &format!("#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:{minute:02}:{second:02}.000Z\n");
    for segment in skipped..count.div_ceil(2) {
        let (number, parts) = (FIRST + segment, (count - segment * 2).min(2));
        // Parts of the last six seconds.
        if is_low && count - (segment * 2 + parts) < 6 {
            for part in 0..parts {
                text += &format!("#EXT-X-PART:DURATION=1.0,URI=\"{number}.{part}.m4s\"\n");
            }
        }
        if parts == 2 {
            text += &format!("#EXTINF:2.0,\n{number}.m4s\n");
        }
    }
    if is_low {
        let (number, part) = (FIRST + count / 2, count % 2);
        text += &format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{number}.{part}.m4s\"\n");
    }
    text
}

fn object(mistake: &str, name: &str, count: u64) -> Option<String> {
    if let Some(time) = name.strip_prefix("0-") {
        // By its time a segment is what it is by its number.
        let time: u64 = time.parse().ok()?;
        let number =
            FIRST + (time - time % 2).checked_sub(ZERO)? / 2 - u64::from(mistake == "other");
        return object(mistake, &number.to_string(), count);
    }
    let mut words = name.split('.');
    let number: u64 = words.next()?.parse().ok()?;
    let part = words.next();
    if mistake == "missing" && part.is_none() && number == FIRST {
        return None;
    }
    // What is published changes as time goes by.
    let version = if mistake == "bytes" { count } else { 0 };
    Some(match part {
        Some(part) => format!("{number}.{part}-{version};"),
        None => format!("{number}.0-{version};{number}.1-{version};"),
    })
}

fn manifest(mistake: &str, count: u64, is_low: bool) -> String {
    let segments = if is_low { count.div_ceil(2) } else { count / 2 };
    let start = ZERO + u64::from(mistake == "late");
    let early = if is_low { " availabilityTimeOffset=\"1.0\"" } else { "" };
    let (first, media) = match is_low {
        true => (format!(" startNumber=\"{FIRST}\""), "$Number$"),
        false => (String::new(), "0-$Time$"),
    };
    format!(
        "<MPD type=\"dynamic\" id=\"x\" availabilityStartTime=\"1970-01-01T00:00:00Z\" \
         publishTime=\"2026-11-26T00:00:00Z\" minimumUpdatePeriod=\"PT2S\" minBufferTime=\"PT2S\" \
         maxSegmentDuration=\"PT2S\" timeShiftBufferDepth=\"PT60S\"><Period id=\"0\" start=\"PT0S\">\
         <AdaptationSet><Representation id=\"v\" bandwidth=\"9\" codecs=\"avc1\">\
         <SegmentTemplate timescale=\"1\" presentationTimeOffset=\"0\"{first} \
         initialization=\"v/init.mp4\" media=\"v/{media}.m4s\"{early}><SegmentTimeline>\
         <S t=\"{start}\" d=\"2\" r=\"{}\"/></SegmentTimeline></SegmentTemplate></Representation>\
         </AdaptationSet></Period><UTCTiming/></MPD>",
        segments - 1
    )
}
