//! Catalogues and lists as apps get them: made once for a bouquet set and a change, by a thread of
//! its own, and then sent by shards as any object.
//!
//! Whoever asks for one that was made gets it at once, also while a newer one is being made. The
//! thread looks a few times a second whether the registry has changed, takes in what has, and makes
//! anew what is on the shelf, what was asked for last first.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{oneshot, watch};

use super::content::{Content, Held, Reader, Set, Sorts};
use super::guide::{self, Guide};
use super::list::{self, List};
use super::xmltv;
use super::xtream::write;
use crate::config::{
    self, CATALOGUE_LOOK_MS, CATALOGUE_PATIENCE_MS, CATALOGUES_WAITING_MAX, Config,
    PERSONAL_WAITING_MAX,
};
use crate::control::answers;
use crate::control::registry::{Registry, Revision};
use crate::messages::Opened;
use crate::units::UnixTime;

mod body;
pub mod personal;
mod shelf;
#[cfg(test)]
mod tests;

pub use body::Body;
use personal::{Fillings, Sending, Template};
use shelf::{Edition, Made, Shelf, Taken};

/// Nothing could be made: too many wait, or the machine has no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmade;

/// A catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Of what.
    pub set: Set,
    /// What addresses in it begin with: `http://tv.example.org:8080`.
    pub base: Arc<str>,
    /// Which.
    pub what: What,
}

/// Which catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// Categories.
    Categories(Sorts),
    /// Channels, films or series: all of them, or those of the category of this number.
    Streams(Sorts, Option<u32>),
    /// Everything of an old app's panel, behind the account.
    Panel,
    /// A list for players, which begins with nothing of the subscriber's and is full of it.
    List(List),
    /// The guide, as XMLTV, of so many days ahead.
    Guide(u8),
}

enum Job {
    Make(Arc<Wanted>),
    /// The config file was read again.
    Channels(Vec<config::Channel>),
}

struct Personal {
    template: Arc<Template>,
    fillings: Fillings,
    tell: oneshot::Sender<Option<Arc<Opened>>>,
}

/// The way to catalogues.
#[derive(Clone)]
pub struct Catalogue {
    shelf: Arc<Mutex<Shelf>>,
    /// Nothing before all was read once.
    content: watch::Receiver<Option<Arc<Content>>>,
    jobs: SyncSender<Job>,
    personal: SyncSender<Personal>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Catalogue")
    }
}

impl Catalogue {
    /// Starts the threads that make catalogues of this registry.
    ///
    /// # Errors
    ///
    /// No thread can be made.
    pub fn start(registry: Registry, guide: Guide, config: &Config) -> io::Result<Self> {
        let shelf = Arc::new(Mutex::new(Shelf::new(config.apps.memory)));
        let (told, content) = watch::channel(None);
        let (jobs, received) = sync_channel(CATALOGUES_WAITING_MAX + 1);
        let (personal, lists) = sync_channel::<Personal>(PERSONAL_WAITING_MAX);
        let maker = Maker {
            newest: registry.newest(),
            reader: Reader::new(registry, &config.channels),
            told,
            shelf: Arc::clone(&shelf),
            held: HashMap::new(),
            guide_changes: guide.changes(),
            guide,
            programmes: None,
            hour: now().0 / 3600,
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("catalogues").spawn(move || maker.run(&received))?;
        thread("lists").spawn(move || {
            let sending = Sending::default();
            for Personal { template, fillings, tell } in lists {
                if !tell.is_closed() {
                    let _ = tell.send(sending.filled(&template, &fillings, now()));
                }
            }
        })?;
        Ok(Self { shelf, content, jobs, personal })
    }

    /// What there is, as it was read last; once it was read, and knows of this plan, if that is
    /// soon: whoever is told that there is nothing may forget what there was.
    pub async fn content(&self, plan: Option<&str>) -> Option<Arc<Content>> {
        let knows = |content: &Option<Arc<Content>>| {
            let content = content.as_ref();
            content.is_some_and(|content| plan.is_none_or(|plan| content.has_plan(plan)))
        };
        let mut content = self.content.clone();
        let patience = Duration::from_millis(CATALOGUE_PATIENCE_MS);
        drop(tokio::time::timeout(patience, content.wait_for(knows)).await);
        content.borrow().clone()
    }

    /// The config file was read again, and has these channels.
    pub fn take_channels(&self, channels: &[config::Channel]) {
        // One that finds no room is read at the next restart; the thread is never that far behind.
        let _ = self.jobs.try_send(Job::Channels(channels.to_vec()));
    }

    /// A catalogue that all of its set get.
    ///
    /// # Errors
    ///
    /// `Unmade`.
    pub async fn object(&self, wanted: Wanted) -> Result<Arc<Opened>, Unmade> {
        match self.made(wanted).await? {
            Made::Object(object) => Ok(object),
            Made::Template(_) => Err(Unmade),
        }
    }

    /// The same with one subscriber's addresses.
    ///
    /// # Errors
    ///
    /// `Unmade`.
    pub async fn personal(
        &self,
        wanted: Wanted,
        fillings: Fillings,
    ) -> Result<Arc<Opened>, Unmade> {
        let template = match self.made(wanted).await? {
            Made::Object(object) => return Ok(object),
            Made::Template(template) => template,
        };
        let (tell, tells) = oneshot::channel();
        let personal = Personal { template, fillings, tell };
        self.personal.try_send(personal).map_err(|_| Unmade)?;
        tells.await.ok().flatten().ok_or(Unmade)
    }

    async fn made(&self, wanted: Wanted) -> Result<Made, Unmade> {
        let wanted = Arc::new(wanted);
        let taken = locked(&self.shelf).take(&wanted);
        let (waits, is_first) = match taken {
            Taken::Made(made) => return Ok(made),
            Taken::Full => return Err(Unmade),
            Taken::Waits(waits, is_first) => (waits, is_first),
        };
        if is_first && self.jobs.try_send(Job::Make(Arc::clone(&wanted))).is_err() {
            locked(&self.shelf).give_up(&wanted);
        }
        waits.await.unwrap_or(Err(Unmade))
    }
}

fn locked(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    // Nothing that is done with it leaves half a change.
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Makes catalogues.
struct Maker {
    newest: watch::Receiver<Revision>,
    reader: Reader,
    told: watch::Sender<Option<Arc<Content>>>,
    shelf: Arc<Mutex<Shelf>>,
    /// What sets hold, as long as nothing changes.
    held: HashMap<Set, Arc<Held>>,
    guide: Guide,
    guide_changes: watch::Receiver<u64>,
    /// None before a guide was imported.
    programmes: Option<guide::Reader>,
    /// The hour in which guides were made last: windows begin with hours.
    hour: u64,
}

impl Maker {
    fn run(mut self, jobs: &Receiver<Job>) {
        self.follow(jobs);
        loop {
            match jobs.recv_timeout(Duration::from_millis(CATALOGUE_LOOK_MS)) {
                Ok(job) => self.take(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.newest.has_changed().unwrap_or(false) || self.reader.is_behind() {
                self.follow(jobs);
            }
            let hour = now().0 / 3600;
            if self.guide_changes.has_changed().unwrap_or(false) || hour != self.hour {
                self.hour = hour;
                self.guide_changes.mark_unchanged();
                self.make_anew(jobs, |what| matches!(what, What::Guide(_)));
            }
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Make(wanted) => self.make(&wanted),
            Job::Channels(channels) => self.reader.take_channels(&channels),
        }
    }

    /// Takes in what has changed, and makes anew what is on the shelf; who waits for something
    /// else comes between.
    fn follow(&mut self, jobs: &Receiver<Job>) {
        self.newest.mark_unchanged();
        match self.reader.follow() {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => {
                tracing::error!(%error, "catalogues: the registry can't be read, the old ones hold");
                return;
            }
        }
        self.held.clear();
        self.told.send_replace(Some(Arc::clone(self.reader.content())));
        self.make_anew(jobs, |_| true);
    }

    fn make_anew(&mut self, jobs: &Receiver<Job>, which: impl Fn(&What) -> bool) {
        let outdated = locked(&self.shelf).outdated();
        for wanted in outdated.into_iter().filter(|wanted| which(&wanted.what)) {
            while let Ok(job) = jobs.try_recv() {
                self.take(job);
            }
            self.make(&wanted);
        }
    }

    fn make(&mut self, wanted: &Arc<Wanted>) {
        let content = Arc::clone(self.reader.content());
        let held = self.held.entry(wanted.set.clone());
        let held = Arc::clone(held.or_insert_with(|| Arc::new(content.held(&wanted.set))));
        let known = locked(&self.shelf).known(wanted);
        let began = std::time::Instant::now();
        if matches!(wanted.what, What::Guide(_)) && self.programmes.is_none() {
            self.programmes = self.guide.reader().ok();
        }
        let of = write::Of { content: &content, held: &held, base: &wanted.base };
        let edition = edition(wanted, &of, self.programmes.as_ref(), &known);
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(what = ?wanted.what, took_ms, "a catalogue was made");
        let mut shelf = locked(&self.shelf);
        match edition {
            Some(edition) => shelf.put(wanted, edition),
            None => shelf.give_up(wanted),
        }
    }
}

/// A new edition; none if there is no memory for it.
fn edition(
    wanted: &Wanted,
    of: &write::Of<'_>,
    programmes: Option<&guide::Reader>,
    known: &body::Known,
) -> Option<Edition> {
    let mut body = Body::default();
    let media_type = match wanted.what {
        What::Categories(sorts) => write::categories(of, sorts, &mut body),
        What::Streams(sorts, category) => write::streams(of, sorts, category, &mut body),
        What::Panel => write::panel(of, &mut body),
        What::List(list) => list::write(of, list, &mut body),
        What::Guide(days) => xmltv::write(of, programmes, (now(), days), &mut body),
    };
    if matches!(wanted.what, What::Panel | What::List(_)) {
        let template = Template::of(body.plain(), media_type)?;
        let made = Made::Template(Arc::new(template));
        return Some(Edition { made, known: body::Known::new() });
    }
    let (plain, gzip, known) = body.compressed(known);
    let object = answers::object(media_type, &plain, Some(&gzip), now());
    let object = object.inspect_err(|error| {
        tracing::error!(%error, "a catalogue finds no memory");
    });
    Some(Edition { made: Made::Object(object.ok()?), known })
}
