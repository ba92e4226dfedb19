//! What is said of a film, a series or an episode besides its name: the optional object `details`
//! of their documents.
//!
//! All of it is optional, and what was not said is not there. What people read is text; what
//! clients compute with (dates, lengths, ratings) is checked here, so that nobody who reads it
//! later has to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{list, text};
use crate::config::values;
use crate::config::{
    AGE_MAX, BACKDROPS_MAX, DURATION_S_MAX, GENRES_MAX, NAME_SIZE_MAX, PERSONS_MAX, PLOT_SIZE_MAX,
    RATING_MAX, YEARS,
};
use crate::units::civil;

/// What is said of a title.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Details {
    /// What happens in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 8192)]
    plot: Option<String>,
    /// Its name where it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024)]
    original_name: Option<String>,
    /// What sort of title it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    genres: Vec<String>,
    /// Who plays in it, the most important first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 128)]
    cast: Vec<String>,
    /// Who directed it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 128)]
    directors: Vec<String>,
    /// Where it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256)]
    country: Option<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1870, maximum = 2199)]
    year: Option<u16>,
    /// The day on which it was first shown, as 1999-03-31.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    released: Option<String>,
    /// What it is worth, of 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10)]
    rating: Option<f64>,
    /// From which age on it may be watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 21)]
    age: Option<u8>,
    /// How long it is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 604_800)]
    duration_s: Option<u32>,
    /// Its trailer: an address, or the id of a video at YouTube.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024)]
    trailer: Option<String>,
    /// Its number at The Movie Database.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    tmdb: Option<u32>,
    /// Its id at IMDb.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^tt[0-9]{7,10}$")]
    imdb: Option<String>,
    /// Its poster: an address, or `img:ID`, a picture that is stored here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024)]
    poster: Option<String>,
    /// Pictures for behind it, as `poster`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 8)]
    backdrops: Vec<String>,
    /// Whether it is for adults alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    adult: Option<bool>,
    /// When it was added, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<u64>,
}

/// The object, looked at; none if it says nothing.
///
/// # Errors
///
/// `details.KEY: WHY`.
pub(super) fn checked(details: Option<Value>) -> Result<Option<Value>, String> {
    let Some(details) = details else { return Ok(None) };
    let Value::Object(mut fields) = details else {
        return Err("details: it is to be an object: { … }".to_owned());
    };
    fields.retain(|_, value| !value.is_null());
    let details = read(fields)?;
    checks(&details).map_err(|why| format!("details.{why}"))?;
    let whole = serde_json::to_value(&details).map_err(|error| error.to_string())?;
    Ok(Some(whole).filter(|whole| whole.as_object().is_some_and(|fields| !fields.is_empty())))
}

/// One of them as it would be kept; none if it can't be, or is none of them.
pub fn detail(key: &str, value: Value) -> Option<Value> {
    let alone = Map::from_iter([(key.to_owned(), value)]);
    checked(Some(Value::Object(alone))).ok()??.get_mut(key).map(Value::take)
}

/// The fields by their types. What serde says of a value does not name its key, so the first that
/// can't be read by itself is looked for.
fn read(fields: Map<String, Value>) -> Result<Details, String> {
    let whole = serde_json::from_value(Value::Object(fields.clone()));
    whole.map_err(|error| {
        for (key, value) in fields {
            let alone = Map::from_iter([(key.clone(), value)]);
            if let Err(error) = serde_json::from_value::<Details>(Value::Object(alone)) {
                return match error.to_string() {
                    unknown if unknown.starts_with("unknown field") => {
                        format!("details: {unknown}")
                    }
                    why => format!("details.{key}: {why}"),
                };
            }
        }
        format!("details: {error}")
    })
}

fn checks(details: &Details) -> Result<(), String> {
    short("plot", details.plot.as_deref(), PLOT_SIZE_MAX)?;
    if let Some(name) = &details.original_name {
        text("original_name", name, 1)?;
    }
    names("genres", &details.genres, GENRES_MAX)?;
    names("cast", &details.cast, PERSONS_MAX)?;
    names("directors", &details.directors, PERSONS_MAX)?;
    short("country", details.country.as_deref(), NAME_SIZE_MAX)?;
    if let Some(year) = details.year.filter(|year| !YEARS.contains(year)) {
        return Err(format!("year: {year} is none ({} to {})", YEARS.start(), YEARS.end()));
    }
    if let Some(day) = details.released.as_deref().filter(|day| !is_day(day)) {
        return Err(format!("released: {day:?} is no day (write \"1999-03-31\")"));
    }
    // NaN is in no range, and is no JSON either.
    if details.rating.is_some_and(|rating| !(0.0..=RATING_MAX).contains(&rating)) {
        return Err("rating: it is to be from 0 to 10".to_owned());
    }
    if details.age.is_some_and(|age| age > AGE_MAX) {
        return Err(format!("age: it is above {AGE_MAX}"));
    }
    if details.duration_s.is_some_and(|seconds| !(1..=DURATION_S_MAX).contains(&seconds)) {
        return Err(format!("duration_s: it is to be from 1 to {DURATION_S_MAX}"));
    }
    if let Some(trailer) = details.trailer.as_deref().filter(|trailer| !is_video(trailer)) {
        values::web_address(trailer).map_err(|_| {
            format!("trailer: {trailer:?} is neither an address nor the id of a video at YouTube")
        })?;
    }
    if details.tmdb == Some(0) {
        return Err("tmdb: it is to be 1 or above".to_owned());
    }
    if let Some(imdb) = details.imdb.as_deref().filter(|imdb| !is_imdb(imdb)) {
        return Err(format!("imdb: {imdb:?} is no id there (write \"tt0133093\")"));
    }
    if let Some(poster) = &details.poster {
        shown("poster", poster)?;
    }
    if details.backdrops.len() > BACKDROPS_MAX {
        return Err(format!("backdrops: it has more than {BACKDROPS_MAX} entries"));
    }
    list("backdrops", &details.backdrops, |_| Ok(()))?;
    let mut backdrops = details.backdrops.iter().enumerate();
    backdrops.try_for_each(|(at, one)| shown(&format!("backdrops[{at}]"), one))
}

/// A text that may be longer, or has to be shorter, than others.
fn short(field: &str, text: Option<&str>, most: usize) -> Result<(), String> {
    let Some(text) = text else { return Ok(()) };
    if text.trim().is_empty() {
        return Err(format!("{field}: it is empty"));
    }
    if text.len() > most {
        return Err(format!("{field}: it has more than {most} bytes"));
    }
    // Texts of people have tabs and line ends of all systems.
    if text.chars().any(|one| one.is_control() && !matches!(one, '\n' | '\r' | '\t')) {
        return Err(format!("{field}: it has control characters"));
    }
    Ok(())
}

fn names(field: &str, names: &[String], most: usize) -> Result<(), String> {
    if names.len() > most {
        return Err(format!("{field}: it has more than {most} entries"));
    }
    list(field, names, |name| match name.len() {
        0..=NAME_SIZE_MAX => Ok(()),
        _ => Err(format!("it has more than {NAME_SIZE_MAX} bytes")),
    })
}

/// A picture: an address, or one that is stored.
///
/// # Errors
///
/// `FIELD: WHY`.
fn shown(field: &str, picture: &str) -> Result<(), String> {
    values::picture(picture).map(drop).map_err(|why| format!("{field}: {why}"))
}

/// Whether this is a day of the Gregorian calendar; `UnixTime` has none before 1970.
fn is_day(text: &str) -> bool {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !shape {
        return false;
    }
    let number = |from, to| text[from..to].parse().unwrap_or(0);
    let (year, month, day): (u64, u64, u64) = (number(0, 4), number(5, 7), number(8, 10));
    // The calendar repeats after 400 years.
    let (mut days, alike) = (0, (1970 + (year + 400 - 370) % 400, month, day));
    days += (alike.0 - 1970) * 365;
    while civil(days) < alike {
        days += 1;
    }
    u16::try_from(year).is_ok_and(|year| YEARS.contains(&year)) && civil(days) == alike
}

/// Whether this is the id of a video at YouTube, as clients want it in a field of its own.
fn is_video(text: &str) -> bool {
    text.len() == 11
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn is_imdb(text: &str) -> bool {
    let digits = text.strip_prefix("tt").unwrap_or_default();
    (7..=10).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn details_come_out_as_they_were_said() {
        let whole = json!({
            "plot": "A hacker learns\nwhat is real.", "original_name": "The Matrix",
            "genres": ["Science fiction"], "cast": ["Keanu Reeves"], "directors": ["L. Wachowski"],
            "country": "US", "year": 1999, "released": "1999-03-31", "rating": 8.2, "age": 16,
            "duration_s": 8160, "trailer": "vKQi3bBA1y8", "tmdb": 603, "imdb": "tt0133093",
            "poster": "https://a.example/p.jpg",
            "backdrops": ["img:0123456789abcdef0123456789abcdef"], "adult": false, "added": 7,
        });
        assert_eq!(checked(Some(whole.clone())), Ok(Some(whole)));
        for nothing in [json!({}), json!({ "year": null, "genres": [] })] {
            assert_eq!(checked(Some(nothing)), Ok(None));
        }
        assert_eq!(checked(None), Ok(None));
    }

    #[test]
    fn what_is_wrong_with_details_is_named() {
        let long = "a".repeat(PLOT_SIZE_MAX + 1);
        for (details, why) in [
            (json!([]), "details: it is to be an object: { … }"),
            (json!({ "plot": long }), "details.plot: it has more than 8192 bytes"),
            (json!({ "plot": "\u{7}" }), "details.plot: it has control characters"),
            (json!({ "plot": " " }), "details.plot: it is empty"),
            (json!({ "genres": ["a", "a"] }), "details.genres[1]: \"a\" stands there twice"),
            (json!({ "genres": vec!["a"; 33] }), "details.genres: it has more than 32 entries"),
            (json!({ "cast": ["a".repeat(257)] }), "details.cast[0]: it has more than 256 bytes"),
            (json!({ "year": 1500 }), "details.year: 1500 is none (1870 to 2199)"),
            (
                json!({ "year": "1999" }),
                "details.year: invalid type: string \"1999\", expected u16",
            ),
            (
                json!({ "released": "1999-02-29" }),
                "details.released: \"1999-02-29\" is no day (write \"1999-03-31\")",
            ),
            (json!({ "rating": 10.5 }), "details.rating: it is to be from 0 to 10"),
            (json!({ "rating": -1 }), "details.rating: it is to be from 0 to 10"),
            (json!({ "age": 22 }), "details.age: it is above 21"),
            (json!({ "duration_s": 0 }), "details.duration_s: it is to be from 1 to 604800"),
            (
                json!({ "trailer": "file:///a" }),
                "details.trailer: \"file:///a\" is neither an address nor the id of a video at \
                 YouTube",
            ),
            (json!({ "tmdb": 0 }), "details.tmdb: it is to be 1 or above"),
            (
                json!({ "imdb": "0133093" }),
                "details.imdb: \"0133093\" is no id there (write \"tt0133093\")",
            ),
            (
                json!({ "poster": "img:../a" }),
                "details.poster: \"img:../a\" is no stored picture (write \"img:\" and its id)",
            ),
            (
                json!({ "backdrops": ["ftp://a/b"] }),
                "details.backdrops[0]: \"ftp://a/b\" is no address (write \
                 \"https://example.org/logo.png\")",
            ),
        ] {
            assert_eq!(checked(Some(details.clone())), Err(why.to_owned()), "{details}");
        }
        let unknown = checked(Some(json!({ "plots": "a" }))).unwrap_err();
        assert!(unknown.starts_with("details: unknown field `plots`, expected one of `plot`"));
    }

    #[test]
    fn a_day_is_one_of_the_calendar() {
        for day in
            ["1888-10-14", "1900-02-28", "1904-02-29", "1969-12-31", "2000-02-29", "2199-12-31"]
        {
            assert!(is_day(day), "{day}");
        }
        for day in [
            "1900-02-29",
            "1999-13-01",
            "1999-00-10",
            "1999-01-00",
            "1869-01-01",
            "2200-01-01",
            "1999-1-1",
            "+199-01-01",
            "1999-01-0é",
        ] {
            assert!(!is_day(day), "{day}");
        }
    }
}
