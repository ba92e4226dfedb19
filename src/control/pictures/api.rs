//! Stored pictures in the API: `GET /api/v1/pictures`, `POST`, and `DELETE /api/v1/pictures/{id}`.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::decode::{Form, Seen};
use super::{Added, Job, Unadded};
use crate::config::{LIST_ENTRIES, PICTURES_LISTED_MAX, values};
use crate::control::admin::Shared;
use crate::control::audit::{Act, Deed, Note};
use crate::control::json::{answer, nothing};
use crate::control::problem::problem;
use crate::control::registry::{Busy, Kind, Store, StoreError};
use crate::control::tokens::{busy, failed, nowhere};

/// A stored picture.
#[derive(Debug, Serialize, ToSchema)]
pub struct Picture {
    /// Its id, made of its content.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// What documents name it by.
    #[schema(pattern = "^img:[0-9a-f]{32}$")]
    picture: String,
    /// What its file is.
    #[schema(examples("image/jpeg"))]
    media_type: String,
    /// Its width in pixels.
    width: u32,
    /// Its height.
    height: u32,
    /// Its size, in bytes.
    size: u64,
    /// Where a small one is to be had on the public port; other widths than 384 are 64, 128, 192,
    /// 256, 512, 768, 1280 and 1920.
    #[schema(pattern = "^/img/[0-9a-f]{32}-384\\.jpg$")]
    path: String,
}

impl Picture {
    fn of(id: String, seen: Seen, size: u64) -> Self {
        let Seen { form, width, height } = seen;
        let (picture, path) = (format!("img:{id}"), super::path(&id, 384));
        let media_type = form.media_type().to_owned();
        Self { id, picture, media_type, width, height, size, path }
    }
}

/// A page of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct PictureList {
    /// In the order of their ids.
    pictures: Vec<Picture>,
    /// Where the next page begins: what `after` is to be; null = there is none.
    next: Option<String>,
}

/// The bytes of a picture.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "for its schema; the handler takes bytes")]
pub struct PictureFile(Vec<u8>);

/// Which part of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// The id behind which it begins.
    #[serde(default)]
    after: String,
    /// How many at most.
    limit: Option<usize>,
}

/// Where there are none.
fn unusable() -> Response<Body> {
    let why = "the state folder can't be used, so there are no pictures";
    problem(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// `GET /api/v1/pictures?after=&limit=`: a page of them in the order of their ids.
#[utoipa::path(
    get, path = "/api/v1/pictures", tag = "pictures", params(Page),
    responses((status = 200, body = PictureList))
)]
pub async fn all(State(shared): State<Shared>, Query(page): Query<Page>) -> Response<Body> {
    let Some(pictures) = shared.pictures.as_deref() else { return unusable() };
    let limit = page.limit.unwrap_or(LIST_ENTRIES).clamp(1, PICTURES_LISTED_MAX);
    let mut listed = pictures.listed(&page.after, limit + 1);
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    let next = has_more.then(|| listed.last().map(|(id, _)| id.clone())).flatten();
    let told = listed.into_iter().map(|(id, of)| Picture::of(id, of.seen, of.size)).collect();
    answer(StatusCode::OK, &PictureList { pictures: told, next })
}

/// `POST /api/v1/pictures`: a picture is stored, by what it is: 201, or 200 if it is there. JPEG,
/// PNG, WebP or GIF, up to 8 MiB and 16 megapixels.
#[utoipa::path(
    post, path = "/api/v1/pictures", tag = "pictures",
    request_body(content = PictureFile, content_type = "image/jpeg"),
    responses(
        (status = 200, body = Picture, description = "It was there."),
        (status = 201, body = Picture),
        (status = 413, description = "It has more bytes than are taken."),
        (status = 415, description = "It is said to be no picture that is taken."),
        (status = 507, description = "There is no room for one more."),
    )
)]
pub async fn add(
    State(shared): State<Shared>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(pictures) = shared.pictures.as_deref() else { return unusable() };
    let Some(signer) = &shared.signer else { return nowhere() };
    let media_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = media_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if !is_taken(essence) {
        let why = "the body is to be a picture (Content-Type: image/jpeg, image/png, image/webp or \
                   image/gif)";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    // It is decoded on a thread of its own.
    let (told, tells) = oneshot::channel();
    if pictures.jobs.try_send(Job::Add(body, told)).is_err() {
        return busy();
    }
    let added = match tells.await {
        Ok(Ok(added)) => added,
        Ok(Err(why)) => return unadded(&why),
        Err(_) => return busy(),
    };
    let Added { id, seen, size, is_new } = added;
    if is_new {
        let details = json!({ "width": seen.width, "height": seen.height, "size": size });
        let (deed, kind, made) = (Deed::Create, "picture", Value::Null);
        let note = Note { deed, kind, id: id.clone(), details, made };
        match signer.registry().ask(move |store| store.note(&act, &note)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return failed(&error),
            Err(Busy) => return busy(),
        }
    }
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    answer(status, &Picture::of(id, seen, size))
}

fn is_taken(media_type: &[u8]) -> bool {
    [Form::Jpeg, Form::Png, Form::Webp, Form::Gif]
        .iter()
        .any(|form| form.media_type().as_bytes().eq_ignore_ascii_case(media_type))
}

fn unadded(why: &Unadded) -> Response<Body> {
    let status = match why {
        Unadded::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Unadded::Unfit(_) => StatusCode::BAD_REQUEST,
        Unadded::Full => StatusCode::INSUFFICIENT_STORAGE,
        Unadded::Disk(error) => {
            tracing::error!(%error, "a picture can't be stored");
            StatusCode::INSUFFICIENT_STORAGE
        }
    };
    problem(status, &why.to_string())
}

/// `DELETE /api/v1/pictures/{id}`: a picture is removed, with all that was made of it: 204; 409 as
/// long as a document names it.
#[utoipa::path(
    delete, path = "/api/v1/pictures/{id}", tag = "pictures",
    params(("id" = String, Path, description = "Its id.", pattern = "^[0-9a-f]{32}$")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is none."),
        (status = 409, description = "A document names it."),
    )
)]
pub async fn remove(
    State(shared): State<Shared>,
    act: Act,
    Path(id): Path<String>,
) -> Response<Body> {
    let Some(pictures) = shared.pictures.as_deref() else { return unusable() };
    let Some(signer) = &shared.signer else { return nowhere() };
    let absent = || problem(StatusCode::NOT_FOUND, "there is no such picture");
    if !values::is_picture_id(&id) || !pictures.has(&id) {
        return absent();
    }
    // Nothing is removed without an entry that says so: it is written first.
    let of = id.clone();
    let noted = signer.registry().ask(move |store| {
        if let Some((kind, by)) = named_by(store, &of)? {
            return Ok(Some(format!("the {} {by:?} names it; change that first", kind.word())));
        }
        let (deed, kind, details, made) = (Deed::Remove, "picture", Value::Null, Value::Null);
        store.note(&act, &Note { deed, kind, id: of, details, made }).map(|()| None)
    });
    match noted.await {
        Ok(Ok(None)) => {}
        Ok(Ok(Some(why))) => return problem(StatusCode::CONFLICT, &why),
        Ok(Err(error)) => return failed(&error),
        Err(Busy) => return busy(),
    }
    match pictures.remove(&id) {
        Ok(true) => nothing(),
        Ok(false) => absent(),
        Err(error) => {
            tracing::error!(%error, picture = id, "a picture can't be removed");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "its file can't be removed")
        }
    }
}

/// What names a picture, if anything does.
fn named_by(store: &dyn Store, id: &str) -> Result<Option<(Kind, String)>, StoreError> {
    let name = format!("\"img:{id}\"");
    for kind in [Kind::Channel, Kind::Asset, Kind::Series, Kind::Episode] {
        let mut by = None;
        store.each(kind, &mut |text| {
            if by.is_none() && text.document.contains(&name) {
                by = Some(text.id.to_owned());
            }
        })?;
        if let Some(by) = by {
            return Ok(Some((kind, by)));
        }
    }
    Ok(None)
}
