//! The keys of `[fetch]`, and the limits of what others name and we fetch.

use ipnet::IpNet;

use super::super::settings::{Setting, networks, put, shown_networks};
use crate::units::KIB;

/// What may be fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// Internal networks that may be called all the same.
    pub allow: Vec<IpNet>,
}

/// `fetch.allow`.
pub const ALLOW: Setting = Setting {
    key: "fetch.allow",
    about: "Internal networks from which pictures and guides that somebody names may be fetched. \
            Public addresses need not stand here; loopback, private and link-local ones must.",
    set: |config, given| put(&mut config.outside.fetch.allow, networks(given)),
    shown: Some(|config| shown_networks(&config.outside.fetch.allow)),
    reloads: false,
};

/// Redirects that are followed, each looked at as the first address was (three, as browsers of
/// feeds do). Beyond it the fetch has failed.
pub const FETCH_REDIRECTS_MAX: usize = 3;

/// Addresses of a name that are tried, one after the other, within one deadline.
pub const FETCH_ADDRESSES_MAX: usize = 4;

/// Longest address that is fetched, in bytes, also of a redirect. A longer one is refused.
pub const FETCH_ADDRESS_SIZE_MAX: usize = 4 * KIB;

/// Longest tag or date of an answer that is remembered to ask with again, in bytes. A longer one is
/// forgotten, and the whole is fetched the next time.
pub const FETCH_VALIDATOR_SIZE_MAX: usize = 256;

/// Buffer of a connection, in bytes: a head of an answer. A longer head has failed.
pub const FETCH_BUFFER_SIZE: usize = 64 * KIB;
