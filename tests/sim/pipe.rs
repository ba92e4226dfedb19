//! Bytes on their way to a client: copied ones as they are, those of files as what they are of.
//!
//! A client that gets four megabytes of a segment looks at one small value, not at the bytes; it
//! is the same check, since every byte is a function of its source and offset.

use std::collections::VecDeque;

use shardcast::messages::SourceId;
use shardcast::units::Extent;

use crate::content::bytes_of;

/// A run of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    Bytes(Vec<u8>),
    File { source: SourceId, offset: u64, size: u64 },
}

impl Run {
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// The first `count` bytes; the rest stays.
    fn split(&mut self, count: u64) -> Self {
        match self {
            Self::Bytes(bytes) => {
                let rest = bytes.split_off(count as usize);
                Self::Bytes(std::mem::replace(bytes, rest))
            }
            Self::File { source, offset, size } => {
                let first = Self::File { source: *source, offset: *offset, size: count };
                *offset += count;
                *size -= count;
                first
            }
        }
    }

    /// Whether these are the bytes of `source` from `offset` on.
    pub fn is_of(&self, source: SourceId, offset: u64) -> bool {
        match self {
            Self::Bytes(bytes) => {
                *bytes == bytes_of(source, Extent { offset, size: bytes.len() as u64 })
            }
            Self::File { source: of, offset: at, .. } => *of == source && *at == offset,
        }
    }
}

/// A queue of runs.
#[derive(Clone, Debug, Default)]
pub struct Pipe {
    runs: VecDeque<Run>,
    size: u64,
}

impl Pipe {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn push(&mut self, run: Run) {
        let size = run.size();
        if size == 0 {
            return;
        }
        self.size += size;
        match (self.runs.back_mut(), run) {
            (Some(Run::Bytes(before)), Run::Bytes(bytes)) => before.extend_from_slice(&bytes),
            (_, run) => self.runs.push_back(run),
        }
    }

    /// The first run, as far as `limit` goes.
    pub fn pop(&mut self, limit: u64) -> Option<Run> {
        let first = self.runs.front_mut()?;
        let run = if first.size() <= limit { self.runs.pop_front()? } else { first.split(limit) };
        self.size -= run.size();
        Some(run)
    }

    /// Puts a run back that was popped.
    pub fn push_front(&mut self, run: Run) {
        if run.size() > 0 {
            self.size += run.size();
            self.runs.push_front(run);
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
