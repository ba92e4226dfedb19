//! The keys of a copy: what lies in `secrets.key`, sealed by a passphrase, so that app passwords of
//! the copy are of use on another machine.
//!
//! Argon2id makes a key of the passphrase and of a salt of its own (RFC 9106), and
//! XChaCha20-Poly1305 seals with it. Whoever has the copy may guess for years, so it takes more
//! memory than a sign-in does, and a passphrase that is soon guessed is refused.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

use super::secrets::Secrets;
use crate::config::{
    PASSPHRASE_CHARACTERS_MIN, PASSPHRASE_MEMORY_KIB, PASSPHRASE_MEMORY_KIB_MAX, PASSPHRASE_PASSES,
    PASSPHRASE_PASSES_MAX,
};

/// Says what is sealed: nothing else is opened by it.
const WHAT: &[u8] = b"shardcast secrets.key in a copy, 1";

/// Keys that are sealed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Of the passphrase.
    pub salt: Vec<u8>,
    /// What Argon2id took of memory, in KiB,
    pub memory_kib: u32,
    /// and how many passes.
    pub passes: u32,
    /// 24 bytes of a nonce, and what is sealed.
    pub bytes: Vec<u8>,
}

/// Why a passphrase is not taken; none if it is.
#[must_use]
pub fn fault(passphrase: &str) -> Option<String> {
    if passphrase.chars().count() < PASSPHRASE_CHARACTERS_MIN {
        let why = format!("the passphrase has fewer than {PASSPHRASE_CHARACTERS_MIN} characters");
        return Some(why);
    }
    let is_good = zxcvbn(passphrase, &["shardcast", "backup"]).score() >= Score::Three;
    (!is_good).then(|| "the passphrase is soon guessed".to_owned())
}

/// Seals the keys.
///
/// # Errors
///
/// The passphrase is soon guessed, or nothing can be drawn.
pub fn sealed(secrets: &Secrets, passphrase: &str) -> Result<Sealed, String> {
    if let Some(why) = fault(passphrase) {
        return Err(why);
    }
    let mut drawn = [0_u8; 40];
    getrandom::fill(&mut drawn).map_err(|error| format!("nothing can be drawn: {error}"))?;
    let (salt, nonce) = drawn.split_at(16);
    let mut sealed = Sealed {
        salt: salt.to_vec(),
        memory_kib: PASSPHRASE_MEMORY_KIB,
        passes: PASSPHRASE_PASSES,
        bytes: nonce.to_vec(),
    };
    let cipher = sealed.cipher(passphrase).ok_or("the passphrase can't be hashed")?;
    let nonce = XNonce::try_from(nonce).expect("24 bytes");
    let payload = Payload { msg: secrets.bytes(), aad: WHAT };
    let bytes = cipher.encrypt(&nonce, payload).map_err(|_| "the keys can't be sealed")?;
    sealed.bytes.extend(bytes);
    Ok(sealed)
}

/// The keys; none if the passphrase is another one, or what was sealed was changed.
#[must_use]
pub fn opened(sealed: &Sealed, passphrase: &str) -> Option<Secrets> {
    let (nonce, text) = sealed.bytes.split_at_checked(24)?;
    let nonce = XNonce::try_from(nonce).ok()?;
    let payload = Payload { msg: text, aad: WHAT };
    let bytes = Zeroizing::new(sealed.cipher(passphrase)?.decrypt(&nonce, payload).ok()?);
    Secrets::of(&bytes)
}

impl Sealed {
    /// What it is sealed with; none if it asks for more than any copy of ours does.
    fn cipher(&self, passphrase: &str) -> Option<XChaCha20Poly1305> {
        if self.memory_kib > PASSPHRASE_MEMORY_KIB_MAX || self.passes > PASSPHRASE_PASSES_MAX {
            return None;
        }
        let parameters = Params::new(self.memory_kib, self.passes, 1, Some(32)).ok()?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        let mut key = Zeroizing::new([0_u8; 32]);
        argon.hash_password_into(passphrase.as_bytes(), &self.salt, &mut *key).ok()?;
        Some(XChaCha20Poly1305::new(&(*key).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "kettle wander plum ticket";

    #[test]
    fn keys_are_opened_by_their_passphrase_and_nothing_else() {
        let secrets = Secrets::of(&[7; 32]).unwrap();
        let sealed = sealed(&secrets, GOOD).unwrap();
        assert!(!sealed.bytes.windows(8).any(|eight| eight == [7; 8]));
        let opened = |sealed: &Sealed, passphrase: &str| {
            opened(sealed, passphrase).map(|secrets| *secrets.bytes())
        };
        assert_eq!(opened(&sealed, GOOD), Some([7; 32]));
        assert_eq!(opened(&sealed, "kettle wander plum Ticket"), None);
        for changed in [
            Sealed { salt: vec![1; 16], ..sealed.clone() },
            Sealed { passes: PASSPHRASE_PASSES + 1, ..sealed.clone() },
            Sealed { memory_kib: u32::MAX, ..sealed.clone() },
            Sealed { passes: u32::MAX, ..sealed.clone() },
            Sealed { salt: Vec::new(), ..sealed.clone() },
            Sealed { bytes: sealed.bytes[..23].to_vec(), ..sealed.clone() },
            Sealed { bytes: sealed.bytes[..60].to_vec(), ..sealed.clone() },
        ] {
            assert_eq!(opened(&changed, GOOD), None);
        }
    }

    #[test]
    fn what_is_soon_guessed_seals_nothing() {
        let secrets = Secrets::of(&[7; 32]).unwrap();
        assert_eq!(fault(GOOD), None);
        for bad in ["", "Zq7!xWpR", "passwordpassword", "aaaaaaaaaaaaaaaa"] {
            assert!(sealed(&secrets, bad).is_err(), "{bad}");
        }
    }
}
