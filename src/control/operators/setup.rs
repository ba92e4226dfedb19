//! The first administrator: made through a link that the server says once, when it starts and finds
//! none. It is good for a quarter of an hour and for one use, and stands in memory only.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::signed_in::drawn;
use crate::config::SET_UP_MS;

/// A link that was said and not used yet.
#[derive(Debug)]
pub struct SetUp {
    hash: [u8; 32],
    until: u64,
}

impl SetUp {
    /// A new one, and its token.
    ///
    /// # Errors
    ///
    /// No token can be drawn.
    pub fn new(now: u64) -> Result<(Self, String), String> {
        let token = drawn()?;
        let hash = Sha256::digest(token.as_bytes()).into();
        Ok((Self { hash, until: now + SET_UP_MS }, token))
    }

    /// Whether this is its token, and may be used.
    #[must_use]
    pub fn is_good(&self, token: &str, now: u64) -> bool {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        bool::from(hash.ct_eq(&self.hash)) && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_up_link_is_good_for_a_quarter_of_an_hour() {
        let (set_up, token) = SetUp::new(7).unwrap();
        assert_eq!(token.len(), 43, "256 bits in base64");
        assert!(set_up.is_good(&token, 7) && set_up.is_good(&token, 7 + 899_999));
        assert!(!set_up.is_good(&token, 7 + 900_000));
        assert!(!set_up.is_good(&token[1..], 7) && !set_up.is_good("", 7));
        assert_ne!(SetUp::new(7).unwrap().1, token);
    }
}
