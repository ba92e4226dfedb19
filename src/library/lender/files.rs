//! Files of archives, as they are lent: opened, read for their index, removed.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::library::error::shown;
use crate::library::open::{OpenError, open_file, open_pack};
use crate::messages::{Device, FilePayload, Index, Opened, Payload, Single, SourceId};
use crate::pack::writer::Object;
use crate::sys::files;
use crate::units::{Class, UnixTime, media_type};

/// What segments and headers of live channels are.
const LIVE_MEDIA: &str = "video/mp4";

/// Removes what is there of these.
pub(super) fn unlink(files: &[PathBuf]) {
    for file in files {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("shardcast: removing {}: {error}", shown(file));
            }
            _ => {}
        }
    }
}

/// A file that may still be written behind what is lent of it.
pub(super) fn opened_file(path: &Path) -> io::Result<FilePayload> {
    payload(open_file(path)?)
}

/// A file of which shards may have any bytes that it has by now.
pub(super) fn payload(file: File) -> io::Result<FilePayload> {
    let metadata = file.metadata()?;
    let (size, device) = (metadata.len(), Device(metadata.dev()));
    let residency = files::residency(&file);
    Ok(FilePayload { fd: OwnedFd::from(file), size, device, residency, map: None })
}

/// A finished hour.
pub(super) fn opened_pack(source: SourceId, path: &Path) -> Result<Arc<Opened>, OpenError> {
    let pack = open_pack(open_file(path)?)?;
    let payload = Payload::File(Arc::new(payload(pack.file)?));
    Ok(Arc::new(Opened { source, index: Index::Pack(pack.index), payload, beside: None }))
}

/// One object, whose bytes lie here.
pub(super) fn opened(source: SourceId, object: &Object, payload: Payload) -> Opened {
    let single = Single {
        media_type: known_type(&object.media_type, &object.path),
        class: Class::of(&object.path),
        modified: UnixTime(object.modified),
        identity: object.identity.variant,
        gzip: None,
        narrowed: Box::default(),
        rung: Default::default(),
    };
    Opened { source, index: Index::Single(single), payload, beside: None }
}

/// The media type that was written, if it is one of those that live media has.
fn known_type(written: &str, path: &str) -> &'static str {
    if written == LIVE_MEDIA { LIVE_MEDIA } else { media_type(path) }
}
