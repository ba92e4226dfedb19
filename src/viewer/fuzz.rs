//! What the fuzz targets call: any text as a token, and any fields that were signed; the same of
//! tokens of others; any bytes as what a player tells of itself.

use super::foreign::{Denied, Presented, Verifier};
use super::token::{self, Denial};
use super::{Claims, Key, Keys, cmcd};
use crate::config::file::Draft;
use crate::config::{CMCD_KBPS_MAX, TOKEN_BYTES_MAX};
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

/// All kinds of tokens of others.
const SECTIONS: &str = "\
[[token]]\nkind = \"secure_link\"\nexpression = \"$secure_link_expires$uri$secret\"\n\
keys = [{ key_file = \"k\" }]\n\
[[token]]\nkind = \"secure_link_secret\"\nkeys = [{ key_file = \"k\" }]\n\
[[token]]\nkind = \"edge_auth\"\nescape = \"on\"\nkeys = [{ key_file = \"k\" }]\n\
[[token]]\nkind = \"cat\"\nkeys = [{ algorithm = \"HS256\", key_file = \"k\" }]\n\
[[token]]\nkind = \"jwt\"\nkeys = [{ algorithm = \"HS256\", key_file = \"k\" }]\n";

/// Reads the input as a token of others, in a request for a path: nobody signed it. Then as what
/// somebody signed, of which every claim is judged.
pub fn foreign(data: &[u8]) {
    let mut draft = Draft::default();
    draft.apply_file(std::path::Path::new("fuzz.toml"), SECTIONS);
    let key = b"0123456789abcdef0123456789abcdef".to_vec();
    let text = String::from_utf8_lossy(data).into_owned();
    for section in draft.config.tokens {
        let verifier =
            Verifier::new(section, std::slice::from_ref(&key), None).expect("a good key");
        let presented = Presented {
            text: text.clone(),
            path: "/vod/a/1.ts".to_owned(),
            raw: "/vod/a/1.ts".to_owned(),
            query: text.clone(),
            host: text.clone(),
            peer: None,
        };
        let denied = verifier.verified(&presented, UnixTime(1));
        assert_eq!(denied, Err(Denied::Unknown), "nobody signed {text:?}");
        let _ = verifier.claimed(data, &presented);
    }
}

/// Reads the input as a head, as a field of one, and as a query: within bounds, whatever it is, and
/// with no more that is wrong than there are parts.
pub fn cmcd(data: &[u8]) {
    let field = [b"GET / HTTP/1.1\r\nCMCD-Status: ", data, b"\r\n\r\n"].concat();
    let query = [b"CMCD=", data].concat();
    for (head, query) in [(data, &b""[..]), (&field, b""), (b"", data), (b"", &query)] {
        let told = cmcd::told(head, query);
        assert!(told.malformed as usize <= head.len() + query.len(), "{told:?}");
        assert!(told.bitrate_kbps.is_none_or(|kbps| (1..=CMCD_KBPS_MAX).contains(&kbps)));
        assert!(told.rate_kbps.is_none_or(|kbps| (1..=CMCD_KBPS_MAX).contains(&kbps)));
    }
}
