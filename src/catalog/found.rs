//! What a viewer finds at a path.

use super::SourceSlot;
use crate::config::Access;
use crate::live::playlist::name::Name;
use crate::request::locate::{self, Place};

/// What a path is.
#[derive(Clone, Copy, Debug)]
pub enum Found<'c> {
    /// An object that can be served now.
    Object(locate::Object<'c>),
    /// An object that grows.
    Growing(locate::Growing),
    /// In a source that is not open.
    Closed(SourceSlot),
    /// Not there yet, but it will be, here.
    Expected(Place),
    /// Control can write it, for viewers of this access.
    Asked(Access),
    /// Under this name in the same folder.
    Moved(Name),
    /// In a rendition that takes more than the viewer may have.
    Beyond,
    /// A playlist that holds what is asked for can't be waited for.
    TooFar,
    /// In a source that can't be served.
    Damaged,
    /// Nowhere.
    Absent,
    /// Not for this viewer, or nowhere; the viewer must not learn which.
    Withheld,
}
