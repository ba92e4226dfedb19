//! Catalogues over a registry that changes.

use std::io::Read as _;
use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::control::registry::Kind;
use crate::messages::{Index, Payload};
use crate::middleware::fixture;

struct Place {
    registry: Registry,
    catalogue: Catalogue,
    runtime: tokio::runtime::Runtime,
    _state: tempfile::TempDir,
}

impl Place {
    fn new(memory: usize) -> Self {
        let state = tempfile::tempdir().unwrap();
        let registry = Registry::open(state.path()).unwrap();
        fixture::fill(&registry);
        let mut config = Config::default();
        config.apps.memory = memory;
        let catalogue =
            Catalogue::start(registry.clone(), Guide::new(state.path()), &config).unwrap();
        Self {
            registry,
            catalogue,
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
            _state: state,
        }
    }

    fn content(&self) -> Arc<Content> {
        self.runtime.block_on(self.catalogue.content(Some("all"))).unwrap()
    }

    fn wanted(&self, what: What) -> Wanted {
        Wanted { set: self.content().set_of("all"), base: "http://tv".into(), what }
    }

    fn object(&self, what: What) -> Arc<Opened> {
        self.runtime.block_on(self.catalogue.object(self.wanted(what))).unwrap()
    }

    fn json(&self, what: What) -> Value {
        serde_json::from_slice(&bytes(&self.object(what))).unwrap()
    }
}

fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "it takes too long");
        std::thread::yield_now();
    }
}

/// The plain bytes, which the gzipped ones are held against.
fn bytes(opened: &Opened) -> Vec<u8> {
    let Index::Single(single) = &opened.index else { panic!("one object") };
    let part = |extent: crate::units::Extent| {
        let (from, size) = (extent.offset as usize, extent.size as usize);
        match &opened.payload {
            Payload::Heap(bytes) => bytes[from..from + size].to_vec(),
            Payload::File(file) => {
                use std::os::unix::fs::FileExt as _;
                let file = std::fs::File::from(file.fd.try_clone().unwrap());
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, extent.offset).unwrap();
                bytes
            }
            Payload::Reel(_) => panic!("a catalogue lies in memory"),
        }
    };
    let plain = part(single.identity.extent);
    if let Some(gzip) = single.gzip {
        let mut read = Vec::new();
        let gzip = part(gzip.extent);
        flate2::bufread::GzDecoder::new(&*gzip).read_to_end(&mut read).unwrap();
        assert!(read == plain);
    }
    plain
}

#[test]
fn a_catalogue_is_made_once_and_anew_with_a_change() {
    let place = Place::new(1 << 30);
    let films = What::Streams(Sorts::Film, None);
    let first = place.object(films);
    assert!(Arc::ptr_eq(&first, &place.object(films)), "nothing has changed");
    let names = |of: &Value| -> Vec<String> {
        of.as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&place.json(films)), ["A Film", "Bare"]);
    fixture::write(
        &place.registry,
        vec![(Kind::Asset, "films/b", Some(json!({ "name": "Dressed" })))],
    );
    until(|| names(&place.json(films)) == ["A Film", "Dressed"]);
    // Of what has not changed the bytes are the same, and so is the tag.
    let tag = |of: &Opened| {
        let Index::Single(single) = &of.index else { panic!("one object") };
        single.identity.etag
    };
    let live = place.object(What::Streams(Sorts::Live, None));
    fixture::write(&place.registry, vec![(Kind::Asset, "films/b", None)]);
    until(|| place.json(films).as_array().unwrap().len() == 1);
    assert_eq!(tag(&live), tag(&place.object(What::Streams(Sorts::Live, None))));
}

/// The long form (`SHARDCAST_FULL`) has 100,000 films, and says what they cost.
#[test]
fn large_catalogues_lie_where_they_are_sent_from_without_a_copy() {
    let count = if std::env::var_os("SHARDCAST_FULL").is_some() { 100_000 } else { 2_000 };
    let place = Place::new(1 << 30);
    let plot = "Somebody goes home, and finds that it is somebody else's. ".repeat(5);
    let film = |number: usize| {
        let details = json!({
            "plot": plot, "genres": ["Drama", "War"], "cast": ["A. Player", "B. Player"], "year": 2000,
            "rating": 7.1, "poster": format!("https://pictures.example/{number}.jpg"), "tmdb": number,
        });
        let name = format!("Film {number}");
        let document = json!({ "name": name, "categories": ["drama"], "details": details });
        (Kind::Asset, format!("films/many/{number:06}"), document)
    };
    for first in (0..count).step_by(1_000) {
        let films: Vec<_> = (first..first + 1_000).map(film).collect();
        let objects = films.iter().map(|(kind, id, of)| (*kind, &**id, Some(of.clone()))).collect();
        fixture::write(&place.registry, objects);
    }
    let (films, before) = (What::Streams(Sorts::Film, None), memory_kib());
    let began = Instant::now();
    let mut reader = Reader::new(place.registry.clone(), &[]);
    reader.follow().unwrap();
    eprintln!("{count} films read in {:?}: {} KiB", began.elapsed(), memory_kib() - before);
    until(|| place.json(films).as_array().unwrap().len() == count + 2);
    let object = place.object(films);
    assert!(matches!(object.payload, Payload::File(_)));
    let began = Instant::now();
    let changed = json!({ "name": "Changed", "categories": ["drama"] });
    fixture::write(&place.registry, vec![(Kind::Asset, "films/many/000077", Some(changed))]);
    until(|| !Arc::ptr_eq(&object, &place.object(films)));
    eprintln!("a change is seen after {:?}", began.elapsed());
    let drama = place.content().categories["drama"].number;
    let of_drama = place.json(What::Streams(Sorts::Film, Some(drama)));
    assert_eq!(of_drama.as_array().unwrap().len(), count + 1);
}

fn memory_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn what_finds_no_room_is_made_again_for_whoever_asks() {
    let place = Place::new(1);
    let (films, live) = (What::Streams(Sorts::Film, None), What::Streams(Sorts::Live, None));
    let first = place.object(films);
    assert_eq!(place.json(live).as_array().unwrap().len(), 2);
    assert!(!Arc::ptr_eq(&first, &place.object(films)), "there was room for one");
    assert_eq!(bytes(&first), bytes(&place.object(films)));
}

#[test]
fn a_list_is_filled_with_its_subscribers_addresses() {
    let place = Place::new(1 << 30);
    let list = |user: &str| {
        let fillings = Fillings {
            in_path: list::in_path(user, "secret"),
            in_query: list::in_query(user, "secret"),
            account: String::new(),
        };
        let wanted = place.wanted(What::List(List::default()));
        let object = place.runtime.block_on(place.catalogue.personal(wanted, fillings)).unwrap();
        String::from_utf8(bytes(&object)).unwrap()
    };
    let (anna, ben) = (list("anna"), list("ben"));
    assert!(anna.contains("http://tv/live/anna/secret/") && !anna.contains("ben"));
    assert_eq!(anna.replace("anna", "ben"), ben);
}

#[test]
fn fields_have_what_the_registry_says_of_a_film() {
    let place = Place::new(1 << 30);
    let film = &place.json(What::Streams(Sorts::Film, None))[0];
    for (field, expected) in [
        ("rating", json!("7.4")),
        ("rating_5based", json!(3.7)),
        ("added", json!("1700000000")),
        ("is_adult", json!(1)),
        ("tmdb", json!("603")),
        ("year", json!("2024")),
        ("genre", json!("Drama, War")),
        ("container_extension", json!("mp4")),
        ("stream_icon", json!("https://pictures.example/p.jpg")),
        ("release_date", json!("2024-02-29")),
        ("plot", json!("Somebody \"goes\" home.")),
    ] {
        assert_eq!(film[field], expected, "{field}");
    }
    let series = &place.json(What::Streams(Sorts::Series, None))[0];
    assert_eq!((&series["name"], &series["rating_5based"]), (&json!("Serial"), &json!("0")));
    let categories = place.json(What::Categories(Sorts::Live));
    let names: Vec<_> =
        categories.as_array().unwrap().iter().map(|of| &of["category_name"]).collect();
    assert_eq!(names, ["News", "World; all", "Other"]);
}
