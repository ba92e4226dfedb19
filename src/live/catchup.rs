//! What is past of a channel: its record and a stretch of time in, playlists and manifests out.
//!
//! Pure. An address says which channel, which stretch and which text (`address`), or it is one of
//! others that leads to such a one (`dialect`); the segments that
//! cover the stretch are found by halving, and copied (`excerpt`); timelines of its renditions are
//! matched, and what is missing is filled in (`tracks`); of a window that slides it is remembered
//! what has left it (`passed`); then it is written (`hls`, `dash`). All of it costs as much as the
//! stretch is long, however much is kept before and after it.

pub mod address;
pub mod dialect;
pub mod excerpt;
pub mod passed;
pub mod reel;
pub mod tracks;
pub mod hls;
pub mod dash;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
