//! Paths and schemas of the registry's kinds, made of the one set of handlers that serves them all
//! and of what each kind's document may say.
//!
//! A handler's `{kind}` becomes the kind's word in addresses, and `{Kind}` in the name of a schema
//! its own name.

use serde_json::{Map, Value, json};

use crate::config::OBJECT_ID_MAX;
use crate::control::documents::{self, Described};
use crate::control::objects::PLURALS;
use crate::control::operators::scope::ROUTES;
use crate::control::registry::Kind;

/// Paths of the handlers of every kind.
const SHARED: [&str; 2] = ["/api/v1/{kind}", "/api/v1/{kind}/{id}"];

/// The route that answers a path of the document.
pub fn route(path: &str) -> String {
    // Some kinds have handlers of their own besides.
    if ROUTES.iter().any(|(_, route, _)| *route == path) {
        return path.to_owned();
    }
    let of = |(plural, _): &(&str, Kind)| {
        let rest = path.strip_prefix("/api/v1/")?.strip_prefix(plural)?;
        matches!(rest, "" | "/{id}").then(|| format!("/api/v1/{{kind}}{rest}"))
    };
    PLURALS.iter().find_map(of).unwrap_or_else(|| path.to_owned())
}

/// Puts a path and schemas for each kind in place of those that they share.
pub fn add(document: &mut Value) {
    let Value::Object(paths) = &mut document["paths"] else { return };
    let shared = SHARED.map(|path| (path, paths.remove(path).unwrap_or_default().to_string()));
    for (plural, kind) in PLURALS {
        let Some(Described { name, schema, others }) = documents::described(kind) else { continue };
        for (path, item) in &shared {
            let item = item.replace("{kind}", plural).replace("{Kind}", &name);
            let mut item: Value =
                serde_json::from_str(&item).expect("it was JSON, and names have no quotes");
            for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
                let all = operation.get_mut("parameters").and_then(Value::as_array_mut);
                for parameter in all.into_iter().flatten() {
                    if parameter["in"] == "path" {
                        parameter["schema"] = in_path(kind);
                    }
                }
            }
            document["paths"][path.replace("{kind}", plural)] = item;
        }
        let schemas = &mut document["components"]["schemas"];
        for (name, schema) in others {
            schemas[name] = json!(schema);
        }
        let whole = json!(schema);
        schemas[format!("New{name}")] = sent(kind, &whole, &["id"]);
        schemas[format!("Whole{name}")] = sent(kind, &whole, &[]);
        schemas[format!("{name}Changes")] = changes(kind, &whole);
        schemas[format!("{name}List")] = list(plural, &name);
        schemas[name] = told(kind, whole);
    }
}

/// What an object has besides its document.
fn besides(kind: Kind) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("id".to_owned(), id(kind));
    fields.insert(
        "revision".to_owned(),
        json!({ "type": "integer", "minimum": 0, "description": "What wrote it last." }),
    );
    if kind.is_numbered() {
        let what = "A number of its own, which is never another one's.";
        let number =
            json!({ "type": "integer", "minimum": 1, "maximum": i32::MAX, "description": what });
        fields.insert("number".to_owned(), number);
    }
    fields
}

/// The same in an address. A ban's has a "/", which stands there as %2F, and which clients that
/// are made of this document would not write.
fn in_path(kind: Kind) -> Value {
    if kind == Kind::Ban { json!({ "type": "string" }) } else { id(kind) }
}

/// See `documents::id`.
fn id(kind: Kind) -> Value {
    let (what, pattern) = match kind {
        Kind::Subscriber => ("The user name.", "^[^\\u0000-\\u0020\\u007f/]+$"),
        Kind::Asset => ("Its path below `/vod/`.", "^[^\\u0000-\\u001f\\u007f]+$"),
        Kind::Revocation => ("The session that tokens name.", "^[0-9a-f]{16}$"),
        Kind::Ban => ("The network, as `192.0.2.0/24`.", "^[0-9a-f.:]+/[0-9]{1,3}$"),
        _ => ("Its name among those of its kind.", "^[a-z0-9_-][a-z0-9_.-]*$"),
    };
    json!({ "type": "string", "pattern": pattern, "maxLength": OBJECT_ID_MAX, "description": what })
}

/// An object as it is told.
fn told(kind: Kind, mut schema: Value) -> Value {
    for (name, field) in besides(kind) {
        schema["properties"][&name] = field;
        require(&mut schema, &name);
    }
    schema
}

/// One that is sent whole. What was read may be sent back, so it may say all that is told.
fn sent(kind: Kind, schema: &Value, required: &[&str]) -> Value {
    let mut schema = schema.clone();
    for (name, field) in besides(kind) {
        let field = if name == "id" { field } else { or_null(field) };
        schema["properties"][&name] = field;
    }
    required.iter().for_each(|name| require(&mut schema, name));
    schema
}

/// Fields that are to be changed: any of them, and null where one may be left out.
fn changes(kind: Kind, schema: &Value) -> Value {
    let mut schema = sent(kind, schema, &[]);
    let required = schema["required"].take();
    let is_required =
        |name: &str| required.as_array().is_some_and(|all| all.contains(&name.into()));
    if let Some(object) = schema.as_object_mut() {
        object.remove("required");
    }
    for (name, field) in schema["properties"].as_object_mut().into_iter().flatten() {
        if name != "id" && !is_required(name) {
            *field = or_null(field.take());
        }
    }
    schema
}

fn or_null(mut field: Value) -> Value {
    match field.get_mut("type") {
        Some(Value::String(one)) => field["type"] = json!([one, "null"]),
        Some(_) => {}
        None => return json!({ "oneOf": [{ "type": "null" }, field] }),
    }
    field
}

fn list(plural: &str, name: &str) -> Value {
    let objects = json!({
        "type": "array",
        "items": { "$ref": format!("#/components/schemas/{name}") },
        "description": "In the order of their ids.",
    });
    let next = json!({
        "type": ["string", "null"],
        "description": "Where the next page begins: what `after` is to be; null = there is none.",
    });
    json!({
        "type": "object",
        "properties": { plural: objects, "next": next },
        "required": [plural, "next"],
        "additionalProperties": false,
    })
}

fn require(schema: &mut Value, name: &str) {
    match &mut schema["required"] {
        Value::Array(all) => all.push(name.into()),
        missing => *missing = json!([name]),
    }
}
