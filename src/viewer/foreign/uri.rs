//! `catu` of a CTA-5007 token: rules for parts of an address in, patterns of paths out.
//!
//! Rules for the scheme, the host, the port and the query are kept for the request that shows the
//! token; what it is exchanged for knows paths only. Of paths a rule becomes a part of one pattern:
//! how a path begins, what it holds, how it ends. Where no pattern says as much, the token is good
//! for the path that is asked for and no other.

use ciborium::Value;
use sha2::{Digest as _, Sha256, Sha512_256};

use super::paths::literal;
use super::{Denied, Presented};
use crate::config::foreign::{FOREIGN_ENTRIES_MAX, Section};
use crate::viewer::scope;

/// The parts of the address that is asked for.
struct Parts<'p> {
    path: &'p str,
    folder: &'p str,
    file: &'p str,
    stem: &'p str,
    /// With its dot.
    extension: &'p str,
}

impl<'p> Parts<'p> {
    fn of(path: &'p str) -> Self {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let dot = file.rfind('.').unwrap_or(file.len());
        let (stem, extension) = file.split_at(dot);
        Self { path, folder, file, stem, extension }
    }
}

/// How a part must be.
enum Match {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Sha256(Vec<u8>),
    Sha512(Vec<u8>),
}

impl Match {
    fn of(key: &Value, value: Value) -> Result<Self, Denied> {
        let number = key.as_integer().map(i128::from);
        Ok(match (number, value) {
            (Some(0), Value::Text(text)) => Self::Exact(text),
            (Some(1), Value::Text(text)) => Self::Prefix(text),
            (Some(2), Value::Text(text)) => Self::Suffix(text),
            (Some(3), Value::Text(text)) => Self::Contains(text),
            (Some(-1), Value::Bytes(hash)) => Self::Sha256(hash),
            (Some(-2), Value::Bytes(hash)) => Self::Sha512(hash),
            // Regular expressions of others would be run here.
            _ => return Err(Denied::Unfit),
        })
    }

    fn holds(&self, part: &str) -> bool {
        match self {
            Self::Exact(text) => part == text,
            Self::Prefix(text) => part.starts_with(&**text),
            Self::Suffix(text) => part.ends_with(&**text),
            Self::Contains(text) => part.contains(&**text),
            Self::Sha256(hash) => Sha256::digest(part).as_slice() == &**hash,
            Self::Sha512(hash) => Sha512_256::digest(part).as_slice() == &**hash,
        }
    }
}

/// A pattern that grows with every rule. `is_only` says that none is enough.
#[derive(Default)]
struct Shape {
    begins: String,
    holds: Vec<String>,
    ends: String,
    is_only: bool,
}

impl Shape {
    /// Both are true of one path, so one of them begins with the other.
    fn begin(&mut self, with: &str) {
        if with.len() > self.begins.len() {
            self.begins = with.to_owned();
        }
    }

    fn end(&mut self, with: &str) {
        if with.len() > self.ends.len() {
            self.ends = with.to_owned();
        }
    }

    /// A rule that this path keeps.
    fn take(&mut self, part: i128, rule: &Match) {
        match (part, rule) {
            (3, Match::Prefix(text)) => self.begin(text),
            (3, Match::Suffix(text)) => self.end(text),
            (3, Match::Contains(text)) => self.holds.push(text.clone()),
            // What lies in the folder or below it, and not beside it.
            (5, Match::Prefix(text)) => {
                self.begin(text);
                self.holds.push("/".to_owned());
            }
            (6, Match::Exact(text)) => self.end(&format!("/{text}")),
            (6, Match::Suffix(text)) if !text.contains('/') => self.end(text),
            (8, Match::Exact(text)) => self.end(&format!(".{}", text.trim_start_matches('.'))),
            _ => self.is_only = true,
        }
    }

    fn pattern(self, path: &str) -> Result<String, Denied> {
        let parts: Vec<_> =
            [self.begins].into_iter().chain(self.holds).chain([self.ends]).collect();
        let pattern = parts.join("*");
        // Where it begins and how it ends may overlap, and what it holds may be in another order.
        let is_fit = scope::matches(pattern.as_bytes(), path.as_bytes(), b"");
        if is_fit && !self.is_only && parts.iter().all(|part| literal(part).is_some()) {
            return Ok(pattern);
        }
        literal(path).map(str::to_owned).ok_or(Denied::Unfit)
    }
}

/// The paths that a token is good for, if this request keeps its rules.
pub(super) fn scope(
    value: Value,
    section: &Section,
    presented: &Presented,
) -> Result<Vec<String>, Denied> {
    let rules = value.into_map().map_err(|_| Denied::Unfit)?;
    let parts = Parts::of(&presented.path);
    let (host, port) = authority(&presented.host);
    let mut shape = Shape::default();
    each_once(&rules)?;
    for (part, matches) in rules {
        let part = part.as_integer().map(i128::from).ok_or(Denied::Unfit)?;
        let found = match part {
            // Whoever takes off TLS in front of us does not say so; the config may.
            0 => section.scheme.as_deref().ok_or(Denied::Unfit)?,
            1 => host,
            2 => port,
            3 => parts.path,
            5 => parts.folder,
            6 => parts.file,
            7 => parts.stem,
            8 => parts.extension,
            _ => return Err(Denied::Unfit),
        };
        let matches = matches.into_map().map_err(|_| Denied::Unfit)?;
        each_once(&matches)?;
        for (key, value) in matches {
            let rule = Match::of(&key, value)?;
            let is_extension = part == 8
                && matches!(&rule, Match::Exact(of)
                if of.trim_start_matches('.') == found.trim_start_matches('.'));
            if !rule.holds(found) && !is_extension {
                return Err(Denied::OutOfScope);
            }
            if part >= 3 {
                shape.take(part, &rule);
            }
        }
    }
    Ok(vec![shape.pattern(&presented.path)?])
}

/// Nothing is said twice, and nothing is said without end.
fn each_once(map: &[(Value, Value)]) -> Result<(), Denied> {
    let is_repeated = |at: usize| map[..at].iter().any(|(key, _)| *key == map[at].0);
    if map.len() > FOREIGN_ENTRIES_MAX || (0..map.len()).any(is_repeated) {
        return Err(Denied::Unfit);
    }
    Ok(())
}

fn authority(host: &str) -> (&str, &str) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (host, "80"),
    }
}
