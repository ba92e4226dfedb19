//! What is secret in a channel's document: passwords of encoders, and what addresses of inputs
//! hide.
//!
//! A password that is sent is sealed before it is written, and told to nobody again but in an
//! export that asks for passwords. Of an input's address only where it leads is told. So what was
//! read may be sent back, both stay as they are where what is sent says of them what is told.

use serde_json::{Map, Value};

use super::registry::{Kind, Object};
use super::secrets::Secrets;
use crate::config::file::document::{self, SEALED};
use crate::config::inputs::{Input, Place, Scheme};
use crate::config::sources::Encoder;
use crate::config::{APP_PASSWORD_SIZE_MAX, Channel, Password, Push};

/// What encoders' passwords are sealed with.
const SEAL: &str = "encoder-password";

/// A document that was sent, as it is kept.
///
/// # Errors
///
/// `FIELD: WHY`.
pub fn kept(
    secrets: &Secrets,
    id: &str,
    mut sent: Map<String, Value>,
    found: Option<&Object>,
) -> Result<Map<String, Value>, String> {
    let found = found.map_or(&Value::Null, |found| &found.document);
    if let Some(login) = sent.get_mut("ingest").filter(|login| !login.is_null()) {
        sealed(secrets, id, login, &[&found["ingest"]]).map_err(|why| format!("ingest.{why}"))?;
    }
    let before: Vec<_> = found["source"].as_array().into_iter().flatten().collect();
    if let Some(Value::Array(sources)) = sent.get_mut("source") {
        for (index, login) in sources.iter_mut().enumerate() {
            let of = |why| format!("source[{index}].{why}");
            if login.get("user").is_some() || login.get("password").is_some() {
                sealed(secrets, id, login, &before).map_err(of)?;
            } else if login.get(SEALED).is_some() {
                return Err(of(format!("{SEALED}: the server alone says that")));
            }
        }
    }
    let before = found["inputs"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(Value::Array(inputs)) = sent.get_mut("inputs") {
        for (index, input) in inputs.iter_mut().enumerate() {
            uncovered(input, index, before).map_err(|why| format!("inputs[{index}]: {why}"))?;
        }
    }
    Ok(sent)
}

/// Seals the password of a login; one that says none keeps that of its user.
fn sealed(secrets: &Secrets, id: &str, login: &mut Value, before: &[&Value]) -> Result<(), String> {
    let Value::Object(login) = login else {
        return Err("user: it is to stand in { user, password }".into());
    };
    if login.contains_key(SEALED) {
        return Err(format!("{SEALED}: the server alone says that"));
    }
    let user = login.get("user").and_then(Value::as_str).unwrap_or_default().to_owned();
    let sealed = match login.remove("password") {
        Some(Value::String(password)) => {
            if password.is_empty() || password.len() > APP_PASSWORD_SIZE_MAX {
                return Err(format!("password: it has 1 to {APP_PASSWORD_SIZE_MAX} bytes"));
            }
            if password.contains(char::is_control) {
                return Err("password: it has control characters".to_owned());
            }
            let is_it = |sealed: &&str| {
                opened(secrets, id, &user, sealed).is_some_and(|before| before == password)
            };
            let known = before.iter().filter_map(|before| before[SEALED].as_str()).find(is_it);
            if let Some(known) = known {
                // The same text: who imports again what was exported changes nothing.
                login.insert(SEALED.to_owned(), known.into());
                return Ok(());
            }
            let sealed = secrets.sealed(SEAL, &whose(id, &user), password.as_bytes());
            Some(sealed.map_err(|error| format!("password: it can't be sealed: {error}"))?)
        }
        Some(_) => return Err("password: it is to be a string".to_owned()),
        None => {
            let same = before.iter().find(|before| before["user"] == user.as_str());
            same.and_then(|before| before[SEALED].as_str()).map(str::to_owned)
        }
    };
    let sealed = sealed.ok_or("password: it is missing")?;
    login.insert(SEALED.to_owned(), sealed.into());
    Ok(())
}

fn whose(id: &str, user: &str) -> String {
    // Neither has a NUL in it, so no two pairs are the same text.
    format!("{id}\0{user}")
}

/// The text of an input that may be an address.
fn address(input: &mut Value) -> Option<&mut String> {
    let text = match input {
        Value::Object(_) => input.get_mut("url")?,
        text => text,
    };
    match text {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// An address as people are shown it.
fn shown(text: &str) -> Option<String> {
    let (name, _) = text.split_once("://")?;
    let place = Place::Url { scheme: Scheme::find(name)?, url: text.to_owned() };
    Some(Input { place, listens: false, is_paced: false }.to_string())
}

/// Puts the whole address in place of what was shown of it.
fn uncovered(input: &mut Value, index: usize, before: &[Value]) -> Result<(), String> {
    let Some(text) = address(input).filter(|text| text.ends_with("/***")) else { return Ok(()) };
    let whole = |before: &Value| {
        let mut before = before.clone();
        let whole = address(&mut before)?.clone();
        (shown(&whole).as_deref() == Some(text.as_str())).then_some(whole)
    };
    let found = before.get(index).and_then(whole).or_else(|| before.iter().find_map(whole));
    *text = found.ok_or("this is what is shown of an address (write all of it)")?;
    Ok(())
}

/// An object's document as it is told.
#[must_use]
pub fn told(kind: Kind, mut document: Value) -> Value {
    if kind != Kind::Channel {
        return document;
    }
    each_login(&mut document, |login| drop(login.remove(SEALED)));
    if let Some(Value::Array(inputs)) = document.get_mut("inputs") {
        for text in inputs.iter_mut().filter_map(address) {
            if let Some(shown) = shown(text) {
                *text = shown;
            }
        }
    }
    document
}

/// The same with all that is secret, as it was typed: for whoever takes it elsewhere.
#[must_use]
pub fn told_all(secrets: &Secrets, kind: Kind, id: &str, mut document: Value) -> Value {
    if kind == Kind::Channel {
        each_login(&mut document, |login| {
            let user = login.get("user").and_then(Value::as_str).unwrap_or_default().to_owned();
            let sealed = login.remove(SEALED);
            let password = sealed.as_ref().and_then(Value::as_str);
            let password = password.and_then(|sealed| opened(secrets, id, &user, sealed));
            login.extend(password.map(|password| ("password".to_owned(), password.into())));
        });
    }
    document
}

fn each_login(document: &mut Value, mut change: impl FnMut(&mut Map<String, Value>)) {
    if let Some(Value::Object(login)) = document.get_mut("ingest") {
        change(login);
    }
    if let Some(Value::Array(sources)) = document.get_mut("source") {
        sources.iter_mut().filter_map(Value::as_object_mut).for_each(change);
    }
}

fn opened(secrets: &Secrets, id: &str, user: &str, sealed: &str) -> Option<String> {
    String::from_utf8(secrets.opened(SEAL, &whose(id, user), sealed)?).ok()
}

/// The channel that a document says, with its passwords as far as they can be opened.
///
/// # Errors
///
/// What is wrong with it.
pub fn channel(secrets: Option<&Secrets>, id: &str, document: &Value) -> Result<Channel, String> {
    let fields = document.as_object().ok_or("it is no object")?;
    let mut channel = document::channel(id, fields)?;
    let encoders = channel.sources.encoders.iter_mut();
    let pushes = encoders.filter_map(|Encoder { push, .. }| push.as_mut());
    for Push { user, password } in channel.push.iter_mut().chain(pushes) {
        let Password::Sealed(sealed) = &*password else { continue };
        let known = secrets.and_then(|secrets| opened(secrets, id, user, sealed));
        if let Some(known) = known {
            *password = Password::Known(known);
        }
    }
    Ok(channel)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::registry::Revision;
    use super::*;

    fn secrets() -> Secrets {
        Secrets::open(tempfile::tempdir().unwrap().path()).unwrap()
    }

    fn object(document: Map<String, Value>) -> Object {
        let (kind, id, document) = (Kind::Channel, "news".to_owned(), Value::Object(document));
        Object { kind, id, number: Some(1), revision: Revision(1), document }
    }

    fn fields(document: Value) -> Map<String, Value> {
        document.as_object().unwrap().clone()
    }

    #[test]
    fn what_was_told_may_be_sent_back_and_nothing_secret_is_told_or_lost() {
        let secrets = secrets();
        let sent = json!({
            "ingest": { "user": "enc", "password": "open sesame" },
            "source": [{ "name": "a" }, { "name": "b", "user": "u", "password": "other" }],
            "inputs": ["https://u:p@a.example/live?t=1", { "url": "rtmp://b/app/key", "listen": "on" }],
        });
        let first = object(kept(&secrets, "news", fields(sent.clone()), None).unwrap());
        for hidden in ["open sesame", "other"] {
            assert!(!first.document.to_string().contains(hidden), "{}", first.document);
        }
        let shown = told(Kind::Channel, first.document.clone());
        assert_eq!(
            shown,
            json!({
                "ingest": { "user": "enc" },
                "source": [{ "name": "a" }, { "name": "b", "user": "u" }],
                "inputs": ["https://a.example/***", { "url": "rtmp://b/***", "listen": "on" }],
            })
        );
        let again = kept(&secrets, "news", fields(shown), Some(&first)).unwrap();
        assert_eq!(Value::Object(again), first.document);
        assert_eq!(told_all(&secrets, Kind::Channel, "news", first.document.clone()), sent);
        let again = kept(&secrets, "news", fields(sent), Some(&first)).unwrap();
        assert_eq!(Value::Object(again), first.document, "it is the same password");
        let pushed = json!({ "ingest": first.document["ingest"], "window": "60s" });
        let channel = channel(Some(&secrets), "news", &pushed).unwrap();
        assert_eq!(channel.push.unwrap().password, Password::Known("open sesame".to_owned()));
        // What was sealed for one channel is of no use in another.
        let elsewhere = super::channel(Some(&secrets), "sport", &pushed).unwrap();
        assert!(matches!(elsewhere.push.unwrap().password, Password::Sealed(_)));
    }

    #[test]
    fn what_is_missing_or_made_up_is_refused() {
        let secrets = secrets();
        let login = json!({ "ingest": { "user": "enc", "password": "a" } });
        let first = object(kept(&secrets, "news", fields(login), None).unwrap());
        for (sent, found, why) in [
            (json!({ "ingest": { "user": "enc" } }), None, "ingest.password: it is missing"),
            (
                json!({ "ingest": { "user": "other" } }),
                Some(&first),
                "ingest.password: it is missing",
            ),
            (
                json!({ "ingest": { "user": "enc", "password": "" } }),
                Some(&first),
                "ingest.password: it has 1 to 128 bytes",
            ),
            (
                json!({ "ingest": { "user": "enc", "sealed_password": "x" } }),
                Some(&first),
                "ingest.sealed_password: the server alone says that",
            ),
            (
                json!({ "source": [{ "name": "a", "sealed_password": "x" }] }),
                None,
                "source[0].sealed_password: the server alone says that",
            ),
            (
                json!({ "inputs": ["https://a.example/***"] }),
                Some(&first),
                "inputs[0]: this is what is shown of an address (write all of it)",
            ),
        ] {
            let kept = kept(&secrets, "news", fields(sent.clone()), found);
            assert_eq!(kept, Err(why.to_owned()), "{sent}");
        }
    }
}
