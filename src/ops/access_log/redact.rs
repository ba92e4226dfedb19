//! Secrets out of URLs: tokens, passwords and credentials become a short hash of the session.
//!
//! The hash is keyed with a number that only this process knows, so that lines of one session can
//! be told from others, and nobody can try passwords against a log file. Elements are compared
//! after percent-decoding, as the router does it: `/%73/TOKEN/` is a token too.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::foreign::{Kind, Section};

/// First path elements that are followed by a user name and a password.
const XTREAM: &[&[u8]] = &[b"live", b"movie", b"series", b"timeshift"];

/// First path elements that are followed by one secret.
const SECRET_NEXT: &[&[u8]] = &[b"s", b"hdhr"];

/// Query parameters that are secrets.
const SECRET_PARAMETERS: &[&[u8]] = &[
    b"password",
    b"token",
    b"signature",
    b"policy",
    b"hdnts",
    b"hdnea",
    b"hdntl",
    b"__token__",
    b"cat",
    b"key",
    b"md5",
    b"hmac",
];

/// What else is secret, as the config says: it is told again when that is read again.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<Secret>>);

#[derive(Debug, Default)]
struct Secret {
    /// Query parameters that carry tokens of others,
    parameters: Vec<Vec<u8>>,
    /// and whether their hashes stand in paths.
    has_hashes: bool,
}

impl Told {
    /// From now on what carries tokens of others is this.
    pub fn tell(&self, tokens: &[Section]) {
        let names = tokens.iter().flat_map(|section| &section.carried.query);
        let parameters = names.map(|name| name.to_ascii_lowercase().into_bytes()).collect();
        let has_hashes = tokens.iter().any(|section| section.kind == Kind::SecureLinkSecret);
        *self.secret() = Secret { parameters, has_hashes };
    }

    fn secret(&self) -> MutexGuard<'_, Secret> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of the hashes.
#[derive(Default)]
pub struct Redaction {
    key: RandomState,
    told: Told,
}

impl Redaction {
    /// With what is told here.
    pub fn with(told: Told) -> Self {
        Self { told, ..Self::default() }
    }

    /// A request line, with the secrets of its target replaced.
    pub fn request_line<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        // A line that is no request is refused and logged too, so every word may be a URL.
        let mut redacted = Vec::with_capacity(line.len());
        for (index, word) in line.split(|byte| *byte == b' ').enumerate() {
            if index > 0 {
                redacted.push(b' ');
            }
            redacted.extend_from_slice(&self.url(word));
        }
        if redacted == line { Cow::Borrowed(line) } else { Cow::Owned(redacted) }
    }

    /// A URL or a path, with its secrets replaced.
    pub fn url<'a>(&self, url: &'a [u8]) -> Cow<'a, [u8]> {
        let secrets = secrets(url, &self.told.secret());
        if secrets.is_empty() {
            return Cow::Borrowed(url);
        }
        let (mut redacted, mut at) = (Vec::with_capacity(url.len()), 0);
        for secret in secrets {
            redacted.extend_from_slice(&url[at..secret.start]);
            redacted.extend_from_slice(self.hash(&url[secret.clone()]).as_bytes());
            at = secret.end;
        }
        redacted.extend_from_slice(&url[at..]);
        Cow::Owned(redacted)
    }

    /// The hash of the first secret of a request line.
    pub fn session(&self, line: &[u8]) -> Option<String> {
        let told = self.told.secret();
        line.split(|byte| *byte == b' ').find_map(|word| {
            secrets(word, &told).first().map(|secret| self.hash(&word[secret.clone()]))
        })
    }

    /// Eight hexadecimal digits.
    fn hash(&self, secret: &[u8]) -> String {
        format!("{:08x}", self.key.hash_one(decoded(secret)) >> 32)
    }
}

/// Where the secrets of a URL are, in order.
fn secrets(url: &[u8], told: &Secret) -> Vec<Range<usize>> {
    let query = url.iter().position(|byte| *byte == b'?').unwrap_or(url.len());
    let mut found = path_secrets(url, query);
    if found.is_empty() && told.has_hashes {
        found.extend(
            elements(url, path_start(url, query), query).find(|at| is_hash(&url[at.clone()])),
        );
    }
    let mut at = query + 1;
    while at < url.len() {
        let end = next(url, at, url.len(), |byte| byte == b'&' || byte == b';' || byte == b'#');
        if let Some(equals) = url[at..end].iter().position(|byte| *byte == b'=') {
            let name = decoded(&url[at..at + equals]).to_ascii_lowercase();
            let is_secret =
                SECRET_PARAMETERS.contains(&name.as_slice()) || told.parameters.contains(&name);
            if is_secret && at + equals + 1 < end {
                found.push(at + equals + 1..end);
            }
        }
        at = end + 1;
    }
    found
}

/// Whether an element of a path is a hash of 16 bytes.
fn is_hash(element: &[u8]) -> bool {
    let element = decoded(element);
    element.len() == 32 && element.iter().all(u8::is_ascii_hexdigit)
}

/// The secrets of the path, which ends at `end`.
fn path_secrets(url: &[u8], end: usize) -> Vec<Range<usize>> {
    let mut elements = elements(url, path_start(url, end), end);
    let Some(first) = elements.next() else { return Vec::new() };
    let name = decoded(&url[first.clone()]).to_ascii_lowercase();
    if SECRET_NEXT.contains(&name.as_slice()) {
        return elements.next().into_iter().collect();
    }
    if XTREAM.contains(&name.as_slice()) {
        return elements.nth(1).into_iter().collect();
    }
    // The bare form: /user/password/id, where the id is digits with an optional extension.
    let (Some(second), Some(third), None) = (elements.next(), elements.next(), elements.next())
    else {
        return Vec::new();
    };
    let id = decoded(&url[third]);
    let id = id.strip_suffix(b".ts").or_else(|| id.strip_suffix(b".m3u8")).unwrap_or(&id);
    if !id.is_empty() && id.iter().all(u8::is_ascii_digit) { vec![second] } else { Vec::new() }
}

/// Where the path begins: after scheme and host, if the URL has them.
fn path_start(url: &[u8], end: usize) -> usize {
    match url[..end].windows(3).position(|three| three == b"://") {
        Some(scheme) => next(url, scheme + 3, end, |byte| byte == b'/'),
        None => 0,
    }
}

/// The path elements that are not empty. An encoded slash separates too: such a path is refused,
/// but it is logged before.
fn elements(url: &[u8], start: usize, end: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = start;
    std::iter::from_fn(move || {
        while at < end {
            let from = at;
            let slash = |index: usize| match url[index] {
                b'/' | b'\\' => 1,
                b'%' if url[index..end].len() >= 3
                    && [&b"2f"[..], b"5c"]
                        .iter()
                        .any(|code| url[index + 1..index + 3].eq_ignore_ascii_case(code)) =>
                {
                    3
                }
                _ => 0,
            };
            let to = (from..end).find(|index| slash(*index) > 0).unwrap_or(end);
            at = if to < end { to + slash(to) } else { end };
            if to > from {
                return Some(from..to);
            }
        }
        None
    })
}

fn next(url: &[u8], from: usize, end: usize, is: impl Fn(u8) -> bool) -> usize {
    (from..end).find(|index| is(url[*index])).unwrap_or(end)
}

/// Percent-decoded once; what is no code stays as it is.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |index: usize| {
        bytes
            .get(index)
            .and_then(|byte| char::from(*byte).to_digit(16))
            .and_then(|d| u8::try_from(d).ok())
    };
    let (mut text, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                text.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                text.push(byte);
                at += 1;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(url: &str) -> String {
        let redaction = Redaction::default();
        let text = String::from_utf8(redaction.url(url.as_bytes()).into_owned()).unwrap();
        text.replace(&redaction.hash(b"SECRET"), "#")
    }

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
        for (url, expected) in [
            ("/s/SECRET/vod/a/b.m3u8", "/s/#/vod/a/b.m3u8"),
            ("/S/SECRET", "/S/#"),
            ("/%73/SECRET/x", "/%73/#/x"),
            ("//s//SECRET/x", "//s//#/x"),
            ("/s%2FSECRET/x", "/s%2F#/x"),
            ("/s/SE%43RET/x", "/s/#/x"),
            ("http://tv:80/s/SECRET/x?y", "http://tv:80/s/#/x?y"),
            ("/live/user/SECRET/12.ts", "/live/user/#/12.ts"),
            ("/movie/user/SECRET/12.mp4", "/movie/user/#/12.mp4"),
            ("/series/user/SECRET/12.mp4", "/series/user/#/12.mp4"),
            (
                "/timeshift/user/SECRET/60/2026-01-01:00-00/1.ts",
                "/timeshift/user/#/60/2026-01-01:00-00/1.ts",
            ),
            ("/user/SECRET/123.m3u8", "/user/#/123.m3u8"),
            ("/user/SECRET/123", "/user/#/123"),
            ("/hdhr/SECRET/lineup.json", "/hdhr/#/lineup.json"),
            (
                "/player_api.php?username=u&password=SECRET&action=x",
                "/player_api.php?username=u&password=#&action=x",
            ),
            ("/get.php?PassWord=SECRET", "/get.php?PassWord=#"),
            ("/get.php?p%61ssword=SECRET;token=SECRET#f", "/get.php?p%61ssword=#;token=##f"),
            ("/vod/films/a/123/x.ts", "/vod/films/a/123/x.ts"),
            ("/vod/a/b.m3u8?t=1", "/vod/a/b.m3u8?t=1"),
            ("/", "/"),
            ("", ""),
            ("/x?password=", "/x?password="),
        ] {
            assert_eq!(redacted(url), expected, "{url}");
        }
    }

    #[test]
    fn what_carries_tokens_of_others_is_secret_as_long_as_the_config_says_so() {
        let text = "[[token]]\nkind = \"jwt\"\nquery = [\"Ticket\"]\n\
                    keys = [{ algorithm = \"HS256\", key_file = \"k\" }]\n\
                    [[token]]\nkind = \"secure_link_secret\"\nkeys = [{ key_file = \"k\" }]\n";
        let mut draft = crate::config::file::Draft::default();
        draft.apply_file(std::path::Path::new("x.toml"), text);
        assert_eq!(draft.errors, []);
        let told = Told::default();
        let redaction = Redaction::with(told.clone());
        let hash = "0123456789abcdef0123456789abcdef";
        let url = format!("/vod/{hash}/a/1.ts?ticket=SECRET&a={hash}");
        assert_eq!(redaction.url(url.as_bytes()), url.as_bytes());
        told.tell(&draft.config.tokens);
        let found = String::from_utf8(redaction.url(url.as_bytes()).into_owned()).unwrap();
        let (first, second) = (redaction.hash(hash.as_bytes()), redaction.hash(b"SECRET"));
        assert_eq!(found, format!("/vod/{first}/a/1.ts?ticket={second}&a={hash}"));
    }

    #[test]
    fn one_session_has_one_hash_in_a_process_and_another_in_the_next() {
        let (a, b) = (Redaction::default(), Redaction::default());
        let line = b"GET /s/SECRET/x HTTP/1.1";
        assert_eq!(a.session(line), a.session(b"HEAD http://tv/s/SECRET/y HTTP/1.1"));
        assert_ne!(a.session(line), b.session(line));
        assert_eq!(a.session(b"GET /vod/a HTTP/1.1"), None);
        assert_eq!(a.session(line).unwrap().len(), 8);
    }

    proptest::proptest! {
        #[test]
        fn no_token_is_left_in_a_line(before in "[/%a-z]{0,5}", after in "[/?&=%a-z]{0,20}") {
            let line = format!("GET {before}/s/0SECRET0/{after} HTTP/1.1");
            let redaction = Redaction::default();
            let redacted = redaction.request_line(line.as_bytes()).into_owned();
            // Only where /s/ is really the first element is the second one a token.
            if elements(line.as_bytes(), 4, line.len()).next() == Some(4 + before.len() + 1..4 + before.len() + 2) {
                proptest::prop_assert!(!String::from_utf8_lossy(&redacted).contains("0SECRET0"));
            }
        }

        #[test]
        fn any_bytes_can_be_redacted(bytes: Vec<u8>) {
            let _ = Redaction::default().request_line(&bytes);
        }
    }
}
