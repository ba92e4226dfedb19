//! What responses tell players of themselves and of the way to them (CMSD, CTA-5006).
//!
//! `CMSD-Static` is the same for everybody, and so a part of responses that are kept prebuilt.
//! `CMSD-Dynamic` is not: only large bodies have it, whose heads are written one by one.

use super::lines::Lines;
use crate::messages::SourceId;
use crate::units::{Class, Way};

/// What an object is, as far as its class and media type say (`ot`).
fn kind(class: Class, media_type: &str) -> Option<&'static str> {
    match class {
        Class::Playlist | Class::Manifest => Some("m"),
        Class::Init => Some("i"),
        // It usually has both.
        Class::Segment | Class::Part if media_type == "video/mp2t" => Some("av"),
        Class::Segment | Class::Part if media_type.starts_with("video/") => Some("v"),
        Class::Segment | Class::Part if media_type.starts_with("audio/") => Some("a"),
        Class::Segment | Class::Part if media_type == "text/vtt" => Some("c"),
        Class::Segment | Class::Part | Class::Api | Class::Other => None,
    }
}

/// Writes the line of an object; of what is no media there is none.
pub(super) fn put_static(lines: &mut Lines<'_>, class: Class, source: SourceId, media_type: &str) {
    let Some(kind) = kind(class, media_type) else { return };
    lines.put(b"CMSD-Static: n=\"shardcast\",ot=");
    lines.put(kind.as_bytes());
    match class {
        Class::Playlist => lines.put(b",sf=h"),
        Class::Manifest => lines.put(b",sf=d"),
        _ => {}
    }
    let is_live = source.is_live() && !source.is_complete();
    lines.put(if is_live { b",st=l,v=1\r\n" } else { b",st=v,v=1\r\n" });
}

/// Puts the line of the way to a client into a head that is written, without its body: the head's
/// new size. `bitrate_max_kbps` is what the client should play at most, if anything bounds that.
///
/// # Panics
///
/// If there is no whole head of this size.
pub fn put_dynamic(way: Way, bitrate_max_kbps: Option<u32>, size: usize, out: &mut [u8]) -> usize {
    let end = size.checked_sub(2).expect("a head ends with an empty line");
    let mut lines = Lines::new(&mut out[end..]);
    lines.put(b"CMSD-Dynamic: \"shardcast\"");
    if way.rate > 0 {
        lines.put(b";etp=");
        lines.number((way.rate / 125).max(1));
    }
    lines.put(b";rtt=");
    lines.number(u64::from(way.round_trip_us.div_ceil(1000)));
    if let Some(kbps) = bitrate_max_kbps {
        lines.put(b";mb=");
        lines.number(u64::from(kbps));
    }
    lines.put(b"\r\n\r\n");
    end + lines.size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_says_what_it_is() {
        let check = |class, source, media_type, expected: &str| {
            let mut out = [0; 128];
            let mut lines = Lines::new(&mut out);
            put_static(&mut lines, class, source, media_type);
            let size = lines.size();
            assert_eq!(str::from_utf8(&out[..size]), Ok(expected));
        };
        let (film, live) = (SourceId(1), SourceId::of_live(1));
        let of = "CMSD-Static: n=\"shardcast\",";
        check(Class::Segment, film, "video/iso.segment", &format!("{of}ot=v,st=v,v=1\r\n"));
        check(Class::Part, live, "audio/mp4", &format!("{of}ot=a,st=l,v=1\r\n"));
        check(Class::Segment, film, "video/mp2t", &format!("{of}ot=av,st=v,v=1\r\n"));
        check(Class::Playlist, live, "", &format!("{of}ot=m,sf=h,st=l,v=1\r\n"));
        let past = SourceId::of_past(1, true);
        check(Class::Manifest, past, "", &format!("{of}ot=m,sf=d,st=v,v=1\r\n"));
        check(Class::Other, film, "image/jpeg", "");
    }

    #[test]
    fn the_way_to_a_client_stands_at_the_end_of_a_head() {
        let check = |way, most, expected: &str| {
            let mut out = [0; 128];
            let head = b"HTTP/1.1 200 OK\r\n\r\n";
            out[..head.len()].copy_from_slice(head);
            let size = put_dynamic(way, most, head.len(), &mut out);
            let expected = format!("HTTP/1.1 200 OK\r\n{expected}\r\n\r\n");
            assert_eq!(str::from_utf8(&out[..size]), Ok(&*expected));
        };
        let new = Way { round_trip_us: 41, rate: 0 };
        check(new, None, "CMSD-Dynamic: \"shardcast\";rtt=1");
        let known = Way { round_trip_us: 8_000, rate: 12_000_000 };
        check(known, Some(5_000), "CMSD-Dynamic: \"shardcast\";etp=96000;rtt=8;mb=5000");
        check(Way { round_trip_us: 0, rate: 1 }, None, "CMSD-Dynamic: \"shardcast\";etp=1;rtt=0");
    }
}
