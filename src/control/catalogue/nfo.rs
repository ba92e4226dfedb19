//! What a sidecar file says of a title: Kodi's `.nfo` (XML) or a `.json` of ours in, a name and
//! details out. Pure.
//!
//! Files come from anywhere, so nothing of them is trusted: no DOCTYPE (and with it no entities),
//! a size, a depth, a number of elements. What a field says that is none of ours is left out, and
//! the rest is taken.

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value, json};

use crate::config::{NFO_DEPTH_MAX, NFO_NODES_MAX, PERSONS_MAX};
use crate::control::documents;

/// What a sidecar says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sidecar {
    /// The title.
    pub name: Option<String>,
    /// The series that an episode is of.
    pub series: Option<String>,
    /// Season and episode.
    pub place: (Option<u16>, Option<u16>),
    /// Details, each of them good.
    pub details: Map<String, Value>,
    /// Keys that said what can't be.
    pub left_out: Vec<String>,
}

impl Sidecar {
    /// Takes a detail, if it is good.
    fn detail(&mut self, key: &str, value: Value) {
        if value.is_null() {
            return;
        }
        match documents::detail(key, value) {
            Some(value) => drop(self.details.insert(key.to_owned(), value)),
            None => self.left_out.push(key.to_owned()),
        }
    }
}

/// An object of ours: details, and beside them `name`, `series`, `season` and `episode`.
///
/// # Errors
///
/// It is no JSON object.
pub fn json(bytes: &[u8]) -> Result<Sidecar, String> {
    let mut fields: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut text = |key: &str| match fields.remove(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text),
        _ => None,
    };
    let (name, series) = (text("name"), text("series"));
    let mut number = |key: &str| fields.remove(key)?.as_u64()?.try_into().ok();
    let place = (number("season"), number("episode"));
    let mut sidecar = Sidecar { name, series, place, ..Sidecar::default() };
    for (key, value) in fields {
        sidecar.detail(&key, value);
    }
    Ok(sidecar)
}

/// Kodi's `movie`, `tvshow` or `episodedetails`.
///
/// # Errors
///
/// It is no such XML.
pub fn xml(bytes: &[u8]) -> Result<Sidecar, String> {
    let text = str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
    let text = text.trim_start_matches('\u{feff}');
    // Kodi takes addresses of web pages behind the document, and so do those who write it.
    let text = text.rfind('>').map_or(text, |end| &text[..=end]);
    depth(text)?;
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NFO_NODES_MAX,
        ..ParsingOptions::default()
    };
    let document =
        Document::parse_with_options(text, options).map_err(|error| error.to_string())?;
    let root = document.root_element();
    if !matches!(root.tag_name().name(), "movie" | "tvshow" | "episodedetails") {
        return Err("it is no movie, tvshow or episodedetails".to_owned());
    }
    Ok(read(root))
}

/// Refuses what is nested deeper than any title is, before anything is built of it.
fn depth(text: &str) -> Result<(), String> {
    let (mut depth, mut rest) = (0_u32, text);
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').unwrap_or(rest.len());
        match rest.as_bytes().first() {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!' | b'?') => {}
            _ if rest[..end].ends_with('/') => {}
            _ => depth += 1,
        }
        if depth > NFO_DEPTH_MAX {
            return Err(format!("it is nested deeper than {NFO_DEPTH_MAX}"));
        }
    }
    Ok(())
}

fn read(root: Node<'_, '_>) -> Sidecar {
    let mut of = Sidecar {
        name: one(root, "title"),
        series: one(root, "showtitle"),
        place: (number(root, "season"), number(root, "episode")),
        ..Sidecar::default()
    };
    of.detail("plot", text(one(root, "plot").or_else(|| one(root, "outline"))));
    of.detail("original_name", text(one(root, "originaltitle")));
    of.detail("genres", listed(all(root, "genre").flat_map(split)));
    let actors = children(root, "actor").filter_map(|actor| one(actor, "name"));
    of.detail("cast", listed(actors.take(PERSONS_MAX)));
    of.detail("directors", listed(all(root, "director")));
    of.detail("country", text(one(root, "country")));
    let day = ["premiered", "aired", "releasedate"].into_iter().find_map(|name| one(root, name));
    let year = number(root, "year").or_else(|| day.as_ref()?.get(..4)?.parse().ok());
    of.detail("year", json!(year.filter(|year| *year > 0)));
    of.detail("released", text(day));
    of.detail("rating", json!(rating(root)));
    let age = one(root, "mpaa").or_else(|| one(root, "certification"));
    of.detail("age", json!(age.as_deref().and_then(first_number)));
    of.detail("duration_s", json!(duration(root)));
    of.detail("trailer", text(one(root, "trailer").map(|trailer| video(&trailer))));
    let unique = |kind: &str| {
        let mut ids = children(root, "uniqueid");
        let id = ids.find(|id| id.attribute("type") == Some(kind))?;
        id.text().map(|id| id.trim().to_owned())
    };
    let tmdb = unique("tmdb").or_else(|| one(root, "tmdbid"));
    of.detail("tmdb", json!(tmdb.and_then(|id| id.parse::<u32>().ok())));
    let imdb = unique("imdb").or_else(|| one(root, "imdbid")).or_else(|| one(root, "id"));
    of.detail("imdb", text(imdb.filter(|id| id.starts_with("tt"))));
    pictures(root, &mut of);
    of
}

/// Addresses of a poster and of backdrops; files beside the title come before them.
fn pictures(root: Node<'_, '_>, of: &mut Sidecar) {
    let address = |node: Node<'_, '_>| {
        let address = node.text()?.trim();
        address.starts_with("http").then(|| address.to_owned())
    };
    let mut thumbs = children(root, "thumb").filter(|thumb| {
        matches!(thumb.attribute("aspect"), None | Some("poster"))
            && thumb.attribute("type") != Some("season")
    });
    of.detail("poster", text(thumbs.find_map(address)));
    let fanart = children(root, "fanart").flat_map(|fanart| children(fanart, "thumb"));
    of.detail("backdrops", listed(fanart.filter_map(address).take(4)));
}

fn children<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

fn all<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = String> {
    let texts = children(node, name).filter_map(|child| child.text().map(str::trim));
    texts.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn one(node: Node<'_, '_>, name: &'static str) -> Option<String> {
    all(node, name).next()
}

fn number(node: Node<'_, '_>, name: &'static str) -> Option<u16> {
    one(node, name)?.parse().ok()
}

fn text(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::String)
}

/// A list without what stands there twice; null if nothing does.
fn listed(texts: impl Iterator<Item = String>) -> Value {
    let mut list: Vec<String> = Vec::new();
    for text in texts {
        if !list.contains(&text) {
            list.push(text);
        }
    }
    if list.is_empty() { Value::Null } else { json!(list) }
}

/// Several genres in one element, as some write them.
fn split(text: String) -> Vec<String> {
    let parts = text.split(['/', '|', ',']).map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Of 10: the rating that is said to count, or the first.
fn rating(root: Node<'_, '_>) -> Option<f64> {
    let mut ratings: Vec<_> =
        children(root, "ratings").flat_map(|ratings| children(ratings, "rating")).collect();
    ratings.sort_by_key(|rating| rating.attribute("default") != Some("true"));
    let of = |rating: &Node<'_, '_>| {
        let value: f64 = one(*rating, "value")?.parse().ok()?;
        let max: f64 = rating.attribute("max").and_then(|max| max.parse().ok()).unwrap_or(10.0);
        Some(value * 10.0 / max)
    };
    let found = ratings.iter().find_map(of).or_else(|| one(root, "rating")?.parse().ok());
    // An unrated title says 0.
    let found = found.filter(|rating| *rating > 0.0 && *rating <= 10.0)?;
    Some((found * 10.0).round() / 10.0)
}

/// `FSK 12`, `Rated PG-13`.
fn first_number(text: &str) -> Option<u8> {
    let digits = text.split(|one: char| !one.is_ascii_digit()).find(|part| !part.is_empty())?;
    digits.parse().ok()
}

/// In seconds: of the streams, or what is written in minutes.
fn duration(root: Node<'_, '_>) -> Option<u64> {
    let mut all = root.descendants().filter(|node| node.has_tag_name("durationinseconds"));
    let exact = all.find_map(|node| node.text()?.trim().parse::<u64>().ok());
    let minutes =
        || Some(60 * u64::from(one(root, "runtime")?.split(' ').next()?.parse::<u16>().ok()?));
    exact.or_else(minutes).filter(|seconds| *seconds > 0)
}

/// The id of a video, of an address of Kodi's plugin.
fn video(trailer: &str) -> String {
    let id = trailer.split_once("videoid=").or_else(|| trailer.split_once("video_id="));
    match id.filter(|_| trailer.starts_with("plugin://")) {
        Some((_, id)) => id.split('&').next().unwrap_or(id).to_owned(),
        None => trailer.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_film_is_read_as_kodi_writes_it() {
        let nfo = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>
<movie>
  <title>The Matrix</title><originaltitle>The Matrix</originaltitle>
  <ratings><rating name="a" max="100"><value>85</value></rating>
    <rating name="imdb" max="10" default="true"><value>8.234</value></rating></ratings>
  <outline>Short.</outline><plot>A hacker &amp; more.</plot><runtime>136</runtime>
  <mpaa>FSK 16</mpaa><genre>Action / Science fiction</genre><genre>Action</genre>
  <uniqueid type="tmdb">603</uniqueid><uniqueid type="imdb" default="true">tt0133093</uniqueid>
  <country>US</country><premiered>1999-03-31</premiered>
  <trailer>plugin://plugin.video.youtube/?action=play_video&amp;videoid=vKQi3bBA1y8</trailer>
  <thumb aspect="landscape">https://a.example/l.jpg</thumb>
  <thumb aspect="poster">https://a.example/p.jpg</thumb>
  <fanart><thumb>https://a.example/b.jpg</thumb></fanart>
  <actor><name>Keanu Reeves</name><role>Neo</role></actor><director>L. Wachowski</director>
  <fileinfo><streamdetails><video><durationinseconds>8177</durationinseconds></video></streamdetails></fileinfo>
</movie>
https://www.themoviedb.org/movie/603"#;
        let read = xml(nfo.as_bytes()).unwrap();
        assert_eq!(read.name.as_deref(), Some("The Matrix"));
        assert_eq!(read.left_out, Vec::<String>::new());
        let expected = json!({
            "plot": "A hacker & more.", "original_name": "The Matrix",
            "genres": ["Action", "Science fiction"], "cast": ["Keanu Reeves"],
            "directors": ["L. Wachowski"], "country": "US", "year": 1999,
            "released": "1999-03-31", "rating": 8.2, "age": 16, "duration_s": 8177,
            "trailer": "vKQi3bBA1y8", "tmdb": 603, "imdb": "tt0133093",
            "poster": "https://a.example/p.jpg", "backdrops": ["https://a.example/b.jpg"],
        });
        assert_eq!(Value::Object(read.details), expected);
    }

    #[test]
    fn an_episode_says_its_place_and_what_is_wrong_is_left_out() {
        let nfo = "<episodedetails><title>Pilot</title><showtitle>Lost</showtitle>\
                   <season>1</season><episode>2</episode><aired>soon</aired><runtime>42 min</runtime>\
                   <rating>0</rating><year>0</year><genre/></episodedetails>";
        let read = xml(nfo.as_bytes()).unwrap();
        assert_eq!((read.series.as_deref(), read.place), (Some("Lost"), (Some(1), Some(2))));
        assert_eq!(Value::Object(read.details), json!({ "duration_s": 2520 }));
        assert_eq!(read.left_out, ["released"]);
        let ours =
            br#"{ "name": "P", "series": "Lost", "season": 1, "episode": 3, "year": 1, "age": 6 }"#;
        let read = json(ours).unwrap();
        assert_eq!((read.name.as_deref(), read.place), (Some("P"), (Some(1), Some(3))));
        assert_eq!(
            (Value::Object(read.details), read.left_out),
            (json!({ "age": 6 }), vec!["year".to_owned()])
        );
    }

    #[test]
    fn tricks_are_refused() {
        let bomb = "<!DOCTYPE movie [<!ENTITY a \"aaaa\">]><movie><title>&a;</title></movie>";
        let outside =
            "<!DOCTYPE movie SYSTEM \"file:///etc/passwd\"><movie><title>a</title></movie>";
        let deep = format!("{}{}", "<movie>".repeat(100), "</movie>".repeat(100));
        let many = format!("<movie>{}</movie>", "<a/>".repeat(NFO_NODES_MAX as usize + 1));
        for (text, why) in [
            (bomb, "DTD"),
            (outside, "DTD"),
            (&deep, "it is nested deeper than"),
            (&many, "nodes"),
            ("<html></html>", "it is no movie"),
            ("<movie>", ""),
            ("https://www.imdb.com/title/tt0133093/", ""),
            ("", ""),
        ] {
            let said = xml(text.as_bytes()).unwrap_err();
            assert!(said.to_lowercase().contains(&why.to_lowercase()), "{said}");
        }
        assert_eq!(xml(b"<movie>\xff</movie>"), Err("it is no UTF-8".to_owned()));
        assert!(json(b"[1]").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (xml(&bytes), json(&bytes));
        }

        #[test]
        fn no_text_of_elements_does(text in "(<(movie|title|rating|actor|thumb|/|!|a='b'|>){0,3}>?|[a-z&;]{0,3}){0,20}") {
            let _ = xml(format!("<movie>{text}</movie>").as_bytes());
        }
    }
}
