//! What there is to watch and what is on, read by a thread that may wait for a disk, and told as
//! JSON.
//!
//! It follows the registry by itself: all of it once, then what changes. What was told of a bouquet
//! set is kept while nothing changes, and what is on for some seconds, since televisions of many
//! households are switched on at the hour.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config::portal::{
    GUIDE_FOUND_MAX, GUIDE_SEARCH_MS, GUIDE_SEARCH_SECONDS, ON_AIR_EVERY_MS, SHELF_JOBS_MAX,
    SHELF_SETS_MAX,
};
use crate::control::lineup::InFile;
use crate::control::registry::{Registry, StoreError};
use crate::middleware::content::{Category, Channel, Content, Details, Held, Reader, Set};
use crate::middleware::guide::{self, Guide, NowNext, Programme};
use crate::units::UnixTime;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Why there is no answer: too much waits, or a file failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread;

/// What the thread has.
pub struct Books {
    reader: Reader,
    guide: Guide,
    in_file: Option<Arc<InFile>>,
    kept: HashMap<Set, Kept>,
}

/// What is known of a bouquet set.
struct Kept {
    /// The edition that it is of.
    content: Arc<Content>,
    held: Arc<Held>,
    /// What was told of its channels, and when.
    channels: Option<(Instant, Arc<str>)>,
    made: Instant,
}

type Job = Box<dyn FnOnce(&mut Books) + Send>;

/// The way to the thread, which ends when nobody is left who could ask.
#[derive(Clone)]
pub struct Shelf(SyncSender<Job>);

impl Shelf {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// No thread can be made.
    pub fn start(registry: Registry, guide: Guide) -> io::Result<Self> {
        let (jobs, received): (_, Receiver<Job>) = sync_channel(SHELF_JOBS_MAX);
        let reader = Reader::new(registry, &[]);
        let mut books = Books { reader, guide, in_file: None, kept: HashMap::new() };
        let thread = std::thread::Builder::new().name("portal-shelf".to_owned());
        thread.spawn(move || received.into_iter().for_each(|job| job(&mut books)))?;
        Ok(Self(jobs))
    }

    /// Asks it something.
    ///
    /// # Errors
    ///
    /// `Unread`.
    pub async fn ask<T: Send + 'static>(
        &self,
        in_file: Arc<InFile>,
        work: impl FnOnce(&mut Books) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Unread> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let job = move |books: &mut Books| {
            books.take_channels(in_file);
            drop(reply.send(work(books)));
        };
        self.0.try_send(Box::new(job)).map_err(|_| Unread)?;
        answer.await.map_err(|_| Unread)?.map_err(|error| {
            tracing::error!(%error, "what there is to watch can't be read");
            Unread
        })
    }
}

impl Books {
    fn take_channels(&mut self, in_file: Arc<InFile>) {
        if !self.in_file.as_ref().is_some_and(|known| Arc::ptr_eq(known, &in_file)) {
            self.reader.take_channels(&in_file.channels());
            self.in_file = Some(in_file);
        }
    }

    /// What a plan holds.
    ///
    /// # Errors
    ///
    /// The registry failed; so in all of these.
    pub fn held(&mut self, plan: &str) -> Result<Arc<Held>, StoreError> {
        self.kept(plan).map(|kept| Arc::clone(&kept.held))
    }

    fn kept(&mut self, plan: &str) -> Result<&mut Kept, StoreError> {
        self.reader.follow()?;
        let content = self.reader.content();
        let set = content.set_of(plan);
        let is_new = !self.kept.get(&set).is_some_and(|kept| Arc::ptr_eq(&kept.content, content));
        if is_new {
            if self.kept.len() >= SHELF_SETS_MAX && !self.kept.contains_key(&set) {
                let first = self.kept.iter().min_by_key(|(_, kept)| kept.made);
                let first = first.map(|(set, _)| set.clone());
                first.and_then(|first| self.kept.remove(&first));
            }
            let (content, held) = (Arc::clone(content), Arc::new(content.held(&set)));
            let kept = Kept { content, held, channels: None, made: Instant::now() };
            self.kept.insert(set.clone(), kept);
        }
        Ok(self.kept.get_mut(&set).expect("it is kept from here on"))
    }

    /// The channels of a plan with what is on, as text.
    ///
    /// # Errors
    ///
    /// See `held`.
    pub fn channels(&mut self, plan: &str, now: UnixTime) -> Result<Arc<str>, StoreError> {
        let reader = self.guide.reader().ok();
        let kept = self.kept(plan)?;
        let is_fresh = |at: &Instant| at.elapsed() < Duration::from_millis(ON_AIR_EVERY_MS);
        if let Some((_, text)) = kept.channels.as_ref().filter(|(at, _)| is_fresh(at)) {
            return Ok(Arc::clone(text));
        }
        let held = &kept.held;
        let on = reader.and_then(|reader| {
            let ids = held.channels.iter().map(|channel| &*channel.id);
            let found = reader.now_next(ids, now);
            found.inspect_err(|error| tracing::error!(%error, "the guide can't be read")).ok()
        });
        let on = on.unwrap_or_else(|| vec![NowNext::default(); held.channels.len()]);
        let all = held.channels.iter().zip(on);
        let told: Vec<_> = all.map(|(channel, on)| channel_told(channel, held, &on)).collect();
        let categories: Vec<_> = held.categories.iter().map(|of| category_told(of)).collect();
        let text = json!({ "categories": categories, "channels": told }).to_string();
        let text: Arc<str> = text.into();
        kept.channels = Some((Instant::now(), Arc::clone(&text)));
        Ok(text)
    }

    /// Programmes of these channels of a plan between these seconds.
    ///
    /// # Errors
    ///
    /// See `held`.
    pub fn programmes(
        &mut self,
        plan: &str,
        channels: &[String],
        window: (UnixTime, UnixTime),
    ) -> Result<Value, StoreError> {
        let held = self.held(plan)?;
        let Some(reader) = self.guide.reader().ok() else { return Ok(json!({})) };
        let is_held = |id: &&String| held.channels.iter().any(|channel| *channel.id == ***id);
        let mut all = serde_json::Map::new();
        for id in channels.iter().filter(is_held) {
            let found = reader.programmes(id, window).map_err(unread)?;
            let told: Vec<_> = found.iter().map(programme_told).collect();
            all.insert(id.clone(), Value::Array(told));
        }
        Ok(Value::Object(all))
    }

    /// Programmes with these letters in their titles, those that are on soonest first.
    ///
    /// # Errors
    ///
    /// See `held`.
    pub fn search(
        &mut self,
        plan: &str,
        wanted: &str,
        now: UnixTime,
    ) -> Result<Vec<Value>, StoreError> {
        let (held, wanted) = (self.held(plan)?, wanted.to_lowercase());
        let Some(reader) = self.guide.reader().ok() else { return Ok(Vec::new()) };
        let began = Instant::now();
        let window = (
            UnixTime(now.0.saturating_sub(GUIDE_SEARCH_SECONDS)),
            UnixTime(now.0 + GUIDE_SEARCH_SECONDS),
        );
        let (mut found, patience) = (Vec::new(), Duration::from_millis(GUIDE_SEARCH_MS));
        let ids = held.channels.iter().map(|channel| &*channel.id);
        let see = |id: &str, _: &guide::matching::Line, all: &[Programme]| {
            let is_it = |of: &&Programme| of.title.to_lowercase().contains(&wanted);
            found.extend(all.iter().filter(is_it).map(|of| (id.to_owned(), of.clone())));
            let goes_on = found.len() < 4 * GUIDE_FOUND_MAX && began.elapsed() < patience;
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        reader.each(ids, |_, _| window, see).map_err(unread)?;
        // What is on or comes, then what was, the newest first.
        found.sort_by_key(|(_, of)| {
            let is_over = of.stop <= now;
            (is_over, if is_over { now.0 - of.stop.0 } else { of.start.0 })
        });
        found.truncate(GUIDE_FOUND_MAX);
        let told = |(id, of): &(String, Programme)| {
            let mut told = programme_told(of);
            told["channel"] = json!(id);
            told
        };
        Ok(found.iter().map(told).collect())
    }
}

fn unread(error: guide::store::StoreError) -> StoreError {
    StoreError(error.0)
}

fn programme_told(of: &Programme) -> Value {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "start": of.start.0,
        "stop": of.stop.0,
        "title": of.title,
        "subtitle": text(&of.sub_title),
        "text": text(&of.description),
        "category": of.categories.first(),
    })
}

fn channel_told(channel: &Channel, held: &Held, on: &NowNext) -> Value {
    json!({
        "id": &*channel.id,
        "number": channel.number,
        "name": channel.name,
        "logo": channel.logo,
        "categories": channel.categories,
        "adult": channel.adult,
        "past_s": u64::from(held.archive_days(channel)) * DAY,
        "now": on.now.as_ref().map(programme_told),
        "next": on.next.as_ref().map(programme_told),
    })
}

/// A category as the app is told of it.
pub fn category_told(category: &Category) -> Value {
    let sorts = format!("{:?}", category.sorts).to_lowercase();
    json!({ "id": &*category.id, "name": category.name, "sorts": sorts })
}

/// What is said of something besides its name.
pub fn details_told(details: &Details) -> Value {
    json!({
        "plot": details.plot,
        "genres": details.genres,
        "cast": details.cast,
        "directors": details.directors,
        "country": details.country,
        "year": details.year,
        "rating": details.rating,
        "age": details.age,
        "duration_s": details.duration_s,
        "poster": details.poster,
        "backdrops": details.backdrops,
        "adult": details.adult,
    })
}
