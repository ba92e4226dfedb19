//! One growing object: pieces that arrive while earlier ones are being sent.
//!
//! One without an end keeps its last stretch only. A response begins at its newest entry, and one
//! that has fallen too far behind goes on there: nothing is kept for the slow.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::Held;
use crate::config::{Access, STREAM_PIECES_BEHIND_MAX, STREAM_PIECES_MAX};
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
    pieces: VecDeque<(Held, Extent)>,
    /// The number of the first piece that is kept.
    first: usize,
    /// Of one without an end, the number of the newest piece with which a response can begin.
    entry: Option<usize>,
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
            pieces: VecDeque::new(),
            first: 0,
            entry: None,
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
            Growth::Entry => self.entry = Some(self.end()),
            // An empty chunk would end the body.
            Growth::Appended { extent, .. } if extent.size == 0 => {}
            Growth::Appended { opened, extent } => {
                self.pieces.push_back((Rc::new(Arc::clone(opened)), *extent));
                if self.entry.is_some() && self.pieces.len() > STREAM_PIECES_MAX {
                    self.pieces.pop_front();
                    self.first += 1;
                }
            }
            Growth::Ended => self.state = GrowingState::Ended,
            Growth::Aborted => self.state = GrowingState::Aborted,
        }
    }

    /// The number behind the newest piece.
    fn end(&self) -> usize {
        self.first + self.pieces.len()
    }

    /// With which piece a response begins.
    pub(super) fn begin(&self) -> usize {
        self.entry.map_or(0, |entry| entry.max(self.first))
    }

    /// With which piece a response goes on that has sent all before this one.
    pub(super) fn go_on(&self, number: usize) -> usize {
        let is_behind = self.end().saturating_sub(number) > STREAM_PIECES_BEHIND_MAX;
        if self.entry.is_some() && is_behind { self.begin().max(number) } else { number }
    }

    pub(super) fn piece(&self, number: usize) -> Piece<'_> {
        let Some(at) = number.checked_sub(self.first) else { return Piece::Abort };
        match (self.pieces.get(at), self.state) {
            (_, GrowingState::Aborted) => Piece::Abort,
            (Some((opened, extent)), _) => Piece::Bytes(opened, *extent),
            (None, GrowingState::Open) => Piece::Wait,
            (None, GrowingState::Ended) => Piece::End,
        }
    }

    pub(super) fn release(&mut self) {
        self.pieces = VecDeque::new();
    }
}
