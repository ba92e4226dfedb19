//! What will be sent: status, what of which object, and whether the connection goes on.
//!
//! A plan is a small value without references. The driver takes a lease on its object, writes its
//! head with `head::write`, and sends the body; it decides nothing about HTTP itself.

use std::num::NonZeroU32;

use super::conditions::{self, Verdict};
use super::locate::{Fixed, Growing, Object, ObjectKey};
use super::parse::{BodyFraming, Method, Request, Version};
use super::range::{self, ByteRange, Ranges, Selection};
use super::refusal::Refusal;
use super::sign_in::Begun;
use super::start::holds_secret;
use crate::catalog::GrowingSlot;
use crate::live::playlist::name::Name;
use crate::live::slate::SlateIndex;
use crate::live::slate::text::Reader;
use crate::units::{Class, Now, UnixTime, Variant};
use crate::viewer::Permit;
use crate::viewer::fetched::Segment;
use crate::viewer::players::Played;

/// What becomes of the connection after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It goes on, as HTTP/1.1 does by itself.
    KeepAlive,
    /// It goes on, and the HTTP/1.0 client is told so.
    KeepAlive10,
    /// It is closed, and the client is told so.
    Close,
}

/// Which bytes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All.
    Whole,
    /// One range.
    Range(ByteRange),
    /// Several, as multipart/byteranges.
    Ranges(Ranges),
}

/// What the response is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes of an object (200, 206).
    Object {
        /// Which.
        key: ObjectKey,
        /// Which encoding of it.
        gzip: bool,
        /// Where that lies and what it is tagged.
        variant: Variant,
        /// Which bytes of it.
        part: Part,
    },
    /// The client has it already (304).
    NotModified {
        /// Which object.
        key: ObjectKey,
        /// Which encoding was compared.
        variant: Variant,
    },
    /// No range of it is satisfiable (416).
    Unsatisfiable {
        /// The object's size in bytes.
        size: u64,
    },
    /// A condition failed (412).
    PreconditionFailed,
    /// Bytes of a growing object (200, chunked).
    Growing(GrowingSlot),
    /// A playlist has another name now (302).
    Moved(Name),
    /// The answer to OPTIONS (204).
    Options {
        /// To a preflight.
        preflight: bool,
    },
    /// The server lives (200).
    Health,
    /// What time it is (200), to the millisecond.
    Clock {
        /// Whole seconds.
        unix: UnixTime,
        /// And so many milliseconds.
        millis: u16,
    },
    /// The playlist of a slate that goes on, as it is now (200).
    Slate {
        /// Of which.
        index: SlateIndex,
        /// For whom.
        reader: Reader,
    },
    /// What an app starts (200, or 302): a playlist that is written as it is sent, or where it is.
    Start {
        /// Who has begun what.
        begun: Begun,
        /// The channel's own playlist; none = it goes on elsewhere.
        text: Option<(ObjectKey, Variant)>,
    },
    /// A refusal.
    Refused(Refusal),
}

/// What somebody gets who is refused, where there is a slate that says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instead {
    /// Why.
    pub instead_of: Refusal,
    /// How fast it is sent, in kilobits a second; none = as fast as it is taken.
    pub kbps: Option<NonZeroU32>,
}

/// A response, planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The status code.
    pub status: u16,
    /// What it is about.
    pub content: Content,
    /// False for HEAD: the head is that of a GET, and nothing follows.
    pub with_body: bool,
    /// Whether the client understands chunks (HTTP/1.1).
    pub chunks: bool,
    /// What becomes of the connection.
    pub connection: Connection,
    /// For the metrics.
    pub class: Class,
    /// Whether the client would have taken a text gzipped, of which there is no such form.
    pub lacks_gzip: bool,
    /// Whether it is for one viewer: the address holds a token, so no shared cache may keep it, and
    /// nobody may be told where its reader came from.
    pub is_private: bool,
    /// By what right it is sent.
    pub permit: Permit,
    /// Whether it stands for a refusal.
    pub slate: Option<Instead>,
    /// Which segment of something live it is, if it is all of one, or its rendition's header, and
    /// control is to know that its session had it.
    pub segment: Option<Segment>,
    /// What its rendition takes, if it is media and that is known.
    pub played: Option<Played>,
}

impl Plan {
    /// Whether a client that takes all of it has all that is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_all = match self.content {
            Content::Object { part, .. } => part == Part::Whole,
            Content::Growing(_) => true,
            _ => false,
        };
        is_all && self.with_body && self.status == 200
    }
}

/// The response to a request for an object.
#[must_use]
pub fn response(request: &Request<'_>, object: &Object<'_>) -> Plan {
    let entry = &object.entry;
    let (variant, gzip) = match entry.gzip {
        // A range is always of the identity: players that ask for ranges mean the file's bytes.
        Some(gzip) if request.accepts_gzip && request.range.is_none() => (gzip, true),
        _ => (entry.identity, false),
    };
    let size = variant.extent.size;
    let (status, content) =
        match conditions::verdict(&request.conditions, variant.etag, entry.modified) {
            Verdict::NotModified => (304, Content::NotModified { key: object.key, variant }),
            Verdict::Failed => (412, Content::PreconditionFailed),
            Verdict::Proceed { range_applies } => {
                let selection = match request.range {
                    // RFC 9110, 14.2: Range is defined for GET only.
                    Some(range) if range_applies && request.method == Method::Get => {
                        range::selection(range, size)
                    }
                    _ => Selection::Whole,
                };
                let part = |part| Content::Object { key: object.key, gzip, variant, part };
                match selection {
                    Selection::Whole => (200, part(Part::Whole)),
                    Selection::One(range) => (206, part(Part::Range(range))),
                    Selection::Several(ranges) => (206, part(Part::Ranges(ranges))),
                    Selection::Unsatisfiable => (416, Content::Unsatisfiable { size }),
                }
            }
        };
    let is_text = matches!(entry.class, Class::Playlist | Class::Manifest);
    let lacks_gzip = is_text && request.accepts_gzip && entry.gzip.is_none();
    Plan { lacks_gzip, ..plan(request, status, content, entry.class) }
}

/// The response to a request for a growing object.
#[must_use]
pub fn growing(request: &Request<'_>, growing: &Growing) -> Plan {
    let mut plan = plan(request, 200, Content::Growing(growing.slot), growing.class);
    if request.version == Version::Http10 {
        // Without chunks only the end of the connection can end the body.
        plan.connection = Connection::Close;
    }
    plan
}

/// The response to a request that needs no object.
#[must_use]
pub fn fixed(request: &Request<'_>, fixed: Fixed, now: Now) -> Plan {
    match fixed {
        Fixed::Clock => {
            let content = Content::Clock { unix: now.unix, millis: now.millis };
            plan(request, 200, content, Class::Other)
        }
        Fixed::Health => plan(request, 200, Content::Health, Class::Other),
        Fixed::Options => {
            plan(request, 204, Content::Options { preflight: request.preflight }, Class::Other)
        }
    }
}

/// The response to a request for a playlist that goes on under this name.
#[must_use]
pub fn moved(request: &Request<'_>, name: Name) -> Plan {
    plan(request, 302, Content::Moved(name), Class::Playlist)
}

/// The response to a request for the playlist of a slate that goes on.
#[must_use]
pub fn slate(request: &Request<'_>, index: SlateIndex, reader: Reader) -> Plan {
    plan(request, 200, Content::Slate { index, reader }, Class::Playlist)
}

/// The response to an app that starts something.
#[must_use]
pub fn start(request: &Request<'_>, begun: Begun, text: Option<(ObjectKey, Variant)>) -> Plan {
    let status = if text.is_some() { 200 } else { 302 };
    plan(request, status, Content::Start { begun, text }, Class::Playlist)
}

/// All of an object of a slate, in place of a refusal: whatever else the request says is of what it
/// does not get.
#[must_use]
pub fn shown_instead(request: &Request<'_>, object: &Object<'_>, slate: Instead) -> Plan {
    let (key, variant) = (object.key, object.entry.identity);
    let content = Content::Object { key, gzip: false, variant, part: Part::Whole };
    Plan { slate: Some(slate), ..plan(request, 200, content, object.entry.class) }
}

/// The response to a request that was understood, but not granted.
#[must_use]
pub fn refusal(request: &Request<'_>, refusal: Refusal) -> Plan {
    let mut plan = plan(request, refusal.status(), Content::Refused(refusal), Class::Other);
    // A body that nobody takes would be read as the next request.
    let has_body = !matches!(request.body, BodyFraming::Empty | BodyFraming::Length(0));
    if refusal.closes() || has_body {
        plan.connection = Connection::Close;
    }
    plan
}

/// A refusal in place of what was planned, of which nothing was sent.
#[must_use]
pub fn instead(planned: &Plan, refusal: Refusal) -> Plan {
    let mut plan = Plan {
        status: refusal.status(),
        content: Content::Refused(refusal),
        class: Class::Other,
        slate: None,
        segment: None,
        played: None,
        ..*planned
    };
    if refusal.closes() {
        plan.connection = Connection::Close;
    }
    plan
}

/// What becomes of the connection, as far as the request says.
#[must_use]
pub fn goes(request: &Request<'_>) -> Connection {
    match (request.keep_alive, request.version) {
        (false, _) => Connection::Close,
        (true, Version::Http11) => Connection::KeepAlive,
        (true, Version::Http10) => Connection::KeepAlive10,
    }
}

/// The response to bytes that are no request.
#[must_use]
pub fn unreadable(refusal: Refusal) -> Plan {
    Plan {
        status: refusal.status(),
        content: Content::Refused(refusal),
        with_body: true,
        chunks: false,
        connection: Connection::Close,
        class: Class::Other,
        lacks_gzip: false,
        is_private: false,
        permit: Permit::OPEN,
        slate: None,
        segment: None,
        played: None,
    }
}

fn plan(request: &Request<'_>, status: u16, content: Content, class: Class) -> Plan {
    Plan {
        status,
        content,
        with_body: request.method != Method::Head,
        chunks: request.version == Version::Http11,
        connection: goes(request),
        class,
        lacks_gzip: false,
        is_private: holds_secret(request.path),
        permit: Permit::OPEN,
        slate: None,
        segment: None,
        played: None,
    }
}
