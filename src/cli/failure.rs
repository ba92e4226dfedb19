//! How a verb fails: one line on stderr, `shardcast: WHAT: WHY (what to do)`.

use std::fmt;

use crate::library::DiskError;

/// What could not be done, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What could not be done.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do, where that is known.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure without advice.
    #[must_use]
    pub fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string(), remedy: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shardcast: {}: {}", self.what, self.why)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, " ({remedy})"))
    }
}

impl std::error::Error for Failure {}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Self { what: error.what, why: error.why, remedy: error.remedy.map(str::to_owned) }
    }
}
