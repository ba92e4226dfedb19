//! Which of a few languages is a viewer's: tags and `Accept-Language` in, a place among them out
//! (RFC 4647, 3.4: lookup; RFC 9110, 12.5.4).

use crate::config::slates::{LANGUAGE_TAG_SIZE_MAX, LANGUAGES_ACCEPTED_MAX};

/// The language for this tag: the same, or what is left of it when subtags are taken off its end.
#[must_use]
pub fn lookup(tag: &str, languages: &[String]) -> Option<usize> {
    if tag.len() > LANGUAGE_TAG_SIZE_MAX {
        return None;
    }
    let mut rest = tag;
    loop {
        let is = |known: &String| known.eq_ignore_ascii_case(rest);
        if let Some(at) = languages.iter().position(is) {
            return Some(at);
        }
        rest = &rest[..rest.rfind('-')?];
        // A letter alone says what follows it, and nothing by itself.
        if rest.len() >= 2 && rest.as_bytes()[rest.len() - 2] == b'-' {
            rest = &rest[..rest.len() - 2];
        }
    }
}

/// The language that is liked best of those that a client names; none if it names none of them.
#[must_use]
pub fn accepted(field: &[u8], languages: &[String]) -> Option<usize> {
    let field = str::from_utf8(field).ok()?;
    let mut best: Option<(u32, usize)> = None;
    for range in field.split(',').take(LANGUAGES_ACCEPTED_MAX) {
        let mut parts = range.split(';');
        let tag = parts.next().unwrap_or_default().trim();
        let weight = parts.find_map(|part| weight(part.trim())).unwrap_or(1000);
        let found = if tag == "*" { Some(0) } else { lookup(tag, languages) };
        let is_better = best.is_none_or(|(best, _)| weight > best);
        if let Some(at) = found.filter(|_| weight > 0 && is_better) {
            best = Some((weight, at));
        }
    }
    best.map(|(_, at)| at)
}

/// Thousandths (RFC 9110, 12.4.2); what can't be read counts for nothing.
fn weight(part: &str) -> Option<u32> {
    let value = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="))?;
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    let fits = digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some(match whole {
        "1" => 1000,
        "0" if fits => thousandths(digits),
        _ => 0,
    })
}

/// Digits behind the point as thousandths.
fn thousandths(digits: &str) -> u32 {
    let mut value = 0;
    for at in 0..3 {
        let digit = digits.as_bytes().get(at).map_or(0, |byte| byte.wrapping_sub(b'0'));
        value = value * 10 + u32::from(digit.min(9));
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn languages() -> Vec<String> {
        ["en", "de", "pt-BR", "zh-Hant"].map(str::to_owned).to_vec()
    }

    #[test]
    fn subtags_are_taken_off_until_there_is_such_a_language() {
        for (tag, expected) in [
            ("en", Some(0)),
            ("EN-gb", Some(0)),
            ("de-CH-1996", Some(1)),
            ("pt-br", Some(2)),
            ("pt", None),
            ("pt-PT", None),
            ("zh-Hant-CN-x-private1-private2", Some(3)),
            ("de-x-y", Some(1)),
            ("x", None),
            ("-", None),
            ("", None),
            ("deu", None),
            ("english", None),
        ] {
            assert_eq!(lookup(tag, &languages()), expected, "{tag}");
        }
    }

    #[test]
    fn the_language_that_is_liked_best_is_taken() {
        for (field, expected) in [
            ("de", Some(1)),
            ("fr, de;q=0.3, en;q=0.5", Some(0)),
            ("fr-CH, fr;q=0.9, de-AT;q=0.8, *;q=0.5", Some(1)),
            ("fr, *;q=0.1", Some(0)),
            ("de;q=0, en;q=0.001", Some(0)),
            ("de;q=0", None),
            ("de ; q=0.7 , en ;q=0.70", Some(1)),
            ("de;q=2, en;q=0.1", Some(0)),
            ("de;q=0.1234, en;q=0.1", Some(0)),
            ("", None),
            (",,;q=1,", None),
            ("pt", None),
        ] {
            assert_eq!(accepted(field.as_bytes(), &languages()), expected, "{field:?}");
        }
        assert_eq!(accepted(b"\xff\xfe", &languages()), None);
    }

    proptest! {
        #[test]
        fn whatever_a_client_says_there_is_such_a_language_or_none(field: Vec<u8>) {
            let found = accepted(&field, &languages());
            prop_assert!(found.is_none_or(|at| at < languages().len()));
        }
    }
}
