//! A catalogue of what the libraries hold: assets, series and episodes of the registry, made of
//! files' names and of what lies beside them, and brought up to date whenever somebody asks.
//!
//! Objects that are there keep their ids and numbers, and whatever an operator wrote into them
//! (`merge`). What is in no library any more is marked `missing`; it comes back as what it was. A
//! library that can't be read whole marks nothing.
//!
//! It runs on a thread of its own, one at a time, and writes a few hundred titles at once, so that
//! nobody who watches or administers waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::audit::Act;
use super::documents::{self, Checked};
use super::pictures::{Pictures, picture_of};
use super::registry::{Busy, Expected, Kind, Object, Registry, Write};
use crate::config::{Access, CATALOGUE_LOT, Library, OBJECT_ID_MAX, PICTURE_SIZE_MAX};
use crate::library::catalogue::{Title, Walk};

pub mod api;
mod beside;
mod merge;
mod names;
mod nfo;
mod report;

use beside::{Of, Picture, looked_at, pictures_in, pictures_of, sidecar};
use merge::Found;
use nfo::Sidecar;
pub use report::{Became, Line, Report};

/// What there is for titles.
#[derive(Clone, Debug, Default)]
pub struct Titles {
    /// Stored pictures; none where the state folder can't be used.
    pub pictures: Option<Arc<Pictures>>,
    /// What catalogues are made of.
    pub libraries: Arc<api::Libraries>,
}

/// What it is made with.
pub struct Maker {
    /// Where objects are.
    pub registry: Registry,
    /// Where pictures go; none = there are none.
    pub pictures: Option<Arc<Pictures>>,
    /// The libraries, and who may watch what says nothing else.
    pub libraries: (Vec<Library>, Access),
    /// Who asked for it.
    pub act: Act,
    /// Whether nothing is written.
    pub is_dry: bool,
}

/// Brings objects up to date, of what lies below this path, if one is given.
///
/// # Errors
///
/// The registry fails, or there is no such library.
pub fn made(maker: &Maker, below: Option<&Path>) -> Result<Report, String> {
    let (libraries, access) = &maker.libraries;
    let mut report = Report::default();
    let mut walks: Vec<(&Library, Walk)> = Vec::new();
    let mut is_whole = true;
    for library in libraries {
        match Walk::of(library, *access) {
            Ok(walk) => {
                is_whole &= walk.is_whole;
                walks.push((library, walk));
            }
            Err(error) => {
                is_whole = false;
                let notes = vec![format!("{error}; nothing is marked as missing")];
                let path = library.path.display().to_string();
                report.line("library", &path, Became::Refused, notes);
            }
        }
    }
    if let Some(below) = below
        && !libraries.iter().any(|library| below.starts_with(&library.path))
    {
        return Err(format!("{} is in no library of the config", below.display()));
    }
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut wanted: Vec<(&Walk, &Title)> = Vec::new();
    for (library, walk) in &walks {
        for title in &walk.titles {
            let place: PathBuf = library.path.join(&title.below);
            let is_wanted = below.is_none_or(|below| place.starts_with(below));
            // The first library that has an asset is the one that it is served from.
            if found.insert(&title.asset) && is_wanted {
                wanted.push((walk, title));
            }
        }
    }
    let mut making = Making { maker, report, series: BTreeMap::new(), seen: BTreeMap::new() };
    for lot in wanted.chunks(CATALOGUE_LOT) {
        making.lot(lot)?;
    }
    if is_whole {
        making.missing(&|id: &str| !found.contains(id))?;
    }
    Ok(making.report)
}

/// A catalogue that is being made.
struct Making<'m> {
    maker: &'m Maker,
    report: Report,
    /// Series that were written, and whether they could be.
    series: BTreeMap<String, bool>,
    /// Episodes that were found, by series and place: one place, one asset.
    seen: BTreeMap<String, String>,
}

impl Making<'_> {
    /// Some titles: their series first, then what is said of them, then the episodes.
    fn lot(&mut self, lot: &[(&Walk, &Title)]) -> Result<(), String> {
        let all: Vec<Of<'_>> = lot.iter().map(|(walk, title)| looked_at(walk, title)).collect();
        let mut series: BTreeMap<String, (&Of<'_>, String)> = BTreeMap::new();
        let mut episodes: Vec<(&Of<'_>, String, (u16, u16))> = Vec::new();
        for of in &all {
            let Some(place) = of.place() else { continue };
            let name = of.sidecar.series.clone().unwrap_or_else(|| of.said.name.clone());
            let id = names::id_of(&name, SERIES_ID_SIZE);
            if id.is_empty() {
                continue;
            }
            if !self.series.contains_key(&id) {
                series.entry(id.clone()).or_insert((of, name));
            }
            episodes.push((of, id, place));
        }
        let mut described = Vec::with_capacity(series.len());
        for (id, (of, name)) in series {
            described.push((id, series_of(of, &name)));
        }
        for (id, is_good) in self.write(Kind::Series, described)? {
            self.series.insert(id, is_good);
        }
        let assets: Vec<_> = all
            .iter()
            .map(|of| {
                let is_episode = episodes.iter().any(|(one, ..)| std::ptr::eq(*one, of));
                (of.title.asset.clone(), asset(of, is_episode))
            })
            .collect();
        self.write(Kind::Asset, assets)?;
        let mut documents = Vec::new();
        for (of, series, (season, episode)) in episodes {
            if self.series.get(&series) != Some(&true) {
                continue;
            }
            let id = format!("{series}-s{season:02}e{episode:02}");
            let asset = &of.title.asset;
            if let Some(other) = self.seen.get(&id).filter(|other| *other != asset) {
                let notes = vec![format!("{asset:?} is the same episode as {other:?}")];
                self.report.line("episode", &id, Became::Unchanged, notes);
                continue;
            }
            self.seen.insert(id.clone(), asset.clone());
            let name = of.sidecar.name.clone().unwrap_or_else(|| of.said.rest.clone());
            let fields = json!({
                "series": series, "season": season, "episode": episode, "asset": asset,
                "name": name,
            });
            documents.push((id, Described { fields: map(fields), ..Described::default() }));
        }
        self.write(Kind::Episode, documents).map(drop)
    }

    /// Writes what is said of objects of a kind; gives which of them are there then.
    fn write(
        &mut self,
        kind: Kind,
        described: Vec<(String, Described<'_>)>,
    ) -> Result<Vec<(String, bool)>, String> {
        let ids: Vec<String> = described.iter().map(|(id, _)| id.clone()).collect();
        let before = self.objects(kind, ids)?;
        let mut outcomes = Vec::new();
        let mut writes: Vec<Vec<Write>> = Vec::new();
        let mut pending: Vec<(String, Became, Vec<String>)> = Vec::new();
        for ((id, described), object) in described.into_iter().zip(before) {
            let (found, mut notes) = self.found(described, object.as_ref());
            let document = object.as_ref().map(|object| map(object.document.clone()));
            let merged = merge::merged(document, found);
            let checked = documents::id(kind, &id)
                .map_err(|why| format!("id: {why}"))
                .and_then(|()| documents::checked(kind, Value::Object(merged)));
            let Checked { document, references } = match checked {
                Ok(checked) => checked,
                Err(why) => {
                    notes.push(why);
                    self.report.line(kind.word(), &id, Became::Refused, notes);
                    outcomes.push((id, object.is_some()));
                    continue;
                }
            };
            let result = match &object {
                None => Became::Added,
                Some(object) if object.document == document => Became::Unchanged,
                Some(_) => Became::Changed,
            };
            if result == Became::Unchanged || self.maker.is_dry {
                self.report.line(kind.word(), &id, result, notes);
                outcomes.push((id, true));
                continue;
            }
            let expected = object.map_or(Expected::Absent, |object| Expected::At(object.revision));
            let (document, number) = (Some(document), None);
            writes.push(vec![Write {
                kind,
                id: id.clone(),
                expected,
                document,
                number,
                references,
            }]);
            pending.push((id, result, notes));
        }
        let written = self.commit(writes)?;
        for ((id, result, mut notes), why) in pending.into_iter().zip(written) {
            let result = match &why {
                None => result,
                Some(why) => {
                    notes.push(why.clone());
                    Became::Refused
                }
            };
            self.report.line(kind.word(), &id, result, notes);
            outcomes.push((id, why.is_none()));
        }
        Ok(outcomes)
    }

    /// What was found, with pictures that were stored. Those of files that are what they were are
    /// not read again.
    fn found(&self, described: Described<'_>, object: Option<&Object>) -> (Found, Vec<String>) {
        let Described { fields, details, files, mut notes } = described;
        let mut found = Found { fields, details, ..Found::default() };
        for Picture { key, mark, walk, path } in files {
            if merge::has_mark(object.map(|object| &object.document), key, &mark) {
                found.details.remove(key);
                found.same.push(key);
                found.marks.push((key, mark));
                continue;
            }
            let bytes = walk.read(&path, PICTURE_SIZE_MAX).map_err(|error| error.to_string());
            let picture = bytes.and_then(|bytes| match (&self.maker.pictures, self.maker.is_dry) {
                (Some(pictures), false) => {
                    let added = pictures.add(&bytes).map_err(|why| why.to_string())?;
                    Ok(Some(format!("img:{}", added.id)))
                }
                (Some(_), true) => Ok(Some(picture_of(&bytes))),
                (None, _) => Ok(None),
            });
            match picture {
                Ok(Some(picture)) => {
                    let value = match key {
                        "backdrops" => json!([picture]),
                        _ => picture.into(),
                    };
                    found.details.insert(key.to_owned(), value);
                    found.marks.push((key, mark));
                }
                Ok(None) => {}
                Err(why) => notes.push(format!("{key}: {why}")),
            }
        }
        (found, notes)
    }

    /// Objects of these ids, in their order.
    fn objects(&self, kind: Kind, ids: Vec<String>) -> Result<Vec<Option<Object>>, String> {
        let read = self.maker.registry.ask_now(move |store| {
            ids.iter().map(|id| store.object(kind, id)).collect::<Result<Vec<_>, _>>()
        });
        told(read)
    }

    /// Makes each of these writes, and says why one was not made.
    fn commit(&self, writes: Vec<Vec<Write>>) -> Result<Vec<Option<String>>, String> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let act = self.maker.act.clone();
        let outcomes =
            told(self.maker.registry.ask_now(move |store| store.commit_each(&act, &writes)))?;
        let why = |outcome: super::registry::Outcome| {
            let why = outcome.err()?;
            Some(super::objects::unwritten_text(why).unwrap_or_else(|error| error.to_string()))
        };
        Ok(outcomes.into_iter().map(why).collect())
    }

    /// Marks what is in no library any more: assets, their episodes, and series of which no episode
    /// is left. Only what was imported is looked at.
    fn missing(&mut self, is_gone: &dyn Fn(&str) -> bool) -> Result<(), String> {
        self.mark(Kind::Asset, &mut |object| is_gone(&object.id))?;
        let mut left: BTreeSet<String> = BTreeSet::new();
        self.mark(Kind::Episode, &mut |object| {
            let of = |key: &str| object.document[key].as_str().unwrap_or_default().to_owned();
            let is_gone = is_gone(&of("asset"));
            // Somebody's own episode keeps its series, wherever its asset is.
            if !is_gone || !merge::is_imported(&object.document) {
                left.insert(of("series"));
            }
            is_gone
        })?;
        self.mark(Kind::Series, &mut |object| !left.contains(&object.id))
    }

    fn mark(
        &mut self,
        kind: Kind,
        is_missing: &mut dyn FnMut(&Object) -> bool,
    ) -> Result<(), String> {
        let mut after = String::new();
        loop {
            let from = after.clone();
            let page = told(
                self.maker.registry.ask_now(move |store| store.objects(kind, &from, CATALOGUE_LOT)),
            )?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.id);
            let (mut ids, mut writes) = (Vec::new(), Vec::new());
            for object in page {
                let is_missing = is_missing(&object) && merge::is_imported(&object.document);
                if !is_missing || object.document["missing"] == true {
                    continue;
                }
                let mut document = object.document;
                document["missing"] = true.into();
                let checked = documents::checked(kind, document);
                let Ok(Checked { document, references }) = checked else { continue };
                let expected = Expected::At(object.revision);
                let (id, document, number) = (object.id, Some(document), None);
                ids.push(id.clone());
                writes.push(vec![Write { kind, id, expected, document, number, references }]);
            }
            let written = match self.maker.is_dry {
                true => vec![None; ids.len()],
                false => self.commit(writes)?,
            };
            for (id, why) in ids.into_iter().zip(written) {
                let result = if why.is_none() { Became::Missing } else { Became::Refused };
                self.report.line(kind.word(), &id, result, why.into_iter().collect());
            }
        }
    }
}

/// What is said of an asset.
fn asset<'w>(of: &Of<'w>, is_episode: bool) -> Described<'w> {
    let title = of.sidecar.name.clone().filter(|name| !name.trim().is_empty());
    let name = title.unwrap_or_else(|| match is_episode {
        true if !of.said.rest.is_empty() => of.said.rest.clone(),
        _ if !of.said.name.is_empty() => of.said.name.clone(),
        _ => of.title.asset.clone(),
    });
    let mut fields = map(json!({ "name": name }));
    if is_episode {
        fields.insert("form".to_owned(), "episode".into());
    }
    let mut details = of.sidecar.details.clone();
    if let Some(year) = of.said.year.filter(|_| !is_episode) {
        details.entry("year").or_insert_with(|| year.into());
    }
    let files = pictures_of(of);
    Described { fields, details, files, notes: of.notes.clone() }
}

/// What is said of the series of an episode: by `tvshow.nfo` in a folder above it.
fn series_of<'w>(of: &Of<'w>, name: &str) -> Described<'w> {
    let mut described = Described::default();
    let mut said = Sidecar::default();
    // The season's folder, and the series' own.
    let folders = of.title.below.ancestors().skip(1).take(2);
    for folder in folders {
        let files = [folder.join("tvshow.nfo"), folder.join("series.json")];
        let Some(file) = files.iter().find(|file| of.walk.mark(file).is_some()) else {
            continue;
        };
        match sidecar(of.walk, file) {
            Ok(sidecar) => said = sidecar,
            Err(why) => described.notes.push(why),
        }
        described.files = pictures_in(of.walk, folder);
        break;
    }
    let name = said.name.unwrap_or_else(|| name.to_owned());
    described.fields = map(json!({ "name": name }));
    described.details = said.details;
    described
}

/// Room for season and episode behind a series' id.
const SERIES_ID_SIZE: usize = OBJECT_ID_MAX - 16;

/// What is said of an object, before it is known what was.
#[derive(Default)]
struct Described<'w> {
    fields: Map<String, Value>,
    details: Map<String, Value>,
    files: Vec<Picture<'w>>,
    notes: Vec<String>,
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn told<T, E: std::fmt::Display>(asked: Result<Result<T, E>, Busy>) -> Result<T, String> {
    match asked {
        Ok(told) => told.map_err(|error| error.to_string()),
        Err(Busy) => Err("the registry has too much to do; ask again".to_owned()),
    }
}

#[cfg(test)]
mod tests;
