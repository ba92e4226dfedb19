//! The keys of `[hook]`.

use toml::Value;

use super::super::given::{Given, Wrong};
use super::super::settings::{Setting, bounded_ms, number, path, put, text};
use super::super::values::{duration_ms, duration_text};
use super::super::{
    HOOK_CACHE_MS_MAX, HOOK_CONCURRENT_MAX, HOOK_DEADLINE_MS_MAX, HookUrl, OnFailure,
};

/// `hook.url`.
pub const URL: Setting = Setting {
    key: "hook.url",
    about: "Back end that is asked whether a session may begin: an http or https URL, or \"off\". \
            docs/hook.md says what it is sent and what it answers.",
    set: |config, given| {
        put(&mut config.outside.hook.url, or_off(given, |given| given.read(HookUrl::of_text)))
    },
    shown: Some(|config| text(config.outside.hook.url.as_ref().map_or("off", HookUrl::text))),
    reloads: true,
};

/// `hook.secret_file`.
pub const SECRET_FILE: Setting = Setting {
    key: "hook.secret_file",
    about: "File of the secret that questions are signed with (HMAC-SHA-256), 32 bytes at least; \
            read again on SIGHUP.",
    set: |config, given| put(&mut config.outside.hook.secret_file, or_off(given, path)),
    shown: Some(|config| shown_path(config.outside.hook.secret_file.as_ref())),
    reloads: true,
};

/// `hook.ca_file`.
pub const CA_FILE: Setting = Setting {
    key: "hook.ca_file",
    about: "PEM file of those who may vouch for the back end's certificate; \"off\" = whom this \
            machine trusts.",
    set: |config, given| put(&mut config.outside.hook.ca_file, or_off(given, path)),
    shown: Some(|config| shown_path(config.outside.hook.ca_file.as_ref())),
    reloads: true,
};

/// `hook.deadline`.
pub const DEADLINE: Setting = Setting {
    key: "hook.deadline",
    about: "Time for an answer, from the question; then hook.on_failure holds.",
    set: |config, given| {
        let ms = given.read_number_or_text(duration_ms)?;
        if ms == 0 || ms > HOOK_DEADLINE_MS_MAX {
            return Err(given.blame("is not between \"1ms\" and \"5s\": viewers wait for it"));
        }
        config.outside.hook.deadline_ms = ms;
        Ok(())
    },
    shown: Some(|config| text(duration_text(config.outside.hook.deadline_ms))),
    reloads: true,
};

/// `hook.concurrent_max`.
pub const CONCURRENT_MAX: Setting = Setting {
    key: "hook.concurrent_max",
    about: "Questions that are put to it at once, a connection each; the others wait within their \
            deadline.",
    set: |config, given| match given.count(HOOK_CONCURRENT_MAX)? {
        0 => Err(given.blame("is 0, and nobody could be asked (write hook.url = \"off\")")),
        most => {
            config.outside.hook.concurrent_max = most;
            Ok(())
        }
    },
    shown: Some(|config| number(config.outside.hook.concurrent_max)),
    reloads: true,
};

/// `hook.cache`.
pub const CACHE: Setting = Setting {
    key: "hook.cache",
    about: "Time for which a yes is good for the same viewer, device, address and content, unless \
            the answer has a ttl.",
    set: |config, given| put(&mut config.outside.hook.cache_ms, cache_ms(given)),
    shown: Some(|config| text(duration_text(config.outside.hook.cache_ms))),
    reloads: true,
};

/// `hook.cache_refused`.
pub const CACHE_REFUSED: Setting = Setting {
    key: "hook.cache_refused",
    about: "The same of a no.",
    set: |config, given| put(&mut config.outside.hook.cache_refused_ms, cache_ms(given)),
    shown: Some(|config| text(duration_text(config.outside.hook.cache_refused_ms))),
    reloads: true,
};

/// `hook.on_failure`.
pub const ON_FAILURE: Setting = Setting {
    key: "hook.on_failure",
    about: "What holds where it does not answer in time or answers something else: \"allow\" = \
            what the registry says, \"refuse\" = new sessions get 503. Those that run go on.",
    set: |config, given| put(&mut config.outside.hook.on_failure, given.read(OnFailure::from_word)),
    shown: Some(|config| text(config.outside.hook.on_failure.word())),
    reloads: true,
};

/// `hook.events`.
pub const EVENTS: Setting = Setting {
    key: "hook.events",
    about: "What it is asked about: \"session\" = a session begins, \"login\" = somebody signs in \
            with an app password.",
    set: |config, given| {
        let word = |text: &str| match text {
            "login" | "session" => Ok(text.to_owned()),
            other => Err(format!("{other:?} is no event (write \"login\" or \"session\")")),
        };
        let events =
            given.list()?.iter().map(|event| event.read(word)).collect::<Result<Vec<_>, _>>()?;
        let has = |word: &str| events.iter().any(|event| event == word);
        let (logins, sessions) = (has("login"), has("session"));
        (config.outside.hook.asks_logins, config.outside.hook.asks_sessions) = (logins, sessions);
        Ok(())
    },
    shown: Some(|config| {
        let hook = &config.outside.hook;
        let events = [(hook.asks_logins, "login"), (hook.asks_sessions, "session")];
        Value::Array(events.iter().filter(|(asks, _)| *asks).map(|(_, of)| text(*of)).collect())
    }),
    reloads: true,
};

/// What is given, unless it is "off".
pub(super) fn or_off<T>(
    given: Given<'_>,
    read: impl FnOnce(Given<'_>) -> Result<T, Wrong>,
) -> Result<Option<T>, Wrong> {
    if given.read(|text| Ok(text == "off")) == Ok(true) {
        return Ok(None);
    }
    read(given).map(Some)
}

pub(super) fn shown_path(path: Option<&std::path::PathBuf>) -> Value {
    text(path.map_or_else(|| "off".to_owned(), |path| path.display().to_string()))
}

fn cache_ms(given: Given<'_>) -> Result<u64, Wrong> {
    match bounded_ms(given)? {
        ms if ms <= HOOK_CACHE_MS_MAX => Ok(ms),
        _ => Err(given.blame("is longer than a day")),
    }
}
