//! One request to the admin socket of a server that may die meanwhile.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use super::running::PATIENCE;

/// Status and body of the answer; none = there was none, or not all of it.
pub fn try_ask(
    state: &Path,
    method: &str,
    path: &str,
    lines: &str,
    body: &str,
) -> Option<(u16, Value)> {
    let mut socket = UnixStream::connect(state.join("admin.sock")).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: \
         application/json\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    if status == 204 {
        return Some((status, Value::Null));
    }
    // A body that was cut off is no JSON.
    Some((status, serde_json::from_str(body).ok()?))
}

/// Numbers that follow from a seed.
pub struct Random(pub u64);

impl Random {
    /// From 0 to below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// `SEED`, or one that nobody has chosen.
pub fn seed() -> u64 {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| u64::from(std::process::id()) ^ now_us())
}

/// Microseconds since 1970.
pub fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}
