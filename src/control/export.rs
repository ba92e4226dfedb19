//! `GET /api/v1/export?passwords=`: all that operators made, an object a line, as `import` takes
//! it.
//!
//! It is the registry of one moment, whatever is written meanwhile, and read on a thread of its
//! own. What is spoken of comes before what speaks of it. The last line says how many there were:
//! without it the file is not whole.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::admin::Shared;
use super::app_passwords::{Keys, Passwords, Told};
use super::objects;
use super::portal_password;
use super::problem::problem;
use super::registry::{Busy, Kind, Object, Snapshot, StoreError};
use super::sealed;
use super::tokens::{busy, failed, nowhere};
use crate::config::{EXPORT_LINES, EXPORT_PARTS};

/// What is asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Whether app passwords are told, as they are typed, and hashes of portal passwords.
    #[serde(default)]
    passwords: bool,
}

/// `GET /api/v1/export`: all that operators made, an object a line, as `import` takes it. The last
/// line says how many there were.
#[utoipa::path(
    get, path = "/api/v1/export", tag = "registry",
    params(Asked),
    responses((status = 200, body = String, content_type = "application/x-ndjson"))
)]
pub async fn export(State(shared): State<Shared>, Query(asked): Query<Asked>) -> Response<Body> {
    let (Some(signer), Some(keys)) = (&shared.signer, &shared.app_passwords) else {
        return nowhere();
    };
    let snapshot = match signer.registry().ask(|store| store.snapshot()).await {
        Ok(Ok(snapshot)) => snapshot,
        Ok(Err(error)) => return failed(&error),
        Err(Busy) => return busy(),
    };
    let keys = asked.passwords.then(|| Arc::clone(keys));
    let (parts, received) = mpsc::channel(EXPORT_PARTS);
    let reading = std::thread::Builder::new().name("export".to_owned()).spawn(move || {
        let written = written(&*snapshot, keys.as_deref(), &mut |lines| {
            parts.blocking_send(Ok(lines)).map_err(|_| Stopped::Left)
        });
        if let Err(Stopped::Store(error)) = written {
            tracing::error!(%error, "the registry can't be exported to its end");
            // What was sent has no last line then, and the connection ends in the middle.
            drop(parts.blocking_send(Err(std::io::Error::other(error.to_string()))));
        }
    });
    if let Err(error) = reading {
        tracing::error!(%error, "no thread can be made to export");
        return problem(StatusCode::SERVICE_UNAVAILABLE, "nothing can be exported now");
    }
    let mut response = Response::new(Body::from_stream(Parts(received)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Lines as they come.
struct Parts(mpsc::Receiver<std::io::Result<Bytes>>);

impl futures_core::Stream for Parts {
    type Item = std::io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Why it ended early.
enum Stopped {
    /// Whoever asked is gone.
    Left,
    Store(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn written(
    snapshot: &dyn Snapshot,
    keys: Option<&Keys>,
    send: &mut dyn FnMut(Bytes) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut count = 0_u64;
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_secret()) {
        let mut after = String::new();
        loop {
            let objects = snapshot.objects(kind, &after, EXPORT_LINES)?;
            let Some(last) = objects.last() else { break };
            after.clone_from(&last.id);
            count += objects.len() as u64;
            let mut lines = Vec::new();
            for object in objects {
                let passwords = match keys {
                    Some(keys) if kind == Kind::Subscriber => passwords(snapshot, keys, &object)?,
                    _ => Vec::new(),
                };
                let portal = match keys {
                    Some(_) if kind == Kind::Subscriber => portal(snapshot, &object)?,
                    _ => None,
                };
                let object = match keys {
                    Some(keys) => whole(keys, object),
                    None => object,
                };
                let line = line((object, keys.is_some()), passwords, portal);
                lines.extend_from_slice(line.to_string().as_bytes());
                lines.push(b'\n');
            }
            send(lines.into())?;
        }
    }
    let revision = snapshot.revision()?.0;
    let end = json!({ "kind": "end", "objects": count, "revision": revision });
    send(format!("{end}\n").into())
}

fn passwords(
    snapshot: &dyn Snapshot,
    keys: &Keys,
    subscriber: &Object,
) -> Result<Vec<Value>, StoreError> {
    let kept = snapshot.object(Kind::AppPasswords, &subscriber.id)?;
    let all = Passwords::of(keys, &subscriber.id, kept).told(true);
    let given = |told: Told| {
        let password = told.password?;
        Some(json!({ "name": told.name, "password": password }))
    };
    Ok(all.into_iter().filter_map(given).collect())
}

/// An object with what is secret in its document, as it was typed.
fn whole(keys: &Keys, mut object: Object) -> Object {
    object.document =
        sealed::told_all(keys.secrets(), object.kind, &object.id, object.document.take());
    object
}

/// The hash of a subscriber's portal password: there is nothing else that could be told.
fn portal(snapshot: &dyn Snapshot, subscriber: &Object) -> Result<Option<String>, StoreError> {
    let kept = snapshot.object(Kind::PortalPassword, &subscriber.id)?;
    Ok(kept.as_ref().and_then(portal_password::hash_of).map(str::to_owned))
}

fn line(
    (object, is_whole): (Object, bool),
    passwords: Vec<Value>,
    portal: Option<String>,
) -> Value {
    let kind = object.kind.word();
    let mut line = Map::from_iter([("kind".to_owned(), kind.into())]);
    let told = if is_whole { objects::told_whole(object) } else { objects::told(object) };
    if let Value::Object(told) = told {
        line.extend(told);
    }
    if !passwords.is_empty() {
        line.insert("passwords".to_owned(), passwords.into());
    }
    if let Some(hash) = portal {
        line.insert("portal_password".to_owned(), hash.into());
    }
    Value::Object(line)
}
