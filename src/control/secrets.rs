//! `<state>/secrets.key`: the one secret that is not in the registry, and what is made of it.
//!
//! 32 random bytes, made once, for the server's user alone. Nobody uses them as they are: each use
//! has a label, and a key of its own that HMAC-SHA-256 derives from it. What must be read again,
//! such as the secret of a second factor, is sealed with such a key (XChaCha20-Poly1305, a random
//! nonce each time) before it goes into the registry, so that a copy of the database tells nothing
//! of it. Without the file, or with another one, what was sealed can't be read again.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Size of the secret, and of each key that is derived from it, in bytes.
const SIZE: usize = 32;

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
        let path = state.join("secrets.key");
        if !path.try_exists()? {
            made(state, &path)?;
        }
        let mode = fs::metadata(&path)?.mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            tracing::warn!(path = %path.display(), "others could read it until now");
        }
        let bytes = fs::read(&path)?;
        let why = || io::Error::other(format!("{}: it is not of {SIZE} bytes", path.display()));
        bytes.try_into().map(Self).map_err(|_| why())
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

/// Makes the file, unless somebody else does at the same moment. It has its name only when it is
/// whole and on the disk.
fn made(state: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(state)?;
    let mut secret = [0; SIZE];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let mut number = [0; 4];
    getrandom::fill(&mut number).map_err(io::Error::other)?;
    let beside = state.join(format!(".secrets.key.{:08x}", u32::from_ne_bytes(number)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file.write_all(&secret).and_then(|()| file.sync_all());
    // A link, which never goes over what is there.
    let placed = written.and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        placed => placed,
    });
    let _ = fs::remove_file(&beside);
    placed.and_then(|()| File::open(state)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_is_its_users_alone() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("state");
        let path = folder.join("secrets.key");
        let first = Secrets::open(&folder).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left there");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let second = Secrets::open(&folder).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(first.key("a"), second.key("a"));
        assert_ne!(first.key("a"), first.key("b"));
        assert_ne!(first.key("a"), first.0);
        assert_eq!(format!("{first:?}"), "Secrets");
    }

    #[test]
    fn of_servers_that_start_at_once_all_have_the_same_secret() {
        let state = tempfile::tempdir().unwrap();
        let opened = || Secrets::open(state.path()).unwrap().key("a");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(opened)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused() {
        let state = tempfile::tempdir().unwrap();
        for bytes in [&b""[..], &[7; 31], &[7; 33]] {
            fs::write(state.path().join("secrets.key"), bytes).unwrap();
            let why = Secrets::open(state.path()).unwrap_err().to_string();
            assert!(why.ends_with("secrets.key: it is not of 32 bytes"), "{why}");
        }
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
