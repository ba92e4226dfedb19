//! What is asked for: a list of `http://host:port/path`, turned into request bytes.
//!
//! All requests lie one after the other in one arena, prebuilt, so that sending one is a range.
//! URLs of several addresses are grouped, because a connection can only carry those of its own.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Longest list: 10 million URLs are about 1 GiB of request bytes.
pub const URLS_MAX: usize = 10_000_000;

/// The URLs of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Where to connect.
    pub address: SocketAddr,
    /// Which URLs, by index.
    pub urls: Range<usize>,
}

/// A list of URLs, ready to be sent.
#[derive(Clone, Debug, Default)]
pub struct UrlSet {
    groups: Vec<Group>,
    requests: Arc<[u8]>,
    /// Where each request ends; it starts where the one before ended.
    ends: Vec<usize>,
}

impl UrlSet {
    /// From the texts of URLs. The error names the first wrong one.
    pub fn parse<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut parts = Vec::new();
        for url in urls {
            parts.push(split(url)?);
        }
        if parts.is_empty() {
            return Err("no URLs: give at least one (or --urls FILE)".to_owned());
        }
        if parts.len() > URLS_MAX {
            return Err(format!("{} URLs: at most {URLS_MAX} are taken", parts.len()));
        }
        // Stable, so that the order within an address stays that of the list.
        parts.sort_by_key(|(authority, _)| *authority);
        let mut set = Self::default();
        let mut requests = Vec::new();
        let mut last = None;
        for (authority, path) in parts {
            if last != Some(authority) {
                let start = set.ends.len();
                set.groups.push(Group { address: resolve(authority)?, urls: start..start });
                last = Some(authority);
            }
            for part in ["GET ", path, " HTTP/1.1\r\nHost: ", authority, "\r\n\r\n"] {
                requests.extend_from_slice(part.as_bytes());
            }
            set.ends.push(requests.len());
            let group = set.groups.last_mut().expect("a group is opened before its first URL");
            group.urls.end = set.ends.len();
        }
        set.requests = requests.into();
        Ok(set)
    }

    /// From the arguments, and a file with one URL a line (empty lines and `#` lines are passed).
    pub fn from_arguments(urls: &[String], file: Option<&Path>) -> Result<Self, String> {
        let text = match file {
            Some(path) => fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
            None => String::new(),
        };
        let listed = text.lines().map(str::trim);
        let listed = listed.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self::parse(urls.iter().map(String::as_str).chain(listed))
    }

    /// The addresses, each with its URLs.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How many URLs there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Where the request for a URL lies in `bytes`.
    pub fn request(&self, url: usize) -> Range<usize> {
        let start = if url == 0 { 0 } else { self.ends[url - 1] };
        start..self.ends[url]
    }

    /// All requests, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.requests
    }

    /// The same bytes, for whoever outlives this borrow.
    pub fn shared_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.requests)
    }
}

/// The authority and the path of an `http://` URL.
pub fn split(url: &str) -> Result<(&str, &str), String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("'{url}': only http:// URLs can be measured"))?;
    let path_at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if authority.is_empty() || !url.bytes().all(allowed) {
        return Err(format!("'{url}': not a URL (percent-encode what is not printable ASCII)"));
    }
    Ok((authority, if path.is_empty() { "/" } else { path }))
}

/// The address of an authority, IPv4 first.
pub fn resolve(authority: &str) -> Result<SocketAddr, String> {
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let with_port = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let mut addresses = with_port
        .to_socket_addrs()
        .map_err(|error| format!("'{authority}': cannot be resolved: {error}"))?
        .collect::<Vec<_>>();
    // IPv4 first: most local servers under test listen there.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| format!("'{authority}': has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_prebuilt_and_addressed_by_index() {
        let set = UrlSet::parse(["http://127.0.0.1:80/a", "http://127.0.0.1:80/bc?d=e"])
            .expect("both are URLs");
        assert_eq!(set.count(), 2);
        let text = |url| std::str::from_utf8(&set.bytes()[set.request(url)]).expect("ASCII");
        assert_eq!(text(0), "GET /a HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n");
        assert_eq!(text(1), "GET /bc?d=e HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n");
    }

    #[test]
    fn urls_are_grouped_by_address() {
        let urls = ["http://127.0.0.2/x", "http://127.0.0.1:81", "http://127.0.0.2/y"];
        let set = UrlSet::parse(urls).expect("all are URLs");
        let groups: Vec<_> = set
            .groups()
            .iter()
            .map(|group| (group.address.to_string(), group.urls.clone()))
            .collect();
        assert_eq!(groups, [("127.0.0.1:81".into(), 0..1), ("127.0.0.2:80".into(), 1..3)]);
        assert!(set.bytes().starts_with(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:81\r\n"));
    }

    #[test]
    fn wrong_urls_are_named() {
        for (url, part) in [
            ("https://127.0.0.1/", "only http://"),
            ("http:///a", "not a URL"),
            ("http://127.0.0.1/a b", "not a URL"),
            ("http://127.0.0.1/a\r\nX: y", "not a URL"),
        ] {
            let error = UrlSet::parse([url]).expect_err("it is wrong");
            assert!(error.contains(part), "{url}: {error}");
        }
        assert!(UrlSet::parse([]).is_err());
    }
}
