//! Tokens of others that are exchanged for ours: what `[[token]]` says, and limits around it.

use std::path::PathBuf;

use super::{ANSWER_LINES_SIZE_MAX, TOKEN_SIZE_MAX};
use crate::units::KIB;

/// Sections `[[token]]`. An operator has a few sellers; beyond it the config is refused.
pub const FOREIGN_SECTIONS_MAX: usize = 16;

/// Keys of one section: the one that signs, those that did or will, and some to spare. Each may be
/// tried with a token that names none. Beyond it the config is refused.
pub const FOREIGN_KEYS_MAX: usize = 8;

/// Names of query parameters under which one section's tokens come. Beyond it the config is
/// refused.
pub const FOREIGN_NAMES_MAX: usize = 8;

/// Sections whose tokens one request may carry. Further ones are not looked at: nobody sends two
/// by accident, and each costs a verification.
pub const FOREIGN_TRIED_MAX: usize = 4;

/// Patterns of paths that are read of one foreign token. One with more is not understood.
pub const FOREIGN_PATTERNS_MAX: usize = 64;

/// Entries of a list, or of a map, that are read of one foreign token, and how deep its CBOR may
/// go. One with more is not understood.
pub const FOREIGN_ENTRIES_MAX: usize = 64;
/// See `FOREIGN_ENTRIES_MAX`.
pub const FOREIGN_DEPTH_MAX: usize = 16;

/// Longest key file, in bytes: a JWK or a PEM has some hundred. A longer one is no key.
pub const FOREIGN_KEY_FILE_SIZE_MAX: u64 = 8 * KIB as u64;

/// Shortest secret of HMAC-SHA-256, in bytes (RFC 7518, 3.2). A key file with less is no key.
pub const FOREIGN_SECRET_SIZE_MIN: usize = 32;

/// Signatures that wait to be verified by the thread that does nothing else. A garbage one costs 60
/// to 90 µs, so the last of these waits for 25 ms. Beyond it who asks is told 503.
pub const FOREIGN_WAITING_MAX: usize = 256;

/// Signatures of others, not good ones, that one address may send at once, and how many more each
/// second. Good ones are given back, since behind one address may be thousands of viewers. Beyond
/// it who asks is told 503, and nothing is verified.
pub const FOREIGN_FAILURES_BURST: u32 = 64;
/// See `FOREIGN_FAILURES_BURST`.
pub const FOREIGN_FAILURES_A_SECOND: u32 = 2;

/// Addresses whose failures are remembered, about 100 bytes each. When it is full those are
/// forgotten that may send as much as a new one; if there are none, new addresses are told 503.
pub const FOREIGN_ADDRESSES_MAX: usize = 16_384;

/// Longest address to which a request is sent on, in bytes: what an answer has room for beside its
/// other lines. Beyond it who asks is told 414, as with any address that is too long.
pub const FOREIGN_LOCATION_SIZE_MAX: usize = ANSWER_LINES_SIZE_MAX - 128;
const _: () =
    assert!(FOREIGN_LOCATION_SIZE_MAX >= 2 * TOKEN_SIZE_MAX, "a token and as long a path");

/// Whose tokens they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx's `secure_link` with `secure_link_md5`.
    SecureLink,
    /// nginx's `secure_link_secret`, where the token is a part of the path.
    SecureLinkSecret,
    /// Akamai's EdgeAuth 2.0.
    EdgeAuth,
    /// The Common Access Token of CTA-5007.
    Cat,
    /// JSON Web Tokens (RFC 7519).
    Jwt,
}

/// How a key is used. A token does not choose: its algorithm is that of the key that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5 of what a secret is a part of, as nginx has it.
    Md5,
    /// HMAC with MD5.
    HmacMd5,
    /// HMAC with SHA-1.
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// EdDSA on Curve25519.
    EdDsa,
}

impl Algorithm {
    /// Whether a public key verifies, which takes a hundred times as long as a secret does.
    #[must_use]
    pub fn is_public(self) -> bool {
        matches!(self, Self::Es256 | Self::EdDsa)
    }
}

impl Kind {
    /// What its tokens may be signed with, the usual one first.
    #[must_use]
    pub fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::SecureLink | Self::SecureLinkSecret => &[Algorithm::Md5],
            Self::EdgeAuth => &[Algorithm::HmacSha256, Algorithm::HmacSha1, Algorithm::HmacMd5],
            Self::Cat => &[Algorithm::HmacSha256, Algorithm::Es256],
            Self::Jwt => &[Algorithm::HmacSha256, Algorithm::Es256, Algorithm::EdDsa],
        }
    }
}

/// A key of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What tokens call it. Those of nginx and EdgeAuth call it nothing.
    pub id: String,
    /// How it is used.
    pub algorithm: Algorithm,
    /// Where it stands. Not read before the server starts.
    pub file: PathBuf,
}

/// A piece of what `secure_link_md5` hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// `$secret`: what stands in the key's file.
    Secret,
    /// `$secure_link_expires`.
    Expires,
    /// `$uri`: the path, decoded.
    Uri,
    /// `$remote_addr`.
    Address,
    /// `$arg_NAME`: a parameter of the query, as it is written there.
    Argument(String),
}

/// Where tokens are carried. A request is searched in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carriers {
    /// Parameters of the query.
    pub query: Vec<String>,
    /// A cookie.
    pub cookie: Option<String>,
    /// A header field; of `Authorization` what follows `Bearer`.
    pub header: Option<String>,
}

/// One section `[[token]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What logs call it. Tells its sessions from those of others.
    pub name: String,
    /// Whose tokens they are.
    pub kind: Kind,
    /// What they are good for at most: paths that begin so.
    pub path: String,
    /// Where they are carried.
    pub carried: Carriers,
    /// What verifies them.
    pub keys: Vec<Key>,
    /// What names the subscriber; none = it is nobody of the registry, who may have what the token
    /// says. Of JWTs a claim; of EdgeAuth `id` or `data`; of CATs `sub`; of secure_link a parameter
    /// that is hashed.
    pub subject: Option<String>,
    /// What names the device, likewise; none = each token is one.
    pub session: Option<String>,
    /// Of JWTs: the claim with patterns of paths; none = all below `path`.
    pub scope: Option<String>,
    /// Of JWTs and CATs: who must have made them.
    pub issuer: Option<String>,
    /// Of JWTs and CATs: for whom they must be made.
    pub audience: Option<String>,
    /// Of CATs: what viewers' addresses begin with, where somebody in front of us takes off TLS;
    /// none = a token that says so is not taken.
    pub scheme: Option<String>,
    /// Of secure_link: what is hashed.
    pub expression: Vec<Piece>,
    /// Of secure_link: the parameter with the time; none = they do not expire.
    pub expires: Option<String>,
    /// Of secure_link: a link to a file is one to all that lies in its folder.
    pub covers_folder: bool,
    /// Of EdgeAuth: text that is signed and not in the token, in this file.
    pub salt_file: Option<PathBuf>,
    /// Of EdgeAuth: paths are escaped before they are signed.
    pub escapes: bool,
}
