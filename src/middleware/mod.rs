//! What subscribers' apps talk to: catalogues, lists and guides, made of the registry and handed to
//! shards, as the clients of others know them.
//!
//! Handlers run on the control thread and are short. Whatever takes longer (reading a registry,
//! writing a catalogue of 100,000 titles, compressing it) is done by threads of the middleware,
//! from a view of the registry of their own, so that neither shards nor control wait for it.

use std::io;
use std::sync::Arc;

use axum::Router;

use crate::config::Config;
use crate::control::registry::Registry;
use base::Bases;
use catalogue::Catalogue;
use guide::Guide;
use xtream::{Programmes, Xtream};

pub mod content;
pub mod gzip;
pub mod guide;
pub mod base;
pub mod catalogue;
pub mod list;
pub mod portal;
pub mod xmltv;
pub mod xtream;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod fixture;

/// Starts what apps talk to, by this guide; gives the way to catalogues, and the router that
/// answers them in front of these others.
///
/// # Errors
///
/// No thread can be made.
pub fn start(
    registry: Registry,
    config: &Config,
    guide: Guide,
    others: Router,
) -> io::Result<(Catalogue, Router)> {
    let catalogue = Catalogue::start(registry.clone(), guide.clone(), config)?;
    let xtream = Xtream {
        registry,
        catalogue: catalogue.clone(),
        programmes: Programmes::start(guide)?,
        bases: Arc::new(Bases::new(&config.apps.public)),
        refuse: config.apps.refuse,
    };
    Ok((catalogue, xtream::router(xtream, others)))
}
