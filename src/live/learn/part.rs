//! The length of parts that fits chunks as they come: no part is longer than it, and none but the
//! last of a segment much shorter (RFC 8216bis, 4.4.4.9).
//!
//! Parts are whole chunks. If chunks of 200 ms come, a part of 500 ms has two of them, which are
//! 80 % of it: too little. So it has 400 ms, the most that chunks fill.

use super::super::time::Length;

/// How much of its length a part has at least, in percent.
pub const FILLED_MIN: u128 = 85;

/// A length of which more chunks than these fit is filled well enough in any case.
const CHUNKS_MAX: u64 = 7;

/// The length for chunks that are so long, one a rendition: `wanted`, if it fits them all, or else
/// the longest chunk so many times that it does and is no longer. Where no number of times does,
/// the longest chunk fills it.
#[must_use]
pub fn fitting(wanted: Length, chunks: &[Length]) -> Length {
    let Some(&longest) = chunks.iter().max_by_key(|chunk| chunk.micros()) else { return wanted };
    if fits(wanted, chunks) {
        return wanted;
    }
    let most = count(wanted, longest).max(1);
    let downwards = (most.saturating_sub(CHUNKS_MAX).max(1)..=most).rev();
    let lengths = downwards.filter_map(|times| times_of(longest, times));
    let found = lengths.clone().find(|length| fits(*length, chunks));
    found.or(lengths.max_by_key(|length| length.micros())).unwrap_or(longest)
}

/// Whether parts of this length are filled well enough by any of these chunks.
#[must_use]
pub fn fits(part: Length, chunks: &[Length]) -> bool {
    chunks.iter().all(|chunk| {
        let count = count(part, *chunk);
        count > CHUNKS_MAX || times_of(*chunk, count).is_some_and(|filled| is_filled(part, filled))
    })
}

/// Whether so much is enough for a part.
#[must_use]
pub fn is_filled(part: Length, filled: Length) -> bool {
    let ((part, of), (filled, timescale)) = (part.ticks(), filled.ticks());
    let (part, filled) = (u128::from(part) * u128::from(timescale), u128::from(filled));
    // Both are below 2^64 and 2^32, so there is room for a factor of a hundred.
    let filled = (filled * u128::from(of)).saturating_mul(100);
    filled >= part.saturating_mul(FILLED_MIN)
}

/// How many chunks a part has room for.
fn count(part: Length, chunk: Length) -> u64 {
    let ((part, of), (chunk, timescale)) = (part.ticks(), chunk.ticks());
    let count = u128::from(part) * u128::from(timescale) / (u128::from(chunk) * u128::from(of));
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn times_of(chunk: Length, times: u64) -> Option<Length> {
    let (ticks, timescale) = chunk.ticks();
    Length::new(ticks.checked_mul(times)?, timescale)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length, as ticks and ticks a second, that fits these chunks where 500 ms are wanted.
    #[track_caller]
    fn check(chunks: &[(u64, u32)], (ticks, timescale): (u64, u32)) {
        let chunks: Vec<_> =
            chunks.iter().map(|&(ticks, of)| Length::new(ticks, of).unwrap()).collect();
        let part = fitting(Length::of_millis(500), &chunks);
        assert!(part.cmp_ticks(ticks, timescale).is_eq(), "{chunks:?}: {part:?}");
    }

    #[test]
    fn what_fits_stays() {
        check(&[], (1, 2));
        for chunk in [(500, 1000), (250, 1000), (1024, 48_000), (1, 25), (450, 1000), (14, 30)] {
            check(&[chunk], (1, 2));
        }
        check(&[(1, u32::MAX)], (1, 2));
        check(&[(500, 1000), (1024, 48_000)], (1, 2));
    }

    #[test]
    fn what_chunks_would_not_fill_is_made_shorter() {
        check(&[(200, 1000)], (400, 1000));
        check(&[(400, 1000)], (400, 1000));
        check(&[(300, 1000)], (300, 1000));
        check(&[(140, 1000)], (420, 1000));
        // Sound fits what the picture needs.
        check(&[(200, 1000), (1024, 48_000)], (400, 1000));
        check(&[(200, 1000), (96, 1000)], (400, 1000));
    }

    #[test]
    fn a_chunk_that_is_longer_makes_it_longer() {
        check(&[(1000, 1000)], (1, 1));
        check(&[(15 * 1001, 30_000)], (15 * 1001, 30_000));
        check(&[(500, 1000), (24 * 1024, 48_000)], (24 * 1024, 48_000));
        check(&[(24 * 1024, 48_000), (200, 1000)], (24 * 1024, 48_000));
        check(&[(u64::MAX, 1)], (u64::MAX, 1));
    }

    #[test]
    fn a_part_has_85_percent() {
        let part = Length::of_millis(1000);
        assert!(
            is_filled(part, Length::of_millis(850)) && !is_filled(part, Length::of_millis(849))
        );
    }
}
