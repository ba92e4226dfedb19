//! Places of a stream for what is still to come, and what comes into them.
//!
//! A place is for the next segment that is kept behind those that were there, and for nothing else.
//! It is filled when all sounds have come as far, or are late. What was in it once is in it again,
//! however much has come since.

use super::{Header, Made, Piece, Reel, goes_on};
use crate::config::CATCH_UP_SETTLED_SECONDS;
use crate::live::boxes::BoxError;
use crate::live::channel::Container;
use crate::live::record::{Kept, Record};
use crate::live::ts::PACKET_SIZE;
use crate::live::ts::mux::piece::{Place, Segment, Share, filled};
use crate::live::ts::mux::{Muxer, Source};

/// How long sounds are waited for behind the end of a picture's segment, in microseconds.
const LATE_MICROS: i64 = 10_000_000;
/// How many sixteenths of a rendition's peak, and of its segments' length, a place has.
const PEAK_SIXTEENTHS: u64 = 20;
const LENGTH_SIXTEENTHS: u64 = 18;
const SETTLED_MICROS: i64 = CATCH_UP_SETTLED_SECONDS as i64 * 1_000_000;

/// What has come into a place.
#[derive(Clone, Debug)]
pub enum Arrived {
    /// Nothing yet.
    NotYet,
    /// Nothing, and nothing will.
    Never,
    /// These segments, the leading one first.
    There {
        /// What came before the leading one.
        before: Kept,
        /// What is needed.
        segments: Vec<Sought>,
    },
}

/// A segment that a piece needs.
#[derive(Clone, Debug)]
pub struct Sought {
    /// Which track.
    pub track: usize,
    /// Its rendition's name.
    pub rendition: String,
    /// The segment.
    pub kept: Kept,
    /// The name of its header; none of a transport stream.
    pub header: Option<String>,
}

/// A segment that was read.
#[derive(Debug)]
pub struct Read {
    /// What it is.
    pub of: Sought,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its header.
    pub header: Option<Header>,
}

impl Reel {
    /// Adds places until then.
    pub(super) fn add_coming(&mut self, until: i64) {
        let Some(last) = self.pieces.last().copied() else { return };
        let lead = &self.tracks[0];
        let length = lead.lengths.segment.micros().max(1);
        let end = lead.segments.last().map_or(until, |kept| kept.unix_micros().1);
        let left = u64::try_from(until.saturating_sub(end)).unwrap_or(0);
        let micros = length * LENGTH_SIXTEENTHS / 16;
        let size = |peak: u64| {
            let bits = u128::from(peak) * u128::from(micros) / 1_000_000;
            u64::try_from(bits / 8 * u128::from(PEAK_SIXTEENTHS) / 16).unwrap_or(u64::MAX / 8)
        };
        let shares = self.tracks.iter().enumerate().map(|(source, track)| Share {
            source,
            size: size(track.about.bandwidth.peak) + super::SHARE_MORE,
        });
        let shares: Vec<_> = shares.collect();
        let size = match last.muxer.and_then(|at| self.muxers.get(at as usize)) {
            Some(made) => made.muxer.piece_size(micros, self.pictures(), &shares),
            None => shares[0].size.next_multiple_of(PACKET_SIZE as u64),
        };
        let count = u32::try_from(left.div_ceil(length)).unwrap_or(u32::MAX);
        let place = |at| Piece { at, size, is_anew: false, ..last };
        self.pieces.extend((0..count).map(place));
    }

    /// Whether a piece is still to come.
    #[must_use]
    pub fn is_coming(&self, number: u32) -> bool {
        number as usize >= self.there
    }

    /// What has come into the place of a piece.
    #[must_use]
    pub fn arrived(&self, number: u32, record: &Record, now_micros: i64) -> Arrived {
        let Some(newest) = self.tracks[0].segments.last() else { return Arrived::Never };
        let Some(piece) = self.pieces.get(number as usize) else { return Arrived::Never };
        let Some(lead) = record.rendition(&self.tracks[0].name) else { return Arrived::Never };
        let first = lead.segments.partition_point(|kept| kept.number <= newest.number);
        let at = first + piece.at as usize;
        let Some(kept) = lead.segments.get(at).copied() else {
            let known = lead.segments.last().unwrap_or(newest).unix_micros().1;
            let is_over = now_micros > known.saturating_add(SETTLED_MICROS);
            return if is_over { Arrived::Never } else { Arrived::NotYet };
        };
        let before = at.checked_sub(1).map_or(*newest, |before| lead.segments[before]);
        let (from, until) = kept.unix_micros();
        let sought = |track: usize, kept: &Kept| {
            let of = record.rendition(&self.tracks[track].name)?;
            let header = of.headers.get(kept.header as usize).map(|header| header.name.clone());
            Some(Sought { track, rendition: of.name.clone(), kept: *kept, header })
        };
        let mut segments: Vec<_> = sought(0, &kept).into_iter().collect();
        for (track, of) in self.tracks.iter().enumerate().skip(1) {
            let Some(of) = record.rendition(&of.name) else { continue };
            let has_come = of.segments.last().is_some_and(|last| last.unix_micros().1 >= until);
            if !has_come && now_micros < until.saturating_add(LATE_MICROS) {
                return Arrived::NotYet;
            }
            let heard = |kept: &&Kept| {
                let (start, end) = kept.unix_micros();
                end > from && start < until && !kept.is_gap()
            };
            let near = of.segments.partition_point(|kept| kept.unix_micros().1 <= from);
            let heard = of.segments[near..].iter().take_while(heard);
            segments.extend(heard.filter_map(|kept| sought(track, kept)));
        }
        Arrived::There { before, segments }
    }

    /// The piece of what has come.
    ///
    /// # Errors
    ///
    /// What is wrong with its boxes.
    pub fn came(
        &self,
        number: u32,
        before: Kept,
        read: Vec<Read>,
    ) -> Result<(Vec<u8>, bool), BoxError> {
        let wrong = BoxError::Missing(*b"moof");
        let piece = self.pieces.get(number as usize).ok_or(wrong)?;
        let size = usize::try_from(piece.size).unwrap_or(usize::MAX);
        let lead = read.first().ok_or(wrong)?.of.kept;
        if lead.is_gap() || lead.container() == Container::Ts {
            let bytes = read.into_iter().next().map(|read| read.bytes).unwrap_or_default();
            let is_cut = bytes.len() > size;
            return Ok((filled(bytes, size), is_cut));
        }
        let between = lead.unix_micros();
        let is_anew = !goes_on(&before, &lead);
        let place = Place { number: number as usize, lead: 0, between, is_anew };
        let mut headers: Vec<(usize, u32, Header)> = Vec::new();
        for read in &read {
            let Some(header) = &read.header else { continue };
            if headers.iter().all(|(track, ..)| *track != read.of.track) {
                headers.push((read.of.track, read.of.kept.header, header.clone()));
            }
        }
        let known = piece.muxer.and_then(|at| self.muxers.get(at as usize));
        let renewed = match known.filter(|known| known.is_of(&headers)) {
            Some(_) => None,
            None => {
                let sources = headers.iter().map(|(id, _, of)| Source {
                    id: *id,
                    header: &of.0,
                    init: &of.1,
                });
                let sources: Vec<_> = sources.collect();
                let version = (self.muxers.len() as u32).wrapping_add(lead.header) % 32;
                Some(Muxer::versioned(&sources, version as u8)?.ok_or(wrong)?)
            }
        };
        let muxer = renewed.as_ref().or(known.map(|known| &known.muxer)).ok_or(wrong)?;
        let segments = read.iter().filter_map(|read| {
            let Sought { track, kept, .. } = &read.of;
            let (_, _, header) = headers
                .iter()
                .find(|(known, number, _)| known == track && *number == kept.header)?;
            let zero_micros = kept.origin.zero_micros;
            Some(Segment { source: *track, init: &header.1, zero_micros, bytes: &read.bytes })
        });
        let segments: Vec<_> = segments.collect();
        muxer.piece(&segments, place, size)
    }
}

impl Made {
    /// Whether these are all headers that it knows of those tracks: a sound of which nothing came
    /// changes nothing.
    fn is_of(&self, headers: &[(usize, u32, Header)]) -> bool {
        headers.iter().all(|(track, number, _)| {
            self.headers.iter().any(|(known, its, _)| known == track && its == number)
        })
    }
}
