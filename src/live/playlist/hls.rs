//! Media playlists of HLS: a timeline in, the bytes of one edition out (RFC 8216bis).
//!
//! Pure text. It is called once for each edition, never for each request, and says the same on
//! every server that has the same timeline: nothing in it depends on when it was asked for.

use std::fmt;

use super::super::events::Events;
use super::super::protection::Protection;
use super::super::timeline::{Segment, Timeline};
use super::{Date, Seconds, dates, keys, put, target_seconds};

/// One rendition, as its playlist needs it.
#[derive(Clone, Copy, Debug)]
pub struct Media<'t> {
    /// What is published.
    pub timeline: &'t Timeline,
    /// URIs of the headers, in the order of their numbers.
    pub headers: &'t [String],
    /// How what follows each of them is encrypted, if it is.
    pub protections: &'t [Option<Protection>],
    /// What stands behind the number in a segment's name: `m4s`, `ts`.
    pub extension: &'t str,
    /// The other renditions of the channel.
    pub others: &'t [Report<'t>],
    /// What is listed of its events.
    pub events: &'t Events,
    /// Whether nothing comes any more.
    pub ended: bool,
}

/// Where another rendition is, for `EXT-X-RENDITION-REPORT`.
#[derive(Clone, Copy, Debug)]
pub struct Report<'t> {
    /// Of its playlist, as seen from this one.
    pub uri: &'t str,
    /// What is published of it.
    pub timeline: &'t Timeline,
}

/// Which text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// Whole segments only, protocol version 6: for every player.
    Plain,
    /// Of each segment the first picture only (`EXT-X-I-FRAMES-ONLY`), for fast winding.
    KeyFrames,
    /// With parts, a hint and reports.
    LowLatency,
    /// The same without what a player has had since long (`_HLS_skip=YES`).
    Delta,
    /// And without date ranges that it has had since long (`_HLS_skip=v2`).
    DeltaOfDates,
}

/// How many target durations behind the end parts are listed for.
const PARTS_LISTED: u64 = 3;

/// How many target durations behind the end a delta begins (`CAN-SKIP-UNTIL`).
pub const SKIP_BOUNDARY: u64 = 6;

/// The playlist.
#[must_use]
pub fn media(media: &Media<'_>, edition: Edition) -> String {
    let is_low = !matches!(edition, Edition::Plain | Edition::KeyFrames);
    let listed = listed(media, is_low);
    // Compared on the clock: another timeline may have begun from nothing.
    let ends = |segment: &Segment| segment.origin.unix_micros(segment.end());
    let end = listed.last().map_or(0, |last| ends(last));
    let target = target_seconds(media.timeline);
    let behind = |times: u64| end.saturating_sub_unsigned(times * target * 1_000_000);
    let skipped = match edition {
        Edition::Delta | Edition::DeltaOfDates if !media.ended => {
            let old = |segment: &&&Segment| ends(segment) <= behind(SKIP_BOUNDARY);
            listed.iter().take_while(old).count()
        }
        _ => 0,
    };
    let mut text = String::with_capacity(256 + 128 * listed.len());
    let without_dates = skipped > 0 && edition == Edition::DeltaOfDates;
    let version = match (is_low, without_dates) {
        // Without a header nothing takes more than fractions of seconds, which old players know.
        (false, _) if media.headers.is_empty() => 3,
        (false, _) => 6,
        (true, false) => 9,
        (true, true) => 10,
    };
    head(&mut text, media, version);
    if edition == Edition::KeyFrames {
        let control = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=";
        line(&mut text, format_args!("{control}{}.0\n#EXT-X-I-FRAMES-ONLY", 3 * target));
    }
    if skipped > 0 {
        write_skip(&mut text, media, skipped, without_dates);
    }
    let from = if without_dates { behind(SKIP_BOUNDARY) } else { i64::MIN };
    let events = media.events.listed().filter(|event| event.told_micros > from);
    events.for_each(|event| dates::write(&mut text, event));
    for (at, segment) in listed.iter().enumerate().skip(skipped) {
        let parts = is_low && ends(segment) > behind(PARTS_LISTED);
        // Behind a discontinuity all that holds is said again.
        let is_first = at == skipped || segment.discontinuity;
        let before = at.checked_sub(1).map(|at| listed[at]);
        // One for each stretch: of some there may be nothing in this rendition.
        for _ in before.map_or(segment.sequence, |before| before.sequence)..segment.sequence {
            line(&mut text, format_args!("#EXT-X-DISCONTINUITY"));
        }
        let header_before = before.map(|before| before.header);
        if is_first || header_before != Some(segment.header) {
            // What is skipped holds on, too, for a player that has it.
            write_keys(&mut text, media.protections, header_before, segment.header);
            if let Some(uri) = media.headers.get(segment.header as usize) {
                line(&mut text, format_args!("#EXT-X-MAP:URI=\"{uri}\""));
            }
        }
        if is_first {
            let at = Date(segment.origin.unix_micros(segment.start));
            line(&mut text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{at}"));
        }
        if edition == Edition::KeyFrames {
            write_key_frame(&mut text, segment, media.extension);
        } else {
            write_segment(&mut text, segment, media.extension, parts);
        }
    }
    if media.ended {
        line(&mut text, format_args!("#EXT-X-ENDLIST"));
    } else if is_low {
        tail(&mut text, media);
    }
    text
}

/// The name of a segment: its number, which is never used again.
#[must_use]
pub fn segment_name(number: impl fmt::Display, extension: &str) -> String {
    format!("{number}.{extension}")
}

/// The name of a part.
#[must_use]
pub fn part_name(number: i64, part: u32, extension: &str) -> String {
    format!("{number}.{part}.{extension}")
}

/// What an edition lists: a plain one only what is whole.
fn listed<'t>(media: &Media<'t>, is_low: bool) -> Vec<&'t Segment> {
    media.timeline.segments().iter().filter(|segment| segment.is_listed(is_low)).collect()
}

fn head(text: &mut String, media: &Media<'_>, version: u32) {
    let timeline = media.timeline;
    let target = target_seconds(timeline);
    line(text, format_args!("#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target}"));
    if version > 6 {
        let dates = if media.events.has_been() { ",CAN-SKIP-DATERANGES=YES" } else { "" };
        let part = timeline.lengths().part.micros();
        // Three parts are the least that is recommended, and with three Shaka Player stalled every
        // two seconds; with four hls.js was more than 3 s behind parts of half a second.
        let hold_back = Seconds((part * 7 / 2).min(3 * target * 1_000_000));
        line(
            text,
            format_args!(
                "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={}.0{dates},\
                 HOLD-BACK={}.0,PART-HOLD-BACK={hold_back}",
                SKIP_BOUNDARY * target,
                3 * target,
            ),
        );
        line(text, format_args!("#EXT-X-PART-INF:PART-TARGET={}", Seconds(part)));
    }
    let first = timeline.segments().front().map_or(0, |first| first.number);
    line(text, format_args!("#EXT-X-MEDIA-SEQUENCE:{first}"));
    match timeline.discontinuity_sequence() {
        0 => {}
        sequence => line(text, format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{sequence}")),
    }
}

/// What a delta leaves out.
fn write_skip(text: &mut String, media: &Media<'_>, skipped: usize, without_dates: bool) {
    put(text, format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"));
    if without_dates {
        let removed: Vec<_> = media.events.removed().collect();
        let removed = removed.join("\t");
        put(text, format_args!(",RECENTLY-REMOVED-DATERANGES=\"{removed}\""));
    }
    text.push('\n');
}

/// What holds from this header on, if it is encrypted, or if what came before it was.
fn write_keys(
    text: &mut String,
    protections: &[Option<Protection>],
    before: Option<u32>,
    header: u32,
) {
    let of = |header: u32| protections.get(header as usize)?.as_ref();
    keys::write_change(text, before.and_then(of), of(header));
}

fn write_segment(text: &mut String, segment: &Segment, extension: &str, parts: bool) {
    let number = segment.number;
    if parts {
        let mut before = 0;
        for (at, part) in (0..).zip(segment.whole_parts()) {
            let duration = length(segment, before, part.duration);
            before += part.duration;
            let name = part_name(number, at, extension);
            let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
            let gap = if segment.is_gap || part.is_gap { ",GAP=YES" } else { "" };
            line(
                text,
                format_args!("#EXT-X-PART:DURATION={duration},URI=\"{name}\"{independent}{gap}"),
            );
        }
    }
    if !segment.is_whole {
        return;
    }
    if segment.is_gap {
        line(text, format_args!("#EXT-X-GAP"));
    }
    let duration = length(segment, 0, segment.duration);
    line(text, format_args!("#EXTINF:{duration},\n{}", segment_name(number, extension)));
}

/// A picture, which is shown until the next one comes.
fn write_key_frame(text: &mut String, segment: &Segment, extension: &str) {
    let duration = length(segment, 0, segment.duration);
    match segment.key_size.filter(|_| !segment.is_gap) {
        Some(size) => {
            line(text, format_args!("#EXTINF:{duration},\n#EXT-X-BYTERANGE:{size}@0"));
        }
        None => line(text, format_args!("#EXT-X-GAP\n#EXTINF:{duration},")),
    }
    line(text, format_args!("{}", segment_name(segment.number, extension)));
}

/// What comes next, and where the other renditions are.
fn tail(text: &mut String, media: &Media<'_>) {
    if let Some((number, part)) = media.timeline.next_part() {
        let name = part_name(number, part, media.extension);
        line(text, format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}\""));
    }
    for other in media.others {
        let Some((number, part)) = last_part(other.timeline) else { continue };
        line(
            text,
            format_args!(
                "#EXT-X-RENDITION-REPORT:URI=\"{}\",LAST-MSN={number},LAST-PART={part}",
                other.uri
            ),
        );
    }
}

/// The last whole part that is listed.
fn last_part(timeline: &Timeline) -> Option<(i64, usize)> {
    let with_parts = |segment: &&Segment| !segment.whole_parts().is_empty();
    let last = timeline.segments().iter().rev().find(with_parts)?;
    Some((last.number, last.whole_parts().len() - 1))
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    put(text, line);
    text.push('\n');
}

/// So many ticks of a segment, from so many behind its start. What is written adds up to what was
/// rounded: two moments are rounded, never a length.
fn length(segment: &Segment, from: u64, ticks: u64) -> Seconds {
    let start = segment.start.plus(from);
    Seconds(start.plus(ticks).micros().abs_diff(start.micros()))
}

#[cfg(test)]
mod tests;
