//! Whether a viewer's terms hold for what was found: what its rendition takes, and how far back it
//! lies.

use std::num::NonZeroU32;

use super::View;
use super::authorise::Grant;
use super::locate::{Located, Place};
use super::refusal::Refusal;
use super::route::Target;
use crate::config::CATCH_UP_PAUSE_SECONDS;
use crate::live::catchup::address::{Address, Stretch, channel_folder};
use crate::units::{Class, Rung, UnixTime};
use crate::viewer::players::Played;
use crate::viewer::{Needs, Recent};

const DAY_SECONDS: u64 = 86_400;

/// What an answer needs of its viewer's terms, which have that. Without a token there are none.
///
/// # Errors
///
/// `Bitrate`, `CatchUp`.
pub fn met(
    target: &Target<'_>,
    located: &Located<'_>,
    grant: &Grant,
    view: &View<'_>,
    recent: &mut Recent,
) -> Result<Needs, Refusal> {
    let Some(viewer) = grant.viewer() else { return Ok(Needs::default()) };
    let kbps = rung(located, view).least_cap_kbps();
    let needs = Needs { kbps, days: days(target, located, view.now.unix) };
    let terms = grant.terms();
    let refusal = match located {
        Located::Beyond => Refusal::Bitrate,
        _ if terms.hold(needs) => return Ok(needs),
        _ if kbps > terms.bitrate_max_kbps => Refusal::Bitrate,
        _ => Refusal::CatchUp,
    };
    recent.refuse(viewer.subscriber);
    Err(refusal)
}

/// What the rendition takes that it belongs to.
fn rung(located: &Located<'_>, view: &View<'_>) -> Rung {
    match located {
        Located::Object(object) => object.rung,
        Located::Growing(growing) => growing.rung,
        Located::NotYet(Place::Reach(rendition, _)) => view.catalog.rung_of(*rendition),
        _ => Rung::default(),
    }
}

/// What the rendition takes, if this is a piece of its media.
#[must_use]
pub fn played(located: &Located<'_>) -> Option<Played> {
    let (class, rung, media_type) = match located {
        Located::Object(object) => (object.entry.class, object.rung, object.media_type()),
        Located::Growing(growing) => (growing.class, growing.rung, growing.media_type),
        _ => return None,
    };
    let kbps = NonZeroU32::new(rung.kbps)?;
    let is_sound = media_type.starts_with("audio/");
    matches!(class, Class::Segment | Class::Part).then_some(Played { kbps, is_sound })
}

/// How many days back it lies; 0 = it is not past.
fn days(target: &Target<'_>, located: &Located<'_>, now: UnixTime) -> u32 {
    let Target::Live { path, .. } = *target else { return 0 };
    match located {
        // What a rendition begins with shows nothing of what is past, and live needs it as well.
        Located::Object(object) if object.entry.class == Class::Init => 0,
        // What is in an archive is as old as it is since it came.
        Located::Object(object) if object.source.is_kept() => {
            let age = now.0.saturating_sub(object.entry.modified.0);
            of_seconds(age.saturating_sub(CATCH_UP_PAUSE_SECONDS))
        }
        _ => days_back(path, now),
    }
}

/// How many days back the text at a path of something live lies; 0 = it is not of what is past.
#[must_use]
pub fn days_back(path: &str, now: UnixTime) -> u32 {
    if channel_folder(path).is_none() {
        return 0;
    }
    match Address::read(path).map(|address| address.stretch) {
        Ok(Stretch::Between { from, .. }) => {
            let from = u64::try_from(from / 1_000_000).unwrap_or(0);
            of_seconds(now.0.saturating_sub(from))
        }
        // The last hours, and what is no address.
        _ => 1,
    }
}

fn of_seconds(seconds: u64) -> u32 {
    u32::try_from(seconds.div_ceil(DAY_SECONDS)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{Index, Opened, Payload, Single, SourceId, SourceKind};
    use crate::pack::index::Facts;
    use crate::request::locate::{Object, ObjectKey};
    use crate::units::{Extent, Variant};

    const NOON: u64 = 1_800_000_000;
    const NOW: UnixTime = UnixTime(NOON);

    #[test]
    fn a_text_of_the_past_lies_as_far_back_as_it_begins() {
        let from = |seconds_back: u64| format!("archive/{}-60/master.m3u8", NOON - seconds_back);
        for (name, expected) in [
            ("master.m3u8".to_owned(), 0),
            ("v/1.m4s".to_owned(), 0),
            ("archive".to_owned(), 0),
            ("rewind/master.m3u8".to_owned(), 1),
            ("archive/nonsense/x".to_owned(), 1),
            (from(0), 1),
            (from(DAY_SECONDS), 1),
            (from(DAY_SECONDS + 1), 2),
            (from(7 * DAY_SECONDS), 7),
            (format!("archive/{}-now/v/media.m3u8", NOON - 3 * DAY_SECONDS), 3),
            (format!("archive/{}-60/master.m3u8", NOON + 60), 1),
        ] {
            assert_eq!(days_back(&format!("/tv/news/{name}"), NOW), expected, "{name}");
        }
    }

    /// How many days back a segment lies that came so long ago.
    #[track_caller]
    fn check((source, class): (SourceId, Class), seconds_back: u64, expected: u32) {
        let variant = Variant { extent: Extent { offset: 0, size: 1 }, etag: Default::default() };
        let modified = UnixTime(NOON - seconds_back);
        let gzip = None;
        let single = Single {
            media_type: "video/mp4",
            class,
            modified,
            identity: variant,
            gzip,
            narrowed: Box::default(),
            rung: Rung::default(),
        };
        let (index, payload) = (Index::Single(single), Payload::Heap(Box::default()));
        let opened = Opened { source, index, payload, beside: None };
        let mut catalog = crate::request::fixture::catalog();
        let slot = catalog.slot_of(SourceId(3)).expect("it is in the fixture");
        let object = Object {
            key: ObjectKey { source: slot, entry: 0 },
            source,
            entry: Facts { class, modified, identity: variant, gzip },
            opened: &opened,
            kind: SourceKind::File,
            rung: Rung::default(),
        };
        catalog.touch(slot);
        let target = Target::Live { path: "/tv/news/v/1.m4s", query: b"", token: None };
        assert_eq!(days(&target, &Located::Object(object), NOW), expected, "{seconds_back}");
    }

    #[test]
    fn a_segment_of_an_archive_lies_back_since_it_came_less_a_pause() {
        let kept = [SourceId::of_archive(1), SourceId::of_archived_object(1)];
        for source in kept {
            let segment = (source, Class::Segment);
            check(segment, 0, 1);
            check(segment, DAY_SECONDS + CATCH_UP_PAUSE_SECONDS, 1);
            check(segment, DAY_SECONDS + CATCH_UP_PAUSE_SECONDS + 1, 2);
            check((source, Class::Init), 9 * DAY_SECONDS, 0);
        }
        for source in [SourceId(1), SourceId::of_live(1), SourceId::of_past(1, true)] {
            check((source, Class::Segment), 9 * DAY_SECONDS, 0);
        }
    }
}
