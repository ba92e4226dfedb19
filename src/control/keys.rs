//! Keys that sign viewers' tokens: made when there is none, changed by an operator, told to shards.
//!
//! Two are live: the current one signs, and what the one before it signed is still good. Each is an
//! object of the registry, and its secret never leaves it but as a `Key`.

use std::num::NonZeroU8;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::audit::{Act, Deed};
use super::registry::{Expected, Kind, Object, Revision, Store, StoreError, Uncommitted, Write};
use crate::config::TOKEN_SECONDS_MAX;
use crate::units::UnixTime;
use crate::viewer::{Key, Keys};

/// What the registry holds of a key. Its id is the object's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    state: State,
    /// 32 bytes in base64url.
    secret: String,
    /// When it was made, in seconds since 1970.
    created: u64,
    /// When it signed last, if it does no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired: Option<u64>,
}

/// What a key is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = KeyState)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It signs.
    Current,
    /// What it signed is good.
    Previous,
}

/// What may be told of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SigningKey)]
pub struct Told {
    /// What it is called in tokens: 1 to 255.
    #[schema(value_type = u8, minimum = 1)]
    pub id: NonZeroU8,
    /// What it is there for.
    pub state: State,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When it signed last, if it does no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<u64>,
}

/// Why keys can't be had or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// The registry failed, or no secret can be drawn.
    Store(StoreError),
    /// Tokens of this key may be good until then, and would not be any more.
    StillGood {
        /// The key before the current one.
        id: NonZeroU8,
        /// When the last of its tokens expires.
        until: UnixTime,
    },
}

impl From<StoreError> for Unchanged {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A key as it stands.
struct Kept {
    told: Told,
    secret: [u8; 32],
    revision: Revision,
}

/// The live keys; a first one is made if there is none.
///
/// # Errors
///
/// The store failed, or something else stands where a key should.
pub fn live(store: &mut dyn Store, now: UnixTime) -> Result<Keys, StoreError> {
    let mut kept = all(store)?;
    if !kept.iter().any(|key| key.told.state == State::Current) {
        match store.commit(&Act::server(now), &[made(next(&kept), now)?]) {
            // Another server that shares the file made one at the same moment.
            Err(Uncommitted::Store(error)) => return Err(error),
            _ => kept = all(store)?,
        }
    }
    let epoch = store.epoch()?;
    let of = |state| {
        let key = kept.iter().find(|key| key.told.state == state)?;
        Some(Key::new(key.told.id.get(), &key.secret, epoch))
    };
    Ok(Keys { current: of(State::Current), previous: of(State::Previous) })
}

/// What may be told of the live keys, the current one first.
///
/// # Errors
///
/// See `live`.
pub fn told(store: &dyn Store) -> Result<Vec<Told>, StoreError> {
    let mut told: Vec<_> = all(store)?.into_iter().map(|key| key.told).collect();
    told.sort_by_key(|key| key.state != State::Current);
    Ok(told)
}

/// Lets a new key sign. What the current one signed stays good; what the one before it signed is
/// unknown from now on, so it is asked for by `force` as long as any of that may be in use.
///
/// # Errors
///
/// `Unchanged`.
pub fn rotate(store: &mut dyn Store, act: &Act, force: bool) -> Result<(), Unchanged> {
    let now = act.at;
    let kept = all(store)?;
    let mut writes = vec![made(next(&kept), now)?];
    for key in kept {
        let expected = Expected::At(key.revision);
        let id = key.told.id.to_string();
        let document = match key.told.state {
            State::Previous => {
                let last = key.told.retired.unwrap_or(now.0) + u64::from(TOKEN_SECONDS_MAX);
                if !force && last > now.0 {
                    return Err(Unchanged::StillGood { id: key.told.id, until: UnixTime(last) });
                }
                None
            }
            State::Current => Some(said(&Document {
                state: State::Previous,
                secret: URL_SAFE_NO_PAD.encode(key.secret),
                created: key.told.created,
                retired: Some(now.0),
            })),
        };
        let (kind, number, references) = (Kind::SigningKey, None, Vec::new());
        writes.push(Write { kind, id, expected, document, number, references });
    }
    store.commit(&act.clone().called(Deed::Rotate), &writes).map_err(uncommitted)?;
    Ok(())
}

fn all(store: &dyn Store) -> Result<Vec<Kept>, StoreError> {
    let objects = store.objects(Kind::SigningKey, "", usize::from(u8::MAX))?;
    objects.into_iter().map(kept).collect()
}

fn kept(object: Object) -> Result<Kept, StoreError> {
    let wrong = |why: &dyn std::fmt::Display| {
        StoreError(format!("the registry's signing key {:?} is none: {why}", object.id))
    };
    let id = object.id.parse().map_err(|error| wrong(&error))?;
    let Document { state, secret, created, retired } =
        serde_json::from_value(object.document).map_err(|error| wrong(&error))?;
    let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|error| wrong(&error))?;
    let secret = secret.try_into().map_err(|_| wrong(&"its secret has another size"))?;
    let told = Told { id, state, created, retired };
    Ok(Kept { told, secret, revision: object.revision })
}

/// The write that makes a key.
fn made(id: NonZeroU8, now: UnixTime) -> Result<Write, StoreError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| StoreError(format!("no secret can be drawn: {error}")))?;
    let secret = URL_SAFE_NO_PAD.encode(secret);
    let document = Document { state: State::Current, secret, created: now.0, retired: None };
    Ok(Write {
        kind: Kind::SigningKey,
        id: id.to_string(),
        expected: Expected::Absent,
        document: Some(said(&document)),
        number: None,
        references: Vec::new(),
    })
}

fn said(document: &Document) -> serde_json::Value {
    serde_json::to_value(document).expect("it has string keys only")
}

/// An id that no live key has: the one behind the current one's. A token names its key by it, so
/// that of a key that is gone comes again only after 254 others.
fn next(kept: &[Kept]) -> NonZeroU8 {
    let newest = kept.iter().max_by_key(|key| (key.told.state == State::Current, key.told.created));
    let behind = |id: NonZeroU8| id.checked_add(1).unwrap_or(NonZeroU8::MIN);
    let mut id = newest.map_or(NonZeroU8::MIN, |key| behind(key.told.id));
    while kept.iter().any(|key| key.told.id == id) {
        id = behind(id);
    }
    id
}

fn uncommitted(why: Uncommitted) -> StoreError {
    match why {
        Uncommitted::Store(error) => error,
        _ => StoreError("somebody else changed the keys at the same moment".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::Sqlite;
    use super::*;
    use crate::config::TOKEN_BYTES_MAX;
    use crate::viewer::{Claims, token};

    const NOON: UnixTime = UnixTime(1_800_000_000);
    const DAY: u64 = TOKEN_SECONDS_MAX as u64;

    fn store() -> (Sqlite, tempfile::TempDir) {
        let state = tempfile::tempdir().unwrap();
        (Sqlite::open(state.path()).unwrap(), state)
    }

    /// A token that is signed now.
    fn signed(store: &mut Sqlite) -> String {
        let keys = live(store, NOON).unwrap();
        let expires = UnixTime(NOON.0 + 1);
        let (bitrate_max, network) = (None, None);
        let claims = Claims { subscriber: None, session: 1, expires, bitrate_max, network };
        token::sealed(&claims, &[], keys.current.as_ref().unwrap()).unwrap()
    }

    fn is_good(store: &mut Sqlite, token: &str) -> bool {
        let keys = live(store, NOON).unwrap();
        token::opened(token, &keys, &|| None, NOON, &mut [0; TOKEN_BYTES_MAX]).is_ok()
    }

    fn ids(store: &Sqlite) -> Vec<(u8, State)> {
        told(store).unwrap().iter().map(|key| (key.id.get(), key.state)).collect()
    }

    #[test]
    fn a_first_key_is_made_once_and_stays() {
        let (mut store, state) = store();
        let token = signed(&mut store);
        assert!(is_good(&mut store, &token));
        drop(store);
        let mut store = Sqlite::open(state.path()).unwrap();
        assert!(is_good(&mut store, &token));
        assert_eq!(ids(&store), [(1, State::Current)]);
    }

    #[test]
    fn what_the_key_before_signed_is_good_and_what_came_before_it_is_not() {
        let (mut store, _state) = store();
        let first = signed(&mut store);
        rotate(&mut store, &Act::server(NOON), false).unwrap();
        let second = signed(&mut store);
        assert!(is_good(&mut store, &first) && is_good(&mut store, &second));
        assert_eq!(ids(&store), [(2, State::Current), (1, State::Previous)]);
        let until = UnixTime(NOON.0 + DAY);
        let id = NonZeroU8::MIN;
        let soon = UnixTime(NOON.0 + DAY - 1);
        assert_eq!(
            rotate(&mut store, &Act::server(soon), false),
            Err(Unchanged::StillGood { id, until })
        );
        assert!(is_good(&mut store, &first));
        rotate(&mut store, &Act::server(until), false).unwrap();
        assert!(!is_good(&mut store, &first) && is_good(&mut store, &second));
        assert_eq!(ids(&store), [(3, State::Current), (2, State::Previous)]);
    }

    #[test]
    fn who_insists_may_give_up_what_is_still_good() {
        let (mut store, _state) = store();
        let first = signed(&mut store);
        rotate(&mut store, &Act::server(NOON), false).unwrap();
        rotate(&mut store, &Act::server(NOON), true).unwrap();
        assert!(!is_good(&mut store, &first));
    }

    #[test]
    fn ids_go_round_past_those_that_are_live() {
        let kept = |id: u8, state, created| Kept {
            told: Told { id: NonZeroU8::new(id).unwrap(), state, created, retired: None },
            secret: [0; 32],
            revision: Revision(1),
        };
        assert_eq!(next(&[]).get(), 1);
        assert_eq!(next(&[kept(7, State::Current, 1), kept(6, State::Previous, 0)]).get(), 8);
        assert_eq!(next(&[kept(255, State::Current, 1), kept(254, State::Previous, 0)]).get(), 1);
        assert_eq!(next(&[kept(255, State::Current, 1), kept(1, State::Previous, 0)]).get(), 2);
    }

    #[test]
    fn a_restored_registry_knows_no_token_of_before() {
        let (mut store, state) = store();
        let token = signed(&mut store);
        drop(store);
        let file = rusqlite::Connection::open(state.path().join("registry.db")).unwrap();
        file.execute("UPDATE registry SET epoch = epoch + 1", ()).unwrap();
        drop(file);
        let mut store = Sqlite::open(state.path()).unwrap();
        assert!(!is_good(&mut store, &token));
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none() {
        let (mut store, _state) = store();
        let document =
            Some(serde_json::json!({ "state": "current", "secret": "AA", "created": 1 }));
        let (kind, expected) = (Kind::SigningKey, Expected::Absent);
        let (id, number, references) = ("1".to_owned(), None, Vec::new());
        let write = Write { kind, id, expected, document, number, references };
        store.commit(&Act::server(NOON), &[write]).unwrap();
        let why = live(&mut store, NOON).unwrap_err().to_string();
        assert_eq!(why, "the registry's signing key \"1\" is none: its secret has another size");
    }
}
