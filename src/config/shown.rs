//! The effective config as commented TOML or as JSON, with the place that each value comes from.

use std::fmt::Write as _;

use serde_json::json;
use toml::Value;

use super::file::{Draft, Place};
use super::inputs::{self, Input, Scheme};
use super::load::variable;
use super::settings::{SETTINGS, Setting};
use super::sources::Programme;
use super::values::{duration_text, size_text};
use super::{Access, Channel, Password, Push, day};

mod token;

/// Columns of a comment.
const WIDTH: usize = 98;

/// Commented TOML. `here` says what a 0 means on this machine, if it means something of its own.
#[must_use]
pub fn toml_text(draft: &Draft, here: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in SETTINGS {
        let Some(shown) = setting.shown else { continue };
        let (of, name) = split(setting);
        if of != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{of}]");
            section = of;
        }
        let value = shown(&draft.config);
        let mut about = setting.about.to_owned();
        if let (Value::Integer(0), Some(meaning)) = (&value, here(setting.key)) {
            let _ = write!(about, " Here: {meaning}.");
        }
        comment(&mut text, &about);
        let _ = writeln!(text, "{name} = {value}  # {}", place(draft, setting));
    }
    for (library, place) in draft.config.libraries.iter().zip(&draft.library_places) {
        let path = Value::String(library.path.display().to_string());
        let access = Value::String(library.access.unwrap_or(draft.config.access).word().to_owned());
        let _ = writeln!(text, "\n[[library]]  # {place}\npath = {path}\naccess = {access}");
    }
    for (channel, place) in draft.config.channels.iter().zip(&draft.channel_places) {
        let _ = writeln!(text, "\n[[channel]]  # {place}");
        for (key, value) in keys_of(channel, draft.config.access) {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    for (section, place) in draft.config.tokens.iter().zip(&draft.token_places) {
        let _ = writeln!(text, "\n[[token]]  # {place}");
        for (key, value) in token::keys_of(section) {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    text
}

/// The same for scripts: key → value, place, variable.
#[must_use]
pub fn json(draft: &Draft) -> serde_json::Value {
    let mut keys = serde_json::Map::new();
    for setting in SETTINGS {
        let Some(shown) = setting.shown else { continue };
        keys.insert(
            setting.key.to_owned(),
            json!({
                "value": shown(&draft.config),
                "from": place(draft, setting).to_string(),
                "variable": variable(setting.key),
                "reloads": setting.reloads,
            }),
        );
    }
    let libraries: Vec<_> = draft
        .config
        .libraries
        .iter()
        .zip(&draft.library_places)
        .map(|(library, place)| {
            json!({
                "path": library.path.display().to_string(),
                "access": library.access.unwrap_or(draft.config.access).word(),
                "from": place.to_string(),
            })
        })
        .collect();
    let channels: Vec<_> = draft
        .config
        .channels
        .iter()
        .zip(&draft.channel_places)
        .map(|(channel, place)| {
            let mut shown = json!({ "from": place.to_string() });
            for (key, value) in keys_of(channel, draft.config.access) {
                shown[key] = json!(value);
            }
            shown
        })
        .collect();
    let tokens: Vec<_> = draft
        .config
        .tokens
        .iter()
        .zip(&draft.token_places)
        .map(|(section, place)| {
            let mut shown = json!({ "from": place.to_string() });
            for (key, value) in token::keys_of(section) {
                shown[key] = json!(value);
            }
            shown
        })
        .collect();
    json!({ "settings": keys, "libraries": libraries, "channels": channels, "tokens": tokens })
}

/// The keys of a channel that have a value; `access` is what holds where it says nothing itself.
fn keys_of(channel: &Channel, access: Access) -> Vec<(&'static str, Value)> {
    let duration = |ms| Value::String(duration_text(ms));
    let mut keys = vec![
        ("id", Value::String(channel.id.clone())),
        ("name", Value::String(channel.name.clone())),
        ("access", Value::String(channel.access.unwrap_or(access).word().to_owned())),
        ("window", duration(channel.window_ms)),
    ];
    keys.extend(channel.segment_ms.map(|ms| ("segment", duration(ms))));
    keys.extend(channel.part_ms.map(|ms| ("part", duration(ms))));
    keys.extend(channel.patience_ms.map(|ms| ("patience", duration(ms))));
    if let Some(archive) = &channel.archive {
        let mode = if archive.is_required { "required" } else { "best-effort" };
        keys.push(("archive", duration(archive.age_ms)));
        keys.push(("archive_mode", Value::String(mode.to_owned())));
        let size = archive.size_max.map(|size| Value::String(size_text(size)));
        keys.extend(size.map(|size| ("archive_size", size)));
    }
    keys.extend(channel.push.as_ref().map(|push| ("ingest", Value::Table(login_of(push)))));
    if !channel.sources.playlist.is_empty() {
        let programmes = channel.sources.playlist.iter().map(programme);
        keys.push(("playlist", Value::Array(programmes.collect())));
    }
    if channel.sources.playlist.iter().any(|programme| programme.at.is_some()) {
        let offset = day::offset_text(channel.sources.utc_offset);
        keys.push(("utc_offset", Value::String(offset)));
    }
    keys.extend(
        channel
            .sources
            .folder
            .as_ref()
            .map(|folder| ("folder", Value::String(folder.display().to_string()))),
    );
    keys.extend(inputs_of(channel));
    let encoders = channel.sources.encoders.iter().map(|encoder| {
        let mut table = encoder.push.as_ref().map(login_of).unwrap_or_default();
        table.insert("name".to_owned(), Value::String(encoder.name.clone()));
        let folder = encoder.folder.as_ref().map(|folder| folder.display().to_string());
        table.extend(folder.map(|folder| ("folder".to_owned(), Value::String(folder))));
        Value::Table(table)
    });
    let encoders: Vec<_> = encoders.collect();
    if !encoders.is_empty() {
        keys.push(("source", Value::Array(encoders)));
    }
    keys.extend(shelf_of(channel));
    keys
}

/// How it is shown to people, as far as it says so.
fn shelf_of(channel: &Channel) -> Vec<(&'static str, Value)> {
    let of = &channel.shelf;
    let mut keys = Vec::new();
    if !of.categories.is_empty() {
        let ids = of.categories.iter().cloned().map(Value::String);
        keys.push(("categories", Value::Array(ids.collect())));
    }
    if of.order != 0 {
        keys.push(("order", Value::Integer(of.order.into())));
    }
    keys.extend(of.logo.clone().map(|logo| ("logo", Value::String(logo))));
    keys
}

fn programme(of: &Programme) -> Value {
    let asset = Value::String(of.asset.clone());
    let Some(at) = of.at else { return asset };
    let table = [("asset", asset), ("at", Value::String(day::time_text(at)))];
    Value::Table(table.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// What ffmpeg reads. Of a URL only where it leads is shown: what is printed here is shown around.
fn inputs_of(channel: &Channel) -> Vec<(&'static str, Value)> {
    let of = &channel.sources.inputs;
    if of.list.is_empty() {
        return Vec::new();
    }
    let switch = |on: bool| Value::String(if on { "on" } else { "off" }.to_owned());
    let input = |input: &Input| {
        let key = if matches!(input.place, inputs::Place::File(_)) { "path" } else { "url" };
        let mut table = toml::Table::new();
        table.insert(key.to_owned(), Value::String(input.to_string()));
        // That an SRT URL says so itself is not shown of it.
        if let inputs::Place::Url { scheme: Scheme { listen: Some(_), .. }, .. } = input.place {
            table.insert("listen".to_owned(), switch(input.listens));
        }
        table.insert("paced".to_owned(), switch(input.is_paced));
        Value::Table(table)
    };
    let mut keys = vec![
        ("inputs", Value::Array(of.list.iter().map(input).collect())),
        ("start", Value::String(of.start().to_owned())),
        ("encode", Value::String(of.encode.word().to_owned())),
    ];
    keys.extend(of.idle_ms.map(|ms| ("idle", Value::String(duration_text(ms)))));
    keys
}

fn login_of(push: &Push) -> toml::Table {
    let path = match &push.password {
        Password::File(path) => Some(("password_file", path.display().to_string())),
        Password::Sealed(_) | Password::Known(_) => None,
    };
    let login = [("user", push.user.clone())].into_iter().chain(path);
    login.map(|(key, text)| (key.to_owned(), Value::String(text))).collect()
}

fn split(setting: &Setting) -> (&'static str, &'static str) {
    setting.key.split_once('.').expect("every key of the table has a section")
}

fn place(draft: &Draft, setting: &Setting) -> Place {
    draft.places.get(setting.key).cloned().unwrap_or_default()
}

/// A comment, broken into lines at spaces.
fn comment(text: &mut String, about: &str) {
    let mut column = usize::MAX;
    for word in about.split_whitespace() {
        if column.saturating_add(1 + word.len()) > WIDTH {
            text.push_str(if column == usize::MAX { "#" } else { "\n#" });
            column = 1;
        }
        text.push(' ');
        text.push_str(word);
        column += 1 + word.len();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::load::Sources;
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_back() {
        let written = "[server]\nlisten = [\"127.0.0.1:1\", { address = \"127.0.0.1:2\", backend = \
                       \"send_zc\" }]\ningest = \"off\"\nadmin = \"off\"\n\
                       [admin]\nhosts = [\"tv\"]\ntls = { cert = \"/c\", key = \"/k\" }\n\
                       [limits]\nhead_timeout = \"1500ms\"\n\
                       [[library]]\npath = \"/a \\\" b\"\naccess = \"open\"\n\
                       [[channel]]\nid = \"a.1\"\naccess = \"open\"\n\
                       [[channel]]\nid = \"b\"\nname = \"B \\\"\u{e9}\\\"\"\naccess = \"token\"\n\
                       window = \"1h\"\nsegment = \"1.5s\"\npart = \"200ms\"\npatience = \"1min\"\n\
                       archive = \"7d\"\narchive_mode = \"required\"\narchive_size = \"1TB\"\n\
                       ingest = { user = \"u\", password_file = \"p \\\"\" }\n\
                       [[token]]\nkind = \"secure_link\"\nexpression = \"$secret a${uri}b$arg_u\"\n\
                       expires = \"\"\nsubject = \"u\"\ncovers = \"folder\"\nkeys = [{ key_file = \"k\" }]\n\
                       [[token]]\nkind = \"edge_auth\"\nname = \"cdn\"\npath = \"/vod/a/\"\ncookie = \"\"\n\
                       salt_file = \"s\"\nescape = \"on\"\nkeys = [{ key_file = \"k\", algorithm = \"HMAC-SHA1\" }]\n\
                       [[token]]\nkind = \"jwt\"\nscope = \"paths\"\nissuer = \"i\"\naudience = \"a\"\n\
                       keys = [{ id = \"1\", key_file = \"k\", algorithm = \"ES256\" }]\n";
        let sources = Sources::default();
        let first = sources.with_text(Some((Path::new("/x.toml"), written)));
        assert_eq!(first.errors, []);
        let text = toml_text(&first, &|_| Some("something".to_owned()));
        let second = sources.with_text(Some((Path::new("/x.toml"), &text)));
        assert_eq!(second.errors, [], "{text}");
        assert_eq!(first.config, second.config);
        assert!(text.contains("head_timeout = \"1500ms\"  # /x.toml:9"), "{text}");
        assert!(text.contains("Here: something."), "{text}");
        assert_eq!(first.config.channels.len(), 2);
        assert!(text.contains("\n[[channel]]  # /x.toml:16\nid = \"b\"\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 120));
    }

    #[test]
    fn json_names_the_place_and_the_variable() {
        let mut sources = Sources::default();
        sources.environment.push(("SHARDCAST_SERVER_SHARDS".to_owned(), "3".to_owned()));
        let shown = json(&sources.with_text(None));
        let shards = &shown["settings"]["server.shards"];
        assert_eq!(shards["value"], 3);
        assert_eq!(shards["from"], "SHARDCAST_SERVER_SHARDS");
    }

    #[test]
    fn json_has_the_keys_of_a_channel_that_have_a_value() {
        let written = "[[channel]]\nid = \"a\"\npart = \"1s\"\n\
                       ingest = { user = \"u\", password_file = \"p\" }\n";
        let shown = json(&Sources::default().with_text(Some((Path::new("/x.toml"), written))));
        let channel = json!({
            "id": "a",
            "name": "a",
            "access": "token",
            "window": "1min",
            "part": "1s",
            "ingest": { "user": "u", "password_file": "/p" },
            "from": "/x.toml:1",
        });
        assert_eq!(shown["channels"], json!([channel]));
    }
}
