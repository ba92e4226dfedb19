//! Why bytes are not a pack. The caller adds the file's name.

use std::fmt;

/// What is wrong with a pack. Data we did not make is never our fault: no case panics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackError {
    /// Too small for a header and a trailer.
    TooShort {
        /// Its size, in bytes.
        size: u64,
    },
    /// It begins with something else.
    NotAPack,
    /// A version that this reader does not know.
    Version {
        /// Where: `header`, `trailer` or `journal`.
        part: &'static str,
        /// The version found.
        found: u32,
    },
    /// Flags that this reader does not know.
    Flags {
        /// Where.
        part: &'static str,
        /// The flags found.
        found: u32,
    },
    /// Another page size than ours.
    PageSize(u32),
    /// A checksum that does not match, or bytes that should be zero.
    Damaged {
        /// Where: `header`, `trailer`, `index` or `journal`.
        part: &'static str,
    },
    /// There is no trailer at the end.
    Unfinished,
    /// The file has another size than its trailer says.
    Size {
        /// What the trailer says.
        claimed: u64,
        /// What it is.
        actual: u64,
    },
    /// The index does not lie between header and trailer.
    IndexBounds {
        /// Where it should begin.
        offset: u64,
        /// Its size.
        size: u64,
    },
    /// The counts do not give the index's size.
    IndexCounts {
        /// Objects.
        objects: u32,
        /// Gzip variants.
        gzips: u32,
        /// Size of the index.
        size: u64,
    },
    /// More than this reader takes into memory.
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: u64,
        /// How large it may be.
        limit: u64,
    },
    /// A path that is not safe to serve or to extract.
    Path {
        /// The object's number.
        object: u32,
        /// What is wrong with the path.
        fault: PathFault,
    },
    /// Paths out of order, or twice the same.
    Order {
        /// The path that is not after its predecessor.
        path: String,
    },
    /// One field of one object is wrong.
    Object {
        /// The object's path.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A media type that cannot be a header line.
    MediaType {
        /// Its number.
        number: u32,
    },
    /// Two payloads share bytes.
    Overlap {
        /// Where the second begins.
        offset: u64,
    },
    /// Paths that were chosen to collide.
    Crowded,
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// No byte.
    Empty,
    /// Over 1,024 bytes.
    TooLong,
    /// A NUL.
    Nul,
    /// It begins or ends with `/`, or has two of them together.
    EmptyElement,
    /// `.` or `..`.
    DotElement,
    /// An element over 255 bytes.
    ElementTooLong,
    /// Not UTF-8.
    NotUtf8,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it is longer than 1,024 bytes",
            Self::Nul => "it has a NUL",
            Self::EmptyElement => "it has an empty element",
            Self::DotElement => "it has an element '.' or '..'",
            Self::ElementTooLong => "an element is longer than 255 bytes",
            Self::NotUtf8 => "it is not UTF-8",
        })
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { size } => {
                write!(f, "{size} bytes are too few for a pack; it was cut short")
            }
            Self::NotAPack => f.write_str("it is not a segment pack"),
            Self::Version { part, found } => {
                write!(f, "its {part} says version {found}; this shardcast reads version 1")
            }
            Self::Flags { part, found } => {
                write!(f, "its {part} has flags {found:#x}, which this shardcast does not know")
            }
            Self::PageSize(found) => write!(f, "its page size is {found}, not 4096"),
            Self::Damaged { part } => write!(f, "its {part} is damaged (checksum)"),
            Self::Unfinished => {
                f.write_str("it has no trailer: it was cut short, or never finished")
            }
            Self::Size { claimed, actual } => {
                write!(f, "its trailer says {claimed} bytes, the file has {actual}")
            }
            Self::IndexBounds { offset, size } => {
                write!(
                    f,
                    "the index claims bytes {offset} + {size}, which are not before the trailer"
                )
            }
            Self::IndexCounts { objects, gzips, size } => write!(
                f,
                "the index claims {objects} objects and {gzips} gzip variants in {size} bytes"
            ),
            Self::TooLarge { what, found, limit } => {
                write!(f, "{what}: {found}, more than the limit of {limit}")
            }
            Self::Path { object, fault } => write!(f, "the path of object {object}: {fault}"),
            Self::Order { path } => write!(f, "its objects are out of order at {path:?}"),
            Self::Object { path, why } => write!(f, "object {path:?}: {why}"),
            Self::MediaType { number } => {
                write!(f, "media type {number} has bytes that a header line cannot hold")
            }
            Self::Overlap { offset } => write!(f, "two payloads overlap at byte {offset}"),
            Self::Crowded => f.write_str("its paths collide as if somebody had chosen them to"),
        }
    }
}

impl std::error::Error for PackError {}
