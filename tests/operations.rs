//! The binary as an operator meets it: verbs, signals, refusals with their remedies.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "operations/running.rs"]
mod running;
#[path = "operations/schema.rs"]
mod schema;
#[path = "operations/xtream.rs"]
mod xtream;
#[path = "operations/verbs.rs"]
mod verbs;
#[path = "operations/package.rs"]
mod package;
#[path = "operations/doctor.rs"]
mod doctor;
#[path = "operations/signals.rs"]
mod signals;
#[path = "operations/sockets.rs"]
mod sockets;
#[path = "operations/shards.rs"]
mod shards;
#[path = "operations/limits.rs"]
mod limits;
#[path = "operations/library.rs"]
mod library;
#[path = "operations/terminal.rs"]
mod terminal;
#[path = "operations/tokens.rs"]
mod tokens;
#[path = "operations/content.rs"]
mod content;
#[path = "operations/pictures.rs"]
mod pictures;
#[path = "operations/registry.rs"]
mod registry;
#[path = "operations/admins/mod.rs"]
mod admins;
#[path = "operations/import.rs"]
mod import;
#[path = "operations/asking.rs"]
mod asking;
#[path = "operations/audit.rs"]
mod audit;
#[path = "operations/power.rs"]
mod power;
#[path = "operations/repeated.rs"]
mod repeated;
#[path = "operations/sessions.rs"]
mod sessions;
#[path = "operations/geo.rs"]
mod geo;
#[path = "operations/hook.rs"]
mod hook;
#[path = "operations/group.rs"]
mod group;
#[path = "operations/portal.rs"]
mod portal;
#[path = "operations/portal_app.rs"]
mod portal_app;
#[path = "operations/passphrase.rs"]
mod passphrase;
#[path = "operations/history.rs"]
mod history;
#[path = "operations/revocations.rs"]
mod revocations;
#[path = "operations/foreign/mod.rs"]
mod foreign;
#[path = "operations/guard.rs"]
mod guard;
#[path = "operations/proxies.rs"]
mod proxies;
#[path = "operations/pacing.rs"]
mod pacing;
#[path = "operations/front_cache.rs"]
mod front_cache;
#[path = "operations/kinds.rs"]
mod kinds;
#[path = "operations/guide.rs"]
mod guide;
#[path = "operations/story.rs"]
mod story;
#[path = "operations/reload.rs"]
mod reload;
#[path = "operations/live/mod.rs"]
mod live;
