//! What there is to watch, and what of it a bouquet set holds, in the order in which it is shown.
//!
//! All of it is read once from a moment of the registry's file, and from then on only what has
//! changed. What was read is immutable and shared: whoever writes a catalogue of it holds on to the
//! edition that it began with. 100,000 films with all their details take about 150 MB, 10,000
//! channels 5 MB; an edition more takes only what is other in it, and a few words for each object.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

mod details;
mod held;
mod read;
#[cfg(test)]
mod tests;

pub use details::Details;
pub use held::{Held, Set, Shown, UNSORTED, Unsorted};
pub use read::Reader;

use crate::config::Access;

/// An edition of all that there is, by ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// What content is sorted by.
    pub categories: BTreeMap<Arc<str>, Arc<Category>>,
    /// Live channels.
    pub channels: BTreeMap<Arc<str>, Arc<Channel>>,
    /// Assets of which something is said, whatever they are shown as.
    pub assets: BTreeMap<Arc<str>, Arc<Asset>>,
    /// Series, by themselves.
    pub series: BTreeMap<Arc<str>, Arc<Series>>,
    /// Episodes of all of them.
    pub episodes: BTreeMap<Arc<str>, Arc<Episode>>,
    bouquets: BTreeMap<Arc<str>, Arc<[Box<str>]>>,
    plans: BTreeMap<Arc<str>, Set>,
    numbers: Numbers,
}

/// Ids by numbers.
#[derive(Clone, Debug, Default, PartialEq)]
struct Numbers {
    categories: HashMap<u32, Arc<str>>,
    channels: HashMap<u32, Arc<str>>,
    assets: HashMap<u32, Arc<str>>,
    series: HashMap<u32, Arc<str>>,
    episodes: HashMap<u32, Arc<str>>,
}

/// What channels, films or series are sorted by.
#[derive(Debug, PartialEq)]
pub struct Category {
    /// Its number.
    pub number: u32,
    /// Its id.
    pub id: Arc<str>,
    /// What it sorts.
    pub sorts: Sorts,
    /// As people see it.
    pub name: Box<str>,
    /// See `Channel::order`.
    pub order: i32,
}

/// What a category sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sorts {
    /// Channels.
    Live,
    /// Films.
    Film,
    /// Series.
    Series,
}

/// A live channel.
#[derive(Debug, PartialEq)]
pub struct Channel {
    /// Its number.
    pub number: u32,
    /// Its id, as in `/tv/{id}`.
    pub id: Arc<str>,
    /// As people see it.
    pub name: Box<str>,
    /// Where its picture is: an http or https address, or `img:ID`.
    pub logo: Option<Box<str>>,
    /// Ids of its categories.
    pub categories: Box<[Box<str>]>,
    /// The smallest is shown first.
    pub order: i32,
    /// How long what was is kept, in days, begun ones included; 0 = it is not.
    pub archive_days: u32,
    /// Who may watch; none = whoever may by the server's default.
    pub access: Option<Access>,
    /// Whether a grown-up has to say yes.
    pub adult: bool,
}

/// Something in the libraries of which something is said.
#[derive(Debug, PartialEq)]
pub struct Asset {
    /// Its number.
    pub number: u32,
    /// Its id, as in `/vod/{id}`.
    pub id: Arc<str>,
    /// As people see it.
    pub name: Box<str>,
    /// What it is shown as.
    pub form: Form,
    /// Ids of its categories.
    pub categories: Box<[Box<str>]>,
    /// See `Channel::order`.
    pub order: i32,
    /// What is said of it besides.
    pub details: Details,
}

/// What an asset is shown as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// By itself.
    #[default]
    Film,
    /// As an episode, of a series that says so.
    Episode,
    /// Not by itself.
    Extra,
}

/// Episodes that belong together.
#[derive(Debug, PartialEq)]
pub struct Series {
    /// Its number.
    pub number: u32,
    /// Its id.
    pub id: Arc<str>,
    /// As people see it.
    pub name: Box<str>,
    /// Ids of its categories.
    pub categories: Box<[Box<str>]>,
    /// See `Channel::order`.
    pub order: i32,
    /// Seasons that have a name of their own.
    pub seasons: Box<[(u16, Box<str>)]>,
    /// What is said of it besides.
    pub details: Details,
}

/// An episode.
#[derive(Debug, PartialEq)]
pub struct Episode {
    /// Its number.
    pub number: u32,
    /// Its id.
    pub id: Arc<str>,
    /// The id of its series.
    pub series: Box<str>,
    /// In which season; 0 = beside them.
    pub season: u16,
    /// Its place in the season.
    pub episode: u16,
    /// The id of the asset that is played.
    pub asset: Box<str>,
    /// As people see it; it may have none.
    pub name: Box<str>,
    /// What is said of it besides.
    pub details: Details,
}

impl Content {
    /// The channel of this number.
    #[must_use]
    pub fn channel(&self, number: u32) -> Option<&Arc<Channel>> {
        self.channels.get(self.numbers.channels.get(&number)?)
    }

    /// The asset of this number.
    #[must_use]
    pub fn asset(&self, number: u32) -> Option<&Arc<Asset>> {
        self.assets.get(self.numbers.assets.get(&number)?)
    }

    /// The series of this number.
    #[must_use]
    pub fn series_of_number(&self, number: u32) -> Option<&Arc<Series>> {
        self.series.get(self.numbers.series.get(&number)?)
    }

    /// The episode of this number.
    #[must_use]
    pub fn episode(&self, number: u32) -> Option<&Arc<Episode>> {
        self.episodes.get(self.numbers.episodes.get(&number)?)
    }

    /// The category of this number.
    #[must_use]
    pub fn category(&self, number: u32) -> Option<&Arc<Category>> {
        self.categories.get(self.numbers.categories.get(&number)?)
    }

    /// What a plan holds; nothing if there is no such plan.
    #[must_use]
    pub fn set_of(&self, plan: &str) -> Set {
        self.plans.get(plan).cloned().unwrap_or_default()
    }
}
