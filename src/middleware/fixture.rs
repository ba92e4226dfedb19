//! A small registry's content, for tests of what is written of it.

use std::sync::Arc;

use serde_json::json;

use super::content::{Channel, Content, Reader};
use crate::control::audit::Act;
use crate::control::registry::{Expected, Kind, Registry, Write};
use crate::units::UnixTime;

/// Writes objects into a registry.
pub fn write(registry: &Registry, objects: Vec<(Kind, &str, Option<serde_json::Value>)>) {
    let write = |(kind, id, document): (Kind, &str, Option<serde_json::Value>)| Write {
        kind,
        id: id.to_owned(),
        expected: Expected::Anything,
        document,
        number: None,
        references: Vec::new(),
    };
    let writes: Vec<_> = objects.into_iter().map(write).collect();
    let act = Act::server(UnixTime(1_800_000_000));
    registry.ask_now(move |store| store.commit(&act, &writes)).unwrap().unwrap();
}

/// Two channels, of which one has a past, two films, and a series of one episode, in a plan `all`.
pub fn fill(registry: &Registry) {
    let some = |kind, id, document| (kind, id, Some(document));
    write(
        registry,
        vec![
            some(Kind::Category, "news", json!({ "sorts": "live", "name": "News" })),
            some(Kind::Category, "world", json!({ "sorts": "live", "name": "World; all" })),
            some(Kind::Category, "drama", json!({ "sorts": "film", "name": "Drama" })),
            some(Kind::Category, "serials", json!({ "sorts": "series", "name": "Serials" })),
            some(
                Kind::Channel,
                "news",
                json!({
                    "name": "The \"News\"\n#EXTINF, live", "archive": "36h", "logo": "img:logo",
                    "categories": ["news", "world", "drama"],
                }),
            ),
            some(Kind::Channel, "sport", json!({ "name": "Sport" })),
            some(
                Kind::Asset,
                "films/a.mp4",
                json!({
                    "name": "A Film", "categories": ["drama"],
                    "details": {
                        "plot": "Somebody \"goes\" home.", "original_name": "Ein Film", "genres": ["Drama", "War"],
                        "cast": ["A", "B"], "directors": ["C"], "country": "NL", "year": 2024,
                        "released": "2024-02-29", "rating": 7.44, "age": 16, "duration_s": 5405,
                        "trailer": "abc", "tmdb": 603, "imdb": "tt0133093",
                        "poster": "https://pictures.example/p.jpg", "backdrops": ["img:wide"],
                        "adult": true, "added": 1_700_000_000,
                    },
                }),
            ),
            some(Kind::Asset, "films/b", json!({ "name": "Bare" })),
            some(Kind::Asset, "s/2", json!({ "name": "Second", "form": "episode" })),
            some(
                Kind::Series,
                "serial",
                json!({
                    "name": "Serial", "categories": ["serials"], "seasons": [{ "season": 1, "name": "One" }],
                }),
            ),
            some(
                Kind::Episode,
                "serial-2",
                json!({
                    "series": "serial", "season": 1, "episode": 2, "asset": "s/2", "name": "Second",
                }),
            ),
            some(
                Kind::Bouquet,
                "all",
                json!({
                    "content": ["tv/news", "tv/sport", "vod/films", "vod/s"],
                }),
            ),
            some(Kind::Plan, "all", json!({ "bouquets": ["all"], "catch_up_days": 7 })),
            some(Kind::Plan, "empty", json!({ "bouquets": [] })),
        ],
    );
}

/// The content of it.
pub fn content() -> Content {
    let state = tempfile::tempdir().unwrap();
    let registry = Registry::open(state.path()).unwrap();
    fill(&registry);
    let mut reader = Reader::new(registry, &[]);
    reader.follow().unwrap();
    Arc::unwrap_or_clone(Arc::clone(reader.content()))
}

/// The same channel, to be changed.
pub fn copied(channel: &Channel) -> Channel {
    Channel {
        number: channel.number,
        id: Arc::clone(&channel.id),
        name: channel.name.clone(),
        logo: channel.logo.clone(),
        categories: channel.categories.clone(),
        order: channel.order,
        archive_days: channel.archive_days,
        access: channel.access,
        adult: channel.adult,
    }
}
