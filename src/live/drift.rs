//! How an encoder's clock runs beside ours: when each chunk ended by its media, and when it came.
//!
//! Networks delay, and never hurry. So the shortest delay of a stretch of time is nearest to what
//! the clocks say, and how that changes from stretch to stretch is their drift.

/// How long a stretch is, in microseconds.
const STRETCH_MICROS: u64 = 60_000_000;

/// What is known of one rendition.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drift {
    /// Of the first whole stretch, in microseconds.
    first: Option<i64>,
    /// Of the last whole one.
    last: Option<i64>,
    /// When the stretch under way began, on a clock that goes on evenly, and its shortest delay.
    current: Option<(u64, i64)>,
}

impl Drift {
    /// A chunk came so many microseconds behind its end; `at_micros` is when, on an even clock.
    pub fn add(&mut self, delay_micros: i64, at_micros: u64) {
        match &mut self.current {
            Some((began, shortest)) if at_micros.saturating_sub(*began) < STRETCH_MICROS => {
                *shortest = delay_micros.min(*shortest);
            }
            current => {
                if let Some((_, shortest)) = *current {
                    self.first.get_or_insert(shortest);
                    self.last = Some(shortest);
                }
                *current = Some((at_micros, delay_micros));
            }
        }
    }

    /// The shortest delay of late, in microseconds; below 0 for media that comes before its time.
    #[must_use]
    pub fn delay_micros(&self) -> Option<i64> {
        self.last.or(self.current.map(|(_, shortest)| shortest))
    }

    /// How far the encoder's clock has fallen behind ours since the first stretch, in microseconds;
    /// none before two stretches have passed.
    #[must_use]
    pub fn drift_micros(&self) -> Option<i64> {
        self.last.zip(self.first).map(|(last, first)| last.saturating_sub(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_slow_shows_through_delays_of_the_network() {
        let mut drift = Drift::default();
        assert_eq!((drift.delay_micros(), drift.drift_micros()), (None, None));
        for second in 0..3600_u64 {
            // 50 ppm slow, and every chunk but one in five is late by up to 80 ms.
            let late = i64::try_from(second % 5).unwrap() * 20_000;
            let delay = 300_000 + i64::try_from(second).unwrap() * 50 + late;
            drift.add(delay, second * 1_000_000);
        }
        // The last whole stretch is the one that began 58 minutes after the first.
        assert_eq!(drift.drift_micros(), Some(58 * 60 * 50));
        assert_eq!(drift.delay_micros(), Some(300_000 + 58 * 60 * 50));
    }

    #[test]
    fn before_a_stretch_is_over_the_delay_is_what_it_was_so_far() {
        let mut drift = Drift::default();
        drift.add(500, 0);
        drift.add(-20, 1);
        drift.add(70, 2);
        assert_eq!((drift.delay_micros(), drift.drift_micros()), (Some(-20), None));
        drift.add(i64::MIN, STRETCH_MICROS);
        drift.add(i64::MAX, 2 * STRETCH_MICROS);
        assert_eq!(drift.drift_micros(), Some(i64::MIN + 20));
    }
}
