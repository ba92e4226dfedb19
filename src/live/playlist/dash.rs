//! The manifest of DASH: a channel's timelines in, one dynamic MPD out (ISO/IEC 23009-1).
//!
//! Each stretch of the channel is a Period. Everything is served from the copy that HLS has. In low
//! latency segments have the same names, too: `$Number$` counts the entries of a SegmentTimeline,
//! in which a segment that did not come keeps its entry, and is marked as missing (FailoverContent,
//! 5.3.9.7). Where whole segments are listed, they are asked for by `$Time$` (`timed`).
//!
//! Durations are told of segments that have begun, never promised by `@duration`, although a set
//! length makes them constant on the epoch's time. A Period can't take such a promise back: when an
//! encoder begins again with another rhythm, or a segment is longer, whoever goes by it asks for
//! what is not there, or gets what is not then. It would claim that all of the window can be had
//! from the first segment on, and that media comes as the clock says. What it would save, loading
//! the manifest for each segment, is what patches are for: a manifest names the place of what turns
//! it into a newer one (`recent`, `patch`), where a request waits until there is something.

pub mod patch;
pub mod recent;
pub mod timed;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::events::Stream;
use super::super::protection::Protection;
use super::super::timeline::{Segment, Timeline};
use super::multivariant::{Carries, Rendition};
use super::{Date, Seconds, hls, keys, put, target_seconds};
use crate::config::MPD_PATCH_SECONDS;

/// A channel, as its manifest needs it.
#[derive(Clone, Copy, Debug)]
pub struct Presentation<'p> {
    /// Its renditions, in the order in which a player should find them; at least one.
    pub tracks: &'p [Track<'p>],
    /// How far back it can be watched, in microseconds.
    pub window_micros: u64,
    /// Where the server tells its time, as seen from the manifest.
    pub clock: &'p str,
}

/// A rendition, and what is published of it.
#[derive(Clone, Debug)]
pub struct Track<'p> {
    /// What it carries.
    pub rendition: &'p Rendition<'p>,
    /// Its segments.
    pub timeline: &'p Timeline,
    /// URIs of its headers within the rendition, in the order of their numbers.
    pub headers: &'p [String],
    /// How what follows each of them is encrypted, if it is.
    pub protections: &'p [Option<Protection>],
    /// What stands behind the number in a segment's name.
    pub extension: &'p str,
    /// Messages in its segments.
    pub streams: Vec<&'p Stream>,
}

/// Which text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// Whole segments.
    Plain,
    /// The segment that grows, too, which is delivered as it comes.
    LowLatency,
}

impl Edition {
    /// What one of the channel's manifests is known by: `MPD@id`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Plain => "live",
            Self::LowLatency => "low-latency",
        }
    }

    /// Whether it lists a segment. One that has begun can be had while it grows.
    fn lists(self, segment: &Segment) -> bool {
        segment.is_whole || self == Self::LowLatency
    }

    /// The newest segment of a timeline that it lists.
    #[must_use]
    pub fn newest(self, timeline: &Timeline) -> Option<&Segment> {
        timeline.segments().iter().rev().find(|segment| self.lists(segment))
    }
}

/// The first lines of a manifest, which say when it was published, and where changes to it are.
#[must_use]
pub fn head(
    presentation: &Presentation<'_>,
    edition: Edition,
    (published_micros, patches): (i64, &str),
) -> String {
    let Some(first) = presentation.tracks.first() else { return String::new() };
    let target = target_seconds(first.timeline);
    let id = edition.id();
    // A player knows of a segment by the manifest alone. Asking once a segment it may learn of one
    // when that is nearly over; dash.js then had nothing to play. Requests for a patch wait until
    // there is one, so players that know patches do not come more often for that.
    let update = match edition {
        Edition::Plain => target * 1_000_000,
        Edition::LowLatency => first.timeline.lengths().part.micros(),
    };
    // Shaka Player goes by this in low latency, too, and not by the service description. It begins
    // nearer to the live edge than it says, so it is told half a part more.
    let delay = match edition {
        Edition::Plain => 3 * target * 1_000_000,
        Edition::LowLatency => latency_micros(first) * 9 / 8,
    };
    let mut text = String::with_capacity(4096);
    put(
        &mut text,
        format_args!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" \
             profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"dynamic\" id=\"{id}\" \
             availabilityStartTime=\"1970-01-01T00:00:00Z\" publishTime=\"{}\" minimumUpdatePeriod=\"PT{}S\" \
             timeShiftBufferDepth=\"PT{}S\" suggestedPresentationDelay=\"PT{}S\" \
             minBufferTime=\"PT{target}S\" maxSegmentDuration=\"PT{}S\">\n \
             <PatchLocation ttl=\"{MPD_PATCH_SECONDS}\">{}</PatchLocation>\n",
            Date(published_micros),
            Seconds(update),
            Seconds(presentation.window_micros),
            Seconds(delay),
            Seconds(first.timeline.longest().micros()),
            Escaped(patches),
        ),
    );
    text
}

/// How far behind its live edge low latency is meant to be played, in microseconds: of parts one is
/// made, one is on its way, one is learnt of, and one is for what goes wrong.
fn latency_micros(of: &Track<'_>) -> u64 {
    let plain = 3 * target_seconds(of.timeline) * 1_000_000;
    plain.min(4 * of.timeline.lengths().part.micros())
}

/// The rest of it, which is other text only when it says something else.
#[must_use]
pub fn body(presentation: &Presentation<'_>, edition: Edition) -> String {
    let Some(first) = presentation.tracks.first() else { return String::new() };
    let target = target_seconds(first.timeline);
    let mut text = String::with_capacity(4096);
    if edition == Edition::LowLatency {
        let part = first.timeline.lengths().part.micros() / 1000;
        put(
            &mut text,
            format_args!(
                " <ServiceDescription id=\"0\">\n  <Latency target=\"{}\" min=\"{}\" max=\"{}\"/>\n  \
                 <PlaybackRate min=\"0.96\" max=\"1.04\"/>\n </ServiceDescription>\n",
                latency_micros(first) / 1000,
                2 * part,
                3 * target * 1000,
            ),
        );
    }
    for period in periods(presentation, edition) {
        write_period(&mut text, presentation, edition, &period);
    }
    write_clock(&mut text, presentation.clock);
    text.push_str("</MPD>\n");
    text
}

/// Where the server tells its time, as seen from the manifest.
pub(in crate::live) fn write_clock(text: &mut String, clock: &str) {
    let (scheme, clock) = ("urn:mpeg:dash:utc:http-iso:2014", Escaped(clock));
    put(text, format_args!(" <UTCTiming schemeIdUri=\"{scheme}\" value=\"{clock}\"/>\n"));
}

/// A stretch of the channel.
struct Period<'p> {
    number: u64,
    /// What is listed of each track, in their order.
    segments: Vec<Vec<&'p Segment>>,
}

impl Period<'_> {
    /// Whether pictures or sounds are missing here that are there. Texts are rare.
    fn lacks(&self, tracks: &[Track<'_>], other: &Self) -> bool {
        let both = self.segments.iter().zip(&other.segments).zip(tracks);
        let counts = |track: &Track<'_>| !matches!(track.rendition.carries, Carries::Text { .. });
        both.into_iter()
            .any(|((here, there), track)| here.is_empty() && !there.is_empty() && counts(track))
    }

    /// The Unix time at which its media ends, in microseconds.
    fn end_micros(&self) -> i64 {
        let ends = self.segments.iter().filter_map(|segments| segments.last());
        ends.map(|last| last.origin.unix_micros(last.end())).max().unwrap_or(i64::MIN)
    }
}

/// What there is to list, oldest first.
///
/// Renditions neither come to a Period at once nor leave it at once. A player for which one of
/// them is missing from a Period gives it up for good, or the whole manifest (Shaka Player: 4037).
/// So a new one is listed when all renditions of the one before have come to it, or would not come
/// any more; and an old one no longer when one of them has left it.
fn periods<'p>(presentation: &Presentation<'p>, edition: Edition) -> Vec<Period<'p>> {
    let segments = presentation.tracks.iter().flat_map(|track| track.timeline.segments());
    let listed = segments.filter(|segment| edition.lists(segment));
    let numbers: BTreeSet<u64> = listed.map(|segment| segment.sequence).collect();
    let of = |track: &'p Track<'p>, number: u64| -> Vec<&'p Segment> {
        let segments = track.timeline.segments().iter();
        segments.filter(|one| one.sequence == number && edition.lists(one)).collect()
    };
    let period = |number| {
        let tracks = presentation.tracks.iter();
        Period { number, segments: tracks.map(|track| of(track, number)).collect() }
    };
    let mut periods: Vec<_> = numbers.into_iter().map(period).collect();
    if let [.., before, last] = &periods[..]
        && last.lacks(presentation.tracks, before)
        && last.segments.iter().all(|all| all.iter().filter(|one| one.is_whole).count() < 2)
    {
        periods.pop();
    }
    if let [first, next, ..] = &periods[..]
        && let Some(track) = presentation.tracks.first()
    {
        let segment = track.timeline.longest().micros();
        let newest = periods.iter().map(Period::end_micros).max().unwrap_or(0);
        let leaves = newest
            .saturating_sub_unsigned(presentation.window_micros)
            .saturating_add_unsigned(2 * segment);
        if first.end_micros() <= leaves && first.lacks(presentation.tracks, next) {
            periods.remove(0);
        }
    }
    periods
}

fn write_period(
    text: &mut String,
    presentation: &Presentation<'_>,
    edition: Edition,
    Period { number, segments }: &Period<'_>,
) {
    // Whatever leaves the window, a period begins where it began.
    let Some(origin) = segments.iter().flatten().next().map(|first| first.origin) else { return };
    let start = origin.start_micros.saturating_add(origin.zero_micros);
    let start = Seconds(u64::try_from(start).unwrap_or(0));
    put(text, format_args!(" <Period id=\"{number}\" start=\"PT{start}S\">\n"));
    let tracks = presentation.tracks.iter().zip(segments);
    let here = tracks.map(|(track, segments)| {
        let is_here = !segments.is_empty();
        (track.rendition.carries, is_here.then_some((track, segments)))
    });
    for (id, set) in sets(here) {
        write_set(text, id, &set, edition);
    }
    text.push_str(" </Period>\n");
}

/// The sets of a period with their numbers: of each rendition what it carries, and what of it is
/// here. Pictures are switched between; each sound and each text is a set of its own. A set has the
/// same number in all periods, and is left out where nothing of it is.
pub(in crate::live) fn sets<'r, T>(
    renditions: impl Iterator<Item = (Carries<'r>, Option<T>)>,
) -> impl Iterator<Item = (usize, Vec<T>)> {
    let (videos, others): (Vec<_>, Vec<_>) =
        renditions.partition(|(carries, _)| matches!(carries, Carries::Video { .. }));
    let first = usize::from(!videos.is_empty());
    let videos = videos.into_iter().filter_map(|(_, here)| here).collect();
    let others = others.into_iter().map(|(_, here)| Vec::from_iter(here));
    let all = std::iter::once((0, videos)).chain((first..).zip(others));
    all.filter(|(_, set)| !set.is_empty())
}

/// Begins the set in which a rendition is, and maybe others of its kind.
pub(in crate::live) fn begin_set(text: &mut String, id: usize, rendition: &Rendition<'_>) {
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
}

/// What a set is for, where that is not clear. It stands behind everything but representations.
pub(in crate::live) fn write_role(text: &mut String, rendition: &Rendition<'_>) {
    if matches!(rendition.carries, Carries::Text { .. }) {
        text.push_str("   <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"subtitle\"/>\n");
    }
}

fn write_set(text: &mut String, id: usize, set: &[(&Track<'_>, &Vec<&Segment>)], edition: Edition) {
    begin_set(text, id, set[0].0.rendition);
    let shared =
        keys::write_shared(text, set.iter().map(|(track, segments)| protection(track, segments)));
    write_streams(text, set.iter().flat_map(|(track, _)| &track.streams));
    write_role(text, set[0].0.rendition);
    for (track, segments) in set {
        let own = protection(track, segments).filter(|_| shared.is_none());
        write_representation(text, track, segments, (edition, own));
    }
    text.push_str("  </AdaptationSet>\n");
}

/// How a track is encrypted in a period.
fn protection<'p>(track: &Track<'p>, segments: &[&Segment]) -> Option<&'p Protection> {
    track.protections.get(segments.first()?.header as usize)?.as_ref()
}

/// What messages there are in the segments of a set, each kind once.
fn write_streams<'t>(text: &mut String, streams: impl Iterator<Item = &'t &'t Stream>) {
    let kinds: BTreeSet<_> = streams.map(|stream| (&stream.scheme, &stream.value)).collect();
    for (scheme, value) in kinds {
        put(text, format_args!("   <InbandEventStream schemeIdUri=\"{}\"", Escaped(scheme)));
        if !value.is_empty() {
            put(text, format_args!(" value=\"{}\"", Escaped(value)));
        }
        text.push_str("/>\n");
    }
}

/// Begins a rendition's representation: everything that does not depend on its segments.
pub(in crate::live) fn begin_representation(text: &mut String, one: &Rendition<'_>) {
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
}

fn write_representation(
    text: &mut String,
    track: &Track<'_>,
    segments: &[&Segment],
    (edition, own): (Edition, Option<&Protection>),
) {
    let Some(first) = segments.first() else { return };
    begin_representation(text, track.rendition);
    if let Some(protection) = own {
        keys::write_dash(text, protection, "    ");
    }
    let name = Escaped(track.rendition.name);
    let timescale = first.start.timescale;
    let offset = i128::from(first.origin.start_micros) * i128::from(timescale) / 1_000_000;
    let header = track.headers.get(first.header as usize).map_or("", String::as_str);
    put(
        text,
        format_args!(
            "    <SegmentTemplate timescale=\"{timescale}\" presentationTimeOffset=\"{offset}\""
        ),
    );
    put(text, format_args!(" initialization=\"{name}/{}\"", Escaped(header)));
    let media = match edition {
        Edition::Plain => timed::template(first.origin, track.timeline.run(), track.extension),
        Edition::LowLatency => {
            put(text, format_args!(" startNumber=\"{}\"", first.number));
            hls::segment_name("$Number$", track.extension)
        }
    };
    put(text, format_args!(" media=\"{name}/{media}\""));
    if edition == Edition::LowLatency {
        let part = track.timeline.lengths().part;
        let early = track.timeline.longest().micros().saturating_sub(part.micros());
        put(
            text,
            format_args!(
                " availabilityTimeOffset=\"{}\" availabilityTimeComplete=\"false\"",
                Seconds(early)
            ),
        );
    }
    text.push_str(">\n");
    write_timeline(text, &entries(track.timeline, segments));
    text.push_str("    </SegmentTemplate>\n   </Representation>\n");
}

/// An entry of a SegmentTimeline.
#[derive(Clone, Copy, Debug)]
pub(in crate::live) struct Entry {
    /// When its segment begins, in ticks.
    pub start: i64,
    /// In ticks.
    pub duration: u64,
    /// Whether there is nothing to play.
    pub is_gap: bool,
}

/// What a timeline's segments are in a SegmentTimeline.
fn entries(timeline: &Timeline, segments: &[&Segment]) -> Vec<Entry> {
    let nominal = |segment: &Segment| {
        timeline.longest().ticks_of(segment.start.timescale).max(segment.duration)
    };
    // A segment that grows has the length that it will have.
    let duration =
        |segment: &Segment| if segment.is_whole { segment.duration } else { nominal(segment) };
    let entry = |segment: &&Segment| Entry {
        start: segment.start.ticks,
        duration: duration(segment),
        is_gap: segment.is_gap,
    };
    segments.iter().map(entry).collect()
}

/// What a template holds: which segments are missing, and when each is.
///
/// Entries of equal duration that follow each other are one, repeated.
pub(in crate::live) fn write_timeline(text: &mut String, entries: &[Entry]) {
    let mut missing = entries.iter().filter(|entry| entry.is_gap).peekable();
    if missing.peek().is_some() {
        text.push_str("     <FailoverContent valid=\"false\">\n");
        for Entry { start, duration, .. } in missing {
            put(text, format_args!("      <FCS t=\"{start}\" d=\"{duration}\"/>\n"));
        }
        text.push_str("     </FailoverContent>\n");
    }
    text.push_str("     <SegmentTimeline>\n");
    let mut at = 0;
    let mut end = None;
    while let Some(&Entry { start, duration, .. }) = entries.get(at) {
        let mut next = start.saturating_add_unsigned(duration);
        let mut repeated = 0;
        while let Some(more) = entries.get(at + repeated + 1)
            && more.start == next
            && more.duration == duration
        {
            repeated += 1;
            next = next.saturating_add_unsigned(duration);
        }
        text.push_str("      <S");
        if end != Some(start) {
            put(text, format_args!(" t=\"{start}\""));
        }
        put(text, format_args!(" d=\"{duration}\""));
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
pub(in crate::live) struct Escaped<'t>(pub(in crate::live) &'t str);

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
