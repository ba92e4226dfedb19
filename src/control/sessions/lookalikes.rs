//! Devices that look alike: one token, one network, players that say the same of themselves. What
//! one session fetched of a live channel in, whether that is two devices out.
//!
//! One device fetches a segment once, as far as that went well. It does so again when its viewer
//! goes back, or opens the channel anew; then it fetches what it had, in a run, and what is new
//! after it. Two devices take turns: one fetches what is new, and the other what the first one had,
//! in the same order, neither of them ahead for long. So one rendition's segments count that were
//! fetched a second time, each the one behind the one before, between others that are new.
//!
//! Pure: what was fetched, how long a lease is, and the time are arguments.

use crate::config::{
    LOOKALIKE_DISORDER_MAX, LOOKALIKE_LAG_MAX, LOOKALIKE_RENDITIONS_MAX, LOOKALIKE_RUN_MAX,
    LOOKALIKE_TURNS,
};
use crate::units::Ticks;
use crate::viewer::fetched::Segment;

/// What one session has fetched.
#[derive(Clone, Debug, Default)]
pub struct Lookalikes {
    /// Those that were fetched last, the newest last.
    renditions: Vec<Fetches>,
    /// Until then they are two.
    until: Ticks,
}

/// What was fetched of one rendition.
#[derive(Clone, Copy, Debug)]
struct Fetches {
    rendition: u32,
    /// Names of the newest segments, in the order in which they were fetched first, in a ring.
    names: [u32; LOOKALIKE_LAG_MAX],
    /// Which of them were fetched again: the place in the ring says the bit.
    again: u32,
    /// Segments that were fetched first.
    count: u64,
    turns: Turns,
}
const _: () = assert!(LOOKALIKE_LAG_MAX <= u32::BITS as usize, "there is a bit for each");

/// Segments that were fetched again, each the one behind the one before, or nearly so.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    /// Which one is next, by the order in which they were fetched first.
    next: u64,
    /// When the first of them was, and when the last.
    began: Ticks,
    last: Ticks,
    /// How often one was, after one that was new.
    count: u32,
    /// Whether one was new since the last of them.
    has_new: bool,
    /// Those since the last new one.
    again: u32,
}

impl Lookalikes {
    /// The session has had all of a segment, or of a header; `length_ms` is how long its lease is.
    pub fn fetch(&mut self, segment: Segment, length_ms: u32, now: Ticks) {
        let Some(name) = segment.name() else {
            // A player begins: whatever it had before, it fetches anew.
            self.renditions.retain(|of| of.rendition != segment.rendition());
            return;
        };
        let of = self.of(segment.rendition());
        let long = u64::from(length_ms);
        if of.fetch(name, long, now) {
            self.until = now.plus(2 * long);
        }
    }

    /// Whether they are two.
    #[must_use]
    pub fn are_two(&self, now: Ticks) -> bool {
        now < self.until
    }

    fn of(&mut self, rendition: u32) -> &mut Fetches {
        let place = self.renditions.iter().position(|of| of.rendition == rendition);
        let of = match place {
            Some(place) => self.renditions.remove(place),
            None => Fetches::new(rendition),
        };
        if self.renditions.len() == LOOKALIKE_RENDITIONS_MAX {
            self.renditions.remove(0);
        }
        self.renditions.push(of);
        self.renditions.last_mut().expect("it was just put there")
    }
}

impl Fetches {
    fn new(rendition: u32) -> Self {
        let (names, turns) = ([0; LOOKALIKE_LAG_MAX], Turns::default());
        Self { rendition, names, again: 0, count: 0, turns }
    }

    /// Whether it shows that they are two.
    fn fetch(&mut self, name: u32, length_ms: u64, now: Ticks) -> bool {
        let ring = LOOKALIKE_LAG_MAX as u64;
        let Some(place) = self.names.iter().position(|of| *of == name) else {
            let place = (self.count % ring) as usize;
            self.names[place] = name;
            self.again &= !(1 << place);
            self.count += 1;
            (self.turns.has_new, self.turns.again) = (true, 0);
            return false;
        };
        let behind = (self.count + ring - 1 - place as u64) % ring;
        let number = self.count - 1 - behind;
        if self.again & (1 << place) == 0 {
            self.again |= 1 << place;
            self.turns.take(number, length_ms, now);
            let Turns { count, began, .. } = self.turns;
            return count >= LOOKALIKE_TURNS && now.since(began) >= length_ms;
        }
        if number + 1 < self.turns.next {
            // A third one is behind the second; or one goes back.
            self.turns.run();
        }
        false
    }
}

impl Turns {
    /// The segment with this number was fetched again.
    fn take(&mut self, number: u64, length_ms: u64, now: Ticks) {
        let is_near = now.since(self.last) <= length_ms / 2;
        // Shards tell once a second, and not in turn.
        let goes_on = number.abs_diff(self.next) <= LOOKALIKE_DISORDER_MAX;
        if !goes_on || !is_near || self.count == 0 {
            (self.next, self.count, self.began) = (number, 1, now);
        } else if self.has_new {
            self.count += 1;
        }
        (self.next, self.last, self.has_new) = (self.next.max(number + 1), now, false);
        self.run();
    }

    fn run(&mut self) {
        self.again += 1;
        if self.again > LOOKALIKE_RUN_MAX {
            self.count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH_MS: u32 = 15_000;
    const SEGMENT_MS: u64 = 4_000;

    /// A session whose devices fetch what a test says.
    #[derive(Default)]
    struct Watching {
        all: Lookalikes,
        now: u64,
    }

    impl Watching {
        fn fetch(&mut self, rendition: &str, number: u64) -> &mut Self {
            let segment = Segment::at(&format!("/tv/news/{rendition}/{number}.m4s"));
            self.all.fetch(segment, LENGTH_MS, Ticks(self.now));
            self
        }

        fn open(&mut self) -> &mut Self {
            for header in ["/tv/news/v/init.mp4", "/tv/news/a/init.mp4"] {
                self.all.fetch(Segment::header(header), LENGTH_MS, Ticks(self.now));
            }
            self
        }

        /// What is new comes, and pictures and sound of it are fetched, so many times.
        fn go_on(&mut self, numbers: std::ops::Range<u64>, devices: &[u64]) -> &mut Self {
            for number in numbers {
                for lag in devices {
                    self.fetch("v", number - lag).fetch("a", number - lag);
                }
                self.now += SEGMENT_MS;
            }
            self
        }

        fn are_two(&self) -> bool {
            self.all.are_two(Ticks(self.now))
        }
    }

    #[test]
    fn two_that_take_turns_are_two_however_far_one_is_behind() {
        let many = [0; 20];
        for devices in
            [&[0, 0][..], &[0, 1], &[0, 3], &[0, 12], &[0, 0, 0], &[0, 2, 5], &[4, 0, 9, 2], &many]
        {
            let mut watching = Watching::default();
            watching.go_on(80..100, &[0]);
            assert!(!watching.go_on(100..103, devices).are_two(), "{devices:?}: too soon");
            assert!(watching.go_on(103..130, devices).are_two(), "{devices:?}");
            // One of them leaves.
            assert!(!watching.go_on(130..140, &[0]).are_two(), "{devices:?}");
        }
    }

    #[test]
    fn one_that_is_joined_is_two_after_three_segments_and_a_lease() {
        let mut watching = Watching::default();
        watching.go_on(100..200, &[0]);
        assert!(!watching.are_two());
        let joined = watching.now;
        // The second one fetches what a player begins with.
        watching.open().fetch("v", 197).fetch("v", 198).fetch("v", 199);
        while !watching.are_two() {
            let number = 200 + (watching.now - joined) / SEGMENT_MS;
            watching.go_on(number..number + 1, &[0, 0]);
            assert!(watching.now - joined < 60_000, "it is seen within a minute");
        }
        assert!(watching.now - joined >= 3 * SEGMENT_MS.max(5_000));
    }

    #[test]
    fn shards_may_tell_of_some_at_once() {
        let mut watching = Watching::default();
        for number in (100..140).step_by(2) {
            for _ in 0..2 {
                watching.fetch("v", number).fetch("v", number + 1);
            }
            watching.now += SEGMENT_MS;
        }
        assert!(watching.are_two());
    }

    #[test]
    fn shards_need_not_tell_in_turn() {
        let mut watching = Watching::default();
        for number in (100..160).step_by(2) {
            // Four shards, two devices, two segments in a second.
            for behind in [[0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]][number as usize / 2 % 3] {
                watching.fetch("v", number + behind);
            }
            watching.now += 1_000;
        }
        assert!(watching.are_two());
    }

    #[test]
    fn whoever_goes_back_is_one_however_often() {
        for (every, back) in [(1, 8), (1, 12), (2, 2), (3, 4), (5, 5), (8, 8), (30, 20), (4, 15)] {
            let mut watching = Watching::default();
            let mut edge = 100;
            watching.go_on(edge..edge + 10, &[0]);
            edge += 10;
            for _ in 0..30 {
                for number in edge - back..edge {
                    watching.fetch("v", number);
                }
                watching.go_on(edge..edge + every, &[0]);
                edge += every;
                assert!(!watching.are_two(), "{back} segments back every {every}");
            }
        }
    }

    #[test]
    fn whoever_opens_it_again_and_again_is_one() {
        let mut watching = Watching::default();
        for number in 100..140 {
            watching.open();
            for behind in [2, 1, 0] {
                watching.fetch("v", number - behind).fetch("a", number - behind);
            }
            watching.now += SEGMENT_MS;
            assert!(!watching.are_two(), "{number}");
        }
    }

    #[test]
    fn another_rendition_of_the_same_moment_is_no_second_device() {
        let mut watching = Watching::default();
        for number in 100..160 {
            // Fetched in a better one at once, and the sound beside it.
            watching.fetch(if number % 5 < 3 { "v" } else { "w" }, number).fetch("a", number);
            watching.fetch(if number % 5 < 2 { "w" } else { "u" }, number);
            watching.now += SEGMENT_MS;
            assert!(!watching.are_two(), "{number}");
        }
    }

    #[test]
    fn few_segments_that_were_fetched_twice_are_no_second_device() {
        let mut watching = Watching::default();
        for number in 100..200 {
            watching.fetch("v", number);
            // Now and then one comes broken.
            if number % 7 < 4 {
                watching.fetch("v", number);
            }
            watching.now += SEGMENT_MS;
            assert!(!watching.are_two(), "{number}");
        }
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Fetches>() <= 128, "{}", size_of::<Fetches>());
    }
}
