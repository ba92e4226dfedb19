//! What the documents of the registry say: their fields, what each may be, and what it speaks of.
//!
//! A document that somebody sends goes in, and comes out whole, with every field that was left out,
//! or as the place that is wrong and why. Whether what it speaks of is there, the registry says.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::app_passwords;
use super::portal_password;
use super::registry::{Kind, Reference};
use super::revocations;
use crate::config::values;
use crate::config::{DOCUMENT_LIST_MAX, DOCUMENT_TEXT_MAX, OBJECT_ID_MAX};
use crate::guard;

/// A document that may be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// All of it.
    pub document: Value,
    /// What it speaks of.
    pub references: Vec<Reference>,
}

/// What channels, films or series are sorted by.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Category {
    /// What it sorts.
    sorts: Sorts,
    /// As people see it.
    #[schema(value_type = Name)]
    name: String,
    /// Categories are shown by this, the smallest first, and then by their names.
    #[serde(default)]
    order: i32,
}

/// What a category sorts.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Sorts {
    Live,
    Film,
    Series,
}

/// Channels and assets that are sold together.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Bouquet {
    /// As people see it.
    #[schema(value_type = Name)]
    name: String,
    /// In the order in which they are shown. `tv/news` is a channel; `vod/films/a` is an asset, and
    /// `vod/films` is all that lies there.
    #[serde(default)]
    #[schema(value_type = Vec<ContentPath>)]
    content: Vec<String>,
}

/// What a subscriber has paid for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// As people see it.
    #[schema(value_type = Name)]
    name: String,
    /// What may be watched.
    #[serde(default)]
    #[schema(value_type = Vec<BouquetId>)]
    bouquets: Vec<String>,
    /// At how many places at once; 0 = as many as one likes.
    #[serde(default = "one")]
    sessions_max: u32,
    /// What becomes of one place more.
    #[serde(default)]
    when_full: WhenFull,
    /// Most that a rendition may take, in kilobits a second; 0 = whatever it takes.
    #[serde(default)]
    bitrate_max_kbps: u32,
    /// How far back the past may be watched, in days; 0 = not at all.
    #[serde(default)]
    catch_up_days: u32,
    /// Most that is sent to a session, in kilobits a second; 0 = as fast as it takes it.
    #[serde(default)]
    rate_max_kbps: u32,
}

/// What becomes of a session that is one too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WhenFull {
    /// It is refused.
    #[default]
    RefuseNewest,
    /// It begins, and the oldest ends.
    EndOldest,
}

fn one() -> u32 {
    1
}

/// Whoever watches.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Subscriber {
    /// What was paid for; none = nothing.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9_-][a-z0-9_.-]*$", max_length = 128)]
    plan: Option<String>,
    /// Nothing may be watched from this second on; none = it never ends.
    #[serde(default)]
    expires: Option<u64>,
    /// Whether anything may be watched.
    #[serde(default)]
    status: Status,
    /// Nothing was paid yet.
    #[serde(default)]
    trial: bool,
    /// In place of the plan's.
    #[serde(default)]
    sessions_max: Option<u32>,
    /// Where it may be watched; none = anywhere.
    #[serde(default)]
    #[schema(value_type = Vec<Network>)]
    networks: Vec<String>,
    /// With what: words of which the client's User-Agent has one; none = with anything.
    #[serde(default)]
    agents_allowed: Vec<String>,
    /// With what not.
    #[serde(default)]
    agents_denied: Vec<String>,
    /// The only country where it may be watched (ISO 3166-1 alpha-2).
    #[serde(default)]
    #[schema(pattern = "^[A-Z]{2}$")]
    country: Option<String>,
    /// What a billing system calls it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024)]
    external_id: Option<String>,
    /// What its texts are written in (RFC 5646).
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9-]{2,35}$")]
    language: Option<String>,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 1024)]
    notes: String,
    /// For people, to look for.
    #[serde(default)]
    tags: BTreeSet<String>,
}

/// Whether somebody may watch at all.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = SubscriberStatus)]
#[serde(rename_all = "lowercase")]
enum Status {
    #[default]
    Active,
    Blocked,
}

/// Whoever is kept out; the id is the network.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ban {
    /// From this second on it is lifted; none = somebody has to.
    #[serde(default)]
    until: Option<u64>,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 1024)]
    reason: String,
    /// Who made it.
    #[serde(default)]
    made: Made,
}

/// A device's session whose tokens are good for nothing any more; the id is the session.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Revocation {
    /// The last of its tokens has expired by this second.
    until: u64,
    /// For people.
    #[serde(default)]
    reason: String,
}

/// Who made a ban.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BanMade)]
#[serde(rename_all = "lowercase")]
pub(super) enum Made {
    /// Somebody: no connection is taken from there.
    #[default]
    Hand,
    /// The server: whoever comes from there has to have a good token.
    Automatic,
}

impl Made {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Automatic => "automatic",
        }
    }
}

/// A name, as people see it.
#[derive(ToSchema)]
#[schema(max_length = 1024, pattern = "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f]+$")]
#[expect(dead_code, reason = "for its schema; what `text` looks at is a text")]
struct Name(String);

/// A channel, an asset, or a folder of assets.
#[derive(ToSchema)]
#[schema(
    pattern = "^(tv/[^/\\u0000-\\u001f\\u007f-\\u009f]+|vod/[^/\\u0000-\\u001f\\u007f-\\u009f]+(/[^/\\u0000-\\u001f\\u007f-\\u009f]+)*)$"
)]
#[expect(dead_code, reason = "for its schema; what `content` looks at is a text")]
struct ContentPath(String);

/// A bouquet's id.
#[derive(ToSchema)]
#[schema(pattern = "^[a-z0-9_-][a-z0-9_.-]*$", max_length = 128)]
#[expect(dead_code, reason = "for its schema; what `id` looks at is a text")]
struct BouquetId(String);

/// A network, or one address.
#[derive(ToSchema)]
#[schema(examples("192.0.2.0/24", "2001:db8::1"))]
#[expect(dead_code, reason = "for its schema; what `network` looks at is a text")]
struct Network(String);

/// A document's fields, for the API's document.
pub struct Described {
    /// What a schema of it is called.
    pub name: String,
    /// Its fields.
    pub schema: RefOr<Schema>,
    /// Schemas that it speaks of.
    pub others: Vec<(String, RefOr<Schema>)>,
}

/// What a document of this kind may say; none = it has a way of its own.
pub fn described(kind: Kind) -> Option<Described> {
    fn of<T: ToSchema>() -> Described {
        let mut others = Vec::new();
        T::schemas(&mut others);
        Described { name: T::name().into_owned(), schema: T::schema(), others }
    }
    match kind {
        Kind::Category => Some(of::<Category>()),
        Kind::Bouquet => Some(of::<Bouquet>()),
        Kind::Plan => Some(of::<Plan>()),
        Kind::Subscriber => Some(of::<Subscriber>()),
        Kind::Ban => Some(of::<Ban>()),
        Kind::Revocation => Some(of::<Revocation>()),
        Kind::Channel => Some(of::<content::Channel>()),
        Kind::Asset => Some(of::<content::Asset>()),
        Kind::Series => Some(of::<content::Series>()),
        Kind::Episode => Some(of::<content::Episode>()),
        Kind::GuideSource => Some(of::<guide::GuideSource>()),
        Kind::GuideChannel => Some(of::<guide::GuideChannel>()),
        Kind::SigningKey
        | Kind::AppPasswords
        | Kind::PortalPassword
        | Kind::Admin
        | Kind::ApiKey => None,
    }
}

/// The document of an object, looked at.
///
/// # Errors
///
/// `FIELD: WHY`, for whoever sent it.
pub fn checked(kind: Kind, document: Value) -> Result<Checked, String> {
    match kind {
        Kind::SigningKey => Err("a key is made by the server alone".to_owned()),
        Kind::Admin | Kind::ApiKey => Err("this has a way of its own to be made".to_owned()),
        Kind::AppPasswords => {
            app_passwords::checked(&document)?;
            Ok(Checked { document, references: Vec::new() })
        }
        Kind::PortalPassword => {
            portal_password::checked(&document)?;
            Ok(Checked { document, references: Vec::new() })
        }
        Kind::Category => {
            let category: Category = read(document)?;
            text("name", &category.name, 1)?;
            whole(&category, Vec::new())
        }
        Kind::Channel | Kind::Asset | Kind::Series | Kind::Episode => {
            content::checked(kind, document)
        }
        Kind::GuideSource | Kind::GuideChannel => guide::checked(kind, document),
        Kind::Bouquet => {
            let bouquet: Bouquet = read(document)?;
            text("name", &bouquet.name, 1)?;
            list("content", &bouquet.content, content)?;
            whole(&bouquet, Vec::new())
        }
        Kind::Plan => {
            let plan: Plan = read(document)?;
            text("name", &plan.name, 1)?;
            list("bouquets", &plan.bouquets, |id| self::id(Kind::Bouquet, id))?;
            let references = plan.bouquets.iter().map(|id| to(Kind::Bouquet, id)).collect();
            whole(&plan, references)
        }
        Kind::Subscriber => {
            let subscriber: Subscriber = read(document)?;
            of_subscriber(&subscriber)?;
            let references = subscriber.plan.iter().map(|id| to(Kind::Plan, id)).collect();
            whole(&subscriber, references)
        }
        Kind::Ban => {
            let ban: Ban = read(document)?;
            text("reason", &ban.reason, 0)?;
            whole(&ban, Vec::new())
        }
        Kind::Revocation => {
            let revocation: Revocation = read(document)?;
            text("reason", &revocation.reason, 0)?;
            whole(&revocation, Vec::new())
        }
    }
}

fn of_subscriber(subscriber: &Subscriber) -> Result<(), String> {
    if let Some(plan) = &subscriber.plan {
        id(Kind::Plan, plan).map_err(|why| format!("plan: {why}"))?;
    }
    list("networks", &subscriber.networks, |text| {
        network(text).map(drop).ok_or_else(|| {
            format!("{text:?} is no network (write \"192.0.2.0/24\" or \"2001:db8::1\")")
        })
    })?;
    let word = |word: &str| {
        if word.trim().is_empty() { Err("\"\" is in every one".to_owned()) } else { Ok(()) }
    };
    list("agents_allowed", &subscriber.agents_allowed, word)?;
    list("agents_denied", &subscriber.agents_denied, word)?;
    if let Some(country) = &subscriber.country
        && !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        return Err(format!("country: {country:?} is none (write \"NL\")"));
    }
    if let Some(language) = &subscriber.language
        && !((2..=35).contains(&language.len())
            && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
    {
        return Err(format!("language: {language:?} is none (write \"nl\" or \"pt-BR\")"));
    }
    if let Some(external) = &subscriber.external_id {
        text("external_id", external, 1)?;
    }
    text("notes", &subscriber.notes, 0)?;
    let tags: Vec<_> = subscriber.tags.iter().cloned().collect();
    list("tags", &tags, word)
}

/// A network, or one address; none if the text is neither.
pub fn network(text: &str) -> Option<IpNet> {
    let one = |_| text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(one).ok().map(|network| network.trunc())
}

/// The fields of a document. What serde says of one that is wrong names it.
fn read<T: for<'de> Deserialize<'de>>(document: Value) -> Result<T, String> {
    if !document.is_object() {
        return Err("it is to be an object: { … }".to_owned());
    }
    serde_json::from_value(document).map_err(|error| error.to_string())
}

fn whole(document: &impl Serialize, references: Vec<Reference>) -> Result<Checked, String> {
    let document = serde_json::to_value(document).map_err(|error| error.to_string())?;
    Ok(Checked { document, references })
}

fn to(kind: Kind, id: &str) -> Reference {
    Reference { kind, id: id.to_owned() }
}

fn text(field: &str, text: &str, least: usize) -> Result<(), String> {
    if text.trim().len() < least {
        return Err(format!("{field}: it is empty"));
    }
    if text.len() > DOCUMENT_TEXT_MAX {
        return Err(format!("{field}: it has more than {DOCUMENT_TEXT_MAX} bytes"));
    }
    if text.chars().any(|one| one.is_control() && one != '\n') {
        return Err(format!("{field}: it has control characters"));
    }
    Ok(())
}

fn list(
    field: &str,
    entries: &[String],
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<(), String> {
    if entries.len() > DOCUMENT_LIST_MAX {
        return Err(format!("{field}: it has more than {DOCUMENT_LIST_MAX} entries"));
    }
    let mut seen = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        text(&format!("{field}[{index}]"), entry, 1)?;
        check(entry).map_err(|why| format!("{field}[{index}]: {why}"))?;
        if !seen.insert(entry) {
            return Err(format!("{field}[{index}]: {entry:?} stands there twice"));
        }
    }
    Ok(())
}

/// A path of a channel, an asset, or of a folder of assets.
fn content(path: &str) -> Result<(), String> {
    let wrong = || format!("{path:?} is no content (write \"tv/news\" or \"vod/films/a\")");
    let (first, rest) = path.split_once('/').ok_or_else(wrong)?;
    let is_one = match first {
        "tv" => !rest.contains('/'),
        "vod" => true,
        _ => false,
    };
    let elements = rest.split('/').all(|element| !matches!(element, "" | "." | ".."));
    if is_one && elements { Ok(()) } else { Err(wrong()) }
}

/// Whether an object of this kind may have this id. A subscriber's is a user's name, and whoever
/// comes from elsewhere keeps it as it is.
///
/// # Errors
///
/// Why not.
pub fn id(kind: Kind, id: &str) -> Result<(), String> {
    match kind {
        Kind::Channel | Kind::GuideChannel => return values::identifier(id),
        Kind::Asset => return values::asset_path(id),
        _ => {}
    }
    let is_good = |byte: u8| match kind {
        Kind::Subscriber => byte > b' ' && byte != 0x7f && byte != b'/',
        _ => byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte),
    };
    if kind == Kind::Ban {
        let written = network(id).map(|network| guard::networks::plain(network).to_string());
        return match written {
            Some(written) if written == id => Ok(()),
            Some(written) => Err(format!("{id:?} is written {written:?}")),
            None => Err(format!("{id:?} is no network (write \"192.0.2.0/24\")")),
        };
    }
    if kind == Kind::Revocation {
        return match revocations::session(id) {
            Some(_) => Ok(()),
            None => Err(format!("{id:?} is no session of a token (16 of 0-9 and a-f)")),
        };
    }
    let starts = id.bytes().next().is_some_and(|byte| kind == Kind::Subscriber || byte != b'.');
    if starts && id.len() <= OBJECT_ID_MAX && id.bytes().all(is_good) && !matches!(id, "." | "..") {
        return Ok(());
    }
    Err(match kind {
        Kind::Subscriber => {
            format!(
                "{id:?} is no user name (up to {OBJECT_ID_MAX} bytes, without spaces and \"/\")"
            )
        }
        _ => format!("{id:?} is no id (a-z, 0-9, \"-\", \"_\", \".\", up to {OBJECT_ID_MAX})"),
    })
}

mod content;
mod guide;

pub use content::is_in_file;

#[cfg(test)]
mod tests;
