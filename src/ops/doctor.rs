//! The doctor: looks at this machine and says what was found, what it costs, what mends it.
//!
//! It changes nothing and needs no privilege. Each part of the machine has a file; each finding is
//! one line for people, or one object for scripts.

use std::fmt;
use std::path::Path;

use serde_json::json;

use crate::config::Config;

mod children;
mod files;
mod kernel;
mod limits;
mod network;
mod storage;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// The server serves; something is slower or smaller than it could be.
    Costs,
    /// The server can't serve.
    Broken,
}

impl Level {
    /// One word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Costs => "costs",
            Self::Broken => "broken",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What it costs; empty if nothing.
    pub costs: String,
    /// The command that mends it; empty if there is nothing to mend.
    pub remedy: String,
}

impl Finding {
    fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            level: Level::Good,
            found: found.into(),
            costs: String::new(),
            remedy: String::new(),
        }
    }

    fn costs(mut self, costs: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.level = Level::Costs;
        self.costs = costs.into();
        self.remedy = remedy.into();
        self
    }

    fn broken(mut self, costs: impl Into<String>, remedy: impl Into<String>) -> Self {
        self = self.costs(costs, remedy);
        self.level = Level::Broken;
        self
    }

    /// The same for scripts.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        json!({
            "what": self.what,
            "level": self.level.word(),
            "found": self.found,
            "costs": self.costs,
            "remedy": self.remedy,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7} {}: {}", self.level.word(), self.what, self.found)?;
        if !self.costs.is_empty() {
            write!(f, "; {}", self.costs)?;
        }
        if !self.remedy.is_empty() {
            write!(f, " (mend: {})", self.remedy)?;
        }
        Ok(())
    }
}

/// Everything, for a server with this config.
#[must_use]
pub fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = kernel::findings(config);
    findings.extend(limits::findings(config));
    findings.extend(storage::findings(config));
    findings.extend(network::findings());
    findings.extend(children::findings(config));
    findings
}

/// The first line of a file under /proc or /sys.
fn line_of(path: impl AsRef<Path>) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// The number in a file under /proc or /sys.
fn number_of(path: impl AsRef<Path>) -> Option<u64> {
    line_of(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_looked_at_and_nothing_is_said_without_a_remedy() {
        let library = tempfile::tempdir().unwrap();
        std::fs::write(library.path().join("a.ts"), "x").unwrap();
        let config = Config {
            libraries: vec![crate::config::Library { path: library.path().into(), access: None }],
            state: library.path().join("state"),
            ..Config::default()
        };
        let findings = findings(&config);
        for finding in &findings {
            assert!(!finding.found.is_empty(), "{finding}");
            let silent = finding.costs.is_empty() && finding.remedy.is_empty();
            assert_eq!(silent, finding.level == Level::Good, "{finding}");
            assert!(!finding.to_string().contains('\n'));
        }
        for what in ["kernel", "io_uring", "memlock", "nofile", "huge pages", "congestion control"]
        {
            assert!(findings.iter().any(|finding| finding.what == what), "{what}");
        }
        let residency = format!("library {}: residency", library.path().display());
        assert!(findings.iter().any(|finding| finding.what == residency), "{findings:#?}");
    }

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding::good("nofile", "1024").costs("few clients", "ulimit -n 1048576");
        assert_eq!(
            finding.to_string(),
            "costs   nofile: 1024; few clients (mend: ulimit -n 1048576)"
        );
        assert_eq!(finding.json()["level"], "costs");
    }
}
