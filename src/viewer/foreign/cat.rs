//! The Common Access Token of CTA-5007: claims in CBOR (RFC 8392), in a COSE_Mac0 or COSE_Sign1
//! (RFC 9052).
//!
//! A claim narrows what a token is good for, so one that we do not know, or can't keep once it is
//! exchanged, makes it good for nothing. Only those for private use (RFC 8392, 9.1) and those with
//! names are an operator's own business.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value;
use coset::iana;
use coset::{
    AsCborValue as _, CoseMac0, CoseSign1, Header, ProtectedHeader, RegisteredLabelWithPrivate,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::key::{self, Key};
use super::{Denied, Presented, Said, only, uri};
use crate::config::foreign::{Algorithm, FOREIGN_DEPTH_MAX, FOREIGN_ENTRIES_MAX, Section};
use crate::viewer::token::is_in;

const TAG_CWT: u64 = 61;
const TAG_MAC0: u64 = 17;
const TAG_SIGN1: u64 = 18;
const TAG_IPV4: u64 = 52;
const TAG_IPV6: u64 = 54;

/// What a token says.
pub(super) fn said(section: &Section, keys: &[Key], presented: &Presented) -> Result<Said, Denied> {
    let bytes = URL_SAFE_NO_PAD.decode(&presented.text).map_err(|_| Denied::Unknown)?;
    let envelope = value(&bytes).ok_or(Denied::Unknown)?;
    let payload = opened(envelope, keys)?;
    claimed(&payload, section, presented)
}

/// What claims say that are signed.
pub(super) fn claimed(
    payload: &[u8],
    section: &Section,
    presented: &Presented,
) -> Result<Said, Denied> {
    let Some(Value::Map(claims)) = value(payload) else { return Err(Denied::Unfit) };
    let said = read(claims, section, presented)?;
    Ok(Said { identity: payload.to_vec(), ..said })
}

/// One value of CBOR, and nothing behind it.
fn value(mut bytes: &[u8]) -> Option<Value> {
    let value =
        ciborium::de::from_reader_with_recursion_limit(&mut bytes, FOREIGN_DEPTH_MAX).ok()?;
    bytes.is_empty().then_some(value)
}

/// What lies in an envelope that one of our keys has closed. Its tags may be left out (RFC 8392, 6;
/// RFC 9052, 2): what it is follows from the key.
fn opened(envelope: Value, keys: &[Key]) -> Result<Vec<u8>, Denied> {
    let untagged = |value, known| match value {
        Value::Tag(tag, inner) if tag == known => *inner,
        other => other,
    };
    let envelope = untagged(envelope, TAG_CWT);
    let (is_mac, is_signature) = match &envelope {
        Value::Tag(TAG_MAC0, _) => (true, false),
        Value::Tag(TAG_SIGN1, _) => (false, true),
        _ => (true, true),
    };
    let envelope = untagged(untagged(envelope, TAG_MAC0), TAG_SIGN1);
    // Both are arrays of four of the same types.
    let mac = CoseMac0::from_cbor_value(envelope).map_err(|_| Denied::Unknown)?;
    // What is not signed may say which key it was, and nothing else.
    let of_map = mac.unprotected.key_id.clone();
    if mac.unprotected != (Header { key_id: of_map.clone(), ..Header::default() }) {
        return Err(Denied::Unknown);
    }
    let id = if of_map.is_empty() { &mac.protected.header.key_id } else { &of_map };
    let key = key::named(keys, (!id.is_empty()).then_some(id)).ok_or(Denied::Unknown)?;
    let is_of_key = match key.algorithm() {
        Algorithm::Es256 => is_signature && is_said(&mac.protected, iana::Algorithm::ES256),
        _ => is_mac && is_said(&mac.protected, iana::Algorithm::HMAC_256_256),
    };
    if !is_of_key {
        return Err(Denied::Unknown);
    }
    let proven = |proof: &[u8], signed: &[u8]| {
        if key.verifies(signed, proof) { Ok(()) } else { Err(Denied::Unknown) }
    };
    let CoseMac0 { protected, unprotected, payload, tag } = mac;
    let has_critical = !protected.header.crit.is_empty();
    let payload = payload.ok_or(Denied::Unknown)?;
    if key.algorithm() == Algorithm::Es256 {
        let payload = Some(payload.clone());
        let of = CoseSign1 { protected, unprotected, payload, signature: tag };
        of.verify_signature(b"", proven)?;
    } else {
        let payload = Some(payload.clone());
        CoseMac0 { protected, unprotected, payload, tag }.verify_payload_tag(
            b"",
            || Denied::Unknown,
            proven,
        )?;
    }
    if has_critical { Err(Denied::Unfit) } else { Ok(payload) }
}

/// Whether a header that is signed says this algorithm.
fn is_said(header: &ProtectedHeader, algorithm: iana::Algorithm) -> bool {
    let said = RegisteredLabelWithPrivate::Assigned(algorithm);
    header.header.alg.as_ref().is_some_and(|alg| *alg == said)
}

/// The claims, each of which must hold.
fn read(
    claims: Vec<(Value, Value)>,
    section: &Section,
    presented: &Presented,
) -> Result<Said, Denied> {
    if claims.len() > FOREIGN_ENTRIES_MAX {
        return Err(Denied::Unfit);
    }
    let mut seen = Vec::new();
    let mut said = Said { scope: vec!["*".to_owned()], ..Said::default() };
    let (mut issuer, mut audience) = (None, None);
    for (key, value) in claims {
        let Some(number) = number(&key) else {
            // A claim with a name.
            if matches!(key, Value::Text(_)) { continue } else { return Err(Denied::Unfit) }
        };
        if seen.contains(&number) {
            return Err(Denied::Unfit);
        }
        seen.push(number);
        match number {
            1 => issuer = Some(text(value)?),
            2 if section.subject.is_some() => said.subject = Some(text(value)?),
            3 => audience = Some(value),
            4 => said.expires = Some(time(&value, f64::floor)?),
            5 | 6 => said.begins = said.begins.max(time(&value, f64::ceil)?),
            7 => said.session = Some(session(value)?),
            // Used again it is the same session, and that is counted; one that may be used only
            // once would have to be remembered for as long as it is good.
            308 if matches!(unsigned(&value), Some(0 | 2)) => {}
            310 if unsigned(&value) == Some(1) => {}
            311 => said.network = Some(network(value, presented)?),
            312 => said.scope = uri::scope(value, section, presented)?,
            313 => methods(value)?,
            // What somebody is told who is refused, and when a token is to be renewed.
            2 | 320 | 322 | 323 => {}
            ..-65536 => {}
            _ => return Err(Denied::Unfit),
        }
    }
    let is_of = section.issuer.is_none() || section.issuer == issuer;
    if !is_of || !is_for(audience, section.audience.as_deref()) {
        return Err(Denied::Unfit);
    }
    // One that never ends is not taken.
    said.expires.ok_or(Denied::Unfit)?;
    Ok(said)
}

fn number(value: &Value) -> Option<i128> {
    value.as_integer().map(i128::from)
}

fn unsigned(value: &Value) -> Option<u64> {
    u64::try_from(number(value)?).ok()
}

fn text(value: Value) -> Result<String, Denied> {
    value.into_text().ok().filter(|text| !text.is_empty()).ok_or(Denied::Unfit)
}

/// A NumericDate (RFC 8392, 2), which may have fractions of a second.
fn time(value: &Value, rounded: fn(f64) -> f64) -> Result<u64, Denied> {
    let fraction = || {
        let seconds = rounded(value.as_float()?);
        // Beyond it a double has no single seconds.
        ((0.0..=9e15).contains(&seconds)).then_some(seconds as u64)
    };
    unsigned(value).or_else(fraction).ok_or(Denied::Unfit)
}

/// `cti`, bytes of any kind.
fn session(value: Value) -> Result<String, Denied> {
    let bytes = value.into_bytes().ok().filter(|bytes| !bytes.is_empty());
    Ok(URL_SAFE_NO_PAD.encode(bytes.ok_or(Denied::Unfit)?))
}

/// RFC 7519, 4.1.3, which RFC 8392 takes over: who is not named by an audience that is there must
/// not take it.
fn is_for(said: Option<Value>, audience: Option<&str>) -> bool {
    let is_named = |one: &Value, audience| one.as_text() == Some(audience);
    match (said, audience) {
        (None, None) => true,
        (Some(Value::Array(several)), Some(audience)) => {
            several.iter().any(|one| is_named(one, audience))
        }
        (Some(only), Some(audience)) => is_named(&only, audience),
        _ => false,
    }
}

/// `catm`. What is exchanged is good for GET, so that must be allowed; HEAD is a part of it.
fn methods(value: Value) -> Result<(), Denied> {
    let methods = value.into_array().map_err(|_| Denied::Unfit)?;
    let is_get = |method: &Value| method.as_text() == Some("GET");
    if methods.iter().any(is_get) { Ok(()) } else { Err(Denied::OutOfScope) }
}

/// `catnip`: of the networks the one from which the request comes. Numbers of autonomous systems
/// can't be looked up.
fn network(value: Value, presented: &Presented) -> Result<IpNet, Denied> {
    let Some(peer) = presented.peer else { return Err(Denied::Elsewhere) };
    let entries = value.into_array().map_err(|_| Denied::Unfit)?;
    if entries.len() > FOREIGN_ENTRIES_MAX {
        return Err(Denied::Unfit);
    }
    let mut elsewhere = Denied::Elsewhere;
    for entry in entries {
        match entry {
            Value::Integer(_) => elsewhere = Denied::Unfit,
            Value::Tag(tag @ (TAG_IPV4 | TAG_IPV6), of) => {
                let network = prefix(*of, tag == TAG_IPV4).ok_or(Denied::Unfit)?;
                if is_in(network, peer) {
                    return Ok(network);
                }
            }
            _ => return Err(Denied::Unfit),
        }
    }
    Err(elsewhere)
}

/// An address, or a prefix (RFC 9164, 3.1): its length, and its bytes without zeros at the end.
fn prefix(value: Value, is_ipv4: bool) -> Option<IpNet> {
    let (size, bytes) = match value {
        Value::Bytes(bytes) if is_ipv4 => {
            return Some(only(<[u8; 4]>::try_from(bytes).ok()?.into()));
        }
        Value::Bytes(bytes) => return Some(only(<[u8; 16]>::try_from(bytes).ok()?.into())),
        Value::Array(parts) => match &parts[..] {
            [size, Value::Bytes(bytes)] => (u8::try_from(unsigned(size)?).ok()?, bytes.clone()),
            _ => return None,
        },
        _ => return None,
    };
    let mut octets = [0; 16];
    octets.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    let network = if is_ipv4 {
        let (four, rest) = octets.split_first_chunk::<4>()?;
        if rest.iter().any(|byte| *byte != 0) || bytes.len() > 4 {
            return None;
        }
        IpNet::V4(Ipv4Net::new((*four).into(), size).ok()?)
    } else {
        IpNet::V6(Ipv6Net::new(octets.into(), size).ok()?)
    };
    Some(network.trunc())
}
