//! What heads say of slates: why there is one, and that nobody may keep what is one viewer's
//! answer.

use super::lines::Lines;
use super::{Common, Date, Plan, Refusal, connection_line, media_type, status_line};
use crate::config::RESPONSE_HEAD_SIZE_MAX;
use crate::request::locate::Object;
use crate::request::plan::Instead;
use crate::units::Variant;

/// A slate is one viewer's answer, and soon another one's.
fn put_slate(lines: &mut Lines<'_>, media_type: &str, instead_of: Refusal) {
    lines.field("Content-Type", media_type);
    lines.field("X-Shardcast-Reason", instead_of.reason());
    lines.put(b"Cache-Control: no-store\r\n");
}

/// All of an object that is shown in place of something else.
pub(super) fn put_shown(
    lines: &mut Lines<'_>,
    object: &Object<'_>,
    variant: &Variant,
    slate: Instead,
) {
    put_slate(lines, media_type(object.media_type()), slate.instead_of);
    lines.put(b"Content-Length: ");
    lines.number(variant.extent.size);
    lines.put(b"\r\n");
}

/// Writes the head of a slate's playlist, of which there are so many bytes.
///
/// # Panics
///
/// If `out` is smaller than `RESPONSE_HEAD_SIZE_MAX`.
pub fn write_slate(
    plan: &Plan,
    text_size: usize,
    common: &Common,
    date: &Date,
    out: &mut [u8],
) -> usize {
    assert!(out.len() >= RESPONSE_HEAD_SIZE_MAX, "a head needs room");
    let mut lines = Lines::new(out);
    lines.put(status_line(plan.status).as_bytes());
    lines.put(b"Date: ");
    lines.put(date);
    lines.put(b"\r\n");
    match plan.slate {
        Some(slate) => put_slate(&mut lines, PLAYLIST_TYPE, slate.instead_of),
        None => {
            lines.field("Content-Type", PLAYLIST_TYPE);
            lines.put(b"Cache-Control: public, max-age=1\r\n");
        }
    }
    if plan.is_private {
        lines.put(b"Referrer-Policy: no-referrer\r\n");
    }
    lines.put(b"Content-Length: ");
    lines.number(text_size as u64);
    lines.put(b"\r\n");
    lines.put(connection_line(plan.connection));
    lines.put(&common.cors);
    lines.put(b"\r\n");
    lines.size()
}

const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
