//! Live channels as values: boxes in, segments, timelines and playlists out. No clock, no file.
//!
//! An encoder's bytes become chunks (`boxes`, `ts`), chunks become parts and segments by their
//! media time alone (`segment`), and those become the window of a rendition (`timeline`), of which
//! `playlist` writes each edition once. What is done with the bytes, and when, is decided outside.

pub mod time;
mod bits;
mod attribute;
pub mod boxes;
pub mod ts;
pub mod cut;
pub mod stretches;
pub mod timeline;
pub mod pushed;
pub mod publisher;
pub mod order;
pub mod select;
pub mod upload;
pub mod learn;
pub mod measure;
pub mod drift;
pub mod events;
pub mod protection;
pub mod channel;
pub mod playlist;
pub mod reload;
pub mod remembered;
pub mod record;
pub mod catchup;
pub mod records;
pub mod linear;
pub mod inputs;
pub mod slate;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
pub(crate) mod fixture;
