//! What heads say to apps that start something: a playlist that is one viewer's, or where it goes
//! on.

use super::lines::Lines;
use super::{Common, Date, Plan, connection_line, status_line};
use crate::config::RESPONSE_HEAD_SIZE_MAX;

/// What an app gets.
#[derive(Clone, Copy, Debug)]
pub enum Begins<'b> {
    /// A playlist of so many bytes.
    Playlist(usize),
    /// It goes on there: what stands before the token, the token, and the path behind it, of which
    /// what needs it is escaped.
    There([&'b [u8]; 2], &'b str),
}

/// Longest address that is written, in bytes: that of an asset deep in a library.
const LOCATION_SIZE_MAX: usize = 1024;
const _: () = assert!(LOCATION_SIZE_MAX + 900 <= RESPONSE_HEAD_SIZE_MAX, "the rest has room");

/// Writes the head for an app that starts something; none = the address is too long.
///
/// # Panics
///
/// If `out` is smaller than `RESPONSE_HEAD_SIZE_MAX`.
pub fn write_start(
    plan: &Plan,
    begins: &Begins<'_>,
    common: &Common,
    date: &Date,
    out: &mut [u8],
) -> Option<usize> {
    assert!(out.len() >= RESPONSE_HEAD_SIZE_MAX, "a head needs room");
    let mut lines = Lines::new(out);
    lines.put(status_line(plan.status).as_bytes());
    lines.put(b"Date: ");
    lines.put(date);
    lines.put(b"\r\n");
    let size = match begins {
        Begins::Playlist(size) => {
            lines.field("Content-Type", "application/vnd.apple.mpegurl");
            *size
        }
        Begins::There(before, path) => {
            let escaped: usize = path.bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum();
            if before.iter().map(|of| of.len()).sum::<usize>() + escaped > LOCATION_SIZE_MAX {
                return None;
            }
            lines.put(b"Location: ");
            before.iter().for_each(|of| lines.put(of));
            path.bytes().for_each(|byte| put_escaped(&mut lines, byte));
            lines.put(b"\r\n");
            0
        }
    };
    // It is this viewer's, and its address and what it says are keys.
    lines.put(b"Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nContent-Length: ");
    lines.number(size as u64);
    lines.put(b"\r\n");
    lines.put(connection_line(plan.connection));
    lines.put(&common.cors);
    lines.put(b"\r\n");
    Some(lines.size())
}

/// Whether a byte stands for itself in a path (RFC 3986, 2.3 and 3.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)
}

fn put_escaped(lines: &mut Lines<'_>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if is_plain(byte) {
        lines.put(&[byte]);
    } else {
        lines.put(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}
