//! MPEG transport streams (ISO/IEC 13818-1) of one programme, as far as HLS needs them.
//!
//! Bytes that an encoder sent in, headers and chunks out (`stream`), as `boxes` gives them, so that
//! all that follows is the same: a chunk is whole packets, begins with an access unit, and is about
//! as long as a part. `tables` reads and writes what says which packets belong to what, `coding`
//! what an access unit says of its stream, `counters` numbers packets when they are published.
//! Everything is bounded, nothing is believed, and no byte can make it panic.

pub mod counters;
pub mod mux;
mod setup;
pub mod stream;
mod coding;
mod tables;
#[cfg(test)]
mod tests;

/// Bytes of a packet.
pub const PACKET_SIZE: usize = 188;

/// With which every packet begins.
pub const SYNC: u8 = 0x47;

/// Ticks a second of all times.
pub const TIMESCALE: u32 = 90_000;

/// Why bytes are no transport stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsError {
    /// No packets are found in it.
    NoPackets,
    /// An access unit or a chunk has more bytes than any has.
    TooLong,
}

impl std::fmt::Display for TsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoPackets => "this is no transport stream: no packets of 188 bytes are found",
            Self::TooLong => "a picture or sound has more bytes than is taken",
        })
    }
}

impl std::error::Error for TsError {}
