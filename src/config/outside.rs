//! Who is asked besides us: an operator's back end, and files that say where addresses are. What
//! can be set of it, and its limits.

use std::path::PathBuf;

use hyper::Uri;

use super::ASK_DEADLINE_MS;
use crate::units::{KIB, MIB};

pub mod fetch;
pub mod geo;
pub mod hook;

pub use fetch::*;

/// Who is asked besides, and where addresses are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// The operator's back end.
    pub hook: Hook,
    /// Where addresses are.
    pub geo: Geo,
    /// What may be fetched.
    pub fetch: Fetch,
}

/// An operator's back end, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Where it is; none = nobody is asked.
    pub url: Option<HookUrl>,
    /// What questions are signed with.
    pub secret_file: Option<PathBuf>,
    /// Who may vouch for it over TLS; none = whom the machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Milliseconds from the question to the end of the answer. Then it has failed.
    pub deadline_ms: u64,
    /// Questions that are put to it at once; the others wait, within their deadline.
    pub concurrent_max: usize,
    /// Milliseconds that a yes is good for without asking again, unless the answer says.
    pub cache_ms: u64,
    /// The same of a no.
    pub cache_refused_ms: u64,
    /// What holds where it does not answer.
    pub on_failure: OnFailure,
    /// Whether it is asked when somebody signs in with an app password.
    pub asks_logins: bool,
    /// Whether it is asked when a session begins.
    pub asks_sessions: bool,
}

impl Default for Hook {
    fn default() -> Self {
        Self {
            url: None,
            secret_file: None,
            ca_file: None,
            deadline_ms: 500,
            concurrent_max: 16,
            cache_ms: 30_000,
            cache_refused_ms: 5_000,
            on_failure: OnFailure::Allow,
            asks_logins: true,
            asks_sessions: true,
        }
    }
}

/// What holds where a back end does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// What the registry says.
    Allow,
    /// Nobody comes in.
    Refuse,
}

/// The URL of a back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookUrl {
    text: String,
    uri: Uri,
}

impl HookUrl {
    /// Of its text.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub fn of_text(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} {why} (write \"https://crm.example.org/hook\")");
        let uri: Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("is not a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("is not of http or https"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong(
                "has a login in it: it would be shown, questions are signed instead",
            ));
        }
        if text.contains('#') || authority.host().is_empty() || authority.port_u16() == Some(0) {
            return Err(wrong("is not a URL that can be asked"));
        }
        Ok(Self { text: text.to_owned(), uri })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is asked over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Its host, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// What the field `Host` says.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// Path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }
}

/// Files that say where addresses are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Geo {
    /// In which country.
    pub country: Option<PathBuf>,
    /// In whose network.
    pub asn: Option<PathBuf>,
    /// Whether a subscriber who may watch in one country may do so where nobody knows which it is.
    pub allows_unknown: bool,
}

/// Milliseconds that a shard waits for control beyond a back end's deadline: its answer is on the
/// way. Then `hook.on_failure` holds.
pub const HOOK_GRACE_MS: u64 = 500;

/// Longest deadline of a back end, in milliseconds: players give up on a playlist after about ten
/// seconds.
pub const HOOK_DEADLINE_MS_MAX: u64 = 5_000;
const _: () =
    assert!(HOOK_DEADLINE_MS_MAX + HOOK_GRACE_MS < ASK_DEADLINE_MS, "a shard would have given up");

/// Most questions that can be put to a back end at once: a descriptor each.
pub const HOOK_CONCURRENT_MAX: usize = 256;

/// Questions that wait for an answer or for their turn, each with a body of about 1 KiB. Beyond it
/// one more has failed at once.
pub const HOOK_WAITING_MAX: usize = 1024;
const _: () = assert!(HOOK_WAITING_MAX >= HOOK_CONCURRENT_MAX, "all that are put wait");

/// Questions about one subscriber, or one token that names nobody, that wait at once. Beyond it one
/// more is refused, whatever `hook.on_failure` says: whoever makes up devices must neither take
/// everybody's turns nor get in without an answer.
pub const HOOK_OF_ONE_MAX: usize = 8;
const _: () = assert!(HOOK_OF_ONE_MAX * 64 <= HOOK_WAITING_MAX, "one leaves room for others");

/// Whoever waits for the answer to one question, at most: one a shard and session. Beyond it one
/// more has failed at once.
pub const HOOK_ASKERS_MAX: usize = 1024;

/// Answers of a back end that are remembered, and subscribers whose last one is: some 30 MB at
/// most. Beyond it the oldest is forgotten, and asked for again.
pub const HOOK_VERDICTS_MAX: usize = 65_536;

/// Longest time that an answer is good for, in milliseconds: a day. One that says more counts so.
pub const HOOK_CACHE_MS_MAX: u64 = 86_400_000;

/// Milliseconds that a shard refuses by itself what a back end refused, at most; then control says
/// it again, from what it remembers.
pub const HOOK_REFUSED_MS_MAX: u64 = 5_000;

/// Milliseconds for which what failed is not asked again.
pub const HOOK_FAILED_MS: u32 = 1_000;

/// Largest answer of a back end, in bytes. A larger one is garbage.
pub const HOOK_ANSWER_SIZE_MAX: usize = 4 * KIB;

/// Longest reason of a back end that is kept, in characters; the rest is cut off.
pub const HOOK_REASON_SIZE_MAX: usize = 200;

/// Largest file of a secret, or of certificates, in bytes. A larger one is a wrong one.
pub const HOOK_FILE_SIZE_MAX: u64 = MIB as u64;

/// Shortest secret, in bytes: that of HMAC-SHA-256 (RFC 2104, 3).
pub const HOOK_SECRET_SIZE_MIN: usize = 32;

/// Milliseconds that a connection to a back end is used, and that one waits to be used again. Then
/// it is closed, and its name is looked up anew.
pub const HOOK_CONNECTION_MS: u64 = 60_000;
/// See `HOOK_CONNECTION_MS`. Servers give up idle ones after 5 s and more.
pub const HOOK_IDLE_MS: u64 = 4_000;

/// Addresses of a back end's name that are tried, one after the other, within one deadline.
pub const HOOK_ADDRESSES_MAX: usize = 4;

/// Failures in a row after which a back end is not asked any more, but for a probe now and then.
pub const HOOK_FAILURES_MAX: u32 = 5;

/// Milliseconds to the first probe; twice as many after each that fails,
pub const HOOK_PROBE_MS: u64 = 1_000;
/// and so many at most.
pub const HOOK_PROBE_MS_MAX: u64 = 30_000;

/// Milliseconds between two log lines of what goes wrong with a back end. Those between are only
/// counted.
pub const HOOK_TOLD_MS: u64 = 10_000;

/// Largest MMDB file, in bytes. It is read into memory; cities of the whole world take 70 MB.
pub const MMDB_SIZE_MAX: u64 = 512 * MIB as u64;

/// Longest name of a network's operator that is told, in characters; the rest is cut off.
pub const ORGANISATION_SIZE_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_whom_to_ask_and_nothing_secret() {
        for (text, expected) in [
            ("http://crm/hook?a=b", Some(("crm", 80, "crm", "/hook?a=b"))),
            ("https://crm.example.org", Some(("crm.example.org", 443, "crm.example.org", "/"))),
            ("http://[::1]:99/", Some(("::1", 99, "[::1]:99", "/"))),
            ("https://anna:secret@crm/", None),
            ("ftp://crm/", None),
            ("http://crm:0/", None),
            ("http://crm/#a", None),
            ("crm/hook", None),
            ("/hook", None),
            ("http://", None),
            ("", None),
        ] {
            let url = HookUrl::of_text(text).ok();
            let parts = url.as_ref().map(|of| (of.host(), of.port(), of.authority(), of.target()));
            assert_eq!(parts, expected, "{text}");
        }
    }
}
