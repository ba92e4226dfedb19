//! Which session a request belongs to, and whether that may go on.

use super::View;
use super::authorise::{Grant, Viewer, over};
use super::locate::{Located, Place};
use super::refusal::Refusal;
use super::route::Target;
use crate::messages::SourceKind;
use crate::units::{Class, media_type, split_first};
use crate::viewer::fetched::Segment;
use crate::viewer::leases::Standing;
use crate::viewer::session::Content;
use crate::viewer::{Known, Permit, Viewing};

/// Where a request's session stands.
#[derive(Clone, Copy, Debug)]
pub enum Leased {
    /// It goes on, by this right.
    Goes(Permit),
    /// Nobody has said yet: wait here.
    NotYet(Place, Permit),
}

/// The session of a request. One without a token belongs to none, and neither does what is no
/// media: who looks at pictures watches nothing.
///
/// # Errors
///
/// `SessionLimit`, `SessionKicked`, `EgressFull`; `CountryDenied`, `CountryUnknown`; `HookRefused`,
/// `HookFailed`; `Busy` if there are too many sessions.
pub fn leased(
    target: &Target<'_>,
    located: &Located<'_>,
    (grant, agent): (&Grant, Option<&[u8]>),
    view: &View<'_>,
    known: &mut Known,
) -> Result<Leased, Refusal> {
    let permit = grant.permit();
    let goes = Ok(Leased::Goes(permit));
    let Some(viewer) = grant.viewer() else { return goes };
    let Viewer { subscriber, session: token, is_limited } = viewer;
    let Some(content) = content(target, located, view) else { return goes };
    let agent = agent.unwrap_or_default();
    let viewing = Viewing { subscriber, token, peer: (view.peer)(), agent, content };
    let hold_ms = || match *target {
        Target::Live { path, .. } => view.catalog.hold_ms(path),
        _ => None,
    };
    let (id, standing) = known.leases.ask(&viewing, is_limited, view.now.ticks, hold_ms);
    let permit = permit.within(id);
    match standing {
        Standing::Held => Ok(Leased::Goes(permit)),
        Standing::Asked => Ok(Leased::NotYet(Place::Session(id), permit)),
        Standing::Full => Err(Refusal::Busy),
        Standing::Refused(why) => {
            known.recent.refuse(subscriber);
            Err(over(why))
        }
    }
}

/// Which segment of something live this is, or whose header, where it counts how many devices fetch
/// it: past segments are nobody's place, and neither is what nothing limits.
#[must_use]
pub fn segment(
    target: &Target<'_>,
    located: &Located<'_>,
    grant: &Grant,
    view: &View<'_>,
) -> Option<Segment> {
    let Target::Live { path, .. } = *target else { return None };
    grant.viewer().filter(|viewer| viewer.is_limited)?;
    let class = match located {
        Located::Object(object) if object.source.is_live() && !object.source.is_kept() => {
            object.entry.class
        }
        Located::Growing(growing) => growing.class,
        _ => return None,
    };
    let segment = match class {
        Class::Segment => Segment::at(path),
        Class::Init => Segment::header(path),
        _ => return None,
    };
    // What is made of a rendition without an end lies beside it.
    view.catalog.hold_ms(path).map(|_| segment)
}

/// Whether the session of a request goes on already. What is no media has none, and goes on.
#[must_use]
pub fn goes_on(
    target: &Target<'_>,
    located: &Located<'_>,
    (grant, agent): (&Grant, Option<&[u8]>),
    view: &View<'_>,
    known: &Known,
) -> bool {
    let Some(Viewer { subscriber, session: token, .. }) = grant.viewer() else { return true };
    let Some(content) = content(target, located, view) else { return true };
    let agent = agent.unwrap_or_default();
    let viewing = Viewing { subscriber, token, peer: (view.peer)(), agent, content };
    known.leases.goes_on(viewing.id(), view.now.ticks)
}

/// What is watched, if anything is.
fn content<'t>(target: &Target<'t>, located: &Located<'_>, view: &View<'_>) -> Option<Content<'t>> {
    let path = match *target {
        Target::Live { path, .. } => {
            let below = path.strip_prefix("/tv/").unwrap_or_default();
            return Some(Content::Channel(split_first(below, b'/').0));
        }
        Target::Vod { path, .. } => path,
        _ => return None,
    };
    let class = match located {
        Located::Object(object) => object.entry.class,
        Located::Growing(growing) => growing.class,
        _ => Class::of(path),
    };
    if class == Class::Other && is_beside_media(path) {
        return None;
    }
    let slot = match located {
        Located::Object(object) => Some(object.key.source),
        Located::NotYet(Place::Source(slot)) => Some(*slot),
        _ => None,
    };
    let source = slot.map(|slot| view.catalog.listed_as(slot));
    Some(match source {
        Some((SourceKind::Pack, size)) => Content::Film(path.get(..size).unwrap_or(path)),
        _ => match view.catalog.film_of(path) {
            Some(folder) => Content::Film(folder),
            None => Content::of_file(path, class),
        },
    })
}

/// Whether this is a picture, a page, or a text.
fn is_beside_media(path: &str) -> bool {
    let media_type = media_type(path);
    ["image/", "text/", "application/json", "application/x-subrip"]
        .iter()
        .any(|of| media_type.starts_with(of))
}
