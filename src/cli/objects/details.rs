//! What can be given of a title's details on the command line: a file of them, and the usual ones
//! by themselves.

use std::fs;
use std::io::Read as _;

use clap::Args;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::config::values::duration_ms;

/// The largest file of details that is read; the server takes less.
const FILE_SIZE_MAX: u64 = 1024 * 1024;

/// Of a film, a series or an episode.
#[derive(Debug, Default, Args)]
pub struct Details {
    /// A JSON file with its details, as the API has them (-: stdin)
    #[arg(long = "details", value_name = "FILE", value_parser = file)]
    file: Option<Value>,
    #[command(flatten)]
    given: Given,
}

/// Those that have a flag.
#[derive(Debug, Default, Args, Serialize)]
struct Given {
    /// What happens in it
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    plot: Option<String>,
    /// Its name where it was made
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    original_name: Option<String>,
    /// What sort of title it is (again for more)
    #[arg(long = "genre", value_name = "NAME")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    genres: Vec<String>,
    /// Who plays in it (again for more, the most important first)
    #[arg(long = "actor", value_name = "NAME")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cast: Vec<String>,
    /// Who directed it (again for more)
    #[arg(long = "director", value_name = "NAME")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    directors: Vec<String>,
    /// Where it was made
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    /// When it was made
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    year: Option<u16>,
    /// The day on which it was first shown, as 1999-03-31
    #[arg(long, value_name = "DAY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<String>,
    /// What it is worth, of 10
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<f64>,
    /// From which age on it may be watched
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<u8>,
    /// How long it is, as 96min
    #[arg(long = "duration", value_name = "TIME", value_parser = seconds)]
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<u64>,
    /// Its trailer: an address, or the id of a video at YouTube
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trailer: Option<String>,
    /// Its number at The Movie Database
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tmdb: Option<u32>,
    /// Its id at IMDb, as tt0133093
    #[arg(long, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    imdb: Option<String>,
    /// Its poster: an address, or img:ID for a stored picture
    #[arg(long, value_name = "PICTURE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    poster: Option<String>,
    /// A picture for behind it (again for more)
    #[arg(long = "backdrop", value_name = "PICTURE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    backdrops: Vec<String>,
    /// Whether it is for adults alone
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    adult: Option<bool>,
}

impl Details {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.whole().is_empty()
    }

    /// The file's, and over them those that were given by themselves.
    fn whole(&self) -> Map<String, Value> {
        let object = |value| match value {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let mut whole = self.file.clone().map(object).unwrap_or_default();
        whole.extend(serde_json::to_value(&self.given).map(object).unwrap_or_default());
        whole
    }
}

impl Serialize for Details {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.whole().serialize(serializer)
    }
}

/// The object in a file.
fn file(path: &str) -> Result<Value, String> {
    let mut text = String::new();
    let read = match path {
        "-" => std::io::stdin().take(FILE_SIZE_MAX).read_to_string(&mut text),
        path => {
            fs::File::open(path).and_then(|file| file.take(FILE_SIZE_MAX).read_to_string(&mut text))
        }
    };
    read.map_err(|error| format!("{path}: {error}"))?;
    match serde_json::from_str(&text) {
        Ok(fields @ Value::Object(_)) => Ok(fields),
        Ok(_) => Err(format!("{path}: it is to hold an object: {{ … }}")),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

/// A length in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    duration_ms(text).map(|ms| ms / 1000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_stand_over_the_file_of_details() {
        let scratch = tempfile::NamedTempFile::new().unwrap();
        fs::write(scratch.path(), r#"{ "year": 1998, "plot": "A" }"#).unwrap();
        let file = file(&scratch.path().display().to_string()).unwrap();
        let given = Given {
            year: Some(1999),
            duration_s: Some(seconds("96min").unwrap()),
            ..Given::default()
        };
        let details = Details { file: Some(file), given };
        let whole = json!({ "year": 1999, "plot": "A", "duration_s": 5760 });
        assert_eq!(serde_json::to_value(&details).unwrap(), whole);
        assert!(Details::default().is_empty() && !details.is_empty());
        fs::write(scratch.path(), "[]").unwrap();
        assert!(super::file(&scratch.path().display().to_string()).is_err());
    }
}
