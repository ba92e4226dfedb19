//! What subscribers' apps talk to: catalogues, lists and guides, made of the registry and handed to
//! shards, as the clients of others know them.
//!
//! Handlers run on the control thread and are short. Whatever takes longer (reading a registry,
//! writing a catalogue of 100,000 titles, compressing it) is done by threads of the middleware,
//! from a view of the registry of their own, so that neither shards nor control wait for it.

pub mod content;
pub mod gzip;
pub mod guide;
pub mod portal;
