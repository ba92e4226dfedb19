//! One source in a shard's catalog: one version of a pack or file, and what is known of it.

use std::sync::Arc;

use super::Held;
use crate::config::Access;
use crate::messages::{
    Index, Narrowed, OpenFault, Opened, Payload, SourceId, SourceKind, form_for,
};
use crate::pack::index::Facts;
use crate::units::Rung;

/// A pack or a file of a folder.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: SourceId,
    pub(super) kind: SourceKind,
    /// Bytes of the path that it is listed under.
    pub(super) path_size: u32,
    /// That path, of a playlist or a manifest: what it says is of its folder.
    pub(super) path: Option<Arc<str>>,
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
            path: None,
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

/// In which form a viewer with this cap gets an object, and what its rendition takes.
pub(super) fn form(opened: &Opened, number: u32, cap_kbps: u32) -> (u32, Rung) {
    match &opened.index {
        Index::Pack(index) => {
            let Some(beside) = &opened.beside else { return (number, Rung::default()) };
            let form = beside.form_of(number, cap_kbps);
            let form = form.map_or(number, |form| index.count().saturating_add(form));
            (form, beside.rung(index.path(number)))
        }
        Index::Single(single) => (form_for(&single.narrowed, cap_kbps), single.rung),
    }
}

/// What is known of an object of an open source.
pub(super) fn facts(opened: &Opened, number: u32) -> Facts {
    match &opened.index {
        Index::Pack(index) => match opened.form(number) {
            Some((object, Narrowed { identity, gzip, .. })) => {
                Facts { identity: *identity, gzip: *gzip, ..index.facts(*object) }
            }
            None => index.facts(number),
        },
        Index::Single(single) => {
            let form = (number as usize).checked_sub(1).and_then(|at| single.narrowed.get(at));
            let (identity, gzip) = match form {
                Some(narrowed) => (narrowed.identity, narrowed.gzip),
                None => (single.identity, single.gzip),
            };
            Facts { class: single.class, modified: single.modified, identity, gzip }
        }
    }
}

/// Bytes of payload in heap memory.
pub(super) fn heap_size(opened: &Opened) -> usize {
    match &opened.payload {
        Payload::Heap(bytes) => bytes.len(),
        Payload::File(_) | Payload::Reel(_) => 0,
    }
}
