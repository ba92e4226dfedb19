//! What subscribers' apps talk to, and the portal that they see: answers to what shards ask.

pub mod portal;
