//! How a verb ends when it does not succeed, and the exit code that says so.

use std::fmt;

/// Why a verb did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1.
    Failed(String),
    /// Exit code 2: clap finds most of these, and some need a second look.
    Usage(String),
    /// Exit code 3: it ran, but its figures say nothing about the server.
    Invalid(String),
}

impl Failure {
    /// The program's exit code for this.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Invalid(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Usage(text) => f.write_str(text),
            Self::Invalid(text) => write!(f, "invalid run: {text}"),
        }
    }
}

/// Says what was being done when a system call failed.
pub trait Doing<T> {
    /// Turns an I/O error into a failure that begins with `what`.
    fn doing(self, what: &str) -> Result<T, Failure>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Failed(format!("{what}: {error}")))
    }
}
