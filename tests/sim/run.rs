//! Runs the driver in a world, to the end, and looks whether anything is left.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use shardcast::config::{Backend, Limits};
use shardcast::guard::Door;
use shardcast::messages::{AccessRecord, Ask, ShardReport, ToLibrary, Update};
use shardcast::shard::{Outside, Settings, Shard};

use crate::client::{Client, Ended};
use crate::kernel::FakeKernel;
use crate::library::{Action, Told};
use crate::net::Server;
use crate::world::{Event, FakeInbox, SECOND, Shared, World};

/// How the shard is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    pub seed: u64,
    pub limits: Limits,
    pub backend: Backend,
    pub sources_max: usize,
    pub connections_max: usize,
    pub waits_to_accept: bool,
    pub door: Door,
    /// Messages to the library and to control that fit their queues.
    pub queue: usize,
    /// Access records that fit theirs.
    pub records: usize,
}

impl Setup {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            limits: Limits::default(),
            backend: Backend::Sendfile,
            sources_max: 1000,
            connections_max: 100_000,
            waits_to_accept: false,
            door: Door::default(),
            queue: 64,
            records: 100_000,
        }
    }
}

/// A shard in its world.
pub struct Run {
    pub world: Shared,
    pub shard: Shard<FakeKernel, FakeInbox>,
    library: Receiver<ToLibrary>,
    control: tokio::sync::mpsc::Receiver<Ask>,
    access: Receiver<AccessRecord>,
    seed: u64,
    /// Control takes no questions from its queue.
    pub control_sleeps: bool,
}

/// Says which seed and step failed.
struct Place<'r> {
    world: &'r Shared,
    seed: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The world may be borrowed where it failed.
            let step =
                self.world.try_borrow().map_or_else(|_| "?".into(), |world| world.step.to_string());
            eprintln!(
                "failed at seed {} step {step}: SEED={} cargo test --test sim",
                self.seed, self.seed
            );
        }
    }
}

impl Run {
    pub fn new(mut world: World, setup: &Setup) -> Self {
        world.connections_max = setup.connections_max;
        let world = Rc::new(RefCell::new(world));
        let (to_library, library) = sync_channel(setup.queue);
        let (to_control, control) = tokio::sync::mpsc::channel(setup.queue);
        let (to_log, access) = sync_channel(setup.records);
        let outside = Outside {
            library: to_library,
            control: Some(to_control),
            sessions: None,
            strikes: None,
            live: None,
            pieces: None,
            access: Some(to_log),
        };
        let settings = Settings {
            number: 0,
            count: 1,
            backends: vec![setup.backend],
            cors: "*".to_owned(),
            waits_to_accept: setup.waits_to_accept,
            door: setup.door.clone(),
            limits: Arc::new(setup.limits.clone()),
            connections_max: setup.connections_max,
            sources_max: setup.sources_max,
        };
        let kernel = FakeKernel::new(Rc::clone(&world));
        let inbox = FakeInbox(Rc::clone(&world));
        let shard = Shard::new(kernel, inbox, outside, settings);
        Self { world, shard, library, control, access, seed: setup.seed, control_sleeps: false }
    }

    pub fn turn(&mut self) {
        let _place = Place { world: &self.world, seed: self.seed };
        self.shard.turn().expect("the fake ring is never gone");
        let mut world = self.world.borrow_mut();
        while let Ok(message) = self.library.try_recv() {
            world.hear(message);
        }
        while !self.control_sleeps
            && let Ok(ask) = self.control.try_recv()
        {
            world.hear_ask(ask);
        }
    }

    /// Takes turns until something holds.
    pub fn until(&mut self, mut holds: impl FnMut(&World) -> bool) {
        while !self.shard.is_over() && !holds(&self.world.borrow()) {
            self.turn();
        }
    }

    /// Takes turns for so long.
    pub fn for_seconds(&mut self, seconds: u64) {
        let end = self.world.borrow().now + seconds * SECOND;
        self.world.borrow_mut().after(seconds * SECOND, Event::Nothing);
        self.until(|world| world.now >= end);
    }

    /// Takes turns until every client has had what it came for, and all that was planned happened.
    pub fn until_clients_end(&mut self) {
        self.until(|world| {
            let ended = world.clients.iter().all(|client| client.ended.is_some());
            ended && world.library.actions_done == world.library.actions.len()
        });
    }

    pub fn report(&mut self) -> ShardReport {
        let (to, from) = sync_channel(1);
        self.world.borrow_mut().tell(Update::Report(to));
        for _ in 0..1000 {
            self.turn();
            if let Ok(report) = from.try_recv() {
                return *report;
            }
        }
        panic!("no report in a thousand turns");
    }

    /// Ends the run: everything is unlisted and must be let go, then the shard drains, and nothing
    /// may be left.
    pub fn finish(mut self) -> ShardReport {
        let report = if self.shard.is_over() { None } else { self.let_go() };
        if !self.shard.is_over() {
            self.world.borrow_mut().tell(Update::Drain { deadline_ms: 30_000 });
            self.until(|_| false);
        }
        let _place = Place { world: &self.world, seed: self.seed };
        assert_eq!(self.shard.connection_count(), 0, "connections are left");
        assert_eq!(self.shard.exchange_count(), 0, "exchanges are left");
        assert_eq!(self.shard.early_size(), 0, "bytes that came early are left");
        assert_eq!(self.shard.bodies_size(), 0, "bytes of bodies are left");
        let world = self.world.borrow();
        for (id, sock) in world.sockets.iter().enumerate() {
            assert_ne!(sock.server, Server::Open, "socket {id} is left open");
            assert!(sock.lent.is_empty(), "bytes of socket {id} are still lent");
        }
        drop(world);
        report.unwrap_or_else(empty_report)
    }

    /// Unlists everything, and looks whether the shard lets go of it.
    fn let_go(&mut self) -> Option<ShardReport> {
        let mut world = self.world.borrow_mut();
        let profile = &mut world.profile;
        (profile.fail, profile.lost, profile.exhausted, profile.spurious) = (0, 0, 0, 0);
        world.fail_at = None;
        let paths: Vec<String> = world.library.told.keys().cloned().collect();
        for path in paths {
            if matches!(world.library.told_now(&path), Some(Told::Present(_))) {
                world.library.actions.push(Action::Remove(path));
                let number = world.library.actions.len() - 1;
                world.act(number);
            }
        }
        drop(world);
        self.for_seconds(200);
        if self.shard.is_over() {
            // It was drained meanwhile: nobody waits for what it had still to say.
            return None;
        }
        let report = self.report();
        let _place = Place { world: &self.world, seed: self.seed };
        let world = self.world.borrow();
        for (source, model) in &world.sources {
            if world
                .library
                .growing
                .values()
                .any(|one| one.pieces.iter().any(|(of, _)| of == source))
            {
                continue;
            }
            let hold = world.library.holds.get(source);
            assert_ne!(hold, Some(&crate::library::Hold::Held), "{source:?} is never released");
            assert_eq!(Arc::strong_count(&model.opened), 1, "{source:?} is referred to");
        }
        assert_eq!(report.parked, 0, "requests are counted as parked");
        check_counts(&report, &self.access, &world);
        assert_eq!(self.shard.exchange_count(), 0, "exchanges are left when all is gone");
        Some(report)
    }
}

/// Whether what was counted and logged is what happened.
fn check_counts(report: &ShardReport, access: &Receiver<AccessRecord>, world: &World) {
    let of = |wanted: fn(u16) -> bool| -> u64 {
        let counts = report.requests.iter().filter(|(_, status, _)| wanted(*status));
        counts.map(|(_, _, count)| count).sum()
    };
    let logged = access.try_iter().filter(|record| !record.aborted).count() as u64;
    let logged = logged + report.access_dropped;
    // A head that did not come has no line; a body that did not come belongs to one that did.
    let (least, most) = (of(|status| status != 408), of(|_| true));
    assert!((least..=most).contains(&logged), "{logged} lines for {least} to {most} responses");
    if world.profile.calm {
        assert_eq!(report.sent_bytes, world.taken, "bytes sent");
        // Who is reset, for a good reason, may not have read all that was sent to him.
        let is_cut =
            |client: &Client| client.manner.may_be_cut || client.ended == Some(Ended::Reset);
        if world.clients.iter().any(is_cut) {
            return;
        }
        let read: usize = world.clients.iter().map(|client| client.statuses.len()).sum();
        assert_eq!(of(|_| true), read as u64, "responses");
    }
}

fn empty_report() -> ShardReport {
    ShardReport {
        shard: 0,
        requests: Vec::new(),
        refusals: Vec::new(),
        latency: Vec::new(),
        sent_bytes: 0,
        body_copied_bytes: 0,
        connections: 0,
        connections_total: 0,
        ring_enters: 0,
        ring_completions: 0,
        cold_reads: 0,
        parked: 0,
        backends: Vec::new(),
        cache_bytes: 0,
        access_dropped: 0,
        faults: 0,
        told: Vec::new(),
        stalls: 0,
        starts: 0,
        malformed: 0,
        paces_set: 0,
    }
}
