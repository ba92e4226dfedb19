//! One source in a shard's catalog: one version of a pack or file, and what is known of it.

use super::Held;
use crate::config::Access;
use crate::messages::{Index, OpenFault, Opened, Payload, SourceId, SourceKind};
use crate::pack::index::Facts;

/// A pack or a file of a folder.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: SourceId,
    pub(super) kind: SourceKind,
    /// Bytes of the path that it is listed under.
    pub(super) path_size: u32,
    pub(super) access: Access,
    pub(super) state: State,
    /// What was open when a fault was found: running transfers still refer to it.
    pub(super) retired: Option<Held>,
    /// Responses that are being sent from it.
    pub(super) leases: u32,
    /// Used since the hand came by.
    pub(super) touched: bool,
    /// It was said that a client would take it gzipped.
    pub(super) gzip_wanted: bool,
    /// Not listed any more: it goes with its last lease.
    pub(super) gone: bool,
    /// Its bytes may have changed under us.
    pub(super) torn: bool,
}

/// Whether it can be served.
#[derive(Debug)]
pub(super) enum State {
    /// Nobody asked for it yet.
    Closed,
    /// The library was asked.
    Opening,
    /// It can.
    Open(Held),
    /// It can't.
    Failed(OpenFault),
}

impl Source {
    pub(super) fn new(id: SourceId, kind: SourceKind, access: Access) -> Self {
        Self {
            id,
            kind,
            path_size: 0,
            access,
            state: State::Closed,
            retired: None,
            leases: 0,
            touched: false,
            gzip_wanted: false,
            gone: false,
            torn: false,
        }
    }
}

/// What is known of an object of an open source.
pub(super) fn facts(opened: &Opened, number: u32) -> Facts {
    match &opened.index {
        Index::Pack(index) => index.facts(number),
        Index::Single(single) => Facts {
            class: single.class,
            modified: single.modified,
            identity: single.identity,
            gzip: single.gzip,
        },
    }
}

/// Bytes of payload in heap memory.
pub(super) fn heap_size(opened: &Opened) -> usize {
    match &opened.payload {
        Payload::Heap(bytes) => bytes.len(),
        Payload::File(_) => 0,
    }
}
