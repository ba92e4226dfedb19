//! The ingest port's connections, and what each request is: whose, for which channel, of what kind.

use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::login::Denied;
use super::receive::{self, Outcome};
use super::{Live, State, transport};
use crate::config::{
    HEAD_SIZE_MAX, HEADER_LINES_MAX, INGEST_CONNECTIONS_MAX, INGEST_REST_MS, TARGET_SIZE_MAX,
};
use crate::guard::failures::LockedOut;
use crate::live::upload::{Kind, is_foreign, upload};
use crate::request::route::unescaped;

/// Takes connections until the process ends.
pub async fn serve(listener: TcpListener, state: Rc<State>) {
    let places = Arc::new(Semaphore::new(INGEST_CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let state = Rc::clone(&state);
                tokio::task::spawn_local(async move {
                    connection(stream, peer.ip(), state).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: somebody else has to close one first.
                tracing::warn!(%error, "the ingest port can't accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: IpAddr, state: Rc<State>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Rc::clone(&state);
        async move { Ok::<_, Infallible>(answer(request, peer, &state).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Also how long a connection may rest.
        .header_read_timeout(Duration::from_millis(INGEST_REST_MS))
        // An encoder that closes its side right behind a body still gets its answer, and the body
        // is taken to its end.
        .half_close(true)
        .max_headers(HEADER_LINES_MAX)
        .max_buf_size(HEAD_SIZE_MAX.max(64 * 1024))
        .serve_connection(TokioIo::new(stream), service);
    // An encoder that goes away or says nonsense is seen in what it sent.
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, peer: IpAddr, state: &Rc<State>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let shown = head.uri.path().to_owned();
    let id = shown.strip_prefix("/ingest/").and_then(|below| below.split('/').next());
    if let Some(id) = id {
        state.wake(id, peer).await;
    }
    let outcome = match admitted(&head, peer, state) {
        Ok((live, source, path)) => {
            let outcome = taken(&head, (source, &path), &live, body, state).await;
            if !outcome.status.is_success() {
                let (status, why) = (outcome.status.as_u16(), &outcome.why);
                let what = format!("{} {path}: {status}, {why}", head.method);
                live.channel.borrow_mut().note(what, receive::now());
            }
            outcome
        }
        Err(outcome) => outcome,
    };
    if outcome.status.is_client_error() || outcome.status.is_server_error() {
        let (status, why) = (outcome.status.as_u16(), &outcome.why);
        tracing::warn!(%peer, method = %head.method, path = shown, status, "{why}");
    }
    response(&outcome)
}

/// The channel that this request may push to, as which of its sources, and the path below.
fn admitted(
    head: &axum::http::request::Parts,
    peer: IpAddr,
    state: &State,
) -> Result<(Rc<Live>, usize, String), Outcome> {
    let mut scratch = [0; TARGET_SIZE_MAX];
    let raw = head.uri.path().as_bytes();
    let path = Some(raw).filter(|raw| raw.len() <= TARGET_SIZE_MAX);
    let path = path.and_then(|raw| unescaped(raw, &mut scratch).ok());
    let below = path.filter(|path| !path.contains("//")).and_then(|path| {
        let below = path.strip_prefix("/ingest/")?;
        Some(below.split_once('/').unwrap_or((below, "")))
    });
    let Some((id, rest)) = below else {
        return Err(Outcome::new(403, "push to /ingest/CHANNEL/… on this port"));
    };
    let Some(live) = state.channels.borrow().get(id).cloned() else {
        return Err(Outcome::new(404, "no channel has this id (add it: shardcast channel add)"));
    };
    let given = head.headers.get(header::AUTHORIZATION);
    // What is no text is no login of ours.
    let given = given.map(|value| value.to_str().unwrap_or_default());
    let said = state.guarded.said(head, peer.to_canonical());
    if let Some(Err(LockedOut { until })) = said.as_ref().map(|said| state.guarded.may_try(said)) {
        let why = format!("too many logins were wrong; none is looked at before {}", until.iso());
        return Err(Outcome::new(429, why));
    }
    match live.logins.admit(rest, given, peer.to_canonical().is_loopback()) {
        Ok((source, path)) => {
            if let Some(said) = &said {
                state.guarded.succeeded(said);
            }
            Ok((Rc::clone(&live), source, path.to_owned()))
        }
        Err(Denied::NotLoopback) => {
            let why = "this channel has no login, so only loopback peers may push to it";
            Err(Outcome::new(403, why))
        }
        Err(Denied::Missing) => Err(Outcome::new(401, "this channel takes a login")),
        Err(Denied::Wrong) => {
            if let Some(said) = &said {
                state.guarded.failed(said);
            }
            Err(Outcome::new(403, "the login is wrong"))
        }
        Err(Denied::NoSource) => Err(Outcome::new(404, "no source of the channel has this name")),
    }
}

async fn taken(
    head: &axum::http::request::Parts,
    (source, path): (usize, &str),
    live: &Rc<Live>,
    body: Incoming,
    state: &State,
) -> Outcome {
    match head.method {
        Method::PUT | Method::POST => {}
        // What is published goes when it has left the window. Encoders delete by their own.
        Method::DELETE => return Outcome::new(200, "what has left the window goes by itself"),
        _ => return Outcome::new(405, "PUT, POST or DELETE"),
    }
    if head.headers.contains_key(header::CONTENT_RANGE) {
        // RFC 9110, 14.5: a part must never be taken for the whole.
        return Outcome::new(400, "send the whole object, without Content-Range");
    }
    let media_type = head.headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let upload = upload(path, media_type);
    match upload.kind {
        Kind::Unknown if media_type.is_some_and(is_foreign) => {
            Outcome::new(415, "neither the name nor the type is one of media, a playlist or a key")
        }
        Kind::Playlist | Kind::Manifest => {
            receive::text(body, (source, path), upload.kind, live, state).await
        }
        Kind::Key => receive::skip(body, state).await,
        _ if upload.is_ts => transport::media(body, (source, path), &upload, live, state).await,
        _ => receive::media(body, (source, path), &upload, live, state).await,
    }
}

fn response(outcome: &Outcome) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{}\n", outcome.why)));
    *response.status_mut() = outcome.status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    if let Some(durable) = outcome.durable {
        let durable = HeaderValue::from_static(if durable { "yes" } else { "no" });
        response.headers_mut().insert("shardcast-durable", durable);
    }
    match outcome.status {
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            // Whoever has no business here holds no place.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        StatusCode::UNAUTHORIZED => {
            let challenge = HeaderValue::from_static("Basic realm=\"ingest\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            let allowed = HeaderValue::from_static("PUT, POST, DELETE");
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        _ => {}
    }
    response
}
