//! Editions of a linear channel: a schedule and a moment in, HLS and DASH out.
//!
//! Segments are the assets' own, by relative URLs: `../../../vod/films/a/seg-0-00001.m4s`. Nothing
//! of them is copied, and what a cache has of an asset serves the channel, too.

use std::fmt::Write as _;

use super::dash::Escaped;
use super::multivariant;
use super::{Date, PLAIN, Seconds, put};
use crate::live::linear::{Pass, Schedule, Track};
use crate::live::record::Carried;

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
        let date = Date(i64::try_from(pass.start_of(pass.segments.start) / 1000).unwrap_or(0));
        put(
            &mut text,
            format_args!(
                "#EXT-X-MAP:URI=\"{folder}/{}\"\n#EXT-X-PROGRAM-DATE-TIME:{date}\n",
                pass.rendition.header
            ),
        );
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

/// The manifest. `clock` is where the server tells its time, as seen from there.
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
    let mut numbers: Vec<_> = listed.iter().flatten().map(|pass| pass.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        write_period(&mut text, schedule, &listed, number);
    }
    put(
        &mut text,
        format_args!(
            " <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"{}\"/>\n</MPD>\n",
            Escaped(clock)
        ),
    );
    text
}

fn write_period(text: &mut String, schedule: &Schedule, listed: &[Vec<Pass<'_>>], number: u64) {
    let of = |passes: &'_ [Pass<'_>]| passes.iter().position(|pass| pass.number == number);
    let mut start = None;
    let mut sets: [Vec<(&Track, &Pass<'_>)>; 2] = Default::default();
    for (track, passes) in schedule.tracks().iter().zip(listed) {
        let Some(pass) = of(passes).map(|at| &passes[at]) else { continue };
        start = Some(pass.start);
        let is_video = matches!(track.about.carries, Carried::Video { .. });
        sets[usize::from(!is_video)].push((track, pass));
    }
    let Some(start) = start else { return };
    let start = Seconds(start / 1000);
    put(text, format_args!(" <Period id=\"{number}\" start=\"PT{start}S\">\n"));
    let [videos, others] = sets;
    // Pictures are switched between; each sound and each text is a set of its own.
    let sets = std::iter::once(videos).chain(others.into_iter().map(|one| vec![one]));
    for (id, set) in sets.filter(|set| !set.is_empty()).enumerate() {
        let (kind, media_type) = match set[0].0.about.carries {
            Carried::Video { .. } => ("video", "video/mp4"),
            Carried::Audio { .. } => ("audio", "audio/mp4"),
            Carried::Text => ("text", "application/mp4"),
        };
        put(
            text,
            format_args!(
                "  <AdaptationSet id=\"{id}\" contentType=\"{kind}\" mimeType=\"{media_type}\" \
                 segmentAlignment=\"true\" startWithSAP=\"1\""
            ),
        );
        if let Some(language) = &set[0].0.about.language {
            put(text, format_args!(" lang=\"{}\"", Escaped(language)));
        }
        text.push_str(">\n");
        for (track, pass) in set {
            write_representation(text, track, pass);
        }
        text.push_str("  </AdaptationSet>\n");
    }
    text.push_str(" </Period>\n");
}

fn write_representation(text: &mut String, track: &Track, pass: &Pass<'_>) {
    let one = pass.rendition;
    let bandwidth = one.about.bandwidth.peak.max(1);
    put(
        text,
        format_args!(
            "   <Representation id=\"{}\" bandwidth=\"{bandwidth}\"",
            Escaped(&track.name)
        ),
    );
    if !one.about.codecs.is_empty() {
        put(text, format_args!(" codecs=\"{}\"", Escaped(&one.about.codecs)));
    }
    match one.about.carries {
        Carried::Video { resolution: (width, height), frame_rate } => {
            put(text, format_args!(" width=\"{width}\" height=\"{height}\""));
            if let Some((over, under)) = frame_rate {
                put(text, format_args!(" frameRate=\"{over}/{under}\""));
            }
            text.push_str(">\n");
        }
        Carried::Audio { channels } => put(
            text,
            format_args!(
                ">\n    <AudioChannelConfiguration \
                 schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" \
                 value=\"{channels}\"/>\n"
            ),
        ),
        Carried::Text => text.push_str(">\n"),
    }
    let folder = folder(&pass.asset.path, "../../vod/");
    let (timescale, offset) = (one.timescale, one.times[0]);
    let number = one.first_number + pass.segments.start as u64;
    let (header, media) = (Escaped(&one.header), Escaped(&one.media));
    put(
        text,
        format_args!(
            "    <SegmentTemplate timescale=\"{timescale}\" presentationTimeOffset=\"{offset}\" \
             startNumber=\"{number}\" initialization=\"{folder}/{header}\" \
             media=\"{folder}/{media}\">\n     <SegmentTimeline>\n"
        ),
    );
    let mut at = pass.segments.start;
    while at < pass.segments.end {
        let duration = one.times[at + 1] - one.times[at];
        let same = |next: &usize| one.times[*next + 1] - one.times[*next] == duration;
        let repeated = (at + 1..pass.segments.end).take_while(same).count();
        text.push_str("      <S");
        if at == pass.segments.start {
            put(text, format_args!(" t=\"{}\"", one.times[at]));
        }
        put(text, format_args!(" d=\"{duration}\""));
        if repeated > 0 {
            put(text, format_args!(" r=\"{repeated}\""));
        }
        text.push_str("/>\n");
        at += repeated + 1;
    }
    text.push_str("     </SegmentTimeline>\n    </SegmentTemplate>\n   </Representation>\n");
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
