//! Apps that sign in with their address: what can be set, and its limits.

use super::settings::{Setting, put, text};
use super::{FAILURES_HOUR_SECONDS, TOKEN_BYTES_MAX};
use crate::units::KIB;

/// `apps.start`.
pub const START: Setting = Setting {
    key: "apps.start",
    about: "What an app gets that starts a channel as .m3u8: \"playlist\" = a small playlist with \
            whole addresses, \"redirect\" = a 302 to the channel's own.",
    set: |config, given| {
        let redirects = given.read(|word| match word {
            "playlist" => Ok(false),
            "redirect" => Ok(true),
            other => Err(format!("{other:?} is neither (write \"playlist\" or \"redirect\")")),
        });
        put(&mut config.limits.start_redirects, redirects)
    },
    shown: Some(|config| text(if config.limits.start_redirects { "redirect" } else { "playlist" })),
    reloads: true,
};

/// How long whoever signs in waits until all that was committed before is heard of, in
/// milliseconds, if the password is not known. Beyond it what is known by then decides.
pub const SIGN_IN_CATCH_UP_MS: u64 = 500;

/// Apps that sign in and are looked at by control at once: each may wait for an operator's back
/// end. Beyond it they get 503.
pub const SIGN_INS_AT_ONCE_MAX: usize = 256;

/// Wrong passwords, right ones, and devices that control has let in, that a shard remembers of
/// each: 64 KiB for each of the three. One more takes the place of another. An account that is
/// forgotten so has one more guess at that shard.
pub const SIGN_INS_KEPT: usize = 4096;

/// How long they are remembered, in milliseconds: as long as a failure counts.
pub const SIGN_INS_KEPT_MS: u64 = FAILURES_HOUR_SECONDS * 1000;

/// How long control is not asked again of a device that it has let in, in milliseconds. An
/// operator's back end may say that its answer is good for longer, which control remembers.
pub const LET_IN_MS: u64 = 60_000;

/// Sessions of one device that are revoked at once until it is shut out: each is a hash more at
/// every start.
pub const APP_SESSIONS_REVOKED_MAX: u8 = 16;

/// Longest playlist that is written for an app that starts a channel, in bytes: forty renditions.
/// Beyond it the app is redirected.
pub const START_TEXT_SIZE_MAX: usize = 16 * KIB;
const _: () = assert!(TOKEN_BYTES_MAX < START_TEXT_SIZE_MAX / 8, "there is room for addresses");

/// Buffers for them that a shard keeps: as many may be on their way at once, and beyond it each
/// takes memory of its own.
pub const START_TEXTS_KEPT: usize = 64;
