//! Connections of the admin port: few, short, and with a deadline for everything.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::actor::Peer;
use crate::config::{
    ADMIN_CONNECTION_MS, ADMIN_CONNECTIONS_MAX, ADMIN_HEAD_TIMEOUT_MS, HEAD_SIZE_MAX,
    HEADER_LINES_MAX,
};

/// TCP, TLS or unix: what the kinds of listener have in common.
pub trait Listener: 'static {
    /// What it accepts.
    type Accepted: 'static;
    /// What is spoken over.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;

    /// The next connection, and who is at its other end.
    async fn next(&self) -> io::Result<(Self::Accepted, Peer)>;

    /// A connection that can be spoken over: what takes its client's help, and so time.
    async fn opened(accepted: Self::Accepted) -> io::Result<Self::Stream>;
}

impl Listener for TcpListener {
    type Accepted = TcpStream;
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Peer)> {
        self.accept().await.map(|(stream, address)| (stream, Peer::Network(address)))
    }

    async fn opened(accepted: TcpStream) -> io::Result<TcpStream> {
        Ok(accepted)
    }
}

/// Serves until the process ends. Each listener has places of its own, so that clients of the port
/// can't keep an operator from the socket.
pub async fn serve<L: Listener>(listener: L, router: Router) {
    let places = Rc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    loop {
        let place = Rc::clone(&places);
        let place = acquired(place).await;
        match listener.next().await {
            Ok((accepted, peer)) => {
                let router = router.clone();
                tokio::task::spawn_local(async move {
                    let time = Duration::from_millis(ADMIN_HEAD_TIMEOUT_MS);
                    // Who does not come to an end with a handshake is its own business, too.
                    if let Ok(Ok(stream)) = tokio::time::timeout(time, L::opened(accepted)).await {
                        connection(stream, peer, router).await;
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: somebody else has to close one first.
                tracing::warn!(%error, "the admin port can't accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A place among the connections, given back when it is dropped.
struct Place(Rc<Semaphore>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

async fn acquired(places: Rc<Semaphore>) -> Place {
    places.acquire().await.expect("the semaphore is never closed").forget();
    Place(places)
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    peer: Peer,
    router: Router,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let router = router.clone();
        request.extensions_mut().insert(peer);
        async move {
            let answer = router.oneshot(request.map(Body::new));
            Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(ADMIN_HEAD_TIMEOUT_MS))
        .max_headers(HEADER_LINES_MAX)
        .max_buf_size(HEAD_SIZE_MAX.max(8 * 1024))
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away or says nonsense is its own business.
    let _ = tokio::time::timeout(Duration::from_millis(ADMIN_CONNECTION_MS), connection).await;
}

#[cfg(test)]
mod tests;
