//! Apps that sign in with their address: what can be set, and its limits.

/// How long whoever signs in waits until all that was committed before is heard of, in
/// milliseconds, if the password is not known. Beyond it what is known by then decides.
pub const SIGN_IN_CATCH_UP_MS: u64 = 500;
