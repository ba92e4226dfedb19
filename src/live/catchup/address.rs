//! Addresses of what is past: a path in; the channel, the stretch and the text out.
//!
//! ```text
//! /tv/{channel}/archive/{start}-{seconds}/…   from a moment on, for so long
//! /tv/{channel}/archive/{start}-now/…         from a moment on: it grows
//! /tv/{channel}/rewind/…                      the last hours: the window moves on
//!     master.m3u8 · manifest.mpd · {rendition}/media.m3u8
//! /tv/{channel}/archive/{start}-{seconds}/stream.ts · {rendition}/stream.ts
//! ```
//!
//! A moment is a number of seconds since 1970. One text has one address: numbers are written
//! without zeros in front. Segments and headers are where they are live, and texts name them
//! relative to themselves.

use crate::config::CATCH_UP_SECONDS_MAX;
use crate::units::split_first;

const ARCHIVE: &str = "archive";
const REWIND: &str = "rewind";
const MULTIVARIANT: &str = "master.m3u8";
const MANIFEST: &str = "manifest.mpd";
/// Name of a transport stream.
pub const STREAM: &str = "stream.ts";
/// Name of a rendition's playlist.
pub const MEDIA: &str = "media.m3u8";

/// Digits of a moment: more than the seconds of this millennium have.
const DIGITS_MAX: usize = 11;

/// What an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'p> {
    /// The channel's id.
    pub channel: &'p str,
    /// When.
    pub stretch: Stretch,
    /// Which text of it.
    pub text: Text<'p>,
}

/// A stretch of a channel's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stretch {
    /// Between two moments, in microseconds of Unix time.
    Between {
        /// The first.
        from: i64,
        /// The one behind the last.
        until: i64,
    },
    /// The last hours before the newest segment.
    Rewind,
}

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Text<'p> {
    /// The multivariant playlist.
    Multivariant,
    /// The manifest of DASH.
    Manifest,
    /// The playlist of this rendition.
    Media(&'p str),
    /// One transport stream, of that rendition that who asks may have.
    Stream,
    /// One transport stream of this rendition, with all sounds.
    StreamOf(&'p str),
}

/// Why a path is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no text of this name.
    Text,
    /// The start is no moment.
    Start,
    /// The length is none, or nothing.
    Length,
    /// It is longer than `CATCH_UP_SECONDS_MAX`.
    TooLong,
}

impl Fault {
    /// For people.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Text => {
                "catch-up has master.m3u8, manifest.mpd, stream.ts and {rendition}/media.m3u8"
            }
            Self::Start => "a start is a number of seconds since 1970, without zeros in front",
            Self::Length => "a length is a number of seconds, at least 1, or now",
            Self::TooLong => "catch-up is at most 86400 seconds long",
        }
    }
}

const _: () = assert!(CATCH_UP_SECONDS_MAX == 86_400, "the explanation says so");

/// The folder of the channel, `/tv/{channel}`, if the path may be an address of its past.
#[must_use]
pub fn channel_folder(path: &str) -> Option<&str> {
    let (channel, rest) = split_first(path.strip_prefix("/tv/")?, b'/');
    let (word, _) = split_first(rest, b'/');
    let is_one = matches!(word, ARCHIVE | REWIND) && word.len() < rest.len();
    is_one.then(|| &path[.."/tv/".len() + channel.len()])
}

impl<'p> Address<'p> {
    /// Reads a decoded path.
    ///
    /// # Errors
    ///
    /// See [`Fault`].
    pub fn read(path: &'p str) -> Result<Self, Fault> {
        let below = path.strip_prefix("/tv/").ok_or(Fault::Text)?;
        let (channel, rest) = below.split_once('/').ok_or(Fault::Text)?;
        let (word, rest) = rest.split_once('/').ok_or(Fault::Text)?;
        let (stretch, name) = match word {
            REWIND => (Stretch::Rewind, rest),
            ARCHIVE => {
                let (stretch, name) = rest.split_once('/').ok_or(Fault::Text)?;
                (between(stretch)?, name)
            }
            _ => return Err(Fault::Text),
        };
        let text = text(name)?;
        // What slides has no beginning that a stream could have.
        let is_stream = matches!(text, Text::Stream | Text::StreamOf(_));
        if is_stream && stretch == Stretch::Rewind {
            return Err(Fault::Text);
        }
        Ok(Self { channel, stretch, text })
    }

    /// The way from the text to the channel's folder.
    #[must_use]
    pub fn up(&self) -> &'static str {
        match (self.stretch, self.text) {
            (Stretch::Between { .. }, Text::Media(_)) => "../../../",
            (Stretch::Between { .. }, _) | (Stretch::Rewind, Text::Media(_)) => "../../",
            (Stretch::Rewind, _) => "../",
        }
    }
}

fn text(name: &str) -> Result<Text<'_>, Fault> {
    match name {
        MULTIVARIANT => Ok(Text::Multivariant),
        MANIFEST => Ok(Text::Manifest),
        STREAM => Ok(Text::Stream),
        _ => {
            let (rendition, name) = name.split_once('/').ok_or(Fault::Text)?;
            match name {
                _ if rendition.is_empty() => Err(Fault::Text),
                MEDIA => Ok(Text::Media(rendition)),
                STREAM => Ok(Text::StreamOf(rendition)),
                _ => Err(Fault::Text),
            }
        }
    }
}

fn between(stretch: &str) -> Result<Stretch, Fault> {
    let (start, length) = stretch.split_once('-').ok_or(Fault::Length)?;
    let start = number(start).ok_or(Fault::Start)?;
    // What grows ends, too, when it is as long as anything may be.
    let seconds = match length {
        "now" => CATCH_UP_SECONDS_MAX,
        _ => number(length).filter(|seconds| *seconds > 0).ok_or(Fault::Length)?,
    };
    if seconds > CATCH_UP_SECONDS_MAX {
        return Err(Fault::TooLong);
    }
    let micros = |seconds: u64| i64::try_from(seconds * 1_000_000).map_err(|_| Fault::Start);
    Ok(Stretch::Between { from: micros(start)?, until: micros(start + seconds)? })
}

fn number(text: &str) -> Option<u64> {
    let is_written_once = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = (1..=DIGITS_MAX).contains(&text.len());
    text.parse().ok().filter(|_| is_written_once && digits && is_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_651_200_000_000;

    #[track_caller]
    fn check(path: &str, expected: Result<(Stretch, Text<'_>, &str), Fault>) {
        let read = Address::read(path);
        let found = read.map(|address| (address.stretch, address.text, address.up()));
        assert_eq!(found, expected, "{path}");
        assert!(read.is_err() || channel_folder(path) == Some("/tv/news"), "{path}");
    }

    #[test]
    fn an_address_names_a_stretch_and_a_text_and_finds_back_to_the_channel() {
        let hour = Stretch::Between { from: START, until: START + 3_600_000_000 };
        let day = Stretch::Between { from: START, until: START + 86_400_000_000 };
        let (hours, since) =
            ("/tv/news/archive/1795651200-3600", "/tv/news/archive/1795651200-now");
        let media = Text::Media("v1");
        check(&format!("{hours}/master.m3u8"), Ok((hour, Text::Multivariant, "../../")));
        check(&format!("{hours}/manifest.mpd"), Ok((hour, Text::Manifest, "../../")));
        check(&format!("{hours}/v1/media.m3u8"), Ok((hour, media, "../../../")));
        check(&format!("{since}/v1/media.m3u8"), Ok((day, media, "../../../")));
        check(&format!("{hours}/stream.ts"), Ok((hour, Text::Stream, "../../")));
        check(&format!("{hours}/v1/stream.ts"), Ok((hour, Text::StreamOf("v1"), "../../")));
        check("/tv/news/rewind/stream.ts", Err(Fault::Text));
        check("/tv/news/rewind/master.m3u8", Ok((Stretch::Rewind, Text::Multivariant, "../")));
        check("/tv/news/rewind/manifest.mpd", Ok((Stretch::Rewind, Text::Manifest, "../")));
        check("/tv/news/rewind/v1/media.m3u8", Ok((Stretch::Rewind, media, "../../")));
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        for (stretch, fault) in [
            ("1795651200", Fault::Length),
            ("1795651200-", Fault::Length),
            ("1795651200-0", Fault::Length),
            ("1795651200-060", Fault::Length),
            ("1795651200-+60", Fault::Length),
            ("1795651200-60-60", Fault::Length),
            ("1795651200-1e3", Fault::Length),
            ("1795651200-99999999999999999999", Fault::Length),
            ("1795651200-86401", Fault::TooLong),
            ("-60", Fault::Start),
            ("now-60", Fault::Start),
            ("01795651200-60", Fault::Start),
            ("1795651200.5-60", Fault::Start),
            ("179565120000-60", Fault::Start),
        ] {
            check(&format!("/tv/news/archive/{stretch}/master.m3u8"), Err(fault));
        }
        for name in ["index.m3u8", "", "v1/index.m3u8", "/media.m3u8", "v1/x/media.m3u8", "ll.mpd"]
        {
            check(&format!("/tv/news/archive/1-1/{name}"), Err(Fault::Text));
            check(&format!("/tv/news/rewind/{name}"), Err(Fault::Text));
        }
        for path in ["/tv/news/archive/1-1", "/tv/news/archive", "/tv/news", "/vod/a", "/tv/a/b/c"]
        {
            check(path, Err(Fault::Text));
        }
    }

    #[test]
    fn other_paths_of_a_channel_are_not_its_past() {
        for path in ["/tv/news/archive", "/tv/news/video/1.m4s", "/tv/news", "/vod/archive/x/y"] {
            assert_eq!(channel_folder(path), None, "{path}");
        }
    }
}
