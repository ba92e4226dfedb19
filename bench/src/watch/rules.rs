//! What must hold for one playlist by itself (RFC 8216bis). Pure.

use super::findings::Findings;
use super::hls::{Playlist, Segment, attributes};
use super::time::seconds;

/// Lengths are written to the microsecond and added up from many: what that can be off by, in µs.
pub const ROUNDING: u64 = 1_000;

/// A media playlist without parts.
pub fn plain(playlist: &Playlist, place: &str, findings: &mut Findings) {
    both(playlist, place, findings);
    findings.check(playlist.version <= 7, "version", place, || {
        format!("version {} is above 7", playlist.version)
    });
    let has_parts = playlist.all().any(|segment| !segment.parts.is_empty());
    findings.check(!has_parts && playlist.hint.is_none(), "parts", place, || {
        "a playlist for every player lists parts".to_owned()
    });
}

/// A low-latency media playlist; `is_delta` if it was asked to leave out what is old.
pub fn low_latency(playlist: &Playlist, is_delta: bool, place: &str, findings: &mut Findings) {
    both(playlist, place, findings);
    control(playlist, place, findings);
    let Some(target) = playlist.part_target else {
        return findings.add("part target", place, "no PART-TARGET".to_owned());
    };
    findings.check(is_delta || playlist.skipped == 0, "delta", place, || {
        "segments are skipped, and nobody asked for that".to_owned()
    });
    findings.check(playlist.hint.is_some() || playlist.ended, "hint", place, || {
        "no PRELOAD-HINT of a part".to_owned()
    });
    for segment in playlist.all() {
        parts(segment, target, place, findings);
    }
    removal(playlist, place, findings);
}

fn both(playlist: &Playlist, place: &str, findings: &mut Findings) {
    for segment in &playlist.segments {
        let rounded = (segment.duration + 500_000) / 1_000_000;
        findings.check(rounded <= playlist.target, "target duration", place, || {
            let (number, duration) = (segment.number, segment.duration);
            format!("segment {number} has {duration} µs, TARGETDURATION is {}", playlist.target)
        });
    }
    findings.check(playlist.all().all(|one| one.map.is_some()), "map", place, || {
        "a segment has no EXT-X-MAP".to_owned()
    });
    if let Some(first) = playlist.all().next() {
        findings.check(first.date.is_some(), "date", place, || {
            format!("the first segment, {}, has no date", first.number)
        });
    }
}

fn control(playlist: &Playlist, place: &str, findings: &mut Findings) {
    let control = &playlist.control;
    findings.check(
        control.get("CAN-BLOCK-RELOAD").is_some_and(|value| value == "YES"),
        "server control",
        place,
        || "CAN-BLOCK-RELOAD is not YES".to_owned(),
    );
    let target = playlist.target * 1_000_000;
    let part = playlist.part_target.unwrap_or(0);
    for (name, least) in
        [("HOLD-BACK", 3 * target), ("PART-HOLD-BACK", 2 * part), ("CAN-SKIP-UNTIL", 6 * target)]
    {
        let value = control.get(name).and_then(|value| seconds(value));
        findings.check(value.is_some_and(|value| value >= least), "server control", place, || {
            format!("{name} is {:?} and should be at least {least} µs", control.get(name))
        });
    }
}

fn parts(segment: &Segment, target: u64, place: &str, findings: &mut Findings) {
    let number = segment.number;
    for (index, part) in segment.parts.iter().enumerate() {
        let duration = part.duration;
        findings.check(duration <= target, "part target", place, || {
            format!("part {number}.{index} has {duration} µs, above PART-TARGET of {target}")
        });
        let is_last = index + 1 == segment.parts.len();
        let may_be_short = part.independent || is_last;
        findings.check(may_be_short || duration * 100 >= target * 85, "short part", place, || {
            format!("part {number}.{index} has {duration} µs, below 85 % of {target}")
        });
    }
    let sum: u64 = segment.parts.iter().map(|part| part.duration).sum();
    let is_whole = !segment.uri.is_empty() && !segment.parts.is_empty();
    findings.check(
        !is_whole || sum.abs_diff(segment.duration) <= ROUNDING,
        "sum of parts",
        place,
        || format!("segment {number} has {} µs, its parts {sum}", segment.duration),
    );
}

/// Parts are listed for the last three target durations, and no longer.
fn removal(playlist: &Playlist, place: &str, findings: &mut Findings) {
    let total: u64 = playlist.all().map(|segment| segment.duration).sum();
    let kept = 3 * playlist.target * 1_000_000;
    let mut end = 0;
    for segment in &playlist.segments {
        end += segment.duration;
        let behind = total - end;
        let has = !segment.parts.is_empty();
        let number = segment.number;
        findings.check(!has || behind < kept + ROUNDING, "parts' removal", place, || {
            format!("segment {number} still lists parts {behind} µs behind the end")
        });
        findings.check(has || behind + ROUNDING >= kept, "parts' removal", place, || {
            format!("segment {number} lists no parts {behind} µs behind the end")
        });
    }
}

/// A delta and the whole playlist of the same state must say the same.
pub fn delta(delta: &Playlist, whole: &Playlist, place: &str, findings: &mut Findings) {
    let skipped = delta.skipped as usize;
    let rest = whole.segments.get(skipped..);
    // Behind what is skipped the date is said again.
    let without_date = |segments: &[Segment]| {
        let strip = |segment: &Segment| Segment { date: None, ..segment.clone() };
        segments.iter().map(strip).collect::<Vec<_>>()
    };
    let is_same = rest.is_some_and(|rest| without_date(rest) == without_date(&delta.segments))
        && (delta.sequence, &delta.hint, &delta.reports, &delta.control)
            == (whole.sequence, &whole.hint, &whole.reports, &whole.control)
        && delta.growing.as_ref().map(|one| &one.parts)
            == whole.growing.as_ref().map(|one| &one.parts);
    findings.check(is_same, "delta", place, || {
        format!("with {skipped} skipped segments put back it is not the whole playlist")
    });
    let boundary = delta.control.get("CAN-SKIP-UNTIL").and_then(|value| seconds(value));
    let kept: u64 = delta.all().map(|segment| segment.duration).sum();
    let is_kept = skipped == 0 || boundary.is_some_and(|boundary| kept + ROUNDING >= boundary);
    findings.check(is_kept, "delta", place, || {
        format!("only {kept} µs are left, CAN-SKIP-UNTIL is {boundary:?} µs")
    });
}

/// A multivariant playlist; gives the URIs of its renditions' playlists.
pub fn multivariant(text: &str, place: &str, findings: &mut Findings) -> Vec<String> {
    let mut uris = Vec::new();
    let mut variant = None;
    findings.check(text.starts_with("#EXTM3U\n"), "syntax", place, || "no #EXTM3U".to_owned());
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("#EXT-X-MEDIA:").map(attributes) {
            let uri = of.and_then(|of| of.get("URI").cloned());
            findings.check(uri.is_some(), "syntax", place, || format!("no URI: {line}"));
            uris.extend(uri);
        } else if let Some(of) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            variant = attributes(of);
            let bits = |name| variant.as_ref()?.get(name)?.parse::<u64>().ok();
            let (peak, average) = (bits("BANDWIDTH"), bits("AVERAGE-BANDWIDTH"));
            findings.check(peak.is_some() && peak >= average, "bandwidth", place, || {
                format!("BANDWIDTH is none, or below the average: {line}")
            });
            let codecs = variant.as_ref().and_then(|of| of.get("CODECS"));
            findings.check(
                codecs.is_some_and(|codecs| !codecs.is_empty()),
                "codecs",
                place,
                || format!("no CODECS: {line}"),
            );
        } else if !line.starts_with('#') && !line.is_empty() {
            findings.check(variant.take().is_some(), "syntax", place, || {
                format!("a URI without a STREAM-INF: {line}")
            });
            uris.push(line.to_owned());
        }
    }
    uris.sort();
    uris.dedup();
    uris
}

#[cfg(test)]
mod tests {
    use super::super::hls::Part;
    use super::*;

    fn good() -> Playlist {
        let part = |index: u64, number: u64| Part {
            duration: 1_000_000,
            uri: format!("{number}.{index}.m4s"),
            independent: index == 0,
            gap: false,
        };
        let segment = |number: u64| Segment {
            number,
            duration: 2_000_000,
            uri: format!("{number}.m4s"),
            date: (number == 7).then_some(0),
            map: Some("init.mp4".to_owned()),
            parts: if number < 8 { Vec::new() } else { vec![part(0, number), part(1, number)] },
            ..Segment::default()
        };
        let control = [
            ("CAN-BLOCK-RELOAD", "YES"),
            ("HOLD-BACK", "6.0"),
            ("PART-HOLD-BACK", "3.0"),
            ("CAN-SKIP-UNTIL", "12.0"),
        ];
        Playlist {
            version: 9,
            target: 2,
            sequence: 7,
            part_target: Some(1_000_000),
            segments: (7..11).map(segment).collect(),
            hint: Some("11.0.m4s".to_owned()),
            control: control
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            ..Playlist::default()
        }
    }

    #[track_caller]
    fn check(change: impl Fn(&mut Playlist), rule: &str) {
        let mut playlist = good();
        change(&mut playlist);
        let mut findings = Findings::default();
        low_latency(&playlist, false, "p", &mut findings);
        let rules: Vec<_> = findings.counts.keys().copied().collect();
        assert_eq!(rules, if rule.is_empty() { vec![] } else { vec![rule] }, "{findings:?}");
    }

    #[test]
    fn each_rule_is_broken_by_something() {
        check(|_| {}, "");
        check(|all| all.segments[3].duration = 2_100_000, "sum of parts");
        check(|all| all.segments[0].duration = 2_600_000, "target duration");
        check(|all| all.segments[2].parts[1].duration = 1_000_900, "part target");
        let keep_parts = |all: &mut Playlist| {
            all.segments[0].parts = all.segments[1].parts.clone();
            all.segments.push(all.segments[3].clone());
        };
        check(keep_parts, "parts' removal");
        check(|all| all.segments[1].parts.clear(), "parts' removal");
        check(|all| all.segments[2].map = None, "map");
        check(|all| all.segments[0].date = None, "date");
        check(|all| all.hint = None, "hint");
        check(|all| drop(all.control.remove("HOLD-BACK")), "server control");
        check(|all| all.skipped = 1, "delta");
    }

    #[test]
    fn a_delta_says_what_the_whole_playlist_says() {
        let whole = good();
        let mut findings = Findings::default();
        let mut less = whole.clone();
        less.segments.drain(..1);
        less.skipped = 1;
        // Six seconds are left of the twelve that must be.
        delta(&less, &whole, "p", &mut findings);
        assert_eq!(findings.counts["delta"], 1, "{findings:?}");
        less.control.insert("CAN-SKIP-UNTIL".to_owned(), "6.0".to_owned());
        delta(&less, &less.clone(), "p", &mut findings);
        assert_eq!(findings.counts["delta"], 2, "it is not the whole one: {findings:?}");
    }

    #[test]
    fn renditions_are_found() {
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"a/ll.m3u8\"\n\
                    #EXT-X-STREAM-INF:BANDWIDTH=5,AVERAGE-BANDWIDTH=4,CODECS=\"x\"\nv/ll.m3u8\n";
        let mut findings = Findings::default();
        assert_eq!(multivariant(text, "p", &mut findings), ["a/ll.m3u8", "v/ll.m3u8"]);
        assert_eq!(findings.count(), 0);
        multivariant(&text.replace("BANDWIDTH=5", "BANDWIDTH=3"), "p", &mut findings);
        assert_eq!(findings.counts["bandwidth"], 1);
    }
}
