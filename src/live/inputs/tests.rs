//! Inputs under a clock that the test moves.

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn plan(inputs: usize, idle: Option<u64>) -> Plan {
    Plan {
        listens: vec![false; inputs],
        idle: idle.map(secs),
        patience: (secs(20), secs(10)),
        good: secs(10),
        again: (secs(1), secs(60)),
        trial: (secs(30), secs(600)),
    }
}

/// Does at once what is to be done, as far as that ends by itself, and says it in words.
struct Bench {
    inputs: Inputs,
    now: Duration,
}

impl Bench {
    fn new(plan: Plan) -> Self {
        Self { inputs: Inputs::new(plan, secs(100)), now: secs(100) }
    }

    /// What is to be done at this second of the test.
    fn at(&mut self, second: u64) -> Vec<Action> {
        self.now = secs(100 + second);
        std::iter::from_fn(|| self.inputs.poll(self.now)).collect()
    }

    /// It ends, and the chance is in the middle.
    fn ends(&mut self) {
        self.inputs.handle_ended(self.now, 128);
    }

    fn media(&mut self, second: u64) {
        self.inputs.handle_media(secs(100 + second));
    }

    fn wakes_at(&self) -> Option<u64> {
        self.inputs.wakes_at().map(|at| at.as_secs() - 100)
    }
}

use Action::{EndTrial, Rest, Start, Stop, Try};

#[test]
fn an_input_that_fails_is_tried_again_after_longer_and_longer_waits() {
    let mut bench = Bench::new(plan(1, None));
    let mut second = 0;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(bench.at(second), [Start(0)]);
        bench.ends();
        assert_eq!(bench.wakes_at(), Some(second + wait));
        assert_eq!(bench.at(second + wait - 1), []);
        second += wait;
    }
    assert_eq!(bench.at(second), [Start(0)]);
    assert_eq!(bench.inputs.starts(), 9);
    // A good run makes up for it.
    bench.media(second + 1);
    bench.media(second + 11);
    bench.at(second + 12);
    bench.ends();
    assert_eq!(bench.wakes_at(), Some(second + 13));
}

#[test]
fn what_is_waited_is_spread_by_chance() {
    let waited = |chance| {
        let mut bench = Bench::new(plan(1, None));
        bench.at(0);
        bench.inputs.handle_ended(bench.now, chance);
        bench.inputs.wakes_at().unwrap() - bench.now
    };
    assert_eq!(waited(0), secs(1) * 3 / 4);
    assert!(waited(255) > secs(1) * 6 / 5 && waited(255) < secs(1) * 5 / 4);
}

#[test]
fn an_input_that_is_silent_gives_way_to_the_next_one() {
    let mut bench = Bench::new(plan(3, None));
    assert_eq!(bench.at(0), [Start(0)]);
    assert_eq!(bench.wakes_at(), Some(20));
    assert_eq!(bench.at(19), []);
    assert_eq!(bench.at(20), [Stop]);
    assert_eq!(bench.at(21), []);
    bench.ends();
    assert_eq!(bench.at(22), [Start(1)]);
    bench.media(23);
    bench.media(25);
    assert_eq!(bench.at(34), []);
    assert_eq!(bench.at(35), [Stop]);
    bench.ends();
    assert_eq!(bench.at(36), [Start(2)]);
    bench.ends();
    // All three have failed: the round is over, and the first is next.
    assert_eq!(bench.at(37), [Start(0)]);
    for (second, input) in [(37, 1), (38, 2)] {
        bench.ends();
        assert_eq!(bench.at(second + 1), [Start(input)]);
    }
    bench.ends();
    assert_eq!((bench.at(40), bench.at(41)), (vec![], vec![Start(0)]));
}

#[test]
fn a_sender_that_may_come_at_any_time_is_waited_for_unless_there_is_another_input() {
    let mut alone = Bench::new(Plan { listens: vec![true], ..plan(1, None) });
    assert_eq!(alone.at(0), [Start(0)]);
    assert_eq!((alone.wakes_at(), alone.at(100_000)), (None, vec![]));
    // Once it has come, its silence is one.
    alone.media(100_000);
    assert_eq!((alone.at(100_009), alone.at(100_010)), (vec![], vec![Stop]));
    let mut two = Bench::new(Plan { listens: vec![true, false], ..plan(2, None) });
    assert_eq!(two.at(0), [Start(0)]);
    assert_eq!(two.at(20), [Stop]);
}

#[test]
fn earlier_inputs_are_tried_beside_the_one_that_runs_and_taken_when_they_are_back() {
    let mut bench = Bench::new(plan(3, None));
    bench.at(0);
    bench.ends();
    bench.at(1);
    bench.ends();
    assert_eq!(bench.at(2), [Start(2)]);
    // It has media all the time.
    let at = |bench: &mut Bench, second| {
        bench.media(second);
        bench.at(second)
    };
    assert_eq!(at(&mut bench, 31), []);
    assert_eq!(at(&mut bench, 32), [Try(0)]);
    bench.inputs.handle_trial_ended(bench.now, false);
    // The next one after as long, and a whole round without media doubles the wait.
    assert_eq!(at(&mut bench, 61), []);
    assert_eq!(at(&mut bench, 62), [Try(1)]);
    bench.inputs.handle_trial_ended(bench.now, false);
    assert_eq!(at(&mut bench, 121), []);
    assert_eq!(at(&mut bench, 122), [Try(0)]);
    bench.inputs.handle_trial_ended(bench.now, true);
    assert_eq!(bench.at(123), [Stop]);
    assert_eq!(bench.at(124), []);
    bench.ends();
    assert_eq!(bench.at(124), [Start(0)]);
    assert_eq!(bench.inputs.input(), 0);
    // From the first one nothing else is tried.
    bench.media(900);
    assert_eq!(bench.at(900), []);
}

#[test]
fn a_trial_ends_with_what_it_was_made_for() {
    let mut bench = Bench::new(plan(2, None));
    bench.at(0);
    bench.ends();
    bench.at(1);
    bench.media(31);
    assert_eq!(bench.at(31), [Try(0)]);
    bench.ends();
    assert_eq!(bench.at(32), [EndTrial, Start(0)]);
    // What it says then is of no use any more.
    bench.inputs.handle_trial_ended(bench.now, true);
    assert_eq!(bench.at(33), []);
}

#[test]
fn on_demand_nothing_runs_until_it_is_wanted_nor_when_nobody_watches() {
    let mut bench = Bench::new(plan(1, Some(60)));
    assert_eq!((bench.at(1000), bench.wakes_at()), (vec![], None));
    bench.inputs.handle_wanted(bench.now);
    assert_eq!(bench.at(1000), [Start(0)]);
    for second in 1001..1050 {
        bench.media(second);
        assert_eq!(bench.at(second), []);
    }
    bench.inputs.handle_wanted(bench.now);
    for second in 1050..1109 {
        bench.media(second);
        assert_eq!(bench.at(second), []);
    }
    assert_eq!(bench.at(1109), [Stop]);
    bench.ends();
    assert_eq!(bench.at(1110), [Rest]);
    assert_eq!((bench.at(2000), bench.wakes_at()), (vec![], None));
    bench.inputs.handle_wanted(bench.now);
    assert_eq!(bench.at(2000), [Start(0)]);
}

#[test]
fn on_demand_an_input_that_fails_is_given_up_when_nobody_waits_any_more() {
    let mut bench = Bench::new(plan(1, Some(60)));
    bench.inputs.handle_wanted(bench.now);
    let mut starts = 0;
    for second in 0..60 {
        if bench.at(second) == [Start(0)] {
            starts += 1;
            bench.ends();
        }
    }
    assert_eq!((starts, bench.at(60)), (6, vec![Rest]));
    assert_eq!(bench.at(1000), []);
}

#[test]
fn whoever_comes_while_it_is_being_stopped_is_not_forgotten() {
    let mut bench = Bench::new(plan(1, Some(60)));
    bench.inputs.handle_wanted(bench.now);
    bench.at(0);
    bench.media(1);
    bench.media(60);
    assert_eq!((bench.at(60), bench.at(61)), (vec![], vec![Stop]));
    bench.inputs.handle_wanted(bench.now);
    bench.ends();
    assert_eq!(bench.at(62), [Start(0)], "it never rested");
    bench.media(63);
    bench.media(122);
    assert_eq!(bench.at(123), [Stop]);
    bench.ends();
    bench.inputs.handle_wanted(bench.now);
    assert_eq!(bench.at(124), [Rest, Start(0)], "taken back first, and begun anew");
}

#[test]
fn on_demand_an_input_has_its_time_to_begin_however_soon_a_channel_is_left() {
    let mut bench = Bench::new(plan(1, Some(10)));
    bench.inputs.handle_wanted(bench.now);
    assert_eq!(bench.at(0), [Start(0)]);
    assert_eq!((bench.at(19), bench.wakes_at()), (vec![], Some(20)));
    bench.media(19);
    bench.media(28);
    assert_eq!((bench.at(28), bench.at(29)), (vec![], vec![Stop]));
}

#[test]
fn without_room_it_is_tried_again_and_nothing_is_blamed() {
    let mut bench = Bench::new(plan(2, None));
    assert_eq!(bench.at(0), [Start(0)]);
    bench.inputs.handle_no_room(bench.now);
    assert_eq!((bench.inputs.starts(), bench.at(1)), (0, vec![Start(0)]));
}

#[test]
fn what_is_begun_with_again_has_not_failed() {
    let mut bench = Bench::new(plan(2, None));
    assert_eq!(bench.at(0), [Start(0)]);
    bench.inputs.handle_again(bench.now);
    assert_eq!((bench.at(0), bench.inputs.starts()), (vec![Start(0)], 2));
    bench.ends();
    assert_eq!(bench.at(1), [Start(1)]);
}

#[test]
fn whatever_happens_in_whatever_order_something_can_follow() {
    // Numbers of a linear congruence stand for what happens.
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let (mut bench, mut runs, mut tries) = (Bench::new(plan(3, Some(60))), false, false);
    for second in 0..20_000 {
        for action in bench.at(second) {
            match action {
                Start(_) => assert!(!std::mem::replace(&mut runs, true), "one at a time"),
                Stop => assert!(runs, "only what runs is stopped"),
                Try(input) => {
                    assert!(!std::mem::replace(&mut tries, true) && input < bench.inputs.input());
                }
                EndTrial => assert!(std::mem::take(&mut tries)),
                Rest => assert!(!runs),
            }
        }
        let stops = bench.inputs.doing() == Doing::Ending;
        match next(40) {
            0..=9 => bench.media(second),
            10 if runs => {
                runs = false;
                bench.inputs.handle_ended(bench.now, 0);
            }
            11..=13 => bench.inputs.handle_wanted(bench.now),
            14 if tries => {
                tries = false;
                bench.inputs.handle_trial_ended(bench.now, next(2) == 0);
            }
            15..=25 if stops && runs => {
                runs = false;
                bench.inputs.handle_ended(bench.now, 255);
            }
            _ => {}
        }
        if !runs && !stops {
            let wakes = bench.inputs.wakes_at().is_some();
            assert_eq!(wakes, bench.inputs.doing() != Doing::Resting);
        }
    }
    assert!(bench.inputs.starts() > 100);
}
