//! On what terms a viewer has what a plan holds: how much a rendition may take, and how far back
//! the past may be watched.

/// What a plan, or a token, says. The narrower of both holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Most that a rendition may take, in kilobits a second.
    pub bitrate_max_kbps: u32,
    /// How far back the past may be watched, in days; 0 = not at all.
    pub catch_up_days: u32,
}

impl Terms {
    /// Whatever there is.
    pub const ALL: Self = Self { bitrate_max_kbps: u32::MAX, catch_up_days: u32::MAX };

    /// Whether they hold for what needs so much.
    #[must_use]
    pub fn hold(self, needs: Needs) -> bool {
        needs.kbps <= self.bitrate_max_kbps && needs.days <= self.catch_up_days
    }
}

/// What an answer needs of the terms of its viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// A rendition that takes so many kilobits a second.
    pub kbps: u32,
    /// What is past so many days.
    pub days: u32,
}

/// The same in four bytes, which stay with each answer: up to 16 Gbit/s, and to 255 days, and what
/// is beyond as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept(u32);

impl Kept {
    pub(super) const NOTHING: Self = Self(0);
    const KBPS_BITS: u32 = 24;

    pub(super) fn of(needs: Needs) -> Self {
        let kbps = needs.kbps.min((1 << Self::KBPS_BITS) - 1);
        Self(kbps | needs.days.min(255) << Self::KBPS_BITS)
    }

    pub(super) fn needs(self) -> Needs {
        Needs { kbps: self.0 & ((1 << Self::KBPS_BITS) - 1), days: self.0 >> Self::KBPS_BITS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_kept_as_they_are_up_to_a_most() {
        for (kbps, days, expected) in [
            (0, 0, (0, 0)),
            (3000, 7, (3000, 7)),
            (16_777_215, 255, (16_777_215, 255)),
            (u32::MAX, u32::MAX, (16_777_215, 255)),
        ] {
            let kept = Kept::of(Needs { kbps, days }).needs();
            assert_eq!((kept.kbps, kept.days), expected);
        }
    }
}
