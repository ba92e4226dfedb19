//! A packaged asset as a linear channel needs it: the text of its DASH manifest in, its renditions
//! with the exact times and the names of their segments out.
//!
//! What packagers write for video on demand is read: one Period, SegmentTemplate with
//! SegmentTimeline. Everything else is refused with a sentence.

use roxmltree::{Document, Node, ParsingOptions};

use crate::live::playlist::multivariant::Bandwidth;
use crate::live::record::{About, Carried};

/// Segments of one rendition: a day of seconds. Beyond it an asset is refused.
pub const SEGMENTS_MAX: usize = 86_400;

/// Elements and texts of a manifest. Beyond it it is refused.
const NODES_MAX: u32 = 1 << 20;

/// An asset.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its path below `/vod/`.
    pub path: String,
    /// Its renditions, in the order of its manifest.
    pub renditions: Vec<Rendition>,
}

/// A rendition of an asset.
#[derive(Clone, Debug)]
pub struct Rendition {
    /// Its name in a channel: `v` and the id of a picture, `a` of a sound, `t` of a text.
    pub name: String,
    /// What playlists and manifests say of it.
    pub about: About,
    /// Ticks a second.
    pub timescale: u32,
    /// Where its segments begin, in ticks, and where the last one ends.
    pub times: Vec<u64>,
    /// URI of its header, within the asset; transport streams have none.
    pub header: Option<String>,
    /// URIs of its segments, within the asset.
    pub media: Media,
}

/// Where segments are.
#[derive(Clone, Debug)]
pub enum Media {
    /// At what a template of DASH, with its id filled in, makes of number or time.
    Template {
        /// The template.
        text: String,
        /// The number of the first segment there.
        first_number: u64,
    },
    /// At these places.
    List(Vec<String>),
}

/// Why an asset can't be part of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit(pub String);

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Asset {
    /// Reads the manifest of the asset at this path.
    ///
    /// # Errors
    ///
    /// It is no XML, or has no form that is known here.
    pub fn read(path: &str, manifest: &str) -> Result<Self, Unfit> {
        let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        let document = Document::parse_with_options(manifest, options)
            .map_err(|error| Unfit(format!("the manifest is no XML: {error}")))?;
        let mut periods = document.root_element().children().filter(is("Period"));
        let period = periods.next().ok_or_else(|| Unfit("it has no Period".to_owned()))?;
        if periods.next().is_some() {
            return Err(Unfit("it has several Periods".to_owned()));
        }
        if document.descendants().any(|node| is("BaseURL")(&node)) {
            return Err(Unfit("it has a BaseURL".to_owned()));
        }
        let mut renditions: Vec<Rendition> = Vec::new();
        for set in period.children().filter(is("AdaptationSet")) {
            for one in set.children().filter(is("Representation")) {
                let one = rendition(set, one)?;
                if renditions.iter().any(|other| other.name == one.name) {
                    return Err(Unfit(format!("two renditions are called {}", one.name)));
                }
                renditions.push(one);
            }
        }
        if renditions.is_empty() {
            return Err(Unfit("it has no renditions".to_owned()));
        }
        Ok(Self { path: path.to_owned(), renditions })
    }

    /// The rendition that says how long it is: its first picture, else its first.
    #[must_use]
    pub fn lead(&self) -> &Rendition {
        let is_video = |one: &&Rendition| matches!(one.about.carries, Carried::Video { .. });
        self.renditions.iter().find(is_video).unwrap_or(&self.renditions[0])
    }
}

impl Rendition {
    /// How many segments it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.times.len() - 1
    }

    /// Nanoseconds from its start to this tick.
    #[must_use]
    pub fn nanos_until(&self, tick: u64) -> u64 {
        let ticks = u128::from(tick.saturating_sub(self.times[0]));
        let nanos = ticks * 1_000_000_000 / u128::from(self.timescale);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// The URI of a segment, within the asset.
    #[must_use]
    pub fn segment_uri(&self, index: usize) -> String {
        let (text, first_number) = match &self.media {
            Media::Template { text, first_number } => (text, first_number),
            Media::List(uris) => return uris[index].clone(),
        };
        let number = first_number + index as u64;
        let mut uri = String::new();
        for (at, piece) in text.split('$').enumerate() {
            let (word, width) = piece.split_once("%0").unwrap_or((piece, "1d"));
            let width = width.strip_suffix('d').and_then(|width| width.parse().ok()).unwrap_or(1);
            match (at % 2, word) {
                (1, "Number") => uri += &format!("{number:0width$}"),
                (1, "Time") => uri += &format!("{:0width$}", self.times[index]),
                (1, "") => uri.push('$'),
                _ => uri += piece,
            }
        }
        uri
    }
}

fn is(name: &'static str) -> impl Fn(&Node<'_, '_>) -> bool {
    move |node| node.is_element() && node.tag_name().name() == name
}

fn child<'d, 'i>(node: Node<'d, 'i>, name: &'static str) -> Option<Node<'d, 'i>> {
    node.children().find(is(name))
}

fn rendition(set: Node<'_, '_>, one: Node<'_, '_>) -> Result<Rendition, Unfit> {
    let said = |name: &str| one.attribute(name).or_else(|| set.attribute(name));
    let id = one.attribute("id").ok_or_else(|| Unfit("a Representation has no id".to_owned()))?;
    let unfit = |why: &str| Unfit(format!("rendition {id}: {why}"));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if id.is_empty() || id.len() > 60 || !id.bytes().all(is_name) {
        return Err(unfit("its id is no name"));
    }
    let media_type = said("mimeType").or_else(|| said("contentType")).unwrap_or_default();
    let number = |name: &str| said(name).and_then(|text| text.parse::<u16>().ok());
    let (letter, carries) = match media_type.split('/').next() {
        Some("video") => {
            let resolution = number("width").unwrap_or(0);
            let resolution = (resolution, number("height").unwrap_or(0));
            ('v', Carried::Video { resolution, frame_rate: said("frameRate").and_then(rate) })
        }
        Some("audio") => ('a', Carried::Audio { channels: channels(one).unwrap_or(2) }),
        _ => ('t', Carried::Text),
    };
    let bandwidth = one.attribute("bandwidth").and_then(|text| text.parse().ok()).unwrap_or(0);
    let about = About {
        carries,
        codecs: said("codecs").unwrap_or_default().to_owned(),
        language: set.attribute("lang").filter(|lang| *lang != "und").map(str::to_owned),
        bandwidth: Bandwidth { peak: bandwidth, average: bandwidth },
    };
    let templates = [child(one, "SegmentTemplate"), child(set, "SegmentTemplate")];
    let of_template =
        |name: &str| templates.iter().flatten().find_map(|template| template.attribute(name));
    let mut of_templates = templates.iter().flatten();
    let timeline = of_templates.find_map(|template| child(*template, "SegmentTimeline"));
    let timeline = timeline.ok_or_else(|| unfit("it has no SegmentTimeline"))?;
    let fill = |text: &str| -> Result<String, Unfit> {
        let text = text.replace("$RepresentationID$", id);
        let text = text.replace("$Bandwidth$", &bandwidth.to_string());
        if text.contains(':') || text.starts_with('/') || text.contains(['"', '\n']) {
            return Err(unfit("its URLs are not relative"));
        }
        Ok(text)
    };
    let header = of_template("initialization").ok_or_else(|| unfit("it has no header"))?;
    let media = of_template("media").ok_or_else(|| unfit("it has no template"))?;
    let timescale = of_template("timescale").map_or(Some(1), |text| text.parse().ok());
    let timescale = timescale.filter(|timescale: &u32| *timescale > 0);
    let first_number = of_template("startNumber").map_or(Some(1), |text| text.parse().ok());
    Ok(Rendition {
        name: format!("{letter}{id}"),
        about,
        timescale: timescale.ok_or_else(|| unfit("its timescale is no number"))?,
        times: times(timeline).ok_or_else(|| unfit("its timeline can't be"))?,
        header: Some(fill(header)?),
        media: Media::Template {
            text: fill(media)?,
            first_number: first_number.ok_or_else(|| unfit("its startNumber is no number"))?,
        },
    })
}

/// Where segments begin and the last one ends. Holes between them are closed: a player goes over
/// them, and what is counted is what is there.
fn times(timeline: Node<'_, '_>) -> Option<Vec<u64>> {
    let mut times: Vec<u64> = Vec::new();
    for entry in timeline.children().filter(is("S")) {
        let number = |name: &str| entry.attribute(name).map(str::parse::<u64>);
        let start = number("t").transpose().ok()?;
        let duration = number("d")?.ok().filter(|duration| *duration > 0)?;
        let repeated = number("r").transpose().ok()?.unwrap_or(0);
        match (times.last(), start) {
            (None, start) => times.push(start.unwrap_or(0)),
            (Some(&end), Some(start)) if start != end => return None,
            _ => {}
        }
        if repeated >= SEGMENTS_MAX as u64 || times.len() + repeated as usize > SEGMENTS_MAX {
            return None;
        }
        for _ in 0..=repeated {
            times.push(times.last()?.checked_add(duration)?);
        }
    }
    (times.len() > 1).then_some(times)
}

/// `25` or `30000/1001`.
fn rate(text: &str) -> Option<(u32, u32)> {
    let (over, under) = text.split_once('/').unwrap_or((text, "1"));
    let rate = (over.parse().ok()?, under.parse().ok()?);
    (rate.0 > 0 && rate.1 > 0).then_some(rate)
}

/// Speakers of a sound.
fn channels(one: Node<'_, '_>) -> Option<u16> {
    let configuration = one.children().find(is("AudioChannelConfiguration"))?;
    configuration.attribute("value")?.parse().ok()
}
