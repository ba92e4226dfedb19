//! PROXY protocol, version 2: what a proxy says of its client before the client's first byte.
//!
//! As HAProxy's `proxy-protocol.txt` describes it, section 2.2: 12 bytes that no other protocol
//! begins with, version and command, family, length, addresses, and fields (TLVs) of which only
//! the checksum means anything to us. Pure: bytes in, an address out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::PROXY_HEADER_SIZE_MAX;

/// What every header begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes before the addresses.
const FIXED: usize = 16;

/// The type of the field with the CRC-32C of the whole header.
const CHECKSUM: u8 = 0x03;

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where the client is; none = the proxy speaks for itself (LOCAL), or of a client that has no
    /// IP address.
    pub client: Option<IpAddr>,
    /// Its bytes; what follows is the client's.
    pub size: usize,
}

/// Why it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The bytes begin otherwise: there is no header.
    Absent,
    /// It begins as one, and is not what the protocol says, or too long.
    Malformed,
}

/// Reads a header from the start of `bytes`; `None` if not all of it is here.
///
/// # Errors
///
/// `Unreadable`, as early as it can be told.
pub fn header(bytes: &[u8]) -> Result<Option<Header>, Unreadable> {
    let start = bytes.len().min(SIGNATURE.len());
    if bytes[..start] != SIGNATURE[..start] {
        return Err(Unreadable::Absent);
    }
    let Some(fixed) = bytes.get(SIGNATURE.len()..FIXED) else { return Ok(None) };
    let (version, command) = (fixed[0] >> 4, fixed[0] & 0x0f);
    let size = FIXED + usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    // A transport that we do not know is no fault: the address is taken for unknown.
    let (family, transport) = (fixed[1] >> 4, fixed[1] & 0x0f);
    if version != 2 || command > 1 || family > 3 || transport > 2 || size > PROXY_HEADER_SIZE_MAX {
        return Err(Unreadable::Malformed);
    }
    let Some(whole) = bytes.get(..size) else { return Ok(None) };
    let is_local = command == 0;
    let address_size = match family {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    let body = &whole[FIXED..];
    let (addresses, fields) = match body.split_at_checked(address_size) {
        Some((addresses, fields)) => (Some(addresses), fields),
        // What LOCAL says of addresses is to be ignored, and the rest with it.
        None if is_local => (None, &[][..]),
        None => return Err(Unreadable::Malformed),
    };
    // Without a family nobody knows where fields would begin.
    if family != 0 && !is_local {
        check_fields(fields, whole)?;
    }
    let client = addresses.filter(|_| !is_local).and_then(|bytes| source(family, bytes));
    Ok(Some(Header { client, size }))
}

/// The source's address, which stands first.
fn source(family: u8, addresses: &[u8]) -> Option<IpAddr> {
    let address = match family {
        1 => IpAddr::V4(Ipv4Addr::from(*addresses.first_chunk::<4>()?)),
        2 => IpAddr::V6(Ipv6Addr::from(*addresses.first_chunk::<16>()?)),
        _ => return None,
    };
    Some(address.to_canonical())
}

/// Walks over the fields; the checksum, if there is one, must be right.
fn check_fields(mut fields: &[u8], whole: &[u8]) -> Result<(), Unreadable> {
    while let Some((kind, rest)) = fields.split_first() {
        let (size, rest) = rest.split_first_chunk::<2>().ok_or(Unreadable::Malformed)?;
        let size = usize::from(u16::from_be_bytes(*size));
        let (value, rest) = rest.split_at_checked(size).ok_or(Unreadable::Malformed)?;
        if *kind == CHECKSUM {
            let said = value.try_into().map(u32::from_be_bytes);
            let said = said.map_err(|_| Unreadable::Malformed)?;
            let at = whole.len() - rest.len() - size;
            if said != crc32c(whole, at) {
                return Err(Unreadable::Malformed);
            }
        }
        fields = rest;
    }
    Ok(())
}

/// CRC-32C of the header, in which the four bytes of the checksum itself, at `at`, count as zeros.
/// A connection's worth of a few dozen bytes: no table is worth its memory.
fn crc32c(bytes: &[u8], at: usize) -> u32 {
    let mut crc = !0_u32;
    for (index, byte) in bytes.iter().enumerate() {
        crc ^= if (at..at + 4).contains(&index) { 0 } else { u32::from(*byte) };
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header with this version and command, family, and what follows the length.
    fn bytes(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let size = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &size, body].concat()
    }

    fn v4() -> Vec<u8> {
        vec![192, 0, 2, 7, 198, 51, 100, 1, 0x80, 0, 0, 80]
    }

    #[track_caller]
    fn check(header: &[u8], expected: Result<Option<&str>, Unreadable>) {
        let client = expected.map(|client| client.map(|text| text.parse().unwrap()));
        let expected = client.map(|client| Some(Header { client, size: header.len() }));
        assert_eq!(super::header(header), expected);
        // What follows is the client's, whatever it is.
        let longer = [header, b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(super::header(&longer), expected);
        if expected.is_ok() {
            for size in 0..header.len() {
                assert_eq!(super::header(&header[..size]), Ok(None), "cut after {size}");
            }
        }
    }

    #[test]
    fn a_client_is_where_its_proxy_says() {
        check(&bytes(0x21, 0x11, &v4()), Ok(Some("192.0.2.7")));
        let v6 = [&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 20]].concat();
        check(&bytes(0x21, 0x21, &v6), Ok(Some("2001:db8::7")));
        let mapped = [&"::ffff:192.0.2.9".parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 20]];
        check(&bytes(0x21, 0x21, &mapped.concat()), Ok(Some("192.0.2.9")));
        check(&bytes(0x21, 0x12, &v4()), Ok(Some("192.0.2.7")));
    }

    #[test]
    fn a_proxy_may_speak_for_itself_or_of_nobody_that_we_know() {
        check(&bytes(0x20, 0x00, &[]), Ok(None));
        check(&bytes(0x20, 0x11, &v4()), Ok(None));
        check(&bytes(0x20, 0x11, &[1, 2, 3]), Ok(None));
        check(&bytes(0x21, 0x00, &[9; 30]), Ok(None));
        check(&bytes(0x21, 0x31, &[0; 216]), Ok(None));
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        let malformed = Err(Unreadable::Malformed);
        check(&bytes(0x11, 0x11, &v4()), malformed);
        check(&bytes(0x22, 0x11, &v4()), malformed);
        check(&bytes(0x21, 0x41, &v4()), malformed);
        check(&bytes(0x21, 0x13, &v4()), malformed);
        check(&bytes(0x21, 0x11, &v4()[..11]), malformed);
        check(&bytes(0x21, 0x21, &[0; 35]), malformed);
        check(&bytes(0x21, 0x11, &[0; PROXY_HEADER_SIZE_MAX]), malformed);
        check(b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n", Err(Unreadable::Absent));
        check(b"GET / HTTP/1.1\r\n", Err(Unreadable::Absent));
    }

    #[test]
    fn fields_are_passed_over_and_must_be_whole() {
        let with = |fields: &[u8]| bytes(0x21, 0x11, &[&v4(), fields].concat());
        check(&with(&[0x04, 0, 2, 1, 2, 0x01, 0, 0]), Ok(Some("192.0.2.7")));
        for cut in [&[0x04][..], &[0x04, 0], &[0x04, 0, 1], &[0x04, 0, 9, 1, 2]] {
            check(&with(cut), Err(Unreadable::Malformed));
        }
    }

    #[test]
    fn a_checksum_must_be_right() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c(&[0; 32], 0), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32], 32), 0x62a8_ab43);
        let unsigned = bytes(0x21, 0x11, &[&v4()[..], &[0x03, 0, 4, 0, 0, 0, 0]].concat());
        let at = unsigned.len() - 4;
        let mut signed = unsigned.clone();
        signed[at..].copy_from_slice(&crc32c(&unsigned, at).to_be_bytes());
        check(&signed, Ok(Some("192.0.2.7")));
        // But for the type of the field: it may be of another one then.
        for at in (FIXED..signed.len()).filter(|at| *at != FIXED + 12) {
            let mut changed = signed.clone();
            changed[at] ^= 1;
            let found = header(&changed);
            assert!(found.is_err() || found == Ok(None), "byte {at}: {found:?}");
        }
        check(
            &bytes(0x21, 0x11, &[&v4()[..], &[0x03, 0, 1, 0]].concat()),
            Err(Unreadable::Malformed),
        );
    }

    #[test]
    fn headers_that_others_wrote_are_read() {
        for (bytes, expected) in [
            (&include_bytes!("../../tests/fuzz/seeds/proxy/v4")[..], Some("192.0.2.7")),
            (include_bytes!("../../tests/fuzz/seeds/proxy/v6"), Some("2001:db8::7")),
            (include_bytes!("../../tests/fuzz/seeds/proxy/local"), None),
            (include_bytes!("../../tests/fuzz/seeds/proxy/checksum"), Some("192.0.2.7")),
        ] {
            check(bytes, Ok(expected));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_none(rest: Vec<u8>) {
            crate::guard::fuzz::proxy(&rest);
        }
    }
}
