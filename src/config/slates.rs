//! Slates: what `[slates]` says of the pictures that refused viewers see, and limits around them.

use std::path::PathBuf;

use toml::Value;

use super::given::{Given, Wrong};
use super::settings::path;
use crate::units::MIB;

pub mod settings;

/// Languages that there are slates in. Beyond it the config is refused; each costs a slate a
/// reason.
pub const SLATE_LANGUAGES_MAX: usize = 32;

/// Longest language tag, in letters (RFC 5646, 4.4.1). A longer one is none.
pub const LANGUAGE_TAG_SIZE_MAX: usize = 35;

/// Largest file of a slate, in bytes: ours have some 300 KiB. A larger one is refused at the start.
pub const SLATE_FILE_SIZE_MAX: u64 = 8 * MIB as u64;

/// Milliseconds of a slate's transport stream at least, unless that would take more than
/// `SLATE_FILE_SIZE_MAX` twice: the file is repeated. Then the stream ends, and whoever wants to
/// go on asks again, which may be in time for what was paid for.
pub const SLATE_STREAM_MS: u64 = 60_000;

/// Memory that all slates may take, in bytes. With more the server does not start.
pub const SLATES_SIZE_MAX: u64 = 512 * MIB as u64;

/// Segments of a slate, and so lines of its playlist. A file with more key frames is cut at fewer
/// of them.
pub const SLATE_SEGMENTS_MAX: usize = 256;

/// Shortest segment of a slate, in milliseconds: key frames that come sooner are passed over.
pub const SLATE_SEGMENT_MS_MIN: u64 = 1_000;

/// Longest segment of a slate, in milliseconds: who comes waits for nothing, and a live playlist
/// lists four. A file with a longer distance between key frames is refused at the start.
pub const SLATE_SEGMENT_MS_MAX: u64 = 20_000;

/// Languages that are read of one `Accept-Language`. The rest is not looked at.
pub const LANGUAGES_ACCEPTED_MAX: usize = 16;

/// What there can be slates for. Whoever is refused for another reason is told as ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlateReason {
    /// The subscriber watches at as many places as it may.
    Limit,
    /// What was paid for has ended, or the token has.
    Expired,
    /// An operator has shut the subscriber out.
    Blocked,
    /// Nothing comes of the channel.
    OffAir,
}

impl SlateReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Limit, Self::Expired, Self::Blocked, Self::OffAir];

    /// As files and the config call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Expired => "expired",
            Self::Blocked => "blocked",
            Self::OffAir => "off-air",
        }
    }

    /// The one of this word.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn from_word(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|reason| reason.word() == word).ok_or_else(|| {
            format!("{word:?} is none (write \"limit\", \"expired\", \"blocked\" or \"off-air\")")
        })
    }
}

/// Which slates there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Where `limit.en.ts` and so on lie; none = refused viewers see no slates.
    pub path: Option<PathBuf>,
    /// In which languages. The first is for whoever says none.
    pub languages: Vec<String>,
    /// For which reasons.
    pub reasons: Vec<SlateReason>,
}

impl Default for Section {
    fn default() -> Self {
        let languages = vec!["en".to_owned()];
        Self { path: None, languages, reasons: SlateReason::ALL.to_vec() }
    }
}

impl Section {
    /// Every file that there has to be: its name, and what it is.
    pub fn files(&self) -> impl Iterator<Item = (String, SlateReason, usize)> {
        let languages = || self.languages.iter().enumerate();
        self.reasons.iter().flat_map(move |reason| {
            languages().map(|(at, language)| (file_name(*reason, language), *reason, at))
        })
    }

    pub(super) fn set_path(&mut self, given: Given<'_>) -> Result<(), Wrong> {
        let path = path(given)?;
        self.path = (path.as_os_str() != "off").then_some(path);
        Ok(())
    }

    pub(super) fn set_languages(&mut self, given: Given<'_>) -> Result<(), Wrong> {
        let mut languages: Vec<String> = Vec::new();
        for one in given.few(SLATE_LANGUAGES_MAX, "write [\"en\"]")? {
            let language = one.read(language_tag)?;
            if languages.iter().any(|known| known.eq_ignore_ascii_case(&language)) {
                return Err(one.blame(format!("{language:?} stands here twice")));
            }
            languages.push(language);
        }
        self.languages = languages;
        Ok(())
    }

    pub(super) fn set_reasons(&mut self, given: Given<'_>) -> Result<(), Wrong> {
        let mut reasons = Vec::new();
        for one in given.few(SlateReason::ALL.len(), "leave out slates.path")? {
            reasons.push(one.read(SlateReason::from_word)?);
        }
        reasons.sort_unstable();
        reasons.dedup();
        self.reasons = reasons;
        Ok(())
    }

    pub(super) fn shown_path(&self) -> Value {
        let path = self.path.as_ref();
        Value::String(path.map_or_else(|| "off".to_owned(), |path| path.display().to_string()))
    }

    pub(super) fn shown_languages(&self) -> Value {
        Value::Array(self.languages.iter().cloned().map(Value::String).collect())
    }

    pub(super) fn shown_reasons(&self) -> Value {
        let word = |reason: &SlateReason| Value::String(reason.word().to_owned());
        Value::Array(self.reasons.iter().map(word).collect())
    }
}

/// The file of a slate.
#[must_use]
pub fn file_name(reason: SlateReason, language: &str) -> String {
    format!("{}.{language}.ts", reason.word())
}

/// A language tag that has the shape of one (RFC 5646, 2.1): subtags of one to eight letters and
/// digits, the first of them letters.
///
/// # Errors
///
/// It has not.
pub fn language_tag(text: &str) -> Result<String, String> {
    let is_subtag = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let first = text.split('-').next().unwrap_or_default();
    let starts = first.len() >= 2 && first.bytes().all(|byte| byte.is_ascii_alphabetic());
    if starts && text.len() <= LANGUAGE_TAG_SIZE_MAX && text.split('-').all(is_subtag) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no language (write \"en\" or \"pt-BR\")"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_tags_are_told_from_what_is_none() {
        for good in ["en", "pt-BR", "zh-Hant-TW", "sr-Latn", "de-1996"] {
            assert_eq!(language_tag(good).as_deref(), Ok(good));
        }
        let long = format!("en{}", "-abcdefgh".repeat(4));
        for bad in ["", "e", "en-", "-en", "en_US", "1en", "../en", "en/x", "en.ts", "ü", &long] {
            assert!(language_tag(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_reason_and_language_has_a_file() {
        let languages = vec!["en".to_owned(), "de".to_owned()];
        let reasons = vec![SlateReason::Limit, SlateReason::OffAir];
        let section = Section { path: None, languages, reasons };
        let names: Vec<_> = section.files().map(|(name, ..)| name).collect();
        assert_eq!(names, ["limit.en.ts", "limit.de.ts", "off-air.en.ts", "off-air.de.ts"]);
        for reason in SlateReason::ALL {
            assert_eq!(SlateReason::from_word(reason.word()), Ok(reason));
        }
    }
}
