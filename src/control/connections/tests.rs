//! Connections in memory, on a clock that passes at once when nothing else is to be done.

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::*;

/// Accepts what the test connects.
struct InMemory(tokio::sync::Mutex<Receiver<DuplexStream>>);

impl Listener for InMemory {
    type Accepted = DuplexStream;
    type Stream = DuplexStream;

    async fn next(&self) -> io::Result<(DuplexStream, Peer)> {
        match self.0.lock().await.recv().await {
            Some(stream) => Ok((stream, Peer::Local(None))),
            None => std::future::pending().await,
        }
    }

    async fn opened(accepted: DuplexStream) -> io::Result<DuplexStream> {
        Ok(accepted)
    }
}

/// Runs a test beside a server, to which it connects by sending one end of a stream.
fn beside_a_server<F: Future<Output = ()>>(test: impl FnOnce(Sender<DuplexStream>) -> F) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let (connect, connects) = channel(2 * ADMIN_CONNECTIONS_MAX);
    let listener = InMemory(tokio::sync::Mutex::new(connects));
    let local = tokio::task::LocalSet::new();
    local.spawn_local(serve(listener, Router::new().route("/", get(|| async { "here" }))));
    local.block_on(&runtime.unwrap(), test(connect));
}

async fn connected(connect: &Sender<DuplexStream>) -> DuplexStream {
    let (client, server) = duplex(64 * 1024);
    connect.send(server).await.unwrap();
    client
}

/// Whether it is answered; not if the connection has ended.
async fn is_answered(client: &mut DuplexStream) -> bool {
    if client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    while !answer.ends_with(b"here") {
        if matches!(client.read_buf(&mut answer).await, Ok(0) | Err(_)) {
            return false;
        }
    }
    true
}

#[test]
fn a_connection_ends_after_its_time_however_busy_it_is() {
    beside_a_server(async |connect| {
        let began = Instant::now();
        let mut client = connected(&connect).await;
        while is_answered(&mut client).await {
            tokio::time::sleep(Duration::from_millis(ADMIN_HEAD_TIMEOUT_MS / 2)).await;
        }
        let lived = began.elapsed().as_millis();
        let limit = u128::from(ADMIN_CONNECTION_MS);
        assert!((limit..=limit + u128::from(ADMIN_HEAD_TIMEOUT_MS)).contains(&lived), "{lived} ms");
        assert!(is_answered(&mut connected(&connect).await).await);
    });
}

#[test]
fn a_head_that_does_not_come_ends_its_connection() {
    beside_a_server(async |connect| {
        for begun in ["", "GET / HTTP/1.1\r\nHos"] {
            let began = Instant::now();
            let mut client = connected(&connect).await;
            client.write_all(begun.as_bytes()).await.unwrap();
            let mut said = Vec::new();
            client.read_to_end(&mut said).await.unwrap();
            assert!(!said.starts_with(b"HTTP/1.1 2"));
            assert_eq!(began.elapsed().as_millis(), u128::from(ADMIN_HEAD_TIMEOUT_MS), "{begun:?}");
        }
    });
}

#[test]
fn at_the_limit_the_next_one_waits_until_one_goes() {
    beside_a_server(async |connect| {
        let mut clients = Vec::new();
        for _ in 0..ADMIN_CONNECTIONS_MAX {
            let mut client = connected(&connect).await;
            assert!(is_answered(&mut client).await);
            clients.push(client);
        }
        let mut next = connected(&connect).await;
        let patience = Duration::from_millis(ADMIN_HEAD_TIMEOUT_MS / 2);
        assert!(tokio::time::timeout(patience, is_answered(&mut next)).await.is_err());
        drop(clients.pop());
        let mut answer = Vec::new();
        while !answer.ends_with(b"here") {
            assert_ne!(next.read_buf(&mut answer).await.unwrap(), 0);
        }
    });
}
