//! What is served: sources whose every byte is a function of the source and the offset.
//!
//! A pack has a real index, written by the real writer; its payload exists only as that function.
//! The tag of every object names the source and the object, so that a response says which version
//! of a path it claims to be.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use shardcast::messages::{
    Device, FilePayload, Index, Opened, Payload, Residency, Single, SourceId, SourceKind,
};
use shardcast::pack::TRAILER_SIZE;
use shardcast::pack::header::{Kind, Trailer};
use shardcast::pack::index::PackIndex;
use shardcast::pack::writer::{Layout, Object, Written};
use shardcast::units::{Class, ETag, Extent, UnixTime, Variant, media_type};

use crate::random::mixed;

/// Eight bytes of a source.
fn word_at(source: SourceId, number: u64) -> [u8; 8] {
    mixed(source.0.wrapping_mul(0x9e37_79b9).wrapping_add(number)).to_le_bytes()
}

/// The bytes of a source from an offset on.
pub fn fill(source: SourceId, offset: u64, into: &mut [u8]) {
    let lead = ((8 - offset % 8) % 8).min(into.len() as u64) as usize;
    let (first, rest) = into.split_at_mut(lead);
    if lead > 0 {
        let start = (offset % 8) as usize;
        first.copy_from_slice(&word_at(source, offset / 8)[start..start + lead]);
    }
    for (number, part) in ((offset + lead as u64) / 8..).zip(rest.chunks_mut(8)) {
        part.copy_from_slice(&word_at(source, number)[..part.len()]);
    }
}

pub fn bytes_of(source: SourceId, extent: Extent) -> Vec<u8> {
    let mut bytes = vec![0; extent.size as usize];
    fill(source, extent.offset, &mut bytes);
    bytes
}

/// One object of a source.
#[derive(Clone, Debug)]
pub struct ObjectModel {
    /// What follows the source's path and a slash; empty for a file of a folder.
    pub path: String,
    pub identity: Extent,
    pub gzip: Option<Extent>,
}

/// One version of a pack or file.
#[derive(Clone, Debug)]
pub struct SourceModel {
    pub id: SourceId,
    pub kind: SourceKind,
    /// What follows `/vod/`.
    pub path: String,
    pub opened: Arc<Opened>,
    pub objects: Vec<ObjectModel>,
    pub size: u64,
    /// The file was cut to this size.
    pub cut: Option<u64>,
    /// The disk fails under it.
    pub broken: bool,
    /// The shard was told that its bytes may have changed.
    pub torn: bool,
}

/// The tag of one encoding of one object.
pub fn etag(source: SourceId, object: usize, gzip: bool) -> ETag {
    let mut tag = [0; 16];
    tag[..8].copy_from_slice(&source.0.to_be_bytes());
    tag[8..12].copy_from_slice(&(object as u32).to_be_bytes());
    tag[12] = u8::from(gzip);
    ETag(tag)
}

/// Which encoding of which object a tag names.
pub fn tagged(wire: &str) -> Option<(SourceId, usize, bool)> {
    let digits = wire.strip_prefix('"')?.strip_suffix('"')?;
    let number = u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32)?;
    let (source, object, gzip) = ((number >> 64) as u64, (number >> 32) as u32, number >> 24);
    Some((SourceId(source), object as usize, gzip & 1 == 1))
}

/// An object of a pack that is to be: its path, its size, and that of its gzipped form.
pub type Planned<'p> = (&'p str, u64, Option<u64>);

/// Where a source's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Heap,
    File,
    Mapped,
}

/// A pack with these objects.
pub fn pack(id: SourceId, path: &str, objects: &[Planned<'_>], place: Place) -> SourceModel {
    let mut layout = Layout::new(Kind::Asset);
    for (number, &(path, size, gzip)) in objects.iter().enumerate() {
        let offset = layout.next_offset();
        let written = |offset, size, gzip| Written {
            variant: Variant { extent: Extent { offset, size }, etag: etag(id, number, gzip) },
            crc: 0,
        };
        let behind = (offset + size).next_multiple_of(4096);
        let object = Object {
            path: path.to_owned(),
            media_type: media_type(path).to_owned(),
            modified: 1_700_000_000,
            modified_nanos: 0,
            identity: written(offset, size, false),
            gzip: gzip.map(|size| written(behind, size, true)),
        };
        layout.add(object).unwrap();
    }
    let index_offset = layout.next_offset();
    let end = layout.finish().unwrap();
    let size = index_offset + end.len() as u64;
    let (tables, trailer) = end.split_at(end.len() - TRAILER_SIZE);
    let trailer = Trailer::check(trailer.try_into().unwrap(), Kind::Asset, size).unwrap();
    let mut data = vec![0; PackIndex::allocation_size(&trailer)].into_boxed_slice();
    data[..tables.len()].copy_from_slice(tables);
    let index = PackIndex::verified(&trailer, data).unwrap();
    let objects = models(&index, objects);
    let payload = payload(id, size, place);
    let opened = Arc::new(Opened { source: id, index: Index::Pack(index), payload, beside: None });
    model(id, SourceKind::Pack, path, opened, objects, size)
}

/// The objects in the order in which they were planned.
fn models(index: &PackIndex, planned: &[Planned<'_>]) -> Vec<ObjectModel> {
    let one = |&(path, _, _): &Planned<'_>| {
        let entry = index.entry(index.find(path.as_bytes()).unwrap());
        let gzip = entry.gzip.map(|variant| variant.extent);
        ObjectModel { path: path.to_owned(), identity: entry.identity.extent, gzip }
    };
    planned.iter().map(one).collect()
}

/// A file of a folder.
pub fn file(id: SourceId, path: &str, size: u64, gzip: Option<u64>, place: Place) -> SourceModel {
    let variant =
        |offset, size, gzip| Variant { extent: Extent { offset, size }, etag: etag(id, 0, gzip) };
    let behind = gzip.map(|gzip_size| variant(size, gzip_size, true));
    let single = Single {
        media_type: media_type(path),
        class: Class::of(path),
        modified: UnixTime(1_700_000_000),
        identity: variant(0, size, false),
        gzip: behind,
        narrowed: Box::default(),
        rung: Default::default(),
    };
    let object = ObjectModel {
        path: String::new(),
        identity: single.identity.extent,
        gzip: single.gzip.map(|variant| variant.extent),
    };
    let size = size + gzip.unwrap_or(0);
    let payload = payload(id, size, place);
    let opened =
        Arc::new(Opened { source: id, index: Index::Single(single), payload, beside: None });
    model(id, SourceKind::File, path, opened, vec![object], size)
}

/// Bytes that a growing object gets; nobody asks for them by name.
pub fn piece(id: SourceId, size: u64, place: Place) -> SourceModel {
    file(id, "", size, None, place)
}

/// The disks: a source lies on the one at the place of its number, round about.
pub const DEVICES: [Device; 5] = [Device(1), Device(2), Device(3), Device(4), Device(5)];

fn payload(id: SourceId, size: u64, place: Place) -> Payload {
    if place == Place::Heap {
        return Payload::Heap(bytes_of(id, Extent { offset: 0, size }).into());
    }
    // Nobody reads the descriptor or the mapping: the fake kernel knows the bytes.
    let fd = OwnedFd::from(File::open("/dev/null").unwrap());
    let map = (place == Place::Mapped)
        .then(|| memmap2::MmapMut::map_anon(1).unwrap().make_read_only().unwrap());
    let device = DEVICES[id.0 as usize % DEVICES.len()];
    Payload::File(Arc::new(FilePayload { fd, size, device, residency: Residency::Asked, map }))
}

fn model(
    id: SourceId,
    kind: SourceKind,
    path: &str,
    opened: Arc<Opened>,
    objects: Vec<ObjectModel>,
    size: u64,
) -> SourceModel {
    let path = path.to_owned();
    SourceModel { id, kind, path, opened, objects, size, cut: None, broken: false, torn: false }
}

impl SourceModel {
    /// Where the bytes end that can still be read.
    pub fn readable_end(&self) -> u64 {
        self.cut.unwrap_or(self.size)
    }
}
