//! The manifest of DASH: a channel's timelines in, one dynamic MPD out (ISO/IEC 23009-1).
//!
//! Each timeline of the channel is a Period. Segments have the same names as in HLS, and both are
//! served from one copy. `$Number$` counts the entries of a SegmentTimeline, in which a segment
//! that did not come keeps its entry, and is marked as missing (FailoverContent, 5.3.9.7).

use std::fmt::Write as _;

use super::super::timeline::{Segment, Timeline};
use super::multivariant::{Carries, Rendition};
use super::{Date, Seconds, put, target_seconds};

/// A channel, as its manifest needs it.
#[derive(Clone, Copy, Debug)]
pub struct Presentation<'p> {
    /// Its renditions, in the order in which a player should find them; at least one.
    pub tracks: &'p [Track<'p>],
    /// How far back it can be watched, in microseconds.
    pub window_micros: u64,
    /// When the text was made, in microseconds of Unix time.
    pub published_micros: i64,
    /// Where the server tells its time, as seen from the manifest.
    pub clock: &'p str,
}

/// A rendition, and what is published of it.
#[derive(Clone, Copy, Debug)]
pub struct Track<'p> {
    /// What it carries.
    pub rendition: &'p Rendition<'p>,
    /// Its segments.
    pub timeline: &'p Timeline,
    /// URIs of its headers within the rendition, in the order of their numbers.
    pub headers: &'p [String],
    /// What stands behind the number in a segment's name.
    pub extension: &'p str,
}

/// Which text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// Whole segments.
    Plain,
    /// The segment that grows, too, which is delivered as it comes.
    LowLatency,
}

/// The manifest.
#[must_use]
pub fn manifest(presentation: &Presentation<'_>, edition: Edition) -> String {
    let Some(first) = presentation.tracks.first() else { return String::new() };
    let target = target_seconds(first.timeline);
    let mut text = String::with_capacity(4096);
    put(
        &mut text,
        format_args!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" \
             profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"dynamic\" id=\"live\" \
             availabilityStartTime=\"1970-01-01T00:00:00Z\" publishTime=\"{}\" minimumUpdatePeriod=\"PT{target}S\" \
             timeShiftBufferDepth=\"PT{}S\" suggestedPresentationDelay=\"PT{}S\" \
             minBufferTime=\"PT{target}S\" maxSegmentDuration=\"PT{}S\">\n",
            Date(presentation.published_micros),
            Seconds(presentation.window_micros),
            3 * target,
            Seconds(first.timeline.lengths().segment.micros()),
        ),
    );
    if edition == Edition::LowLatency {
        let part = first.timeline.lengths().part.micros() / 1000;
        put(
            &mut text,
            format_args!(
                " <ServiceDescription id=\"0\">\n  <Latency target=\"{}\" min=\"{}\" max=\"{}\"/>\n  \
                 <PlaybackRate min=\"0.96\" max=\"1.04\"/>\n </ServiceDescription>\n",
                3 * part,
                2 * part,
                3 * target * 1000,
            ),
        );
    }
    let (from, to) = periods(first.timeline);
    for period in from..=to {
        write_period(&mut text, presentation, edition, period);
    }
    put(
        &mut text,
        format_args!(
            " <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"{}\"/>\n</MPD>\n",
            Escaped(presentation.clock)
        ),
    );
    text
}

/// The discontinuity sequence numbers of the first and of the last segment that are listed.
fn periods(timeline: &Timeline) -> (u64, u64) {
    let before = timeline.discontinuity_sequence();
    let starts = timeline.segments().iter().map(|segment| u64::from(segment.discontinuity));
    let first = timeline.segments().front().map_or(0, |first| u64::from(first.discontinuity));
    (before + first, before + starts.sum::<u64>())
}

/// The segments of a timeline in one period: those after so many discontinuities.
fn in_period(timeline: &Timeline, period: u64) -> impl Iterator<Item = &Segment> {
    let mut sequence = timeline.discontinuity_sequence();
    timeline.segments().iter().filter(move |segment| {
        sequence += u64::from(segment.discontinuity);
        sequence == period
    })
}

fn write_period(text: &mut String, presentation: &Presentation<'_>, edition: Edition, period: u64) {
    // Whatever leaves the window, a period begins where it began.
    let mut segments =
        presentation.tracks.iter().flat_map(|track| in_period(track.timeline, period));
    let Some(origin) = segments.next().map(|segment| segment.origin) else { return };
    let offset = origin.start_micros;
    let start = u64::try_from(offset.saturating_add(origin.zero_micros)).unwrap_or(0);
    put(text, format_args!(" <Period id=\"{period}\" start=\"PT{}S\">\n", Seconds(start)));
    let is_video = |track: &&Track<'_>| matches!(track.rendition.carries, Carries::Video { .. });
    let video: Vec<_> = presentation.tracks.iter().filter(is_video).collect();
    let others = presentation.tracks.iter().filter(|track| !is_video(track));
    // Pictures are switched between; each sound and each text is a set of its own.
    let sets = std::iter::once(video).chain(others.map(|track| vec![track]));
    for (id, set) in sets.filter(|set| !set.is_empty()).enumerate() {
        write_set(text, id, &set, edition, (period, offset));
    }
    text.push_str(" </Period>\n");
}

fn write_set(
    text: &mut String,
    id: usize,
    set: &[&Track<'_>],
    edition: Edition,
    period: (u64, i64),
) {
    let rendition = set[0].rendition;
    let (kind, media_type, language) = match rendition.carries {
        Carries::Video { .. } => ("video", "video/mp4", None),
        Carries::Audio { language, .. } => ("audio", "audio/mp4", language),
        Carries::Text { language } => ("text", "application/mp4", language),
    };
    put(
        text,
        format_args!(
            "  <AdaptationSet id=\"{id}\" contentType=\"{kind}\" mimeType=\"{media_type}\" \
             segmentAlignment=\"true\" startWithSAP=\"1\""
        ),
    );
    if let Some(language) = language {
        put(text, format_args!(" lang=\"{}\"", Escaped(language)));
    }
    text.push_str(">\n");
    for track in set {
        write_representation(text, track, edition, period);
    }
    text.push_str("  </AdaptationSet>\n");
}

fn write_representation(
    text: &mut String,
    track: &Track<'_>,
    edition: Edition,
    (period, offset_micros): (u64, i64),
) {
    let with_parts = edition == Edition::LowLatency;
    let segments: Vec<_> =
        in_period(track.timeline, period).filter(|segment| segment.is_listed(with_parts)).collect();
    let Some(first) = segments.first() else { return };
    let one = track.rendition;
    let name = Escaped(one.name);
    put(
        text,
        format_args!(
            "   <Representation id=\"{name}\" bandwidth=\"{}\"",
            one.bandwidth.peak.max(1)
        ),
    );
    if !one.codecs.is_empty() {
        put(text, format_args!(" codecs=\"{}\"", Escaped(one.codecs)));
    }
    match one.carries {
        Carries::Video { resolution: (width, height), frame_rate } => {
            put(text, format_args!(" width=\"{width}\" height=\"{height}\""));
            if let Some((pictures, seconds)) = frame_rate {
                put(text, format_args!(" frameRate=\"{pictures}/{seconds}\""));
            }
            text.push_str(">\n");
        }
        Carries::Audio { channels, .. } => put(
            text,
            format_args!(
                ">\n    <AudioChannelConfiguration \
                 schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" \
                 value=\"{channels}\"/>\n"
            ),
        ),
        Carries::Text { .. } => text.push_str(">\n"),
    }
    let timescale = first.start.timescale;
    let offset = i128::from(offset_micros) * i128::from(timescale) / 1_000_000;
    let header = track.headers.get(first.header as usize).map_or("", String::as_str);
    put(
        text,
        format_args!(
            "    <SegmentTemplate timescale=\"{timescale}\" presentationTimeOffset=\"{offset}\" \
             startNumber=\"{}\" initialization=\"{name}/{}\" media=\"{name}/$Number$.{}\"",
            first.number,
            Escaped(header),
            track.extension,
        ),
    );
    if edition == Edition::LowLatency {
        let lengths = track.timeline.lengths();
        let early = lengths.segment.micros().saturating_sub(lengths.part.micros());
        put(
            text,
            format_args!(
                " availabilityTimeOffset=\"{}\" availabilityTimeComplete=\"false\"",
                Seconds(early)
            ),
        );
    }
    text.push_str(">\n");
    write_timeline(text, track.timeline, &segments);
    text.push_str("    </SegmentTemplate>\n   </Representation>\n");
}

/// Entries of equal duration that follow each other are one, repeated.
fn write_timeline(text: &mut String, timeline: &Timeline, segments: &[&Segment]) {
    let nominal = |segment: &Segment| {
        timeline.lengths().segment.ticks_of(segment.start.timescale).max(segment.duration)
    };
    // A segment that grows has the length that it will have.
    let duration =
        |segment: &Segment| if segment.is_whole { segment.duration } else { nominal(segment) };
    text.push_str("     <SegmentTimeline>\n");
    let missing = segments.iter().filter(|segment| segment.is_gap);
    let mut missing = missing.peekable();
    if missing.peek().is_some() {
        text.push_str("      <FailoverContent valid=\"false\">\n");
        for gap in missing {
            let (t, d) = (gap.start.ticks, gap.duration);
            put(text, format_args!("       <FCS t=\"{t}\" d=\"{d}\"/>\n"));
        }
        text.push_str("      </FailoverContent>\n");
    }
    let mut at = 0;
    let mut end = None;
    while let Some(first) = segments.get(at) {
        let one = duration(first);
        let mut next = first.start.ticks.saturating_add_unsigned(one);
        let mut repeated = 0;
        while let Some(more) = segments.get(at + repeated + 1)
            && more.start.ticks == next
            && duration(more) == one
        {
            repeated += 1;
            next = next.saturating_add_unsigned(one);
        }
        text.push_str("      <S");
        if end != Some(first.start.ticks) {
            put(text, format_args!(" t=\"{}\"", first.start.ticks));
        }
        put(text, format_args!(" d=\"{one}\""));
        if repeated > 0 {
            put(text, format_args!(" r=\"{repeated}\""));
        }
        text.push_str("/>\n");
        end = Some(next);
        at += repeated + 1;
    }
    text.push_str("     </SegmentTimeline>\n");
}

/// Text in an attribute of XML.
#[derive(Clone, Copy, Debug)]
struct Escaped<'t>(&'t str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                letter if letter.is_control() => {}
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
