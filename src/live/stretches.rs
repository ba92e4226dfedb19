//! Stretches of a channel: where media does not go on, for all of its renditions alike.
//!
//! Players count discontinuities, and look for the segments of one rendition where another one has
//! counted as many (RFC 8216bis, 6.2.1); in DASH a stretch is a Period. So a rendition that begins
//! anew begins a stretch of the whole channel, and the others follow with their next segment,
//! whether or not their own media goes on. Renditions that begin anew together begin one stretch.

/// What renditions share of where they begin.
#[derive(Clone, Debug, Default)]
pub struct Stretches {
    newest: Option<Stretch>,
    /// The one that was the newest before a restart.
    before: Option<Stretch>,
}

/// A stretch without discontinuities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its discontinuity sequence number; the channel's first one has 0.
    pub sequence: u64,
    /// Microseconds of Unix time at which it begins. That of the first one is where the media has
    /// its zero, so that nothing that is said of it depends on when a server was started.
    pub start_micros: i64,
}

/// A segment that a rendition begins.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// In which stretch its rendition was so far; none if this is its first segment.
    pub was: Option<u64>,
    /// Whether its media does not go on from what came before, or has another header.
    pub is_anew: bool,
    /// Microseconds of Unix time at which it begins.
    pub start_micros: i64,
    /// Microseconds of Unix time at the media's zero.
    pub zero_micros: i64,
    /// Half of its length: how far beside the start of a stretch it may begin to belong to it.
    pub slack_micros: i64,
}

impl Stretches {
    /// Those that go on behind this one, which was the newest before a restart: renditions begin in
    /// it, unless their media does not go on from what they had.
    #[must_use]
    pub fn behind(newest: Option<Stretch>) -> Self {
        Self { newest, before: newest }
    }

    /// The newest, if anything was begun.
    #[must_use]
    pub fn newest(&self) -> Option<Stretch> {
        self.newest
    }

    /// The stretch to which a segment belongs.
    pub fn enter(&mut self, begun: &Begun) -> Stretch {
        let Some(newest) = self.newest else {
            return self.begin(Stretch { sequence: 0, start_micros: begun.zero_micros });
        };
        let was = begun.was.or(self.before.map(|before| before.sequence));
        let was = was.unwrap_or(newest.sequence);
        let is_behind = was < newest.sequence;
        // Media of a later zero can't say where the stretch began: times are not negative.
        if (begun.is_anew && !is_behind) || begun.zero_micros > newest.start_micros {
            // Renditions do not begin at once; stretches do not begin in another order.
            let start_micros = begun.start_micros.max(newest.start_micros.saturating_add(1));
            return self.begin(Stretch { sequence: newest.sequence + 1, start_micros });
        }
        let from = newest.start_micros.saturating_sub(begun.slack_micros);
        if !is_behind || begun.is_anew || begun.start_micros >= from {
            return newest;
        }
        // It has yet to come so far. Where its own stretch began, it knows, if it has begun itself.
        let before = self.before.filter(|before| before.sequence == was);
        before.unwrap_or(Stretch { sequence: was, start_micros: i64::MIN })
    }

    fn begin(&mut self, stretch: Stretch) -> Stretch {
        self.newest = Some(stretch);
        stretch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: i64 = 2_000_000;

    /// One of the epoch's time that goes on.
    fn begun(was: Option<u64>, segment: i64) -> Begun {
        Begun {
            was,
            is_anew: false,
            start_micros: segment * SEGMENT,
            zero_micros: 0,
            slack_micros: SEGMENT / 2,
        }
    }

    fn anew(was: u64, segment: i64) -> Begun {
        Begun { is_anew: true, ..begun(Some(was), segment) }
    }

    #[track_caller]
    fn check(stretches: &mut Stretches, begun: Begun, sequence: u64, segment: i64) {
        let start_micros = segment * SEGMENT;
        assert_eq!(stretches.enter(&begun), Stretch { sequence, start_micros });
    }

    #[test]
    fn the_first_stretch_begins_at_the_zero_of_its_media() {
        let mut stretches = Stretches::default();
        check(&mut stretches, begun(None, 100), 0, 0);
        check(&mut stretches, begun(None, 101), 0, 0);
        check(&mut stretches, begun(Some(0), 102), 0, 0);
    }

    #[test]
    fn who_begins_anew_takes_the_others_along() {
        let mut stretches = Stretches::default();
        check(&mut stretches, begun(None, 100), 0, 0);
        check(&mut stretches, anew(0, 110), 1, 110);
        // One that is behind stays until it comes there, and half a segment before it is there.
        let early = stretches.enter(&begun(Some(0), 109));
        assert_eq!(early.sequence, 0);
        let near = Begun { start_micros: 110 * SEGMENT - 40_000, ..begun(Some(0), 110) };
        check(&mut stretches, near, 1, 110);
        check(&mut stretches, begun(Some(0), 112), 1, 110);
        check(&mut stretches, begun(Some(1), 113), 1, 110);
        // Who joins later is where the others are.
        check(&mut stretches, begun(None, 114), 1, 110);
    }

    #[test]
    fn renditions_that_begin_anew_together_begin_one_stretch() {
        let mut stretches = Stretches::default();
        check(&mut stretches, begun(None, 100), 0, 0);
        check(&mut stretches, anew(0, 110), 1, 110);
        check(&mut stretches, anew(0, 110), 1, 110);
        check(&mut stretches, anew(0, 104), 1, 110);
        // Once more is another one, and never before the one that is there.
        check(&mut stretches, anew(1, 120), 2, 120);
        let next = stretches.enter(&anew(2, 90));
        assert_eq!(next, Stretch { sequence: 3, start_micros: 120 * SEGMENT + 1 });
    }

    #[test]
    fn after_a_restart_the_count_goes_on() {
        let newest = Some(Stretch { sequence: 3, start_micros: 90 * SEGMENT });
        let mut stretches = Stretches::behind(newest);
        check(&mut stretches, begun(None, 100), 3, 90);
        // One that has another header than before is anew, and takes the others along.
        let anew = |segment| Begun { is_anew: true, ..begun(None, segment) };
        check(&mut stretches, anew(101), 4, 101);
        check(&mut stretches, anew(101), 4, 101);
        check(&mut stretches, begun(None, 100), 3, 90);
        check(&mut stretches, begun(None, 101), 4, 101);
        assert_eq!(stretches.newest().map(|newest| newest.sequence), Some(4));
        // So does media of a later zero.
        let mut stretches = Stretches::behind(newest);
        let other = Begun { zero_micros: 95 * SEGMENT, ..begun(None, 100) };
        check(&mut stretches, other, 4, 100);
        check(&mut stretches, other, 4, 100);
    }

    #[test]
    fn media_of_a_later_zero_begins_a_stretch() {
        let mut stretches = Stretches::default();
        check(&mut stretches, begun(None, 100), 0, 0);
        let other = Begun { zero_micros: 7 * SEGMENT, ..begun(None, 100) };
        check(&mut stretches, other, 1, 100);
        check(&mut stretches, Begun { was: Some(1), ..other }, 1, 100);
        check(&mut stretches, begun(Some(0), 101), 1, 100);
    }
}
