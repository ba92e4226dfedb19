//! Catalogues that were made, and who waits for one. Those go that were asked for the longest time
//! ago when there are too many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::body::Known;
use super::personal::Template;
use super::{Unmade, Wanted};
use crate::config::{CATALOGUE_IDLE_MS, CATALOGUES_WAITING_MAX};
use crate::control::answers;
use crate::messages::Opened;

/// What is handed out of a catalogue.
#[derive(Clone, Debug)]
pub enum Made {
    /// An object that all get.
    Object(Arc<Opened>),
    /// A body with places for what is one subscriber's.
    Template(Arc<Template>),
}

/// One edition of a catalogue.
#[derive(Debug)]
pub struct Edition {
    /// What is handed out.
    pub made: Made,
    /// Its blocks, for the next edition.
    pub known: Known,
}

impl Edition {
    /// Bytes of memory that it takes.
    fn size(&self) -> usize {
        let blocks: usize = self.known.values().map(|block| block.deflated.len() + 64).sum();
        blocks
            + match &self.made {
                Made::Object(opened) => answers::size_of(opened),
                Made::Template(template) => template.size(),
            }
    }
}

#[derive(Debug)]
struct Kept {
    edition: Edition,
    size: usize,
    used: Instant,
}

type Outcome = Result<Made, Unmade>;

/// The shelf.
#[derive(Debug)]
pub struct Shelf {
    editions: HashMap<Arc<Wanted>, Kept>,
    waiting: HashMap<Arc<Wanted>, Vec<oneshot::Sender<Outcome>>>,
    size: usize,
    size_max: usize,
}

/// What one who asks gets.
pub enum Taken {
    /// It is there.
    Made(Made),
    /// It will be; whether this is the first who waits for it.
    Waits(oneshot::Receiver<Outcome>, bool),
    /// Too many others are waited for.
    Full,
}

impl Shelf {
    /// An empty one with room for so many bytes.
    pub fn new(size_max: usize) -> Self {
        Self { editions: HashMap::new(), waiting: HashMap::new(), size: 0, size_max }
    }

    /// What is wanted, if it was made.
    pub fn take(&mut self, wanted: &Arc<Wanted>) -> Taken {
        if let Some(kept) = self.editions.get_mut(wanted) {
            kept.used = Instant::now();
            return Taken::Made(kept.edition.made.clone());
        }
        let is_first = !self.waiting.contains_key(wanted);
        if is_first && self.waiting.len() >= CATALOGUES_WAITING_MAX {
            return Taken::Full;
        }
        let (told, tells) = oneshot::channel();
        self.waiting.entry(Arc::clone(wanted)).or_default().push(told);
        Taken::Waits(tells, is_first)
    }

    /// Nobody makes it, for now: whoever waits hears so.
    pub fn give_up(&mut self, wanted: &Wanted) {
        for waits in self.waiting.remove(wanted).unwrap_or_default() {
            let _ = waits.send(Err(Unmade));
        }
    }

    /// Blocks of the edition that is there.
    pub fn known(&self, wanted: &Wanted) -> Known {
        self.editions.get(wanted).map(|kept| kept.edition.known.clone()).unwrap_or_default()
    }

    /// A new edition was made: whoever waits gets it.
    pub fn put(&mut self, wanted: &Arc<Wanted>, edition: Edition) {
        let made = edition.made.clone();
        let size = edition.size();
        let used = self.editions.get(wanted).map_or_else(Instant::now, |kept| kept.used);
        self.size += size;
        let kept = Kept { edition, size, used };
        if let Some(old) = self.editions.insert(Arc::clone(wanted), kept) {
            self.size -= old.size;
        }
        self.make_room(wanted);
        for waits in self.waiting.remove(wanted).unwrap_or_default() {
            // Who has gone in the meantime needs nothing.
            let _ = waits.send(Ok(made.clone()));
        }
    }

    /// Something has changed: what is to be made anew, what was asked for last first. What nobody
    /// has asked for since long goes.
    pub fn outdated(&mut self) -> Vec<Arc<Wanted>> {
        let idle = Duration::from_millis(CATALOGUE_IDLE_MS);
        let gone = self.editions.extract_if(|_, kept| kept.used.elapsed() > idle);
        let freed: usize = gone.map(|(_, kept)| kept.size).sum();
        self.size -= freed;
        let mut all: Vec<_> = self.editions.iter().collect();
        all.sort_by_key(|(_, kept)| std::cmp::Reverse(kept.used));
        all.into_iter().map(|(wanted, _)| Arc::clone(wanted)).collect()
    }

    /// The oldest go until the others fit; the newest stays.
    fn make_room(&mut self, newest: &Wanted) {
        while self.size > self.size_max {
            let others = self.editions.iter().filter(|(wanted, _)| &***wanted != newest);
            let Some(oldest) = others.min_by_key(|(_, kept)| kept.used) else { return };
            let oldest = Arc::clone(oldest.0);
            if let Some(old) = self.editions.remove(&oldest) {
                self.size -= old.size;
            }
        }
    }
}
