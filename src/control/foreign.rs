//! Tokens of others, exchanged: a request that carries one in, a redirection to the same address
//! with one of ours out.
//!
//! What is exchanged is good for no more than what was shown: for as long, for as many paths, from
//! as many addresses; and if it names a subscriber, for what that may have, as any token of ours.
//! The same token shown again becomes the same session, so that a player that begins anew is no
//! second device.
//!
//! A secret verifies at once, on the control thread. A public key takes a hundred times as long:
//! that is done by a thread of its own with a bounded queue, and whoever shows it signatures that
//! are none is soon not listened to (`allowance`).

mod allowance;

use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};

use self::allowance::Allowances;
use super::ask::Peer;
use super::registry::{Kind, Object};
use super::revocations::is_revoked;
use super::sessions::Desk;
use super::tokens::{Signer, now};
use crate::config::foreign::{
    self, FOREIGN_KEY_FILE_SIZE_MAX, FOREIGN_LOCATION_SIZE_MAX, FOREIGN_TRIED_MAX,
    FOREIGN_WAITING_MAX, Section,
};
use crate::config::{Config, OBJECT_ID_MAX, TARGET_SIZE_MAX, TOKEN_SECONDS_MAX};
use crate::request::route::unescaped;
use crate::units::UnixTime;
use crate::viewer::foreign::carrier::{Watched, found, in_path, stripped};
use crate::viewer::foreign::{Denied, Presented, Unexchanged, Verified, Verifier};
use crate::viewer::rights::Bar;
use crate::viewer::{Claims, token};

type Job = Box<dyn FnOnce() + Send>;

/// Exchanges tokens of others.
#[derive(Clone)]
pub struct Exchange {
    verifiers: Arc<Mutex<Arc<[Arc<Verifier>]>>>,
    /// To the thread that asks public keys; none as long as there are none.
    jobs: Arc<Mutex<Option<SyncSender<Job>>>>,
    allowances: Arc<Mutex<Allowances>>,
}

impl Exchange {
    /// By what a config says; its key files are read.
    ///
    /// # Errors
    ///
    /// Which file can't be read or holds no key, and why; or no thread can be made.
    pub fn open(config: &Config) -> Result<Self, String> {
        let exchange = Self {
            verifiers: Arc::new(Mutex::new(Arc::default())),
            jobs: Arc::default(),
            allowances: Arc::default(),
        };
        exchange.reload(config)?;
        Ok(exchange)
    }

    /// Takes what a config says that was read again, with what stands in its key files now; or, if
    /// anything is wrong with that, nothing of it.
    ///
    /// # Errors
    ///
    /// See `open`.
    pub fn reload(&self, config: &Config) -> Result<(), String> {
        let verifiers = config.tokens.iter().map(|section| verifier(section).map(Arc::new));
        let verifiers: Arc<[_]> = verifiers.collect::<Result<_, _>>()?;
        let mut jobs = locked(&self.jobs);
        if jobs.is_none() && verifiers.iter().any(|verifier| verifier.is_slow()) {
            *jobs = Some(thread().map_err(|error| format!("no thread can be made: {error}"))?);
        }
        *locked(&self.verifiers) = verifiers;
        Ok(())
    }

    /// Whether the config has a section of this name.
    pub(super) fn has_section(&self, name: &str) -> bool {
        locked(&self.verifiers).iter().any(|verifier| verifier.section().name == name)
    }

    /// What the tokens of a request that carries some are good for, and in which of them that is
    /// said.
    async fn verified(&self, asked: &Asked<'_>) -> Result<(Verified, Found), Unexchanged> {
        let verifiers = Arc::clone(&locked(&self.verifiers));
        let found = verifiers.iter().filter_map(|one| Some((one, asked.found(one.section())?)));
        let mut why = Unexchanged::Missing;
        for (verifier, found) in found.take(FOREIGN_TRIED_MAX) {
            match self.of(verifier, &found.presented, asked.peer).await {
                Ok(verified) => return Ok((verified, found)),
                // Of several reasons the one that says most.
                Err(Unexchanged::Token(Denied::Unknown)) if why != Unexchanged::Missing => {}
                Err(denied) => why = denied,
            }
        }
        Err(why)
    }

    async fn of(
        &self,
        verifier: &Arc<Verifier>,
        presented: &Presented,
        peer: Option<std::net::IpAddr>,
    ) -> Result<Verified, Unexchanged> {
        if !verifier.is_slow() {
            return verifier.verified(presented, now()).map_err(Unexchanged::Token);
        }
        if !locked(&self.allowances).take(peer, Instant::now()) {
            return Err(Unexchanged::Busy);
        }
        let (verifier, presented) = (Arc::clone(verifier), presented.clone());
        let (told, tells) = tokio::sync::oneshot::channel();
        let job: Job = Box::new(move || drop(told.send(verifier.verified(&presented, now()))));
        let jobs = locked(&self.jobs).clone();
        let is_sent = jobs.is_some_and(|jobs| jobs.try_send(job).is_ok());
        let verified = if is_sent { tells.await.ok() } else { None };
        if !matches!(verified, Some(Err(Denied::Unknown))) {
            locked(&self.allowances).give_back(peer);
        }
        verified.ok_or(Unexchanged::Busy)?.map_err(Unexchanged::Token)
    }
}

/// The thread that asks public keys. It ends with whoever sends it jobs.
fn thread() -> io::Result<SyncSender<Job>> {
    let (jobs, received) = sync_channel::<Job>(FOREIGN_WAITING_MAX);
    let thread = std::thread::Builder::new().name("signatures".to_owned());
    thread.spawn(move || received.into_iter().for_each(|job| job()))?;
    Ok(jobs)
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done with them leaves half a change.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What verifies the tokens of a section.
fn verifier(section: &Section) -> Result<Verifier, String> {
    let of = |why: String| format!("[[token]] {}: {why}", section.name);
    let file = |key: &foreign::Key| read(&key.file);
    let files = section.keys.iter().map(file).collect::<Result<Vec<_>, _>>().map_err(of)?;
    let salt = section.salt_file.as_deref().map(read).transpose().map_err(of)?;
    Verifier::new(section.clone(), &files, salt.as_deref()).map_err(of)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let most = FOREIGN_KEY_FILE_SIZE_MAX + 1;
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    if bytes.len() as u64 == most {
        return Err(format!("{}: is too long for a key", path.display()));
    }
    Ok(bytes)
}

/// A request that carries a token of others.
struct Asked<'r> {
    /// As it was sent,
    raw: &'r str,
    /// and decoded.
    path: &'r str,
    query: &'r str,
    host: &'r str,
    headers: &'r HeaderMap,
    peer: Option<std::net::IpAddr>,
}

/// A token, and where one of ours leads.
struct Found {
    presented: Presented,
    /// The address without the token.
    target: String,
}

impl Asked<'_> {
    /// The token of a section, if the request carries one.
    fn found(&self, section: &Section) -> Option<Found> {
        let presented = |text: &str, raw: String, path: String| Presented {
            text: text.to_owned(),
            path,
            raw,
            query: self.query.to_owned(),
            host: self.host.to_owned(),
            peer: self.peer,
        };
        let query = stripped(section, self.query);
        let query = if query.is_empty() { query } else { format!("?{query}") };
        if section.kind == foreign::Kind::SecureLinkSecret {
            let base = &section.path;
            let (text, raw) = in_path(base, self.raw)?;
            let (_, link) = in_path(base, self.path)?;
            let (raw, path) = (format!("{base}{raw}"), format!("{base}{link}"));
            let target = format!("{raw}{query}");
            return Some(Found { presented: presented(text, raw, path), target });
        }
        if !self.path.starts_with(&section.path) {
            return None;
        }
        let line = |(name, value): (_, _)| pair(name, value);
        let lines: Vec<_> = self.headers.iter().map(line).collect();
        let text = found(&section.carried, self.query, lines.iter().copied())?;
        let presented = presented(text, self.raw.to_owned(), self.path.to_owned());
        Some(Found { presented, target: format!("{}{query}", self.raw) })
    }
}

fn pair<'h>(name: &'h HeaderName, value: &'h HeaderValue) -> (&'h str, &'h [u8]) {
    (name.as_str(), value.as_bytes())
}

/// Answers whoever shows a token of others; without a signer nobody can.
pub fn router(exchange: Exchange, signer: Option<Arc<Signer>>, desk: Arc<Desk>) -> Router {
    Router::new().fallback(answer).with_state((exchange, signer, desk))
}

/// What is asked whether somebody may go on.
type Known = (Exchange, Option<Arc<Signer>>, Arc<Desk>);

async fn answer(
    State((exchange, signer, desk)): State<Known>,
    Extension(Peer(peer)): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    match exchanged(&exchange, (signer.as_deref(), &desk), (&uri, &headers), peer).await {
        Ok(location) => {
            *response.status_mut() = StatusCode::FOUND;
            let location = HeaderValue::try_from(location).expect("it is made of a target");
            let headers = response.headers_mut();
            headers.insert(header::LOCATION, location);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
        Err(why) => {
            response.extensions_mut().insert(why);
        }
    }
    response
}

/// Where a request is to go on.
async fn exchanged(
    exchange: &Exchange,
    (signer, desk): (Option<&Signer>, &Desk),
    (uri, headers): (&Uri, &HeaderMap),
    peer: Option<std::net::IpAddr>,
) -> Result<String, Unexchanged> {
    let signer = signer.ok_or(Unexchanged::Busy)?;
    let mut scratch = [0; TARGET_SIZE_MAX];
    // The shard has decoded it in the same way, and found no fault with it.
    let path = unescaped(uri.path().as_bytes(), &mut scratch).map_err(|_| Unexchanged::Missing)?;
    let (raw, query) = (uri.path(), uri.query().unwrap_or_default());
    // RFC 9112, 3.2.2: an absolute target replaces Host, whatever that says.
    let host = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(Authority::as_str).or_else(host).unwrap_or_default();
    let asked = Asked { raw, path, query, host, headers, peer };
    let (verified, found) = exchange.verified(&asked).await?;
    let (session, expires) = (verified.session, verified.expires);
    if is_revoked(session, expires, &desk.rights(), signer.registry()).await {
        return Err(Unexchanged::Token(Denied::Revoked));
    }
    let subscriber = match &verified.subject {
        Some(id) => Some(subscriber(signer, id.clone()).await?),
        None => None,
    };
    let token = sealed(&verified, subscriber.as_ref(), signer, now())?;
    let location = format!("/s/{token}{}", found.target);
    if location.len() > FOREIGN_LOCATION_SIZE_MAX {
        Err(Unexchanged::TooLong)
    } else {
        Ok(location)
    }
}

async fn subscriber(signer: &Signer, id: String) -> Result<Object, Unexchanged> {
    if id.len() > OBJECT_ID_MAX {
        return Err(Unexchanged::Subscriber(None, Bar::Unknown));
    }
    let object = signer.registry().ask(move |store| store.object(Kind::Subscriber, &id));
    match object.await {
        Ok(Ok(Some(object))) => Ok(object),
        Ok(Ok(None)) => Err(Unexchanged::Subscriber(None, Bar::Unknown)),
        Ok(Err(error)) => {
            tracing::error!(%error, "the registry failed");
            Err(Unexchanged::Busy)
        }
        Err(super::registry::Busy) => Err(Unexchanged::Busy),
    }
}

/// A token of ours that is good for no more.
fn sealed(
    verified: &Verified,
    subscriber: Option<&Object>,
    signer: &Signer,
    now: UnixTime,
) -> Result<String, Unexchanged> {
    let number = subscriber.map(|of| of.number.and_then(NonZeroU32::new));
    let number = match number {
        Some(None) => return Err(Unexchanged::Subscriber(None, Bar::Unknown)),
        number => number.flatten(),
    };
    let mut expires = now.0 + u64::from(TOKEN_SECONDS_MAX);
    expires = verified.expires.map_or(expires, |end| expires.min(end.0));
    if let Some(subscriber) = subscriber {
        if subscriber.document["status"] == "blocked" {
            return Err(Unexchanged::Subscriber(number, Bar::Blocked));
        }
        let end = subscriber.document["expires"].as_u64().unwrap_or(u64::MAX);
        if end <= now.0 {
            return Err(Unexchanged::Subscriber(number, Bar::Expired));
        }
        expires = expires.min(end);
    }
    let claims = Claims {
        subscriber: number,
        session: verified.session,
        expires: UnixTime(expires),
        bitrate_max: None,
        network: verified.network,
    };
    let rules: Vec<_> = verified.scope.iter().map(String::as_str).collect();
    let keys = signer.current();
    let key = keys.current.as_ref().ok_or(Unexchanged::Busy)?;
    token::sealed(&claims, &rules, key).map_err(|_| Unexchanged::Token(Denied::Unfit))
}

/// What shards are told to look for.
#[must_use]
pub fn watched(config: &Config) -> Arc<Watched> {
    Arc::new(Watched::of(&config.tokens))
}
