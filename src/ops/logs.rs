//! The server's own log: JSON lines on stderr, or text for people.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// stderr, where it can be written to. A full disk or a reader that has gone costs lines; told of
/// the failure, the logger would complain on stderr itself, and end the process.
struct Quiet;

impl Write for Quiet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts logging. Later calls change nothing.
pub fn start(format: LogFormat, level: &str) {
    // The level was checked when the config was read; a filter that is still refused is no reason
    // to be silent.
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Quiet);
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
        LogFormat::Text => builder.with_ansi(coloured()).try_init(),
    };
}

/// Colours are for a terminal whose owner has not said otherwise (no-color.org).
fn coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
