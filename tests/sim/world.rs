//! The world that a shard lives in: time, events, sockets, files, clients, a library.
//!
//! Everything happens in `enter`, in an order that the seed decides. Nothing here knows how the
//! driver works; it only holds it to the contract of `shard::kernel`.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;

use shardcast::catalog::Held;
use shardcast::messages::mail::Inbox;
use shardcast::messages::{Device, SourceId, Update};
use shardcast::shard::kernel::{Completion, Errno, Operation, Owner};
use shardcast::units::Extent;

use crate::client::Client;
use crate::content::SourceModel;
use crate::library::Library;
use crate::net::{Listener, SendOp, Sock, Socket};
use crate::random::Random;

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;

/// How hostile a world is. Chances are in a thousand.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Nothing fails and nothing is late: every request must be answered in full.
    pub calm: bool,
    pub buffers: u16,
    /// A direct send or a send in flight takes less than there is room for.
    pub short: u64,
    /// A receive ends for no reason.
    pub lost: u64,
    /// An operation or call fails, and the connection with it.
    pub fail: u64,
    /// Accepting fails for want of descriptors, for a while.
    pub exhausted: u64,
    /// A wait ends early.
    pub spurious: u64,
    /// A page of a file is not in memory at first.
    pub cold: u64,
    /// A page is thrown out of memory again right after it came.
    pub evicted: u64,
    /// Most nanoseconds that something takes.
    pub latency: u64,
    /// A zero-copy send was copied after all.
    pub copied: u64,
    /// The clock of the day jumps.
    pub jumps: u64,
}

impl Profile {
    pub fn calm() -> Self {
        Self {
            calm: true,
            buffers: 64,
            short: 0,
            lost: 0,
            fail: 0,
            exhausted: 0,
            spurious: 0,
            cold: 0,
            evicted: 0,
            latency: MS,
            copied: 0,
            jumps: 0,
        }
    }
}

/// A kind of call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Accept,
    Receive,
    PollIn,
    PollOut,
    Send,
    ZeroCopy,
    Read,
    AcceptNow,
    SendNow,
    SendFile,
    ReadNow,
}

/// What the driver has queued for the next `enter`.
#[derive(Debug)]
pub enum Queued {
    Accept(u16),
    CancelAccept(u16),
    Receive(usize, Owner),
    Poll(usize, Operation, Owner),
    Send(usize, SendOp),
    Read(ReadOp),
    Cancel(Operation, Owner),
}

#[derive(Debug)]
pub struct ReadOp {
    pub held: Held,
    pub extent: Extent,
    pub buffer: Vec<u8>,
    pub read: u32,
}

/// Something that happens at a time.
#[derive(Debug)]
pub enum Event {
    Pump(usize),
    Client(usize),
    Accept(u16),
    Read(ReadOp),
    Update(Box<Update>),
    Action(usize),
    /// Only to end a wait.
    Nothing,
}

#[derive(Debug)]
struct Timed {
    at: u64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// A completion that waits to be reaped; completions of one `lane` stay in order.
#[derive(Debug)]
pub struct Ready {
    pub lane: (usize, Option<Operation>),
    pub completion: Completion<Socket>,
    pub bytes: Vec<u8>,
}

/// A lane for completions that belong to no socket.
pub const NO_SOCKET: usize = usize::MAX;

/// Everything.
#[derive(Debug)]
pub struct World {
    pub random: Random,
    pub profile: Profile,
    pub now: u64,
    pub unix: u64,
    pub step: u64,
    events: BinaryHeap<Reverse<Timed>>,
    sequence: u64,
    pub sockets: Vec<Sock>,
    pub listeners: Vec<Listener>,
    pub queued: Vec<Queued>,
    pub ready: Vec<Ready>,
    pub buffers_free: Vec<u16>,
    pub buffers_held: usize,
    pub sources: BTreeMap<SourceId, SourceModel>,
    pub resident: HashMap<(SourceId, u64), bool>,
    pub reads: HashMap<(SourceId, u64), u64>,
    /// Disks that do not answer: reads of them wait in `hanging`.
    pub hanging_devices: Vec<Device>,
    pub hanging: Vec<ReadOp>,
    /// Whether a sample of pages overlooks those between the first and the last; what a shard waits
    /// for then is counted.
    pub overlooks: bool,
    /// Pages were thrown out of memory behind the shard's back.
    pub evicts: bool,
    /// Connections that the shard may have.
    pub connections_max: usize,
    /// Sockets that may be open; beyond it accepting fails.
    pub descriptors: Option<usize>,
    pub counts: Counts,
    pub clients: Vec<Client>,
    pub library: Library,
    pub inbox: VecDeque<Update>,
    pub turn: Turn,
    pub out_of_descriptors_until: u64,
    pub accept_failed: Option<u64>,
    /// Whether it ever did.
    pub accept_has_failed: bool,
    pub calls: HashMap<Call, u64>,
    /// Fail the so-manieth call of a kind.
    pub fail_at: Option<(Call, u64)>,
    /// Bytes taken by sockets, however they were sent.
    pub taken: u64,
    pub tracing: bool,
    /// The shard was told to drain or to stop.
    pub draining: bool,
}

/// What was done since the last `enter`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    /// Body bytes and heads sent by direct calls.
    pub bytes: u64,
    pub calls: u64,
    pub completions: u64,
    /// Turns in a row in which nothing was done and nothing was waited for.
    pub idle: u64,
}

/// What was asked of the kernel to send responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sends that were queued.
    pub sends: u64,
    /// Direct calls of any kind, but for those that a log or an ending takes.
    pub direct: u64,
    /// Files that were sent though some of their bytes were not in memory: a shard waits then.
    pub waited: u64,
}

/// A handle on the world: the kernel and the inbox share it with the test.
pub type Shared = Rc<RefCell<World>>;

impl World {
    pub fn new(seed: u64, profile: Profile) -> Self {
        let buffers_free = (0..profile.buffers).collect();
        Self {
            random: Random::new(seed),
            profile,
            // Not zero: ticks begin somewhere.
            now: 5 * SECOND,
            unix: 1_750_000_000,
            step: 0,
            events: BinaryHeap::new(),
            sequence: 0,
            sockets: Vec::new(),
            listeners: vec![Listener::default()],
            queued: Vec::new(),
            ready: Vec::new(),
            buffers_free,
            buffers_held: 0,
            sources: BTreeMap::new(),
            resident: HashMap::new(),
            reads: HashMap::new(),
            hanging_devices: Vec::new(),
            overlooks: false,
            hanging: Vec::new(),
            evicts: false,
            connections_max: usize::MAX,
            descriptors: None,
            counts: Counts::default(),
            clients: Vec::new(),
            library: Library::default(),
            inbox: VecDeque::new(),
            turn: Turn::default(),
            out_of_descriptors_until: 0,
            accept_failed: None,
            accept_has_failed: false,
            calls: HashMap::new(),
            fail_at: None,
            taken: 0,
            tracing: std::env::var_os("SEED").is_some(),
            draining: false,
        }
    }

    pub fn trace(&self, line: impl FnOnce() -> String) {
        if self.tracing {
            println!("{:>6} {:>12.6} {}", self.step, self.now as f64 / 1e9, line());
        }
    }

    /// Schedules an event so many nanoseconds from now.
    pub fn after(&mut self, nanos: u64, event: Event) {
        self.sequence += 1;
        let at = self.now + nanos;
        self.events.push(Reverse(Timed { at, sequence: self.sequence, event }));
    }

    /// Schedules an event after a latency that the seed decides.
    pub fn soon(&mut self, event: Event) {
        let latency = self.latency();
        self.after(latency, event);
    }

    fn latency(&mut self) -> u64 {
        match self.random.below(8) {
            0..4 => 0,
            4..7 => self.random.below(self.profile.latency / 16 + 1),
            _ => self.random.below(self.profile.latency + 1),
        }
    }

    pub fn next_event_at(&self) -> Option<u64> {
        self.events.peek().map(|Reverse(timed)| timed.at)
    }

    /// Runs what is due.
    pub fn run_events(&mut self) {
        while self.next_event_at().is_some_and(|at| at <= self.now) {
            let Some(Reverse(timed)) = self.events.pop() else { return };
            match timed.event {
                Event::Pump(socket) => {
                    self.sockets[socket].pumped_later = false;
                    self.pump(socket);
                }
                Event::Client(client) => self.wake(client),
                Event::Accept(listener) => self.pump_accept(listener),
                Event::Read(read) => self.finish_read(read),
                Event::Update(update) => self.tell(*update),
                Event::Action(number) => {
                    self.act(number);
                    self.library.actions_done += 1;
                    self.ring();
                }
                Event::Nothing => self.ring(),
            }
        }
    }

    /// Lets clients see what the shard left behind when it ended.
    pub fn run_out(&mut self) {
        while let Some(at) = self.next_event_at() {
            self.now = self.now.max(at);
            self.run_events();
        }
    }

    /// All disks answer again.
    pub fn go_on(&mut self) {
        self.hanging_devices.clear();
        for read in std::mem::take(&mut self.hanging) {
            self.soon(Event::Read(read));
        }
        // Whoever waits for ever has something to wait for.
        self.ring();
    }

    /// Puts an update into the shard's inbox, and rings.
    pub fn tell(&mut self, update: Update) {
        self.trace(|| format!("told {update:?}"));
        self.inbox.push_back(update);
        self.ring();
    }

    /// Wakes the shard.
    pub fn ring(&mut self) {
        let rings = self.ready.iter().any(|ready| matches!(ready.completion, Completion::Bell));
        if !rings {
            self.complete((NO_SOCKET, None), Completion::Bell, Vec::new());
        }
    }

    pub fn complete(
        &mut self,
        lane: (usize, Option<Operation>),
        completion: Completion<Socket>,
        bytes: Vec<u8>,
    ) {
        self.ready.push(Ready { lane, completion, bytes });
    }

    /// Whether this call fails: by the scenario, or by chance.
    pub fn fails(&mut self, call: Call) -> bool {
        let count = self.calls.entry(call).or_insert(0);
        *count += 1;
        let count = *count;
        if let Some((which, number)) = self.fail_at {
            return which == call && number == count;
        }
        let fail = self.profile.fail;
        self.random.chance(fail)
    }

    /// A connection breaks: its client sees a reset, and every call on it fails.
    pub fn kill(&mut self, socket: usize, errno: Errno) {
        let sock = &mut self.sockets[socket];
        sock.excused = true;
        sock.dead = Some(errno);
        sock.outbound.clear();
        self.wake_client_of(socket);
        self.soon(Event::Pump(socket));
    }

    pub fn wake_client_of(&mut self, socket: usize) {
        let client = self.sockets[socket].client;
        let at = self.now + self.latency();
        self.wake_at(client, at);
    }

    pub fn pump_soon(&mut self, socket: usize) {
        if !std::mem::replace(&mut self.sockets[socket].pumped_later, true) {
            self.soon(Event::Pump(socket));
        }
    }
}

/// The shard's end of its inbox.
#[derive(Debug)]
pub struct FakeInbox(pub Shared);

impl Inbox for FakeInbox {
    fn take(&mut self) -> Option<Update> {
        let mut world = self.0.borrow_mut();
        let update = world.inbox.pop_front()?;
        world.note_taken(&update);
        Some(update)
    }
}
