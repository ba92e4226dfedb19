//! Boxes as they arrive: bytes in, cut anywhere, headers and chunks out.
//!
//! Only what is read is kept: everything but media data, and of that not more than one box. Where
//! things lie is counted from the first byte of the stream, so the caller can put the bytes
//! themselves wherever they are to stay.

use super::chunk::{Brands, Fragment, Message, Reference};
use super::init::Init;
use super::{BoxError, Kind, sizes};

/// Largest box that is read, in bytes. A header with many tracks has a few kilobytes, a `moof` of
/// ten seconds about as much; `free` and the like are skipped whatever their size.
pub const READ_SIZE_MAX: usize = 1 << 20;

/// Largest box of a stream, in bytes: longer than any segment may be.
pub const BOX_SIZE_MAX: u64 = 1 << 32;

/// Event messages of one chunk.
const MESSAGES_MAX: usize = 64;

/// Where something lies in a stream, in bytes from its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: u64,
    /// Behind its last byte.
    pub end: u64,
}

/// What has come, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A header: `ftyp` and `moov`.
    Header(Span, Init),
    /// A chunk: what stands before its `moof`, that, and its media data.
    Chunk(Span, Chunk),
}

/// A chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// When its samples are.
    pub fragment: Fragment,
    /// What a `styp` before it says; none if there is none.
    pub brands: Option<Brands>,
    /// When its encoder took it.
    pub reference: Option<Reference>,
    /// Events that it tells of.
    pub messages: Vec<Message>,
}

/// Reads one stream: a request, or several of one encoder that go on from each other.
#[derive(Debug, Default)]
pub struct Reader {
    /// The header that holds for chunks.
    init: Option<Init>,
    /// Bytes seen.
    at: u64,
    /// Where what is being put together began.
    start: u64,
    /// The beginning of the current box, as far as it is read.
    pending: Vec<u8>,
    /// Bytes of the current box that are passed over.
    skip: u64,
    part: Part,
}

/// What came of a chunk so far.
#[derive(Debug, Default)]
struct Part {
    brands: Option<Brands>,
    reference: Option<Reference>,
    messages: Vec<Message>,
    /// The fragment, and how many bytes its media data must have.
    fragment: Option<(Fragment, u64)>,
    /// Whether the media data is passing.
    in_data: bool,
}

impl Reader {
    /// For a stream whose header may have come another way.
    #[must_use]
    pub fn new(init: Option<Init>) -> Self {
        Self { init, ..Self::default() }
    }

    /// The header that holds.
    #[must_use]
    pub fn init(&self) -> Option<&Init> {
        self.init.as_ref()
    }

    /// Where the last whole header or chunk ended: what came behind it is a torn one.
    #[must_use]
    pub fn whole_until(&self) -> u64 {
        self.start
    }

    /// Takes the next bytes, and adds what has become whole.
    ///
    /// # Errors
    ///
    /// What is wrong. The stream can't be read any further then.
    pub fn take(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), BoxError> {
        loop {
            if self.skip > 0 {
                let size = self.skip.min(bytes.len() as u64);
                bytes = &bytes[size as usize..];
                self.at += size;
                self.skip -= size;
                if self.skip > 0 {
                    return Ok(());
                }
                self.end_skipped(events);
            }
            if bytes.is_empty() {
                return Ok(());
            }
            bytes = self.take_of_box(bytes, events)?;
        }
    }

    /// Takes bytes of the current box that are kept; gives those that are left.
    fn take_of_box<'b>(
        &mut self,
        bytes: &'b [u8],
        events: &mut Vec<Event>,
    ) -> Result<&'b [u8], BoxError> {
        let Some((header, size, kind)) = sizes(&self.pending)? else {
            // A byte at a time until its header is there: eight or sixteen.
            self.pending.push(bytes[0]);
            self.at += 1;
            if let Some((header, size, kind)) = sizes(&self.pending)? {
                self.begin_box(header, size, kind, events)?;
            }
            return Ok(&bytes[1..]);
        };
        // Only boxes that are read get here, so its size is small.
        let missing = size as usize - self.pending.len();
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        self.pending.extend_from_slice(taken);
        self.at += taken.len() as u64;
        if self.pending.len() as u64 == size {
            let whole = std::mem::take(&mut self.pending);
            self.read_box(kind, &whole[header..], size, events)?;
        }
        Ok(rest)
    }

    /// The header of a box is there: what becomes of the rest?
    fn begin_box(
        &mut self,
        header: usize,
        size: u64,
        kind: Kind,
        events: &mut Vec<Event>,
    ) -> Result<(), BoxError> {
        if size > BOX_SIZE_MAX {
            return Err(BoxError::TooLong(kind));
        }
        let is_read = matches!(&kind, b"moov" | b"moof" | b"styp" | b"prft" | b"emsg");
        if kind == *b"mdat" {
            let Some((_, wanted)) = &self.part.fragment else {
                return Err(BoxError::Misplaced(kind));
            };
            if size < *wanted {
                return Err(BoxError::Outside(*b"trun"));
            }
            self.part.in_data = true;
        } else if self.part.fragment.is_some() {
            // Between a fragment and its data nothing may stand in CMAF.
            return Err(BoxError::Misplaced(kind));
        }
        if is_read {
            if size > READ_SIZE_MAX as u64 {
                return Err(BoxError::TooLong(kind));
            }
            if size == header as u64 {
                self.pending.clear();
                return self.read_box(kind, &[], size, events);
            }
            return Ok(());
        }
        self.pending.clear();
        self.skip = size - header as u64;
        if self.skip == 0 {
            self.end_skipped(events);
        }
        Ok(())
    }

    /// A box that is not read has passed.
    fn end_skipped(&mut self, events: &mut Vec<Event>) {
        if !std::mem::take(&mut self.part.in_data) {
            return;
        }
        let part = std::mem::take(&mut self.part);
        let (fragment, _) = part.fragment.expect("media data has a fragment before it");
        let Part { brands, reference, messages, .. } = part;
        let chunk = Chunk { fragment, brands, reference, messages };
        events.push(Event::Chunk(self.end_span(), chunk));
    }

    fn end_span(&mut self) -> Span {
        let start = std::mem::replace(&mut self.start, self.at);
        Span { start, end: self.at }
    }

    fn read_box(
        &mut self,
        kind: Kind,
        body: &[u8],
        size: u64,
        events: &mut Vec<Event>,
    ) -> Result<(), BoxError> {
        match &kind {
            b"moov" => {
                let init = Init::read(body)?;
                self.init = Some(init.clone());
                self.part = Part::default();
                events.push(Event::Header(self.end_span(), init));
            }
            b"moof" => {
                let init = self.init.as_ref().ok_or(BoxError::Missing(*b"moov"))?;
                let (mut fragment, end) = Fragment::read(body, size, init)?;
                let before = self.at - size - self.start;
                fragment.runs.iter_mut().for_each(|run| run.first_end += before);
                // `end` counts from the `moof`, and the data's own header stands between.
                self.part.fragment = Some((fragment, end - size));
            }
            b"styp" => self.part.brands = Some(Brands::read(body)?),
            b"prft" => self.part.reference = Some(Reference::read(body)?),
            _ if self.part.messages.len() == MESSAGES_MAX => return Err(BoxError::Count(kind)),
            _ => self.part.messages.push(Message::read(body)?),
        }
        Ok(())
    }
}
