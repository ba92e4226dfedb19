//! Records for tests: a channel with a picture and a sound, in segments of two seconds.

use std::sync::Arc;

use super::address::{Stretch, Text};
use super::excerpt::excerpt;
use super::passed::Passed;
use super::tracks::Tracks;
use super::{dash, hls};
use crate::live::cut::Lengths;
use crate::live::playlist::multivariant::Bandwidth;
use crate::live::protection::Protection;
use crate::live::record::{About, Carried, Header, Kept, Record, Recorded};
use crate::live::time::{Length, Moment};
use crate::live::timeline::Origin;

/// 2026-11-26T00:00:00Z, in seconds of Unix time, and the number of the segment that begins then.
pub const MIDNIGHT: i64 = 1_795_651_200;
pub const FIRST: i64 = MIDNIGHT / 2;

pub fn video(name: &str) -> Recorded {
    let about = About {
        carries: Carried::Video { resolution: (640, 360), frame_rate: Some((25, 1)) },
        codecs: "avc1.4d401e".to_owned(),
        language: None,
        bandwidth: Bandwidth { peak: 900_000, average: 800_000 },
    };
    recorded(name, about)
}

pub fn audio(name: &str) -> Recorded {
    let about = About {
        carries: Carried::Audio { channels: 2 },
        codecs: "mp4a.40.2".to_owned(),
        language: Some("de".to_owned()),
        bandwidth: Bandwidth { peak: 130_000, average: 128_000 },
    };
    recorded(name, about)
}

fn recorded(name: &str, about: About) -> Recorded {
    Recorded {
        name: name.to_owned(),
        about,
        lengths: Lengths { segment: Length::of_millis(2000), part: Length::of_millis(500) },
        headers: vec![header(0, None)],
        segments: Vec::new(),
    }
}

/// A rendition's header of this number.
pub fn header(number: u32, protection: Option<Protection>) -> Header {
    Header { name: format!("init-{number}.mp4"), protection: protection.map(Arc::new) }
}

/// When a sound's segment begins, in ticks of 48,000: with the frame of 1024 that is nearest.
fn sound(number: i64) -> i64 {
    (number * 96_000 + 512).div_euclid(1024) * 1024
}

/// The segment of this number on the epoch's time.
pub fn kept(one: &Recorded, number: i64) -> Kept {
    let is_video = matches!(one.about.carries, Carried::Video { .. });
    let (timescale, ticks, end) = if is_video {
        (90_000, number * 180_000, (number + 1) * 180_000)
    } else {
        (48_000, sound(number), sound(number + 1))
    };
    Kept {
        number,
        start: Moment { ticks, timescale },
        duration: end.abs_diff(ticks),
        size: 1000,
        discontinuity: false,
        header: 0,
        origin: Origin { zero_micros: 0, start_micros: 0 },
    }
}

/// A picture and a sound of so many segments from midnight on.
pub fn record(count: i64) -> Record {
    let mut renditions = vec![video("v"), audio("a")];
    for one in &mut renditions {
        one.segments = (FIRST..FIRST + count).map(|number| kept(one, number)).collect();
    }
    Record { renditions }
}

/// From so many seconds behind midnight until so many.
pub fn between(from: i64, until: i64) -> Stretch {
    let micros = |seconds| (MIDNIGHT + seconds) * 1_000_000;
    Stretch::Between { from: micros(from), until: micros(until) }
}

/// So many seconds behind midnight.
pub fn at(seconds: i64) -> i64 {
    (MIDNIGHT + seconds) * 1_000_000
}

/// A text of a stretch; `now` is in seconds behind midnight.
pub fn text(record: &Record, stretch: Stretch, text: Text<'_>, now: i64) -> Option<String> {
    passing(record, stretch, text, now, &mut Passed::default())
}

/// The same of a window that slides.
pub fn passing(
    record: &Record,
    stretch: Stretch,
    text: Text<'_>,
    now: i64,
    passed: &mut Passed,
) -> Option<String> {
    let excerpt = excerpt(record, stretch, at(now)).ok()?;
    let form = excerpt.form;
    let tracks = Tracks::new(excerpt, passed);
    let target = hls::target_seconds(&tracks, form);
    Some(match text {
        Text::Multivariant => hls::multivariant(&tracks),
        Text::Manifest => dash::manifest(&tracks, form, target, "../../"),
        Text::Media(name) => {
            let track = tracks.tracks.iter().find(|track| track.of.name == name)?;
            hls::media(track, form, target, "../../../")
        }
        Text::Stream | Text::StreamOf(_) => return None,
    })
}
