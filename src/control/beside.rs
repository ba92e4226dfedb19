//! Objects that lie beside a subscriber, one of a kind: its passwords.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::problem::problem;
use super::registry::{Busy, Kind, Object, Registry, Store, StoreError, Uncommitted};
use super::tokens::{busy, failed};

/// Why there is no answer.
pub(super) enum Missed {
    /// No such subscriber, or nothing like that beside it.
    Absent(&'static str),
    /// It makes no sense.
    Wrong(String),
    /// Another one changed it at the same moment.
    Raced,
    /// The registry failed.
    Store(StoreError),
}

impl From<StoreError> for Missed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Uncommitted> for Missed {
    fn from(why: Uncommitted) -> Self {
        match why {
            Uncommitted::Store(error) => Self::Store(error),
            _ => Self::Raced,
        }
    }
}

/// Does something with what lies beside a subscriber, if anything does, on the registry's thread.
pub(super) async fn with<T: Send + 'static>(
    registry: &Registry,
    kind: Kind,
    id: String,
    work: impl FnOnce(&mut dyn Store, &str, Option<Object>) -> Result<T, Missed> + Send + 'static,
) -> Result<T, Response<Body>> {
    let done = registry.ask(move |store| {
        store.object(Kind::Subscriber, &id)?.ok_or(Missed::Absent("no subscriber has this id"))?;
        let found = store.object(kind, &id)?;
        work(store, &id, found)
    });
    match done.await {
        Ok(done) => done.map_err(missed),
        Err(Busy) => Err(busy()),
    }
}

fn missed(why: Missed) -> Response<Body> {
    match why {
        Missed::Absent(why) => problem(StatusCode::NOT_FOUND, why),
        Missed::Wrong(why) => problem(StatusCode::BAD_REQUEST, &why),
        Missed::Raced => {
            problem(StatusCode::CONFLICT, "somebody else changed it at the same moment")
        }
        Missed::Store(error) => failed(&error),
    }
}
