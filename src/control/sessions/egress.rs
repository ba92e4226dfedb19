//! What the machine sends, and whether one more session would be too much.
//!
//! It is full when what was sent over the last seconds, and what those need who have just come,
//! reach the cap; and until it has been below it for some time. Pure: what shards tell, the cap and
//! the time are arguments.

use std::collections::VecDeque;

use crate::config::{
    EGRESS_FREE_PERCENT, EGRESS_FULL_MS, EGRESS_NEWCOMER_MS, EGRESS_OVER_MS, SESSION_KBPS_GUESSED,
    TIMER_TICK_MS,
};
use crate::units::Ticks;

/// Sessions from which on their mean says what one more will need.
const SESSIONS_FOR_A_MEAN: u64 = 20;

/// Those who have come within a tick of time.
#[derive(Clone, Copy, Debug)]
struct Newcomers {
    came: Ticks,
    count: u64,
    /// What they need, in bits a second.
    bits: u64,
}

/// What the machine sends.
#[derive(Debug, Default)]
pub struct Egress {
    /// What each shard had sent when it told last.
    shards: Vec<Option<u64>>,
    /// What was sent, when it was told, the newest last.
    sent: VecDeque<(Ticks, u64)>,
    /// Those who have just come, the newest last.
    newcomers: VecDeque<Newcomers>,
    /// Since when it is full.
    full: Option<Ticks>,
}

impl Egress {
    /// A shard tells how many bytes it has sent in all.
    pub fn hear(&mut self, shard: u16, total: u64, now: Ticks) {
        let shard = usize::from(shard);
        if self.shards.len() <= shard {
            self.shards.resize(shard + 1, None);
        }
        // What was sent before anybody asked says nothing of now.
        let before = self.shards[shard].replace(total).unwrap_or(total);
        self.sent.push_back((now, total.saturating_sub(before)));
        self.forget(now);
    }

    /// A session begins, whose plan has this cap, in kilobits a second; there are so many.
    pub fn admit(&mut self, cap_kbps: Option<u32>, sessions: u64, now: Ticks) {
        self.forget(now);
        // Those that have just come are sent little yet, and will be.
        let coming: u64 = self.newcomers.iter().map(|of| of.count).sum();
        let settled = sessions.saturating_sub(coming);
        let mean_kbps = match settled {
            SESSIONS_FOR_A_MEAN.. => self.sent_bits(now) / settled / 1000,
            _ => SESSION_KBPS_GUESSED,
        };
        let cap_kbps = cap_kbps.map_or(u64::MAX, u64::from);
        let bits = mean_kbps.min(cap_kbps).saturating_mul(1000);
        match self.newcomers.back_mut() {
            Some(last) if now.since(last.came) < TIMER_TICK_MS => {
                (last.count, last.bits) = (last.count + 1, last.bits.saturating_add(bits));
            }
            _ => self.newcomers.push_back(Newcomers { came: now, count: 1, bits }),
        }
    }

    /// Whether it is full now, if that has changed; a cap of 0 is none.
    pub fn judge(&mut self, cap: u64, now: Ticks) -> Option<bool> {
        let load = if cap == 0 { 0 } else { self.sent_bits(now) + self.coming_bits(now) };
        match self.full {
            None if cap > 0 && load >= cap => self.full = Some(now),
            Some(since) => {
                let is_free = load < cap / 100 * EGRESS_FREE_PERCENT || cap == 0;
                if !is_free || cap > 0 && now.since(since) < EGRESS_FULL_MS {
                    return None;
                }
                self.full = None;
            }
            None => return None,
        }
        Some(self.full.is_some())
    }

    /// Whether it was when it was judged last.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.is_some()
    }

    /// What is sent, in bits a second, over the last seconds.
    #[must_use]
    pub fn sent_bits(&self, now: Ticks) -> u64 {
        let is_recent = |of: &&(Ticks, u64)| now.since(of.0) < EGRESS_OVER_MS;
        let bytes: u64 = self.sent.iter().rev().take_while(is_recent).map(|(_, size)| size).sum();
        bytes.saturating_mul(8 * 1000) / EGRESS_OVER_MS
    }

    /// What those will need, in bits a second, who have just come: less and less, since more and
    /// more of it is sent already.
    fn coming_bits(&self, now: Ticks) -> u64 {
        let left = |of: &Newcomers| {
            of.bits / EGRESS_NEWCOMER_MS * EGRESS_NEWCOMER_MS.saturating_sub(now.since(of.came))
        };
        self.newcomers.iter().map(left).sum()
    }

    fn forget(&mut self, now: Ticks) {
        while self.sent.front().is_some_and(|(told, _)| now.since(*told) >= EGRESS_OVER_MS) {
            self.sent.pop_front();
        }
        while self.newcomers.front().is_some_and(|of| now.since(of.came) >= EGRESS_NEWCOMER_MS) {
            self.newcomers.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: u64 = 100_000_000;

    /// Two shards that send so much together, for so many seconds; what was judged meanwhile.
    fn send(egress: &mut Egress, second: &mut u64, bits: u64, seconds: u64) -> Vec<bool> {
        let mut judged = Vec::new();
        for _ in 0..seconds {
            *second += 1;
            for shard in 0..2 {
                let total = egress.shards.get(shard).copied().flatten().unwrap_or(0);
                egress.hear(shard as u16, total + bits / 8 / 2, Ticks(*second * 1_000));
            }
            judged.extend(egress.judge(CAP, Ticks(*second * 1_000 + 1)));
        }
        judged
    }

    #[test]
    fn it_is_full_at_the_cap_and_does_not_flap() {
        let (mut egress, mut second) = (Egress::default(), 0);
        assert_eq!(send(&mut egress, &mut second, 99_000_000, 60), [false; 0]);
        assert_eq!(egress.sent_bits(Ticks(second * 1_000)), 99_000_000);
        assert_eq!(send(&mut egress, &mut second, 102_000_000, 20), [true]);
        assert_eq!(
            send(&mut egress, &mut second, 95_000_000, 60),
            [false; 0],
            "it was full a moment ago"
        );
        assert_eq!(send(&mut egress, &mut second, 80_000_000, 60), [false]);
        assert!(!egress.is_full());
    }

    #[test]
    fn segments_come_in_bursts() {
        let (mut egress, mut second) = (Egress::default(), 0);
        for _ in 0..10 {
            assert_eq!(send(&mut egress, &mut second, 3 * CAP, 1), [false; 0]);
            assert_eq!(send(&mut egress, &mut second, 0, 5), [false; 0]);
        }
    }

    #[test]
    fn those_who_have_just_come_count_before_they_are_sent_to() {
        let mut egress = Egress::default();
        let admitted = |egress: &mut Egress, cap_kbps| {
            let mut count = 0;
            while !egress.is_full() && count < 1_000 {
                egress.admit(cap_kbps, count, Ticks(0));
                egress.judge(CAP, Ticks(0));
                count += 1;
            }
            count
        };
        assert_eq!(admitted(&mut egress, None), 20, "as many as the cap has room for");
        assert_eq!(egress.judge(CAP, Ticks(EGRESS_NEWCOMER_MS)), Some(false), "they took nothing");
        let mut egress = Egress::default();
        assert_eq!(admitted(&mut egress, Some(500)), 200);
        assert_eq!(egress.newcomers.len(), 1, "those of a moment take one place");
        // Many that are there say what one more will need.
        let (mut egress, mut second) = (Egress::default(), 0);
        send(&mut egress, &mut second, 80_000_000, 10);
        let now = Ticks(second * 1_000);
        egress.admit(None, 40, now);
        assert_eq!(egress.coming_bits(now), 2_000_000);
    }

    #[test]
    fn without_a_cap_it_is_never_full_and_one_that_is_taken_off_counts_at_once() {
        let mut egress = Egress::default();
        egress.hear(0, 0, Ticks(0));
        egress.hear(0, u64::MAX, Ticks(1));
        assert_eq!(egress.judge(0, Ticks(1)), None);
        assert_eq!(egress.judge(CAP, Ticks(1)), Some(true));
        assert_eq!(egress.judge(0, Ticks(1)), Some(false));
    }
}
