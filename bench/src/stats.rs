//! Medians of paired ratios, with an interval by resampling. Pure.
//!
//! Why pairs: on a shared machine the speed of everything wanders from minute to minute, but two
//! servers measured within seconds wander together, and their ratio stands.

use serde::Serialize;

use crate::load::random::Random;

/// Resamples of a bootstrap; the interval's ends then move by less than the table's last digit.
pub const RESAMPLES: usize = 10_000;

/// A median with the interval in which 95 of 100 resampled medians lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The median of the values.
    pub median: f64,
    /// 2.5 % of the resampled medians lie below.
    pub low: f64,
    /// 2.5 % lie above.
    pub high: f64,
}

/// `values[i] / base[i]` for each round.
pub fn paired_ratios(values: &[f64], base: &[f64]) -> Vec<f64> {
    assert_eq!(values.len(), base.len(), "a pair needs two values of one round");
    values.iter().zip(base).map(|(value, base)| value / base).collect()
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    median_of(&mut values.to_vec())
}

/// Median and 95 % percentile-bootstrap interval.
pub fn estimate(values: &[f64], resamples: usize, seed: u64) -> Estimate {
    assert!(!values.is_empty() && resamples > 0, "there is something to resample");
    let mut random = Random::new(seed);
    let mut sample = vec![0.0; values.len()];
    let mut medians: Vec<f64> = (0..resamples)
        .map(|_| {
            sample.fill_with(|| values[random.below(values.len())]);
            median_of(&mut sample)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let tail = (resamples as f64 * 0.025) as usize;
    Estimate { median: median(values), low: medians[tail], high: medians[resamples - 1 - tail] }
}

fn median_of(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_by_hand() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The second round ran at half speed; the ratio does not see it.
        assert_eq!(paired_ratios(&[30.0, 15.0], &[20.0, 10.0]), [1.5, 1.5]);
    }

    #[test]
    fn equal_values_leave_no_doubt() {
        let estimate = estimate(&[1.5; 10], 1_000, 1);
        assert_eq!(estimate, Estimate { median: 1.5, low: 1.5, high: 1.5 });
    }

    /// With two values a resample is (a,a), (a,b), (b,a) or (b,b), so a quarter of the medians is
    /// each end and half is the middle: the 95 % interval is the whole range.
    #[test]
    fn two_values_span_the_interval() {
        let found = estimate(&[1.0, 3.0], 10_000, 7);
        assert_eq!(found, Estimate { median: 2.0, low: 1.0, high: 3.0 });
    }

    /// Of three values 1, 2, 3 the resampled median is 1 in 7 of 27 cases (three or two of the
    /// draws are 1: 1 + 6), 3 as often, and 2 otherwise; 7/27 is above 2.5 %.
    #[test]
    fn three_values_span_the_interval_too() {
        let found = estimate(&[2.0, 1.0, 3.0], 10_000, 7);
        assert_eq!(found, Estimate { median: 2.0, low: 1.0, high: 3.0 });
    }

    /// Ten values with one far away: for the median to be the outlier, at least 6 of 10 draws must
    /// hit it (chance 1.5e-4), so the interval stays away from it.
    #[test]
    fn one_odd_round_does_not_move_the_interval() {
        let mut values = [1.0; 10];
        values[3] = 9.0;
        let found = estimate(&values, 10_000, 7);
        assert_eq!(found, Estimate { median: 1.0, low: 1.0, high: 1.0 });
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let values: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(estimate(&values, 1_000, 3), estimate(&values, 1_000, 3));
    }
}
