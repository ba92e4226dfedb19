//! What is remembered of windows that slide, one a channel, also over a restart.
//!
//! It changes when media does not go on, and when that leaves the window; then it is written down,
//! by the thread that writes texts. A disk that refuses costs no text: the numbers are remembered
//! as long as the server runs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::config::REWIND_FILE_SIZE_MAX;
use crate::library::DiskError;
use crate::library::disk::RealDisk;
use crate::library::hours::make_folder;
use crate::library::state;
use crate::live::catchup::passed::Passed;

/// Windows of channels.
#[derive(Debug, Default)]
pub struct Windows {
    /// Where they are written down; none where nothing of them outlasts the process.
    folder: Option<PathBuf>,
    channels: HashMap<String, Passed>,
}

impl Windows {
    /// Those that are written down in the server's folder.
    #[must_use]
    pub fn in_state(state: &Path) -> Self {
        Self { folder: Some(state.join("rewind")), channels: HashMap::new() }
    }

    /// What is remembered of a channel's.
    pub fn of(&mut self, channel: &str) -> Passed {
        if let Some(known) = self.channels.get(channel) {
            return known.clone();
        }
        let path = self.folder.as_ref().map(|folder| folder.join(channel));
        let loaded = path.map(|path| load(&path)).transpose().unwrap_or_else(|error| {
            tracing::error!(channel, "what was remembered of its rewind is lost: {error}");
            None
        });
        let passed = loaded.unwrap_or_default();
        self.channels.insert(channel.to_owned(), passed.clone());
        passed
    }

    /// Remembers a channel's.
    pub fn put(&mut self, channel: &str, passed: Passed) {
        if self.channels.get(channel) == Some(&passed) {
            return;
        }
        if let Some(folder) = &self.folder
            && let Err(error) = store(folder, channel, &passed)
        {
            tracing::error!(channel, "what its rewind must remember over a restart: {error}");
        }
        self.channels.insert(channel.to_owned(), passed);
    }

    /// Forgets those of channels that are not there; what is written down stays.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.channels.retain(|channel, _| is_there(channel));
    }
}

fn load(path: &Path) -> Result<Passed, DiskError> {
    state::load(&RealDisk, path, REWIND_FILE_SIZE_MAX, Passed::of_text)
}

fn store(folder: &Path, channel: &str, passed: &Passed) -> Result<(), DiskError> {
    make_folder(folder)?;
    state::store(&RealDisk, &folder.join(channel), &passed.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_remembered_over_a_restart_and_a_damaged_one_begins_anew() {
        let place = tempfile::tempdir().unwrap();
        let text = "shardcast rewind 1\ngone 3\nboundary 17\nskipped v 4711 12\nend\n";
        let passed = Passed::of_text(text).unwrap();
        assert_eq!(passed.text(), text);
        let mut windows = Windows::in_state(place.path());
        assert_eq!(windows.of("news"), Passed::default());
        windows.put("news", passed.clone());
        let mut windows = Windows::in_state(place.path());
        assert_eq!((windows.of("news"), windows.of("film")), (passed.clone(), Passed::default()));
        windows.retain(|channel| channel != "news");
        assert_eq!(windows.of("news"), passed);
        for size in 0..text.len() - 1 {
            assert_eq!(Passed::of_text(&text[..size]), None, "{size}");
        }
        std::fs::write(place.path().join("rewind/news"), "gone 3\n").unwrap();
        assert_eq!(Windows::in_state(place.path()).of("news"), Passed::default());
    }
}
