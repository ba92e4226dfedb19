//! Questions of shards to a router of the test's own.

use axum::extract::Extension;
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::*;
use crate::messages::AskKey;

fn ask(head: &str, body: &[u8]) -> Ask {
    Ask {
        key: AskKey { shard: 0, exchange: 7, generation: 3 },
        peer: Some([192, 0, 2, 7].into()),
        head: head.as_bytes().into(),
        body: body.to_vec(),
    }
}

fn test_router() -> Router {
    Router::new()
        .route("/echo", post(|body: String| async move { body }))
        .route("/peer", get(|Extension(peer): Extension<Peer>| async move { format!("{peer:?}") }))
        .route(
            "/hops",
            get(|| async {
                let mut response = "x".into_response();
                for (name, value) in [
                    ("connection", "close, X-Hop"),
                    ("x-hop", "1"),
                    ("keep-alive", "5"),
                    ("transfer-encoding", "chunked"),
                    ("content-length", "1"),
                    ("date", "now"),
                    ("x-kept", "2"),
                ] {
                    let name = HeaderName::from_static(name);
                    response.headers_mut().insert(name, HeaderValue::from_static(value));
                }
                response
            }),
        )
        .route(
            "/long",
            get(|| async {
                let long = HeaderValue::from_str(&"a".repeat(3000)).unwrap();
                [(header::LINK, long)].into_response()
            }),
        )
        .route("/nothing", get(|| async { (StatusCode::NO_CONTENT, "no body here") }))
        .route("/interim", get(|| async { StatusCode::EARLY_HINTS }))
        .fallback(problem::unknown)
}

#[track_caller]
fn check(head: &str, body: &[u8], status: u16, lines: &str, expected: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let response = runtime.block_on(response(ask(head, body), test_router()));
    assert_eq!(response.status, status, "{head}");
    assert_eq!(String::from_utf8_lossy(&response.lines), lines, "{head}");
    assert_eq!(String::from_utf8_lossy(&response.body), expected, "{head}");
}

const TEXT: &str = "content-type: text/plain; charset=utf-8\r\n";
const PROBLEM: &str = "content-type: application/problem+json\r\ncache-control: no-store\r\n";

fn problem_text(status: u16, title: &str, detail: &str) -> String {
    format!(
        "{{\"detail\":\"{detail}\",\"status\":{status},\"title\":\"{title}\",\"type\":\"about:blank\"}}\n"
    )
}

#[test]
fn a_router_answers_with_the_body_and_the_peer() {
    check("POST /echo HTTP/1.1\r\nHost: tv\r\n\r\n", b"hello", 200, TEXT, "hello");
    check("GET /peer HTTP/1.1\r\n\r\n", b"", 200, TEXT, "Peer(Some(192.0.2.7))");
}

#[test]
fn a_head_is_answered_with_the_whole_body() {
    check("HEAD /peer HTTP/1.0\r\n\r\n", b"", 200, TEXT, "Peer(Some(192.0.2.7))");
}

#[test]
fn lines_of_one_hop_stay_here() {
    check("GET /hops HTTP/1.1\r\n\r\n", b"", 200, &format!("{TEXT}x-kept: 2\r\n"), "x");
}

#[test]
fn what_cannot_be_sent_is_an_error_of_ours() {
    let text = |detail| problem_text(500, "Internal Server Error", detail);
    let detail = "the header lines of an answer are too long";
    check("GET /long HTTP/1.1\r\n\r\n", b"", 500, PROBLEM, &text(detail));
    let detail = "a router answered with an interim status";
    check("GET /interim HTTP/1.1\r\n\r\n", b"", 500, PROBLEM, &text(detail));
    check("GET /nothing HTTP/1.1\r\n\r\n", b"", 204, TEXT, "");
}

#[test]
fn unknown_paths_and_broken_heads_are_problems() {
    let text = problem_text(404, "Not Found", "there is nothing at this path");
    check("GET /api/v1/x HTTP/1.1\r\n\r\n", b"", 404, PROBLEM, &text);
    let text = problem_text(400, "Bad Request", "the head can't be read");
    check("GET /peer HTTP/1.1\r\n", b"", 400, PROBLEM, &text);
    check("nonsense\r\n\r\n", b"", 400, PROBLEM, &text);
    let text = problem_text(413, "Payload Too Large", "the body is longer than 64 KiB");
    check("POST /echo HTTP/1.1\r\n\r\n", &[b'x'; 65_537], 413, PROBLEM, &text);
}
