//! What has been said of one rendition, in all of its editions and by all servers. Pure.
//!
//! A number of a segment, once used, means the same for ever: what contradicts what was said before
//! is a finding, whoever says it. What only goes up, goes up for each edition of each server.

use std::collections::BTreeMap;

use super::findings::Findings;
use super::hls::{Part, Playlist, Segment};
use super::mpd::{Entry, Manifest, Representation};
use super::rules::ROUNDING;

/// Dates are written to the millisecond, rounded down, and two of them are compared.
const DATE_ROUNDING: u64 = 2_000;

/// Segments that are remembered.
const REMEMBERED_MAX: usize = 4_096;

/// One rendition's history.
#[derive(Debug, Default)]
pub struct History {
    segments: BTreeMap<u64, Known>,
    parts: BTreeMap<(u64, u64), Part>,
    /// Start in ticks and duration of entries in manifests.
    entries: BTreeMap<u64, (i64, u64)>,
    target: Option<u64>,
    part_target: Option<u64>,
    /// By edition and server.
    seen: BTreeMap<String, Seen>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    duration: u64,
    uri: String,
    gap: bool,
    discontinuity: u64,
    map: Option<String>,
    /// In µs of Unix time.
    start: Option<i64>,
}

/// What an edition of a server said last.
#[derive(Clone, Debug, Default)]
struct Seen {
    sequence: u64,
    discontinuity_sequence: u64,
    next: u64,
    last_part: Option<(u64, u64)>,
    hint: Option<String>,
}

impl History {
    /// A playlist has come. `place` says which edition of which server.
    pub fn record(&mut self, playlist: &Playlist, place: &str, findings: &mut Findings) {
        let target = *self.target.get_or_insert(playlist.target);
        findings.check(target == playlist.target, "target duration", place, || {
            format!("TARGETDURATION was {target}, and is {}", playlist.target)
        });
        if let Some(part) = playlist.part_target {
            let known = *self.part_target.get_or_insert(part);
            findings.check(known == part, "part target", place, || {
                format!("PART-TARGET was {known} µs, and is {part}")
            });
        }
        self.record_order(playlist, place, findings);
        let mut at: Option<i64> = None;
        for segment in playlist.all() {
            // A delta does not say when what it begins with starts, but it is known.
            let known = || self.segments.get(&segment.number).and_then(|known| known.start);
            let expected = at.or_else(known);
            let start = segment.date.or(expected);
            if let (Some(date), Some(expected)) = (segment.date, at) {
                let is_anew = segment.discontinuity > playlist.discontinuity_sequence;
                let is_near = date.abs_diff(expected) <= DATE_ROUNDING;
                findings.check(is_anew || is_near, "date", place, || {
                    let number = segment.number;
                    format!("segment {number} is at {date} µs, and follows at {expected} µs")
                });
            }
            self.record_segment(segment, start, place, findings);
            at = start.map(|start| start.saturating_add_unsigned(segment.duration));
        }
        self.forget_old();
    }

    /// Numbers only go up, and a hint comes true.
    fn record_order(&mut self, playlist: &Playlist, place: &str, findings: &mut Findings) {
        let last = playlist.last_part().filter(|_| playlist.part_target.is_some());
        let now = Seen {
            sequence: playlist.sequence,
            discontinuity_sequence: playlist.discontinuity_sequence,
            next: playlist.next_number(),
            last_part: last,
            hint: playlist.hint.clone(),
        };
        let Some(before) = self.seen.insert(place.to_owned(), now.clone()) else { return };
        let only_up = [
            ("MEDIA-SEQUENCE", before.sequence, now.sequence),
            ("DISCONTINUITY-SEQUENCE", before.discontinuity_sequence, now.discontinuity_sequence),
            ("the last segment", before.next, now.next),
        ];
        for (what, before, now) in only_up {
            findings.check(before <= now, "numbers go back", place, || {
                format!("{what} was {before}, and is {now}")
            });
        }
        findings.check(before.last_part <= now.last_part, "numbers go back", place, || {
            format!("the last part was {:?}, and is {:?}", before.last_part, now.last_part)
        });
        let (Some(hint), Some(last)) = (before.hint, before.last_part) else { return };
        let parts = playlist.all().flat_map(|segment| {
            let place = move |(index, part)| ((segment.number, index), part);
            (0..).zip(&segment.parts).map(place)
        });
        let mut newer = parts.filter(|(place, _)| *place > last);
        if let Some((_, part)) = newer.next() {
            // What was hinted at may have left the listed parts if nobody looked for long.
            let is_next = playlist
                .segments
                .iter()
                .all(|segment| segment.number <= last.0 || !segment.parts.is_empty());
            findings.check(!is_next || part.uri == hint, "hint", place, || {
                format!("'{hint}' was hinted at, and '{}' came", part.uri)
            });
        }
    }

    fn record_segment(
        &mut self,
        segment: &Segment,
        start: Option<i64>,
        place: &str,
        findings: &mut Findings,
    ) {
        let number = segment.number;
        for (index, part) in (0..).zip(&segment.parts) {
            let known = self.parts.entry((number, index)).or_insert_with(|| part.clone());
            findings.check(known == part, "published part changed", place, || {
                format!("{number}.{index} was {known:?}, and is {part:?}")
            });
        }
        if segment.uri.is_empty() {
            return;
        }
        let now = Known {
            duration: segment.duration,
            uri: segment.uri.clone(),
            gap: segment.gap,
            discontinuity: segment.discontinuity,
            map: segment.map.clone(),
            start,
        };
        let known = self.segments.entry(number).or_insert_with(|| now.clone());
        let is_same = Known { start, ..known.clone() } == now;
        findings.check(is_same, "published segment changed", place, || {
            format!("{number} was {known:?}, and is {now:?}")
        });
        if let (Some(was), Some(is)) = (known.start, now.start) {
            findings.check(was.abs_diff(is) <= DATE_ROUNDING, "date", place, || {
                format!("segment {number} began at {was} µs, and begins at {is} µs")
            });
        }
        if known.start.is_none() {
            known.start = now.start;
        }
    }

    /// A manifest's segments have come; the last of a low-latency one has the length that it will
    /// have.
    pub fn record_entries(
        &mut self,
        (manifest, of): (&Manifest, &Representation),
        is_low: bool,
        place: &str,
        findings: &mut Findings,
    ) {
        for (index, entry) in of.segments.iter().enumerate() {
            findings.check(!entry.apart, "timeline", place, || {
                format!("{}: {} does not follow, at t={}", of.id, entry.url, entry.start)
            });
            let Some(number) = self.number(manifest, of, entry) else {
                let start = manifest.unix_micros(of, entry);
                findings.check(!self.is_between(start), "editions differ", place, || {
                    format!(
                        "{}: {} begins at {start} µs of Unix time, none does in HLS",
                        of.id, entry.url
                    )
                });
                continue;
            };
            if is_low && index + 1 == of.segments.len() {
                continue;
            }
            let now = (entry.start, entry.duration);
            let known = *self.entries.entry(number).or_insert(now);
            findings.check(known == now, "published segment changed", place, || {
                format!("{}: {number} was {known:?}, and is {now:?}, as (t, d)", of.id)
            });
            self.compare(manifest, of, (number, entry), place, findings);
        }
    }

    /// The number of an entry: its own, or that of the segment that begins when it does.
    fn number(&self, manifest: &Manifest, of: &Representation, entry: &Entry) -> Option<u64> {
        let start = manifest.unix_micros(of, entry);
        let begins =
            |known: &Known| known.start.is_some_and(|known| known.abs_diff(start) <= DATE_ROUNDING);
        let found = || self.segments.iter().rev().find(|(_, known)| begins(known));
        entry.number.or_else(|| found().map(|(number, _)| *number))
    }

    /// Whether there are segments before and after this moment.
    fn is_between(&self, micros: i64) -> bool {
        let starts = || self.segments.values().filter_map(|known| known.start);
        starts().any(|start| start < micros) && starts().any(|start| start > micros)
    }

    /// What HLS calls this entry, if that is known there by another name.
    pub fn other_name(
        &self,
        manifest: &Manifest,
        of: &Representation,
        entry: &Entry,
    ) -> Option<String> {
        let known = self.segments.get(&self.number(manifest, of, entry)?)?;
        let name = format!("{}/{}", of.id, known.uri);
        (name != entry.url && !known.uri.is_empty()).then_some(name)
    }

    /// An entry of a manifest and a segment of a playlist are the same thing.
    fn compare(
        &self,
        manifest: &Manifest,
        of: &Representation,
        (number, entry): (u64, &Entry),
        place: &str,
        findings: &mut Findings,
    ) {
        let Some(known) = self.segments.get(&number) else { return };
        let id = &of.id;
        let duration = of.micros(entry.duration);
        let is_long = duration.abs_diff(known.duration) <= ROUNDING;
        findings.check(is_long, "editions differ", place, || {
            format!("{id}: {number} has {duration} µs, in HLS {}", known.duration)
        });
        let is_named = entry.number.is_none() || entry.url == format!("{id}/{}", known.uri);
        let is_there = is_named && entry.gap == known.gap;
        findings.check(is_there, "editions differ", place, || {
            format!("{id}: {number} is {} (gap: {}), in HLS {known:?}", entry.url, entry.gap)
        });
        let start = manifest.unix_micros(of, entry);
        if let Some(known) = known.start {
            findings.check(
                start.abs_diff(known) <= DATE_ROUNDING,
                "editions differ",
                place,
                || format!("{id}: {number} begins at {start} µs of Unix time, in HLS at {known}"),
            );
        }
    }

    /// The last part that this edition of this server has listed.
    pub fn last_part(&self, place: &str) -> Option<(u64, u64)> {
        self.seen.get(place)?.last_part
    }

    fn forget_old(&mut self) {
        while self.segments.len() > REMEMBERED_MAX {
            let Some((number, _)) = self.segments.pop_first() else { return };
            self.parts = self.parts.split_off(&(number + 1, 0));
            self.entries = self.entries.split_off(&(number + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mpd::tests::TEXT as MANIFEST;
    use super::*;

    fn playlist(first: u64, count: u64, hint: &str) -> Playlist {
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
             #EXT-X-PART-INF:PART-TARGET=2.0\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-MAP:URI=\"init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:{:02}.000Z\n",
            (first - 7) * 2
        );
        for number in first..first + count {
            text += &format!("#EXT-X-PART:DURATION=2.0,URI=\"{number}.0.m4s\"\n");
            text += &format!("#EXTINF:2.0,\n{number}.m4s\n");
        }
        text += &format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{hint}\"\n");
        Playlist::read(&text).expect("it is good")
    }

    #[track_caller]
    fn check(second: Playlist, rule: &str) {
        let (mut history, mut findings) = (History::default(), Findings::default());
        history.record(&playlist(7, 3, "10.0.m4s"), "p", &mut findings);
        assert_eq!(findings.count(), 0, "{findings:?}");
        history.record(&second, "p", &mut findings);
        let rules: Vec<_> = findings.counts.keys().copied().collect();
        assert_eq!(rules, if rule.is_empty() { vec![] } else { vec![rule] }, "{findings:?}");
    }

    #[test]
    fn what_is_published_stays() {
        let changed = |change: fn(&mut Playlist)| {
            let mut next = playlist(8, 3, "11.0.m4s");
            change(&mut next);
            next
        };
        check(changed(|_| {}), "");
        check(changed(|next| next.segments[0].uri = "x.m4s".into()), "published segment changed");
        check(changed(|next| next.segments[1].gap = true), "published segment changed");
        check(changed(|next| next.segments[1].discontinuity = 1), "published segment changed");
        check(changed(|next| next.segments[0].parts[0].gap = true), "published part changed");
        check(changed(|next| next.segments[0].date = Some(1_795_651_203_000_000)), "date");
        check(changed(|next| next.target = 3), "target duration");
        check(changed(|next| next.segments[2].parts[0].uri = "11.0.m4s".into()), "hint");
        check(playlist(7, 2, "9.0.m4s"), "numbers go back");
    }

    #[test]
    fn a_manifest_says_the_same_as_a_playlist() {
        let (mut history, mut findings) = (History::default(), Findings::default());
        history.record(&playlist(7, 2, "9.0.m4s"), "p", &mut findings);
        let mut manifest = |text: &str| {
            let manifest = Manifest::read(text).expect("it is good");
            let one = &manifest.representations[0];
            let mut findings = Findings::default();
            history.record_entries((&manifest, one), true, "m", &mut findings);
            findings.counts.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(manifest(MANIFEST), [""; 0]);
        let late = MANIFEST.replace("start=\"PT0.0S\"", "start=\"PT1.0S\"");
        assert_eq!(manifest(&late), ["editions differ"]);
        let longer = MANIFEST.replace("d=\"2000\"", "d=\"2100\"");
        assert_eq!(manifest(&longer), ["editions differ", "published segment changed"]);
        let apart = MANIFEST.replace("<S d=\"1000\"/>", "<S t=\"1795651204001\" d=\"1000\"/>");
        assert_eq!(manifest(&apart), ["timeline"]);
    }
}
