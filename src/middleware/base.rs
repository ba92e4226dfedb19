//! What addresses that apps are told begin with: the server as a client came to it.
//!
//! Where the config says how the server is reached, nothing else is ever told. Else it is the
//! request's own Host, if it is one, and https only where a trusted proxy says so. Catalogues hold
//! addresses, so only so many names have some of their own.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, header};

use crate::config::APPS_NAMES_MAX;

/// Longest Host that is taken, in bytes: a name's 253 and a port.
const HOST_SIZE_MAX: usize = 260;

/// Names by which clients come.
#[derive(Debug, Default)]
pub struct Bases {
    public: Vec<Arc<str>>,
    seen: Mutex<Vec<Arc<str>>>,
}

/// How the server is reached, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base<'b> {
    /// `http` or `https`.
    pub scheme: &'b str,
    /// Without a port.
    pub host: &'b str,
    /// The port, also where the address has none.
    pub port: u16,
}

impl Bases {
    /// Of these base URLs; none = whatever clients come by.
    #[must_use]
    pub fn new(public: &[String]) -> Self {
        let public = public.iter().map(|base| base.as_str().into()).collect();
        Self { public, seen: Mutex::default() }
    }

    /// What this client's addresses begin with.
    pub fn of(&self, headers: &HeaderMap, is_forwarded: bool) -> Arc<str> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.map(str::to_ascii_lowercase).filter(|host| is_host(host));
        if let Some(first) = self.public.first() {
            let is_it = |base: &&Arc<str>| {
                let authority = base.split_once("://").map(|(_, authority)| authority);
                authority.zip(host.as_deref()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
            };
            return Arc::clone(self.public.iter().find(is_it).unwrap_or(first));
        }
        let scheme = if is_forwarded && is_by_tls(headers) { "https" } else { "http" };
        let base = format!("{scheme}://{}", host.as_deref().unwrap_or("localhost"));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.iter().find(|known| ***known == *base) {
            return Arc::clone(known);
        }
        if seen.len() >= APPS_NAMES_MAX {
            return Arc::clone(&seen[0]);
        }
        seen.push(base.into());
        Arc::clone(seen.last().expect("it was just put there"))
    }

    /// Where the server is reached by the other scheme under this name, as far as the config says.
    #[must_use]
    pub fn ports(&self, base: &str) -> (Option<u16>, Option<u16>) {
        let of = Base::of(base);
        let port = |scheme: &str| {
            let mut all = self.public.iter().map(|base| Base::of(base));
            let public = all.find(|other| other.scheme == scheme && other.host == of.host);
            public.map(|other| other.port).or((of.scheme == scheme).then_some(of.port))
        };
        (port("http"), port("https"))
    }
}

impl<'b> Base<'b> {
    /// Of a base URL.
    #[must_use]
    pub fn of(base: &'b str) -> Self {
        let (scheme, authority) = base.split_once("://").unwrap_or(("http", base));
        let usual = if scheme == "https" { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(usual)),
            _ => (authority, usual),
        };
        Self { scheme, host, port }
    }
}

/// Whether a text is a host with or without a port, and nothing else.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (text, "80"),
    };
    let is_port = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = match name.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !name.is_empty() && name.bytes().all(is_good)
        }
    };
    text.len() <= HOST_SIZE_MAX && is_port && is_name
}

/// Whether a trusted proxy says that the client came to it by TLS.
fn is_by_tls(headers: &HeaderMap) -> bool {
    let says = |name: &str, of: fn(&str) -> bool| {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(of)
    };
    let is_https = |text: &str| text.trim().eq_ignore_ascii_case("https");
    says("x-forwarded-proto", |value| {
        value.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("https"))
    }) || headers.get_all("forwarded").iter().filter_map(|value| value.to_str().ok()).any(|value| {
        let last = value.rsplit(',').next().unwrap_or_default();
        last.split(';').any(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or(("", ""));
            name.trim().eq_ignore_ascii_case("proto") && is_https(value.trim_matches(['"', ' ']))
        })
    })
}

/// Where a picture is: an address of the web as it is, one of ours in this width.
#[must_use]
pub fn picture(base: &str, of: Option<&str>, width: u32) -> String {
    match of {
        None => String::new(),
        Some(of) => match of.strip_prefix("img:") {
            Some(id) => format!("{base}/img/{id}-{width}.jpg"),
            None => of.to_owned(),
        },
    }
}

/// A text as one element of a path, or a value of a query: all but letters, digits and `-._~` is
/// escaped (RFC 3986, 2.3).
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(public: &[&str], lines: &[(&'static str, &str)], is_forwarded: bool, expected: &str) {
        let public: Vec<_> = public.iter().map(|base| (*base).to_owned()).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        assert_eq!(&*Bases::new(&public).of(&headers, is_forwarded), expected, "{lines:?}");
    }

    #[test]
    fn a_client_is_told_the_name_that_it_came_by() {
        check(&[], &[("host", "tv.example.org:8080")], false, "http://tv.example.org:8080");
        check(&[], &[("host", "TV.example.org")], false, "http://tv.example.org");
        check(&[], &[("host", "[2001:db8::1]:80")], false, "http://[2001:db8::1]:80");
        check(&[], &[], false, "http://localhost");
        for bad in ["a b", "a/b", "a\"b", "user@a", "[::1", "[x]", ":80", "a:b", "a:999999", "é"] {
            check(&[], &[("host", bad)], false, "http://localhost");
        }
    }

    #[test]
    fn where_the_config_says_it_nothing_else_is_told() {
        let public = ["http://tv.example.org", "https://tv2.example.org:8443"];
        check(&public, &[("host", "evil.example")], false, public[0]);
        check(&public, &[("host", "tv2.example.org:8443")], false, public[1]);
        check(&public, &[], true, public[0]);
        let bases = Bases::new(&["http://a:8080".to_owned(), "https://a".to_owned()]);
        assert_eq!(bases.ports("http://a:8080"), (Some(8080), Some(443)));
        assert_eq!(Bases::default().ports("http://a"), (Some(80), None));
        assert_eq!(Bases::default().ports("https://[::1]"), (None, Some(443)));
    }

    #[test]
    fn only_a_trusted_proxy_says_that_it_is_https() {
        let host = ("host", "tv");
        check(&[], &[host, ("x-forwarded-proto", "https")], false, "http://tv");
        check(&[], &[host, ("x-forwarded-proto", "https")], true, "https://tv");
        check(&[], &[host, ("x-forwarded-proto", "https, http")], true, "http://tv");
        check(&[], &[host, ("forwarded", "for=1.2.3.4;proto=https")], true, "https://tv");
        check(&[], &[host, ("forwarded", "for=1.2.3.4;proto=\"https\"")], true, "https://tv");
        check(&[], &[host], true, "http://tv");
    }

    #[test]
    fn only_so_many_names_have_addresses_of_their_own() {
        let bases = Bases::default();
        let of = |name: String| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, name.parse().unwrap());
            bases.of(&headers, false)
        };
        for number in 0..APPS_NAMES_MAX {
            assert_eq!(&*of(format!("tv{number}")), format!("http://tv{number}"));
        }
        assert_eq!(&*of("another".to_owned()), "http://tv0");
        assert_eq!(&*of("tv3".to_owned()), "http://tv3");
    }

    #[test]
    fn what_is_in_an_address_is_escaped() {
        assert_eq!(escaped("anna"), "anna");
        assert_eq!(escaped("a/b?c&ä\n\u{1}"), "a%2Fb%3Fc%26%C3%A4%0A%01");
        assert_eq!(picture("http://tv", Some("img:ab"), 320), "http://tv/img/ab-320.jpg");
        assert_eq!(picture("http://tv", Some("https://x/y.png"), 320), "https://x/y.png");
    }
}
