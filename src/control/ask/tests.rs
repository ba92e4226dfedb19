//! Questions of shards to a router of the test's own.

use std::fs::File;

use axum::extract::Extension;
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::*;
use crate::config::Access;
use crate::messages::AskKey;
use crate::messages::mail::queue;
use crate::viewer::Terms;

fn ask(head: &str, body: &[u8]) -> Ask {
    Ask {
        key: AskKey { shard: 0, exchange: 7, generation: 3 },
        peer: Some([192, 0, 2, 7].into()),
        is_forwarded: false,
        wants: Wants::Answer(Access::Open, Terms::ALL),
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
        .route("/large", get(|| async { vec![b'x'; ANSWER_BODY_SIZE_MAX] }))
        .route("/larger", get(|| async { vec![b'x'; ANSWER_BODY_SIZE_MAX + 1] }))
        .route("/never", get(std::future::pending::<&str>))
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
    let detail = "the body of an answer is too long or broke off";
    check("GET /larger HTTP/1.1\r\n\r\n", b"", 500, PROBLEM, &text(detail));
    let bytes = "content-type: application/octet-stream\r\n";
    check("GET /large HTTP/1.1\r\n\r\n", b"", 200, bytes, &"x".repeat(ANSWER_BODY_SIZE_MAX));
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

#[test]
fn questions_beyond_those_at_once_wait_until_one_is_given_up() {
    let bell = Arc::new(File::options().write(true).open("/dev/null").unwrap());
    let (outbox, inbox) = queue(bell);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        // Time passes at once when nothing else is to be done.
        .start_paused(true)
        .build()
        .unwrap();
    let (asks, received) = mpsc::channel(2 * ANSWERS_AT_ONCE_MAX);
    for _ in 0..ANSWERS_AT_ONCE_MAX {
        asks.try_send(ask("GET /never HTTP/1.1\r\n\r\n", b"")).unwrap();
    }
    asks.try_send(ask("GET /peer HTTP/1.1\r\n\r\n", b"")).unwrap();
    let local = tokio::task::LocalSet::new();
    local.spawn_local(answer_all(
        received,
        (test_router(), Router::new()),
        Arc::new(Post::new(vec![outbox])),
    ));
    let answers_after = |millis| {
        let passes = async { tokio::time::sleep(Duration::from_millis(millis)).await };
        local.block_on(&runtime, passes);
        inbox.try_iter().count()
    };
    assert_eq!(answers_after(ASK_DEADLINE_MS - 1), 0, "all places are taken");
    assert_eq!(answers_after(2), 1, "those that took too long are given up unanswered");
}
