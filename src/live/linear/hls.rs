//! A packaged asset that has playlists of HLS and no manifest of DASH: their texts in, its
//! renditions out.
//!
//! What a player reads of films is read: variants, sounds in a group of their own, and whole media
//! playlists of whole files. Everything else is refused with a sentence. Where the media's own time
//! begins is not said there, so a channel with such an asset has no manifest of DASH itself.

use super::asset::{Media, Rendition, SEGMENTS_MAX, Unfit};
use crate::live::attribute::attribute;
use crate::live::playlist::multivariant::Bandwidth;
use crate::live::record::{About, Carried};

/// Renditions of an asset. Beyond it it is refused.
const RENDITIONS_MAX: usize = 64;

/// Ticks a second of what playlists say in seconds.
const MICROSECONDS: u32 = 1_000_000;

/// Codings of sound, as `CODECS` begins.
const SOUNDS: [&str; 8] = ["mp4a", "ac-3", "ec-3", "ac-4", "opus", "Opus", "fLaC", "flac"];

/// What a multivariant playlist says of a rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its name in a channel: pictures are counted first, and then sounds.
    pub name: String,
    /// Its media playlist, within the asset.
    pub uri: String,
    /// What playlists say of it.
    pub about: About,
}

/// The renditions that a multivariant playlist names. Subtitles are left out: they would have to
/// say at what time of the media they begin.
///
/// # Errors
///
/// It names none, or there is something about them that can't be.
pub fn renditions(text: &str) -> Result<Vec<Said>, Unfit> {
    let (mut pictures, mut sounds): (Vec<Said>, Vec<Said>) = (Vec::new(), Vec::new());
    let mut coding = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(variant) = line.strip_prefix("#EXT-X-STREAM-INF:") else { continue };
        let said = |name: &str| attribute(variant, name);
        let codecs = said("CODECS").ok_or_else(|| Unfit("a variant has no CODECS".to_owned()))?;
        let (heard, seen): (Vec<_>, Vec<_>) = codecs.split(',').map(str::trim).partition(is_sound);
        if said("AUDIO").is_some() && coding.is_empty() {
            coding = heard.join(",");
        }
        let number = |name: &str| said(name).and_then(|text| text.parse::<u64>().ok());
        let peak = number("BANDWIDTH").unwrap_or(0);
        let bandwidth = Bandwidth { peak, average: number("AVERAGE-BANDWIDTH").unwrap_or(peak) };
        let uri = lines.find(|line| !line.starts_with('#')).unwrap_or_default();
        if seen.is_empty() && said("RESOLUTION").is_none() {
            let carries = Carried::Audio { channels: 2 };
            add(&mut sounds, uri, About { carries, codecs, language: None, bandwidth })?;
            continue;
        }
        let codecs = if said("AUDIO").is_some() { seen.join(",") } else { codecs.clone() };
        let resolution = said("RESOLUTION").and_then(|text| size(&text)).unwrap_or((0, 0));
        let frame_rate = said("FRAME-RATE").and_then(|text| rate(&text));
        let carries = Carried::Video { resolution, frame_rate };
        add(&mut pictures, uri, About { carries, codecs, language: None, bandwidth })?;
    }
    for line in text.lines().filter_map(|line| line.strip_prefix("#EXT-X-MEDIA:")) {
        let said = |name: &str| attribute(line, name);
        if let (Some("AUDIO"), Some(uri)) = (said("TYPE").as_deref(), said("URI")) {
            let channels = said("CHANNELS").and_then(|text| text.split('/').next()?.parse().ok());
            let carries = Carried::Audio { channels: channels.unwrap_or(2) };
            // What a variant needs of the line is said of the picture, with the sound.
            let bandwidth = Bandwidth { peak: 0, average: 0 };
            let (codecs, language) = (coding.clone(), said("LANGUAGE"));
            add(&mut sounds, &uri, About { carries, codecs, language, bandwidth })?;
        }
    }
    let mut all = pictures;
    all.append(&mut sounds);
    for (at, one) in all.iter_mut().enumerate() {
        let letter = if matches!(one.about.carries, Carried::Video { .. }) { 'v' } else { 'a' };
        one.name = format!("{letter}{at}");
    }
    if all.is_empty() {
        return Err(Unfit("it names no variants".to_owned()));
    }
    Ok(all)
}

/// One of them, by its media playlist.
///
/// # Errors
///
/// The playlist is not whole, or is more than a list of files.
pub fn rendition(said: &Said, text: &str) -> Result<Rendition, Unfit> {
    let unfit = |why: &str| Unfit(format!("{}: {why}", said.uri));
    let folder = said.uri.rfind('/').map_or("", |at| &said.uri[..=at]);
    let within = |uri: &str| match is_relative(uri) {
        true => Ok(format!("{folder}{uri}")),
        false => Err(unfit("its URLs are not relative")),
    };
    let (mut header, mut uris, mut times) = (None, Vec::new(), vec![0_u64]);
    let mut duration = None;
    for line in text.lines() {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXT-X-BYTERANGE" => return Err(unfit("its segments are parts of files")),
            "#EXT-X-DISCONTINUITY" => return Err(unfit("it has a discontinuity")),
            "#EXT-X-KEY" if attribute(value, "METHOD").as_deref() != Some("NONE") => {
                return Err(unfit("it is encrypted"));
            }
            "#EXT-X-MAP" if header.is_some() => return Err(unfit("it has several headers")),
            "#EXT-X-MAP" => {
                let uri = attribute(value, "URI").filter(|_| !value.contains("BYTERANGE"));
                header = Some(within(&uri.ok_or_else(|| unfit("its header is no file"))?)?);
            }
            "#EXTINF" => duration = value.split(',').next().and_then(micros),
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => {
                let duration = duration.take().filter(|duration| *duration > 0);
                let duration = duration.ok_or_else(|| unfit("a segment has no length"))?;
                times.push(times[times.len() - 1] + duration);
                uris.push(within(line)?);
            }
        }
        if uris.len() > SEGMENTS_MAX {
            return Err(unfit("it has too many segments"));
        }
    }
    if uris.is_empty() || !text.lines().any(|line| line == "#EXT-X-ENDLIST") {
        return Err(unfit("it is not whole"));
    }
    let (name, about) = (said.name.clone(), said.about.clone());
    Ok(Rendition { name, about, timescale: MICROSECONDS, times, header, media: Media::List(uris) })
}

/// Two variants of one playlist differ in what they are combined with.
fn add(to: &mut Vec<Said>, uri: &str, about: About) -> Result<(), Unfit> {
    if !is_relative(uri) {
        return Err(Unfit("its URLs are not relative".to_owned()));
    }
    if to.len() == RENDITIONS_MAX {
        return Err(Unfit(format!("it has more than {RENDITIONS_MAX} renditions")));
    }
    if to.iter().all(|one| one.uri != uri) {
        to.push(Said { name: String::new(), uri: uri.to_owned(), about });
    }
    Ok(())
}

fn is_relative(uri: &str) -> bool {
    !uri.is_empty() && !uri.contains([':', '"']) && !uri.starts_with('/')
}

fn is_sound(codec: &&str) -> bool {
    SOUNDS.iter().any(|sound| codec.starts_with(sound))
}

/// `1280x720`.
fn size(text: &str) -> Option<(u16, u16)> {
    let (width, height) = text.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// `29.970`: so many pictures in a thousand seconds.
fn rate(text: &str) -> Option<(u32, u32)> {
    let thousandth = (text.parse::<f64>().ok()? * 1000.0).round();
    let is_rate = (1.0..=1_000_000.0).contains(&thousandth);
    is_rate.then_some((thousandth as u32, 1000))
}

/// Seconds, of at most a day.
fn micros(text: &str) -> Option<u64> {
    let micros = (text.parse::<f64>().ok()? * f64::from(MICROSECONDS)).round();
    (0.0..=86_400e6).contains(&micros).then_some(micros as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ffmpeg and others write for films.
    const MASTER: &str = "#EXTM3U\n#EXT-X-VERSION:7\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"s\",NAME=\"one, two\",LANGUAGE=\"de\",CHANNELS=\"6\",\
        URI=\"sound/x.m3u8\"\n\
        #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"t\",NAME=\"t\",URI=\"t.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=900,AVERAGE-BANDWIDTH=800,RESOLUTION=640x360,\
        FRAME-RATE=29.970,CODECS=\"avc1.64001e,mp4a.40.2\",AUDIO=\"s\"\n\
        # a comment\nhigh.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=400,CODECS=\"avc1.64000c,mp4a.40.2\",AUDIO=\"s\"\nlow.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=450,CODECS=\"avc1.64000c,mp4a.40.2\",AUDIO=\"u\"\nlow.m3u8\n";

    const MEDIA: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"init.mp4\"\n\
        #EXTINF:2.002,\n1.m4s\n#EXTINF:1.500000,a title\n2.m4s\n#EXT-X-ENDLIST\n";

    #[test]
    fn pictures_and_sounds_are_found() {
        let all = renditions(MASTER).unwrap();
        let names = all.iter().map(|one| (one.name.as_str(), one.uri.as_str()));
        let expected = [("v0", "high.m3u8"), ("v1", "low.m3u8"), ("a2", "sound/x.m3u8")];
        assert_eq!(names.collect::<Vec<_>>(), expected);
        let codecs: Vec<_> = all.iter().map(|one| one.about.codecs.as_str()).collect();
        assert_eq!(codecs, ["avc1.64001e", "avc1.64000c", "mp4a.40.2"]);
        let resolution = (640, 360);
        let carries = Carried::Video { resolution, frame_rate: Some((29_970, 1000)) };
        assert_eq!(all[0].about.carries, carries);
        assert_eq!(all[0].about.bandwidth, Bandwidth { peak: 900, average: 800 });
        assert_eq!(all[2].about.carries, Carried::Audio { channels: 6 });
        assert_eq!(all[2].about.language.as_deref(), Some("de"));
        let alone = renditions("#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"mp4a.40.2\"\nr.m3u8\n");
        assert_eq!(alone.unwrap()[0].name, "a0");
        let muxed = "#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.4d,mp4a.40.2\"\nr.m3u8\n";
        assert_eq!(renditions(muxed).unwrap()[0].about.codecs, "avc1.4d,mp4a.40.2");
    }

    #[test]
    fn a_media_playlist_is_a_list_of_files() {
        let sound = &renditions(MASTER).unwrap()[2];
        let one = rendition(sound, MEDIA).unwrap();
        assert_eq!(one.times, [0, 2_002_000, 3_502_000]);
        assert_eq!(one.header.as_deref(), Some("sound/init.mp4"));
        assert_eq!(one.segment_uri(1), "sound/2.m4s");
        let stream = rendition(sound, &MEDIA.replace("#EXT-X-MAP:URI=\"init.mp4\"\n", ""));
        assert_eq!(stream.unwrap().header, None);
    }

    #[test]
    fn what_is_more_than_that_is_refused() {
        let sound = &renditions(MASTER).unwrap()[2];
        for (from, to, why) in [
            ("#EXT-X-ENDLIST", "", "it is not whole"),
            ("2.002", "x", "a segment has no length"),
            ("1.m4s", "http://x/1.m4s", "its URLs are not relative"),
            ("1.m4s", "/1.m4s", "its URLs are not relative"),
            (
                "#EXTINF:2.002",
                "#EXT-X-BYTERANGE:5@0\n#EXTINF:2.002",
                "its segments are parts of files",
            ),
            ("#EXTINF:2.002", "#EXT-X-DISCONTINUITY\n#EXTINF:2.002", "it has a discontinuity"),
            ("#EXTINF:2.002", "#EXT-X-KEY:METHOD=AES-128\n#EXTINF:2.002", "it is encrypted"),
            ("#EXTINF:1.5", "#EXT-X-MAP:URI=\"b\"\n#EXTINF:1.5", "it has several headers"),
            ("init.mp4\"", "all.mp4\",BYTERANGE=\"8@0\"", "its header is no file"),
        ] {
            let refused = rendition(sound, &MEDIA.replace(from, to));
            assert_eq!(refused.unwrap_err().0, format!("sound/x.m3u8: {why}"));
        }
        let refused = |text: &str| renditions(text).unwrap_err().0;
        assert_eq!(refused(MEDIA), "it names no variants");
        assert_eq!(refused(&MASTER.replace("CODECS", "CODEC")), "a variant has no CODECS");
        assert_eq!(refused(&MASTER.replace("high.", "//x/high.")), "its URLs are not relative");
    }
}
