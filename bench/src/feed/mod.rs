//! `feed`: packaged media, sent in the pace of the clock as an encoder would send it.
//!
//! `source` and `track` read media and cut it onto the time of the epoch; `compose` makes the bytes
//! of chunks; `plan` and `fault` say which segment comes next and what goes wrong with it; `stream`
//! sends one rendition through an `outlet`; `run` drives all streams on one thread. `noise` is
//! media without an encoder, and `pusher` sends it on command instead.

pub mod boxes;
pub mod source;
pub mod track;
pub mod compose;
pub mod clock;
pub mod fault;
pub mod plan;
pub mod outlet;
pub mod http;
pub mod folder;
pub mod log;
pub mod stream;
pub mod tally;
pub mod run;
pub mod noise;
pub mod pusher;
