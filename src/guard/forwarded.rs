//! `Forwarded` (RFC 7239) and `X-Forwarded-For`: whom a trusted proxy says that a request is of.
//!
//! Each proxy adds the peer that it saw at the end: the last address that is not itself a trusted
//! proxy is the client, and whatever stands before it the client may have made up. A proxy adds to
//! one of the two fields and passes the other one on as the client sent it, so where both are there
//! they must agree. Pure.

use std::net::IpAddr;

use super::Networks;

/// The fields disagree: one of them is not the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction;

/// The client of a request whose head begins with these lines and came from a trusted proxy; none
/// if the head does not say.
///
/// # Errors
///
/// `Contradiction`.
pub fn client(head: &[u8], trusted: &Networks) -> Result<Option<IpAddr>, Contradiction> {
    let by_standard = by(head, b"forwarded", trusted, |element| {
        // Every element is of one proxy; its `for` says whom it saw.
        Parts::of(element, b';').find_map(|pair| {
            let (name, value) = pair.split_at_checked(4)?;
            name.eq_ignore_ascii_case(b"for=").then_some(value)
        })
    });
    let by_custom = by(head, b"x-forwarded-for", trusted, Some);
    match (by_standard, by_custom) {
        (Some(one), Some(other)) if one != other => Err(Contradiction),
        (Some(client), _) | (None, Some(client)) => Ok(client),
        (None, None) => Ok(None),
    }
}

/// Whom all lines of this field together name; none if there is no such line, and within it none
/// if what is said is no address.
fn by<'h>(
    head: &'h [u8],
    name: &[u8],
    trusted: &Networks,
    node: impl Fn(&'h [u8]) -> Option<&'h [u8]>,
) -> Option<Option<IpAddr>> {
    let values = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let (of, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":").filter(|_| of.eq_ignore_ascii_case(name))?;
        Some(value.trim_ascii())
    });
    let mut said = None;
    for value in values {
        let client: &mut Option<IpAddr> = said.get_or_insert_default();
        for element in Parts::of(value, b',') {
            *client = match node(element).and_then(address) {
                // "unknown", a name, or nothing: who stands before it can't be told.
                None => None,
                // A proxy says whose request it passed on, if somebody said so before.
                Some(address) if trusted.holds(address) => client.or(Some(address)),
                Some(address) => Some(address),
            };
        }
    }
    said
}

/// What stands between separators that are not within quotes (RFC 9110, 5.6.4).
struct Parts<'v> {
    rest: Option<&'v [u8]>,
    separator: u8,
}

impl<'v> Parts<'v> {
    fn of(value: &'v [u8], separator: u8) -> Self {
        Self { rest: Some(value), separator }
    }
}

impl<'v> Iterator for Parts<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        let rest = self.rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.iter().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                byte => return *byte == self.separator && !quoted,
            }
            false
        });
        self.rest = end.map(|end| &rest[end + 1..]);
        Some(rest[..end.unwrap_or(rest.len())].trim_ascii())
    }
}

/// An address as proxies write it: alone, in quotes, in brackets, with a port.
fn address(node: &[u8]) -> Option<IpAddr> {
    let node = str::from_utf8(node).ok()?;
    let node = node.strip_prefix('"').map_or(Some(node), |rest| rest.strip_suffix('"'))?;
    let is_port = |text: &str| !text.is_empty() && text.len() <= 6;
    if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        let address = address.parse().ok().filter(IpAddr::is_ipv6)?;
        return fits.then(|| address.to_canonical());
    }
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = node.split_once(':')?;
    let address = address.parse().ok().filter(IpAddr::is_ipv4)?;
    is_port(port).then_some(address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trusted() -> Networks {
        Networks::of(["10.0.0.0/8", "2001:db8:1::/48"].map(|text| text.parse().unwrap()))
    }

    #[track_caller]
    fn check(lines: &[&str], expected: Option<&str>) {
        let head = format!("GET / HTTP/1.1\r\nHost: tv\r\n{}\r\n\r\n", lines.join("\r\n"));
        let expected = expected.map(|text| text.parse().unwrap());
        assert_eq!(client(head.as_bytes(), &trusted()), Ok(expected), "{lines:?}");
    }

    #[test]
    fn the_rightmost_that_is_no_proxy_is_the_client() {
        check(&["X-Forwarded-For: 192.0.2.7"], Some("192.0.2.7"));
        check(&["x-forwarded-for: 203.0.113.9, 192.0.2.7"], Some("192.0.2.7"));
        check(&["X-Forwarded-For: 203.0.113.9, 192.0.2.7, 10.0.0.1"], Some("192.0.2.7"));
        check(&["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 192.0.2.7"], Some("192.0.2.7"));
        check(&["X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: 10.0.0.1"], Some("192.0.2.7"));
        check(&["X-Forwarded-For: 10.0.0.2, 10.0.0.1"], Some("10.0.0.2"));
        check(&["Host: x"], None);
        check(&["X-Forwarded-Form: 192.0.2.7"], None);
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (value, expected) in [
            ("192.0.2.7:1234", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ] {
            check(&[&format!("X-Forwarded-For: {value}")], Some(expected));
            check(&[&format!("Forwarded: for=\"{value}\";proto=http")], Some(expected));
        }
        check(&["Forwarded: For=192.0.2.43, for=198.51.100.17;by=10.0.0.1"], Some("198.51.100.17"));
        check(&["Forwarded: by=\"a,b;for=1.2.3.4\"; for=192.0.2.7"], Some("192.0.2.7"));
        check(&["Forwarded: by=\"\\\",for=1.2.3.4\";for=192.0.2.7"], Some("192.0.2.7"));
    }

    #[test]
    fn what_is_no_address_hides_all_that_stands_before_it() {
        for bad in ["unknown", "_hidden", "", "192.0.2.300", "[192.0.2.7]", "[::1", "1.2.3.4:"] {
            check(&[&format!("X-Forwarded-For: 192.0.2.7, {bad}")], None);
            check(&[&format!("X-Forwarded-For: 192.0.2.7, {bad}, 10.0.0.1")], Some("10.0.0.1"));
            check(&[&format!("Forwarded: for=192.0.2.7, for=\"{bad}\"")], None);
        }
        check(&["Forwarded: for=192.0.2.7, proto=http"], None);
    }

    #[test]
    fn both_fields_must_agree() {
        check(&["Forwarded: for=192.0.2.7", "X-Forwarded-For: 192.0.2.7"], Some("192.0.2.7"));
        for other in ["192.0.2.8", "unknown"] {
            let head = format!("GET /\r\nForwarded: for=192.0.2.7\r\nX-Forwarded-For: {other}\r\n");
            assert_eq!(client(head.as_bytes(), &trusted()), Err(Contradiction), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_name_somebody_or_nobody(bytes: Vec<u8>) {
            crate::guard::fuzz::forwarded(&bytes);
        }
    }
}
