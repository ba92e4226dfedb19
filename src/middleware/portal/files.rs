//! The app's files, as they were built into the binary: `/portal/`.
//!
//! `scripts/portal` makes them; a build without them has one page that says so. What a file is
//! called says what is in it, so browsers keep it for good; the page itself is asked about each
//! time. They lie compressed, as nearly all browsers take them.

use std::io::Read as _;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::Redirect;
use axum::routing::get;
use bytes::Bytes;
use flate2::read::GzDecoder;

use crate::control::problem::problem;
use crate::units::ETag;

/// A file: its path below `/portal/`, its media type, and its bytes, gzipped.
type File = (&'static str, &'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/portal_files.rs"));

/// What the page may load: files of this server alone, pictures from wherever an operator says that
/// they are, and media that a script has put together.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data: https: http:; media-src 'self' blob:; connect-src 'self'; worker-src \
                      'self' blob:; manifest-src 'self'; font-src 'self'; form-action 'none'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// What a build without the app says.
const MISSING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>No \
                       portal</title><p>This server was built without its portal. Whoever builds \
                       it: run scripts/portal, and then build again.\n";

/// The app's page and files.
pub fn router() -> Router {
    Router::new()
        .route("/portal", get(|| async { Redirect::permanent("/portal/") }))
        .route("/portal/", get(|headers: HeaderMap| async move { page(&headers) }))
        .route("/portal/{*path}", get(file))
}

/// Whether the app was built in.
#[must_use]
pub fn are_there() -> bool {
    !FILES.is_empty()
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response<Body> {
    match FILES.iter().find(|(name, ..)| *name == path && path != "index.html") {
        Some(file) => sent(file, &headers, "public, max-age=31536000, immutable"),
        None => problem(StatusCode::NOT_FOUND, "the portal has no such file"),
    }
}

fn page(headers: &HeaderMap) -> Response<Body> {
    match FILES.iter().find(|(name, ..)| *name == "index.html") {
        Some(file) => sent(file, headers, "no-cache"),
        None => {
            let mut response = Response::new(Body::from(MISSING));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, html);
            response
        }
    }
}

fn sent(
    (_, media_type, gzipped): &File,
    headers: &HeaderMap,
    kept: &'static str,
) -> Response<Body> {
    let etag = HeaderValue::from_str(&format!("\"{}\"", hex(&ETag::of(gzipped).0)))
        .expect("it is hexadecimal");
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| {
        known.as_bytes().windows(etag.len()).any(|one| one == etag.as_bytes())
    });
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|line| line.to_str().ok());
    let takes_gzip = accepts.is_some_and(|line| {
        let mut codings = line.split(',').map(|coding| coding.split(';').next().unwrap_or(""));
        codings.any(|coding| matches!(coding.trim(), "gzip" | "*"))
    });
    let body = match (is_known, takes_gzip) {
        (true, _) => Body::empty(),
        (false, true) => Body::from(Bytes::from_static(gzipped)),
        (false, false) => {
            let mut plain = Vec::new();
            let read = GzDecoder::new(*gzipped).read_to_end(&mut plain);
            read.expect("the build has compressed it");
            Body::from(plain)
        }
    };
    let mut response = Response::new(body);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let lines = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, *media_type),
        (header::CACHE_CONTROL, kept),
        (header::VARY, "Accept-Encoding"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        lines.insert(name, HeaderValue::from_static(value));
    }
    lines.insert(header::ETAG, etag);
    if takes_gzip && !is_known {
        lines.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzipped(text: &str) -> &'static [u8] {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap().leak()
    }

    fn answer(lines: &[(&'static str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let file = ("a.js", "text/javascript; charset=utf-8", gzipped("let a;"));
        let response = sent(&file, &headers, "no-cache");
        let (parts, body) = response.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(axum::body::to_bytes(body, 1 << 20)).unwrap();
        (parts.status.as_u16(), parts.headers, body.to_vec())
    }

    #[test]
    fn a_file_is_sent_as_the_browser_takes_it_and_asked_about_with_its_tag() {
        let (status, headers, body) = answer(&[("accept-encoding", "gzip, br")]);
        assert_eq!(
            (status, &headers["content-encoding"]),
            (200, &HeaderValue::from_static("gzip"))
        );
        assert_eq!(body, gzipped("let a;"));
        let etag = headers["etag"].to_str().unwrap().to_owned();
        let (status, headers, body) = answer(&[("if-none-match", &format!("\"x\", {etag}"))]);
        assert_eq!((status, body.len()), (304, 0));
        assert!(headers.contains_key("content-security-policy"));
        let (status, headers, body) = answer(&[("if-none-match", "\"x\"")]);
        assert_eq!((status, body.as_slice()), (200, &b"let a;"[..]));
        assert!(!headers.contains_key("content-encoding"));
    }

    #[test]
    fn scripts_and_styles_are_of_this_server_alone() {
        assert!(!POLICY.contains("unsafe-"), "{POLICY}");
        assert!(POLICY.contains("script-src 'self';") && POLICY.contains("style-src 'self';"));
    }
}
