//! Tests of the API's document: that it has each route and no other, and is whole in itself.

use std::collections::BTreeSet;

use super::super::tests::paths;
use super::*;

/// Each operation: its method, its path, and what it says.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    all
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let document = document(false);
    let told: BTreeSet<_> = operations(&document)
        .into_iter()
        .filter(|(_, path, _)| path != PATH)
        .map(|(method, path, _)| (method, kinds::route(&path)))
        .collect();
    let table =
        |(method, path, _): &(&str, &str, Needs)| ((*method).to_owned(), (*path).to_owned());
    let routed: BTreeSet<_> = scope::ROUTES.iter().map(table).collect();
    assert_eq!(told, routed, "left: the document, right: the routes");
    // The table is held against the router's methods elsewhere; here are its paths.
    let router = super::super::admin::operated().merge(super::super::admin::signing_in());
    let told: BTreeSet<_> = told.into_iter().map(|(_, path)| path).collect();
    assert_eq!(told, paths(&router).into_iter().collect());
    for (plural, kind) in objects::PLURALS {
        assert!(super::super::documents::described(kind).is_some(), "{plural}");
        assert!(!document["paths"][format!("/api/v1/{plural}/{{id}}")].is_null(), "{plural}");
    }
}

#[test]
fn every_operation_says_what_it_is_who_may_and_what_may_go_wrong() {
    let document = document(false);
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let of = format!("{method} {path}: {operation}");
        assert!(ids.insert(operation["operationId"].to_string()), "{of}");
        let description = operation["description"].as_str().unwrap();
        assert!(description.len() > 10 && !description.contains("`: "), "{of}");
        assert!(operation["tags"][0].is_string() && operation["security"].is_array(), "{of}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{of}");
        for (status, response) in responses {
            assert!(!response["description"].as_str().unwrap().is_empty(), "{of}: {status}");
            let is_problem = !response["content"]["application/problem+json"].is_null();
            assert_eq!(is_problem, status.starts_with(['4', '5']), "{of}: {status}");
        }
        let placeholders = path.matches('{').count();
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        assert!(parameters.clone().all(|parameter| parameter["schema"].is_object()), "{of}");
        let in_path = parameters.by_ref().filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(placeholders, in_path, "{of}");
    }
}

#[test]
fn whatever_the_document_speaks_of_is_in_it() {
    let document = document(true);
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    assert!(!text.contains("{kind}") && !text.contains("{Kind}"), "{text}");
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "nobody uses {name}");
    }
    assert_eq!(document["components"]["securitySchemes"]["session"]["name"], "__Host-shardcast");
}

#[test]
fn an_object_is_told_with_its_fields_and_changed_by_any_of_them() {
    let document = document(false);
    let schema = |name: &str| &document["components"]["schemas"][name];
    let required = |name: &str| schema(name)["required"].to_string();
    assert_eq!(required("Plan"), r#"["name","id","revision"]"#);
    assert_eq!(required("NewPlan"), r#"["name","id"]"#);
    assert_eq!(required("WholePlan"), r#"["name"]"#);
    assert_eq!(required("PlanChanges"), "null");
    assert!(schema("Subscriber")["properties"]["number"].is_object());
    assert!(schema("Plan")["properties"]["number"].is_null(), "a plan has none");
    assert_eq!(schema("PlanChanges")["properties"]["name"]["$ref"], "#/components/schemas/Name");
    let when_full = &schema("PlanChanges")["properties"]["when_full"]["oneOf"];
    assert_eq!(when_full[0], json!({ "type": "null" }));
    assert_eq!(when_full[1]["$ref"], "#/components/schemas/WhenFull");
    assert_eq!(when_full[1]["type"], Value::Null);
    assert_eq!(schema("Plan")["properties"]["sessions_max"]["maximum"], u32::MAX);
    assert_eq!(
        schema("PlanChanges")["properties"]["sessions_max"]["type"],
        json!(["integer", "null"])
    );
    assert_eq!(schema("NewPlan")["additionalProperties"], false);
    let of = |path: &str, method: &str| &document["paths"][path][method];
    assert_eq!(of("/api/v1/subscribers", "post")["x-scope"], "subscribers:write");
    assert_eq!(of("/api/v1/plans/{id}", "put")["x-scope"], "content:write");
    assert_eq!(of("/api/v1/keys/rotate", "post")["x-step-up"], true);
    assert_eq!(of("/api/v1/login", "post")["security"], json!([{}]));
    assert_eq!(of("/api/v1/session", "get")["security"], json!([{ "session": [] }]));
}
