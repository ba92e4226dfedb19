//! What a player tells of itself with a request (CMCD, CTA-5004): the header fields `CMCD-Object`,
//! `CMCD-Request`, `CMCD-Status`, `CMCD-Session`, or the argument `CMCD` of the query, in; a few
//! numbers out.
//!
//! Pure, and without allocation. Nothing of it is believed further than it costs us nothing: what
//! is malformed is counted and left out, keys that we do not know are left out, and what is found
//! does not depend on any of it. A key counts wherever it stands, since players may move them.

use std::num::NonZeroU64;
use std::sync::LazyLock;

use ahash::RandomState;

use crate::config::{CMCD_KBPS_MAX, CMCD_PAIRS_MAX, CMCD_STRING_SIZE_MAX, TARGET_SIZE_MAX};

/// What is asked for, as the player knows it (`ot`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// A playlist or a manifest.
    Manifest,
    /// Audio only.
    Audio,
    /// Video only.
    Video,
    /// Both.
    Muxed,
    /// An init segment.
    Init,
    /// Captions, or timed text.
    Text,
    /// A key.
    Key,
    /// Something else, or not said.
    Other,
}

impl ObjectKind {
    /// All of them, for counters.
    pub const ALL: [Self; 8] = [
        Self::Manifest,
        Self::Audio,
        Self::Video,
        Self::Muxed,
        Self::Init,
        Self::Text,
        Self::Key,
        Self::Other,
    ];

    fn of(token: &[u8]) -> Option<Self> {
        Some(match token {
            b"m" => Self::Manifest,
            b"a" => Self::Audio,
            b"v" => Self::Video,
            b"av" => Self::Muxed,
            b"i" => Self::Init,
            b"c" | b"tt" => Self::Text,
            b"k" => Self::Key,
            b"o" => Self::Other,
            _ => return None,
        })
    }

    /// The value of the metrics label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Muxed => "muxed",
            Self::Init => "init",
            Self::Text => "text",
            Self::Key => "key",
            Self::Other => "other",
        }
    }
}

/// What one request tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What is asked for (`ot`).
    pub kind: Option<ObjectKind>,
    /// The bit rate of what is asked for, in kilobits a second (`br`).
    pub bitrate_kbps: Option<u32>,
    /// How much the player has in hand, in milliseconds (`bl`).
    pub buffer_ms: Option<u32>,
    /// What it measured, in kilobits a second (`mtp`).
    pub throughput_kbps: Option<u32>,
    /// The most that it wants, in kilobits a second (`rtp`).
    pub rate_kbps: Option<u32>,
    /// It has stalled since it told last (`bs`).
    pub stalled: bool,
    /// It starts, seeks, or recovers from a stall, and needs this soon (`su`).
    pub starts: bool,
    /// Stands for its session (`sid`): a hash with a key of this process.
    pub session: Option<NonZeroU64>,
    /// Parts that were not understood.
    pub malformed: u32,
}

/// Whether a query may say something of it; what is cheap to look for.
#[must_use]
pub fn is_in_query(query: &[u8]) -> bool {
    !query.is_empty() && argument(query).is_some()
}

/// What a head and its query tell.
#[must_use]
pub fn told(head: &[u8], query: &[u8]) -> Told {
    let mut told = Told::default();
    let mut lines = head.split(|&byte| byte == b'\n');
    // The request line.
    lines.next();
    for line in lines {
        if let Some(list) = field(line) {
            told.take(list);
        }
    }
    if let Some(value) = argument(query) {
        let mut decoded = [0; TARGET_SIZE_MAX];
        match decode(value, &mut decoded) {
            Some(size) => told.take(&decoded[..size]),
            None => told.malformed += 1,
        }
    }
    told
}

/// The value of a line that is one of the four fields.
fn field(line: &[u8]) -> Option<&[u8]> {
    let (start, rest) = line.split_at_checked(5)?;
    if !start.eq_ignore_ascii_case(b"cmcd-") {
        return None;
    }
    let colon = memchr::memchr(b':', rest)?;
    let (name, value) = (&rest[..colon], &rest[colon + 1..]);
    let is = |known: &&[u8]| name.eq_ignore_ascii_case(known);
    let known: [&[u8]; 4] = [b"object", b"request", b"status", b"session"];
    known.iter().any(is).then(|| value.trim_ascii())
}

/// The value of the argument `CMCD`, not decoded.
fn argument(query: &[u8]) -> Option<&[u8]> {
    let mut arguments = query.split(|&byte| byte == b'&');
    arguments.find_map(|argument| argument.strip_prefix(b"CMCD="))
}

/// Percent-decodes; none for an escape that is none.
fn decode(value: &[u8], out: &mut [u8; TARGET_SIZE_MAX]) -> Option<usize> {
    let (mut at, mut size) = (0, 0);
    while let Some(&byte) = value.get(at) {
        let place = out.get_mut(size)?;
        *place = if byte == b'%' {
            let digit = |at: usize| (*value.get(at)? as char).to_digit(16);
            let both = digit(at + 1)? * 16 + digit(at + 2)?;
            at += 2;
            u8::try_from(both).ok()?
        } else {
            byte
        };
        (at, size) = (at + 1, size + 1);
    }
    Some(size)
}

impl Told {
    /// Takes what a list says: pairs with commas between them, but for those within quotes.
    fn take(&mut self, list: &[u8]) {
        let mut rest = list;
        for _ in 0..CMCD_PAIRS_MAX {
            if rest.is_empty() {
                return;
            }
            let Some(end) = end_of_pair(rest) else {
                // A quote that is never closed: nobody knows what belongs to it.
                self.malformed += 1;
                return;
            };
            let pair = rest[..end].trim_ascii();
            rest = rest.get(end + 1..).unwrap_or_default();
            // Empty ones mean nothing.
            if !pair.is_empty() && self.take_pair(pair).is_none() {
                self.malformed += 1;
            }
        }
        self.malformed += u32::from(!rest.is_empty());
    }

    fn take_pair(&mut self, pair: &[u8]) -> Option<()> {
        let (key, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], Some(&pair[at + 1..])),
            None => (pair, None),
        };
        match key {
            b"ot" => self.kind = Some(ObjectKind::of(value?)?),
            b"br" => self.bitrate_kbps = Some(number(value?)?.clamp(1, CMCD_KBPS_MAX)),
            b"bl" => self.buffer_ms = Some(number(value?)?),
            b"mtp" => self.throughput_kbps = Some(number(value?)?.min(CMCD_KBPS_MAX)),
            b"rtp" => self.rate_kbps = Some(number(value?)?.clamp(1, CMCD_KBPS_MAX)),
            b"bs" => self.stalled = truth(value)?,
            b"su" => self.starts = truth(value)?,
            b"sid" => self.session = Some(hash(value?)?),
            _ if key.is_empty() => return None,
            _ => {}
        }
        Some(())
    }
}

/// Where a pair ends: at the next comma outside of quotes.
fn end_of_pair(rest: &[u8]) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    (!is_quoted).then_some(rest.len())
}

/// A whole number; what is beyond is as much as we can tell.
fn number(value: &[u8]) -> Option<u32> {
    if value.is_empty() || value.len() > 15 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = value.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

/// A boolean: the bare key is true. Structured fields (RFC 8941, 3.3.6) have `?1` and `?0`, and
/// some players write words.
fn truth(value: Option<&[u8]>) -> Option<bool> {
    match value {
        None | Some(b"?1" | b"true") => Some(true),
        Some(b"?0" | b"false") => Some(false),
        Some(_) => None,
    }
}

fn hash(value: &[u8]) -> Option<NonZeroU64> {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    // It should be quoted, and is not by every player.
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let text = inner.unwrap_or(value);
    if text.is_empty() || text.len() > CMCD_STRING_SIZE_MAX {
        return None;
    }
    Some(NonZeroU64::new(KEYS.hash_one(text)).unwrap_or(NonZeroU64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_list(list: &str) -> Told {
        let mut told = Told::default();
        told.take(list.as_bytes());
        told
    }

    #[test]
    fn the_four_fields_are_read_together_and_others_are_not() {
        let head = b"GET /vod/a/1.m4s HTTP/1.1\r\nHost: tv\r\nCMCD-Object: br=3200,d=4004,ot=v,tb=6000\
            \r\ncmcd-request: bl=21300,mtp=48100,su,nor=\"..%2F2.m4s\"\r\nCMCD-Status: bs,rtp=12000\
            \r\nCMCD-Session:sid=\"6e2fb550\",cid=\"a\\\",bl=1\",st=v,sf=h\r\nCMCD-Else: bl=7\r\n\r\n";
        let told = told(head, b"");
        let session = hash(b"6e2fb550");
        assert!(session.is_some());
        let expected = Told {
            kind: Some(ObjectKind::Video),
            bitrate_kbps: Some(3_200),
            buffer_ms: Some(21_300),
            throughput_kbps: Some(48_100),
            rate_kbps: Some(12_000),
            stalled: true,
            starts: true,
            session,
            malformed: 0,
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn the_argument_of_a_query_is_decoded() {
        let query = b"_HLS_msn=7&CMCD=bl%3D2300%2Cot%3Dav%2Csid%3D%22a%2Cb%22%2Csu&x=CMCD=bl%3D1";
        let told = told(b"GET / HTTP/1.1\r\n\r\n", query);
        assert_eq!((told.buffer_ms, told.kind), (Some(2_300), Some(ObjectKind::Muxed)));
        assert_eq!((told.session, told.starts, told.malformed), (hash(b"\"a,b\""), true, 0));
        assert!(is_in_query(query) && !is_in_query(b"a=CMCD=bl") && !is_in_query(b""));
        for broken in [&b"CMCD=bl%3"[..], b"CMCD=bl%", b"CMCD=%zz"] {
            assert_eq!(super::told(b"", broken), Told { malformed: 1, ..Told::default() });
        }
    }

    #[test]
    fn what_is_malformed_is_counted_and_the_rest_is_read() {
        for (list, malformed, buffer_ms) in [
            ("", 0, None),
            (",,bl=100, ,", 0, Some(100)),
            ("bl=100,com.example-x=\"a,bl=7\",later=(1 2)", 0, Some(100)),
            ("bl=-1,bl=100", 1, Some(100)),
            ("bl=1.5", 1, None),
            ("bl", 1, None),
            ("bl=", 1, None),
            ("=7,bl=100", 1, Some(100)),
            ("bl=100,cid=\"open", 1, Some(100)),
            ("cid=\"open,bl=100", 1, None),
            ("cid=\"a\\\"\",bl=100", 0, Some(100)),
            ("ot=zz,su=7,bs=?0,bl=100", 2, Some(100)),
            ("bl=99999999999", 0, Some(u32::MAX)),
            ("bl=9999999999999999", 1, None),
            ("sid=\"\",bl=100", 1, Some(100)),
        ] {
            let told = of_list(list);
            assert_eq!((told.malformed, told.buffer_ms), (malformed, buffer_ms), "{list}");
        }
        let claims = of_list("br=0,rtp=0");
        assert_eq!((claims.bitrate_kbps, claims.rate_kbps), (Some(1), Some(1)));
        assert_eq!(of_list("br=4000000000").bitrate_kbps, Some(CMCD_KBPS_MAX));
        let many = "a,".repeat(CMCD_PAIRS_MAX + 1);
        assert_eq!(of_list(&many).malformed, 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head: Vec<u8>, query: Vec<u8>, list in "[a-z=,\"\\\\?0-9%]{0,80}") {
            let _ = told(&head, &query);
            let field = [b"\nCMCD-Object: ", list.as_bytes(), b"\r\n"].concat();
            let argument = [b"CMCD=", list.as_bytes()].concat();
            let (one, other) = (told(&field, b""), told(b"", &argument));
            // Without escapes both say the same.
            prop_assert!(list.contains('%') || list.contains('&') || one == other);
        }
    }
}
