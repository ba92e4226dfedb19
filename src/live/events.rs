//! Events of a channel: what its media tells of (`emsg`) in, date ranges of its playlists out.
//!
//! Events are a channel's: each is listed in all of its renditions, whichever of them told of it,
//! and once, however often it was told. It leaves with the window. Splices of SCTE 35 are read as
//! far as it takes to tell an out from an in, and which belong together.

use std::collections::VecDeque;

use super::boxes::chunk::{At, Message};
use super::time::Moment;
use crate::config::{EVENT_DATA_SIZE_MAX, EVENT_NAME_SIZE_MAX, EVENT_STREAMS_MAX, EVENTS_MAX};
use crate::units::ETag;

pub mod splice;

use splice::{Direction, Splice};

/// The same event may be told with times that were rounded otherwise, in microseconds.
const SAME_MICROS: u64 = 500_000;

/// How far ahead an event may lie, and how long it may take, in microseconds: a day. What is told
/// beyond that would never leave.
const DAY_MICROS: u64 = 86_400_000_000;

/// Events that concern the delivery, and nobody else: validity of a manifest, and the like.
const OF_DELIVERY: &[&str] = &["urn:mpeg:dash:event:2012"];

/// Tags that players read from the media itself. In a playlist they would come twice.
const ID3: &str = "https://aomedia.org/emsg/ID3";

/// Events of one channel.
#[derive(Clone, Debug, Default)]
pub struct Events {
    listed: VecDeque<Event>,
    /// Ids of events that have left, and the Unix time of the live edge then, in microseconds.
    removed: VecDeque<(String, i64)>,
    streams: Vec<Stream>,
    /// Whether there ever was one.
    has_been: bool,
}

/// One event, as playlists list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same for the out and the in of a splice, and on every server that is fed alike.
    pub id: String,
    /// Its scheme.
    pub class: String,
    /// Microseconds of Unix time at which it begins, or that which it ends began.
    pub start_micros: i64,
    /// And at which it ends that.
    pub end_micros: Option<i64>,
    /// Microseconds that it takes.
    pub duration_micros: Option<u64>,
    /// What it says.
    pub says: Says,
    /// Microseconds of Unix time at the media that told of it first.
    pub told_micros: i64,
    /// By what it is known: number and value of its message.
    key: (u32, String),
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// A splice, as SCTE 35 writes it.
    Splice(Direction, Box<[u8]>),
    /// Something of another scheme: its value, and its data.
    Other(Box<[u8]>),
}

/// Messages of a rendition's media, as a manifest announces them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The rendition's index in the channel.
    pub rendition: usize,
    /// Their scheme.
    pub scheme: String,
    /// Their value.
    pub value: String,
}

/// Where a message was found.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// In media of which rendition.
    pub rendition: usize,
    /// Microseconds of Unix time at the media's zero.
    pub zero_micros: i64,
    /// The start of its segment.
    pub segment: Moment,
}

impl Event {
    /// The value of its message.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.key.1
    }

    /// When it is over, in microseconds of Unix time.
    fn over_micros(&self) -> i64 {
        let duration = self.duration_micros.unwrap_or(0);
        self.end_micros
            .unwrap_or(self.start_micros)
            .max(self.start_micros.saturating_add_unsigned(duration))
    }
}

impl Events {
    /// Those that are listed, in the order in which they were told of.
    pub fn listed(&self) -> impl Iterator<Item = &Event> {
        self.listed.iter()
    }

    /// Ids of those that have left of late.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.removed.iter().map(|(id, _)| id.as_str())
    }

    /// Whether there has ever been one.
    #[must_use]
    pub fn has_been(&self) -> bool {
        self.has_been
    }

    /// Schemes of the messages in the media of a rendition.
    pub fn streams_of(&self, rendition: usize) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(move |stream| stream.rendition == rendition)
    }

    /// Takes a message. What is too long, or known, is left out; at the limit the oldest event
    /// goes.
    pub fn take(&mut self, message: &Message, found: &Found) {
        let Message { scheme, value, id, data, .. } = message;
        if scheme.len().max(value.len()) > EVENT_NAME_SIZE_MAX {
            return;
        }
        let stream =
            Stream { rendition: found.rendition, scheme: scheme.clone(), value: value.clone() };
        if !self.streams.contains(&stream) && self.streams.len() < EVENT_STREAMS_MAX {
            self.streams.push(stream);
        }
        let is_listed = !OF_DELIVERY.contains(&scheme.as_str()) && scheme != ID3;
        if !is_listed || data.len() > EVENT_DATA_SIZE_MAX {
            return;
        }
        let told_micros = found.segment.micros().saturating_add(found.zero_micros);
        let start_micros = start_micros(message, found);
        if start_micros > told_micros.saturating_add_unsigned(DAY_MICROS) {
            return;
        }
        let splice = splice::is_scheme(scheme).then(|| Splice::read(data));
        let key = (*id, value.clone());
        let is_known = |event: &Event| {
            let start = event.end_micros.unwrap_or(event.start_micros);
            event.key == key && event.class == *scheme && start.abs_diff(start_micros) < SAME_MICROS
        };
        if self.listed.iter().any(is_known) {
            return;
        }
        let mut event = Event {
            id: event_id(scheme, value, splice.map_or(*id, |splice| splice.event), start_micros),
            class: scheme.clone(),
            start_micros,
            end_micros: None,
            duration_micros: micros_of(message.duration.map(u64::from), message.timescale),
            says: Says::Other(data.clone()),
            told_micros,
            key,
        };
        if let Some(splice) = splice {
            event.duration_micros = splice.duration_micros.or(event.duration_micros);
            if splice.direction == Direction::In {
                self.end_of_splice(&mut event, splice.event);
            }
            event.says = Says::Splice(splice.direction, data.clone());
        }
        event.duration_micros = event.duration_micros.filter(|micros| *micros <= DAY_MICROS);
        self.has_been = true;
        self.listed.push_back(event);
        if self.listed.len() > EVENTS_MAX
            && let Some(oldest) = self.listed.pop_front()
        {
            self.remove(oldest.id, told_micros);
        }
    }

    /// An in ends the newest out of the same number that began before it.
    fn end_of_splice(&self, event: &mut Event, number: u32) {
        let is_out = |out: &&Event| {
            let Says::Splice(Direction::Out, data) = &out.says else { return false };
            out.start_micros < event.start_micros && Splice::read(data).event == number
        };
        event.duration_micros = None;
        if let Some(out) = self.listed.iter().rev().find(is_out) {
            event.end_micros = Some(event.start_micros);
            (event.id, event.start_micros) = (out.id.clone(), out.start_micros);
        }
    }

    /// Takes off what was over before the window began; `edge_micros` is the live edge, both in
    /// microseconds of Unix time. Those that went are remembered for so long.
    pub fn trim(&mut self, window_micros: i64, edge_micros: i64, remembered_micros: u64) {
        let is_over = |event: &Event| event.over_micros() < window_micros;
        let from = edge_micros.saturating_sub_unsigned(remembered_micros);
        self.removed.retain(|(_, at)| *at >= from);
        if !self.listed.iter().any(is_over) {
            return;
        }
        // The two of a splice go together.
        let stay: Vec<_> = self.listed.iter().filter(|one| !is_over(one)).collect();
        let stay: Vec<_> = stay.iter().map(|event| event.id.clone()).collect();
        let (listed, gone) = self.listed.drain(..).partition(|event| stay.contains(&event.id));
        self.listed = listed;
        let gone: VecDeque<Event> = gone;
        gone.into_iter().for_each(|event| self.remove(event.id, edge_micros));
    }

    fn remove(&mut self, id: String, at_micros: i64) {
        if self.removed.iter().any(|(known, _)| *known == id) {
            return;
        }
        if self.removed.len() == EVENTS_MAX {
            self.removed.pop_front();
        }
        self.removed.push_back((id, at_micros));
    }
}

/// When an event begins, in microseconds of Unix time.
fn start_micros(message: &Message, found: &Found) -> i64 {
    let timescale = message.timescale;
    let media = match message.at {
        At::Time(ticks) => {
            Moment { ticks: i64::try_from(ticks).unwrap_or(i64::MAX), timescale }.micros()
        }
        At::AfterStart(ticks) => {
            let after = Moment { ticks: ticks.into(), timescale }.micros();
            found.segment.micros().saturating_add(after)
        }
    };
    media.saturating_add(found.zero_micros)
}

fn micros_of(ticks: Option<u64>, timescale: u32) -> Option<u64> {
    let ticks = i64::try_from(ticks?).ok()?;
    u64::try_from(Moment { ticks, timescale }.micros()).ok()
}

/// Numbers are used again, and those of two schemes have nothing to do with each other.
fn event_id(scheme: &str, value: &str, number: u32, start_micros: i64) -> String {
    let millis = start_micros.div_euclid(1000);
    if splice::is_scheme(scheme) {
        return format!("scte35-{number}-{millis}");
    }
    let [a, b, c, d, ..] = ETag::of(format!("{scheme}\n{value}").as_bytes()).0;
    format!("event-{:08x}-{number}-{millis}", u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests;
