//! Which program this is: version, commit, kernel features.

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from; "unknown" outside git, "debug" in a debug build.
pub const REVISION: &str = env!("SHARDCAST_REVISION");

/// The text of `--version`.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("SHARDCAST_REVISION"),
    ")\nrings: io_uring · bodies: sendfile, send_zc · formats: packs, folders"
);
