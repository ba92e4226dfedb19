//! Bytes in, one checked request head out (RFC 9112, 2 to 6; RFC 9110, 5).
//!
//! Strict where leniency is how requests get smuggled: a line ends with CRLF and nothing else,
//! framing is stated once or not at all, and what we do not understand is refused. The request
//! borrows the receive buffer; nothing is copied.

use super::refusal::Refusal;

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
    /// The conditions.
    pub conditions: Conditions<'b>,
    /// Whether Accept-Encoding allows gzip (RFC 9110, 12.5.3).
    pub accepts_gzip: bool,
    /// Whether this is a CORS preflight: OPTIONS with Origin and Access-Control-Request-Method.
    pub preflight: bool,
    /// Whether `Expect: 100-continue` was said.
    pub expects_continue: bool,
    /// How the body is framed.
    pub body: BodyFraming,
    /// Bytes of the head, the empty line included.
    pub size: usize,
}

/// Reads one head from the start of `bytes`; `None` if it is not complete yet.
///
/// # Errors
///
/// Every malformed head, as early as it can be told; the connection is closed after it.
pub fn request(_bytes: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    Ok(None)
}
