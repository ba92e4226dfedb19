//! The keys of `[guide]`.

use super::super::settings::{Setting, networks, path, put, shown_networks, text};
use super::super::values::{duration_ms, duration_text, size, size_text};
use super::{GUIDE_REFRESH_MS_MAX, GUIDE_REFRESH_MS_MIN};
use crate::units::MIB;

/// Least and most bytes that a limit on guides may be.
const SIZES: std::ops::RangeInclusive<u64> = MIB as u64..=64 * 1024 * MIB as u64;

fn guide_size(text: &str) -> Result<u64, String> {
    let size = size(text)?;
    if SIZES.contains(&size) { Ok(size) } else { Err(format!("{text} is not from 1MiB to 64GiB")) }
}

/// `guide.refresh`.
pub const REFRESH: Setting = Setting {
    key: "guide.refresh",
    about: "How often a source of guides is looked at that says nothing else; up to a tenth later.",
    set: |config, given| {
        let ms = given.read_number_or_text(duration_ms)?;
        if !(GUIDE_REFRESH_MS_MIN..=GUIDE_REFRESH_MS_MAX).contains(&ms) {
            return Err(given.blame("is not between \"5m\" and \"7d\""));
        }
        config.guide.refresh_ms = ms;
        Ok(())
    },
    shown: Some(|config| text(duration_text(config.guide.refresh_ms))),
    reloads: false,
};

/// `guide.download_max`.
pub const DOWNLOAD_MAX: Setting = Setting {
    key: "guide.download_max",
    about: "Most that is fetched of a guide; beyond it the old one stays.",
    set: |config, given| put(&mut config.guide.download_max, given.read_number_or_text(guide_size)),
    shown: Some(|config| text(size_text(config.guide.download_max))),
    reloads: false,
};

/// `guide.unpacked_max`.
pub const UNPACKED_MAX: Setting = Setting {
    key: "guide.unpacked_max",
    about: "Most XML of a guide, unpacked; beyond it the old one stays.",
    set: |config, given| put(&mut config.guide.unpacked_max, given.read_number_or_text(guide_size)),
    shown: Some(|config| text(size_text(config.guide.unpacked_max))),
    reloads: false,
};

/// `guide.networks`.
pub const NETWORKS: Setting = Setting {
    key: "guide.networks",
    about: "Networks inside from which guides may be fetched; others than those of the internet \
            are not called, wherever a name or a redirect leads.",
    set: |config, given| put(&mut config.guide.networks, networks(given)),
    shown: Some(|config| shown_networks(&config.guide.networks)),
    reloads: false,
};

/// `guide.folder`.
pub const FOLDER: Setting = Setting {
    key: "guide.folder",
    about: "Folder of guides that sources may name as their file; \"off\" for none.",
    set: |config, given| {
        let folder = path(given)?;
        config.guide.folder = (folder.as_os_str() != "off").then_some(folder);
        Ok(())
    },
    shown: Some(|config| {
        let folder = config.guide.folder.as_ref();
        text(folder.map_or_else(|| "off".to_owned(), |folder| folder.display().to_string()))
    }),
    reloads: false,
};
