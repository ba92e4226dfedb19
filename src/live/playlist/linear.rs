//! Editions of a linear channel: a schedule and a moment in, HLS and DASH out.
//!
//! Segments are the assets' own, by relative URLs: `../../../vod/films/a/seg-0-00001.m4s`. Nothing
//! of them is copied, and what a cache has of an asset serves the channel, too.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::dash::{
    Entry, Escaped, begin_representation, begin_set, sets, write_clock, write_role, write_timeline,
};
use super::multivariant;
use super::{Date, PLAIN, Seconds, put};
use crate::live::linear::asset::Media;
use crate::live::linear::{Pass, Schedule, Track};

/// The multivariant playlist.
#[must_use]
pub fn multivariant(schedule: &Schedule) -> String {
    let renditions: Vec<_> = schedule.tracks().iter().map(Track::described).collect();
    multivariant::multivariant(&renditions, PLAIN)
}

/// The media playlist of a rendition.
#[must_use]
pub fn media(schedule: &Schedule, track: usize, now: u64) -> String {
    let passes = schedule.listed(track, now);
    let (number, sequence) = passes.first().map_or((0, 0), |pass| (pass.first_number, pass.number));
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{}\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-MEDIA-SEQUENCE:{number}\n#EXT-X-DISCONTINUITY-SEQUENCE:{sequence}\n",
        schedule.target_seconds()
    );
    for (at, pass) in passes.iter().enumerate() {
        let folder = folder(&pass.asset.path, "../../../vod/");
        if at > 0 {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if let Some(header) = &pass.rendition.header {
            put(&mut text, format_args!("#EXT-X-MAP:URI=\"{folder}/{header}\"\n"));
        }
        let date = Date(i64::try_from(pass.start_of(pass.segments.start) / 1000).unwrap_or(0));
        put(&mut text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{date}\n"));
        for segment in pass.segments.clone() {
            // Two moments are rounded, never a length, so lengths add up.
            let micros = |at: usize| pass.rendition.nanos_until(pass.rendition.times[at]) / 1000;
            let duration = Seconds(micros(segment + 1) - micros(segment));
            let uri = pass.rendition.segment_uri(segment);
            put(&mut text, format_args!("#EXTINF:{duration},\n{folder}/{uri}\n"));
        }
    }
    text
}

/// The manifest, of a schedule that has one. `clock` is where the server tells its time, as seen
/// from there.
#[must_use]
pub fn manifest(schedule: &Schedule, now: u64, clock: &str) -> String {
    let listed: Vec<_> =
        (0..schedule.tracks().len()).map(|track| schedule.listed(track, now)).collect();
    let target = schedule.target_seconds();
    let ends = listed.iter().filter_map(|passes| passes.last());
    let published = ends.map(|pass| pass.start_of(pass.segments.end)).max().unwrap_or(now);
    let mut text = String::with_capacity(4096);
    put(
        &mut text,
        format_args!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" \
             profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"dynamic\" id=\"linear\" \
             availabilityStartTime=\"1970-01-01T00:00:00Z\" publishTime=\"{}\" \
             minimumUpdatePeriod=\"PT{target}S\" timeShiftBufferDepth=\"PT{}S\" \
             suggestedPresentationDelay=\"PT{}S\" minBufferTime=\"PT{target}S\">\n",
            Date(i64::try_from(published / 1000).unwrap_or(0)),
            Seconds(schedule.window() / 1000),
            3 * target,
        ),
    );
    let passes = listed.iter().flatten();
    let mut periods: BTreeSet<_> = passes.map(|pass| (pass.number, pass.start)).collect();
    // Renditions neither come to a Period at once nor leave it at once, and players give up one
    // that lacks one of them.
    let is_whole = |(number, _): &(u64, u64)| {
        listed.iter().all(|passes| passes.iter().any(|pass| pass.number == *number))
    };
    if periods.iter().any(is_whole) {
        periods.retain(is_whole);
    }
    for period in periods {
        write_period(&mut text, schedule, &listed, period);
    }
    write_clock(&mut text, clock);
    text.push_str("</MPD>\n");
    text
}

fn write_period(
    text: &mut String,
    schedule: &Schedule,
    listed: &[Vec<Pass<'_>>],
    (number, start): (u64, u64),
) {
    let start = Seconds(start / 1000);
    put(text, format_args!(" <Period id=\"{number}\" start=\"PT{start}S\">\n"));
    let here = schedule.tracks().iter().zip(listed).map(|(track, passes)| {
        let pass = passes.iter().find(|pass| pass.number == number);
        (track.described().carries, pass.map(|pass| (track, pass)))
    });
    for (id, set) in sets(here) {
        begin_set(text, id, &set[0].0.described());
        write_role(text, &set[0].0.described());
        for (track, pass) in set {
            write_representation(text, track, pass);
        }
        text.push_str("  </AdaptationSet>\n");
    }
    text.push_str(" </Period>\n");
}

fn write_representation(text: &mut String, track: &Track, pass: &Pass<'_>) {
    let one = pass.rendition;
    let Media::Template { text: media, first_number } = &one.media else { return };
    begin_representation(text, &one.about.described(&track.name));
    let folder = folder(&pass.asset.path, "../../vod/");
    let (timescale, offset) = (one.timescale, one.times[0]);
    let number = first_number + pass.segments.start as u64;
    let (header, media) = (Escaped(one.header.as_deref().unwrap_or_default()), Escaped(media));
    put(
        text,
        format_args!(
            "    <SegmentTemplate timescale=\"{timescale}\" presentationTimeOffset=\"{offset}\" \
             startNumber=\"{number}\" initialization=\"{folder}/{header}\" \
             media=\"{folder}/{media}\">\n"
        ),
    );
    let entry = |at: usize| Entry {
        start: i64::try_from(one.times[at]).unwrap_or(i64::MAX),
        duration: one.times[at + 1] - one.times[at],
        is_gap: false,
    };
    write_timeline(text, &pass.segments.clone().map(entry).collect::<Vec<_>>());
    text.push_str("    </SegmentTemplate>\n   </Representation>\n");
}

/// The folder of an asset in a URL.
fn folder(path: &str, before: &str) -> String {
    let mut folder = before.to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            folder.push(char::from(byte));
        } else {
            let _ = write!(folder, "%{byte:02X}");
        }
    }
    folder
}
