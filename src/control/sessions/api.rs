//! `/api/v1/sessions`: who watches what, who did, and an end to it.

use std::net::IpAddr;
use std::num::NonZeroU32;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::history::{self, Cursor, Over, Page};
use super::quality::Player;
use super::sharing::Signal;
use super::table::{End, Owner, Past, Session};
use super::{Desk, Moment};
use crate::config::{LIST_ENTRIES, LIST_ENTRIES_MAX};
use crate::control::admin::Shared;
use crate::control::audit::{Act, Deed, Note};
use crate::control::json::{answer, nothing};
use crate::control::problem::problem;
use crate::control::registry::{Busy, Kind, Registry, Store, StoreError};
use crate::control::revocations;
use crate::control::tokens::{busy, failed, nowhere};
use crate::units::UnixTime;
use crate::viewer::SessionId;

/// Which are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Only this subscriber's.
    subscriber: Option<String>,
    /// Those that are over, the newest first.
    #[serde(default)]
    past: bool,
    /// Of those that are over, none that ended before this second,
    since: Option<u64>,
    /// or in this one or later.
    until: Option<u64>,
    /// The first that are told are behind this one: the `next` of the page before.
    #[serde(default)]
    after: String,
    /// How many at most.
    limit: Option<usize>,
}

/// Some of the sessions.
#[derive(Serialize, ToSchema)]
struct SessionList {
    /// In the order of their ids; those that are over, the newest first.
    sessions: Vec<Watched>,
    /// Behind which one the next page begins; null = there is none.
    next: Option<String>,
}

/// A session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct Watched {
    /// Its name.
    id: String,
    /// Whose it is; null = of a token that is nobody's.
    subscriber: Option<String>,
    /// What is watched.
    content: String,
    /// The device's session, as its token says.
    device: String,
    /// The address of the device, if it is known.
    #[schema(value_type = Option<String>)]
    from: Option<IpAddr>,
    /// In which country that is, if the server knows (ISO 3166-1 alpha-2).
    country: Option<String>,
    /// In whose network, by number (RFC 1930).
    asn: Option<u32>,
    /// Who operates that.
    organisation: Option<String>,
    /// What the player says of itself.
    agent: String,
    /// When it began, in seconds since 1970.
    since: u64,
    /// Whether it is two devices that look alike: then it counts twice.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    two: bool,
    /// What the player tells of how it goes; null = nothing.
    player: Option<Player>,
    /// When it was seen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// Why it ended: `left`, or a reason for which viewers are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'static str>,
}

/// `GET /api/v1/sessions?subscriber=&past=&since=&until=&after=&limit=`: a page of them, in the
/// order of their ids; or of those that are over, those that ended last first.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions",
    params(Asked),
    responses(
        (status = 200, body = SessionList),
        (status = 404, description = "There is no such subscriber."),
    )
)]
pub async fn all(State(shared): State<Shared>, Query(asked): Query<Asked>) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let desk = &shared.sessions;
    let limit = asked.limit.unwrap_or(LIST_ENTRIES).clamp(1, LIST_ENTRIES_MAX);
    let owner = match asked.subscriber.clone() {
        None => None,
        Some(id) => {
            let found = signer.registry().ask(move |store| store.object(Kind::Subscriber, &id));
            match found.await {
                Ok(Ok(Some(of))) => match of.number.and_then(NonZeroU32::new) {
                    Some(number) => Some(Owner::Subscriber(number)),
                    None => return problem(StatusCode::NOT_FOUND, "it has no number"),
                },
                Ok(Ok(None)) => {
                    return problem(StatusCode::NOT_FOUND, "no subscriber has this id");
                }
                Ok(Err(error)) => return failed(&error),
                Err(Busy) => return busy(),
            }
        }
    };
    if asked.past {
        return past(desk, signer.registry(), owner, &asked, limit).await;
    }
    let (told, next) = present(desk, owner, &asked.after, limit);
    let named = signer.registry().ask(move |store| named(store, told));
    match named.await {
        Ok(Ok(sessions)) => answer(StatusCode::OK, &SessionList { sessions, next }),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// `GET /api/v1/sessions/{id}`: one that goes on.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The session's.")),
    responses(
        (status = 200, body = Watched),
        (status = 404, description = "There is no such session."),
    )
)]
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let Some(session) = SessionId::of_text(&id) else { return over_already() };
    let desk = &shared.sessions;
    let now = desk.now();
    let found = {
        let table = desk.table();
        let found = table.named(session).filter(|of| !of.is_over(now.ticks));
        found.map(|of| (of.owner, Watched { seen: Some(seen(of, now)), ..told(desk, of) }))
    };
    let Some(found) = found else { return over_already() };
    match signer.registry().ask(move |store| named(store, vec![found])).await {
        Ok(Ok(sessions)) => {
            sessions.first().map_or_else(over_already, |of| answer(StatusCode::OK, of))
        }
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

fn over_already() -> Response<Body> {
    problem(StatusCode::NOT_FOUND, "no session has this id: it is over, perhaps")
}

/// `DELETE /api/v1/sessions/{id}`: a session ends: 204; what is watched there can't be watched for
/// a minute.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The session's.")),
    responses(
        (status = 204, description = "It has ended."),
        (status = 404, description = "There is no such session."),
    )
)]
pub async fn kick(
    State(shared): State<Shared>,
    act: Act,
    Path(id): Path<String>,
) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let desk = &shared.sessions;
    let Some(session) = SessionId::of_text(&id) else { return over_already() };
    let found = desk.table().named(session).map(|of| (of.owner, of.content.content().to_string()));
    let Some((owner, content)) = found else { return over_already() };
    // Nobody is ended without an entry that says so: it is written first.
    let noted = signer.registry().ask(move |store| {
        let details = json!({ "subscriber": owner_id(store, owner)?, "content": content });
        let (deed, kind, made) = (Deed::Kick, "session", Value::Null);
        store.note(&act, &Note { deed, kind, id, details, made })
    });
    match noted.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return failed(&error),
        Err(Busy) => return busy(),
    }
    let now = desk.now();
    let said = desk.table().kick(session, now);
    if let Some(said) = said {
        desk.tell(said);
    }
    nothing()
}

/// A session as it is told, and whose it is.
type Told = (Owner, Watched);

fn present(
    desk: &Desk,
    owner: Option<Owner>,
    after: &str,
    limit: usize,
) -> (Vec<Told>, Option<String>) {
    let now = desk.now();
    let table = desk.table();
    let mut all: Vec<(String, &Session)> = match owner {
        Some(owner) => table.of(owner).iter().map(|session| (id(session), session)).collect(),
        None => table.all().map(|session| (id(session), session)).collect(),
    };
    all.retain(|(id, session)| id.as_str() > after && !session.is_over(now.ticks));
    all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let has_more = all.len() > limit;
    all.truncate(limit);
    let next = has_more.then(|| all.last().map(|(id, _)| id.clone())).flatten();
    let told = |(_, session): &(String, &Session)| {
        let mut told = told(desk, session);
        told.seen = Some(seen(session, now));
        (session.owner, told)
    };
    (all.iter().map(told).collect(), next)
}

/// A page of those that are over.
async fn past(
    desk: &Desk,
    registry: &Registry,
    owner: Option<Owner>,
    asked: &Asked,
    most: usize,
) -> Response<Body> {
    let before = match asked.after.as_str() {
        "" => None,
        text => match Cursor::of_text(text) {
            Some(cursor) => Some(cursor),
            None => return problem(StatusCode::BAD_REQUEST, "after: it is no place in this list"),
        },
    };
    let subscriber = match owner {
        Some(Owner::Subscriber(number)) => Some(number.get()),
        _ => None,
    };
    let (from, to) = (UnixTime(asked.since.unwrap_or(0)), asked.until.unwrap_or(u64::MAX));
    let wanted = history::Wanted { subscriber, from, to: UnixTime(to), before, most };
    let told = desk.keep(registry, move |store| {
        let Page { over, next } = store.sessions_over(&wanted)?;
        let mut sessions = Vec::with_capacity(over.len());
        for Over { subscriber, mut told, .. } in over {
            if let Some(number) = subscriber {
                told["subscriber"] = json!(store.named(Kind::Subscriber, number)?);
            }
            sessions.push(told);
        }
        Ok(json!({ "sessions": sessions, "next": next.map(Cursor::text) }))
    });
    match told.await {
        Ok(Ok((page, _))) => answer(StatusCode::OK, &page),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// Where tokens are shared.
#[derive(Serialize, ToSchema)]
struct SharingList {
    /// The newest first.
    sharing: Vec<SharingTold>,
}

/// One token in several networks at once; or, where both addresses are the same, of devices that
/// look alike.
#[derive(Serialize, ToSchema)]
#[schema(as = Sharing)]
struct SharingTold {
    /// Whose it is; null = nobody's.
    subscriber: Option<String>,
    /// The device's session, as the token says.
    device: String,
    /// The address of one.
    #[schema(value_type = Option<String>)]
    from: Option<IpAddr>,
    /// The address of another.
    #[schema(value_type = Option<String>)]
    elsewhere: Option<IpAddr>,
    /// When that was seen first, in seconds since 1970.
    first: u64,
    /// When it was last.
    last: u64,
    /// How often.
    times: u32,
}

/// `GET /api/v1/sessions/sharing`: when and where one token was used in several networks at once,
/// the newest first.
#[utoipa::path(
    get, path = "/api/v1/sessions/sharing", tag = "sessions",
    responses((status = 200, body = SharingList))
)]
pub async fn sharing(State(shared): State<Shared>) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let newest = shared.sessions.signals().newest(LIST_ENTRIES_MAX);
    let told = move |store: &dyn Store| {
        let told = |Signal { sharing, first, last, times, .. }| {
            Ok(SharingTold {
                subscriber: owner_id(store, sharing.owner)?,
                device: revocations::text(sharing.device),
                from: sharing.from,
                elsewhere: sharing.elsewhere,
                first: first.0,
                last: last.0,
                times,
            })
        };
        newest.into_iter().map(told).collect::<Result<Vec<_>, StoreError>>()
    };
    match signer.registry().ask(move |store| told(store)).await {
        Ok(Ok(sharing)) => answer(StatusCode::OK, &SharingList { sharing }),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

impl Desk {
    /// The sessions of a subscriber, as they are told.
    pub(in crate::control) fn told_of(&self, number: NonZeroU32) -> Vec<Value> {
        let (told, _) = present(self, Some(Owner::Subscriber(number)), "", LIST_ENTRIES_MAX);
        told.into_iter().map(|(_, told)| json!(told)).collect()
    }

    /// What is watched in a session, if it is this subscriber's.
    pub(in crate::control) fn content_of(&self, id: SessionId, of: NonZeroU32) -> Option<String> {
        let table = self.table();
        let session = table.named(id).filter(|one| one.owner == Owner::Subscriber(of))?;
        Some(session.content.content().to_string())
    }

    /// Ends a session; whoever asks has written down who wanted it.
    pub(in crate::control) fn end(&self, id: SessionId) {
        let now = self.now();
        let said = self.table().kick(id, now);
        if let Some(said) = said {
            self.tell(said);
        }
    }

    /// Those that are over and not written down, the oldest first, so many at most; and what the
    /// table is to be told when they are.
    pub(super) fn unwritten(&self, most: usize) -> (Vec<Over>, u64) {
        let table = self.table();
        let (past, upto) = table.unwritten(most);
        let over = |Past { session, until, end }: &Past| over(self, session, *until, *end);
        (past.map(over).collect(), upto)
    }

    /// Those that go on, so many at most, as if they were over now.
    pub(super) fn going_on(&self, most: usize) -> Vec<Over> {
        let now = self.now();
        let table = self.table();
        let until = |session: &Session| UnixTime(seen(session, now));
        let over = |session: &Session| over(self, session, until(session), End::Stopped);
        table.all().take(most).map(over).collect()
    }
}

fn over(desk: &Desk, session: &Session, until: UnixTime, end: End) -> Over {
    let mut told = told(desk, session);
    told.until = Some(until.0);
    told.end = Some(match end {
        End::Left => "left",
        End::Limit => "session-limit",
        End::Kicked => "session-kicked",
        End::Abroad => "country",
        End::Stopped => "server-stopped",
    });
    let subscriber = match session.owner {
        Owner::Subscriber(number) => Some(number.get()),
        Owner::Device(_) => None,
    };
    Over { subscriber, until, told: json!(told) }
}

fn id(session: &Session) -> String {
    session.names.first().map(|name| name.text()).unwrap_or_default()
}

fn seen(session: &Session, now: Moment) -> u64 {
    now.unix.0.saturating_sub(now.ticks.since(session.seen) / 1000)
}

fn told(desk: &Desk, session: &Session) -> Watched {
    let place = desk.place(session.peer);
    Watched {
        id: id(session),
        subscriber: None,
        content: session.content.content().to_string(),
        device: revocations::text(session.handset.token),
        from: session.peer,
        country: place.country.as_ref().map(|country| country.text().to_owned()),
        asn: place.asn,
        organisation: place.organisation,
        agent: String::from_utf8_lossy(&session.handset.agent).into_owned(),
        since: session.since.0,
        two: session.is_two,
        player: session.quality.told(),
        seen: None,
        until: None,
        end: None,
    }
}

/// The same with the ids of subscribers.
fn named(store: &dyn Store, told: Vec<Told>) -> Result<Vec<Watched>, StoreError> {
    let named = |(owner, told)| Ok(Watched { subscriber: owner_id(store, owner)?, ..told });
    told.into_iter().map(named).collect()
}

/// Whose it is; none = of a token that is nobody's, or of somebody who is gone.
fn owner_id(store: &dyn Store, owner: Owner) -> Result<Option<String>, StoreError> {
    match owner {
        Owner::Subscriber(number) => store.named(Kind::Subscriber, number.get()),
        _ => Ok(None),
    }
}
