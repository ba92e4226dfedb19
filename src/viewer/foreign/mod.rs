//! Tokens of others: what a request carries and the keys of a section in, what it is good for out;
//! or why it is good for nothing.
//!
//! ```text
//! carrier → secure_link | edge_auth | cat | jwt (→ key) → what it says → paths → Verified
//! ```
//!
//! Each kind has a file of its name, which looks at the signature first and then reads what was
//! signed. What all of them have in common is judged here, once: times, networks, paths. A token
//! that says something which we can't keep is good for nothing, and one that says more than we can
//! write down is good for less. No clock, no file: keys, the address and `now` are arguments.

pub mod carrier;
pub mod key;
mod paths;
mod secure_link;
mod edge_auth;
mod jwt;
mod cat;
mod uri;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;
use sha2::{Digest as _, Sha256};

use self::key::Key;
use super::rights::Bar;
use super::token::{EXCHANGED, is_in};
use crate::config::foreign::{Kind, Section};
use crate::units::UnixTime;

/// What a request shows of itself.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The token, as it stands in the request.
    pub text: String,
    /// The path, decoded, without the token.
    pub path: String,
    /// The same, as it stands in the request.
    pub raw: String,
    /// The query, as it stands in the request.
    pub query: String,
    /// What it takes the server for.
    pub host: String,
    /// Where it comes from.
    pub peer: Option<IpAddr>,
}

/// What a token is good for: no more than it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The subscriber's id; none = nobody of the registry.
    pub subject: Option<String>,
    /// Stands for its session, if it names one, else for the token itself: the same again for the
    /// same again.
    pub session: u64,
    /// Patterns of paths as a `Scope` has them; none = all.
    pub scope: Vec<String>,
    /// It is good before this second, and not in it; none = it says nothing of that.
    pub expires: Option<UnixTime>,
    /// Where it may be used from.
    pub network: Option<IpNet>,
}

/// Why a token is good for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// None of our keys has signed it, or it can't be read.
    Unknown,
    /// It is good later.
    Early,
    /// It was good once.
    Expired,
    /// It is good in another network.
    Elsewhere,
    /// It is good for something else.
    OutOfScope,
    /// It is signed, and lacks what we need, or says what we can't keep.
    Unfit,
    /// Its session was revoked.
    Revoked,
}

/// Why a request with a token of others does not get one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexchanged {
    /// There is none after all.
    Missing,
    /// It is not good.
    Token(Denied),
    /// Its subscriber, of this number if there is one, may watch nothing.
    Subscriber(Option<NonZeroU32>, Bar),
    /// The address with one of ours would be too long.
    TooLong,
    /// Too many ask, or somebody asks too much.
    Busy,
}

/// What a token says, known to be signed.
#[derive(Clone, Debug, Default)]
struct Said {
    subject: Option<String>,
    session: Option<String>,
    /// Patterns of paths.
    scope: Vec<String>,
    /// It is good from this second on,
    begins: u64,
    /// and before this one.
    expires: Option<u64>,
    network: Option<IpNet>,
    /// What tells this token from all others: of what is signed, never of how it is written.
    identity: Vec<u8>,
}

/// What verifies the tokens of one section.
pub struct Verifier {
    section: Section,
    keys: Vec<Key>,
    /// Of EdgeAuth.
    salt: Option<Vec<u8>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", self.section.name)
    }
}

impl Verifier {
    /// Of a section and what stands in its files: those of its keys, in their order, and of the
    /// salt.
    ///
    /// # Errors
    ///
    /// What is wrong with a key, for the operator.
    pub fn new(section: Section, files: &[Vec<u8>], salt: Option<&[u8]>) -> Result<Self, String> {
        let keys = section.keys.iter().zip(files);
        let keys = keys.map(|(key, file)| Key::read(section.kind, key, file));
        let keys = keys.collect::<Result<_, _>>()?;
        let salt = salt.map(|salt| key::without_line_end(salt).to_vec());
        Ok(Self { section, keys, salt })
    }

    /// What the config says of it.
    #[must_use]
    pub fn section(&self) -> &Section {
        &self.section
    }

    /// Whether it takes long: a public key may have to be asked.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.section.keys.iter().any(|key| key.algorithm.is_public())
    }

    /// What the token of a request is good for now.
    ///
    /// # Errors
    ///
    /// `Denied`.
    pub fn verified(&self, presented: &Presented, now: UnixTime) -> Result<Verified, Denied> {
        let said = match self.section.kind {
            Kind::SecureLink => secure_link::said(&self.section, &self.keys, presented),
            Kind::SecureLinkSecret => {
                secure_link::said_in_path(&self.section, &self.keys, presented)
            }
            Kind::EdgeAuth => {
                edge_auth::said(&self.section, &self.keys, self.salt.as_deref(), presented)
            }
            Kind::Cat => cat::said(&self.section, &self.keys, presented),
            Kind::Jwt => jwt::said(&self.section, &self.keys, presented),
        };
        self.judged(said?, presented, now)
    }

    /// What claims are worth that somebody signed, of the kinds that have some.
    #[cfg(any(test, fuzzing))]
    pub fn claimed(&self, claims: &[u8], presented: &Presented) -> Option<Verified> {
        let said = match self.section.kind {
            Kind::Cat => cat::claimed(claims, &self.section, presented),
            Kind::Jwt => jwt::claimed(claims, &self.section),
            _ => return None,
        };
        self.judged(said.ok()?, presented, UnixTime(1)).ok()
    }

    /// Whether what a token says holds for this request.
    fn judged(&self, said: Said, presented: &Presented, now: UnixTime) -> Result<Verified, Denied> {
        if said.expires.is_some_and(|expires| now.0 >= expires) {
            return Err(Denied::Expired);
        }
        if now.0 < said.begins {
            return Err(Denied::Early);
        }
        if let Some(network) = said.network
            && !presented.peer.is_some_and(|peer| is_in(network, peer))
        {
            return Err(Denied::Elsewhere);
        }
        let scope = paths::fitted(&said.scope, &self.section.path, &presented.path)?;
        if self.section.subject.is_some() && said.subject.is_none() {
            return Err(Denied::Unfit);
        }
        Ok(Verified {
            session: self.session(said.session.as_deref(), &said.identity),
            subject: said.subject,
            scope,
            expires: said.expires.map(UnixTime),
            network: said.network,
        })
    }

    fn session(&self, session: Option<&str>, identity: &[u8]) -> u64 {
        match session {
            Some(session) => session_of(&self.section.name, session),
            None => hashed(&self.section.name, b't', identity),
        }
    }
}

/// What stands for a session that tokens of a section name.
#[must_use]
pub fn session_of(section: &str, session: &str) -> u64 {
    hashed(section, b's', session.as_bytes())
}

fn hashed(section: &str, kind: u8, of: &[u8]) -> u64 {
    let hash = Sha256::new()
        .chain_update(b"shardcast foreign session\0")
        .chain_update(section.as_bytes())
        .chain_update([0, kind])
        .chain_update(of)
        .finalize();
    u64::from_be_bytes(*hash.first_chunk().expect("32 bytes")) | EXCHANGED
}

/// A time in the text of a token: digits, and nothing else.
fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// One address as a network.
fn only(address: IpAddr) -> IpNet {
    IpNet::from(address.to_canonical())
}
