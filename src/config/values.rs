//! How people write values: "10s", "16KiB", "127.0.0.1:8081"; and back again.
//!
//! Text in, value out, or a sentence that says what is wrong and how to write it. Pure.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::sources::PICTURE_ADDRESS_SIZE_MAX;
use super::{
    ASSET_PATH_SIZE_MAX, Access, AccessLog, Backend, LogFormat, OBJECT_ID_MAX, OnFailure,
    PICTURE_ID_SIZE, SecurityLog, foreign,
};

/// Units of time, largest first, in milliseconds.
const DURATIONS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// Units of size, largest first, in bytes; then the decimal ones.
const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
];

/// A name of a host, without a port.
pub fn host(text: &str) -> Result<String, String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| !label.is_empty() && label.bytes().all(is_good);
    match text.len() <= 253 && text.split('.').all(label) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("{text:?} is not a name of a host (write \"tv.example.org\")")),
    }
}

/// A group of the machine, by its name (useradd(8)).
pub fn group(text: &str) -> Result<String, String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_one = (1..=32).contains(&text.len()) && text.bytes().all(is_good);
    match is_one {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is not a name of a group (write \"shardcast-admin\")")),
    }
}

/// Units of rate, largest first, in bits a second.
const RATES: &[(&str, u64)] = &[
    ("Tbit", 1_000_000_000_000),
    ("Gbit", 1_000_000_000),
    ("Mbit", 1_000_000),
    ("kbit", 1_000),
    ("bit", 1),
];

/// Milliseconds of "10s", "500ms", "1.5h"; a lone "0" needs no unit.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    measured(text, DURATIONS)
        .ok_or_else(|| format!("{text:?} is not a duration (write \"10s\" or \"500ms\")"))
}

/// Bytes of "16KiB", "256 MiB", "1.5GB", or of a plain number.
pub fn size(text: &str) -> Result<u64, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    plain
        .or_else(|| measured(text, SIZES))
        .ok_or_else(|| format!("{text:?} is not a size (write \"16KiB\" or \"256MiB\")"))
}

/// Bits a second of "9Gbit", "2.5 Gbit"; a lone "0" needs no unit.
pub fn rate(text: &str) -> Result<u64, String> {
    measured(text, RATES)
        .ok_or_else(|| format!("{text:?} is not a rate (write \"9Gbit\" or \"500Mbit\")"))
}

/// A number and one of `units`; nothing that would be cut off or overflow.
fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    if text == "0" {
        return Some(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 6 || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let mut value = whole.parse::<u64>().ok()?.checked_mul(*scale)?;
    if !fraction.is_empty() {
        let parts = fraction.parse::<u64>().ok()?.checked_mul(*scale)?;
        let divisor = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
        value = value.checked_add((parts % divisor == 0).then(|| parts / divisor)?)?;
    }
    Some(value)
}

/// The shortest exact way to write this many milliseconds.
#[must_use]
pub fn duration_text(ms: u64) -> String {
    written(ms, DURATIONS).unwrap_or_else(|| format!("{ms}ms"))
}

/// The shortest exact way to write this many bytes.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    written(bytes, &SIZES[..5]).unwrap_or_else(|| format!("{bytes}B"))
}

/// The shortest exact way to write so many bits a second.
#[must_use]
pub fn rate_text(bits: u64) -> String {
    written(bits, RATES).unwrap_or_else(|| format!("{bits}bit"))
}

fn written(value: u64, units: &[(&str, u64)]) -> Option<String> {
    if value == 0 {
        return Some("0".to_owned());
    }
    let (unit, scale) = units.iter().find(|(_, scale)| value.is_multiple_of(*scale))?;
    Some(format!("{}{unit}", value / scale))
}

/// An address with a port.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "{text:?} is not an address with a port (write \"127.0.0.1:8081\" or \"[::]:8080\")"
        )
    })
}

/// A network or one address, in the form of `trusted_proxies`.
pub fn network(text: &str) -> Result<IpNet, String> {
    let one = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(one)
        .map(|network| network.trunc())
        .map_err(|_| format!("{text:?} is not a network (write \"10.0.0.0/8\" or \"192.0.2.7\")"))
}

/// A base URL of the public side: scheme, host, optional port, no path.
pub fn origin(text: &str) -> Result<(), String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let good = host.is_some_and(|host| {
        let host = host.strip_suffix('/').unwrap_or(host);
        !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    });
    good.then_some(())
        .ok_or_else(|| format!("{text:?} is not a base URL (write \"http://tv.example.org:8080\")"))
}

/// A value of Access-Control-Allow-Origin: `*`, one origin, or nothing.
pub fn cors(text: &str) -> Result<(), String> {
    if text.is_empty() || text == "*" || (origin(text).is_ok() && !text.ends_with('/')) {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not an allowed origin (write \"*\", \"https://player.example.org\", or \"\" for none)"
    ))
}

/// First elements of our own paths: no id of a channel, and no name of a user.
pub const FIRST_ELEMENTS: [&str; 15] = [
    "s",
    "tv",
    "vod",
    "live",
    "movie",
    "series",
    "timeshift",
    "streaming",
    "portal",
    "admin",
    "hdhr",
    "img",
    "api",
    "healthz",
    "slate",
];

/// A name that can stand in a URL as one path element.
pub fn identifier(text: &str) -> Result<(), String> {
    if FIRST_ELEMENTS.contains(&text) {
        return Err(format!("{text:?} is taken: it begins other URLs (choose another id)"));
    }
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(letters) && !text.starts_with('.') {
        return Ok(());
    }
    Err(format!("{text:?} is not an id (letters, digits, \"-\", \"_\" and \".\", up to 64)"))
}

/// One of a few words.
fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("{text:?} is not known here (write {})", words.join(" or "))
    })
}

/// The id of an object of the registry, as most kinds have them.
pub fn object_id(text: &str) -> Result<String, String> {
    let letters =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let is_one = !text.is_empty() && text.len() <= OBJECT_ID_MAX && !text.starts_with('.');
    if is_one && text.bytes().all(letters) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no id (a-z, 0-9, \"-\", \"_\", \".\", up to {OBJECT_ID_MAX})"))
}

/// A path below `/vod/`.
pub fn asset_path(path: &str) -> Result<(), String> {
    if path.len() > ASSET_PATH_SIZE_MAX {
        return Err(format!("it has more than {ASSET_PATH_SIZE_MAX} bytes"));
    }
    let is_element = |element: &str| !matches!(element, "" | "." | "..");
    if path.split('/').all(is_element) && !path.contains(|c: char| c.is_control() || c == '\\') {
        return Ok(());
    }
    Err(format!("{path:?} is no asset (write what stands behind /vod/, such as \"films/a\")"))
}

/// On or off.
pub fn switch(text: &str) -> Result<bool, String> {
    one_of(text, &[("on", true), ("off", false)])
}

/// The word of a value.
fn word_of<T: PartialEq>(value: &T, words: &[(&'static str, T)]) -> &'static str {
    words.iter().find(|(_, other)| other == value).map_or("", |(word, _)| word)
}

/// An enum that is written as one word.
macro_rules! words {
    ($type:ty { $($word:literal => $value:ident),+ $(,)? }) => {
        impl $type {
            const WORDS: &[(&'static str, $type)] = &[$(($word, <$type>::$value)),+];

            /// The value of a word, or a sentence that names the words there are.
            pub fn from_word(text: &str) -> Result<Self, String> {
                one_of(text, Self::WORDS)
            }

            /// The word of this value.
            #[must_use]
            pub fn word(&self) -> &'static str {
                word_of(self, Self::WORDS)
            }
        }
    };
}

words!(Access { "token" => Token, "open" => Open });
words!(Backend { "sendfile" => Sendfile, "send_zc" => SendZeroCopy });
words!(AccessLog { "off" => Off, "combined" => Combined, "json" => Json });
words!(foreign::Kind {
    "secure_link" => SecureLink,
    "secure_link_secret" => SecureLinkSecret,
    "edge_auth" => EdgeAuth,
    "cat" => Cat,
    "jwt" => Jwt,
});
words!(foreign::Algorithm {
    "MD5" => Md5,
    "HMAC-MD5" => HmacMd5,
    "HMAC-SHA1" => HmacSha1,
    "HS256" => HmacSha256,
    "ES256" => Es256,
    "EdDSA" => EdDsa,
});
words!(OnFailure { "allow" => Allow, "refuse" => Refuse });
words!(SecurityLog { "json" => Json, "nginx" => Nginx });
words!(LogFormat { "json" => Json, "text" => Text });

/// A picture: its address, or `img:ID` for one that is stored here.
///
/// # Errors
///
/// It is neither.
pub fn picture(text: &str) -> Result<String, String> {
    match text.strip_prefix("img:") {
        Some(id) if is_picture_id(id) => Ok(text.to_owned()),
        Some(_) => Err(format!("{text:?} is no stored picture (write \"img:\" and its id)")),
        None => web_address(text),
    }
}

/// Whether this may be the id of a stored picture.
pub fn is_picture_id(id: &str) -> bool {
    id.len() == PICTURE_ID_SIZE && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// An address of the web.
///
/// # Errors
///
/// It is none, or too long.
pub fn web_address(text: &str) -> Result<String, String> {
    let is_web = ["http://", "https://"].iter().any(|scheme| {
        let rest = text.get(..scheme.len()).filter(|begin| begin.eq_ignore_ascii_case(scheme));
        rest.is_some() && text.len() > scheme.len()
    });
    if !is_web || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(format!("{text:?} is no address (write \"https://example.org/logo.png\")"));
    }
    if text.len() > PICTURE_ADDRESS_SIZE_MAX {
        return Err(format!("is longer than {PICTURE_ADDRESS_SIZE_MAX} bytes"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly_or_not_at_all() {
        for (text, ms) in [
            ("10s", Some(10_000)),
            ("500ms", Some(500)),
            ("1.5h", Some(5_400_000)),
            ("2 min", Some(120_000)),
            ("7d", Some(604_800_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("10", None),
            ("10x", None),
            ("-1s", None),
            ("1.s", None),
            (".5s", None),
            ("1.2.3s", None),
            ("0.0001ms", None),
            ("", None),
            ("s", None),
            ("1e3s", None),
            ("18446744073709551615s", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(duration_ms(text).ok(), ms, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_read_exactly_or_not_at_all() {
        for (text, bytes) in [
            ("16KiB", Some(16_384)),
            ("256 MiB", Some(268_435_456)),
            ("1.5kB", Some(1500)),
            ("4096", Some(4096)),
            ("0", Some(0)),
            ("", None),
            ("16kib", None),
            ("1.5B", None),
            ("16 K", None),
            ("99999999TiB", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text:?}");
        }
    }

    #[test]
    fn rates_are_read_exactly_or_not_at_all() {
        for (text, bits) in [
            ("9Gbit", Some(9_000_000_000)),
            ("2.5 Gbit", Some(2_500_000_000)),
            ("500Mbit", Some(500_000_000)),
            ("0", Some(0)),
            ("9", None),
            ("9GB", None),
            ("9 gbit", None),
            ("1.5bit", None),
            ("", None),
        ] {
            assert_eq!(rate(text).ok(), bits, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(value: u64) {
            proptest::prop_assert_eq!(duration_ms(&duration_text(value)), Ok(value));
            proptest::prop_assert_eq!(size(&size_text(value)), Ok(value));
            proptest::prop_assert_eq!(rate(&rate_text(value)), Ok(value));
        }

        #[test]
        fn no_text_makes_a_reader_panic(text: String) {
            let _ = (duration_ms(&text), size(&text), address(&text), network(&text));
            let _ = (origin(&text), cors(&text), identifier(&text));
        }
    }

    #[test]
    fn forms_are_checked() {
        fn is_network(text: &str) -> Result<(), String> {
            network(text).map(drop)
        }
        for (check, good, bad) in [
            (is_network as fn(&str) -> _, "10.0.0.0/8", "10.0.0.0/33"),
            (is_network, "2001:db8::/32", "10.0.0.0/"),
            (is_network, "192.0.2.7", "192.0.2"),
            (origin, "http://tv.example.org:8080", "tv.example.org"),
            (origin, "https://[2001:db8::1]/", "http://a/b"),
            (cors, "*", "https://a, https://b"),
            (cors, "", "https://a\r\nX: y"),
            (identifier, "news-1.hd", "a/b"),
            (identifier, "vods", "vod"),
        ] {
            assert_eq!(check(good), Ok(()));
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
