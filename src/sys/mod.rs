//! The only unsafe code: system calls that std and the crates lack, behind safe owning types.
#![allow(unsafe_code)]

pub mod probe;
pub mod rlimit;
pub mod inherit;
