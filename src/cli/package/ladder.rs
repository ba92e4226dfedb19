//! Which renditions an input gets: its own size, and the usual ones well below it.

/// Most renditions of one input.
const RUNGS_MAX: usize = 5;

/// Lines and bits a second of usual renditions, largest first. Half of the lines need somewhat less
/// than a quarter of the bits, since small pictures have more detail a pixel.
const USUAL: &[(u32, u32)] = &[
    (4320, 40_000_000),
    (2160, 16_000_000),
    (1440, 9_000_000),
    (1080, 5_000_000),
    (720, 2_800_000),
    (480, 1_400_000),
    (360, 800_000),
    (234, 350_000),
    (64, 80_000),
];

/// One rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Lines, an even number.
    pub height: u32,
    /// Bits a second that are aimed at.
    pub bitrate: u32,
}

/// The renditions of an input with `height` lines, largest first, none larger than it or than
/// `height_max`.
pub fn rungs(height: u32, height_max: u32) -> Vec<Rung> {
    let top = height.min(height_max).max(2) & !1;
    let mut rungs = vec![Rung { height: top, bitrate: bitrate(top) }];
    // A step of less than a fifth is not worth a rendition; the smallest usual one is 234.
    let below = USUAL.iter().filter(|(lines, _)| *lines >= 234 && lines * 5 <= top * 4);
    rungs.extend(below.map(|(height, bitrate)| Rung { height: *height, bitrate: *bitrate }));
    rungs.truncate(RUNGS_MAX);
    rungs
}

/// Bits a second between those of the usual neighbours.
fn bitrate(height: u32) -> u32 {
    let above = USUAL.iter().rev().find(|(lines, _)| *lines >= height);
    let below = USUAL.iter().find(|(lines, _)| *lines <= height);
    match (below, above) {
        (Some((_, bits)), None) | (None, Some((_, bits))) => *bits,
        (Some((low, fewer)), Some((high, more))) if low < high => {
            let share = u64::from(more - fewer) * u64::from(height - low) / u64::from(high - low);
            fewer + u32::try_from(share).unwrap_or_default()
        }
        (Some((_, bits)), Some(_)) => *bits,
        (None, None) => unreachable!("the table is not empty"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ever_made_larger() {
        for (height, max, heights) in [
            (1080, 2160, &[1080, 720, 480, 360, 234][..]),
            (720, 2160, &[720, 480, 360, 234]),
            (816, 2160, &[816, 480, 360, 234]),
            (272, 2160, &[272]),
            (300, 2160, &[300, 234]),
            (145, 2160, &[144]),
            (1, 2160, &[2]),
            (2160, 2160, &[2160, 1440, 1080, 720, 480]),
            (2160, 720, &[720, 480, 360, 234]),
            (4320, 4320, &[4320, 2160, 1440, 1080, 720]),
        ] {
            let found: Vec<_> = rungs(height, max).iter().map(|rung| rung.height).collect();
            assert_eq!(found, heights, "{height}");
        }
    }

    #[test]
    fn more_lines_get_more_bits() {
        let mut last = 0;
        for height in (2..5000).step_by(2) {
            let bits = bitrate(height);
            assert!(bits >= last && bits > 0, "{height}");
            last = bits;
        }
        assert_eq!(bitrate(1080), 5_000_000);
        assert_eq!(bitrate(900), 3_900_000);
    }
}
