//! Blocking playlist reload: what `_HLS_msn` and `_HLS_part` ask for (RFC 8216bis, 6.2.5.2).
//!
//! A query and the edge of what is published in; out comes whether to answer now, to wait, or to
//! refuse. Pure: who waits, and for how long, is the caller's business.

use super::time::Length;
use super::timeline::Timeline;

/// How far ahead a player may ask, in segments.
const SEGMENTS_AHEAD: i64 = 2;

/// The delivery directives of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `_HLS_msn`: the playlist must hold this segment, or a later one.
    pub segment: Option<i64>,
    /// `_HLS_part`: or this part of it.
    pub part: Option<u32>,
    /// `_HLS_skip`: a delta will do.
    pub skip: Skip,
}

/// What a delta may leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Skip {
    /// Nothing: the whole playlist is wanted.
    #[default]
    No,
    /// Segments (`YES`).
    Segments,
    /// Date ranges, too (`v2`).
    Dates,
}

/// A query that says what can't be: 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// How far a rendition has come, or must come before a request can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reach {
    /// A segment.
    pub segment: i64,
    /// Whole parts of it; 0 when it has begun, `WHOLE` when nothing is added any more.
    pub parts: u32,
}

impl Reach {
    /// Nothing is added to the segment any more.
    pub const WHOLE: u32 = u32::MAX;

    /// What a file of a rendition waits for, by its name: `{segment}.m4s` is there, growing, as
    /// soon as it has begun, `{segment}.{part}.m4s` when the part is whole. None for other names.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let mut words = name.split('.');
        let segment = number(words.next()?).ok()?;
        let parts = match (words.next()?, words.next()) {
            (_, None) => 0,
            (part, Some(_)) => u32::try_from(number(part).ok()?).ok()?.checked_add(1)?,
        };
        words.next().is_none().then_some(Self { segment, parts })
    }
}

/// The newest of what is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The number of the last segment that has begun.
    pub segment: i64,
    /// Its parts that are whole.
    pub parts: u32,
    /// Whether the segment itself is whole.
    pub is_whole: bool,
}

/// What to do with a request for a playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Answer it: what was asked for is there.
    Now,
    /// Hold it until the rendition has come so far.
    Wait(Reach),
    /// It asks for what is too far ahead: 400.
    TooFar,
}

impl Directives {
    /// Reads a query, without its question mark. Other parameters are nobody's business here.
    ///
    /// # Errors
    ///
    /// `Malformed` for a number that is none, one that is said twice, or a part without a segment.
    pub fn read(query: &str) -> Result<Self, Malformed> {
        let mut found = Self::default();
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "_HLS_msn" => put(&mut found.segment, number(value)?)?,
                "_HLS_part" => {
                    let part = u32::try_from(number(value)?).map_err(|_| Malformed)?;
                    put(&mut found.part, part)?;
                }
                "_HLS_skip" => {
                    found.skip = match value {
                        "YES" => Skip::Segments,
                        "v2" => Skip::Dates,
                        _ => Skip::No,
                    };
                }
                _ => {}
            }
        }
        if found.part.is_some() && found.segment.is_none() {
            return Err(Malformed);
        }
        Ok(found)
    }
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), Malformed> {
    if place.replace(value).is_some() { Err(Malformed) } else { Ok(()) }
}

/// A decimal number: digits only, and few enough.
fn number(text: &str) -> Result<i64, Malformed> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    text.parse().map_err(|_| Malformed)
}

impl Edge {
    /// Of a timeline; none if nothing is published.
    #[must_use]
    pub fn of(timeline: &Timeline) -> Option<Self> {
        let last = timeline.segments().back()?;
        let parts = u32::try_from(last.whole_parts().len()).unwrap_or(u32::MAX);
        Some(Self { segment: last.number, parts, is_whole: last.is_whole })
    }

    /// How far that is.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let parts = if self.is_whole { Reach::WHOLE } else { self.parts };
        Reach { segment: self.segment, parts }
    }

    /// What to do with a request that asks for this; `part` is the channel's longest part.
    #[must_use]
    pub fn reload(&self, directives: &Directives, part: Length) -> Reload {
        let Some(segment) = directives.segment else { return Reload::Now };
        if segment < self.segment {
            return Reload::Now;
        }
        if segment > self.segment.saturating_add(SEGMENTS_AHEAD) {
            return Reload::TooFar;
        }
        let is_growing = !self.is_whole && segment == self.segment;
        match directives.part {
            None if segment == self.segment && self.is_whole => Reload::Now,
            None => Reload::Wait(Reach { segment, parts: Reach::WHOLE }),
            // Behind the last part of a whole segment lies the first of the next one.
            Some(wanted) if segment == self.segment && wanted < self.parts => Reload::Now,
            Some(wanted) => {
                let published = if is_growing { self.parts } else { 0 };
                let ahead = u64::from(wanted).saturating_sub(u64::from(published));
                if self.is_whole && segment == self.segment {
                    Reload::Wait(Reach { segment: segment + 1, parts: 1 })
                } else if ahead > parts_ahead(part) {
                    Reload::TooFar
                } else {
                    Reload::Wait(Reach { segment, parts: wanted + 1 })
                }
            }
        }
    }
}

/// The advance part limit: three seconds' worth of short parts, else three.
fn parts_ahead(part: Length) -> u64 {
    match part.micros() {
        micros @ 1..1_000_000 => 3_000_000_u64.div_ceil(micros),
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, edge: Edge, expected: Reload) {
        let directives = Directives::read(query).unwrap();
        assert_eq!(edge.reload(&directives, Length::of_millis(500)), expected, "{query}");
    }

    const GROWING: Edge = Edge { segment: 100, parts: 2, is_whole: false };
    const WHOLE: Edge = Edge { segment: 100, parts: 4, is_whole: true };

    #[test]
    fn what_is_there_is_answered_at_once() {
        for query in [
            "",
            "x=1",
            "_HLS_msn=99",
            "_HLS_msn=0",
            "_HLS_msn=99&_HLS_part=7",
            "_HLS_msn=100&_HLS_part=1",
        ] {
            check(query, GROWING, Reload::Now);
        }
        check("_HLS_msn=100", WHOLE, Reload::Now);
        check("_HLS_msn=100&_HLS_part=3", WHOLE, Reload::Now);
    }

    #[test]
    fn what_comes_soon_is_waited_for() {
        for (query, segment, parts) in [
            ("_HLS_msn=100", 100, Reach::WHOLE),
            ("_HLS_msn=101", 101, Reach::WHOLE),
            ("_HLS_msn=102", 102, Reach::WHOLE),
            ("_HLS_msn=100&_HLS_part=2", 100, 3),
            ("_HLS_msn=101&_HLS_part=0", 101, 1),
        ] {
            let reach = Reach { segment, parts };
            check(query, GROWING, Reload::Wait(reach));
        }
        // Past the last part of a segment means the first of the next one.
        let next = Reload::Wait(Reach { segment: 101, parts: 1 });
        check("_HLS_msn=100&_HLS_part=4", WHOLE, next);
        check("_HLS_msn=100&_HLS_part=9999", WHOLE, next);
        check("_HLS_msn=101&_HLS_part=0", WHOLE, next);
    }

    #[test]
    fn what_is_too_far_ahead_is_refused() {
        check("_HLS_msn=103", GROWING, Reload::TooFar);
        check("_HLS_msn=9223372036854775807", GROWING, Reload::TooFar);
        // Parts of half a second: six of them.
        check("_HLS_msn=100&_HLS_part=8", GROWING, Reload::Wait(Reach { segment: 100, parts: 9 }));
        check("_HLS_msn=100&_HLS_part=9", GROWING, Reload::TooFar);
        check("_HLS_msn=101&_HLS_part=7", WHOLE, Reload::TooFar);
        let directives = Directives::read("_HLS_msn=100&_HLS_part=6").unwrap();
        assert_eq!(GROWING.reload(&directives, Length::of_millis(2000)), Reload::TooFar);
    }

    #[test]
    fn a_query_that_cannot_be_is_refused() {
        for query in [
            "_HLS_part=1",
            "_HLS_msn=",
            "_HLS_msn",
            "_HLS_msn=-1",
            "_HLS_msn=+1",
            "_HLS_msn=1x",
            "_HLS_msn=99999999999999999999",
            "_HLS_msn=1&_HLS_msn=1",
            "_HLS_msn=1&_HLS_part=4294967296",
        ] {
            assert_eq!(Directives::read(query), Err(Malformed), "{query}");
        }
        let read = Directives::read("a=b&_HLS_skip=v2&_HLS_msn=7&_HLS_part=0").unwrap();
        assert_eq!(read, Directives { segment: Some(7), part: Some(0), skip: Skip::Dates });
        assert_eq!(Directives::read("_HLS_skip=NO").unwrap().skip, Skip::No);
        assert_eq!(Directives::read("_HLS_skip=YES").unwrap().skip, Skip::Segments);
    }

    #[test]
    fn a_name_tells_what_it_waits_for() {
        let reach = |segment, parts| Some(Reach { segment, parts });
        assert_eq!(Reach::of_name("12.m4s"), reach(12, 0));
        assert_eq!(Reach::of_name("12.0.m4s"), reach(12, 1));
        for other in ["12", "m.m4s", "12.x.m4s", "12.1.2.m4s", "-1.m4s", "", "12.4294967295.ts"] {
            assert_eq!(Reach::of_name(other), None, "{other}");
        }
        assert!(reach(12, Reach::WHOLE) < reach(13, 0) && reach(12, 7) < reach(12, Reach::WHOLE));
    }
}
