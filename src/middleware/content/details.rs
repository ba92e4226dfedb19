//! What is said of a film, a series or an episode besides its name: the object `details` of its
//! document, of which everything may be missing and whatever is unknown is passed over.

use serde::Deserialize;
use serde_json::Value;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Details {
    /// What happens.
    pub plot: Option<Box<str>>,
    /// What it is called where it is from.
    pub original_name: Option<Box<str>>,
    /// Words for what it is like.
    pub genres: Box<[Box<str>]>,
    /// Who plays.
    pub cast: Box<[Box<str>]>,
    /// Who directed.
    pub directors: Box<[Box<str>]>,
    /// Where it is from.
    pub country: Option<Box<str>>,
    /// When it was made.
    pub year: Option<u16>,
    /// The day on which it came out: `YYYY-MM-DD`.
    pub released: Option<Box<str>>,
    /// How good people find it, from 0 to 10.
    pub rating: Option<f32>,
    /// How old one has to be.
    pub age: Option<u8>,
    /// How long it is, in seconds.
    pub duration_s: Option<u32>,
    /// What leads to a trailer.
    pub trailer: Option<Box<str>>,
    /// Its number in The Movie Database.
    pub tmdb: Option<u32>,
    /// Its name in the Internet Movie Database.
    pub imdb: Option<Box<str>>,
    /// A picture: an http or https address, or `img:ID`.
    pub poster: Option<Box<str>>,
    /// Wide pictures, likewise.
    pub backdrops: Box<[Box<str>]>,
    /// Whether it is for grown-ups alone.
    pub adult: bool,
    /// When it was added, in seconds since 1970.
    pub added: Option<u64>,
}

impl Details {
    /// Those of a document. Of some that can't be read there are none: what they are of is shown.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        let details = &document["details"];
        if details.is_null() {
            return Self::default();
        }
        Self::deserialize(details).unwrap_or_default()
    }
}
