//! What the middleware may ask of control: who somebody is, tokens, sessions, and what lies beside
//! a subscriber.
//!
//! One value, which is an extension of every request that a shard asks. It answers for one
//! subscriber at a time; whether whoever asks is that subscriber is the middleware's business.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::actor::Actor;
pub use super::app_passwords::Told as AppPassword;
use super::app_passwords::{self, Given, Passwords, Told};
use super::audit::{Act, Deed, Note};
use super::lineup::InFile;
use super::operators::people::Factor;
use super::operators::{Office, admins, factor};
use super::portal_password;
use super::registry::{Busy, Expected, Kind, Object, Registry, Store, StoreError, Uncommitted};
use super::sessions::Desk;
use super::tokens::{Signer, now};
use crate::config::{OBJECT_ID_MAX, PASSWORD_SIZE_MAX, TOKEN_SECONDS_MAX};
use crate::units::UnixTime;
use crate::viewer::token::{EXCHANGED, sealed};
use crate::viewer::{Claims, SessionId};

/// What second factors of the portal are sealed with.
const SEAL: &str = "portal-factor";

/// What of control others may use.
pub struct Inside {
    signer: Arc<Signer>,
    office: Arc<Office>,
    desk: Arc<Desk>,
    app_passwords: Arc<app_passwords::Keys>,
    in_file: watch::Receiver<Arc<InFile>>,
}

/// By what somebody has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The subscriber's id.
    pub user: String,
    /// Its number: another subscriber of the same name has another one.
    pub number: NonZeroU32,
    /// Which app password; none = the portal password.
    pub app: Option<String>,
    /// What tells that password from a later one.
    pub stamp: String,
}

/// Why something was not done.
#[derive(Debug)]
pub enum Refused {
    /// User, password or code is wrong.
    Wrong,
    /// A code of the second factor is missing, and the rest is right.
    CodeWanted,
    /// It can't be so, and why.
    Unfit(String),
    /// There is no such thing.
    Absent,
    /// Too many at once, or somebody else changed it at the same moment.
    Busy,
    /// The registry failed.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Busy> for Refused {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl From<Uncommitted> for Refused {
    fn from(why: Uncommitted) -> Self {
        match why {
            Uncommitted::Store(error) => Self::Store(error),
            _ => Self::Busy,
        }
    }
}

/// A second factor that is being set up.
pub struct NewFactor {
    /// What the server keeps until a code of it has come.
    pub secret: [u8; factor::SECRET_SIZE],
    /// As people type it.
    pub typed: String,
    /// As a QR code says it (`otpauth:`).
    pub address: String,
}

impl Inside {
    /// Of these parts.
    pub(super) fn new(
        (signer, office, desk): (Arc<Signer>, Arc<Office>, Arc<Desk>),
        app_passwords: Arc<app_passwords::Keys>,
        in_file: watch::Receiver<Arc<InFile>>,
    ) -> Self {
        Self { signer, office, desk, app_passwords, in_file }
    }

    /// The channels of the config file, as they are now.
    #[must_use]
    pub fn in_file(&self) -> Arc<InFile> {
        Arc::clone(&self.in_file.borrow())
    }

    /// What operators have made.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.signer.registry()
    }

    /// A key for what the middleware keeps, of the server's secrets.
    #[must_use]
    pub fn key(&self, label: &str) -> [u8; 32] {
        self.app_passwords.secrets().key(label)
    }

    /// Whoever this is, by an app password or by the portal password. A code is used up by it. It
    /// takes as long for somebody who is not there as for a password that is wrong.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub async fn identified(
        &self,
        user: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<Credential, Refused> {
        if user.len() > OBJECT_ID_MAX || password.len() > PASSWORD_SIZE_MAX {
            return Err(Refused::Wrong);
        }
        let (keys, id, typed) =
            (Arc::clone(&self.app_passwords), user.to_owned(), password.to_owned());
        let found = self.registry().ask(move |store| {
            let subscriber = store.object(Kind::Subscriber, &id)?;
            let kept = store.object(Kind::AppPasswords, &id)?;
            let kept = Passwords::of(&keys, &id, kept);
            let name = kept.name_of(&typed).map(str::to_owned);
            let stamp = name.as_deref().and_then(|name| kept.stamp(name)).map(str::to_owned);
            let portal = store.object(Kind::PortalPassword, &id)?;
            Ok::<_, StoreError>((subscriber, name.zip(stamp), portal))
        });
        let (subscriber, app, portal) = found.await??;
        let number = subscriber.and_then(|of| of.number).and_then(NonZeroU32::new);
        if let (Some(number), Some((app, stamp))) = (number, app) {
            return Ok(Credential { user: user.to_owned(), number, app: Some(app), stamp });
        }
        let hash = portal.as_ref().and_then(portal_password::hash_of).map(str::to_owned);
        let is_right = self.office.is_right(password.to_owned(), hash.clone()).await;
        let is_right = is_right.ok_or(Refused::Busy)?;
        let (Some(number), Some(portal), Some(hash), true) = (number, portal, hash, is_right)
        else {
            return Err(Refused::Wrong);
        };
        if portal_password::factor_of(&portal).is_some() {
            let code = code.filter(|code| !code.is_empty()).ok_or(Refused::CodeWanted)?;
            self.code_used(user, &hash, code).await?;
        }
        Ok(Credential { user: user.to_owned(), number, app: None, stamp: stamp_of(&hash) })
    }

    /// Uses up a code, or a recovery code. Of two who send the same one, one is let in.
    async fn code_used(&self, user: &str, hash: &str, code: &str) -> Result<(), Refused> {
        let keys = Arc::clone(&self.app_passwords);
        let (user, hash, code) = (user.to_owned(), hash.to_owned(), code.to_owned());
        let act = Act::of(Actor::Subscriber(user.clone()), now());
        let used = self.registry().ask(move |store| {
            let found = store.object(Kind::PortalPassword, &user)?.ok_or(Refused::Wrong)?;
            let is_same = portal_password::hash_of(&found) == Some(hash.as_str());
            let mut kept =
                portal_password::factor_of(&found).filter(|_| is_same).ok_or(Refused::Wrong)?;
            let by_recovery = factor::recovery_hash(&code);
            let place =
                by_recovery.and_then(|hash| kept.recovery.iter().position(|one| *one == hash));
            if let Some(place) = place {
                kept.recovery.remove(place);
            } else {
                let secret = keys.secrets().opened(SEAL, &user, &kept.secret);
                let secret = secret.and_then(|secret| secret.try_into().ok());
                let secret = secret.ok_or(Refused::Wrong)?;
                let step = factor::step(&secret, &code, kept.step, now());
                kept.step = step.ok_or(Refused::Wrong)?;
            }
            store.commit(&act, &[portal_password::with_factor(&found, Some(&kept))])?;
            Ok(())
        });
        used.await?
    }

    /// The subscriber, if the password that somebody has signed in with is still one of its.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub async fn still(&self, credential: &Credential) -> Result<Option<Object>, Refused> {
        let keys = Arc::clone(&self.app_passwords);
        let Credential { user, number, app, stamp } = credential.clone();
        let found = self.registry().ask(move |store| {
            let Some(subscriber) = store.object(Kind::Subscriber, &user)? else { return Ok(None) };
            let is_good = match app {
                Some(app) => {
                    let kept = store.object(Kind::AppPasswords, &user)?;
                    Passwords::of(&keys, &user, kept).stamp(&app) == Some(stamp.as_str())
                }
                None => {
                    let kept = store.object(Kind::PortalPassword, &user)?;
                    let hash = kept.as_ref().and_then(portal_password::hash_of);
                    hash.map(stamp_of) == Some(stamp)
                }
            };
            Ok((is_good && subscriber.number == Some(number.get())).then_some(subscriber))
        });
        found.await?
    }

    /// A token for all that a subscriber may have, and until when it is good.
    ///
    /// # Errors
    ///
    /// What was paid for has ended, or there is no key.
    pub fn token(
        &self,
        subscriber: &Object,
        device: u64,
        now: UnixTime,
    ) -> Result<(String, UnixTime), String> {
        let end = subscriber.document["expires"].as_u64().unwrap_or(u64::MAX);
        let expires = UnixTime(end.min(now.0 + u64::from(TOKEN_SECONDS_MAX)));
        if expires <= now {
            return Err("what was paid for has ended".to_owned());
        }
        let keys = self.signer.current();
        let key = keys.current.as_ref().ok_or("there is no key to sign with")?;
        let claims = Claims {
            subscriber: subscriber.number.and_then(NonZeroU32::new),
            session: device & !EXCHANGED,
            expires,
            bitrate_max: None,
            network: None,
        };
        let token = sealed(&claims, &[], key).map_err(|_| "no token can be made".to_owned())?;
        Ok((token, expires))
    }

    /// What a subscriber watches now, wherever.
    #[must_use]
    pub fn sessions(&self, number: NonZeroU32) -> Vec<Value> {
        self.desk.told_of(number)
    }

    /// Ends a session of a subscriber, who asks for it. `Absent` if it has none of this id.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub async fn end_session(&self, credential: &Credential, id: &str) -> Result<(), Refused> {
        let session = SessionId::of_text(id).ok_or(Refused::Absent)?;
        let content = self.desk.content_of(session, credential.number).ok_or(Refused::Absent)?;
        let act = Act::of(Actor::Subscriber(credential.user.clone()), now());
        let details = json!({ "subscriber": credential.user, "content": content });
        let (deed, kind, id) = (Deed::Kick, "session", id.to_owned());
        let note = Note { deed, kind, id, details, made: Value::Null };
        self.registry().ask(move |store| store.note(&act, &note)).await??;
        self.desk.end(session);
        Ok(())
    }

    /// The app passwords of a subscriber, with what they are.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub async fn app_passwords(&self, user: &str) -> Result<Vec<Told>, Refused> {
        self.with_app_passwords(user, |kept| Ok(kept.told(true))).await
    }

    /// One more app password, made here; gives it.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub async fn add_app_password(&self, user: &str, name: String) -> Result<String, Refused> {
        let password = app_passwords::generated();
        let password =
            password.map_err(|error| Refused::Unfit(format!("none can be drawn: {error}")))?;
        let given = Given { name, password: password.clone() };
        self.change_app_passwords(user, move |kept| {
            kept.add(&given, now()).map_err(Refused::Unfit)
        })
        .await?;
        Ok(password)
    }

    /// One app password less.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub async fn remove_app_password(&self, user: &str, name: String) -> Result<(), Refused> {
        self.change_app_passwords(user, move |kept| {
            if kept.remove(&name) { Ok(()) } else { Err(Refused::Absent) }
        })
        .await
    }

    async fn with_app_passwords<T: Send + 'static>(
        &self,
        user: &str,
        work: impl FnOnce(&mut Passwords<'_>) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let (keys, id) = (Arc::clone(&self.app_passwords), user.to_owned());
        let done = self.registry().ask(move |store| {
            let found = store.object(Kind::AppPasswords, &id)?;
            work(&mut Passwords::of(&keys, &id, found))
        });
        done.await?
    }

    async fn change_app_passwords(
        &self,
        user: &str,
        change: impl FnOnce(&mut Passwords<'_>) -> Result<(), Refused> + Send + 'static,
    ) -> Result<(), Refused> {
        let (keys, id) = (Arc::clone(&self.app_passwords), user.to_owned());
        let act = Act::of(Actor::Subscriber(user.to_owned()), now());
        let done = self.registry().ask(move |store| {
            let found = store.object(Kind::AppPasswords, &id)?;
            let mut kept = Passwords::of(&keys, &id, found);
            change(&mut kept)?;
            store.commit(&act, &[kept.write()])?;
            Ok(())
        });
        done.await?
    }

    /// Another portal password; gives what sessions that go on are known by.
    ///
    /// # Errors
    ///
    /// `Unfit` says what is wrong with it.
    pub async fn set_portal_password(
        &self,
        user: &str,
        password: String,
    ) -> Result<String, Refused> {
        let hash = admins::hashed_or_why(&self.office, user, password).await?;
        let (id, kept) = (user.to_owned(), hash.clone());
        let act = Act::of(Actor::Subscriber(user.to_owned()), now());
        let done = self.registry().ask(move |store| {
            let found = store.object(Kind::PortalPassword, &id)?;
            let write = portal_password::write(&id, found.as_ref(), &kept, act.at);
            store.commit(&act, &[write.map_err(Refused::Unfit)?])?;
            Ok::<_, Refused>(())
        });
        done.await??;
        Ok(stamp_of(&hash))
    }

    /// Whether a subscriber has a portal password, and a second factor beside it.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub async fn portal_password(&self, user: &str) -> Result<(bool, bool), Refused> {
        let id = user.to_owned();
        let found = self.registry().ask(move |store| store.object(Kind::PortalPassword, &id));
        let found = found.await??;
        let has_factor = found.as_ref().and_then(portal_password::factor_of).is_some();
        Ok((found.is_some(), has_factor))
    }

    /// A second factor that may become a subscriber's.
    ///
    /// # Errors
    ///
    /// Nothing can be drawn.
    pub fn new_factor(&self, user: &str) -> Result<NewFactor, Refused> {
        let mut secret = [0; factor::SECRET_SIZE];
        let drawn = getrandom::fill(&mut secret);
        drawn.map_err(|error| Refused::Unfit(format!("no secret can be drawn: {error}")))?;
        let (typed, address) = (factor::typed(&secret), factor::address(&secret, user));
        Ok(NewFactor { secret, typed, address })
    }

    /// Makes it one, if the code is of it; gives recovery codes, which are told this once.
    ///
    /// # Errors
    ///
    /// `Wrong` if the code is not of this moment; `Absent` without a portal password.
    pub async fn set_factor(
        &self,
        user: &str,
        secret: &[u8; factor::SECRET_SIZE],
        code: &str,
    ) -> Result<Vec<String>, Refused> {
        let step = factor::step(secret, code, 0, now()).ok_or(Refused::Wrong)?;
        let codes = factor::recovery_codes().map_err(Refused::Unfit)?;
        let sealed = self.app_passwords.secrets().sealed(SEAL, user, secret);
        let sealed = sealed.map_err(|error| Refused::Unfit(error.to_string()))?;
        let recovery = codes.iter().filter_map(|code| factor::recovery_hash(code)).collect();
        self.put_factor(user, Some(Factor { secret: sealed, step, recovery })).await?;
        Ok(codes)
    }

    /// Takes it away.
    ///
    /// # Errors
    ///
    /// `Absent` without a portal password.
    pub async fn remove_factor(&self, user: &str) -> Result<(), Refused> {
        self.put_factor(user, None).await
    }

    async fn put_factor(&self, user: &str, factor: Option<Factor>) -> Result<(), Refused> {
        let (id, act) = (user.to_owned(), Act::of(Actor::Subscriber(user.to_owned()), now()));
        let done = self.registry().ask(move |store: &mut dyn Store| {
            let found = store.object(Kind::PortalPassword, &id)?.ok_or(Refused::Absent)?;
            let write = portal_password::with_factor(&found, factor.as_ref());
            debug_assert!(write.expected == Expected::At(found.revision));
            store.commit(&act, &[write])?;
            Ok(())
        });
        done.await?
    }
}

/// Says that something about signing in happened, where security events go.
pub fn event(what: &'static str, user: &str, address: IpAddr, reason: &str) {
    super::operators::event(what, user, address, reason);
}

/// The time now.
#[must_use]
pub fn unix_now() -> UnixTime {
    now()
}

/// What is kept of a hash to know it again.
fn stamp_of(hash: &str) -> String {
    Sha256::digest(hash.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
