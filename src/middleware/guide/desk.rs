//! The thread that knows what there is: it follows the registry, finds which channel of which guide
//! is which of ours, and answers what control is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Guide;
use super::keeper::{self, Keeper, Task, now, seen};
use super::matching::{Alike, Line, Ours, Proposal, Said, Source, lines};
use super::programme::Programme;
use super::read::Reader;
use super::store::Reading;
use crate::config::FOLLOWED_AT_ONCE;
use crate::config::guide::{GUIDE_PROGRAMMES_TOLD_MAX, GUIDE_SOURCES_MAX};
use crate::config::values;
use crate::control::guide::{Question, Told, Wish};
use crate::control::registry::{Busy, Kind, Registry, Revision, Store, StoreError};
use crate::units::UnixTime;

/// A source's document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct SourceDocument {
    name: String,
    url: Option<String>,
    file: Option<String>,
    order: i32,
    refresh: Option<String>,
    offset_minutes: i32,
    paused: bool,
}

/// What is read of a channel's document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ChannelDocument {
    name: Option<String>,
    archive: Option<String>,
}

/// A guide-channel's document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct SaidDocument {
    xmltv: Option<String>,
    source: Option<String>,
    shift_minutes: i32,
    off: bool,
}

/// What the registry says, as far as it is known here.
#[derive(Default)]
struct Known {
    revision: Revision,
    epoch: u32,
    sources: BTreeMap<String, SourceDocument>,
    channels: BTreeMap<String, ChannelDocument>,
    said: BTreeMap<String, SaidDocument>,
}

/// What has changed: kind, id, and the document that is there now.
type Changes = Vec<(Kind, String, Option<Value>)>;

/// Kinds that are followed.
const FOLLOWED: [Kind; 3] = [Kind::Channel, Kind::GuideSource, Kind::GuideChannel];

/// How long it is waited for more, once something has changed.
const MORE_WITHIN: Duration = Duration::from_millis(50);

/// Starts the thread.
///
/// # Errors
///
/// No thread, or no runtime for it, can be made.
pub fn start(
    guide: Guide,
    keeper: Keeper,
    (registry, archives): (Registry, BTreeMap<String, u64>),
    questions: mpsc::Receiver<Question>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name("guide".to_owned()).spawn(move || {
        let (known, sources) = (Known::default(), Vec::new());
        let desk = Desk {
            guide,
            keeper,
            archives,
            known,
            sources,
            reading: None,
            reader: None,
            version: 0,
        };
        runtime.block_on(desk.run(registry, questions));
    })?;
    Ok(())
}

struct Desk {
    guide: Guide,
    keeper: Keeper,
    archives: BTreeMap<String, u64>,
    known: Known,
    /// Sources with their channels, in the order in which they count.
    sources: Vec<Source>,
    reading: Option<Reading>,
    reader: Option<Reader>,
    version: u64,
}

impl Desk {
    async fn run(mut self, registry: Registry, mut questions: mpsc::Receiver<Question>) {
        let (mut newest, mut editions) = (registry.newest(), self.keeper.editions.clone());
        newest.mark_changed();
        loop {
            tokio::select! {
                changed = newest.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep(MORE_WITHIN).await;
                    newest.mark_unchanged();
                    if !self.follow(&registry).await {
                        newest.mark_changed();
                    }
                }
                changed = editions.changed() => {
                    if changed.is_err() {
                        // The keeper could not begin; what is asked is answered all the same.
                        editions = never();
                    }
                    self.read_sources();
                    self.match_all();
                }
                question = questions.recv() => {
                    let Some(Question { wish, answer }) = question else { return };
                    // Whoever asked may have gone.
                    let _ = answer.send(self.told(wish));
                }
            }
        }
    }

    /// Takes what has changed in the registry; false = it is to be asked again.
    async fn follow(&mut self, registry: &Registry) -> bool {
        let (since, epoch) = (self.known.revision, self.known.epoch);
        let found = registry.ask(move |store| changed(store, since, epoch)).await;
        let (changes, is_all, newest) = match found {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::error!(%error, "what the registry says of guides can't be read");
                return true;
            }
            Err(Busy) => return false,
        };
        (self.known.revision, self.known.epoch) = newest;
        if is_all {
            self.known.sources.clear();
            self.known.channels.clear();
            self.known.said.clear();
        }
        let mut has_sources = is_all;
        let is_nothing = changes.is_empty() && !is_all;
        for (kind, id, document) in changes {
            has_sources |= kind == Kind::GuideSource;
            match kind {
                Kind::GuideSource => put(&mut self.known.sources, id, document),
                Kind::GuideChannel => put(&mut self.known.said, id, document),
                _ => put(&mut self.known.channels, id, document),
            }
        }
        if has_sources {
            let sources = self.ordered().into_iter().map(|(id, of)| task(id, of)).collect();
            // The keeper may have failed to begin.
            let _ = self.keeper.tasks.send(Task::Sources(sources));
            self.read_sources();
        }
        if !is_nothing {
            self.match_all();
        }
        true
    }

    /// Sources in the order in which they count.
    fn ordered(&self) -> Vec<(&String, &SourceDocument)> {
        let mut all: Vec<_> = self.known.sources.iter().collect();
        if all.len() > GUIDE_SOURCES_MAX {
            tracing::error!(
                "there are more than {GUIDE_SOURCES_MAX} sources: the last are left out"
            );
            all.truncate(GUIDE_SOURCES_MAX);
        }
        all.sort_by_key(|(id, of)| (of.order, id.as_str()));
        all
    }

    /// Reads which channels there are in the editions that count.
    fn read_sources(&mut self) {
        if self.reading.is_none() {
            // The keeper makes the file; until then there is nothing in it.
            let state = &self.guide.state;
            (self.reading, self.reader) = (Reading::open(state).ok(), self.guide.reader().ok());
        }
        let Some(reading) = &self.reading else { return };
        let read = |id: &String| {
            let edition = reading.kept(id)?.and_then(|kept| kept.edition);
            edition.map_or_else(|| Ok(Vec::new()), |edition| reading.channels(edition))
        };
        let mut sources = Vec::new();
        for (id, _) in self.ordered() {
            match read(id) {
                Ok(channels) => sources.push(Source { id: id.clone(), channels }),
                Err(error) => tracing::error!(source = id, %error, "its channels can't be read"),
            }
        }
        self.sources = sources;
    }

    fn ours(&self) -> Vec<Ours> {
        let ours = |(id, document): (&String, &ChannelDocument)| {
            let said = self.known.said.get(id).cloned().unwrap_or_default();
            let archive = document.archive.as_deref().and_then(|of| values::duration_ms(of).ok());
            let in_file = self.archives.get(id).copied();
            let SaidDocument { xmltv, source, shift_minutes, off: is_off } = said;
            Ours {
                id: id.clone(),
                name: document.name.clone().unwrap_or_else(|| id.clone()),
                archive_seconds: in_file.or(archive.map(|ms| ms / 1000)).unwrap_or_default(),
                said: Said { xmltv, source, shift_minutes, is_off },
            }
        };
        self.known.channels.iter().map(ours).collect()
    }

    fn match_all(&mut self) {
        self.version += 1;
        self.guide.publish(lines(&self.ours(), &self.sources, self.version));
    }

    fn told(&self, wish: Wish) -> Told {
        match wish {
            Wish::Sources => {
                let sources: Vec<_> =
                    self.ordered().into_iter().map(|(id, of)| self.source(id, of)).collect();
                Ok(json!({ "sources": sources }))
            }
            Wish::Source(id) => {
                let found = self.known.sources.get_key_value(&id).ok_or_else(no_source)?;
                Ok(self.source(found.0, found.1))
            }
            Wish::Refresh(id) => {
                let found = self.known.sources.get_key_value(&id).ok_or_else(no_source)?;
                if let Some(status) = seen(&self.keeper.board).get_mut(&id) {
                    status.state = keeper::State::Queued;
                }
                let _ = self.keeper.tasks.send(Task::Refresh(id.clone()));
                Ok(self.source(found.0, found.1))
            }
            Wish::Channels { after, limit, is_unmatched } => {
                Ok(self.channels(&after, limit, is_unmatched))
            }
            Wish::Channel(id) => {
                let lines = self.guide.lines();
                let line = lines.channels.get(&id).ok_or_else(no_channel)?;
                let ours = Ours { name: line.name.clone(), id, ..Ours::default() };
                let proposals = Alike::new(&self.sources).proposals(&ours);
                Ok(channel(&ours.id, line, Some(proposals)))
            }
            Wish::Programmes { channel, from, to } => self.programmes(&channel, (from, to)),
        }
    }

    fn source(&self, id: &str, of: &SourceDocument) -> Value {
        let status = seen(&self.keeper.board).get(id).cloned().unwrap_or_default();
        let at = |second: u64| (second > 0).then_some(second);
        let outcome = status.outcome;
        json!({
            "id": id,
            "name": of.name,
            "url": of.url,
            "file": of.file,
            "order": of.order,
            "paused": of.paused,
            "state": status.state,
            "read": status.progress.read.load(Ordering::Relaxed),
            "size": status.progress.size.load(Ordering::Relaxed),
            "looked_at": at(outcome.looked_at),
            "imported_at": at(outcome.imported_at),
            "next_at": at(status.next_at),
            "error": outcome.error,
            "failures": outcome.failures,
            "import": outcome.import,
        })
    }

    fn channels(&self, after: &str, limit: usize, is_unmatched: bool) -> Value {
        let lines = self.guide.lines();
        let is_meant =
            |(_, line): &(&String, &Line)| !is_unmatched || (line.feeds.is_empty() && !line.is_off);
        let behind = (std::ops::Bound::Excluded(after.to_owned()), std::ops::Bound::Unbounded);
        let mut found = lines.channels.range(behind).filter(is_meant);
        let page: Vec<_> = found.by_ref().take(limit).collect();
        let next = found.next().and(page.last()).map(|(id, _)| id.as_str());
        let alike = is_unmatched.then(|| Alike::new(&self.sources));
        let told = page.iter().map(|(id, line)| {
            let proposals = alike.as_ref().map(|alike| {
                let (id, name) = ((*id).clone(), line.name.clone());
                alike.proposals(&Ours { id, name, ..Ours::default() })
            });
            channel(id, line, proposals)
        });
        json!({ "channels": told.collect::<Vec<_>>(), "next": next })
    }

    fn programmes(&self, channel: &str, (from, to): (u64, u64)) -> Told {
        if to <= from {
            return Err((StatusCode::BAD_REQUEST, "to: it is not behind from".to_owned()));
        }
        if !self.guide.lines().channels.contains_key(channel) {
            return Err(no_channel());
        }
        let failed = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why);
        let reader = self.reader.as_ref();
        let reader = reader.ok_or_else(|| failed("the guide can't be read now".to_owned()))?;
        let programmes = reader.programmes(channel, (UnixTime(from), UnixTime(to)));
        let programmes = programmes.map_err(|error| failed(error.to_string()))?;
        let is_cut = programmes.len() > GUIDE_PROGRAMMES_TOLD_MAX;
        let told: Vec<_> =
            programmes.iter().take(GUIDE_PROGRAMMES_TOLD_MAX).map(programme).collect();
        Ok(json!({ "channel": channel, "now": now().0, "programmes": told, "more": is_cut }))
    }
}

fn no_source() -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, "no source of guides has this id".to_owned())
}

fn no_channel() -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, "no channel has this id".to_owned())
}

/// A count that nobody changes.
fn never() -> tokio::sync::watch::Receiver<u64> {
    let (sender, receiver) = tokio::sync::watch::channel(0);
    // Without a sender each wait would end at once.
    std::mem::forget(sender);
    receiver
}

/// What has changed since then, whether it is all that there is, and since when it is known now.
fn changed(
    store: &mut dyn Store,
    since: Revision,
    epoch: u32,
) -> Result<(Changes, bool, (Revision, u32)), StoreError> {
    let newest = (store.revision()?, store.epoch()?);
    let is_all = since == Revision::default() || newest.1 != epoch;
    let mut changes = Changes::new();
    if is_all {
        for kind in FOLLOWED {
            store.each(kind, &mut |of| {
                let document = serde_json::from_str(of.document).ok();
                changes.push((kind, of.id.to_owned(), document));
            })?;
        }
        return Ok((changes, true, newest));
    }
    let mut last = newest.0;
    for kind in FOLLOWED {
        let mut from = since;
        loop {
            let page = store.changes_of(kind, from, FOLLOWED_AT_ONCE)?;
            let is_last = page.len() < FOLLOWED_AT_ONCE;
            from = page.last().map_or(from, |change| change.revision);
            changes.extend(page.into_iter().map(|of| (of.kind, of.id, of.document)));
            if is_last {
                break;
            }
        }
        last = last.max(from);
    }
    Ok((changes, false, (last, newest.1)))
}

fn put<T: for<'de> Deserialize<'de>>(
    place: &mut BTreeMap<String, T>,
    id: String,
    document: Option<Value>,
) {
    // The registry has looked at it.
    match document.and_then(|document| serde_json::from_value(document).ok()) {
        Some(document) => drop(place.insert(id, document)),
        None => drop(place.remove(&id)),
    }
}

fn task(id: &str, of: &SourceDocument) -> keeper::Source {
    keeper::Source {
        id: id.to_owned(),
        url: of.url.clone(),
        file: of.file.clone(),
        refresh_ms: of.refresh.as_deref().and_then(|text| values::duration_ms(text).ok()),
        offset_minutes: of.offset_minutes,
        is_paused: of.paused,
    }
}

fn channel(id: &str, line: &Line, proposals: Option<Vec<Proposal>>) -> Value {
    let feeds = line.feeds.iter().map(
        |feed| json!({ "source": feed.source, "xmltv": feed.xmltv, "found_by": feed.how.word() }),
    );
    let mut told = json!({
        "id": id,
        "name": line.name,
        "feeds": feeds.collect::<Vec<_>>(),
        "shift_minutes": line.shift_seconds / 60,
        "off": line.is_off,
    });
    if let Some(proposals) = proposals {
        let taken: BTreeSet<_> =
            line.feeds.iter().map(|feed| (feed.source.as_str(), feed.xmltv.as_str())).collect();
        let is_new = |of: &&Proposal| !taken.contains(&(of.source.as_str(), of.xmltv.as_str()));
        let proposal = |of: &Proposal| {
            json!({
                "source": of.source,
                "xmltv": of.xmltv,
                "name": of.name,
                "likeness": (of.likeness * 100.0).round() / 100.0,
            })
        };
        told["proposals"] = proposals.iter().filter(is_new).map(proposal).collect();
    }
    told
}

/// A programme; what was not said is left out.
fn programme(of: &Programme) -> Value {
    let mut told = json!({ "start": of.start.0, "stop": of.stop.0, "title": of.title });
    for (name, text) in [
        ("language", &of.language),
        ("sub_title", &of.sub_title),
        ("description", &of.description),
        ("episode", &of.episode),
        ("onscreen", &of.onscreen),
        ("date", &of.date),
        ("country", &of.country),
        ("rating_system", &of.rating_system),
        ("rating", &of.rating),
        ("star_rating", &of.star_rating),
        ("icon", &of.icon),
    ] {
        if !text.is_empty() {
            told[name] = text.as_str().into();
        }
    }
    for (name, list) in
        [("categories", &of.categories), ("directors", &of.directors), ("actors", &of.actors)]
    {
        if !list.is_empty() {
            told[name] = list.clone().into();
        }
    }
    for (name, is) in [
        ("new", of.is_new),
        ("premiere", of.is_premiere),
        ("repeat", of.is_repeat),
        ("live", of.is_live),
    ] {
        if is {
            told[name] = true.into();
        }
    }
    told
}
