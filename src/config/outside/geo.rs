//! The keys of `[geo]`.

use super::super::OnFailure;
use super::super::settings::{Setting, path, put, text};
use super::hook::{or_off, shown_path};

/// `geo.country`.
pub const COUNTRY: Setting = Setting {
    key: "geo.country",
    about: "MMDB file that says in which country an address is, for subscribers who may watch in \
            one country only, and for lists of sessions; \"off\" = none, and then those may watch \
            anywhere. Read again on SIGHUP.",
    set: |config, given| put(&mut config.outside.geo.country, or_off(given, path)),
    shown: Some(|config| shown_path(config.outside.geo.country.as_ref())),
    reloads: true,
};

/// `geo.asn`.
pub const ASN: Setting = Setting {
    key: "geo.asn",
    about: "MMDB file that says in whose network an address is (ASN), for lists of sessions; \
            \"off\" = none.",
    set: |config, given| put(&mut config.outside.geo.asn, or_off(given, path)),
    shown: Some(|config| shown_path(config.outside.geo.asn.as_ref())),
    reloads: true,
};

/// `geo.unknown`.
pub const UNKNOWN: Setting = Setting {
    key: "geo.unknown",
    about: "Whether a subscriber who may watch in one country only may do so where the file knows \
            no country, as in private networks: \"refuse\" or \"allow\".",
    set: |config, given| {
        let on_unknown = given.read(OnFailure::from_word)?;
        config.outside.geo.allows_unknown = on_unknown == OnFailure::Allow;
        Ok(())
    },
    shown: Some(|config| text(if config.outside.geo.allows_unknown { "allow" } else { "refuse" })),
    reloads: true,
};
