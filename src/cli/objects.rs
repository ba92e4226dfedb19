//! Verbs for what the registry holds: `shardcast plan ls`, `show`, `add`, `set`, `rm`; and alike
//! for categories, assets, series, episodes, bouquets and subscribers.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Failure;
use super::admin_api::ServerArgs;
use super::terminal::{printable, say, table, word};
use crate::units::UnixTime;

mod content;
mod details;
mod fields;
mod password;
mod portal;
pub mod subscriber;

pub use content::{AssetFields, ChannelFields, EpisodeFields, SeriesFields};
pub use fields::{BouquetFields, CategoryFields, PlanFields, SubscriberFields, moment};

/// A kind, as its verbs know it: the fields that can be given.
pub trait Fields: Args + Serialize {
    /// Its name in addresses.
    const PLURAL: &'static str;
    /// Columns of its list: their heads, and the fields that stand in them.
    const COLUMNS: &'static [(&'static str, &'static str)];
}

/// Arguments of a kind's verbs.
#[derive(Debug, Args)]
pub struct ObjectArgs<F: Fields> {
    #[command(subcommand)]
    verb: ObjectVerb<F>,
}

/// What can be done with objects of every kind.
#[derive(Debug, Subcommand)]
pub(super) enum ObjectVerb<F: Fields> {
    /// List all
    Ls {
        /// Only those in this category (channels, assets, series)
        #[arg(long, value_name = "ID")]
        category: Option<String>,
        /// Only those of this series (episodes)
        #[arg(long, value_name = "ID", conflicts_with = "category")]
        series: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Add one
    Add {
        /// Its id, which it keeps
        id: String,
        #[command(flatten)]
        fields: F,
        /// The number that it is to have, where its kind has numbers [default: the next]
        #[arg(long)]
        number: Option<u32>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Change what is given, and leave the rest as it is
    Set {
        /// Its id
        id: String,
        #[command(flatten)]
        fields: F,
        /// A field to take back to what it is when it is not given, as notes or details.plot
        /// (again for more)
        #[arg(long, value_name = "FIELD")]
        unset: Vec<String>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Remove one
    Rm {
        /// Its id
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses.
pub fn run<F: Fields>(args: &ObjectArgs<F>) -> Result<(), Failure> {
    run_verb(&args.verb)
}

/// Runs what there is for every kind.
///
/// # Errors
///
/// See `run`.
pub(super) fn run_verb<F: Fields>(verb: &ObjectVerb<F>) -> Result<(), Failure> {
    match verb {
        ObjectVerb::Ls { category, series, server, json } => {
            list::<F>(server, &filter(category.as_deref(), series.as_deref()), *json)
        }
        ObjectVerb::Show { id, server, json } => show(&server.get(&address::<F>(id))?, *json),
        ObjectVerb::Add { id, fields, number, server, json } => {
            let mut document = given(fields);
            document.insert("id".to_owned(), id.as_str().into());
            if let Some(number) = number {
                document.insert("number".to_owned(), (*number).into());
            }
            let path = format!("/api/v1/{}", F::PLURAL);
            show(&server.post(&path, &Value::Object(document))?, *json)
        }
        ObjectVerb::Set { id, fields, unset, server, json } => {
            let mut document = given(fields);
            unset.iter().for_each(|field| take_back(&mut document, field));
            if document.is_empty() {
                return Err(Failure::new(format!("set {id}"), "nothing is to be changed"));
            }
            show(&server.patch(&address::<F>(id), &Value::Object(document))?, *json)
        }
        ObjectVerb::Rm { id, server } => server.delete(&address::<F>(id)),
    }
}

/// The fields that were given.
fn given(fields: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(fields) {
        Ok(Value::Object(document)) => document,
        _ => unreachable!("fields are an object of strings, numbers and lists"),
    }
}

/// Says of a field, or of one that is within another (`details.plot`), that it is to be taken back.
fn take_back(document: &mut Map<String, Value>, field: &str) {
    match field.split_once('.') {
        None => drop(document.insert(field.to_owned(), Value::Null)),
        Some((outer, inner)) => {
            let within = document.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(within) = within {
                take_back(within, inner);
            }
        }
    }
}

/// Where one is; an id may be a user's name, with anything in it.
fn address<F: Fields>(id: &str) -> String {
    format!("/api/v1/{}/{}", F::PLURAL, encoded(id))
}

/// A text as it stands in an address (RFC 3986, 2.1).
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

/// Which of them: the query that asks for no others.
pub fn filter(category: Option<&str>, series: Option<&str>) -> String {
    let named = |name: &str, id: Option<&str>| {
        id.map(|id| format!("&{name}={}", encoded(id))).unwrap_or_default()
    };
    named("category", category) + &named("series", series)
}

/// Shows all of a kind, page by page.
///
/// # Errors
///
/// The server can't be asked, or whoever sees a page fails.
pub fn pages<F: Fields>(
    server: &ServerArgs,
    filter: &str,
    mut see: impl FnMut(Vec<Value>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/{}?limit=1000{filter}{after}", F::PLURAL);
        let mut page = server.get(&path)?;
        if let Value::Array(objects) = page[F::PLURAL].take() {
            see(objects)?;
        }
        let Some(next) = page["next"].as_str() else { return Ok(()) };
        after = format!("&after={}", encoded(next));
    }
}

fn list<F: Fields>(server: &ServerArgs, filter: &str, json: bool) -> Result<(), Failure> {
    let heads: Vec<_> = F::COLUMNS.iter().map(|(head, _)| *head).collect();
    let mut rows = Vec::new();
    pages::<F>(server, filter, |objects| {
        if json {
            return say(&objects.iter().map(|object| format!("{object}\n")).collect::<String>());
        }
        let row = |object: &Value| {
            F::COLUMNS.iter().map(|(_, field)| cell(field, &object[*field])).collect()
        };
        rows.extend(objects.iter().map(row));
        Ok(())
    })?;
    if json { Ok(()) } else { say(&table(&heads, rows)) }
}

/// An object for people: a field a line.
///
/// # Errors
///
/// Nobody reads it.
pub fn show(object: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return say(&format!("{object:#}\n"));
    }
    let mut text = format!("{}\n", word(&object["id"]));
    for (field, value) in object.as_object().into_iter().flatten() {
        if field != "id" {
            text += &format!("  {:18}  {}\n", printable(field), cell(field, value));
        }
    }
    say(&text)
}

/// A field's value for people.
fn cell(field: &str, value: &Value) -> String {
    match value {
        Value::Array(entries) if entries.is_empty() => "-".to_owned(),
        Value::Array(entries) => entries.iter().map(word).collect::<Vec<_>>().join(","),
        Value::Object(fields) if fields.is_empty() => "-".to_owned(),
        Value::Object(_) => printable(&value.to_string()),
        Value::Number(at) if is_moment(field) => {
            at.as_u64().map_or_else(|| word(value), |at| UnixTime(at).iso())
        }
        value => word(value),
    }
}

/// Whether a number in this field is when something was, or will be.
fn is_moment(field: &str) -> bool {
    matches!(field, "created" | "expires" | "until" | "since" | "seen" | "retired" | "at")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_users_are_one_element_of_an_address() {
        assert_eq!(address::<PlanFields>("gold-2.0"), "/api/v1/plans/gold-2.0");
        assert_eq!(
            address::<SubscriberFields>("a@b?c%é"),
            "/api/v1/subscribers/a%40b%3Fc%25%C3%A9"
        );
    }

    #[test]
    fn a_field_within_another_can_be_taken_back() {
        let mut document = Map::from_iter([("details".to_owned(), json!({ "year": 1999 }))]);
        take_back(&mut document, "details.plot");
        take_back(&mut document, "order");
        let expected = json!({ "details": { "year": 1999, "plot": null }, "order": null });
        assert_eq!(Value::Object(document), expected);
    }

    #[test]
    fn values_are_for_people() {
        assert_eq!(cell("bouquets", &json!(["a", "b"])), "a,b");
        assert_eq!(cell("bouquets", &json!([])), "-");
        assert_eq!(cell("expires", &json!(1_800_000_000)), "2027-01-15T08:00:00Z");
        assert_eq!(cell("expires", &Value::Null), "-");
        assert_eq!(cell("until", &json!(1_800_000_000)), "2027-01-15T08:00:00Z");
        assert_eq!(cell("notes", &json!("a\u{1b}[31m")), "a[31m");
    }
}
