//! A document as it stands, and what was found of its title, in; what it says from now on, out.
//! Pure.
//!
//! What an operator wrote stays. A document remembers of each field what was last put into it from
//! here (`imported`, a few digits of a digest): a field that says something else, or that was taken
//! away, is somebody's own from then on.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Fields of the document.
    pub fields: Map<String, Value>,
    /// Fields of its details.
    pub details: Map<String, Value>,
    /// Details that are what they were, without being read again, as long as they came from here.
    pub same: Vec<&'static str>,
    /// Words about files from which details came.
    pub marks: Vec<(&'static str, String)>,
}

/// The document with what was found in it.
#[must_use]
pub fn merged(document: Option<Map<String, Value>>, found: Found) -> Map<String, Value> {
    let is_new = document.is_none();
    let mut document = document.unwrap_or_default();
    let mut imported = object(document.remove("imported"));
    let mut details = object(document.remove("details"));
    document.remove("missing");
    for (key, value) in found.fields {
        // A name can't be taken away, so one that nobody put there from here is an operator's.
        put(&mut document, &mut imported, &key, &key, Some(value));
    }
    let known: Vec<String> = imported.keys().filter_map(|key| detail_of(key)).collect();
    for key in known {
        let is_said = found.details.contains_key(&key) || found.same.contains(&key.as_str());
        if !is_said {
            put(&mut details, &mut imported, &key, &format!("details.{key}"), None);
        }
    }
    for (key, value) in found.details {
        put(&mut details, &mut imported, &key, &format!("details.{key}"), Some(value));
    }
    imported.retain(|key, _| !key.starts_with('@'));
    for (key, mark) in found.marks {
        imported.insert(format!("@{key}"), digest(&Value::String(mark)).into());
    }
    if !details.is_empty() {
        document.insert("details".to_owned(), Value::Object(details));
    }
    if is_new || !imported.is_empty() {
        document.insert("imported".to_owned(), Value::Object(imported));
    }
    document
}

/// Whether a document came from here, or has something that did.
#[must_use]
pub fn is_imported(document: &Value) -> bool {
    document["imported"].is_object()
}

/// Whether the file of which this word was said is the one that a document's detail came from.
#[must_use]
pub fn has_mark(document: Option<&Value>, key: &str, mark: &str) -> bool {
    let kept = document.map(|document| &document["imported"][format!("@{key}")]);
    kept.and_then(Value::as_str) == Some(&digest(&Value::String(mark.to_owned())))
}

fn detail_of(key: &str) -> Option<String> {
    key.strip_prefix("details.").map(str::to_owned)
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Puts a value into a field that is nobody's own, or takes it away.
fn put(
    fields: &mut Map<String, Value>,
    imported: &mut Map<String, Value>,
    key: &str,
    known_as: &str,
    value: Option<Value>,
) {
    let before = imported.get(known_as).and_then(Value::as_str);
    let is_ours = match (fields.get(key), before) {
        (None, None) => true,
        (Some(now), Some(before)) => digest(now) == before,
        // Somebody wrote it, or took it away.
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !is_ours {
        return;
    }
    match value {
        Some(value) => {
            imported.insert(known_as.to_owned(), digest(&value).into());
            fields.insert(key.to_owned(), value);
        }
        None => {
            fields.remove(key);
            imported.remove(known_as);
        }
    }
}

/// A few digits of a value: enough that an edit is not taken for none.
fn digest(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string().as_bytes());
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        object(Some(value))
    }

    fn found(fields: Value, details: Value) -> Found {
        Found { fields: map(fields), details: map(details), ..Found::default() }
    }

    /// The document without what it remembers.
    fn said(document: &Map<String, Value>) -> Value {
        let mut document = document.clone();
        document.remove("imported");
        Value::Object(document)
    }

    #[test]
    fn what_came_from_here_follows_and_what_an_operator_wrote_stays() {
        let first = merged(
            None,
            found(json!({ "name": "A" }), json!({ "year": 1, "plot": "p", "age": 6 })),
        );
        assert_eq!(
            said(&first),
            json!({ "name": "A", "details": { "year": 1, "plot": "p", "age": 6 } })
        );
        // The same again changes nothing.
        let again = merged(
            Some(first.clone()),
            found(json!({ "name": "A" }), json!({ "year": 1, "plot": "p", "age": 6 })),
        );
        assert_eq!(again, first);
        let mut edited = first;
        edited.insert("name".to_owned(), "Mine".into());
        edited.insert("order".to_owned(), 7.into());
        edited["details"]["year"] = 2.into();
        edited["details"].as_object_mut().unwrap().remove("plot");
        let next = merged(
            Some(edited),
            found(json!({ "name": "B" }), json!({ "year": 3, "plot": "q", "rating": 5.0 })),
        );
        let expected =
            json!({ "name": "Mine", "order": 7, "details": { "year": 2, "rating": 5.0 } });
        assert_eq!(said(&next), expected);
    }

    #[test]
    fn a_document_of_an_operator_is_completed_and_not_changed() {
        let mine = map(json!({ "name": "Mine", "details": { "year": 2 }, "missing": true }));
        let next =
            merged(Some(mine), found(json!({ "name": "A" }), json!({ "year": 1, "plot": "p" })));
        assert_eq!(said(&next), json!({ "name": "Mine", "details": { "year": 2, "plot": "p" } }));
        let mine = map(json!({ "name": "Mine" }));
        let next = merged(Some(mine.clone()), found(json!({ "name": "A" }), json!({})));
        assert_eq!(next, mine);
        assert!(!is_imported(&Value::Object(next)));
    }

    #[test]
    fn what_a_file_is_remembered_by_is_another_word_when_it_changes() {
        let mut of = found(json!({ "name": "A" }), json!({ "poster": "img:1" }));
        of.marks = vec![("poster", "p.jpg-1-2".to_owned())];
        let first = merged(None, of);
        let whole = Value::Object(first.clone());
        assert!(has_mark(Some(&whole), "poster", "p.jpg-1-2"));
        assert!(!has_mark(Some(&whole), "poster", "p.jpg-1-3") && !has_mark(None, "poster", ""));
        let mut same = found(json!({ "name": "A" }), json!({}));
        (same.same, same.marks) = (vec!["poster"], vec![("poster", "p.jpg-1-2".to_owned())]);
        assert_eq!(merged(Some(first.clone()), same), first);
        // Without the file its poster goes.
        let gone = merged(Some(first), found(json!({ "name": "A" }), json!({})));
        assert_eq!(said(&gone), json!({ "name": "A" }));
    }
}
