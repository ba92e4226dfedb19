//! XMLTV as a stream: one channel or programme at a time, of whatever somebody sends.
//!
//! What makes no sense in a programme costs that programme, and it is said in which line and why;
//! what is no XML costs the file. Nothing is expanded but the five entities of XML and numbers of
//! characters: a DOCTYPE may name XMLTV's DTD, which is not read, and may declare nothing.

use std::fmt;
use std::io::Read;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::piece::{Pieces, Place};
use super::programme::Programme;
use super::time;
use crate::config::guide::{
    GUIDE_DEPTH_MAX, GUIDE_LIST_MAX, GUIDE_NAMES_MAX, GUIDE_PROGRAMME_SECONDS_MAX,
    GUIDE_TEXT_SIZE_MAX, GUIDE_WORD_SIZE_MAX,
};
use crate::units::UnixTime;

/// What comes out of a guide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A channel: its id, its names, and where its logo is.
    Channel {
        /// What programmes call it.
        xmltv: String,
        /// What people call it.
        names: Vec<String>,
        /// Empty = nowhere.
        icon: String,
    },
    /// A programme of a channel. A stop of 0 was not said.
    Programme {
        /// Which channel.
        xmltv: String,
        /// What is on.
        programme: Box<Programme>,
    },
    /// Something that can't be taken.
    Skipped {
        /// Where it ends.
        line: u64,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Why a file is no guide, or is none from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where it was seen.
    pub line: u64,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// A guide that is being read.
pub struct Guide<R> {
    reader: Reader<Pieces<R>>,
    place: Place,
    buffer: Vec<u8>,
    depth: usize,
    /// Minutes that times without an offset are ahead of UTC.
    offset_minutes: i32,
    is_tv: bool,
    open: Open,
    /// What is wrong with what is open.
    wrong: Option<&'static str>,
    /// The texts of the element that is read, if it is kept.
    text: Option<String>,
    /// An attribute of it, or of what it lies in: whose rating, whose numbers.
    system: String,
    /// What is read says how good a programme is, not for whom.
    is_star: bool,
}

/// What stands between two tags at the moment.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    Channel {
        xmltv: String,
        names: Vec<String>,
        icon: String,
    },
    Programme {
        xmltv: String,
        programme: Box<Programme>,
    },
}

impl<R: Read> Guide<R> {
    /// A guide that is read there.
    ///
    /// # Errors
    ///
    /// It can't be read, or is in an encoding of its own.
    pub fn new(from: R, offset_minutes: i32) -> Result<Self, Malformed> {
        let pieces = Pieces::new(from);
        let pieces = pieces.map_err(|error| Malformed { line: 1, why: error.to_string() })?;
        let place = pieces.place();
        let mut reader = Reader::from_reader(pieces);
        // Who forgets to write &amp; means it.
        reader.config_mut().allow_dangling_amp = true;
        reader.config_mut().expand_empty_elements = true;
        Ok(Self {
            reader,
            place,
            buffer: Vec::new(),
            depth: 0,
            offset_minutes,
            is_tv: false,
            open: Open::Nothing,
            wrong: None,
            text: None,
            system: String::new(),
            is_star: false,
        })
    }

    /// Bytes that were no text and were replaced.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.place.replaced()
    }

    /// The next channel or programme; none at the end.
    ///
    /// # Errors
    ///
    /// It is no guide from here on.
    pub fn next(&mut self) -> Result<Option<Item>, Malformed> {
        loop {
            self.place.begin_piece();
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let event = self.reader.read_event_into(&mut buffer);
            let outcome = match event {
                Ok(Event::Eof) => {
                    return if self.depth == 0 && self.is_tv {
                        Ok(None)
                    } else {
                        Err(self.malformed("it ends in the middle: is it whole?"))
                    };
                }
                Ok(event) => self.handle(event),
                Err(error) => Err(self.malformed(error)),
            };
            self.buffer = buffer;
            if let Some(item) = outcome? {
                return Ok(Some(item));
            }
        }
    }

    fn malformed(&self, why: impl fmt::Display) -> Malformed {
        // What stands in the file may stand in the message.
        let why = why.to_string();
        let why = why.chars().filter(|one| !one.is_control()).take(300).collect();
        Malformed { line: self.place.line(), why }
    }

    fn handle(&mut self, event: Event<'_>) -> Result<Option<Item>, Malformed> {
        match event {
            Event::Start(tag) => self.start(&tag).map(|()| None),
            Event::End(tag) => Ok(self.end(tag.name().into_inner())),
            Event::Text(text) => {
                self.add(&text);
                Ok(None)
            }
            Event::CData(text) => {
                self.add(&text);
                Ok(None)
            }
            Event::GeneralRef(of) => {
                self.refer(&of);
                Ok(None)
            }
            Event::DocType(said) => {
                let said = said.trim();
                if said.contains(['[', '<']) || said.to_ascii_uppercase().contains("ENTITY") {
                    return Err(self.malformed(
                        "its DOCTYPE declares something of its own, which is refused (XMLTV needs none)",
                    ));
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), Malformed> {
        let name = tag.name();
        let name = name.into_inner();
        self.depth += 1;
        if self.depth > GUIDE_DEPTH_MAX {
            let why = format!("elements lie more than {GUIDE_DEPTH_MAX} deep in each other");
            return Err(self.malformed(why));
        }
        match self.depth {
            1 if name != "tv" || self.is_tv => {
                let name: String = name.chars().take(40).collect();
                return Err(self.malformed(format!("this is no XMLTV: it begins with <{name}>")));
            }
            1 => self.is_tv = true,
            2 => self.begin(name, tag),
            _ => self.begin_part(name, tag),
        }
        Ok(())
    }

    /// A child of `tv`.
    fn begin(&mut self, name: &str, tag: &BytesStart<'_>) {
        self.wrong = None;
        match name {
            "channel" => {
                let xmltv = self.attribute(tag, "id");
                if xmltv.is_empty() {
                    self.wrong = self.wrong.or(Some("a channel has no id"));
                }
                self.open = Open::Channel { xmltv, names: Vec::new(), icon: String::new() };
            }
            "programme" => {
                let [xmltv, start, stop] =
                    ["channel", "start", "stop"].map(|name| self.attribute(tag, name));
                let mut programme = Box::<Programme>::default();
                let read = |text: &str| time::read(text, self.offset_minutes);
                let times = match (read(&start), stop.as_str()) {
                    (None, _) => Err("a programme's start is no time"),
                    (Some(start), "") => Ok((start, UnixTime(0))),
                    (Some(start), stop) => match read(stop) {
                        None => Err("a programme's stop is no time"),
                        Some(stop) if stop <= start => Err("a programme ends before it has begun"),
                        Some(stop) if stop.0 - start.0 > GUIDE_PROGRAMME_SECONDS_MAX => {
                            Err("a programme goes on for weeks")
                        }
                        Some(stop) => Ok((start, stop)),
                    },
                };
                match times {
                    Ok(times) => (programme.start, programme.stop) = times,
                    Err(why) => self.wrong = self.wrong.or(Some(why)),
                }
                if xmltv.is_empty() {
                    self.wrong = self.wrong.or(Some("a programme says no channel"));
                }
                self.open = Open::Programme { xmltv, programme };
            }
            _ => self.open = Open::Nothing,
        }
    }

    /// Something within a channel or a programme.
    fn begin_part(&mut self, name: &str, tag: &BytesStart<'_>) {
        self.text = None;
        let is_kept = match &self.open {
            Open::Nothing => false,
            Open::Channel { .. } => self.depth == 3 && matches!(name, "display-name" | "icon"),
            Open::Programme { .. } => match self.depth {
                3 => matches!(
                    name,
                    "title"
                        | "sub-title"
                        | "desc"
                        | "category"
                        | "episode-num"
                        | "date"
                        | "country"
                        | "icon"
                        | "rating"
                        | "star-rating"
                        | "new"
                        | "premiere"
                        | "live"
                        | "previously-shown"
                ),
                4 => matches!(name, "director" | "actor" | "value"),
                _ => false,
            },
        };
        if !is_kept {
            return;
        }
        self.text = Some(String::new());
        match name {
            "icon" => {
                let address = self.attribute(tag, "src");
                self.text = Some(address);
            }
            "episode-num" | "rating" | "star-rating" => {
                self.system = self.attribute(tag, "system");
                self.is_star = name == "star-rating";
            }
            "title" => {
                let language = self.attribute(tag, "lang");
                if let Open::Programme { programme, .. } = &mut self.open
                    && programme.title.is_empty()
                {
                    programme.language = language;
                }
            }
            _ => {}
        }
    }

    /// The value of an attribute; empty where there is none, or none that can be read.
    fn attribute(&mut self, tag: &BytesStart<'_>, name: &str) -> String {
        // Names that stand twice are not looked for: with a megabyte of attributes that is slow.
        for attribute in tag.attributes().with_checks(false) {
            let Ok(attribute) = attribute else {
                self.wrong = self.wrong.or(Some("a tag can't be read"));
                break;
            };
            if attribute.key.into_inner() == name {
                match attribute.normalized_value(XmlVersion::Explicit1_0) {
                    Ok(value) => return cut(value.trim(), GUIDE_WORD_SIZE_MAX).to_owned(),
                    Err(_) => self.wrong = self.wrong.or(Some("an attribute can't be read")),
                }
            }
        }
        String::new()
    }

    fn add(&mut self, piece: &str) {
        if let Some(text) = &mut self.text {
            text.push_str(cut(piece, GUIDE_TEXT_SIZE_MAX.saturating_sub(text.len())));
        }
    }

    fn refer(&mut self, of: &BytesRef<'_>) {
        if self.text.is_none() {
            return;
        }
        let letter = of.resolve_char_ref();
        match letter {
            // What XML has no place for (XML 1.0, 2.2) is left out.
            Ok(Some(letter)) if letter.is_control() && !letter.is_whitespace() => {}
            Ok(Some(letter)) => self.add(letter.encode_utf8(&mut [0; 4])),
            Ok(None) => match resolve_predefined_entity(of) {
                Some(text) => self.add(text),
                None => self.wrong = self.wrong.or(Some("it has an entity that XML does not know")),
            },
            Err(_) => self.wrong = self.wrong.or(Some("it has a number that is no character")),
        }
    }

    fn end(&mut self, name: &str) -> Option<Item> {
        self.depth = self.depth.saturating_sub(1);
        if let Some(text) = self.text.take() {
            self.end_part(name, &text);
        }
        if self.depth != 1 {
            return None;
        }
        let line = self.place.line();
        let skipped = |why| Some(Item::Skipped { line, why });
        match (std::mem::take(&mut self.open), self.wrong.take()) {
            (Open::Nothing, _) => None,
            (_, Some(why)) => skipped(why),
            (Open::Channel { xmltv, names, icon }, None) => {
                Some(Item::Channel { xmltv, names, icon })
            }
            (Open::Programme { programme, .. }, None) if programme.title.is_empty() => {
                skipped("a programme has no title")
            }
            (Open::Programme { xmltv, programme }, None) => {
                Some(Item::Programme { xmltv, programme })
            }
        }
    }

    fn end_part(&mut self, name: &str, text: &str) {
        let text = clean(text);
        match &mut self.open {
            Open::Nothing => {}
            Open::Channel { names, icon, .. } => match name {
                "icon" if icon.is_empty() => *icon = text,
                "display-name" if names.len() < GUIDE_NAMES_MAX && !text.is_empty() => {
                    names.push(word(&text));
                }
                _ => {}
            },
            Open::Programme { programme, .. } if name == "value" => {
                let (system, value) = match self.is_star {
                    true => (&mut String::new(), &mut programme.star_rating),
                    false => (&mut programme.rating_system, &mut programme.rating),
                };
                if value.is_empty() {
                    (*system, *value) = (self.system.clone(), word(&text));
                }
            }
            Open::Programme { programme, .. } => part(programme, (name, &self.system), text),
        }
    }
}

/// Puts a part of a programme into its place. Of those in several languages the first is kept.
fn part(programme: &mut Programme, (name, system): (&str, &str), text: String) {
    let of = match name {
        "title" => &mut programme.title,
        "sub-title" => &mut programme.sub_title,
        "desc" => &mut programme.description,
        "date" => &mut programme.date,
        "country" => &mut programme.country,
        "icon" => &mut programme.icon,
        "episode-num" => match system {
            "xmltv_ns" => &mut programme.episode,
            "onscreen" | "" => &mut programme.onscreen,
            _ => return,
        },
        "category" => return list(&mut programme.categories, &text),
        "director" => return list(&mut programme.directors, &text),
        "actor" => return list(&mut programme.actors, &text),
        "new" => return programme.is_new = true,
        "premiere" => return programme.is_premiere = true,
        "live" => return programme.is_live = true,
        "previously-shown" => return programme.is_repeat = true,
        _ => return,
    };
    if of.is_empty() {
        *of = if name == "desc" { text } else { word(&text) };
    }
}

fn list(list: &mut Vec<String>, text: &str) {
    let text = word(text);
    if !text.is_empty() && list.len() < GUIDE_LIST_MAX && !list.contains(&text) {
        list.push(text);
    }
}

fn word(text: &str) -> String {
    cut(text, GUIDE_WORD_SIZE_MAX).to_owned()
}

/// The beginning of a text, in whole letters.
fn cut(text: &str, size: usize) -> &str {
    &text[..text.floor_char_boundary(size)]
}

/// A text without the spaces that it is indented with, and without what is no text.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.trim().lines() {
        if !clean.is_empty() {
            clean.push('\n');
        }
        clean.extend(line.trim().chars().filter(|one| !one.is_control()));
    }
    clean
}

#[cfg(test)]
mod tests;
