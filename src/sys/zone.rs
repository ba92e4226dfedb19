//! The machine's time zone, for logs whose readers expect local time without saying so.
//!
//! Contract: nobody in this process changes its environment, which `localtime_r` reads.

/// Seconds by which local time is ahead of UTC at this second since 1970; 0 where nobody knows.
#[must_use]
pub fn offset(unix: u64) -> i64 {
    let Ok(time) = libc::time_t::try_from(unix) else { return 0 };
    // SAFETY: all bits zero are a valid `tm`: numbers, and a null pointer that nobody follows.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to values of this function, which the call does not keep.
    let known = unsafe { libc::localtime_r(&raw const time, &raw mut local) };
    if known.is_null() { 0 } else { local.tm_gmtoff }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_zone_is_a_day_away_and_no_time_is_too_far() {
        for unix in [0, 1_800_000_000, u64::MAX] {
            assert!(offset(unix).abs() <= 15 * 3600, "{unix}");
        }
    }
}
