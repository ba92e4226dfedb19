//! A thread that writes archives: it gathers segments, makes them durable, and says what came of
//! it. It also writes down what channels remember.
//!
//! A disk that refuses costs the segments that have come until then, and is asked again after a
//! while: live goes on, and the archive by itself when there is room.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::growing::{self, Growing, Grown};
use super::keeper::{Keeper, Retention, Whole};
use super::marks::{Marks, Numbers};
use super::memory::Memory;
use super::{Archive, Load, Recovered, folder, growing_folder, memory_path};
use crate::config::{
    self, ARCHIVE_COMMIT_MS, ARCHIVE_RETRY_MS, ARCHIVE_RETRY_MS_MAX, Access, NUMBERS_RESERVED,
};
use crate::library::DiskError;
use crate::library::disk::{RealDisk, folder_of};
use crate::library::hours::make_folder;
use crate::library::lender::{Lender, News};
use crate::live::records::Records;

/// How often hours are looked at that may be over or too old.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the thread is told.
#[derive(Debug)]
pub enum ToRecorder {
    /// There is a channel.
    Begin(Box<BegunChannel>),
    /// A segment of a channel is whole.
    Whole(Arc<str>, Box<Whole>),
    /// A chunk of a segment under way.
    Grown(Arc<str>, Box<Grown>),
    /// This is what a channel remembers from now on.
    Remember(Arc<str>, Memory),
    /// Segments of a channel have begun: which, it says itself.
    BeganSegment(Arc<str>),
    /// A channel is gone.
    End(Arc<str>),
    /// The server ends: say so when everything is durable.
    Finish(SyncSender<()>),
}

/// A channel that has begun.
#[derive(Debug)]
pub struct BegunChannel {
    /// What it has of us.
    pub archive: Archive,
    /// How it is kept, if it is.
    pub settings: Option<config::Archive>,
    /// Who may watch.
    pub access: Access,
    /// Where it is told what there was of it.
    pub reply: oneshot::Sender<Recovered>,
}

/// The state of the thread.
#[derive(Debug)]
pub struct Recorder {
    state: PathBuf,
    lender: Lender,
    records: Arc<Records>,
    load: Arc<Load>,
    channels: HashMap<Arc<str>, Channel>,
}

#[derive(Debug)]
struct Channel {
    archive: Archive,
    kept: Option<KeptChannel>,
    marks: Marks,
}

/// A channel that is kept.
#[derive(Debug)]
struct KeptChannel {
    folder: PathBuf,
    access: Access,
    retention: Retention,
    /// None while the disk refuses.
    keeper: Option<Keeper<'static, RealDisk>>,
    pending: Vec<Whole>,
    /// Where chunks of segments under way are put down, if they must be and the disk takes them.
    growing: Option<Growing<'static, RealDisk>>,
    grown: Vec<Grown>,
    /// When chunks are put down again after the disk refused some.
    grow_at: Option<Instant>,
    /// When it is tried again, and how long to wait after that.
    retry: Option<(Instant, Duration)>,
}

impl Recorder {
    /// For no channel yet.
    #[must_use]
    pub fn new(state: PathBuf, lender: Lender, records: Arc<Records>, load: Arc<Load>) -> Self {
        Self { state, lender, records, load, channels: HashMap::new() }
    }

    /// Runs until nobody can tell it anything any more.
    pub fn run(mut self, queue: &Receiver<ToRecorder>) {
        let mut look_at = Instant::now() + LOOK_EVERY;
        let mut commit_at: Option<Instant> = None;
        loop {
            let due = commit_at.map_or(look_at, |commit_at| commit_at.min(look_at));
            let told = queue.recv_timeout(due.saturating_duration_since(Instant::now()));
            match told {
                Ok(told) => {
                    if matches!(told, ToRecorder::Whole(..) | ToRecorder::Grown(..)) {
                        let gather = Duration::from_millis(ARCHIVE_COMMIT_MS);
                        commit_at.get_or_insert_with(|| Instant::now() + gather);
                    }
                    self.handle(told);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.commit_all(),
            }
            let now = Instant::now();
            if commit_at.is_some_and(|at| at <= now) {
                // What has come meanwhile goes with it.
                while let Ok(told) = queue.try_recv() {
                    self.handle(told);
                }
                commit_at = None;
                self.commit_all();
            }
            if look_at <= now {
                self.look();
                look_at = Instant::now() + LOOK_EVERY;
            }
        }
    }

    fn handle(&mut self, told: ToRecorder) {
        match told {
            ToRecorder::Begin(begun) => self.begin(*begun),
            ToRecorder::Whole(id, whole) => {
                let channel = self.channels.get_mut(&id).and_then(|of| of.kept.as_mut());
                match channel {
                    Some(channel) => channel.pending.push(*whole),
                    None => self.load.take(whole.size()),
                }
            }
            ToRecorder::Grown(id, grown) => {
                let channel = self.channels.get_mut(&id).and_then(|of| of.kept.as_mut());
                match channel {
                    Some(channel) => channel.grown.push(*grown),
                    None => self.load.take(grown.bytes.len()),
                }
            }
            ToRecorder::BeganSegment(id) => self.begin_segment(&id),
            ToRecorder::Remember(id, memory) => self.remember(&id, &memory),
            ToRecorder::Finish(done) => {
                self.commit_all();
                self.end_marks();
                // Who does not wait any more need not hear it.
                let _ = done.try_send(());
            }
            ToRecorder::End(id) => {
                self.commit_one(&id);
                if self.channels.remove(&id).is_some_and(|channel| channel.kept.is_some()) {
                    self.lender.tell(News::Closed(Arc::clone(&id)));
                    self.records.remove(&id);
                }
            }
        }
    }

    fn remember(&self, id: &str, memory: &Memory) {
        let path = memory_path(&self.state, id);
        let stored = make_folder(folder_of(&path));
        if let Err(error) = stored.and_then(|()| memory.store(&RealDisk, &path)) {
            tracing::error!(channel = id, "what must outlast a restart: {error}");
        }
    }

    /// Up to where segments had begun, where what is under way is not taken up again.
    fn begun_before(&self, id: &str, archive: &Archive) -> Numbers {
        if archive.is_required {
            return Numbers::new();
        }
        Marks::before(&self.state, id).unwrap_or_else(|error| {
            tracing::error!(channel = id, "which segments had begun is not known: {error}");
            Numbers::new()
        })
    }

    /// Nothing more begins in this run.
    fn end_marks(&mut self) {
        for (id, channel) in &mut self.channels {
            if let Err(error) = channel.marks.end((&self.state, id), &channel.archive.begun) {
                tracing::error!(channel = &**id, "which segments had begun: {error}");
            }
        }
    }

    fn begin_segment(&mut self, id: &Arc<str>) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        let begun = &channel.archive.begun;
        if let Err(error) = channel.marks.write((&self.state, id), begun) {
            let what = "which segments have begun is not put down, and may be used again";
            tracing::error!(channel = &**id, "{what}: {error}");
        }
    }

    fn begin(&mut self, begun: BegunChannel) {
        let BegunChannel { archive, settings, access, reply } = begun;
        let id = Arc::clone(&archive.id);
        let growing_folder = growing_folder(&self.state, &id);
        let memory = Memory::load(&RealDisk, &memory_path(&self.state, &id));
        let memory = memory.unwrap_or_else(|error| {
            tracing::error!(channel = &*id, "what the channel remembered is lost: {error}");
            Memory::default()
        });
        // The first numbers of this run are put down as used before it has any.
        if !memory.numbers.is_empty() {
            let mut ahead = memory.clone();
            for number in ahead.numbers.values_mut() {
                *number = number.saturating_add(NUMBERS_RESERVED);
            }
            self.remember(&id, &ahead);
        }
        let kept = settings.map(|settings| KeptChannel {
            folder: folder(&self.state, &id),
            access,
            retention: Retention { age_ms: settings.age_ms, size_max: settings.size_max },
            keeper: None,
            pending: Vec::new(),
            growing: None,
            grown: Vec::new(),
            grow_at: None,
            retry: None,
        });
        let begun = self.begun_before(&id, &archive);
        let marks = Marks::new(begun.clone());
        let mut channel = Channel { archive: archive.clone(), kept, marks };
        if let Some(kept) = &mut channel.kept
            && let Err(error) = kept.keeper(&id, &self.records)
        {
            kept.refused(&id, &error);
        }
        let last = self.records.with(&id, |record| {
            let last = |one: &crate::live::record::Recorded| {
                Some((one.name.clone(), one.segments.last()?.number))
            };
            record.renditions.iter().filter_map(last).collect()
        });
        let last: Vec<(String, i64)> = last.unwrap_or_default();
        let grown = match channel.kept.as_mut().filter(|_| archive.is_required) {
            Some(kept) => kept.grown_before(&growing_folder, &last),
            None => growing::clear(&RealDisk, &growing_folder).map(|()| Vec::new()),
        };
        let grown = grown.unwrap_or_else(|error| {
            tracing::error!(channel = &*id, "what was under way before a restart: {error}");
            Vec::new()
        });
        channel.look(&self.lender);
        self.channels.insert(id, channel);
        // If nobody waits any more, the server ends.
        let _ = reply.send(Recovered { archive, memory, begun, kept: last, grown });
    }

    fn commit_all(&mut self) {
        for id in self.channels.keys().cloned().collect::<Vec<_>>() {
            self.commit_one(&id);
        }
    }

    fn commit_one(&mut self, id: &Arc<str>) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        let Some(kept) = &mut channel.kept else { return };
        let batch = std::mem::take(&mut kept.pending);
        if batch.is_empty() {
            return kept.put_down(id, &self.load);
        }
        let is_durable = kept.commit(id, &batch, &self.records);
        let progress = &channel.archive.progress;
        for whole in &batch {
            self.load.take(whole.size());
            if is_durable {
                progress.commit(&whole.rendition, whole.kept.number);
            } else {
                progress.fail(&whole.rendition, whole.kept.number);
            }
        }
        kept.settle(&batch);
        // First the shards, so that what an encoder is told of can be asked for.
        channel.look(&self.lender);
        channel.archive.progress.tell();
        // Last, so that never more is there of a segment than of the one before it.
        if let Some(kept) = &mut channel.kept {
            kept.put_down(id, &self.load);
        }
    }

    /// Looks after hours that are over, or too old.
    fn look(&mut self) {
        for (id, channel) in &mut self.channels {
            if let Some(kept) = &mut channel.kept {
                kept.end_hour(id);
            }
            channel.look(&self.lender);
        }
    }
}

impl Channel {
    /// Takes away what is too old, and tells the lender what there is to tell.
    fn look(&mut self, lender: &Lender) {
        let Some(keeper) = self.kept.as_mut().and_then(|kept| kept.keeper.as_mut()) else { return };
        keeper.retire(now_ms());
        for news in keeper.take_news() {
            lender.tell(news);
        }
        self.archive.progress.set_size(keeper.size());
    }
}

impl KeptChannel {
    fn keeper(
        &mut self,
        id: &str,
        records: &Arc<Records>,
    ) -> Result<&mut Keeper<'static, RealDisk>, DiskError> {
        if self.keeper.is_none() {
            make_folder(&self.folder)?;
            let who = (id, self.access);
            let (folder, records) = (self.folder.clone(), Arc::clone(records));
            self.keeper = Some(Keeper::recovered(&RealDisk, folder, who, self.retention, records)?);
        }
        Ok(self.keeper.as_mut().expect("it was just made"))
    }

    /// Makes segments durable; whether it did.
    fn commit(&mut self, id: &str, batch: &[Whole], records: &Arc<Records>) -> bool {
        if self.retry.is_some_and(|(at, _)| Instant::now() < at) {
            return false;
        }
        let mut attempt = || self.keeper(id, records)?.commit(batch, now_ms());
        // A disk may refuse once: the second attempt goes on with what is durable.
        match attempt().or_else(|_| attempt()) {
            Ok(()) => {
                if self.retry.take().is_some() {
                    tracing::info!(channel = id, "the archive goes on");
                }
                true
            }
            Err(error) => {
                self.refused(id, &error);
                false
            }
        }
    }

    /// What was under way before a restart. From now on chunks are put down in the same folder.
    fn grown_before(
        &mut self,
        folder: &Path,
        kept: &[(String, i64)],
    ) -> Result<Vec<Grown>, DiskError> {
        make_folder(folder)?;
        let last = |rendition: &str| {
            kept.iter().find(|(known, _)| known == rendition).map(|(_, number)| *number)
        };
        let (growing, grown) = Growing::recovered(&RealDisk, folder.to_owned(), last)?;
        self.growing = Some(growing);
        Ok(grown)
    }

    /// Makes chunks durable of segments that are not whole yet.
    fn put_down(&mut self, id: &str, load: &Load) {
        let grown = std::mem::take(&mut self.grown);
        for chunk in &grown {
            load.take(chunk.bytes.len());
        }
        let Some(growing) = &mut self.growing else { return };
        if grown.is_empty() || self.grow_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        match growing.append(&grown) {
            Ok(()) => self.grow_at = None,
            Err(error) => {
                // What is whole is kept all the same, or refused by itself.
                if self.grow_at.is_none() {
                    tracing::error!(channel = id, "what is under way is not put down: {error}");
                }
                self.grow_at = Some(Instant::now() + Duration::from_millis(ARCHIVE_RETRY_MS));
            }
        }
    }

    /// These segments were tried: nothing is needed any more of what was put down of them.
    fn settle(&mut self, batch: &[Whole]) {
        let Some(growing) = &mut self.growing else { return };
        for whole in batch {
            growing.settle(&whole.rendition, whole.kept.number);
        }
        growing.remove_settled();
    }

    fn end_hour(&mut self, id: &str) {
        let Some(keeper) = &mut self.keeper else { return };
        if self.retry.is_none_or(|(at, _)| Instant::now() >= at)
            && let Err(error) = keeper.end_hour(now_ms())
        {
            self.refused(id, &error);
        }
    }

    /// The disk refused: it is asked again in a while.
    fn refused(&mut self, id: &str, error: &DiskError) {
        let most = Duration::from_millis(ARCHIVE_RETRY_MS_MAX);
        let wait = self.retry.map_or(Duration::from_millis(ARCHIVE_RETRY_MS), |(_, wait)| wait);
        if self.retry.is_none() {
            tracing::error!(channel = id, "nothing is kept until the disk takes it: {error}");
        }
        self.retry = Some((Instant::now() + wait, (wait * 2).min(most)));
    }
}

/// Now, in milliseconds of Unix time.
fn now_ms() -> u64 {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)
}
