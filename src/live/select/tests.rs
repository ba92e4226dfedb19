//! Encoders that die at every chunk, in simulated time; what is published is what players get.

use super::*;
use crate::live::fixture::{MIDNIGHT, init, lengths, sent};
use crate::live::publisher::{Publisher, Taken, Zeros, timed};

const PATIENCE: Duration = Duration::from_millis(500);

/// What a source sends: half a second, as `sent` of the fixture.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Half seconds behind the media's zero.
    at: i64,
    /// Another salt is another encoder's bytes.
    salt: u64,
    header: u8,
}

impl Sent {
    fn candidate(self) -> Candidate {
        let Self { at, salt, header } = self;
        let chunk = sent(at);
        Candidate {
            timed: timed(&init(), &chunk).unwrap(),
            decode_time: chunk.fragment.runs[0].decode_time,
            chunk,
            bytes: vec![0; 10],
            hash: salt << 48 | u64::try_from(at).unwrap(),
            header: ETag::of(&[header]),
        }
    }
}

/// A rendition that is taken from several sources.
struct Rendition {
    selector: Selector,
    publisher: Publisher,
    zeros: Zeros,
    header: Option<ETag>,
    /// Source and half second of what was published, in its order.
    published: Vec<(usize, i64)>,
    now: u64,
}

impl Rendition {
    fn new(sources: usize) -> Self {
        Self {
            selector: Selector::new(lengths(), sources, PATIENCE),
            publisher: Publisher::new(init(), lengths()),
            zeros: Zeros::default(),
            header: None,
            published: Vec::new(),
            now: 0,
        }
    }

    fn front(&self) -> Option<Front> {
        let last = self.publisher.timeline().segments().back()?;
        Some(Front { end: last.end(), is_whole: last.is_whole })
    }

    fn offer(&mut self, source: usize, sent: Sent) -> Offered {
        let (front, now) = (self.front(), Duration::from_millis(self.now));
        let offered = self.selector.offer(source, sent.candidate(), front, now);
        self.poll();
        offered
    }

    fn poll(&mut self) {
        let now = Duration::from_millis(self.now);
        while let Some(action) = self.selector.poll(self.front(), now) {
            match action {
                Action::Skip(gap) => {
                    if self.publisher.skip(&gap).is_none() {
                        self.publisher.end_segment();
                    }
                }
                Action::Publish(one) => self.publish(&one),
            }
        }
    }

    fn publish(&mut self, one: &Publish) {
        let Publish { source, candidate, .. } = one;
        let is_other = self.header.is_some_and(|header| header != candidate.header);
        if is_other {
            self.publisher.take_header(init(), true);
        }
        if one.begins_anew {
            self.publisher.change_encoder();
        }
        self.header = Some(candidate.header);
        let unix = MIDNIGHT * 500_000 + i64::try_from(self.now).unwrap() * 1000;
        let taken = self.publisher.take(&candidate.chunk, candidate.hash, unix, &mut self.zeros);
        assert!(matches!(taken, Taken::Published(_)), "{taken:?} {:?}", candidate.timed);
        let at = i64::try_from(candidate.decode_time).unwrap() / 500;
        self.published.push((*source, at));
    }

    /// Passes time, as the server does: ten looks a second.
    fn pass(&mut self, until: u64) {
        while self.now < until {
            self.now = (self.now + 100).min(until);
            self.poll();
        }
    }

    /// Segments with a gap part in them or that are gaps, and discontinuities.
    fn flaws(&self) -> (usize, usize) {
        let segments = self.publisher.timeline().segments();
        let numbers: Vec<_> = segments.iter().map(|segment| segment.number).collect();
        assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "{numbers:?}");
        let has_gap = |segment: &&crate::live::timeline::Segment| {
            segment.is_gap || segment.parts.iter().any(|part| part.is_gap)
        };
        let gaps = segments.iter().filter(has_gap).count();
        (gaps, segments.iter().filter(|segment| segment.discontinuity).count())
    }
}

/// How a source dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Death {
    Torn,
    Silent,
}

/// Two sources, of which one dies before a chunk and comes back later.
#[derive(Clone, Copy, Debug)]
struct Case {
    dies: usize,
    at: i64,
    death: Death,
    /// Chunks that it is away for.
    away: i64,
    /// Milliseconds by which the second source is behind the first one; ahead, if below 0.
    behind: i64,
    salts: [u64; 2],
    headers: [u8; 2],
}

const CHUNKS: i64 = 40;

fn play(case: &Case) -> Rendition {
    let mut events: Vec<(u64, usize, i64)> = Vec::new();
    for at in 0..CHUNKS {
        for source in 0..2 {
            let late = if source == 1 { case.behind } else { 0 };
            let when = u64::try_from(1000 + at * 500 + late).unwrap();
            events.push((when, source, at));
        }
    }
    events.sort_unstable();
    let mut rendition = Rendition::new(2);
    for (when, source, at) in events {
        rendition.pass(when);
        if source == case.dies && at == case.at && case.death == Death::Torn {
            rendition.selector.break_request(source);
            rendition.poll();
        }
        let is_away = (case.at..case.at + case.away).contains(&at);
        if source == case.dies && is_away {
            continue;
        }
        let (salt, header) = (case.salts[source], case.headers[source]);
        rendition.offer(source, Sent { at: MIDNIGHT + at, salt, header });
    }
    rendition.pass(rendition.now + 3000);
    rendition
}

fn cases(salts: [u64; 2], headers: [u8; 2]) -> Vec<Case> {
    let mut cases = Vec::new();
    for dies in 0..2 {
        for at in 1..20 {
            for death in [Death::Torn, Death::Silent] {
                for away in [3, 9, CHUNKS] {
                    for behind in [-400, -100, 0, 100, 400] {
                        cases.push(Case { dies, at, death, away, behind, salts, headers });
                    }
                }
            }
        }
    }
    cases
}

#[test]
fn of_two_sources_with_the_same_bytes_either_may_die_and_nothing_shows() {
    for case in cases([0, 0], [0, 0]) {
        let rendition = play(&case);
        let published: Vec<_> = rendition.published.iter().map(|(_, at)| *at).collect();
        let all: Vec<_> = (MIDNIGHT..MIDNIGHT + CHUNKS).collect();
        assert_eq!(published, all, "{case:?}");
        assert_eq!(rendition.flaws(), (0, 0), "{case:?}");
    }
}

#[test]
fn of_two_sources_with_other_bytes_a_death_costs_one_segment_a_part_at_most() {
    for case in cases([0, 1], [0, 0]) {
        let rendition = play(&case);
        let (gaps, discontinuities) = rendition.flaws();
        assert!(gaps <= 1 && discontinuities == 0, "{case:?}: {:?}", rendition.published);
        // The first source is taken; the death of the other one is not noticed, unless it came
        // first and had the first segment.
        if case.dies == 1 && case.behind >= 0 {
            assert_eq!(gaps, 0, "{case:?}");
            assert!(rendition.published.iter().all(|(source, _)| *source == 0), "{case:?}");
        }
        one_source_a_segment(&rendition, &case);
        let last = rendition.published.last().unwrap().1;
        assert_eq!(last, MIDNIGHT + CHUNKS - 1, "{case:?}");
    }
}

/// What is published of a segment is one source's, up to where that dies, and then a gap.
fn one_source_a_segment(rendition: &Rendition, case: &Case) {
    for of in rendition.published.chunk_by(|(_, one), (_, next)| one / 4 == next / 4) {
        assert!(of.iter().all(|(source, _)| *source == of[0].0), "{case:?}: {of:?}");
        assert!(of[0].1 % 4 == 0 && of.is_sorted_by(|one, next| one.1 + 1 == next.1), "{of:?}");
    }
}

#[test]
fn sources_with_headers_of_their_own_are_changed_between_segments() {
    for case in cases([0, 1], [0, 1]) {
        let rendition = play(&case);
        let (gaps, discontinuities) = rendition.flaws();
        let changes = rendition.published.windows(2).filter(|two| two[0].0 != two[1].0).count();
        assert_eq!(discontinuities, changes, "{case:?}");
        assert!(gaps <= 1 && changes <= 2, "{case:?}");
        one_source_a_segment(&rendition, &case);
    }
}

#[test]
fn the_higher_source_is_waited_for_and_then_not_any_more() {
    let mut rendition = Rendition::new(2);
    let sent = |at| Sent { at: MIDNIGHT + at, salt: 0, header: 0 };
    rendition.now = 1000;
    rendition.offer(0, sent(0));
    (1..4).for_each(|at| assert_eq!(rendition.offer(0, sent(at)), Offered::Held));
    // Nothing more of the first one comes.
    rendition.offer(1, sent(4));
    rendition.pass(1400);
    assert_eq!(rendition.published.len(), 4, "patience is not at its end");
    rendition.pass(1500);
    assert_eq!(rendition.published.last(), Some(&(1, MIDNIGHT + 4)));
    (5..9).for_each(|at| assert_eq!(rendition.offer(1, sent(at)), Offered::Held));
    assert_eq!(rendition.published.last(), Some(&(1, MIDNIGHT + 8)), "it is not waited for");
    // It is back, and has the next segment: in the middle of one it is not changed back.
    rendition.offer(0, sent(9));
    assert_eq!(rendition.published.last(), Some(&(1, MIDNIGHT + 8)));
    (9..12).for_each(|at| assert_eq!(rendition.offer(1, sent(at)), Offered::Held));
    rendition.offer(0, sent(12));
    assert_eq!(rendition.published.last(), Some(&(0, MIDNIGHT + 12)));
    assert_eq!(rendition.selector.active(), Some(0));
}

#[test]
fn a_source_whose_clock_is_ahead_waits_until_the_other_one_is_gone() {
    let mut rendition = Rendition::new(2);
    let sent = |at| Sent { at: MIDNIGHT + at, salt: 0, header: 0 };
    for at in 0..20 {
        rendition.pass(1000 + at * 500);
        let at = i64::try_from(at).unwrap();
        rendition.offer(1, sent(at));
        rendition.offer(0, sent(at + 60));
        assert_eq!(rendition.published.last(), Some(&(1, MIDNIGHT + at)));
    }
    for at in 20..40 {
        rendition.pass(1000 + at * 500);
        rendition.offer(0, sent(i64::try_from(at).unwrap() + 60));
    }
    // A gap is published for what it had to wait for.
    assert_eq!(rendition.published.last(), Some(&(0, MIDNIGHT + 99)));
}

#[test]
fn sources_that_count_from_their_own_start_are_taken_as_long_as_they_live() {
    let mut rendition = Rendition::new(2);
    let sent = |at| Sent { at, salt: 0, header: 0 };
    for at in 0..12_i64 {
        rendition.pass(1000 + at.unsigned_abs() * 500);
        rendition.offer(0, sent(at));
        rendition.offer(1, sent(at + 1000));
    }
    assert!(rendition.published.iter().all(|(source, _)| *source == 0));
    assert_eq!(rendition.published.len(), 12);
    rendition.selector.break_request(0);
    for at in 12..20_i64 {
        rendition.pass(1000 + at.unsigned_abs() * 500);
        rendition.offer(1, sent(at + 1000));
    }
    let taken: Vec<_> = rendition.published[12..].to_vec();
    let expected: Vec<_> = (1012..1020).map(|at| (1, at)).collect();
    assert_eq!(taken, expected);
    // Numbers go on, behind a discontinuity.
    assert_eq!(rendition.flaws(), (0, 1));
    // The first one is back, and the second one lives.
    for at in 20..28_i64 {
        rendition.pass(1000 + at.unsigned_abs() * 500);
        rendition.offer(0, sent(at));
        rendition.offer(1, sent(at + 1000));
    }
    assert_eq!(rendition.published.last(), Some(&(1, 1027)));
}

#[test]
fn what_was_let_go_of_is_no_longer_the_same() {
    let mut rendition = Rendition::new(2);
    let sent = |at| Sent { at: MIDNIGHT + at, salt: 0, header: 0 };
    rendition.now = 1000;
    for at in 0..2 {
        rendition.offer(0, sent(at));
        rendition.offer(1, sent(at));
    }
    // The second one is ahead, and more of it is held than there is room for.
    (2..5).for_each(|at| assert_eq!(rendition.offer(1, sent(at)), Offered::Held));
    assert_eq!(rendition.selector.held_size(), 30);
    assert!(rendition.selector.drop_oldest());
    assert_eq!(rendition.selector.held_size(), 20);
    rendition.selector.break_request(0);
    rendition.pass(2000);
    assert_eq!(rendition.published.last(), Some(&(1, MIDNIGHT + 4)));
    assert_eq!(rendition.flaws(), (1, 0));
}

#[test]
fn whatever_comes_in_whatever_order_time_only_goes_on() {
    for seed in 1..400_u64 {
        let mut state = seed;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut rendition = Rendition::new(3);
        let mut next = [0; 3];
        for _ in 0..400 {
            let source = usize::try_from(random(3)).unwrap();
            match random(20) {
                0 => rendition.selector.break_request(source),
                1 => next[source] += i64::try_from(random(9)).unwrap(),
                2 => next[source] = (next[source] - i64::try_from(random(9)).unwrap()).max(0),
                3 => _ = rendition.selector.drop_oldest(),
                4 => _ = rendition.selector.end_request(source),
                _ => {
                    let salt = u64::from(seed % 2 == 0) * u64::try_from(source).unwrap();
                    let header = u8::try_from(salt).unwrap() * u8::from(seed % 4 == 0);
                    rendition.offer(source, Sent { at: MIDNIGHT + next[source], salt, header });
                    next[source] += 1;
                }
            }
            rendition.pass(rendition.now + random(400));
        }
        let times: Vec<_> = rendition.published.iter().map(|(_, at)| *at).collect();
        assert!(times.is_sorted_by(|one, next| one < next), "seed {seed}: {times:?}");
        assert!(times.len() > 5, "seed {seed}");
        rendition.flaws();
    }
}
