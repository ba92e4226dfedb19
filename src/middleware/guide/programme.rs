//! Programmes as values, and the bytes in which the store keeps them.
//!
//! Programmes of one channel that came after each other are one block: written in the order of
//! their starts, and deflated, since texts of a channel are alike. The store looks into no block
//! whose times say that nothing in it is wanted.

use std::io::Read as _;

use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::config::guide::{
    GUIDE_BLOCK_SIZE, GUIDE_LIST_MAX, GUIDE_PIECE_SIZE_MAX, GUIDE_PROGRAMME_SECONDS_MAX,
    GUIDE_TEXT_SIZE_MAX,
};
use crate::units::UnixTime;

/// What is on, from when to when. A text that is empty was not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programme {
    /// Its first second,
    pub start: UnixTime,
    /// and the first that is not its own any more.
    pub stop: UnixTime,
    /// What it is called.
    pub title: String,
    /// The language of the title, as the guide says it.
    pub language: String,
    /// What this part of it is called.
    pub sub_title: String,
    /// What it is about.
    pub description: String,
    /// Season, episode and part, as `xmltv_ns` counts them: from 0.
    pub episode: String,
    /// The same for people: `S01E02`.
    pub onscreen: String,
    /// The year, or day, in which it was made.
    pub date: String,
    /// Where it was made.
    pub country: String,
    /// Whose rating it is,
    pub rating_system: String,
    /// and what that says: `12`.
    pub rating: String,
    /// How good it is: `7.4/10`.
    pub star_rating: String,
    /// Where its picture is.
    pub icon: String,
    /// What it is.
    pub categories: Vec<String>,
    /// Who directed it,
    pub directors: Vec<String>,
    /// and who is seen in it.
    pub actors: Vec<String>,
    /// It was never shown before.
    pub is_new: bool,
    /// It is shown here for the first time.
    pub is_premiere: bool,
    /// It was shown before.
    pub is_repeat: bool,
    /// It happens while it is shown.
    pub is_live: bool,
}

impl Programme {
    fn texts(&self) -> [&String; 12] {
        [
            &self.title,
            &self.language,
            &self.sub_title,
            &self.description,
            &self.episode,
            &self.onscreen,
            &self.date,
            &self.country,
            &self.rating_system,
            &self.rating,
            &self.star_rating,
            &self.icon,
        ]
    }

    fn texts_mut(&mut self) -> [&mut String; 12] {
        [
            &mut self.title,
            &mut self.language,
            &mut self.sub_title,
            &mut self.description,
            &mut self.episode,
            &mut self.onscreen,
            &mut self.date,
            &mut self.country,
            &mut self.rating_system,
            &mut self.rating,
            &mut self.star_rating,
            &mut self.icon,
        ]
    }

    fn lists(&self) -> [&Vec<String>; 3] {
        [&self.categories, &self.directors, &self.actors]
    }

    fn flags(&self) -> u64 {
        [self.is_new, self.is_premiere, self.is_repeat, self.is_live]
            .into_iter()
            .rev()
            .fold(0, |flags, is| flags << 1 | u64::from(is))
    }

    /// All but its times.
    fn write(&self, to: &mut Vec<u8>) {
        let texts = self.texts();
        let said = texts.iter().rev().fold(0, |said, text| said << 1 | u64::from(!text.is_empty()));
        number(self.flags() << 12 | said, to);
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            write_text(text, to);
        }
        for list in self.lists() {
            number(list.len() as u64, to);
            list.iter().for_each(|text| write_text(text, to));
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let mut programme = Self::default();
        let said = read_number(from)?;
        for (at, text) in programme.texts_mut().into_iter().enumerate() {
            if said >> at & 1 == 1 {
                *text = read_text(from)?;
            }
        }
        for list in [&mut programme.categories, &mut programme.directors, &mut programme.actors] {
            let count = read_number(from)?;
            if count > GUIDE_LIST_MAX as u64 {
                return None;
            }
            *list = (0..count).map(|_| read_text(from)).collect::<Option<_>>()?;
        }
        let flag = |at: u32| said >> (12 + at) & 1 == 1;
        (programme.is_new, programme.is_premiere) = (flag(0), flag(1));
        (programme.is_repeat, programme.is_live) = (flag(2), flag(3));
        Some(programme)
    }
}

/// LEB128.
fn number(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn read_number(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn write_text(text: &str, to: &mut Vec<u8>) {
    number(text.len() as u64, to);
    to.extend(text.as_bytes());
}

fn read_text(from: &mut &[u8]) -> Option<String> {
    let size = usize::try_from(read_number(from)?).ok()?;
    let (text, rest) = from.split_at_checked(size)?;
    *from = rest;
    (size <= GUIDE_TEXT_SIZE_MAX).then_some(())?;
    String::from_utf8(text.to_vec()).ok()
}

/// Programmes of one channel that wait to become a block.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Start, stop (0 = not said), and where the rest begins in `bytes`.
    times: Vec<(u64, u64, u32)>,
    bytes: Vec<u8>,
}

/// A block of a channel's programmes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The first start,
    pub first: u64,
    /// and the last stop.
    pub last: u64,
    /// How many they are.
    pub count: u64,
    /// What they are.
    pub bytes: Vec<u8>,
}

/// What a programme without a stop is taken for, in seconds, where no other one follows.
const UNSAID_SECONDS: u64 = 1800;

impl Gathered {
    /// Takes one more; its stop may be 0, which is when the next one begins.
    pub fn add(&mut self, programme: &Programme) {
        let at = u32::try_from(self.bytes.len()).expect("it is packed long before");
        self.times.push((programme.start.0, programme.stop.0, at));
        programme.write(&mut self.bytes);
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + self.times.len() * size_of::<(u64, u64, u32)>()
    }

    /// Whether it is enough for a block.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= GUIDE_BLOCK_SIZE
    }

    /// All of it as a block; none if there is nothing. What ends nowhere and has nothing behind it
    /// stays, as long as more may come.
    pub fn packed(&mut self, is_over: bool) -> Option<Packed> {
        let bytes = std::mem::take(&mut self.bytes);
        let mut times = std::mem::take(&mut self.times);
        let ends: Vec<_> = times.iter().skip(1).map(|&(_, _, at)| at as usize).collect();
        let end_of = |at: usize| ends.get(at).copied().unwrap_or(bytes.len());
        let mut order: Vec<_> = times.drain(..).enumerate().collect();
        // What came last of those that begin together stays last.
        order.sort_by_key(|&(_, (start, ..))| start);
        if !is_over && order.last().is_some_and(|&(_, (_, stop, _))| stop == 0) {
            let (at, (start, stop, from)) = order.pop()?;
            self.times.push((start, stop, 0));
            self.bytes.extend(&bytes[from as usize..end_of(at)]);
        }
        let first = order.first()?.1.0;
        let (mut plain, mut last, mut before) = (Vec::with_capacity(bytes.len() + 256), 0, first);
        number(first, &mut plain);
        number(order.len() as u64, &mut plain);
        for (place, &(at, (start, stop, from))) in order.iter().enumerate() {
            let next = order[place + 1..].iter().map(|&(_, (start, ..))| start);
            let next = || next.clone().find(|&next| next > start);
            let stop = match stop {
                0 => next().unwrap_or(start + UNSAID_SECONDS).min(start + 86_400),
                stop => stop,
            };
            last = last.max(stop);
            number(start - before, &mut plain);
            number(stop - start, &mut plain);
            plain.extend(&bytes[from as usize..end_of(at)]);
            before = start;
        }
        let mut deflate = DeflateEncoder::new(Vec::with_capacity(plain.len() / 3), FAST);
        std::io::Write::write_all(&mut deflate, &plain).ok()?;
        let bytes = deflate.finish().ok()?;
        Some(Packed { first, last, count: order.len() as u64, bytes })
    }
}

/// Importing is what hurries; at level 6 blocks are a tenth smaller and take twice the time.
const FAST: Compression = Compression::new(1);

/// The programmes of a block, in the order of their starts; none if it is damaged.
#[must_use]
pub fn unpacked(bytes: &[u8]) -> Option<Vec<Programme>> {
    let mut plain = Vec::with_capacity(4 * bytes.len());
    // A block is filled up by one programme at most.
    let most = (GUIDE_BLOCK_SIZE + 2 * GUIDE_PIECE_SIZE_MAX) as u64;
    DeflateDecoder::new(bytes).take(most).read_to_end(&mut plain).ok()?;
    let mut from = plain.as_slice();
    let mut start = read_number(&mut from)?;
    let count = read_number(&mut from)?;
    let mut programmes = Vec::new();
    for _ in 0..count {
        start = start.checked_add(read_number(&mut from)?)?;
        let seconds = read_number(&mut from)?;
        (seconds <= GUIDE_PROGRAMME_SECONDS_MAX).then_some(())?;
        let mut programme = Programme::read(&mut from)?;
        programme.start = UnixTime(start);
        programme.stop = UnixTime(start.checked_add(seconds)?);
        programmes.push(programme);
    }
    Some(programmes)
}

/// Puts a channel's programmes in order: each begins once, and ends before the next begins. Of two
/// that begin together the one that was said last stays.
pub fn tidy(programmes: &mut Vec<Programme>) {
    programmes.sort_by_key(|programme| programme.start);
    programmes.dedup_by(|later, earlier| {
        let is_twice = later.start == earlier.start;
        if is_twice {
            std::mem::swap(later, earlier);
        }
        is_twice
    });
    for at in 1..programmes.len() {
        let next = programmes[at].start;
        let before = &mut programmes[at - 1];
        before.stop = before.stop.min(next);
    }
}

/// Adds to a channel's programmes those of another guide that lie where it says nothing.
pub fn filled(programmes: &mut Vec<Programme>, others: Vec<Programme>) {
    if programmes.is_empty() {
        *programmes = others;
        return;
    }
    let said = programmes.len();
    let (mut at, mut free) = (0, Vec::new());
    for other in others {
        while at < said && programmes[at].stop <= other.start {
            at += 1;
        }
        if programmes[..said].get(at).is_none_or(|next| next.start >= other.stop) {
            free.push(other);
        }
    }
    programmes.append(&mut free);
    programmes.sort_by_key(|programme| programme.start);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_programme() -> impl Strategy<Value = Programme> {
        let text = || "[a-zé]{0,12}".prop_map(String::from);
        let list = || prop::collection::vec("[a-z]{1,9}".prop_map(String::from), 0..4);
        (
            (1_700_000_000_u64..1_800_000_000, 1_u64..100_000),
            (text(), text(), text(), text(), text(), text()),
            (list(), list(), list()),
            any::<[bool; 4]>(),
        )
            .prop_map(|((start, seconds), texts, lists, flags)| Programme {
                start: UnixTime(start),
                stop: UnixTime(start + seconds),
                title: texts.0,
                description: texts.1,
                sub_title: texts.2,
                episode: texts.3,
                icon: texts.4,
                rating: texts.5,
                categories: lists.0,
                directors: lists.1,
                actors: lists.2,
                is_new: flags[0],
                is_premiere: flags[1],
                is_repeat: flags[2],
                is_live: flags[3],
                ..Programme::default()
            })
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_in_the_order_of_its_starts(
            programmes in prop::collection::vec(any_programme(), 1..40)
        ) {
            let mut gathered = Gathered::default();
            programmes.iter().for_each(|programme| gathered.add(programme));
            let packed = gathered.packed(true).unwrap();
            let mut expected = programmes;
            expected.sort_by_key(|programme| programme.start);
            prop_assert_eq!(packed.first, expected[0].start.0);
            prop_assert_eq!(packed.last, expected.iter().map(|of| of.stop.0).max().unwrap());
            prop_assert_eq!(unpacked(&packed.bytes).unwrap(), expected.clone());
            prop_assert!(gathered.packed(true).is_none(), "it is empty now");
            tidy(&mut expected);
            prop_assert!(expected.windows(2).all(|two| two[0].stop <= two[1].start));
        }

        #[test]
        fn damaged_blocks_are_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpacked(&bytes);
            let mut deflate = DeflateEncoder::new(Vec::new(), FAST);
            std::io::Write::write_all(&mut deflate, &bytes).unwrap();
            let _ = unpacked(&deflate.finish().unwrap());
        }
    }

    fn at(start: u64, stop: u64, title: &str) -> Programme {
        let title = title.to_owned();
        Programme { start: UnixTime(start), stop: UnixTime(stop), title, ..Programme::default() }
    }

    fn told(programmes: &[Programme]) -> Vec<(u64, u64, &str)> {
        programmes.iter().map(|of| (of.start.0, of.stop.0, of.title.as_str())).collect()
    }

    #[test]
    fn a_programme_that_says_no_end_goes_on_until_the_next() {
        let mut gathered = Gathered::default();
        for programme in [at(100, 0, "a"), at(200, 250, "b"), at(300, 0, "c")] {
            gathered.add(&programme);
        }
        let packed = gathered.packed(false).unwrap();
        let programmes = unpacked(&packed.bytes).unwrap();
        assert_eq!(told(&programmes), [(100, 200, "a"), (200, 250, "b")]);
        gathered.add(&at(900, 0, "d"));
        let programmes = unpacked(&gathered.packed(true).unwrap().bytes).unwrap();
        assert_eq!(told(&programmes), [(300, 900, "c"), (900, 2700, "d")]);
    }

    #[test]
    fn of_two_that_begin_together_the_last_counts_and_none_overlap() {
        let mut programmes = vec![at(100, 300, "a"), at(200, 400, "b"), at(100, 250, "a2")];
        tidy(&mut programmes);
        assert_eq!(told(&programmes), [(100, 200, "a2"), (200, 400, "b")]);
    }

    #[test]
    fn another_guide_fills_what_the_first_leaves_open() {
        let mut programmes = vec![at(100, 200, "a"), at(300, 400, "b")];
        let others = [(50, 100), (90, 120), (200, 300), (250, 350), (400, 500)];
        filled(&mut programmes, others.iter().map(|&(start, stop)| at(start, stop, "x")).collect());
        let expected =
            [(50, 100, "x"), (100, 200, "a"), (200, 300, "x"), (300, 400, "b"), (400, 500, "x")];
        assert_eq!(told(&programmes), expected);
    }
}
