//! Lists of channels, films and episodes as players take them: M3U, with or without attributes.
//!
//! Every address holds a user and a password, so what is written is a template with places. Names
//! are made of one line without quotes: whoever names a channel writes no attribute and no address.

use std::fmt::Write as _;

use super::base::escaped;
use super::catalogue::Body;
use super::catalogue::personal::{IN_PATH, IN_QUERY};
use super::content::{Channel, Sorts};
use super::xtream::write::{Of, container_extension, cover, logo};
use crate::request::head::CHANNEL_LIST;

/// Which list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct List {
    /// Without attributes.
    pub is_plain: bool,
    /// What channels are played as.
    pub output: Output,
    /// How players are told of the past.
    pub catch_up: CatchUp,
}

/// What channels are played as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Output {
    /// A transport stream.
    #[default]
    Ts,
    /// HLS.
    Hls,
}

impl Output {
    fn extension(self) -> &'static str {
        match self {
            Self::Ts => "ts",
            Self::Hls => "m3u8",
        }
    }
}

/// How players are told of the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CatchUp {
    /// By an address with the start in seconds, which no time zone changes.
    #[default]
    Default,
    /// By what is added to the channel's address.
    Append,
    /// By `utc` and `lutc`, which players add themselves.
    Shift,
    /// As Flussonic has it.
    Flussonic,
    /// As panels have it: players write the start in their own time.
    Panel,
}

impl List {
    /// What the parameters of a request say: `type`, `output` and `catchup`. What they don't say,
    /// or say otherwise, is the default.
    #[must_use]
    pub fn of(kind: Option<&str>, output: Option<&str>, catch_up: Option<&str>) -> Self {
        let output = match output {
            Some("hls" | "m3u8") => Output::Hls,
            _ => Output::Ts,
        };
        let catch_up = match catch_up {
            Some("append") => CatchUp::Append,
            Some("shift") => CatchUp::Shift,
            Some("flussonic" | "fs") => CatchUp::Flussonic,
            Some("xc") => CatchUp::Panel,
            _ => CatchUp::Default,
        };
        Self { is_plain: kind == Some("m3u"), output, catch_up }
    }
}

/// Writes a list: channels, then films, then episodes.
pub fn write(of: &Of<'_>, list: List, body: &mut Body) -> &'static str {
    let mut text = String::from("#EXTM3U");
    if !list.is_plain {
        let query = char::from(IN_QUERY);
        for name in ["url-tvg", "x-tvg-url"] {
            attribute(&mut text, name, &format!("{}/xmltv.php?{query}", of.base));
        }
    }
    text.push('\n');
    for (channel, num) in of.held.channels.iter().zip(1..) {
        write_channel(of, list, (channel, num), &mut text);
        flush(&mut text, body);
    }
    for film in &of.held.films {
        let groups = groups(of, Sorts::Film, &film.categories);
        let about = About {
            name: &film.name,
            logo: one_line(&cover(of.base, &film.details)),
            groups,
            ..About::default()
        };
        let extension = container_extension(&film.id);
        entry(&mut text, list, &about, &[], &address(of, "movie", film.number, extension));
        flush(&mut text, body);
    }
    for shown in &of.held.series {
        let groups = groups(of, Sorts::Series, &shown.series.categories);
        for episode in &shown.episodes {
            let place = format!("S{:02}E{:02}", episode.season, episode.episode);
            let name = format!("{} {place} {}", shown.series.name, episode.name);
            let own = cover(of.base, &episode.details);
            let logo = if own.is_empty() { cover(of.base, &shown.series.details) } else { own };
            let logo = one_line(&logo);
            let about =
                About { name: name.trim_end(), logo, groups: groups.clone(), id: None, num: None };
            let extension = container_extension(&episode.asset);
            entry(&mut text, list, &about, &[], &address(of, "series", episode.number, extension));
            flush(&mut text, body);
        }
    }
    flush(&mut text, body);
    CHANNEL_LIST
}

fn flush(text: &mut String, body: &mut Body) {
    body.text().extend_from_slice(text.as_bytes());
    text.clear();
}

#[derive(Default)]
struct About<'a> {
    id: Option<&'a str>,
    name: &'a str,
    logo: String,
    num: Option<usize>,
    groups: String,
}

fn write_channel(of: &Of<'_>, list: List, (channel, num): (&Channel, usize), text: &mut String) {
    let extension = list.output.extension();
    let about = About {
        id: Some(&channel.id),
        name: &channel.name,
        logo: one_line(&logo(of.base, channel)),
        num: Some(num),
        groups: groups(of, Sorts::Live, &channel.categories),
    };
    let days = of.held.archive_days(channel).to_string();
    let user = char::from(IN_PATH);
    let number = channel.number;
    let source = match list.catch_up {
        CatchUp::Default => Some(format!(
            "{}/timeshift/{user}/{{duration:60}}/{{utc}}/{number}.{extension}",
            of.base
        )),
        CatchUp::Append => Some("?utc={utc}&lutc={lutc}".to_owned()),
        CatchUp::Shift | CatchUp::Flussonic | CatchUp::Panel => None,
    };
    let mut past = Vec::new();
    if days != "0" {
        past.push(("catchup", list.catch_up.word()));
        past.push(("catchup-days", &days));
        past.extend(source.as_deref().map(|source| ("catchup-source", source)));
    }
    entry(text, list, &about, &past, &address(of, "live", number, extension));
}

impl CatchUp {
    fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Append => "append",
            Self::Shift => "shift",
            Self::Flussonic => "flussonic",
            Self::Panel => "xc",
        }
    }
}

fn address(of: &Of<'_>, kind: &str, number: u32, extension: &str) -> String {
    format!("{}/{kind}/{}/{number}.{extension}", of.base, char::from(IN_PATH))
}

fn entry(text: &mut String, list: List, about: &About<'_>, more: &[(&str, &str)], address: &str) {
    text.push_str("#EXTINF:-1");
    let name = one_line(about.name);
    if !list.is_plain {
        if let Some(id) = about.id {
            attribute(text, "tvg-id", id);
        }
        attribute(text, "tvg-name", &name);
        if !about.logo.is_empty() {
            attribute(text, "tvg-logo", &about.logo);
        }
        if let Some(num) = about.num {
            attribute(text, "tvg-chno", &num.to_string());
        }
        if !about.groups.is_empty() {
            attribute(text, "group-title", &about.groups);
        }
        for (name, value) in more {
            attribute(text, name, value);
        }
    }
    writeln!(text, ",{name}\n{address}").expect("a string takes everything");
}

/// Names of categories, as one attribute.
fn groups(of: &Of<'_>, sorts: Sorts, ids: &[Box<str>]) -> String {
    let known = ids.iter().filter_map(|id| of.content.categories.get(&**id));
    let names: Vec<_> = known
        .filter(|category| category.sorts == sorts)
        .map(|category| one_line(&category.name).replace(';', ","))
        .collect();
    names.join(";")
}

/// The marks of places are control characters, which come from here alone.
fn attribute(text: &mut String, name: &str, value: &str) {
    text.push(' ');
    text.push_str(name);
    text.push_str("=\"");
    for character in value.chars() {
        match character {
            '"' => text.push('\''),
            '\n' | '\r' => text.push(' '),
            other => text.push(other),
        }
    }
    text.push('"');
}

/// A name as it may stand in a line: no line break, no other control character, no quotes, and no
/// comma in front of which a player would look for attributes.
fn one_line(name: &str) -> String {
    let plain = name.chars().map(|character| match character {
        '"' => '\'',
        other if other.is_control() => ' ',
        // Line breaks of Unicode, which some players take for one.
        '\u{2028}' | '\u{2029}' => ' ',
        other => other,
    });
    plain.collect::<String>().trim().to_owned()
}

/// What stands where user and password stand in paths.
#[must_use]
pub fn in_path(user: &str, password: &str) -> String {
    format!("{}/{}", escaped(user), escaped(password))
}

/// What stands where they stand in queries.
#[must_use]
pub fn in_query(user: &str, password: &str) -> String {
    format!("username={}&password={}", escaped(user), escaped(password))
}

#[cfg(test)]
mod tests;
