//! The header fields that a request is judged by; all others are left alone.
//!
//! A field that says how the request is framed, or what exactly is asked for, may stand once. In
//! what says it twice two readers can see two things, so it is refused even where both agree.

use super::{BodyFraming, Conditions, Version};
use crate::request::refusal::Refusal;

/// What the fields of one head say.
#[derive(Default)]
pub(super) struct Fields<'b> {
    pub(super) host: Option<&'b [u8]>,
    pub(super) range: Option<&'b [u8]>,
    pub(super) agent: Option<&'b [u8]>,
    pub(super) languages: Option<&'b [u8]>,
    pub(super) conditions: Conditions<'b>,
    pub(super) encodings: Encodings,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) origin: bool,
    pub(super) request_method: bool,
    pub(super) expects_continue: bool,
    pub(super) unknown_expectation: bool,
    pub(super) tells: bool,
    length: Option<u64>,
    coding: Option<Coding>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Unknown,
}

/// Reads the fields of a head, and holds every line against RFC 9112, 2.2: it ends with CRLF.
///
/// httparse takes a bare LF, too. It starts a name right behind a line end, so two bytes before
/// each name tell; that is cheaper than a second scan of the head.
pub(super) fn read<'b>(
    lines: &[httparse::Header<'b>],
    head: &'b [u8],
) -> Result<Fields<'b>, Refusal> {
    let mut fields = Fields::default();
    if !head.ends_with(b"\r\n\r\n") {
        return Err(Refusal::Malformed);
    }
    for line in lines {
        let start = offset(head, line.name.as_bytes());
        if head[start - 2] != b'\r' {
            return Err(Refusal::Malformed);
        }
        fields.take(line.name.as_bytes(), line.value, head)?;
    }
    Ok(fields)
}

/// Where in the head this part of it begins.
fn offset(head: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - head.as_ptr().addr()
}

impl<'b> Fields<'b> {
    fn take(&mut self, name: &'b [u8], value: &'b [u8], head: &[u8]) -> Result<(), Refusal> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        // Size and first letter tell nearly all names apart, before any name is compared.
        match (name.len(), name[0] | 0x20) {
            (4, b'h') if is(b"host") => once(&mut self.host, value),
            (5, b'r') if is(b"range") => once(&mut self.range, value),
            (6, b'e') if is(b"expect") => self.take_expectation(value),
            (6, b'o') if is(b"origin") => {
                self.origin = true;
                Ok(())
            }
            (8, b'i') if is(b"if-match") => once(&mut self.conditions.if_match, value),
            (8, b'i') if is(b"if-range") => once(&mut self.conditions.if_range, value),
            (10, b'u') if is(b"user-agent") => {
                self.agent.get_or_insert(value);
                Ok(())
            }
            (10, b'c') if is(b"connection") => {
                self.take_connection(value);
                Ok(())
            }
            (11, b'c') if is(b"cmcd-object") || is(b"cmcd-status") => {
                self.tells = true;
                Ok(())
            }
            (12, b'c') if is(b"cmcd-request") || is(b"cmcd-session") => {
                self.tells = true;
                Ok(())
            }
            (13, b'i') if is(b"if-none-match") => once(&mut self.conditions.if_none_match, value),
            (14, b'c') if is(b"content-length") => self.take_length(exact(value, head)?),
            (15, b'a') if is(b"accept-encoding") => {
                self.encodings.take(value);
                Ok(())
            }
            (15, b'a') if is(b"accept-language") => {
                self.languages.get_or_insert(value);
                Ok(())
            }
            (17, b't') if is(b"transfer-encoding") => self.take_coding(exact(value, head)?),
            (17, b'i') if is(b"if-modified-since") => {
                once(&mut self.conditions.if_modified_since, value)
            }
            (19, b'i') if is(b"if-unmodified-since") => {
                once(&mut self.conditions.if_unmodified_since, value)
            }
            (29, b'a') if is(b"access-control-request-method") => {
                self.request_method = true;
                Ok(())
            }
            // CGI-like programs behind us would take these for the fields that frame a body.
            (14, b'c') if is_twin(name, b"content-length") => Err(Refusal::Malformed),
            (17, b't') if is_twin(name, b"transfer-encoding") => Err(Refusal::Malformed),
            _ => Ok(()),
        }
    }

    /// RFC 9112, 9.6. Other options, `Upgrade` among them, change nothing here.
    fn take_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// RFC 9110, 10.1.1.
    fn take_expectation(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.expects_continue || self.unknown_expectation {
            return Err(Refusal::Malformed);
        }
        self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        self.unknown_expectation = !self.expects_continue;
        Ok(())
    }

    /// Digits, without sign, list, or zeros in front; 19 of them always fit.
    fn take_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let padded = value.len() > 1 && value[0] == b'0';
        let digits = value.iter().all(u8::is_ascii_digit);
        if value.is_empty() || value.len() > 19 || padded || !digits {
            return Err(Refusal::Malformed);
        }
        let length = value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0'));
        once(&mut self.length, length)
    }

    /// `chunked` alone is known. A list with `chunked` in it twice or before its end, or with an
    /// empty place, is a trick; anything else is a coding that we lack (RFC 9112, 6.1 and 7).
    fn take_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if value.eq_ignore_ascii_case(b"chunked") {
            return once(&mut self.coding, Coding::Chunked);
        }
        let mut chunked = false;
        for coding in value.split(|&byte| byte == b',') {
            let coding = coding.trim_ascii();
            let name = coding.split(|&byte| byte == b';').next().unwrap_or(b"").trim_ascii();
            if chunked || name.is_empty() || !name.iter().all(is_token_byte) {
                return Err(Refusal::Malformed);
            }
            chunked = name.eq_ignore_ascii_case(b"chunked");
            if chunked && name.len() != coding.len() {
                return Err(Refusal::Malformed);
            }
        }
        once(&mut self.coding, Coding::Unknown)
    }

    /// How the body is framed (RFC 9112, 6.3). Both fields together, and chunks from a client of
    /// HTTP/1.0, are refused, where the RFC would let us prefer one reading.
    pub(super) fn body(&self, version: Version) -> Result<BodyFraming, Refusal> {
        match (self.coding, self.length) {
            (None, None) => Ok(BodyFraming::Empty),
            (None, Some(length)) => Ok(BodyFraming::Length(length)),
            (Some(_), Some(_)) => Err(Refusal::Malformed),
            (Some(_), None) if version == Version::Http10 => Err(Refusal::Malformed),
            (Some(Coding::Chunked), None) => Ok(BodyFraming::Chunked),
            (Some(Coding::Unknown), None) => Err(Refusal::UnknownCoding),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Refusal> {
    if slot.is_some() {
        return Err(Refusal::Malformed);
    }
    *slot = Some(value);
    Ok(())
}

/// A value of a field that frames the body. White space behind it is allowed by RFC 9110, 5.5,
/// but programs differ in what they trim, and nobody sends it for a good reason.
fn exact<'b>(value: &'b [u8], head: &[u8]) -> Result<&'b [u8], Refusal> {
    let end = offset(head, value) + value.len();
    if head.get(end) == Some(&b'\r') { Ok(value) } else { Err(Refusal::Malformed) }
}

/// Whether the name is this one with some `-` written as `_`.
fn is_twin(name: &[u8], known: &[u8]) -> bool {
    name.iter()
        .zip(known)
        .all(|(&byte, &known)| byte.eq_ignore_ascii_case(&known) || (byte == b'_' && known == b'-'))
}

fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Whether these values of Accept-Encoding allow gzip.
pub fn accepts_gzip<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> bool {
    let mut encodings = Encodings::default();
    values.into_iter().for_each(|value| encodings.take(value));
    encodings.accept_gzip()
}

/// What Accept-Encoding says of gzip: by name, and by `*`.
#[derive(Default)]
pub(super) struct Encodings {
    gzip: Option<bool>,
    any: Option<bool>,
}

impl Encodings {
    fn take(&mut self, value: &[u8]) {
        for element in value.split(|&byte| byte == b',') {
            let mut parts = element.splitn(2, |&byte| byte == b';');
            let coding = parts.next().unwrap_or(b"").trim_ascii();
            let is = |known: &[u8]| coding.eq_ignore_ascii_case(known);
            // RFC 9110, 8.4.1.3: x-gzip is gzip.
            if is(b"gzip") || is(b"x-gzip") {
                self.gzip = Some(self.gzip == Some(true) || is_wanted(parts.next()));
            } else if coding == b"*" {
                self.any = Some(is_wanted(parts.next()));
            }
        }
    }

    /// Without the field, or when it says nothing of gzip, we send what every client can read.
    pub(super) fn accept_gzip(&self) -> bool {
        self.gzip.or(self.any).unwrap_or(false)
    }
}

/// Whether the weight, if there is one, is above 0 (RFC 9110, 12.4.2). A malformed one is not.
fn is_wanted(weight: Option<&[u8]>) -> bool {
    let Some(weight) = weight else { return true };
    let Some((name, value)) = weight.trim_ascii().split_at_checked(2) else { return false };
    let (whole, decimals) = value.split_at(value.len().min(1));
    let decimals = match decimals {
        [] => decimals,
        [b'.', decimals @ ..] => decimals,
        _ => return false,
    };
    let all = |digits: &[u8]| decimals.len() <= 3 && decimals.iter().all(|d| digits.contains(d));
    let not_zero = match whole {
        b"1" => all(b"0"),
        b"0" => all(b"0123456789") && !all(b"0"),
        _ => false,
    };
    name.eq_ignore_ascii_case(b"q=") && not_zero
}
