//! One transport stream of what is past: an excerpt in; the pieces that it is made of, with their
//! sizes, and each of them from the bytes of its segments.
//!
//! A piece is a segment of the leading rendition with what is heard of the others in the meantime.
//! Its size is known without any of their bytes (`ts::mux::piece`), so the whole has a length, and
//! any stretch of it can be asked for. Segments of transport streams are pieces as they are. Where
//! nothing came there is no piece.
//!
//! What is not over has places for what is still to come (`coming`): as many as have room until its
//! end, of the size that a segment has at most at the rendition's peak.

pub mod coming;

use std::collections::HashMap;
use std::sync::Arc;

use super::excerpt::{Excerpt, Form, Unwritten};
use crate::live::boxes::BoxError;
use crate::live::boxes::init::Init;
use crate::live::channel::Container;
use crate::live::record::{Carried, Kept, Recorded};
use crate::live::ts::mux::piece::{Place, Segment, Share};
use crate::live::ts::mux::{Muxer, Source};

/// Bytes that a part of a segment may have more than its share by time, and how many sixteenths.
const SHARE_MORE: u64 = 4096;
const SHARE_SIXTEENTHS: u64 = 20;

/// A header: its bytes, and what they say.
pub type Header = Arc<(Vec<u8>, Init)>;

/// Where headers are read: by rendition and name.
pub trait Headers {
    /// One header; none if it can't be read.
    fn header(&mut self, rendition: &str, name: &str) -> Option<Header>;
}

/// A stream that can be made.
#[derive(Debug)]
pub struct Reel {
    /// The leading rendition, then all sounds.
    tracks: Vec<Recorded>,
    pieces: Vec<Piece>,
    muxers: Vec<Made>,
    /// How many of the pieces are there; the others are still to come.
    there: usize,
}

/// One piece.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Which segment of the leading rendition.
    at: u32,
    /// Which muxer makes it; none for what is a transport stream already.
    muxer: Option<u32>,
    size: u64,
    is_anew: bool,
}

/// A muxer, and the headers that it was made of, one a track that takes part.
#[derive(Debug)]
struct Made {
    muxer: Muxer,
    headers: Vec<(usize, u32, Header)>,
}

/// The name of the rendition that leads, for who may have so much: the most that fits, else the
/// lowest; of sounds alone the first.
#[must_use]
pub fn lead(renditions: &[Recorded], cap_kbps: u32) -> Option<&Recorded> {
    let peak = |one: &&Recorded| one.about.bandwidth.peak;
    let is_picture = |one: &&Recorded| matches!(one.about.carries, Carried::Video { .. });
    let pictures = || renditions.iter().filter(is_picture);
    let fits = |one: &&Recorded| peak(one).div_ceil(1000) <= u64::from(cap_kbps);
    let found = pictures().filter(fits).max_by_key(peak).or_else(|| pictures().min_by_key(peak));
    found.or_else(|| renditions.iter().find(|one| is_sound(one)))
}

fn is_sound(one: &Recorded) -> bool {
    matches!(one.about.carries, Carried::Audio { .. })
}

impl Reel {
    /// Of a rendition of an excerpt, with all sounds; until when it goes on, in microseconds of
    /// Unix time, if it is not over.
    ///
    /// # Errors
    ///
    /// `Nothing`, also where what there is can't be carried: it is encrypted, or its coding has no
    /// place in a transport stream.
    pub fn new(
        excerpt: Excerpt,
        (lead, until): (&str, i64),
        headers: &mut dyn Headers,
    ) -> Result<Self, Unwritten> {
        let is_over = excerpt.form == Form::Complete;
        let mut renditions = excerpt.renditions;
        let at = renditions.iter().position(|one| one.name == lead).ok_or(Unwritten::Nothing)?;
        let mut tracks = vec![renditions.swap_remove(at)];
        let has_picture = matches!(tracks[0].about.carries, Carried::Video { .. });
        renditions.retain(|one| has_picture && is_sound(one));
        tracks.extend(renditions);
        let mut reel = Self { tracks, pieces: Vec::new(), muxers: Vec::new(), there: 0 };
        let mut known = HashMap::new();
        for at in 0..reel.tracks[0].segments.len() {
            let kept = reel.tracks[0].segments[at];
            if kept.is_gap() {
                continue;
            }
            let before =
                reel.pieces.last().map(|before| reel.tracks[0].segments[before.at as usize]);
            let muxer = match kept.container() {
                Container::Ts => None,
                Container::Cmaf => {
                    let key = reel.key(at);
                    let made =
                        known.entry(key.clone()).or_insert_with(|| reel.muxer(&key, headers));
                    let Some(number) = *made else { continue };
                    Some(number)
                }
            };
            let size = reel.size(at, muxer);
            let is_anew = before.is_some_and(|before| !goes_on(&before, &kept));
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            reel.pieces.push(Piece { at, muxer, size, is_anew });
        }
        reel.there = reel.pieces.len();
        if !is_over {
            reel.add_coming(until);
        }
        if reel.there == 0 { Err(Unwritten::Nothing) } else { Ok(reel) }
    }

    /// Sizes of its pieces, in bytes.
    pub fn sizes(&self) -> impl Iterator<Item = u64> {
        self.pieces.iter().map(|piece| piece.size)
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        let segments: usize = self.tracks.iter().map(|track| track.segments.len()).sum();
        segments * size_of::<Kept>() + self.pieces.len() * size_of::<Piece>()
    }

    /// Microseconds of Unix time at which it begins.
    #[must_use]
    pub fn begins(&self) -> i64 {
        self.pieces.first().map_or(0, |first| self.lead(first).unix_micros().0)
    }

    /// The leading rendition.
    #[must_use]
    pub fn leading(&self) -> &Recorded {
        &self.tracks[0]
    }

    /// The segments that a piece is made of: the rendition's name and the segment, and which track
    /// that is.
    #[must_use]
    pub fn needs(&self, number: u32) -> Vec<(usize, &str, Kept)> {
        let there = self.pieces[..self.there].get(number as usize);
        let Some(piece) = there else { return Vec::new() };
        let lead = self.lead(piece);
        let mut needs = vec![(0, self.tracks[0].name.as_str(), lead)];
        let Some(made) = piece.muxer.and_then(|at| self.muxers.get(at as usize)) else {
            return needs;
        };
        for (track, header, _) in made.headers.iter().filter(|(track, ..)| *track > 0) {
            let of = &self.tracks[*track];
            let heard = self.heard(*track, piece.at as usize);
            let heard = heard.iter().filter(|kept| kept.header == *header && !kept.is_gap());
            needs.extend(heard.map(|kept| (*track, of.name.as_str(), *kept)));
        }
        needs
    }

    /// A piece, from the bytes of what it needs, in that order; and whether something did not fit.
    ///
    /// # Errors
    ///
    /// What is wrong with their boxes.
    pub fn made(
        &self,
        number: u32,
        mut segments: Vec<(usize, Kept, Vec<u8>)>,
    ) -> Result<(Vec<u8>, bool), BoxError> {
        let wrong = BoxError::Missing(*b"moof");
        let piece = self.pieces[..self.there].get(number as usize).ok_or(wrong)?;
        let Some(made) = piece.muxer.and_then(|at| self.muxers.get(at as usize)) else {
            let bytes = segments.pop().map(|(.., bytes)| bytes).ok_or(wrong)?;
            return Ok((bytes, false));
        };
        let init = |track: usize| made.headers.iter().find(|(known, ..)| *known == track);
        let segments = segments.iter().filter_map(|(track, kept, bytes)| {
            let (_, _, header) = init(*track)?;
            let zero_micros = kept.origin.zero_micros;
            Some(Segment { source: *track, init: &header.1, zero_micros, bytes })
        });
        let segments: Vec<_> = segments.collect();
        let between = self.between(piece.at as usize);
        let place = Place { number: number as usize, lead: 0, between, is_anew: piece.is_anew };
        made.muxer.piece(&segments, place, usize::try_from(piece.size).unwrap_or(usize::MAX))
    }

    fn lead(&self, piece: &Piece) -> Kept {
        self.tracks[0].segments[piece.at as usize]
    }

    /// When what is heard with a segment begins and ends: sounds between two segments belong to the
    /// first one.
    fn between(&self, at: usize) -> (i64, i64) {
        let segments = &self.tracks[0].segments;
        let (from, until) = segments[at].unix_micros();
        match segments.get(at + 1).filter(|next| goes_on(&segments[at], next)) {
            Some(next) => (from, next.unix_micros().0),
            None => (from, until),
        }
    }

    /// The segments of a sound of which something lies within a segment.
    fn heard(&self, track: usize, at: usize) -> &[Kept] {
        let (from, until) = self.between(at);
        let segments = &self.tracks[track].segments;
        let first = segments.partition_point(|kept| kept.unix_micros().1 <= from);
        let end = segments.partition_point(|kept| kept.unix_micros().0 < until);
        &segments[first.min(end)..end]
    }

    /// Numbers of the headers that hold for a segment, of all tracks that have something there.
    fn key(&self, at: usize) -> Vec<(usize, u32)> {
        let mut key = vec![(0, self.tracks[0].segments[at].header)];
        for track in 1..self.tracks.len() {
            let mut heard = self.heard(track, at).iter();
            let is_it = |kept: &&Kept| !kept.is_gap() && kept.container() == Container::Cmaf;
            key.extend(heard.find(is_it).map(|kept| (track, kept.header)));
        }
        key
    }

    /// The muxer of these headers; none if they can't be read, or a stream can't carry them.
    fn muxer(&mut self, key: &[(usize, u32)], headers: &mut dyn Headers) -> Option<u32> {
        let header = |(track, number): &(usize, u32)| {
            let of = self.tracks.get(*track)?;
            let known = of.headers.get(*number as usize)?;
            if known.protection.is_some() {
                return None;
            }
            Some((*track, *number, headers.header(&of.name, &known.name)?))
        };
        let headers: Vec<_> = key.iter().filter_map(header).collect();
        // Without the one that leads there is nothing.
        headers.first().filter(|(track, ..)| *track == 0)?;
        let sources = headers.iter().map(|(id, _, header)| Source {
            id: *id,
            header: &header.0,
            init: &header.1,
        });
        let sources: Vec<_> = sources.collect();
        let number = self.muxers.len();
        let muxer = Muxer::versioned(&sources, (number % 32) as u8).ok().flatten()?;
        if !muxer.has(0) {
            return None;
        }
        self.muxers.push(Made { muxer, headers });
        u32::try_from(number).ok()
    }

    /// Bytes of a piece.
    fn size(&self, at: usize, muxer: Option<u32>) -> u64 {
        let kept = self.tracks[0].segments[at];
        let Some(made) = muxer.and_then(|at| self.muxers.get(at as usize)) else {
            return kept.size;
        };
        let (from, until) = self.between(at);
        let mut shares = vec![Share { source: 0, size: kept.size }];
        for (track, ..) in made.headers.iter().filter(|(track, ..)| *track > 0) {
            let heard = self.heard(*track, at).iter();
            let size = heard.map(|kept| share(kept, (from, until))).sum();
            shares.push(Share { source: *track, size });
        }
        made.muxer.piece_size(until.abs_diff(from), self.pictures(), &shares)
    }

    /// Pictures a second, if it is known.
    fn pictures(&self) -> Option<f64> {
        match self.tracks[0].about.carries {
            Carried::Video { frame_rate: Some((pictures, seconds)), .. } if seconds > 0 => {
                Some(f64::from(pictures) / f64::from(seconds))
            }
            _ => None,
        }
    }
}

/// Bytes that a sound's segment can have between two moments.
fn share(kept: &Kept, (from, until): (i64, i64)) -> u64 {
    let (start, end) = kept.unix_micros();
    let all = end.abs_diff(start).max(1);
    let part = end.min(until).saturating_sub(start.max(from)).max(0).unsigned_abs();
    let share = u128::from(kept.size) * u128::from(part) * u128::from(SHARE_SIXTEENTHS);
    let share = u64::try_from(share / u128::from(all) / 16).unwrap_or(u64::MAX / 2);
    (share + SHARE_MORE).min(kept.size)
}

/// Whether media goes on from a segment to the next one.
fn goes_on(before: &Kept, next: &Kept) -> bool {
    !next.discontinuity
        && before.origin.zero_micros == next.origin.zero_micros
        && before.unix_micros().1.abs_diff(next.unix_micros().0) < 1_000_000
}

#[cfg(test)]
mod tests;
