//! Bodies that are compressed block by block: one gzip member, in which blocks can be replaced.
//!
//! Each block is deflated by itself and ends with a full flush (RFC 1951, 3.2.4: an empty stored
//! block), so it begins and ends at a byte, and looks back at nothing before it. A member is a
//! head, the blocks in their order, an empty last block, and the CRC of all of them, which is
//! combined from theirs: whatever has changed is compressed anew, and the rest is taken as it is.
//! There is always one member: clients that are built on OkHttp stop behind the first.

use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};

/// What a member begins with (RFC 1952, 2.3): deflate, no name, no time, of no system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The last block, which is empty: fixed codes, and the end of block.
const LAST: [u8; 2] = [0x03, 0x00];

/// Longest stored block, in bytes (RFC 1951, 3.2.4).
const STORED_SIZE_MAX: usize = 0xffff;

/// A piece of a body, compressed so that it fits behind any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// As it stands in the member.
    pub deflated: Bytes,
    /// Of what it holds.
    pub crc: u32,
    /// Of what it holds, in bytes.
    pub size: u64,
}

impl Block {
    /// A block of these bytes, compressed: 1 = fast, 9 = small.
    #[must_use]
    pub fn compressed(plain: &[u8], level: u32) -> Self {
        let mut compress = Compress::new(Compression::new(level.clamp(1, 9)), false);
        let mut deflated = Vec::with_capacity(plain.len() / 4 + 64);
        loop {
            let read = usize::try_from(compress.total_in()).expect("it is within a slice");
            deflated.reserve(plain.len() / 8 + 64);
            let status = compress.compress_vec(&plain[read..], &mut deflated, FlushCompress::Full);
            let is_read = compress.total_in() == plain.len() as u64;
            // Room that is left says that the flush is whole.
            if is_read && deflated.len() < deflated.capacity() {
                break;
            }
            assert!(matches!(status, Ok(Status::Ok | Status::BufError)), "deflate takes any bytes");
        }
        Self { deflated: deflated.into(), crc: crc(plain), size: plain.len() as u64 }
    }

    /// A block of these bytes as they are, for what is put together anew for each client.
    #[must_use]
    pub fn stored(plain: &[u8]) -> Self {
        let mut deflated =
            Vec::with_capacity(plain.len() + 5 * (plain.len() / STORED_SIZE_MAX + 1));
        for piece in plain.chunks(STORED_SIZE_MAX) {
            let size = u16::try_from(piece.len()).expect("it is that long at most");
            deflated.push(0);
            deflated.extend(size.to_le_bytes());
            deflated.extend((!size).to_le_bytes());
            deflated.extend(piece);
        }
        Self { deflated: deflated.into(), crc: crc(plain), size: plain.len() as u64 }
    }
}

fn crc(plain: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(plain);
    hasher.finalize()
}

/// A member as it comes into being: what is to be written before, for and behind its blocks.
#[derive(Clone, Debug, Default)]
pub struct Member {
    crc: Hasher,
    size: u64,
}

impl Member {
    /// What stands before the first block.
    pub const HEAD: [u8; 10] = HEAD;

    /// Counts a block in, which is written as it is.
    pub fn add(&mut self, block: &Block) {
        self.crc.combine(&Hasher::new_with_initial_len(block.crc, block.size));
        self.size += block.size;
    }

    /// What stands behind the last block.
    #[must_use]
    pub fn end(self) -> [u8; 10] {
        let [low, high] = LAST;
        let [a, b, c, d] = self.crc.finalize().to_le_bytes();
        // The size is counted modulo 2^32 (RFC 1952, 2.3.1).
        let [e, f, g, h, ..] = self.size.to_le_bytes();
        [low, high, a, b, c, d, e, f, g, h]
    }
}

/// A whole member of these blocks.
#[must_use]
pub fn member<'b>(blocks: impl IntoIterator<Item = &'b Block>) -> Vec<u8> {
    let (mut member, mut bytes) = (Member::default(), HEAD.to_vec());
    for block in blocks {
        member.add(block);
        bytes.extend(&*block.deflated);
    }
    bytes.extend(member.end());
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::bufread::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    /// What a reader of one member makes of it, and how many bytes it left.
    fn read(bytes: &[u8]) -> (Vec<u8>, usize) {
        let mut decoder = GzDecoder::new(bytes);
        let mut plain = Vec::new();
        decoder.read_to_end(&mut plain).unwrap();
        (plain, decoder.into_inner().len())
    }

    proptest! {
        #[test]
        fn blocks_in_any_order_are_one_member(
            pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..5000), any::<bool>()), 0..8)
        ) {
            let block = |(piece, is_stored): &(Vec<u8>, bool)| match is_stored {
                true => Block::stored(piece),
                false => Block::compressed(piece, 6),
            };
            let blocks: Vec<_> = pieces.iter().map(block).collect();
            let all: Vec<_> = pieces.iter().flat_map(|(piece, _)| piece.clone()).collect();
            prop_assert_eq!(read(&member(&blocks)), (all.clone(), 0));
            let turned: Vec<_> = pieces.iter().rev().flat_map(|(piece, _)| piece.clone()).collect();
            prop_assert_eq!(read(&member(blocks.iter().rev())), (turned, 0));
        }
    }

    #[test]
    fn what_is_long_or_does_not_shrink_comes_out_whole() {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let noise: Vec<_> = (0..300_000).map(|_| next()).collect();
        let text = b"<programme start=\"20261127200000 +0000\">".repeat(20_000);
        for plain in [&noise, &text] {
            for level in [1, 6, 9] {
                let block = Block::compressed(plain, level);
                assert!(block.deflated.len() < plain.len() + plain.len() / 100 + 64);
                let stored = Block::stored(plain);
                let twice = [plain.as_slice(), plain].concat();
                assert!(read(&member([&block, &stored])) == (twice, 0), "{level}");
            }
        }
    }
}
