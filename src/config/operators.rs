//! Limits of administrators, their sign-ins and their API keys. They are constants like those of
//! `config.rs`.

use std::path::PathBuf;

/// What an operator sets of the admin port, besides where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPort {
    /// Names by which it is called, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The group of the machine whose members may use the unix socket, if there is such a group.
    pub group: String,
    /// Whether passwords and keys may come from elsewhere although it has no TLS.
    pub plaintext: bool,
    /// Its certificate; none = no TLS.
    pub tls: Option<AdminTls>,
}

impl Default for AdminPort {
    fn default() -> Self {
        let group = "shardcast-admin".to_owned();
        Self { hosts: Vec::new(), group, plaintext: false, tls: None }
    }
}

/// Files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminTls {
    /// The certificate and those between it and one that clients know, as PEM.
    pub cert: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
}

/// Connections of the admin port and its unix socket. Beyond it new ones wait in the kernel's
/// queue.
pub const ADMIN_CONNECTIONS_MAX: usize = 256;

/// Milliseconds for a whole request head on the admin port. Then the connection is closed.
pub const ADMIN_HEAD_TIMEOUT_MS: u64 = 10_000;

/// Milliseconds that one connection of the admin port may live. Scrapers connect again.
pub const ADMIN_CONNECTION_MS: u64 = 600_000;
const _: () = assert!(ADMIN_CONNECTION_MS > 10 * ADMIN_HEAD_TIMEOUT_MS, "a scraper can stay");

/// Administrators, and API keys, of a registry, each. Beyond it another one is refused.
pub const ADMINS_MAX: usize = 1000;

/// Fewest characters of an administrator's password (ASVS 5.0, 6.2.1). 15 are better, and what is
/// easily guessed is refused whatever its length. Shorter ones are refused.
pub const PASSWORD_CHARACTERS_MIN: usize = 8;

/// Longest password, in bytes: 64 characters of any script (ASVS 5.0, 6.2.9). Longer ones are
/// refused, and none of a sign-in is hashed.
pub const PASSWORD_SIZE_MAX: usize = 256;

/// Memory of one Argon2id hash in KiB, and its passes: OWASP's least. Some 20 ms of a processor.
pub const PASSWORD_MEMORY_KIB: u32 = 19_456;
/// See `PASSWORD_MEMORY_KIB`.
pub const PASSWORD_PASSES: u32 = 2;

/// Passwords that are hashed at once, each on a thread of its own that gives way to shards, with
/// 19 MiB each. The rest waits.
pub const HASHES_AT_ONCE_MAX: usize = 2;

/// Passwords that wait to be hashed, from addresses without a failure: some 0.3 s of work. Beyond
/// it: 503 with Retry-After.
pub const HASHES_WAITING_MAX: usize = 32;

/// The same from addresses where one failed. They come after the others.
pub const HASHES_SUSPECT_MAX: usize = 8;

/// Sign-ins that one address may try in a row, and milliseconds after which it may try one more:
/// 20 a minute. Beyond it: 429 with Retry-After.
pub const SIGN_INS_IN_A_ROW: u32 = 20;
/// See `SIGN_INS_IN_A_ROW`.
pub const SIGN_IN_EVERY_MS: u64 = 3_000;

/// Failures of one user name at one address before each further one costs time: a second, then
/// twice as long each time, up to a quarter of an hour. Other addresses are not held up by it.
pub const FAILURES_FREE: u32 = 5;
/// See `FAILURES_FREE`.
pub const FAILURE_WAIT_MAX_MS: u64 = 900_000;

/// Milliseconds after which failures are forgotten: four attempts an hour go on for ever, which
/// is below a hundred a day (NIST SP 800-63B-4, 3.2.2).
pub const FAILURES_KEPT_MS: u64 = 86_400_000;

/// Addresses of which sign-ins are counted, /64 networks in IPv6, and user names of each. Beyond
/// the first the further ones share one place; beyond the second they wait.
pub const FAILING_ADDRESSES_MAX: usize = 16 * 1024;
/// See `FAILING_ADDRESSES_MAX`.
pub const FAILING_USERS_MAX: usize = 16;

/// Wrong codes of a second factor in an hour, of one user with the right password, from all
/// addresses together. Beyond it only recovery codes are looked at: 20 guesses of a million are no
/// risk, and who has no password can't bring this about.
pub const WRONG_CODES_MAX: usize = 20;
/// See `WRONG_CODES_MAX`, in milliseconds.
pub const WRONG_CODES_MS: u64 = 3_600_000;

/// Unknown API keys that one address may send in a row, and milliseconds after which it may send
/// one more. Beyond it: 429. As often it is told of requests that no operator sent.
pub const UNKNOWN_KEYS_IN_A_ROW: u32 = 60;
/// See `UNKNOWN_KEYS_IN_A_ROW`.
pub const UNKNOWN_KEY_EVERY_MS: u64 = 1_000;

/// People who are signed in, and sign-ins of one of them. Beyond either the oldest ends.
pub const SIGNED_IN_MAX: usize = 1024;
/// See `SIGNED_IN_MAX`.
pub const SIGNED_IN_OF_ONE_MAX: usize = 16;
const _: () = assert!(SIGNED_IN_OF_ONE_MAX * 8 <= SIGNED_IN_MAX, "one leaves room for others");

/// Milliseconds without a request, and of all, after which whoever is signed in has to do it again.
pub const SIGNED_IN_IDLE_MS: u64 = 1_800_000;
/// See `SIGNED_IN_IDLE_MS`.
pub const SIGNED_IN_MS: u64 = 12 * 3_600_000;
const _: () = assert!(SIGNED_IN_IDLE_MS < SIGNED_IN_MS, "who is busy is not cut off at once");

/// Milliseconds for which a password that was given is enough for what is dangerous.
pub const STEP_UP_MS: u64 = 300_000;

/// Milliseconds for which the link is good that makes the first administrator.
pub const SET_UP_MS: u64 = 900_000;

/// Codes that stand in for a second factor that was lost, each once.
pub const RECOVERY_CODES: usize = 10;

/// Seconds of one code of a second factor (RFC 6238, 5.2; ASVS 5.0, 6.5.5), and how many of them
/// before and after this one are taken, as clocks differ.
pub const CODE_SECONDS: u64 = 30;
/// See `CODE_SECONDS`.
pub const CODE_STEPS_OFF_MAX: u64 = 1;

/// Scopes and networks that one API key may have, each. Beyond it: 400.
pub const API_KEY_LIST_MAX: usize = 32;

/// Names by which the admin port is called, and longest of them, in bytes. Beyond it the config is
/// refused.
pub const ADMIN_HOSTS_MAX: usize = 32;

/// Fewest characters of a passphrase that seals the keys of a backup. Fewer are refused.
pub const PASSPHRASE_CHARACTERS_MIN: usize = 12;

/// Memory that Argon2id takes for such a passphrase, in KiB, and its passes: the second choice of
/// RFC 9106, 4, as it is done once, and whoever guesses has all the time.
pub const PASSPHRASE_MEMORY_KIB: u32 = 65_536;
/// See `PASSPHRASE_MEMORY_KIB`.
pub const PASSPHRASE_PASSES: u32 = 3;
/// What a copy may ask for at most. Of more its keys are not opened.
pub const PASSPHRASE_MEMORY_KIB_MAX: u32 = 1_048_576;
/// See `PASSPHRASE_MEMORY_KIB_MAX`.
pub const PASSPHRASE_PASSES_MAX: u32 = 16;
