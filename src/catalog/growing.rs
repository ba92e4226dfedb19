//! One growing object: pieces that arrive while earlier ones are being sent.

use std::rc::Rc;
use std::sync::Arc;

use super::Held;
use crate::config::Access;
use crate::messages::{GrowingId, Growth};
use crate::units::{Class, Extent};

/// How a growing object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrowingState {
    /// More may come.
    Open,
    /// It is whole.
    Ended,
    /// It will never be whole.
    Aborted,
}

/// What a response can send next.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'c> {
    /// These bytes, as one chunk.
    Bytes(&'c Held, Extent),
    /// Nothing yet.
    Wait,
    /// The last chunk.
    End,
    /// Nothing more: the connection is reset.
    Abort,
}

/// A growing object.
#[derive(Debug)]
pub(super) struct Growing {
    /// None when the place is free.
    pub(super) id: Option<GrowingId>,
    pub(super) media_type: &'static str,
    pub(super) class: Class,
    pub(super) access: Access,
    pieces: Vec<(Held, Extent)>,
    state: GrowingState,
    pub(super) leases: u32,
    pub(super) gone: bool,
}

impl Growing {
    pub(super) fn new(
        id: GrowingId,
        media_type: &'static str,
        class: Class,
        access: Access,
    ) -> Self {
        Self {
            id: Some(id),
            media_type,
            class,
            access,
            pieces: Vec::new(),
            state: GrowingState::Open,
            leases: 0,
            gone: false,
        }
    }

    pub(super) fn apply(&mut self, growth: &Growth) {
        if self.state != GrowingState::Open {
            return;
        }
        match growth {
            Growth::Begun { .. } => {}
            // An empty chunk would end the body.
            Growth::Appended { extent, .. } if extent.size == 0 => {}
            Growth::Appended { opened, extent } => {
                self.pieces.push((Rc::new(Arc::clone(opened)), *extent));
            }
            Growth::Ended => self.state = GrowingState::Ended,
            Growth::Aborted => self.state = GrowingState::Aborted,
        }
    }

    pub(super) fn piece(&self, number: usize) -> Piece<'_> {
        match (self.pieces.get(number), self.state) {
            (_, GrowingState::Aborted) => Piece::Abort,
            (Some((opened, extent)), _) => Piece::Bytes(opened, *extent),
            (None, GrowingState::Open) => Piece::Wait,
            (None, GrowingState::Ended) => Piece::End,
        }
    }

    pub(super) fn release(&mut self) {
        self.pieces = Vec::new();
    }
}
