//! Putting the server together, in an order in which whatever can fail does so before clients come.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use super::answers;
use super::line_up::LineUp;
use super::supervise::{Event, Server};
use crate::cli::{Failure, slates};
use crate::config::file::{Draft, Place};
use crate::config::load::Sources;
use crate::config::{
    ASKS_MAX, AdminPort, Backend, Channel, Config, Listen, PAST_PIECES_WAITING_MAX,
    SESSION_NEWS_MAX, STRIKE_LOTS_MAX, TO_LIBRARY_MAX, TO_LIVE_MAX,
};
use crate::control;
use crate::control::catchup::CatchUp;
use crate::control::foreign::{self, Exchange};
use crate::control::linear::Stations;
use crate::control::lineup::{self, InFile, Since};
use crate::control::operators::Rules;
use crate::control::outside::Outside;
use crate::control::registry::Registry;
use crate::control::secrets::Secrets;
use crate::control::tls::Certificate;
use crate::guard::{Door, Marks, Networks, Strike};
use crate::live::records::Records;
use crate::live::slate::Slates;
use crate::messages::mail::Outbox;
use crate::messages::{
    AccessRecord, Ask, Listing, SessionNews, ToLibrary, ToLive, Update, WantedPiece,
};
use crate::ops::listen::{self, ListenError};
use crate::ops::{access_log, machine, rings, security, signals};
use crate::shard::thread::ShardHandle;
use crate::{ingest, library, shard};

/// A running server that is not ready yet.
pub fn server(sources: Sources, draft: Draft) -> Result<Server, Failure> {
    let (mut config, certificate) = (draft.config.clone(), certificate(&draft)?);
    let (inherited, descriptors) = (inherited(&mut config, &draft)?, raise_nofile());
    let ((to_server, received), readiness) = (events()?, Arc::default());
    let (registry, in_file) = (registry(&config)?, Arc::new(InFile::of(&draft)));
    let (since, line_up, channels) = line_up(&sources, &config, registry.as_ref(), &in_file)?;
    let has_live = since.is_some() || is_live(&channels);
    let (listeners, admin, ingest) = ports(&config, &channels, inherited)?;
    let line_up = line_up.closed_at(config.ingest.filter(|_| ingest.is_none()));
    let (access, log) = log_of(&config)?.unzip();
    let (security, security_log) = security_log(&config)?;
    let (shards, told, (door, to_guard)) =
        started(&config, listeners, for_shards(&config, (has_live, descriptors), access))?;
    let mut outboxes: Vec<Outbox> = shards.iter().map(|shard| shard.outbox.clone()).collect();
    let (library, records) = (library(&config, &outboxes, told.library)?, Arc::default());
    let parts = || ingest::Parts {
        listener: ingest,
        channels: config.channels.clone(),
        made: line_up.used(&config).into_iter().filter(Channel::is_pushed).collect(),
        access: config.access,
        outboxes: outboxes.clone(),
        wishes: told.wishes,
        state: config.state.clone(),
        lender: library.lender(),
        records: Arc::clone(&records),
        idle: Duration::from_millis(config.limits.ingest_idle_ms),
        marks: door.marks.clone(),
        strikes: to_guard.clone(),
    };
    let live = live(has_live.then(parts))?;
    let past = control::ask::router(catch_up(records, &config, &outboxes, told.pieces)?);
    let stations = Stations::new(&Config { channels, ..config.clone() });
    let (languages, exchange) = (show(&draft, &mut outboxes)?, exchange(&config, &mut outboxes)?);
    let of = (registry.as_ref(), since.is_some());
    let answers = answers::start(&config, &outboxes, of, stations.router(past))?;
    let control = controlled(control::Parts {
        admin,
        admin_rules: admin_rules(&config),
        certificate: certificate.clone(),
        state: config.state.clone(),
        outboxes: outboxes.clone(),
        guide: answers.guide,
        registry,
        line_up: since.map(|since| (since, told_to(to_server))),
        in_file,
        asks: told.asks,
        sessions: told.sessions,
        guard: control::guard::Settings::new(&config, &door, security, told.strikes),
        limits: Arc::new(config.limits.clone()),
        outside: outside(&draft)?,
        languages,
        answers: answers.router,
        titles: answers.titles,
        history_ms: config.sessions.history_ms,
        exchange: exchange.clone(),
        readiness: Arc::clone(&readiness),
        log: log.as_ref().map(access_log::Handle::counters),
        pushed: live.as_ref().map(ingest::Handle::counts),
        desk: live.as_ref().map(ingest::Handle::desk),
    })?;
    Ok(Server::new(
        (sources, config),
        (shards, outboxes),
        library,
        (live, line_up),
        (control, (stations, answers.catalogue), exchange, certificate),
        (log, security_log),
        (readiness, received),
    ))
}

/// What finds and opens what is served.
fn library(
    config: &Config,
    outboxes: &[Outbox],
    told: mpsc::Receiver<ToLibrary>,
) -> Result<library::Handle, Failure> {
    library::start(config, outboxes.to_vec(), told)
        .map_err(|error| not_started("start the library", &error))
}

/// Where security events go.
fn security_log(
    config: &Config,
) -> Result<(security::Events, Option<access_log::Handle>), Failure> {
    security::start(config).map_err(|error| not_started("the log of security events", &error))
}

/// What happens to the supervising thread, to begin with signals.
fn events() -> Result<(mpsc::Sender<Event>, mpsc::Receiver<Event>), Failure> {
    let (events, received) = mpsc::channel();
    signals::listen(events.clone(), Event::Wish).map_err(|error| not_started("signals", &error))?;
    Ok((events, received))
}

/// What others keep of what shards have.
type Shared = (Door, Option<tokio::sync::mpsc::Sender<Vec<Strike>>>);

/// Starts the shards. Only they may hold on to what they share, so that the others see when the
/// last one has ended.
fn started(
    config: &Config,
    listeners: Vec<Vec<TcpListener>>,
    (shared, told): (shard::thread::Shared, Told),
) -> Result<(Vec<ShardHandle>, Told, Shared), Failure> {
    let shards = shard::thread::start(config, listeners, &shared)
        .map_err(|error| not_started("start the shards", &error))?;
    Ok((shards, told, (shared.door.clone(), shared.strikes.clone())))
}

/// What the config says of the admin port.
fn admin_rules(config: &Config) -> Rules {
    let AdminPort { hosts, group, plaintext, tls } = &config.admin_port;
    let (hosts, group, is_tls) = (hosts.clone(), group.clone(), tls.is_some());
    Rules { hosts, is_tls, is_plaintext_trusted: *plaintext, group }
}

/// What the admin port shows, if it has TLS.
fn certificate(draft: &Draft) -> Result<Option<Arc<Certificate>>, Failure> {
    let Some(files) = &draft.config.admin_port.tls else { return Ok(None) };
    let place = draft.places.get("admin.tls").cloned().unwrap_or_default();
    let wrong = |why: String| Failure::new(format!("{place}: admin.tls"), why);
    Certificate::read(files).map(|read| Some(Arc::new(read))).map_err(wrong)
}

/// Who is asked besides, and where addresses are.
fn outside(draft: &Draft) -> Result<Outside, Failure> {
    Outside::open(&draft.config.outside).map_err(|wrong| {
        let (key, why) = wrong.into_iter().next().expect("one is wrong at least");
        let place = draft.places.get(key).cloned().unwrap_or_default();
        Failure::new(format!("{place}: {key}"), why).remedy("see shardcast check-config")
    })
}

/// What refused viewers see, and what is listed of it.
fn read_slates(draft: &Draft) -> Result<(Slates, Vec<Listing>), Failure> {
    library::slates::read(&draft.config).map_err(|wrong| {
        let what =
            format!("{}: slates.path", draft.places.get("slates.path").unwrap_or(&Place::Default));
        let failure = Failure::new(what, format_args!("{}: {}", wrong.path.display(), wrong.why));
        if wrong.is_missing { failure.remedy(slates::REMEDY) } else { failure }
    })
}

/// Tells shards of slates; gives the languages that there are some in.
fn show(draft: &Draft, outboxes: &mut [Outbox]) -> Result<Arc<[String]>, Failure> {
    let (slates, listings) = read_slates(draft)?;
    let languages = Arc::clone(&slates.languages);
    if !slates.is_empty() {
        tracing::info!(slates = slates.slates.len(), ?languages, "refused viewers see slates");
        let (slates, listings): (_, Arc<[_]>) = (Arc::new(slates), listings.into());
        for outbox in outboxes {
            outbox.send(Update::Listed(Arc::clone(&listings)));
            outbox.send(Update::Slates(Arc::clone(&slates)));
        }
    }
    Ok(languages)
}

/// What shards tell: the ends of their queues.
struct Told {
    library: mpsc::Receiver<ToLibrary>,
    asks: tokio::sync::mpsc::Receiver<Ask>,
    sessions: tokio::sync::mpsc::Receiver<SessionNews>,
    strikes: tokio::sync::mpsc::Receiver<Vec<Strike>>,
    wishes: tokio::sync::mpsc::Receiver<ToLive>,
    pieces: mpsc::Receiver<WantedPiece>,
}

/// What all shards are told at first, and what they tell.
fn for_shards(
    config: &Config,
    (has_live, descriptors): (bool, usize),
    access: Option<mpsc::SyncSender<AccessRecord>>,
) -> (shard::thread::Shared, Told) {
    let (to_library, library) = mpsc::sync_channel(TO_LIBRARY_MAX);
    let (to_control, asks) = tokio::sync::mpsc::channel(ASKS_MAX);
    let (to_sessions, sessions) = tokio::sync::mpsc::channel(SESSION_NEWS_MAX);
    let (to_guard, strikes) = tokio::sync::mpsc::channel(STRIKE_LOTS_MAX);
    let (to_live, wishes) = tokio::sync::mpsc::channel(TO_LIVE_MAX);
    let (to_past, pieces) = mpsc::sync_channel(PAST_PIECES_WAITING_MAX);
    let shared = shard::thread::Shared {
        limits: Arc::new(config.limits.clone()),
        waits_to_accept: true,
        descriptors,
        library: to_library,
        control: Some(to_control),
        sessions: Some(to_sessions),
        strikes: Some(to_guard),
        door: Door {
            trusted: Arc::new(Networks::of(config.guard.trusted_proxies.iter().copied())),
            marks: Marks::default(),
        },
        live: has_live.then_some(to_live),
        pieces: Some(to_past),
        access,
    };
    (shared, Told { library, asks, sessions, strikes, wishes, pieces })
}

/// The live thread, if there is to be one.
fn live(parts: Option<ingest::Parts>) -> Result<Option<ingest::Handle>, Failure> {
    let started = parts.map(ingest::start).transpose();
    started.map_err(|error| not_started("start the live thread", &error))
}

/// Whoever writes texts of what is past.
fn catch_up(
    records: Arc<Records>,
    config: &Config,
    outboxes: &[Outbox],
    pieces: mpsc::Receiver<WantedPiece>,
) -> Result<CatchUp, Failure> {
    CatchUp::start(records, &config.state, outboxes.to_vec(), pieces)
        .map_err(|error| not_started("start the catch-up thread", &error))
}

/// Whoever exchanges tokens of others; shards are told what to look for.
fn exchange(config: &Config, outboxes: &mut [Outbox]) -> Result<Exchange, Failure> {
    let exchange = Exchange::open(config).map_err(|why| Failure::new("read keys", why))?;
    let watched = foreign::watched(config);
    for outbox in outboxes {
        outbox.send(Update::Foreign(Arc::clone(&watched)));
    }
    Ok(exchange)
}

/// What operators have made. A state folder that can't be used costs it and a warning; where
/// something takes a token, nobody could watch, so the server does not start.
fn registry(config: &Config) -> Result<Option<Registry>, Failure> {
    match Registry::open(&config.state) {
        Ok(registry) => Ok(Some(registry)),
        Err(error) if config.takes_tokens() => {
            let remedy = "let the server write to server.state, or write access = \"open\"";
            Err(Failure::new("open the registry", error).remedy(remedy))
        }
        Err(error) => {
            tracing::warn!(%error, "there is no registry, and so there are no tokens");
            Ok(None)
        }
    }
}

/// The channels of the registry, since when changes of them are to be followed, and all that there
/// are. Those of the file have their numbers there from now on.
fn line_up(
    sources: &Sources,
    config: &Config,
    registry: Option<&Registry>,
    in_file: &Arc<InFile>,
) -> Result<(Option<Since>, LineUp, Vec<Channel>), Failure> {
    // Whoever serves a folder by naming it serves just that, whatever the usual registry has.
    let registry = registry.filter(|_| sources.file.is_some());
    let Some(registry) = registry else {
        return Ok((None, LineUp::default(), config.channels.clone()));
    };
    let secrets = Secrets::open(&config.state);
    let secrets = secrets.inspect_err(|error| {
        tracing::error!(%error, "encoders' passwords that the registry holds can't be opened");
    });
    let (since, made) = lineup::read(registry, secrets.as_ref().ok(), (**in_file).clone())
        .map_err(|error| Failure::new("read the channels of the registry", error))?;
    let line_up = LineUp::new(made);
    let channels = line_up.of(config);
    Ok((Some(since), line_up, channels))
}

fn controlled(parts: control::Parts) -> Result<control::Handle, Failure> {
    control::start(parts).map_err(|error| not_started("start the control thread", &error))
}

/// Tells the supervisor of channels.
fn told_to(server: mpsc::Sender<Event>) -> lineup::Tell {
    // Nobody listens any more only when the process ends.
    Box::new(move |made| drop(server.send(Event::Channels(made))))
}

/// Where encoders push. Without channels there is nobody who could; and where the registry alone
/// has some, a port that is taken is no reason not to start: who made them did not see it fail.
fn ingest_listener(config: &Config, channels: &[Channel]) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = config.ingest.filter(|_| is_live(channels)) else { return Ok(None) };
    match listen::single(address) {
        Err(error) if !is_live(&config.channels) => {
            let why = error.why();
            tracing::error!(%address, why, "nobody can push: the ingest port can't be opened");
            Ok(None)
        }
        opened => opened.map(Some).map_err(refused),
    }
}

/// Whether there is something live. Also without an ingest port: somebody may write into a folder.
fn is_live(channels: &[Channel]) -> bool {
    channels.iter().any(Channel::is_pushed)
}

/// The listeners that somebody handed over. They come first: nothing that we open may take their
/// numbers. Without a `server.listen` of its own the server
/// listens where they do.
fn inherited(config: &mut Config, draft: &Draft) -> Result<Vec<TcpListener>, Failure> {
    let (listeners, others) =
        listen::inherited().map_err(|error| Failure::new("LISTEN_FDS", error))?;
    if others > 0 {
        tracing::warn!(others, "inherited descriptors that don't listen for TCP are not used");
    }
    if !listeners.is_empty() && !draft.places.contains_key("server.listen") {
        let mut addresses: Vec<_> =
            listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        addresses.dedup();
        let backend = Backend::default();
        config.listen = addresses.into_iter().map(|address| Listen { address, backend }).collect();
    }
    Ok(listeners)
}

/// Where shards write what they answered, and who takes it from there.
type Log = (SyncSender<AccessRecord>, access_log::Handle);

/// The access log, if there is to be one.
fn log_of(config: &Config) -> Result<Option<Log>, Failure> {
    access_log::start(config)
        .map_err(|error| Failure::new(format!("access log {}", log_name(config)), error))
}

/// What the server listens on: each shard's public ports, the admin port, the ingest port.
type Ports = (Vec<Vec<TcpListener>>, Option<TcpListener>, Option<TcpListener>);

/// Listens, once it is known that there can be as many rings as shards.
fn ports(
    config: &Config,
    channels: &[Channel],
    inherited: Vec<TcpListener>,
) -> Result<Ports, Failure> {
    let shards = machine::shards(config.shards);
    rings::tried(shards).map_err(|error| {
        let (why, remedy) = rings::explained(&error);
        Failure::new("io_uring", why).remedy(remedy)
    })?;
    let listeners = listen::open(&config.listen, shards, inherited).map_err(refused)?;
    let admin = config.admin.map(listen::single).transpose().map_err(refused)?;
    let ingest = ingest_listener(config, channels)?;
    announce(&listeners, admin.as_ref(), ingest.as_ref());
    Ok((listeners, admin, ingest))
}

/// Why something that has a thread of its own did not start.
pub(super) fn not_started(what: &str, error: &io::Error) -> Failure {
    if error.kind() != io::ErrorKind::WouldBlock {
        return Failure::new(what, error);
    }
    // EAGAIN comes only from making a thread; nothing else at these starts gives it.
    Failure::new(what, "no more threads can be made").remedy(
        "ulimit -u unlimited; under systemd: TasksMax=4096; in a container: --pids-limit 4096",
    )
}

/// Every connection and every open pack needs a descriptor; how many there may be.
fn raise_nofile() -> usize {
    let limit = machine::raised_nofile().unwrap_or_else(|error| {
        tracing::warn!(%error, "RLIMIT_NOFILE can't be read or raised");
        DESCRIPTORS_UNKNOWN
    });
    tracing::info!(descriptors = limit, "RLIMIT_NOFILE");
    machine::make_room_for(limit);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// What is assumed where the limit can't be read: Linux's usual soft limit.
const DESCRIPTORS_UNKNOWN: u64 = 1024;

fn refused(error: ListenError) -> Failure {
    let failure = Failure::new(format!("listen on {}", error.address), error.why());
    match error.remedy() {
        Some(remedy) => failure.remedy(remedy),
        None => failure,
    }
}

/// Says where the server listens; with port 0 nobody else knows.
fn announce(
    listeners: &[Vec<TcpListener>],
    admin: Option<&TcpListener>,
    ingest: Option<&TcpListener>,
) {
    let of_first = listeners.first().into_iter().flatten();
    for address in of_first.filter_map(|listener| listener.local_addr().ok()) {
        tracing::info!(public = %address, shards = listeners.len(), "listening");
    }
    if let Some(address) = admin.and_then(|listener| listener.local_addr().ok()) {
        tracing::info!(admin = %address, "listening");
    }
    if let Some(address) = ingest.and_then(|listener| listener.local_addr().ok()) {
        tracing::info!(ingest = %address, "listening");
    }
}

fn log_name(config: &Config) -> String {
    config
        .access_log_path
        .as_ref()
        .map_or_else(|| "-".to_owned(), |path| path.display().to_string())
}
