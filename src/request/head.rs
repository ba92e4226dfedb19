//! Response heads: a plan in, its status line and header fields out.
//!
//! Everything is written into the caller's buffer. Sizes are exact, for HEAD as for GET. No value
//! that a client sent gets into a head, and none of a pack gets there unchecked.

pub mod cmsd;
mod date;
mod lines;
mod slate;
mod start;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use super::locate::Object;
use super::plan::{Connection, Content, Part, Plan};
use super::range::ByteRange;
use super::refusal::Refusal;
use crate::config::{EGRESS_RETRY_SECONDS, RESPONSE_HEAD_SIZE_MAX};
use crate::live::playlist::name::Name;
use crate::messages::{SourceId, SourceKind};
use crate::units::{Class, UnixTime, Variant, civil};

pub use date::{Date, date};
use lines::{Lines, digits, is_value};
use slate::put_shown;
pub use slate::write_slate;
pub use start::{Begins, write_start};

/// What every head has in common, prepared once.
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// The CORS lines of a response, each ended by CRLF; empty if CORS is off.
    pub cors: Box<[u8]>,
    /// The CORS lines of an answer to a preflight.
    pub preflight: Box<[u8]>,
    /// Whether objects say what they are (CMSD).
    pub tells_players: bool,
}

/// Longest value of Access-Control-Allow-Origin, in bytes: a host name's 253, scheme and port.
const ORIGIN_SIZE_MAX: usize = 270;

impl Common {
    /// Prepared for this value of Access-Control-Allow-Origin: `*`, or one origin. Empty = CORS is
    /// off; so it is for a value that is neither, since a broken line would break every head.
    ///
    /// The value is the same for all clients, so `Vary: Origin` is not needed.
    #[must_use]
    pub fn new(cors: &str) -> Self {
        let plain = cors.bytes().all(|byte| byte.is_ascii_graphic() && !b",;\"".contains(&byte));
        if cors.is_empty() || cors.len() > ORIGIN_SIZE_MAX || !plain {
            return Self::default();
        }
        let origin = format!("Access-Control-Allow-Origin: {cors}\r\n");
        // The names are those that players read and send: CTA-5004, 5006 and 5007
        // among them.
        let exposed = "Access-Control-Expose-Headers: Content-Length, Content-Range, Date, ETag, \
                       Accept-Ranges, X-Shardcast-Reason, CMSD-Static, CMSD-Dynamic\r\n";
        let timing = format!("Timing-Allow-Origin: {cors}\r\n");
        let allowed = "Access-Control-Allow-Methods: GET, HEAD, OPTIONS, POST\r\n\
                       Access-Control-Allow-Headers: Range, If-None-Match, If-Modified-Since, \
                       If-Range, CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status, \
                       Content-Type, Authorization, CTA-Common-Access-Token\r\n\
                       Access-Control-Max-Age: 86400\r\n";
        Self {
            cors: format!("{origin}{exposed}{timing}").into_bytes().into(),
            preflight: format!("{origin}{allowed}").into_bytes().into(),
            tells_players: false,
        }
    }
}

/// A written head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its size in bytes; with a refusal's or health's short body, which follows in the same bytes.
    pub size: usize,
    /// Where in it the date begins, so that a prebuilt response can be kept for longer than a
    /// second.
    pub date_at: usize,
    /// How many bytes of `size` are that short body.
    pub text_size: usize,
}

/// Writes the head of a plan. `object` is there where the plan's content is an object's.
/// For several ranges `write_part` and `write_end` write what stands between them.
///
/// # Panics
///
/// If `out` is smaller than `RESPONSE_HEAD_SIZE_MAX`, or an object's plan comes without it.
pub fn write(
    plan: &Plan,
    object: Option<&Object<'_>>,
    common: &Common,
    date: &Date,
    out: &mut [u8],
) -> Written {
    compose(plan, object, UNKNOWN_MEDIA_TYPE, common, date, out)
}

/// Writes the head of a growing object's plan, whose media type the catalog knows.
///
/// # Panics
///
/// If `out` is smaller than `RESPONSE_HEAD_SIZE_MAX`.
pub fn write_growing(
    plan: &Plan,
    media_type: &str,
    common: &Common,
    date: &Date,
    out: &mut [u8],
) -> Written {
    compose(plan, None, media_type, common, date, out)
}

/// Writes the head of control's answer, whose own lines are `own` (each ended by CRLF, without
/// framing, date and connection); `None` if it is longer than a head may be.
///
/// # Panics
///
/// If `out` is smaller than `RESPONSE_HEAD_SIZE_MAX`.
pub fn write_answer(
    status: u16,
    own: &[u8],
    body_size: usize,
    connection: Connection,
    common: &Common,
    date: &Date,
    out: &mut [u8],
) -> Option<usize> {
    assert!(out.len() >= RESPONSE_HEAD_SIZE_MAX, "a head needs room");
    /// Room for the lines that are written here besides `own` and CORS.
    const FRAME_SIZE_MAX: usize = 160;
    if own.len() + common.cors.len() + FRAME_SIZE_MAX > RESPONSE_HEAD_SIZE_MAX {
        return None;
    }
    let mut lines = Lines::new(out);
    lines.put(b"HTTP/1.1 ");
    lines.number(u64::from(status));
    // The reason phrase may be empty (RFC 9112, 4); the space before it may not be missing.
    lines.put(b" \r\nDate: ");
    lines.put(date);
    lines.put(b"\r\n");
    lines.put(own);
    if status != 204 && status != 304 {
        lines.put(b"Content-Length: ");
        lines.number(body_size as u64);
        lines.put(b"\r\n");
    }
    lines.put(connection_line(connection));
    lines.put(&common.cors);
    lines.put(b"\r\n");
    Some(lines.size())
}

fn connection_line(connection: Connection) -> &'static [u8] {
    match connection {
        Connection::KeepAlive => b"",
        Connection::KeepAlive10 => b"Connection: keep-alive\r\n",
        Connection::Close => b"Connection: close\r\n",
    }
}

/// The media type of a list of channels, which is to be saved and no playlist of any of them.
pub const CHANNEL_LIST: &str = "audio/x-mpegurl";

const UNKNOWN_MEDIA_TYPE: &str = "application/octet-stream";

fn compose(
    plan: &Plan,
    object: Option<&Object<'_>>,
    media_type: &str,
    common: &Common,
    date: &Date,
    out: &mut [u8],
) -> Written {
    assert!(out.len() >= RESPONSE_HEAD_SIZE_MAX, "a head needs room");
    let mut lines = Lines::new(out);
    lines.put(status_line(plan.status).as_bytes());
    // First, so that its place depends on the status alone.
    lines.put(b"Date: ");
    let date_at = lines.size();
    lines.put(date);
    lines.put(b"\r\n");
    let mut cors = &common.cors;
    let mut text = Text::default();
    let of = || object.expect("the plan of an object comes with it");
    match &plan.content {
        Content::Object { variant, .. } if let Some(slate) = plan.slate => {
            put_shown(&mut lines, of(), variant, slate);
        }
        Content::Slate { .. } | Content::Start { .. } => unreachable!("written with its text"),
        Content::Object { gzip, variant, part, .. } => {
            let object = of();
            put_object(&mut lines, object, variant, *gzip, part);
            put_validity(&mut lines, object, variant, plan.is_private);
            if common.tells_players {
                let (class, of) = (object.entry.class, object.media_type());
                cmsd::put_static(&mut lines, class, object.source, of);
            }
        }
        Content::NotModified { variant, .. } => {
            put_validity(&mut lines, of(), variant, plan.is_private);
        }
        Content::Unsatisfiable { size } => put_unsatisfiable(&mut lines, *size),
        Content::PreconditionFailed => lines.put(NO_STORE_NO_BODY),
        Content::Growing(_) => put_growing(&mut lines, plan, media_type),
        Content::Moved(name) => {
            put_location(&mut lines, *name);
            lines.put(NO_STORE_NO_BODY);
        }
        Content::Options { preflight } => {
            lines.put(ALLOW);
            cors = if *preflight { &common.preflight } else { cors };
        }
        Content::Health => {
            lines.put(b"Cache-Control: no-store\r\n");
            text = Text { words: ["ok\n", "", ""], clock: None, body: plan.with_body };
        }
        Content::Clock { unix, millis } => {
            lines.put(b"Cache-Control: no-store\r\n");
            let words = ["", "", ""];
            text = Text { words, clock: Some(clock(*unix, *millis)), body: plan.with_body };
        }
        Content::Refused(refusal) => text = put_refusal(&mut lines, plan, *refusal),
    }
    if plan.is_private {
        // The address is a key: whoever is linked to is not to see it.
        lines.put(b"Referrer-Policy: no-referrer\r\n");
    }
    let text_size = text.put_fields(&mut lines);
    lines.put(connection_line(plan.connection));
    lines.put(cors);
    lines.put(b"\r\n");
    text.put_body(&mut lines);
    Written { size: lines.size(), date_at, text_size }
}

fn put_unsatisfiable(lines: &mut Lines<'_>, size: u64) {
    lines.put(b"Content-Range: bytes */");
    lines.number(size);
    lines.put(b"\r\nAccept-Ranges: bytes\r\n");
    lines.put(NO_STORE_NO_BODY);
}

const NO_STORE_NO_BODY: &[u8] = b"Cache-Control: no-store\r\nContent-Length: 0\r\n";

/// What media may be asked with. Control's own pages also take POST.
const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";

fn put_object(
    lines: &mut Lines<'_>,
    object: &Object<'_>,
    variant: &Variant,
    gzip: bool,
    part: &Part,
) {
    let media_type = media_type(object.media_type());
    let size = variant.extent.size;
    let body_size = match part {
        Part::Whole => size,
        Part::Range(range) => range_size(*range),
        Part::Ranges(ranges) => {
            lines.field("Content-Type", MULTIPART_TYPE);
            parts_size(ranges.as_slice(), size, media_type)
        }
    };
    if let Part::Range(range) = part {
        lines.content_range(*range, size);
    }
    if !matches!(part, Part::Ranges(_)) {
        lines.field("Content-Type", media_type);
    }
    if media_type == CHANNEL_LIST {
        lines.put(b"Content-Disposition: attachment; filename=\"tv.m3u\"\r\n");
    }
    lines.put(b"Content-Length: ");
    lines.number(body_size);
    lines.put(b"\r\nLast-Modified: ");
    lines.put(&date(object.entry.modified));
    lines.put(b"\r\nAccept-Ranges: bytes\r\n");
    if gzip {
        lines.put(b"Content-Encoding: gzip\r\n");
    }
}

/// What a cache needs to know, with or without a body (RFC 9110, 15.4.5).
fn put_validity(lines: &mut Lines<'_>, object: &Object<'_>, variant: &Variant, is_private: bool) {
    lines.put(b"ETag: ");
    lines.put(&variant.etag.wire());
    lines.put(b"\r\n");
    put_cache_control(lines, cache_control(object), is_private);
    if object.entry.gzip.is_some() {
        lines.put(b"Vary: Accept-Encoding\r\n");
    }
}

/// What is asked for with a token is for its viewer: a cache that others share would hand it to
/// them. A player's own may keep it for as long.
fn put_cache_control(lines: &mut Lines<'_>, value: &str, is_private: bool) {
    match value.strip_prefix("public, ").unwrap_or(value) {
        kept if is_private && kept != "no-store" => {
            lines.put(b"Cache-Control: private, ");
            lines.put(kept.as_bytes());
            lines.put(b"\r\n");
        }
        _ => lines.field("Cache-Control", value),
    }
}

/// Objects of packs never change, but a playlist may get a new pack under its name; folders may
/// change at any moment, playlists of a running packager every few seconds. Names of live media
/// are never used again, and live texts change with every segment or part; those of what is past
/// do not change, but go when it is kept no longer. A picture's name is made of its content.
fn cache_control(object: &Object<'_>) -> &'static str {
    let is_media = is_media(object.entry.class);
    match (object.kind, object.source.is_live()) {
        (_, true) => cache_control_of_live(object.source, object.entry.class),
        (SourceKind::Pack, _) if is_media => IMMUTABLE,
        (SourceKind::File, _)
            if matches!(object.entry.class, Class::Playlist | Class::Manifest) =>
        {
            "no-cache"
        }
        _ => "public, max-age=60",
    }
}

/// The same of what is live, or of a text of what is past.
#[must_use]
pub fn cache_control_of_live(source: SourceId, class: Class) -> &'static str {
    match class {
        class if is_media(class) || source.is_picture() => IMMUTABLE,
        _ if source.is_complete() => "public, max-age=3600",
        _ => "public, max-age=1",
    }
}

fn is_media(class: Class) -> bool {
    matches!(class, Class::Init | Class::Segment | Class::Part)
}

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

fn put_growing(lines: &mut Lines<'_>, plan: &Plan, media_type: &str) {
    lines.field("Content-Type", self::media_type(media_type));
    // Names of live media are never used again; a body that is cut off is not stored, since its
    // last chunk is missing. Continuous streams are of no use to a cache.
    let lasting = matches!(plan.class, Class::Init | Class::Segment | Class::Part);
    let kept = if lasting && plan.chunks { IMMUTABLE } else { "no-store" };
    put_cache_control(lines, kept, plan.is_private);
    if plan.chunks {
        lines.put(b"Transfer-Encoding: chunked\r\n");
    }
}

/// As seen from what was asked for: whatever stands in front of its path stays there.
fn put_location(lines: &mut Lines<'_>, name: Name) {
    write!(lines, "Location: {name}\r\n").expect("lines take everything");
}

fn put_refusal(lines: &mut Lines<'_>, plan: &Plan, refusal: Refusal) -> Text {
    lines.field("X-Shardcast-Reason", refusal.reason());
    match plan.status {
        405 => lines.put(ALLOW),
        429 | 503 => {
            lines.put(b"Retry-After: ");
            lines.number(u64::from(retry_after(refusal)));
            lines.put(b"\r\n");
        }
        _ => {}
    }
    // A player at the live edge asks again within the second; nothing else is worth keeping.
    let kept = if plan.status == 404 { "max-age=1" } else { "no-store" };
    put_cache_control(lines, kept, plan.is_private);
    Text {
        words: [refusal.reason(), ": ", explanation(refusal)],
        clock: None,
        body: plan.with_body,
    }
}

/// Seconds after which it may be otherwise.
fn retry_after(refusal: Refusal) -> u32 {
    if refusal == Refusal::EgressFull { EGRESS_RETRY_SECONDS } else { 1 }
}

/// The short body of an answer that is for people, if anybody reads it.
#[derive(Default)]
struct Text {
    words: [&'static str; 3],
    /// A time behind them.
    clock: Option<[u8; CLOCK_SIZE]>,
    /// False for HEAD: the size is that of the body that GET gets.
    body: bool,
}

impl Text {
    fn put_fields(&self, lines: &mut Lines<'_>) -> usize {
        let clock = self.clock.map_or(0, |clock| clock.len());
        let size = self.words.iter().map(|word| word.len()).sum::<usize>() + clock;
        if size > 0 {
            lines.put(b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: ");
            lines.number(size as u64);
            lines.put(b"\r\n");
        }
        if self.body { size } else { 0 }
    }

    fn put_body(&self, lines: &mut Lines<'_>) {
        if self.body {
            self.words.iter().for_each(|word| lines.put(word.as_bytes()));
            lines.put(self.clock.as_ref().map_or(b"", |clock| clock));
        }
    }
}

/// Size of a time as `clock` writes it, in bytes.
const CLOCK_SIZE: usize = 24;

/// A time as ISO 8601 writes it, to the millisecond (`urn:mpeg:dash:utc:http-iso:2014`).
fn clock(unix: UnixTime, millis: u16) -> [u8; CLOCK_SIZE] {
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let (year, month, day) = civil(unix.0 / 86_400);
    let second = unix.0 % 86_400;
    let fields = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, second / 3600),
        (14, 2, second / 60 % 60),
        (17, 2, second % 60),
        (20, 3, u64::from(millis)),
    ];
    for (at, digits, value) in fields {
        let mut rest = value;
        for digit in text[at..at + digits].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    text
}

/// A media type as it may stand in a head. A pack's index is data that somebody made: a type that
/// is not one line of printable text says nothing.
fn media_type(claimed: &str) -> &str {
    if is_value(claimed) { claimed } else { UNKNOWN_MEDIA_TYPE }
}

/// Separates the parts of multipart/byteranges: 128 random bits, drawn once for all time. A body
/// that holds them was made to; a client that asked for ranges of it counts by Content-Range.
const MULTIPART_TYPE: &str = "multipart/byteranges; boundary=b7c19f04e2d85a6390fd1c7e42ab6835";
const PART_START: &[u8] = b"\r\n--b7c19f04e2d85a6390fd1c7e42ab6835\r\n";
const PARTS_END: &[u8] = b"\r\n--b7c19f04e2d85a6390fd1c7e42ab6835--\r\n";

/// Writes what stands before a part of multipart/byteranges, and returns its size.
pub fn write_part(
    range: ByteRange,
    object_size: u64,
    media_type: &str,
    first: bool,
    out: &mut [u8],
) -> usize {
    let mut lines = Lines::new(out);
    lines.put(part_start(first));
    lines.field("Content-Type", self::media_type(media_type));
    lines.content_range(range, object_size);
    lines.put(b"\r\n");
    lines.size()
}

/// No line end comes before the first boundary: the head's empty line did.
fn part_start(first: bool) -> &'static [u8] {
    if first { &PART_START[2..] } else { PART_START }
}

/// Writes what stands after the last part, and returns its size.
pub fn write_end(out: &mut [u8]) -> usize {
    let mut lines = Lines::new(out);
    lines.put(PARTS_END);
    lines.size()
}

/// The size of all parts, with what `write_part` and `write_end` add.
fn parts_size(ranges: &[ByteRange], object_size: u64, media_type: &str) -> u64 {
    let constant = "Content-Type: \r\nContent-Range: bytes -/\r\n\r\n".len();
    let heads = ranges.iter().enumerate().map(|(index, range)| {
        let numbers = digits(range.first) + digits(range.last) + digits(object_size);
        let head = part_start(index == 0).len() + constant + media_type.len() + numbers;
        head as u64 + range_size(*range)
    });
    heads.sum::<u64>() + PARTS_END.len() as u64
}

fn range_size(range: ByteRange) -> u64 {
    range.last - range.first + 1
}

fn status_line(status: u16) -> &'static str {
    match status {
        200 => "HTTP/1.1 200 OK\r\n",
        204 => "HTTP/1.1 204 No Content\r\n",
        206 => "HTTP/1.1 206 Partial Content\r\n",
        302 => "HTTP/1.1 302 Found\r\n",
        304 => "HTTP/1.1 304 Not Modified\r\n",
        400 => "HTTP/1.1 400 Bad Request\r\n",
        403 => "HTTP/1.1 403 Forbidden\r\n",
        404 => "HTTP/1.1 404 Not Found\r\n",
        405 => "HTTP/1.1 405 Method Not Allowed\r\n",
        408 => "HTTP/1.1 408 Request Timeout\r\n",
        412 => "HTTP/1.1 412 Precondition Failed\r\n",
        413 => "HTTP/1.1 413 Content Too Large\r\n",
        414 => "HTTP/1.1 414 URI Too Long\r\n",
        416 => "HTTP/1.1 416 Range Not Satisfiable\r\n",
        417 => "HTTP/1.1 417 Expectation Failed\r\n",
        429 => "HTTP/1.1 429 Too Many Requests\r\n",
        431 => "HTTP/1.1 431 Request Header Fields Too Large\r\n",
        501 => "HTTP/1.1 501 Not Implemented\r\n",
        503 => "HTTP/1.1 503 Service Unavailable\r\n",
        505 => "HTTP/1.1 505 HTTP Version Not Supported\r\n",
        _ => unreachable!("a plan has one of these"),
    }
}

/// What a person who sees the body may want to know.
fn explanation(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Banned => {
            "too much that was wrong came from this address: sign in from another, or wait.\n"
        }
        Refusal::PasswordWrong => "there is no such user, or another password.\n",
        Refusal::LockedOut => "too many passwords were wrong. Try again in an hour.\n",
        Refusal::TooMany => "this address has as many connections as it may.\n",
        Refusal::Malformed => "the request is not well-formed HTTP/1.1.\n",
        Refusal::HeadTooLarge => "the request's head is too long, or has too many lines.\n",
        Refusal::TargetTooLong => "the address is too long.\n",
        Refusal::UnknownVersion => "this server speaks HTTP/1.1 and HTTP/1.0.\n",
        Refusal::UnknownCoding => "of transfer codings this server knows chunked only.\n",
        Refusal::MethodNotAllowed => "this method does nothing here.\n",
        Refusal::BodyTooLarge => "the request has a body where none belongs, or a large one.\n",
        Refusal::UnknownExpectation => "of expectations this server knows 100-continue only.\n",
        Refusal::HeadTimeout => "the request's head did not come in time.\n",
        Refusal::Directive => "_HLS_msn and _HLS_part name no part that comes soon.\n",
        Refusal::NotFound => "there is nothing at this address.\n",
        Refusal::TokenMissing => "this takes a subscriber's address, which begins with /s/.\n",
        Refusal::TokenUnknown => "the token in this address is not valid.\n",
        Refusal::TokenExpired => "the token in this address has expired. Get a new address.\n",
        Refusal::SubscriberElsewhere => "the subscriber may not watch from this network.\n",
        Refusal::AgentDenied => "the subscriber may not watch with this player.\n",
        Refusal::TokenElsewhere => "the token in this address is good in another network.\n",
        Refusal::TokenRevoked => "the token in this address was revoked. Get a new address.\n",
        Refusal::TokenEarly => "the token in this address is not good yet.\n",
        Refusal::TokenUnfit => {
            "the token says something that this server can't keep, or too little.\n"
        }
        Refusal::NotEntitled => "the token in this address is not good for this.\n",
        Refusal::Bitrate => "this rendition takes more than the subscription allows.\n",
        Refusal::CatchUp => "this lies further back than the subscription goes.\n",
        Refusal::SubscriberUnknown => "the subscriber of this address is not there any more.\n",
        Refusal::SubscriberBlocked => "the subscriber of this address is blocked.\n",
        Refusal::SubscriberExpired => "the subscription of this address has ended.\n",
        Refusal::SessionLimit => {
            "the subscriber watches at as many places as the plan allows. End one, and try again.\n"
        }
        Refusal::CountryDenied => "this can be watched in another country only.\n",
        Refusal::CountryUnknown => {
            "this can be watched in one country, and nobody knows where you are.\n"
        }
        Refusal::HookRefused => "the operator does not let this begin.\n",
        Refusal::HookFailed => "the operator could not be asked. Try again in a while.\n",
        Refusal::SessionKicked => "the operator has ended this. Another channel can be watched.\n",
        Refusal::EgressFull => "the server sends as much as it may. Try again in a while.\n",
        Refusal::OffAir => "nothing comes of this channel now.\n",
        Refusal::Damaged => "it is there, but cannot be read; the operator's log says why.\n",
        Refusal::Busy => "the server is at one of its limits. Try again in a second.\n",
        Refusal::TimedOut => "no answer came in time. Try again in a second.\n",
    }
}
