//! What ffmpeg made: media playlists and segments, measured.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// One rendition, by its own files.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendition {
    /// Its number in file names and in the manifest.
    pub id: usize,
    /// Bits a second of its largest stretch (RFC 8216, 4.3.4.2).
    pub peak: u64,
    /// Bits a second over all of it.
    pub average: u64,
    /// Its media playlist, put in order.
    pub playlist: String,
}

/// A segment as its playlist lists it.
#[derive(Clone, Copy, Debug)]
struct Segment {
    seconds: f64,
    bytes: u64,
}

/// Reads and measures rendition `id` of a folder; every file that it lists is there.
pub fn measured(folder: &Path, id: usize) -> io::Result<Rendition> {
    let text = fs::read_to_string(folder.join(format!("media_{id}.m3u8")))?;
    let (mut segments, mut seconds) = (Vec::new(), None);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("#EXTINF:") {
            seconds = rest.split(',').next().and_then(|number| number.parse().ok());
        } else if !line.is_empty() && !line.starts_with('#') {
            let bytes = fs::metadata(folder.join(line))?.len();
            let seconds = seconds.take().filter(|seconds: &f64| *seconds > 0.0);
            let seconds = seconds.ok_or_else(|| wrong(id, "a segment has no length"))?;
            segments.push(Segment { seconds, bytes });
        }
    }
    if segments.is_empty() || !text.contains("#EXT-X-ENDLIST") {
        return Err(wrong(id, "the playlist is not whole"));
    }
    let (peak, average) = rates(&segments);
    Ok(Rendition { id, peak, average, playlist: in_order(&text, &segments) })
}

fn wrong(id: usize, why: &str) -> io::Error {
    io::Error::other(format!("ffmpeg's rendition {id}: {why}"))
}

/// Peak and average bits a second. A short rest at the end counts with the segment before it.
fn rates(segments: &[Segment]) -> (u64, u64) {
    let longest = segments.iter().map(|segment| segment.seconds).fold(0.0, f64::max);
    let rate = |of: &[Segment]| {
        let bits = 8.0 * of.iter().map(|segment| segment.bytes as f64).sum::<f64>();
        (bits / of.iter().map(|segment| segment.seconds).sum::<f64>()).ceil() as u64
    };
    let mut peak = 0;
    for (index, segment) in segments.iter().enumerate() {
        let short = segment.seconds < longest / 2.0;
        let from = if short { index.saturating_sub(1) } else { index };
        peak = peak.max(rate(&segments[from..=index]));
    }
    (peak, rate(segments))
}

/// The playlist as a film has it: its type said, and without times of day, which were those of the
/// encoding. Version 6 is what EXT-X-MAP needs outside I-frame playlists.
fn in_order(text: &str, segments: &[Segment]) -> String {
    let longest = segments.iter().map(|segment| segment.seconds.round()).fold(1.0, f64::max);
    let mut ordered = format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{longest}\n#EXT-X-PLAYLIST-TYPE:VOD\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n"
    );
    const DROPPED: [&str; 6] = [
        "#EXTM3U",
        "#EXT-X-VERSION",
        "#EXT-X-TARGETDURATION",
        "#EXT-X-PLAYLIST-TYPE",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-PROGRAM-DATE-TIME",
    ];
    for line in text.lines().filter(|line| !DROPPED.iter().any(|tag| line.starts_with(tag))) {
        let _ = writeln!(ordered, "{line}");
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_bytes() {
        let segment = |seconds, bytes| Segment { seconds, bytes };
        for (segments, rates_expected) in [
            (&[segment(2.0, 1000)][..], (4000, 4000)),
            (&[segment(2.0, 1000), segment(2.0, 2000)], (8000, 6000)),
            (&[segment(2.0, 1000), segment(0.1, 2000)], (11_429, 11_429)),
        ] {
            assert_eq!(rates(segments), rates_expected);
        }
    }

    #[test]
    fn a_playlist_without_its_end_or_its_segments_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(dir.path().join("media_0.m3u8"), text).unwrap();
        fs::write(dir.path().join("a.m4s"), "abcd").unwrap();
        write("#EXTM3U\n#EXTINF:2.0,\na.m4s\n");
        assert!(measured(dir.path(), 0).is_err());
        write("#EXTM3U\n#EXTINF:2.0,\nb.m4s\n#EXT-X-ENDLIST\n");
        assert!(measured(dir.path(), 0).is_err());
        write("#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:2026\n#EXTINF:2.0,\na.m4s\n#EXT-X-ENDLIST\n");
        let rendition = measured(dir.path(), 0).unwrap();
        assert_eq!((rendition.peak, rendition.average), (16, 16));
        assert_eq!(
            rendition.playlist,
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n#EXTINF:2.0,\na.m4s\n#EXT-X-ENDLIST\n"
        );
    }
}
