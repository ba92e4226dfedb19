//! SIGHUP: the config is read again as a whole, and taken only if nothing is wrong with it.

use std::sync::Arc;

use super::supervise::Server;
use super::warn_of;
use crate::config::settings::SETTINGS;
use crate::config::{Config, Library};
use crate::control::Stage;
use crate::messages::Update;
use crate::ops::systemd;

impl Server {
    /// Takes what can be taken while running, and says what needs a restart.
    pub(super) fn reload(&mut self) {
        systemd::reloading();
        let draft = self.sources.read();
        let status = if draft.errors.is_empty() {
            warn_of(&draft);
            self.take(&draft.config);
            self.library.rescan();
            self.status()
        } else {
            for error in &draft.errors {
                tracing::error!(place = %error.place, key = error.key, "config: {}", error.why);
            }
            tracing::error!(errors = draft.errors.len(), "the config is wrong, the old one stays");
            format!("{}; the new config is wrong and was not taken", self.status())
        };
        if self.readiness.stage() == Stage::Ready {
            systemd::ready(&status);
        } else {
            systemd::status(&status);
        }
    }

    fn take(&mut self, new: &Config) {
        let restart = changed(&self.config, new, false);
        if !restart.is_empty() {
            tracing::warn!(keys = restart.join(", "), "changed, and taken at the next restart");
        }
        if libraries_changed(&self.config.libraries, &new.libraries) {
            tracing::warn!(keys = "library", "changed, and taken at the next restart");
        }
        let taken = changed(&self.config, new, true);
        self.config.limits = new.limits.clone();
        let limits = Arc::new(new.limits.clone());
        self.tell(|| Update::Limits(Arc::clone(&limits)));
        tracing::info!(changed = taken.join(", "), "the config was read again");
    }
}

/// The keys that differ, of those that do or don't take effect while running.
fn changed(old: &Config, new: &Config, reloads: bool) -> Vec<&'static str> {
    SETTINGS
        .iter()
        .filter(|setting| setting.reloads == reloads)
        .filter(|setting| setting.shown.is_some_and(|shown| shown(old) != shown(new)))
        .map(|setting| setting.key)
        .collect()
}

fn libraries_changed(old: &[Library], new: &[Library]) -> bool {
    old != new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_apart_by_when_it_takes_effect() {
        let old = Config::default();
        let mut new = old.clone();
        new.shards = 3;
        new.limits.idle_timeout_ms = 1;
        assert_eq!(changed(&old, &new, false), ["server.shards"]);
        assert_eq!(changed(&old, &new, true), ["limits.idle_timeout"]);
    }
}
