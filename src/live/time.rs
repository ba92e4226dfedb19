//! Media time, exactly: ticks of a timescale, never rounded until they are written down.
//!
//! A channel that runs for years on the epoch's time has numbers of segments near 10⁹. A length of
//! two seconds that is off by a microsecond would be off by a quarter of an hour there, so lengths
//! and moments stay fractions, and are compared by multiplying out.

use std::cmp::Ordering;

/// A moment of presentation, counted from the start of the media's timeline.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// May be negative: an edit list can put samples before the start.
    pub ticks: i64,
    /// Ticks a second; not 0.
    pub timescale: u32,
}

/// A length of time that is not nothing.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    ticks: u64,
    timescale: u32,
}

impl Moment {
    /// Microseconds, rounded down.
    #[must_use]
    pub fn micros(self) -> i64 {
        let micros = i128::from(self.ticks) * 1_000_000;
        let micros = micros.div_euclid(i128::from(self.timescale));
        i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
    }

    /// This moment, so many of its own ticks later.
    #[must_use]
    pub fn plus(self, ticks: u64) -> Self {
        let ticks = self.ticks.saturating_add_unsigned(ticks);
        Self { ticks, ..self }
    }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = i128::from(self.ticks) * i128::from(other.timescale);
        let right = i128::from(other.ticks) * i128::from(self.timescale);
        left.cmp(&right)
    }
}

impl Length {
    /// None for nothing, or for a timescale of 0.
    #[must_use]
    pub const fn new(ticks: u64, timescale: u32) -> Option<Self> {
        if ticks == 0 || timescale == 0 {
            return None;
        }
        Some(Self { ticks, timescale })
    }

    /// Ticks, and how many of them a second has.
    #[must_use]
    pub const fn ticks(self) -> (u64, u32) {
        (self.ticks, self.timescale)
    }

    /// Of so many milliseconds.
    ///
    /// # Panics
    ///
    /// For 0: lengths come from settings, which were checked.
    #[must_use]
    pub fn of_millis(millis: u64) -> Self {
        Self::new(millis, 1000).expect("a length that was checked")
    }

    /// Microseconds, rounded to the nearest.
    #[must_use]
    pub fn micros(self) -> u64 {
        let (ticks, timescale) = (u128::from(self.ticks), u128::from(self.timescale));
        u64::try_from((ticks * 1_000_000 + timescale / 2) / timescale).unwrap_or(u64::MAX)
    }

    /// How many of this length have gone by at a moment; below 0 before the start.
    #[must_use]
    pub fn whole_until(self, moment: Moment) -> i64 {
        let passed = i128::from(moment.ticks) * i128::from(self.timescale);
        let one = i128::from(self.ticks) * i128::from(moment.timescale);
        i64::try_from(passed.div_euclid(one)).unwrap_or(if passed < 0 {
            i64::MIN
        } else {
            i64::MAX
        })
    }

    /// The length in ticks of a timescale, rounded down; at least 1.
    #[must_use]
    pub fn ticks_of(self, timescale: u32) -> u64 {
        let ticks = u128::from(self.ticks) * u128::from(timescale) / u128::from(self.timescale);
        u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
    }

    /// How this length compares with so many ticks of a timescale.
    #[must_use]
    pub fn cmp_ticks(self, ticks: u64, timescale: u32) -> Ordering {
        let left = u128::from(self.ticks) * u128::from(timescale);
        left.cmp(&(u128::from(ticks) * u128::from(self.timescale)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26T00:00:00Z, in seconds.
    const NOW: i64 = 1_795_651_200;

    #[test]
    fn numbers_stay_exact_far_from_the_epoch() {
        // 50 pictures at 24000/1001 a second: 2.0854166… seconds.
        let length = Length::new(50 * 1001, 24_000).unwrap();
        for number in [0, 1, 861_051_312, 861_051_313] {
            let start = Moment { ticks: number * 50 * 1001, timescale: 24_000 };
            assert_eq!(length.whole_until(start), number);
            let before = Moment { ticks: start.ticks - 1, ..start };
            assert_eq!(length.whole_until(before), number - 1);
        }
    }

    #[test]
    fn timescales_are_compared_by_their_meaning() {
        let video = Moment { ticks: NOW * 90_000 + 45_000, timescale: 90_000 };
        let audio = Moment { ticks: NOW * 48_000 + 24_000, timescale: 48_000 };
        assert_eq!(video, audio);
        assert!(video < audio.plus(1) && video.plus(1) > audio);
        assert_eq!(Length::of_millis(500).cmp_ticks(24_000, 48_000), Ordering::Equal);
        assert_eq!(Length::of_millis(500).cmp_ticks(24_001, 48_000), Ordering::Less);
    }

    #[test]
    fn what_is_written_is_rounded_once() {
        assert_eq!(Length::new(1, 3).unwrap().micros(), 333_333);
        assert_eq!(Length::new(2, 3).unwrap().micros(), 666_667);
        assert_eq!(Moment { ticks: -1, timescale: 3 }.micros(), -333_334);
        assert!(Length::new(0, 1).is_none() && Length::new(1, 0).is_none());
    }
}
