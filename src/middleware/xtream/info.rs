//! One film or one series with all that is said of it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::write::{
    Of, Series, backdrops, container_extension, number, poster, rating, series, sorted,
};
use crate::middleware::content::{Asset, Content, Details, Episode, Held, Set, Shown, Sorts};

#[derive(Serialize)]
struct OfFilm<'c> {
    name: &'c str,
    o_name: &'c str,
    cover_big: String,
    movie_image: String,
    plot: &'c str,
    description: &'c str,
    genre: String,
    director: String,
    actors: String,
    cast: String,
    country: &'c str,
    rating: String,
    age: String,
    release_date: &'c str,
    #[serde(rename = "releasedate")]
    release_date_too: &'c str,
    youtube_trailer: &'c str,
    backdrop_path: Vec<String>,
    duration: String,
    duration_secs: u32,
    video: Nothing,
    audio: Nothing,
    bitrate: u32,
    tmdb_id: String,
}

/// What is not known: an object without fields, as apps expect one.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct OfSeries<'c> {
    seasons: Vec<Value>,
    info: Series<'c>,
    episodes: BTreeMap<String, Vec<Value>>,
}

/// `get_vod_info`. If the set holds no such film, `info` is an empty array, by which apps know.
pub fn film(content: &Content, set: &Set, base: &str, asked: Option<u32>) -> Value {
    let found = asked.and_then(|number| content.asset(number));
    let Some(film) = found.filter(|film| content.holds_asset(set, &film.id)) else {
        return json!({ "info": [], "movie_data": {} });
    };
    json!({ "info": of_film(film, base), "movie_data": data_of(content, film) })
}

fn of_film<'c>(film: &'c Asset, base: &str) -> OfFilm<'c> {
    let details = &film.details;
    let (plot, released) = (
        details.plot.as_deref().unwrap_or_default(),
        details.released.as_deref().unwrap_or_default(),
    );
    let (seconds, cast) = (details.duration_s.unwrap_or(0), details.cast.join(", "));
    OfFilm {
        name: &film.name,
        o_name: details.original_name.as_deref().unwrap_or(&film.name),
        cover_big: poster(base, details),
        movie_image: poster(base, details),
        plot,
        description: plot,
        genre: details.genres.join(", "),
        director: details.directors.join(", "),
        actors: cast.clone(),
        cast,
        country: details.country.as_deref().unwrap_or_default(),
        rating: rating(details),
        age: number(details.age.map(u32::from)),
        release_date: released,
        release_date_too: released,
        youtube_trailer: details.trailer.as_deref().unwrap_or_default(),
        backdrop_path: backdrops(base, details),
        duration: clock(seconds),
        duration_secs: seconds,
        video: Nothing {},
        audio: Nothing {},
        bitrate: 0,
        tmdb_id: number(details.tmdb),
    }
}

fn data_of(content: &Content, film: &Asset) -> Value {
    let sorted = json!(sorted(content, Sorts::Film, &film.categories));
    json!({
        "stream_id": film.number,
        "name": film.name,
        "title": film.name,
        "added": film.details.added.unwrap_or(0).to_string(),
        "category_id": sorted["category_id"],
        "category_ids": sorted["category_ids"],
        "container_extension": container_extension(&film.id),
        "custom_sid": "",
        "direct_source": "",
    })
}

/// `get_series_info`. If the set holds no episode of such a series, it has no name, by which apps
/// know.
pub fn of_series(content: &Content, set: &Set, base: &str, asked: Option<u32>) -> Value {
    let found = asked.and_then(|number| content.series_of_number(number));
    let shown = found.map(|series| Shown {
        series: series.clone(),
        episodes: content.episodes_of(&series.id, set),
    });
    let Some(shown) = shown.filter(|shown| !shown.episodes.is_empty()) else {
        return json!({ "seasons": [], "info": { "name": null }, "episodes": {} });
    };
    let held = Held::default();
    let of = Of { content, held: &held, base };
    let mut seasons: BTreeMap<u16, Vec<&Episode>> = BTreeMap::new();
    for episode in &shown.episodes {
        seasons.entry(episode.season).or_default().push(episode);
    }
    let told = seasons.iter().map(|(season, episodes)| {
        let named = shown.series.seasons.iter().find(|(number, _)| number == season);
        let name = named.map_or_else(|| format!("Season {season}"), |(_, name)| name.to_string());
        json!({
            "id": season,
            "season_number": season,
            "name": name,
            "episode_count": episodes.len(),
            "overview": "",
            "air_date": "",
            "cover": poster(base, &shown.series.details),
            "cover_big": poster(base, &shown.series.details),
        })
    });
    let episodes = seasons.iter().map(|(season, episodes)| {
        let told = episodes.iter().map(|of| episode(content, of, base)).collect();
        (season.to_string(), told)
    });
    let (seasons, episodes) = (told.collect(), episodes.collect());
    json!(OfSeries { seasons, info: series(&of, &shown), episodes })
}

fn episode(content: &Content, episode: &Episode, base: &str) -> Value {
    let asset = content.assets.get(&*episode.asset);
    // What the episode does not say, its asset may.
    let details = |has: fn(&Details) -> bool| match asset {
        Some(asset) if !has(&episode.details) => &asset.details,
        _ => &episode.details,
    };
    let plot = details(|of| of.plot.is_some()).plot.as_deref().unwrap_or_default();
    let seconds = details(|of| of.duration_s.is_some()).duration_s.unwrap_or(0);
    let title = match (&*episode.name, asset) {
        ("", Some(asset)) => &*asset.name,
        ("", None) => &*episode.id,
        (name, _) => name,
    };
    json!({
        "id": episode.number.to_string(),
        "episode_num": episode.episode,
        "season": episode.season,
        "title": title,
        "container_extension": container_extension(&episode.asset),
        "added": details(|of| of.added.is_some()).added.unwrap_or(0).to_string(),
        "custom_sid": "",
        "direct_source": "",
        "info": {
            "duration": clock(seconds),
            "duration_secs": seconds,
            "movie_image": poster(base, details(|of| of.poster.is_some())),
            "plot": plot,
            "overview": plot,
            "release_date": details(|of| of.released.is_some()).released.as_deref().unwrap_or_default(),
            "rating": rating(details(|of| of.rating.is_some())),
            "video": {},
            "audio": {},
            "bitrate": 0,
        },
    })
}

/// Seconds as `HH:MM:SS`.
fn clock(seconds: u32) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
