//! Whether a back end is asked at all: what failed and what did not in, a word before each question
//! out.
//!
//! Closed, it asks everything. After so many failures in a row it is open: nothing is asked, but
//! one question now and then, by which it is seen whether the back end is there again. Pure.

use crate::config::{HOOK_FAILURES_MAX, HOOK_PROBE_MS, HOOK_PROBE_MS_MAX};
use crate::units::Ticks;

/// What is known of a back end.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Failures since something went well.
    failures: u32,
    /// When the next probe may be made; none = it is closed.
    probe_at: Option<Ticks>,
    /// How long is waited after the next one that fails.
    wait_ms: u64,
    /// Whether one is under way.
    is_probing: bool,
}

/// What became of it by one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is as it was.
    None,
    /// The back end is not asked any more.
    Opened,
    /// It is asked again.
    Closed,
}

/// The right to ask once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Ask {
    is_probe: bool,
}

impl Breaker {
    /// Whether it may be asked now. Whoever may must tell what came of it.
    pub fn ask(&mut self, now: Ticks) -> Option<Ask> {
        match self.probe_at {
            None => Some(Ask { is_probe: false }),
            Some(at) if now >= at && !self.is_probing => {
                self.is_probing = true;
                Some(Ask { is_probe: true })
            }
            Some(_) => None,
        }
    }

    /// It has answered, whatever it said.
    pub fn succeed(&mut self, ask: Ask) -> Turn {
        if ask.is_probe {
            self.is_probing = false;
        }
        // One that was asked before it failed tells nothing of now.
        if self.probe_at.is_some() && !ask.is_probe {
            return Turn::None;
        }
        let was_open = self.probe_at.is_some();
        *self = Self::default();
        if was_open { Turn::Closed } else { Turn::None }
    }

    /// It has not, or nothing that is understood.
    pub fn fail(&mut self, ask: Ask, now: Ticks) -> Turn {
        if ask.is_probe {
            self.is_probing = false;
            self.wait_ms = (2 * self.wait_ms).min(HOOK_PROBE_MS_MAX);
            self.probe_at = Some(now.plus(self.wait_ms));
            return Turn::None;
        }
        self.failures = self.failures.saturating_add(1);
        if self.probe_at.is_some() || self.failures < HOOK_FAILURES_MAX {
            return Turn::None;
        }
        self.wait_ms = HOOK_PROBE_MS;
        self.probe_at = Some(now.plus(self.wait_ms));
        Turn::Opened
    }

    /// It was not asked after all: there was no turn for it.
    pub fn give_back(&mut self, ask: Ask) {
        if ask.is_probe {
            self.is_probing = false;
        }
    }

    /// Whether nothing is asked, but for probes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.probe_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for failure in 1..=HOOK_FAILURES_MAX {
            let ask = breaker.ask(Ticks(0)).unwrap();
            let turn = breaker.fail(ask, Ticks(0));
            assert_eq!(turn == Turn::Opened, failure == HOOK_FAILURES_MAX);
        }
        breaker
    }

    #[test]
    fn what_fails_in_a_row_is_asked_no_more_but_for_one_probe_at_a_time() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(Ticks(HOOK_PROBE_MS - 1)), None);
        let probe = breaker.ask(Ticks(HOOK_PROBE_MS)).unwrap();
        assert_eq!(breaker.ask(Ticks(HOOK_PROBE_MS)), None, "one is under way");
        assert_eq!(breaker.succeed(probe), Turn::Closed);
        assert!(!breaker.is_open() && breaker.ask(Ticks(HOOK_PROBE_MS)).is_some());
    }

    #[test]
    fn probes_that_fail_come_ever_more_seldom_and_go_on() {
        let (mut breaker, mut now, mut waits) = (opened(), 0, Vec::new());
        for _ in 0..8 {
            let begun = now;
            let probe = loop {
                now += 100;
                if let Some(probe) = breaker.ask(Ticks(now)) {
                    break probe;
                }
            };
            waits.push((now - begun) / 1000);
            assert_eq!(breaker.fail(probe, Ticks(now)), Turn::None);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        // One that had no turn is made by the next who asks.
        now += HOOK_PROBE_MS_MAX;
        let probe = breaker.ask(Ticks(now)).unwrap();
        breaker.give_back(probe);
        assert!(breaker.ask(Ticks(now)).is_some());
    }

    #[test]
    fn failures_between_answers_are_none_in_a_row_and_late_answers_close_nothing() {
        let mut breaker = Breaker::default();
        for _ in 0..10 * HOOK_FAILURES_MAX {
            let ask = breaker.ask(Ticks(0)).unwrap();
            assert_eq!(breaker.fail(ask, Ticks(0)), Turn::None);
            let ask = breaker.ask(Ticks(0)).unwrap();
            assert_eq!(breaker.succeed(ask), Turn::None);
        }
        let early = breaker.ask(Ticks(0)).unwrap();
        let mut breaker = opened();
        assert_eq!(breaker.succeed(early), Turn::None);
        assert!(breaker.is_open());
    }
}
