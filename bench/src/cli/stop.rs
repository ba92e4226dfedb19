//! SIGINT and SIGTERM: a verb ends early, and still reports.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::failure::{Doing, Failure};

/// A flag that either of them raises.
pub fn flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .doing("cannot listen for signals")?;
    }
    Ok(stop)
}
