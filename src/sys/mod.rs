//! The only unsafe code of the server: rings, sockets, files, mappings, affinity.
//!
//! Each file states its contract at its head; outside there are only safe, owning types. Whatever
//! the kernel may still touch is owned by one value until the last completion says otherwise.

#![allow(unsafe_code)]

pub mod ring;
pub mod names;
pub mod enter;
pub mod restrict;
pub mod confine;
pub mod features;
pub mod residency;
pub mod slots;
pub mod buffers;
pub mod calls;
pub mod files;
pub mod mapping;
pub mod peers;
pub mod memory;
pub mod priority;
pub mod probe;
pub mod rlimit;
pub mod inherit;
pub mod zone;
