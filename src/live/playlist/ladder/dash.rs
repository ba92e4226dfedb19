//! What caps leave out of a manifest (ISO/IEC 23009-1).
//!
//! Tags are found, and nothing else is understood: a manifest is written with every segment, and a
//! tree of it would cost more than it does. What can't be followed is left as it is.

use std::ops::Range;

use memchr::memmem;

use super::{Below, Cut, kbps};

/// Codings of pictures, as `codecs` begins.
const PICTURES: [&str; 10] =
    ["avc", "hvc", "hev", "dvh", "vvc", "vp0", "vp8", "vp9", "av01", "mp4v"];

/// A representation of pictures.
struct Representation {
    bytes: Range<usize>,
    kbps: u32,
}

/// A set of them.
struct Set {
    bytes: Range<usize>,
    pictures: Vec<Representation>,
    /// Whether it has anything else.
    has_others: bool,
    /// Whether it is for winding only.
    is_for_winding: bool,
}

/// What is left out, in the order of the text.
pub(super) fn cuts(text: &str) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut period: Vec<Set> = Vec::new();
    let mut reading = Reading { text, at: 0 };
    while let Some(tag) = reading.next() {
        match (tag.name, tag.kind) {
            ("PatchLocation", Kind::Opens | Kind::Whole) => {
                // What changes is told of the whole text alone.
                let Some(end) = reading.end_of(&tag) else { return Vec::new() };
                cuts.push(Cut {
                    bytes: with_indent(text, tag.bytes.start..end),
                    below: Below::Whole,
                });
            }
            ("AdaptationSet", Kind::Opens) => match set(&mut reading, &tag) {
                Some(set) => period.push(set),
                None => return Vec::new(),
            },
            ("Period", Kind::Closes) => cuts.extend(of_period(text, &std::mem::take(&mut period))),
            _ => {}
        }
    }
    cuts.sort_by_key(|cut| (cut.bytes.start, std::cmp::Reverse(cut.bytes.end)));
    cuts
}

/// What is left out of a period: the lowest of its pictures stays.
fn of_period(text: &str, sets: &[Set]) -> Vec<Cut> {
    let to_watch = sets.iter().filter(|set| !set.is_for_winding);
    let lowest = to_watch.flat_map(|set| &set.pictures).map(|one| one.kbps).min();
    let Some(lowest) = lowest else { return Vec::new() };
    let mut cuts = Vec::new();
    for set in sets {
        let below = |one: &Representation| {
            if one.kbps <= lowest { Below::Never } else { Below::Kbps(one.kbps) }
        };
        for one in &set.pictures {
            let bytes = with_indent(text, one.bytes.clone());
            cuts.push(Cut { bytes, below: below(one) });
        }
        // A set without anything in it is none.
        let any = set.pictures.iter().map(below).reduce(Below::or);
        if let Some(below) = any.filter(|_| !set.has_others) {
            cuts.push(Cut { bytes: with_indent(text, set.bytes.clone()), below });
        }
    }
    cuts
}

/// Reads a set to its end.
fn set(reading: &mut Reading<'_>, opens: &Tag<'_>) -> Option<Set> {
    let says_pictures = is_of_pictures(opens.said);
    let mut set = Set {
        bytes: opens.bytes.clone(),
        pictures: Vec::new(),
        has_others: false,
        is_for_winding: false,
    };
    loop {
        let tag = reading.next()?;
        match (tag.name, tag.kind) {
            ("AdaptationSet", Kind::Closes) => {
                set.bytes.end = tag.bytes.end;
                return Some(set);
            }
            ("EssentialProperty", _) => {
                let scheme = tag.attribute("schemeIdUri").unwrap_or_default();
                set.is_for_winding |= scheme.contains("trickmode");
            }
            ("Representation", Kind::Opens | Kind::Whole) => {
                let bytes = tag.bytes.start..reading.end_of(&tag)?;
                let bits = tag.attribute("bandwidth").and_then(|bits| bits.parse().ok());
                let is_picture = is_of_pictures(tag.said).or(says_pictures).unwrap_or(false);
                match bits.filter(|_| is_picture) {
                    Some(bits) => {
                        set.pictures.push(Representation { bytes, kbps: kbps(bits) });
                    }
                    None => set.has_others = true,
                }
            }
            _ => {}
        }
    }
}

/// What is said of a representation and of where it lies.
#[derive(Debug, Default)]
pub(super) struct Said<'t> {
    pub(super) id: &'t str,
    /// What it takes, if it is one of pictures.
    pub(super) kbps: Option<u32>,
    /// `BaseURL` of its set, and its own.
    pub(super) set_base: &'t str,
    pub(super) base: &'t str,
    /// `SegmentTemplate@media`, its own or that of its set.
    pub(super) template: &'t str,
}

/// What is said of every representation.
pub(super) fn said(text: &str) -> Vec<Said<'_>> {
    let mut all = Vec::new();
    let mut reading = Reading { text, at: 0 };
    // Of the set, and of the representation, that was opened last.
    let (mut of_set, mut set, mut own) = (None, Said::default(), None::<Said<'_>>);
    while let Some(tag) = reading.next() {
        match (tag.name, tag.kind) {
            ("AdaptationSet", Kind::Opens) => {
                (of_set, set) = (is_of_pictures(tag.said), Said::default())
            }
            ("Representation", Kind::Opens | Kind::Whole) => {
                let bits = tag.attribute("bandwidth").and_then(|bits| bits.parse().ok());
                let is_picture = is_of_pictures(tag.said).or(of_set).unwrap_or(false);
                let one = Said {
                    id: tag.attribute("id").unwrap_or_default(),
                    kbps: bits.filter(|_| is_picture).map(kbps),
                    set_base: set.base,
                    base: "",
                    template: set.template,
                };
                match tag.kind {
                    Kind::Whole => all.push(one),
                    _ => own = Some(one),
                }
            }
            ("Representation", Kind::Closes) => all.extend(own.take()),
            ("BaseURL", Kind::Opens) => {
                let start = reading.at;
                let end = text[start..].find('<').map_or(text.len(), |size| start + size);
                own.as_mut().unwrap_or(&mut set).base = text[start..end].trim();
            }
            ("SegmentTemplate", Kind::Opens | Kind::Whole) => {
                let of = own.as_mut().unwrap_or(&mut set);
                of.template = tag.attribute("media").unwrap_or(of.template);
            }
            _ => {}
        }
    }
    all
}

/// Whether attributes say that something is pictures; none if they say nothing of it.
fn is_of_pictures(said: &str) -> Option<bool> {
    let kind = attribute(said, "contentType").or_else(|| {
        let media_type = attribute(said, "mimeType")?;
        media_type.split('/').next().filter(|kind| *kind != "application")
    });
    if let Some(kind) = kind {
        return Some(kind == "video");
    }
    if let Some(codecs) = attribute(said, "codecs") {
        return Some(PICTURES.iter().any(|picture| codecs.starts_with(picture)));
    }
    attribute(said, "width").map(|_| true)
}

/// With the blanks in front of it, and without the end of its line.
fn with_indent(text: &str, bytes: Range<usize>) -> Range<usize> {
    let before = text[..bytes.start].trim_end_matches([' ', '\t']);
    let start = before.strip_suffix('\n').map_or(bytes.start, str::len);
    start..bytes.end
}

/// What a tag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Opens,
    Closes,
    /// Both: `<a/>`.
    Whole,
}

/// A tag, without the prefix of its name.
struct Tag<'t> {
    bytes: Range<usize>,
    name: &'t str,
    kind: Kind,
    /// Its attributes.
    said: &'t str,
}

impl<'t> Tag<'t> {
    fn attribute(&self, name: &str) -> Option<&'t str> {
        attribute(self.said, name)
    }
}

/// The tags of a text, one after the other.
struct Reading<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reading<'t> {
    /// The next one; none at the end, or where it can't go on.
    fn next(&mut self) -> Option<Tag<'t>> {
        loop {
            let start = self.at + memchr::memchr(b'<', &self.text.as_bytes()[self.at..])?;
            let rest = &self.text[start..];
            let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
            if let Some((_, end)) = skipped.iter().find(|(begin, _)| rest.starts_with(begin)) {
                self.at = start + memmem::find(rest.as_bytes(), end.as_bytes())? + end.len();
                continue;
            }
            let size = end_of_tag(rest)?;
            self.at = start + size;
            let inner = &rest[1..size - 1];
            let (inner, kind) = match (inner.strip_prefix('/'), inner.strip_suffix('/')) {
                (Some(inner), _) => (inner, Kind::Closes),
                (None, Some(inner)) => (inner, Kind::Whole),
                (None, None) => (inner, Kind::Opens),
            };
            let (name, said) =
                inner.split_once(|byte: char| byte.is_ascii_whitespace()).unwrap_or((inner, ""));
            let name = name.rsplit(':').next().unwrap_or(name);
            return Some(Tag { bytes: start..self.at, name, kind, said });
        }
    }

    /// Where the element ends that this tag begins; it is read to there.
    fn end_of(&mut self, opens: &Tag<'_>) -> Option<usize> {
        let mut depth = usize::from(opens.kind == Kind::Opens);
        while depth > 0 {
            let tag = self.next()?;
            match tag.kind {
                Kind::Opens if tag.name == opens.name => depth += 1,
                Kind::Closes if tag.name == opens.name => depth -= 1,
                _ => {}
            }
        }
        Some(self.at)
    }
}

/// How long the tag is that begins here: values may hold `>`.
fn end_of_tag(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at + 1),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// The value of an attribute, as it stands there.
fn attribute<'t>(said: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = said;
    loop {
        let (found, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, after) = after[1..].split_once(quote)?;
        if found.trim() == name {
            return Some(value);
        }
        rest = after;
    }
}
