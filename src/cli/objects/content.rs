//! What can be given of channels, assets, series and episodes on the command line.

use std::fs;
use std::io::Read as _;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::Fields;
use super::details::Details;

/// Where something is shown.
#[derive(Debug, Args, Serialize)]
struct Shelf {
    /// A category that it is in (again for more)
    #[arg(long = "category", value_name = "ID")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    categories: Vec<String>,
    /// Its place: the smallest comes first
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<i32>,
}

/// Of a channel. What each may be is said where the config file's `[[channel]]` is.
#[derive(Debug, Args, Serialize)]
pub struct ChannelFields {
    /// Its name, as people see it [default: its id]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Who may watch: token or open [default: the server's]
    #[arg(long, value_name = "WHO")]
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<String>,
    /// What its playlists list, as 60s
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<String>,
    /// Length of a segment, as 2s [default: what the encoder makes]
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<String>,
    /// Length of a part, as 500ms [default: what the encoder makes]
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    /// How long a missing segment is waited for
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    patience: Option<String>,
    /// What is kept to be watched later, as 7d
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<String>,
    /// best-effort or required
    #[arg(long, value_name = "MODE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_mode: Option<String>,
    /// Most of the disk that it may take, as 500GB
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_size: Option<String>,
    /// An encoder's user, and the file with its password, which is sent (-: stdin) [default: only
    /// this machine may push]
    #[arg(long, value_name = "USER:FILE", value_parser = login)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ingest: Option<Value>,
    /// What ffmpeg reads for it: udp, srt, rtsp, rtmp, http … (again for more, in their order)
    #[arg(long = "input", value_name = "URL")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<String>,
    /// When that is read: always or on-demand
    #[arg(long, value_name = "WHEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    /// What of it is encoded anew: none, audio or all
    #[arg(long, value_name = "WHAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    encode: Option<String>,
    /// How long nobody has watched until it stops
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<String>,
    /// An asset of which it is made, as films/a or 20:15=news (again for more, in their order)
    #[arg(long = "asset", value_name = "ASSET", value_parser = programme)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    playlist: Vec<Value>,
    /// What the times of assets are ahead of UTC, as +01:00
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    utc_offset: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    shelf: Shelf,
    /// Where its logo is
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    logo: Option<String>,
}

impl Fields for ChannelFields {
    const PLURAL: &'static str = "channels";
    const COLUMNS: &'static [(&'static str, &'static str)] =
        &[("CHANNEL", "id"), ("NUMBER", "number"), ("NAME", "name")];
}

/// A user and the password in a file.
fn login(text: &str) -> Result<Value, String> {
    let (user, path) = text.split_once(':').ok_or("write USER:FILE")?;
    let mut password = String::new();
    let read = match path {
        "-" => std::io::stdin().read_to_string(&mut password).map(drop),
        path => fs::read_to_string(path).map(|text| password = text),
    };
    read.map_err(|error| format!("{path}: {error}"))?;
    // As of a password file: a line end at its end is not part of it.
    Ok(json!({ "user": user, "password": password.trim_end_matches(['\r', '\n']) }))
}

/// An asset, maybe with its time of day.
fn programme(text: &str) -> Result<Value, String> {
    Ok(match text.split_once('=') {
        Some((at, asset)) if at.len() == 5 && at.as_bytes()[2] == b':' => {
            json!({ "asset": asset, "at": at })
        }
        _ => text.into(),
    })
}

/// Of an asset.
#[derive(Debug, Args, Serialize)]
pub struct AssetFields {
    /// Its name, as people see it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What it is shown as: film, episode or extra [default: film]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    shelf: Shelf,
    #[command(flatten)]
    #[serde(skip_serializing_if = "Details::is_empty")]
    details: Details,
}

impl Fields for AssetFields {
    const PLURAL: &'static str = "assets";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("ASSET", "id"),
        ("NUMBER", "number"),
        ("FORM", "form"),
        ("CATEGORIES", "categories"),
        ("NAME", "name"),
    ];
}

/// Of a series.
#[derive(Debug, Args, Serialize)]
pub struct SeriesFields {
    /// Its name, as people see it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    shelf: Shelf,
    /// A season that has a name, as 1=The beginning (again for more)
    #[arg(long = "season", value_name = "N=NAME", value_parser = season)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    seasons: Vec<Value>,
    #[command(flatten)]
    #[serde(skip_serializing_if = "Details::is_empty")]
    details: Details,
}

impl Fields for SeriesFields {
    const PLURAL: &'static str = "series";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("SERIES", "id"),
        ("NUMBER", "number"),
        ("CATEGORIES", "categories"),
        ("ORDER", "order"),
        ("NAME", "name"),
    ];
}

/// A season and its name.
fn season(text: &str) -> Result<Value, String> {
    let (season, name) = text.split_once('=').ok_or("write 1=NAME")?;
    let season: u16 = season.parse().map_err(|_| format!("{season:?} is no season"))?;
    Ok(json!({ "season": season, "name": name }))
}

/// Of an episode.
#[derive(Debug, Args, Serialize)]
pub struct EpisodeFields {
    /// Of which series
    #[arg(long = "of", value_name = "SERIES")]
    #[serde(rename = "series", skip_serializing_if = "Option::is_none")]
    of_series: Option<String>,
    /// In which season; 0 = beside them
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    season: Option<u16>,
    /// Its place in the season
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    episode: Option<u16>,
    /// What is played: its path behind /vod/
    #[arg(long, value_name = "ASSET")]
    #[serde(skip_serializing_if = "Option::is_none")]
    asset: Option<String>,
    /// Its name, as people see it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[command(flatten)]
    #[serde(skip_serializing_if = "Details::is_empty")]
    details: Details,
}

impl Fields for EpisodeFields {
    const PLURAL: &'static str = "episodes";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("EPISODE", "id"),
        ("NUMBER", "number"),
        ("SERIES", "series"),
        ("SEASON", "season"),
        ("PLACE", "episode"),
        ("ASSET", "asset"),
        ("NAME", "name"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_what_documents_say() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "open sesame\n").unwrap();
        let said = login(&format!("enc:{}", file.path().display())).unwrap();
        assert_eq!(said, json!({ "user": "enc", "password": "open sesame" }));
        assert!(login("enc").is_err() && login("enc:/nowhere/at/all").is_err());
        assert_eq!(programme("films/a").unwrap(), json!("films/a"));
        assert_eq!(programme("a=b").unwrap(), json!("a=b"));
        assert_eq!(programme("20:15=news").unwrap(), json!({ "asset": "news", "at": "20:15" }));
        assert_eq!(season("1=A = B").unwrap(), json!({ "season": 1, "name": "A = B" }));
        assert!(season("one=A").is_err() && season("1").is_err());
    }
}
