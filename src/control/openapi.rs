//! What the API is, for programs: `GET /api/v1/openapi.json` (OpenAPI 3.1).
//!
//! It is made of the code. Handlers say what they take and answer (`utoipa::path`), types their
//! fields, and doc comments what all of that means. What holds of every route is added here: who
//! may ask (`operators::scope`), and the problems that any request may be answered with. Objects
//! of the registry have one set of handlers and a path for each kind (`kinds`).
//!
//! It is answered to everybody: it tells what the program's source tells, and nothing of this
//! server but whether its admin port has TLS, which whoever connects sees.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Response, header};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

use super::admin::Shared;
use super::operators::scope::{self, Needs};
use super::operators::{account, admins, api_keys, cookie_name, login};
use super::{
    app_passwords, audit, explain, export, feed, guide, import, objects, portal_password, restore,
    revocations, sessions, tokens,
};

mod kinds;

/// Where it is.
pub const PATH: &str = "/api/v1/openapi.json";

/// What went wrong (RFC 9457). Some have members besides these.
#[derive(Serialize, ToSchema)]
struct Problem {
    /// `about:blank`: the status says it.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, for people: what, why, and often what to do.
    detail: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "shardcast",
        description = "The admin API. On the admin port a person signs in (`POST /api/v1/login`) and a \
                       program shows a key; on the unix socket `<state>/admin.sock` neither is asked for. \
                       Lists have pages: what follows begins behind `next`. Whatever is refused is a \
                       problem of RFC 9457. `x-scope` is the scope that an operation takes, and \
                       `x-step-up` says that a person has to have given the password in the last five \
                       minutes."
    ),
    components(schemas(Problem)),
    paths(
        told,
        login::login,
        login::set_up,
        login::logout,
        login::step_up,
        login::session,
        account::password,
        account::factor,
        account::confirm,
        account::recovery_codes,
        admins::all,
        admins::create,
        admins::one,
        admins::patch,
        admins::remove,
        admins::set_password,
        admins::reset_factor,
        api_keys::all,
        api_keys::create,
        api_keys::remove,
        audit::api::all,
        feed::changes,
        tokens::keys,
        tokens::rotate,
        tokens::mint,
        revocations::revoke,
        revocations::remove,
        sessions::api::all,
        sessions::api::sharing,
        sessions::api::kick,
        restore::restore,
        import::import,
        export::export,
        explain::explain,
        app_passwords::api::all,
        app_passwords::api::add,
        app_passwords::api::remove,
        app_passwords::api::check,
        portal_password::one,
        portal_password::set,
        portal_password::remove,
        portal_password::check,
        guide::sources,
        guide::source,
        guide::refresh,
        guide::channels,
        guide::channel,
        guide::programmes,
        objects::all,
        objects::create,
        objects::one,
        objects::put,
        objects::patch,
        objects::remove,
    )
)]
struct Api;

static PLAIN: LazyLock<String> = LazyLock::new(|| document(false).to_string());
static TLS: LazyLock<String> = LazyLock::new(|| document(true).to_string());

/// `GET /api/v1/openapi.json`: this document. Nobody need sign in for it.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "about",
    responses((status = 200, body = Object))
)]
pub async fn told(State(shared): State<Shared>) -> Response<Body> {
    let is_tls = shared.office.as_ref().is_some_and(|office| office.is_tls());
    let mut response =
        Response::new(Body::from(if is_tls { TLS.as_str() } else { PLAIN.as_str() }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The document of a port with or without TLS.
fn document(is_tls: bool) -> Value {
    let mut document = serde_json::to_value(Api::openapi()).expect("it has string keys only");
    kinds::add(&mut document);
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["components"]["securitySchemes"] = json!({
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of the API: `sc_{id}_{secret}`.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie_name(is_tls),
            "description": "What `POST /api/v1/login` sets.",
        },
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "The session's `csrf_token`, beside its cookie.",
        },
    });
    bound(&mut document);
    let Value::Object(paths) = &mut document["paths"] else { return document };
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(operation, method, path);
        }
    }
    document
}

/// Adds what holds of every operation.
fn complete(operation: &mut Value, method: &str, path: &str) {
    let words = path.trim_start_matches("/api/v1/").replace(['/', '-', '.'], "_");
    operation["operationId"] = format!("{method}_{}", words.replace(['{', '}'], "")).into();
    describe(operation);
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap_or_default();
    let needs = scope::needs(&method, &kinds::route(path));
    secure(operation, needs.unwrap_or(Needs::Nothing), method == Method::GET, path);
    // This document is not behind the gate, and nothing can go wrong with it.
    for (status, why) in needs.map(|needs| common(operation, needs)).unwrap_or_default() {
        let responses = &mut operation["responses"];
        if responses[status].is_null() {
            responses[status] = json!({ "description": why });
        }
    }
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if status.starts_with(['4', '5']) {
            let schema = json!({ "$ref": "#/components/schemas/Problem" });
            response["content"] = json!({ "application/problem+json": { "schema": schema } });
        }
        if response["description"].as_str().unwrap_or_default().is_empty() {
            let made = status == "201";
            response["description"] =
                if made { "It was made." } else { "What was asked for." }.into();
        }
        if status == "401" {
            let how = json!({ "description": "`Bearer`.", "schema": { "type": "string" } });
            response["headers"] = json!({ "WWW-Authenticate": how });
        }
    }
}

/// Says how large numbers may be; a format alone binds nobody. Its name is that of OpenAPI's
/// registry of formats.
fn bound(value: &mut Value) {
    let of = match value["format"].as_str() {
        Some("u-int8") => Some(("uint8", json!(u8::MAX))),
        Some("u-int16") => Some(("uint16", json!(u16::MAX))),
        Some("u-int32") => Some(("uint32", json!(u32::MAX))),
        Some("u-int64") => Some(("uint64", json!(u64::MAX))),
        _ => None,
    };
    match value {
        Value::Array(all) => all.iter_mut().for_each(bound),
        Value::Object(members) => {
            if let Some((format, most)) = of {
                members.insert("format".to_owned(), format.into());
                members.entry("maximum").or_insert(most);
            }
            members.values_mut().for_each(bound);
        }
        _ => {}
    }
}

/// The first sentence becomes the summary; which route it is stands elsewhere.
fn describe(operation: &mut Value) {
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let (summary, rest) = (text(&operation["summary"]), text(&operation["description"]));
    let whole = if rest.is_empty() { summary } else { format!("{summary}\n\n{rest}") };
    let whole = whole
        .strip_prefix('`')
        .and_then(|whole| whole.split_once("`: "))
        .map_or(whole.as_str(), |(_, said)| said);
    let mut letters = whole.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let whole = first + letters.as_str();
    let end = [". ", "; ", ".\n", ": "].iter().filter_map(|end| whole.find(end)).min();
    let summary = &whole[..end.unwrap_or(whole.len())];
    operation["summary"] = summary.trim_end_matches('.').into();
    operation["description"] = whole.into();
}

/// Says who may ask.
fn secure(operation: &mut Value, needs: Needs, is_safe: bool, path: &str) {
    let session =
        if is_safe { json!({ "session": [] }) } else { json!({ "session": [], "token": [] }) };
    operation["security"] = match needs {
        Needs::Nothing => json!([{}]),
        _ if needs.is_personal() => json!([session]),
        _ => json!([{ "key": [] }, session]),
    };
    if let Some(scope) = needs.scope(path) {
        operation["x-scope"] = scope.word().into();
    }
    if needs.is_fresh() {
        operation["x-step-up"] = true.into();
    }
}

/// The problems that any request of this operation may be answered with.
fn common(operation: &Value, needs: Needs) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("403", "Whoever asks may not, or it comes of a page elsewhere."),
        ("421", "The port is not called so (`admin.hosts`)."),
        ("500", "The registry failed, and the log says why."),
        ("503", "There is too much to do, or no registry: ask again."),
    ];
    if needs != Needs::Nothing {
        all.push(("401", "Nobody is signed in, and no key is shown that is good here."));
        all.push(("429", "Wrong keys or passwords were shown too often from here."));
    }
    let has_body = !operation["requestBody"].is_null();
    if has_body || operation["parameters"].as_array().is_some_and(|all| !all.is_empty()) {
        all.push(("400", "What was sent makes no sense; `detail` names the place."));
    }
    if has_body {
        all.push(("413", "The body is too large."));
        all.push(("415", "The body is no JSON."));
    }
    all
}

#[cfg(test)]
mod tests;
