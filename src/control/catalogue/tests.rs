//! A catalogue of folders that change under it.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::units::UnixTime;

struct Place {
    folder: TempDir,
    maker: Maker,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&folder.path().join("state")).unwrap();
        let pictures = Pictures::start(&folder.path().join("state"), Vec::new()).unwrap();
        let path = folder.path().join("vod");
        fs::create_dir(&path).unwrap();
        let libraries = (vec![Library { path, access: None }], Access::Open);
        let act = Act::server(UnixTime(7));
        let pictures = Some(pictures);
        Self { folder, maker: Maker { registry, pictures, libraries, act, is_dry: false } }
    }

    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.folder.path().join("vod").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join("vod").join(path)).unwrap();
    }

    /// What became of each that is not as it was.
    #[track_caller]
    fn made(&self) -> Vec<String> {
        let report = made(&self.maker, None).unwrap();
        let word = |line: &Line| {
            let notes = line.notes.join("; ");
            format!("{:?} {} {} {notes}", line.result, line.kind, line.id).trim_end().to_owned()
        };
        report.lines.iter().map(word).collect()
    }

    fn object(&self, kind: Kind, id: &str) -> Object {
        let id = id.to_owned();
        self.maker.registry.ask_now(move |store| store.object(kind, &id)).unwrap().unwrap().unwrap()
    }

    /// An operator's edit.
    fn edit(&self, kind: Kind, id: &str, key: &str, value: Value) {
        let Object { id, mut document, .. } = self.object(kind, id);
        document[key] = value;
        let Checked { document, references } = documents::checked(kind, document).unwrap();
        let (expected, document) = (Expected::Anything, Some(document));
        let write = Write { kind, id, expected, document, number: None, references };
        let act = self.maker.act.clone();
        self.maker.registry.ask_now(move |store| store.commit(&act, &[write])).unwrap().unwrap();
    }
}

fn poster(red: u8) -> Vec<u8> {
    let pixels = image::ImageBuffer::from_pixel(20, 30, image::Rgb([red, 0, 0]));
    let mut file = std::io::Cursor::new(Vec::new());
    let picture = image::DynamicImage::from(pixels);
    picture.write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

#[test]
fn films_are_made_refreshed_marked_and_found_again() {
    let place = Place::new();
    let film = "films/The Matrix (1999)/The Matrix (1999).mkv";
    place.put(film, "film");
    let nfo = "films/The Matrix (1999)/movie.nfo";
    place.put(nfo, "<movie><title>Matrix</title><plot>One.</plot><year>1</year></movie>");
    place.put("films/The Matrix (1999)/poster.jpg", poster(9));
    place.put("other.pack", "pack");
    let left_out = "films/The Matrix (1999)/movie.nfo: left out: year";
    let expected = [format!("Added asset {film} {left_out}"), "Added asset other".to_owned()];
    assert_eq!(place.made(), expected);
    let object = place.object(Kind::Asset, film);
    let (number, details) = (object.number, &object.document["details"]);
    assert_eq!(object.document["name"], "Matrix");
    assert_eq!((&details["plot"], &details["year"]), (&"One.".into(), &1999.into()));
    assert_eq!(details["poster"], picture_of(&poster(9)));
    assert!(place.maker.pictures.as_ref().unwrap().has(&store_id(&poster(9))));
    // Nothing has changed, and what can't be taken is said again.
    assert_eq!(place.made(), [format!("Unchanged asset {film} {left_out}")]);
    assert_eq!(place.object(Kind::Asset, film).revision, object.revision);
    place.edit(Kind::Asset, film, "name", "My Matrix".into());
    place.put(nfo, "<movie><title>The Matrix</title><plot>Two.</plot></movie>");
    place.put("films/The Matrix (1999)/poster.jpg", [poster(10), b"longer".to_vec()].concat());
    assert_eq!(place.made(), [format!("Changed asset {film}")]);
    let object = place.object(Kind::Asset, film);
    assert_eq!((&object.document["name"], object.number), (&"My Matrix".into(), number));
    assert_eq!(object.document["details"]["plot"], "Two.");
    place.remove(film);
    assert_eq!(place.made(), [format!("Missing asset {film}")]);
    assert_eq!(place.object(Kind::Asset, film).document["missing"], true);
    assert!(place.made().is_empty());
    place.put(film, "film");
    assert_eq!(place.made(), [format!("Changed asset {film}")]);
    let object = place.object(Kind::Asset, film);
    assert_eq!((object.number, &object.document["missing"]), (number, &Value::Null));
    assert_eq!(object.document["name"], "My Matrix");
}

fn store_id(bytes: &[u8]) -> String {
    picture_of(bytes).strip_prefix("img:").unwrap().to_owned()
}

#[test]
fn series_come_of_episodes_and_go_with_the_last() {
    let place = Place::new();
    place.put("tv/Lost (2004)/tvshow.nfo", "<tvshow><title>LOST</title><year>2004</year></tvshow>");
    place.put("tv/Lost (2004)/Season 1/Lost S01E01 Pilot.mkv", "1");
    place.put("tv/Lost (2004)/Season 1/Lost S01E02.mkv", "2");
    let nfo = "<episodedetails><title>Tabula Rasa</title><season>1</season><episode>3</episode>\
               </episodedetails>";
    place.put("tv/Lost (2004)/Season 1/Lost S01E02.nfo", nfo);
    let first = "tv/Lost (2004)/Season 1/Lost S01E01 Pilot.mkv";
    let second = "tv/Lost (2004)/Season 1/Lost S01E02.mkv";
    let expected = [
        "Added series lost".to_owned(),
        format!("Added asset {first}"),
        format!("Added asset {second}"),
        "Added episode lost-s01e01".to_owned(),
        "Added episode lost-s01e03".to_owned(),
    ];
    assert_eq!(place.made(), expected);
    assert_eq!(place.object(Kind::Series, "lost").document["name"], "LOST");
    assert_eq!(place.object(Kind::Asset, first).document["form"], "episode");
    let episode = place.object(Kind::Episode, "lost-s01e03");
    assert_eq!(episode.document["name"], "Tabula Rasa");
    assert_eq!(place.object(Kind::Episode, "lost-s01e01").document["name"], "Pilot");
    // A file that is renamed is another asset; the episode stays what it is.
    place.remove(first);
    let renamed = "tv/Lost (2004)/Season 1/Lost S01E01.mkv";
    place.put(renamed, "1");
    let number = place.object(Kind::Episode, "lost-s01e01").number;
    assert_eq!(
        place.made(),
        [
            format!("Added asset {renamed}"),
            "Changed episode lost-s01e01".to_owned(),
            format!("Missing asset {first}"),
        ]
    );
    let episode = place.object(Kind::Episode, "lost-s01e01");
    assert_eq!((&episode.document["asset"], episode.number), (&renamed.into(), number));
    place.remove(renamed);
    place.remove(second);
    let made = place.made();
    assert!(made.contains(&"Missing series lost".to_owned()), "{made:?}");
    assert_eq!(made.len(), 5, "{made:?}");
}

#[test]
fn what_is_wrong_is_said_and_hurts_nobody_else() {
    let place = Place::new();
    place.put("a.mkv", "a");
    place.put("a.nfo", "<!DOCTYPE movie [<!ENTITY a \"b\">]><movie><title>&a;</title></movie>");
    place.put("b.mkv", "b");
    place.put("b.jpg", "no picture");
    place.put("Lost S01E01.mkv", "1");
    place.put("Lost 1x01.mp4", "1");
    let made = place.made();
    assert!(made.iter().any(|line| line.starts_with("Added asset a.mkv a.nfo: ")), "{made:?}");
    let of_b = "Added asset b.mkv poster: it is no JPEG, PNG, WebP or GIF".to_owned();
    assert!(made.contains(&of_b), "{made:?}");
    let twice = "Unchanged episode lost-s01e01 \"Lost S01E01.mkv\" is the same episode as \"Lost 1x01.mp4\"";
    assert!(made.contains(&twice.to_owned()), "{made:?}");
    assert_eq!(place.object(Kind::Asset, "a.mkv").document["name"], "a");
    // A library that is not there marks nothing.
    fs::rename(place.folder.path().join("vod"), place.folder.path().join("away")).unwrap();
    let made = place.made();
    assert!(made.len() == 1 && made[0].starts_with("Refused library "), "{made:?}");
    assert_eq!(place.object(Kind::Asset, "a.mkv").document["missing"], Value::Null);
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let mut place = Place::new();
    place.put("a.mkv", "a");
    place.put("a.jpg", poster(1));
    place.maker.is_dry = true;
    assert_eq!(place.made(), ["Added asset a.mkv"]);
    assert!(!place.maker.pictures.as_ref().unwrap().has(&store_id(&poster(1))));
    place.maker.is_dry = false;
    assert_eq!(place.made(), ["Added asset a.mkv"]);
    let below = place.folder.path().join("elsewhere");
    assert!(made(&place.maker, Some(&below)).is_err());
}
