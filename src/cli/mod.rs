//! The command line: one file a verb.

mod failure;
pub mod demo;
pub mod pack;

pub use failure::Failure;
