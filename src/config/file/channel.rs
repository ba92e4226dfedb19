//! The tables `[[channel]]` of a file into channels, with the line of everything that is wrong.
//!
//! A password file is named here and not read: whoever checks a config need not be let into it.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::inputs::settle_encoded;
use super::{Reading, Whose, document, nearest, unknown_key};
use crate::config::given::{Given, Wrong};
use crate::config::inputs::{CHILD_IDLE_MS_MAX, CHILD_IDLE_MS_MIN, Encode};
use crate::config::sources::CATEGORIES_MAX;
use crate::config::values::{self, duration_ms, duration_text};
use crate::config::{
    ARCHIVE_MS_MAX, ARCHIVE_MS_MIN, Access, Archive, CHANNELS_MAX, Channel, PART_MS_MAX,
    PART_MS_MIN, PATIENCE_MS_MAX, PATIENCE_MS_MIN, Password, Push, SEGMENT_MS_MAX, SEGMENT_MS_MIN,
    WINDOW_MS, WINDOW_MS_MAX, WINDOW_MS_MIN, day, settings,
};

/// Every key of a channel.
const KEYS: [&str; 22] = [
    "id",
    "name",
    "access",
    "window",
    "segment",
    "part",
    "patience",
    "archive",
    "archive_mode",
    "archive_size",
    "ingest",
    "source",
    "playlist",
    "utc_offset",
    "folder",
    "inputs",
    "start",
    "encode",
    "idle",
    "categories",
    "order",
    "logo",
];

impl Reading<'_> {
    /// All channels of the file; or one complaint, if there are too many to look at.
    pub(super) fn channels(&mut self, value: &Spanned<DeValue<'_>>) {
        let beyond = value.get_ref().as_array().and_then(|all| all.get(CHANNELS_MAX));
        match beyond {
            None => self.each_table("channel", value, Self::channel),
            Some(beyond) => {
                let why = format!("is one too many (a file may name {CHANNELS_MAX} channels)");
                self.complain(Some(beyond.span()), "channel", why);
            }
        }
    }

    fn channel(&mut self, table: &DeTable<'_>, span: Range<usize>) {
        let errors = self.draft.errors.len();
        let mut channel = Channel {
            id: String::new(),
            name: String::new(),
            access: None,
            window_ms: WINDOW_MS,
            segment_ms: None,
            part_ms: None,
            patience_ms: None,
            archive: None,
            push: None,
            sources: Default::default(),
            shelf: Default::default(),
        };
        for (name, value) in table {
            let word = name.get_ref().as_ref();
            let key = format!("channel.{word}");
            if !KEYS.contains(&word) {
                let near = nearest(word, KEYS.into_iter());
                self.complain(Some(name.span()), &key, unknown_key("key", near));
            } else if let Err(wrong) = self.set(&mut channel, word, Given::Toml(value)) {
                self.blame(wrong, &key, value);
            }
        }
        self.look_at_the_whole(&channel, table, &span);
        settle_encoded(&mut channel);
        if errors != self.draft.errors.len() {
            return;
        }
        if channel.name.is_empty() {
            channel.name.clone_from(&channel.id);
        }
        let place = self.place(span.start);
        self.draft.channel_places.push(place);
        self.draft.config.channels.push(channel);
    }

    /// Puts one value into the channel.
    fn set(&self, channel: &mut Channel, key: &str, given: Given<'_>) -> Result<(), Wrong> {
        match key {
            "id" => channel.id = given.read(|id| values::identifier(id).map(|()| id.to_owned()))?,
            "name" => channel.name = given.read(name)?,
            "access" => channel.access = Some(given.read(Access::from_word)?),
            "window" => channel.window_ms = between(given, WINDOW_MS_MIN..=WINDOW_MS_MAX)?,
            "segment" => {
                channel.segment_ms = Some(between(given, SEGMENT_MS_MIN..=SEGMENT_MS_MAX)?);
            }
            "part" => channel.part_ms = Some(between(given, PART_MS_MIN..=PART_MS_MAX)?),
            "patience" => {
                channel.patience_ms = Some(between(given, PATIENCE_MS_MIN..=PATIENCE_MS_MAX)?);
            }
            "ingest" => channel.push = Some(self.push(given)?),
            "folder" => channel.sources.folder = Some(self.file(given)?),
            "categories" => channel.shelf.categories = categories(given)?,
            "order" => channel.shelf.order = given.read_number_or_text(order)?,
            "logo" => channel.shelf.logo = Some(given.read(values::picture)?),
            "playlist" => channel.sources.playlist = self.playlist(given)?,
            "utc_offset" => channel.sources.utc_offset = given.read(day::utc_offset)?,
            "source" => channel.sources.encoders = self.encoders(given)?,
            "inputs" => channel.sources.inputs.list = self.inputs(given)?,
            "start" => channel.sources.inputs.on_demand = given.read(is_on_demand)?,
            "encode" => channel.sources.inputs.encode = given.read(Encode::from_word)?,
            "idle" => {
                let idle = between(given, CHILD_IDLE_MS_MIN..=CHILD_IDLE_MS_MAX)?;
                channel.sources.inputs.idle_ms = Some(idle);
            }
            "archive" => archive(channel).age_ms = between(given, ARCHIVE_MS_MIN..=ARCHIVE_MS_MAX)?,
            "archive_mode" => archive(channel).is_required = given.read(archive_mode)?,
            _ => archive(channel).size_max = Some(given.read(values::size)?),
        }
        Ok(())
    }

    /// What no single value can show.
    fn look_at_the_whole(&mut self, channel: &Channel, table: &DeTable<'_>, span: &Range<usize>) {
        let span_of = |key: &str| table.get(key).map_or_else(|| span.clone(), Spanned::span);
        if let (Some(segment), Some(part)) = (channel.segment_ms, channel.part_ms)
            && part > segment
        {
            let most = duration_text(segment);
            let why = format!("is longer than the segment (write at most \"{most}\")");
            self.complain(Some(span_of("part")), "channel.part", why);
        }
        self.look_at_archive(channel, table);
        self.look_at_inputs(channel, table);
        for other in ["ingest", "source", "segment", "part", "patience", "folder"] {
            if table.contains_key("playlist") && table.contains_key(other) {
                let why = "does not go with playlist: nobody pushes to such a channel";
                let key = format!("channel.{other}");
                self.complain(Some(span_of(other)), &key, why.to_owned());
            }
        }
        let playlist = &channel.sources.playlist;
        let is_timed = playlist.iter().any(|programme| programme.at.is_some());
        let is_read = !playlist.is_empty() || !table.contains_key("playlist");
        if table.contains_key("utc_offset") && !is_timed && is_read {
            let why = "needs a playlist with times (write { asset = \"films/a\", at = \"20:15\" })";
            self.complain(Some(span_of("utc_offset")), "channel.utc_offset", why.to_owned());
        }
        if !table.contains_key("id") {
            self.complain(Some(span.clone()), "channel.id", "is missing".to_owned());
        }
        if self.draft.config.channels.iter().any(|earlier| earlier.id == channel.id) {
            let why = format!("{:?} is named twice", channel.id);
            self.complain(Some(span_of("id")), "channel.id", why);
        }
    }

    /// What an archive needs of the rest.
    fn look_at_archive(&mut self, channel: &Channel, table: &DeTable<'_>) {
        for key in ["archive_mode", "archive_size"] {
            if let Some(value) = table.get(key)
                && !table.contains_key("archive")
            {
                let why = "needs archive (write archive = \"7d\")".to_owned();
                self.complain(Some(value.span()), &format!("channel.{key}"), why);
            }
        }
        let is_required = channel.archive.as_ref().is_some_and(|archive| archive.is_required);
        if is_required && (channel.segment_ms.is_none() || channel.part_ms.is_none()) {
            // What comes until lengths are learnt could not be acknowledged, and an encoder that
            // waits for that sends no more from which they could be.
            let span = table.get("archive_mode").map(Spanned::span);
            let why = "\"required\" needs segment and part (write segment = \"2s\" and \
                       part = \"500ms\", or what the encoder makes)";
            self.complain(span, "channel.archive_mode", why.to_owned());
        }
    }

    /// Who may push to a channel: `{ user = "…", password_file = "…" }`.
    fn push(&self, given: Given<'_>) -> Result<Push, Wrong> {
        let (mut user, mut password) = (None, None);
        for (name, value) in given.table().ok_or_else(|| given.not_a_table())? {
            let value = Given::Toml(value);
            match name.get_ref().as_ref() {
                "user" => user = Some(value.read(user_name)?),
                key if key == self.password_key() => password = Some(self.password(value)?),
                other => {
                    let known = self.password_word();
                    let why = format!("{other:?} is not known here (write user and {known})");
                    return Err(Wrong { why, span: Some(name.span()) });
                }
            }
        }
        match (user, password) {
            (Some(user), Some(password)) => Ok(Push { user, password }),
            _ => Err(given.blame(format!("needs user and {}", self.password_word()))),
        }
    }

    /// The key of a password: files are named by the owner of the config alone.
    pub(super) fn password_key(&self) -> &'static str {
        match self.whose {
            Whose::Owner => "password_file",
            Whose::Operator => document::SEALED,
        }
    }

    /// What people write for it.
    pub(super) fn password_word(&self) -> &'static str {
        match self.whose {
            Whose::Owner => "password_file",
            Whose::Operator => "password",
        }
    }

    /// Where a password is.
    pub(super) fn password(&self, given: Given<'_>) -> Result<Password, Wrong> {
        match self.whose {
            Whose::Owner => Ok(Password::File(self.file(given)?)),
            Whose::Operator => given.read(|text| Ok(Password::Sealed(text.to_owned()))),
        }
    }

    /// A file or folder of this machine, which the owner of the config alone may name: whoever
    /// administers a server by the network is not to read what the server can.
    pub(super) fn file(&self, given: Given<'_>) -> Result<PathBuf, Wrong> {
        match self.whose {
            Whose::Owner => Ok(self.beside(settings::path(given)?)),
            Whose::Operator => Err(given.blame("names a file, which only the config file may")),
        }
    }
}

/// When its inputs are read.
fn is_on_demand(word: &str) -> Result<bool, String> {
    match word {
        "always" => Ok(false),
        "on-demand" => Ok(true),
        _ => Err(format!("{word:?} is not known here (write \"always\" or \"on-demand\")")),
    }
}

/// Ids of categories.
fn categories(given: Given<'_>) -> Result<Vec<String>, Wrong> {
    let mut ids: Vec<String> = Vec::new();
    for one in given.list()? {
        if ids.len() == CATEGORIES_MAX {
            return Err(one.blame(format!("is one too many (at most {CATEGORIES_MAX})")));
        }
        let id = one.read(values::object_id)?;
        if ids.contains(&id) {
            return Err(one.blame(format!("{id:?} is named twice")));
        }
        ids.push(id);
    }
    Ok(ids)
}

fn order(text: &str) -> Result<i32, String> {
    text.trim().parse().map_err(|_| format!("{text} is not a whole number of 32 bits"))
}

/// The channel's archive, which begins without a limit but that of its age.
fn archive(channel: &mut Channel) -> &mut Archive {
    let none = Archive { age_ms: 0, is_required: false, size_max: None };
    channel.archive.get_or_insert(none)
}

/// Whether the archive's disk has a say in what encoders hear.
fn archive_mode(word: &str) -> Result<bool, String> {
    match word {
        "best-effort" => Ok(false),
        "required" => Ok(true),
        _ => Err(format!("{word:?} is not known here (write \"best-effort\" or \"required\")")),
    }
}

/// A channel's name. It comes to stand in playlists and guides, each of which has a line for it.
fn name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty (leave it out, and the id is the name)".to_owned());
    }
    if text.contains(char::is_control) {
        return Err("has a control character in it (write one line of text)".to_owned());
    }
    Ok(text.to_owned())
}

/// A user that Basic authentication can carry: a colon ends the user there (RFC 7617, 2).
pub(super) fn user_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c == ':' || c.is_control()) {
        return Err(format!("{text:?} is not a user (write a name without \":\")"));
    }
    Ok(text.to_owned())
}

/// A duration that is neither too short nor too long.
fn between(given: Given<'_>, allowed: RangeInclusive<u64>) -> Result<u64, Wrong> {
    let ms = given.read(duration_ms)?;
    if allowed.contains(&ms) {
        return Ok(ms);
    }
    let (least, most) = (duration_text(*allowed.start()), duration_text(*allowed.end()));
    let what = if ms < *allowed.start() { "short" } else { "long" };
    Err(given.blame(format!("is too {what} (write \"{least}\" to \"{most}\")")))
}
