//! Names of codecs in MP4 for media that is taken as it is.
//!
//! Transport streams and FLV have numbers for codecs, which ffmpeg's DASH muxer hands on to MP4 as
//! they are, and MP4 refuses them. So a child is told what most media is, and if that is wrong what
//! it says names the right one.

/// What ffmpeg says of a name that is wrong; behind it stands the right one.
const COMPLAINT: &str = "incompatible with output codec id ";

/// Names of sounds; all others are of pictures.
const SOUNDS: [&str; 8] = ["mp4a", "ac-3", "ec-3", "Opus", "fLaC", ".mp3", "alac", "mlpa"];

/// How often in a row they may turn out to be wrong: streams that differ can have no common name.
const TRIES_MAX: u32 = 4;

/// What the pictures and the sounds of an input are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Pictures.
    pub video: String,
    /// Sounds.
    pub audio: String,
    tries: u32,
}

impl Default for Tags {
    fn default() -> Self {
        Self { video: "avc1".to_owned(), audio: "mp4a".to_owned(), tries: 0 }
    }
}

impl Tags {
    /// Learns from what a child said last; true if it is worth another try.
    pub fn learn(&mut self, lines: &[String]) -> bool {
        let said = lines.iter().rev().take(4).find_map(|line| line.split_once(COMPLAINT));
        let named = said.and_then(|(_, behind)| behind.split(['(', ')']).nth(1));
        let Some(name) = named.filter(|name| name.len() == 4 && name.is_ascii()) else {
            return false;
        };
        // What Apple's players take, with its settings in the header.
        let name = if name == "hev1" { "hvc1" } else { name };
        let known = if SOUNDS.contains(&name) { &mut self.audio } else { &mut self.video };
        self.tries += 1;
        if known == name || self.tries > TRIES_MAX {
            return false;
        }
        name.clone_into(known);
        true
    }

    /// It worked.
    pub fn settle(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_name_is_learnt_from_what_ffmpeg_says_of_the_wrong_one() {
        let said = |what: &str| {
            let complaint = format!("[mp4 @ 0x1] [error] Tag avc1 {COMPLAINT}{what}");
            [complaint, "[error] Could not write header".to_owned(), "[error]".to_owned()]
        };
        let mut tags = Tags::default();
        assert!(tags.learn(&said("'173' (hev1)")));
        assert!(tags.learn(&said("'86019' (ac-3)")));
        assert_eq!((tags.video.as_str(), tags.audio.as_str()), ("hvc1", "ac-3"));
        assert!(!tags.learn(&said("'86019' (ac-3)")), "that was no help");
        assert!(!tags.learn(&said("'1' (too long)")) && !tags.learn(&[]));
        tags.settle();
        // Two sounds that differ can't both be right.
        let tries = ["(mp4a)", "(ac-3)"].iter().cycle().take_while(|name| tags.learn(&said(name)));
        assert_eq!(tries.count(), 4);
    }
}
