//! Whether an address is one of the internet, or one that only this machine, its network or its
//! cloud has (IANA's special-purpose registries, RFC 6890).
//!
//! An IPv6 address that stands for an IPv4 one is what that one is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are nobody's on the internet: their first address, and how many bits name
/// them.
const INTERNAL: [(Ipv4Addr, u32); 17] = [
    // "This network" (RFC 791): on Linux 0.0.0.0 is this machine.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private (RFC 1918).
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // A carrier's NAT (RFC 6598); also a cloud's metadata.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // This machine (RFC 1122).
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // A cloud's wire server, on a public address that leads nowhere else.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // Link-local (RFC 3927): metadata of most clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Private (RFC 1918).
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // Protocol assignments (RFC 6890).
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation (RFC 5737).
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // Relays of 6to4, which are no more (RFC 7526).
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Private (RFC 1918).
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Benchmarks (RFC 2544).
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Documentation (RFC 5737).
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    // Documentation (RFC 5737).
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast (RFC 5771).
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved (RFC 1112).
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    // Broadcast (RFC 919).
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

/// Whether this is an address of the internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !INTERNAL.iter().any(|(network, of)| (bits ^ u32::from(*network)).leading_zeros() >= *of)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let groups = address.segments();
    let v4 =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match groups {
        // Mapped (RFC 4291, 2.5.5.2), and NAT64's well-known prefix (RFC 6052): an IPv4 address.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // 6to4 (RFC 3056) has it behind its first group.
        [0x2002, high, low, ..] => v4(high, low),
        // Protocol assignments, Teredo among them (RFC 2928).
        [0x2001, second, ..] if second < 0x200 => false,
        // Documentation (RFC 3849, RFC 9637).
        [0x2001, 0xdb8, ..] => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // All that is given out (RFC 4291, 2.4); the rest is local, multicast or nobody's.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_addresses_are_told_from_those_of_the_internet() {
        for (address, expected) in [
            ("1.1.1.1", true),
            ("9.255.255.255", true),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("168.63.129.17", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("198.20.0.0", true),
            ("223.255.255.255", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.100.100.200", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("168.63.129.16", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.192", false),
            ("192.168.0.1", false),
            ("198.19.0.1", false),
            ("203.0.113.9", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("64:ff9b::1.1.1.1", true),
            ("2002:101:101::1", true),
            ("::ffff:1.1.1.1", true),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::169.254.169.254", false),
            ("64:ff9b:1::1.1.1.1", false),
            ("2002:7f00:1::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("3fff::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("100::1", false),
            ("5f00::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }
}
