//! Keys of others: what stands in a key file in, something that verifies out.
//!
//! A key is used in one way, which the config says, and never in one that a token asks for. A
//! public key is not taken for a secret: everybody has it, so everybody could sign.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac as _};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::config::foreign::{self, Algorithm, FOREIGN_SECRET_SIZE_MIN, Kind};

/// Shortest secret of EdgeAuth, in bytes: its own tools make 32.
const EDGE_AUTH_SIZE_MIN: usize = 16;

/// What stands before the key itself in a SubjectPublicKeyInfo (RFC 5480, 2; RFC 8410, 4).
const P256_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// See `P256_HEAD`.
const ED25519_HEAD: &[u8] =
    &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that verifies. It is not to be seen.
pub struct Key {
    /// What tokens call it; empty = nothing.
    id: String,
    algorithm: Algorithm,
    verifies: Verifies,
}

enum Verifies {
    /// Hashed with what it signs.
    Md5(Vec<u8>),
    HmacMd5(Hmac<Md5>),
    HmacSha1(Hmac<Sha1>),
    HmacSha256(Hmac<Sha256>),
    Public(Box<ParsedPublicKey>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {})", self.id, self.algorithm.word())
    }
}

impl Key {
    /// The key of a config in what stands in its file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for the operator; nothing of what stands there.
    pub fn read(kind: Kind, key: &foreign::Key, file: &[u8]) -> Result<Self, String> {
        let wrong = |why: &str| format!("{}: {why}", key.file.display());
        let text = without_line_end(file);
        let verifies = match key.algorithm {
            Algorithm::Md5 if text.is_empty() => Err("is empty"),
            Algorithm::Md5 => Ok(Verifies::Md5(text.to_vec())),
            Algorithm::Es256 | Algorithm::EdDsa => public(key.algorithm, text),
            Algorithm::HmacSha256 if kind != Kind::EdgeAuth => {
                secret(text).map(|secret| Verifies::HmacSha256(keyed(&secret)))
            }
            keyed_hash => hexadecimal(text).map(|secret| match keyed_hash {
                Algorithm::HmacMd5 => Verifies::HmacMd5(keyed(&secret)),
                Algorithm::HmacSha1 => Verifies::HmacSha1(keyed(&secret)),
                _ => Verifies::HmacSha256(keyed(&secret)),
            }),
        };
        let verifies = verifies.map_err(wrong)?;
        Ok(Self { id: key.id.clone(), algorithm: key.algorithm, verifies })
    }

    /// How it is used.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The secret that is hashed with what it signs.
    pub(super) fn secret(&self) -> Option<&[u8]> {
        if let Verifies::Md5(secret) = &self.verifies { Some(secret) } else { None }
    }

    /// Whether this is its proof of what was signed.
    pub(super) fn verifies(&self, signed: &[u8], proof: &[u8]) -> bool {
        match &self.verifies {
            Verifies::Md5(_) => Md5::digest(signed).as_slice().ct_eq(proof).into(),
            Verifies::HmacMd5(key) => key.clone().chain_update(signed).verify_slice(proof).is_ok(),
            Verifies::HmacSha1(key) => key.clone().chain_update(signed).verify_slice(proof).is_ok(),
            Verifies::HmacSha256(key) => {
                key.clone().chain_update(signed).verify_slice(proof).is_ok()
            }
            Verifies::Public(key) => key.verify_sig(signed, proof).is_ok(),
        }
    }
}

/// The key that a token names. The only one, if it names none, or if the config does not say what
/// that is called.
pub(super) fn named<'k>(keys: &'k [Key], id: Option<&[u8]>) -> Option<&'k Key> {
    match (id, keys) {
        (None, [only]) => Some(only),
        (Some(_), [only]) if only.id.is_empty() => Some(only),
        (id, keys) => keys.iter().find(|key| Some(key.id.as_bytes()) == id),
    }
}

fn keyed<H: KeyInit>(secret: &[u8]) -> H {
    H::new_from_slice(secret).unwrap_or_else(|_| unreachable!("HMAC takes keys of every size"))
}

/// The text of a file: what editors put at its end is no part of a secret.
pub(super) fn without_line_end(file: &[u8]) -> &[u8] {
    let file = file.strip_suffix(b"\n").unwrap_or(file);
    file.strip_suffix(b"\r").unwrap_or(file)
}

/// The bytes of hexadecimal digits.
pub(super) fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().as_chunks::<2>();
    if !pairs.1.is_empty() {
        return None;
    }
    pairs.0.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn hexadecimal(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let secret = str::from_utf8(text).ok().and_then(of_hex);
    let secret = secret.ok_or("is no key (write an even number of hexadecimal digits)")?;
    if secret.len() < EDGE_AUTH_SIZE_MIN {
        return Err("is too short: less than 16 bytes");
    }
    Ok(secret)
}

/// A key in JSON (RFC 7517).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    k: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
    /// What only whoever signs has.
    #[serde(default)]
    d: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    fn read(text: &[u8]) -> Result<Self, &'static str> {
        serde_json::from_slice(text).map_err(|_| "is no JSON Web Key")
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.alg.as_ref().is_none_or(|alg| alg == algorithm.word())
    }
}

fn base64url(text: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_ref()?).ok()
}

/// A secret of HMAC-SHA-256: a JSON Web Key, `hex:…`, `base64url:…`, or text that is one.
fn secret(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    const NONE: &str =
        "is no secret (write hex:…, base64url:…, text, or a JSON Web Key of kty oct)";
    let text = str::from_utf8(text).map_err(|_| NONE)?;
    let secret = if text.starts_with('{') {
        let jwk = Jwk::read(text.as_bytes())?;
        if jwk.kty != "oct" || !jwk.is_for(Algorithm::HmacSha256) {
            return Err("is a key of another algorithm, and no secret");
        }
        base64url(&jwk.k)
    } else if text.starts_with("-----BEGIN") || text.starts_with("ssh-") {
        return Err("is a public or private key, and no secret: everybody could sign with it");
    } else if let Some(hex) = text.strip_prefix("hex:") {
        of_hex(hex)
    } else if let Some(encoded) = text.strip_prefix("base64url:") {
        URL_SAFE_NO_PAD.decode(encoded).ok()
    } else {
        Some(text.as_bytes().to_vec())
    };
    let secret = secret.ok_or(NONE)?;
    let is_public = [P256_HEAD, ED25519_HEAD].iter().any(|head| secret.starts_with(head));
    if is_public {
        return Err("is a public key, and no secret: everybody could sign with it");
    }
    if secret.len() < FOREIGN_SECRET_SIZE_MIN {
        return Err("is too short: HS256 takes 32 bytes or more (RFC 7518, 3.2)");
    }
    Ok(secret)
}

/// A public key: PEM, or a JSON Web Key.
fn public(algorithm: Algorithm, text: &[u8]) -> Result<Verifies, &'static str> {
    let is_ed = algorithm == Algorithm::EdDsa;
    let bytes = if text.starts_with(b"{") {
        let jwk = Jwk::read(text)?;
        if jwk.d.is_some() {
            return Err("holds a private key, which the server must not have");
        }
        let (kty, crv) = if is_ed { ("OKP", "Ed25519") } else { ("EC", "P-256") };
        if jwk.kty != kty || jwk.crv.as_deref() != Some(crv) || !jwk.is_for(algorithm) {
            return Err("is a key of another algorithm");
        }
        let x = base64url(&jwk.x);
        if is_ed { x } else { x.zip(base64url(&jwk.y)).map(|(x, y)| [&[4], &x[..], &y].concat()) }
    } else {
        let der = pem(text)?;
        let head = if is_ed { ED25519_HEAD } else { P256_HEAD };
        let key = der.strip_prefix(head).ok_or("is a key of another algorithm")?;
        Some(key.to_vec())
    };
    let bytes = bytes.ok_or("has no key in it")?;
    let parsed = if is_ed {
        ParsedPublicKey::new(&ED25519, bytes)
    } else {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes)
    };
    Ok(Verifies::Public(Box::new(parsed.map_err(|_| "has no key in it")?)))
}

/// The bytes of a public key in PEM (RFC 7468, 13).
fn pem(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let text = str::from_utf8(text).unwrap_or_default().trim();
    if text.contains("PRIVATE KEY-----") {
        return Err("holds a private key, which the server must not have");
    }
    let body = text.strip_prefix("-----BEGIN PUBLIC KEY-----");
    let body = body.and_then(|body| body.strip_suffix("-----END PUBLIC KEY-----"));
    let body = body.ok_or("is no public key (write PEM, or a JSON Web Key)")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).map_err(|_| "is no public key: its base64 is none")
}
