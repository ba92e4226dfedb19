//! Which input of a channel is read, and when: what happened in, what is to be done out.
//!
//! Inputs have an order. One that fails, or of which nothing comes, gives way to the next; when all
//! of them have failed in a row, each further round waits twice as long. As long as a later one is
//! read, those before it are tried beside it now and then, and the first that has media again is
//! taken. A channel on demand reads nothing until somebody wants it, and stops when nobody has
//! watched it for a while.
//!
//! Pure: times are counted from any moment that stays the same, and chance is given.

use std::collections::VecDeque;
use std::time::Duration;

/// When it is looked again for room.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// What is given by the channel, and how patient it is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For every input whether it waits for a sender that connects, which may come at any time.
    pub listens: Vec<bool>,
    /// How long nobody has to watch until it stops; none = it always runs.
    pub idle: Option<Duration>,
    /// Until the first media, and between media.
    pub patience: (Duration, Duration),
    /// From which length on a run has been good.
    pub good: Duration,
    /// What is waited after a failure: at first, and at most.
    pub again: (Duration, Duration),
    /// What is waited until an earlier input is tried: at first, and at most.
    pub trial: (Duration, Duration),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read this input.
    Start(usize),
    /// Read no more. What runs will be said to have `ended`.
    Stop,
    /// Look whether there is media at this input.
    Try(usize),
    /// Look no longer.
    EndTrial,
    /// Nobody watches: what the channel has published is taken back.
    Rest,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Nothing, until somebody wants it.
    Resting,
    /// Nothing until this moment.
    Waiting {
        /// The moment.
        until: Duration,
    },
    /// Reading.
    Running {
        /// Since when.
        since: Duration,
        /// When the first media came, and the last.
        media: Option<(Duration, Duration)>,
    },
    /// What ran is being ended.
    Ending,
}

/// What comes when that which runs has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It has failed.
    Next,
    /// An earlier input has media again.
    Switch(usize),
    /// Nobody watches.
    Rest,
}

/// A look at an earlier input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    /// The next one, which input it looks at, and what is waited after it if that has nothing.
    Due { at: Duration, input: usize, wait: Duration },
    /// It looks at this input.
    Runs { input: usize, wait: Duration },
}

/// A channel's inputs.
#[derive(Clone, Debug)]
pub struct Inputs {
    plan: Plan,
    doing: Doing,
    /// Which one is read, or will be next.
    input: usize,
    then: Then,
    /// Runs that were not good, one after the other.
    failures: u32,
    trial: Option<Trial>,
    /// What follows from what happened; at most one of each kind.
    due: VecDeque<Action>,
    /// When somebody wanted it, or was known to watch it, last.
    wanted: Duration,
    starts: u64,
}

impl Inputs {
    /// Of a channel that begins now. It has at least one input.
    #[must_use]
    pub fn new(plan: Plan, now: Duration) -> Self {
        assert!(!plan.listens.is_empty(), "a channel without inputs is not supervised");
        let doing = match plan.idle {
            Some(_) => Doing::Resting,
            None => Doing::Waiting { until: now },
        };
        Self {
            plan,
            doing,
            input: 0,
            then: Then::Next,
            failures: 0,
            trial: None,
            due: VecDeque::new(),
            wanted: now,
            starts: 0,
        }
    }

    /// What is done.
    #[must_use]
    pub fn doing(&self) -> Doing {
        self.doing
    }

    /// Which input is read, or will be next.
    #[must_use]
    pub fn input(&self) -> usize {
        self.input
    }

    /// How often one was begun with.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// Of how long a time there has been media since it was begun with.
    #[must_use]
    pub fn has_run_for(&self) -> Duration {
        match self.doing {
            Doing::Running { media: Some((first, last)), .. } => last.saturating_sub(first),
            _ => Duration::ZERO,
        }
    }

    /// Somebody wants the channel, or watches it.
    pub fn handle_wanted(&mut self, now: Duration) {
        self.wanted = now;
        if self.doing == Doing::Resting {
            self.doing = Doing::Waiting { until: now };
        }
    }

    /// Media came of the input that is read.
    pub fn handle_media(&mut self, at: Duration) {
        let good = self.plan.good;
        let Doing::Running { media, since } = &mut self.doing else { return };
        if at < *since {
            return;
        }
        let first = media.map_or(at, |(first, _)| first);
        *media = Some((first, at));
        if at.saturating_sub(first) >= good {
            self.failures = 0;
        }
    }

    /// There is no room to start anything now. That is not the input's fault.
    pub fn handle_no_room(&mut self, now: Duration) {
        self.doing = Doing::Waiting { until: now + ROOM_AGAIN };
        (self.trial, self.starts) = (None, self.starts - 1);
    }

    /// What ran has ended, and it is known why, and what to do: it is begun with again at once.
    pub fn handle_again(&mut self, now: Duration) {
        if let Doing::Running { .. } = self.doing {
            self.end_trial();
            self.doing = Doing::Waiting { until: now };
        }
    }

    /// What ran has ended, or could not be started. `chance` spreads what servers do that lost the
    /// same input at the same time.
    pub fn handle_ended(&mut self, now: Duration, chance: u8) {
        let then = match self.doing {
            Doing::Running { .. } => Then::Next,
            Doing::Ending => self.then,
            Doing::Resting | Doing::Waiting { .. } => return,
        };
        self.end_trial();
        let is_wanted = self.plan.idle.is_none_or(|idle| now.saturating_sub(self.wanted) < idle);
        match then {
            Then::Rest if is_wanted => self.doing = Doing::Waiting { until: now },
            Then::Rest => self.rest(),
            Then::Switch(input) => {
                (self.input, self.failures) = (input, 0);
                self.doing = Doing::Waiting { until: now };
            }
            Then::Next => {
                self.failures = self.failures.saturating_add(1);
                self.input = (self.input + 1) % self.plan.listens.len();
                self.doing = Doing::Waiting { until: now + self.wait(chance) };
            }
        }
    }

    /// The look at an earlier input has ended; whether there was media.
    pub fn handle_trial_ended(&mut self, now: Duration, has_media: bool) {
        let Some(Trial::Runs { input, wait }) = self.trial else { return };
        self.trial = None;
        let Doing::Running { .. } = self.doing else { return };
        if has_media {
            (self.doing, self.then) = (Doing::Ending, Then::Switch(input));
            return self.due.push_back(Action::Stop);
        }
        let next = (input + 1) % self.input.max(1);
        // A round has had nothing.
        let wait = if next == 0 { (wait * 2).min(self.plan.trial.1) } else { wait };
        self.trial = Some(Trial::Due { at: now + wait, input: next, wait });
    }

    /// What is to be done now, one thing after the other until there is nothing.
    pub fn poll(&mut self, now: Duration) -> Option<Action> {
        if let Doing::Waiting { .. } | Doing::Running { .. } = self.doing
            && self.idle_at().is_some_and(|at| at <= now)
        {
            self.stop_for_nobody();
        }
        if let Some(action) = self.due.pop_front() {
            return Some(action);
        }
        match self.doing {
            Doing::Waiting { until } if until <= now => {
                self.doing = Doing::Running { since: now, media: None };
                self.starts += 1;
                let (wait, input) = (self.plan.trial.0, 0);
                let is_later = self.input > 0;
                self.trial = is_later.then_some(Trial::Due { at: now + wait, input, wait });
                Some(Action::Start(self.input))
            }
            Doing::Running { .. } if self.silent_at().is_some_and(|at| at <= now) => {
                (self.doing, self.then) = (Doing::Ending, Then::Next);
                Some(Action::Stop)
            }
            Doing::Running { .. } => self.try_earlier(now),
            Doing::Resting | Doing::Waiting { .. } | Doing::Ending => None,
        }
    }

    /// When there may be something to do, if nothing happens until then.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Duration> {
        let at = match self.doing {
            Doing::Resting | Doing::Ending => return None,
            Doing::Waiting { until } => Some(until),
            Doing::Running { .. } => {
                let due = match self.trial {
                    Some(Trial::Due { at, .. }) => Some(at),
                    Some(Trial::Runs { .. }) | None => None,
                };
                self.silent_at().into_iter().chain(due).min()
            }
        };
        at.into_iter().chain(self.idle_at()).min()
    }

    /// When nobody will have watched for long enough: there was something to watch in that time.
    fn idle_at(&self) -> Option<Duration> {
        let idle = self.plan.idle?;
        Some(match self.doing {
            Doing::Running { media: Some((first, _)), .. } => self.wanted.max(first) + idle,
            Doing::Running { since, .. } => (self.wanted + idle).max(since + self.plan.patience.0),
            _ => self.wanted + idle,
        })
    }

    /// When the input that is read will have been silent for too long.
    fn silent_at(&self) -> Option<Duration> {
        let Doing::Running { since, media } = self.doing else { return None };
        let (first, between) = self.plan.patience;
        match media {
            Some((_, last)) => Some(last + between),
            // Nobody has connected yet, and there is nothing better to do than to wait.
            None if self.plan.listens[self.input] && self.plan.listens.len() == 1 => None,
            None => Some(since + first),
        }
    }

    fn stop_for_nobody(&mut self) {
        if let Doing::Running { .. } = self.doing {
            (self.doing, self.then) = (Doing::Ending, Then::Rest);
            return self.due.push_back(Action::Stop);
        }
        self.rest();
    }

    fn rest(&mut self) {
        self.due.push_back(Action::Rest);
        // Whoever comes next begins with the best.
        (self.doing, self.input, self.failures) = (Doing::Resting, 0, 0);
    }

    fn end_trial(&mut self) {
        if let Some(Trial::Runs { .. }) = self.trial.take() {
            self.due.push_back(Action::EndTrial);
        }
    }

    fn try_earlier(&mut self, now: Duration) -> Option<Action> {
        let Some(Trial::Due { at, input, wait }) = self.trial else { return None };
        if now < at {
            return None;
        }
        self.trial = Some(Trial::Runs { input, wait });
        Some(Action::Try(input))
    }

    /// What is waited after a failure, of three quarters to five quarters by chance.
    fn wait(&self, chance: u8) -> Duration {
        let (least, most) = self.plan.again;
        let count = u32::try_from(self.plan.listens.len()).unwrap_or(u32::MAX);
        // As long as one is left that has not been tried, it is tried at once.
        let rounds = (self.failures.saturating_sub(1) / count).min(16);
        let wait = if self.failures.is_multiple_of(count) { least * (1 << rounds) } else { least };
        let spread = 768 + u32::from(chance) * 2;
        wait.min(most) * spread / 1024
    }
}

#[cfg(test)]
mod tests;
