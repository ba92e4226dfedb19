//! Dates as HTTP writes them, without a clock and without allocation.

use crate::units::{UnixTime, civil};

/// A date as HTTP writes it, for one second (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type Date = [u8; 29];

/// The last second that has four digits of year. Times come from files: they can be anything.
const LATEST: u64 = 253_402_300_799;

/// The date of this second; of the year 9999's last one, if it is later.
#[must_use]
pub fn date(at: UnixTime) -> Date {
    let at = at.0.min(LATEST);
    let (days, second) = (at / 86_400, at % 86_400);
    let (year, month, day) = civil(days);
    let mut date = *b"Thu, 00 Jan 0000 00:00:00 GMT";
    // The epoch was a Thursday.
    let weekday = (days % 7) as usize * 3;
    date[..3].copy_from_slice(&b"ThuFriSatSunMonTueWed"[weekday..weekday + 3]);
    two_digits(&mut date[5..7], day);
    let month = (month as usize - 1) * 3;
    date[8..11].copy_from_slice(&b"JanFebMarAprMayJunJulAugSepOctNovDec"[month..month + 3]);
    two_digits(&mut date[12..14], year / 100);
    two_digits(&mut date[14..16], year % 100);
    two_digits(&mut date[17..19], second / 3600);
    two_digits(&mut date[20..22], second / 60 % 60);
    two_digits(&mut date[23..25], second % 60);
    date
}

fn two_digits(out: &mut [u8], number: u64) {
    out[0] = b'0' + (number / 10) as u8;
    out[1] = b'0' + (number % 10) as u8;
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn dates_are_those_of_another_calendar() {
        for day in (0..LATEST / 86_400).step_by(11) {
            let at = day * 86_400 + day * 7_919 % 86_400;
            let other = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at));
            assert_eq!(str::from_utf8(&date(UnixTime(at))), Ok(other.as_str()));
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_its_end() {
        assert_eq!(&date(UnixTime(u64::MAX)), b"Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(&date(UnixTime(0)), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
