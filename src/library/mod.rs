//! Packs and folders on disk: writing, reading back, opening, watching.

pub mod disk;
pub mod extract;
mod error;
mod folder;
pub mod open;
pub mod verify;
pub mod write;

pub use error::DiskError;
