//! Rounds in which every contestant is measured once, in an order that turns round each time.
//!
//! Pure apart from the measurement it is given: A B, B A, A B … so that a drift of the machine
//! hits everybody alike. A round in which the hypervisor took too much time away is dropped whole
//! and played again, up to a bound.

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::load::measure::Figures;
use crate::stats::{self, Estimate, RESAMPLES};

/// What has been measured.
#[derive(Debug)]
pub struct Contest {
    /// Figures of each contestant, a round each, in the same order for all.
    pub figures: Vec<Vec<Figures>>,
    /// Rounds that were thrown away for steal.
    pub dropped: usize,
}

/// So many dropped rounds for each that must be whole end the run.
const DROPPED_MAX: usize = 3;

/// The rules of a run.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Rounds that must be whole.
    pub rounds: usize,
    /// More steal than this in any measurement drops its round, in percent.
    pub steal_percent_max: f64,
}

/// A contestant against the baseline: medians of the rounds' paired ratios.
#[derive(Clone, Debug, Serialize)]
pub struct Ratios {
    /// Requests a second.
    pub rate: Estimate,
    /// The server's CPU a request; absent when its processes are unknown.
    pub server_cpu: Option<Estimate>,
    /// The whole machine's CPU a byte of bodies.
    pub machine_cpu: Estimate,
    /// 99th percentile of the latency.
    pub p99: Estimate,
}

/// Plays the rounds; `measure` takes the index of a contestant.
pub fn play(
    contestants: usize,
    rules: Rules,
    mut measure: impl FnMut(usize) -> Result<Figures, Failure>,
) -> Result<Contest, Failure> {
    let (rounds, dropped) = whole(rules, |reversed| {
        let round = round(contestants, reversed, &mut measure)?;
        let steal = round.iter().map(|figures| figures.usage.steal_percent).fold(0.0, f64::max);
        Ok((round, steal))
    })?;
    let mut figures = vec![Vec::new(); contestants];
    for round in rounds {
        for (all, one) in figures.iter_mut().zip(round) {
            all.push(one);
        }
    }
    Ok(Contest { figures, dropped })
}

/// Plays rounds until enough of them are whole; gives these, and how many were dropped. `round`
/// takes whether its order is reversed, and gives the steal in it, in percent, beside its figures.
pub fn whole<T>(
    rules: Rules,
    mut round: impl FnMut(bool) -> Result<(T, f64), Failure>,
) -> Result<(Vec<T>, usize), Failure> {
    let (mut rounds, mut dropped) = (Vec::new(), 0);
    while rounds.len() < rules.rounds {
        let played = rounds.len() + dropped;
        if dropped > DROPPED_MAX * rules.rounds {
            return Err(Failure::Invalid(format!(
                "{dropped} of {played} rounds had more than {} % steal: the machine is too busy",
                rules.steal_percent_max
            )));
        }
        let (figures, steal) = round(played % 2 == 1)?;
        if steal > rules.steal_percent_max {
            dropped += 1;
        } else {
            rounds.push(figures);
        }
    }
    Ok((rounds, dropped))
}

/// Measures everybody once and returns the figures in the order of the contestants.
fn round(
    contestants: usize,
    reversed: bool,
    measure: &mut impl FnMut(usize) -> Result<Figures, Failure>,
) -> Result<Vec<Figures>, Failure> {
    if !reversed {
        return (0..contestants).map(measure).collect();
    }
    let mut figures = (0..contestants).rev().map(measure).collect::<Result<Vec<_>, _>>()?;
    figures.reverse();
    Ok(figures)
}

impl Contest {
    /// The median over the rounds of one figure of one contestant.
    pub fn median(&self, contestant: usize, figure: impl Fn(&Figures) -> f64) -> f64 {
        stats::median(&self.figures[contestant].iter().map(figure).collect::<Vec<_>>())
    }

    /// One contestant against another.
    pub fn ratios(&self, contestant: usize, baseline: usize, seed: u64) -> Ratios {
        let ratio = |figure: &dyn Fn(&Figures) -> f64| {
            let of = |index: usize| self.figures[index].iter().map(figure).collect::<Vec<_>>();
            let ratios = stats::paired_ratios(&of(contestant), &of(baseline));
            stats::estimate(&ratios, RESAMPLES, seed)
        };
        let known = |index: usize| {
            self.figures[index].iter().all(|figures| figures.server_cpu_us_per_request.is_some())
        };
        Ratios {
            rate: ratio(&|figures| figures.requests_per_second),
            server_cpu: (known(contestant) && known(baseline))
                .then(|| ratio(&|figures| figures.server_cpu_us_per_request.unwrap_or(f64::NAN))),
            machine_cpu: ratio(&|figures| figures.machine_cpu_ms_per_gib),
            p99: ratio(&|figures| figures.latency.p99_us),
        }
    }

    /// In how many measurements the generator was the limit.
    pub fn generator_limited(&self) -> usize {
        self.figures.iter().flatten().filter(|figures| figures.generator_was_the_limit).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::measure::Usage;
    use crate::load::tally::Latency;

    fn figures(rate: f64, steal: f64) -> Figures {
        Figures {
            seconds: 1.0,
            requests: 1,
            requests_per_second: rate,
            body_bytes: 1,
            mib_per_second: 1.0,
            latency: Latency { p99_us: rate, ..Latency::default() },
            histogram: Vec::new(),
            errors: Default::default(),
            reconnects: 0,
            overdue: 0,
            server_cpu_us_per_request: Some(1.0 / rate),
            server_cpu_ms_per_gib: None,
            machine_cpu_us_per_request: 1.0,
            machine_cpu_ms_per_gib: 2.0,
            machine_cpu_uncertainty_percent: 0.0,
            usage: Usage {
                server_cpu_share: None,
                generator_cpu_share: 0.5,
                other_cpu_share: None,
                steal_percent: steal,
            },
            generator_was_the_limit: false,
        }
    }

    const RULES: Rules = Rules { rounds: 4, steal_percent_max: 1.0 };

    #[test]
    fn the_order_turns_round_each_time() {
        let mut order = Vec::new();
        let contest = play(3, RULES, |index| {
            order.push(index);
            Ok(figures(index as f64 + 1.0, 0.0))
        });
        let contest = contest.expect("nothing fails");
        assert_eq!(order, [0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0]);
        assert_eq!(contest.median(2, |figures| figures.requests_per_second), 3.0);
        let ratios = contest.ratios(1, 0, 1);
        assert_eq!(ratios.rate.median, 2.0);
        assert_eq!(ratios.server_cpu.map(|estimate| estimate.median), Some(0.5));
    }

    #[test]
    fn a_round_with_steal_is_played_again() {
        let mut calls = 0;
        let contest = play(2, RULES, |_| {
            calls += 1;
            Ok(figures(1.0, if calls == 4 { 1.5 } else { 0.5 }))
        });
        let contest = contest.expect("one bad round is allowed");
        assert_eq!((contest.dropped, calls), (1, 10));
        assert!(contest.figures.iter().all(|rounds| rounds.len() == 4));
    }

    #[test]
    fn steal_without_end_is_an_invalid_run() {
        let result = play(2, RULES, |_| Ok(figures(1.0, 50.0)));
        assert!(matches!(result, Err(Failure::Invalid(_))));
    }
}
