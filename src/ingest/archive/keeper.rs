//! One channel's archive: whole segments in, hours on disk out, and the record that says what is in
//! them.
//!
//! A commit writes the segments that have come, the headers that they need and a piece of the
//! record into the hour that is open, and makes all of that durable at once: what the record says
//! is there, and nothing is there of which it says nothing. Each hour has all that its segments
//! need, so that older ones can go. A segment that did not come, or could not be written, is a gap
//! in the record; where media does not go on from what is kept, there is a discontinuity.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Access;
use crate::library::DiskError;
use crate::library::archive::Label;
use crate::library::disk::Disk;
use crate::library::hours::{Found, Hour, Hours, RECORD, WHOLE_RECORD};
use crate::library::lender::{HourOf, News, What};
use crate::live::cut::Lengths;
use crate::live::playlist::hls::segment_name;
use crate::live::record::{About, Added, Header, Kept, NO_HEADER, Piece, Recorded, Stretch};
use crate::live::records::Records;
use crate::live::timeline::GAPS_MAX;
use crate::messages::{Index, Opened, Payload};
use crate::pack::writer::Object;

const HOUR_MS: u64 = 3_600_000;

/// Attempts to go on with an hour before another file is begun beside it.
const ATTEMPTS: u32 = 3;

/// What is kept of a channel, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Milliseconds.
    pub age_ms: u64,
    /// Bytes, if there is a limit.
    pub size_max: Option<u64>,
}

/// A segment that is whole, or a gap.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Its rendition.
    pub rendition: Arc<str>,
    /// What the rendition is.
    pub about: About,
    /// The lengths that it was cut to.
    pub lengths: Lengths,
    /// Its facts. Which header holds is said by `header`.
    pub kept: Kept,
    /// Its header, and that one's bytes; none for a transport stream.
    pub header: Option<(Header, Arc<Opened>)>,
    /// Its bytes; none for a gap.
    pub opened: Option<Arc<Opened>>,
}

impl Whole {
    /// Bytes of it.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.kept.size).unwrap_or(usize::MAX)
    }
}

/// An hour that is there.
#[derive(Debug)]
struct KeptHour {
    hour: Hour,
    size: u64,
    stretches: Vec<Stretch>,
    state: State,
    /// Paths of what is in it beside segments, as long as something may be added.
    others: HashSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// More may be added; so often it could not be gone on with.
    Open(u32),
    /// Everything is in it; it is to become a pack.
    Full,
    /// It is a pack, or must stay as it is.
    Finished,
}

/// The archive of one channel.
#[derive(Debug)]
pub struct Keeper<'d, D: Disk> {
    id: Arc<str>,
    access: Access,
    retention: Retention,
    hours: Hours<'d, D>,
    records: Arc<Records>,
    /// The oldest first.
    kept: VecDeque<KeptHour>,
    /// What the lender is to be told.
    news: Vec<News>,
}

impl<'d, D: Disk> Keeper<'d, D> {
    /// With what is there in the folder. What is damaged is left where it is.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn recovered(
        disk: &'d D,
        folder: PathBuf,
        (id, access): (&str, Access),
        retention: Retention,
        records: Arc<Records>,
    ) -> Result<Self, DiskError> {
        let hours = Hours::new(disk, folder);
        let there = hours.there()?;
        let (kept, news) = (VecDeque::new(), Vec::new());
        let mut keeper = Self { id: id.into(), access, retention, hours, records, kept, news };
        keeper.records.change(id, |_| {});
        let newest = there.last().copied();
        for hour in there {
            match keeper.hours.recover(hour) {
                Ok(Some(found)) => keeper.take_found(found),
                Ok(None) => continue,
                Err(error) => {
                    tracing::error!(channel = id, "an hour is left out: {error}");
                    keeper.add_hour(hour, State::Finished);
                    continue;
                }
            }
            if Some(hour) != newest
                && let Err(error) = keeper.finish()
            {
                tracing::error!(channel = id, "an hour stays open: {error}");
                keeper.close_last();
            }
        }
        Ok(keeper)
    }

    /// What the lender is to be told, in this order.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Bytes on disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.kept.iter().map(|one| one.size).sum()
    }

    fn add_hour(&mut self, hour: Hour, state: State) {
        let (stretches, others) = (Vec::new(), HashSet::new());
        self.kept.push_back(KeptHour { hour, size: 0, stretches, state, others });
    }

    fn close_last(&mut self) {
        self.hours.leave();
        if let Some(last) = self.kept.back_mut() {
            last.state = State::Finished;
        }
    }

    /// Takes what was found on disk: all of an hour, or what it has more than is known.
    fn take_found(&mut self, found: Found) {
        let Found { hour, open, records, size } = found;
        if self.kept.back().is_none_or(|last| last.hour != hour) {
            self.add_hour(hour, State::Open(0));
        }
        for bytes in records {
            match Piece::read(&bytes) {
                Ok(piece) => self.note(&piece),
                Err(_) => {
                    let hour = hour.to_string();
                    tracing::error!(channel = &*self.id, hour, "a record is of another version");
                }
            }
        }
        let last = self.kept.back_mut().expect("it was just added");
        last.size = size;
        match open {
            None => {
                last.state = State::Finished;
                self.tell_finished();
            }
            Some(objects) => {
                last.others.clear();
                let is_full = objects.iter().any(|object| object.path == WHOLE_RECORD);
                last.state = if is_full { State::Full } else { State::Open(0) };
                self.tell_committed(objects);
            }
        }
    }

    /// Adds a piece to the record, and its numbers and headers to the newest hour's.
    fn note(&mut self, piece: &Piece) {
        let last = self.kept.back_mut().expect("an hour is open");
        last.others.extend(headers_of(piece));
        for added in &piece.renditions {
            let mut numbers = added.segments.iter().map(|kept| kept.number);
            let Some(first) = numbers.next() else { continue };
            let until = numbers.next_back().unwrap_or(first);
            let known = last.stretches.iter_mut().find(|known| known.rendition == added.name);
            match known {
                Some(known) => known.last = known.last.max(until),
                None => {
                    let rendition = added.name.clone();
                    last.stretches.push(Stretch { rendition, first, last: until });
                }
            }
        }
        self.records.change(&self.id, |record| record.add(piece));
    }

    fn tell_committed(&mut self, objects: Vec<Object>) {
        let last = self.kept.back_mut().expect("an hour is open");
        let mut told = Vec::new();
        for object in objects {
            let what = what_is(&object.path);
            match &what {
                Some(What::Segment(..)) => {}
                _ => drop(last.others.insert(object.path.clone())),
            }
            told.extend(what.map(|what| (what, object)));
        }
        if !told.is_empty() {
            let of = HourOf { channel: Arc::clone(&self.id), hour: last.hour };
            let (file, access) = (self.hours.payload(last.hour), self.access);
            self.news.push(News::Committed { of, file, access, objects: told });
        }
    }

    fn tell_finished(&mut self) {
        let last = self.kept.back_mut().expect("an hour was finished");
        let of = HourOf { channel: Arc::clone(&self.id), hour: last.hour };
        let numbers: Vec<_> =
            last.stretches.iter().map(|one| (one.rendition.clone(), one.first, one.last)).collect();
        // One record a commit, which nobody asks for any more.
        let mut headers: Vec<_> = std::mem::take(&mut last.others).into_iter().collect();
        headers.retain(|path| what_is(path) == Some(What::Header));
        let (file, access) = (self.hours.pack(last.hour), self.access);
        self.news.push(News::Finished { of, file, access, numbers, headers });
    }

    /// Makes these segments durable, all or none of them; `now_ms` is the Unix time.
    ///
    /// # Errors
    /// If the disk refuses. A later commit goes on behind what is durable.
    pub fn commit(&mut self, batch: &[Whole], now_ms: u64) -> Result<(), DiskError> {
        let result = self.try_commit(batch, now_ms);
        if result.is_err() {
            self.hours.leave();
        }
        result
    }

    fn try_commit(&mut self, batch: &[Whole], now_ms: u64) -> Result<(), DiskError> {
        self.be_open(now_ms / HOUR_MS)?;
        let mut piece = Piece::default();
        let mut written = HashSet::new();
        for whole in batch {
            self.add(whole, &mut piece, &mut written)?;
        }
        if piece.renditions.is_empty() {
            return Ok(());
        }
        let last = self.kept.back().expect("an hour is open");
        // Commits of one hour are told apart by what was there before.
        let path = format!("{RECORD}{}", last.others.len());
        self.append((&path, "application/octet-stream"), now_ms / 1000, &piece.bytes())?;
        let (objects, size) = self.hours.commit()?;
        self.kept.back_mut().expect("an hour is open").size = size;
        self.note(&piece);
        self.tell_committed(objects);
        Ok(())
    }

    fn append(
        &mut self,
        (path, media_type): (&str, &str),
        modified: u64,
        bytes: &[u8],
    ) -> Result<(), DiskError> {
        self.hours.append(&Label { path, media_type, modified: (modified, 0) }, bytes)
    }

    /// Writes one segment, and what is missing before it, and adds them to the piece.
    fn add(
        &mut self,
        whole: &Whole,
        piece: &mut Piece,
        written: &mut HashSet<String>,
    ) -> Result<(), DiskError> {
        let placed = self.records.with(&self.id, |record| {
            let known = record.rendition(&whole.rendition);
            let added = piece.renditions.iter().find(|one| *one.name == *whole.rendition);
            let name = whole.header.as_ref().map(|(header, _)| header.name.as_str());
            let number = name.map_or(NO_HEADER, |name| header_number(name, known, added));
            Some((placed(whole, known, added)?, number))
        });
        let Some((mut segments, header)) = placed.flatten() else { return Ok(()) };
        if let Some(opened) = &whole.opened {
            let container = Kept { header, ..whole.kept }.container();
            let name = segment_name(whole.kept.number, container.extension());
            self.write(&format!("{}/{name}", whole.rendition), opened)?;
        }
        if let Some((header, opened)) = &whole.header {
            let path = format!("{}/{}", whole.rendition, header.name);
            let is_there = self.kept.back().is_some_and(|last| last.others.contains(&path));
            if !is_there && written.insert(path.clone()) {
                self.write(&path, opened)?;
            }
        }
        segments.iter_mut().for_each(|kept| kept.header = header);
        let of = |one: &Added| *one.name == *whole.rendition;
        let at = piece.renditions.iter().position(of).unwrap_or_else(|| {
            piece.renditions.push(Added {
                name: whole.rendition.to_string(),
                about: whole.about.clone(),
                lengths: whole.lengths,
                headers: Vec::new(),
                segments: Vec::new(),
            });
            piece.renditions.len() - 1
        });
        let added = &mut piece.renditions[at];
        added.about.clone_from(&whole.about);
        if let Some((of, _)) = &whole.header
            && !added.headers.iter().any(|(number, _)| *number == header)
        {
            added.headers.push((header, of.clone()));
        }
        added.segments.extend(segments);
        Ok(())
    }

    fn write(&mut self, path: &str, opened: &Opened) -> Result<(), DiskError> {
        let Index::Single(single) = &opened.index else { return Ok(()) };
        let bytes = bytes_of(opened).map_err(DiskError::of("reading", Path::new(path)))?;
        self.append((path, single.media_type), single.modified.0, &bytes)
    }

    /// Sees to it that the hour of now is open, or a later one, if the clock was set back.
    fn be_open(&mut self, now: u64) -> Result<(), DiskError> {
        loop {
            let Some(last) = self.kept.back_mut() else {
                return self.begin(Hour { since_1970: now, part: 0 });
            };
            let hour = last.hour;
            let wanted = now.max(hour.since_1970);
            match (last.state, self.hours.open_hour() == Some(hour)) {
                (State::Finished, _) if hour.since_1970 == wanted => {
                    return self.begin(Hour { part: hour.part + 1, ..hour });
                }
                (State::Finished, _) => {
                    return self.begin(Hour { since_1970: wanted, part: 0 });
                }
                (State::Open(_), true) if hour.since_1970 == wanted => return Ok(()),
                (State::Open(_) | State::Full, true) => self.finish()?,
                (State::Open(ATTEMPTS), false) => {
                    tracing::error!(
                        channel = &*self.id,
                        "the hour is gone on with in another file"
                    );
                    last.state = State::Finished;
                }
                (state, false) => {
                    if let State::Open(attempts) = state {
                        last.state = State::Open(attempts + 1);
                    }
                    match self.hours.recover(hour)? {
                        Some(found) => self.take_more(found),
                        // Not even its beginning was on the disk.
                        None => drop(self.kept.pop_back()),
                    }
                }
            }
        }
    }

    /// Takes an hour that is open again: of what it has, that is told which was not known.
    fn take_more(&mut self, mut found: Found) {
        if let Some(objects) = &mut found.open {
            self.records.with(&self.id, |record| {
                objects.retain(|object| match what_is(&object.path) {
                    Some(What::Segment(rendition, number)) => {
                        let known = record.rendition(&rendition);
                        known.and_then(|known| known.segment(number)).is_none()
                    }
                    _ => true,
                });
            });
        }
        self.take_found(found);
    }

    fn begin(&mut self, hour: Hour) -> Result<(), DiskError> {
        self.hours.begin(hour)?;
        self.add_hour(hour, State::Open(0));
        Ok(())
    }

    /// Makes the open hour a pack, with the record of all of it.
    fn finish(&mut self) -> Result<(), DiskError> {
        let Some(last) = self.kept.back() else { return Ok(()) };
        if self.hours.open_hour() != Some(last.hour) {
            return Ok(());
        }
        if last.state != State::Full {
            let piece = self.records.with(&self.id, |record| record.piece(&last.stretches));
            let bytes = piece.unwrap_or_default().bytes();
            let modified = last.hour.since_1970 * HOUR_MS / 1000;
            self.append((WHOLE_RECORD, "application/octet-stream"), modified, &bytes)?;
        }
        self.hours.finish()?;
        let last = self.kept.back_mut().expect("it was just there");
        last.state = State::Finished;
        self.tell_finished();
        Ok(())
    }

    /// Takes away the oldest hours, as far as they are too old or too many bytes.
    pub fn retire(&mut self, now_ms: u64) {
        let mut size = self.size();
        while let Some(oldest) = self.kept.front() {
            let end_ms = (oldest.hour.since_1970 + 1) * HOUR_MS;
            let is_old = end_ms.saturating_add(self.retention.age_ms) <= now_ms;
            let is_too_much = self.retention.size_max.is_some_and(|most| size > most);
            if oldest.state != State::Finished || !(is_old || is_too_much) {
                return;
            }
            size -= oldest.size;
            self.records.change(&self.id, |record| record.forget(&oldest.stretches));
            let of = HourOf { channel: Arc::clone(&self.id), hour: oldest.hour };
            let files = self.hours.files(oldest.hour);
            self.news.push(News::Removed { of, files });
            self.kept.pop_front();
        }
    }

    /// Finishes the hour that is open, if it is over: also when nothing comes any more.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn end_hour(&mut self, now_ms: u64) -> Result<(), DiskError> {
        let open = self.hours.open_hour().filter(|open| open.since_1970 < now_ms / HOUR_MS);
        if open.is_none() {
            return Ok(());
        }
        let result = self.finish();
        if result.is_err() {
            self.hours.leave();
        }
        result
    }
}

/// What an object of an hour is, by its path; none for a record.
fn what_is(path: &str) -> Option<What> {
    let (rendition, name) = path.split_once('/').filter(|_| !path.starts_with(RECORD))?;
    let number = name.split_once('.').and_then(|(number, _)| number.parse().ok());
    Some(match number {
        Some(number) => What::Segment(rendition.to_owned(), number),
        None => What::Header,
    })
}

/// Paths of the headers that a piece needs, in its hour.
fn headers_of(piece: &Piece) -> impl Iterator<Item = String> {
    piece
        .renditions
        .iter()
        .flat_map(|one| one.headers.iter().map(|(_, of)| format!("{}/{}", one.name, of.name)))
}

/// The number of the header with this name, as the record counts them.
fn header_number(name: &str, known: Option<&Recorded>, added: Option<&Added>) -> u32 {
    let mut new = added.iter().flat_map(|added| &added.headers);
    if let Some((number, _)) = new.find(|(_, known)| known.name == name) {
        return *number;
    }
    let count = known.map_or(0, |known| known.headers.len());
    let number = known.map_or(0, |known| known.header_number(name));
    let is_known = (number as usize) < count;
    let newest = added.and_then(|added| added.headers.iter().map(|(number, _)| *number).max());
    match newest {
        Some(newest) if !is_known => number.max(newest + 1),
        _ => number,
    }
}

/// The facts of a segment as they follow what is kept of its rendition, behind the gaps before it;
/// none if something is kept for its number.
fn placed(whole: &Whole, known: Option<&Recorded>, added: Option<&Added>) -> Option<Vec<Kept>> {
    let mut kept = whole.kept;
    let last = added.and_then(|added| added.segments.last());
    let Some(last) = last.or_else(|| known?.segments.last()).copied() else {
        return Some(vec![kept]);
    };
    if kept.number <= last.number {
        return None;
    }
    if kept.discontinuity {
        return Some(vec![kept]);
    }
    let missing = kept.number - last.number - 1;
    let end = last.start.plus(last.duration);
    let length = whole.lengths.segment.ticks_of(kept.start.timescale);
    let is_same = last.origin.zero_micros == kept.origin.zero_micros
        && last.start.timescale == kept.start.timescale;
    // What is missing takes its time; the segment before it may have been cut short.
    let distance = kept.start.ticks.saturating_sub(end.ticks);
    let one = i64::try_from(length).unwrap_or(i64::MAX);
    let wanted = missing.saturating_mul(one);
    let fits = (wanted.saturating_sub(one / 2)..=wanted.saturating_add(one)).contains(&distance);
    if !is_same || missing > GAPS_MAX || (missing > 0 && !fits) {
        kept.discontinuity = true;
        kept.origin.start_micros = kept.start.micros();
        return Some(vec![kept]);
    }
    kept.origin = last.origin;
    let mut segments = Vec::new();
    let mut start = end;
    for number in last.number + 1..kept.number {
        let left = u64::try_from(kept.start.ticks.saturating_sub(start.ticks)).unwrap_or(0);
        let duration = length.min(left.max(1));
        segments.push(Kept { number, start, duration, size: 0, discontinuity: false, ..last });
        start = start.plus(duration);
    }
    segments.push(kept);
    Some(segments)
}

/// The bytes of an object.
fn bytes_of(opened: &Opened) -> io::Result<Cow<'_, [u8]>> {
    let Index::Single(single) = &opened.index else { return Ok(Cow::Borrowed(&[])) };
    let extent = single.identity.extent;
    let (start, size) = (usize::try_from(extent.offset), usize::try_from(extent.size));
    let (Ok(start), Ok(size)) = (start, size) else {
        return Err(io::ErrorKind::FileTooLarge.into());
    };
    match &opened.payload {
        Payload::Heap(bytes) => {
            let bytes = bytes.get(start..start + size);
            bytes.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        }
        Payload::Reel(_) => Err(io::Error::other("what is made of an archive is in it already")),
        Payload::File(file) => {
            let mut bytes = vec![0; size];
            File::from(file.fd.try_clone()?).read_exact_at(&mut bytes, extent.offset)?;
            Ok(Cow::Owned(bytes))
        }
    }
}

#[cfg(test)]
mod tests;
