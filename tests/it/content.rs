//! Packs and files on disk with bytes that can be computed again.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shardcast::library::disk::RealDisk;
use shardcast::library::{open, write};
use shardcast::messages::{
    Device, FilePayload, Index, Opened, Payload, Reel, Residency, Single, SourceId,
};
use shardcast::sys::{files, mapping};
use shardcast::units::{Class, ETag, Extent, UnixTime, Variant, media_type};

/// So many bytes that repeat nowhere near.
pub fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// A pack with these files, written as `shardcast pack` writes it.
pub fn pack(folder: &Path, name: &str, files: &[(&str, Vec<u8>)]) -> PathBuf {
    let from = folder.join(format!("{name}.folder"));
    for (path, bytes) in files {
        let path = from.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let target = folder.join(format!("{name}.pack"));
    write::pack_folder(&RealDisk, &from, &target, false, &mut |_| {}).unwrap();
    fs::remove_dir_all(from).unwrap();
    target
}

/// Opens a pack, as the library does.
pub fn open_pack(path: &Path, source: SourceId) -> Arc<Opened> {
    let pack = open::open_path(path).unwrap();
    let payload = payload(pack.file, pack.size);
    Arc::new(Opened { source, index: Index::Pack(pack.index), payload, beside: None })
}

/// Opens a large file of a folder.
pub fn open_file(path: &Path, source: SourceId) -> Arc<Opened> {
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let index = single(path.to_str().unwrap(), size, &source.0.to_le_bytes());
    Arc::new(Opened { source, index, payload: payload(file, size), beside: None })
}

/// A small file of a folder, in memory.
pub fn in_memory(name: &str, source: SourceId, bytes: &[u8]) -> Arc<Opened> {
    let index = single(name, bytes.len() as u64, bytes);
    Arc::new(Opened { source, index, payload: Payload::Heap(bytes.into()), beside: None })
}

/// A file that is made of pieces with these sizes.
pub fn of_pieces(name: &str, source: SourceId, sizes: &[u64]) -> Arc<Opened> {
    let reel = Reel::of(sizes.iter().copied());
    let index = single(name, reel.size(), name.as_bytes());
    Arc::new(Opened { source, index, payload: Payload::Reel(reel), beside: None })
}

fn single(name: &str, size: u64, tagged: &[u8]) -> Index {
    let extent = Extent { offset: 0, size };
    Index::Single(Single {
        media_type: media_type(name),
        class: Class::of(name),
        modified: UnixTime(1_700_000_000),
        identity: Variant { extent, etag: ETag::of(tagged) },
        gzip: None,
        narrowed: Box::default(),
        rung: Default::default(),
    })
}

fn payload(file: File, size: u64) -> Payload {
    let map = Some(mapping::map_file(&file).unwrap());
    let residency = files::residency(&file);
    let fd = OwnedFd::from(file);
    Payload::File(Arc::new(FilePayload { fd, size, device: Device(1), residency, map }))
}

/// The last `size` bytes of a file that had none when it was opened.
pub fn open_grown(path: &Path, source: SourceId, size: u64) -> Arc<Opened> {
    let file = File::open(path).unwrap();
    let offset = file.metadata().unwrap().len() - size;
    let mut index = single(path.to_str().unwrap(), size, &source.0.to_le_bytes());
    if let Index::Single(single) = &mut index {
        single.identity.extent.offset = offset;
    }
    let (residency, fd) = (files::residency(&file), OwnedFd::from(file));
    let payload = FilePayload { fd, size: 0, device: Device(1), residency, map: None };
    Arc::new(Opened { source, index, payload: Payload::File(Arc::new(payload)), beside: None })
}

/// A file whose descriptor cannot be read.
pub fn open_unreadable(path: &Path, source: SourceId) -> Arc<Opened> {
    let file = File::options().append(true).open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let index = single(path.to_str().unwrap(), size, &source.0.to_le_bytes());
    let (fd, residency) = (OwnedFd::from(file), Residency::Sampled);
    let payload = FilePayload { fd, size, device: Device(1), residency, map: None };
    Arc::new(Opened { source, index, payload: Payload::File(Arc::new(payload)), beside: None })
}
