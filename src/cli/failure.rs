//! Why a verb failed, as one line: what, why, what to do.

use std::fmt;
use std::io::Write as _;

use crate::config::file::Complaint;
use crate::library::DiskError;

/// A failed verb. Printed as `shardcast: WHAT: WHY (WHAT TO DO)`; the exit code is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The operation and its object: "listen on 127.0.0.1:8080".
    pub what: String,
    /// The reason.
    pub why: String,
    /// What to do about it, if we know.
    pub remedy: Option<String>,
    /// Failures that were found before this one, when several are told at once.
    pub earlier: Vec<Failure>,
}

impl Failure {
    /// A failure without advice.
    #[must_use]
    pub fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string(), remedy: None, earlier: Vec::new() }
    }

    /// The same with advice.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Everything that is wrong with a config; none if nothing is.
    #[must_use]
    pub fn of_complaints(complaints: &[Complaint]) -> Option<Self> {
        let mut failures: Vec<Self> = complaints.iter().map(Self::of_complaint).collect();
        let mut last = failures.pop()?;
        last.earlier = failures;
        Some(last)
    }

    fn of_complaint(complaint: &Complaint) -> Self {
        let whole = complaint.to_string();
        let what = whole.strip_suffix(&complaint.why).unwrap_or_default();
        let what = what.trim_end_matches([':', ' ']);
        Self::new(if what.is_empty() { "config" } else { what }, &complaint.why)
    }

    /// Writes every line to stderr. A closed stderr changes nothing.
    pub fn print(&self) {
        for failure in &self.earlier {
            failure.print();
        }
        let _ = writeln!(std::io::stderr(), "{self}");
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        let failure = Self::new(error.what, error.why);
        match error.remedy {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shardcast: {}: {}", self.what, self.why)?;
        match &self.remedy {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Place;

    #[test]
    fn a_failure_is_one_line_of_three_parts() {
        let failure = Failure::new("listen on [::]:80", "no privilege").remedy("use port 8080");
        assert_eq!(
            failure.to_string(),
            "shardcast: listen on [::]:80: no privilege (use port 8080)"
        );
    }

    #[test]
    fn complaints_keep_their_order_and_their_place() {
        let complaint = |line| Complaint {
            place: Place::File { path: "x".into(), line },
            key: "a.b".to_owned(),
            why: "is wrong".to_owned(),
        };
        let failure = Failure::of_complaints(&[complaint(1), complaint(2)]).unwrap();
        assert_eq!(failure.earlier[0].to_string(), "shardcast: x:1: a.b: is wrong");
        assert_eq!(failure.to_string(), "shardcast: x:2: a.b: is wrong");
        assert_eq!(Failure::of_complaints(&[]), None);
    }
}
