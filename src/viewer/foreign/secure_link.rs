//! nginx's `secure_link`: MD5 over an expression that a secret is a part of, in two parameters of
//! the query; and its older form, over the rest of the path, in the path.
//!
//! As nginx does, the hash is looked at before the time (ngx_http_secure_link_module). One thing is
//! stricter: of the texts that stand for the same hash only the plain one and the one with `=` at
//! its end are taken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::carrier::argument;
use super::key::Key;
use super::paths::literal;
use super::{Denied, Presented, Said, seconds};
use crate::config::foreign::{Piece, Section};

const HASH_SIZE: usize = 16;

/// What a link of `secure_link_md5` says.
pub(super) fn said(section: &Section, keys: &[Key], presented: &Presented) -> Result<Said, Denied> {
    let text = presented.text.strip_suffix("==").unwrap_or(&presented.text);
    let hash = URL_SAFE_NO_PAD.decode(text).map_err(|_| Denied::Unknown)?;
    if hash.len() != HASH_SIZE {
        return Err(Denied::Unknown);
    }
    let of = |name: &String| argument(&presented.query, name).unwrap_or_default();
    let written = section.expires.as_ref().map(of);
    // nginx takes neither a text that is no number nor the first second of 1970.
    let last = written.map(|text| seconds(text).filter(|&last| last > 0));
    let last = last.map(|last| last.ok_or(Denied::Unknown)).transpose()?;
    let is_signed = |key: &Key| {
        let hashed = hashed(section, key, presented, written.unwrap_or_default());
        hashed.is_some_and(|hashed| key.verifies(&hashed, &hash))
    };
    // Each key is tried, so that the time does not tell which one it was.
    let good = keys.iter().filter(|key| is_signed(key)).count();
    if good == 0 {
        return Err(Denied::Unknown);
    }
    let claim = |name: &Option<String>| {
        let value = name.as_ref().map(of).filter(|value| !value.is_empty());
        value.map(str::to_owned)
    };
    let is_of_path = section.expression.contains(&Piece::Uri);
    Ok(Said {
        subject: claim(&section.subject),
        session: claim(&section.session),
        scope: if is_of_path { of_link(section, &presented.path)? } else { vec!["*".to_owned()] },
        // It is good in that second, too.
        expires: last.map(|last| last.saturating_add(1)),
        identity: hash,
        ..Said::default()
    }
    .bound(section, presented))
}

/// What is hashed; none where nothing can be, as nobody knows where the request comes from.
fn hashed(section: &Section, key: &Key, presented: &Presented, expires: &str) -> Option<Vec<u8>> {
    let mut hashed = Vec::new();
    for piece in &section.expression {
        match piece {
            Piece::Text(text) => hashed.extend(text.bytes()),
            Piece::Secret => hashed.extend(key.secret()?),
            Piece::Expires => hashed.extend(expires.bytes()),
            Piece::Uri => hashed.extend(presented.path.bytes()),
            Piece::Address => hashed.extend(presented.peer?.to_canonical().to_string().bytes()),
            Piece::Argument(name) => {
                hashed.extend(argument(&presented.query, name).unwrap_or_default().bytes());
            }
        }
    }
    Some(hashed)
}

impl Said {
    /// Bound to where it comes from, if that was hashed.
    fn bound(self, section: &Section, presented: &Presented) -> Self {
        let is_bound = section.expression.contains(&Piece::Address);
        let network = presented.peer.filter(|_| is_bound).map(super::only);
        Self { network, ..self }
    }
}

/// What a link of `secure_link_secret` says: the token is the MD5 of what follows it, and of the
/// secret, in hexadecimal digits. nginx hashes that as it was sent.
pub(super) fn said_in_path(
    section: &Section,
    keys: &[Key],
    presented: &Presented,
) -> Result<Said, Denied> {
    let hash = super::key::of_hex(&presented.text).filter(|hash| hash.len() == HASH_SIZE);
    let hash = hash.ok_or(Denied::Unknown)?;
    let link = presented.raw.strip_prefix(&section.path).ok_or(Denied::Unknown)?;
    let is_signed = |key: &Key| {
        let hashed = key.secret().map(|secret| [link.as_bytes(), secret].concat());
        hashed.is_some_and(|hashed| key.verifies(&hashed, &hash))
    };
    if keys.iter().filter(|key| is_signed(key)).count() == 0 {
        return Err(Denied::Unknown);
    }
    let scope = of_link(section, &presented.path)?;
    Ok(Said { scope, identity: hash, ..Said::default() })
}

/// What a link to a path is good for: that, or what lies in its folder. `/vod` and `/tv` are
/// nobody's folder.
fn of_link(section: &Section, path: &str) -> Result<Vec<String>, Denied> {
    let path = literal(path).ok_or(Denied::Unfit)?;
    let is_folder = |folder: &str| section.covers_folder && folder.matches('/').count() > 1;
    match path.rsplit_once('/') {
        Some((folder, _)) if is_folder(folder) => Ok(vec![format!("{folder}/*")]),
        _ => Ok(vec![path.to_owned()]),
    }
}
