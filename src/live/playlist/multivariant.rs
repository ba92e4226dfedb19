//! The multivariant playlist of HLS: a channel's renditions in, one text out (RFC 8216bis, 4.4.6).
//!
//! Pictures are combined with each group of sounds of one coding; within a group a player chooses
//! by language. Bandwidths are those that were measured: they may change, and the text with them.

use super::put;

/// One rendition.
#[derive(Clone, Debug)]
pub struct Rendition<'r> {
    /// Its name in the channel: the first element of its URLs.
    pub name: &'r str,
    /// What it carries.
    pub carries: Carries<'r>,
    /// Of all of it, as in `CODECS`.
    pub codecs: &'r str,
    /// Bits a second.
    pub bandwidth: Bandwidth,
}

/// What a rendition carries.
#[derive(Clone, Copy, Debug)]
pub enum Carries<'r> {
    /// Pictures, maybe with sound in the same segments.
    Video {
        /// Pixels across and down.
        resolution: (u16, u16),
        /// Pictures in so many seconds; none if nobody knows.
        frame_rate: Option<(u32, u32)>,
    },
    /// Sound.
    Audio {
        /// A language tag (RFC 5646).
        language: Option<&'r str>,
        /// How many.
        channels: u16,
    },
    /// Subtitles.
    Text {
        /// A language tag.
        language: Option<&'r str>,
    },
}

/// Bits a second, with everything that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// Of the largest segment.
    pub peak: u64,
    /// Of all of them.
    pub average: u64,
}

/// The playlist; `media` is the name of the renditions' own playlists.
///
/// Renditions come in the order in which a player should find them: the first picture and the first
/// sound are what it begins with.
#[must_use]
pub fn multivariant(renditions: &[Rendition<'_>], media: &str) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    let is_video = |one: &&Rendition<'_>| matches!(one.carries, Carries::Video { .. });
    let has_video = renditions.iter().any(|one| is_video(&one));
    let groups = audio_groups(renditions);
    // Without pictures the sounds are what is chosen from.
    if has_video {
        for group in &groups {
            for (at, audio) in group.members.iter().enumerate() {
                write_media(&mut text, "AUDIO", &group.id(), audio, at == 0, media);
            }
        }
    }
    let texts = subtitles(renditions);
    for subtitles in &texts {
        write_media(&mut text, "SUBTITLES", "text", subtitles, false, media);
    }
    if !has_video {
        for audio in groups.iter().flat_map(|group| &group.members) {
            write_variant(&mut text, audio, None, &texts, media);
        }
        return text;
    }
    for video in renditions.iter().filter(is_video) {
        if groups.is_empty() {
            write_variant(&mut text, video, None, &texts, media);
        }
        for group in &groups {
            write_variant(&mut text, video, Some(group), &texts, media);
        }
    }
    text
}

/// The subtitles that are listed. A player shows all of a group, and takes whichever of a language
/// comes first, so each language is listed in one coding: TTML where there is some, which is read
/// in boxes by players that do not read WebVTT there (hls.js 1.7).
fn subtitles<'r>(renditions: &'r [Rendition<'r>]) -> Vec<&'r Rendition<'r>> {
    let is_ttml = |one: &Rendition<'_>| one.codecs.starts_with("stpp");
    let language = |one: &Rendition<'r>| match one.carries {
        Carries::Text { language } => Some(language),
        Carries::Video { .. } | Carries::Audio { .. } => None,
    };
    let ttml: Vec<_> = renditions.iter().filter(|one| is_ttml(one)).filter_map(language).collect();
    let is_listed = |one: &&Rendition<'r>| {
        language(one).is_some_and(|language| is_ttml(one) || !ttml.contains(&language))
    };
    renditions.iter().filter(is_listed).collect()
}

/// The line of a picture's playlist for fast winding, where that is known to have so many bits a
/// second.
pub fn write_key_frames(text: &mut String, one: &Rendition<'_>, peak: u64, media: &str) {
    let Carries::Video { resolution: (width, height), .. } = one.carries else { return };
    // Sound in the same segments is not played.
    let codecs = one.codecs.split(',').next().unwrap_or_default();
    put(
        text,
        format_args!(
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={peak},CODECS=\"{codecs}\",\
             RESOLUTION={width}x{height},URI=\"{}/{media}\"\n",
            one.name
        ),
    );
}

/// Sounds of one coding, between which a player may change at any time.
struct Group<'r> {
    codecs: &'r str,
    number: usize,
    members: Vec<&'r Rendition<'r>>,
}

impl Group<'_> {
    fn id(&self) -> String {
        format!("audio{}", self.number)
    }

    fn bandwidth(&self) -> Bandwidth {
        let most = |of: fn(&Bandwidth) -> u64| {
            self.members.iter().map(|one| of(&one.bandwidth)).max().unwrap_or(0)
        };
        Bandwidth { peak: most(|one| one.peak), average: most(|one| one.average) }
    }
}

fn audio_groups<'r>(renditions: &'r [Rendition<'r>]) -> Vec<Group<'r>> {
    let mut groups: Vec<Group<'r>> = Vec::new();
    for one in renditions {
        if !matches!(one.carries, Carries::Audio { .. }) {
            continue;
        }
        let known = groups.iter().position(|group| group.codecs == one.codecs);
        let at = known.unwrap_or_else(|| {
            let number = groups.len();
            groups.push(Group { codecs: one.codecs, number, members: Vec::new() });
            number
        });
        groups[at].members.push(one);
    }
    groups
}

fn write_media(
    text: &mut String,
    kind: &str,
    group: &str,
    one: &Rendition<'_>,
    is_first: bool,
    media: &str,
) {
    let (language, channels) = match one.carries {
        Carries::Audio { language, channels } => (language, Some(channels)),
        Carries::Text { language } => (language, None),
        Carries::Video { .. } => (None, None),
    };
    // A name within a group is one rendition's only; its own is.
    let name = one.name;
    put(text, format_args!("#EXT-X-MEDIA:TYPE={kind},GROUP-ID=\"{group}\",NAME=\"{name}\""));
    if let Some(language) = language {
        put(text, format_args!(",LANGUAGE=\"{language}\""));
    }
    let default = if is_first { "YES" } else { "NO" };
    put(text, format_args!(",DEFAULT={default},AUTOSELECT=YES"));
    if let Some(channels) = channels {
        put(text, format_args!(",CHANNELS=\"{channels}\""));
    }
    put(text, format_args!(",URI=\"{name}/{media}\"\n"));
}

fn write_variant(
    text: &mut String,
    one: &Rendition<'_>,
    group: Option<&Group<'_>>,
    texts: &[&Rendition<'_>],
    media: &str,
) {
    let more = group.map_or(Bandwidth { peak: 0, average: 0 }, Group::bandwidth);
    let peak = one.bandwidth.peak + more.peak;
    let average = one.bandwidth.average + more.average;
    put(text, format_args!("#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}"));
    // Of everything that may be played together, each once.
    let mut codecs = vec![one.codecs, group.map_or("", |group| group.codecs)];
    for text in texts {
        if !codecs.contains(&text.codecs) {
            codecs.push(text.codecs);
        }
    }
    codecs.retain(|codecs| !codecs.is_empty());
    put(text, format_args!(",CODECS=\"{}\"", codecs.join(",")));
    if let Carries::Video { resolution: (width, height), frame_rate } = one.carries {
        put(text, format_args!(",RESOLUTION={width}x{height}"));
        if let Some(millis) = frame_rate.and_then(|(pictures, seconds)| {
            (u64::from(pictures) * 1000 + u64::from(seconds) / 2).checked_div(u64::from(seconds))
        }) {
            put(text, format_args!(",FRAME-RATE={}.{:03}", millis / 1000, millis % 1000));
        }
    }
    if let Some(group) = group {
        put(text, format_args!(",AUDIO=\"{}\"", group.id()));
    }
    let subtitles = if texts.is_empty() { "" } else { ",SUBTITLES=\"text\"" };
    put(text, format_args!("{subtitles}\n{}/{media}\n", one.name));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(name: &'static str, resolution: (u16, u16), peak: u64) -> Rendition<'static> {
        Rendition {
            name,
            carries: Carries::Video { resolution, frame_rate: Some((30_000, 1001)) },
            codecs: "avc1.4d401f",
            bandwidth: Bandwidth { peak, average: peak / 2 },
        }
    }

    fn audio(
        name: &'static str,
        codecs: &'static str,
        language: &'static str,
    ) -> Rendition<'static> {
        Rendition {
            name,
            carries: Carries::Audio { language: Some(language), channels: 2 },
            codecs,
            bandwidth: Bandwidth { peak: 128_000, average: 96_000 },
        }
    }

    #[test]
    fn pictures_are_combined_with_each_coding_of_sound() {
        let text = Rendition {
            name: "s-de",
            carries: Carries::Text { language: Some("de") },
            codecs: "wvtt",
            bandwidth: Bandwidth { peak: 500, average: 100 },
        };
        let renditions = [
            video("v720", (1280, 720), 3_000_000),
            video("v360", (640, 360), 800_000),
            audio("a-de", "mp4a.40.2", "de"),
            audio("a-en", "mp4a.40.2", "en"),
            audio("a-surround", "ec-3", "de"),
            text,
        ];
        assert_eq!(
            multivariant(&renditions, "index.m3u8"),
            "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio0\",NAME=\"a-de\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a-de/index.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio0\",NAME=\"a-en\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a-en/index.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio1\",NAME=\"a-surround\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a-surround/index.m3u8\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"s-de\",LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,URI=\"s-de/index.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=3128000,AVERAGE-BANDWIDTH=1596000,CODECS=\"avc1.4d401f,mp4a.40.2,wvtt\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio0\",SUBTITLES=\"text\"
v720/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=3128000,AVERAGE-BANDWIDTH=1596000,CODECS=\"avc1.4d401f,ec-3,wvtt\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio1\",SUBTITLES=\"text\"
v720/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=928000,AVERAGE-BANDWIDTH=496000,CODECS=\"avc1.4d401f,mp4a.40.2,wvtt\",RESOLUTION=640x360,FRAME-RATE=29.970,AUDIO=\"audio0\",SUBTITLES=\"text\"
v360/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=928000,AVERAGE-BANDWIDTH=496000,CODECS=\"avc1.4d401f,ec-3,wvtt\",RESOLUTION=640x360,FRAME-RATE=29.970,AUDIO=\"audio1\",SUBTITLES=\"text\"
v360/index.m3u8
"
        );
    }

    #[test]
    fn subtitles_of_a_language_are_listed_in_one_coding() {
        let text = |name, codecs, language| Rendition {
            name,
            carries: Carries::Text { language },
            codecs,
            bandwidth: Bandwidth { peak: 500, average: 100 },
        };
        let renditions = [
            video("v", (64, 36), 1000),
            text("vtt-de", "wvtt", Some("de")),
            text("ttml-de", "stpp.ttml.im1t", Some("de")),
            text("vtt-en", "wvtt", Some("en")),
            text("vtt-en-hearing", "wvtt", Some("en")),
            text("vtt", "wvtt", None),
        ];
        let text = multivariant(&renditions, "index.m3u8");
        let names = ["\"ttml-de\"", "\"vtt-en\"", "\"vtt-en-hearing\"", "\"vtt\""];
        let listed = text.lines().filter(|line| line.contains("TYPE=SUBTITLES"));
        let listed: Vec<_> = listed.collect();
        assert_eq!(listed.len(), names.len(), "{text}");
        assert!(listed.iter().zip(names).all(|(line, name)| line.contains(name)), "{text}");
        assert!(text.contains("CODECS=\"avc1.4d401f,stpp.ttml.im1t,wvtt\""), "{text}");
    }

    #[test]
    fn a_radio_has_variants_of_sound() {
        let renditions = [audio("a", "mp4a.40.2", "de")];
        assert_eq!(
            multivariant(&renditions, "ll.m3u8"),
            "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=128000,AVERAGE-BANDWIDTH=96000,CODECS=\"mp4a.40.2\"
a/ll.m3u8
"
        );
    }

    #[test]
    fn pictures_have_a_playlist_for_winding() {
        let mut text = String::new();
        let both = Rendition { codecs: "avc1.42c00a,mp4a.40.2", ..video("p", (64, 36), 1000) };
        write_key_frames(&mut text, &both, 320, "iframes.m3u8");
        write_key_frames(&mut text, &audio("a", "mp4a.40.2", "de"), 1, "iframes.m3u8");
        assert_eq!(
            text,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=320,CODECS=\"avc1.42c00a\",RESOLUTION=64x36,\
URI=\"p/iframes.m3u8\"\n"
        );
    }

    #[test]
    fn pictures_with_their_own_sound_stand_alone() {
        let both = Rendition { codecs: "avc1.42c00a,mp4a.40.2", ..video("p", (64, 36), 1000) };
        let text = multivariant(&[both], "index.m3u8");
        assert!(text.contains("CODECS=\"avc1.42c00a,mp4a.40.2\",RESOLUTION=64x36"), "{text}");
        assert!(!text.contains("AUDIO="), "{text}");
    }
}
