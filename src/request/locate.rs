//! Where the bytes are that a target names: an object, a growing object, not yet, or ask.

use super::authorise::Grant;
use super::refusal::Refusal;
use super::route::Target;
use crate::catalog::{Catalog, Found, GrowingSlot, RenditionSlot, SourceSlot};
use crate::config::Access;
use crate::live::catchup::dialect;
use crate::live::playlist::name::{Kind, Name};
use crate::live::reload::{Directives, Reach, Skip};
use crate::messages::{Index, Opened, SourceId, SourceKind};
use crate::pack::index::Facts;
use crate::units::{Class, Rung, split_last};
use crate::viewer::SessionId;

/// An object and everything a response's head says of it.
#[derive(Clone, Copy, Debug)]
pub struct Object<'c> {
    /// Its place in the catalog.
    pub key: ObjectKey,
    /// Which version of which source it belongs to.
    pub source: SourceId,
    /// What it is.
    pub entry: Facts,
    /// What it is part of.
    pub opened: &'c Opened,
    /// What it is part of: objects of packs never change, those of folders may.
    pub kind: SourceKind,
    /// What the rendition takes that it belongs to.
    pub rung: Rung,
}

impl<'c> Object<'c> {
    /// Its media type.
    #[must_use]
    pub fn media_type(&self) -> &'c str {
        match &self.opened.index {
            Index::Pack(index) => index.media_type_of(self.opened.object_of(self.key.entry)),
            Index::Single(single) => single.media_type,
        }
    }
}

/// The place of an object in the catalog; good as long as a lease on its source is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey {
    /// Its source.
    pub source: SourceSlot,
    /// Its number there.
    pub entry: u32,
}

/// A growing object.
#[derive(Clone, Copy, Debug)]
pub struct Growing {
    /// Its place in the catalog.
    pub slot: GrowingSlot,
    /// Its media type.
    pub media_type: &'static str,
    /// Its class.
    pub class: Class,
    /// What the rendition takes that it belongs to.
    pub rung: Rung,
}

/// Where a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// For this source to be opened.
    Source(SourceSlot),
    /// For this path to appear.
    Path(u32),
    /// For this rendition to come so far.
    Reach(RenditionSlot, Reach),
    /// For control to say whether this session may begin.
    Session(SessionId),
}

/// Answers that need no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixed {
    /// The server lives.
    Health,
    /// What time it is.
    Clock,
    /// OPTIONS.
    Options,
}

/// Where it is.
#[derive(Clone, Copy, Debug)]
pub enum Located<'c> {
    /// Bytes in hand, or an extent of a file.
    Object(Object<'c>),
    /// Bytes that are still arriving.
    Growing(Growing),
    /// No bytes at all.
    Fixed(Fixed),
    /// Soon, here.
    NotYet(Place),
    /// Control knows, and viewers of this access may.
    Ask(Access),
    /// Under this name in the same folder.
    Moved(Name),
    /// In a rendition that takes more than the viewer may have.
    Beyond,
}

/// Finds what the target names, as far as the grant allows.
///
/// # Errors
///
/// `TokenMissing` before anything else is said; `NotFound`, `Damaged`, `Directive`.
pub fn located<'c>(
    target: &Target<'_>,
    grant: &Grant,
    catalog: &'c Catalog,
) -> Result<Located<'c>, Refusal> {
    let found = match *target {
        Target::Vod { path, .. } => catalog.vod(path, grant),
        Target::Live { path, query, .. } if dialect::asks(path, query) => catalog.past(path, grant),
        Target::Live { path, query, .. } => catalog.live(path, &directives(path, query)?, grant),
        Target::Slate { path } | Target::Picture { path } => {
            catalog.live(path, &Directives::default(), grant)
        }
        Target::Clock => return Ok(Located::Fixed(Fixed::Clock)),
        Target::Health => return Ok(Located::Fixed(Fixed::Health)),
        Target::Options => return Ok(Located::Fixed(Fixed::Options)),
        // What it leads to is located in its place.
        Target::Start(_) => return Err(Refusal::NotFound),
        Target::Control => return Ok(Located::Ask(Access::Open)),
    };
    match found {
        Found::Object(object) => Ok(Located::Object(object)),
        Found::Growing(growing) => Ok(Located::Growing(growing)),
        Found::Closed(source) => Ok(Located::NotYet(Place::Source(source))),
        Found::Expected(place) => Ok(Located::NotYet(place)),
        Found::Asked(access) => Ok(Located::Ask(access)),
        Found::Moved(name) => Ok(Located::Moved(name)),
        Found::Beyond => Ok(Located::Beyond),
        Found::TooFar => Err(Refusal::Directive),
        // It may be made, if it is one; nothing that takes a token lies there.
        Found::Absent | Found::Withheld if matches!(target, Target::Picture { .. }) => {
            Ok(Located::Ask(Access::Open))
        }
        // Slates are nobody's secret, and no token helps where there is none.
        Found::Withheld if matches!(target, Target::Slate { .. }) => Err(Refusal::NotFound),
        Found::Withheld => Err(Refusal::TokenMissing),
        Found::Damaged => Err(Refusal::Damaged),
        Found::Absent => Err(Refusal::NotFound),
    }
}

/// What a query asks of a low-latency playlist. Of everything else it asks nothing.
fn directives(path: &str, query: &[u8]) -> Result<Directives, Refusal> {
    let name = split_last(path, b'/').1;
    let kind = Name::of(name).map(|name| name.kind).filter(|kind| *kind != Kind::Plain);
    let Some(kind) = kind.filter(|_| !query.is_empty()) else { return Ok(Directives::default()) };
    let query = str::from_utf8(query).map_err(|_| Refusal::Directive)?;
    let read = Directives::read(query).map_err(|_| Refusal::Directive)?;
    // Of pictures alone there is no delta.
    let skip = if kind == Kind::LowLatency { read.skip } else { Skip::No };
    Ok(Directives { skip, ..read })
}

#[cfg(test)]
mod tests;
