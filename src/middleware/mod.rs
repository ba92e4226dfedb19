//! What subscribers' apps talk to: catalogues, guides and pictures, as the clients of others know
//! them.
//!
//! It reads what the registry has and answers what control is asked; it never serves a segment.
//! What takes long has a thread of its own here, so that neither shards nor control wait for it.

pub mod gzip;
pub mod guide;
