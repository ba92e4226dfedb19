//! A TOML file into the config, with the line of everything that is wrong in it.
//!
//! All complaints are collected, not only the first. Unknown keys are errors: a misspelt limit
//! would otherwise never hold, and nobody would know. This module reads text; `load` reads files.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::given::{Given, Wrong, kind};
use super::settings::{self, SETTINGS};
use super::{Access, Config, Library};

mod channel;
pub mod document;
mod sources;
mod inputs;
mod foreign;

/// Where a value was set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it is the default.
    #[default]
    Default,
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// In the environment.
    Variable(String),
    /// On the command line.
    Flag(String),
}

impl Place {
    fn line(&self) -> usize {
        if let Self::File { line, .. } = self { *line } else { 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Something that is wrong with the config, or not what it seems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Where it stands.
    pub place: Place,
    /// The key; empty if the file can't be read as TOML.
    pub key: String,
    /// What is wrong, and how to write it.
    pub why: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::Default {
            write!(f, "{}: ", self.place)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.why)
    }
}

/// A config that is being put together, with the place of everything in it.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The values.
    pub config: Config,
    /// Where each key was set, if anywhere.
    pub places: BTreeMap<&'static str, Place>,
    /// Where each library was named, in their order.
    pub library_places: Vec<Place>,
    /// Where each channel was named, in their order.
    pub channel_places: Vec<Place>,
    /// Where each kind of foreign token was named, in their order.
    pub token_places: Vec<Place>,
    /// What makes the config unusable.
    pub errors: Vec<Complaint>,
    /// What an operator should know.
    pub warnings: Vec<Complaint>,
}

impl Draft {
    /// Takes everything from the text of one file.
    pub fn apply_file(&mut self, path: &Path, text: &str) {
        let (document, faults) = DeTable::parse_recoverable(text);
        let mut reading = Reading { draft: self, path, text, whose: Whose::Owner };
        for fault in &faults {
            reading.complain(fault.span(), "", format!("is not TOML: {}", fault.message()));
        }
        // What is left of a broken file would only give complaints that follow from the first.
        if faults.is_empty() {
            reading.document(document.get_ref());
        }
        // Tables come in the order of their names; people read from top to bottom.
        self.errors.sort_by_key(|complaint| complaint.place.line());
        self.warnings.sort_by_key(|complaint| complaint.place.line());
    }

    /// Takes one value from a variable or a flag.
    pub fn apply_text(&mut self, key: &'static str, place: Place, text: &str) {
        let setting = settings::find(key).expect("the caller asks for keys of the table only");
        match (setting.set)(&mut self.config, Given::Text(text)) {
            Ok(()) => {
                if setting.shown.is_none() {
                    self.warn_unused(&place, key);
                }
                self.places.insert(setting.key, place);
            }
            Err(wrong) => {
                self.errors.push(Complaint { place, key: key.to_owned(), why: wrong.why });
            }
        }
    }

    fn warn_unused(&mut self, place: &Place, key: &str) {
        let why = "is not used by this version".to_owned();
        self.warnings.push(Complaint { place: place.clone(), key: key.to_owned(), why });
    }
}

/// One file while it is being read.
struct Reading<'a> {
    draft: &'a mut Draft,
    path: &'a Path,
    text: &'a str,
    whose: Whose,
}

/// Who wrote what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Whoever may write the config file, and so name files of this machine.
    Owner,
    /// Somebody who asked by the network.
    Operator,
}

impl Reading<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Place::File { path: self.path.to_owned(), line }
    }

    /// A path of the file. It counts from the file's own folder.
    fn beside(&self, path: PathBuf) -> PathBuf {
        self.path.parent().map_or_else(|| path.clone(), |folder| folder.join(&path))
    }

    fn complain(&mut self, span: Option<Range<usize>>, key: &str, why: String) {
        let place = self.place(span.map_or(self.text.len(), |span| span.start));
        self.draft.errors.push(Complaint { place, key: key.to_owned(), why });
    }

    fn blame(&mut self, wrong: Wrong, key: &str, value: &Spanned<DeValue<'_>>) {
        self.complain(Some(wrong.span.unwrap_or_else(|| value.span())), key, wrong.why);
    }

    fn document(&mut self, document: &DeTable<'_>) {
        for (name, value) in document {
            match name.get_ref().as_ref() {
                "library" => self.each_table("library", value, Self::library),
                "channel" => self.channels(value),
                "token" => self.each_table("token", value, Self::token),
                section if is_section(section) => match value.get_ref() {
                    DeValue::Table(table) => self.section(section, table),
                    other => {
                        let why = format!("is {}, not a section (write [{section}])", kind(other));
                        self.complain(Some(name.span()), section, why);
                    }
                },
                unknown => {
                    let sections = [
                        "server", "admin", "http", "log", "guard", "hook", "geo", "apps", "slates",
                        "limits", "library", "channel", "token",
                    ];
                    let why = unknown_key("section", nearest(unknown, sections.into_iter()));
                    self.complain(Some(name.span()), unknown, why);
                }
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{section}.{}", name.get_ref());
            let Some(setting) = settings::find(&key) else {
                let keys = SETTINGS.iter().map(|setting| setting.key);
                self.complain(Some(name.span()), &key, unknown_key("key", nearest(&key, keys)));
                continue;
            };
            match (setting.set)(&mut self.draft.config, Given::Toml(value)) {
                Ok(()) => {
                    let place = self.place(name.span().start);
                    if setting.shown.is_none() {
                        self.draft.warn_unused(&place, setting.key);
                    }
                    if let (
                        Some(folder),
                        "server.state" | "log.access_path" | "log.security_path" | "admin.tls"
                        | "hook.secret_file" | "hook.ca_file" | "geo.country" | "geo.asn"
                        | "slates.path" | "guide.folder",
                    ) = (self.path.parent(), setting.key)
                    {
                        make_absolute(&mut self.draft.config, setting.key, folder);
                    }
                    self.draft.places.insert(setting.key, place);
                }
                Err(wrong) => self.blame(wrong, &key, value),
            }
        }
    }

    /// The tables of `[[name]]`.
    fn each_table(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        read: fn(&mut Self, &DeTable<'_>, Range<usize>),
    ) {
        let DeValue::Array(elements) = value.get_ref() else {
            let why = format!("is {} (write [[{name}]])", kind(value.get_ref()));
            return self.complain(Some(value.span()), name, why);
        };
        for element in elements {
            match element.get_ref() {
                DeValue::Table(table) => read(self, table, element.span()),
                other => {
                    let why = format!("is {}, not a table (write [[{name}]])", kind(other));
                    self.complain(Some(element.span()), name, why);
                }
            }
        }
    }

    fn library(&mut self, table: &DeTable<'_>, span: Range<usize>) {
        let (mut path, mut access) = (None, None);
        let errors = self.draft.errors.len();
        for (name, value) in table {
            let given = Given::Toml(value);
            let read = match name.get_ref().as_ref() {
                "path" => given.read(|text| Ok(PathBuf::from(text))).map(|at| path = Some(at)),
                "access" => given.read(Access::from_word).map(|who| access = Some(who)),
                other => {
                    let near = nearest(other, ["path", "access"].into_iter());
                    let key = format!("library.{other}");
                    self.complain(Some(name.span()), &key, unknown_key("key", near));
                    continue;
                }
            };
            if let Err(wrong) = read {
                self.blame(wrong, &format!("library.{}", name.get_ref()), value);
            }
        }
        if errors != self.draft.errors.len() {
            return;
        }
        match path {
            Some(path) if !path.as_os_str().is_empty() => {
                let path = self.beside(path);
                self.draft.config.libraries.push(Library { path, access });
                let place = self.place(span.start);
                self.draft.library_places.push(place);
            }
            _ => self.complain(Some(span), "library.path", "is missing".to_owned()),
        }
    }
}

/// Paths of a file count from its own folder, whatever folder the server is started in.
fn make_absolute(config: &mut Config, key: &str, folder: &Path) {
    let tls = config.admin_port.tls.iter_mut();
    let paths: Vec<_> = match key {
        "server.state" => vec![&mut config.state],
        "log.access_path" => config.access_log_path.iter_mut().collect(),
        "hook.secret_file" => config.outside.hook.secret_file.iter_mut().collect(),
        "hook.ca_file" => config.outside.hook.ca_file.iter_mut().collect(),
        "geo.country" => config.outside.geo.country.iter_mut().collect(),
        "geo.asn" => config.outside.geo.asn.iter_mut().collect(),
        "slates.path" => config.slates.path.iter_mut().collect(),
        "guide.folder" => config.guide.folder.iter_mut().collect(),
        "admin.tls" => tls.flat_map(|tls| [&mut tls.cert, &mut tls.key]).collect(),
        _ => config.guard.log_path.iter_mut().collect(),
    };
    for path in paths {
        *path = folder.join(&*path);
    }
}

fn is_section(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.split('.').next() == Some(name))
}

fn unknown_key(what: &str, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("is not a known {what} (did you mean {near}?)"),
        None => format!("is not a known {what}"),
    }
}

/// The word that was probably meant.
pub fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    words
        .map(|known| (distance(word, known), known))
        .min()
        .filter(|(distance, known)| *distance <= 3 && *distance < known.len())
        .map(|(_, known)| known)
}

/// How many letters must be changed, added or removed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // Nobody means a known key by a word longer than twice the longest of them.
    for (index, letter) in a.chars().take(80).enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
