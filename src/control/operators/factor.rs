//! The second factor: one-time passwords by the clock (RFC 6238), and codes that stand in for a
//! device that was lost.
//!
//! Pure. A code is good once: whoever calls keeps the step of the last one, and none that is not
//! behind it is taken. SHA-1, 6 digits and 30 s are what every authenticator knows.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use totp_rs::{Builder, Secret};

use crate::config::{CODE_SECONDS, CODE_STEPS_OFF_MAX, RECOVERY_CODES};
use crate::units::UnixTime;

/// Size of the secret that the server and a device share, in bytes (RFC 4226, 4: 160 bits).
pub const SECRET_SIZE: usize = 20;

/// The step whose code this is, if it may be taken: not more than one step off, and behind the
/// last that was.
#[must_use]
pub fn step(secret: &[u8; SECRET_SIZE], code: &str, last: u64, now: UnixTime) -> Option<u64> {
    let here = now.0 / CODE_SECONDS;
    let mut found = None;
    // All of them are looked at, so that the time says nothing.
    for step in here.saturating_sub(CODE_STEPS_OFF_MAX)..=here + CODE_STEPS_OFF_MAX {
        let is_same = self::code(secret, step).as_bytes().ct_eq(code.as_bytes());
        if bool::from(is_same) && step > last && found.is_none() {
            found = Some(step);
        }
    }
    found
}

/// The code of a step.
#[must_use]
pub fn code(secret: &[u8; SECRET_SIZE], step: u64) -> String {
    let totp = Builder::new().with_secret(Secret::new_stack(*secret)).build();
    let totp = totp.expect("a secret of 160 bits is long enough");
    totp.generate(step * CODE_SECONDS).to_string()
}

/// What an authenticator reads, mostly from a picture of it (QR).
#[must_use]
pub fn address(secret: &[u8; SECRET_SIZE], user: &str) -> String {
    let secret = Secret::new_stack(*secret).to_base32();
    // An id of the registry has nothing in it that an address would spell otherwise.
    format!("otpauth://totp/shardcast:{user}?secret={secret}&issuer=shardcast")
}

/// The secret for whoever types it.
#[must_use]
pub fn typed(secret: &[u8; SECRET_SIZE]) -> String {
    Secret::new_stack(*secret).to_base32()
}

/// Characters of a recovery code: 120 bits of them, so that its hash needs no salt (ASVS 5.0,
/// 6.5.2).
const RECOVERY_CHARACTERS: usize = 24;

/// What they are, without those that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// New recovery codes as they are told, once.
///
/// # Errors
///
/// They can't be drawn.
pub fn recovery_codes() -> Result<Vec<String>, String> {
    let mut codes = Vec::new();
    for _ in 0..RECOVERY_CODES {
        let mut drawn = [0_u8; RECOVERY_CHARACTERS];
        getrandom::fill(&mut drawn).map_err(|error| format!("no code can be drawn: {error}"))?;
        let characters = drawn.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        let groups = characters.chunks(4).map(|group| group.iter().collect::<String>());
        codes.push(groups.collect::<Vec<_>>().join("-"));
    }
    Ok(codes)
}

/// A recovery code as it is kept; none if it can't be one. Dashes, spaces and capitals don't count.
#[must_use]
pub fn recovery_hash(code: &str) -> Option<String> {
    // Longer than any with its dashes: nobody typed that.
    if code.len() > 4 * RECOVERY_CHARACTERS {
        return None;
    }
    let plain = code.chars().filter(|one| !matches!(one, '-' | ' '));
    let plain: String = plain.map(|one| one.to_ascii_lowercase()).collect();
    let is_code = plain.len() == RECOVERY_CHARACTERS;
    (is_code && plain.bytes().all(|byte| ALPHABET.contains(&byte))).then(|| hex(plain.as_bytes()))
}

/// SHA-256 as text: for what is random enough that nobody can try all of it.
#[must_use]
pub fn hex(secret: &[u8]) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; SECRET_SIZE] = *b"12345678901234567890";

    /// RFC 6238, appendix B, of whose eight digits six are used.
    #[test]
    fn codes_are_those_of_the_standard() {
        for (time, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(&SECRET, time / CODE_SECONDS), expected, "{time}");
        }
        let address = address(&SECRET, "anna");
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert_eq!(
            address,
            format!("otpauth://totp/shardcast:anna?secret={secret}&issuer=shardcast")
        );
    }

    #[test]
    fn a_code_is_good_for_three_steps_and_once() {
        let now = UnixTime(2_000_000_010);
        let here = now.0 / CODE_SECONDS;
        for (off, is_good) in [(-2_i64, false), (-1, true), (0, true), (1, true), (2, false)] {
            let of = here.checked_add_signed(off).unwrap();
            let found = step(&SECRET, &code(&SECRET, of), 0, now);
            assert_eq!(found, is_good.then_some(of), "{off}");
        }
        let now_code = code(&SECRET, here);
        assert_eq!(step(&SECRET, &now_code, here, now), None, "used");
        assert_eq!(step(&SECRET, &code(&SECRET, here - 1), here, now), None, "older than used");
        assert_eq!(step(&SECRET, &code(&SECRET, here + 1), here, now), Some(here + 1));
        for wrong in ["", "279", "+79037", "2790370", " 279037", "abcdef"] {
            assert_eq!(step(&SECRET, wrong, 0, now), None, "{wrong:?}");
        }
        assert_eq!(step(&SECRET, &code(&SECRET, 1), 0, UnixTime(0)), Some(1));
    }

    #[test]
    fn a_recovery_code_is_long_and_may_be_typed_as_one_likes() {
        let codes = recovery_codes().unwrap();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let mut hashes: Vec<_> = codes.iter().map(|code| recovery_hash(code).unwrap()).collect();
        let first = &codes[0];
        assert_eq!(first.len(), 29, "{first}");
        assert_eq!(recovery_hash(&first.to_uppercase().replace('-', " ")), Some(hashes[0].clone()));
        assert_eq!(recovery_hash(&first[1..]), None);
        assert_eq!(recovery_hash(&"a".repeat(1000)), None);
        assert_eq!(recovery_hash(&first.replace('-', "\u{e9}")), None);
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), RECOVERY_CODES);
    }
}
