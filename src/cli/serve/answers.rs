//! What shards' questions are answered by: pictures, apps, the portal and the guide, in front of
//! what is past of channels.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use super::start::not_started;
use crate::cli::Failure;
use crate::config::{Channel, Config};
use crate::control;
use crate::control::catalogue::Titles;
use crate::control::catalogue::api::keep_up;
use crate::control::pictures::{Pictures, addresses};
use crate::control::registry::Registry;
use crate::messages::mail::Outbox;
use crate::middleware::catalogue::Catalogue;
use crate::middleware::portal::Portal;
use crate::middleware::{self, guide};

/// What answers, and what others need of it.
pub(super) struct Answers {
    /// Whom shards ask.
    pub router: Router,
    /// Where it is told that channels of the config file have changed; none without a registry.
    pub catalogue: Option<Catalogue>,
    /// Where the guide is asked.
    pub guide: Option<control::guide::Desk>,
    /// Pictures, and what catalogues are made of.
    pub titles: Titles,
}

/// Starts all of it in front of `others`. Whoever serves a folder by naming it has no guide.
pub(super) fn start(
    config: &Config,
    outboxes: &[Outbox],
    (registry, has_guide): (Option<&Registry>, bool),
    others: Router,
) -> Result<Answers, Failure> {
    let titles = titles(config, registry, outboxes)?;
    let (known, guide) = guide(config, registry, has_guide)?.unzip();
    let others = with_pictures(others, &titles);
    let (catalogue, router) = apps(registry, config, known, others)?;
    Ok(Answers { router, catalogue, guide, titles })
}

/// Posters and logos, and the catalogue of the libraries, which is made by itself if it is to be.
/// Without pictures the server shows all else.
fn titles(
    config: &Config,
    registry: Option<&Registry>,
    outboxes: &[Outbox],
) -> Result<Titles, Failure> {
    let titles = Titles { pictures: None, libraries: Arc::default() };
    titles.libraries.take(config.libraries.clone(), config.access);
    let Some(registry) = registry else { return Ok(titles) };
    let allow = config.outside.fetch.allow.clone();
    let started = Pictures::start(&config.state, outboxes.to_vec()).and_then(|pictures| {
        addresses::follow(Arc::clone(&pictures), registry.clone(), allow).map(|()| pictures)
    });
    let pictures =
        started.inspect_err(|error| tracing::error!(%error, "there are no pictures")).ok();
    let every = Duration::from_millis(config.catalogue.every_ms);
    if !every.is_zero() {
        let with = (registry.clone(), pictures.clone());
        keep_up(Arc::clone(&titles.libraries), with, every)
            .map_err(|error| not_started("start the catalogue's thread", &error))?;
    }
    Ok(Titles { pictures, ..titles })
}

/// With pictures, if there are any.
fn with_pictures(others: Router, titles: &Titles) -> Router {
    match &titles.pictures {
        Some(pictures) => others.merge(control::pictures::router(Arc::clone(pictures))),
        None => others,
    }
}

/// What reads guides and knows what is on, and where it is asked. Whoever serves a folder by naming
/// it has no guide either.
fn guide(
    config: &Config,
    registry: Option<&Registry>,
    has_guide: bool,
) -> Result<Option<(guide::Guide, control::guide::Desk)>, Failure> {
    let Some(registry) = registry.filter(|_| has_guide).cloned() else { return Ok(None) };
    let archive = |channel: &Channel| {
        let archive = channel.archive.as_ref()?;
        Some((channel.id.clone(), archive.age_ms / 1000))
    };
    let archives = config.channels.iter().filter_map(archive).collect();
    let (state, config) = (config.state.clone(), config.guide.clone());
    guide::start(guide::Parts { state, registry, config, archives })
        .map(Some)
        .map_err(|error| not_started("start the guide", &error))
}

/// What apps and browsers talk to, in front of everything else that shards ask. A state folder that
/// can't be used costs the portal and a line.
fn apps(
    registry: Option<&Registry>,
    config: &Config,
    guide: Option<guide::Guide>,
    others: Router,
) -> Result<(Option<Catalogue>, Router), Failure> {
    let guide = guide.unwrap_or_else(|| guide::Guide::new(&config.state));
    let others = match Portal::open(&config.state, registry, guide.clone()) {
        Ok(portal) => portal.router(others),
        Err(error) => {
            tracing::warn!(%error, "there is no portal: what it remembers can't be opened");
            others
        }
    };
    let Some(registry) = registry else { return Ok((None, others)) };
    middleware::start(registry.clone(), config, guide, others)
        .map(|(catalogue, router)| (Some(catalogue), router))
        .map_err(|error| not_started("the threads that answer apps", &error))
}
