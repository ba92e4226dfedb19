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
