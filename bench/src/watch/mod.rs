//! `watch`: every edition of a channel, looked at all the time, and what is wrong with it.
//!
//! `hls` and `mpd` read texts (pure); `history` knows what has been published and finds what
//! contradicts it (pure); `rules` look at one playlist or manifest by itself (pure); `rounds` asks
//! the servers and hands over what they say. Wrong things become `findings`.

pub mod findings;
pub mod time;
pub mod hls;
pub mod mpd;
pub mod history;
pub mod rules;
pub mod media;
pub mod rounds;
