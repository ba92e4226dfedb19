//! What a bouquet set holds, in the order in which it is shown: by the objects' own order, then as
//! the bouquets name it, then by name.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use super::{Asset, Category, Channel, Content, Episode, Form, Series, Sorts};

/// What subscribers of a plan have. Plans that hold the same are the same set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Set {
    /// Ids of bouquets, in their order.
    pub bouquets: Arc<[Arc<str>]>,
    /// How far back the past may be watched, in days.
    pub catch_up_days: u32,
}

/// The number of a category for what is in none: the last that the registry would give. Apps show
/// nothing that is in no category.
pub const UNSORTED: u32 = 2_147_483_647;

/// What the set holds that is in no category.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsorted {
    /// Channels,
    pub live: bool,
    /// films,
    pub films: bool,
    /// series.
    pub series: bool,
}

/// A series with those of its episodes that the set holds.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The series.
    pub series: Arc<Series>,
    /// By season and place.
    pub episodes: Vec<Arc<Episode>>,
}

/// What a set holds.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// How far back the past of its channels may be watched, in days.
    pub catch_up_days: u32,
    /// Its channels.
    pub channels: Vec<Arc<Channel>>,
    /// Its films.
    pub films: Vec<Arc<Asset>>,
    /// Its series, those with an episode.
    pub series: Vec<Shown>,
    /// Categories in which something of it is.
    pub categories: Vec<Arc<Category>>,
    /// Whether something is in none.
    pub unsorted: Unsorted,
}

impl Held {
    /// Of a channel, how many days of its past these viewers may watch.
    #[must_use]
    pub fn archive_days(&self, channel: &Channel) -> u32 {
        channel.archive_days.min(self.catch_up_days)
    }

    /// Categories that sort this.
    pub fn categories_of(&self, sorts: Sorts) -> impl Iterator<Item = &Arc<Category>> {
        self.categories.iter().filter(move |category| category.sorts == sorts)
    }
}

/// A place among what bouquets name.
type Place = usize;

impl Content {
    /// What the bouquets of a set name, each path once, at its first place.
    fn paths(&self, set: &Set) -> Vec<&str> {
        let bouquets = set.bouquets.iter().filter_map(|id| self.bouquets.get(id));
        let mut seen = HashSet::new();
        let all = bouquets.flat_map(|content| content.iter().map(|path| &**path));
        all.filter(|path| seen.insert(*path)).collect()
    }

    /// Whether a set holds a channel.
    #[must_use]
    pub fn holds_channel(&self, set: &Set, id: &str) -> bool {
        self.paths(set).iter().any(|path| path.strip_prefix("tv/") == Some(id))
    }

    /// Whether a set holds an asset, by itself or with a folder.
    #[must_use]
    pub fn holds_asset(&self, set: &Set, id: &str) -> bool {
        self.paths(set).iter().filter_map(|path| path.strip_prefix("vod/")).any(|path| {
            let rest = id.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// What a set holds.
    #[must_use]
    pub fn held(&self, set: &Set) -> Held {
        let mut channels: Vec<(Place, &Arc<Channel>)> = Vec::new();
        let mut assets: HashMap<&str, (Place, &Arc<Asset>)> = HashMap::new();
        for (place, path) in self.paths(set).into_iter().enumerate() {
            if let Some(id) = path.strip_prefix("tv/") {
                channels.extend(self.channels.get(id).map(|channel| (place, channel)));
            } else if let Some(path) = path.strip_prefix("vod/") {
                for (id, asset) in self.below(path) {
                    assets.entry(id).or_insert((place, asset));
                }
            }
        }
        channels.sort_by(|(of, a), (to, b)| by((a.order, *of, &a.name), (b.order, *to, &b.name)));
        let is_film = |(_, asset): &&(Place, &Arc<Asset>)| asset.form == Form::Film;
        let mut films: Vec<_> = assets.values().filter(is_film).collect();
        films.sort_by(|(of, a), (to, b)| {
            by((a.order, *of, &a.name), (b.order, *to, &b.name)).then_with(|| a.id.cmp(&b.id))
        });
        let mut held = Held {
            catch_up_days: set.catch_up_days,
            channels: channels.into_iter().map(|(_, channel)| Arc::clone(channel)).collect(),
            films: films.into_iter().map(|(_, asset)| Arc::clone(asset)).collect(),
            series: self.shown(&assets),
            ..Held::default()
        };
        self.sort(&mut held);
        held
    }

    /// An asset, and all below it if it is a folder.
    fn below<'c>(&'c self, path: &'c str) -> impl Iterator<Item = (&'c str, &'c Arc<Asset>)> {
        let itself = self.assets.get_key_value(path);
        let folder = format!("{path}/");
        let from = (Bound::Included(&*folder), Bound::Unbounded);
        let below = self.assets.range::<str, _>(from);
        let below: Vec<_> = below.take_while(|(id, _)| id.starts_with(&folder)).collect();
        itself.into_iter().chain(below).map(|(id, asset)| (&**id, asset))
    }

    /// Series of which some episode's asset is held.
    fn shown(&self, assets: &HashMap<&str, (Place, &Arc<Asset>)>) -> Vec<Shown> {
        let mut series: BTreeMap<&str, (Place, Vec<Arc<Episode>>)> = BTreeMap::new();
        for episode in self.episodes.values() {
            let Some((place, _)) = assets.get(&*episode.asset) else { continue };
            let shown = series.entry(&episode.series).or_insert((*place, Vec::new()));
            shown.0 = shown.0.min(*place);
            shown.1.push(Arc::clone(episode));
        }
        let mut shown: Vec<_> = series
            .into_iter()
            .filter_map(|(id, (place, mut episodes))| {
                let series = Arc::clone(self.series.get(id)?);
                episodes.sort_by(|a, b| {
                    (a.season, a.episode, &a.id).cmp(&(b.season, b.episode, &b.id))
                });
                Some((place, Shown { series, episodes }))
            })
            .collect();
        shown.sort_by(|(of, a), (to, b)| {
            let (a, b) = (&a.series, &b.series);
            by((a.order, *of, &a.name), (b.order, *to, &b.name))
        });
        shown.into_iter().map(|(_, shown)| shown).collect()
    }

    /// Finds the categories of what is held.
    fn sort(&self, held: &mut Held) {
        let mut seen = HashSet::new();
        // Whether something is in none that sorts what it is.
        let mut of = |sorts: Sorts, ids: &[Box<str>]| {
            let known = |id: &str| {
                let found = self.categories.get(id)?;
                (found.sorts == sorts).then_some(found)
            };
            let found = ids.iter().filter_map(|id| known(id));
            found.fold(true, |_, category| {
                seen.insert(&*category.id);
                false
            })
        };
        for channel in &held.channels {
            held.unsorted.live |= of(Sorts::Live, &channel.categories);
        }
        for film in &held.films {
            held.unsorted.films |= of(Sorts::Film, &film.categories);
        }
        for shown in &held.series {
            held.unsorted.series |= of(Sorts::Series, &shown.series.categories);
        }
        let ids = seen.iter().filter_map(|id| self.categories.get(*id));
        held.categories = ids.cloned().collect();
        held.categories.sort_by(|a, b| (a.order, &a.name, &a.id).cmp(&(b.order, &b.name, &b.id)));
    }
}

fn by(a: (i32, Place, &str), b: (i32, Place, &str)) -> Ordering {
    a.cmp(&b)
}
