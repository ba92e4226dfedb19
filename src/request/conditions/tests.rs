//! Conditions, alone and against each other. The object has the tag `"01…"` and a date.

use super::*;

const ETAG: ETag = ETag([1; 16]);
const TAG: &str = "\"01010101010101010101010101010101\"";
/// Sun, 06 Nov 1994 08:49:37 GMT.
const MODIFIED: UnixTime = UnixTime(784_111_777);
const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

const SENT: Verdict = Verdict::Proceed { range_applies: true };

/// The verdict on these fields, where `TAG` stands for the object's tag.
fn judged(fields: &str) -> Verdict {
    let fields = fields.replace("TAG", TAG);
    let mut conditions = Conditions::default();
    for field in fields.lines() {
        let (name, value) = field.split_once(": ").expect("a case has names and values");
        let slot = match name {
            "If-Match" => &mut conditions.if_match,
            "If-None-Match" => &mut conditions.if_none_match,
            "If-Modified-Since" => &mut conditions.if_modified_since,
            "If-Unmodified-Since" => &mut conditions.if_unmodified_since,
            "If-Range" => &mut conditions.if_range,
            _ => panic!("an unknown field in a case: {name}"),
        };
        *slot = Some(value.as_bytes());
    }
    verdict(&conditions, ETAG, MODIFIED)
}

#[track_caller]
fn check(field: &str, cases: &[(&str, Verdict)]) {
    for (value, expected) in cases {
        assert_eq!(judged(&format!("{field}: {value}")), *expected, "{field}: {value}");
    }
}

#[test]
fn none_of_them_is_no_condition() {
    assert_eq!(verdict(&Conditions::default(), ETAG, MODIFIED), SENT);
}

#[test]
fn if_match_compares_strongly() {
    let failed = Verdict::Failed;
    check(
        "If-Match",
        &[
            ("*", SENT),
            ("TAG", SENT),
            ("\"x\", TAG", SENT),
            ("\"x\",,\t TAG ,\"y\"", SENT),
            ("\"a,b\", TAG", SENT),
            ("\"a\u{e9}\", TAG", SENT),
            ("W/TAG", failed),
            ("W/\"x\", W/TAG", failed),
            ("\"x\"", failed),
            ("\"TAG\"", failed),
            ("\"\"", failed),
            ("01010101010101010101010101010101", failed),
            ("\"01010101010101010101010101010101", failed),
            ("*, TAG", failed),
            ("", failed),
        ],
    );
}

#[test]
fn if_none_match_compares_weakly() {
    let known = Verdict::NotModified;
    check(
        "If-None-Match",
        &[
            ("*", known),
            ("TAG", known),
            ("W/TAG", known),
            ("\"x\", W/TAG", known),
            ("\"x\" TAG", known),
            ("w/TAG", SENT),
            ("\"x\"", SENT),
            ("\"x, TAG", SENT),
            ("garbage", SENT),
            ("\"0101010101010101010101010101010A\"", SENT),
            ("", SENT),
        ],
    );
}

#[test]
fn if_modified_since_looks_at_seconds() {
    let known = Verdict::NotModified;
    check(
        "If-Modified-Since",
        &[
            (SAME, known),
            (AFTER, known),
            (BEFORE, SENT),
            ("Sunday, 06-Nov-94 08:49:37 GMT", known),
            ("Sun Nov  6 08:49:37 1994", known),
            ("Sat, 06 Nov 9999 08:49:37 GMT", known),
            ("Mon, 06 Nov 1994 08:49:38 GMT", SENT),
            ("Sun, 31 Feb 2031 08:49:37 GMT", SENT),
            ("Sun, 06 Nov 1994 08:49:38", SENT),
            ("784111778", SENT),
            ("\u{e9}", SENT),
            ("", SENT),
        ],
    );
}

#[test]
fn if_unmodified_since_looks_at_seconds() {
    check(
        "If-Unmodified-Since",
        &[(SAME, SENT), (AFTER, SENT), (BEFORE, Verdict::Failed), ("yesterday", SENT)],
    );
}

#[test]
fn if_range_wants_the_very_same() {
    let whole = Verdict::Proceed { range_applies: false };
    check(
        "If-Range",
        &[
            ("TAG", SENT),
            (SAME, SENT),
            ("Sunday, 06-Nov-94 08:49:37 GMT", SENT),
            ("W/TAG", whole),
            ("\"x\"", whole),
            ("TAG, TAG", whole),
            ("*", whole),
            (BEFORE, whole),
            (AFTER, whole),
            ("garbage", whole),
            ("", whole),
        ],
    );
}

#[test]
fn tags_come_before_dates_and_preconditions_before_what_is_known() {
    let (known, failed) = (Verdict::NotModified, Verdict::Failed);
    let whole = Verdict::Proceed { range_applies: false };
    for (fields, expected) in [
        (format!("If-Match: TAG\nIf-Unmodified-Since: {BEFORE}"), SENT),
        (format!("If-Match: \"x\"\nIf-Unmodified-Since: {AFTER}"), failed),
        (format!("If-None-Match: \"x\"\nIf-Modified-Since: {AFTER}"), SENT),
        (format!("If-None-Match: TAG\nIf-Modified-Since: {BEFORE}"), known),
        ("If-Match: TAG\nIf-None-Match: TAG".to_owned(), known),
        ("If-Match: \"x\"\nIf-None-Match: TAG".to_owned(), failed),
        (format!("If-Unmodified-Since: {BEFORE}\nIf-None-Match: TAG"), failed),
        (format!("If-Unmodified-Since: {AFTER}\nIf-Modified-Since: {AFTER}"), known),
        ("If-None-Match: TAG\nIf-Range: TAG".to_owned(), known),
        ("If-Match: TAG\nIf-Range: \"x\"".to_owned(), whole),
        (format!("If-Modified-Since: {BEFORE}\nIf-Range: {SAME}"), SENT),
    ] {
        assert_eq!(judged(&fields), expected, "{fields}");
    }
}
