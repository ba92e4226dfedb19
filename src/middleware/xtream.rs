//! The API that apps know from Xtream-Codes' panels: the account, catalogues, guides and lists.
//!
//! A request is read, its sender signs in, and what it asks for is answered: the account and single
//! titles here, everything else with an object that was made before. Whatever is asked, and however
//! wrong, the answer is one that apps can read.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use axum::routing::get;
use serde_json::{Value, json};

use super::base::Bases;
use super::catalogue::personal::Fillings;
use super::catalogue::{Catalogue, Unmade, Wanted, What};
use super::content::{Content, Set, Sorts, UNSORTED};
use super::list::{self, List};
use crate::config::{GUIDE_DAYS, GUIDE_DAYS_MAX, Refuse, SHORT_GUIDE, SHORT_GUIDE_MAX};
use crate::control::ask::{Forwarded, Object, Peer};
use crate::control::registry::Registry;
use crate::control::sessions::Desk;
use crate::control::sign_in::{NotSignedIn, Said, SignIns, SignedIn};
use crate::control::subscription::{self, Subscription};
use crate::messages::Opened;
use crate::units::UnixTime;

mod account;
mod info;
pub(super) mod parameters;
mod programmes;

pub mod write;

use account::Account;
use parameters::Parameters;
pub use programmes::Programmes;

/// What answers.
#[derive(Clone, Debug)]
pub struct Xtream {
    /// Where accounts are.
    pub registry: Registry,
    /// Where catalogues are.
    pub catalogue: Catalogue,
    /// Where it is known what is on.
    pub programmes: Programmes,
    /// By which names clients come.
    pub bases: Arc<Bases>,
    /// What who is wrong is told.
    pub refuse: Refuse,
}

/// Who asks, and what for.
struct Asked {
    parameters: Parameters,
    user: String,
    password: String,
    subscription: Subscription,
    subscriber: SignedIn,
    content: Arc<Content>,
    /// What the account may watch; nothing if it is blocked or has ended.
    set: Set,
    base: Arc<str>,
    now: UnixTime,
}

/// Everything that a handler is given.
type Parts = (
    State<Xtream>,
    Option<Extension<Arc<SignIns>>>,
    Option<Extension<Arc<Desk>>>,
    Extension<Peer>,
    Extension<Forwarded>,
);

/// Pages of the API, in front of these.
pub fn router(xtream: Xtream, others: Router) -> Router {
    Router::new()
        .route("/player_api.php", get(player).post(player))
        .route("/panel_api.php", get(panel).post(panel))
        .route("/get.php", get(list_of_all).post(list_of_all))
        .route("/xmltv.php", get(guide).post(guide))
        .with_state(xtream)
        .fallback_service(others)
}

async fn player(parts: Parts, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let desk = desk(&parts);
    let (xtream, asked) = match asked(parts, &uri, &headers, &body).await {
        Ok(asked) => asked,
        Err((refused, xtream)) => return refused_in_answer(&refused, xtream.refuse),
    };
    match asked.parameters.get("action").unwrap_or_default() {
        "get_live_categories" => xtream.object(&asked, What::Categories(Sorts::Live)).await,
        "get_vod_categories" => xtream.object(&asked, What::Categories(Sorts::Film)).await,
        "get_series_categories" => xtream.object(&asked, What::Categories(Sorts::Series)).await,
        "get_live_streams" => xtream.streams(&asked, Sorts::Live).await,
        "get_vod_streams" => xtream.streams(&asked, Sorts::Film).await,
        "get_series" => xtream.streams(&asked, Sorts::Series).await,
        "get_vod_info" => {
            let number = asked.parameters.number("vod_id");
            told(&info::film(&asked.content, &asked.set, &asked.base, number))
        }
        "get_series_info" => {
            let number = asked.parameters.number("series_id");
            told(&info::of_series(&asked.content, &asked.set, &asked.base, number))
        }
        "get_short_epg" => xtream.programmes(&asked, true).await,
        "get_simple_data_table" | "get_simple_date_table" | "get_epg" => {
            xtream.programmes(&asked, false).await
        }
        _ => told(&account::pair(
            &asked.account(desk.as_deref()),
            (&asked.base, &xtream.bases),
            asked.now,
        )),
    }
}

async fn panel(parts: Parts, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let desk = desk(&parts);
    let (xtream, asked) = match asked(parts, &uri, &headers, &body).await {
        Ok(asked) => asked,
        Err((refused, xtream)) => return refused_in_answer(&refused, xtream.refuse),
    };
    let account = account::pair_open(
        &asked.account(desk.as_deref()),
        (&asked.base, &xtream.bases),
        asked.now,
    );
    let fillings = Fillings { account, ..Fillings::default() };
    let wanted = asked.wanted(What::Panel);
    answered(xtream.catalogue.personal(wanted, fillings).await)
}

async fn list_of_all(parts: Parts, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let (xtream, asked) = match asked(parts, &uri, &headers, &body).await {
        Ok(asked) => asked,
        Err((refused, _)) => return refused_by_status(&refused),
    };
    if !asked.subscription.holds(asked.now.0) {
        return refused_by_status(&Refused::Over);
    }
    let said = |name| asked.parameters.get(name);
    let list = List::of(said("type"), said("output"), said("catchup"));
    let fillings = Fillings {
        in_path: list::in_path(&asked.user, &asked.password),
        in_query: list::in_query(&asked.user, &asked.password),
        account: String::new(),
    };
    let wanted = asked.wanted(What::List(list));
    answered(xtream.catalogue.personal(wanted, fillings).await)
}

async fn guide(parts: Parts, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let (xtream, asked) = match asked(parts, &uri, &headers, &body).await {
        Ok(asked) => asked,
        Err((refused, _)) => return refused_by_status(&refused),
    };
    if !asked.subscription.holds(asked.now.0) {
        return refused_by_status(&Refused::Over);
    }
    let days = asked.parameters.number("days").and_then(|days| u8::try_from(days).ok());
    let days = days.unwrap_or(GUIDE_DAYS).clamp(1, GUIDE_DAYS_MAX);
    xtream.object(&asked, What::Guide(days)).await
}

fn desk(parts: &Parts) -> Option<Arc<Desk>> {
    parts.2.as_ref().map(|Extension(desk)| Arc::clone(desk))
}

/// Why nothing is answered.
enum Refused {
    /// It is not known who asks.
    NotSignedIn(NotSignedIn),
    /// It is known, and has nothing any more.
    Over,
    /// The registry does not say, for now.
    Busy,
}

/// Who asks, and what for, if that is known.
async fn asked(
    (State(xtream), sign_ins, _, Extension(peer), Extension(forwarded)): Parts,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Xtream, Asked), (Refused, Xtream)> {
    let parameters = Parameters::of(uri.query(), headers, body);
    let said = |name| parameters.get(name).map(str::to_owned);
    let user = said("username").unwrap_or_default();
    let password = said("password").or_else(|| said("token")).unwrap_or_default();
    let Some(Extension(sign_ins)) = sign_ins else { return Err((Refused::Busy, xtream)) };
    let agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let head = format!("GET {uri} HTTP/1.1\r\n\r\n");
    let (user_said, head) = (&*user, head.as_bytes());
    let said = Said { user: user_said, password: &password, from: peer.0, agent, head };
    let subscriber = match sign_ins.signed_in(&said).await {
        Ok(signed_in) => signed_in,
        Err(why) => return Err((Refused::NotSignedIn(why), xtream)),
    };
    let subscription = match subscription::of(&xtream.registry, &user, subscriber.which).await {
        Ok(Some(subscription)) => subscription,
        Ok(None) => return Err((Refused::NotSignedIn(NotSignedIn::Wrong), xtream)),
        Err(error) => {
            tracing::error!(%error, "an account can't be read");
            return Err((Refused::Busy, xtream));
        }
    };
    let plan = subscription.plan.as_deref();
    let Some(content) = xtream.catalogue.content(plan).await else {
        return Err((Refused::Busy, xtream));
    };
    let now = now();
    let plan = plan.filter(|_| subscription.holds(now.0));
    let set = plan.map(|plan| content.set_of(plan)).unwrap_or_default();
    let base = xtream.bases.of(headers, forwarded.0);
    let asked =
        Asked { parameters, user, password, subscription, subscriber, content, set, base, now };
    Ok((xtream, asked))
}

fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

impl Asked {
    fn wanted(&self, what: What) -> Wanted {
        Wanted { set: self.set.clone(), base: Arc::clone(&self.base), what }
    }

    fn account(&self, desk: Option<&Desk>) -> Account<'_> {
        Account {
            user: &self.user,
            password: &self.password,
            subscription: &self.subscription,
            active: desk.map_or(0, |desk| desk.count_of(self.subscriber.subscriber)),
        }
    }
}

impl Xtream {
    async fn object(&self, asked: &Asked, what: What) -> Response<Body> {
        answered(self.catalogue.object(asked.wanted(what)).await)
    }

    /// All, or those of one category. Of a category that is none there is nothing.
    async fn streams(&self, asked: &Asked, sorts: Sorts) -> Response<Body> {
        let category = match asked.parameters.get("category_id") {
            // Some apps write so for all of them.
            None | Some("*" | "all") => None,
            Some(_) => {
                let is_known = |number: &u32| {
                    *number == UNSORTED
                        || asked.content.category(*number).is_some_and(|of| of.sorts == sorts)
                };
                match asked.parameters.number("category_id").filter(is_known) {
                    Some(number) => Some(number),
                    None => return told(&json!([])),
                }
            }
        };
        self.object(asked, What::Streams(sorts, category)).await
    }

    async fn programmes(&self, asked: &Asked, is_short: bool) -> Response<Body> {
        let (content, set) = (&asked.content, &asked.set);
        let number = asked.parameters.number("stream_id");
        let channel = number.and_then(|number| content.channel(number));
        let Some(channel) = channel.filter(|channel| content.holds_channel(set, &channel.id))
        else {
            return told(&json!({ "epg_listings": [] }));
        };
        let of = (&*channel.id, channel.number);
        let wanted = if is_short {
            let limit =
                asked.parameters.number("limit").map_or(SHORT_GUIDE, |limit| limit as usize);
            programmes::Wanted::Next(limit.clamp(1, SHORT_GUIDE_MAX))
        } else {
            let archive_days = channel.archive_days.min(set.catch_up_days);
            programmes::Wanted::All { archive_days }
        };
        told(&json!(self.programmes.of(of, wanted, asked.now).await))
    }
}

/// A small answer.
fn told(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // It is an account's own, or soon another one.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// An object that the shard sends.
fn answered(object: Result<Arc<Opened>, Unmade>) -> Response<Body> {
    match object {
        Ok(object) => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Object(object));
            response
        }
        Err(Unmade) => busy(),
    }
}

fn busy() -> Response<Body> {
    let mut response = told(&json!({ "error": "busy, try again" }));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// What apps are told that ask for JSON.
fn refused_in_answer(refused: &Refused, refuse: Refuse) -> Response<Body> {
    let mut response = match refused {
        Refused::Busy | Refused::NotSignedIn(NotSignedIn::HookFailed) => return busy(),
        Refused::NotSignedIn(NotSignedIn::LockedOut(_)) => return refused_by_status(refused),
        Refused::NotSignedIn(NotSignedIn::Wrong | NotSignedIn::Hook(_)) | Refused::Over => {
            told(&json!({ "user_info": { "auth": 0 } }))
        }
    };
    *response.status_mut() = match refuse {
        Refuse::InAnswer => StatusCode::OK,
        Refuse::Unauthorized => StatusCode::UNAUTHORIZED,
        Refuse::Forbidden => StatusCode::FORBIDDEN,
    };
    response
}

/// What is told who asks for a list or a guide.
fn refused_by_status(refused: &Refused) -> Response<Body> {
    let (status, why) = match refused {
        Refused::NotSignedIn(NotSignedIn::Wrong) => {
            (StatusCode::UNAUTHORIZED, "user or password is wrong")
        }
        Refused::NotSignedIn(NotSignedIn::LockedOut(_)) => {
            (StatusCode::TOO_MANY_REQUESTS, "too many wrong passwords, try again later")
        }
        Refused::NotSignedIn(NotSignedIn::Hook(_)) | Refused::Over => {
            (StatusCode::FORBIDDEN, "this account may not watch now")
        }
        Refused::NotSignedIn(NotSignedIn::HookFailed) | Refused::Busy => return busy(),
    };
    let mut response = told(&json!({ "user_info": { "auth": 0 }, "error": why }));
    *response.status_mut() = status;
    if let Refused::NotSignedIn(NotSignedIn::LockedOut(locked)) = refused {
        let seconds = HeaderValue::from(locked.until.0.saturating_sub(now().0).max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
