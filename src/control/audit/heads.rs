//! The newest entry, written to the server's log: at the start, every hour, at the end, and after a
//! restore.
//!
//! Whoever keeps that log elsewhere (the journal, a collector) can tell when entries were taken off
//! the end of the audit log, or all of it was put back to what it was: `audit verify --head`.

use std::time::Duration;

use super::Head;
use crate::config::AUDIT_HEAD_SECONDS;
use crate::control::registry::{Busy, Registry};

/// Writes it.
pub fn tell(head: &Head) {
    tracing::info!(target: "audit", %head, "the newest entry of the audit log");
}

/// Writes it now, and then every hour.
pub async fn tell_for_ever(registry: Registry) {
    let mut hours = tokio::time::interval(Duration::from_secs(AUDIT_HEAD_SECONDS));
    loop {
        hours.tick().await;
        match registry.ask(|store| store.audit_head()).await {
            Ok(Ok(head)) => tell(&head),
            Ok(Err(error)) => tracing::error!(%error, "the audit log can't be read"),
            Err(Busy) => {
                tracing::warn!("the registry has too much to do to say where the audit log ends");
            }
        }
    }
}

/// Writes it for the last time; a disk that hangs is waited for so long.
pub fn tell_last(registry: &Registry, patience: Duration) {
    if let Ok(Ok(head)) = registry.ask_within(patience, |store| store.audit_head()) {
        tell(&head);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::control::registry::{Expected, Kind, Write};

    /// Collects what is logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_newest_entry_is_told_at_the_start_and_every_hour() {
        let state = tempfile::tempdir().unwrap();
        let registry = Registry::open(state.path()).unwrap();
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let _guard = tracing::subscriber::set_default(log.finish());
        let told = || {
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            let heads = text.lines().filter_map(|line| line.split_once("head=")?.1.split_once(':'));
            heads.map(|(sequence, _)| sequence.to_owned()).collect::<Vec<_>>()
        };
        let until = |count: usize| async move {
            loop {
                tokio::task::yield_now().await;
                if told().len() >= count {
                    break;
                }
            }
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let document = Some(serde_json::json!({}));
        let (kind, id, number, references) = (Kind::Plan, "gold".to_owned(), None, Vec::new());
        let write = Write { kind, id, expected: Expected::Absent, document, number, references };
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let telling = tokio::task::spawn_local(tell_for_ever(registry.clone()));
            until(1).await;
            let act = crate::control::audit::Act::server(crate::units::UnixTime(7));
            // Whoever awaits the other thread lets the clock run on.
            registry.ask_now(move |store| store.commit(&act, &[write])).unwrap().unwrap();
            tokio::time::advance(Duration::from_secs(AUDIT_HEAD_SECONDS - 1)).await;
            tokio::task::yield_now().await;
            assert_eq!(told(), ["1"]);
            tokio::time::advance(Duration::from_secs(1)).await;
            until(2).await;
            telling.abort();
        });
        assert_eq!(told(), ["1", "2"]);
        tell_last(&registry, Duration::from_secs(60));
        assert_eq!(told(), ["1", "2", "2"]);
    }
}
