//! What std has no safe word for: the rings, mappings, socket options, affinity and namespaces.
//!
//! The only unsafe code of the harness. Each file states its contract at its head, and gives out
//! owning types and plain functions that cannot be used wrongly.
#![allow(unsafe_code)]

pub mod answer_ring;
pub mod cache;
pub mod child;
pub mod machine;
pub mod mapping;
pub mod namespace;
pub mod poller;
pub mod provided;
pub mod ring;
pub mod socket;
