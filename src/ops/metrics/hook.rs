//! The lines of an operator's back end.

use super::exposition::{Exposition, Kind};

/// What became of questions to a back end.
#[derive(Debug, Default)]
pub struct Asked {
    /// Event and outcome, and how often that was so.
    pub outcomes: Vec<((&'static str, &'static str), u64)>,
    /// Questions that wait for an answer.
    pub waiting: u64,
    /// Whether it is not asked at present, but for probes.
    pub is_left_alone: bool,
}

/// Writes them, where somebody is asked.
pub fn append(out: &mut Exposition, asked: Option<&Asked>) {
    let Some(asked) = asked else { return };
    let name = "shardcast_hook_questions_total";
    let help = "Questions to the back end of hook.url, by what they were about and what came of \
                them.";
    out.family(name, Kind::Counter, help);
    for ((event, outcome), count) in &asked.outcomes {
        out.sample(name, &[("event", event), ("outcome", outcome)], *count);
    }
    let name = "shardcast_hook_waiting";
    out.family(name, Kind::Gauge, "Questions to it that wait for an answer.");
    out.sample(name, &[], asked.waiting);
    let name = "shardcast_hook_left_alone";
    out.family(
        name,
        Kind::Gauge,
        "1 while it is not asked, but for probes, as it does not answer.",
    );
    out.sample(name, &[], u64::from(asked.is_left_alone));
}
