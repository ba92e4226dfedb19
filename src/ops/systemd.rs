//! Notices to systemd. Without it they go nowhere, and nothing depends on their arrival.

use std::time::Duration;

use sd_notify::NotifyState;

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd took no notice");
    }
}

/// Everything can be served.
pub fn ready(status: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The config is being read again; followed by `ready`.
pub fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now());
    say(&states);
}

/// The server is going down.
pub fn stopping(status: &str) {
    say(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// What `systemctl status` shows.
pub fn status(status: &str) {
    say(&[NotifyState::Status(status)]);
}

/// The server is alive, shards included.
pub fn alive() {
    say(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear that: half the time after which it would kill.
#[must_use]
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| (timeout / 2).max(Duration::from_millis(100)))
}
