//! Where a channel's media comes from, besides one encoder that pushes with the channel's login.

use std::fmt;
use std::path::PathBuf;

use super::Channel;
use super::inputs::Inputs;
use crate::units::MIB;

/// Encoders of one channel that are told apart. Operators have two, or two at two places. Beyond it
/// the config is refused.
pub const SOURCES_MAX: usize = 8;

/// Categories of one channel, film or series. Beyond it what names them is refused.
pub const CATEGORIES_MAX: usize = 16;

/// Seasons of a series that have a name. Beyond it the series is refused.
pub const SEASONS_MAX: usize = 256;

/// Longest address of a picture, in bytes. A longer one is refused.
pub const PICTURE_ADDRESS_SIZE_MAX: usize = 1024;

/// Milliseconds that the first chunk of a segment may come after that of another source, and how
/// long a source may be silent beyond its chunks' length while another one has more. Players of
/// low latency stay three parts behind, 1.5 s, and must not notice.
pub const SOURCE_PATIENCE_MS: u64 = 500;

/// Chunks of sources that are not taken at the moment, in bytes, of one channel. Beyond it they are
/// let go of, the oldest first, and a source that lost some takes over with a gap.
pub const SPARE_SIZE_MAX: usize = 64 * MIB;

/// Assets that a channel may be made of: some days of short ones. Beyond it the config is refused.
pub const ASSETS_MAX: usize = 1024;

/// Longest manifest of an asset of a channel, in bytes: a day of uneven segments. One that is
/// longer is not taken, and the channel is 503.
pub const ASSET_MANIFEST_SIZE_MAX: u64 = 4 * MIB as u64;

/// Milliseconds until assets of a channel that could not be read are tried again, if anybody asks.
pub const ASSETS_AGAIN_MS: u64 = 2_000;

/// Files of a watched folder that are remembered, so that a scan takes only what is new: half an
/// hour of segments of a ladder. Beyond it the oldest are forgotten, and might be taken again,
/// which is a repetition.
pub const FOLDER_FILES_MAX: usize = 8192;

/// Folders below a watched one, with itself: a rendition each. Further ones are not watched, and
/// the log says so.
pub const FOLDER_FOLDERS_MAX: usize = 128;

/// News of a watched folder that waits. Beyond it the folder is scanned.
pub const FOLDER_NEWS_MAX: usize = 1024;

/// Files of a watched folder that are read while they grow: one or two a rendition. Others are read
/// when they are closed.
pub const FOLDER_GROWING_MAX: usize = 128;

/// Bytes of a file that are handed over at once, and how many such pieces may be under way. Beyond
/// it the folder's thread waits.
pub const FOLDER_PIECE_SIZE: u64 = MIB as u64;
/// See `FOLDER_PIECE_SIZE`.
pub const FOLDER_PIECES_MAX: usize = 8;

/// Bytes of all files of a folder that are not part of a whole chunk yet. Beyond it the file that
/// grows is refused until it is closed.
pub const FOLDER_WAITING_SIZE_MAX: usize = 128 * MIB;

/// What a channel is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Encoders in their order, the highest first; none = all that pushes is one encoder.
    pub encoders: Vec<Encoder>,
    /// Assets that follow each other without end; none = somebody pushes.
    pub playlist: Vec<Programme>,
    /// Minutes that the times of `playlist` are ahead of UTC.
    pub utc_offset: i32,
    /// A folder into which an encoder of this machine writes what it would push.
    pub folder: Option<PathBuf>,
    /// What ffmpeg reads, of those channels for which it does.
    pub inputs: Inputs,
}

/// An asset in a playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// Its path below `/vod/`.
    pub asset: String,
    /// When it begins, in seconds since midnight; none = when what is before it is over.
    pub at: Option<u32>,
}

/// One of several encoders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoder {
    /// Its name: `@name` in paths of pushes.
    pub name: String,
    /// Its own login; none = the channel's.
    pub push: Option<Push>,
    /// A folder into which it writes, on this machine, what it would push.
    pub folder: Option<PathBuf>,
}

/// The login of an encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The name it gives.
    pub user: String,
    /// Its password.
    pub password: Password,
}

/// Where an encoder's password is.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// In a file, which is not read before the channel is started.
    File(PathBuf),
    /// In the registry, sealed. Whoever has the key opens it.
    Sealed(String),
    /// Here.
    Known(String),
}

/// Where it is, and never what it is.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Sealed(_) => f.write_str("Sealed"),
            Self::Known(_) => f.write_str("Known"),
        }
    }
}

/// How a channel is shown to people, which nothing that runs depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    /// Ids of the categories that it is in.
    pub categories: Vec<String>,
    /// Channels are shown by this, the smallest first.
    pub order: i32,
    /// Where its logo is.
    pub logo: Option<String>,
}

impl Sources {
    /// Folders that are watched, each with the number of its encoder.
    pub fn folders(&self) -> impl Iterator<Item = (usize, &PathBuf)> {
        let of_encoders = self.encoders.iter().map(|encoder| encoder.folder.as_ref());
        let all = (0..).zip(of_encoders).chain([(0, self.folder.as_ref())]);
        all.filter_map(|(source, folder)| Some((source, folder?)))
    }
}

impl Channel {
    /// Whether it is made from what is pushed, and not of assets.
    #[must_use]
    pub fn is_pushed(&self) -> bool {
        self.sources.playlist.is_empty()
    }

    /// Whether nothing comes of it until somebody on this machine pushes, and nothing is kept.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sources == Sources::default() && self.push.is_none() && self.archive.is_none()
    }

    /// Whether it runs as that one does, whatever either is called and wherever it is shown.
    #[must_use]
    pub fn runs_as(&self, other: &Self) -> bool {
        let (name, shelf) = (other.name.clone(), other.shelf.clone());
        Self { name, shelf, ..self.clone() } == *other
    }
}
