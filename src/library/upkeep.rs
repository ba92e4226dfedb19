//! What the library does with spare time: packs onto huge pages, and checksums of payloads.
//!
//! Both run on threads of their own, one pack at a time; here is decided which pack is next.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::huge::{self, HUGE_PAGE_SIZE, Outcome, SIZE_MIN};
use super::lend::Lent;
use super::names::Name;
use super::run::{Event, Library};
use super::scrub::{self, Found, Scrubbed, ToScrub};
use crate::config::DISTRUST_MS;
use crate::messages::{SourceId, SourceKind, Update};
use crate::sys::{files, priority};

/// How often every pack is read whole, at most.
const SCRUB_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Files of which nothing came onto huge pages although they were read anew, after which we believe
/// that there are none here.
const FAILURES_MAX: u32 = 3;

/// Candidates that are remembered; beyond it the oldest are forgotten.
const CANDIDATES_MAX: usize = 4096;

/// How often shards are told, while a file is being read anew, that its pages are dropped: what
/// they are told lasts for `DISTRUST_MS`, and reading takes as long as it takes.
const TOLD_EVERY: Duration = Duration::from_millis(DISTRUST_MS / 3);

/// A file to bring onto huge pages.
#[derive(Debug)]
struct ToWarm {
    source: SourceId,
    root: Arc<File>,
    below: PathBuf,
    stop: Arc<AtomicBool>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Warmed {
    source: SourceId,
    outcome: Outcome,
}

/// The state of both.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// What may be on huge pages by our doing; no bytes = off.
    pub(super) budget: Budget,
    warm: SyncSender<ToWarm>,
    /// What is being brought in now, and how to stop it.
    warming: Option<(SourceId, Arc<AtomicBool>)>,
    /// When shards were last told that pages are being dropped.
    told: Instant,
    candidates: VecDeque<SourceId>,
    failures: u32,

    /// Bytes a second; 0 = off.
    pub(super) rate: u64,
    scrub: SyncSender<ToScrub>,
    scrubbing: bool,
    /// The pack read last in this round.
    cursor: Option<Name>,
    round_began: Option<Instant>,
    next_round: Instant,
}

impl Upkeep {
    /// Starts both threads.
    pub(super) fn start(
        limits: &crate::config::Limits,
        scrub_after: Duration,
        events: &SyncSender<Event>,
    ) -> std::io::Result<Self> {
        let (warm, warm_wishes) = sync_channel(1);
        let (scrub, scrub_wishes) = sync_channel(1);
        let (of_warm, of_scrub) = (events.clone(), events.clone());
        thread::Builder::new()
            .name("library-huge".to_owned())
            .spawn(move || warm_thread(&warm_wishes, &of_warm))?;
        thread::Builder::new().name("library-scrub".to_owned()).spawn(move || {
            // It fails only when the library's thread has ended.
            scrub::run(&scrub_wishes, |done| drop(of_scrub.send(Event::Scrubbed(done))));
        })?;
        Ok(Self {
            budget: Budget::new(budget(limits)),
            warm,
            warming: None,
            told: Instant::now(),
            candidates: VecDeque::new(),
            failures: 0,
            rate: limits.scrub_rate,
            scrub,
            scrubbing: false,
            cursor: None,
            round_began: None,
            next_round: Instant::now() + scrub_after,
        })
    }

    /// From now on so many bytes may be on huge pages; whether there are any is found out anew.
    pub(super) fn set_budget(&mut self, limit: u64) {
        self.budget.set_limit(limit);
        self.failures = 0;
    }

    /// Gives up when it looks as if files got no huge pages here.
    fn learn(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Huge => self.failures = 0,
            Outcome::Unsupported => self.failures += 1,
            Outcome::Untold | Outcome::Small | Outcome::Stopped => return,
        }
        if self.failures >= FAILURES_MAX {
            tracing::info!("files get no huge pages here: packs stay on small ones");
            self.budget.close();
            self.candidates.clear();
        }
    }

    /// When there may be something to do, if nothing happens before.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let to_warm = self.warming.is_none() && !self.candidates.is_empty();
        let warming_due = to_warm.then_some(now);
        [warming_due, self.scrub_due(), self.telling_due()].into_iter().flatten().min()
    }

    fn scrub_due(&self) -> Option<Instant> {
        (self.rate > 0 && !self.scrubbing).then(|| self.round_began.unwrap_or(self.next_round))
    }

    /// When shards are to be told again that pages are being dropped.
    fn telling_due(&self) -> Option<Instant> {
        self.warming.is_some().then(|| self.told + TOLD_EVERY)
    }
}

/// Bytes that these limits allow on huge pages: the other half is for small bodies.
pub(super) fn budget(limits: &crate::config::Limits) -> u64 {
    if limits.huge_pages { limits.cache_memory as u64 / 2 } else { 0 }
}

fn warm_thread(wishes: &Receiver<ToWarm>, events: &SyncSender<Event>) {
    priority::give_way(super::NICE);
    while let Ok(wish) = wishes.recv() {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK;
        let outcome = files::open_beneath(&*wish.root, &wish.below, flags)
            .and_then(|file| huge::settle(&File::from(file), &wish.stop))
            // A file that went, or can't be read, is found out by whoever wants it.
            .unwrap_or(Outcome::Stopped);
        let warmed = Warmed { source: wish.source, outcome };
        if events.send(Event::Warmed(warmed)).is_err() {
            return;
        }
    }
}

impl Library {
    /// Begins what can be begun.
    pub(super) fn upkeep(&mut self, now: Instant) {
        if self.upkeep.warming.is_none() {
            self.warm_next(now);
        }
        if self.upkeep.telling_due().is_some_and(|due| due <= now) {
            self.tell_of_reading(now);
        }
        if self.upkeep.scrub_due().is_some_and(|due| due <= now) {
            self.scrub_next(now);
        }
    }

    /// The libraries are listed: the newest packs come first, as far as the budget goes.
    pub(super) fn choose_packs_to_warm(&mut self) {
        let mut packs: Vec<_> = self
            .names
            .iter()
            .filter(|(name, _)| name.kind() == SourceKind::Pack)
            .map(|(_, shelved)| (shelved.version.modified, shelved.version.size, shelved.source))
            .collect();
        packs.sort_unstable_by(|a, b| b.cmp(a));
        let mut room = self.upkeep.budget.limit();
        for (_, size, source) in packs {
            if (SIZE_MIN..=room).contains(&size) {
                room -= size;
                self.upkeep.candidates.push_back(source);
            }
            if room < HUGE_PAGE_SIZE || self.upkeep.candidates.len() >= CANDIDATES_MAX {
                break;
            }
        }
    }

    /// A source is being served from disk now: it goes before those that nobody wants.
    pub(super) fn warm_soon(&mut self, source: SourceId) {
        if self.upkeep.budget.limit() > 0 {
            self.upkeep.candidates.push_front(source);
            self.upkeep.candidates.truncate(CANDIDATES_MAX);
        }
    }

    /// A source was replaced: its pages are another file's business.
    pub(super) fn forget_warmed(&mut self, source: SourceId) {
        self.upkeep.budget.give_back(source);
        if let Some((warming, stop)) = &self.upkeep.warming
            && *warming == source
        {
            stop.store(true, Ordering::Relaxed);
        }
    }

    fn tell_of_reading(&mut self, now: Instant) {
        self.upkeep.told = now;
        for shard in &mut self.shards {
            shard.send(Update::Reread);
        }
    }

    fn warm_next(&mut self, now: Instant) {
        while let Some(source) = self.upkeep.candidates.pop_front() {
            let Some(name) = self.sources.get(&source).cloned() else { continue };
            let Some(shelved) = self.names.get(&name) else { continue };
            let size = shelved.version.size;
            let Some(root) = self.folders[usize::from(name.root)].clone() else { continue };
            let (used, lent) = (self.is_lent(source), &self.lent);
            let is_used = |source| lent.get(&source).is_some_and(Lent::is_used);
            if size < SIZE_MIN || !self.upkeep.budget.take(source, size, used, is_used) {
                continue;
            }
            let (below, stop) = (self.below(&name), Arc::new(AtomicBool::new(false)));
            self.upkeep.warming = Some((source, Arc::clone(&stop)));
            let wish = ToWarm { source, root, below, stop };
            self.tell_of_reading(now);
            // Its one place is free, because nothing is being warmed.
            let _ = self.upkeep.warm.try_send(wish);
            return;
        }
    }

    /// A file was brought onto huge pages, or not.
    pub(super) fn handle_warmed(&mut self, warmed: Warmed) {
        let Warmed { source, outcome } = warmed;
        self.upkeep.warming = None;
        if !matches!(outcome, Outcome::Huge | Outcome::Untold) {
            self.upkeep.budget.give_back(source);
        }
        self.upkeep.learn(outcome);
    }

    fn scrub_next(&mut self, now: Instant) {
        let began = *self.upkeep.round_began.get_or_insert(now);
        let Some((name, source)) = self.names.pack_after(self.upkeep.cursor.as_ref()) else {
            self.upkeep.cursor = None;
            self.upkeep.round_began = None;
            self.upkeep.next_round = began + SCRUB_EVERY;
            return;
        };
        let root = self.folders[usize::from(name.root)].clone();
        let below = self.below(&name);
        self.upkeep.cursor = Some(name);
        if let Some(root) = root {
            self.upkeep.scrubbing = true;
            let wish = ToScrub { source, root, below, rate: self.upkeep.rate };
            // Its one place is free, because nothing is being scrubbed.
            let _ = self.upkeep.scrub.try_send(wish);
        }
    }

    /// A pack was read whole.
    pub(super) fn handle_scrubbed(&mut self, scrubbed: Scrubbed) {
        self.upkeep.scrubbing = false;
        let Scrubbed { source, found } = scrubbed;
        let Some(name) = self.sources.get(&source).cloned() else { return };
        match found {
            Found::Good => {}
            // If this is not the listed version, news of the change is still on its way.
            Found::Damaged(version, why) => {
                if self.names.get(&name).is_some_and(|shelved| shelved.version == version) {
                    self.note_damage(source, &name, &why);
                    self.take_back(source, &name);
                }
            }
            Found::Unreadable(why) => {
                let path = self.shown(&name);
                tracing::warn!("shardcast: verifying {path}: {why} (look at the disk)");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_given_up_again_after_the_config_gave_another_budget() {
        let (events, _kept) = sync_channel(1);
        let limits = crate::config::Limits { scrub_rate: 0, ..Default::default() };
        let mut upkeep = Upkeep::start(&limits, Duration::ZERO, &events).unwrap();
        for budget in [1 << 30, 1 << 31] {
            upkeep.set_budget(budget);
            for _ in 0..FAILURES_MAX {
                assert_eq!(upkeep.budget.limit(), budget);
                upkeep.learn(Outcome::Unsupported);
            }
            assert_eq!(upkeep.budget.limit(), 0);
        }
    }

    #[test]
    fn shards_are_told_again_as_long_as_a_file_is_being_read() {
        let (events, _kept) = sync_channel(1);
        let limits = crate::config::Limits { scrub_rate: 0, ..Default::default() };
        let mut upkeep = Upkeep::start(&limits, Duration::ZERO, &events).unwrap();
        let now = Instant::now();
        assert_eq!(upkeep.due(now), None);
        upkeep.warming = Some((SourceId(1), Arc::default()));
        let due = upkeep.due(now).expect("they are told again");
        assert!(due > upkeep.told && due < upkeep.told + Duration::from_millis(DISTRUST_MS));
        upkeep.told = due;
        assert!(upkeep.due(now).is_some_and(|next| next > due), "and again");
        upkeep.warming = None;
        assert_eq!(upkeep.due(now), None, "it is over");
    }
}
