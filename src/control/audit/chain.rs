//! The chain: what an entry says, as bytes, and the MAC that binds it to the one before it.
//!
//! Pure: entries and a key in, MACs out. `mac(n) = HMAC-SHA-256(key, entry n ‖ mac(n - 1))`, and in
//! front of the first there are 32 zero bytes. Without the key nobody can write an entry, change
//! one, take one out or swap two, and have the rest fit.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::control::idempotency::Once;

/// Size of a key, in bytes.
pub const KEY_SIZE: usize = 32;

/// What a key makes of an entry and all those before it.
#[derive(Clone, Copy, Debug)]
pub struct Mac(pub [u8; 32]);

impl Mac {
    /// In front of the first entry.
    pub const START: Self = Self([0; 32]);

    /// Whether they are the same; it takes as long if they are not.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// What was written where: a keyed hash of an object as an entry's write left it.
pub type Digest = [u8; 16];

/// One entry, as it lies in its row.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'e> {
    /// 1, 2, 3 … without holes.
    pub sequence: u64,
    /// When, in seconds since 1970, by the server's clock.
    pub at: u64,
    /// Who.
    pub actor: &'e str,
    /// From which address, if from any.
    pub peer: Option<&'e str>,
    /// What was done.
    pub deed: &'e str,
    /// What it was done to.
    pub kind: &'e str,
    /// Its name.
    pub id: &'e str,
    /// The revision that this made, if it made one.
    pub revision: Option<u64>,
    /// The object as it was then; none = there was none any more.
    pub digest: Option<&'e [u8]>,
    /// More about it, as JSON.
    pub details: Option<&'e str>,
}

/// The newest entry, or one that was it: all before it follow from it.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Its number; 0 = there is none yet.
    pub sequence: u64,
    /// Its MAC.
    pub mac: Mac,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, hex(&self.mac.0))
    }
}

impl FromStr for Head {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write SEQUENCE:MAC, as the server's log has it: 17:5f… with 64 digits";
        let (sequence, mac) = text.split_once(':').ok_or(wrong)?;
        let is_hex = mac.len() == 64 && mac.bytes().all(|one| one.is_ascii_hexdigit());
        let is_number = !sequence.is_empty() && sequence.bytes().all(|one| one.is_ascii_digit());
        if !is_hex || !is_number {
            return Err(wrong);
        }
        let mut bytes = [0; 32];
        for (byte, index) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&mac[index..index + 2], 16).map_err(|_| wrong)?;
        }
        Ok(Self { sequence: sequence.parse().map_err(|_| wrong)?, mac: Mac(bytes) })
    }
}

/// Bytes as people and logs have them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key of a chain, ready for use.
#[derive(Clone)]
pub struct Key {
    primed: Hmac<Sha256>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// What is hashed, field by field: each has its size in front of it, so that none can lend bytes to
/// the next.
struct Hashing(Hmac<Sha256>);

impl Hashing {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn number(mut self, number: u64) -> Self {
        self.0.update(&number.to_be_bytes());
        self
    }

    fn maybe<T>(mut self, value: Option<T>, with: impl FnOnce(Self, T) -> Self) -> Self {
        self.0.update(&[u8::from(value.is_some())]);
        match value {
            Some(value) => with(self, value),
            None => self,
        }
    }

    fn end(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }

    fn digest(self) -> Digest {
        let all = self.end();
        let mut first = [0; 16];
        first.copy_from_slice(&all[..16]);
        first
    }
}

impl Key {
    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; KEY_SIZE]) -> Self {
        let primed = Hmac::new_from_slice(bytes).expect("HMAC takes keys of every size");
        Self { primed }
    }

    /// Begins to hash something of this kind: of another kind the same bytes are something else.
    fn over(&self, what: &str) -> Hashing {
        Hashing(self.primed.clone()).bytes(what.as_bytes())
    }

    /// What the key may be called: it tells nothing of it.
    #[must_use]
    pub fn name(&self) -> String {
        hex(&self.over("shardcast audit key").digest())
    }

    /// The MAC of an entry behind the one that has this.
    #[must_use]
    pub fn mac(&self, entry: &Entry<'_>, before: &Mac) -> Mac {
        let hashing = self
            .over("shardcast audit entry 1")
            .number(entry.sequence)
            .number(entry.at)
            .bytes(entry.actor.as_bytes())
            .maybe(entry.peer, |hashing, peer| hashing.bytes(peer.as_bytes()))
            .bytes(entry.deed.as_bytes())
            .bytes(entry.kind.as_bytes())
            .bytes(entry.id.as_bytes())
            .maybe(entry.revision, Hashing::number)
            .maybe(entry.digest, Hashing::bytes)
            .maybe(entry.details, |hashing, details| hashing.bytes(details.as_bytes()));
        Mac(hashing.bytes(&before.0).end())
    }

    /// An object as it is written: its number and its document.
    #[must_use]
    pub fn object(&self, kind: &str, id: &str, number: Option<u32>, document: &str) -> Digest {
        let hashing = self.over("shardcast object").bytes(kind.as_bytes()).bytes(id.as_bytes());
        hashing.maybe(number.map(u64::from), Hashing::number).bytes(document.as_bytes()).digest()
    }

    /// A request that is done once.
    #[must_use]
    pub fn request(&self, once: &Once) -> Digest {
        let hashing = self.over("shardcast request").bytes(once.path.as_bytes());
        hashing.bytes(&once.body).digest()
    }

    /// An object's name, as short as that of any other.
    #[must_use]
    pub fn place(&self, kind: &str, id: &str) -> Digest {
        self.over("shardcast place").bytes(kind.as_bytes()).bytes(id.as_bytes()).digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: Entry<'_> = Entry {
        sequence: 7,
        at: 1_800_000_000,
        actor: "local:0",
        peer: None,
        deed: "create",
        kind: "plan",
        id: "gold",
        revision: Some(3),
        digest: Some(&[1; 16]),
        details: None,
    };

    #[test]
    fn the_mac_is_the_same_everywhere() {
        // Computed with Python's hmac: whoever changes the bytes makes older chains unreadable.
        let mac = Key::new(&[7; 32]).mac(&ENTRY, &Mac::START);
        assert_eq!(hex(&mac.0), "b86195c3308cfca670b9043f2c658836307bbc1a3e7c265c15b96a1895245a7c");
        assert_eq!(Key::new(&[7; 32]).name(), "a4021cf2f10a955f9edad9e8e59adf10");
    }

    #[test]
    fn whatever_is_changed_changes_the_mac() {
        let key = Key::new(&[7; 32]);
        let whole = key.mac(&ENTRY, &Mac::START);
        assert!(whole.is(&key.mac(&ENTRY, &Mac::START)));
        for other in [
            Entry { sequence: 8, ..ENTRY },
            Entry { at: 1, ..ENTRY },
            Entry { actor: "local:1", ..ENTRY },
            Entry { peer: Some("192.0.2.1"), ..ENTRY },
            Entry { peer: Some(""), ..ENTRY },
            Entry { deed: "change", ..ENTRY },
            Entry { kind: "plang", id: "old", ..ENTRY },
            Entry { id: "silver", ..ENTRY },
            Entry { revision: None, ..ENTRY },
            Entry { digest: Some(&[1; 15]), ..ENTRY },
            Entry { digest: None, ..ENTRY },
            Entry { details: Some("{}"), ..ENTRY },
        ] {
            assert!(!whole.is(&key.mac(&other, &Mac::START)), "{other:?}");
        }
        assert!(!whole.is(&key.mac(&ENTRY, &Mac([1; 32]))));
        assert!(!whole.is(&Key::new(&[8; 32]).mac(&ENTRY, &Mac::START)));
    }

    #[test]
    fn an_object_is_known_by_all_that_it_is() {
        let key = Key::new(&[7; 32]);
        let object = key.object("plan", "gold", None, "{}");
        assert_eq!(object, key.object("plan", "gold", None, "{}"));
        for other in [
            key.object("plan", "gold", Some(0), "{}"),
            key.object("plan", "gol", None, "d{}"),
            key.object("plan", "gold", None, "{ }"),
            key.place("plan", "gold"),
        ] {
            assert_ne!(object, other);
        }
    }

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let head = Head { sequence: 17, mac: Mac([0xab; 32]) };
        let text = head.to_string();
        assert_eq!(text, format!("17:{}", "ab".repeat(32)));
        assert_eq!(text.parse::<Head>().map(|head| head.to_string()), Ok(text.clone()));
        for wrong in ["", "17", "17:", "17:ab", ":ab", &text[1..][..65], &format!("+{text}")] {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
        assert!(text.replace("abab", "ab€").parse::<Head>().is_err());
        assert!(format!("99999999999999999999{}", &text[2..]).parse::<Head>().is_err());
    }
}
