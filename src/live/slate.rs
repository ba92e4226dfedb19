//! Slates: short films with a sentence, for viewers who get nothing else (`[slates]`).
//!
//! A transport stream of a few seconds comes in and is repeated (`passes`); playlists are written
//! of the clock alone (`text`), so that every viewer of a slate sees the same and every server says
//! the same. Which language is a viewer's is `language`, which channels are off air `on_air`. All
//! of it is put together once, at the start.

pub mod language;
pub mod on_air;
pub mod passes;
pub mod text;

use crate::config::slates::SlateReason;
use crate::units::Ticks;
use on_air::OnAir;

use std::sync::Arc;

/// All slates of a server; none where the config names no folder.
#[derive(Debug, Default)]
pub struct Slates {
    /// Tags, in the order of the config: the first is for whoever says none.
    pub languages: Arc<[String]>,
    /// For each of these there is one in each language.
    pub reasons: Vec<SlateReason>,
    /// By reason, and of a reason by language.
    pub slates: Vec<Slate>,
    /// Channels that can be off air.
    pub channels: Vec<on_air::Watched>,
}

/// One slate.
#[derive(Debug)]
pub struct Slate {
    /// Below `/slate/`. It has a hash of the media in it, so that names are never used again.
    pub folder: String,
    /// Where segments end, in milliseconds from the beginning; at least one.
    pub ends_ms: Vec<u64>,
    /// How fast its transport stream is sent, in kilobits a second.
    pub kbps: u32,
    /// Paths of what is listed of it: the multivariant playlist,
    pub master: String,
    /// the playlist that ends,
    pub film: String,
    /// and the transport stream.
    pub stream: String,
}

/// Which slate: its place among all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlateIndex(pub u16);

impl Slates {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slates.is_empty()
    }

    /// The one for this reason in a language.
    #[must_use]
    pub fn find(&self, reason: SlateReason, language: usize) -> Option<(SlateIndex, &Slate)> {
        let row = self.reasons.iter().position(|known| *known == reason)?;
        let at = row * self.languages.len() + language.min(self.languages.len().checked_sub(1)?);
        Some((SlateIndex(u16::try_from(at).ok()?), self.slates.get(at)?))
    }

    /// The one in this folder.
    #[must_use]
    pub fn in_folder(&self, folder: &str) -> Option<SlateIndex> {
        let at = self.slates.iter().position(|slate| slate.folder == folder)?;
        u16::try_from(at).ok().map(SlateIndex)
    }

    /// The one at this place, if there is one.
    #[must_use]
    pub fn get(&self, index: SlateIndex) -> Option<&Slate> {
        self.slates.get(usize::from(index.0))
    }
}

/// What a shard knows of slates.
#[derive(Debug, Default)]
pub struct Shown {
    /// Which there are.
    pub slates: Arc<Slates>,
    /// Which channels are on air.
    pub on_air: OnAir,
}

impl Shown {
    /// With these, from now on.
    #[must_use]
    pub fn new(slates: Arc<Slates>, now: Ticks) -> Self {
        let on_air = OnAir::new(&slates.channels, now);
        Self { slates, on_air }
    }
}

#[cfg(test)]
pub(crate) fn fixture() -> Slates {
    let slate = |reason: &str, language: &str| {
        let folder = format!("{reason}.{language}.01234567");
        Slate {
            ends_ms: vec![3840, 7680, 11_520],
            kbps: 200,
            master: format!("/slate/{folder}/master.m3u8"),
            film: format!("/slate/{folder}/film.m3u8"),
            stream: format!("/slate/{folder}/stream.ts"),
            folder,
        }
    };
    let reasons = vec![SlateReason::Limit, SlateReason::OffAir];
    let languages: Arc<[String]> = ["en", "de"].map(str::to_owned).into();
    let both = |reason: &SlateReason| ["en", "de"].map(|of| slate(reason.word(), of));
    let slates = reasons.iter().flat_map(both).collect();
    Slates { languages, reasons, slates, channels: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slate_is_found_by_reason_and_language() {
        let slates = fixture();
        for (reason, language, expected) in [
            (SlateReason::Limit, 0, Some("limit.en.01234567")),
            (SlateReason::Limit, 1, Some("limit.de.01234567")),
            (SlateReason::OffAir, 1, Some("off-air.de.01234567")),
            // Whoever was told of languages that there are not any more gets one that there is.
            (SlateReason::OffAir, 7, Some("off-air.de.01234567")),
            (SlateReason::Blocked, 0, None),
        ] {
            let found = slates.find(reason, language);
            assert_eq!(found.map(|(_, slate)| &*slate.folder), expected, "{reason:?} {language}");
            if let Some((index, slate)) = found {
                assert_eq!(slates.in_folder(&slate.folder), Some(index));
            }
        }
        assert!(Slates::default().find(SlateReason::Limit, 0).is_none());
        assert_eq!(slates.in_folder("limit.en"), None);
    }
}
