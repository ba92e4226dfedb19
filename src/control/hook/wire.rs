//! What a back end is sent and what it answers: docs/hook.md as code. Pure.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::verdicts::Verdict;
use crate::config::{HOOK_ANSWER_SIZE_MAX, HOOK_CACHE_MS_MAX, HOOK_REASON_SIZE_MAX};
use crate::units::UnixTime;

/// The field with the time at which a question was signed.
pub const TIMESTAMP: &str = "x-shardcast-timestamp";
/// The field with its signature.
pub const SIGNATURE: &str = "x-shardcast-signature";

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Somebody signs in with an app password.
    Login,
    /// A session begins.
    Session,
}

impl Event {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Session => "session",
        }
    }
}

/// The body of a question. Nothing in it is secret: no token, no password.
#[derive(Debug, Serialize)]
pub struct Body<'q> {
    /// Of this description.
    pub version: u8,
    /// What it is about.
    pub event: Event,
    /// The subscriber's id; none = a token that names nobody.
    pub subscriber: Option<&'q str>,
    /// What the subscriber is called elsewhere.
    pub external_id: Option<&'q str>,
    /// `tv/news`, `vod/films/a`; none for a login.
    pub content: Option<&'q str>,
    /// Stands for a device: the same one as long as it has its token and its player.
    pub device: Option<&'q str>,
    /// Where the viewer is.
    pub address: Option<std::net::IpAddr>,
    /// In which country, as far as is known.
    pub country: Option<&'q str>,
    /// In whose network.
    pub asn: Option<u32>,
    /// What the player says of itself: the beginning.
    pub agent: &'q str,
}

/// What stands for a device: a hash that nobody can turn back without the secret.
#[must_use]
pub fn device(secret: &[u8], token: u64, agent: &[u8]) -> String {
    let hash = mac(secret, &[b"device", &token.to_be_bytes(), agent]);
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The signature of a body that is sent then.
#[must_use]
pub fn signature(secret: &[u8], at: UnixTime, body: &[u8]) -> String {
    let hash = mac(secret, &[at.0.to_string().as_bytes(), b".", body]);
    hash.iter().fold("v1=".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn mac(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any size");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// What a back end says, and for how many milliseconds, if it says that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it may begin.
    pub verdict: Verdict,
    /// For how long it is good.
    pub ttl_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    allow: bool,
    reason: Option<String>,
    ttl: Option<u64>,
}

/// The body of an answer; none = garbage.
#[must_use]
pub fn answer(body: &[u8]) -> Option<Answer> {
    if body.len() > HOOK_ANSWER_SIZE_MAX {
        return None;
    }
    let Said { allow, reason, ttl } = serde_json::from_slice(body).ok()?;
    let cut = |text: String| {
        let good = text.chars().filter(|of| !of.is_control());
        good.take(HOOK_REASON_SIZE_MAX).collect::<String>().into_boxed_str()
    };
    let reason = reason.map(cut).filter(|reason| !reason.is_empty());
    let ttl_ms = ttl.map(|seconds| seconds.saturating_mul(1000).min(HOOK_CACHE_MS_MAX));
    Some(Answer { verdict: Verdict { allow, reason }, ttl_ms })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_what_is_described_or_garbage() {
        let long = format!("{{\"allow\":true,\"reason\":\"{}\"}}", "x".repeat(5000));
        for (body, expected) in [
            (r#"{"allow":true}"#, Some((true, None, None))),
            (
                r#" {"allow":false,"reason":"no\u001b[2J","ttl":60} "#,
                Some((false, Some("no[2J"), Some(60_000))),
            ),
            (r#"{"allow":false,"reason":"","ttl":0}"#, Some((false, None, Some(0)))),
            (r#"{"allow":true,"reason":null,"ttl":null}"#, Some((true, None, None))),
            (
                r#"{"allow":true,"ttl":18446744073709551615}"#,
                Some((true, None, Some(HOOK_CACHE_MS_MAX))),
            ),
            (r#"{"allow":"true"}"#, None),
            (r#"{"allow":1}"#, None),
            (r#"{"allow":true,"allow":false}"#, None),
            (r#"{"allow":true,"ttl":-1}"#, None),
            (r#"{"allow":true,"ttl":1.5}"#, None),
            (r#"{"allow":true,"alow":false}"#, None),
            (r#"{"allow":true}{"#, None),
            (r#"{"reason":"a"}"#, None),
            ("[true]", None),
            ("null", None),
            ("true", None),
            ("<html>", None),
            ("", None),
            (&long, None),
        ] {
            let found = answer(body.as_bytes());
            let found = found.as_ref().map(|Answer { verdict, ttl_ms }| {
                (verdict.allow, verdict.reason.as_deref(), *ttl_ms)
            });
            assert_eq!(found, expected, "{body}");
        }
        let long = format!("{{\"allow\":true,\"reason\":\"{}\"}}", "\u{e9}".repeat(1000));
        let reason = answer(long.as_bytes()).and_then(|answer| answer.verdict.reason);
        assert_eq!(reason.map(|reason| reason.chars().count()), Some(HOOK_REASON_SIZE_MAX));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "\\{\"allow\":[a-z0-9:\",{}\\[\\]]{0,40}") {
            let _ = (answer(&bytes), answer(text.as_bytes()));
        }
    }

    #[test]
    fn a_question_is_signed_with_its_time() {
        // What openssl dgst -sha256 -hmac says.
        let secret = b"0123456789abcdef0123456789abcdef";
        let at = UnixTime(1_800_000_000);
        let signed = signature(secret, at, b"{}");
        assert_eq!(signed, "v1=a8471f58daa469f8073cbebd823830f85e8942f4bbc0acd2ef47c28edc8c488e");
        assert_ne!(signed, signature(secret, UnixTime(1_800_000_001), b"{}"));
        assert_ne!(signed, signature(secret, at, b"{ }"));
        let devices =
            [device(secret, 1, b"VLC"), device(secret, 2, b"VLC"), device(secret, 1, b"TV")];
        assert!(devices.iter().all(|device| device.len() == 16), "{devices:?}");
        assert!(devices[0] != devices[1] && devices[0] != devices[2]);
    }

    #[test]
    fn a_body_is_what_is_described() {
        let body = Body {
            version: 1,
            event: Event::Session,
            subscriber: Some("anna"),
            external_id: None,
            content: Some("tv/news"),
            device: Some("00"),
            address: "192.0.2.7".parse().ok(),
            country: Some("NL"),
            asn: Some(64_496),
            agent: "VLC",
        };
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"version":1,"event":"session","subscriber":"anna","external_id":null,"content":"tv/news","device":"00","address":"192.0.2.7","country":"NL","asn":64496,"agent":"VLC"}"#
        );
    }
}
