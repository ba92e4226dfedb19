//! The command line: one file a verb, and the words they share.

pub mod compare;
pub mod duration;
pub mod failure;
pub mod feed;
pub mod idle;
pub mod netns;
pub mod onecopy;
pub mod parked;
pub mod publish;
pub mod runtimes;
pub mod saturate;
pub mod station;
pub mod stop;
pub mod storm;
pub mod table;
pub mod watch;
