//! How good an app password is, and ones that are good.
//!
//! It is tried against the server alone, which lets an address try few: what counts is that it
//! can't be guessed from what is known of its user, and is none of the first that people try.

use crate::config::{APP_PASSWORD_LENGTH, APP_PASSWORD_SHORT};

/// Lower-case letters and digits that nobody takes for another one on a television's remote
/// control: without i, l, o, 0 and 1.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// What is tried first, of lists of leaked passwords, as far as it is long enough to be missed by
/// the other rules.
const COMMON: [&str; 16] = [
    "password",
    "passw0rd",
    "qwertyuiop",
    "qwerty123",
    "iloveyou",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "trustno1",
    "welcome1",
    "letmein1",
    "starwars",
    "whatever",
    "computer",
];

/// A new one, of letters and digits that can't be mistaken: 69 bits.
///
/// # Errors
///
/// The kernel gives no random bytes.
pub fn generated() -> Result<String, getrandom::Error> {
    let mut password = String::with_capacity(APP_PASSWORD_LENGTH);
    while password.len() < APP_PASSWORD_LENGTH {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        // Five bits that name no letter are drawn again, so that all are as likely.
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
        let missing = APP_PASSWORD_LENGTH - password.len();
        password.extend(letters.take(missing).map(|&byte| char::from(byte)));
    }
    Ok(password)
}

/// Why a password is weak; nothing if it is not.
#[must_use]
pub fn weakness(user: &str, password: &str) -> Option<&'static str> {
    let lower = password.to_lowercase();
    let user = user.to_lowercase();
    let letters: Vec<char> = lower.chars().collect();
    if letters.len() < APP_PASSWORD_SHORT {
        return Some("it has fewer than 8 characters");
    }
    if !user.is_empty() && (lower.contains(&user) || user.contains(&lower)) {
        return Some("it is the user name, or has it in it");
    }
    if letters.len() < 12 && letters.iter().all(char::is_ascii_digit) {
        return Some("it has digits only, and fewer than 12");
    }
    if COMMON
        .iter()
        .any(|common| lower.trim_end_matches(|one: char| !one.is_alphabetic()) == *common)
        || COMMON.contains(&lower.as_str())
    {
        return Some("it is one that is tried first");
    }
    let step = |pair: &[char]| u32::from(pair[1]).wrapping_sub(u32::from(pair[0]));
    let mut steps = letters.windows(2).map(step);
    let first = steps.next()?;
    if matches!(first, 0 | 1 | u32::MAX) && steps.all(|step| step == first) {
        return Some("it is one character, or a run of them");
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_weak_one_is_told_why() {
        for (user, password, expected) in [
            ("anna", "kx7mq2", Some("it has fewer than 8 characters")),
            ("anna", "Anna-tv-2024", Some("it is the user name, or has it in it")),
            ("annamaria1", "annamaria", Some("it is the user name, or has it in it")),
            ("anna", "8723645", Some("it has fewer than 8 characters")),
            ("anna", "87236451", Some("it has digits only, and fewer than 12")),
            ("anna", "872364519283", None),
            ("anna", "Password123!", Some("it is one that is tried first")),
            ("anna", "aaaaaaaaaaaa", Some("it is one character, or a run of them")),
            ("anna", "abcdefghijkl", Some("it is one character, or a run of them")),
            ("anna", "kx7mq2pt", None),
            ("", "kx7mq2pt", None),
        ] {
            assert_eq!(weakness(user, password), expected, "{user} {password}");
        }
    }

    #[test]
    fn generated_ones_are_strong_and_easy_to_read() {
        let all: BTreeSet<String> = (0..1000).map(|_| generated().unwrap()).collect();
        assert_eq!(all.len(), 1000);
        let mut seen = BTreeSet::new();
        for password in &all {
            assert_eq!(password.len(), APP_PASSWORD_LENGTH);
            assert_eq!(weakness("anna", password), None, "{password}");
            seen.extend(password.bytes());
        }
        assert_eq!(seen, ALPHABET.iter().copied().collect());
    }
}
