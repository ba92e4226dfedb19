//! What threads say to each other: `Update` and `Answer` to a shard, `Ask`, `ToLibrary`, `ToLive`
//! from it.
//!
//! Every message is an owned, immutable value; every queue that carries them is bounded. A shard
//! takes one shared reference an `Update`, never one a request. This module stands above `pack`,
//! because an `Update` carries a pack's verified index, and above `live`, whose edges it tells of;
//! it knows no queue and no thread.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::config::{Access, Limits};
use crate::guard::Bans;
use crate::live::playlist::dash::timed::Timed;
use crate::live::playlist::name::Promise;
use crate::live::reload::Edge;
use crate::live::time::Length;
use crate::units::{Class, Extent, Rung, UnixTime};
use crate::viewer::foreign::Unexchanged;
use crate::viewer::foreign::carrier::Watched;
use crate::viewer::leases::{Asking, News, Verdict};
use crate::viewer::players::Share;
use crate::viewer::sign_ins::{NotLetIn, Said};
use crate::viewer::{Apps, Keys, Rights, SessionId, Terms};

pub mod mail;
mod narrow;
mod opened;
mod report;

pub use narrow::{Beside, Laid, Narrowed, form_for};
pub use opened::{Device, FilePayload, Index, Opened, Payload, Reel, Residency, Single};
pub use report::{AccessRecord, ShardReport};

/// One version of one pack or file. Never used again for other bytes while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u64);

impl SourceId {
    /// Who counts a source stands in its upper bits, so that no two of them give the same number.
    /// The highest one says that it is live, the next one of what is not that it is of an archive.
    const LIVE: u64 = 0b100 << 61;
    const ARCHIVED_OBJECT: u64 = 0b101 << 61;
    const PAST: u64 = 0b110 << 61;
    const COMPLETE_PAST: u64 = 0b111 << 61;
    const ARCHIVE: u64 = 0b010 << 61;

    /// The number of something live. The library counts from 0, and never gets here.
    #[must_use]
    pub fn of_live(number: u64) -> Self {
        Self(Self::LIVE | number)
    }

    /// The number of something of a slate, told as what is live, which never counts so far.
    #[must_use]
    pub fn of_slate(number: u64) -> Self {
        Self(Self::LIVE | 1 << 60 | number)
    }

    /// The number of a picture, told as what is live: in memory, and nobody's to open.
    #[must_use]
    pub fn of_picture(number: u64) -> Self {
        Self(Self::LIVE | 1 << 59 | number)
    }

    /// Whether it is a picture, which never changes.
    #[must_use]
    pub fn is_picture(self) -> bool {
        self.0 >> 59 == (Self::LIVE | 1 << 59) >> 59
    }

    /// The number of something that is listed nowhere, and is sent as an answer.
    #[must_use]
    pub fn of_answer(number: u64) -> Self {
        Self(Self::LIVE | 1 << 58 | number)
    }

    /// The number of a text of what is past of a channel, which is told as something live is. They
    /// count on their own, and both kinds together.
    #[must_use]
    pub fn of_past(number: u64, is_complete: bool) -> Self {
        Self(number | if is_complete { Self::COMPLETE_PAST } else { Self::PAST })
    }

    /// Whether it is such a text, and one that does not change any more.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self.0 & Self::COMPLETE_PAST == Self::COMPLETE_PAST
    }

    /// Whether it is something live: in memory, complete in itself, and nobody's to open or close.
    #[must_use]
    pub fn is_live(self) -> bool {
        self.0 & Self::LIVE != 0
    }

    /// The number of a pack of an archive. The library never gets here, either.
    #[must_use]
    pub fn of_archive(number: u64) -> Self {
        Self(Self::ARCHIVE | number)
    }

    /// Whether it is a pack of an archive, which the archive's lender opens.
    #[must_use]
    pub fn is_archived(self) -> bool {
        self.0 >> 62 == Self::ARCHIVE >> 62
    }

    /// Whether it is of an archive: its bytes are past.
    #[must_use]
    pub fn is_kept(self) -> bool {
        self.is_archived() || self.0 >> 61 == Self::ARCHIVED_OBJECT >> 61
    }

    /// The number of an object of an archive that is complete in itself, as what is live is.
    #[must_use]
    pub fn of_archived_object(number: u64) -> Self {
        Self(Self::ARCHIVED_OBJECT | number)
    }
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A pack: the path is a prefix of the paths of its objects.
    Pack,
    /// A file of a folder, or something live.
    File,
}

/// One change of the list of paths. `path` is what follows `/vod/`, without `.pack`; of something
/// live it is the whole path, `/tv/news/video/1.m4s`, which no library can have.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The path, as clients write it after percent-decoding.
    pub path: Arc<str>,
    /// What happened.
    pub change: Change,
}

impl Listing {
    /// What is listed, if it is something that is open.
    #[must_use]
    pub fn opened(&self) -> Option<Arc<Opened>> {
        match &self.change {
            Change::Present { opened, .. } => opened.clone(),
            _ => None,
        }
    }
}

/// What happened to a path.
#[derive(Clone, Debug)]
pub enum Change {
    /// It can be asked for; an older version of the path is let go.
    Present {
        /// The version.
        source: SourceId,
        /// Pack or file.
        kind: SourceKind,
        /// Who may have it.
        access: Access,
        /// Already open (small files are); else the first request asks for it: the library, or the
        /// live thread for what it makes on demand.
        opened: Option<Arc<Opened>>,
    },
    /// The path is the folder of a live rendition, which has come so far. Said after its segments
    /// and playlists are listed.
    Rendition(Rendition),
    /// What lies at the path, or in this folder of a rendition, takes so much; renditions that are
    /// live say so themselves.
    Rung(Rung),
    /// The path is the folder of a channel, for viewers of this access: what is past of it, and not
    /// listed, is control's to write.
    Channel(Access),
    /// The path is a place of an archive, by which nobody asks: segments of live renditions are
    /// there under their own names as long as it is listed.
    Archived(Arc<Archived>),
    /// What lies below the path is control's to answer, where nothing else is listed: a channel
    /// whose texts are made when somebody asks. Withdrawn by `Unasked` alone: what is `Absent`
    /// there may be a channel of that name that was pushed, of which others tell, at other times.
    Asked(Access),
    /// Nobody is to be asked any more for what lies below the path.
    Unasked,
    /// It will be there soon: requests for it wait. Withdrawn by `Present` or `Absent`.
    Expected,
    /// It is gone: new requests get 404, running transfers finish.
    Absent,
    /// It is gone and its bytes may have changed under us: running transfers are reset.
    Torn,
}

/// What shards know of a live rendition, to tell what is waited for from what will never be.
#[derive(Clone, Copy, Debug)]
pub struct Rendition {
    /// The newest of what is listed.
    pub edge: Edge,
    /// When the last segment that has begun does, and when it ends, as far as it has come.
    pub times: (Timed, Timed),
    /// The longest part.
    pub part: Length,
    /// Parts that a segment can have.
    pub parts_a_segment: u32,
    /// How long a request may be held, in milliseconds: three target durations (RFC 8216bis,
    /// 6.2.5.2).
    pub hold_ms: u64,
    /// What its playlists promise, and so their names, if that is not what they did at first.
    pub promise: Option<Promise>,
    /// Who may have it.
    pub access: Access,
    /// What it takes.
    pub rung: Rung,
}

/// Segments in an archive. What a live channel lists under their names comes first.
#[derive(Debug)]
pub struct Archived {
    /// The version of the pack, or of the one segment.
    pub source: SourceId,
    /// A pack with all of them, below their rendition's name; or a file that is the one segment.
    pub kind: SourceKind,
    /// Who may have them.
    pub access: Access,
    /// Already open: single segments are.
    pub opened: Option<Arc<Opened>>,
    /// Which they are.
    pub numbers: Vec<Numbers>,
}

/// Segments of one live rendition, from the first to the last, both of them included.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// The rendition's folder: `/tv/news/video`.
    pub folder: Arc<str>,
    /// The first number.
    pub first: i64,
    /// The last number.
    pub last: i64,
}

/// Why a source can't be served, for the client and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenFault {
    /// The pack is damaged, truncated, of another version, or lies.
    Damaged,
    /// It vanished before it was opened.
    Missing,
    /// Not now: no descriptor, memory or address space is left, or the disk would not read. Nothing
    /// is proven against it, so a later request tries again.
    Exhausted,
}

/// A growing object: bytes that arrive while they are being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrowingId(pub u64);

/// What happens to a growing object.
#[derive(Clone, Debug)]
pub enum Growth {
    /// It exists from now on, under this path (as that of a `Listing`).
    Begun {
        /// Its path.
        path: Arc<str>,
        /// Its media type.
        media_type: &'static str,
        /// Its class.
        class: Class,
        /// Who may have it.
        access: Access,
    },
    /// It has no end: what is appended next is where a response can begin, and only the last
    /// stretch of it is kept.
    Entry,
    /// More bytes: an extent of something that is open.
    Appended {
        /// Holds the bytes.
        opened: Arc<Opened>,
        /// Which of them.
        extent: Extent,
    },
    /// It is whole: every response to it ends with the last chunk.
    Ended,
    /// It will never be whole: every response to it is reset, so that no cache keeps a part.
    Aborted,
}

/// To one shard.
#[derive(Debug)]
pub enum Update {
    /// Paths appeared, changed or vanished. One batch is shared by all shards.
    Listed(Arc<[Listing]>),
    /// A source is open.
    Opened(Arc<Opened>),
    /// A source could not be opened.
    Failed(SourceId, OpenFault),
    /// Indexes take more memory than they may: the shard lets go of this source, unless it is in
    /// use or was used since this was last said of it.
    Spare(SourceId),
    /// Pages of a source are being dropped and read again: what was known to be in memory may not
    /// be. Said before it begins, and again as long as it goes on.
    Reread,
    /// A growing object grew.
    Growing(GrowingId, Growth),
    /// Does anybody watch this rendition, or the stream without an end that is made of it? If so,
    /// say `Watched`.
    IsWatched(Arc<str>, GrowingId),
    /// What has become of a piece of something that is made piece by piece.
    Piece(SourceId, u32, Made),
    /// What control says to an `Ask`.
    Answered(Answer),
    /// Whether control lets somebody in who asked for that.
    SignedIn(AskKey, Result<(), NotLetIn>),
    /// Tell what you counted.
    Report(SyncSender<Box<ShardReport>>),
    /// Tell what this subscriber was refused last.
    Refusals(NonZeroU32, tokio::sync::mpsc::Sender<Vec<Refused>>),
    /// The limits were read again.
    Limits(Arc<Limits>),
    /// What tokens are signed with, from now on.
    Keys(Arc<Keys>),
    /// Where tokens of others are carried, from now on.
    Foreign(Arc<Watched>),
    /// What subscribers may have, from now on. Whoever tells it holds on to the one before until
    /// every shard has let go: to free it takes as long as there are subscribers.
    Rights(Arc<Rights>),
    /// What apps sign in with and start, from now on. It is held on to likewise.
    Apps(Arc<Apps>),
    /// Who is banned, from now on.
    Bans(Arc<Bans>),
    /// What refused viewers see, from now on. Said behind what is listed of it.
    Slates(Arc<crate::live::slate::Slates>),
    /// What control says of sessions.
    Sessions(Arc<[(SessionId, Verdict)]>),
    /// How much of sessions' rates falls to this shard.
    Shares(Arc<[(SessionId, Share)]>),
    /// Whether the machine sends as much as it may: then control is asked of every new session.
    Full(bool),
    /// Which sessions control is asked about before they begin, whatever limits them.
    Asking(Asking),
    /// Everything that is there was listed: let clients in.
    Accept,
    /// Accept no more, finish what runs, close the rest at the deadline (milliseconds from now).
    Drain {
        /// How long running transfers may take.
        deadline_ms: u64,
    },
    /// End now.
    Stop,
}

/// What has become of a piece.
#[derive(Clone, Debug)]
pub enum Made {
    /// It is there.
    There(Arc<[u8]>),
    /// There is no room for it any more. It is made again for whoever wants it.
    Gone,
    /// It can't be made.
    Never,
}

/// A piece that somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WantedPiece {
    /// Of which source.
    pub source: SourceId,
    /// Its number.
    pub number: u32,
}

/// What a subscriber was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whom.
    pub subscriber: NonZeroU32,
    /// Why, as `X-Shardcast-Reason` says it.
    pub reason: &'static str,
    /// What was asked for, without the token: the beginning of the path.
    pub path: Box<str>,
    /// From where, if that is known.
    pub from: Option<IpAddr>,
    /// When first,
    pub first: UnixTime,
    /// when last,
    pub last: UnixTime,
    /// and how often.
    pub count: u64,
}

/// Which waiting request an answer is for: meaningful to the shard that gave it, and only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskKey {
    /// The shard.
    pub shard: u16,
    /// The exchange's place in its table.
    pub exchange: u32,
    /// Guards against a place used again.
    pub generation: u32,
}

/// A request that only control can answer.
#[derive(Debug)]
pub struct Ask {
    /// Who waits.
    pub key: AskKey,
    /// The client's address.
    pub peer: Option<IpAddr>,
    /// Whether a trusted proxy passed it on, whose lines are believed.
    pub is_forwarded: bool,
    /// What for.
    pub wants: Wants,
    /// The request's head, exactly as it was received and accepted by the parser.
    pub head: Box<[u8]>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What control is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// An answer that viewers of this access may have; this client may, on these terms.
    Answer(Access, Terms),
    /// One of our tokens for the one of others that the request carries. It may have nothing yet.
    Exchange,
    /// Whether somebody is let in who says this: `SignedIn` says so.
    SignIn(Said),
}

/// A complete answer. `response` is shared, so that a cached answer costs a reference.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whom it is for.
    pub key: AskKey,
    /// What is said.
    pub response: Arc<Response>,
}

/// What control answers: always whole, never a stream.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header lines, each ended by CRLF, without `Date`, `Content-Length`, `Connection`.
    pub lines: Vec<u8>,
    /// The body.
    pub body: bytes::Bytes,
    /// Why there is nothing of that, if so: the shard refuses then as it does by itself.
    pub refused: Option<Unexchanged>,
    /// An object that is sent in place of all of that, as if it were listed where it was asked
    /// for: with its tag, gzipped, in ranges. It may be for this one client.
    pub object: Option<Arc<Opened>>,
}

/// What a shard tells control of sessions.
#[derive(Debug)]
pub struct SessionNews {
    /// The shard.
    pub shard: u16,
    /// What it tells.
    pub news: News,
}

/// From a shard to the live thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToLive {
    /// A client would have taken this text gzipped. Said once of each version, and lost if there is
    /// no room: somebody will say it of the next one.
    Gzip(SourceId),
    /// Somebody wants this source, which is made on demand: it is listed, and not open.
    Wanted(SourceId),
    /// Somebody had something of this rendition's folder since this was asked last, or is having
    /// it now.
    Watched(Arc<str>),
}

/// From a shard to the library.
#[derive(Debug)]
pub enum ToLibrary {
    /// Somebody wants this source; answer `Opened` or `Failed`.
    Open {
        /// Who asks.
        shard: u16,
        /// What.
        source: SourceId,
    },
    /// The shard has let go of the last reference to it.
    Released {
        /// Who.
        shard: u16,
        /// What.
        source: SourceId,
    },
    /// Its bytes could not be read, or were fewer than promised.
    Faulty {
        /// What.
        source: SourceId,
        /// What was seen.
        fault: Fault,
    },
}

impl ToLibrary {
    /// What it is about.
    #[must_use]
    pub fn source(&self) -> SourceId {
        match *self {
            Self::Open { source, .. }
            | Self::Released { source, .. }
            | Self::Faulty { source, .. } => source,
        }
    }
}

/// What was seen when a payload's bytes could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Fewer bytes than promised: the file was cut short.
    Truncated,
    /// The disk said no (EIO, EFAULT and their like): the error number.
    Unreadable(i32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts_a_source_can_be_told_by_its_number() {
        let of = |number| {
            [
                SourceId(number),
                SourceId::of_live(number),
                SourceId::of_past(number, false),
                SourceId::of_past(number, true),
                SourceId::of_archive(number),
                SourceId::of_archived_object(number),
                SourceId::of_slate(number),
                SourceId::of_picture(number),
                SourceId::of_answer(number),
            ]
        };
        for number in [0, 7, (1 << 58) - 1] {
            let ids = of(number);
            for (at, id) in ids.iter().enumerate() {
                assert!(!ids[..at].contains(id), "{id:?}");
            }
            let live = ids.map(SourceId::is_live);
            assert_eq!(live, [false, true, true, true, false, true, true, true, true]);
            let archived = ids.map(SourceId::is_archived);
            assert_eq!(archived, [false, false, false, false, true, false, false, false, false]);
            let complete = ids.map(SourceId::is_complete);
            assert_eq!(complete, [false, false, false, true, false, false, false, false, false]);
        }
    }
}
