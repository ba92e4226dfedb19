//! JSON Schemas (draft 2020-12) held against values: the few words that our schemas have. One that
//! is not known here fails, so that none is passed over.

use serde_json::Value;

/// What is wrong with a value; nothing if it is as this definition of the schema says.
pub fn faults(schema: &Value, definition: &str, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, &schema["$defs"][definition], value, definition, &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let words = schema.as_object().unwrap_or_else(|| panic!("{at}: no such definition"));
    for (word, says) in words {
        match word.as_str() {
            "$ref" => {
                let name = says.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                check(root, &root["$defs"][name], value, at, faults);
            }
            "type" => {
                let kinds: Vec<_> = match says {
                    Value::Array(kinds) => kinds.iter().map(|of| of.as_str().unwrap()).collect(),
                    one => vec![one.as_str().unwrap()],
                };
                if !kinds.iter().any(|kind| is(kind, value)) {
                    faults.push(format!("{at}: {value} is no {}", kinds.join(" or ")));
                }
            }
            "enum" => {
                if !says.as_array().unwrap().contains(value) {
                    faults.push(format!("{at}: {value} is none of {says}"));
                }
            }
            "pattern" => {
                if let Some(text) = value.as_str()
                    && !matches(says.as_str().unwrap(), text)
                {
                    faults.push(format!("{at}: {text:?} is not like {says}"));
                }
            }
            "required" => {
                for name in says.as_array().unwrap().iter().filter_map(Value::as_str) {
                    if value.is_object() && value.get(name).is_none() {
                        faults.push(format!("{at}: {name} is missing"));
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, says, item, &format!("{at}[{index}]"), faults);
                }
            }
            "properties" => {
                for (name, schema) in says.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(root, schema, value, &format!("{at}.{name}"), faults);
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten() {
                    if known.is_some_and(|known| known.contains_key(name)) {
                        continue;
                    }
                    match says {
                        Value::Bool(false) => faults.push(format!("{at}: {name} is one too many")),
                        schema => check(root, schema, value, &format!("{at}.{name}"), faults),
                    }
                }
            }
            other => panic!("{at}: {other} is not known here"),
        }
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

/// The part of regular expressions that our schemas have: `^`, classes or characters each with `*`,
/// `+`, `{n}`, `{n,}` or `{n,m}`, `$`.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern = pattern.strip_prefix('^').unwrap().strip_suffix('$').unwrap();
    let (mut rest, mut text) = (pattern, text.as_bytes());
    while !rest.is_empty() {
        let (class, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap(),
            None => rest.split_at(1),
        };
        let (least, most, after) = repeats(after);
        rest = after;
        let count = text.iter().take(most).take_while(|byte| has(class, **byte)).count();
        if count < least {
            return false;
        }
        text = &text[count..];
    }
    text.is_empty()
}

fn repeats(rest: &str) -> (usize, usize, &str) {
    if let Some(rest) = rest.strip_prefix('*') {
        return (0, usize::MAX, rest);
    }
    if let Some(rest) = rest.strip_prefix('+') {
        return (1, usize::MAX, rest);
    }
    let Some(inner) = rest.strip_prefix('{') else { return (1, 1, rest) };
    let (counts, rest) = inner.split_once('}').unwrap();
    let (least, most) = counts.split_once(',').unwrap_or((counts, counts));
    (least.parse().unwrap(), most.parse().unwrap_or(usize::MAX), rest)
}

fn has(class: &str, byte: u8) -> bool {
    let class = class.as_bytes();
    let mut at = 0;
    while at < class.len() {
        if class.get(at + 1) == Some(&b'-') && at + 2 < class.len() {
            if (class[at]..=class[at + 2]).contains(&byte) {
                return true;
            }
            at += 3;
        } else {
            if class[at] == byte {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[test]
fn a_schema_finds_what_is_wrong() {
    let schema = serde_json::json!({ "$defs": {
        "all": { "type": "array", "items": { "$ref": "#/$defs/one" } },
        "one": {
            "type": "object",
            "properties": {
                "n": { "type": "integer", "enum": [0, 1] },
                "s": { "type": ["string", "null"], "pattern": "^[0-9a-c]{2,3}:[x]*$" },
            },
            "required": ["n"],
            "additionalProperties": false,
        },
    } });
    let faults = |value| faults(&schema, "all", &value).len();
    let one = |value| serde_json::json!([value]);
    for (value, expected) in [
        (serde_json::json!({ "n": 1, "s": "0c:xx" }), 0),
        (serde_json::json!({ "n": 1, "s": null }), 0),
        (serde_json::json!({ "n": "1" }), 2),
        (serde_json::json!({ "n": 1.5 }), 2),
        (serde_json::json!({ "s": "0:" }), 2),
        (serde_json::json!({ "n": 0, "s": "0123:" }), 1),
        (serde_json::json!({ "n": 0, "s": "01:y" }), 1),
        (serde_json::json!({ "n": 0, "more": 1 }), 1),
        (serde_json::json!("n"), 1),
    ] {
        assert_eq!(faults(one(value.clone())), expected, "{value}");
    }
    assert_eq!(faults(serde_json::json!({})), 1);
}
