//! SIGHUP: the config is read again as a whole, and taken only if nothing is wrong with it.

use std::sync::Arc;

use super::supervise::Server;
use super::warn_of;
use crate::config::settings::SETTINGS;
use crate::config::{Config, Library, Limits};
use crate::control::Stage;
use crate::control::foreign;
use crate::control::lineup::InFile;
use crate::control::outside::Outside;
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
            self.control.take_channels(InFile::of(&draft));
            if let Some(catalogue) = &self.catalogue {
                catalogue.take_channels(&draft.config.channels);
            }
            self.take_certificate();
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

    /// The files of the certificate that the server was started with, as they are now: they are
    /// renewed in their place. Other files are taken at the next restart.
    fn take_certificate(&self) {
        let files = self.config.admin_port.tls.as_ref();
        let Some((certificate, files)) = self.certificate.as_ref().zip(files) else { return };
        match certificate.read_again(files) {
            Ok(()) => tracing::info!("the certificate of the admin port was read again"),
            Err(error) => tracing::error!(%error, "admin.tls is wrong, the old certificate stays"),
        }
    }

    fn take(&mut self, new: &Config) {
        let mut restart = changed(&self.config, new, false);
        if access_changed(&self.config.libraries, &new.libraries) {
            restart.push("library.access");
        }
        if !restart.is_empty() {
            tracing::warn!(keys = restart.join(", "), "changed, and taken at the next restart");
        }
        let mut taken = changed(&self.config, new, true);
        let libraries = libraries(&self.config.libraries, &new.libraries);
        if libraries != self.config.libraries {
            taken.push("library.path");
        }
        self.config.libraries = libraries;
        self.config.limits = limits(&self.config.limits, &new.limits);
        self.control.take_libraries(self.config.libraries.clone(), self.config.access);
        self.library.reload(&for_library(&self.config, new));
        self.take_channels(new);
        self.take_foreign(new);
        self.take_outside(new);
        let limits = Arc::new(self.config.limits.clone());
        self.tell(|| Update::Limits(Arc::clone(&limits)));
        self.control.take(limits);
        tracing::info!(changed = taken.join(", "), "the config was read again");
    }
}

impl Server {
    /// What verifies tokens of others. Key files are read again, whatever the config says.
    fn take_foreign(&mut self, new: &Config) {
        if let Err(why) = self.exchange.reload(new) {
            tracing::error!(why, "the keys of [[token]] can't be read, the old ones stay");
            return;
        }
        self.config.tokens.clone_from(&new.tokens);
        if let Some(log) = &self.log {
            log.redact(&new.tokens);
        }
        let watched = foreign::watched(new);
        self.tell(|| Update::Foreign(Arc::clone(&watched)));
    }

    /// Who is asked besides, and where addresses are. Files are read again, whatever the config
    /// says.
    fn take_outside(&mut self, new: &Config) {
        match Outside::open(&new.outside) {
            Ok(outside) => {
                self.config.outside.clone_from(&new.outside);
                self.control.take_outside(outside);
            }
            Err(wrong) => {
                for (key, why) in wrong {
                    tracing::error!(key, why, "this can't be read, the old [hook] and [geo] stay");
                }
            }
        }
    }
}

/// The limits that hold from now on. How descriptors are shared out between connections and sources
/// was settled when the server started.
fn limits(old: &Limits, new: &Limits) -> Limits {
    Limits { connections: old.connections, open_sources: old.open_sources, ..new.clone() }
}

/// The libraries that hold from now on: the new ones; of those that stay, with the old access.
fn libraries(old: &[Library], new: &[Library]) -> Vec<Library> {
    let known = |library: &Library| old.iter().find(|old| old.path == library.path);
    new.iter().map(|library| known(library).unwrap_or(library).clone()).collect()
}

/// What the library takes. One that is added is watched by whom the config allows that names it:
/// the default access of old may let in everybody.
fn for_library(now: &Config, new: &Config) -> Config {
    Config { access: new.access, ..now.clone() }
}

/// Whether somebody else may watch a library that stays.
fn access_changed(old: &[Library], new: &[Library]) -> bool {
    libraries(old, new) != new
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Access;

    #[test]
    fn what_changed_is_told_apart_by_when_it_takes_effect() {
        let old = Config::default();
        let mut new = old.clone();
        new.shards = 3;
        new.ingest = None;
        new.limits.idle_timeout_ms = 1;
        assert_eq!(changed(&old, &new, false), ["server.ingest", "server.shards"]);
        assert_eq!(changed(&old, &new, true), ["limits.idle_timeout"]);
    }

    #[test]
    fn what_needs_a_restart_is_still_a_change_afterwards() {
        let old = Config::default();
        let mut new = old.clone();
        (new.limits.connections, new.limits.open_sources) = (5, 6);
        new.limits.folder_memory = 7 << 20;
        let now = Config { limits: limits(&old.limits, &new.limits), ..old };
        assert_eq!(changed(&now, &new, false), ["limits.connections", "limits.open_sources"]);
        assert!(changed(&now, &new, true).is_empty());
    }

    #[test]
    fn libraries_come_and_go_and_keep_their_access() {
        let library = |path: &str, access| Library { path: path.into(), access };
        let old = [library("a", None), library("b", Some(Access::Open))];
        let new = [library("b", Some(Access::Token)), library("c", Some(Access::Open))];
        let now = libraries(&old, &new);
        assert_eq!(now, [library("b", Some(Access::Open)), library("c", Some(Access::Open))]);
        assert!(access_changed(&old, &new) && access_changed(&now, &new));
        assert!(!access_changed(&old, &old) && !access_changed(&old, &now));
    }
}
