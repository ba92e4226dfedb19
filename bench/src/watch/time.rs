//! Moments and lengths as playlists and manifests write them, in microseconds. Pure.

/// A decimal number of seconds.
pub fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Some(whole.parse::<u64>().ok()? * 1_000_000 + digits.parse::<u64>().ok()?)
}

/// A date as ISO 8601 writes it, in UTC: `2026-11-26T08:24:02.000Z`; since 1970.
pub fn date(text: &str) -> Option<i64> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut days = day.split('-').map(|word| word.parse::<i64>().ok());
    let (year, month, day) = (days.next()??, days.next()??, days.next()??);
    let mut words = time.splitn(3, ':');
    let (hours, minutes) = (words.next()?.parse::<i64>().ok()?, words.next()?.parse::<i64>().ok()?);
    let seconds = i64::try_from(seconds(words.next()?)?).ok()?;
    let is_good = (1..=12).contains(&month) && (1..=31).contains(&day) && days.next().is_none();
    is_good.then(|| {
        ((days_from_civil(year, month, day) * 24 + hours) * 60 + minutes) * 60_000_000 + seconds
    })
}

/// A length as XML Schema writes it, without years and months: `PT1H2M3.5S`, `P1D`.
pub fn xml_duration(text: &str) -> Option<u64> {
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, time)) => (days, time),
        None => (text.strip_prefix('P')?, ""),
    };
    let mut sum = 0_u64;
    if let Some(days) = days.strip_suffix('D') {
        sum += days.parse::<u64>().ok()?.checked_mul(86_400_000_000)?;
    } else if !days.is_empty() {
        return None;
    }
    let mut rest = time;
    while let Some(end) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
        let (number, unit) = (seconds(&rest[..end])?, &rest[end..=end]);
        let times = match unit {
            "H" => 3600,
            "M" => 60,
            "S" => 1,
            _ => return None,
        };
        sum = sum.checked_add(number.checked_mul(times)?)?;
        rest = &rest[end + 1..];
    }
    rest.is_empty().then_some(sum)
}

/// Days from 1970-01-01, in the calendar of now (Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_lengths_are_read_to_the_microsecond() {
        assert_eq!(seconds("2.005334"), Some(2_005_334));
        assert_eq!(seconds("2"), Some(2_000_000));
        assert_eq!((seconds("-1"), seconds(".5"), seconds("1e3")), (None, None, None));
        assert_eq!(date("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(date("2026-11-26T00:00:00.250Z"), Some(1_795_651_200_250_000));
        assert_eq!(date("2024-02-29T12:00:00.000Z"), Some(1_709_208_000_000_000));
        assert_eq!((date("2026-11-26"), date("2026-13-01T00:00:00Z")), (None, None));
        assert_eq!(xml_duration("PT20.0S"), Some(20_000_000));
        assert_eq!(xml_duration("P1DT1H1M1S"), Some(90_061_000_000));
        assert_eq!((xml_duration("20S"), xml_duration("P1Y")), (None, None));
    }
}
