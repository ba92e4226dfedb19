//! The only unsafe code: system calls that std lacks, behind safe owning types.

pub mod files;
pub mod mapping;
pub mod priority;
