//! What became of titles: a line each, and how many of each kind.

use serde::Serialize;
use utoipa::ToSchema;

use crate::config::CATALOGUE_LINES_MAX;

/// What became of a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(as = CatalogueBecame)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// There was nothing said of it before.
    Added,
    /// Something else is said of it.
    Changed,
    /// It is as it was.
    Unchanged,
    /// It is in no library any more.
    Missing,
    /// It can't be written.
    Refused,
}

/// One line of the report.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CatalogueLine)]
pub struct Line {
    /// `asset`, `series` or `episode`; `library` of one that can't be read.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What became of it.
    pub result: Became,
    /// Why it can't be written, or what of its sidecars can't be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What became of all.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = CatalogueReport)]
pub struct Report {
    /// How many were added,
    pub added: u64,
    /// are as they were,
    pub unchanged: u64,
    /// were changed,
    pub changed: u64,
    /// are missing since,
    pub missing: u64,
    /// and were refused.
    pub refused: u64,
    /// What became of each that is not as it was, and of whatever something is to be said; 10,000
    /// at most.
    pub lines: Vec<Line>,
}

impl Report {
    /// Whether anything is not as it was.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.added + self.changed + self.missing + self.refused > 0
    }

    /// One more line.
    pub fn line(&mut self, kind: &str, id: &str, result: Became, notes: Vec<String>) {
        match result {
            Became::Added => self.added += 1,
            Became::Changed => self.changed += 1,
            Became::Unchanged => self.unchanged += 1,
            Became::Missing => self.missing += 1,
            Became::Refused => self.refused += 1,
        }
        let is_told = result != Became::Unchanged || !notes.is_empty();
        if is_told && self.lines.len() < CATALOGUE_LINES_MAX {
            let (kind, id) = (kind.to_owned(), id.to_owned());
            self.lines.push(Line { kind, id, result, notes });
        }
    }
}
