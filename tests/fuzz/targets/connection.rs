//! Whatever peers write, read and break off, at whatever time: the driver over the simulator's
//! kernel panics nowhere, answers a good client beside them, and is left with nothing.

use shardcast::config::Backend;
use shardcast::messages::SourceId;
use shardcast::shard::kernel::Errno;

use crate::client::{Client, Ended, Manner};
use crate::content::{self, Place, Planned};
use crate::library::Action;
use crate::net::{Server, Sock};
use crate::request::Request;
use crate::run::{Run, Setup};
use crate::world::{Event, MS, Profile, World};

/// Steps of one input; more of them find nothing that fewer don't.
const STEPS_MAX: usize = 200;

/// Peers of one input.
const PEERS_MAX: usize = 8;

/// What a byte alone would take long to find.
const PHRASES: [&[u8]; 12] = [
    b"GET /vod/a/0.m4s HTTP/1.1\r\nHost: tv\r\n\r\n",
    b"GET /vod/a/1.m4s HTTP/1.1\r\nHost: tv\r\n\r\n",
    b"GET /vod/a/2.m4s HTTP/1.1\r\nHost: tv\r\nRange: bytes=0-9,100000-\r\n\r\n",
    b"HEAD /vod/a/2.m4s HTTP/1.0\r\n\r\n",
    b"POST /api/q?number=1&size=10 HTTP/1.1\r\nHost: tv\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"\r\n\r\n",
    b"GET /vod/b/none HTTP/1.1\r\nHost: tv\r\nConnection: close\r\n\r\n",
    b"Range: bytes=-1\r\n",
    b"GET ",
];

/// Plays one input.
pub fn play(data: &[u8]) {
    let mut input = data.iter().copied();
    let mut next = || input.next();
    let (Some(seed), Some(shape)) = (next(), next()) else { return };
    let bit = |place: u8| shape >> place & 1 == 1;
    let profile = Profile {
        // Peers are no clients whose responses could be counted.
        calm: false,
        buffers: if bit(0) { 1 } else { 64 },
        short: if bit(1) { 400 } else { 0 },
        cold: if bit(2) { 500 } else { 0 },
        lost: if bit(3) { 100 } else { 0 },
        copied: if bit(4) { 500 } else { 0 },
        ..Profile::calm()
    };
    let mut world = World::new(u64::from(seed), profile);
    let sizes: [Planned<'_>; 3] =
        [("0.m4s", 100, None), ("1.m4s", 40 << 10, None), ("2.m4s", 3 << 20, None)];
    let source = world.add_source(content::pack(SourceId(1), "a", &sizes, Place::Mapped));
    world.plan(0, Action::List(source));
    let wishes = ["0.m4s", "1.m4s", "2.m4s"].map(|inside| Request::get("a", inside));
    let good =
        world.add_client(10 * MS, Manner { pause: 50 * MS, ..Manner::default() }, wishes.into());
    // Peers are sockets of a client that has nothing to do.
    let mut nobody = Client::default();
    (nobody.ended, nobody.ended_at) = (Some(Ended::Left), 1);
    world.clients.push(nobody);
    let backend = if bit(5) { Backend::SendZeroCopy } else { Backend::Sendfile };
    let mut run = Run::new(world, &Setup { backend, ..Setup::new(u64::from(seed)) });
    let mut peers = vec![connect(&run)];
    for _ in 0..STEPS_MAX {
        let Some(step) = next() else { break };
        let (what, size) = (step & 7, u64::from(step >> 3));
        let peer = peers[peers.len() - 1];
        match what {
            0..=2 => {
                let bytes: Vec<u8> =
                    std::iter::from_fn(&mut next).take(size as usize + 1).collect();
                write(&run, peer, &bytes);
            }
            3 | 4 => write(&run, peer, PHRASES[size as usize % PHRASES.len()]),
            5 => read(&run, peer, (size + 1) << 12),
            6 => pass(&mut run, (size + 1) * 400 * MS),
            _ if size == 0 => leave(&run, peer),
            _ if size == 1 => end(&run, peer),
            _ if size < 4 && peers.len() < PEERS_MAX => peers.push(connect(&run)),
            _ => {}
        }
        pass(&mut run, MS);
    }
    for &peer in &peers {
        leave(&run, peer);
    }
    run.until_clients_end();
    assert_eq!(run.world.borrow().clients[good].ended, Some(Ended::Answered));
    assert_eq!(run.world.borrow().clients[good].statuses, [200, 200, 200]);
    run.finish();
}

fn connect(run: &Run) -> usize {
    let mut world = run.world.borrow_mut();
    let (socket, client) = (world.sockets.len(), world.clients.len() - 1);
    world.sockets.push(Sock::new(client, 64 << 10));
    world.listeners[0].queue.push_back(socket);
    world.soon(Event::Accept(0));
    socket
}

fn is_open(world: &World, socket: usize) -> bool {
    let sock = &world.sockets[socket];
    sock.server != Server::Closed && sock.dead.is_none()
}

fn write(run: &Run, socket: usize, bytes: &[u8]) {
    let mut world = run.world.borrow_mut();
    if is_open(&world, socket) && !world.sockets[socket].inbound_end {
        world.sockets[socket].inbound.extend(bytes);
        world.pump_soon(socket);
    }
}

fn read(run: &Run, socket: usize, mut size: u64) {
    let mut world = run.world.borrow_mut();
    size = size.min(world.sockets[socket].visible());
    while size > 0
        && let Some(run) = world.sockets[socket].outbound.pop(size)
    {
        size -= run.size();
        world.sockets[socket].read += run.size();
    }
    world.pump_soon(socket);
}

/// Ends the peer's side.
fn end(run: &Run, socket: usize) {
    let mut world = run.world.borrow_mut();
    if is_open(&world, socket) {
        world.sockets[socket].inbound_end = true;
        world.pump_soon(socket);
    }
}

fn leave(run: &Run, socket: usize) {
    let mut world = run.world.borrow_mut();
    if is_open(&world, socket) {
        world.kill(socket, Errno::CONNRESET);
    }
}

fn pass(run: &mut Run, nanos: u64) {
    let end = run.world.borrow().now + nanos;
    run.world.borrow_mut().after(nanos, Event::Nothing);
    run.until(|world| world.now >= end);
}
