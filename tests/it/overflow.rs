//! More completions at once than the ring has room for.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use shardcast::config::{Access, Backend, Limits};
use shardcast::guard::Door;
use shardcast::messages::mail::{self, Outbox};
use shardcast::messages::{Change, Listing, SourceId, SourceKind, Update};
use shardcast::shard::{Outside, Settings, Shard};
use shardcast::sys::features::Features;
use shardcast::sys::ring::Ring;
use shardcast::sys::{calls, rlimit};

use crate::client::Client;
use crate::content::{self, bytes};
use crate::server::listeners;

/// Ends the shard, also when a check has failed.
struct Stop(Outbox);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.send(Update::Stop);
    }
}

fn settings() -> Settings {
    Settings {
        number: 0,
        count: 1,
        backends: vec![Backend::Sendfile],
        cors: String::new(),
        waits_to_accept: false,
        door: Door::default(),
        limits: Arc::new(Limits::default()),
        connections_max: 1_000,
        sources_max: 100,
    }
}

#[test]
fn clients_that_all_speak_at_once_are_all_answered() {
    rlimit::raise_nofile().unwrap();
    let (address, mut listeners) = listeners(1);
    let bell = calls::bell().unwrap();
    let (mut outbox, inbox) = mail::queue(Arc::clone(&bell));
    let own = listeners.remove(0).into_iter().map(OwnedFd::from).collect();
    let ring = Ring::sized(own, bell, Features::from_environment(), (4, 8)).unwrap();
    let overflows = ring.overflows();
    let (library, _from_shard) = sync_channel(1_000);
    let mut shard = Shard::new(
        ring,
        inbox,
        Outside {
            library,
            control: None,
            sessions: None,
            strikes: None,
            live: None,
            pieces: None,
            access: None,
        },
        settings(),
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l.ts");
    let bodies = [bytes(1, 2_048), bytes(2, 100_000)];
    std::fs::write(&path, &bodies[1]).unwrap();
    let opened = [
        content::in_memory("s.ts", SourceId(1), &bodies[0]),
        content::open_file(&path, SourceId(2)),
    ];
    for (opened, path) in opened.into_iter().zip(["a/s.ts", "a/l.ts"]) {
        let (source, kind, access) = (opened.source, SourceKind::File, Access::Open);
        let change = Change::Present { source, kind, access, opened: Some(opened) };
        outbox.send(Update::Listed(Arc::new([Listing { path: path.into(), change }])));
    }
    // Nobody reaps yet: whoever comes and speaks now is found all at once.
    let request = |number: usize| {
        let name = ["s.ts", "l.ts"][number % 2];
        format!("GET /vod/a/{name} HTTP/1.1\r\nHost: tv\r\n\r\n")
    };
    let mut clients: Vec<_> = (0..400)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request(number).as_bytes()).unwrap();
            Client::over(stream)
        })
        .collect();
    let stop = Stop(outbox);
    let playing = std::thread::spawn(move || {
        let _stop = stop;
        for round in 0..5 {
            for (number, client) in clients.iter_mut().enumerate() {
                let reply = client.reply("GET").unwrap();
                assert_eq!(reply.status, 200, "{}", reply.head);
                assert!(reply.body == bodies[number % 2], "client {number}, round {round}");
            }
            for (number, client) in clients.iter_mut().enumerate().filter(|_| round < 4) {
                client.write(request(number).as_bytes());
            }
        }
    });
    // This thread is the shard, so that its ring can be looked at.
    shard.run().unwrap();
    playing.join().unwrap();
    assert!(overflows.get() > 0, "the queue never overflowed");
}
