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
    let builder = tracing_subscriber::fmt().with_env_filter(filter(level)).with_writer(|| Quiet);
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
        LogFormat::Text => builder.with_ansi(coloured()).try_init(),
    };
}

/// What is logged. Where the audit log ends is written down at every level that says nothing of
/// `audit` itself: it is a line an hour, and proves what came before it.
fn filter(level: &str) -> EnvFilter {
    // The level was checked when the config was read; a filter that is still refused is no reason
    // to be silent.
    EnvFilter::try_new(format!("audit=info,{level}")).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Colours are for a terminal whose owner has not said otherwise (no-color.org).
fn coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_audit_log_is_told_at_every_level() {
        for (level, expected) in [
            ("error", "audit=info,error"),
            ("warn,shardcast::library=debug", "shardcast::library=debug,audit=info,warn"),
            ("audit=off,info", "audit=off,info"),
            ("no=level=at=all", "info"),
        ] {
            assert_eq!(filter(level).to_string(), expected);
        }
    }
}
