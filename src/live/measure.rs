//! What is measured of a rendition for the multivariant playlist: whole segments and runs of
//! samples in, bandwidths and the frame rate out.
//!
//! The text is cached and compared, so that it should not change with each segment: bandwidths have
//! two significant digits, the peak never falls, and a frame rate is settled once.

use std::collections::VecDeque;

use super::playlist::multivariant::Bandwidth;

/// Segments of which the average is: four minutes of 2 s.
const AVERAGE_SEGMENTS_MAX: usize = 120;

/// Samples that settle a frame rate. Chunks may have one each, whose durations are rounded.
const FRAME_RATE_SAMPLES_MIN: u32 = 10;

/// Highest frame rate with a name.
const FRAME_RATE_MAX: u32 = 240;

/// What is known of one rendition.
#[derive(Clone, Debug, Default)]
pub struct Measure {
    /// Bits a second, rounded.
    peak: u64,
    /// Of a segment, in microseconds.
    longest: u64,
    /// The last ones, oldest first.
    segments: VecDeque<Segment>,
    frame_rate: Option<(u32, u32)>,
    run: Run,
    /// Bits a second of the first pictures of segments: the most, rounded.
    key_peak: u64,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    bytes: u64,
    micros: u64,
}

/// Samples until the frame rate is settled.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    samples: u32,
    /// Ticks.
    duration: u64,
    timescale: u32,
}

impl Measure {
    /// Counts a whole segment: its size in bytes, and how long it is in microseconds.
    ///
    /// The peak is of segments (RFC 8216bis, 4.4.6.2, means runs of half a target duration at
    /// least): those that are not half as long as the longest until then do not count.
    pub fn add_segment(&mut self, bytes: u64, micros: u64) {
        if micros == 0 {
            return;
        }
        if self.segments.len() == AVERAGE_SEGMENTS_MAX {
            self.segments.pop_front();
        }
        let segment = Segment { bytes, micros };
        self.segments.push_back(segment);
        self.longest = self.longest.max(micros);
        if micros >= self.longest / 2 {
            self.peak = self.peak.max(rate(&[segment]));
        }
        // Many that are too short to count can have more than those that do.
        self.peak = self.peak.max(self.average());
    }

    /// Bits a second, rounded up to two significant digits; 0 before the first segment.
    #[must_use]
    pub fn bandwidth(&self) -> Bandwidth {
        Bandwidth { peak: self.peak, average: self.average() }
    }

    /// Counts the first picture of a segment: its bytes, and how long the segment is.
    pub fn add_key(&mut self, bytes: u64, micros: u64) {
        if micros > 0 && micros >= self.longest / 2 {
            self.key_peak = self.key_peak.max(rate(&[Segment { bytes, micros }]));
        }
    }

    /// Bits a second of those alone, as for `bandwidth`; none before the first.
    #[must_use]
    pub fn key_bandwidth(&self) -> Option<u64> {
        (self.key_peak > 0).then_some(self.key_peak)
    }

    /// Counts samples of a chunk, which last so many ticks of a timescale together.
    ///
    /// Only the first ten or more are looked at.
    pub fn add_run(&mut self, samples: u32, duration: u64, timescale: u32) {
        if self.frame_rate.is_some() || samples == 0 || duration == 0 || timescale == 0 {
            return;
        }
        if self.run.timescale != timescale {
            self.run = Run { timescale, ..Run::default() };
        }
        self.run.samples = self.run.samples.saturating_add(samples);
        self.run.duration = self.run.duration.saturating_add(duration);
        if self.run.samples >= FRAME_RATE_SAMPLES_MIN {
            self.frame_rate = self.run.named_rate().or_else(|| self.run.exact_rate());
        }
    }

    /// Pictures in so many seconds, once it is known: 25 in 1, 30,000 in 1,001.
    #[must_use]
    pub fn frame_rate(&self) -> Option<(u32, u32)> {
        self.frame_rate
    }

    fn average(&self) -> u64 {
        rate(&self.segments)
    }
}

impl Run {
    /// The nearest of n and n × 1000/1001 that is not more than 0.2 % away.
    fn named_rate(self) -> Option<(u32, u32)> {
        let named = (1..=FRAME_RATE_MAX).flat_map(|n| [(n, 1), (n * 1000, 1001)]);
        let samples = u128::from(self.samples) * u128::from(self.timescale);
        // How far away, in 1/1001 of what a sample a second too many would be.
        let beside = |(pictures, seconds): (u32, u32)| {
            let expected = u128::from(self.duration) * u128::from(pictures);
            (samples * u128::from(seconds)).abs_diff(expected) * u128::from(1001 / seconds)
        };
        let nearest = named.min_by_key(|&rate| beside(rate))?;
        let (pictures, seconds) = nearest;
        let expected = u128::from(self.duration) * u128::from(pictures * (1001 / seconds));
        (beside(nearest) * 500 <= expected).then_some(nearest)
    }

    /// As it is; rounded only if it does not fit.
    fn exact_rate(self) -> Option<(u32, u32)> {
        let pictures = u64::from(self.samples) * u64::from(self.timescale);
        let divisor = greatest_divisor(pictures, self.duration);
        let (mut pictures, mut seconds) = (pictures / divisor, self.duration / divisor);
        while pictures.max(seconds) > u64::from(u32::MAX) {
            (pictures, seconds) = (pictures / 2, seconds / 2);
        }
        let (pictures, seconds) = (u32::try_from(pictures).ok()?, u32::try_from(seconds).ok()?);
        (pictures > 0 && seconds > 0).then_some((pictures, seconds))
    }
}

/// The greatest common divisor; neither is 0.
fn greatest_divisor(mut left: u64, mut right: u64) -> u64 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

/// Bits a second of all of them together, rounded up to two significant digits.
fn rate<'s>(segments: impl IntoIterator<Item = &'s Segment>) -> u64 {
    let (mut bytes, mut micros) = (0, 0);
    for segment in segments {
        bytes += u128::from(segment.bytes);
        micros += u128::from(segment.micros);
    }
    if bytes == 0 || micros == 0 {
        return 0;
    }
    let exact = (bytes * 8 * 1_000_000).div_ceil(micros);
    let step = 10_u128.pow(exact.ilog10().saturating_sub(1));
    u64::try_from(exact.div_ceil(step) * step).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Peak and average of these: bytes and milliseconds.
    #[track_caller]
    fn check(segments: &[(u64, u64)], expected: (u64, u64)) {
        let mut measure = Measure::default();
        segments.iter().for_each(|&(bytes, millis)| measure.add_segment(bytes, millis * 1000));
        let Bandwidth { peak, average } = measure.bandwidth();
        assert_eq!((peak, average), expected);
    }

    #[test]
    fn bandwidths_are_rounded_up() {
        check(&[], (0, 0));
        check(&[(250_000, 2000)], (1_000_000, 1_000_000));
        check(&[(250_001, 2000)], (1_100_000, 1_100_000));
        check(&[(249_999, 2000)], (1_000_000, 1_000_000));
        check(&[(1, 8000)], (1, 1));
        check(&[(1, 7000)], (2, 2));
        check(&[(123, 1000)], (990, 990));
        check(&[(250_000, 2000), (500_000, 2000), (250_000, 2000)], (2_000_000, 1_400_000));
        check(&[(0, 2000)], (0, 0));
        check(&[(u64::MAX, 1)], (u64::MAX, u64::MAX));
        check(&[(7, 0)], (0, 0));
    }

    #[test]
    fn first_pictures_have_a_peak_of_their_own() {
        let mut measure = Measure::default();
        assert_eq!(measure.key_bandwidth(), None);
        for (bytes, millis) in [(25_000, 2000), (25_001, 2000), (25_000, 100), (10, 0)] {
            measure.add_segment(10 * bytes, millis * 1000);
            measure.add_key(bytes, millis * 1000);
        }
        assert_eq!(measure.key_bandwidth(), Some(110_000));
    }

    #[test]
    fn short_segments_do_not_make_a_peak() {
        check(&[(250_000, 2000), (250_000, 999)], (1_400_000, 1_400_000));
        check(&[(250_000, 2000), (250_000, 1000)], (2_000_000, 1_400_000));
        check(&[(250_000, 2000), (25_000, 100)], (1_100_000, 1_100_000));
    }

    #[test]
    fn the_average_forgets_and_the_peak_does_not() {
        let mut segments = vec![(500_000, 2000)];
        segments.extend([(250_000, 2000); AVERAGE_SEGMENTS_MAX - 1]);
        check(&segments, (2_000_000, 1_100_000));
        segments.push((250_000, 2000));
        check(&segments, (2_000_000, 1_000_000));
    }

    #[track_caller]
    fn check_rate(runs: &[(u32, u64, u32)], expected: Option<(u32, u32)>) {
        let mut measure = Measure::default();
        for &(samples, duration, timescale) in runs {
            measure.add_run(samples, duration, timescale);
        }
        assert_eq!(measure.frame_rate(), expected, "{runs:?}");
    }

    #[test]
    fn frame_rates_have_names() {
        check_rate(&[(50, 180_000, 90_000)], Some((25, 1)));
        check_rate(&[(60, 180_180, 90_000)], Some((30_000, 1001)));
        check_rate(&[(30, 90_000, 90_000)], Some((30, 1)));
        check_rate(&[(48, 48 * 1001, 24_000)], Some((24_000, 1001)));
        check_rate(&[(120, 120 * 1001, 60_000)], Some((60_000, 1001)));
        check_rate(&[(240, 1000, 1000)], Some((240, 1)));
        check_rate(&[(10, 10, 1)], Some((1, 1)));
        // Milliseconds.
        check_rate(&[(24, 1001, 1000)], Some((24_000, 1001)));
        check_rate(&[(25, 1002, 1000)], Some((25_000, 1001)));
        check_rate(&[(25, 999, 1000)], Some((25, 1)));
    }

    #[test]
    fn other_frame_rates_stay_exact() {
        check_rate(&[(25, 2000, 1000)], Some((25, 2)));
        check_rate(&[(300, 1000, 1000)], Some((300, 1)));
        check_rate(&[(10, 200, 10)], Some((1, 2)));
        // More than 0.2 % beside 25.
        check_rate(&[(25, 998, 1000)], Some((12_500, 499)));
        check_rate(&[(u32::MAX, 1, u32::MAX)], None);
        check_rate(&[(10, u64::MAX, 1)], None);
        check_rate(&[(u32::MAX, u64::MAX / 2, 2)], Some((3, u32::MAX)));
    }

    #[test]
    fn ten_samples_settle_it() {
        let one = (1, 40, 1000);
        check_rate(&[one; 9], None);
        check_rate(&[one; 10], Some((25, 1)));
        check_rate(&[(9, 360, 1000), (50, 1000, 1000)], Some((1475, 34)));
        check_rate(&[(10, 400, 1000), (1000, 400, 1000)], Some((25, 1)));
        // Another timescale is another stream; nothing is no sample.
        check_rate(&[(9, 360, 1000), (1, 3600, 90_000)], None);
        check_rate(&[(0, 40, 1000), (9, 360, 1000), (9, 0, 1000), (9, 1, 0)], None);
    }
}
