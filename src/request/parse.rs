//! Bytes in, one checked request head out (RFC 9112, 2 to 6; RFC 9110, 5).
//!
//! Strict where leniency is how requests get smuggled: a line ends with CRLF and nothing else,
//! framing is stated once or not at all, and what we do not understand is refused. The request
//! borrows the receive buffer; nothing is copied.

mod fields;
mod kept;
#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;

pub use fields::accepts_gzip;
pub use kept::kept;

use super::refusal::Refusal;
use super::start::holds_secret;
use crate::config::{HEAD_SIZE_MAX, HEADER_LINES_MAX, TARGET_SIZE_MAX};
use crate::viewer::cmcd;

/// Methods we tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS.
    Options,
    /// POST, where control answers.
    Post,
}

/// HTTP versions we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How the request's body is framed (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// The conditional header fields, as they stand in the head (RFC 9110, 13.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'b> {
    /// If-Match.
    pub if_match: Option<&'b [u8]>,
    /// If-None-Match.
    pub if_none_match: Option<&'b [u8]>,
    /// If-Modified-Since.
    pub if_modified_since: Option<&'b [u8]>,
    /// If-Unmodified-Since.
    pub if_unmodified_since: Option<&'b [u8]>,
    /// If-Range.
    pub if_range: Option<&'b [u8]>,
}

/// A request head that may be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'b> {
    /// Its method.
    pub method: Method,
    /// Its version.
    pub version: Version,
    /// Whether the connection may go on after the response.
    pub keep_alive: bool,
    /// The target's path, undecoded, beginning with `/`; or `*`.
    pub path: &'b [u8],
    /// The target's query without `?`; empty if there is none.
    pub query: &'b [u8],
    /// The authority: of an absolute target, else of Host. Empty only in HTTP/1.0.
    pub host: &'b [u8],
    /// Range.
    pub range: Option<&'b [u8]>,
    /// User-Agent, of a client whose path holds a token or a password: a subscriber may be
    /// bound to some.
    pub agent: Option<&'b [u8]>,
    /// Accept-Language, of the same: who is refused may be told so in one of these.
    pub languages: Option<&'b [u8]>,
    /// The conditions.
    pub conditions: Conditions<'b>,
    /// Whether Accept-Encoding allows gzip (RFC 9110, 12.5.3).
    pub accepts_gzip: bool,
    /// Whether this is a CORS preflight: OPTIONS with Origin and Access-Control-Request-Method.
    pub preflight: bool,
    /// Whether `Expect: 100-continue` was said.
    pub expects_continue: bool,
    /// Whether the player tells of itself (CMCD), in fields of its own or in the query. What it
    /// tells is read behind the steps, which go by none of it.
    pub tells: bool,
    /// How the body is framed.
    pub body: BodyFraming,
    /// Bytes of the head, the empty line included.
    pub size: usize,
}

/// Reads one head from the start of `bytes`; `None` if it is not complete yet.
///
/// An empty line before the request line is refused, although RFC 9112, 2.2 asks for patience with
/// one: no player sends it, and a body that is one line end longer than its stated length is how
/// requests start to slip against each other.
///
/// # Errors
///
/// Every malformed head, as early as it can be told; the connection is closed after it.
pub fn request(bytes: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    let head = &bytes[..bytes.len().min(HEAD_SIZE_MAX)];
    if matches!(head.first(), Some(b'\r' | b'\n')) {
        return Err(Refusal::Malformed);
    }
    let mut lines = [const { MaybeUninit::uninit() }; HEADER_LINES_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, &mut lines) {
        Ok(httparse::Status::Complete(size)) => checked(&parsed, &head[..size]).map(Some),
        Ok(httparse::Status::Partial) => incomplete(head),
        Err(error) => unparsed(error, &parsed, head),
    }
}

/// The second, strict look at a head that has the right shape.
fn checked<'b>(parsed: &httparse::Request<'_, 'b>, head: &'b [u8]) -> Result<Request<'b>, Refusal> {
    let target = parsed.path.expect("a complete head has a target").as_bytes();
    if target.len() > TARGET_SIZE_MAX {
        return Err(Refusal::TargetTooLong);
    }
    let version = match parsed.version {
        Some(0) => Version::Http10,
        _ => Version::Http11,
    };
    let fields = fields::read(parsed.headers, head)?;
    let body = fields.body(version)?;
    let method = match parsed.method.expect("a complete head has a method") {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "POST" => Method::Post,
        // CONNECT and its authority-form end here too.
        _ => return Err(Refusal::MethodNotAllowed),
    };
    let target = target_form(target, method)?;
    let host = match (fields.host, version) {
        (Some(host), _) if is_authority(host) => host,
        (None, Version::Http10) => b"",
        _ => return Err(Refusal::Malformed),
    };
    if fields.unknown_expectation {
        return Err(Refusal::UnknownExpectation);
    }
    Ok(Request {
        method,
        version,
        keep_alive: !fields.close && (version == Version::Http11 || fields.keep_alive),
        path: target.path,
        query: target.query,
        // RFC 9112, 3.2.2: an absolute target replaces Host, whatever that says.
        host: target.authority.unwrap_or(host),
        range: fields.range,
        agent: fields.agent.filter(|_| holds_secret(target.path)),
        languages: fields.languages.filter(|_| holds_secret(target.path)),
        conditions: fields.conditions,
        accepts_gzip: fields.encodings.accept_gzip(),
        preflight: method == Method::Options && fields.origin && fields.request_method,
        // RFC 9110, 10.1.1: the expectation of an HTTP/1.0 client is ignored.
        expects_continue: fields.expects_continue && version == Version::Http11,
        tells: fields.tells || cmcd::is_in_query(target.query),
        body,
        size: head.len(),
    })
}

/// A request target, taken apart.
struct TargetForm<'b> {
    path: &'b [u8],
    query: &'b [u8],
    /// Of an absolute target only.
    authority: Option<&'b [u8]>,
}

/// Takes a target apart: origin-form, absolute-form, or `*` (RFC 9112, 3.2).
fn target_form(target: &[u8], method: Method) -> Result<TargetForm<'_>, Refusal> {
    // Non-ASCII bytes and fragments have no place in a target, whoever reads it later.
    if !target.is_ascii() {
        return Err(Refusal::Malformed);
    }
    if target[0] == b'/' {
        let (path, query) = split_query(target)?;
        return Ok(TargetForm { path, query, authority: None });
    }
    if target == b"*" {
        return match method {
            Method::Options => Ok(TargetForm { path: target, query: b"", authority: None }),
            _ => Err(Refusal::Malformed),
        };
    }
    let rest = after_scheme(target).ok_or(Refusal::Malformed)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(Refusal::Malformed);
    }
    let (path, query) = split_query(rest)?;
    let path = match (path, method) {
        // RFC 9112, 3.2.4: OPTIONS of an authority alone is OPTIONS of the server.
        (b"", Method::Options) if query.is_empty() => b"*",
        (b"", _) => b"/",
        _ => path,
    };
    Ok(TargetForm { path, query, authority: Some(authority) })
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn split_query(target: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let Some(at) = memchr::memchr2(b'?', b'#', target) else { return Ok((target, b"")) };
    let (path, query) = (&target[..at], &target[at + 1..]);
    // A NUL is refused wherever it stands, encoded or not: it ends strings in other programs.
    let holds_nul = || query.windows(3).any(|three| three == b"%00");
    if target[at] == b'#' || memchr::memchr(b'#', query).is_some() || holds_nul() {
        return Err(Refusal::Malformed);
    }
    Ok((path, query))
}

/// Whether this is a host with or without a port. User information is not: it serves deception
/// only (RFC 9110, 4.2.4). Of RFC 3986's host names we leave out escapes and sub-delimiters.
fn is_authority(authority: &[u8]) -> bool {
    let (host, rest) = match authority.strip_prefix(b"[") {
        Some(literal) => {
            let Some(end) = memchr::memchr(b']', literal) else { return false };
            let (address, rest) = (&literal[..end], &literal[end + 1..]);
            let fits = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if !address.iter().all(fits) {
                return false;
            }
            (address, rest)
        }
        None => {
            let fits = |byte: &u8| HOST_BYTES[usize::from(*byte)];
            let end = authority.iter().position(|byte| !fits(byte)).unwrap_or(authority.len());
            authority.split_at(end)
        }
    };
    let is_port = |port: &[u8]| port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    !host.is_empty() && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

static HOST_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < bytes.len() {
        let letter = byte as u8;
        bytes[byte] = letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    bytes
};

/// What can be said of a head whose end has not come: nothing, or that it never will.
fn incomplete(head: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    if memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r') {
        return Err(Refusal::Malformed);
    }
    let line = &head[..memchr::memchr(b'\r', head).unwrap_or(head.len())];
    let target = line.splitn(3, |&byte| byte == b' ').nth(1).unwrap_or(b"");
    if target.len() > TARGET_SIZE_MAX {
        return Err(Refusal::TargetTooLong);
    }
    if head.len() == HEAD_SIZE_MAX {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(None)
}

/// Why a head has not the right shape.
fn unparsed<'b>(
    error: httparse::Error,
    parsed: &httparse::Request<'_, 'b>,
    head: &'b [u8],
) -> Result<Option<Request<'b>>, Refusal> {
    let target_size = parsed.path.map_or(0, str::len);
    if target_size > TARGET_SIZE_MAX {
        return Err(Refusal::TargetTooLong);
    }
    match error {
        httparse::Error::TooManyHeaders => Err(Refusal::HeadTooLarge),
        httparse::Error::Version => {
            let before = parsed.method.map_or(0, str::len) + 1 + target_size + 1;
            match unknown_version(head.get(before..).unwrap_or(b""))? {
                None if head.len() == HEAD_SIZE_MAX => Err(Refusal::HeadTooLarge),
                read => Ok(read),
            }
        }
        _ => Err(Refusal::Malformed),
    }
}

/// Tells a version that we do not speak from one that is none (RFC 9112, 2.3), of which perhaps
/// not all bytes are here.
fn unknown_version<'b>(version: &[u8]) -> Result<Option<Request<'b>>, Refusal> {
    let fits = version.iter().zip(b"HTTP/0.0\r\n").all(|(byte, expected)| match expected {
        b'0' => byte.is_ascii_digit(),
        expected => byte == expected,
    });
    match (fits, version.len()) {
        (false, _) => Err(Refusal::Malformed),
        (true, ..10) => Ok(None),
        (true, _) => Err(Refusal::UnknownVersion),
    }
}
