//! The command line: one file a verb.

mod failure;
pub mod pack;

pub use failure::Failure;
