//! Streams cut and published: what is listed, and under which numbers.

use super::super::cut::Cutter;
use super::super::fixture::{self, lengths};
use super::*;

/// A rendition that is fed.
struct Fed {
    timeline: Timeline,
    cutter: Cutter,
}

impl Fed {
    fn new() -> Self {
        Self { timeline: Timeline::new(lengths(), 0), cutter: Cutter::new(lengths()) }
    }

    /// Chunks of half a second, the first of which begins at so many half seconds.
    fn feed(&mut self, from: i64, count: i64) -> Added {
        fixture::feed_cut(&mut self.timeline, &mut self.cutter, 90_000, (from, count))
    }

    /// Another encoder, or the same after its end.
    fn restart(&mut self) {
        self.timeline.begin_anew(0);
        self.cutter = Cutter::new(lengths());
    }

    fn listed(&self) -> String {
        listed(&self.timeline)
    }
}

/// number:parts, with `D` for a discontinuity, `G` for a gap, and `+` while it grows.
fn listed(timeline: &Timeline) -> String {
    let words = timeline.segments().iter().map(|segment| {
        format!(
            "{}{}{}:{}{}",
            if segment.discontinuity { "D" } else { "" },
            if segment.is_gap { "G" } else { "" },
            segment.number,
            segment.whole_parts().len(),
            if segment.is_whole { "" } else { "+" },
        )
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn segments_grow_part_by_part() {
    let mut fed = Fed::new();
    fed.feed(400, 6);
    assert_eq!(fed.listed(), "100:4 101:2+");
    assert_eq!(fed.timeline.next_part(), Some((101, 2)));
    fed.feed(406, 2);
    // It has its length: whatever comes next belongs to the next one.
    assert_eq!(fed.listed(), "100:4 101:4+");
    assert_eq!(fed.timeline.next_part(), Some((102, 0)));
    fed.timeline.end_segment();
    assert_eq!(fed.listed(), "100:4 101:4");
    assert_eq!(fed.timeline.next_part(), Some((102, 0)));
}

#[test]
fn what_did_not_come_is_published_as_gaps() {
    let mut fed = Fed::new();
    fed.feed(400, 3);
    assert_eq!(fed.feed(412, 1), Added::AfterGaps(2));
    assert_eq!(fed.listed(), "100:3 G101:4 G102:4 103:1+", "the first one is short");
}

#[test]
fn an_encoder_that_is_back_on_the_grid_keeps_its_numbers() {
    let mut fed = Fed::new();
    fed.feed(400, 4);
    fed.restart();
    fed.feed(408, 4);
    assert_eq!(fed.listed(), "100:4 G101:4 D102:4+");
    // It began again from nothing: numbers go on all the same.
    fed.restart();
    fed.feed(0, 8);
    assert_eq!(fed.listed(), "100:4 G101:4 D102:4 D103:4 104:4+");
    // Far in the future: nobody waits through a day of gaps.
    fed.restart();
    fed.feed(400_000, 4);
    assert_eq!(fed.listed(), "100:4 G101:4 D102:4 D103:4 104:4 D105:4+");
}

#[test]
fn a_gap_before_another_header_is_not_said_to_have_it() {
    let mut fed = Fed::new();
    fed.feed(400, 4);
    fed.restart();
    fed.timeline.change_header(1);
    fed.feed(408, 4);
    let headers = fed.timeline.segments().iter().map(|segment| segment.header);
    assert_eq!(headers.collect::<Vec<_>>(), [0, 0, 1]);
}

#[test]
fn behind_what_is_longer_than_the_grid_numbers_are_counted_on() {
    let mut timeline = Timeline::new(lengths(), 0);
    let mut cutter = Cutter::new(lengths());
    // In a channel of two seconds. At last four seconds are missing.
    let mut start = Moment { ticks: 0, timescale: 1000 };
    for (duration, hole) in [(2000, 0), (5000, 0), (4000, 0), (2000, 0), (2000, 4000), (2000, 0)] {
        let chunk = Timed { start: start.plus(hole), duration, independent: true };
        let place = cutter.place(&chunk).unwrap();
        assert_ne!(timeline.add(&chunk, &place), Added::Apart);
        start = chunk.start.plus(duration);
    }
    assert_eq!(listed(&timeline), "0:1 1:1 2:1 3:1 G4:4 G5:4 6:1 7:1+");
    // An encoder that begins anew on the same grid goes on there, too.
    timeline.begin_anew(0);
    let chunk = Timed { start: start.plus(2000), duration: 2000, independent: true };
    let place = Cutter::new(lengths()).place(&chunk).unwrap();
    assert_eq!(timeline.add(&chunk, &place), Added::AfterGaps(1));
    assert_eq!(listed(&timeline), "0:1 1:1 2:1 3:1 G4:4 G5:4 6:1 7:1 G8:4 D9:1+");
}

#[test]
fn a_longest_segment_is_not_full_before_it_is_as_long() {
    let mut fed = Fed::new();
    fed.feed(400, 4);
    assert_eq!(fed.timeline.next_part(), Some((101, 0)));
    let longer = Longer { segment: Length::of_millis(4000), part: Length::of_millis(500) };
    fed.timeline.lengthen(longer);
    assert_eq!(fed.timeline.next_part(), Some((100, 4)));
    assert_eq!(fed.timeline.promise(), Some(Promise { seconds: 4, part_ms: 500 }));
}

#[test]
fn what_is_older_than_the_window_goes_but_for_three() {
    let mut fed = Fed::new();
    fed.feed(400, 40);
    fed.restart();
    fed.feed(440, 4);
    let taken = fed.timeline.trim(10_000_000);
    assert_eq!(
        taken.iter().map(|segment| segment.number).collect::<Vec<_>>(),
        [100, 101, 102, 103, 104, 105]
    );
    assert_eq!(fed.listed(), "106:4 107:4 108:4 109:4 D110:4+");
    assert_eq!(fed.timeline.discontinuity_sequence(), 0);
    fed.feed(444, 16);
    fed.timeline.trim(0);
    assert_eq!(fed.listed(), "112:4 113:4 114:4+");
    assert_eq!(fed.timeline.discontinuity_sequence(), 1);
}

#[test]
fn other_numbers_go_on_above_those_that_were_used() {
    let mut fed = Fed::new();
    fed.timeline.begin_above(500);
    fed.feed(400, 4);
    assert_eq!(fed.listed(), "100:4+", "on the epoch's time they follow from it");
    let begun = |used| {
        let mut fed = Fed::new();
        fed.timeline.begin_anew(4_000_000);
        fed.timeline.begin_above(used);
        fed.feed(400, 8);
        fed.listed()
    };
    assert_eq!(begun(i64::MIN), "102:4 103:4+", "none was used");
    assert_eq!(begun(50), "102:4 103:4+");
    assert_eq!(begun(500), "501:4 502:4+");
}
