//! What an encoder's upload is: its path and its type in, its kind and its track out.
//!
//! Encoders agree on no names. A header and its media find each other by the folder and by a stem:
//! what is left of a file's name without its extension, the word that says what it is, and its
//! number. Names alone are looked at here, never bytes: where a name says nothing, what came is a
//! `Stream`, and its bytes say whether a header is among them.

use std::ops::Range;

/// Longest name of a rendition, in bytes: it is part of every URL.
pub const NAME_SIZE_MAX: usize = 64;

/// The name of a rendition of which nothing is left.
const NAME_OF_NOTHING: &str = "main";

/// Between the words of a name.
const SEPARATORS: [char; 3] = ['-', '_', '.'];

/// Words that say of a file that it is a header.
const HEADER_WORDS: [&str; 2] = ["init", "header"];

/// Names of files that say nothing of the track where the folder does.
const NAMES_OF_ANYTHING: [&str; 6] = ["stream", "index", "track", "live", "out", "output"];

/// Words with which the names of media begin, and which say nothing of the track.
const MEDIA_WORDS: [&str; 6] = ["chunk", "segment", "seg", "frag", "data", "media"];

/// What is uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: the sender asks whether it may (DASH-IF ingest, interface 1).
    Probe,
    /// A playlist of HLS.
    Playlist,
    /// A manifest of DASH.
    Manifest,
    /// A header (`moov`).
    Header,
    /// A segment, or chunks of one.
    Media,
    /// A key.
    Key,
    /// All of a track in one long request, header first; or a name that does not tell.
    Stream,
    /// None of these.
    Unknown,
}

/// An upload, as far as its names tell.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'p> {
    /// What it is.
    pub kind: Kind,
    /// To which track it belongs; of no use for a probe.
    pub track: Track<'p>,
    /// Whether it is an MPEG transport stream, which has no header; else it is boxes.
    pub is_ts: bool,
}

/// Where a header and its media meet.
#[derive(Clone, Copy, Debug)]
pub struct Track<'p> {
    /// Everything before the file's name, without the last slash.
    folder: &'p str,
    /// The file's name without its extension.
    whole: &'p str,
    /// What is left of that, before and behind the place where something was taken out.
    stem: [&'p str; 2],
}

/// How well media and a header fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The header is theirs.
    Exact,
    /// It lies beside them: theirs if there is no other.
    SameFolder,
    /// It is another track's.
    No,
}

/// What a path below a channel's publishing point is, with its `Content-Type`, if it has one.
///
/// The path is decoded, and has no slash in front and no dots as elements. Extensions decide; where
/// one is not known (DASH-IF ingest v1.2 has the table), the type does.
#[must_use]
pub fn upload<'p>(path: &'p str, media_type: Option<&str>) -> Upload<'p> {
    let path = path.trim_end_matches('/');
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if path.is_empty() {
        return Upload { kind: Kind::Probe, track: Track::new("", ""), is_ts: false };
    }
    if let Some(name) = enclosed(name, "Streams") {
        let (whole, format) = without_extension(name);
        let format = format.or(media_type.and_then(of_type));
        let is_ts = matches!(format, Some(Format::Ts));
        return Upload { kind: Kind::Stream, track: Track::new(folder, whole), is_ts };
    }
    let (whole, by_extension) = without_extension(name);
    let mut track = Track::new(folder, whole);
    let has_extension = by_extension.is_some();
    // Senders of one long request leave the extension away, and say any type or none.
    let otherwise = if name.contains('.') { None } else { Some(Format::Boxes) };
    let format = by_extension.or_else(|| media_type.and_then(of_type)).or(otherwise);
    let kind = match format {
        None => Kind::Unknown,
        Some(Format::Playlist) => Kind::Playlist,
        Some(Format::Manifest) => Kind::Manifest,
        Some(Format::Key) => Kind::Key,
        Some(Format::Header) => {
            track.stem = without_header_word(whole).unwrap_or(track.stem);
            Kind::Header
        }
        Some(Format::Boxes | Format::Ts) => {
            let header = if format == Some(Format::Ts) { None } else { without_header_word(whole) };
            // Without an extension `video-1` is a track, and only `segment1` or `1` is a segment.
            let media = without_number(whole)
                .filter(|stem| has_extension || stem.iter().all(|piece| piece.is_empty()));
            match (header, media) {
                (Some(stem), _) => {
                    track.stem = stem;
                    Kind::Header
                }
                (None, Some(stem)) => {
                    track.stem = stem;
                    Kind::Media
                }
                (None, None) => Kind::Stream,
            }
        }
    };
    Upload { kind, track, is_ts: format == Some(Format::Ts) }
}

/// Whether a type says that this is nothing an encoder sends; some say nothing by theirs.
#[must_use]
pub fn is_foreign(media_type: &str) -> bool {
    let name = media_type.split(';').next().unwrap_or(media_type).trim();
    let says_nothing = ["", "application/octet-stream", "application/x-www-form-urlencoded"];
    let is_nothing = |nothing: &&str| name.eq_ignore_ascii_case(nothing);
    of_type(media_type).is_none() && !says_nothing.iter().any(is_nothing)
}

impl<'p> Track<'p> {
    fn new(folder: &'p str, whole: &'p str) -> Self {
        Self { folder, whole, stem: [whole, ""] }
    }

    /// The track of the whole name, with its number.
    ///
    /// That is what an upload belongs to which looks like a segment (`video-1.cmfv`), but turns out
    /// to begin with a header.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self::new(self.folder, self.whole)
    }

    /// How well this track of media fits that of a header.
    ///
    /// A header may lie in a folder that is called like the stem of its media (Shaka Packager). And
    /// where ffmpeg has several streams, it puts nothing but a stream's number behind `init`, while
    /// the name of the media has more in front of it: `init_0.mp4` and `live_0_12.m4s`. Where both
    /// names say something, they must say the same: the header may be one that was refused.
    #[must_use]
    pub fn matches(&self, header: &Track<'_>) -> Match {
        if self.key() == header.key() {
            return Match::Exact;
        }
        if self.folder != header.folder {
            return Match::No;
        }
        let (stem, number) = (self.stem.concat(), header.stem.concat());
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        match stem.strip_suffix(&number) {
            Some(front) if is_number && front.ends_with(SEPARATORS) => Match::Exact,
            _ if self.says_nothing() || header.says_nothing() => Match::SameFolder,
            _ if is_number && !ends_in_number(&stem) => Match::SameFolder,
            _ => Match::No,
        }
    }

    /// Whether its name says nothing of the track: then the folder does.
    fn says_nothing(&self) -> bool {
        let stem = self.stem.concat();
        stem.is_empty() || NAMES_OF_ANYTHING.contains(&stem.as_str())
    }

    /// A name of the rendition, for URLs: 1 to 64 letters, digits, `_` and `-`.
    ///
    /// Two tracks may get the same one, since other characters become `-`. Of what is too long the
    /// end is kept: there tracks differ.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = String::new();
        let folders = self.folder.split('/').map(|one| enclosed(one, "Switching").unwrap_or(one));
        let is_named = self.folder.is_empty() || !self.says_nothing();
        let stem = if is_named { self.stem.concat() } else { String::new() };
        for element in folders.chain([stem.as_str()]) {
            for character in element.chars().chain(['-']) {
                if character.is_ascii_alphanumeric() || character == '_' {
                    name.push(character);
                } else if !name.is_empty() && !name.ends_with('-') {
                    name.push('-');
                }
            }
        }
        let name = name.trim_end_matches('-');
        let name = &name[name.len().saturating_sub(NAME_SIZE_MAX)..];
        match name.trim_start_matches('-') {
            "" => NAME_OF_NOTHING.to_owned(),
            name => name.to_owned(),
        }
    }

    /// Folder and stem, as one path.
    #[must_use]
    pub fn key(&self) -> String {
        let stem = self.stem.concat();
        let slash = if self.folder.is_empty() || stem.is_empty() { "" } else { "/" };
        [self.folder, slash, &stem].concat()
    }
}

/// Whether the last word of a stem is a number.
fn ends_in_number(stem: &str) -> bool {
    let last = stem.rsplit(SEPARATORS).next().unwrap_or(stem);
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a file is, by its extension or type alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Playlist,
    Manifest,
    Header,
    /// Header or media of ISO/IEC 14496-12.
    Boxes,
    Ts,
    Key,
}

/// The name without its extension, if that is a known one.
fn without_extension(name: &str) -> (&str, Option<Format>) {
    let Some((whole, extension)) = name.rsplit_once('.') else { return (name, None) };
    let format = match extension.to_ascii_lowercase().as_str() {
        "m3u8" => Format::Playlist,
        "mpd" => Format::Manifest,
        "init" | "header" => Format::Header,
        "cmfv" | "cmfa" | "cmft" | "cmfm" | "mp4" | "m4v" | "m4a" | "m4s" => Format::Boxes,
        "ts" => Format::Ts,
        "key" => Format::Key,
        _ => return (name, None),
    };
    (whole, Some(format))
}

/// By the type. `application/octet-stream` is what keys have, but also what those send who do not
/// care: it says nothing.
fn of_type(media_type: &str) -> Option<Format> {
    let name = media_type.split(';').next().unwrap_or(media_type).trim();
    Some(match name.to_ascii_lowercase().as_str() {
        "application/x-mpegurl" | "application/vnd.apple.mpegurl" => Format::Playlist,
        "application/dash+xml" => Format::Manifest,
        "video/mp4" | "audio/mp4" | "application/mp4" | "video/iso.segment" => Format::Boxes,
        "video/mp2t" => Format::Ts,
        _ => return None,
    })
}

/// What stands in the parentheses behind a word: `Streams(…)`, of older senders.
fn enclosed<'p>(name: &'p str, word: &str) -> Option<&'p str> {
    let front = name.get(..word.len())?;
    let inner = name[word.len()..].strip_prefix('(')?.strip_suffix(')')?;
    front.eq_ignore_ascii_case(word).then_some(inner)
}

/// The name of a header without the word for it; none if it is not there.
fn without_header_word(name: &str) -> Option<[&str; 2]> {
    let mut found = HEADER_WORDS.iter().filter_map(|word| {
        let starts = 0..(name.len() + 1).saturating_sub(word.len());
        starts.map(|start| start..start + word.len()).find(|range| is_word(name, range, word))
    });
    Some(cut(name, found.next()?))
}

/// The name of media without a word in front and without its number; none if it has no number.
fn without_number(name: &str) -> Option<[&str; 2]> {
    let mut front = MEDIA_WORDS.iter().filter(|word| is_word(name, &(0..word.len()), word));
    let name = match front.next() {
        Some(word) => cut(name, 0..word.len())[1],
        None => name,
    };
    Some(cut(name, number(name)?))
}

/// Whether this word stands there, with no letter beside it.
fn is_word(name: &str, range: &Range<usize>, word: &str) -> bool {
    let bytes = name.as_bytes();
    let is_letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
    bytes.get(range.clone()).is_some_and(|there| there.eq_ignore_ascii_case(word.as_bytes()))
        && !is_letter(range.end)
        && !range.start.checked_sub(1).is_some_and(is_letter)
}

/// The last digits of a name; not those of `360p`.
fn number(name: &str) -> Option<Range<usize>> {
    let bytes = name.as_bytes();
    let mut end = bytes.len();
    loop {
        let last = bytes[..end].iter().rposition(u8::is_ascii_digit)?;
        let before = bytes[..last].iter().rposition(|byte| !byte.is_ascii_digit());
        let start = before.map_or(0, |at| at + 1);
        if !bytes.get(last + 1).is_some_and(u8::is_ascii_alphabetic) {
            return Some(start..last + 1);
        }
        end = start;
    }
}

/// A name without these bytes, which are ASCII, and without one separator beside them.
fn cut(name: &str, range: Range<usize>) -> [&str; 2] {
    let (before, behind) = (&name[..range.start], &name[range.end..]);
    match before.strip_suffix(SEPARATORS) {
        Some(before) => [before, behind],
        None => [before, behind.strip_prefix(SEPARATORS).unwrap_or(behind)],
    }
}

#[cfg(test)]
mod tests;
