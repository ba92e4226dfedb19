//! shardcast.
