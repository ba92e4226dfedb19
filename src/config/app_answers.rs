//! What `[apps]` says of the answers that subscribers' apps get, how they are told to reach the
//! server, and limits of what is kept for them.

use toml::Value;

use super::settings::{Setting, put, text};
use super::values::{self, size, size_text};
use crate::units::{KIB, MIB};

/// What apps get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apps {
    /// What an app is told whose user or password is none of ours.
    pub refuse: Refuse,
    /// Bytes that catalogues and lists may take, all sets of bouquets together. Beyond it those go
    /// that were asked for the longest time ago, and are made anew for whoever asks.
    pub memory: usize,
    /// Base URLs of the server, without a slash at the end; none = whatever a client came by.
    pub public: Vec<String>,
}

impl Default for Apps {
    fn default() -> Self {
        Self { refuse: Refuse::default(), memory: 512 * MIB, public: Vec::new() }
    }
}

/// What an app is told whose user or password is none of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refuse {
    /// 200, and in the answer that it is so: what apps expect of the panels that they were made
    /// for.
    #[default]
    InAnswer,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
}

impl Refuse {
    const WORDS: [(&'static str, Self); 3] =
        [("auth-0", Self::InAnswer), ("401", Self::Unauthorized), ("403", Self::Forbidden)];

    fn from_word(text: &str) -> Result<Self, String> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, refuse)| *refuse).ok_or_else(|| {
            format!("{text:?} is not known here (write \"auth-0\", \"401\" or \"403\")")
        })
    }

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, refuse)| *refuse == self).map_or("", |(word, _)| word)
    }
}

/// `server.public`.
pub const PUBLIC: Setting = Setting {
    key: "server.public",
    about: "Base URLs that apps are told: the one whose name a client came by, else the first; \
            [] = whatever name it came by.",
    set: |config, given| {
        let read = |text: &str| {
            values::origin(text).map(|()| text.strip_suffix('/').unwrap_or(text).to_owned())
        };
        let public = given.list()?.iter().map(|element| element.read(read)).collect();
        put(&mut config.apps.public, public)
    },
    shown: Some(|config| {
        Value::Array(config.apps.public.iter().map(|base| text(base.as_str())).collect())
    }),
    reloads: false,
};

/// `apps.refuse`.
pub const REFUSE: Setting = Setting {
    key: "apps.refuse",
    about: "What player_api.php says to a user or password that is none of ours: \"auth-0\" = 200 \
            with \"auth\":0, which old apps need; \"401\" or \"403\".",
    set: |config, given| put(&mut config.apps.refuse, given.read(Refuse::from_word)),
    shown: Some(|config| text(config.apps.refuse.word())),
    reloads: false,
};

/// `apps.memory`.
pub const MEMORY: Setting = Setting {
    key: "apps.memory",
    about: "Memory for catalogues and lists as apps get them; beyond it those go that were asked \
            for the longest time ago.",
    set: |config, given| {
        let bytes = given.read_number_or_text(size)?;
        config.apps.memory = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(())
    },
    shown: Some(|config| text(size_text(config.apps.memory as u64))),
    reloads: false,
};

/// Different catalogues and lists that somebody waits for. Beyond it the answer is 503.
pub const CATALOGUES_WAITING_MAX: usize = 256;

/// Lists with one subscriber's addresses that wait to be put together: a few milliseconds each.
/// Beyond it the answer is 503.
pub const PERSONAL_WAITING_MAX: usize = 256;

/// Bytes of lists with one subscriber's addresses that are being sent: 60 of 10,000 channels.
/// Beyond it the answer is 503.
pub const PERSONAL_SIZE_MAX: usize = 256 * MIB;

/// Milliseconds after which a catalogue that nobody asked for is not made anew when something
/// changes, but when somebody asks.
pub const CATALOGUE_IDLE_MS: u64 = 3_600_000;

/// Milliseconds between two looks at whether the registry has changed: a change is seen within 2 s.
pub const CATALOGUE_LOOK_MS: u64 = 150;

/// Milliseconds that a request waits for the registry to be read at the start, or for its plan to
/// be heard of. After it the answer is of what is known, or 503 if nothing is.
pub const CATALOGUE_PATIENCE_MS: u64 = 5_000;

/// Names by which clients come that have catalogues of their own, where `server.public` says
/// nothing. Whoever comes by another one is told the first.
pub const APPS_NAMES_MAX: usize = 16;

/// Entries of a block of a catalogue, at least and at most: what is compressed anew when one of
/// them changes.
pub const BLOCK_ENTRIES_MIN: usize = 32;
/// See `BLOCK_ENTRIES_MIN`.
pub const BLOCK_ENTRIES_MAX: usize = 1024;

/// Bytes of a block of a guide, at least: some channels, or one that has many programmes.
pub const BLOCK_SIZE_MIN: usize = 64 * KIB;

/// Days ahead of a guide, if nobody says how many, and at most.
pub const GUIDE_DAYS: u8 = 3;
/// See `GUIDE_DAYS`.
pub const GUIDE_DAYS_MAX: u8 = 14;

/// Programmes that a short guide has, if the app does not say, and at most.
pub const SHORT_GUIDE: usize = 4;
/// See `SHORT_GUIDE`.
pub const SHORT_GUIDE_MAX: usize = 100;
