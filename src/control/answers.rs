//! Answers that shards send as they send any object: bytes in, what shards hold out.
//!
//! What is large lies in memory that has a descriptor, so that it goes out without being copied;
//! what is small in the heap.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::SMALL_BODY_SIZE_MAX;
use crate::messages::{Device, FilePayload, Index, Opened, Payload, Residency, Single, SourceId};
use crate::sys::memory;
use crate::units::{Class, ETag, Extent, Rung, UnixTime, Variant};

/// Numbers of answers, all kinds together.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// An object with these bytes; `gzip` is a whole member of the same, if that pays.
///
/// # Errors
///
/// There is no memory for it, or no descriptor.
pub fn object(
    media_type: &'static str,
    plain: &[u8],
    gzip: Option<&[u8]>,
    modified: UnixTime,
) -> io::Result<Arc<Opened>> {
    let gzip = gzip.filter(|gzip| gzip.len() < plain.len());
    let pieces = [Some(plain), gzip];
    let size: usize = pieces.iter().flatten().map(|piece| piece.len()).sum();
    let payload = if size <= SMALL_BODY_SIZE_MAX {
        Payload::Heap(pieces.into_iter().flatten().flatten().copied().collect())
    } else {
        let file = memory::sealed(c"shardcast-answer", size as u64)?;
        let mut at = 0;
        for piece in pieces.iter().flatten() {
            file.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        let (device, residency) = (Device::default(), Residency::Memory);
        let (fd, size, map) = (file.into(), size as u64, None);
        Payload::File(Arc::new(FilePayload { fd, size, device, residency, map }))
    };
    let variant = |offset: usize, bytes: &[u8]| {
        let extent = Extent { offset: offset as u64, size: bytes.len() as u64 };
        Variant { extent, etag: ETag::of(bytes) }
    };
    Ok(opened(media_type, payload, variant(0, plain), modified)
        .with_gzip(gzip.map(|gzip| variant(plain.len(), gzip)))
        .shared())
}

/// An object with these bytes, for one client.
#[must_use]
pub fn personal(media_type: &'static str, plain: Vec<u8>, modified: UnixTime) -> Arc<Opened> {
    let extent = Extent { offset: 0, size: plain.len() as u64 };
    let identity = Variant { extent, etag: ETag::of(&plain) };
    opened(media_type, Payload::Heap(plain.into()), identity, modified).shared()
}

/// What it takes of memory, in bytes.
#[must_use]
pub fn size_of(opened: &Opened) -> usize {
    match &opened.payload {
        Payload::Heap(bytes) => bytes.len(),
        Payload::File(file) => usize::try_from(file.size).unwrap_or(usize::MAX),
        // It lies nowhere.
        Payload::Reel(_) => 0,
    }
}

struct Made {
    source: SourceId,
    single: Single,
    payload: Payload,
}

fn opened(
    media_type: &'static str,
    payload: Payload,
    identity: Variant,
    modified: UnixTime,
) -> Made {
    let source = SourceId::of_answer(NEXT.fetch_add(1, Ordering::Relaxed));
    let (class, rung) = (Class::Api, Rung::default());
    let (gzip, narrowed) = (None, Box::default());
    let single = Single { media_type, class, modified, identity, gzip, narrowed, rung };
    Made { source, single, payload }
}

impl Made {
    fn with_gzip(self, gzip: Option<Variant>) -> Self {
        Self { single: Single { gzip, ..self.single }, ..self }
    }

    fn shared(self) -> Arc<Opened> {
        let Self { source, single, payload } = self;
        Arc::new(Opened { source, index: Index::Single(single), payload, beside: None })
    }
}
