//! Reading a registry that changes, and what sets hold of it.

use serde_json::{Value, json};

use super::*;
use crate::control::audit::Act;
use crate::control::registry::{Expected, Kind, Registry, Write};
use crate::units::UnixTime;

struct Place {
    registry: Registry,
    reader: Reader,
    _state: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let registry = Registry::open(state.path()).unwrap();
        let reader = Reader::new(registry.clone(), &[]);
        Self { registry, reader, _state: state }
    }

    fn write(&self, kind: Kind, id: &str, document: impl Into<Option<Value>>) {
        let (expected, number, references) = (Expected::Anything, None, Vec::new());
        let (id, document) = (id.to_owned(), document.into());
        let write = Write { kind, id, expected, document, number, references };
        let act = Act::server(UnixTime(1_800_000_000));
        self.registry.ask_now(move |store| store.commit(&act, &[write])).unwrap().unwrap();
    }

    /// What the plan holds: ids of channels, films, and series with their episodes.
    #[track_caller]
    fn check(&mut self, plan: &str, expected: &str) {
        self.reader.follow().unwrap();
        let content = self.reader.content();
        let held = content.held(&content.set_of(plan));
        let channels = held.channels.iter().map(|of| of.id.to_string());
        let films = held.films.iter().map(|of| of.id.to_string());
        let series = held.series.iter().map(|of| {
            let episodes: Vec<_> = of.episodes.iter().map(|of| &*of.id).collect();
            format!("{}({})", of.series.id, episodes.join(" "))
        });
        let categories = held.categories.iter().map(|of| format!("#{}", of.id));
        let all: Vec<_> = channels.chain(films).chain(series).chain(categories).collect();
        assert_eq!(all.join(" "), expected);
        // Whoever reads all of it at once knows the same.
        let mut anew = Reader::new(self.registry.clone(), &[]);
        anew.follow().unwrap();
        assert!(anew.content() == content, "{:?}", anew.content());
    }
}

/// A plan of two bouquets with a bit of everything.
fn place() -> Place {
    let place = Place::new();
    let named = |name: &str| json!({ "name": name, "sorts": "live" });
    place.write(Kind::Category, "news", named("News"));
    place.write(Kind::Category, "unused", named("Unused"));
    place.write(Kind::Channel, "one", json!({ "categories": ["news"], "archive": "36h" }));
    place.write(Kind::Channel, "two", json!({ "name": "Two", "order": -1 }));
    place.write(Kind::Channel, "three", json!({ "name": "Three" }));
    place.write(Kind::Asset, "films/b", json!({ "name": "B" }));
    place.write(Kind::Asset, "films/a", json!({ "name": "C", "details": { "year": 1999 } }));
    place.write(Kind::Asset, "films2/a", json!({ "name": "Elsewhere" }));
    place.write(Kind::Asset, "films/x", json!({ "name": "Trailer", "form": "extra" }));
    place.write(Kind::Asset, "s/2", json!({ "name": "Second", "form": "episode" }));
    place.write(Kind::Asset, "s/1", json!({ "name": "First", "form": "episode" }));
    place.write(Kind::Series, "s", json!({ "name": "S" }));
    place.write(Kind::Series, "empty", json!({ "name": "Empty" }));
    let episode =
        |n: u16| json!({ "series": "s", "season": 1, "episode": n, "asset": format!("s/{n}") });
    place.write(Kind::Episode, "e-2", episode(2));
    place.write(Kind::Episode, "z-1", episode(1));
    place.write(
        Kind::Bouquet,
        "tv",
        json!({ "content": ["tv/three", "tv/one", "tv/two", "tv/gone"] }),
    );
    place.write(Kind::Bouquet, "vod", json!({ "content": ["vod/films", "vod/s", "tv/one"] }));
    place.write(Kind::Plan, "all", json!({ "bouquets": ["tv", "vod"], "catch_up_days": 1 }));
    place
}

#[test]
fn a_set_holds_what_its_bouquets_name_in_their_order() {
    let mut place = place();
    place.check("all", "two three one films/b films/a s(z-1 e-2) #news");
    place.check("none", "");
    let content = place.reader.content();
    let set = content.set_of("all");
    for (id, expected) in [("one", true), ("gone", true), ("four", false)] {
        assert_eq!(content.holds_channel(&set, id), expected, "{id}");
    }
    for (id, expected) in [("films/a", true), ("films", true), ("films2/a", false), ("t", false)] {
        assert_eq!(content.holds_asset(&set, id), expected, "{id}");
    }
    let held = content.held(&set);
    let one = held.channels.iter().find(|channel| &*channel.id == "one").unwrap();
    assert_eq!((one.archive_days, held.archive_days(one)), (2, 1));
    assert_eq!(held.unsorted, Unsorted { live: true, films: true, series: true });
    assert_eq!(content.channel(one.number).map(|of| &*of.id), Some("one"));
    assert_eq!(held.films[1].details.year, Some(1999));
}

#[test]
fn what_has_changed_is_followed_and_other_editions_stay_as_they_are() {
    let mut place = place();
    place.reader.follow().unwrap();
    assert!(!place.reader.follow().unwrap(), "nothing has changed");
    let before = Arc::clone(place.reader.content());
    place.write(Kind::Asset, "films/a", json!({ "name": "A" }));
    place.write(Kind::Channel, "two", None);
    place.write(Kind::Episode, "e-2", None);
    place.write(Kind::Subscriber, "anna", json!({}));
    place.check("all", "three one films/a films/b s(z-1) #news");
    assert_eq!(before.held(&before.set_of("all")).channels.len(), 3);
    place.write(Kind::Subscriber, "anna", json!({ "plan": "all" }));
    assert!(!place.reader.follow().unwrap(), "what is not shown is no change");
    place.write(Kind::Bouquet, "vod", None);
    place.check("all", "three one #news");
}

#[test]
fn what_can_not_be_read_is_not_shown_and_holds_up_nothing() {
    let mut place = place();
    place.write(Kind::Channel, "three", json!({ "name": 3 }));
    place.write(Kind::Asset, "films/b", json!("B"));
    place.write(Kind::Asset, "films/a", json!({ "name": "A", "details": { "year": "long ago" } }));
    place.write(Kind::Category, "news", json!({ "name": "News" }));
    place.check("all", "two one films/a s(z-1 e-2)");
}

#[test]
fn of_a_channel_of_the_config_file_the_file_says_how_it_is_kept() {
    let mut place = place();
    place.write(Kind::Channel, "one", json!({ "in_file": true, "name": "One" }));
    let mut channel = crate::config::Channel {
        id: "one".to_owned(),
        name: "One".to_owned(),
        access: Some(Access::Open),
        window_ms: 60_000,
        segment_ms: None,
        part_ms: None,
        patience_ms: None,
        archive: None,
        push: None,
        sources: Default::default(),
        shelf: Default::default(),
    };
    place.reader.take_channels(std::slice::from_ref(&channel));
    assert!(place.reader.follow().unwrap());
    let one = |place: &Place| Arc::clone(&place.reader.content().channels["one"]);
    assert_eq!((one(&place).archive_days, one(&place).access), (0, Some(Access::Open)));
    channel.archive =
        Some(crate::config::Archive { age_ms: 1, is_required: false, size_max: None });
    place.reader.take_channels(&[channel]);
    assert!(place.reader.follow().unwrap());
    assert_eq!(one(&place).archive_days, 1);
}
