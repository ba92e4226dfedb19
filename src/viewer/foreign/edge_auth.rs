//! Akamai's EdgeAuth 2.0: `ip=…~st=…~exp=…~acl=…~id=…~data=…~hmac=…`, in this order, of which only
//! `exp` and `hmac` must be there. What is signed is all that stands before `hmac`, and behind it
//! the path, where no `acl` says which, and a salt. The path is signed as it is when it is decoded.

use std::borrow::Cow;

use super::key::{Key, of_hex};
use super::paths::literal;
use super::{Denied, Presented, Said, only, seconds};
use crate::config::foreign::{FOREIGN_PATTERNS_MAX, Section};

/// Fields in their order.
const FIELDS: [&str; 6] = ["ip", "st", "exp", "acl", "id", "data"];

/// What a token says. In a query it may be escaped once more than it was signed.
pub(super) fn said(
    section: &Section,
    keys: &[Key],
    salt: Option<&[u8]>,
    presented: &Presented,
) -> Result<Said, Denied> {
    match read(section, keys, salt, &presented.text, &presented.path) {
        Err(Denied::Unknown) if presented.text.contains('%') => {
            let text = unescaped(&presented.text, b'+').ok_or(Denied::Unknown)?;
            read(section, keys, salt, &text, &presented.path)
        }
        said => said,
    }
}

fn read(
    section: &Section,
    keys: &[Key],
    salt: Option<&[u8]>,
    text: &str,
    path: &str,
) -> Result<Said, Denied> {
    let (fields, hmac) = text.rsplit_once("~hmac=").ok_or(Denied::Unknown)?;
    let is_lower = |byte: u8| !byte.is_ascii_uppercase();
    let hmac = of_hex(hmac).filter(|_| hmac.bytes().all(is_lower)).ok_or(Denied::Unknown)?;
    let found = split(fields).ok_or(Denied::Unknown)?;
    let [ip, begins, expires, acl, id, data] = found;
    let mut signed = fields.as_bytes().to_vec();
    if acl.is_none() {
        let path = if section.escapes { Cow::Owned(escaped(path)) } else { Cow::Borrowed(path) };
        signed.extend(b"~url=");
        signed.extend(path.bytes());
    }
    if let Some(salt) = salt {
        signed.extend(b"~salt=");
        signed.extend(salt);
    }
    // Each key is tried, so that the time does not tell which one it was.
    if keys.iter().filter(|key| key.verifies(&signed, &hmac)).count() == 0 {
        return Err(Denied::Unknown);
    }
    let time = |text: &str| seconds(text).ok_or(Denied::Unfit);
    let plain = |text: &str| match section.escapes {
        true => unescaped(text, b' ').ok_or(Denied::Unfit),
        false => Ok(text.to_owned()),
    };
    let (id, data) = (id.map(plain).transpose()?, data.map(plain).transpose()?);
    let claim = |name: &Option<String>| match name.as_deref() {
        Some("id") => id.clone(),
        Some("data") => data.clone(),
        _ => None,
    };
    let address = ip.map(|ip| plain(ip)?.parse().map(only).map_err(|_| Denied::Unfit));
    Ok(Said {
        subject: claim(&section.subject),
        session: claim(&section.session),
        scope: scope(acl, path)?,
        begins: begins.map(time).transpose()?.unwrap_or(0),
        expires: Some(time(expires.ok_or(Denied::Unfit)?)?),
        network: address.transpose()?,
        identity: signed,
    })
}

/// The fields, each at its place; none where one is unknown, empty, twice there, or behind one that
/// it belongs before.
fn split(text: &str) -> Option<[Option<&str>; FIELDS.len()]> {
    let mut found = [None; FIELDS.len()];
    let mut next = 0;
    for field in text.split('~') {
        let (name, value) = field.split_once('=')?;
        let at = FIELDS.iter().position(|known| *known == name).filter(|&at| at >= next)?;
        found[at] = Some(value).filter(|value| !value.is_empty());
        found[at]?;
        next = at + 1;
    }
    Some(found)
}

/// Patterns that `!` separates; of a token for one path, that.
fn scope(acl: Option<&str>, path: &str) -> Result<Vec<String>, Denied> {
    let Some(acl) = acl else {
        return Ok(vec![literal(path).ok_or(Denied::Unfit)?.to_owned()]);
    };
    let patterns: Vec<_> = acl.split('!').take(FOREIGN_PATTERNS_MAX + 1).collect();
    if patterns.len() > FOREIGN_PATTERNS_MAX {
        return Err(Denied::Unfit);
    }
    Ok(patterns.into_iter().map(str::to_owned).collect())
}

/// As Python's `quote_plus` escapes, in lower case.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("%{byte:02x}")),
        }
    }
    escaped
}

/// A text without its escapes, where `+` stands for this.
fn unescaped(text: &str, plus: u8) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        (rest, _) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let byte = of_hex(str::from_utf8(&digits).ok()?)?;
                (after, bytes.extend(byte))
            }
            (b'%', _) => return None,
            (b'+', after) => (after, bytes.push(plus)),
            (byte, after) => (after, bytes.push(*byte)),
        };
    }
    String::from_utf8(bytes).ok()
}
