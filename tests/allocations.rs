//! The path of a hot request allocates nothing: counted, over the real ring.
//!
//! Client and shard share one thread, so that the count of this thread is the shard's; the client's
//! part, reads and writes of a socket, allocates nothing either.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use shardcast::config::{Access, Backend, Limits};
use shardcast::guard::Door;
use shardcast::library::disk::RealDisk;
use shardcast::library::{open, write};
use shardcast::messages::{
    Beside, Change, Device, FilePayload, Index, Listing, Opened, Payload, Single, SourceId,
    SourceKind, Update, mail,
};
use shardcast::shard::{Outside, Settings, Shard};
use shardcast::sys::features::Features;
use shardcast::sys::ring::Ring;
use shardcast::sys::{calls, files};
use shardcast::units::{Class, ETag, Extent, Rung, UnixTime, Variant};
use shardcast::viewer::accounts::{Accounts, Credential, Entry, Hasher, Login, Tag};
use shardcast::viewer::numbers::{Numbered, Played};
use shardcast::viewer::rights::{Plan, PlanIndex, Standing};
use shardcast::viewer::{Apps, Claims, Key, Keys, Numbers, Rights, Terms, token};

const OBJECTS: usize = 100;
const CONNECTIONS: usize = 64;
const REQUESTS: usize = 10_000;
const BODY_SIZE: usize = 2_048;

type RealShard = Shard<Ring, Receiver<Update>>;

fn shard(listener: TcpListener) -> (RealShard, mail::Outbox) {
    let bell = calls::bell().unwrap();
    let (outbox, inbox) = mail::queue(Arc::clone(&bell));
    let listeners = vec![OwnedFd::from(listener)];
    let ring = Ring::new(listeners, bell, Features::from_environment()).unwrap();
    let (library, _) = sync_channel(100);
    let settings = Settings {
        number: 0,
        count: 1,
        backends: vec![Backend::Sendfile],
        cors: "*".to_owned(),
        waits_to_accept: false,
        door: Door::default(),
        limits: Arc::new(Limits::default()),
        connections_max: 1_000,
        sources_max: 1_000,
    };
    let outside = Outside {
        library,
        control: None,
        sessions: None,
        strikes: None,
        live: None,
        pieces: None,
        access: None,
    };
    (Shard::new(ring, inbox, outside, settings), outbox)
}

/// A pack of small objects, open.
fn pack() -> Arc<Opened> {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("a");
    std::fs::create_dir(&from).unwrap();
    for number in 0..OBJECTS {
        std::fs::write(from.join(format!("{number}.m4s")), vec![number as u8; BODY_SIZE]).unwrap();
    }
    let target = folder.path().join("a.pack");
    write::pack_folder(&RealDisk, &from, &target, false, &mut |_| {}).unwrap();
    let pack = open::open_path(&target).unwrap();
    // Every second object belongs to a rendition of which caps hold.
    let rung = Rung { kbps: 400, is_capped: true };
    let capped = (0..OBJECTS).step_by(2).map(|number| (format!("{number}.m4s"), rung));
    let beside = Beside::of(capped.collect());
    let residency = files::residency(&pack.file);
    let fd = OwnedFd::from(pack.file);
    let payload = Payload::File(Arc::new(FilePayload {
        fd,
        size: pack.size,
        device: Device(1),
        residency,
        map: None,
    }));
    Arc::new(Opened { source: SourceId(1), index: Index::Pack(pack.index), payload, beside })
}

/// Asks, lets the shard take turns until the response is there, and gives the last byte of it.
fn ask(shard: &mut RealShard, stream: &mut TcpStream, request: &[u8]) -> Option<u8> {
    stream.write_all(request).ok()?;
    let mut response = [0; 4096];
    let mut size = 0;
    loop {
        shard.turn().ok()?;
        match stream.read(&mut response[size..]) {
            Ok(count @ 1..) => size += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            _ => return None,
        }
        let head = response[..size].windows(4).position(|four| four == b"\r\n\r\n");
        if head.is_some_and(|at| at + 4 + BODY_SIZE == size) {
            return Some(response[size - 1]);
        }
    }
}

/// Asks for objects of a pack that is there for viewers of this access, thousands of times over
/// many connections; `updates` are told first.
fn check(access: Access, updates: Vec<Update>, requests: &[String]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut shard, mut outbox) = shard(listener);
    let (source, kind, opened) = (SourceId(1), SourceKind::Pack, Some(pack()));
    let change = Change::Present { source, kind, access, opened };
    outbox.send(Update::Listed(Arc::new([Listing { path: "a".into(), change }])));
    updates.into_iter().for_each(|update| outbox.send(update));
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        })
        .collect();
    let mut right = 0;
    let mut run = |count: usize| {
        for number in 0..count {
            let object = number * 7 % OBJECTS;
            let stream = &mut streams[number % CONNECTIONS];
            let last = ask(&mut shard, stream, requests[object].as_bytes());
            right += usize::from(last == Some(object as u8));
        }
    };
    let warming = allocation_counter::measure(|| run(CONNECTIONS * OBJECTS));
    assert!(warming.count_total > 0, "allocations are counted");
    let began = Instant::now();
    let counted = allocation_counter::measure(|| run(REQUESTS));
    // Once a second control is told which sessions go on, and what their players say: two messages,
    // which belong to no request.
    let told = if access == Access::Token { 2 * (began.elapsed().as_secs() + 1) } else { 0 };
    assert_eq!(right, CONNECTIONS * OBJECTS + REQUESTS, "every response is the right one");
    assert!(counted.count_total <= told, "{counted:?}");
}

/// The playlist of a channel, of which whoever starts it gets `BODY_SIZE` bytes with this last.
fn playlist(number: usize) -> (Listing, String) {
    let path = format!("/tv/c{number}/master.m3u8");
    let whole = format!("/s/{}/tv/c{number}/v\n", "t".repeat(46));
    let mut text = b"#EXTM3U\nv\n#".to_vec();
    text.resize(BODY_SIZE - (whole.len() - "v\n".len()) - 1, b'x');
    text.push(number as u8);
    let size = text.len() as u64;
    let identity = Variant { extent: Extent { offset: 0, size }, etag: ETag([0; 16]) };
    let single = Single {
        media_type: "application/vnd.apple.mpegurl",
        class: Class::Playlist,
        modified: UnixTime(1),
        identity,
        gzip: None,
        narrowed: Box::default(),
        rung: Rung::default(),
    };
    let source = SourceId::of_live(number as u64);
    let payload = Payload::Heap(text.into());
    let opened = Opened { source, index: Index::Single(single), payload, beside: None };
    let (kind, opened) = (SourceKind::File, Some(Arc::new(opened)));
    let change = Change::Present { source, kind, access: Access::Token, opened };
    (Listing { path: path.into(), change }, format!("tv/c{number}"))
}

/// Every second app starts a channel, the others a film.
#[test]
fn apps_that_start_something_allocate_nothing() {
    let hasher = Hasher::new(&[7; 32]);
    let (mut requests, mut subscribers, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    let (mut numbers, mut listings) = (Vec::new(), Vec::new());
    let mut content = vec!["vod/a".to_owned()];
    for number in 0..OBJECTS {
        let at = 1 + number as u32;
        let subscriber = NonZeroU32::new(at).unwrap();
        subscribers.push((subscriber, Some(standing())));
        let user = format!("user{number}");
        let credential = Credential::of(&hasher.hash(&user, "a password"));
        entries.push(Entry::new(credential, Login { subscriber, which: 0 }, Tag::of(7)));
        let (listing, channel) = playlist(number);
        listings.push(listing);
        content.push(channel);
        numbers.push(((Numbered::Channel, at), Some(Played::channel(&format!("c{number}")))));
        numbers.push(((Numbered::Film, at), Some(Played::asset(&format!("a/{number}.m4s")))));
        let (kind, extension) = if number % 2 == 0 { ("live", "m3u8") } else { ("movie", "mp4") };
        requests.push(format!(
            "GET /{kind}/{user}/a%20password/{at}.{extension} HTTP/1.1\r\nHost: tv\r\n\
             User-Agent: App/1.0\r\n\r\n"
        ));
    }
    let plans = vec![Plan::of(content.iter().map(String::as_str))];
    let rights = Rights::default().with_plans(plans).with(&subscribers);
    let accounts = Accounts::new(hasher).with(&[], &entries);
    let apps = Apps { accounts, numbers: Numbers::default().with(&numbers) };
    let keys = Keys { current: Some(Key::new(1, &[1; 32], 0)), previous: None };
    let told = vec![
        Update::Listed(listings.into()),
        Update::Keys(Arc::new(keys)),
        Update::Rights(Arc::new(rights)),
        Update::Apps(Arc::new(apps)),
    ];
    check(Access::Token, told, &requests);
}

fn standing() -> Standing {
    Standing {
        plan: Some(PlanIndex(0)),
        expires: None,
        is_blocked: false,
        limits: None,
        sessions_max: None,
        country: None,
        language: None,
    }
}

fn request(token: &str, number: usize) -> String {
    format!("GET {token}/vod/a/{number}.m4s HTTP/1.1\r\nHost: tv\r\n\r\n")
}

#[test]
fn hot_requests_allocate_nothing() {
    let requests: Vec<_> = (0..OBJECTS).map(|number| request("", number)).collect();
    check(Access::Open, Vec::new(), &requests);
}

#[test]
fn hot_requests_with_tokens_allocate_nothing() {
    let key = Key::new(1, &[1; 32], 0);
    let standing = standing();
    let (mut requests, mut subscribers) = (Vec::new(), Vec::new());
    for number in 0..OBJECTS {
        let subscriber = NonZeroU32::new(1 + number as u32).unwrap();
        subscribers.push((subscriber, Some(standing.clone())));
        let claims = Claims {
            subscriber: Some(subscriber),
            session: number as u64,
            expires: UnixTime(u64::from(u32::MAX)),
            bitrate_max: Some(500),
            network: Some("127.0.0.0/8".parse().unwrap()),
        };
        let token = token::sealed(&claims, &["/tv/*", "/vod/a/*"], &key).unwrap();
        let plain = request(&format!("/s/{token}"), number);
        let cmcd = "\r\nCMCD-Object: br=3000,ot=v\r\nCMCD-Request: bl=900,su,nor=\"a,b\"\r\n\r\n";
        // Some in fields, some in the query, and some tell nothing.
        requests.push(match number % 3 {
            0 => plain,
            1 => plain.replace("\r\n\r\n", cmcd),
            _ => plain.replace(".m4s", ".m4s?CMCD=bl%3D900%2Cbs%2Cot%3Dv%2Csid%3D%22a%22"),
        });
    }
    let terms = Terms { bitrate_max_kbps: 1000, catch_up_days: 0 };
    let plans = vec![Plan::of(["vod/a"]).at_rate(100_000).on(terms)];
    let rights = Rights::default().with_plans(plans).with(&subscribers);
    let keys = Keys { current: Some(key), previous: None };
    check(
        Access::Token,
        vec![Update::Keys(Arc::new(keys)), Update::Rights(Arc::new(rights))],
        &requests,
    );
}
