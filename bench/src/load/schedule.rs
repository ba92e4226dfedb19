//! The open loop: at which moments requests are meant to be sent. Pure arithmetic.
//!
//! Latency in an open loop counts from the intended moment, so a server (or generator) that falls
//! behind is charged for the wait and not excused from it.

/// Evenly spaced moments, in nanoseconds of the generator's clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: u64,
    interval: f64,
    issued: u64,
}

impl Schedule {
    /// `rate` requests a second, the first one at `start`.
    pub fn new(rate: f64, start: u64) -> Self {
        Self { start, interval: 1e9 / rate, issued: 0 }
    }

    /// The moment of the next request.
    pub fn next_at(&self) -> u64 {
        self.start + (self.issued as f64 * self.interval) as u64
    }

    /// Takes the next request if its moment has come.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        let intended = self.next_at();
        if intended > now {
            return None;
        }
        self.issued += 1;
        Some(intended)
    }

    /// Requests whose moment has passed and that were not sent.
    pub fn overdue(&self, now: u64) -> u64 {
        let due = (now.saturating_sub(self.start) as f64 / self.interval) as u64;
        due.saturating_sub(self.issued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_evenly_spaced_and_never_lost() {
        let mut schedule = Schedule::new(1_000.0, 5);
        assert_eq!(schedule.take(4), None);
        assert_eq!(schedule.take(5), Some(5));
        assert_eq!(schedule.take(5), None);
        assert_eq!(schedule.overdue(3_000_005), 2);
        assert_eq!(schedule.take(3_000_005), Some(1_000_005));
        assert_eq!(schedule.take(3_000_005), Some(2_000_005));
        assert_eq!(schedule.next_at(), 3_000_005);
    }
}
