//! Names of segments by when they begin: what a manifest of whole segments asks by.
//!
//! ffmpeg's demuxer, and so mpv, follows a SegmentTimeline by time alone: with `$Number$` it takes
//! the first entry for the next one as soon as the list has moved on. So that list has `$Time$`,
//! and each whole segment a second name, for the same bytes.
//!
//! Ticks are an encoder's, which may count from zero again. The Unix time of its zero stands in
//! front of them, and behind that, where it is not the epoch, when the server began with the
//! rendition: what an encoder of its own time sends after a restart may have the same zero.

use std::fmt;

use super::super::super::time::Moment;
use super::super::super::timeline::Origin;

/// What a template has in the place of the ticks.
const TIME: &str = "$Time$";

/// When a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed {
    /// Microseconds of Unix time at the media's zero.
    pub zero_micros: i64,
    /// Tells runs of the server apart where that is not 0.
    pub run: i64,
    /// From there on, in the rendition's ticks.
    pub ticks: i64,
}

impl Timed {
    /// At this moment of the stretch with this origin, in this run.
    #[must_use]
    pub fn at(origin: Origin, moment: Moment, run: i64) -> Self {
        Self { run: run_of(origin, run), zero_micros: origin.zero_micros, ticks: moment.ticks }
    }

    /// Reads the name of a segment: `0-180000.m4s`, or `{zero}-{run}-180000.m4s`. None for other
    /// names.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (times, _) = name.split_once('.')?;
        let (before, ticks) = times.rsplit_once('-')?;
        let (zero, run) = match before {
            "0" => ("0", "0"),
            before => before.rsplit_once('-')?,
        };
        let (zero_micros, run) = (zero.parse().ok()?, run.parse().ok()?);
        let read = Self { zero_micros, run, ticks: ticks.parse().ok()? };
        // There is one name for each: numbers could be written in other ways.
        (read.name("") == times).then_some(read)
    }

    /// The segment's name, with this extension behind it.
    #[must_use]
    pub fn name(&self, extension: &str) -> String {
        name((self.zero_micros, self.run), self.ticks, extension)
    }
}

/// The folder of the channel, `/tv/{channel}`, if the path is that of a segment by its time,
/// `/tv/{channel}/{rendition}/0-180000.m4s`.
#[must_use]
pub fn channel_of_timed(path: &str) -> Option<&str> {
    let (folder, name) = path.rsplit_once('/')?;
    let (channel, _) = folder.rsplit_once('/')?;
    let is_channel = channel.strip_prefix("/tv/").is_some_and(|id| !id.contains('/'));
    (is_channel && Timed::of_name(name).is_some()).then_some(channel)
}

/// What all names of a stretch look like, for `SegmentTemplate@media`.
pub(super) fn template(origin: Origin, run: i64, extension: &str) -> String {
    name((origin.zero_micros, run_of(origin, run)), TIME, extension)
}

/// Times of the epoch are told apart by themselves.
fn run_of(origin: Origin, run: i64) -> i64 {
    if origin.zero_micros == 0 { 0 } else { run }
}

fn name((zero, run): (i64, i64), ticks: impl fmt::Display, extension: &str) -> String {
    let dot = if extension.is_empty() { "" } else { "." };
    match zero {
        0 => format!("0-{ticks}{dot}{extension}"),
        zero => format!("{zero}-{run}-{ticks}{dot}{extension}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let zeros = [(0, 0, 180_000), (1_795_000_000_000_123, 7, 0), (-5, 0, i64::MAX)];
        for (zero_micros, run, ticks) in zeros {
            let timed = Timed { zero_micros, run, ticks };
            assert_eq!(Timed::of_name(&timed.name("m4s")), Some(timed));
        }
    }

    #[test]
    fn a_path_is_of_a_channel() {
        let channel = Some("/tv/news");
        assert_eq!(channel_of_timed("/tv/news/video/0-1.m4s"), channel);
        for path in ["/tv/news/0-1.m4s", "/tv/news/a/b/0-1.m4s", "/tv/news/video/1.m4s", "0-1.m4s"]
        {
            assert_eq!(channel_of_timed(path), None, "{path}");
        }
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            "1.m4s",
            "1.2.m4s",
            "0-180000",
            "00-1.m4s",
            "0-01.m4s",
            "+1-1.m4s",
            "0-+1.m4s",
            "-.m4s",
            "0-.m4s",
            "-1.m4s",
            "0-99999999999999999999.m4s",
            "5-180000.m4s",
            "0-0-180000.m4s",
            "05-1-180000.m4s",
            "index-4-500.m3u8",
        ] {
            assert_eq!(Timed::of_name(name), None, "{name}");
        }
    }
}
