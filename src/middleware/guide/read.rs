//! What is on: programmes of our channels, of whichever sources speak of them.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Guide;
use super::matching::{Line, Lines};
use super::programme::{Programme, filled, tidy, unpacked};
use super::store::{Reading, StoreError};
use crate::units::UnixTime;

/// What is on now, and what comes then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NowNext {
    /// Nothing where the guide has a gap.
    pub now: Option<Programme>,
    /// The first that begins later.
    pub next: Option<Programme>,
}

/// How far ahead the next programme is looked for, in seconds.
const NEXT_WITHIN_SECONDS: u64 = 86_400;

/// A reader of the guide, with a connection of its own. It blocks, as disks do: it belongs on a
/// thread that nobody waits for.
#[derive(Debug)]
pub struct Reader {
    reading: Reading,
    guide: Guide,
}

impl Reader {
    pub(super) fn new(reading: Reading, guide: Guide) -> Self {
        Self { reading, guide }
    }

    /// The programmes of a channel that are on between these seconds, in their order; none of an
    /// unknown one.
    ///
    /// # Errors
    ///
    /// The store can't be read; so in all of these.
    pub fn programmes(
        &self,
        channel: &str,
        (from, to): (UnixTime, UnixTime),
    ) -> Result<Vec<Programme>, StoreError> {
        let lines = self.guide.lines();
        lines.channels.get(channel).map_or_else(|| Ok(Vec::new()), |of| self.of(of, (from, to)))
    }

    /// What is on, and what comes then, on each of these channels.
    ///
    /// # Errors
    ///
    /// See `programmes`.
    pub fn now_next<'c>(
        &self,
        channels: impl IntoIterator<Item = &'c str>,
        now: UnixTime,
    ) -> Result<Vec<NowNext>, StoreError> {
        let window = (now, UnixTime(now.0.saturating_add(NEXT_WITHIN_SECONDS)));
        let of = |channel: &str| {
            let mut programmes = self.programmes(channel, window)?.into_iter().peekable();
            let now = programmes.next_if(|first| first.start <= now);
            Ok(NowNext { now, next: programmes.next() })
        };
        channels.into_iter().map(of).collect()
    }

    /// Shows the programmes of each of these channels within its own window, all of one moment of
    /// the guide, until whoever sees them has enough.
    ///
    /// # Errors
    ///
    /// See `programmes`.
    pub fn each<'c>(
        &self,
        channels: impl IntoIterator<Item = &'c str>,
        window: impl Fn(&str, &Line) -> (UnixTime, UnixTime),
        mut see: impl FnMut(&str, &Line, &[Programme]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let lines = self.held()?;
        let mut outcome = Ok(());
        for channel in channels {
            let Some(line) = lines.channels.get(channel) else { continue };
            match self.of(line, window(channel, line)) {
                Ok(programmes) if see(channel, line, &programmes).is_continue() => {}
                Ok(_) => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.reading.let_go();
        outcome
    }

    /// Our channels, as the store that is seen from now on has them.
    fn held(&self) -> Result<Arc<Lines>, StoreError> {
        // These first: what they speak of was written before, and is left for a minute when it is
        // replaced.
        let lines = self.guide.lines();
        self.reading.hold()?;
        Ok(lines)
    }

    fn of(
        &self,
        line: &Line,
        (from, to): (UnixTime, UnixTime),
    ) -> Result<Vec<Programme>, StoreError> {
        let mut all = Vec::new();
        let moved = |second: u64, by: i64| second.saturating_add_signed(by);
        let theirs = (moved(from.0, -line.shift_seconds), moved(to.0, -line.shift_seconds));
        for feed in &line.feeds {
            let mut programmes = Vec::new();
            self.reading.blocks(feed.number, theirs, |bytes| match unpacked(bytes) {
                Some(block) => programmes.extend(block),
                None => tracing::error!(source = feed.source, "a block of the guide is damaged"),
            })?;
            tidy(&mut programmes);
            programmes.retain(|of| of.start.0 < theirs.1 && of.stop.0 > theirs.0);
            filled(&mut all, programmes);
        }
        if line.shift_seconds != 0 {
            for programme in &mut all {
                programme.start = UnixTime(moved(programme.start.0, line.shift_seconds));
                programme.stop = UnixTime(moved(programme.stop.0, line.shift_seconds));
            }
        }
        Ok(all)
    }
}
