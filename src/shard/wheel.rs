//! Deadlines of connections: a wheel of coarse ticks, with lazy entries.
//!
//! A deadline that moves later costs nothing: the entry is found when it was due first, and put in
//! again. A deadline that moves earlier adds an entry; the one left behind is recognised by the
//! tick it was scheduled for. No timer of the kernel is armed for a connection.

use crate::config::TIMER_TICK_MS;
use crate::units::Ticks;

/// Ticks of one turn of the wheel: 102 s at 100 ms. Later deadlines go round again.
const SLOTS: usize = 1024;

/// The wheel.
#[derive(Debug)]
pub struct Wheel {
    slots: Vec<Vec<Entry>>,
    /// The tick that was looked at last.
    current: u32,
    entries: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    owner: u32,
    tick: u32,
}

/// The tick in which a moment falls, rounded up.
pub fn tick_of(at: Ticks) -> u32 {
    u32::try_from(at.0.div_ceil(TIMER_TICK_MS)).unwrap_or(u32::MAX)
}

impl Wheel {
    /// An empty wheel at this moment.
    pub fn new(now: Ticks) -> Self {
        let current = u32::try_from(now.0 / TIMER_TICK_MS).unwrap_or(u32::MAX);
        Self { slots: vec![Vec::new(); SLOTS], current, entries: 0 }
    }

    /// Adds an entry for `owner` no later than `tick`, and returns the tick it stands at.
    pub fn add(&mut self, owner: u32, tick: u32) -> u32 {
        let latest = self.current + (SLOTS as u32 - 1);
        let tick = tick.clamp(self.current + 1, latest);
        self.slots[tick as usize % SLOTS].push(Entry { owner, tick });
        self.entries += 1;
        tick
    }

    /// Moves on to `now`, and adds the (owner, tick) of entries that are due to `due`.
    pub fn advance(&mut self, now: Ticks, due: &mut impl Extend<(u32, u32)>) {
        let target = u32::try_from(now.0 / TIMER_TICK_MS).unwrap_or(u32::MAX);
        let mut steps = 0;
        while self.current < target && steps < SLOTS {
            self.current += 1;
            steps += 1;
            let slot = &mut self.slots[self.current as usize % SLOTS];
            self.entries -= slot.len();
            due.extend(slot.drain(..).map(|entry| (entry.owner, entry.tick)));
            // A storm's room is not kept for ever.
            slot.shrink_to(64);
        }
        // After a long sleep every slot was looked at once; nothing is left behind.
        self.current = self.current.max(target);
    }

    /// Milliseconds until the next entry is due, if there is any.
    pub fn wait_ms(&self, now: Ticks) -> Option<u64> {
        if self.entries == 0 {
            return None;
        }
        let ahead = (1..=SLOTS as u32)
            .find(|ahead| !self.slots[(self.current + ahead) as usize % SLOTS].is_empty())?;
        let at = (u64::from(self.current) + u64::from(ahead)) * TIMER_TICK_MS;
        Some(at.saturating_sub(now.0).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel, ms: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.advance(Ticks(ms), &mut due);
        due.into_iter().map(|(owner, _)| owner).collect()
    }

    #[test]
    fn entries_come_at_their_tick_and_never_before() {
        let mut wheel = Wheel::new(Ticks(0));
        wheel.add(7, tick_of(Ticks(250)));
        wheel.add(8, tick_of(Ticks(1_000_000)));
        assert!(due(&mut wheel, 299).is_empty());
        assert_eq!(due(&mut wheel, 300), [7]);
        assert_eq!(wheel.wait_ms(Ticks(300)), Some(102_000));
        // The far one stands at the wheel's horizon, to be put in again by its owner.
        assert_eq!(due(&mut wheel, 102_300), [8]);
        assert_eq!(wheel.wait_ms(Ticks(102_300)), None);
    }

    #[test]
    fn a_long_sleep_loses_nothing() {
        let mut wheel = Wheel::new(Ticks(0));
        for owner in 0..100 {
            wheel.add(owner, owner);
        }
        assert_eq!(due(&mut wheel, 10_000_000).len(), 100);
        wheel.add(1, 0);
        assert_eq!(due(&mut wheel, 10_000_100), [1]);
    }
}
