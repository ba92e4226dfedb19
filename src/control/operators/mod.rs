//! Operators over the network: who signs in, by what, and what they may do then.
//!
//! `gate` stands before every route of the port: it finds out who asks (a session of a person, or a
//! key of the API) and lets through what `scope` says they may. `login` is how a session begins and
//! ends, `account` what people do with their own, `admins` and `api_keys` what owners do with
//! others'. The rest is pure: passwords, codes, sessions, and how often one may try.
//!
//! What the socket offers needs none of this: the kernel has let its clients in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::registry::{Registry, StoreError};
use super::secrets::Secrets;
use crate::config::{OBJECT_ID_MAX, SET_UP_MS};

pub mod scope;
pub mod gate;
pub mod login;
pub mod account;
pub mod admins;
pub mod api_keys;
pub mod page;
mod check;
pub(in crate::control) mod people;
mod setup;
mod signed_in;
mod backoff;
mod hashing;
pub(in crate::control) mod factor;
mod password;
mod wire;

pub(in crate::control) use password::is_hash;
pub(in crate::control) use wire::full as wire_full;

pub use backoff::{Backoff, Wait};
pub use wire::{full, is_foreign, wait};

use hashing::{Hashing, Turn};
use people::Admin;
use setup::SetUp;
use signed_in::SignedIn;

pub(super) use wire::cookie_name;

/// What the config says of the admin port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Names by which it is called, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Whether what comes there is encrypted.
    pub is_tls: bool,
    /// Whether people may sign in from elsewhere although it is not.
    pub is_plaintext_trusted: bool,
    /// Whose members may use the unix socket.
    pub group: String,
}

/// What signing in needs, and what is remembered of it.
pub struct Office {
    registry: Registry,
    secrets: Secrets,
    rules: Rules,
    hashing: Hashing,
    backoff: Mutex<Backoff>,
    signed_in: Mutex<SignedIn>,
    set_up: Mutex<Option<SetUp>>,
    began: Instant,
}

impl Office {
    /// Opens it. Nobody is signed in.
    ///
    /// # Errors
    ///
    /// The secret can't be had, or no thread be made.
    pub fn open(registry: Registry, secrets: Secrets, rules: Rules) -> io::Result<Self> {
        Ok(Self {
            registry,
            secrets,
            rules,
            hashing: Hashing::start()?,
            backoff: Mutex::default(),
            signed_in: Mutex::default(),
            set_up: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// A token that makes the first administrator, if there is none.
    ///
    /// # Errors
    ///
    /// The registry failed.
    pub fn set_up_token(&self) -> Result<Option<String>, StoreError> {
        let found = self.registry.ask_now(|store| people::all::<Admin>(store));
        let found = found.map_err(|_| StoreError("its thread does not answer".to_owned()))??;
        if !found.is_empty() {
            return Ok(None);
        }
        let (set_up, token) = SetUp::new(self.ticks()).map_err(StoreError)?;
        *self.set_up() = Some(set_up);
        Ok(Some(token))
    }

    /// Whether what comes to the port is encrypted.
    pub fn is_tls(&self) -> bool {
        self.rules.is_tls
    }

    /// Whether this is the password that was kept, if one was; none = too many are asked about. It
    /// waits behind administrators, and takes as long where none was kept.
    pub(in crate::control) async fn is_right(
        &self,
        password: String,
        kept: Option<String>,
    ) -> Option<bool> {
        let compared = move || password::is_right(&password, kept.as_deref());
        self.hashing.run(Turn::Last, compared).await.ok()
    }

    /// Milliseconds of a clock that never goes back.
    fn ticks(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    fn backoff(&self) -> MutexGuard<'_, Backoff> {
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signed_in(&self) -> MutexGuard<'_, SignedIn> {
        self.signed_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_up(&self) -> MutexGuard<'_, Option<SetUp>> {
        self.set_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what is to be known of the port when the server starts: how its first owner is made, and
/// that nobody can sign in from elsewhere, or that whoever is on the way reads along.
pub fn welcome(office: &Office, address: SocketAddr, rules: &Rules) {
    if !rules.is_tls && !address.ip().to_canonical().is_loopback() {
        if rules.is_plaintext_trusted {
            tracing::warn!(
                %address,
                "passwords and keys of the admin port travel in the clear (admin.plaintext)"
            );
        } else {
            tracing::warn!(
                %address,
                "the admin port has no TLS, so people sign in from this machine only: admin.tls"
            );
        }
    }
    match office.set_up_token() {
        Ok(Some(token)) => {
            let host = match address.ip() {
                ip if ip.is_unspecified() && ip.is_ipv4() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                ip if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
                ip => ip,
            };
            let at = SocketAddr::new(host, address.port());
            let scheme = if rules.is_tls { "https" } else { "http" };
            // Behind the #, so that no browser sends it, and no proxy writes it down.
            let link = format!("{scheme}://{at}{}#token={token}", page::PATH);
            tracing::warn!(
                link,
                minutes = SET_UP_MS / 60_000,
                "there is no administrator: this link makes the first one, once"
            );
        }
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "it can't be said whether there is an administrator"),
    }
}

/// Something that whoever looks after security wants to know. The name may be anything that
/// somebody typed, so it is escaped, and cut.
pub(super) fn event(what: &'static str, user: &str, address: IpAddr, reason: &str) {
    let user: String = user.escape_default().take(OBJECT_ID_MAX).collect();
    let address = address.to_canonical();
    let is_odd = ["-failed", "-refused", "-out"].iter().any(|end| what.ends_with(end));
    if is_odd {
        tracing::warn!(target: "security", event = what, user, %address, reason, "operators");
    } else {
        tracing::info!(target: "security", event = what, user, %address, reason, "operators");
    }
}
