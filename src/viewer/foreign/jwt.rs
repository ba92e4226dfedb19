//! JSON Web Tokens: a compact JWS (RFC 7515, 3.1) whose payload is a set of claims (RFC 7519).
//!
//! The header names a key and repeats the algorithm that the config has bound to it; it chooses
//! nothing. All else that it may hold (`jku`, `jwk`, `x5c` …) is not looked at, except `crit`, of
//! which we understand nothing. A name that stands twice makes a token unreadable.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::key::{self, Key};
use super::{Denied, Presented, Said};
use crate::config::foreign::{FOREIGN_ENTRIES_MAX, FOREIGN_PATTERNS_MAX, Section};

/// What is looked at in a header.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// What a token says.
pub(super) fn said(section: &Section, keys: &[Key], presented: &Presented) -> Result<Said, Denied> {
    let (signed, signature) = presented.text.rsplit_once('.').ok_or(Denied::Unknown)?;
    let (header, payload) = signed.split_once('.').ok_or(Denied::Unknown)?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Denied::Unknown);
    let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| Denied::Unknown)?;
    let key = key::named(keys, header.kid.as_deref().map(str::as_bytes)).ok_or(Denied::Unknown)?;
    if header.alg != key.algorithm().word() || !key.verifies(signed.as_bytes(), &bytes(signature)?)
    {
        return Err(Denied::Unknown);
    }
    if header.crit.is_some() {
        return Err(Denied::Unfit);
    }
    let said = claimed(&bytes(payload)?, section)?;
    Ok(Said { identity: signed.as_bytes().to_vec(), ..said })
}

/// What claims say that are signed.
pub(super) fn claimed(payload: &[u8], section: &Section) -> Result<Said, Denied> {
    let claims: Claims = serde_json::from_slice(payload).map_err(|_| Denied::Unfit)?;
    claims.said(section)
}

/// The claims of a token by their names.
struct Claims(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Unique;
        impl<'de> Visitor<'de> for Unique {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("claims, each of them once")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if claims.len() == FOREIGN_ENTRIES_MAX || claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("twice, or too many"));
                    }
                }
                Ok(Claims(claims))
            }
        }
        from.deserialize_map(Unique)
    }
}

impl Claims {
    fn said(&self, section: &Section) -> Result<Said, Denied> {
        let issuer = self.text("iss")?;
        if section.issuer.is_some() && section.issuer != issuer {
            return Err(Denied::Unfit);
        }
        self.is_for(section.audience.as_deref())?;
        let issued = self.time("iat", f64::ceil)?.unwrap_or(0);
        let claim = |name: &Option<String>| match name {
            Some(name) => self.text(name),
            None => Ok(None),
        };
        Ok(Said {
            subject: claim(&section.subject)?,
            session: claim(&section.session)?,
            scope: self.scope(section.scope.as_deref())?,
            begins: self.time("nbf", f64::ceil)?.unwrap_or(0).max(issued),
            // One that never ends is not taken.
            expires: Some(self.time("exp", f64::floor)?.ok_or(Denied::Unfit)?),
            ..Said::default()
        })
    }

    fn text(&self, name: &str) -> Result<Option<String>, Denied> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            // Billing systems have numbers.
            Some(Value::Number(number)) if number.is_u64() => Ok(Some(number.to_string())),
            Some(_) => Err(Denied::Unfit),
        }
    }

    /// A NumericDate (RFC 7519, 2), which may have fractions of a second.
    fn time(&self, name: &str, rounded: fn(f64) -> f64) -> Result<Option<u64>, Denied> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let whole = || value.as_u64();
        let fraction = || {
            let seconds = rounded(value.as_f64()?);
            // Beyond it a double has no single seconds.
            ((0.0..=9e15).contains(&seconds)).then_some(seconds as u64)
        };
        whole().or_else(fraction).map(Some).ok_or(Denied::Unfit)
    }

    /// RFC 7519, 4.1.3: who is not named by an audience that is there must not take it.
    fn is_for(&self, audience: Option<&str>) -> Result<(), Denied> {
        let is_named = match (self.0.get("aud"), audience) {
            (None, None) => true,
            (Some(Value::String(only)), Some(audience)) => only == audience,
            (Some(Value::Array(several)), Some(audience)) => {
                several.iter().any(|one| one == audience)
            }
            _ => false,
        };
        if is_named { Ok(()) } else { Err(Denied::Unfit) }
    }

    fn scope(&self, name: Option<&str>) -> Result<Vec<String>, Denied> {
        let Some(name) = name else { return Ok(vec!["*".to_owned()]) };
        match self.0.get(name) {
            Some(Value::String(only)) => Ok(vec![only.clone()]),
            Some(Value::Array(several)) if several.len() <= FOREIGN_PATTERNS_MAX => {
                let text = |one: &Value| one.as_str().map(str::to_owned).ok_or(Denied::Unfit);
                several.iter().map(text).collect()
            }
            _ => Err(Denied::Unfit),
        }
    }
}
