//! A channel as a document of the registry: the keys of `[[channel]]` in JSON, read by the very
//! code that reads the file.
//!
//! Two things are other than in the file. No document names a file or a folder of this machine, so
//! whoever may write documents reads nothing by it that only the server may. And a password does
//! not stand in a file but in the document, sealed.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Draft, Reading, Whose};
use crate::config::Channel;

/// The key of a sealed password, beside `user`.
pub const SEALED: &str = "sealed_password";

/// The channel of this id that a document says.
///
/// # Errors
///
/// `KEY: WHY` of the first thing that is wrong.
pub fn channel(id: &str, document: &Map<String, Value>) -> Result<Channel, String> {
    let mut text = String::from("[[channel]]\n\"id\" = ");
    string(&mut text, id);
    for (key, value) in document.iter().filter(|(_, value)| !value.is_null()) {
        if key == "id" {
            return Err("id: it does not stand in the document".to_owned());
        }
        text.push('\n');
        string(&mut text, key);
        text += " = ";
        toml(&mut text, value);
    }
    text.push('\n');
    let mut draft = Draft::default();
    let (document, faults) = toml::de::DeTable::parse_recoverable(&text);
    if let Some(fault) = faults.first() {
        return Err(format!("it can't be read: {}", fault.message()));
    }
    let path = Path::new("");
    let mut reading = Reading { draft: &mut draft, path, text: &text, whose: Whose::Operator };
    reading.document(document.get_ref());
    if let Some(wrong) = draft.errors.into_iter().next() {
        let key = wrong.key.strip_prefix("channel.").unwrap_or(&wrong.key);
        return Err(format!("{key}: {}", wrong.why));
    }
    draft.config.channels.pop().ok_or_else(|| "it says nothing".to_owned())
}

/// A value of JSON as TOML writes it. What JSON has and TOML has not is left out.
fn toml(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("\"\""),
        Value::Bool(is) => text.push_str(if *is { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(of) => string(text, of),
        Value::Array(elements) => {
            text.push('[');
            for element in elements {
                toml(text, element);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            for (index, (key, value)) in fields.enumerate() {
                text.push_str(if index == 0 { " " } else { ", " });
                string(text, key);
                text.push_str(" = ");
                toml(text, value);
            }
            text.push('}');
        }
    }
}

/// A basic string: JSON's escapes are TOML's, and TOML wants one more (v1.0.0, "String").
fn string(text: &mut String, of: &str) {
    text.push_str(&Value::from(of).to_string().replace('\u{7f}', "\\u007f"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::config::{Access, Password, Push};

    fn read(document: Value) -> Result<Channel, String> {
        let Value::Object(document) = document else { unreachable!("these are objects") };
        channel("news", &document)
    }

    #[test]
    fn a_document_says_what_a_table_of_the_file_says() {
        let document = json!({
            "name": "The \"News\"\u{7f}".trim_end_matches('\u{7f}'), "access": "open", "window": "5min", "segment": "4s", "part": null,
            "archive": "7d", "archive_size": "1TB", "order": -3, "categories": ["news"],
            "logo": "https://a.example/n.png",
            "ingest": { "user": "enc", "sealed_password": "abc" },
            "source": [{ "name": "a" }, { "name": "b", "user": "u", "sealed_password": "d" }],
        });
        let channel = read(document).unwrap();
        let text = "[[channel]]\nid = \"news\"\nname = \"The \\\"News\\\"\"\naccess = \"open\"\n\
                    window = \"5min\"\nsegment = \"4s\"\narchive = \"7d\"\narchive_size = \"1TB\"\n\
                    order = -3\ncategories = [\"news\"]\nlogo = \"https://a.example/n.png\"\n\
                    ingest = { user = \"enc\", password_file = \"/abc\" }\n\
                    source = [{ name = \"a\" }, { name = \"b\", user = \"u\", password_file = \"/d\" }]\n";
        let mut draft = Draft::default();
        draft.apply_file(Path::new("/x.toml"), text);
        assert_eq!(draft.errors, []);
        let mut of_file = draft.config.channels.pop().unwrap();
        let sealed = |text: &str| Password::Sealed(text.to_owned());
        of_file.push = Some(Push { user: "enc".to_owned(), password: sealed("abc") });
        of_file.sources.encoders[1].push =
            Some(Push { user: "u".to_owned(), password: sealed("d") });
        assert_eq!(channel, of_file);
        assert_eq!(channel.access, Some(Access::Open));
        assert!(!format!("{channel:?}").contains("abc"), "a password is not shown");
    }

    #[test]
    fn what_is_wrong_is_told_as_of_the_file() {
        for (document, why) in [
            (json!({ "windw": "5s" }), "windw: is not a known key (did you mean window?)"),
            (json!({ "window": 5 }), "window: is a whole number, not a string"),
            (json!({ "window": "1s" }), "window: is too short (write \"10s\" to \"4h\")"),
            (
                json!({ "segment": "1s", "part": "2s" }),
                "part: is longer than the segment (write at most \"1s\")",
            ),
            (
                json!({ "idle": "60s" }),
                "idle: needs inputs (write inputs = [\"udp://239.1.1.1:5000\"])",
            ),
            (json!({ "id": "other" }), "id: it does not stand in the document"),
            (json!({ "ingest": { "user": "a" } }), "ingest: needs user and password"),
            (
                json!({ "logo": "file:///etc/passwd" }),
                "logo: \"file:///etc/passwd\" is no address (write \"https://example.org/logo.png\")",
            ),
            (json!({ "categories": ["a", "a"] }), "categories: \"a\" is named twice"),
            (json!({ "order": 1.5 }), "order: is a number with a point, not a string"),
        ] {
            assert_eq!(read(document.clone()), Err(why.to_owned()), "{document}");
        }
    }

    #[test]
    fn no_document_leads_to_files_or_to_what_listens_for_this_machine_alone() {
        let file = "names a file, which only the config file may";
        let ours = "is an address of this machine, which only the config file may name";
        for (document, why) in [
            (json!({ "folder": "/etc" }), format!("folder: {file}")),
            (json!({ "inputs": ["/etc/passwd"] }), format!("inputs: {file}")),
            (json!({ "inputs": [{ "path": "a.mp4" }] }), format!("inputs: {file}")),
            (json!({ "source": [{ "name": "a", "folder": "x" }] }), format!("source: {file}")),
            (
                json!({ "ingest": { "user": "a", "password_file": "/etc/shadow" } }),
                "ingest: \"password_file\" is not known here (write user and password)".to_owned(),
            ),
            (json!({ "inputs": ["http://127.0.0.1:8081/metrics"] }), format!("inputs: {ours}")),
            (json!({ "inputs": ["http://u:p@LocalHost./x"] }), format!("inputs: {ours}")),
            (json!({ "inputs": ["http://[::ffff:127.0.0.1]/x"] }), format!("inputs: {ours}")),
            (json!({ "inputs": ["http://[fe80::1%25eth0]/x"] }), format!("inputs: {ours}")),
            (json!({ "inputs": ["http://2130706433/x"] }), format!("inputs: {ours}")),
            (json!({ "inputs": ["tcp://0x7f.1:80"] }), format!("inputs: {ours}")),
            (json!({ "inputs": ["http://169.254.169.254/latest"] }), format!("inputs: {ours}")),
            (json!({ "inputs": ["rtmp://0.0.0.0/live"] }), format!("inputs: {ours}")),
        ] {
            assert_eq!(read(document.clone()), Err(why), "{document}");
        }
        for input in [
            json!("udp://@239.1.1.1:5000"),
            json!("srt://0.0.0.0:9000?mode=listener"),
            json!({ "url": "rtmp://0.0.0.0/live/key", "listen": "on" }),
            json!("http://192.0.2.7:8080/a.ts"),
            json!("https://7tv.example.org/a.m3u8"),
        ] {
            assert!(read(json!({ "inputs": [input] })).is_ok(), "{input}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_is_read_or_refused(
            key in prop_oneof![any::<String>(), Just("name".to_owned()), Just("inputs".to_owned())],
            value in any_value(),
        ) {
            let _ = channel("news", &Map::from_iter([(key, value)]));
        }

        #[test]
        fn any_name_comes_back_as_it_was(name in "[^\\p{Cc}]{1,40}") {
            let document = Map::from_iter([("name".to_owned(), Value::from(name.clone()))]);
            prop_assert_eq!(channel("news", &document).map(|channel| channel.name), Ok(name));
        }
    }
}
