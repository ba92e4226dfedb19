//! What is wrong, by rule: all of it counted, and the first of each rule told.

use std::collections::BTreeMap;

use serde::Serialize;

/// Findings of one rule that are told.
const TOLD_MAX: usize = 5;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// How often each rule was broken.
    pub counts: BTreeMap<&'static str, u64>,
    /// The first of each rule.
    pub told: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Which rule it breaks.
    pub rule: &'static str,
    /// Where: a path, and the server if there are two.
    pub place: String,
    /// What.
    pub what: String,
}

impl Findings {
    /// Something is wrong.
    pub fn add(&mut self, rule: &'static str, place: &str, what: String) {
        let count = self.counts.entry(rule).or_default();
        *count += 1;
        if *count <= TOLD_MAX as u64 {
            self.told.push(Finding { rule, place: place.to_owned(), what });
        }
    }

    /// Something is wrong unless this holds; `what` says it.
    pub fn check(
        &mut self,
        holds: bool,
        rule: &'static str,
        place: &str,
        what: impl FnOnce() -> String,
    ) {
        if !holds {
            self.add(rule, place, what());
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }
}
