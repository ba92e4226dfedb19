//! Lists of channels as players take them (M3U, and its `#EXTINF` with attributes): each entry is a
//! channel that is read from where the list says, once somebody watches it.
//!
//! There is no standard. What is read here is what other servers and players write: attributes with
//! quotes or without, `#EXTGRP`, lines for one player (`#EXTVLCOPT`, `#KODIPROP`), and header lines
//! behind the address (`url|User-Agent=…`). What has no counterpart here is said.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use serde_json::{Map, Value, json};

use crate::config::DOCUMENT_TEXT_MAX;
use crate::config::inputs::INPUT_SIZE_MAX;
use crate::units::extension;

/// Longest line, in bytes: an address, and the attributes of an entry. An entry with a longer one
/// is refused.
const LINE_SIZE_MAX: usize = 16 << 10;

/// Longest id of ours, in bytes.
const ID_SIZE_MAX: usize = 64;

/// What an entry's address ends with that is a film and no channel.
const FILMS: [&str; 6] = ["mp4", "mkv", "avi", "mov", "m4v", "webm"];

/// A list that is read.
pub struct List {
    file: Box<dyn BufRead>,
    line: u64,
    /// What ids begin with.
    prefix: String,
    /// How often each id was wished for.
    ids: BTreeMap<String, u32>,
    /// Categories that were spoken of.
    categories: BTreeMap<String, String>,
    count: i32,
}

/// An entry of a list.
#[derive(Debug, PartialEq)]
pub struct Found {
    /// The line that it begins on, from 1.
    pub line: u64,
    /// Its categories that were not spoken of before.
    pub categories: Vec<Value>,
    /// The channel, or why it can't be one.
    pub channel: Result<Map<String, Value>, String>,
    /// What is not kept.
    pub warnings: Vec<String>,
}

/// What was said of the entry whose address comes next.
#[derive(Default)]
struct Said {
    line: u64,
    name: String,
    attributes: BTreeMap<String, String>,
    group: Option<String>,
    is_film: bool,
    warnings: Vec<String>,
}

impl List {
    /// Of this file; ids of channels and categories begin with `prefix`.
    pub fn new(file: Box<dyn BufRead>, prefix: &str) -> Self {
        let (ids, categories) = Default::default();
        Self { file, line: 0, prefix: prefix.to_owned(), ids, categories, count: 0 }
    }

    /// The next entry; none at the end.
    ///
    /// # Errors
    ///
    /// The file can't be read.
    pub fn next(&mut self) -> io::Result<Option<Found>> {
        let mut said = Said::default();
        loop {
            let Some(line) = self.read_line()? else { return Ok(None) };
            let text = match line {
                Ok(text) => text,
                Err(why) => return Ok(Some(self.refused(&said, why))),
            };
            let text = text.trim();
            if let Some(entry) = text.strip_prefix("#EXTINF:") {
                said.line = self.line;
                (said.attributes, said.name) = attributes(entry);
            } else if let Some(group) = text.strip_prefix("#EXTGRP:") {
                said.group = Some(group.trim().to_owned());
            } else if text == "#EXT-X-PLAYLIST-TYPE:VOD" {
                said.is_film = true;
            } else if text.starts_with("#EXTVLCOPT:") || text.starts_with("#KODIPROP:") {
                said.warnings.push(format!("{text:?} is for one player, and is left out"));
            } else if !text.is_empty() && !text.starts_with('#') {
                return Ok(Some(self.entry(said, text)));
            }
        }
    }

    /// The next line; of one that is too long or no text why it can't be read.
    fn read_line(&mut self) -> io::Result<Option<Result<String, String>>> {
        let mut bytes = Vec::new();
        let mut is_whole = true;
        loop {
            let buffer = self.file.fill_buf()?;
            if buffer.is_empty() {
                if bytes.is_empty() && is_whole {
                    return Ok(None);
                }
                break;
            }
            let end = memchr::memchr(b'\n', buffer);
            let size = end.map_or(buffer.len(), |end| end + 1);
            is_whole &= bytes.len() + size <= LINE_SIZE_MAX;
            if is_whole {
                bytes.extend_from_slice(&buffer[..size]);
            }
            self.file.consume(size);
            if end.is_some() {
                break;
            }
        }
        self.line += 1;
        if !is_whole {
            return Ok(Some(Err(format!("the line has more than {LINE_SIZE_MAX} bytes"))));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let text = String::from_utf8(bytes.to_vec());
        Ok(Some(text.map_err(|_| "the line is not in UTF-8".to_owned())))
    }

    fn refused(&self, said: &Said, why: String) -> Found {
        let line = if said.line == 0 { self.line } else { said.line };
        Found { line, categories: Vec::new(), channel: Err(why), warnings: Vec::new() }
    }

    fn entry(&mut self, mut said: Said, address: &str) -> Found {
        let (url, headers) = address.split_once('|').unwrap_or((address, ""));
        if !headers.is_empty() {
            said.warnings.push("the header lines behind its address are left out".to_owned());
        }
        let name = shown(&said.name);
        if url.len() > INPUT_SIZE_MAX {
            let why = format!("{name}: its address has more than {INPUT_SIZE_MAX} bytes");
            return self.refused(&said, why);
        }
        if said.is_film || is_film(url) {
            return self.refused(&said, format!("{name}: it is a film, and no channel"));
        }
        let id = self.id(said.attributes.get("tvg-id").map_or("", String::as_str), &name);
        let (ids, categories) = self.categories_of(&said);
        self.count += 1;
        let mut channel = json!({
            "kind": "channel", "id": id, "name": name, "inputs": [url], "start": "on-demand",
            "categories": ids, "order": self.count,
        });
        if let Some(logo) = said.attributes.get("tvg-logo").filter(|logo| is_address(logo)) {
            channel["logo"] = logo.as_str().into();
        }
        let Value::Object(channel) = channel else { unreachable!("it is written as one") };
        let line = if said.line == 0 { self.line } else { said.line };
        Found { line, categories, channel: Ok(channel), warnings: said.warnings }
    }

    /// An id that stays the same when the list is read again: of what guides call it, else of its
    /// name; of several with the same one the others are counted.
    fn id(&mut self, guide: &str, name: &str) -> String {
        let word = [guide, name].into_iter().map(slug).find(|word| !word.is_empty());
        let word = format!("{}{}", self.prefix, word.unwrap_or_else(|| "channel".to_owned()));
        let word: String = word.chars().take(ID_SIZE_MAX - 8).collect();
        let count = self.ids.entry(word.clone()).or_default();
        *count += 1;
        match *count {
            // What begins addresses of other kinds is no id.
            1 if crate::config::values::identifier(&word).is_ok() => word,
            count => format!("{word}-{count}"),
        }
    }

    /// Ids of its groups, and the categories that were not spoken of before.
    fn categories_of(&mut self, said: &Said) -> (Vec<String>, Vec<Value>) {
        let groups = said.attributes.get("group-title").or(said.group.as_ref());
        let groups = groups.map_or("", String::as_str).split(';').map(str::trim);
        let (mut ids, mut made) = (Vec::new(), Vec::new());
        for group in groups.filter(|group| !group.is_empty()) {
            let word = slug(group);
            let word = if word.is_empty() { "group" } else { &word };
            let id = format!("{}{word}", self.prefix).to_lowercase();
            let id: String = id.chars().take(ID_SIZE_MAX).collect();
            if !self.categories.contains_key(&id) {
                let name: String = group.chars().take(DOCUMENT_TEXT_MAX / 4).collect();
                made.push(json!({
                    "kind": "category", "id": id, "sorts": "live", "name": name,
                    "existing": "keep",
                }));
                self.categories.insert(id.clone(), name);
            }
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        (ids, made)
    }
}

/// What follows `#EXTINF:`: the length, attributes, and behind the first comma that is in no quotes
/// the name.
fn attributes(text: &str) -> (BTreeMap<String, String>, String) {
    let mut attributes = BTreeMap::new();
    let mut rest = text.trim_start_matches(|of: char| of.is_ascii_digit() || "-. ".contains(of));
    loop {
        rest = rest.trim_start();
        if let Some(name) = rest.strip_prefix(',') {
            return (attributes, name.trim().to_owned());
        }
        let Some(end) = rest.find(['=', ',']).filter(|end| rest[*end..].starts_with('=')) else {
            // No attribute any more: what comes up to the comma is nobody's.
            let name = rest.split_once(',').map_or("", |(_, name)| name);
            return (attributes, name.trim().to_owned());
        };
        let key = rest[..end].trim().to_ascii_lowercase();
        let value;
        (value, rest) = match rest[end + 1..].strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => {
                let bare = &rest[end + 1..];
                bare.split_at(bare.find([' ', ',']).unwrap_or(bare.len()))
            }
        };
        attributes.insert(key, value.trim().to_owned());
    }
}

/// A text as a part of an id: small letters, digits and hyphens.
fn slug(text: &str) -> String {
    let mut word = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            word.push(letter.to_ascii_lowercase());
        } else if matches!(letter, '+') {
            word.push_str("-plus");
        } else if !word.is_empty() && !word.ends_with('-') {
            word.push('-');
        }
    }
    word.trim_end_matches('-').to_owned()
}

/// What people see of a channel.
fn shown(name: &str) -> String {
    let name: String = name.chars().filter(|letter| !letter.is_control()).collect();
    let name = if name.trim().is_empty() { "Channel" } else { name.trim() };
    name.chars().take(DOCUMENT_TEXT_MAX / 4).collect()
}

/// Whether an address is one of a file that ends.
fn is_film(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').next().unwrap_or(path);
    FILMS.contains(&extension(name).to_ascii_lowercase().as_str())
}

fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Vec<Found> {
        // A small buffer, so that lines lie across its ends.
        let file = io::BufReader::with_capacity(5, io::Cursor::new(text.to_vec()));
        let mut list = List::new(Box::new(file), "");
        let mut all = Vec::new();
        while let Some(found) = list.next().unwrap() {
            all.push(found);
        }
        all
    }

    fn channel(found: &Found) -> Value {
        Value::Object(found.channel.clone().unwrap())
    }

    #[test]
    fn an_entry_is_a_channel_that_is_read_on_demand() {
        let all = read(
            "\u{feff}#EXTM3U url-tvg=\"http://guide.example/x.xml\"\r\n\
             #EXTINF:-1 tvg-id=\"Das.Erste\" tvg-logo=\"http://a.example/1.png\" \
             group-title=\"News;Öffentlich, rechtlich\",Das Erste, HD\r\n\
             http://a.example/1.m3u8\r\n\r\n\
             #EXTINF:0,Two\n#EXTGRP:News\nhttps://a.example/2?a=b\n\
             udp://@239.1.1.1:5000\n"
                .as_bytes(),
        );
        assert_eq!(all.len(), 3);
        assert_eq!(
            channel(&all[0]),
            json!({
                "kind": "channel", "id": "das-erste", "name": "Das Erste, HD",
                "inputs": ["http://a.example/1.m3u8"], "start": "on-demand",
                "categories": ["news", "ffentlich-rechtlich"], "order": 1,
                "logo": "http://a.example/1.png",
            })
        );
        assert_eq!(all[0].line, 2);
        let names: Vec<_> = all[0].categories.iter().map(|of| of["name"].clone()).collect();
        assert_eq!(names, ["News", "Öffentlich, rechtlich"]);
        assert_eq!(channel(&all[1])["categories"], json!(["news"]));
        assert!(all[1].categories.is_empty(), "it was spoken of before");
        assert_eq!(channel(&all[2])["name"], "Channel");
        assert_eq!(channel(&all[2])["inputs"], json!(["udp://@239.1.1.1:5000"]));
    }

    #[test]
    fn ids_are_the_same_each_time_and_each_has_its_own() {
        let text = b"#EXTINF:-1,News\nhttp://a/1\n#EXTINF:-1,news!\nhttp://a/2\n\
            #EXTINF:-1,Live\nhttp://a/3\n#EXTINF:-1,\xd0\xa0\xd0\xbe\nhttp://a/4\n\
            #EXTINF:-1,Sky+\nhttp://a/5\n";
        let ids: Vec<_> = read(text)
            .iter()
            .map(|found| channel(found)["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids, ["news", "news-2", "live-1", "channel", "sky-plus"]);
    }

    #[test]
    fn what_can_be_no_channel_is_said_and_the_rest_is_read() {
        let mut text = b"#EXTINF:-1,A\nhttp://a/1.mkv?x\n#EXT-X-PLAYLIST-TYPE:VOD\nhttp://a/2\n\
            #EXTINF:-1,\xff\nhttp://a/3|User-Agent=x\n#EXTVLCOPT:http-user-agent=y\nhttp://a/4\n#EXTINF:-1,"
            .to_vec();
        text.extend(vec![b'x'; LINE_SIZE_MAX]);
        text.extend(b"\nhttp://a/5\n");
        let told: Vec<_> = read(&text)
            .into_iter()
            .map(|found| match found.channel {
                Ok(_) => format!("{}: {}", found.line, found.warnings.join("; ")),
                Err(why) => format!("{}: {why}", found.line),
            })
            .collect();
        assert_eq!(
            told,
            [
                "1: A: it is a film, and no channel",
                "4: Channel: it is a film, and no channel",
                "5: the line is not in UTF-8",
                "6: the header lines behind its address are left out",
                "8: \"#EXTVLCOPT:http-user-agent=y\" is for one player, and is left out",
                "9: the line has more than 16384 bytes",
                "10: ",
            ]
        );
    }

    #[test]
    fn attributes_come_with_quotes_and_without() {
        for (text, expected, name) in [
            ("-1 tvg-id=a1 tvg-name=\"A, B\" ,C", "tvg-id=a1 tvg-name=A, B", "C"),
            ("-1,C", "", "C"),
            ("10.5 radio=\"true\",", "radio=true", ""),
            ("-1 tvg-id=\"\" x", "tvg-id=", ""),
            ("-1 tvg-id=\"open", "tvg-id=open", ""),
            ("-1 odd words, C", "", "C"),
        ] {
            let (attributes, found) = attributes(text);
            let attributes: Vec<_> =
                attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!((attributes.join(" ").as_str(), found.as_str()), (expected, name), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_read_to_its_end(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let lines = text.iter().filter(|&&byte| byte == b'\n').count() + 1;
            prop_assert!(read(&text).len() <= lines);
        }

        #[test]
        fn every_line_of_attributes_is_read(text in "[-a-z0-9=\" ,]{0,60}") {
            let (attributes, name) = attributes(&text);
            prop_assert!(attributes.len() <= text.len() && name.len() <= text.len());
        }
    }
}
