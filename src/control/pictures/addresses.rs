//! Pictures that documents name by an address: which there are, and what was fetched from each.
//!
//! Threads of their own follow the registry, fetch what is new (`control::fetch`, which calls no
//! internal address), and ask once a week whether it is another one by now. What was fetched is
//! stored as any picture. `<state>/pictures/addresses.json` remembers what came from where, so that
//! a start fetches nothing again.
//!
//! An address has an id of its own, made of its text, under which `/img/` leads to its picture.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Pictures, locked, store};
use crate::config::values;
use crate::config::{
    PICTURE_ADDRESSES_MAX, PICTURE_FETCH_MS, PICTURE_FETCHES_MAX, PICTURE_REFRESH_S,
    PICTURE_RETRY_S, PICTURE_SIZE_MAX,
};
use crate::control::fetch::{Fetched, Validators, Wanted, fetch_now};
use crate::control::registry::{Kind, Registry, Revision};

/// How often the registry is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Objects that are taken from it at once.
const CHANGES_MAX: usize = 500;

/// Addresses that are fetched before the registry is looked at again.
const LOT_MAX: usize = 64;

/// Kinds whose documents name pictures.
const KINDS: [Kind; 4] = [Kind::Channel, Kind::Asset, Kind::Series, Kind::Episode];

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// The picture that came from there last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
    /// To ask whether it is another one.
    #[serde(default)]
    validators: Validators,
    /// When it was asked last, in Unix seconds; 0 = never.
    #[serde(default)]
    asked: u64,
    /// How often it failed in a row.
    #[serde(default)]
    failures: u32,
}

impl Known {
    /// When it is to be asked.
    fn due(&self) -> u64 {
        if self.asked == 0 {
            return 0;
        }
        let wait = match self.failures {
            0 => PICTURE_REFRESH_S,
            count => PICTURE_RETRY_S.saturating_mul(1 << (count - 1).min(16)),
        };
        self.asked.saturating_add(wait.min(PICTURE_REFRESH_S))
    }
}

/// What there is under an address's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This picture came from there.
    Picture(String),
    /// Nothing came from there yet.
    Address(Arc<str>),
}

#[derive(Debug, Default)]
struct Table {
    known: HashMap<Arc<str>, Known>,
    /// By their ids.
    ids: HashMap<String, Arc<str>>,
    /// Those that the registry names, since the start.
    named: HashSet<Arc<str>>,
    /// There were too many, and the log has said so.
    is_full: bool,
    /// Something is known that the file does not say.
    is_changed: bool,
}

/// All addresses.
#[derive(Debug)]
pub struct Addresses {
    file: PathBuf,
    table: Mutex<Table>,
}

impl Addresses {
    /// What is remembered of them.
    pub(super) fn open(state: &Path) -> Self {
        let file = state.join("pictures").join("addresses.json");
        let text = std::fs::read(&file).unwrap_or_default();
        // Whatever can't be read is fetched again.
        let known: HashMap<Arc<str>, Known> =
            serde_json::from_slice::<HashMap<String, Known>>(&text)
                .unwrap_or_default()
                .into_iter()
                .map(|(address, known)| (address.into(), known))
                .collect();
        let id = |address: &Arc<str>| (store::id_of(address.as_bytes()), Arc::clone(address));
        let ids = known.keys().map(id).collect();
        Self { file, table: Mutex::new(Table { known, ids, ..Table::default() }) }
    }

    /// What there is under this id.
    #[must_use]
    pub fn at(&self, id: &str) -> Option<Found> {
        let table = locked(&self.table);
        let address = table.ids.get(id)?;
        let picture = table.known.get(address).and_then(|known| known.picture.clone());
        Some(picture.map_or_else(|| Found::Address(Arc::clone(address)), Found::Picture))
    }

    /// A document names this one.
    fn name(&self, address: &str) {
        let mut table = locked(&self.table);
        if table.named.contains(address) {
            return;
        }
        if table.named.len() >= PICTURE_ADDRESSES_MAX {
            if !std::mem::replace(&mut table.is_full, true) {
                tracing::warn!(
                    most = PICTURE_ADDRESSES_MAX,
                    "too many pictures are named by addresses; further ones are not fetched"
                );
            }
            return;
        }
        let address: Arc<str> = address.into();
        table.ids.insert(store::id_of(address.as_bytes()), Arc::clone(&address));
        table.known.entry(Arc::clone(&address)).or_default();
        table.named.insert(address);
    }

    /// All documents were looked at: what none of them names is forgotten.
    fn forget_others(&self) {
        let mut table = locked(&self.table);
        let Table { known, ids, named, .. } = &mut *table;
        known.retain(|address, _| named.contains(address));
        ids.retain(|_, address| named.contains(address));
    }

    /// Some that are to be asked now, the longest due first.
    fn due(&self, now: u64) -> Vec<(Arc<str>, Known)> {
        let table = locked(&self.table);
        let is_due = |(_, known): &(&Arc<str>, &Known)| known.due() <= now;
        let mut due: Vec<_> = table.known.iter().filter(is_due).collect();
        due.sort_by_key(|(_, known)| known.due());
        let cloned = |(address, known): (&Arc<str>, &Known)| (Arc::clone(address), known.clone());
        due.into_iter().take(LOT_MAX).map(cloned).collect()
    }

    fn put(&self, address: Arc<str>, known: Known) {
        let mut table = locked(&self.table);
        table.known.insert(address, known);
        table.is_changed = true;
    }

    /// Writes down what is known, if it is not.
    fn keep(&self) {
        let text = {
            let mut table = locked(&self.table);
            if !std::mem::replace(&mut table.is_changed, false) {
                return;
            }
            let known: HashMap<&str, &Known> =
                table.known.iter().map(|(address, known)| (&**address, known)).collect();
            serde_json::to_vec(&known).unwrap_or_default()
        };
        if let Err(error) = store::put_down(&self.file, &text) {
            tracing::warn!(%error, "it can't be remembered where pictures came from");
        }
    }
}

/// Starts the thread that follows the registry and fetches what its documents name.
///
/// # Errors
///
/// No thread can be made.
pub fn follow(
    pictures: Arc<Pictures>,
    registry: Registry,
    allow: Vec<IpNet>,
) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("posters".to_owned());
    thread.spawn(move || {
        let mut seen = [Revision(0); KINDS.len()];
        let mut is_first = true;
        let mut looked_at = None;
        loop {
            let newest = *registry.newest().borrow();
            if looked_at != Some(newest) {
                let mut is_all = true;
                for (kind, seen) in KINDS.into_iter().zip(&mut seen) {
                    is_all &= read(&pictures.addresses, &registry, kind, seen);
                }
                if is_all {
                    looked_at = Some(newest);
                    if std::mem::replace(&mut is_first, false) {
                        pictures.addresses.forget_others();
                    }
                }
            }
            let due = pictures.addresses.due(now());
            if due.is_empty() {
                pictures.addresses.keep();
                std::thread::sleep(LOOK_EVERY);
            } else {
                fetch_all(&pictures, due, &allow);
                // Also where no thread could be made for it.
                std::thread::sleep(LOOK_EVERY / 10);
            }
        }
    })?;
    Ok(())
}

/// Takes in what documents of a kind name since then; false if the registry could not say all.
fn read(addresses: &Addresses, registry: &Registry, kind: Kind, seen: &mut Revision) -> bool {
    loop {
        let since = *seen;
        let changed = registry.ask_now(move |store| store.changes_of(kind, since, CHANGES_MAX));
        let Ok(Ok(changed)) = changed else { return false };
        let Some(last) = changed.last() else { return true };
        *seen = last.revision;
        let documents = changed.iter().filter_map(|of| of.document.as_ref());
        documents
            .for_each(|document| each_address(document, &mut |address| addresses.name(address)));
    }
}

/// Shows the addresses of a document's pictures.
fn each_address(document: &Value, see: &mut dyn FnMut(&str)) {
    let details = &document["details"];
    let backdrops = details["backdrops"].as_array().map_or(&[][..], Vec::as_slice);
    let named = [&document["logo"], &details["poster"]].into_iter().chain(backdrops);
    let addresses = named.filter_map(Value::as_str);
    addresses.filter(|address| values::web_address(address).is_ok()).for_each(see);
}

/// Fetches these, a few at once.
fn fetch_all(pictures: &Pictures, due: Vec<(Arc<str>, Known)>, allow: &[IpNet]) {
    let due = Mutex::new(due);
    std::thread::scope(|scope| {
        for _ in 0..PICTURE_FETCHES_MAX {
            let fetching = || {
                loop {
                    let next = locked(&due).pop();
                    let Some((address, known)) = next else { return };
                    let known = asked(pictures, &address, known, allow);
                    pictures.addresses.put(address, known);
                }
            };
            // Where no thread can be made the others do it.
            let _ =
                std::thread::Builder::new().name("poster".to_owned()).spawn_scoped(scope, fetching);
        }
    });
}

/// Asks an address, and stores what comes.
fn asked(pictures: &Pictures, address: &str, mut known: Known, allow: &[IpNet]) -> Known {
    let has_it = known.picture.as_ref().is_some_and(|id| pictures.has(id));
    let wanted = Wanted {
        address,
        // Somebody may have removed it.
        known: if has_it { known.validators.clone() } else { Validators::default() },
        accept: "image/jpeg, image/png, image/webp, image/gif",
        size_max: PICTURE_SIZE_MAX as u64,
        patience: Duration::from_millis(PICTURE_FETCH_MS),
    };
    let mut bytes = Vec::new();
    let fetched = fetch_now(&wanted, allow, &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    known.asked = now().max(1);
    let why = match fetched {
        Ok(Fetched::Unchanged) => None,
        Ok(Fetched::Whole { validators, .. }) => match pictures.add(&bytes) {
            Ok(added) => {
                (known.picture, known.validators) = (Some(added.id), validators);
                None
            }
            Err(why) => Some(why.to_string()),
        },
        Err(failure) => Some(failure.to_string()),
    };
    match why {
        None => known.failures = 0,
        Some(why) => {
            known.failures = known.failures.saturating_add(1);
            // Once, and again when it has failed for a week.
            if known.failures == 1 || known.failures == 10 {
                tracing::warn!(address, why, "a picture can't be fetched");
            }
        }
    }
    known
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_failed_is_tried_again_later_and_later() {
        let due = |asked, failures| Known { asked, failures, ..Known::default() }.due();
        assert_eq!((due(0, 0), due(0, 3)), (0, 0));
        assert_eq!(due(7, 0), 7 + PICTURE_REFRESH_S);
        assert_eq!([due(7, 1), due(7, 2), due(7, 3)], [907, 1807, 3607]);
        assert_eq!(due(7, u32::MAX), 7 + PICTURE_REFRESH_S);
    }

    #[test]
    fn addresses_of_documents_are_known_by_their_ids_over_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let addresses = Addresses::open(state.path());
        let document = json!({
            "logo": "http://a.example/l", "details": {
                "poster": "img:0123456789abcdef0123456789abcdef",
                "backdrops": ["https://a.example/1", "https://a.example/2"],
            },
        });
        each_address(&document, &mut |address| addresses.name(address));
        let found =
            |addresses: &Addresses, address: &str| addresses.at(&store::id_of(address.as_bytes()));
        assert_eq!(
            found(&addresses, "http://a.example/l"),
            Some(Found::Address("http://a.example/l".into()))
        );
        assert_eq!(found(&addresses, "http://a.example/"), None);
        assert_eq!(addresses.due(0).len(), 3);
        let known = Known { picture: Some("p".to_owned()), asked: 7, ..Known::default() };
        addresses.put("https://a.example/1".into(), known);
        addresses.keep();
        assert_eq!(addresses.due(8).len(), 2);
        let again = Addresses::open(state.path());
        assert_eq!(found(&again, "https://a.example/1"), Some(Found::Picture("p".to_owned())));
        again.name("https://a.example/1");
        again.forget_others();
        assert_eq!(found(&again, "https://a.example/2"), None);
        assert_eq!(again.due(u64::MAX).len(), 1);
    }
}
