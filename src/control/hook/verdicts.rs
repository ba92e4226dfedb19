//! What a back end said before: an answer in, the same one out as long as it is good. Pure.

use std::collections::VecDeque;
use std::hash::Hash;

use ahash::AHashMap;

use crate::units::Ticks;

/// What is remembered by a key, the newest so many. Whatever is put again counts as new.
#[derive(Debug)]
pub struct Newest<K, V> {
    known: AHashMap<K, (V, u64)>,
    /// In the order in which they came; one that was put again stands there twice, with another
    /// number.
    order: VecDeque<(K, u64)>,
    next: u64,
    most: usize,
}

impl<K: Copy + Eq + Hash, V> Newest<K, V> {
    /// So many at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { known: AHashMap::new(), order: VecDeque::new(), next: 0, most }
    }

    /// Remembers it; the oldest is forgotten if there are too many.
    pub fn put(&mut self, key: K, value: V) {
        self.next += 1;
        self.known.insert(key, (value, self.next));
        self.order.push_back((key, self.next));
        while self.known.len() > self.most || self.order.len() > 2 * self.most {
            let Some((key, number)) = self.order.pop_front() else { return };
            if self.known.get(&key).is_some_and(|(_, newest)| *newest == number) {
                self.known.remove(&key);
            }
        }
    }

    /// What is remembered of it.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.known.get(key).map(|(value, _)| value)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.known.clear();
        self.order.clear();
    }
}

/// What a back end says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may begin.
    pub allow: bool,
    /// Why, in its own words.
    pub reason: Option<Box<str>>,
}

/// The same, and how long it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// What it says.
    pub verdict: Verdict,
    /// Until then.
    pub until: Ticks,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_and_no_more_than_there_may_be() {
        let mut newest = Newest::new(3);
        for key in 0..5 {
            newest.put(key, key * 10);
        }
        let all = |newest: &Newest<i32, i32>| -> Vec<_> {
            (0..6).filter_map(|key| newest.get(&key).copied()).collect()
        };
        assert_eq!(all(&newest), [20, 30, 40]);
        newest.put(2, 21);
        newest.put(5, 50);
        assert_eq!(all(&newest), [21, 40, 50], "what was said again is new");
        for round in 0..100 {
            newest.put(5, round);
        }
        assert_eq!(newest.get(&5), Some(&99));
        assert!(newest.order.len() <= 6 && newest.known.len() <= 3, "{newest:?}");
        newest.clear();
        assert!(all(&newest).is_empty());
    }
}
