//! Objects of the registry in the API: lists, single ones, writing and removing them.
//!
//! `/api/v1/{kind}` (`plans`, `subscribers`, …) and `/api/v1/{kind}/{id}`. An object is its
//! document with `id`, `revision` and, where it has one, `number` in it; what was read may be sent
//! back.
//! `ETag` is the revision, and `If-Match` (RFC 9110, 13.1.1), or the `revision` in what is sent,
//! keeps one operator from undoing what another one did meanwhile.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::admin::Shared;
use super::app_passwords;
use super::audit::Act;
use super::channels;
use super::documents::{self, Checked};
use super::guard::bans::Unbannable;
use super::idempotency::{self, Remembered};
use super::json::{answer, nothing, wanted};
use super::portal_password;
use super::problem::problem;
use super::registry::{
    Busy, Expected, Kind, Object, Reference, Registry, Revision, StoreError, Uncommitted, Write,
};
use super::revocations;
use super::sealed;
use super::tokens::{busy, failed, nowhere};
use crate::config::{BANS_MAX, LIST_ENTRIES, LIST_ENTRIES_MAX};

mod condition;

use condition::condition;

/// Kinds that operators write by themselves, as addresses call them.
pub(super) const PLURALS: [(&str, Kind); 12] = [
    ("categories", Kind::Category),
    ("channels", Kind::Channel),
    ("assets", Kind::Asset),
    ("series", Kind::Series),
    ("episodes", Kind::Episode),
    ("bouquets", Kind::Bouquet),
    ("plans", Kind::Plan),
    ("subscribers", Kind::Subscriber),
    ("bans", Kind::Ban),
    ("revocations", Kind::Revocation),
    ("guide-sources", Kind::GuideSource),
    ("guide-channels", Kind::GuideChannel),
];

fn kind(plural: &str) -> Option<Kind> {
    PLURALS.into_iter().find(|(name, _)| *name == plural).map(|(_, kind)| kind)
}

/// A refusal, as it is answered.
pub(super) type Problem = Box<Response<Body>>;

pub(super) fn refused(status: StatusCode, why: &str) -> Problem {
    Box::new(problem(status, why))
}

/// `If-Match`, as the API's document tells of it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by hand, since it is a list or a star")]
pub struct IfMatch {
    /// The `ETag` of what was read: it is written only over that. `*` asks that there is something.
    #[param(rename = "If-Match", example = "\"7\"", pattern = r#"^(\*|"[0-9]+"(, "[0-9]+")*)$"#)]
    tag: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// The id behind which it begins.
    #[serde(default)]
    after: String,
    /// How many at most.
    limit: Option<usize>,
    /// Only those in this category.
    category: Option<String>,
    /// Only those of this series.
    series: Option<String>,
}

impl Page {
    /// What all of its objects speak of, if it is not all of a kind.
    fn named(&mut self) -> Option<Reference> {
        let category = self.category.take().map(|id| Reference { kind: Kind::Category, id });
        category.or_else(|| self.series.take().map(|id| Reference { kind: Kind::Series, id }))
    }
}

/// `GET /api/v1/{kind}?after=&limit=&category=&series=`: a page of them in the order of their ids;
/// `next` is where the following one begins, if there are more.
#[utoipa::path(
    get, path = "/api/v1/{kind}", tag = "{kind}",
    params(Page),
    responses((status = 200, body = ref("#/components/schemas/{Kind}List")))
)]
pub async fn all(
    State(shared): State<Shared>,
    Path(plural): Path<String>,
    Query(page): Query<Page>,
) -> Response<Body> {
    let Some(kind) = kind(&plural) else { return unknown() };
    match listed(&shared, kind, page).await {
        Ok((objects, next)) => {
            let told: Vec<_> = objects.into_iter().map(told).collect();
            answer(StatusCode::OK, &json!({ plural: told, "next": next }))
        }
        Err(problem) => *problem,
    }
}

/// A page of objects, and the id behind which the next one begins.
pub(super) async fn listed(
    shared: &Shared,
    kind: Kind,
    mut page: Page,
) -> Result<(Vec<Object>, Option<String>), Problem> {
    let Some(registry) = registry(shared) else { return Err(Box::new(nowhere())) };
    let limit = page.limit.unwrap_or(LIST_ENTRIES).clamp(1, LIST_ENTRIES_MAX);
    let named = page.named();
    // One more than is told says whether there are more.
    let listed = registry.ask(move |store| match named {
        Some(named) => store.objects_that_name(kind, &named, &page.after, limit + 1),
        None => store.objects(kind, &page.after, limit + 1),
    });
    let mut objects = match listed.await {
        Ok(Ok(objects)) => objects,
        Ok(Err(error)) => return Err(Box::new(failed(&error))),
        Err(Busy) => return Err(Box::new(busy())),
    };
    let has_more = objects.len() > limit;
    objects.truncate(limit);
    let next = has_more.then(|| objects.last().map(|object| object.id.clone())).flatten();
    Ok((objects, next))
}

/// `GET /api/v1/{kind}/{id}`: one of them; `ETag` is its revision.
#[utoipa::path(
    get, path = "/api/v1/{kind}/{id}", tag = "{kind}",
    params(("id" = String, Path, description = "Its name among those of its kind.")),
    responses(
        (
            status = 200,
            body = ref("#/components/schemas/{Kind}"),
            headers(("ETag" = String, description = "Its revision.")),
        ),
        (status = 404, description = "There is none."),
    )
)]
pub async fn one(
    State(shared): State<Shared>,
    Path((plural, id)): Path<(String, String)>,
) -> Response<Body> {
    let Some(kind) = kind(&plural) else { return unknown() };
    match found(&shared, kind, id).await {
        Ok(object) => whole(StatusCode::OK, object),
        Err(problem) => *problem,
    }
}

/// An object, or 404.
pub(super) async fn found(shared: &Shared, kind: Kind, id: String) -> Result<Object, Problem> {
    let Some(registry) = registry(shared) else { return Err(Box::new(nowhere())) };
    match registry.ask(move |store| store.object(kind, &id)).await {
        Ok(Ok(Some(object))) => Ok(object),
        Ok(Ok(None)) => Err(Box::new(absent(kind))),
        Ok(Err(error)) => Err(Box::new(failed(&error))),
        Err(Busy) => Err(Box::new(busy())),
    }
}

/// `POST /api/v1/{kind}`: a new one; its `id` is in what is sent. 201, or 409 if it is there.
#[utoipa::path(
    post, path = "/api/v1/{kind}", tag = "{kind}",
    params(idempotency::Header),
    request_body = ref("#/components/schemas/New{Kind}"),
    responses(
        (
            status = 201,
            body = ref("#/components/schemas/{Kind}"),
            headers(("ETag" = String, description = "Its revision.")),
        ),
        (status = 409, description = "It is there, or speaks of what is not there."),
        (status = 422, description = "Another request had this key."),
    )
)]
pub async fn create(
    State(shared): State<Shared>,
    Path(plural): Path<String>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(kind) = kind(&plural) else { return unknown() };
    let made = async {
        let begun = idempotency::begun(&shared.running, act, &headers, &plural, &body);
        let (act, _turn) = begun.map_err(Box::new)?;
        let mut sent = Sent::read(&headers, &body)?;
        let id =
            sent.id.take().ok_or_else(|| refused(StatusCode::BAD_REQUEST, "id: it is missing"))?;
        write(&shared, act, kind, id, sent, |_| Ok(Expected::Absent), Merge::Whole).await
    };
    made.await.map_or_else(|problem| *problem, |object| whole(StatusCode::CREATED, object))
}

/// `PUT /api/v1/{kind}/{id}`: this is what it says from now on, whether or not it was there.
#[utoipa::path(
    put, path = "/api/v1/{kind}/{id}", tag = "{kind}",
    params(("id" = String, Path, description = "Its name among those of its kind."), IfMatch),
    request_body = ref("#/components/schemas/Whole{Kind}"),
    responses(
        (
            status = 200,
            body = ref("#/components/schemas/{Kind}"),
            headers(("ETag" = String, description = "Its revision.")),
        ),
        (status = 409, description = "It speaks of what is not there."),
        (status = 412, description = "It is not what it was when it was read."),
    )
)]
pub async fn put(
    State(shared): State<Shared>,
    Path((plural, id)): Path<(String, String)>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    change(shared, act, &plural, id, &headers, &body, Merge::Whole).await
}

/// `PATCH /api/v1/{kind}/{id}`: these fields are changed, and `null` takes one back to what it is
/// when it is left out (RFC 7396).
#[utoipa::path(
    patch, path = "/api/v1/{kind}/{id}", tag = "{kind}",
    params(("id" = String, Path, description = "Its name among those of its kind."), IfMatch),
    request_body = ref("#/components/schemas/{Kind}Changes"),
    responses(
        (
            status = 200,
            body = ref("#/components/schemas/{Kind}"),
            headers(("ETag" = String, description = "Its revision.")),
        ),
        (status = 404, description = "There is none."),
        (status = 409, description = "It speaks of what is not there."),
        (status = 412, description = "It is not what it was when it was read."),
    )
)]
pub async fn patch(
    State(shared): State<Shared>,
    Path((plural, id)): Path<(String, String)>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    change(shared, act, &plural, id, &headers, &body, Merge::Fields).await
}

async fn change(
    shared: Shared,
    act: Act,
    plural: &str,
    id: String,
    headers: &HeaderMap,
    body: &[u8],
    merge: Merge,
) -> Response<Body> {
    let Some(kind) = kind(plural) else { return unknown() };
    let changed = async {
        let sent = Sent::read(headers, body)?;
        if sent.id.as_ref().is_some_and(|other| *other != id) {
            let why = "id: it is not the one in the address, and can't be changed";
            return Err(refused(StatusCode::BAD_REQUEST, why));
        }
        let condition = condition(headers)?;
        let in_it = sent.revision;
        let expected = move |found: Option<&Object>| match (condition, in_it) {
            (Some(condition), _) => condition.expected(found),
            (None, Some(revision)) => Ok(Expected::At(Revision(revision))),
            (None, None) => Ok(Expected::Anything),
        };
        write(&shared, act, kind, id, sent, expected, merge).await
    };
    changed.await.map_or_else(|problem| *problem, |object| whole(StatusCode::OK, object))
}

/// `DELETE /api/v1/{kind}/{id}`: one is removed: 204; 409 as long as something else speaks of it.
#[utoipa::path(
    delete, path = "/api/v1/{kind}/{id}", tag = "{kind}",
    params(("id" = String, Path, description = "Its name among those of its kind."), IfMatch),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is none."),
        (status = 409, description = "Something else speaks of it."),
        (status = 412, description = "It is not what it was when it was read."),
    )
)]
pub async fn remove(
    State(shared): State<Shared>,
    Path((plural, id)): Path<(String, String)>,
    act: Act,
    headers: HeaderMap,
) -> Response<Body> {
    let Some(kind) = kind(&plural) else { return unknown() };
    let Some(registry) = registry(&shared) else { return nowhere() };
    let condition = match condition(&headers) {
        Ok(condition) => condition,
        Err(problem) => return *problem,
    };
    if let (Kind::Channel, Err(problem)) = (kind, channels::may_write(&shared, &id)) {
        return *problem;
    }
    let removed = registry.ask(move |store| {
        let found = store.object(kind, &id)?.ok_or(Unwritten::Absent)?;
        let expected = match condition {
            Some(condition) => condition.expected(Some(&found))?,
            None => Expected::At(found.revision),
        };
        let passwords = match kind {
            Kind::Subscriber => [
                app_passwords::removal(store.object(Kind::AppPasswords, &id)?),
                portal_password::removal(store.object(Kind::PortalPassword, &id)?),
            ],
            _ => [None, None],
        };
        let (document, number, references) = (None, None, Vec::new());
        let write = Write { kind, id, expected, document, number, references };
        store.commit(&act, &passwords.into_iter().flatten().chain([write]).collect::<Vec<_>>())?;
        Ok::<_, Unwritten>(())
    });
    match removed.await {
        Ok(Ok(())) => nothing(),
        Ok(Err(why)) => *unwritten(kind, why),
        Err(Busy) => busy(),
    }
}

/// How what is sent becomes the document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merge {
    /// It is all of it.
    Whole,
    /// It changes fields of what is there.
    Fields,
}

/// What was sent: the document, and what of an object is not in its document.
struct Sent {
    id: Option<String>,
    number: Option<u32>,
    revision: Option<u64>,
    document: Map<String, Value>,
}

impl Sent {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        let mut document: Map<String, Value> = wanted(headers, body).map_err(Box::new)?;
        let wrong = |field: &str, what: &str| {
            refused(StatusCode::BAD_REQUEST, &format!("{field}: it is to be {what}"))
        };
        let id = match document.remove("id") {
            Some(Value::String(id)) => Some(id),
            Some(_) => return Err(wrong("id", "a string")),
            None => None,
        };
        let number = |document: &mut Map<String, Value>, field: &str| match document.remove(field) {
            Some(Value::Null) | None => Ok(None),
            Some(value) => {
                value.as_u64().map(Some).ok_or_else(|| wrong(field, "a number, 0 or above"))
            }
        };
        let revision = number(&mut document, "revision")?;
        let wished = number(&mut document, "number")?.map(u32::try_from).transpose();
        let wished = wished.map_err(|_| wrong("number", "below 2^31"))?;
        Ok(Self { id, number: wished, revision, document })
    }
}

/// Writes an object, and gives it as it stands then.
async fn write(
    shared: &Shared,
    act: Act,
    kind: Kind,
    id: String,
    sent: Sent,
    expected: impl FnOnce(Option<&Object>) -> Result<Expected, Unwritten> + Send + 'static,
    merge: Merge,
) -> Result<Object, Problem> {
    let Some(registry) = registry(shared) else { return Err(Box::new(nowhere())) };
    documents::id(kind, &id)
        .map_err(|why| refused(StatusCode::BAD_REQUEST, &format!("id: {why}")))?;
    if let Some(network) = documents::network(&id).filter(|_| kind == Kind::Ban) {
        may_ban(shared, network)?;
    }
    if kind == Kind::Channel {
        channels::may_write(shared, &id)?;
    }
    if let Some(session) = revocations::session(&id).filter(|_| kind == Kind::Revocation)
        && shared.sessions.rights().revoked().is_full_for(session)
    {
        return Err(refused(StatusCode::CONFLICT, &revocations::full()));
    }
    let keys = shared.app_passwords.clone();
    let written = registry.ask(move |store| {
        match store.remembered(&act)? {
            Remembered::Nothing => {}
            Remembered::Made(object) => {
                return Object::of_whole(object).ok_or(Unwritten::Repeated(Remembered::Other));
            }
            refused => return Err(Unwritten::Repeated(refused)),
        }
        let found = store.object(kind, &id)?;
        let expected = expected(found.as_ref())?;
        let sent_document = match (kind, keys) {
            (Kind::Channel, Some(keys)) => {
                channels::settled(keys.secrets(), &id, sent.document, found.as_ref())
                    .map_err(Unwritten::Wrong)?
            }
            _ => sent.document,
        };
        let document = match (merge, &found) {
            (Merge::Whole, _) => sent_document,
            (Merge::Fields, Some(found)) => merged(found.document.clone(), sent_document),
            (Merge::Fields, None) => return Err(Unwritten::Absent),
        };
        // What it was merged into is what it is written over.
        let expected = match (merge, &found, expected) {
            (Merge::Fields, Some(found), Expected::Anything) => Expected::At(found.revision),
            (_, _, expected) => expected,
        };
        let Checked { document, references } =
            documents::checked(kind, Value::Object(document)).map_err(Unwritten::Wrong)?;
        let (document, number) = (Some(document), sent.number);
        let write = Write { kind, id: id.clone(), expected, document, number, references };
        store.commit(&act, &[write]).map_err(Unwritten::Uncommitted)?;
        store.object(kind, &id)?.ok_or(Unwritten::Absent)
    });
    match written.await {
        Ok(Ok(object)) => Ok(object),
        Ok(Err(why)) => Err(unwritten(kind, why)),
        Err(Busy) => Err(Box::new(busy())),
    }
}

/// Whether this network may be banned.
fn may_ban(shared: &Shared, network: IpNet) -> Result<(), Problem> {
    let why = match shared.guard.may_ban(network) {
        Ok(()) => return Ok(()),
        Err(Unbannable::Allowed) => format!("{network} is in guard.allow, and never banned"),
        Err(Unbannable::Full) => format!("there are {BANS_MAX} bans; lift some first"),
    };
    Err(refused(StatusCode::CONFLICT, &why))
}

/// Why an object was not written.
enum Unwritten {
    /// Its document is wrong.
    Wrong(String),
    /// There is nothing to change.
    Absent,
    /// It is not what it was when it was read.
    Stale,
    /// Its key was used before, and not for this; or there is no room for it.
    Repeated(Remembered),
    /// The registry would not.
    Uncommitted(Uncommitted),
}

impl From<Uncommitted> for Unwritten {
    fn from(why: Uncommitted) -> Self {
        Self::Uncommitted(why)
    }
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        Self::Uncommitted(Uncommitted::Store(error))
    }
}

/// A document with fields changed; `null` takes one away (RFC 7396).
fn merged(document: Value, fields: Map<String, Value>) -> Map<String, Value> {
    let Value::Object(mut document) = document else { return fields };
    for (name, value) in fields {
        match value {
            Value::Null => drop(document.remove(&name)),
            value => drop(document.insert(name, value)),
        }
    }
    document
}

fn registry(shared: &Shared) -> Option<&Registry> {
    shared.signer.as_ref().map(|signer| signer.registry())
}

/// An object as it is told.
pub(super) fn told(mut object: Object) -> Value {
    object.document = sealed::told(object.kind, object.document);
    told_whole(object)
}

/// The same with all that its document holds.
pub(super) fn told_whole(object: Object) -> Value {
    let Value::Object(mut document) = object.document else { return object.document };
    document.insert("id".to_owned(), object.id.into());
    document.insert("revision".to_owned(), object.revision.0.into());
    if let Some(number) = object.number {
        document.insert("number".to_owned(), number.into());
    }
    Value::Object(document)
}

/// The entity tag of an object: its revision.
pub(super) fn tag(object: &Object) -> HeaderValue {
    let tag = format!("\"{}\"", object.revision.0);
    HeaderValue::from_str(&tag).expect("digits in quotes")
}

fn whole(status: StatusCode, object: Object) -> Response<Body> {
    let tag = tag(&object);
    let mut response = answer(status, &told(object));
    response.headers_mut().insert(header::ETAG, tag);
    response
}

fn absent(kind: Kind) -> Response<Body> {
    problem(StatusCode::NOT_FOUND, &format!("no {} has this id", kind.word()))
}

fn unknown() -> Response<Body> {
    problem(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// The answer to what was not written.
fn unwritten(kind: Kind, why: Unwritten) -> Problem {
    let why = match why {
        Unwritten::Wrong(why) => return refused(StatusCode::BAD_REQUEST, &why),
        Unwritten::Absent => return Box::new(absent(kind)),
        Unwritten::Repeated(remembered) => return Box::new(idempotency::refused(&remembered)),
        Unwritten::Stale => {
            let why = "it is not what it was when you read it; read it again";
            return refused(StatusCode::PRECONDITION_FAILED, why);
        }
        Unwritten::Uncommitted(why) => why,
    };
    match unwritten_text(why) {
        Ok(why) => refused(StatusCode::CONFLICT, &why),
        Err(error) => Box::new(failed(&error)),
    }
}

/// Why the registry did not make a write, for people.
///
/// # Errors
///
/// The store failed.
pub(super) fn unwritten_text(why: Uncommitted) -> Result<String, StoreError> {
    Ok(match why {
        Uncommitted::Store(error) => return Err(error),
        Uncommitted::Conflict { found: Some(revision), .. } => {
            format!("it is there, with revision {}", revision.0)
        }
        Uncommitted::Conflict { found: None, .. } => "it is not there any more".to_owned(),
        Uncommitted::Dangling { to, .. } => {
            format!("it speaks of the {} {:?}, which is not there", to.kind.word(), to.id)
        }
        Uncommitted::Referenced { by, .. } => {
            format!("the {} {:?} speaks of it; change that first", by.kind.word(), by.id)
        }
        Uncommitted::NumberTaken { .. } => {
            "number: it is, or was, another one's, or is not from 1 to 2147483647".to_owned()
        }
    })
}
