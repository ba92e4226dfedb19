//! Catalogues as the Xtream-compatible API has them. Field by field, types are those that apps
//! crash without: numbers that are strings stay strings.

use serde::Serialize;

use crate::middleware::base::picture;
use crate::middleware::catalogue::Body;
use crate::middleware::catalogue::personal::ACCOUNT;
use crate::middleware::content::{
    Asset, Channel, Content, Details, Held, Shown, Sorts, UNSORTED, Unsorted,
};

/// What is written of.
#[derive(Clone, Copy)]
pub struct Of<'c> {
    /// All that there is.
    pub content: &'c Content,
    /// What the set holds of it.
    pub held: &'c Held,
    /// What addresses begin with.
    pub base: &'c str,
}

const JSON: &str = "application/json";

/// Widths in which pictures are asked for, in pixels: of logos, posters and backdrops.
const LOGO_WIDTH: u32 = 320;
const POSTER_WIDTH: u32 = 640;
const BACKDROP_WIDTH: u32 = 1280;

#[derive(Serialize)]
struct Category<'c> {
    category_id: String,
    category_name: &'c str,
    parent_id: u8,
}

#[derive(Serialize)]
struct Live<'c> {
    num: usize,
    name: &'c str,
    stream_type: &'static str,
    stream_id: u32,
    stream_icon: String,
    epg_channel_id: &'c str,
    added: &'static str,
    is_adult: u8,
    #[serde(flatten)]
    sorted: Sorted,
    custom_sid: &'static str,
    tv_archive: u8,
    direct_source: &'static str,
    tv_archive_duration: u32,
}

#[derive(Serialize)]
pub(super) struct Sorted {
    category_id: String,
    category_ids: Vec<u32>,
}

#[derive(Serialize)]
struct Film<'c> {
    num: u32,
    name: &'c str,
    title: &'c str,
    stream_type: &'static str,
    stream_id: u32,
    stream_icon: String,
    rating: String,
    rating_5based: f64,
    added: String,
    is_adult: u8,
    tmdb: String,
    tmdb_id: String,
    trailer: &'c str,
    youtube_trailer: &'c str,
    plot: &'c str,
    genre: String,
    year: String,
    director: String,
    cast: String,
    release_date: &'c str,
    #[serde(flatten)]
    sorted: Sorted,
    container_extension: &'c str,
    custom_sid: &'static str,
    direct_source: &'static str,
}

/// A series, as lists and `get_series_info` tell it.
#[derive(Serialize)]
pub(super) struct Series<'c> {
    num: u32,
    name: &'c str,
    title: &'c str,
    series_id: u32,
    cover: String,
    plot: &'c str,
    cast: String,
    director: String,
    genre: String,
    release_date: &'c str,
    #[serde(rename = "releaseDate")]
    release_date_too: &'c str,
    last_modified: String,
    rating: String,
    rating_5based: String,
    backdrop_path: Vec<String>,
    youtube_trailer: &'c str,
    episode_run_time: String,
    #[serde(flatten)]
    sorted: Sorted,
    tmdb: String,
}

/// What an asset's address ends with: its own extension if it is a file, else that of a playlist.
#[must_use]
pub fn container_extension(id: &str) -> &str {
    const MEDIA: [&str; 9] = ["mp4", "mkv", "ts", "avi", "mov", "m4v", "webm", "mpg", "m3u8"];
    match id.rsplit_once('.') {
        Some((_, extension)) if MEDIA.contains(&extension) => extension,
        _ => "m3u8",
    }
}

/// Writes the categories of what the set holds.
pub fn categories(of: &Of<'_>, sorts: Sorts, body: &mut Body) -> &'static str {
    let Unsorted { live, films, series } = of.held.unsorted;
    let has_unsorted = match sorts {
        Sorts::Live => live,
        Sorts::Film => films,
        Sorts::Series => series,
    };
    let known = of.held.categories_of(sorts).map(|of| (of.number, &*of.name));
    let all = known.chain(has_unsorted.then_some((UNSORTED, "Other")));
    let told = all.map(|(number, category_name)| {
        let category = Category { category_id: number.to_string(), category_name, parent_id: 0 };
        (number, category)
    });
    array(body, told);
    JSON
}

/// Writes what the set holds of these, or of that what is in one category.
pub fn streams(of: &Of<'_>, sorts: Sorts, category: Option<u32>, body: &mut Body) -> &'static str {
    let is_in = |sorted: &Sorted| category.is_none_or(|of| sorted.category_ids.contains(&of));
    match sorts {
        Sorts::Live => {
            let all = of.held.channels.iter().zip(1..).map(|(one, num)| live(of, one, num));
            array(body, all.filter(|of| is_in(&of.sorted)).map(|of| (of.stream_id, of)));
        }
        Sorts::Film => {
            let all = of.held.films.iter().map(|one| film(of, one));
            array(body, all.filter(|of| is_in(&of.sorted)).map(|of| (of.stream_id, of)));
        }
        Sorts::Series => {
            let all = of.held.series.iter().map(|one| series(of, one));
            array(body, all.filter(|of| is_in(&of.sorted)).map(|of| (of.series_id, of)));
        }
    }
    JSON
}

/// Writes all of an old app's panel: a place for the account, categories, channels by number.
pub fn panel(of: &Of<'_>, body: &mut Body) -> &'static str {
    let text = body.text();
    text.push(b'{');
    text.push(ACCOUNT);
    text.extend(b",\"categories\":{");
    let all = [("live", Sorts::Live), ("movie", Sorts::Film), ("series", Sorts::Series)];
    for (at, (name, sorts)) in all.into_iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        body.text().extend(format!("{comma}\"{name}\":").bytes());
        categories(of, sorts, body);
    }
    body.text().extend(b"},\"available_channels\":{");
    for (channel, num) in of.held.channels.iter().zip(1..) {
        let comma = if num > 1 { "," } else { "" };
        body.text().extend(format!("{comma}\"{}\":", channel.number).bytes());
        json(body, &live(of, channel, num));
    }
    body.text().extend(b"}}");
    JSON
}

fn array<T: Serialize>(body: &mut Body, all: impl Iterator<Item = (u32, T)>) {
    body.text().push(b'[');
    for (at, (number, one)) in all.enumerate() {
        if at > 0 {
            body.text().extend(b",\n");
        }
        json(body, &one);
        body.end_entry(&number.to_le_bytes());
    }
    body.text().push(b']');
}

fn json(body: &mut Body, of: &impl Serialize) {
    serde_json::to_writer(body.text(), of).expect("memory takes everything, and keys are texts");
}

/// Categories of something by their numbers.
pub(super) fn sorted(content: &Content, sorts: Sorts, ids: &[Box<str>]) -> Sorted {
    let number = |id: &str| {
        let found = content.categories.get(id)?;
        (found.sorts == sorts).then_some(found.number)
    };
    let mut category_ids: Vec<_> = ids.iter().filter_map(|id| number(id)).collect();
    if category_ids.is_empty() {
        category_ids.push(UNSORTED);
    }
    Sorted { category_id: category_ids[0].to_string(), category_ids }
}

fn live<'c>(of: &Of<'c>, channel: &'c Channel, num: usize) -> Live<'c> {
    let days = of.held.archive_days(channel);
    Live {
        num,
        name: &channel.name,
        stream_type: "live",
        stream_id: channel.number,
        stream_icon: picture(of.base, channel.logo.as_deref(), LOGO_WIDTH),
        epg_channel_id: &channel.id,
        added: "0",
        is_adult: channel.adult.into(),
        sorted: sorted(of.content, Sorts::Live, &channel.categories),
        custom_sid: "",
        tv_archive: (days > 0).into(),
        direct_source: "",
        tv_archive_duration: days,
    }
}

fn film<'c>(of: &Of<'c>, film: &'c Asset) -> Film<'c> {
    let details = &film.details;
    let trailer = details.trailer.as_deref().unwrap_or_default();
    let tmdb = number(details.tmdb);
    Film {
        num: film.number,
        name: &film.name,
        title: &film.name,
        stream_type: "movie",
        stream_id: film.number,
        stream_icon: poster(of.base, details),
        rating: rating(details),
        rating_5based: stars(details),
        added: details.added.unwrap_or(0).to_string(),
        is_adult: details.adult.into(),
        tmdb_id: tmdb.clone(),
        tmdb,
        trailer,
        youtube_trailer: trailer,
        plot: details.plot.as_deref().unwrap_or_default(),
        genre: details.genres.join(", "),
        year: number(details.year.map(u32::from)),
        director: details.directors.join(", "),
        cast: details.cast.join(", "),
        release_date: details.released.as_deref().unwrap_or_default(),
        sorted: sorted(of.content, Sorts::Film, &film.categories),
        container_extension: container_extension(&film.id),
        custom_sid: "",
        direct_source: "",
    }
}

/// A series as it is listed.
pub(super) fn series<'c>(of: &Of<'c>, shown: &'c Shown) -> Series<'c> {
    let (series, details) = (&*shown.series, &shown.series.details);
    let released = details.released.as_deref().unwrap_or_default();
    let added = shown.episodes.iter().map(|episode| episode.details.added);
    let modified = added.chain([details.added]).flatten().max().unwrap_or(0);
    Series {
        num: series.number,
        name: &series.name,
        title: &series.name,
        series_id: series.number,
        cover: poster(of.base, details),
        plot: details.plot.as_deref().unwrap_or_default(),
        cast: details.cast.join(", "),
        director: details.directors.join(", "),
        genre: details.genres.join(", "),
        release_date: released,
        release_date_too: released,
        last_modified: modified.to_string(),
        rating: rating(details),
        rating_5based: stars(details).to_string(),
        backdrop_path: backdrops(of.base, details),
        youtube_trailer: details.trailer.as_deref().unwrap_or_default(),
        episode_run_time: number(details.duration_s.map(|seconds| seconds / 60)),
        sorted: sorted(of.content, Sorts::Series, &series.categories),
        tmdb: number(details.tmdb),
    }
}

/// A number as text; nothing if there is none.
pub(super) fn number(of: Option<u32>) -> String {
    of.map(|number| number.to_string()).unwrap_or_default()
}

/// How good it is, from 0 to 10, to one place.
pub(super) fn rating(details: &Details) -> String {
    details.rating.map(|rating| format!("{rating:.1}")).unwrap_or_default()
}

/// The same from 0 to 5.
fn stars(details: &Details) -> f64 {
    details.rating.map_or(0.0, |rating| (f64::from(rating) * 5.0).round() / 10.0)
}

/// Where its picture is; nothing if it has none.
pub(super) fn poster(base: &str, details: &Details) -> String {
    picture(base, details.poster.as_deref(), POSTER_WIDTH)
}

/// Where its wide pictures are.
pub(super) fn backdrops(base: &str, details: &Details) -> Vec<String> {
    details.backdrops.iter().map(|of| picture(base, Some(of), BACKDROP_WIDTH)).collect()
}

/// Where a channel's logo is.
#[must_use]
pub fn logo(base: &str, channel: &Channel) -> String {
    picture(base, channel.logo.as_deref(), LOGO_WIDTH)
}

/// Where a film's picture is.
#[must_use]
pub fn cover(base: &str, details: &Details) -> String {
    poster(base, details)
}
