//! A body as it is written, entry by entry, and compressed, block by block: blocks that were in the
//! edition before are not compressed again.
//!
//! Where a block ends depends on its entries' ids alone, so that an entry more or less changes the
//! block that it is in, and no other.

use std::collections::HashMap;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::config::{BLOCK_ENTRIES_MAX, BLOCK_ENTRIES_MIN, BLOCK_SIZE_MIN};
use crate::middleware::gzip::{self, Block};

/// How well blocks are compressed: 6 takes half the time of 9, and 1 in 100 more room.
const LEVEL: u32 = 6;

/// Compressed blocks by the hashes of what they hold.
pub type Known = HashMap<u128, Block>;

/// A body that is being written.
#[derive(Debug, Default)]
pub struct Body {
    plain: Vec<u8>,
    /// Where blocks end.
    ends: Vec<usize>,
    entries: usize,
}

impl Body {
    /// What is written to.
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.plain
    }

    /// An entry with this id ends here.
    pub fn end_entry(&mut self, id: &[u8]) {
        self.entries += 1;
        // One in 256 ends a block.
        let ends = self.entries >= BLOCK_ENTRIES_MIN && xxh3_64(id).trailing_zeros() >= 8;
        if ends || self.entries >= BLOCK_ENTRIES_MAX {
            self.ends.push(self.plain.len());
            self.entries = 0;
        }
    }

    /// Something ends here that is long by itself: what is large enough is a block.
    pub fn end_long_entry(&mut self) {
        let begun = self.ends.last().copied().unwrap_or(0);
        if self.plain.len() - begun >= BLOCK_SIZE_MIN {
            self.ends.push(self.plain.len());
            self.entries = 0;
        }
    }

    /// What was written.
    #[must_use]
    pub fn plain(self) -> Vec<u8> {
        self.plain
    }

    /// What was written, plain and as one member of gzip, and its blocks.
    #[must_use]
    pub fn compressed(mut self, known: &Known) -> (Vec<u8>, Vec<u8>, Known) {
        if self.ends.last() != Some(&self.plain.len()) {
            self.ends.push(self.plain.len());
        }
        let (mut blocks, mut order, mut from) = (Known::new(), Vec::new(), 0);
        for end in self.ends {
            let piece = &self.plain[from..end];
            from = end;
            let hash = xxh3_128(piece);
            let block = match blocks.get(&hash).or_else(|| known.get(&hash)) {
                Some(block) => block.clone(),
                None => Block::compressed(piece, LEVEL),
            };
            order.push(block.clone());
            blocks.insert(hash, block);
        }
        (self.plain, gzip::member(&order), blocks)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn body(ids: impl Iterator<Item = u32>) -> Body {
        let mut body = Body::default();
        for id in ids {
            body.text().extend(format!("{{\"id\":{id},\"name\":\"Film {id}\"}}\n").bytes());
            body.end_entry(&id.to_le_bytes());
        }
        body
    }

    #[test]
    fn a_body_comes_out_as_it_was_written_and_only_what_changed_is_compressed() {
        let (plain, gzip, known) = body(0..10_000).compressed(&Known::new());
        let mut read = Vec::new();
        flate2::bufread::GzDecoder::new(&*gzip).read_to_end(&mut read).unwrap();
        assert!(read == plain && gzip.len() < plain.len() / 4);
        assert!(known.len() > 20, "{}", known.len());
        let fresh = |ids: &mut dyn Iterator<Item = u32>| {
            let (_, _, blocks) = body(ids).compressed(&known);
            blocks.keys().filter(|hash| !known.contains_key(hash)).count()
        };
        assert_eq!(fresh(&mut (0..10_000)), 0);
        assert!(fresh(&mut (0..10_000).filter(|id| *id != 5_000)) <= 2);
        assert!(fresh(&mut (0..5_000).chain([77_777]).chain(5_000..10_000)) <= 2);
    }

    #[test]
    fn an_empty_body_is_a_member_too() {
        let (plain, gzip, _) = Body::default().compressed(&Known::new());
        let mut read = Vec::new();
        flate2::bufread::GzDecoder::new(&*gzip).read_to_end(&mut read).unwrap();
        assert!(plain.is_empty() && read.is_empty());
    }
}
