//! What documents of channels, assets, series and episodes say.
//!
//! A channel's has the keys of `[[channel]]` in the config, and is read by the code that reads the
//! file (`config::file::document`). A channel of the file has an object as well, which holds its
//! number and how it is shown; the server writes it, and nobody else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::details::{self, Details};
use super::{Checked, id, list, read, text, to, whole};
use crate::config::file::document;
use crate::config::sources::{CATEGORIES_MAX, SEASONS_MAX};
use crate::config::{IMPORTED_FIELDS_MAX, NAME_SIZE_MAX, values};
use crate::control::registry::{Kind, Reference};

/// Something in the libraries. Its id is its path below `/vod/`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asset {
    /// As people see it.
    name: String,
    #[serde(default)]
    form: Form,
    #[serde(default)]
    categories: Vec<String>,
    /// Assets are shown by this, the smallest first, and then by their names.
    #[serde(default)]
    order: i32,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Details>)]
    details: Option<Value>,
    /// Whether it is in no library any more: whoever watches is not shown it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    missing: bool,
    /// What was last put into which field from the libraries, as digests: what says something else
    /// is an operator's, and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imported: Option<BTreeMap<String, String>>,
}

/// What an asset is shown as.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = AssetForm)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// By itself.
    #[default]
    Film,
    /// As an episode of a series, which says so.
    Episode,
    /// Not by itself: a trailer, a slate, what a channel is made of.
    Extra,
}

/// Episodes that belong together.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Series {
    /// As people see it.
    name: String,
    #[serde(default)]
    categories: Vec<String>,
    /// Series are shown by this, the smallest first, and then by their names.
    #[serde(default)]
    order: i32,
    /// Seasons that have a name of their own.
    #[serde(default)]
    seasons: Vec<Season>,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Details>)]
    details: Option<Value>,
    /// Whether it is in no library any more: whoever watches is not shown it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    missing: bool,
    /// What was last put into which field from the libraries, as digests: what says something else
    /// is an operator's, and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imported: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Season {
    season: u16,
    name: String,
}

/// An episode.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Episode {
    /// Of which series.
    series: String,
    /// In which season; 0 = beside them.
    season: u16,
    /// Its place in the season.
    episode: u16,
    /// What is played: a path below `/vod/`.
    asset: String,
    /// As people see it.
    #[serde(default)]
    name: String,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Details>)]
    details: Option<Value>,
    /// Whether it is in no library any more: whoever watches is not shown it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    missing: bool,
    /// What was last put into which field from the libraries, as digests: what says something else
    /// is an operator's, and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imported: Option<BTreeMap<String, String>>,
}

/// A channel: the keys of `[[channel]]` in the config, which says what each may be. What is told of
/// one has, besides, how it is: `input`, `segment_ms`, `part_ms`, `window_ms`, `chunks`,
/// `last_error`, `ffmpeg`, `renditions`; and where the config file names it, `file`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for its schema; the code that reads the config reads these")]
pub(super) struct Channel {
    /// As people see it.
    name: Option<String>,
    /// Who may watch: `token` or `open`.
    access: Option<String>,
    /// How much live playlists list, as `60s`.
    window: Option<String>,
    /// Length of a segment.
    segment: Option<String>,
    /// Length of a part of one.
    part: Option<String>,
    /// How long it is waited for an encoder that is late.
    patience: Option<String>,
    /// How long what was is kept, as `7d`.
    archive: Option<String>,
    /// Whether an encoder hears of success only when that is on the disk.
    archive_mode: Option<String>,
    /// Where it is from, the first that works: `url`s.
    #[schema(value_type = Option<Vec<Object>>)]
    inputs: Option<Vec<serde_json::Map<String, Value>>>,
    /// Whether inputs are read `always`, or `on-demand`.
    start: Option<String>,
    /// What is encoded anew of inputs: `none`, `audio` or `all`.
    encode: Option<String>,
    /// How long nobody has watched until inputs are read no more.
    idle: Option<String>,
    /// Who may push it: `user` and `password`.
    #[schema(value_type = Option<Object>)]
    ingest: Option<Value>,
    /// Assets of which it is made: paths, or objects of `asset` and `at`.
    #[schema(value_type = Option<Vec<Value>>)]
    playlist: Option<Vec<Value>>,
    /// What the times of assets are ahead of UTC, as `+01:00`.
    utc_offset: Option<String>,
    /// Encoders in an order: objects of `name`, `user` and `password`.
    #[schema(value_type = Option<Vec<Object>>)]
    source: Option<Vec<Value>>,
    /// Categories that it is in.
    categories: Option<Vec<String>>,
    /// Channels are shown by this, the smallest first, and then by their names.
    order: Option<i32>,
    /// Its picture: an address, or `img:ID` for one that is stored here.
    logo: Option<String>,
}

/// A channel of the config file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    in_file: bool,
    name: String,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    order: i32,
    #[serde(default)]
    logo: Option<String>,
}

/// Whether a channel's document is of one that the config file names.
pub fn is_in_file(document: &Value) -> bool {
    document["in_file"] == true
}

/// See `documents::checked`.
pub(super) fn checked(kind: Kind, document: Value) -> Result<Checked, String> {
    match kind {
        Kind::Asset => {
            let mut asset: Asset = read(document)?;
            asset.details = details::checked(asset.details.take())?;
            imported(asset.imported.as_ref())?;
            text("name", &asset.name, 1)?;
            let references = categories(&asset.categories)?;
            whole(&asset, references)
        }
        Kind::Series => {
            let mut series: Series = read(document)?;
            series.details = details::checked(series.details.take())?;
            imported(series.imported.as_ref())?;
            text("name", &series.name, 1)?;
            if series.seasons.len() > SEASONS_MAX {
                return Err(format!("seasons: it has more than {SEASONS_MAX} entries"));
            }
            let mut seen = BTreeSet::new();
            for (index, season) in series.seasons.iter().enumerate() {
                text(&format!("seasons[{index}].name"), &season.name, 1)?;
                if !seen.insert(season.season) {
                    return Err(format!("seasons[{index}]: {} stands there twice", season.season));
                }
            }
            let references = categories(&series.categories)?;
            whole(&series, references)
        }
        Kind::Episode => {
            let mut episode: Episode = read(document)?;
            episode.details = details::checked(episode.details.take())?;
            imported(episode.imported.as_ref())?;
            id(Kind::Series, &episode.series).map_err(|why| format!("series: {why}"))?;
            values::asset_path(&episode.asset).map_err(|why| format!("asset: {why}"))?;
            text("name", &episode.name, 0)?;
            let references = vec![to(Kind::Series, &episode.series)];
            whole(&episode, references)
        }
        _ if is_in_file(&document) => {
            let channel: InFile = read(document)?;
            text("name", &channel.name, 1)?;
            let references = categories(&channel.categories)?;
            whole(&channel, references)
        }
        _ => channel(document),
    }
}

/// Digests of fields: short, and of so many.
fn imported(fields: Option<&BTreeMap<String, String>>) -> Result<(), String> {
    let Some(fields) = fields else { return Ok(()) };
    if fields.len() > IMPORTED_FIELDS_MAX {
        return Err(format!("imported: it has more than {IMPORTED_FIELDS_MAX} entries"));
    }
    let mut entries = fields.iter().flat_map(|(field, digest)| [field, digest]);
    entries.try_for_each(|one| match one.len() {
        0..=NAME_SIZE_MAX => text("imported", one, 0),
        _ => Err(format!("imported: one of it has more than {NAME_SIZE_MAX} bytes")),
    })
}

/// A channel that runs.
fn channel(document: Value) -> Result<Checked, String> {
    let Value::Object(mut document) = document else {
        return Err("it is to be an object: { … }".to_owned());
    };
    document.retain(|_, value| !value.is_null());
    // What it is called where it says nothing is its id, which is not known here.
    let channel = document::channel("channel", &document)?;
    text("name", &channel.name, 1)?;
    let references = categories(&channel.shelf.categories)?;
    document.entry("categories").or_insert_with(|| json!([]));
    document.entry("order").or_insert_with(|| json!(0));
    Ok(Checked { document: Value::Object(document), references })
}

/// Categories that an object is in.
fn categories(ids: &[String]) -> Result<Vec<Reference>, String> {
    if ids.len() > CATEGORIES_MAX {
        return Err(format!("categories: it has more than {CATEGORIES_MAX} entries"));
    }
    list("categories", ids, |one| id(Kind::Category, one))?;
    Ok(ids.iter().map(|id| to(Kind::Category, id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, document: Value, expected: Result<Value, &str>) {
        let checked = super::checked(kind, document.clone()).map(|checked| checked.document);
        assert_eq!(checked, expected.map_err(str::to_owned), "{document}");
    }

    #[test]
    fn assets_series_and_episodes_come_out_whole() {
        check(
            Kind::Asset,
            json!({ "name": "A" }),
            Ok(json!({ "name": "A", "form": "film", "categories": [], "order": 0 })),
        );
        check(
            Kind::Series,
            json!({ "name": "S", "seasons": [{ "season": 1, "name": "First" }] }),
            Ok(json!({
                "name": "S", "categories": [], "order": 0,
                "seasons": [{ "season": 1, "name": "First" }],
            })),
        );
        check(
            Kind::Episode,
            json!({ "series": "s", "season": 1, "episode": 2, "asset": "s/1/2" }),
            Ok(json!({ "series": "s", "season": 1, "episode": 2, "asset": "s/1/2", "name": "" })),
        );
        check(
            Kind::Channel,
            json!({ "window": "60s", "archive": null }),
            Ok(json!({ "window": "60s", "categories": [], "order": 0 })),
        );
    }

    #[test]
    fn what_is_spoken_of_is_named_for_the_registry() {
        let references = |kind, document| super::checked(kind, document).unwrap().references;
        let drama = [to(Kind::Category, "drama")];
        assert_eq!(references(Kind::Asset, json!({ "name": "A", "categories": ["drama"] })), drama);
        assert_eq!(references(Kind::Channel, json!({ "categories": ["drama"] })), drama);
        let of_file = json!({ "in_file": true, "name": "N", "categories": ["drama"] });
        assert_eq!(references(Kind::Channel, of_file), drama);
        let episode = json!({ "series": "s", "season": 0, "episode": 1, "asset": "a" });
        assert_eq!(references(Kind::Episode, episode), [to(Kind::Series, "s")]);
    }

    #[test]
    fn what_is_wrong_with_content_is_named() {
        let no_asset = "\"../a\" is no asset (write what stands behind /vod/, such as \"films/a\")";
        let no_asset = format!("asset: {no_asset}");
        for (kind, document, why) in [
            (Kind::Asset, json!({}), "missing field `name`"),
            (Kind::Asset, json!({ "name": " " }), "name: it is empty"),
            (
                Kind::Asset,
                json!({ "name": "A", "categories": ["a", "a"] }),
                "categories[1]: \"a\" stands there twice",
            ),
            (
                Kind::Series,
                json!({ "name": "S", "seasons": [{ "season": 1, "name": "a" }, { "season": 1, "name": "b" }] }),
                "seasons[1]: 1 stands there twice",
            ),
            (
                Kind::Episode,
                json!({ "series": "s", "season": 1, "episode": 1, "asset": "../a" }),
                no_asset.as_str(),
            ),
            (
                Kind::Channel,
                json!({ "folder": "/etc" }),
                "folder: names a file, which only the config file may",
            ),
            (
                Kind::Channel,
                json!({ "in_file": true, "name": "N", "window": "60s" }),
                "unknown field `window`, expected one of `in_file`, `name`, `categories`, `order`, `logo`",
            ),
        ] {
            check(kind, document, Err(why));
        }
        for id in ["", "/a", "a/", "a//b", "a/../b", "a\u{0}", "a\\b"] {
            assert!(values::asset_path(id).is_err(), "{id}");
        }
        assert!(values::asset_path("films/Der Film (1999)/ä.pack").is_ok());
    }
}
