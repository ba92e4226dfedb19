//! One shard: a loop that runs the request's steps for thousands of clients over one kernel.
//!
//! ```text
//! turn:  enter → completions (input, sends done) → updates → releases → bodies → deadlines → room
//! ```
//!
//! Everything here is owned by one thread. The driver decides nothing about HTTP: it finds heads,
//! asks `request::steps` what to do, takes a lease, sends what the plan says, and keeps time. Work
//! is bounded a turn everywhere, so that no client waits for another's body.
//!
//! At most one send of any kind is in flight a connection: small responses go as one ring SEND;
//! everything else goes by direct calls while no SEND is in flight. A receive buffer never outlives
//! the turn. A connection's place, socket and leases are given up only when every operation on it
//! has completed.

pub mod kernel;
mod slab;
mod wheel;
mod cache;
mod cold;
mod recent;
mod connection;
mod exchange;
mod counters;
mod lifecycle;
mod room;
mod input;
mod respond;
mod waits;
mod output;
mod disk;
mod growing;
mod pacing;
mod refusals;
mod strikes;
mod banned;
mod proxied;
mod review;
mod sessions;
mod slates;
mod updates;
pub mod thread;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use ahash::AHashMap;

use self::cache::Cache;
use self::cold::Cold;
use self::connection::Connection;
use self::counters::Counters;
use self::exchange::{Exchange, Waiter};
use self::kernel::{Completion, Errno, HeadBuffer, Kernel};
use self::pacing::Meter;
use self::recent::Recent;
use self::refusals::Refusals;
use self::review::Review;
use self::slab::Slab;
use self::strikes::Strikes;
use self::waits::Wait;
use self::wheel::Wheel;
use crate::catalog::{Capacity, Catalog, Effect, GrowingSlot, SourceSlot};
use crate::config::{Backend, Limits, TARGET_SIZE_MAX};
use crate::guard::{Bans, Door, Strike};
use crate::live::slate::Shown;
use crate::messages::mail::Inbox;
use crate::messages::{AccessRecord, Ask, SessionNews, ToLibrary, ToLive};
use crate::request::head::{Common, Date};
use crate::request::locate::Place;
use crate::units::{Now, Ticks, UnixTime};
use crate::viewer::foreign::carrier::Watched;
use crate::viewer::{Apps, Keys, Known, Rights};

/// Head buffers that are kept when nothing is being sent.
const SPARE_HEADS_MAX: usize = 64;

/// Where a shard's messages go.
#[derive(Debug)]
pub struct Outside {
    /// To the library.
    pub library: SyncSender<ToLibrary>,
    /// To control; none = every Ask is refused.
    pub control: Option<tokio::sync::mpsc::Sender<Ask>>,
    /// To whoever counts sessions; none = nobody does.
    pub sessions: Option<tokio::sync::mpsc::Sender<SessionNews>>,
    /// To whoever counts offences; none = nobody does.
    pub strikes: Option<tokio::sync::mpsc::Sender<Vec<Strike>>>,
    /// To the live thread; none = there is nothing live.
    pub live: Option<tokio::sync::mpsc::Sender<ToLive>>,
    /// To the writer of the access log; none = there is no log.
    pub access: Option<SyncSender<AccessRecord>>,
}

/// What a shard is told when it begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its number, and how many there are: limits of the machine are shared evenly.
    pub number: u16,
    /// See `number`.
    pub count: u16,
    /// How large bodies are sent, a listener.
    pub backends: Vec<Backend>,
    /// Value of Access-Control-Allow-Origin.
    pub cors: String,
    /// Whether clients are let in only after `Update::Accept`: until everything is listed they wait
    /// in the listeners' queues, instead of hearing that something is not there.
    pub waits_to_accept: bool,
    /// Whom it believes.
    pub door: Door,
    /// The limits.
    pub limits: Arc<Limits>,
    /// Connections of the machine, after 0 was replaced by what the descriptors allow.
    pub connections_max: usize,
    /// Open sources of the machine, likewise.
    pub sources_max: usize,
}

/// How a listener sends large bodies, and what the kernel said of it.
#[derive(Clone, Copy, Debug)]
struct Listener {
    backend: Backend,
    /// Zero-copy sends that were let go, and those of them that had been copied.
    let_gos: u32,
    copied: u32,
    /// Whether its accept is in flight.
    accepting: bool,
}

/// A shard over some kernel.
#[derive(Debug)]
pub struct Shard<K: Kernel, I: Inbox> {
    kernel: K,
    inbox: I,
    outside: Outside,
    settings: Settings,
    listeners: Vec<Listener>,
    catalog: Catalog,
    keys: Arc<Keys>,
    rights: Arc<Rights>,
    apps: Arc<Apps>,
    foreign: Arc<Watched>,
    bans: Arc<Bans>,
    slates: Shown,
    /// How far the search for connections of whoever is banned has come; none = none is under way.
    banned_hand: Option<u32>,
    known: Known,
    common: Common,
    date: Date,
    now: Now,
    cache: Cache,
    cold: Cold,
    recent: Recent,
    connections: Slab<Connection<K::Socket>>,
    exchanges: Slab<Exchange>,
    waits: Slab<Wait>,
    generation: u32,
    /// Exchanges that may send.
    ready: VecDeque<Waiter>,
    /// Requests whose wait is over.
    releasing: VecDeque<Waiter>,
    /// Sources that found no room to be opened, until everybody who waits has been told.
    exhausted: Vec<SourceSlot>,
    parked: AHashMap<Place, Vec<Waiter>>,
    growing: AHashMap<GrowingSlot, Vec<Waiter>>,
    parked_count: u64,
    /// Connections of each address, and whose each is; only where that is limited.
    addresses: AHashMap<IpAddr, usize>,
    address_of: AHashMap<u32, IpAddr>,
    /// Accepting failed: it is tried again then, or when a connection has gone.
    accept_after: Ticks,
    /// Accepting failed for want of descriptors or memory; since then no client has been accepted,
    /// and none closed to make room.
    lacks_descriptors: bool,
    /// Where the search for idle clients goes on.
    room_hand: usize,
    /// When it goes on.
    room_after: Ticks,
    /// Bytes of memory for what clients sent before it could be used.
    early_size: usize,
    /// Bytes of memory for bodies of requests that are being received.
    bodies_size: usize,
    refusals: Refusals,
    review: Review,
    /// Whether any session's rate is bounded.
    has_caps: bool,
    meter: Meter,
    wheel: Wheel,
    counters: Counters,
    heads: Vec<HeadBuffer>,
    /// Messages to the library that found its queue full.
    to_library: VecDeque<ToLibrary>,
    effects: Vec<Effect>,
    /// Connections whose entry in the wheel has come up, and its tick; the first is next.
    due: VecDeque<(u32, u32)>,
    path: Box<[u8; TARGET_SIZE_MAX]>,
    /// A small object is read into it,
    small_body: Vec<u8>,
    /// and its response built here.
    small_response: Vec<u8>,
    draining: Option<Ticks>,
    listening: bool,
    listeners_closed: bool,
    /// The inbox was not emptied this turn.
    look_again: bool,
    stopped: bool,
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// A shard that listens.
    pub fn new(mut kernel: K, inbox: I, outside: Outside, settings: Settings) -> Self {
        let (now, is_heard) = (kernel.now(), outside.strikes.is_some());
        let refusals = Refusals::new(Strikes::new(settings.door.marks.clone(), is_heard));
        let listeners = settings
            .backends
            .iter()
            .map(|&backend| Listener { backend, let_gos: 0, copied: 0, accepting: false })
            .collect();
        let mut shard = Self {
            kernel,
            inbox,
            outside,
            listeners,
            catalog: Catalog::new(capacity(&settings)),
            keys: Arc::default(),
            rights: Arc::default(),
            apps: Arc::default(),
            foreign: Arc::default(),
            bans: Arc::default(),
            slates: Shown::default(),
            banned_hand: None,
            known: Known::default(),
            common: Common::new(&settings.cors),
            date: *b"Thu, 01 Jan 1970 00:00:00 GMT",
            now: Now { unix: UnixTime(0), ..now },
            cache: Cache::new(cache_capacity(&settings)),
            cold: Cold::default(),
            recent: Recent::new(),
            connections: Slab::default(),
            waits: Slab::default(),
            exchanges: Slab::default(),
            generation: 0,
            ready: VecDeque::new(),
            releasing: VecDeque::new(),
            exhausted: Vec::new(),
            parked: AHashMap::new(),
            growing: AHashMap::new(),
            parked_count: 0,
            addresses: AHashMap::new(),
            address_of: AHashMap::new(),
            accept_after: now.ticks,
            lacks_descriptors: false,
            room_hand: 0,
            room_after: now.ticks,
            early_size: 0,
            bodies_size: 0,
            refusals,
            review: Review::new(now.ticks),
            has_caps: false,
            meter: Meter::default(),
            wheel: Wheel::new(now.ticks),
            counters: Counters::new(),
            heads: Vec::new(),
            to_library: VecDeque::new(),
            effects: Vec::new(),
            due: VecDeque::new(),
            path: Box::new([0; TARGET_SIZE_MAX]),
            small_body: Vec::new(),
            small_response: Vec::new(),
            draining: None,
            listening: !settings.waits_to_accept,
            listeners_closed: false,
            look_again: false,
            stopped: false,
            settings,
        };
        shard.look_for_caps();
        shard.tell_players();
        shard.tell_time();
        shard
    }

    /// Runs until it is told to end.
    ///
    /// # Errors
    ///
    /// The kernel's, when the ring is gone.
    pub fn run(&mut self) -> Result<(), Errno> {
        while !self.is_over() {
            self.turn()?;
        }
        Ok(())
    }

    /// Whether it was told to end, and has.
    #[must_use]
    pub fn is_over(&self) -> bool {
        (self.stopped || self.listeners_closed) && self.connections.count() == 0
    }

    /// One turn of the loop.
    ///
    /// # Errors
    ///
    /// The kernel's, when the ring is gone.
    pub fn turn(&mut self) -> Result<(), Errno> {
        self.accept_where_possible();
        self.kernel.enter(self.wait_ms())?;
        self.counters.ring_enters += 1;
        self.tell_time();
        while let Some(completion) = self.kernel.completion() {
            self.counters.ring_completions += 1;
            self.handle_completion(completion);
        }
        self.look_again = false;
        self.take_updates();
        self.tend_leases();
        self.release_waiting();
        self.review();
        self.close_banned();
        if !self.ready.is_empty() {
            // Small responses go out before large ones take their share of the turn.
            self.kernel.submit();
            self.send_ready();
        }
        self.meet_deadlines();
        self.make_room();
        self.tell_library();
        self.tell_strikes();
        Ok(())
    }

    /// The kernel, for tests that play it.
    pub fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// Open connections, for tests.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.connections.count()
    }

    /// Exchanges under way, and requests that wait, for tests.
    #[must_use]
    pub fn exchange_count(&self) -> usize {
        self.exchanges.count() + self.waits.count()
    }

    /// Entries in the lists of those who wait for an update, for tests.
    #[must_use]
    pub fn waiter_count(&self) -> usize {
        let growing = self.growing.values().map(Vec::len).sum::<usize>();
        growing + self.parked.values().map(Vec::len).sum::<usize>()
    }

    /// Bytes of memory for what clients sent before it could be used, for tests.
    #[must_use]
    pub fn early_size(&self) -> usize {
        self.early_size
    }

    /// Bytes of memory for bodies of requests that are being received, for tests.
    #[must_use]
    pub fn bodies_size(&self) -> usize {
        self.bodies_size
    }

    fn wait_ms(&self) -> Option<u64> {
        let work = !self.ready.is_empty()
            || !self.releasing.is_empty()
            || !self.due.is_empty()
            || self.review.is_under_way()
            || self.banned_hand.is_some()
            || self.look_again;
        if work {
            return Some(0);
        }
        let reviewed = self.review.wait_ms(self.now.ticks);
        let tick = self.wheel.wait_ms(self.now.ticks);
        let leases = self.known.leases.wait_ms(self.now.ticks);
        let strikes = self.refusals.strikes.wait_ms(self.now.ticks);
        let bandwidth = self.bandwidth_wait_ms();
        let tick = tick.into_iter().chain(reviewed).chain(leases).chain(strikes);
        let tick = tick.chain(bandwidth).min();
        // Somebody has to be told something as soon as there is room, or a drain has an end.
        let soon = !self.to_library.is_empty() || self.draining.is_some() || !self.is_accepting();
        match tick {
            Some(ms) if soon => Some(ms.min(crate::config::TIMER_TICK_MS)),
            None if soon => Some(crate::config::TIMER_TICK_MS),
            tick => tick,
        }
    }

    fn tell_time(&mut self) {
        let now = self.kernel.now();
        if now.unix != self.now.unix {
            self.date = crate::request::head::date(now.unix);
        }
        self.now = now;
    }

    fn handle_completion(&mut self, completion: Completion<K::Socket>) {
        match completion {
            Completion::Received { owner, result, more } => {
                self.handle_received(owner, result, more);
            }
            Completion::Sent { owner, result, outgoing } => {
                self.handle_sent(owner, result, outgoing);
            }
            Completion::Accepted { listener, result, more } => {
                self.handle_accepted(listener, result, more);
            }
            Completion::Polled { owner, operation, result } => {
                self.handle_polled(owner, operation, result);
            }
            Completion::SentZeroCopy { owner, result, loan } => {
                self.handle_sent_zero_copy(owner, result, loan);
            }
            Completion::LetGo { owner, copied, loan } => self.handle_let_go(owner, copied, &loan),
            Completion::Read { read, result, buffer } => self.handle_read(read, result, buffer),
            // The inbox is looked at every turn.
            Completion::Bell => {}
        }
    }

    /// Tells the library what it must know; what finds no room is told next turn.
    fn tell_library(&mut self) {
        while let Some(message) = self.to_library.pop_front() {
            if let Err(std::sync::mpsc::TrySendError::Full(message)) =
                self.outside.library.try_send(message)
            {
                self.to_library.push_front(message);
                return;
            }
        }
    }

    fn head_buffer(&mut self) -> HeadBuffer {
        self.heads.pop().unwrap_or_default()
    }

    fn keep_head_buffer(&mut self, buffer: HeadBuffer) {
        if self.heads.len() < SPARE_HEADS_MAX {
            self.heads.push(buffer);
        }
    }

    /// The exchange that is waited for, if it is still under way.
    fn waiting(&mut self, waiter: Waiter) -> Option<&mut Exchange> {
        self.exchanges
            .get_mut(waiter.exchange)
            .filter(|exchange| exchange.generation == waiter.generation)
    }
}

/// A shard's share of what may be kept open.
fn capacity(settings: &Settings) -> Capacity {
    let count = usize::from(settings.count.max(1));
    Capacity {
        sources: (settings.sources_max / count).max(8),
        heap_bytes: settings.limits.folder_memory / count,
    }
}

/// A shard's share of the memory for prebuilt responses: half of `cache_memory`; the other half is
/// for packs on huge pages.
fn cache_capacity(settings: &Settings) -> usize {
    settings.limits.cache_memory / 2 / usize::from(settings.count.max(1))
}
