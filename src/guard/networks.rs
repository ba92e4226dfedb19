//! Sets of networks, for one question: is this address in one of them?
//!
//! Sorted ranges that neither overlap nor touch, so the answer is one binary search: 17 steps in
//! 100,000 networks, and none that depends on how long their prefixes are.

use std::net::IpAddr;

use ipnet::IpNet;

/// A set of networks. An IPv4 address that is written as one of IPv6 (`::ffff:192.0.2.1`) is the
/// IPv4 address that it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Networks {
    /// Of these.
    #[must_use]
    pub fn of(all: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in all {
            match plain(network) {
                IpNet::V4(of) => v4.push((u32::from(of.network()), u32::from(of.broadcast()))),
                IpNet::V6(of) => v6.push((u128::from(of.network()), u128::from(of.broadcast()))),
            }
        }
        let v4 = joined(v4, |end, start| end.checked_add(1).is_none_or(|next| start <= next));
        let v6 = joined(v6, |end, start| end.checked_add(1).is_none_or(|next| start <= next));
        Self { v4, v6 }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether the address is in one of them.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => covers(&self.v4, u32::from(address), u32::from(address)),
            IpAddr::V6(address) => covers(&self.v6, u128::from(address), u128::from(address)),
        }
    }

    /// Whether all of a network is in them.
    #[must_use]
    pub fn cover(&self, network: IpNet) -> bool {
        match plain(network) {
            IpNet::V4(of) => covers(&self.v4, of.network().into(), of.broadcast().into()),
            IpNet::V6(of) => covers(&self.v6, of.network().into(), of.broadcast().into()),
        }
    }
}

/// The network that is meant: one of IPv4 addresses written as IPv6 is one of IPv4.
#[must_use]
pub fn plain(network: IpNet) -> IpNet {
    let network = network.trunc();
    let IpAddr::V4(address) = network.addr().to_canonical() else { return network };
    let prefix = match network {
        IpNet::V4(_) => network.prefix_len(),
        // Shorter ones hold more than IPv4.
        IpNet::V6(_) => match network.prefix_len().checked_sub(96) {
            Some(prefix) => prefix,
            None => return network,
        },
    };
    IpNet::new(address.into(), prefix).map_or(network, |network| network.trunc())
}

/// The same ranges, sorted; those that meet are one.
fn joined<T: Copy + Ord>(mut ranges: Vec<(T, T)>, meet: impl Fn(T, T) -> bool) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match joined.last_mut() {
            Some(last) if meet(last.1, start) => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined.into()
}

fn covers<T: Copy + Ord>(ranges: &[(T, T)], first: T, last: T) -> bool {
    let after = ranges.partition_point(|range| range.0 <= first);
    after > 0 && ranges[after - 1].1 >= last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks(all: &[&str]) -> Networks {
        Networks::of(all.iter().map(|text| text.parse().unwrap()))
    }

    #[track_caller]
    fn check(all: &[&str], address: &str, expected: bool) {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(networks(all).holds(address), expected, "{address} in {all:?}");
    }

    #[test]
    fn an_address_is_in_a_network_from_its_first_to_its_last() {
        for (address, expected) in [
            ("192.0.1.255", false),
            ("192.0.2.0", true),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("::ffff:192.0.2.7", true),
            ("2001:db8::", true),
            ("2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8:0:1::", false),
        ] {
            check(&["192.0.2.0/24", "2001:db8::/64"], address, expected);
        }
        check(&[], "192.0.2.0", false);
        check(&["0.0.0.0/0"], "255.255.255.255", true);
        check(&["0.0.0.0/0"], "::1", false);
        check(&["::/0"], "ffff::", true);
        check(&["::ffff:192.0.2.0/120"], "192.0.2.9", true);
    }

    #[test]
    fn networks_that_meet_are_one_and_cover_what_lies_over_both() {
        let all = networks(&["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "192.0.2.1/32"]);
        assert_eq!(all.v4.len(), 2);
        assert!(all.cover("10.0.0.0/8".parse().unwrap()));
        assert!(!all.cover("10.0.0.0/7".parse().unwrap()));
        assert!(!all.cover("192.0.2.0/31".parse().unwrap()));
    }

    fn any_network() -> impl Strategy<Value = IpNet> {
        let v4 = (0_u32..1024, 20_u8..=32).prop_map(|(low, prefix)| {
            IpNet::new(IpAddr::V4((0x0a00_0000 | low).into()), prefix).unwrap()
        });
        let v6 = (0_u128..1024, 116_u8..=128).prop_map(|(low, prefix)| {
            IpNet::new(IpAddr::V6((0x2001_u128 << 112 | low).into()), prefix).unwrap()
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn the_search_says_what_looking_at_each_says(
            all in prop::collection::vec(any_network(), 0..20),
            asked in any_network(),
        ) {
            let address = asked.addr();
            let naive = all.iter().any(|network| network.contains(&address));
            prop_assert_eq!(Networks::of(all).holds(address), naive);
        }
    }
}
