//! Supervised children: ffmpeg reads what a channel's config names, and pushes it to our own ingest
//! port with a credential that holds for this channel only.
//!
//! What is read, and when, is decided elsewhere (`live/inputs.rs`); here are the processes, what
//! they say, and who is told. A child begins as our own program, which gives up what it must not
//! have (`launch`); there is no shell. It is killed with the thread that began it, so it never
//! outlives the server.

pub mod health;
mod launch;
mod lines;
mod order;
mod process;
mod resting;
mod tags;

pub use launch::run as become_child;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::State;
use super::channel::beginnings;
use super::login::Logins;
use super::receive;
use crate::config::inputs::{
    CHILD_AGAIN_MS, CHILD_AGAIN_MS_MAX, CHILD_BEGIN_MS, CHILD_GOOD_MS, CHILD_IDLE_MS,
    CHILD_SILENCE_MS, CHILD_TRIAL_MS, CHILD_TRIAL_MS_MAX, CHILDREN_MAX,
};
use crate::config::{self, Access};
use crate::live::inputs::{Action, Doing, Inputs, Plan};
use crate::messages::ToLive;

use health::{ChildHealth, Exit, Figures};
use lines::Lines;
use order::Target;
use process::{Process, ended};
use resting::Offers;
use tags::Tags;

/// How often it is looked whether media comes, while a child runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a child is called where it logs in.
const USER: &str = "ffmpeg";

/// The children of all channels.
#[derive(Debug)]
pub struct Children {
    all: RefCell<HashMap<String, Kept>>,
    /// How many run.
    count: Rc<Cell<usize>>,
    /// Where they push, if there is such a port.
    ingest: Cell<Option<SocketAddr>>,
    /// The server's folder.
    state: PathBuf,
}

/// A channel's inputs, and what supervises them. With this its processes end.
#[derive(Debug)]
struct Kept {
    child: Rc<Child>,
    task: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A channel's inputs.
#[derive(Debug)]
struct Child {
    of: config::Channel,
    /// Who may watch it, if it says nothing of that.
    access: Access,
    target: Target,
    began: Instant,
    inputs: RefCell<Inputs>,
    lines: Rc<RefCell<Lines>>,
    /// What is known of each input.
    tags: RefCell<Vec<Tags>>,
    figures: Arc<Figures>,
    /// Rings when something happened that has to be looked at.
    wake: Notify,
    /// What is listed for whoever wants it.
    offers: RefCell<Offers>,
    /// The process that reads, and since when.
    running: Cell<Option<(u32, Instant)>>,
    last_exit: RefCell<Option<Exit>>,
}

impl Children {
    /// None yet; they push to where this port listens.
    #[must_use]
    pub fn new(ingest: Option<SocketAddr>, state: PathBuf) -> Self {
        let children =
            Self { all: RefCell::default(), count: Rc::default(), ingest: Cell::default(), state };
        if let Some(ingest) = ingest {
            children.push_to(ingest);
        }
        children
    }

    /// From now on they push to where this port listens.
    pub fn push_to(&self, ingest: SocketAddr) {
        // A port that listens everywhere is reached from here by the loopback address.
        let host = match ingest.ip() {
            IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            host => host,
        };
        self.ingest.set(Some(SocketAddr::new(host, ingest.port())));
    }

    /// Shards say what their clients want.
    pub fn hear(&self, wish: &ToLive) {
        let all = self.all.borrow();
        match wish {
            ToLive::Wanted(source) => {
                let has_offered = |kept: &&Kept| kept.child.offers.borrow().has(*source);
                all.values().filter(has_offered).for_each(|kept| kept.child.want());
            }
            ToLive::Watched(folder) => {
                let id = folder.strip_prefix("/tv/").and_then(|path| path.split('/').next());
                id.and_then(|id| all.get(id)).into_iter().for_each(|kept| kept.child.want());
            }
            ToLive::Gzip(_) => {}
        }
    }

    /// Ends those of channels that are gone.
    pub fn retain(&self, stays: impl Fn(&String) -> bool) {
        self.all.borrow_mut().retain(|id, _| stays(id));
    }

    /// How that of a channel is, if it has one.
    #[must_use]
    pub fn health(&self, id: &str) -> Option<ChildHealth> {
        self.all.borrow().get(id).map(|kept| kept.child.health())
    }
}

/// Begins to supervise the inputs of a channel that has some, unless that is done already. Gives
/// the only login by which anybody may push to it. `access` is the server's.
pub(super) fn begin(state: &Rc<State>, of: &config::Channel, access: Access) -> Option<Logins> {
    if of.sources.inputs.list.is_empty() {
        return None;
    }
    let children = &state.children;
    // A config without that port says nothing of inputs; the registry may.
    let Some(ingest) = children.ingest.get() else {
        tracing::error!(channel = of.id, "nothing is read for it: there is no server.ingest");
        return Some(Logins::nobody());
    };
    let mut all = children.all.borrow_mut();
    if let Some(kept) = all.get(&of.id) {
        return Some(Logins::only(&kept.child.target.login));
    }
    let login = match secret() {
        Ok(secret) => format!("{USER}:{secret}"),
        Err(error) => {
            tracing::error!(channel = of.id, "nothing is read for it: no random numbers: {error}");
            return Some(Logins::nobody());
        }
    };
    let logins = Logins::only(&login);
    let target = Target { ingest, state: children.state.clone(), login };
    let child = Rc::new(Child::new(of, access, target));
    // Before anybody is let in who could ask.
    child.offer(state, beginnings(&of.id));
    state.counts.add_child(&of.id, Arc::clone(&child.figures));
    let task = tokio::task::spawn_local(supervise(Rc::clone(&child), Rc::clone(state)));
    all.insert(of.id.clone(), Kept { child, task });
    Some(logins)
}

/// Does what is to be done for a channel's inputs, until it is gone.
async fn supervise(child: Rc<Child>, state: Rc<State>) {
    let (mut process, mut trial): (Option<Process>, Option<Process>) = (None, None);
    loop {
        child.observe(&state);
        while let Some(action) = child.next() {
            match action {
                Action::Start(input) => process = child.start(input, &state).await,
                Action::Stop => process.iter_mut().for_each(Process::kill),
                Action::Try(input) => trial = child.try_out(input, &state).await,
                Action::EndTrial => trial = None,
                Action::Rest => child.rest(&state).await,
            }
        }
        child.tell();
        tokio::select! {
            exit = ended(&mut process) => {
                child.handle_ended(&exit, &state);
                process = None;
            }
            exit = ended(&mut trial) => {
                child.inputs.borrow_mut().handle_trial_ended(child.now(), exit.is_success);
                trial = None;
            }
            () = child.wake.notified() => {}
            () = tokio::time::sleep(child.rests_for()) => {}
        }
    }
}

impl Child {
    fn new(of: &config::Channel, access: Access, target: Target) -> Self {
        let began = Instant::now();
        let inputs = RefCell::new(Inputs::new(plan(&of.sources.inputs), began.elapsed()));
        let mut lines = Lines::default();
        of.sources.inputs.list.iter().for_each(|input| lines.hide(input));
        Self {
            of: of.clone(),
            access,
            target,
            began,
            inputs,
            lines: Rc::new(RefCell::new(lines)),
            tags: RefCell::new(vec![Tags::default(); of.sources.inputs.list.len()]),
            figures: Arc::default(),
            wake: Notify::new(),
            offers: RefCell::default(),
            running: Cell::new(None),
            last_exit: RefCell::default(),
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn next(&self) -> Option<Action> {
        self.inputs.borrow_mut().poll(self.now())
    }

    fn want(&self) {
        self.inputs.borrow_mut().handle_wanted(self.now());
        self.wake.notify_one();
    }

    /// For how long there is nothing to do, unless something happens.
    fn rests_for(&self) -> Duration {
        let inputs = self.inputs.borrow();
        let wait = inputs.wakes_at().map_or(Duration::MAX, |at| at.saturating_sub(self.now()));
        // It is not sure to the last nanosecond when a timer ends.
        let wait = wait.saturating_add(Duration::from_millis(1));
        if matches!(inputs.doing(), Doing::Running { .. }) {
            return wait.min(LOOK_EVERY);
        }
        // Timers have no use for more.
        wait.min(Duration::from_secs(3600))
    }

    /// Looks whether media has come, and whether anybody watches.
    fn observe(&self, state: &State) {
        if self.running.get().is_none() {
            return;
        }
        let Some(live) = state.channels.borrow().get(&self.of.id).cloned() else { return };
        let channel = live.channel.borrow();
        if let Some(came) = channel.last_came() {
            let came = came.saturating_duration_since(self.began);
            self.inputs.borrow_mut().handle_media(came);
        }
        if self.of.sources.inputs.on_demand {
            let mut offers = self.offers.borrow_mut();
            offers.ask_for_viewers(&channel, receive::now().instant);
            if self.inputs.borrow().has_run_for() >= resting::SETTLED_AFTER {
                offers.withdraw_unlisted(&channel, &state.post);
            }
        }
    }

    /// Begins to read an input; gives the process, if there is one.
    async fn start(&self, input: usize, state: &State) -> Option<Process> {
        if state.children.count.get() >= CHILDREN_MAX {
            self.lines.borrow_mut().add("waits: as many children as there may be run already");
            self.inputs.borrow_mut().handle_no_room(self.now());
            return None;
        }
        let shown = self.of.sources.inputs.list[input].to_string();
        tracing::info!(channel = self.of.id, input = shown, "ffmpeg begins to read it");
        let tags = self.tags.borrow()[input].clone();
        let order = |program: &_| {
            let of = &self.of.sources.inputs.list[input];
            order::read(&self.of, (of, &tags), program, &self.target)
        };
        match self.spawn(input, order, state).await {
            Ok(process) => {
                self.running.set(process.id().map(|id| (id, Instant::now())));
                Some(process)
            }
            Err(error) => {
                self.handle_failed(input, &error.to_string(), state);
                None
            }
        }
    }

    /// Looks whether there is media at an input.
    async fn try_out(&self, input: usize, state: &State) -> Option<Process> {
        let of = &self.of.sources.inputs.list[input];
        let order = |program: &_| order::trial(of, program, &self.target);
        let has_room = state.children.count.get() < CHILDREN_MAX;
        let process = if has_room { self.spawn(input, order, state).await.ok() } else { None };
        let Some(mut process) = process else {
            self.inputs.borrow_mut().handle_trial_ended(self.now(), false);
            return None;
        };
        if !of.listens {
            process.end_after(Duration::from_millis(CHILD_BEGIN_MS));
        }
        Some(process)
    }

    async fn spawn(
        &self,
        input: usize,
        order: impl FnOnce(&std::path::Path) -> order::Order,
        state: &State,
    ) -> io::Result<Process> {
        let program = crate::sys::confine::program("ffmpeg");
        let missing =
            || io::Error::other("there is no ffmpeg in the PATH (apt-get install ffmpeg)");
        let order = order(&program.ok_or_else(missing)?);
        Process::begin(&order, input, &state.children.count, &self.lines).await
    }

    /// The process that read an input has ended.
    fn handle_ended(&self, exit: &process::Ended, state: &State) {
        self.running.set(None);
        let mut inputs = self.inputs.borrow_mut();
        let tags = &mut self.tags.borrow_mut()[exit.input];
        match inputs.doing() {
            Doing::Running { media: None, .. } if tags.learn(&self.lines.borrow().all()) => {
                return inputs.handle_again(self.now());
            }
            Doing::Running { media: Some(_), .. } => tags.settle(),
            _ => {}
        }
        drop(inputs);
        self.handle_failed(exit.input, &exit.how, state);
    }

    /// What read an input has ended, or could not begin.
    fn handle_failed(&self, input: usize, how: &str, state: &State) {
        let mut inputs = self.inputs.borrow_mut();
        let is_meant = inputs.doing() == Doing::Ending;
        // Whoever waits hears so, and comes again. What is there by now is not meant.
        self.offers.borrow().fail(&state.post);
        let said = self.lines.borrow().newest().map(str::to_owned);
        let what = match said {
            Some(said) => format!("{how}; {said}"),
            None => how.to_owned(),
        };
        let shown = self.of.sources.inputs.list[input].to_string();
        if is_meant {
            tracing::info!(channel = self.of.id, input = shown, "its ffmpeg was ended");
        } else {
            tracing::warn!(channel = self.of.id, input = shown, "its ffmpeg has ended: {what}");
        }
        let unix_ms = receive::now().micros / 1000;
        *self.last_exit.borrow_mut() = Some(Exit { unix_ms, input, what });
        inputs.handle_ended(self.now(), secret_byte());
    }

    /// Metrics.
    fn tell(&self) {
        let inputs = self.inputs.borrow();
        let is_up = matches!(inputs.doing(), Doing::Running { media: Some(_), .. });
        self.figures.is_up.store(is_up, Ordering::Relaxed);
        self.figures.input.store(inputs.input() as u64, Ordering::Relaxed);
        self.figures.starts.store(inputs.starts(), Ordering::Relaxed);
    }

    fn health(&self) -> ChildHealth {
        let inputs = self.inputs.borrow();
        let millis = |of: Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
        let (state, again) = match inputs.doing() {
            Doing::Resting => ("resting", None),
            Doing::Waiting { until } => ("waiting", Some(until.saturating_sub(self.now()))),
            Doing::Running { media: None, .. } => ("starting", None),
            Doing::Running { .. } => ("running", None),
            Doing::Ending => ("ending", None),
        };
        let of = &self.of.sources.inputs;
        ChildHealth {
            state,
            start: of.start(),
            input: inputs.input(),
            inputs: of.list.iter().map(ToString::to_string).collect(),
            pid: self.running.get().map(|(id, _)| id),
            running_ms: self.running.get().map(|(_, since)| millis(since.elapsed())),
            again_ms: again.map(millis),
            starts: inputs.starts(),
            last_exit: self.last_exit.borrow().clone(),
            lines: self.lines.borrow().all(),
        }
    }
}

fn plan(of: &config::inputs::Inputs) -> Plan {
    let millis = Duration::from_millis;
    Plan {
        listens: of.list.iter().map(|input| input.listens).collect(),
        idle: of.on_demand.then(|| millis(of.idle_ms.unwrap_or(CHILD_IDLE_MS))),
        patience: (millis(CHILD_BEGIN_MS), millis(CHILD_SILENCE_MS)),
        good: millis(CHILD_GOOD_MS),
        again: (millis(CHILD_AGAIN_MS), millis(CHILD_AGAIN_MS_MAX)),
        trial: (millis(CHILD_TRIAL_MS), millis(CHILD_TRIAL_MS_MAX)),
    }
}

/// 256 bits that nobody can guess.
fn secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A byte by chance. Without chance all wait as long.
fn secret_byte() -> u8 {
    let mut byte = [128];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut byte));
    if read.is_ok() { byte[0] } else { 128 }
}
