//! The page that the set-up link leads to: a name, a password, `POST /api/v1/setup`.
//!
//! It has nothing in it that is secret, so it is open to all; what it sends is looked at.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use axum::routing::get;

use crate::control::admin::Shared;

/// Where it is.
pub const PATH: &str = "/admin/setup";

/// Scripts and styles are those of this server alone, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

/// The page and what it loads.
pub fn router() -> Router<Shared> {
    Router::new()
        .route(PATH, get(|| file("text/html; charset=utf-8", include_str!("page/setup.html"))))
        .route(
            "/admin/setup.css",
            get(|| file("text/css; charset=utf-8", include_str!("page/setup.css"))),
        )
        .route(
            "/admin/setup.js",
            get(|| file("text/javascript; charset=utf-8", include_str!("page/setup.js"))),
        )
}

async fn file(media_type: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
