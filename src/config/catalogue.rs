//! The keys of `[catalogue]`: how often what the libraries hold is looked at for titles.

use super::settings::{Setting, bounded_ms, put, text};
use super::values::duration_text;

/// How catalogues are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Milliseconds from one to the next; 0 = only when somebody asks for it.
    pub every_ms: u64,
}

/// Shortest time between two catalogues, in milliseconds. A library of 100,000 titles takes
/// seconds of a disk; one that takes longer than this is begun again only when it is done.
pub const CATALOGUE_EVERY_MS_MIN: u64 = 1_000;

/// `catalogue.every`.
pub const EVERY: Setting = Setting {
    key: "catalogue.every",
    about: "How often assets, series and episodes are made of what the libraries hold and brought \
            up to date, as `shardcast import folder` does; also at the start. 0 = not by itself.",
    set: |config, given| match bounded_ms(given)? {
        ms if ms == 0 || ms >= CATALOGUE_EVERY_MS_MIN => {
            put(&mut config.catalogue.every_ms, Ok(ms))
        }
        _ => Err(given.blame("is shorter than a second")),
    },
    shown: Some(|config| text(duration_text(config.catalogue.every_ms))),
    reloads: false,
};
