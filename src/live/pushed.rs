//! Playlists and manifests that encoders push beside their media: text in, what only it can tell
//! out.
//!
//! Times are read from the media itself. A playlist adds two things that media of a clock of its
//! own can't say: where it does not go on, and when it was taken; and where FairPlay has its key. A
//! manifest adds that its encoder has begun again, and languages. What is not understood is passed
//! over: nothing that stands there is a mistake of the media.

use std::collections::VecDeque;

use roxmltree::{Document, Node, ParsingOptions};

use super::attribute::attribute;
use super::protection::{FAIRPLAY_FORMAT, is_fairplay_uri};
use super::time::Moment;

/// Segments of a channel's playlists of which something is remembered: a few, of each rendition.
const REMEMBERED: usize = 256;

/// Manifests of a channel of which something is remembered; encoders push one.
const MANIFESTS: usize = 8;

/// Elements and texts of a manifest. One with more is not looked at.
const NODES_MAX: u32 = 50_000;

/// Longest that is remembered of one, in bytes.
const PRESENTATION_SIZE_MAX: usize = 512;

/// Headers of a source of which something is remembered that it does not say itself.
const HEADERS: usize = 64;

/// Longest language tag, in bytes: implementations need not take longer ones (RFC 5646, 4.4.1).
const LANGUAGE_SIZE_MAX: usize = 35;

/// What a playlist says of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The segment, below the channel's publishing point.
    pub path: String,
    /// Whether it does not go on from the one before it.
    pub discontinuity: bool,
    /// When it begins, in microseconds of Unix time.
    pub date_micros: Option<i64>,
}

/// What the playlist at `base` says of the last of its segments of which it says anything.
#[must_use]
pub fn playlist(base: &str, text: &[u8]) -> Vec<Said> {
    let mut all = VecDeque::new();
    let (mut discontinuity, mut date_micros) = (false, None);
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    for line in text.split(is_end).filter_map(|line| str::from_utf8(line).ok()) {
        let line = line.trim();
        if line == "#EXT-X-DISCONTINUITY" {
            discontinuity = true;
        } else if let Some(date) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            date_micros = micros(date.trim());
        } else if !line.is_empty() && !line.starts_with('#') {
            let said = (std::mem::take(&mut discontinuity), date_micros.take());
            let (discontinuity, date_micros) = said;
            let path = resolved(base, line).filter(|_| said != (false, None));
            if let Some(path) = path {
                remember(&mut all, Said { path, discontinuity, date_micros }, REMEMBERED);
            }
        }
    }
    all.into()
}

/// Where FairPlay has the keys of headers, as the playlist at `base` says: paths of headers, and
/// URIs. Of a header with several the last one counts.
fn fairplay_keys(base: &str, text: &[u8]) -> OfHeaders {
    let mut keys = OfHeaders::default();
    let (mut key, mut header) = (None, None);
    // Both hold until something else is said; of what was said nothing came yet.
    let mut is_news = false;
    for line in str::from_utf8(text).unwrap_or_default().lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("#EXT-X-KEY:") {
            let is_it = attribute(said, "KEYFORMAT").as_deref() == Some(FAIRPLAY_FORMAT);
            if is_it {
                key = attribute(said, "URI").filter(|uri| is_fairplay_uri(uri));
            } else if attribute(said, "METHOD").as_deref() == Some("NONE") {
                key = None;
            }
            is_news = true;
        } else if let Some(said) = line.strip_prefix("#EXT-X-MAP:") {
            header = attribute(said, "URI").and_then(|uri| resolved(base, &uri));
            is_news = true;
        } else if !line.is_empty()
            && !line.starts_with('#')
            && std::mem::take(&mut is_news)
            && let (Some(key), Some(header)) = (&key, &header)
        {
            keys.set(header.clone(), key.clone());
        }
    }
    keys
}

/// The path that a reference in the playlist at `base` leads to; none if it leads elsewhere.
fn resolved(base: &str, reference: &str) -> Option<String> {
    let reference = reference.split(['?', '#']).next()?;
    // Escapes and other servers are possible, and no encoder writes them.
    if reference.contains(['%', ':', '\\']) || reference.starts_with('/') {
        return None;
    }
    let mut path: Vec<_> = base.split('/').collect();
    path.pop();
    for element in reference.split('/') {
        match element {
            "" | "." => {}
            ".." => drop(path.pop()?),
            element => path.push(element),
        }
    }
    Some(path.join("/"))
}

/// Microseconds of Unix time of a date as ISO 8601 writes it: `2026-11-26T00:00:00.5+01:00`.
fn micros(date: &str) -> Option<i64> {
    let (day, time) = date.split_once(['T', 't', ' '])?;
    let mut numbers = day.split('-').map(|part| digits(part, 4));
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() || !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    let zone_at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone_at);
    let (whole, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let mut numbers = whole.split(':').map(|part| digits(part, 2));
    let (hour, minute) = (numbers.next()??, numbers.next()??);
    let second = numbers.next().unwrap_or(Some(0))?;
    if numbers.next().is_some() || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let fraction = fraction.get(..6).unwrap_or(fraction);
    let micros = if fraction.is_empty() { 0 } else { digits(fraction, 6)? };
    let micros = micros * 10_i64.pow(6 - u32::try_from(fraction.len()).ok()?);
    let seconds = (days(year, month, day)? * 24 + hour) * 3600 + minute * 60 + second;
    Some((seconds - offset(zone)?) * 1_000_000 + micros)
}

/// Seconds that a zone is ahead of UTC; one that is not said is UTC.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.get(..1) {
        None => return zone.is_empty().then_some(0),
        Some("Z" | "z") => return (zone.len() == 1).then_some(0),
        Some("+") => 1,
        Some(_) => -1,
    };
    let rest = zone[1..].replace(':', "");
    let (hours, minutes) = rest.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { digits(minutes, 2)? };
    Some(sign * (digits(hours, 2)? * 3600 + minutes * 60))
}

/// A number of at most so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number && text.len() <= count)
}

/// Days from 1970 to a date in the Gregorian calendar; see `units::civil`, whose inverse it is.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        3..=12 => (year, month - 3),
        _ => return None,
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    Some(year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// What a manifest of DASH says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// What it is the manifest of: when its presentation and its periods begin, and what they are
    /// called. Updates of one presentation agree in it.
    pub presentation: String,
    /// Languages by the paths of the headers that they are of, below the channel's publishing
    /// point. Some encoders write them nowhere else.
    pub languages: Vec<(String, String)>,
}

/// Reads the manifest at `base`; none if it is something else, or what it is the manifest of is
/// too long.
#[must_use]
pub fn manifest(base: &str, text: &[u8]) -> Option<Manifest> {
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(str::from_utf8(text).ok()?, options).ok()?;
    let root = document.root_element();
    let mut presentation = root.attribute("availabilityStartTime").unwrap_or_default().to_owned();
    let mut languages = Vec::new();
    // Of more than one the last is what is sent now.
    if let Some(period) = children(root, "Period").next_back() {
        for name in ["id", "start"] {
            presentation.push(' ');
            presentation += period.attribute(name).unwrap_or_default();
        }
        for set in children(period, "AdaptationSet") {
            let Some(language) = set.attribute("lang").filter(|one| is_language(one)) else {
                continue;
            };
            let headers = children(set, "Representation").filter_map(|one| header_of(set, one));
            let headers = headers.filter_map(|header| resolved(base, &header));
            languages.extend(headers.map(|header| (header, language.to_owned())));
        }
    }
    let is_one = root.tag_name().name() == "MPD" && presentation.len() <= PRESENTATION_SIZE_MAX;
    languages.truncate(HEADERS);
    is_one.then_some(Manifest { presentation, languages })
}

fn children<'d>(
    of: Node<'d, 'd>,
    name: &'static str,
) -> impl DoubleEndedIterator<Item = Node<'d, 'd>> {
    of.children().filter(move |node| node.tag_name().name() == name)
}

/// Where a representation has its header, as a template says it (ISO/IEC 23009-1, 5.3.9.4.4).
fn header_of(set: Node<'_, '_>, representation: Node<'_, '_>) -> Option<String> {
    let in_both = [representation, set].into_iter().flat_map(|of| children(of, "SegmentTemplate"));
    let template = in_both.filter_map(|template| template.attribute("initialization")).next()?;
    let id = representation.attribute("id").unwrap_or_default();
    let bandwidth = representation.attribute("bandwidth").unwrap_or_default();
    Some(template.replace("$RepresentationID$", id).replace("$Bandwidth$", bandwidth))
}

/// Whether it is a language tag by its form (RFC 5646), and says something.
fn is_language(tag: &str) -> bool {
    let is_part = |part: &str| (1..=8).contains(&part.len());
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    tag.len() <= LANGUAGE_SIZE_MAX
        && tag.bytes().all(is_letter)
        && tag.split('-').all(is_part)
        && tag != "und"
}

/// What a channel's playlists say of segments, which may come before them or behind.
#[derive(Debug, Default)]
pub struct Pushed {
    /// Manifests by their paths, with what they are the manifests of.
    presentations: VecDeque<(String, String)>,
    /// Languages, as its manifests say them.
    languages: OfHeaders,
    /// Where FairPlay has keys, as its playlists say it.
    keys: OfHeaders,
    /// Of segments that have not come.
    said: VecDeque<Said>,
    /// Paths of segments that have come, and when they begin.
    begun: VecDeque<(String, Moment)>,
}

/// A date, and the media that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated {
    /// Where the media begins that is meant.
    pub start: Moment,
    /// Microseconds of Unix time of the media's zero.
    pub zero_micros: i64,
}

impl Pushed {
    /// A playlist has come; gives the dates of what has come before it.
    pub fn take(&mut self, base: &str, text: &[u8]) -> Vec<Dated> {
        for (header, key) in fairplay_keys(base, text).0 {
            self.keys.set(header, key);
        }
        let mut dated = Vec::new();
        for said in playlist(base, text) {
            let begun = self.begun.iter().rev().find(|(path, _)| *path == said.path);
            if let Some((_, start)) = begun {
                // It is published, whether it went on or not.
                dated.extend(said.dated(*start));
                continue;
            }
            self.said.retain(|earlier| earlier.path != said.path);
            remember(&mut self.said, said, REMEMBERED);
        }
        dated
    }

    /// A manifest has come; gives whether it is that of another presentation than the one before it
    /// at this path.
    pub fn take_manifest(&mut self, path: &str, text: &[u8]) -> bool {
        let Some(said) = manifest(path, text) else { return false };
        for (header, language) in said.languages {
            self.languages.set(header, language);
        }
        let at = self.presentations.iter().position(|(earlier, _)| earlier == path);
        let before = at.and_then(|at| self.presentations.remove(at));
        let is_other = before.is_some_and(|(_, before)| before != said.presentation);
        remember(&mut self.presentations, (path.to_owned(), said.presentation), MANIFESTS);
        is_other
    }

    /// The language of what has its header at this path, if a manifest said it.
    #[must_use]
    pub fn language(&self, header: &str) -> Option<&str> {
        self.languages.get(header)
    }

    /// Where FairPlay has the key of what has its header at this path, if a playlist said it.
    #[must_use]
    pub fn key(&self, header: &str) -> Option<&str> {
        self.keys.get(header)
    }

    /// Another header is at this path, for which a playlist has yet to say it.
    pub fn forget_key(&mut self, header: &str) {
        self.keys.forget(header);
    }

    /// A segment begins that is pushed to this path; gives its date, and whether it does not go on
    /// from the one before it, if that was said.
    pub fn begin(&mut self, path: &str, start: Moment) -> (Option<Dated>, bool) {
        self.begun.retain(|(earlier, _)| earlier != path);
        remember(&mut self.begun, (path.to_owned(), start), REMEMBERED);
        let at = self.said.iter().position(|said| said.path == path);
        let said = at.and_then(|at| self.said.remove(at));
        said.map_or((None, false), |said| (said.dated(start), said.discontinuity))
    }
}

/// Something that is told of headers, by their paths.
#[derive(Debug, Default)]
struct OfHeaders(VecDeque<(String, String)>);

impl OfHeaders {
    fn get(&self, header: &str) -> Option<&str> {
        let told = self.0.iter().find(|(path, _)| path == header);
        told.map(|(_, what)| what.as_str())
    }

    fn set(&mut self, header: String, what: String) {
        self.forget(&header);
        remember(&mut self.0, (header, what), HEADERS);
    }

    fn forget(&mut self, header: &str) {
        self.0.retain(|(path, _)| path != header);
    }
}

/// Puts one behind the others; so many of the newest stay.
fn remember<T>(all: &mut VecDeque<T>, one: T, most: usize) {
    all.push_back(one);
    if all.len() > most {
        all.pop_front();
    }
}

impl Said {
    fn dated(&self, start: Moment) -> Option<Dated> {
        let zero_micros = self.date_micros?.checked_sub(start.micros())?;
        Some(Dated { start, zero_micros })
    }
}

#[cfg(test)]
mod tests;
