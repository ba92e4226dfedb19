//! DASH of what is past: tracks in, a static or a dynamic MPD out (ISO/IEC 23009-1).
//!
//! Each timeline is a Period. In a static one they follow each other without a pause, whatever was
//! not recorded between them; in a dynamic one they are where they are on the clock, as in the live
//! manifest.

use super::excerpt::Form;
use super::tracks::{Track, Tracks};
use crate::config::{CATCH_UP_TEXT_SIZE_MAX, REWIND_SECONDS};
use crate::live::channel::Container;
use crate::live::playlist::dash::{
    Entry, Escaped, begin_representation, begin_set, sets, write_clock, write_role, write_timeline,
};
use crate::live::playlist::{Date, Seconds, keys, put};
use crate::live::protection::Protection;
use crate::live::record::Kept;

/// When a Period is, in microseconds.
struct Period {
    /// Which timeline of the excerpt it is.
    timeline: usize,
    /// The Unix time of what is presented at its start.
    begins: i64,
    /// The Unix time at which its last segment ends.
    ends: i64,
}

/// The manifest; `up` is the way from it to the channel's folder, `target` the length of segments
/// in seconds. It breaks off when it is longer than any text may be.
#[must_use]
pub fn manifest(tracks: &Tracks, form: Form, target: u64, up: &str) -> String {
    let periods: Vec<_> = (0..tracks.starts.len()).filter_map(|at| period(tracks, at)).collect();
    let mut text = String::with_capacity(4096);
    text.push_str(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" \
         profiles=\"urn:mpeg:dash:profile:isoff-live:2011\"",
    );
    let is_complete = form == Form::Complete;
    let first = periods.first().map_or(0, |period| period.begins);
    // What grows is timed from its own start, so that nothing changes when it is complete.
    let epoch = if form == Form::Growing { first } else { 0 };
    if is_complete {
        let all = periods.iter().map(|period| period.ends.abs_diff(period.begins)).sum();
        let duration = Seconds(all);
        put(
            &mut text,
            format_args!(" type=\"static\" mediaPresentationDuration=\"PT{duration}S\""),
        );
    } else {
        let newest = periods.last().map_or(0, |period| period.ends);
        begin_dynamic(&mut text, (epoch, newest), target);
    }
    put(
        &mut text,
        format_args!(" minBufferTime=\"PT{target}S\" maxSegmentDuration=\"PT{target}S\">\n"),
    );
    let mut passed = 0;
    for (at, period) in periods.iter().enumerate() {
        let id = tracks.timelines_gone + period.timeline as u64;
        let is_first = at == 0 && form == Form::Growing;
        let origin =
            if is_complete || is_first { period.begins } else { beginning(tracks, period) };
        let since = u64::try_from(origin.saturating_sub(epoch)).unwrap_or(0);
        let start = Seconds(if is_complete { passed } else { since });
        put(&mut text, format_args!(" <Period id=\"{id}\" start=\"PT{start}S\""));
        if is_complete {
            let duration = period.ends.abs_diff(period.begins);
            put(&mut text, format_args!(" duration=\"PT{}S\"", Seconds(duration)));
            passed += duration;
        }
        text.push_str(">\n");
        write_sets(&mut text, tracks, period.timeline, origin, up);
        text.push_str(" </Period>\n");
    }
    if !is_complete {
        write_clock(&mut text, &format!("{up}../clock"));
    }
    text.push_str("</MPD>\n");
    text
}

/// What a dynamic one says of itself, whose times count from `epoch`, or slide if that is 0.
fn begin_dynamic(text: &mut String, (epoch, newest): (i64, i64), target: u64) {
    let depth = match epoch {
        0 => REWIND_SECONDS * 1_000_000,
        // All of it can be watched, and nothing before it.
        _ => newest.abs_diff(epoch),
    };
    put(
        text,
        format_args!(
            " type=\"dynamic\" id=\"catch-up\" availabilityStartTime=\"{}\" publishTime=\"{}\" \
             minimumUpdatePeriod=\"PT{target}S\" timeShiftBufferDepth=\"PT{}S\" \
             suggestedPresentationDelay=\"PT{}S\"",
            Date(epoch),
            Date(newest),
            Seconds(depth),
            3 * target,
        ),
    );
}

/// When a timeline is; none if nothing of it is there.
fn period(tracks: &Tracks, timeline: usize) -> Option<Period> {
    let all = || tracks.tracks.iter().map(|track| (track, track.timeline(timeline)));
    let begin = |(_, segments): (&Track, &[Kept])| Some(segments.first()?.unix_micros().0);
    let end = |(_, segments): (&Track, &[Kept])| Some(segments.last()?.unix_micros().1);
    let earliest = all().filter_map(begin).min()?;
    let latest = all().filter_map(begin).max()?;
    let nominal = all().map(|(track, _)| track.of.lengths.segment.micros()).max()?;
    // Best it begins where all of them are there: what lies before it in one is left out. But one
    // that came much later is not waited for.
    let begins = if latest.abs_diff(earliest) <= nominal { latest } else { earliest };
    Some(Period { timeline, begins, ends: all().filter_map(end).max()?.max(begins) })
}

/// The Unix time of a dynamic Period's start, which stays when segments leave: of the discontinuity
/// before it, or of the media's zero if there was none.
fn beginning(tracks: &Tracks, period: &Period) -> i64 {
    let start = tracks.starts.get(period.timeline).copied().flatten();
    let zero = || {
        let mut all = tracks.tracks.iter().flat_map(|track| track.timeline(period.timeline));
        all.next().map_or(0, |kept| kept.origin.zero_micros)
    };
    start.unwrap_or_else(zero)
}

fn write_sets(text: &mut String, tracks: &Tracks, timeline: usize, origin: i64, up: &str) {
    let here = tracks.tracks.iter().map(|track| {
        let is_here = !track.timeline(timeline).is_empty();
        (track.of.described().carries, is_here.then_some(track))
    });
    for (id, set) in sets(here) {
        begin_set(text, id, &set[0].of.described());
        let shared = keys::write_shared(text, set.iter().map(|track| protection(track, timeline)));
        write_role(text, &set[0].of.described());
        for track in set {
            if text.len() <= CATCH_UP_TEXT_SIZE_MAX {
                let own = protection(track, timeline).filter(|_| shared.is_none());
                write_representation(text, track, (timeline, own), origin, up);
            }
        }
        text.push_str("  </AdaptationSet>\n");
    }
}

/// How a track is encrypted in a timeline.
fn protection(track: &Track, timeline: usize) -> Option<&Protection> {
    track.of.protection(track.timeline(timeline).first()?.header)
}

fn write_representation(
    text: &mut String,
    track: &Track,
    (timeline, own): (usize, Option<&Protection>),
    origin: i64,
    up: &str,
) {
    let segments = track.timeline(timeline);
    let Some(first) = segments.first() else { return };
    let described = track.of.described();
    begin_representation(text, &described);
    if let Some(protection) = own {
        keys::write_dash(text, protection, "    ");
    }
    let timescale = first.start.timescale;
    let media_micros = i128::from(origin) - i128::from(first.origin.zero_micros);
    let offset = media_micros * i128::from(timescale) / 1_000_000;
    let header = track.of.headers.get(first.header as usize).map_or("", |header| &header.name);
    let name = Escaped(&track.of.name);
    put(
        text,
        format_args!(
            "    <SegmentTemplate timescale=\"{timescale}\" presentationTimeOffset=\"{offset}\" \
             startNumber=\"{}\" initialization=\"{up}{name}/{}\" \
             media=\"{up}{name}/$Number$.{}\">\n",
            first.number,
            Escaped(header),
            Container::Cmaf.extension(),
        ),
    );
    let entry = |kept: &Kept| Entry {
        start: kept.start.ticks,
        duration: kept.duration,
        is_gap: kept.is_gap(),
    };
    let entries: Vec<_> = segments.iter().map(entry).collect();
    write_timeline(text, &entries);
    text.push_str("    </SegmentTemplate>\n   </Representation>\n");
}
