//! Signals, taken on a thread of their own and passed on as values.

use std::io;
use std::sync::mpsc::Sender;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Finish what runs, then end (SIGTERM, SIGINT); a second one ends at once.
    Drain,
    /// End now (SIGQUIT).
    Quit,
    /// Read the config again (SIGHUP).
    Reload,
    /// Open the access log again (SIGUSR1).
    ReopenLogs,
}

/// Passes every wish to `wishes`, made into the receiver's own type.
pub fn listen<E: Send + 'static>(
    wishes: Sender<E>,
    event: impl Fn(Wish) -> E + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let wish = match signal {
                SIGHUP => Wish::Reload,
                SIGUSR1 => Wish::ReopenLogs,
                SIGQUIT => Wish::Quit,
                _ => Wish::Drain,
            };
            if wishes.send(event(wish)).is_err() {
                break;
            }
        }
    })?;
    Ok(())
}
