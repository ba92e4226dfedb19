//! The line-up: channels of the config file, and those that operators make in the registry.
//!
//! A channel of the registry runs as one of the file does. What is written there is told to whoever
//! runs channels as soon as it is committed, and read before anything is ready. Where both name a
//! channel the file wins. A channel of the file has an object in the registry too, which this
//! module alone writes: it holds the channel's number, and how it is shown.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::audit::Act;
use super::documents::{self, Checked};
use super::registry::{
    Busy, Expected, Kind, Registry, Revision, Store, StoreError, Uncommitted, Write,
};
use super::sealed;
use super::secrets::Secrets;
use super::tokens::now;
use crate::config::file::Draft;
use crate::config::{Channel, FOLLOWED_AT_ONCE};

/// The channels of the config file, by their ids.
#[derive(Clone, Debug, Default)]
pub struct InFile(HashMap<String, Named>);

#[derive(Clone, Debug)]
struct Named {
    channel: Channel,
    /// File and line.
    place: String,
}

impl InFile {
    /// Those of a config.
    #[must_use]
    pub fn of(draft: &Draft) -> Self {
        let channels = draft.config.channels.iter().zip(&draft.channel_places);
        let named = |(channel, place): (&Channel, &crate::config::file::Place)| {
            let place = place.to_string();
            (channel.id.clone(), Named { channel: channel.clone(), place })
        };
        Self(channels.map(named).collect())
    }

    /// The channels, in no order.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        self.0.values().map(|named| named.channel.clone()).collect()
    }

    /// File and line of a channel, if it is in the file.
    #[must_use]
    pub fn place(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(|named| named.place.as_str())
    }
}

/// What became of channels of the registry, by their ids; none = such a channel is not there.
pub type Made = Vec<(String, Option<Channel>)>;

/// Tells whoever runs channels.
pub type Tell = Box<dyn Fn(Made) + Send>;

/// What is known of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    revision: Revision,
    epoch: u32,
}

/// All channels of the registry, once those of the file have their objects there.
///
/// # Errors
///
/// The registry failed.
pub fn read(
    registry: &Registry,
    secrets: Option<&Secrets>,
    in_file: InFile,
) -> Result<(Since, Vec<Channel>), StoreError> {
    let secrets = secrets.cloned();
    registry
        .ask_now(move |store| all(store, secrets.as_ref(), &in_file))
        .map_err(|Busy| StoreError("its thread does not answer".to_owned()))?
}

fn all(
    store: &mut dyn Store,
    secrets: Option<&Secrets>,
    in_file: &InFile,
) -> Result<(Since, Vec<Channel>), StoreError> {
    // What is written meanwhile is read once more.
    let since = Since { revision: store.revision()?, epoch: store.epoch()? };
    let mut made = Vec::new();
    store.each(Kind::Channel, &mut |of| {
        let document = serde_json::from_str::<Value>(of.document).unwrap_or_default();
        made.extend(channel(secrets, of.id, &document));
    })?;
    mirror(store, in_file)?;
    Ok((since, made))
}

/// The channel that an object is, unless it is one of the file.
fn channel(secrets: Option<&Secrets>, id: &str, document: &Value) -> Option<Channel> {
    if documents::is_in_file(document) {
        return None;
    }
    let channel = sealed::channel(secrets, id, document);
    channel.inspect_err(|why| tracing::error!(channel = id, why, "it can't run")).ok()
}

/// Gives each channel of the file its object, and takes those away that are not in the file any
/// more. Their numbers stay theirs.
fn mirror(store: &mut dyn Store, in_file: &InFile) -> Result<(), StoreError> {
    let (mut theirs, mut others) = (BTreeMap::new(), HashSet::new());
    store.each(Kind::Channel, &mut |of| {
        let document = serde_json::from_str::<Value>(of.document).unwrap_or_default();
        if documents::is_in_file(&document) {
            theirs.insert(of.id.to_owned(), document);
        } else if in_file.0.contains_key(of.id) {
            others.insert(of.id.to_owned());
        }
    })?;
    let write = |id: &str, checked: Option<Checked>| {
        let (id, expected, number) = (id.to_owned(), Expected::Anything, None);
        let (document, references) =
            checked.map(|of| (Some(of.document), of.references)).unwrap_or_default();
        vec![Write { kind: Kind::Channel, id, expected, document, number, references }]
    };
    let mut groups = Vec::new();
    // Numbers follow the order of the ids, whatever the order of the file.
    for (id, named) in in_file.0.iter().collect::<BTreeMap<_, _>>() {
        if others.contains(id) {
            let place = &named.place;
            tracing::warn!(channel = id, place, "it is in the registry too: the file's is used");
            continue;
        }
        let checked = shelved(store, named)?;
        if theirs.remove(id).as_ref() != Some(&checked.document) {
            groups.push(write(id, Some(checked)));
        }
    }
    groups.extend(theirs.into_keys().map(|id| write(&id, None)));
    if groups.is_empty() {
        return Ok(());
    }
    for outcome in store.commit_each(&Act::server(now()), &groups)? {
        match outcome {
            Ok(_) => {}
            Err(Uncommitted::Store(error)) => return Err(error),
            Err(why) => tracing::error!(?why, "a channel of the file has no object"),
        }
    }
    Ok(())
}

/// The object of a channel of the file. Categories that are not there are left out.
fn shelved(store: &dyn Store, named: &Named) -> Result<Checked, StoreError> {
    let Channel { id, name, shelf, .. } = &named.channel;
    let mut categories = Vec::new();
    for category in &shelf.categories {
        if store.object(Kind::Category, category)?.is_some() {
            categories.push(category);
        } else {
            let place = &named.place;
            tracing::warn!(channel = id, category, place, "there is no such category yet");
        }
    }
    let (order, logo) = (shelf.order, &shelf.logo);
    let document = json!({
        "in_file": true, "name": name, "categories": categories, "order": order, "logo": logo,
    });
    documents::checked(Kind::Channel, document)
        .map_err(|why| StoreError(format!("channel {id:?} of {}: {why}", named.place)))
}

/// What has changed since then, and since when the next time.
fn followed(
    store: &mut dyn Store,
    since: Since,
    secrets: Option<&Secrets>,
    (in_file, is_read_again): (&InFile, bool),
) -> Result<(Since, Made), StoreError> {
    let newest = Since { revision: store.revision()?, epoch: store.epoch()? };
    let (mut made, mut last) = (Vec::new(), since.revision);
    loop {
        let changes = store.changes_of(Kind::Channel, last, FOLLOWED_AT_ONCE)?;
        let is_all = changes.len() < FOLLOWED_AT_ONCE;
        last = changes.last().map_or(last, |change| change.revision);
        made.extend(changes.into_iter().map(|change| {
            let channel = change.document.and_then(|of| channel(secrets, &change.id, &of));
            (change.id, channel)
        }));
        if is_all {
            break;
        }
    }
    let categories = store.changes_of(Kind::Category, since.revision, 1)?;
    // Objects may be those of a copy now, and categories be there that were not.
    if is_read_again || newest.epoch != since.epoch || !categories.is_empty() {
        mirror(store, in_file)?;
    }
    let revision = newest.revision.max(last);
    Ok((Since { revision, ..newest }, made))
}

/// Tells of every change, until the process ends.
pub async fn follow(
    registry: Registry,
    secrets: Option<Secrets>,
    mut since: Since,
    mut in_file: watch::Receiver<Arc<InFile>>,
    tell: Tell,
) {
    let mut newest = registry.newest();
    newest.mark_changed();
    loop {
        let is_read_again = tokio::select! {
            changed = newest.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
            changed = in_file.changed() => changed.is_ok(),
        };
        let (secrets, named) = (secrets.clone(), in_file.borrow_and_update().clone());
        let followed = registry
            .ask(move |store| followed(store, since, secrets.as_ref(), (&named, is_read_again)))
            .await;
        match followed {
            Ok(Ok((newest, made))) => {
                since = newest;
                if !made.is_empty() {
                    tell(made);
                }
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the registry's channels can't be read; those of before run");
            }
            Err(Busy) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                newest.mark_changed();
                if is_read_again {
                    in_file.mark_changed();
                }
            }
        }
    }
}
