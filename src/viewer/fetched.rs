//! What a session has fetched of a live channel: whole segments and headers, in sixteen bytes each,
//! by which control sees whether two devices look alike.

use std::num::NonZeroU64;
use std::sync::LazyLock;

use ahash::RandomState;

use super::SessionId;

/// A segment of a live rendition, or its header: hashes of the rendition's folder and of the name,
/// with a key of this process. All shards call it the same, and nobody makes two of them one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment(NonZeroU64);

impl Segment {
    /// Of the segment at this path, `/tv/news/video/17.m4s`.
    #[must_use]
    pub fn at(path: &str) -> Self {
        Self::of(path, |name| hash(name) | 1)
    }

    /// Of the header of the rendition in whose folder this path lies.
    #[must_use]
    pub fn header(path: &str) -> Self {
        Self::of(path, |_| 0)
    }

    fn of(path: &str, name: impl FnOnce(&str) -> u32) -> Self {
        let (folder, last) = path.rsplit_once('/').unwrap_or_default();
        let rendition = u64::from(hash(folder) | 1) << 32;
        Self(NonZeroU64::new(rendition | u64::from(name(last))).unwrap_or(NonZeroU64::MAX))
    }

    /// Stands for its rendition.
    #[must_use]
    pub fn rendition(self) -> u32 {
        (self.0.get() >> 32) as u32
    }

    /// Stands for it among the segments of its rendition; none = it is the header.
    #[must_use]
    pub fn name(self) -> Option<u32> {
        Some(self.0.get() as u32).filter(|name| *name > 0)
    }
}

fn hash(text: &str) -> u32 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYS.hash_one(text) as u32
}

/// A session has had all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Which.
    pub id: SessionId,
    /// What.
    pub segment: Segment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_one_rendition_are_told_apart_and_so_is_its_header() {
        let one = Segment::at("/tv/news/video/17.m4s");
        assert_eq!(one, Segment::at("/tv/news/video/17.m4s"));
        let next = Segment::at("/tv/news/video/18.m4s");
        let sound = Segment::at("/tv/news/sound/17.m4s");
        let header = Segment::header("/tv/news/video/init.mp4");
        assert_eq!(one.rendition(), next.rendition());
        assert_eq!(one.rendition(), header.rendition());
        assert_ne!(one.rendition(), sound.rendition());
        assert_ne!(one.name(), next.name());
        assert_eq!(one.name(), sound.name());
        assert_eq!(header.name(), None);
        assert_eq!(size_of::<Fetched>(), 16);
        assert_eq!(size_of::<Option<Segment>>(), 8);
    }
}
