//! How fast one session may be sent to, and how much of it falls to each shard.
//!
//! Shards tell how much clients took and how many connections are busy. What was too much is taken
//! back, and what was too little is caught up on within bounds: so a cap holds over time however
//! connections come and go, and although a shard that begins has its rate before it is told.
//!
//! Pure: what shards tell, the bounds and the time are arguments.

use std::num::NonZeroU32;

use crate::config::{
    FAST_START_MS, FAST_START_OVER_MS, FAST_START_PERIOD_MS, PACE_AHEAD_MS, PACE_BEHIND_MS,
    PACE_DIVIDED_MS, PACE_EVENED_MS, PACE_MADE_UP_PART, PACE_SILENT_MS, REALTIME_AHEAD_MS,
    REALTIME_MAX,
};
use crate::units::Ticks;
use crate::viewer::SessionId;
use crate::viewer::players::{Bounds, Rates, Report, Share};

/// A share for a shard, and for what it calls the session.
pub type Told = (u16, SessionId, Share);

/// The rate of one session.
#[derive(Clone, Debug)]
pub struct Pace {
    parts: Vec<Part>,
    /// When what was taken was reckoned up last, and when the rate was divided last.
    reckoned: Ticks,
    divided: Ticks,
    /// Milliseconds of its cap that it is ahead of it, or behind: less than none.
    ahead_ms: i64,
    /// Milliseconds of media that four times real time still allows.
    allowed_ms: i64,
    /// Milliseconds of media that are left of its fast start; less than none where some were had
    /// too soon.
    credit_ms: i64,
    /// What is played, as any shard knows.
    rates: Rates,
}

/// What one shard sends of a session.
#[derive(Clone, Debug)]
struct Part {
    shard: u16,
    name: SessionId,
    busy: u32,
    /// Whether the player's last request there was in a hurry.
    hurries: bool,
    heard: Ticks,
    told: Option<Share>,
}

impl Pace {
    /// Of one that begins now.
    #[must_use]
    pub fn new(now: Ticks) -> Self {
        Self {
            parts: Vec::new(),
            reckoned: now,
            divided: now,
            ahead_ms: 0,
            allowed_ms: 0,
            credit_ms: FAST_START_MS,
            rates: Rates::default(),
        }
    }

    /// A shard tells of it; what is to be said comes out.
    pub fn hear(&mut self, shard: u16, report: &Report, bounds: Bounds, now: Ticks) -> Vec<Told> {
        let is_it = |part: &Part| part.shard == shard && part.name == report.id;
        // Pictures may come of one shard, and sounds of another.
        let rates = self.rates.with(report.rates);
        // Whoever begins to hurry, or goes to another rendition, does not wait.
        let is_other = self.rates.media_kbps() != rates.media_kbps();
        let mut is_due = now.since(self.divided) >= PACE_DIVIDED_MS || is_other;
        let (busy, hurries) = (report.busy, report.heard.hurries);
        if let Some(part) = self.parts.iter_mut().find(|part| is_it(part)) {
            is_due |= hurries && !part.hurries;
            (part.busy, part.hurries, part.heard) = (busy, hurries, now);
        } else {
            let name = report.id;
            self.parts.push(Part { shard, name, busy, hurries, heard: now, told: None });
            is_due = true;
        }
        self.rates = rates;
        self.reckon(report.taken, bounds, now);
        if !is_due {
            return Vec::new();
        }
        self.divided = now;
        self.parts.retain(|part| now.since(part.heard) < PACE_SILENT_MS);
        self.divide(self.rate_kbps(bounds))
    }

    /// Takes into account what clients of a shard took, and the time since that was done last.
    fn reckon(&mut self, taken: u64, bounds: Bounds, now: Ticks) {
        let passed_ms = i64::try_from(now.since(self.reckoned)).unwrap_or(i64::MAX / 1024);
        let taken_bits = i64::try_from(taken.saturating_mul(8)).unwrap_or(i64::MAX);
        self.reckoned = now;
        // A kilobit a second is a bit a millisecond.
        if let Some(cap) = bounds.cap_kbps {
            let taken_ms = taken_bits / i64::from(cap.get());
            let ahead_ms = self.ahead_ms.saturating_add(taken_ms).saturating_sub(passed_ms);
            self.ahead_ms = ahead_ms.clamp(-PACE_AHEAD_MS, PACE_BEHIND_MS);
        }
        if let Some(media) = self.rates.media_kbps().filter(|media| bounds.is_paced && *media > 0) {
            let had_ms = taken_bits / i64::from(media);
            let more_ms = passed_ms.saturating_mul(i64::from(REALTIME_MAX));
            let left_ms = self.allowed_ms.saturating_add(more_ms).saturating_sub(had_ms);
            let extra_ms = 0_i64.saturating_sub(left_ms).max(0);
            // What was had too soon is paid back of what is not taken now.
            let paid_ms = left_ms.clamp(0, 0_i64.saturating_sub(self.credit_ms).max(0));
            self.allowed_ms = (left_ms - paid_ms).clamp(0, REALTIME_AHEAD_MS);
            let back_ms = passed_ms.saturating_mul(FAST_START_MS) / FAST_START_PERIOD_MS;
            let credit_ms =
                self.credit_ms.saturating_sub(extra_ms).saturating_add(back_ms + paid_ms);
            self.credit_ms = credit_ms.clamp(-FAST_START_PERIOD_MS, FAST_START_MS);
        }
    }

    /// What it may have now, in kilobits a second; none = as much as it takes.
    fn rate_kbps(&self, bounds: Bounds) -> Option<u64> {
        let capped = bounds.cap_kbps.map(|cap| {
            let cap = i64::from(cap.get());
            let even = cap - cap * self.ahead_ms / PACE_EVENED_MS;
            even.clamp(cap / 2, cap + cap / i64::from(PACE_MADE_UP_PART)).unsigned_abs()
        });
        let real_time = self.rates.media_kbps().filter(|_| bounds.is_paced).map(|media| {
            let hurries = self.parts.iter().any(|part| part.hurries);
            let credit_ms = if hurries { self.credit_ms } else { self.credit_ms.min(0) };
            let usual = i64::from(media) * i64::from(REALTIME_MAX);
            let more = i64::from(media) * credit_ms / FAST_START_OVER_MS;
            // Who had too much still gets twice what it plays.
            (usual + more).max(usual / 2).unsigned_abs()
        });
        capped.into_iter().chain(real_time).min()
    }

    /// Divides a rate by busy connections. A shard where none is may have all of it: what it takes
    /// before it is told of less is taken back, and a player that goes from one to another does not
    /// wait.
    fn divide(&mut self, rate_kbps: Option<u64>) -> Vec<Told> {
        let busy: u128 = self.parts.iter().map(|part| u128::from(part.busy)).sum();
        let may_hurry = self.credit_ms > 0;
        let mut said = Vec::new();
        for part in &mut self.parts {
            let (mine, all) = match part.busy {
                0 => (1, 1),
                some => (u128::from(some), busy),
            };
            let of = |rate: u64| u32::try_from(u128::from(rate) * mine / all).unwrap_or(u32::MAX);
            let kbps = rate_kbps.map(of);
            let kbps = kbps.map(|kbps| NonZeroU32::new(kbps).unwrap_or(NonZeroU32::MIN));
            let share = Share { kbps, may_hurry };
            if part.told.is_none_or(|told| is_other(told, share)) {
                part.told = Some(share);
                said.push((part.shard, part.name, share));
            }
        }
        said
    }
}

/// Whether it is worth to tell: from two percent on.
fn is_other(told: Share, share: Share) -> bool {
    let is_near = match (told.kbps, share.kbps) {
        (Some(told), Some(new)) => told.get().abs_diff(new.get()) < told.get() / 50,
        (told, new) => told == new,
    };
    !is_near || told.may_hurry != share.may_hurry
}

#[cfg(test)]
mod tests;
