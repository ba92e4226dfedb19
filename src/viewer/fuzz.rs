//! What the fuzz targets call: any text as a token, and any fields that were signed.

use super::token::{self, Denial};
use super::{Claims, Key, Keys};
use crate::config::TOKEN_BYTES_MAX;
use crate::units::UnixTime;

/// Reads the input as the text of a token, which is none of ours; and as what stands in one that
/// we signed, which is read to its end or unknown, and matched against a path.
pub fn token(data: &[u8]) {
    let keys = Keys { current: Some(Key::new(1, &[1; 32], 0)), previous: None };
    let mut scratch = [0; TOKEN_BYTES_MAX];
    let key = keys.current.as_ref().expect("just made");
    let mut read = |text: &str| {
        let token = token::opened(text, &keys, &|| None, UnixTime(0), &mut scratch);
        token.map(|token| (token.claims, token.scope.holds("/vod/", "films/a/1.m4s")))
    };
    if let Ok(text) = str::from_utf8(data) {
        assert_eq!(read(text), Err(Denial::Unknown), "nobody signed {text:?}");
    }
    let (bitrate_max, network) = (None, None);
    let expires = UnixTime(1);
    let claims = Claims { subscriber: None, session: 1, expires, bitrate_max, network };
    if let Ok(text) = token::signed(&claims, data, key) {
        let _ = read(&text);
    }
}
