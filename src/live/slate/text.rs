//! Playlists of a slate.
//!
//! The one that goes on says what it says by the clock alone: the same bytes to everybody at a
//! time, on every server that has the same file.

use std::fmt::{self, Write};

use super::Slate;
use crate::units::civil;

/// Segments of the playlist that goes on: a player begins three before its end.
const LISTED: u64 = 4;

/// Segments for who joins: half a minute of ours.
const JOINED: usize = 8;

/// Longest text that is written as it is sent, in bytes.
pub const SIZE_MAX: usize = 832;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Whoever opened the slate. What is listed lies beside the playlist, and goes on.
    Opened,
    /// A player that asks for more of something else that it has begun to watch. It has seen all up
    /// to this number, or to the one before it, and goes on from there; at the end it has to be
    /// opened anew, since nobody can count on by two clocks at once.
    Joins(u64),
}

/// A text that is written without allocating.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; SIZE_MAX],
    size: usize,
}

impl Text {
    /// What was written.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.size + text.len();
        self.bytes.get_mut(self.size..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.size = end;
        Ok(())
    }
}

/// The playlist for this reader at a moment: milliseconds since 1970.
#[must_use]
pub fn live(slate: &Slate, reader: Reader, now_ms: u64) -> Text {
    let mut text = Text { bytes: [0; SIZE_MAX], size: 0 };
    let is_written = match reader {
        Reader::Opened => write_live(&mut text, slate, now_ms),
        Reader::Joins(from) => write_joined(&mut text, slate, from, now_ms),
    };
    is_written.expect("the text has room for what is listed");
    text
}

fn write_live(out: &mut Text, slate: &Slate, now_ms: u64) -> fmt::Result {
    let (ends, count) = (&slate.ends_ms, slate.ends_ms.len() as u64);
    let pass_ms = pass_ms(slate);
    let within = now_ms % pass_ms;
    let playing = ends.iter().position(|end| within < *end).unwrap_or(0) as u64;
    let last = now_ms / pass_ms * count + playing;
    let first = last.saturating_sub(LISTED - 1);
    let is_first_of_pass = |at: u64| at.is_multiple_of(count);
    // Discontinuities before the first that is listed, each of which begins a pass.
    let before = match is_first_of_pass(first) {
        true => (first / count).saturating_sub(1),
        false => first / count,
    };
    write_start(out, slate, (first, before))?;
    for number in first..=last {
        let at = number % count;
        if is_first_of_pass(number) {
            writeln!(out, "#EXT-X-DISCONTINUITY")?;
        }
        if is_first_of_pass(number) || number == first {
            let begins = number / count * pass_ms + begins_ms(ends, at as usize);
            write_date(out, begins)?;
        }
        write_length(out, ends, at as usize)?;
        writeln!(out, "{at}.ts")?;
    }
    Ok(())
}

fn write_joined(out: &mut Text, slate: &Slate, from: u64, now_ms: u64) -> fmt::Result {
    // Discontinuities are counted so that no other of the channel has the same number.
    write_start(out, slate, (from, now_ms / pass_ms(slate)))?;
    writeln!(out, "#EXT-X-DISCONTINUITY")?;
    for at in 0..slate.ends_ms.len().min(JOINED) {
        write_length(out, &slate.ends_ms, at)?;
        writeln!(out, "/slate/{}/{at}.ts", slate.folder)?;
    }
    writeln!(out, "#EXT-X-ENDLIST")
}

fn write_start(out: &mut Text, slate: &Slate, (number, breaks): (u64, u64)) -> fmt::Result {
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}", target_seconds(slate))?;
    writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{number}\n#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}")
}

fn pass_ms(slate: &Slate) -> u64 {
    slate.ends_ms.last().copied().unwrap_or(1).max(1)
}

/// The playlist of all of it, which ends.
///
/// # Errors
///
/// As `out`.
pub fn write_film(out: &mut impl Write, slate: &Slate) -> fmt::Result {
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}", target_seconds(slate))?;
    writeln!(out, "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD")?;
    for at in 0..slate.ends_ms.len() {
        write_length(out, &slate.ends_ms, at)?;
        writeln!(out, "/slate/{}/{at}.ts", slate.folder)?;
    }
    writeln!(out, "#EXT-X-ENDLIST")
}

/// The multivariant playlist.
///
/// # Errors
///
/// As `out`.
pub fn write_master(
    out: &mut impl Write,
    slate: &Slate,
    (codecs, size): (&str, Option<(u16, u16)>),
    (most, average): (u64, u64),
) -> fmt::Result {
    writeln!(out, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-INDEPENDENT-SEGMENTS")?;
    write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={most},AVERAGE-BANDWIDTH={average}")?;
    write!(out, ",CODECS=\"{codecs}\"")?;
    if let Some((width, height)) = size {
        write!(out, ",RESOLUTION={width}x{height}")?;
    }
    writeln!(out, "\n/slate/{}/live.m3u8", slate.folder)
}

fn begins_ms(ends: &[u64], at: usize) -> u64 {
    at.checked_sub(1).map_or(0, |before| ends[before])
}

fn write_length(out: &mut impl Write, ends: &[u64], at: usize) -> fmt::Result {
    let ms = ends[at] - begins_ms(ends, at);
    writeln!(out, "#EXTINF:{}.{:03},", ms / 1000, ms % 1000)
}

fn target_seconds(slate: &Slate) -> u64 {
    let ends = &slate.ends_ms;
    let longest = (0..ends.len()).map(|at| ends[at] - begins_ms(ends, at)).max();
    longest.unwrap_or(0).div_ceil(1000).max(1)
}

fn write_date(out: &mut Text, unix_ms: u64) -> fmt::Result {
    let seconds = unix_ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    write!(out, "#EXT-X-PROGRAM-DATE-TIME:{year:04}-{month:02}-{day:02}")?;
    writeln!(out, "T{hour:02}:{minute:02}:{second:02}.{:03}Z", unix_ms % 1000)
}

#[cfg(test)]
mod tests;
