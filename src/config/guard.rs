//! Who is kept out and who is believed: what can be set of it, and its limits.

use std::path::PathBuf;

use ipnet::IpNet;

use super::PIPELINE_SIZE_MAX;
use crate::units::KIB;

/// Who is kept out, who is believed, and where it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Networks that are never banned.
    pub allow: Vec<IpNet>,
    /// So many different offences of one address within an hour ban it; 0 = never.
    pub ban_after: usize,
    /// For so long, in milliseconds.
    pub ban_for_ms: u64,
    /// Peers whose word on their clients is taken: PROXY v2, and forwarded headers.
    pub trusted_proxies: Vec<IpNet>,
    /// Shape of security events beside the server's own log.
    pub log: SecurityLog,
    /// Their file; none = stderr.
    pub log_path: Option<PathBuf>,
}

/// Shape of security events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecurityLog {
    /// As objects in the server's own log, and nowhere else.
    #[default]
    Json,
    /// Also as lines of nginx's error log.
    Nginx,
}

impl Default for Guard {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        let allow = loopback.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            allow,
            ban_after: 100,
            ban_for_ms: 600_000,
            trusted_proxies: Vec::new(),
            log: SecurityLog::default(),
            log_path: None,
        }
    }
}

/// Longest PROXY header, in bytes: addresses take 36, and the rest is for fields such as the
/// client's certificate's name. A longer one is 400, and its connection is closed.
pub const PROXY_HEADER_SIZE_MAX: usize = 2 * KIB;
const _: () =
    assert!(PROXY_HEADER_SIZE_MAX <= PIPELINE_SIZE_MAX, "all of it is kept until it is read");

/// How long a failure counts, in seconds.
pub const FAILURES_HOUR_SECONDS: u64 = 3600;

/// Different wrong passwords of one account that are looked at from one address within an hour.
/// Those beyond are refused without a look, right or wrong, so that who guesses learns nothing.
pub const GUESSES_AN_HOUR_MAX: usize = 20;

/// Addresses, and accounts at addresses, whose failures are known: some 20 MB at most. At the limit
/// the half that has not failed for the longest is forgotten: whoever has as many addresses has as
/// many times the guesses.
pub const FAILURES_KEPT_MAX: usize = 65_536;

/// Most that `guard.ban_after` can be set to: what is remembered of one address.
pub const BAN_AFTER_MAX: usize = 1_000;

/// Bans that there may be. Beyond it a new one by hand is refused with 409, and of those that are
/// made automatically the one that would end first gives way.
pub const BANS_MAX: usize = 10_000;

/// How often a shard tells of offences, in milliseconds.
pub const STRIKES_TELL_MS: u64 = 1_000;

/// Different offences that a shard tells of at once. Those beyond are not told of: they were
/// refused all the same, and whoever goes on is told of next time.
pub const STRIKES_TOLD_MAX: usize = 256;

/// Lots of offences that wait for control. Beyond it they are dropped, as above.
pub const STRIKE_LOTS_MAX: usize = 64;

/// Bytes of a request's head that are kept for the line of an offence; the rest is cut off.
pub const STRIKE_HEAD_SIZE_MAX: usize = KIB;

/// Connections that are looked at in one turn of a shard when bans have changed: a system call for
/// each whose address nobody needed before.
pub const BANNED_LOOKED_AT_A_TURN: u32 = 512;

/// Security events that are written a second; those beyond are counted in one more. Three filters
/// of fail2ban need five lines of an address in ten minutes.
pub const SECURITY_EVENTS_A_SECOND_MAX: u32 = 200;

/// Lines that wait for the file of security events; beyond it lines are dropped, and counted.
pub const SECURITY_LINES_MAX: usize = 4_096;

/// Security events that are kept for operators who ask, the newest, at some 300 bytes each; the log
/// has them all.
pub const SECURITY_EVENTS_KEPT_MAX: usize = 1024;
