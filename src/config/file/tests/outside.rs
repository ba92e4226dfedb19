//! Cases of `[hook]` and `[geo]`.

use super::Case;

pub const KEYS: &[Case] = &[
    (
        "apps",
        "start",
        "\"redirect\"",
        "\"302\"",
        "\"302\" is neither (write \"playlist\" or \"redirect\")",
    ),
    (
        "hook",
        "url",
        "\"https://crm.example.org/hook\"",
        "\"crm\"",
        "\"crm\" is not of http or https (write \"https://crm.example.org/hook\")",
    ),
    ("hook", "secret_file", "\"secret\"", "\"\"", "is empty (write a path)"),
    ("hook", "ca_file", "\"off\"", "7", "is a whole number, not a string"),
    (
        "hook",
        "deadline",
        "\"5s\"",
        "\"6s\"",
        "is not between \"1ms\" and \"5s\": viewers wait for it",
    ),
    (
        "hook",
        "concurrent_max",
        "256",
        "0",
        "is 0, and nobody could be asked (write hook.url = \"off\")",
    ),
    ("hook", "cache", "0", "\"2d\"", "is longer than a day"),
    ("hook", "cache_refused", "\"5s\"", "\"2d\"", "is longer than a day"),
    (
        "hook",
        "on_failure",
        "\"refuse\"",
        "\"maybe\"",
        "\"maybe\" is not known here (write \"allow\" or \"refuse\")",
    ),
    (
        "hook",
        "events",
        "[\"login\", \"session\"]",
        "[\"segment\"]",
        "\"segment\" is no event (write \"login\" or \"session\")",
    ),
    ("catalogue", "every", "\"10min\"", "\"10ms\"", "is shorter than a second"),
    (
        "fetch",
        "allow",
        "[\"192.168.1.0/24\", \"::1\"]",
        "[\"home\"]",
        "\"home\" is not a network (write \"10.0.0.0/8\" or \"192.0.2.7\")",
    ),
    ("geo", "country", "\"country.mmdb\"", "1", "is a whole number, not a string"),
    ("geo", "asn", "\"off\"", "[]", "is a list, not a string"),
    (
        "geo",
        "unknown",
        "\"allow\"",
        "\"no\"",
        "\"no\" is not known here (write \"allow\" or \"refuse\")",
    ),
];

#[test]
fn a_back_end_is_asked_with_a_signature_and_paths_count_from_the_file() {
    use std::path::Path;

    use crate::config::load::Sources;

    let draft = |text| Sources::default().with_text(Some((Path::new("/etc/x.toml"), text)));
    let complaints =
        |text| -> Vec<_> { draft(text).errors.iter().map(ToString::to_string).collect() };
    assert_eq!(
        complaints("[hook]\n\nurl = \"http://crm/\"\n"),
        ["/etc/x.toml:3: hook.url: takes a hook.secret_file, by which questions are signed"]
    );
    assert_eq!(
        complaints("[hook]\nsecret_file = \"s\"\n"),
        ["/etc/x.toml:2: hook.secret_file: is of no use without a hook.url"]
    );
    let good = draft(
        "[hook]\nurl = \"http://crm/\"\nsecret_file = \"s\"\nca_file = \"/c\"\nevents = [\"login\"]\n\
         [geo]\ncountry = \"a.mmdb\"\nasn = \"b.mmdb\"\n",
    );
    assert_eq!(good.errors, []);
    let outside = good.config.outside;
    let paths =
        [outside.hook.secret_file, outside.hook.ca_file, outside.geo.country, outside.geo.asn];
    let expected = ["/etc/s", "/c", "/etc/a.mmdb", "/etc/b.mmdb"];
    assert_eq!(paths.map(|path| path.unwrap().display().to_string()), expected);
    assert!(outside.hook.asks_logins && !outside.hook.asks_sessions);
}

#[test]
fn what_is_shown_of_a_back_end_can_be_read_back() {
    use std::path::Path;

    use crate::config::load::Sources;
    use crate::config::shown::toml_text;

    let read = |text: &str| Sources::default().with_text(Some((Path::new("/etc/x.toml"), text)));
    let first = read(
        "[hook]\nurl = \"https://[::1]:99/a?b=c\"\nsecret_file = \"s\"\nca_file = \"c\"\n\
         deadline = \"1500ms\"\nconcurrent_max = 3\ncache = \"1h\"\ncache_refused = 0\n\
         on_failure = \"refuse\"\nevents = []\n\
         [geo]\ncountry = \"a.mmdb\"\nunknown = \"allow\"\n",
    );
    assert_eq!(first.errors, []);
    let text = toml_text(&first, &|_| None);
    let second = read(&text);
    assert_eq!(second.errors, [], "{text}");
    assert_eq!(first.config.outside, second.config.outside, "{text}");
    let hook = &second.config.outside.hook;
    assert_eq!((hook.deadline_ms, hook.cache_ms, hook.cache_refused_ms), (1_500, 3_600_000, 0));
}
