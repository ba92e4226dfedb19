//! The keys of `[slates]`.

use super::super::settings::Setting;

/// `slates.path`.
pub const PATH: Setting = Setting {
    key: "slates.path",
    about: "Folder of what refused viewers see, as shardcast slates make writes it: limit.en.ts \
            and so on; \"off\" for none.",
    set: |config, given| config.slates.set_path(given),
    shown: Some(|config| config.slates.shown_path()),
    reloads: false,
};

/// `slates.languages`.
pub const LANGUAGES: Setting = Setting {
    key: "slates.languages",
    about: "Languages that there are slates in; the first is for whoever says none.",
    set: |config, given| config.slates.set_languages(given),
    shown: Some(|config| config.slates.shown_languages()),
    reloads: false,
};

/// `slates.reasons`.
pub const REASONS: Setting = Setting {
    key: "slates.reasons",
    about: "What there are slates for: \"limit\", \"expired\", \"blocked\", \"off-air\".",
    set: |config, given| config.slates.set_reasons(given),
    shown: Some(|config| config.slates.shown_reasons()),
    reloads: false,
};
