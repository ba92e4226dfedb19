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
    let media_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = media_type.split(|&byte| byte == b';').next().unwrap_or_default();
    if !essence.trim_ascii().eq_ignore_ascii_case(b"application/json") {
        let why = "the body is to be JSON (Content-Type: application/json)";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
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
}
