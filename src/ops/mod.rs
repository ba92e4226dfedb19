//! Everything that operators see and turn: sockets, logs, systemd, the doctor.

pub mod access_log;
pub mod doctor;
pub mod listen;
pub mod logs;
pub mod metrics;
pub mod machine;
pub mod rings;
pub mod scrape;
pub mod security;
pub mod signals;
pub mod systemd;
pub mod version;
