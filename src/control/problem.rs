//! Errors of the API as RFC 9457 wants them: `application/problem+json`.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// A problem without a type of its own.
pub fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    problem_with(status, detail, &Value::Null)
}

/// The same with members besides (RFC 9457, 3.2), for programs that do something about it.
pub fn problem_with(status: StatusCode, detail: &str, besides: &Value) -> Response<Body> {
    let mut body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
    });
    for (name, value) in besides.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Makes a problem of a refusal that is plain text: what axum says by itself of a query, a body or
/// a path that it can't read.
pub async fn uniform(response: Response<Body>) -> Response<Body> {
    let status = response.status();
    let is_text = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|media_type| media_type.as_bytes().starts_with(b"text/plain"));
    if !is_text || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let text = to_bytes(response.into_body(), TEXT_SIZE_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_end();
    let why = status.canonical_reason().unwrap_or("it was refused");
    problem(status, if text.is_empty() { why } else { text })
}

/// Longest text that becomes a problem's detail, in bytes.
const TEXT_SIZE_MAX: usize = 4096;

/// 404 for a path of the API that there is not.
pub async fn unknown() -> Response<Body> {
    problem(StatusCode::NOT_FOUND, "there is nothing at this path")
}
