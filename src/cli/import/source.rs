//! What is read of a file: objects as the server takes them, each with the line that it began on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, BufRead};

use serde_json::{Map, Value, json};

use super::Format;
use super::dump::{Dump, Found};
use super::json::Objects;
use super::list::List;
use super::rows::Rows;
use super::table::{self, Row};

/// An object of the file.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// The line that it begins on, from 1.
    pub line: u64,
    /// What it is called, for messages.
    pub name: String,
    /// The object, or why there is none.
    pub object: Result<Map<String, Value>, String>,
    /// Whether it is a channel.
    pub is_channel: bool,
    /// What an operator should know of it.
    pub warnings: Vec<String>,
}

impl Entry {
    fn new(line: u64, object: Result<Map<String, Value>, String>, warnings: Vec<String>) -> Self {
        let (name, empty) = ("-".to_owned(), Ok(Map::new()));
        let mut entry = Self { line, name, object: empty, is_channel: false, warnings };
        if let Ok(object) = &object {
            entry.name(object);
            entry.is_channel = object.get("kind").is_some_and(|kind| kind == "channel");
        }
        entry.object = object;
        entry
    }

    /// Takes its name from the object.
    pub fn name(&mut self, object: &Map<String, Value>) {
        if let Some(id) = object.get("id").and_then(Value::as_str) {
            id.clone_into(&mut self.name);
        }
    }
}

/// What is wished of what a file does not say itself.
pub struct Wishes<'w> {
    /// The table of a dump.
    pub table: &'w str,
    /// The plan of subscribers for whom the file names none.
    pub plan: Option<&'w str>,
    /// What ids of a list's channels begin with.
    pub prefix: &'w str,
}

/// A file that is read.
pub struct Source {
    reader: Reader,
    /// The plan of those for whom the file names none.
    plan: Option<String>,
    /// Names of bouquets, by their number in the file.
    bouquets: BTreeMap<u64, String>,
    /// Plans that were made of the file's bouquets, and bouquets that were.
    plans_made: BTreeSet<String>,
    bouquets_made: BTreeSet<u64>,
    /// What comes before whatever is read next.
    ready: VecDeque<Entry>,
}

enum Reader {
    Csv(Rows),
    Json(Objects),
    Dump(Dump),
    List(List),
}

impl Source {
    /// Of a file; the first line of a table is read.
    ///
    /// # Errors
    ///
    /// The file can't be read, or is no such file.
    pub fn new(format: Format, file: Box<dyn BufRead>, wishes: &Wishes<'_>) -> io::Result<Self> {
        let reader = match format {
            Format::Csv => Reader::Csv(Rows::new(file)?),
            Format::Json => Reader::Json(Objects::new(file)),
            Format::Xtream => Reader::Dump(Dump::new(file, wishes.table)),
            Format::M3u => Reader::List(List::new(file, wishes.prefix)),
        };
        let (bouquets, plans_made, bouquets_made, ready) = Default::default();
        let plan = wishes.plan.map(str::to_owned);
        Ok(Self { reader, plan, bouquets, plans_made, bouquets_made, ready })
    }

    /// Columns of the file that mean nothing here, and are left out.
    #[must_use]
    pub fn unknown(&self) -> &[String] {
        match &self.reader {
            Reader::Csv(rows) => &rows.unknown,
            // A panel's table has many; objects are refused with a field that is unknown.
            Reader::Json(_) | Reader::Dump(_) | Reader::List(_) => &[],
        }
    }

    /// The next object; none at the end.
    ///
    /// # Errors
    ///
    /// The file can't be read, or what follows can't be told apart any more.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            match &mut self.reader {
                Reader::Csv(rows) => {
                    let Some((line, row)) = rows.next()? else { return Ok(None) };
                    self.row(line, row);
                }
                Reader::Json(objects) => {
                    let Some((line, object)) = objects.next()? else { return Ok(None) };
                    self.object(line, object);
                }
                Reader::List(list) => {
                    let Some(found) = list.next()? else { return Ok(None) };
                    for category in found.categories {
                        self.make(found.line, category);
                    }
                    let entry = Entry::new(found.line, found.channel, found.warnings);
                    self.ready.push_back(entry);
                }
                Reader::Dump(dump) => match dump.next()? {
                    None => return Ok(None),
                    Some((line, Found::Row(row))) => self.row(line, row),
                    Some((_, Found::Bouquet(number, name))) => {
                        self.bouquets.insert(number, name);
                    }
                },
            }
        }
    }

    /// An object of a JSON file: one of ours, or a row in other words.
    fn object(&mut self, line: u64, object: Result<Map<String, Value>, String>) {
        let mut object = match object {
            Ok(object) => object,
            Err(why) => return self.ready.push_back(Entry::new(line, Err(why), Vec::new())),
        };
        if object.get("kind").and_then(Value::as_str) == Some("end") {
            return;
        }
        if !object.contains_key("kind") && !object.contains_key("id") {
            let text = |value: Value| match value {
                Value::Null => None,
                Value::String(text) => Some(text),
                other => Some(other.to_string()),
            };
            let fields = object.into_iter().filter_map(|(name, value)| Some((name, text(value)?)));
            return self.row(line, Ok(fields.collect()));
        }
        object.entry("kind").or_insert_with(|| "subscriber".into());
        if object["kind"] == "subscriber"
            && let Some(plan) = &self.plan
        {
            object.entry("plan").or_insert_with(|| plan.as_str().into());
        }
        self.ready.push_back(Entry::new(line, Ok(object), Vec::new()));
    }

    /// A row of a table of subscribers.
    fn row(&mut self, line: u64, row: Result<Row, String>) {
        let read = row.and_then(|row| table::subscriber(&row));
        let mut read = match read {
            Ok(read) => read,
            Err(why) => return self.ready.push_back(Entry::new(line, Err(why), Vec::new())),
        };
        if !read.object.contains_key("plan") {
            let plan = match &self.plan {
                Some(plan) => Some(plan.clone()),
                None if read.bouquets.is_empty() => None,
                None => Some(self.plan_of(line, &read.bouquets)),
            };
            read.object.extend(plan.map(|plan| ("plan".to_owned(), plan.into())));
        }
        self.ready.push_back(Entry::new(line, Ok(read.object), read.warnings));
    }

    /// The plan of these bouquets of the file. What has no counterpart here yet is made, once, and
    /// without content: an operator fills the bouquets, and a second import lets them be.
    fn plan_of(&mut self, line: u64, bouquets: &BTreeSet<u64>) -> String {
        let id = table::plan_id(bouquets);
        if !self.plans_made.insert(id.clone()) {
            return id;
        }
        let name = |number: &u64| match self.bouquets.get(number) {
            Some(name) => name.clone(),
            None => format!("Bouquet {number}"),
        };
        let names: Vec<String> = bouquets.iter().map(name).collect();
        let ids: Vec<String> = bouquets.iter().map(|number| format!("xtream-{number}")).collect();
        for (number, (id, name)) in bouquets.iter().zip(ids.iter().zip(&names)) {
            if self.bouquets_made.insert(*number) {
                self.make(line, json!({ "kind": "bouquet", "id": id, "name": name }));
            }
        }
        let name = table::shortened(&names.join(", "));
        self.make(line, json!({ "kind": "plan", "id": id, "name": name, "bouquets": ids }));
        id
    }

    fn make(&mut self, line: u64, mut object: Value) {
        object["existing"] = "keep".into();
        if let Value::Object(object) = object {
            self.ready.push_back(Entry::new(line, Ok(object), Vec::new()));
        }
    }
}

#[cfg(test)]
mod tests;
