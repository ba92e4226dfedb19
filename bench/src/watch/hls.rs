//! Media playlists of HLS, read strictly: text in, what it says out. Pure.
//!
//! Written from the standard (RFC 8216bis) and not from the server. A tag that a live channel has
//! no use for is an error, so that nothing is overlooked.

use std::collections::BTreeMap;

use super::time::{date, seconds};

/// A media playlist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Playlist {
    /// `EXT-X-VERSION`.
    pub version: u64,
    /// `EXT-X-TARGETDURATION`, in seconds.
    pub target: u64,
    /// `EXT-X-MEDIA-SEQUENCE`.
    pub sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuity_sequence: u64,
    /// `EXT-X-SERVER-CONTROL`, as it stands there.
    pub control: BTreeMap<String, String>,
    /// `PART-TARGET`, in µs.
    pub part_target: Option<u64>,
    /// `SKIPPED-SEGMENTS`.
    pub skipped: u64,
    /// Segments that are whole.
    pub segments: Vec<Segment>,
    /// What there is of the next one, if its parts are listed.
    pub growing: Option<Segment>,
    /// The URI of the part that comes next.
    pub hint: Option<String>,
    /// URI, last segment and last part of other renditions.
    pub reports: Vec<(String, u64, u64)>,
    /// Whether nothing comes any more.
    pub ended: bool,
}

/// A segment, or what there is of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Its media sequence number.
    pub number: u64,
    /// Discontinuities before it, from the first segment of all on.
    pub discontinuity: u64,
    /// In µs.
    pub duration: u64,
    /// Empty as long as it grows.
    pub uri: String,
    /// Whether it says that it can't be had.
    pub gap: bool,
    /// `EXT-X-PROGRAM-DATE-TIME` before it, in µs of Unix time.
    pub date: Option<i64>,
    /// The header that holds for it.
    pub map: Option<String>,
    /// Those that are listed.
    pub parts: Vec<Part>,
}

/// A part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// In µs.
    pub duration: u64,
    /// Where it is.
    pub uri: String,
    /// Whether decoding can begin with it.
    pub independent: bool,
    /// Whether it says that it can't be had.
    pub gap: bool,
}

impl Playlist {
    /// Reads one. The error names the line.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") || !text.ends_with('\n') {
            return Err("it does not begin with #EXTM3U, or its last line has no end".to_owned());
        }
        let mut reading = Reading::default();
        for line in lines {
            reading.line(line).ok_or_else(|| format!("the line '{line}' can't be read"))?;
        }
        reading.finish()
    }

    /// The number behind the last segment that is whole.
    pub fn next_number(&self) -> u64 {
        self.sequence + self.skipped + self.segments.len() as u64
    }

    /// All segments, the one that grows too.
    pub fn all(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().chain(&self.growing)
    }

    /// The last part that is listed: segment and index. A segment without parts counts as whole.
    pub fn last_part(&self) -> Option<(u64, u64)> {
        let last = self.all().last()?;
        Some((last.number, (last.parts.len() as u64).saturating_sub(1)))
    }
}

#[derive(Default)]
struct Reading {
    playlist: Playlist,
    /// What has been said of the segment whose URI has not come.
    segment: Segment,
    has_length: bool,
    discontinuities: u64,
    map: Option<String>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Option<()> {
        let all = &mut self.playlist;
        if line.is_empty() || all.ended {
            return None;
        }
        let Some(tag) = line.strip_prefix('#') else {
            return self.uri(line);
        };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXT-X-VERSION" => all.version = value.parse().ok()?,
            "EXT-X-TARGETDURATION" => all.target = value.parse().ok()?,
            "EXT-X-MEDIA-SEQUENCE" if all.segments.is_empty() => {
                all.sequence = value.parse().ok()?;
            }
            "EXT-X-DISCONTINUITY-SEQUENCE" if all.segments.is_empty() => {
                all.discontinuity_sequence = value.parse().ok()?;
            }
            "EXT-X-SERVER-CONTROL" => all.control = attributes(value)?,
            "EXT-X-PART-INF" => all.part_target = Some(length(&attributes(value)?, "PART-TARGET")?),
            "EXT-X-SKIP" if all.segments.is_empty() => {
                all.skipped = attributes(value)?.get("SKIPPED-SEGMENTS")?.parse().ok()?;
            }
            "EXT-X-PRELOAD-HINT" => {
                let of = attributes(value)?;
                let is_first = all.hint.is_none() && of.get("TYPE")? == "PART";
                all.hint = Some(of.get("URI")?.clone()).filter(|_| is_first);
                all.hint.as_ref()?;
            }
            "EXT-X-RENDITION-REPORT" => {
                let of = attributes(value)?;
                let number = |name| of.get(name)?.parse().ok();
                let report = (of.get("URI")?.clone(), number("LAST-MSN")?, number("LAST-PART")?);
                all.reports.push(report);
            }
            "EXT-X-ENDLIST" => all.ended = true,
            "EXT-X-DISCONTINUITY" => self.discontinuities += 1,
            "EXT-X-MAP" => self.map = Some(attributes(value)?.get("URI")?.clone()),
            "EXT-X-PROGRAM-DATE-TIME" => self.segment.date = Some(date(value)?),
            "EXT-X-GAP" => self.segment.gap = true,
            "EXT-X-PART" => self.part(&attributes(value)?)?,
            "EXTINF" => {
                self.segment.duration = seconds(value.split_once(',')?.0)?;
                self.has_length = true;
            }
            // Said of media, and not of where it is.
            "EXT-X-DATERANGE" | "EXT-X-KEY" | "EXT-X-BITRATE" | "EXT-X-INDEPENDENT-SEGMENTS" => {}
            _ => return None,
        }
        Some(())
    }

    fn part(&mut self, of: &BTreeMap<String, String>) -> Option<()> {
        let says_yes = |name| of.get(name).is_some_and(|value| value == "YES");
        self.segment.parts.push(Part {
            duration: length(of, "DURATION")?,
            uri: of.get("URI")?.clone(),
            independent: says_yes("INDEPENDENT"),
            gap: says_yes("GAP"),
        });
        Some(())
    }

    fn uri(&mut self, uri: &str) -> Option<()> {
        if !std::mem::take(&mut self.has_length) {
            return None;
        }
        let segment = self.take(uri);
        self.playlist.segments.push(segment);
        Some(())
    }

    fn take(&mut self, uri: &str) -> Segment {
        Segment {
            number: self.playlist.next_number(),
            discontinuity: self.playlist.discontinuity_sequence + self.discontinuities,
            uri: uri.to_owned(),
            map: self.map.clone(),
            ..std::mem::take(&mut self.segment)
        }
    }

    fn finish(mut self) -> Result<Playlist, String> {
        if self.has_length {
            return Err("it ends with an EXTINF without a URI".to_owned());
        }
        if !self.segment.parts.is_empty() {
            let mut growing = self.take("");
            growing.duration = growing.parts.iter().map(|part| part.duration).sum();
            self.playlist.growing = Some(growing);
        }
        if self.playlist.version == 0 || self.playlist.target == 0 {
            return Err("it has no version or no target duration".to_owned());
        }
        Ok(self.playlist)
    }
}

fn length(of: &BTreeMap<String, String>, name: &str) -> Option<u64> {
    seconds(of.get(name)?)
}

/// An attribute list: names and values, without quotes. None if it is none.
pub fn attributes(text: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=')?;
        let (value, after) = match behind.strip_prefix('"') {
            Some(behind) => behind.split_once('"')?,
            None => behind.split_at(behind.find(',').unwrap_or(behind.len())),
        };
        let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        if found.insert(name.to_owned(), value.to_owned()).is_some() {
            return None;
        }
        rest = match after.strip_prefix(',') {
            Some("") => return None,
            Some(more) => more,
            None if after.is_empty() => "",
            None => return None,
        };
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6.0
#EXT-X-PART-INF:PART-TARGET=1.0
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI=\"init.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:00.000Z
#EXTINF:2.0,
7.m4s
#EXT-X-DISCONTINUITY
#EXT-X-PART:DURATION=1.0,URI=\"8.0.m4s\",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"8.1.m4s\"
#EXT-X-RENDITION-REPORT:URI=\"../a/ll.m3u8\",LAST-MSN=8,LAST-PART=0
";

    #[test]
    fn a_playlist_says_what_it_says() {
        let playlist = Playlist::read(TEXT).expect("it is good");
        assert_eq!((playlist.sequence, playlist.target, playlist.next_number()), (7, 2, 8));
        assert_eq!(playlist.segments[0].date, Some(1_795_651_200_000_000));
        let growing = playlist.growing.as_ref().expect("it has a part");
        assert_eq!((growing.number, growing.discontinuity, growing.duration), (8, 1, 1_000_000));
        assert_eq!(playlist.last_part(), Some((8, 0)));
        assert_eq!(playlist.hint.as_deref(), Some("8.1.m4s"));
        assert_eq!(playlist.reports, [("../a/ll.m3u8".to_owned(), 8, 0)]);
        assert_eq!(playlist.control["HOLD-BACK"], "6.0");
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for (from, to) in [
            ("#EXTM3U", "#EXTM3V"),
            ("7.m4s\n", ""),
            ("#EXTINF:2.0,", "#EXTINF:2.0"),
            ("URI=\"8.0.m4s\"", "URI=\"8.0.m4s"),
            ("LAST-MSN=8", "LAST-MSN=x"),
            ("#EXT-X-DISCONTINUITY\n", "#EXT-X-NEWS\n"),
            ("#EXT-X-TARGETDURATION:2\n", ""),
            ("LAST-PART=0\n", "LAST-PART=0"),
        ] {
            assert!(Playlist::read(&TEXT.replacen(from, to, 1)).is_err(), "{from}");
        }
    }
}
