//! What the fuzz targets call: any bytes as an answer of a back end, and as an MMDB file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{geo, hook};
use crate::config::HOOK_REASON_SIZE_MAX;

/// Reads the input as the body of an answer, which says something short or is garbage.
pub fn hook(data: &[u8]) {
    let Some(answer) = hook::wire::answer(data) else { return };
    let reason = answer.verdict.reason.as_deref().unwrap_or_default();
    assert!(reason.chars().count() <= HOOK_REASON_SIZE_MAX, "{reason}");
    assert!(!reason.chars().any(char::is_control), "{reason:?}");
}

/// Reads the input as an MMDB file, and looks up addresses that lead to everywhere in it.
pub fn mmdb(data: &[u8]) {
    let Ok(geo) = geo::Geo::of_bytes(data) else { return };
    let v4 = |at: u32| IpAddr::from(Ipv4Addr::from(at.wrapping_mul(0x9e37_79b9)));
    let v6 = |at: u32| IpAddr::from(Ipv6Addr::from(u128::from(at) << 112 | u128::from(at)));
    for at in (0..64).flat_map(|at| [v4(at), v6(at)]) {
        let _ = geo.place(at);
    }
}
