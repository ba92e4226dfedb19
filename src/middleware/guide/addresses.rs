//! Which addresses may be called because somebody wrote them into a guide's source: those of the
//! internet, and what the config allows besides.
//!
//! Whoever may write a source is not for that allowed to look around in the operator's network. So
//! it is the address that counts, not the name: it is looked at behind every resolution, and the
//! connection goes to what was looked at.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::control::fetch::is_public;

/// Whether an address may be called.
#[must_use]
pub fn may_call(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = address.to_canonical();
    // 6to4 (RFC 3056) names an address of the other kind, and its relays are no more (RFC 7526).
    let is_relayed = matches!(address, IpAddr::V6(address) if address.segments()[0] == 0x2002);
    let is_allowed = allowed.iter().any(|network| network.contains(&address));
    is_allowed || is_public(address) && !is_relayed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_internet_may_be_called_and_no_others() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff::1",
            "100::1",
        ] {
            assert!(!may_call(address.parse().unwrap(), &[]), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "64:ff9b::101:101",
            "::ffff:1.1.1.1",
        ] {
            assert!(may_call(address.parse().unwrap(), &[]), "{address}");
        }
        let allowed = ["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()];
        for (address, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("127.0.0.1", false),
        ] {
            assert_eq!(may_call(address.parse().unwrap(), &allowed), expected, "{address}");
        }
    }
}
