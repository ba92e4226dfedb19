//! Sessions on several shards, whose clients take all that they get, by a clock that the test sets.

use std::net::IpAddr;

use super::*;
use crate::viewer::Viewing;
use crate::viewer::players::Heard;
use crate::viewer::session::Content;

const CAP: u32 = 8_000;
const CAPPED: Bounds = Bounds { cap_kbps: NonZeroU32::new(CAP), is_paced: false };
const PACED: Bounds = Bounds { cap_kbps: None, is_paced: true };

fn name() -> SessionId {
    let (peer, content) = (Some(IpAddr::from([192, 0, 2, 1])), Content::Channel("news"));
    Viewing { subscriber: NonZeroU32::new(7), token: 1, peer, agent: b"VLC", content }.id()
}

/// Shards that send as fast as they may, and tell every second, each at another moment.
struct Play {
    pace: Pace,
    now_ms: u64,
    /// Connections of each shard; what they may together; and what they sent since they told.
    shards: Vec<(u32, Option<u32>, u64)>,
    bounds: Bounds,
    media_kbps: Option<u32>,
    hurries: bool,
    /// Of what a connection gets at first, in kilobits a second.
    first_kbps: u32,
    bits: u64,
}

impl Play {
    fn new(shards: usize, bounds: Bounds) -> Self {
        Self {
            pace: Pace::new(Ticks(1_000_000)),
            now_ms: 1_000_000,
            shards: vec![(1, None, 0); shards],
            bounds,
            media_kbps: None,
            hurries: false,
            first_kbps: CAP,
            bits: 0,
        }
    }

    fn tell(&mut self, at: usize) {
        let (busy, _, bits) = self.shards[at];
        self.shards[at].2 = bits % 8;
        let heard = Heard { hurries: self.hurries, ..Heard::default() };
        let rates = Rates { picture_kbps: self.media_kbps.unwrap_or(0), sound_kbps: 0 };
        let report = Report { id: name(), heard, busy, taken: bits / 8, rates };
        let (now, bounds) = (Ticks(self.now_ms), self.bounds);
        for (shard, _, share) in self.pace.hear(at as u16, &report, bounds, now) {
            self.shards[usize::from(shard)].1 = share.kbps.map(NonZeroU32::get);
        }
    }

    /// So many milliseconds pass; gives the rate that was sent meanwhile, in kilobits a second.
    fn run(&mut self, ms: u64) -> u64 {
        let before = self.bits;
        for _ in 0..ms {
            for at in 0..self.shards.len() {
                let is_first = self.shards[at].1.is_none() && self.shards[at].0 > 0;
                let kbps = self.shards[at].1.unwrap_or(self.first_kbps);
                let bits = if self.shards[at].0 > 0 { u64::from(kbps) } else { 0 };
                self.shards[at].2 += bits;
                self.bits += bits;
                if is_first || self.now_ms % 1_000 == 37 * at as u64 {
                    self.tell(at);
                }
            }
            self.now_ms += 1;
        }
        (self.bits - before) / ms
    }
}

#[test]
fn a_cap_holds_to_a_tenth_from_one_and_from_many_shards() {
    for shards in [1, 2, 8] {
        let mut play = Play::new(shards, CAPPED);
        for _ in 0..3 {
            let kbps = play.run(30_000);
            assert!((7_200..=8_800).contains(&kbps), "{kbps} of {CAP} from {shards} shards");
        }
    }
}

#[test]
fn what_goes_round_among_shards_gets_the_cap_all_the_same() {
    let mut play = Play::new(4, CAPPED);
    play.run(10_000);
    let before = play.bits;
    for second in 0..30 {
        for at in 0..4 {
            play.shards[at].0 = u32::from(at == second % 4);
        }
        play.run(1_000);
    }
    let kbps = (play.bits - before) / 30_000;
    assert!((7_200..=8_800).contains(&kbps), "{kbps}");
}

#[test]
fn what_was_far_too_much_is_taken_back_and_a_pause_gives_little() {
    let mut play = Play::new(1, CAPPED);
    play.run(1_000);
    // As if a shard had a queue of its own to send.
    play.shards[0].2 += 8_000 * 5_000;
    play.bits += 8_000 * 5_000;
    let kbps = play.run(30_000) + 8_000 * 5_000 / 30_000;
    assert!((7_200..=8_800).contains(&kbps), "{kbps}");
    play.shards[0].0 = 0;
    play.run(60_000);
    play.shards[0].0 = 1;
    let kbps = play.run(30_000);
    assert!((7_600..=8_800).contains(&kbps), "{kbps}");
}

#[test]
fn whoever_always_hurries_gains_no_more_than_the_credit() {
    const MEDIA: u32 = 1_000;
    for shards in [1, 8] {
        let mut play = Play::new(shards, PACED);
        (play.media_kbps, play.hurries, play.first_kbps) = (Some(MEDIA), true, 9 * MEDIA);
        play.run(300_000);
        let beyond = play.bits.saturating_sub(300_000 * 4 * u64::from(MEDIA));
        // At first all of it, and as much again comes back over the time.
        let credit = 60_000 * u64::from(MEDIA);
        let tenth = credit / 10;
        assert!(beyond <= credit + tenth, "{beyond} of {credit} from {shards} shards");
        assert!(beyond >= credit / 3, "it has some: {beyond}");
    }
}

#[test]
fn what_was_had_too_soon_is_paid_back_and_nobody_stalls_of_it() {
    let mut play = Play::new(1, PACED);
    (play.media_kbps, play.first_kbps) = (Some(1_000), 4_000);
    play.run(1_000);
    // A burst beyond all credit, as from many shards that were idle.
    play.shards[0].2 += 60_000 * 1_000;
    let kbps = play.run(10_000);
    assert!((2_000..=2_500).contains(&kbps), "{kbps}");
    play.run(20_000);
    let kbps = play.run(10_000);
    assert!((3_900..=4_100).contains(&kbps), "{kbps}");
}

#[test]
fn who_does_not_hurry_gets_four_times_real_time_and_who_is_unknown_all() {
    let mut play = Play::new(2, PACED);
    (play.media_kbps, play.first_kbps) = (Some(1_000), 4_000);
    let kbps = play.run(60_000);
    assert!((3_900..=4_100).contains(&kbps), "{kbps}");
    let mut unknown = Play::new(1, PACED);
    unknown.run(10);
    assert_eq!(unknown.pace.parts[0].told, Some(Share { kbps: None, may_hurry: true }));
    let mut both = Play::new(1, Bounds { cap_kbps: NonZeroU32::new(3_000), is_paced: true });
    (both.media_kbps, both.first_kbps) = (Some(1_000), 3_000);
    let kbps = both.run(30_000);
    assert!((2_900..=3_100).contains(&kbps), "the lower one counts: {kbps}");
}

#[test]
fn a_shard_that_says_nothing_any_more_has_no_share() {
    let mut play = Play::new(2, CAPPED);
    play.run(2_500);
    assert_eq!(play.pace.parts.len(), 2);
    play.shards.truncate(1);
    play.run(7_000);
    assert_eq!(play.pace.parts.len(), 1);
}

#[test]
fn absurd_figures_do_not_overflow() {
    let mut pace = Pace::new(Ticks(0));
    let heard = Heard { hurries: true, ..Heard::default() };
    let bounds = Bounds { cap_kbps: Some(NonZeroU32::MAX), is_paced: true };
    for (taken, now) in [(u64::MAX, 1), (u64::MAX, u64::MAX / 2), (0, u64::MAX)] {
        let rates = Rates { picture_kbps: u32::MAX, sound_kbps: u32::MAX };
        let report = Report { id: name(), heard, busy: u32::MAX, taken, rates };
        for shard in 0..3 {
            pace.hear(shard, &report, bounds, Ticks(now));
        }
    }
}
