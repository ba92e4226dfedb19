//! Reading the registry: all of it once, and then what has changed.
//!
//! The first time a moment of the file is read, on the thread that asks, so that nobody else waits
//! for the registry's. What changed since comes from the change feed, some hundreds of objects at
//! a time. After a restore all is read anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{
    Asset, Category, Channel, Content, Details, Episode, Form, Numbers, Series, Set, Sorts,
};
use crate::config::values::duration_ms;
use crate::config::{self, Access, FOLLOWED_AT_ONCE};
use crate::control::registry::{Busy, Kind, Registry, Revision, StoreError};

/// Objects of a kind that are read at once from a moment.
const READ_AT_ONCE: usize = 1000;

/// How long the registry's thread is waited for: a commit of others takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is read of, in an order in which nothing matters.
const KINDS: [Kind; 7] = [
    Kind::Category,
    Kind::Channel,
    Kind::Asset,
    Kind::Series,
    Kind::Episode,
    Kind::Bouquet,
    Kind::Plan,
];

/// Follows a registry.
#[derive(Debug)]
pub struct Reader {
    registry: Registry,
    /// Of channels of the config file, what their objects don't say.
    in_file: InFile,
    epoch: Option<u32>,
    since: Revision,
    content: Arc<Content>,
}

type InFile = HashMap<String, (u32, Option<Access>)>;

impl Reader {
    /// Of this registry, with these channels in the config file.
    #[must_use]
    pub fn new(registry: Registry, channels: &[config::Channel]) -> Self {
        let (in_file, content) = (in_file(channels), Arc::default());
        Self { registry, in_file, epoch: None, since: Revision(0), content }
    }

    /// The newest edition that was read.
    #[must_use]
    pub fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// The config file was read again, and has these channels.
    pub fn take_channels(&mut self, channels: &[config::Channel]) {
        let in_file = in_file(channels);
        if in_file != self.in_file {
            self.in_file = in_file;
            self.epoch = None;
        }
    }

    /// Reads what has changed, if anything has; whether it did.
    ///
    /// # Errors
    ///
    /// The registry failed, or its thread did not answer in time.
    pub fn follow(&mut self) -> Result<bool, StoreError> {
        let mut changed = false;
        loop {
            let since = self.since;
            let read = self.registry.ask_within(PATIENCE, move |store| {
                Ok((store.epoch()?, store.changes(since, FOLLOWED_AT_ONCE)?))
            });
            let (epoch, changes) = read.map_err(busy)??;
            if self.epoch != Some(epoch) {
                self.read_all(epoch)?;
                changed = true;
                continue;
            }
            let Some(last) = changes.last() else { return Ok(changed) };
            self.since = last.revision;
            for change in changes {
                if KINDS.contains(&change.kind) {
                    let content = Arc::make_mut(&mut self.content);
                    let of = (change.kind, &*change.id, change.number);
                    content.take(of, change.document.as_ref(), &self.in_file);
                    changed = true;
                }
            }
        }
    }

    fn read_all(&mut self, epoch: u32) -> Result<(), StoreError> {
        let moment = self.registry.ask_within(PATIENCE, |store| store.snapshot());
        let moment = moment.map_err(busy)??;
        let mut content = Content::default();
        for kind in KINDS {
            let mut after = String::new();
            loop {
                let objects = moment.objects(kind, &after, READ_AT_ONCE)?;
                let Some(last) = objects.last() else { break };
                after.clone_from(&last.id);
                for object in objects {
                    let of = (kind, &*object.id, object.number);
                    content.take(of, Some(&object.document), &self.in_file);
                }
            }
        }
        (self.since, self.epoch) = (moment.revision()?, Some(epoch));
        self.content = Arc::new(content);
        Ok(())
    }
}

fn busy(Busy: Busy) -> StoreError {
    StoreError("its thread does not answer".to_owned())
}

fn in_file(channels: &[config::Channel]) -> InFile {
    let of = |channel: &config::Channel| {
        let age_ms = channel.archive.as_ref().map_or(0, |archive| archive.age_ms);
        (channel.id.clone(), (days(age_ms), channel.access))
    };
    channels.iter().map(of).collect()
}

/// Days, of which the last may have begun only.
fn days(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(86_400_000)).unwrap_or(u32::MAX)
}

/// What documents say, whatever they are of. Who writes them looks at them; here everything may be
/// missing.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    name: Option<Box<str>>,
    sorts: Option<Sorts>,
    categories: Box<[Box<str>]>,
    order: i32,
    logo: Option<Box<str>>,
    archive: Option<String>,
    access: Option<String>,
    in_file: bool,
    adult: bool,
    form: Form,
    seasons: Vec<Season>,
    series: Box<str>,
    season: u16,
    episode: u16,
    asset: Box<str>,
    content: Box<[Box<str>]>,
    bouquets: Vec<String>,
    catch_up_days: u32,
}

#[derive(Deserialize)]
struct Season {
    season: u16,
    name: Box<str>,
}

/// An object of which something is said.
struct Said {
    id: Arc<str>,
    number: u32,
    document: Document,
    details: Details,
}

impl Content {
    /// Takes in what an object says now; none = it is gone. What can't be read is not shown.
    fn take(
        &mut self,
        (kind, id, number): (Kind, &str, Option<u32>),
        document: Option<&Value>,
        in_file: &InFile,
    ) {
        let id: Arc<str> = id.into();
        let number = number.unwrap_or(0);
        let said = document.and_then(|document| said(kind, &id, number, document));
        let Numbers { categories, channels, assets, series, episodes } = &mut self.numbers;
        let (numbers, of) = match kind {
            Kind::Category => (categories, put(&mut self.categories, &id, said.and_then(category))),
            Kind::Channel => {
                let channel = said.map(|said| channel(said, in_file));
                (channels, put(&mut self.channels, &id, channel))
            }
            Kind::Asset => (assets, put(&mut self.assets, &id, said.and_then(asset))),
            Kind::Series => (series, put(&mut self.series, &id, said.and_then(self::series))),
            Kind::Episode => (episodes, put(&mut self.episodes, &id, said.map(episode))),
            Kind::Bouquet => {
                let content = said.map(|said| said.document.content.into());
                return put_plain(&mut self.bouquets, id, content);
            }
            Kind::Plan => return put_plain(&mut self.plans, id, said.map(plan)),
            _ => return,
        };
        match of {
            true => drop(numbers.insert(number, id)),
            false => drop(numbers.remove(&number)),
        }
    }
}

fn said(kind: Kind, id: &Arc<str>, number: u32, document: &Value) -> Option<Said> {
    let of = (id.clone(), Details::of(document));
    match Document::deserialize(document) {
        Ok(document) => Some(Said { id: of.0, number, document, details: of.1 }),
        Err(error) => {
            tracing::error!(kind = kind.word(), %id, %error, "this is not understood, and not shown");
            None
        }
    }
}

/// Puts an object in its place, or takes it out; whether it is there then.
fn put<T>(map: &mut BTreeMap<Arc<str>, Arc<T>>, id: &Arc<str>, of: Option<T>) -> bool {
    let is_there = of.is_some();
    put_plain(map, Arc::clone(id), of.map(Arc::new));
    is_there
}

fn put_plain<T>(map: &mut BTreeMap<Arc<str>, T>, id: Arc<str>, of: Option<T>) {
    match of {
        Some(of) => drop(map.insert(id, of)),
        None => drop(map.remove(&id)),
    }
}

fn category(Said { id, number, document, .. }: Said) -> Option<Category> {
    let (sorts, name) = (document.sorts?, document.name?);
    Some(Category { number, id, sorts, name, order: document.order })
}

fn channel(Said { id, number, document, .. }: Said, in_file: &InFile) -> Channel {
    let (archive_days, access) = match in_file.get(&*id).filter(|_| document.in_file) {
        Some(of_file) => *of_file,
        None => {
            let age_ms = document.archive.and_then(|text| duration_ms(&text).ok());
            let access = document.access.and_then(|word| Access::from_word(&word).ok());
            (days(age_ms.unwrap_or(0)), access)
        }
    };
    Channel {
        number,
        name: document.name.unwrap_or_else(|| (&*id).into()),
        id,
        logo: document.logo,
        categories: document.categories,
        order: document.order,
        archive_days,
        access,
        adult: document.adult,
    }
}

fn asset(Said { id, number, document, details }: Said) -> Option<Asset> {
    let Document { name, form, categories, order, .. } = document;
    Some(Asset { number, id, name: name?, form, categories, order, details })
}

fn series(Said { id, number, document, details }: Said) -> Option<Series> {
    let Document { name, categories, order, seasons, .. } = document;
    let seasons = seasons.into_iter().map(|of| (of.season, of.name)).collect();
    Some(Series { number, id, name: name?, categories, order, seasons, details })
}

fn episode(Said { id, number, document, details }: Said) -> Episode {
    let Document { name, series, season, episode, asset, .. } = document;
    let name = name.unwrap_or_default();
    Episode { number, id, series, season, episode, asset, name, details }
}

fn plan(Said { document, .. }: Said) -> Set {
    let bouquets = document.bouquets.into_iter().map(Arc::from).collect();
    Set { bouquets, catch_up_days: document.catch_up_days }
}
