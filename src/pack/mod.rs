//! Segment packs: the format, over bytes. Pure; it knows no file.

pub mod index;
