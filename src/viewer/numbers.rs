//! What the numbers in apps' addresses stand for: of channels, of assets, of episodes.
//!
//! Made in control of the registry, and handed to shards as one immutable value.

use std::sync::Arc;

use ahash::AHashMap;

/// What a number is one of. Each kind counts on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Numbered {
    /// A channel.
    Channel,
    /// An asset.
    Film,
    /// An episode.
    Episode,
}

/// What is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Where it begins: `/tv/news/master.m3u8` of a channel, `films/a` of an asset, whose path
    /// follows `/vod/`.
    path: Arc<str>,
    /// The transport stream of a channel.
    stream: Arc<str>,
}

impl Played {
    /// Of the channel of this id.
    #[must_use]
    pub fn channel(id: &str) -> Self {
        let path = format!("/tv/{id}/master.m3u8").into();
        Self { path, stream: format!("/tv/{id}/stream.ts").into() }
    }

    /// Of what lies at this path below `/vod/`.
    #[must_use]
    pub fn asset(path: &str) -> Self {
        Self { path: path.into(), stream: Arc::default() }
    }

    /// Where it begins.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The transport stream of a channel.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }
}

/// What each number stands for at a moment.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Most of them, as they were some time ago.
    settled: Arc<AHashMap<(Numbered, u32), Played>>,
    /// Those that have changed since; none = gone.
    recent: Arc<AHashMap<(Numbered, u32), Option<Played>>>,
}

/// One that has changed; none = gone.
pub type Change = ((Numbered, u32), Option<Played>);

/// Changes that are kept apart from the settled ones: so many, and a part of all.
const RECENT_MIN: usize = 256;
const RECENT_PART: usize = 32;

impl Numbers {
    /// What is played by a number, if anything is.
    #[must_use]
    pub fn find(&self, kind: Numbered, number: u32) -> Option<&Played> {
        match self.recent.get(&(kind, number)) {
            Some(recent) => recent.as_ref(),
            None => self.settled.get(&(kind, number)),
        }
    }

    /// The same with these changes.
    #[must_use]
    pub fn with(&self, changed: &[Change]) -> Self {
        if changed.is_empty() {
            return self.clone();
        }
        let limit = RECENT_MIN + self.settled.len() / RECENT_PART;
        if self.recent.len() + changed.len() <= limit {
            let mut recent = AHashMap::clone(&self.recent);
            recent.extend(changed.iter().cloned());
            return Self { recent: Arc::new(recent), ..self.clone() };
        }
        let mut settled = AHashMap::clone(&self.settled);
        let recent = self.recent.iter().map(|(number, played)| (*number, played.clone()));
        for (number, played) in recent.chain(changed.iter().cloned()) {
            match played {
                Some(played) => drop(settled.insert(number, played)),
                None => drop(settled.remove(&number)),
            }
        }
        Self { settled: Arc::new(settled), recent: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_for_what_was_said_last() {
        let news = (Numbered::Channel, 7);
        let numbers = Numbers::default().with(&[(news, Some(Played::channel("news")))]);
        let found = numbers.find(Numbered::Channel, 7).unwrap();
        assert_eq!((found.path(), found.stream()), ("/tv/news/master.m3u8", "/tv/news/stream.ts"));
        assert_eq!(numbers.find(Numbered::Film, 7), None, "each kind counts on its own");
        let many: Vec<Change> = (1..=1_000)
            .map(|number| {
                ((Numbered::Film, number), Some(Played::asset(&format!("films/{number}"))))
            })
            .collect();
        let more = numbers.with(&many).with(&[(news, None)]);
        assert_eq!(more.find(Numbered::Film, 1_000).map(Played::path), Some("films/1000"));
        assert_eq!(more.find(Numbered::Channel, 7), None);
        assert!(
            numbers.find(Numbered::Channel, 7).is_some(),
            "who has the older one sees what it was"
        );
    }
}
