//! Who is banned, as shards know it: one immutable value that all of them share.

use std::net::IpAddr;
use std::sync::Arc;

use super::Networks;

/// Who is banned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bans {
    /// Whoever is never banned.
    allowed: Arc<Networks>,
    /// Banned by somebody: their connections are not taken.
    closed: Networks,
    /// Banned by itself: who comes from there and does not say who it is gets nothing.
    suspected: Networks,
}

impl Bans {
    /// Those that somebody made, and those that were made automatically.
    #[must_use]
    pub fn new(allowed: Arc<Networks>, closed: Networks, suspected: Networks) -> Self {
        Self { allowed, closed, suspected }
    }

    /// Whether any connection is refused, so that an address has to be looked at.
    #[must_use]
    pub fn refuse_connections(&self) -> bool {
        !self.closed.is_empty()
    }

    /// Whether nothing is to be taken from there.
    #[must_use]
    pub fn close(&self, address: IpAddr) -> bool {
        self.closed.holds(address) && !self.allowed.holds(address)
    }

    /// Whether any request is refused that does not say whose it is.
    #[must_use]
    pub fn refuse_strangers(&self) -> bool {
        !self.suspected.is_empty()
    }

    /// Whether whoever comes from there has to say who it is.
    #[must_use]
    pub fn suspect(&self, address: IpAddr) -> bool {
        self.suspected.holds(address) && !self.allowed.holds(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(all: &[&str]) -> Networks {
        Networks::of(all.iter().map(|text| text.parse().unwrap()))
    }

    #[test]
    fn whoever_is_allowed_is_never_banned_and_a_ban_is_of_its_kind() {
        let allowed = Arc::new(networks(&["192.0.2.9/32"]));
        let bans = Bans::new(allowed, networks(&["192.0.2.0/24"]), networks(&["198.51.100.7/32"]));
        let check = |address: &str, closed, suspected| {
            let address = address.parse().unwrap();
            assert_eq!((bans.close(address), bans.suspect(address)), (closed, suspected));
        };
        check("192.0.2.1", true, false);
        check("::ffff:192.0.2.1", true, false);
        check("192.0.2.9", false, false);
        check("198.51.100.7", false, true);
        check("203.0.113.1", false, false);
    }

    #[test]
    fn where_nobody_is_banned_nothing_has_to_be_looked_up() {
        let none = Bans::default();
        assert!(!none.refuse_connections() && !none.refuse_strangers());
        let some = Bans::new(Arc::default(), Networks::default(), networks(&["192.0.2.1/32"]));
        assert!(!some.refuse_connections() && some.refuse_strangers());
    }
}
