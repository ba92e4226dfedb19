//! Manifests of DASH: text in, what it says out. Pure; XML is read by a parser of its own.

use roxmltree::{Document, Node};

use super::time::{date, xml_duration};

/// An MPD.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// `@availabilityStartTime`, in µs of Unix time.
    pub zero: i64,
    /// `@publishTime`, in µs of Unix time.
    pub published: i64,
    /// `@id`.
    pub id: String,
    /// `@timeShiftBufferDepth`, in µs.
    pub depth: u64,
    /// Representations of all Periods, in their order.
    pub representations: Vec<Representation>,
    /// Each Period's `@id` and `@start` in µs.
    pub periods: Vec<(String, u64)>,
    /// Whether it has a UTCTiming.
    pub has_clock: bool,
}

/// A Representation in one Period.
#[derive(Clone, Debug, Default)]
pub struct Representation {
    /// `@id`.
    pub id: String,
    /// Which Period, from 0.
    pub period: usize,
    /// Bits a second.
    pub bandwidth: u64,
    /// As it says.
    pub codecs: String,
    /// Ticks a second.
    pub timescale: u64,
    /// `@presentationTimeOffset`, in ticks.
    pub offset: i64,
    /// URL of the header.
    pub header: String,
    /// `@availabilityTimeOffset`, in seconds as written.
    pub early: Option<String>,
    /// Segments, in their order.
    pub segments: Vec<Entry>,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `$Number$`, where it is asked for by that, and not by `$Time$`.
    pub number: Option<u64>,
    /// `@t`, in ticks.
    pub start: i64,
    /// `@d`, in ticks.
    pub duration: u64,
    /// Where it is.
    pub url: String,
    /// Whether FailoverContent says that it can't be had.
    pub gap: bool,
    /// Whether its `@t` was written although it follows, or was not equal to the end before it.
    pub apart: bool,
}

impl Manifest {
    /// Reads one. The error says what is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let document = Document::parse(text).map_err(|error| error.to_string())?;
        let root = document.root_element();
        if root.tag_name().name() != "MPD" || attribute(root, "type")? != "dynamic" {
            return Err("it is no dynamic MPD".to_owned());
        }
        let when = |name| {
            let text = attribute(root, name)?;
            date(text).ok_or_else(|| format!("@{name}: '{text}' is no date"))
        };
        let depth = attribute(root, "timeShiftBufferDepth")?;
        let mut manifest = Self {
            zero: when("availabilityStartTime")?,
            published: when("publishTime")?,
            id: attribute(root, "id")?.to_owned(),
            depth: xml_duration(depth).ok_or("@timeShiftBufferDepth is no duration")?,
            has_clock: children(root, "UTCTiming").next().is_some(),
            ..Self::default()
        };
        for name in ["minimumUpdatePeriod", "minBufferTime", "maxSegmentDuration"] {
            xml_duration(attribute(root, name)?).ok_or_else(|| format!("@{name}: no duration"))?;
        }
        for period in children(root, "Period") {
            let start = attribute(period, "start")?;
            let start = xml_duration(start).ok_or("a Period's @start is no duration")?;
            manifest.periods.push((attribute(period, "id")?.to_owned(), start));
            for set in children(period, "AdaptationSet") {
                for one in children(set, "Representation") {
                    let mut found = representation(one)?;
                    found.period = manifest.periods.len() - 1;
                    manifest.representations.push(found);
                }
            }
        }
        Ok(manifest)
    }

    /// When an entry is presented, in µs of Unix time.
    pub fn unix_micros(&self, of: &Representation, entry: &Entry) -> i64 {
        let start = self.periods[of.period].1;
        let ticks = i128::from(entry.start - of.offset);
        let micros = ticks * 1_000_000 / i128::from(of.timescale.max(1));
        self.zero + i64::try_from(start).unwrap_or(i64::MAX) + i64::try_from(micros).unwrap_or(0)
    }
}

impl Representation {
    /// Ticks in µs.
    pub fn micros(&self, ticks: u64) -> u64 {
        let micros = u128::from(ticks) * 1_000_000 / u128::from(self.timescale.max(1));
        u64::try_from(micros).unwrap_or(u64::MAX)
    }
}

fn representation(node: Node<'_, '_>) -> Result<Representation, String> {
    let template = children(node, "SegmentTemplate").next().ok_or("no SegmentTemplate")?;
    let mut found = Representation {
        id: attribute(node, "id")?.to_owned(),
        bandwidth: number(node, "bandwidth")?,
        codecs: node.attribute("codecs").unwrap_or_default().to_owned(),
        timescale: number(template, "timescale")?,
        offset: number(template, "presentationTimeOffset")?,
        early: template.attribute("availabilityTimeOffset").map(str::to_owned),
        ..Representation::default()
    };
    let filled = |text: &str| text.replace("$RepresentationID$", &found.id);
    found.header = filled(attribute(template, "initialization")?);
    let media = filled(attribute(template, "media")?);
    let mut next: Option<u64> = match media.contains("$Time$") {
        true => None,
        false => Some(number(template, "startNumber")?),
    };
    let timeline = children(template, "SegmentTimeline").next().ok_or("no SegmentTimeline")?;
    let mut gaps = Vec::new();
    for missing in children(template, "FailoverContent") {
        for gap in children(missing, "FCS") {
            gaps.push(number::<i64>(gap, "t")?);
        }
    }
    let mut end: Option<i64> = None;
    for entry in children(timeline, "S") {
        let written = entry.attribute("t").map(|_| number::<i64>(entry, "t")).transpose()?;
        let mut start = written.or(end).ok_or("the first S has no @t")?;
        let duration: u64 = number(entry, "d")?;
        let repeated = entry.attribute("r").map(|_| number::<u64>(entry, "r")).transpose()?;
        if repeated.is_some_and(|repeated| repeated > 100_000) {
            return Err("an S is repeated too often".to_owned());
        }
        for _ in 0..=repeated.unwrap_or(0) {
            let (name, value) = match next {
                Some(number) => ("$Number$", number.to_string()),
                None => ("$Time$", start.to_string()),
            };
            found.segments.push(Entry {
                number: next,
                start,
                duration,
                url: media.replace(name, &value),
                gap: gaps.contains(&start),
                apart: end.is_some_and(|end| end != start),
            });
            next = next.map(|number| number + 1);
            start += i64::try_from(duration).map_err(|_| "an S is too long")?;
            end = Some(start);
        }
    }
    Ok(found)
}

fn children<'a, 'i>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str, String> {
    let tag = node.tag_name().name();
    node.attribute(name).ok_or_else(|| format!("{tag} has no @{name}"))
}

fn number<T: std::str::FromStr>(node: Node<'_, '_>, name: &str) -> Result<T, String> {
    let text = attribute(node, name)?;
    text.parse().map_err(|_| format!("@{name}: '{text}' is no number"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Two segments from number 7 and 2026-11-26 on, and a third that grows.
    pub const TEXT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" id="live" availabilityStartTime="1970-01-01T00:00:00Z"
 publishTime="2026-11-26T00:00:05.000Z" minimumUpdatePeriod="PT2S" timeShiftBufferDepth="PT20.0S" minBufferTime="PT2S"
 maxSegmentDuration="PT2.0S"><Period id="0" start="PT0.0S"><AdaptationSet id="0" contentType="video">
 <Representation id="v" bandwidth="450000" codecs="avc1.42c00b">
 <SegmentTemplate timescale="1000" presentationTimeOffset="0" startNumber="7" initialization="v/init.mp4" media="v/$Number$.m4s">
 <SegmentTimeline><S t="1795651200000" d="2000" r="1"/><S d="1000"/></SegmentTimeline>
 </SegmentTemplate></Representation></AdaptationSet></Period>
 <UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="../clock"/></MPD>"#;

    #[test]
    fn a_manifest_says_what_it_says() {
        let manifest = Manifest::read(TEXT).expect("it is good");
        let one = &manifest.representations[0];
        let numbers: Vec<_> = one.segments.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [7, 8, 9].map(Some));
        let last = &one.segments[2];
        assert_eq!(
            (last.start, last.url.as_str(), last.apart),
            (1_795_651_204_000, "v/9.m4s", false)
        );
        assert_eq!(manifest.unix_micros(one, last), 1_795_651_204_000_000);
        assert_eq!(one.micros(last.duration), 1_000_000);
    }

    #[test]
    fn segments_may_be_asked_for_by_their_time() {
        let text = TEXT.replace(" startNumber=\"7\"", "").replace("$Number$", "0-$Time$");
        let manifest = Manifest::read(&text).expect("it is good");
        let one = &manifest.representations[0];
        let named: Vec<_> = one.segments.iter().map(|one| (one.number, &*one.url)).collect();
        let names = ["v/0-1795651200000.m4s", "v/0-1795651202000.m4s", "v/0-1795651204000.m4s"];
        assert_eq!(named, names.map(|name| (None, name)));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for (from, to) in [
            ("</MPD>", ""),
            ("dynamic", "static"),
            (" t=\"1795651200000\"", ""),
            ("d=\"1000\"", "d=\"x\""),
            ("PT20.0S", "20 s"),
            ("startNumber=\"7\"", ""),
        ] {
            assert!(Manifest::read(&TEXT.replacen(from, to, 1)).is_err(), "{from}");
        }
    }
}
