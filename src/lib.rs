//! shardcast: an IPTV server. The modules stand in reading order.

pub mod units;
pub mod config;
pub mod pack;
pub mod viewer;
pub mod guard;
pub mod messages;
pub mod catalog;
pub mod request;
pub mod live;
pub mod shard;
pub mod library;
pub mod ingest;
pub mod ops;
pub mod control;
pub mod middleware;
pub mod cli;
pub mod sys;
