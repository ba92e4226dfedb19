//! A drain under load, as its clients see it.
//!
//! What a client may demand (RFC 9112, 9.3.1 and 9.5): a response of which one byte has come is
//! whole, or there is an error that nothing mends. A kept connection may be closed at any moment,
//! and then a request that crosses with that ends without a byte; it is sent again elsewhere. So
//! only a request that was written after the drain had begun may end so. One written before that is
//! answered: the server was told of its end after the request had reached it.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use crate::client::{Client, Cut};
use crate::content::bytes;
use crate::server::{Server, Setup};

/// Requests that a client sends on one connection before it takes another.
const REQUESTS: usize = 20;

/// What all clients know and count.
#[derive(Default)]
struct Shared {
    /// Set before the shards are told.
    drains: AtomicBool,
    /// Whole responses whose last byte came before that was set, and after it.
    before: AtomicUsize,
    after: AtomicUsize,
}

impl Shared {
    fn drains(&self) -> bool {
        self.drains.load(Ordering::SeqCst)
    }

    fn count(&self) {
        let count = if self.drains() { &self.after } else { &self.before };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

/// What is asked for: a path and its bytes.
#[derive(Clone)]
struct Wanted {
    path: &'static str,
    body: Arc<Vec<u8>>,
}

impl Wanted {
    fn request(&self) -> String {
        format!("GET /vod/a/{} HTTP/1.1\r\nHost: tv\r\n\r\n", self.path)
    }
}

#[test]
fn a_drain_under_load_breaks_no_response() {
    let mut server = Server::with(Setup { shards: 2, ..Setup::default() });
    let files = [("s.ts", bytes(1, 2_048)), ("l.ts", bytes(2, 3 << 20)), ("xl.ts", bytes(3, SIZE))];
    server.add_pack("a", &files);
    let [small, large, huge] = files.map(|(path, bytes)| Wanted { path, body: Arc::new(bytes) });
    let shared = Arc::new(Shared::default());
    let address = server.address;
    let halfway = Arc::new(Barrier::new(HALFWAY + 1));
    let mut clients = Vec::new();
    for number in 0..16 {
        let wanted = if number % 4 == 0 { large.clone() } else { small.clone() };
        let shared = Arc::clone(&shared);
        clients.push(std::thread::spawn(move || load(address, &wanted, &shared)));
    }
    for _ in 0..HALFWAY {
        let (wanted, shared) = (huge.clone(), Arc::clone(&shared));
        let halfway = Arc::clone(&halfway);
        clients.push(std::thread::spawn(move || stay(address, &wanted, &shared, &halfway)));
    }
    halfway.wait();
    server.until("there is load", |_| shared.before.load(Ordering::SeqCst) >= 200);
    shared.drains.store(true, Ordering::SeqCst);
    server.drain(60_000);
    for client in clients {
        client.join().unwrap();
    }
    let after = shared.after.load(Ordering::SeqCst);
    assert!(after >= HALFWAY, "{after} responses ended after the drain had begun");
}

/// Clients that are in the middle of a body when the drain begins, and the body: more than the
/// buffers of a connection hold.
const HALFWAY: usize = 4;
const SIZE: usize = 16 << 20;

/// Takes the beginning of a body before the drain, and the rest after it has begun.
fn stay(address: SocketAddr, wanted: &Wanted, shared: &Shared, halfway: &Barrier) {
    let mut client = Client::narrow(address);
    client.write(wanted.request().as_bytes());
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (start, rest) = wanted.body.split_at(100_000);
    assert!(client.take(start.len()).unwrap() == start);
    halfway.wait();
    while !shared.drains() {
        std::thread::yield_now();
    }
    assert!(client.take(rest.len()).unwrap() == rest, "the rest of a body");
    assert_eq!(client.end(), Cut::Ended);
    shared.count();
}

/// Asks again and again until nobody listens.
fn load(address: SocketAddr, wanted: &Wanted, shared: &Shared) {
    while let Ok(stream) = TcpStream::connect(address) {
        let mut client = Client::over(stream);
        for _ in 0..REQUESTS {
            if !ask(&mut client, wanted, shared) {
                break;
            }
        }
    }
    assert!(shared.drains(), "nobody listens before the drain");
}

/// Asks once. Says whether the connection is still there.
fn ask(client: &mut Client, wanted: &Wanted, shared: &Shared) -> bool {
    let written = client.try_write(wanted.request().as_bytes());
    let is_owed = !shared.drains();
    if let Err(error) = written {
        assert!(!is_owed, "closed before the drain: {error}");
        return false;
    }
    let reply = match client.reply("GET") {
        Ok(reply) => reply,
        Err(cut) => {
            assert!(client.is_between(), "{cut:?} inside a response");
            assert!(!is_owed, "{cut:?} instead of a response that is owed");
            return false;
        }
    };
    assert_eq!(reply.status, 200, "{}", reply.head);
    assert!(reply.body == *wanted.body, "{} differs", wanted.path);
    shared.count();
    if reply.field("connection") != Some("close") {
        return true;
    }
    assert_eq!(client.end(), Cut::Ended, "what was announced is a clean end");
    false
}
