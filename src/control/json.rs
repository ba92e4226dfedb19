//! JSON in and out of the API.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::problem;

/// An answer that nobody keeps.
pub fn answer(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let Ok(text) = serde_json::to_string(value) else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "this can't be written as JSON");
    };
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 204: it is done, and there is nothing to say.
pub fn nothing() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// What a request's body says. Another media type is refused: a form of some web page could send
/// it, and then nobody would have meant it.
///
/// # Errors
///
/// The problem: 415, or 400 with the place that is wrong.
#[expect(clippy::result_large_err, reason = "the answer, as it is sent")]
pub fn wanted<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Response<Body>> {
    if !is_sent_as(headers, JSON) {
        let why = "the body is to be JSON (Content-Type: application/json)";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    read(body)
}

/// What the body of a `PATCH` says, whose members are changed and `null` takes one back: a merge
/// patch (RFC 7396), by its own name or as JSON.
///
/// # Errors
///
/// The problem: 415, which names what is taken (RFC 5789, 2.2 and 3.1), or 400 with the place that
/// is wrong.
#[expect(clippy::result_large_err, reason = "the answer, as it is sent")]
pub fn changes<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Response<Body>> {
    if [MERGE_PATCH, JSON].iter().any(|of| is_sent_as(headers, of)) {
        return read(body);
    }
    let why = "the body is to be a merge patch (Content-Type: application/merge-patch+json, or \
               application/json)";
    let mut problem = problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    let taken = HeaderValue::from_static("application/merge-patch+json, application/json");
    problem.headers_mut().insert("accept-patch", taken);
    Err(problem)
}

const JSON: &str = "application/json";

/// The media type of what RFC 7396 describes.
pub const MERGE_PATCH: &str = "application/merge-patch+json";

fn is_sent_as(headers: &HeaderMap, wanted: &str) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = media_type.split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
}

#[expect(clippy::result_large_err, reason = "the answer, as it is sent")]
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Response<Body>> {
    serde_json::from_slice(body)
        .map_err(|error| problem(StatusCode::BAD_REQUEST, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_or_a_problem() {
        for (media_type, body, expected) in [
            ("application/json", "[1]", 200),
            ("Application/JSON; charset=utf-8", "[1]", 200),
            ("application/json", "[1", 400),
            ("application/json", "", 400),
            ("application/json", "[\"1\"]", 400),
            ("text/plain", "[1]", 415),
            ("application/jsonp", "[1]", 415),
            ("", "[1]", 415),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(media_type).unwrap());
            let read = wanted::<Vec<u8>>(&headers, body.as_bytes());
            let status = read.map_or_else(|problem| problem.status().as_u16(), |_| 200);
            assert_eq!(status, expected, "{media_type} {body}");
        }
        assert_eq!(wanted::<Vec<u8>>(&HeaderMap::new(), b"[1]").unwrap_err().status(), 415);
    }

    #[test]
    fn changes_are_a_merge_patch_by_either_name() {
        let taken = |media_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            (wanted::<Vec<u8>>(&headers, b"[1]").is_ok(), changes::<Vec<u8>>(&headers, b"[1]"))
        };
        assert!(matches!(taken("application/merge-patch+json"), (false, Ok(_))));
        assert!(matches!(taken("Application/Merge-Patch+JSON;charset=utf-8"), (false, Ok(_))));
        assert!(matches!(taken("application/json"), (true, Ok(_))));
        let refused = taken("application/json-patch+json").1.unwrap_err();
        let accepted = refused.headers()["accept-patch"].to_str().unwrap();
        assert_eq!(
            (refused.status().as_u16(), accepted),
            (415, "application/merge-patch+json, application/json")
        );
    }
}
