//! How others ask for what is past: their addresses in; the channel, the stretch and the form out.
//!
//! ```text
//! /timeshift/{user}/{password}/{minutes}/{start}/{number}[.ts|.m3u8]
//! /timeshift.php?username=&password=&stream=&start=&duration=[&extension=]
//! /{channel}/archive-{utc}-{seconds}.m3u8        also index-, video-, mono-, and -now
//! /{channel}/timeshift_abs-{utc}.m3u8            from then on
//! /{channel}/timeshift_rel-{seconds}.m3u8        from so long ago on; also rewind-
//! …/master.m3u8?utc=&lutc= · ?start=&end=        behind any address of something live
//! ```
//!
//! Where a name ends with `.ts` one transport stream is meant, and so it is where the Xtream API
//! has no ending. Channels may stand below `/tv/`, and all but the first two behind a token. Texts
//! say UTC, but for an offset of their own (`moment`): whoever writes them in another zone gets
//! what it wrote, so lists have to say `{utc}`.

pub mod moment;
mod query;
#[cfg(test)]
mod tests;

use crate::config::{CATCH_UP_SECONDS_MAX, TIMESHIFT_MINUTES};
use moment::moment;
use query::Query;

/// What an address of others asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who asks.
    pub viewer: Viewer,
    /// Of which channel.
    pub channel: Channel,
    /// Where it begins.
    pub from: From,
    /// How many seconds; none = as long as it goes on.
    pub seconds: Option<u64>,
    /// How it is to be had.
    pub form: Form,
}

/// Who asks for what is past.
#[derive(Clone, PartialEq, Eq)]
pub enum Viewer {
    /// Anybody.
    Anyone,
    /// Whose token this is.
    Token(String),
    /// Who has this name, and this password.
    SignsIn(String, String),
}

/// What names a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Its id.
    Id(String),
    /// Its number.
    Number(u32),
}

/// Where a stretch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// In seconds since 1970.
    At(u64),
    /// So many seconds ago.
    Ago(u64),
}

/// How a stretch is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As playlists.
    Hls,
    /// As a manifest.
    Dash,
    /// As one transport stream.
    Ts,
}

/// What is wrong with an address of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not say which channel.
    Channel,
    /// Its start is no moment.
    Start,
    /// Its length is none, or nothing.
    Length,
    /// It is longer than `CATCH_UP_SECONDS_MAX`.
    TooLong,
}

impl Fault {
    /// For people.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Channel => "a stream is the number of a channel",
            Self::Start => "a start is YYYY-MM-DD:HH-MM in UTC, ISO 8601, or seconds since 1970",
            Self::Length => "a length is a number, and an end lies behind its start",
            Self::TooLong => "catch-up is at most a day long",
        }
    }
}

impl std::fmt::Debug for Viewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anyone => "Anyone",
            // What lets somebody in is in no log.
            Self::Token(_) => "Token",
            Self::SignsIn(..) => "SignsIn",
        })
    }
}

impl Asked {
    /// Reads a path, decoded, and its query, which is not; none if it is no address of others.
    ///
    /// # Errors
    ///
    /// See [`Fault`].
    pub fn read(path: &str, query: &str) -> Option<Result<Self, Fault>> {
        if let Some(rest) = path.strip_prefix("/timeshift/") {
            return of_elements(rest);
        }
        if matches!(path, "/timeshift.php" | "/streaming/timeshift.php") {
            return Some(of_parameters(&Query::read(query)));
        }
        let (viewer, path) = match path.strip_prefix("/s/") {
            Some(rest) => {
                let (token, _) = rest.split_once('/').filter(|(token, _)| !token.is_empty())?;
                (Viewer::Token(token.to_owned()), &rest[token.len()..])
            }
            None => (Viewer::Anyone, path),
        };
        let (channel, name) = channel_and_name(path)?;
        let stretch = match of_name(name) {
            Some(stretch) => stretch,
            None if is_live(name) => of_query(&Query::read(query))?,
            None => return None,
        };
        let (channel, form) = (Channel::Id(channel.to_owned()), form_of(name));
        let whole = |(from, seconds)| Self { viewer, channel, from, seconds, form };
        Some(stretch.and_then(bounded).map(whole))
    }

    /// The address of this stretch here, of the channel with this id.
    #[must_use]
    pub fn path(&self, id: &str, now: u64) -> String {
        let start = match self.from {
            From::At(start) => start,
            From::Ago(seconds) => now.saturating_sub(seconds),
        };
        let length = self.seconds.map_or("now".to_owned(), |seconds| seconds.to_string());
        let name = match self.form {
            Form::Hls => "master.m3u8",
            Form::Dash => "manifest.mpd",
            Form::Ts => "stream.ts",
        };
        format!("/tv/{id}/archive/{start}-{length}/{name}")
    }
}

/// A stretch: where it begins, and how long it is.
type Stretch = (From, Option<u64>);

fn bounded((from, seconds): Stretch) -> Result<Stretch, Fault> {
    match seconds {
        Some(0) => Err(Fault::Length),
        Some(seconds) if seconds > CATCH_UP_SECONDS_MAX => Err(Fault::TooLong),
        _ => Ok((from, seconds)),
    }
}

/// `{user}/{password}/{minutes}/{start}/{number}[.ts|.m3u8]`
fn of_elements(rest: &str) -> Option<Result<Asked, Fault>> {
    let elements: Vec<&str> = rest.split('/').collect();
    let [user, password, minutes, start, name] = elements[..] else { return None };
    let (number, ending) = name.split_once('.').unwrap_or((name, "ts"));
    Some(xtream((user, password), number, (start, minutes), ending))
}

fn of_parameters(query: &Query) -> Result<Asked, Fault> {
    let given = |name: &str| query.get(name).unwrap_or_default();
    let (user, password) = (given("username"), given("password"));
    let (number, start, minutes) = (given("stream"), given("start"), given("duration"));
    let (number, in_name) = number.split_once('.').unwrap_or((number, "ts"));
    let ending = query.get("extension").unwrap_or(in_name);
    xtream((user, password), number, (start, minutes), ending)
}

fn xtream(
    (user, password): (&str, &str),
    number: &str,
    (start, minutes): (&str, &str),
    ending: &str,
) -> Result<Asked, Fault> {
    let number = number.parse().map_err(|_| Fault::Channel)?;
    let from = moment(start).map(From::At).ok_or(Fault::Start)?;
    // Some leave it empty or say 0 where they do not know how long a programme is.
    let minutes = match minutes {
        "" | "0" => TIMESHIFT_MINUTES,
        minutes => digits(minutes).ok_or(Fault::Length)?,
    };
    let (from, seconds) = bounded((from, Some(minutes.saturating_mul(60))))?;
    let form = if ending == "m3u8" { Form::Hls } else { Form::Ts };
    let viewer = Viewer::SignsIn(user.to_owned(), password.to_owned());
    Ok(Asked { viewer, channel: Channel::Number(number), from, seconds, form })
}

/// The channel's id and the last element of a path: `/tv/{channel}/{name}` or `/{channel}/{name}`.
fn channel_and_name(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_prefix("tv/").unwrap_or(path);
    let (channel, name) = path.split_once('/')?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_id = !channel.is_empty() && channel.bytes().all(letters) && !channel.starts_with('.');
    (is_id && !name.is_empty() && !name.contains('/')).then_some((channel, name))
}

/// Whether a name is one that something live has, here or elsewhere.
fn is_live(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    name == "mpegts" || matches!(ending, Some("m3u8" | "ts" | "mpd"))
}

fn form_of(name: &str) -> Form {
    match name.rsplit_once('.') {
        Some((_, "mpd")) => Form::Dash,
        Some((_, "ts")) => Form::Ts,
        _ if name == "mpegts" => Form::Ts,
        _ => Form::Hls,
    }
}

/// Whether a name is one of Flussonic's for what is past.
#[must_use]
pub fn is_name(name: &str) -> bool {
    of_name(name).is_some()
}

/// Words with which names begin that say a start and a length.
const BETWEEN: [&str; 4] = ["archive-", "index-", "video-", "mono-"];
/// Those that say a start alone, and those that say how long ago it is. They may stand behind the
/// name of the live playlist: `master-timeshift_rel-600.m3u8`.
const SINCE: &str = "timeshift_abs-";
const AGO: [&str; 2] = ["timeshift_rel-", "rewind-"];

/// What one of Flussonic's names says; none for another name.
fn of_name(name: &str) -> Option<Result<Stretch, Fault>> {
    let (name, ending) = name.rsplit_once('.')?;
    if !matches!(ending, "m3u8" | "ts" | "mpd") {
        return None;
    }
    let behind = |word: &str| {
        let at = name.rfind(word)?;
        let begins = at == 0 || name[..at].ends_with('-');
        Some(&name[at + word.len()..]).filter(|rest| begins && starts_with_digit(rest))
    };
    if let Some(rest) = behind(SINCE) {
        return Some(number(rest).map(|start| (From::At(start), None)).ok_or(Fault::Start));
    }
    if let Some(rest) = AGO.iter().find_map(|word| behind(word)) {
        return Some(number(rest).map(|ago| (From::Ago(ago), None)).ok_or(Fault::Start));
    }
    let rest = BETWEEN.iter().find_map(|word| name.strip_prefix(word))?;
    let (start, length) = rest.split_once('-').filter(|_| starts_with_digit(rest))?;
    let Some(start) = number(start) else { return Some(Err(Fault::Start)) };
    if length == "now" {
        return Some(Ok((From::At(start), None)));
    }
    let seconds = digits(length).ok_or(Fault::Length);
    Some(seconds.map(|seconds| (From::At(start), Some(seconds))))
}

/// Whether a query may ask for what is past. It is asked of requests for something live, most of
/// which have none, and some one that begins with `_HLS_`.
#[must_use]
pub fn may_ask(query: &[u8]) -> bool {
    !query.is_empty()
        && query[0] != b'_'
        && query.split(|byte| *byte == b'&').any(|pair| {
            [&b"utc="[..], b"start=", b"time_delay="].iter().any(|name| pair.starts_with(name))
        })
}

/// Whether a request for something live is one for what is past, as its query has it: of a
/// channel's own texts and streams, not of what lies below its renditions.
#[must_use]
pub fn asks(path: &str, query: &[u8]) -> bool {
    may_ask(query) && channel_and_name(path).is_some_and(|(_, name)| is_live(name))
}

/// The folder of the channel, `/tv/{channel}`, if the path is one of Flussonic's below it.
#[must_use]
pub fn channel_folder(path: &str) -> Option<&str> {
    let below = path.strip_prefix("/tv/")?;
    let (channel, name) = below.split_once('/')?;
    is_name(name).then(|| &path[.."/tv/".len() + channel.len()])
}

/// What a query behind an address of something live says; none if it asks for nothing past.
fn of_query(query: &Query) -> Option<Result<Stretch, Fault>> {
    if let Some(start) = query.get("utc") {
        return Some(since(start, query.get("utcend"), query.get("duration")));
    }
    if let Some(start) = query.get("start") {
        return Some(since(start, query.get("end"), query.get("duration")));
    }
    let ago = query.get("time_delay")?;
    Some(digits(ago).map(|ago| (From::Ago(ago), None)).ok_or(Fault::Start))
}

fn since(start: &str, end: Option<&str>, seconds: Option<&str>) -> Result<Stretch, Fault> {
    let start = moment(start).ok_or(Fault::Start)?;
    let length = match (end, seconds) {
        (Some(end), _) => {
            let end = moment(end).filter(|end| *end > start).ok_or(Fault::Length)?;
            Some(end - start)
        }
        (None, Some(seconds)) => Some(digits(seconds).ok_or(Fault::Length)?),
        (None, None) => None,
    };
    Ok((From::At(start), length))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// A moment as a name has it: seconds since 1970, or milliseconds.
fn number(text: &str) -> Option<u64> {
    match text.len() {
        13 => digits(&text[..10]).filter(|_| digits(text).is_some()),
        _ => digits(text),
    }
}

/// A number that is nothing but digits; more of them than that no time has.
fn digits(text: &str) -> Option<u64> {
    let all = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all && text.len() <= 13)
}
