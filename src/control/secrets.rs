//! `<state>/secrets.key`: the one secret that is not in the registry, and what is made of it.
//!
//! 32 random bytes, made once, for the server's user alone. Nobody uses them as they are: each use
//! has a label, and a key of its own that HMAC-SHA-256 derives from it. What must be read again,
//! such as the secret of a second factor, is sealed with such a key (XChaCha20-Poly1305, a random
//! nonce each time) before it goes into the registry, so that a copy of the database tells nothing
//! of it. Without the file, or with another one, what was sealed can't be read again.

use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::key_file::{self, SIZE};

const NAME: &str = "secrets.key";

/// Size of a nonce, in bytes: so large that random ones never meet.
const NONCE_SIZE: usize = 24;

/// What the file holds.
#[derive(Clone)]
pub struct Secrets([u8; SIZE]);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Those of a state folder, made if there are none.
    ///
    /// # Errors
    ///
    /// The file can't be made or read, or is not whole.
    pub fn open(state: &Path) -> io::Result<Self> {
        let why = |error: io::Error| {
            let path = state.join(NAME);
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        key_file::read_or_made(state, NAME).map(Self).map_err(why)
    }

    /// Those that these bytes are; none if there are more or fewer.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// All that the file holds.
    pub(super) fn bytes(&self) -> &[u8; SIZE] {
        &self.0
    }

    /// The key of a use.
    #[must_use]
    pub fn key(&self, label: &str) -> [u8; SIZE] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(label.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// What is secret, as a text that may lie in the registry. `whose` says where it belongs: it
    /// is opened only there.
    ///
    /// # Errors
    ///
    /// No nonce can be drawn.
    pub fn sealed(&self, label: &str, whose: &str, secret: &[u8]) -> io::Result<String> {
        let mut sealed = [0; NONCE_SIZE].to_vec();
        getrandom::fill(&mut sealed).map_err(io::Error::other)?;
        let nonce = XNonce::try_from(&sealed[..]).expect("it has the size of one");
        let payload = Payload { msg: secret, aad: whose.as_bytes() };
        let cipher = XChaCha20Poly1305::new(&self.key(label).into());
        let text = cipher.encrypt(&nonce, payload).map_err(|_| io::Error::other("it is too long"));
        sealed.extend(text?);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What was sealed; none if it was not, or not with this label, for this place, with this file.
    #[must_use]
    pub fn opened(&self, label: &str, whose: &str, sealed: &str) -> Option<Vec<u8>> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE_SIZE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        let payload = Payload { msg: text, aad: whose.as_bytes() };
        XChaCha20Poly1305::new(&self.key(label).into()).decrypt(&nonce, payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_has_a_key_of_its_own() {
        let state = tempfile::tempdir().unwrap();
        let first = Secrets::open(state.path()).unwrap();
        let second = Secrets::open(state.path()).unwrap();
        assert_eq!(first.key("a"), second.key("a"));
        assert_ne!(first.key("a"), first.key("b"));
        assert_ne!(first.key("a"), first.0);
        assert_eq!(format!("{first:?}"), "Secrets");
        std::fs::write(state.path().join(NAME), [7; 31]).unwrap();
        let why = Secrets::open(state.path()).unwrap_err().to_string();
        assert!(why.ends_with("secrets.key: this is no key: one has 32 bytes"), "{why}");
    }

    #[test]
    fn what_was_sealed_is_opened_where_it_belongs_and_nowhere_else() {
        let secrets = Secrets([7; SIZE]);
        let sealed = secrets.sealed("factor", "anna", b"secret").unwrap();
        assert_eq!(secrets.opened("factor", "anna", &sealed).as_deref(), Some(&b"secret"[..]));
        assert_ne!(secrets.sealed("factor", "anna", b"secret").unwrap(), sealed);
        assert_eq!(secrets.opened("factor", "bela", &sealed), None);
        assert_eq!(secrets.opened("other", "anna", &sealed), None);
        assert_eq!(Secrets([8; SIZE]).opened("factor", "anna", &sealed), None);
        for size in 0..sealed.len() {
            assert_eq!(secrets.opened("factor", "anna", &sealed[..size]), None, "{size}");
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for index in 0..bytes.len() {
            bytes[index] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(&bytes);
            assert_eq!(secrets.opened("factor", "anna", &changed), None, "{index}");
            bytes[index] ^= 1;
        }
    }
}
