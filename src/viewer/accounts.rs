//! What subscribers' apps sign in with, as shards know it: a hash of user and password in, whose it
//! is out.
//!
//! Made in control of the registry, and handed to shards as one immutable value, like `Rights`. The
//! hash is looked up as a whole, so an unknown user and a wrong password go one way and take one
//! time. What has changed lies apart from the settled rest, which a newer value shares.
//!
//! The settled ones are an array in the order of their hashes with the place where each run of
//! first bits begins: 24 bytes an entry, half a byte of places, and a few cache lines a look-up.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use ahash::AHashMap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::session::network;
use super::token::EXCHANGED;
use crate::config::{APP_PASSWORDS_MAX, SESSION_AGENT_SIZE_MAX};

/// Hashes user names with passwords, and draws the sessions of devices. Its key is not to be seen.
#[derive(Clone)]
pub struct Hasher {
    /// Primed with the key, so that a hash costs what its own bytes cost.
    primed: Hmac<Sha256>,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// Stands for a user name with a password: the first half of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Credential(u64, u64);

impl Credential {
    /// The first half of a whole hash.
    #[must_use]
    pub fn of(hash: &[u8; 32]) -> Self {
        let word =
            |at: usize| hash[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        Self(word(0), word(8))
    }
}

/// Who starts something, and from where: what makes it the same device.
#[derive(Clone, Copy, Debug)]
pub struct Device<'r> {
    /// Whose app it is, and which password it has.
    pub login: Login,
    /// Where it is.
    pub peer: Option<IpAddr>,
    /// What it says of itself.
    pub agent: &'r [u8],
}

impl Hasher {
    /// With this key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self { primed: Hmac::new_from_slice(key).expect("any size is a key") }
    }

    /// The whole hash of a user name with a password.
    #[must_use]
    pub fn hash(&self, user: &str, password: &str) -> [u8; 32] {
        // A user name has no NUL in it, so no two pairs are the same text.
        let text = [user.as_bytes(), b"\0", password.as_bytes()];
        let mac = text.iter().fold(self.primed.clone(), |mac, bytes| mac.chain_update(bytes));
        mac.finalize().into_bytes().into()
    }

    /// The session of a device's token: the same one as long as it stays where it is and what it
    /// is, also over a restart. `turn` counts those that were revoked before.
    #[must_use]
    pub fn session(&self, device: &Device<'_>, turn: u8) -> u64 {
        let Device { login, peer, agent } = *device;
        let agent = &agent[..agent.len().min(SESSION_AGENT_SIZE_MAX)];
        let mut place = [0; 17];
        match peer.map(network) {
            Some(IpAddr::V4(address)) => {
                place[0] = 4;
                place[1..5].copy_from_slice(&address.octets());
            }
            Some(IpAddr::V6(address)) => {
                place[0] = 6;
                place[1..].copy_from_slice(&address.octets());
            }
            None => {}
        }
        // No user name begins with NUL, so this is no hash of a password.
        let mac = self
            .primed
            .clone()
            .chain_update(b"\0device")
            .chain_update([login.which, turn])
            .chain_update(login.subscriber.get().to_be_bytes())
            .chain_update(place)
            .chain_update(agent);
        Credential::of(&mac.finalize().into_bytes().into()).0 & !EXCHANGED
    }
}

/// Whose a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    /// The subscriber's number.
    pub subscriber: NonZeroU32,
    /// Which of the subscriber's it is, in the order in which they were given.
    pub which: u8,
}

/// Bits of a tag that say which of a subscriber's it is.
const WHICH_BITS: u32 = 4;
const _: () = assert!(APP_PASSWORDS_MAX <= 1 << WHICH_BITS, "each has a number");

/// Stands for a user's name where entries are taken out again: two names in 268 million have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(u32);

impl Tag {
    /// Of a hash of the name.
    #[must_use]
    pub fn of(hash: u64) -> Self {
        Self((hash >> (32 + WHICH_BITS)) as u32)
    }
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    credential: Credential,
    subscriber: NonZeroU32,
    /// The tag of the name, and which one it is.
    tag: u32,
}

impl Entry {
    /// What is said by this credential.
    #[must_use]
    pub fn new(credential: Credential, login: Login, tag: Tag) -> Self {
        let tag = tag.0 << WHICH_BITS | u32::from(login.which) & ((1 << WHICH_BITS) - 1);
        Self { credential, subscriber: login.subscriber, tag }
    }

    /// What it is found by.
    #[must_use]
    pub fn credential(&self) -> Credential {
        self.credential
    }

    /// Whose it is.
    #[must_use]
    pub fn login(&self) -> Login {
        let which = (self.tag & ((1 << WHICH_BITS) - 1)) as u8;
        Login { subscriber: self.subscriber, which }
    }

    fn tag(&self) -> Tag {
        Tag(self.tag >> WHICH_BITS)
    }
}

/// Entries of a run: few enough for two cache lines.
const RUN: usize = 4;

/// Entries in the order of their credentials.
#[derive(Debug, Default)]
struct Settled {
    entries: Box<[Entry]>,
    /// Where those begin whose first bits are these; one more than there are runs.
    runs: Box<[u32]>,
    /// How far a credential's first word is shifted to give its run.
    shift: u32,
}

impl Settled {
    fn of(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable_by_key(Entry::credential);
        let bits = (entries.len() / RUN).max(1).ilog2() + 1;
        let shift = u64::BITS - bits;
        let mut runs = Vec::with_capacity((1 << bits) + 1);
        for run in 0..1_u64 << bits {
            let begins = runs.last().copied().unwrap_or(0) as usize;
            let before = |entry: &Entry| entry.credential.0 >> shift < run;
            let more = entries[begins..].iter().take_while(|entry| before(entry)).count();
            runs.push(u32::try_from(begins + more).expect("fewer than subscribers have"));
        }
        runs.push(u32::try_from(entries.len()).expect("fewer than subscribers have"));
        Self { entries: entries.into(), runs: runs.into(), shift }
    }

    fn find(&self, credential: Credential) -> Option<&Entry> {
        let run = usize::try_from(credential.0.checked_shr(self.shift)?).ok()?;
        let (begins, ends) = (*self.runs.get(run)?, *self.runs.get(run + 1)?);
        let run = &self.entries[begins as usize..ends as usize];
        // All of them, whichever it is.
        run.iter().fold(None, |found, entry| match entry.credential == credential {
            true => Some(entry),
            false => found,
        })
    }
}

/// What everybody's apps sign in with at a moment.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    hasher: Option<Hasher>,
    /// Most of them, as they were some time ago.
    settled: Arc<Settled>,
    /// Those that have changed since; none = gone.
    recent: Arc<AHashMap<Credential, Option<Entry>>>,
}

/// Changes that are kept apart from the settled ones: so many, and a part of all.
const RECENT_MIN: usize = 1024;
const RECENT_PART: usize = 32;

impl Accounts {
    /// None yet, of hashes with this key.
    #[must_use]
    pub fn new(hasher: Hasher) -> Self {
        Self { hasher: Some(hasher), ..Self::default() }
    }

    /// What hashes; none where there is no key, and so nobody who could sign in.
    #[must_use]
    pub fn hasher(&self) -> Option<&Hasher> {
        self.hasher.as_ref()
    }

    /// Whose a credential is, if it is somebody's.
    #[must_use]
    pub fn find(&self, credential: Credential) -> Option<Login> {
        // Both are looked at, whatever the first says.
        let settled = self.settled.find(credential);
        match self.recent.get(&credential) {
            Some(recent) => recent.as_ref(),
            None => settled,
        }
        .map(Entry::login)
    }

    /// Entries whose user has one of these tags.
    #[must_use]
    pub fn tagged(&self, tags: &[Tag]) -> Vec<(Tag, Entry)> {
        let mut tags = tags.to_vec();
        tags.sort_unstable();
        let is_wanted = |entry: &&Entry| tags.binary_search(&entry.tag()).is_ok();
        let stands = |entry: &&Entry| !self.recent.contains_key(&entry.credential);
        let settled = self.settled.entries.iter().filter(is_wanted).filter(stands);
        let recent = self.recent.values().flatten().filter(is_wanted);
        settled.chain(recent).map(|entry| (entry.tag(), *entry)).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let stands = |credential: &&Credential| self.settled.find(**credential).is_some();
        let over = self.recent.keys().filter(stands).count();
        self.settled.entries.len() - over + self.recent.values().flatten().count()
    }

    /// The same without these, and then with those.
    #[must_use]
    pub fn with(&self, gone: &[Credential], come: &[Entry]) -> Self {
        let limit = RECENT_MIN + self.settled.entries.len() / RECENT_PART;
        let changed = gone.iter().map(|credential| (*credential, None));
        let changed = changed.chain(come.iter().map(|entry| (entry.credential, Some(*entry))));
        if self.recent.len() + gone.len() + come.len() <= limit {
            let mut recent = AHashMap::clone(&self.recent);
            recent.extend(changed);
            return Self { recent: Arc::new(recent), ..self.clone() };
        }
        let recent = self.recent.iter().map(|(credential, entry)| (*credential, *entry));
        let newest: AHashMap<_, _> = recent.chain(changed).collect();
        let stands = |entry: &&Entry| !newest.contains_key(&entry.credential);
        let stay = self.settled.entries.iter().filter(stands).copied();
        let all = stay.chain(newest.values().flatten().copied()).collect();
        Self { settled: Arc::new(Settled::of(all)), recent: Arc::default(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
