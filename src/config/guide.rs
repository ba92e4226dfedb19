//! Guides of others: what can be set of `[guide]`, and limits around what is imported.

use std::path::PathBuf;

use ipnet::IpNet;

use crate::units::{KIB, MIB};

/// How guides are taken from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guide {
    /// Milliseconds between two looks at a source that says nothing else.
    pub refresh_ms: u64,
    /// Most bytes that are fetched of a source, as they come.
    pub download_max: u64,
    /// Most bytes of XML that a source may hold, unpacked.
    pub unpacked_max: u64,
    /// Networks inside, from which guides may be fetched all the same.
    pub networks: Vec<IpNet>,
    /// Where files lie that sources may name; none = nowhere.
    pub folder: Option<PathBuf>,
}

impl Default for Guide {
    fn default() -> Self {
        Self {
            refresh_ms: 12 * 3_600_000,
            download_max: 512 * MIB as u64,
            unpacked_max: 4096 * MIB as u64,
            networks: Vec::new(),
            folder: None,
        }
    }
}

/// Sources of guides. Each costs a fetch now and then, and its channels in memory. Beyond it those
/// that come last in the order of their ids are not looked at, and say so.
pub const GUIDE_SOURCES_MAX: usize = 64;

/// Channels of one source. The largest public guide has 12,000. Beyond it the import fails.
pub const GUIDE_CHANNELS_MAX: usize = 50_000;

/// Names of one channel that are kept; further ones are left out.
pub const GUIDE_NAMES_MAX: usize = 16;

/// Programmes of one source: 10,000 channels have 4 million in ten days. Beyond it the import fails.
pub const GUIDE_PROGRAMMES_MAX: u64 = 16_000_000;

/// Longest piece of XML between two angle brackets, in bytes: a text, or a tag with its attributes.
/// What is longer is no guide, and the import fails.
pub const GUIDE_PIECE_SIZE_MAX: usize = MIB;

/// How deep elements may lie within each other; XMLTV has five levels. Beyond it the import fails.
pub const GUIDE_DEPTH_MAX: usize = 64;

/// Longest texts that are kept, in bytes; the rest is cut off.
pub const GUIDE_TEXT_SIZE_MAX: usize = 8 * KIB;
/// The same of titles, names, categories and whatever else is short.
pub const GUIDE_WORD_SIZE_MAX: usize = KIB;
/// Entries of a list of one programme (categories, people) that are kept.
pub const GUIDE_LIST_MAX: usize = 24;

/// Bytes of programmes of one channel that make a block of the store. Larger ones shrink better,
/// and smaller ones are read faster when only one hour is asked for.
pub const GUIDE_BLOCK_SIZE: usize = 24 * KIB;

/// Bytes of programmes that an import holds in memory, all channels together, for guides in the
/// order of time, where each channel comes again and again. At the limit the largest are written.
pub const GUIDE_HELD_SIZE_MAX: usize = 48 * MIB;
const _: () = assert!(GUIDE_HELD_SIZE_MAX >= 64 * GUIDE_BLOCK_SIZE, "blocks are whole mostly");

/// How many times as large as it came a guide may get when it is unpacked, once it is larger than
/// `GUIDE_RATIO_FROM`. XML of guides shrinks to a tenth, and to a fiftieth where it says little.
pub const GUIDE_RATIO_MAX: u64 = 200;
/// See `GUIDE_RATIO_MAX`, in bytes.
pub const GUIDE_RATIO_FROM: u64 = 16 * MIB as u64;

/// Largest dictionary of an xz file, in bytes, that is allocated: `xz -9` takes 64 MiB. Beyond it
/// the import fails.
pub const GUIDE_DICTIONARY_SIZE_MAX: u32 = 64 * MIB as u32;

/// Programmes that could not be taken, of which an import's report tells each by itself; the others
/// are counted.
pub const GUIDE_SKIPS_TOLD_MAX: usize = 20;

/// Longest programme, in seconds: 14 days. A longer one is no programme.
pub const GUIDE_PROGRAMME_SECONDS_MAX: u64 = 14 * 86_400;

/// Seconds that past programmes are kept where a channel has no archive, or a shorter one.
pub const GUIDE_PAST_SECONDS_MIN: u64 = 86_400;

/// Milliseconds for which what an import replaced is left to those who still read it.
pub const GUIDE_REPLACED_MS: u64 = 60_000;

/// Most minutes that a channel's programmes can be moved.
pub const GUIDE_SHIFT_MINUTES_MAX: i32 = 24 * 60;

/// Redirects that are followed when a guide is fetched, each looked at as the first address is.
pub const GUIDE_REDIRECTS_MAX: usize = 3;

/// Milliseconds for a connection, and for a head; and within which something of the body must come.
pub const GUIDE_PATIENCE_MS: u64 = 20_000;

/// Milliseconds for a whole download.
pub const GUIDE_DOWNLOAD_MS: u64 = 20 * 60_000;

/// Least milliseconds between two looks at a source.
pub const GUIDE_REFRESH_MS_MIN: u64 = 5 * 60_000;
/// And most: a week.
pub const GUIDE_REFRESH_MS_MAX: u64 = 7 * 86_400_000;

/// Longest answer to a question for programmes, in programmes; the rest is left out and it is said.
pub const GUIDE_PROGRAMMES_TOLD_MAX: usize = 5_000;

/// Questions to the guide that wait for its thread. Beyond it who asks is told 503.
pub const GUIDE_QUESTIONS_MAX: usize = 64;
