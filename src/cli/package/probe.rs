//! What an input holds, as ffprobe tells it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use super::ffmpeg::{Fault, file_url, not_found};

/// Most audio tracks that are taken; more would be commentary on commentary.
const AUDIO_TRACKS_MAX: usize = 8;

/// What matters of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Lines of the picture as it is shown.
    pub height: u32,
    /// Length; zero if it is unknown.
    pub duration: Duration,
    /// Its audio tracks, at most `AUDIO_TRACKS_MAX`.
    pub audio: Vec<Audio>,
}

/// One audio track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Its language as ISO 639-2 has it; none if it is unknown.
    pub language: Option<String>,
}

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Stream {
    codec_type: Option<String>,
    height: Option<u32>,
    width: Option<u32>,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    side_data_list: Vec<SideData>,
    #[serde(default)]
    disposition: Disposition,
}

#[derive(Default, Deserialize)]
struct Tags {
    language: Option<String>,
}

#[derive(Default, Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Deserialize)]
struct Format {
    duration: Option<String>,
}

/// Looks at the file.
pub fn source(input: &Path) -> Result<Source, Fault> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-protocol_whitelist", "file", "-of", "json"])
        .args(["-show_streams", "-show_format"])
        .arg(file_url(input))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_found("ffprobe", &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines = said.lines().map(str::to_owned).collect();
        return Err(Fault::new("ffprobe can't read it").with_lines(lines));
    }
    let report: Report = serde_json::from_slice(&output.stdout)
        .map_err(|error| Fault::new(format!("ffprobe says what we can't read: {error}")))?;
    read(report)
}

fn read(report: Report) -> Result<Source, Fault> {
    let of_kind = |kind: &'static str| {
        report.streams.iter().filter(move |stream| stream.codec_type.as_deref() == Some(kind))
    };
    // A cover picture is a video stream too.
    let video = of_kind("video")
        .find(|stream| stream.disposition.attached_pic == 0)
        .ok_or_else(|| Fault::new("it has no video"))?;
    let turned = video
        .side_data_list
        .iter()
        .filter_map(|data| data.rotation)
        .any(|angle| (angle.abs().round() % 180.0 - 90.0).abs() < 1.0);
    let height = if turned { video.width } else { video.height };
    let height = height.filter(|height| *height > 0);
    let height = height.ok_or_else(|| Fault::new("its video has no size"))?;
    let seconds = report.format.and_then(|format| format.duration?.parse::<f64>().ok());
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let audio = report
        .streams
        .iter()
        .filter(|stream| stream.codec_type.as_deref() == Some("audio"))
        .take(AUDIO_TRACKS_MAX)
        .map(|stream| Audio { language: stream.tags.language.as_deref().and_then(language) })
        .collect();
    Ok(Source { height, duration: duration.unwrap_or_default(), audio })
}

/// A language that may stand in a manifest.
fn language(tag: &str) -> Option<String> {
    let good = (2..=3).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_lowercase());
    (good && tag != "und").then(|| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<Source, Fault> {
        read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_film_is_seen_as_it_is_shown() {
        let source = of(
            r#"{"streams":[{"codec_type":"video","disposition":{"attached_pic":1},"height":9},
            {"codec_type":"video","width":1080,"height":1920,"side_data_list":[{},{"rotation":-90}]},
            {"codec_type":"audio","tags":{"language":"deu"}},
            {"codec_type":"audio","tags":{"language":"x\",URI=\"y"}},{"codec_type":"subtitle"}],
            "format":{"duration":"12.5"}}"#,
        )
        .unwrap();
        let audio = |language: Option<&str>| Audio { language: language.map(str::to_owned) };
        assert_eq!(
            source,
            Source {
                height: 1080,
                duration: Duration::from_millis(12_500),
                audio: vec![audio(Some("deu")), audio(None)],
            }
        );
    }

    #[test]
    fn what_is_no_film_is_refused() {
        for (json, why) in [
            ("{}", "it has no video"),
            (r#"{"streams":[{"codec_type":"audio"}]}"#, "it has no video"),
            (r#"{"streams":[{"codec_type":"video","height":0}]}"#, "its video has no size"),
        ] {
            assert_eq!(of(json).unwrap_err().why, why);
        }
    }
}
