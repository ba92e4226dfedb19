//! What a stream sends next: segment after segment, and what faults make of that. Pure.

use std::collections::VecDeque;

use super::fault::{Fault, Faults};

/// How a segment is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Chunk by chunk, when each is due.
    Live,
    /// At once, after the one that follows it.
    Late,
    /// The very bytes that were sent before, at once.
    Again,
    /// At once, with other bytes than before.
    Other,
}

/// A segment to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub number: u64,
    /// How.
    pub manner: Manner,
    /// What goes wrong on the way: `Kill` or `Tear`.
    pub fault: Option<Fault>,
    /// A random number for where in the segment it goes wrong.
    pub chance: u64,
    /// Whether the very bytes will be wanted again.
    pub kept: bool,
}

/// The order of segments.
#[derive(Clone, Debug)]
pub struct Plan {
    next: u64,
    /// The number after the last.
    end: Option<u64>,
    faults: Faults,
    /// What follows the last live segment.
    queue: VecDeque<Order>,
    /// A segment that waits for the next one to pass.
    held: Option<u64>,
}

impl Plan {
    /// Segments from `next` to before `end`, or for ever.
    pub fn new(next: u64, end: Option<u64>, faults: Faults) -> Self {
        Self { next, end, faults, queue: VecDeque::new(), held: None }
    }

    /// What is to be sent now; `None` at the end.
    pub fn next_order(&mut self) -> Option<Order> {
        if let Some(order) = self.queue.pop_front() {
            return Some(order);
        }
        loop {
            if self.end.is_some_and(|end| self.next >= end) {
                return self.held.take().map(|number| at_once(number, Manner::Late));
            }
            let number = self.next;
            self.next += 1;
            let (fault, mut random) = self.faults.draw(number);
            if fault == Some(Fault::Late) && self.held.is_none() {
                self.held = Some(number);
                continue;
            }
            let manner = match fault {
                Some(Fault::Duplicate) => Some(Manner::Again),
                Some(Fault::Other) => Some(Manner::Other),
                _ => None,
            };
            self.queue.extend(manner.map(|manner| at_once(number, manner)));
            self.queue.extend(self.held.take().map(|number| at_once(number, Manner::Late)));
            return Some(Order {
                number,
                manner: Manner::Live,
                fault: fault.filter(|fault| matches!(fault, Fault::Kill | Fault::Tear)),
                chance: random.next(),
                kept: manner == Some(Manner::Again),
            });
        }
    }

    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        let is_last = self.end.is_some_and(|end| self.next >= end);
        is_last && self.queue.is_empty() && self.held.is_none()
    }

    /// Gives up what is older than `oldest`; returns how many segments that leaves out.
    pub fn skip_below(&mut self, oldest: u64) -> u64 {
        let is_old = |number: u64| number < oldest;
        let late = self.queue.iter().filter(|order| order.manner == Manner::Late);
        let mut skipped = late.filter(|order| is_old(order.number)).count() as u64;
        self.queue.retain(|order| !is_old(order.number));
        skipped += u64::from(self.held.take_if(|number| is_old(*number)).is_some());
        let oldest = self.end.map_or(oldest, |end| oldest.min(end));
        skipped += oldest.saturating_sub(self.next);
        self.next = self.next.max(oldest);
        skipped
    }
}

fn at_once(number: u64, manner: Manner) -> Order {
    Order { number, manner, fault: None, chance: 0, kept: false }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Chance;
    use super::*;

    /// Numbers with a letter for the manner.
    #[track_caller]
    fn check(chances: &[Chance], expected: &str) {
        let mut plan = Plan::new(0, Some(4), Faults::new(chances, 0, 0));
        let orders = std::iter::from_fn(|| plan.next_order());
        let words: Vec<_> = orders
            .map(|order| {
                let letter = match (order.manner, order.fault) {
                    (Manner::Live, Some(Fault::Kill)) => "k",
                    (Manner::Live, Some(_)) => "t",
                    (Manner::Live, None) => "",
                    (Manner::Late, _) => "l",
                    (Manner::Again, _) => "a",
                    (Manner::Other, _) => "o",
                };
                format!("{}{letter}", order.number)
            })
            .collect();
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn faults_change_the_order_of_segments() {
        check(&[], "0 1 2 3");
        check(&[Chance(Fault::Kill, 1.0)], "0k 1k 2k 3k");
        check(&[Chance(Fault::Tear, 1.0)], "0t 1t 2t 3t");
        check(&[Chance(Fault::Duplicate, 1.0)], "0 0a 1 1a 2 2a 3 3a");
        check(&[Chance(Fault::Other, 1.0)], "0 0o 1 1o 2 2o 3 3o");
        check(&[Chance(Fault::Late, 1.0)], "1 0l 3 2l");
    }

    #[test]
    fn what_is_too_old_is_left_out() {
        let mut plan = Plan::new(10, Some(20), Faults::new(&[Chance(Fault::Late, 1.0)], 0, 0));
        assert_eq!(plan.next_order().map(|order| order.number), Some(11));
        assert_eq!(plan.skip_below(15), 1 + 3, "10, and 12 to 14");
        assert_eq!(plan.next_order().map(|order| order.number), Some(16));
        assert_eq!(plan.skip_below(99), 1 + 3, "15, and 17 to 19");
        assert_eq!(plan.next_order(), None);
    }
}
