//! The token of `/s/{token}/…`: claims that only we can have written, in, and their text, out; and
//! back.
//!
//! A token is base64url without padding (RFC 4648, 5) of these bytes; numbers are big-endian:
//!
//! | offset | size | |
//! |---|---|---|
//! | 0 | 1 | version: 1 |
//! | 1 | 1 | id of the key that signed it |
//! | 2 | 4 | when it expires, in seconds since 1970 |
//! | 6 | 4 | the subscriber's number; 0 = nobody of the registry |
//! | 10 | 8 | the device's session: drawn at random when the token was made |
//! | 18 | | fields |
//! | | 16 | the first half of HMAC-SHA-256 over all of the above (RFC 2104, 5) |
//!
//! A field is its kind (1 byte), the size of its value (1 byte) and its value. Kinds ascend; only
//! patterns may repeat. A field that a reader does not know makes the token unknown to it: all of
//! them narrow what it is good for.
//!
//! There is one text for each token: padding, stray bits and another alphabet are refused. Whether
//! it is garbage, signed by a key that is gone, or was changed, is one and the same answer, given
//! only after the same comparison.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sha2::Sha256;

use super::Scope;
use crate::config::{TOKEN_BYTES_MAX, TOKEN_SIZE_MAX};
use crate::units::UnixTime;

const VERSION: u8 = 1;
const FIELDS_AT: usize = 18;
const MAC_SIZE: usize = 16;

/// Most bits a second that its viewer may be offered: 4 bytes, in thousands.
const FIELD_BITRATE: u8 = 1;
/// Where it may be used from: the size of the prefix, and an address of 4 or 16 bytes.
const FIELD_NETWORK: u8 = 2;
/// A pattern of paths; see `Scope`.
pub(super) const FIELD_RULE: u8 = 3;

/// What a token says of its viewer, scope apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The number of the subscriber; none = somebody whom the registry does not know, who may have
    /// what the scope says.
    pub subscriber: Option<NonZeroU32>,
    /// Tells one device of the subscriber from another.
    pub session: u64,
    /// It is good before this second, and not in it.
    pub expires: UnixTime,
    /// Most that a rendition may take, in kilobits a second.
    pub bitrate_max: Option<u32>,
    /// Where it may be used from.
    pub network: Option<IpNet>,
}

/// A token that was read and found to be ours and good now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'t> {
    /// Whose it is.
    pub claims: Claims,
    /// What it is good for.
    pub scope: Scope<'t>,
    /// The mark of the key that signed it; see `Keys::has`.
    pub key: u32,
}

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It is none of ours.
    Unknown,
    /// It was good before this second.
    Expired(UnixTime),
    /// It is good in another network.
    Elsewhere,
    /// Its session was revoked.
    Revoked,
}

/// Set in the session of a token that came of somebody else's: that one may be good for longer than
/// any of ours, and is exchanged again.
pub const EXCHANGED: u64 = 1 << 63;

/// Claims that don't fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// The text would be longer than `TOKEN_SIZE_MAX`, or a pattern longer than 255 bytes.
    TooLong,
    /// It expires after the year 2106.
    TooLate,
}

/// A key that signs tokens. Its secret is not to be seen.
#[derive(Clone)]
pub struct Key {
    id: u8,
    /// Tells this key from every other one, also from that of the same id in another epoch.
    mark: u32,
    /// Primed with the key, so that a token costs what its own bytes cost.
    primed: Hmac<Sha256>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl Key {
    /// The key of this id. A registry that is restored from a backup is in another epoch: what was
    /// signed before is unknown from then on.
    #[must_use]
    pub fn new(id: u8, secret: &[u8; 32], epoch: u32) -> Self {
        // A secret of the registry is never used as it is: this use of it has a name of its own.
        let derived = keyed(secret)
            .chain_update(b"shardcast viewer token\0")
            .chain_update(epoch.to_be_bytes())
            .finalize();
        let primed = keyed(&derived.into_bytes());
        let mark = primed.clone().chain_update(b"mark").chain_update([id]).finalize().into_bytes();
        // None is 0, which is what a permit without a key has.
        let mark = u32::from_be_bytes([mark[0], mark[1], mark[2], mark[3]]).max(1);
        Self { id, mark, primed }
    }

    /// What it is called in a token.
    #[must_use]
    pub fn id(&self) -> u8 {
        self.id
    }

    /// What tells it from all others.
    #[must_use]
    pub fn mark(&self) -> u32 {
        self.mark
    }

    fn over(&self, signed: &[u8]) -> Hmac<Sha256> {
        self.primed.clone().chain_update(signed)
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("HMAC takes keys of every size")
}

/// A token without its MAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// Of its key.
    pub mark: u32,
    /// What it says, in base64url.
    pub says: String,
}

/// The keys that are live: the one that signs, and the one that did before it.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// What is signed now.
    pub current: Option<Key>,
    /// What was signed before, until it has expired.
    pub previous: Option<Key>,
}

impl Keys {
    /// Whether one of them has this mark.
    #[must_use]
    pub fn has(&self, mark: u32) -> bool {
        self.current.iter().chain(&self.previous).any(|key| key.mark == mark)
    }

    /// What tells the key that a token says it is signed with, which has been verified, from all
    /// others, also from those that had its id or will have it.
    #[must_use]
    pub fn mark_of(&self, text: &str) -> Option<u32> {
        Some(self.of(key_of(text)?)?.mark)
    }

    /// A token of one of them without what makes it good: this may be kept where a token may not.
    #[must_use]
    pub fn unsigned(&self, text: &str) -> Option<Unsigned> {
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.truncate(bytes.len().checked_sub(MAC_SIZE)?);
        Some(Unsigned { mark: self.mark_of(text)?, says: URL_SAFE_NO_PAD.encode(bytes) })
    }

    /// The same token again; none = its key is gone.
    #[must_use]
    pub fn signed(&self, unsigned: &Unsigned) -> Option<String> {
        let mut bytes = URL_SAFE_NO_PAD.decode(&unsigned.says).ok()?;
        let key = self.of(*bytes.get(1)?).filter(|key| key.mark == unsigned.mark)?;
        let mac = key.over(&bytes).finalize().into_bytes();
        bytes.extend(&mac[..MAC_SIZE]);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    fn of(&self, id: u8) -> Option<&Key> {
        self.current.iter().chain(&self.previous).find(|key| key.id == id)
    }
}

/// The id of the key that a token says it is signed with.
fn key_of(text: &str) -> Option<u8> {
    let mut bytes = [0; 3];
    let read = URL_SAFE_NO_PAD.decode_slice(text.get(..4)?, &mut bytes).ok()?;
    bytes.get(..read)?.get(1).copied()
}

/// The text of a token.
///
/// # Errors
///
/// `Unwritable`, if the claims don't fit.
pub fn sealed(claims: &Claims, rules: &[&str], key: &Key) -> Result<String, Unwritable> {
    let mut fields = Vec::new();
    let mut field = |kind: u8, value: &[u8]| -> Result<(), Unwritable> {
        let size = u8::try_from(value.len()).map_err(|_| Unwritable::TooLong)?;
        fields.extend([kind, size]);
        fields.extend(value);
        Ok(())
    };
    if let Some(kilobits) = claims.bitrate_max {
        field(FIELD_BITRATE, &kilobits.to_be_bytes())?;
    }
    match claims.network {
        Some(IpNet::V4(network)) => {
            field(FIELD_NETWORK, &with_prefix(network.prefix_len(), &network.network().octets()))?;
        }
        Some(IpNet::V6(network)) => {
            field(FIELD_NETWORK, &with_prefix(network.prefix_len(), &network.network().octets()))?;
        }
        None => {}
    }
    for rule in rules {
        field(FIELD_RULE, rule.as_bytes())?;
    }
    signed(claims, &fields, key)
}

/// Size of a token without fields, in base64url.
const PLAIN_SIZE: usize = ((FIELDS_AT + MAC_SIZE) * 4).div_ceil(3);

/// The text of a token without fields, which is written without allocating.
#[derive(Clone, Copy)]
pub struct Plain([u8; PLAIN_SIZE]);

impl Plain {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.0
    }
}

/// The token of these claims, of which a bit rate and a network are no part; none = it expires
/// after the year 2106.
#[must_use]
pub fn plain(claims: &Claims, key: &Key) -> Option<Plain> {
    let (mut bytes, mut text) = ([0; FIELDS_AT + MAC_SIZE], [0; PLAIN_SIZE]);
    let expires = u32::try_from(claims.expires.0).ok()?;
    bytes[..2].copy_from_slice(&[VERSION, key.id]);
    bytes[2..6].copy_from_slice(&expires.to_be_bytes());
    bytes[6..10].copy_from_slice(&claims.subscriber.map_or(0, NonZeroU32::get).to_be_bytes());
    bytes[10..FIELDS_AT].copy_from_slice(&claims.session.to_be_bytes());
    let mac = key.over(&bytes[..FIELDS_AT]).finalize().into_bytes();
    bytes[FIELDS_AT..].copy_from_slice(&mac[..MAC_SIZE]);
    let size = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).ok()?;
    (size == PLAIN_SIZE).then_some(Plain(text))
}

/// The text of a token with these fields, signed.
pub(super) fn signed(claims: &Claims, fields: &[u8], key: &Key) -> Result<String, Unwritable> {
    let expires = u32::try_from(claims.expires.0).map_err(|_| Unwritable::TooLate)?;
    let subscriber = claims.subscriber.map_or(0, NonZeroU32::get);
    let mut bytes = vec![VERSION, key.id];
    bytes.extend(expires.to_be_bytes());
    bytes.extend(subscriber.to_be_bytes());
    bytes.extend(claims.session.to_be_bytes());
    bytes.extend(fields);
    let mac = key.over(&bytes).finalize().into_bytes();
    bytes.extend(&mac[..MAC_SIZE]);
    let text = URL_SAFE_NO_PAD.encode(bytes);
    if text.len() > TOKEN_SIZE_MAX { Err(Unwritable::TooLong) } else { Ok(text) }
}

fn with_prefix(prefix: u8, address: &[u8]) -> Vec<u8> {
    [&[prefix], address].concat()
}

/// What a token says that is good now; see `verified` and `Claims::hold`.
///
/// # Errors
///
/// A `Denial`.
pub fn opened<'s>(
    text: &str,
    keys: &Keys,
    peer: &dyn Fn() -> Option<IpAddr>,
    now: UnixTime,
    scratch: &'s mut [u8; TOKEN_BYTES_MAX],
) -> Result<Token<'s>, Denial> {
    let token = verified(text, keys, scratch)?;
    token.claims.hold(peer, now)?;
    Ok(token)
}

/// What a token of ours says, whether or not it is good now. `scratch` takes its bytes.
///
/// # Errors
///
/// `Unknown`. What it says is looked at only once it is known to be ours.
pub fn verified<'s>(
    text: &str,
    keys: &Keys,
    scratch: &'s mut [u8; TOKEN_BYTES_MAX],
) -> Result<Token<'s>, Denial> {
    if text.len() > TOKEN_SIZE_MAX {
        return Err(Denial::Unknown);
    }
    let size = URL_SAFE_NO_PAD.decode_slice(text, scratch).map_err(|_| Denial::Unknown)?;
    let bytes: &'s [u8] = &scratch[..size];
    let (signed, mac) = bytes.split_last_chunk::<MAC_SIZE>().ok_or(Denial::Unknown)?;
    let (head, fields) = signed.split_first_chunk::<FIELDS_AT>().ok_or(Denial::Unknown)?;
    let key = keys.of(head[1]).filter(|_| head[0] == VERSION).ok_or(Denial::Unknown)?;
    key.over(signed).verify_truncated_left(mac).map_err(|_| Denial::Unknown)?;
    said(head, fields, key.mark).ok_or(Denial::Unknown)
}

impl Claims {
    /// Whether a token that says this is good now. Only of one that is bound to a network it is
    /// asked where it comes from.
    ///
    /// # Errors
    ///
    /// `Expired`, `Elsewhere`.
    pub fn hold(&self, peer: &dyn Fn() -> Option<IpAddr>, now: UnixTime) -> Result<(), Denial> {
        if now >= self.expires {
            return Err(Denial::Expired(self.expires));
        }
        match self.network {
            Some(network) if !peer().is_some_and(|peer| is_in(network, peer)) => {
                Err(Denial::Elsewhere)
            }
            _ => Ok(()),
        }
    }
}

/// Whether an address lies in a network. One of IPv4 that came over an IPv6 socket is one of IPv4.
pub(super) fn is_in(network: IpNet, peer: IpAddr) -> bool {
    network.contains(&peer.to_canonical())
}

/// What signed bytes say; none where this version does not know all of it.
fn said<'s>(head: &[u8; FIELDS_AT], fields: &'s [u8], key: u32) -> Option<Token<'s>> {
    let (expires, rest) = head[2..].split_first_chunk().expect("16 bytes");
    let (subscriber, rest) = rest.split_first_chunk().expect("12 bytes");
    let session = rest.first_chunk().expect("8 bytes");
    let mut claims = Claims {
        subscriber: NonZeroU32::new(u32::from_be_bytes(*subscriber)),
        session: u64::from_be_bytes(*session),
        expires: UnixTime(u64::from(u32::from_be_bytes(*expires))),
        bitrate_max: None,
        network: None,
    };
    let (mut before, mut size) = (0, 0);
    for field in Fields(fields) {
        if field.kind < before || (field.kind == before && field.kind != FIELD_RULE) {
            return None;
        }
        match field.kind {
            FIELD_BITRATE => {
                claims.bitrate_max = Some(u32::from_be_bytes(field.value.try_into().ok()?));
            }
            FIELD_NETWORK => claims.network = Some(network(field.value)?),
            FIELD_RULE => {}
            _ => return None,
        }
        before = field.kind;
        size += 2 + field.value.len();
    }
    // A last field that is cut short is not among them.
    (size == fields.len()).then_some(Token { claims, scope: Scope::of(fields), key })
}

fn network(value: &[u8]) -> Option<IpNet> {
    let (&prefix, address) = value.split_first()?;
    if let Ok(octets) = <[u8; 4]>::try_from(address) {
        return Ipv4Net::new(octets.into(), prefix).ok().map(IpNet::V4);
    }
    let octets = <[u8; 16]>::try_from(address).ok()?;
    Ipv6Net::new(octets.into(), prefix).ok().map(IpNet::V6)
}

/// One field.
pub(super) struct Field<'t> {
    /// What it is.
    pub(super) kind: u8,
    /// What it says.
    pub(super) value: &'t [u8],
}

/// The fields of a token, up to the first that is cut short.
pub(super) struct Fields<'t>(pub(super) &'t [u8]);

impl<'t> Iterator for Fields<'t> {
    type Item = Field<'t>;

    fn next(&mut self) -> Option<Field<'t>> {
        let (&[kind, size], rest) = self.0.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::from(size))?;
        self.0 = rest;
        Some(Field { kind, value })
    }
}

#[cfg(test)]
mod tests;
