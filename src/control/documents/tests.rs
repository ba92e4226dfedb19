//! Documents that are written, completed or refused.

use serde_json::json;

use super::*;

/// What becomes of a document, as text.
#[track_caller]
fn check(kind: Kind, document: Value, expected: &str) {
    let text = format!("{document}");
    let found = match checked(kind, document) {
        Ok(checked) => {
            let to = checked.references.iter().map(|to| format!(" -> {}", to.id));
            format!("{}{}", checked.document, to.collect::<String>())
        }
        Err(why) => why,
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn what_is_left_out_is_there_afterwards() {
    check(
        Kind::Category,
        json!({ "sorts": "film", "name": "Drama" }),
        r#"{"name":"Drama","order":0,"sorts":"film"}"#,
    );
    check(Kind::Bouquet, json!({ "name": "Basic" }), r#"{"content":[],"name":"Basic"}"#);
    check(
        Kind::Plan,
        json!({ "name": "Gold", "bouquets": ["basic", "sport"] }),
        r#"{"bitrate_max_kbps":0,"bouquets":["basic","sport"],"catch_up_days":0,"name":"Gold","rate_max_kbps":0,"sessions_max":1,"when_full":"refuse-newest"} -> basic -> sport"#,
    );
    check(
        Kind::Subscriber,
        json!({ "plan": "gold", "tags": ["b", "a", "b"] }),
        r#"{"agents_allowed":[],"agents_denied":[],"country":null,"expires":null,"external_id":null,"language":null,"networks":[],"notes":"","plan":"gold","sessions_max":null,"status":"active","tags":["a","b"],"trial":false} -> gold"#,
    );
}

#[test]
fn what_is_read_may_be_written_again() {
    let whole = checked(Kind::Subscriber, json!({ "status": "blocked", "networks": ["::1"] }));
    let whole = whole.unwrap();
    assert_eq!(checked(Kind::Subscriber, whole.document.clone()), Ok(whole));
}

#[test]
fn a_language_is_a_tag_of_letters_and_digits() {
    for (language, is_one) in [("nl", true), ("pt-BR", true), ("é", false), ("pt BR", false)] {
        let found = checked(Kind::Subscriber, json!({ "language": language }));
        assert_eq!(found.is_ok(), is_one, "{language}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let long = "x".repeat(DOCUMENT_TEXT_MAX + 1);
    for (kind, document, expected) in [
        (Kind::Plan, json!([]), "it is to be an object: { … }"),
        (Kind::Plan, json!({}), "missing field `name`"),
        (Kind::Plan, json!({ "name": " " }), "name: it is empty"),
        (Kind::Plan, json!({ "name": "a\u{1b}[m" }), "name: it has control characters"),
        (Kind::Plan, json!({ "name": long }), "name: it has more than 1024 bytes"),
        (
            Kind::Plan,
            json!({ "name": "a", "bouquets": ["a", "B"] }),
            "bouquets[1]: \"B\" is no id (a-z, 0-9, \"-\", \"_\", \".\", up to 128)",
        ),
        (
            Kind::Plan,
            json!({ "name": "a", "bouquets": ["a", "a"] }),
            "bouquets[1]: \"a\" stands there twice",
        ),
        (
            Kind::Plan,
            json!({ "name": "a", "session_max": 1 }),
            "unknown field `session_max`, expected one of `name`, `bouquets`, `sessions_max`, \
             `when_full`, `bitrate_max_kbps`, `catch_up_days`, `rate_max_kbps`",
        ),
        (
            Kind::Plan,
            json!({ "name": "a", "sessions_max": -1 }),
            "invalid value: integer `-1`, expected u32",
        ),
        (
            Kind::Bouquet,
            json!({ "name": "a", "content": ["news"] }),
            "content[0]: \"news\" is no content (write \"tv/news\" or \"vod/films/a\")",
        ),
        (
            Kind::Bouquet,
            json!({ "name": "a", "content": ["vod/../a"] }),
            "content[0]: \"vod/../a\" is no content (write \"tv/news\" or \"vod/films/a\")",
        ),
        (
            Kind::Bouquet,
            json!({ "name": "a", "content": ["tv/news/video"] }),
            "content[0]: \"tv/news/video\" is no content (write \"tv/news\" or \"vod/films/a\")",
        ),
        (
            Kind::Subscriber,
            json!({ "networks": ["office"] }),
            "networks[0]: \"office\" is no network (write \"192.0.2.0/24\" or \"2001:db8::1\")",
        ),
        (Kind::Subscriber, json!({ "country": "nl" }), "country: \"nl\" is none (write \"NL\")"),
        (
            Kind::Subscriber,
            json!({ "status": "gone" }),
            "unknown variant `gone`, expected `active` or `blocked`",
        ),
        (Kind::SigningKey, json!({}), "a key is made by the server alone"),
        (Kind::Admin, json!({}), "this has a way of its own to be made"),
    ] {
        check(kind, document, expected);
    }
    let many: Vec<_> = (0..=DOCUMENT_LIST_MAX).map(|index| format!("tv/{index}")).collect();
    check(
        Kind::Bouquet,
        json!({ "name": "a", "content": many }),
        "content: it has more than 100000 entries",
    );
}

#[test]
fn ids_are_for_addresses_and_names_of_users_stay_as_they_were() {
    for (kind, name, is_good) in [
        (Kind::Plan, "gold-2.0_x", true),
        (Kind::Plan, "", false),
        (Kind::Plan, ".gold", false),
        (Kind::Plan, "Gold", false),
        (Kind::Plan, "a b", false),
        (Kind::Subscriber, "Anna.B@example.org", true),
        (Kind::Subscriber, "jürgen", true),
        (Kind::Subscriber, "a/b", false),
        (Kind::Subscriber, "a b", false),
        (Kind::Subscriber, "..", false),
        (Kind::Subscriber, "a\nb", false),
    ] {
        assert_eq!(id(kind, name).is_ok(), is_good, "{name}");
    }
    assert!(id(Kind::Subscriber, &"x".repeat(OBJECT_ID_MAX)).is_ok());
    assert!(id(Kind::Subscriber, &"x".repeat(OBJECT_ID_MAX + 1)).is_err());
}

#[test]
fn what_becomes_of_one_place_more_is_one_of_two() {
    for (when_full, is_known) in [("refuse-newest", true), ("end-oldest", true), ("ask", false)] {
        let plan = json!({ "name": "a", "when_full": when_full });
        assert_eq!(checked(Kind::Plan, plan).is_ok(), is_known, "{when_full}");
    }
}

#[test]
fn a_ban_is_of_a_network_that_is_written_in_one_way() {
    for (text, expected) in [
        ("192.0.2.0/24", None),
        ("2001:db8::/32", None),
        ("192.0.2.7", Some("\"192.0.2.7\" is written \"192.0.2.7/32\"")),
        ("192.0.2.7/24", Some("\"192.0.2.7/24\" is written \"192.0.2.0/24\"")),
        ("::ffff:192.0.2.0/120", Some("\"::ffff:192.0.2.0/120\" is written \"192.0.2.0/24\"")),
        ("office", Some("\"office\" is no network (write \"192.0.2.0/24\")")),
    ] {
        assert_eq!(id(Kind::Ban, text).err().as_deref(), expected, "{text}");
    }
    let whole = checked(Kind::Ban, json!({ "until": 7 })).unwrap().document;
    assert_eq!(whole, json!({ "until": 7, "reason": "", "made": "hand" }));
    assert!(checked(Kind::Ban, json!({ "made": "somehow" })).is_err());
}
