//! A channel's renditions together: the texts of every edition, from what each has published.
//!
//! Pure text. Which of them has changed, and who is told, is decided outside.

use super::boxes::init::Media;
use super::events::Events;
use super::measure::Measure;
use super::playlist::dash::recent::Recent;
use super::playlist::name::{Kind, Name};
use super::playlist::{dash, hls, multivariant};
use super::protection::Protection;
use super::publisher::{Publisher, lead};
use super::record::{About, Carried};

/// Where the server tells its time, as seen from a channel's manifest.
const CLOCK: &str = "../clock";

/// What the segments of a rendition are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Chunks of boxes, with a header of their own.
    Cmaf,
    /// Packets of a transport stream, all of its streams together. No DASH of it is offered.
    Ts,
}

impl Container {
    /// What stands behind the number in the name of a segment.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Cmaf => "m4s",
            Self::Ts => "ts",
        }
    }

    /// The media type of a segment.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Cmaf => "video/mp4",
            Self::Ts => "video/mp2t",
        }
    }
}

/// One rendition.
#[derive(Debug)]
pub struct Rendition {
    /// Its name in the channel: the first element of its URLs there.
    pub name: String,
    /// What its segments are.
    pub container: Container,
    /// What it publishes.
    pub publisher: Publisher,
    /// What was measured of it.
    pub measure: Measure,
    /// Names of its headers, in the order of their numbers; a transport stream has none.
    pub headers: Vec<String>,
    /// How what follows each of them is encrypted, if it is.
    pub protections: Vec<Option<Protection>>,
    /// The language that its encoder's manifest says, if that says one.
    pub told_language: Option<String>,
}

/// Names of an edition's two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// For every player.
    Plain,
    /// With parts.
    Low,
}

impl Rendition {
    /// What is said of it, and kept with its segments.
    #[must_use]
    pub fn about(&self) -> About {
        let sample = &lead(self.publisher.init()).sample;
        let carries = match sample.media {
            Media::Video => Carried::Video {
                resolution: sample.resolution.unwrap_or_default(),
                frame_rate: self.measure.frame_rate(),
            },
            Media::Audio => {
                Carried::Audio { channels: sample.sound.map_or(2, |sound| sound.channels) }
            }
            Media::Text => Carried::Text,
        };
        // Of pictures none is said.
        let language = self.language().filter(|_| sample.media != Media::Video);
        About {
            carries,
            codecs: self.codecs(),
            language: language.map(str::to_owned),
            bandwidth: self.measure.bandwidth(),
        }
    }

    /// The name of one of its playlists.
    #[must_use]
    pub fn playlist(&self, kind: Kind) -> String {
        Name { kind, promise: self.publisher.timeline().promise() }.to_string()
    }

    /// Codings of all of its tracks, as `CODECS` lists them.
    #[must_use]
    pub fn codecs(&self) -> String {
        let tracks = &self.publisher.init().tracks;
        let codecs: Vec<_> = tracks.iter().map(|track| track.sample.codecs.as_str()).collect();
        codecs.join(",")
    }

    /// The language of its leading track, if that or its manifest says one. The manifest's is the
    /// better one: it may say of which country.
    fn language(&self) -> Option<&str> {
        let own = str::from_utf8(&lead(self.publisher.init()).language).ok();
        self.told_language.as_deref().or(own.filter(|language| *language != "und"))
    }
}

/// The multivariant playlist.
#[must_use]
pub fn multivariant(renditions: &[Rendition], latency: Latency) -> String {
    let is_listed = |one: &&Rendition| !one.publisher.timeline().segments().is_empty();
    let renditions: Vec<_> = renditions.iter().filter(is_listed).collect();
    let abouts: Vec<_> = renditions.iter().map(|one| one.about()).collect();
    let described = described(&renditions, &abouts);
    let name = |kind| renditions.first().map_or_else(String::new, |one| one.playlist(kind));
    let mut text = multivariant::multivariant(&described, &name(playlist_kind(latency)));
    for (one, described) in renditions.iter().zip(&described) {
        if let Some(peak) = one.measure.key_bandwidth() {
            multivariant::write_key_frames(&mut text, described, peak, &name(Kind::KeyFrames));
        }
    }
    text
}

/// What is said of each; `abouts` are theirs.
fn described<'r>(
    renditions: &[&'r Rendition],
    abouts: &'r [About],
) -> Vec<multivariant::Rendition<'r>> {
    renditions.iter().zip(abouts).map(|(one, about)| about.described(&one.name)).collect()
}

fn playlist_kind(latency: Latency) -> Kind {
    match latency {
        Latency::Plain => Kind::Plain,
        Latency::Low => Kind::LowLatency,
    }
}

/// The media playlist of one rendition.
#[must_use]
pub fn media(
    renditions: &[Rendition],
    events: &Events,
    at: usize,
    edition: hls::Edition,
) -> String {
    let one = &renditions[at];
    let uris: Vec<_> = renditions
        .iter()
        .map(|other| format!("../{}/{}", other.name, other.playlist(Kind::LowLatency)))
        .collect();
    let others: Vec<_> = renditions
        .iter()
        .zip(&uris)
        .enumerate()
        .filter(|(other, _)| *other != at)
        .map(|(_, (other, uri))| hls::Report { uri, timeline: other.publisher.timeline() })
        .collect();
    let media = hls::Media {
        timeline: one.publisher.timeline(),
        headers: &one.headers,
        protections: &one.protections,
        extension: one.container.extension(),
        others: &others,
        events,
        ended: false,
    };
    hls::media(&media, edition)
}

/// Publishes the manifest anew, among the recent ones of this edition; none if there is nothing new
/// in it, or nothing at all. Gives the names of patches that are not to be had any more. A
/// rendition of which nothing has come is left out.
pub fn publish_manifest(
    renditions: &[Rendition],
    events: &Events,
    window_micros: u64,
    (edition, recent): (dash::Edition, &mut Recent),
) -> Option<Vec<String>> {
    let newest = |one: &Rendition| {
        let last = edition.newest(one.publisher.timeline())?;
        Some(last.origin.unix_micros(last.end()))
    };
    let is_listed = |one: &Rendition| one.container == Container::Cmaf && newest(one).is_some();
    let listed: Vec<_> = (0..).zip(renditions).filter(|(_, one)| is_listed(one)).collect();
    let (numbers, renditions): (Vec<_>, Vec<_>) = listed.into_iter().unzip();
    let newest_micros = renditions.iter().filter_map(|one| newest(one)).max()?;
    let abouts: Vec<_> = renditions.iter().map(|one| one.about()).collect();
    let described = described(&renditions, &abouts);
    let tracks: Vec<_> = renditions
        .iter()
        .zip(&described)
        .zip(numbers)
        .map(|((one, rendition), number)| dash::Track {
            rendition,
            timeline: one.publisher.timeline(),
            headers: &one.headers,
            protections: &one.protections,
            extension: one.container.extension(),
            streams: events.streams_of(number).collect(),
        })
        .collect();
    let presentation = dash::Presentation { tracks: &tracks, window_micros, clock: CLOCK };
    let body = dash::body(&presentation, edition);
    let published = recent.next(edition.id(), &body, newest_micros)?;
    let head = dash::head(&presentation, edition, (published.0, &published.1));
    Some(recent.keep(published, &head, &body))
}
