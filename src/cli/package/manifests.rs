//! The two manifests, with what ffmpeg leaves out or only guesses: measured bit rates, frame rates,
//! codecs, languages.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::probe::Source;
use super::renditions::{Rendition, measured};

/// What ffmpeg's DASH manifest says of a representation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Representation {
    codecs: String,
    width: String,
    height: String,
    frame_rate: Option<String>,
}

/// Puts the manifests of a folder in order. Renditions are numbered: pictures, then audio.
pub fn finish(folder: &Path, source: &Source, videos: usize) -> io::Result<()> {
    let path = folder.join("manifest.mpd");
    let mut manifest = fs::read_to_string(&path)?;
    let mut renditions = Vec::new();
    for id in 0..videos + source.audio.len() {
        let rendition = measured(folder, id)?;
        let (representation, corrected) = corrected(&manifest, &rendition)
            .ok_or_else(|| io::Error::other(format!("ffmpeg's manifest lacks rendition {id}")))?;
        manifest = corrected;
        fs::write(folder.join(format!("media_{id}.m3u8")), &rendition.playlist)?;
        renditions.push((rendition, representation));
    }
    fs::write(&path, manifest)?;
    fs::write(folder.join("master.m3u8"), master(&renditions, source, videos))
}

/// What the manifest says of a rendition; and the manifest with the rendition's measured bit rate.
fn corrected(manifest: &str, rendition: &Rendition) -> Option<(Representation, String)> {
    let start = manifest.find(&format!("<Representation id=\"{}\"", rendition.id))?;
    let end = start + manifest[start..].find('>')?;
    let tag = &manifest[start..end];
    // The frame rate stands at the set, if all of its renditions have the same.
    let set = manifest[..start].rfind("<AdaptationSet")?;
    let set = &manifest[set..set + manifest[set..].find('>')?];
    let representation = Representation {
        codecs: attribute(tag, "codecs")?.to_owned(),
        width: attribute(tag, "width").unwrap_or_default().to_owned(),
        height: attribute(tag, "height").unwrap_or_default().to_owned(),
        frame_rate: attribute(tag, "frameRate")
            .or_else(|| attribute(set, "frameRate"))
            .and_then(frame_rate),
    };
    let said = format!("bandwidth=\"{}\"", attribute(tag, "bandwidth")?);
    let tag = tag.replace(&said, &format!("bandwidth=\"{}\"", rendition.peak));
    Some((representation, [&manifest[..start], &tag, &manifest[end..]].concat()))
}

/// The value of an attribute of a tag that ffmpeg wrote.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// "30000/1001" as HLS has it: "29.970".
fn frame_rate(fraction: &str) -> Option<String> {
    let (over, under) = fraction.split_once('/').unwrap_or((fraction, "1"));
    let (over, under) = (over.parse::<f64>().ok()?, under.parse::<f64>().ok()?);
    (over > 0.0 && under > 0.0).then(|| format!("{:.3}", over / under))
}

/// The multivariant playlist.
fn master(renditions: &[(Rendition, Representation)], source: &Source, videos: usize) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    let (videos, audios) = renditions.split_at(videos);
    for (index, ((rendition, _), audio)) in audios.iter().zip(&source.audio).enumerate() {
        let name = audio.language.clone().unwrap_or_else(|| format!("Audio {}", index + 1));
        // Names of a group must differ.
        let taken = source.audio[..index].iter().any(|earlier| earlier.language == audio.language);
        let name = if taken { format!("{name} {}", index + 1) } else { name };
        let language = audio.language.as_ref().map(|code| format!(",LANGUAGE=\"{code}\""));
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{name}\"{},DEFAULT={},\
             AUTOSELECT=YES,CHANNELS=\"2\",URI=\"media_{}.m3u8\"",
            language.unwrap_or_default(),
            if index == 0 { "YES" } else { "NO" },
            rendition.id
        );
    }
    let largest = |of: fn(&Rendition) -> u64| {
        audios.iter().map(|(rendition, _)| of(rendition)).max().unwrap_or_default()
    };
    for (rendition, said) in videos {
        let bandwidth = rendition.peak + largest(|audio| audio.peak);
        let average = rendition.average + largest(|audio| audio.average);
        let mut codecs = vec![said.codecs.as_str()];
        codecs.extend(audios.first().map(|(_, audio)| audio.codecs.as_str()));
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},AVERAGE-BANDWIDTH={average},\
             RESOLUTION={}x{},CODECS=\"{}\"",
            said.width,
            said.height,
            codecs.join(",")
        );
        if let Some(rate) = &said.frame_rate {
            let _ = write!(text, ",FRAME-RATE={rate}");
        }
        if !audios.is_empty() {
            text.push_str(",AUDIO=\"audio\"");
        }
        let _ = writeln!(text, "\nmedia_{}.m3u8", rendition.id);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::probe::Audio;
    use super::*;

    const MANIFEST: &str = "<MPD><AdaptationSet id=\"0\" frameRate=\"30000/1001\">\n\
        <Representation id=\"0\" mimeType=\"video/mp4\" codecs=\"avc1.64001e\" bandwidth=\"800000\" \
        width=\"640\" height=\"360\" sar=\"1:1\">\n</Representation></AdaptationSet>\
        <AdaptationSet id=\"1\"><Representation id=\"1\" codecs=\"mp4a.40.2\" bandwidth=\"128000\">";

    fn rendition(id: usize, peak: u64) -> Rendition {
        Rendition { id, peak, average: peak / 2, playlist: String::new() }
    }

    #[test]
    fn the_manifest_says_the_measured_rate() {
        let (said, manifest) = corrected(MANIFEST, &rendition(0, 1234)).unwrap();
        assert_eq!(said.codecs, "avc1.64001e");
        assert_eq!(said.frame_rate.as_deref(), Some("29.970"));
        assert!(manifest.contains("bandwidth=\"1234\" width=\"640\""), "{manifest}");
        assert!(manifest.contains("bandwidth=\"128000\""));
        assert_eq!(corrected(MANIFEST, &rendition(2, 1)), None);
    }

    #[test]
    fn the_master_names_everything_a_player_chooses_by() {
        let audio = |code: Option<&str>| Audio { language: code.map(str::to_owned) };
        let source = Source {
            height: 360,
            duration: Duration::ZERO,
            audio: vec![audio(Some("deu")), audio(None)],
        };
        let (video, _) = corrected(MANIFEST, &rendition(0, 1000)).unwrap();
        let (sound, _) = corrected(MANIFEST, &rendition(1, 100)).unwrap();
        let renditions = [
            (rendition(0, 1000), video),
            (rendition(1, 100), sound.clone()),
            (rendition(2, 50), sound),
        ];
        assert_eq!(
            master(&renditions, &source, 1),
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"deu\",LANGUAGE=\"deu\",DEFAULT=YES,\
             AUTOSELECT=YES,CHANNELS=\"2\",URI=\"media_1.m3u8\"\n\
             #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio 2\",DEFAULT=NO,\
             AUTOSELECT=YES,CHANNELS=\"2\",URI=\"media_2.m3u8\"\n\
             #EXT-X-STREAM-INF:BANDWIDTH=1100,AVERAGE-BANDWIDTH=550,RESOLUTION=640x360,\
             CODECS=\"avc1.64001e,mp4a.40.2\",FRAME-RATE=29.970,AUDIO=\"audio\"\nmedia_0.m3u8\n"
        );
    }
}
