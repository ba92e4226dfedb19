//! Security events: what happened in, an object in the server's log out, and, where an operator
//! wants it, a line as nginx writes it into its error log, which fail2ban's stock filters read.
//!
//! What a client sent is redacted and then escaped as in the access log: no quote of a client's
//! ever stands in a line, so nobody can write what a filter would take for an address. Events are
//! bounded a second; those beyond are counted and told of in one.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use super::access_log::{self, Handle, Redaction, escaped};
use crate::config::{
    Config, OBJECT_ID_MAX, SECURITY_EVENTS_A_SECOND_MAX, SECURITY_LINES_MAX, SecurityLog,
};
use crate::guard::Offence;
use crate::sys::zone;
use crate::units::UnixTime;

pub use self::kept::{Kept, Told};

mod kept;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// A credential was wrong.
    Refused {
        /// Whose request.
        from: IpAddr,
        /// What it was.
        offence: Offence,
        /// The account that was named, if one was.
        account: Option<&'e str>,
        /// How often it came since it was told of last.
        times: u32,
        /// The request's head.
        head: &'e [u8],
    },
    /// So many were wrong that no more are looked at for a while.
    LockedOut {
        /// Whose requests.
        from: IpAddr,
        /// The account that was named.
        account: &'e str,
        /// Until then.
        until: UnixTime,
        /// The last request's head.
        head: &'e [u8],
    },
    /// More connections came from an address than it may have.
    Flood {
        /// The address.
        from: IpAddr,
        /// How many were refused since it was told of last.
        times: u32,
    },
    /// Somebody is banned.
    Banned {
        /// Who.
        network: IpNet,
        /// Until then; none = until somebody lifts it.
        until: Option<UnixTime>,
        /// By whom: `hand` or `automatic`.
        made: &'e str,
        /// Why.
        reason: &'e str,
    },
    /// And is not any more.
    Lifted {
        /// Who.
        network: IpNet,
        /// Whether its time was over; else somebody lifted it.
        expired: bool,
    },
    /// One token is used in several networks at once; or, where both are the same, by devices that
    /// look alike.
    Shared {
        /// The number of its subscriber; none = it is nobody's of the registry.
        subscriber: Option<u32>,
        /// The token's session.
        device: u64,
        /// Where it was one too many,
        from: Option<IpAddr>,
        /// and where it goes on.
        elsewhere: Option<IpAddr>,
    },
}

/// Where events go.
pub struct Events {
    redaction: Redaction,
    lines: Option<SyncSender<String>>,
    /// Of this second: when it is, and how many were told.
    budget: Mutex<(UnixTime, u32)>,
    /// The newest, for operators who ask.
    kept: Mutex<Kept>,
    /// Events that were not told, since that was last said.
    untold: AtomicU64,
    /// Counts lines, in place of nginx's connections.
    count: AtomicU64,
}

impl Default for Events {
    /// Into the server's log only.
    fn default() -> Self {
        Self::new(None)
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

/// Starts the writer of lines, if the config wants any.
///
/// # Errors
///
/// The file can't be opened, or no thread can be made.
pub fn start(config: &Config) -> io::Result<(Events, Option<Handle>)> {
    if config.guard.log == SecurityLog::Json {
        return Ok((Events::new(None), None));
    }
    let of = access_log::Of {
        name: "the log of security events",
        path: config.guard.log_path.clone(),
        standard: || Box::new(io::stderr()),
        secrets: access_log::Told::default(),
    };
    let append = |to: &mut Vec<u8>, line: &String| {
        to.extend_from_slice(line.as_bytes());
        to.push(b'\n');
    };
    let (lines, handle) = access_log::start_lines(of, SECURITY_LINES_MAX, append)?;
    Ok((Events::new(Some(lines)), Some(handle)))
}

impl Events {
    /// Into the server's log, and to this writer.
    #[must_use]
    pub fn new(lines: Option<SyncSender<String>>) -> Self {
        Self {
            redaction: Redaction::default(),
            lines,
            budget: Mutex::default(),
            kept: Mutex::default(),
            untold: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }

    /// Something happened.
    pub fn tell(&self, event: &Event<'_>, now: UnixTime) {
        if !self.may_tell(now) {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let untold = self.untold.swap(0, Ordering::Relaxed);
        if untold > 0 {
            tracing::warn!(target: "security", event = "events-dropped", count = untold, "dropped");
        }
        self.log(event);
        self.kept().keep(now, self.details(event));
        if let Some(lines) = &self.lines
            && let Some(line) = self.line(event, now)
            && lines.try_send(line).is_err()
        {
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that are kept.
    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_tell(&self, now: UnixTime) -> bool {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if budget.0 != now {
            *budget = (now, 0);
        }
        budget.1 += 1;
        budget.1 <= SECURITY_EVENTS_A_SECOND_MAX
    }

    fn log(&self, event: &Event<'_>) {
        match *event {
            Event::Refused { from, offence, account, times, head } => {
                let (request, reason) = (self.request(head), offence.word());
                let account = account.map(named);
                tracing::warn!(
                    target: "security", event = "credential-refused", client = %from, reason,
                    account, times, request, "a credential was refused"
                );
            }
            Event::LockedOut { from, account, until, head } => {
                let (request, account) = (self.request(head), named(account));
                tracing::warn!(
                    target: "security", event = "locked-out", client = %from, account,
                    until = until.iso(), request, "too many passwords were wrong"
                );
            }
            Event::Flood { from, times } => tracing::warn!(
                target: "security", event = "flood", client = %from, times,
                "more connections than one address may have"
            ),
            Event::Banned { network, until, made, reason } => tracing::warn!(
                target: "security", event = "banned", network = %network, made,
                until = until.map(UnixTime::iso), reason = escaped(reason.as_bytes()), "banned"
            ),
            Event::Lifted { network, expired } => tracing::warn!(
                target: "security", event = "ban-lifted", network = %network, expired,
                "a ban was lifted"
            ),
            Event::Shared { subscriber, device, from, elsewhere } => {
                let device = format!("{device:016x}");
                let text = |address: Option<IpAddr>| address.map(|address| address.to_string());
                let look_alike = from.is_some() && from == elsewhere;
                let (client, elsewhere) = (text(from), text(elsewhere));
                if look_alike {
                    tracing::warn!(
                        target: "security", event = "token-shared", subscriber, device, client,
                        elsewhere, "one token is used by devices that look alike"
                    );
                } else {
                    tracing::warn!(
                        target: "security", event = "token-shared", subscriber, device, client,
                        elsewhere, "one token is used in several networks at once"
                    );
                }
            }
        }
    }

    /// The line of nginx's error log that says the same, if it has one.
    fn line(&self, event: &Event<'_>, now: UnixTime) -> Option<String> {
        let (said, from, head) = match *event {
            Event::Refused { from, account, head, .. } => {
                (refused(account.unwrap_or("-")), from, head)
            }
            Event::LockedOut { from, account, head, .. } => (refused(account), from, head),
            Event::Flood { from, times } => {
                let said =
                    format!("limiting requests, excess: {times}.000 by zone \"connections\"");
                (said, from, &b"GET / HTTP/1.1\r\nHost: -\r\n"[..])
            }
            Event::Banned { .. } | Event::Lifted { .. } | Event::Shared { .. } => return None,
        };
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let (time, id) = (local(now), std::process::id());
        let (request, host) = (self.request(head), host(head));
        Some(format!(
            "{time} [error] {id}#0: *{number} {said}, client: {from}, server: shardcast, \
             request: \"{request}\", host: \"{host}\"",
            from = from.to_canonical(),
        ))
    }

    /// The request line of a head, of which the end may have been cut off.
    fn request(&self, head: &[u8]) -> String {
        let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let method = words.next().unwrap_or(b"-");
        let target = self.redaction.url(words.next().unwrap_or(b"-"));
        format!("{} {} HTTP/1.1", escaped(method), escaped(&target))
    }
}

fn refused(account: &str) -> String {
    let account = named(account);
    let account = if account.is_empty() { "-" } else { &account };
    format!("user \"{account}\": password mismatch")
}

/// An account as somebody named it, of which no more is told than one can have.
fn named(account: &str) -> String {
    let bytes = account.as_bytes();
    escaped(&bytes[..bytes.len().min(OBJECT_ID_MAX)])
}

/// Its Host, as one word.
fn host(head: &[u8]) -> String {
    let host = access_log::header(head, b"host").filter(|host| !host.is_empty());
    escaped(host.unwrap_or(b"-")).replace(' ', "\\x20")
}

/// `2026/11/27 14:05:09`, in the machine's zone: so nginx writes it, and so filters read it.
fn local(now: UnixTime) -> String {
    let shifted = now.0.saturating_add_signed(zone::offset(now.0));
    let iso = UnixTime(shifted).iso();
    iso.trim_end_matches('Z').replace('-', "/").replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime(1_800_000_000);

    fn line(account: Option<&str>, head: &[u8]) -> String {
        let from = "::ffff:192.0.2.7".parse().unwrap();
        let event = Event::Refused { from, offence: Offence::Password, account, times: 1, head };
        Events::new(None).line(&event, NOON).unwrap()
    }

    /// What follows the process and the count.
    fn said(account: Option<&str>, head: &[u8]) -> String {
        let line = line(account, head);
        line.split_once(": *0 ").unwrap().1.to_owned()
    }

    #[test]
    fn a_line_has_the_shape_of_nginx() {
        assert_eq!(
            said(Some("bob"), b"PUT /ingest/news/a.m4s HTTP/1.1\r\nHost: tv:80\r\n\r\n"),
            "user \"bob\": password mismatch, client: 192.0.2.7, server: shardcast, \
             request: \"PUT /ingest/news/a.m4s HTTP/1.1\", host: \"tv:80\""
        );
        assert!(line(None, b"").starts_with("2027/01/1"));
    }

    #[test]
    fn nothing_that_a_client_sends_leaves_its_quotes() {
        let forged = "x\": password mismatch, client: 1.2.3.4, server: , request: \"GET / HTTP/1.1\", \
                      host: \"h\"\n";
        for head in [
            format!("GET /{forged} HTTP/1.1\r\nHost: {forged}\r\n\r\n"),
            format!("GET /a{} HTTP/1.1\r\n", forged.replace(' ', "\u{a0}")),
            format!("{forged}\r\nhost:\t{forged}"),
            String::new(),
        ] {
            let line = line(Some(forged), head.as_bytes());
            assert_eq!(line.matches('"').count(), 6, "{line}");
            assert_eq!(
                line.matches(", client: 192.0.2.7, server: shardcast, request: \"").count(),
                1
            );
            assert!(line.bytes().all(|byte| (32..127).contains(&byte)), "{line}");
            let request = line.rsplit_once("request: \"").unwrap().1;
            let words = request.split('"').next().unwrap().split(' ').count();
            assert_eq!(words, 3, "a method, a target, a version: {line}");
            let host = line.rsplit_once("host: \"").unwrap().1;
            assert!(!host.contains(' '), "{line}");
        }
    }

    #[test]
    fn secrets_are_not_in_it() {
        for head in [
            "GET /s/SECRET/vod/a HTTP/1.1\r\nHost: tv\r\nCookie: SECRET\r\n\r\n",
            "GET /live/bob/SECRET/1.ts HTTP/1.1\r\n\r\n",
            "GET /get.php?username=bob&password=SECRET HTTP/1.1\r\n\r\n",
            "GET /s/SECRET",
        ] {
            assert!(!line(Some("bob"), head.as_bytes()).contains("SECRET"), "{head}");
        }
    }

    #[test]
    fn events_are_bounded_a_second() {
        let (sender, lines) = std::sync::mpsc::sync_channel(10_000);
        let events = Events::new(Some(sender));
        let from = "192.0.2.7".parse().unwrap();
        for second in 0..2 {
            for _ in 0..1_000 {
                events.tell(&Event::Flood { from, times: 1 }, UnixTime(NOON.0 + second));
            }
        }
        assert_eq!(lines.try_iter().count(), 2 * SECURITY_EVENTS_A_SECOND_MAX as usize);
    }
}
