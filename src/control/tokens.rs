//! Tokens and their keys in the API: `POST /api/v1/tokens`, `GET /api/v1/keys`,
//! `POST /api/v1/keys/rotate`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::admin::Shared;
use super::audit::{Act, Deed, Note, heads};
use super::documents;
use super::idempotency::{self, Remembered};
use super::json::{answer, wanted};
use super::keys::{self, Unchanged};
use super::post::Post;
use super::problem::problem;
use super::registry::{Busy, Kind, Object, Registry, Revision, Store, StoreError};
use crate::config::{
    REFUSALS_TOLD_MAX, REPORT_DEADLINE_MS, SHARDS_MAX, TOKEN_PATTERNS_MAX, TOKEN_SECONDS_MAX,
};
use crate::messages::{Refused, Update};
use crate::units::UnixTime;
use crate::viewer::token::{EXCHANGED, Unsigned, Unwritable, sealed};
use crate::viewer::{Claims, Keys};

/// Signs tokens, and tells every shard with what.
pub struct Signer {
    registry: Registry,
    keys: Mutex<Arc<Keys>>,
    post: Arc<Post>,
}

impl Signer {
    /// With the keys of this registry, which shards are told from now on.
    ///
    /// # Errors
    ///
    /// The registry failed.
    pub fn start(registry: Registry, post: Arc<Post>) -> Result<Self, StoreError> {
        let keys = registry
            .ask_now(|store| keys::live(store, now()))
            .map_err(|Busy| StoreError("its thread does not answer".to_owned()))??;
        let signer = Self { registry, keys: Mutex::default(), post };
        signer.take(keys);
        Ok(signer)
    }

    /// What the keys are kept in.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Makes the registry what a staged copy says, and tells shards of its new epoch; gives that,
    /// and the revision.
    ///
    /// # Errors
    ///
    /// See `Registry::ask`, and `Store::restore`.
    pub(super) async fn restore(
        self: Arc<Self>,
        act: Act,
        staged: PathBuf,
    ) -> Result<Result<(Revision, u32), StoreError>, Busy> {
        // Whoever asked may give up meanwhile; shards are told all the same.
        let restored = tokio::task::spawn_local(async move {
            let restored = self.registry.ask(move |store| {
                let revision = store.restore(&act, &staged)?;
                Ok((revision, store.epoch()?, keys::live(store, now())?, store.audit_head()?))
            });
            Ok(restored.await?.map(|(revision, epoch, keys, head)| {
                heads::tell(&head);
                self.take(keys);
                (revision, epoch)
            }))
        });
        restored.await.unwrap_or(Err(Busy))
    }

    /// What shards refused a subscriber last, the newest first. A shard that does not answer in
    /// time is left out.
    pub(super) async fn refusals(&self, subscriber: NonZeroU32) -> Vec<Refused> {
        let (reply, mut replies) = tokio::sync::mpsc::channel(SHARDS_MAX);
        self.post.tell(|| Update::Refusals(subscriber, reply.clone()));
        drop(reply);
        let mut all = Vec::new();
        let told = async {
            while let Some(some) = replies.recv().await {
                all.extend(some);
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(REPORT_DEADLINE_MS), told).await;
        all.sort_by_key(|refused: &Refused| std::cmp::Reverse(refused.last));
        all.truncate(REFUSALS_TOLD_MAX);
        all
    }

    /// What tokens are signed with now.
    pub(super) fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.keys())
    }

    fn keys(&self) -> MutexGuard<'_, Arc<Keys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, keys: Keys) {
        let keys = Arc::new(keys);
        *self.keys() = Arc::clone(&keys);
        self.post.tell(|| Update::Keys(Arc::clone(&keys)));
    }
}

/// The time now.
pub(super) fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// What a token is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewToken)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Whose it is; none = nobody's of the registry, who may have all that is in its scope.
    #[serde(default)]
    subscriber: Option<String>,
    /// Patterns of paths; none = all that takes a token.
    #[serde(default)]
    scope: Vec<String>,
    /// How long it is good.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86_400)]
    seconds: Option<u32>,
    /// Where it may be used from.
    #[serde(default)]
    network: Option<String>,
    /// Most that a rendition may take, in kilobits a second.
    #[serde(default)]
    bitrate_max_kbps: Option<u32>,
}

/// Why no token is made.
enum Unminted {
    /// What was wanted makes no sense.
    Wrong(String),
    /// There is no such subscriber.
    Nobody,
    /// Its key was used before, and not for this; or there is no room for it.
    Repeated(Remembered),
    /// It was made before, and its key is gone since.
    Void,
    /// The registry failed.
    Store(StoreError),
}

impl From<StoreError> for Unminted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// `POST /api/v1/tokens`: a token for a viewer: 201, or 400 that says what is wrong. With an
/// `Idempotency-Key` the same token again, as long as its key signs or did last.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens",
    request_body = Wanted,
    params(idempotency::Header),
    responses(
        (status = 201, body = Token),
        (status = 404, description = "There is no such subscriber."),
        (status = 409, description = "The key is in use, or its token void."),
        (status = 422, description = "Another request had this key."),
    )
)]
pub async fn mint(
    State(shared): State<Shared>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let wanted: Wanted = match wanted(&headers, &body) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    let begun = idempotency::begun(&shared.running, act, &headers, "tokens", &body);
    let (act, _turn) = match begun {
        Ok(begun) => begun,
        Err(problem) => return problem,
    };
    let keys = Arc::clone(&signer.keys());
    match signer.registry.ask(move |store| minted_once(store, &act, &wanted, &keys)).await {
        Ok(Ok(made)) => answer(StatusCode::CREATED, &made),
        Ok(Err(Unminted::Wrong(why))) => problem(StatusCode::BAD_REQUEST, &why),
        Ok(Err(Unminted::Nobody)) => problem(StatusCode::NOT_FOUND, "no subscriber has this id"),
        Ok(Err(Unminted::Repeated(remembered))) => idempotency::refused(&remembered),
        Ok(Err(Unminted::Void)) => problem(
            StatusCode::CONFLICT,
            "Idempotency-Key: the token that it made is void, as another key signs now; take a new \
             one for each",
        ),
        Ok(Err(Unminted::Store(error))) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// Makes a token and says so in the audit log, or makes the one again that this act made before.
/// What is kept for that is the token without its MAC: the registry holds nothing that opens
/// anything.
fn minted_once(
    store: &mut dyn Store,
    act: &Act,
    wanted: &Wanted,
    keys: &Keys,
) -> Result<serde_json::Value, Unminted> {
    match store.remembered(act)? {
        Remembered::Nothing => {}
        Remembered::Made(made) => return again(&made, keys).ok_or(Unminted::Void),
        refused => return Err(Unminted::Repeated(refused)),
    }
    let subscriber = match &wanted.subscriber {
        Some(id) => Some(store.object(Kind::Subscriber, id)?.ok_or(Unminted::Nobody)?),
        None => None,
    };
    let (made, session) =
        minted(wanted, subscriber.as_ref(), keys, act.at).map_err(Unminted::Wrong)?;
    let unsigned = made["token"].as_str().and_then(|token| keys.unsigned(token));
    let unsigned = unsigned.map(|of| json!({ "mark": of.mark, "says": of.says }));
    let note = Note {
        deed: Deed::Mint,
        kind: "token",
        id: format!("{session:016x}"),
        details: json!({
            "subscriber": wanted.subscriber,
            "expires": made["expires"],
            "scope": wanted.scope,
            "network": wanted.network,
        }),
        made: json!({ "token": unsigned, "expires": made["expires"] }),
    };
    store.note(act, &note)?;
    Ok(made)
}

/// The answer that was given before; none = the token's key is gone.
fn again(made: &serde_json::Value, keys: &Keys) -> Option<serde_json::Value> {
    let mark = u32::try_from(made["token"]["mark"].as_u64()?).ok()?;
    let says = made["token"]["says"].as_str()?.to_owned();
    Some(told_token(&keys.signed(&Unsigned { mark, says })?, made["expires"].as_u64()?))
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
struct Token<'a> {
    /// The token.
    token: &'a str,
    /// What stands before the paths that it opens.
    path: String,
    /// It is good until then, in seconds since 1970.
    expires: u64,
}

fn told_token(token: &str, expires: u64) -> serde_json::Value {
    json!(Token { token, path: format!("/s/{token}/"), expires })
}

/// The answer of a token that is made now, with its session; or what is wrong with what was wanted.
fn minted(
    wanted: &Wanted,
    subscriber: Option<&Object>,
    keys: &Keys,
    now: UnixTime,
) -> Result<(serde_json::Value, u64), String> {
    let seconds = wanted.seconds.unwrap_or(TOKEN_SECONDS_MAX);
    if seconds == 0 || seconds > TOKEN_SECONDS_MAX {
        return Err(format!("seconds: a token is good for 1 to {TOKEN_SECONDS_MAX} seconds"));
    }
    let mut expires = now.0 + u64::from(seconds);
    if let Some(end) = subscriber.and_then(|subscriber| subscriber.document["expires"].as_u64()) {
        if end <= now.0 {
            let iso = UnixTime(end).iso();
            return Err(format!("subscriber: what was paid for ended on {iso}"));
        }
        expires = expires.min(end);
    }
    if wanted.scope.len() > TOKEN_PATTERNS_MAX {
        return Err(format!("scope: a token has at most {TOKEN_PATTERNS_MAX} patterns"));
    }
    let is_path = |rule: &&String| rule.starts_with("/tv/") || rule.starts_with("/vod/");
    if let Some(rule) = wanted.scope.iter().find(|rule| !is_path(rule)) {
        return Err(format!("scope: {rule:?} can't match: a pattern begins with /tv/ or /vod/"));
    }
    let network = |text: &str| {
        documents::network(text).ok_or_else(|| {
            format!("network: {text:?} is none (write \"192.0.2.0/24\" or \"2001:db8::1\")")
        })
    };
    let network = wanted.network.as_deref().map(network).transpose()?;
    let mut session = [0; 8];
    getrandom::fill(&mut session).map_err(|error| format!("no number can be drawn: {error}"))?;
    let claims = Claims {
        subscriber: subscriber.and_then(|of| of.number).and_then(NonZeroU32::new),
        session: u64::from_ne_bytes(session) & !EXCHANGED,
        expires: UnixTime(expires),
        bitrate_max: wanted.bitrate_max_kbps,
        network,
    };
    let key = keys.current.as_ref().ok_or("there is no key to sign with")?;
    let rules: Vec<_> = wanted.scope.iter().map(String::as_str).collect();
    let token = sealed(&claims, &rules, key).map_err(|why| match why {
        Unwritable::TooLong => "scope: the patterns are too long for a token".to_owned(),
        Unwritable::TooLate => "seconds: a token can't be good for so long".to_owned(),
    })?;
    Ok((told_token(&token, claims.expires.0), claims.session))
}

/// `GET /api/v1/keys`: the live keys, without what is secret.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "tokens",
    responses((status = 200, body = KeyList))
)]
pub async fn keys(State(shared): State<Shared>) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    told(signer).await
}

/// Keys that sign tokens.
#[derive(Debug, Serialize, ToSchema)]
struct KeyList {
    /// The one that signs comes first.
    keys: Vec<keys::Told>,
}

async fn told(signer: &Signer) -> Response<Body> {
    match signer.registry.ask(|store| keys::told(store)).await {
        Ok(Ok(keys)) => answer(StatusCode::OK, &KeyList { keys }),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// How keys are to be changed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Although tokens may be in use that would be unknown then.
    #[serde(default)]
    force: bool,
}

/// `POST /api/v1/keys/rotate`: another key signs: 200 with the live keys, or 409 as long as tokens
/// may be in use that would be unknown then.
#[utoipa::path(
    post, path = "/api/v1/keys/rotate", tag = "tokens",
    request_body = Rotation,
    responses(
        (status = 200, body = KeyList),
        (status = 409, description = "Tokens may be in use that would be unknown."),
    )
)]
pub async fn rotate(
    State(shared): State<Shared>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let rotation: Rotation = match wanted(&headers, &body) {
        Ok(rotation) => rotation,
        Err(problem) => return problem,
    };
    let changed = signer.registry.ask(move |store| {
        keys::rotate(store, &act, rotation.force)?;
        keys::live(store, now()).map_err(Unchanged::Store)
    });
    match changed.await {
        Ok(Ok(keys)) => {
            signer.take(keys);
            tracing::info!("another key signs tokens");
            told(signer).await
        }
        Ok(Err(Unchanged::Store(error))) => failed(&error),
        Ok(Err(Unchanged::StillGood { id, until })) => {
            let left = until.0.saturating_sub(now().0).div_ceil(60);
            let why = format!(
                "tokens of key {id} may be good for another {left} min, and would be unknown; \
                 \"force\": true changes keys all the same"
            );
            problem(StatusCode::CONFLICT, &why)
        }
        Err(Busy) => busy(),
    }
}

/// 503: there is no registry.
pub(super) fn nowhere() -> Response<Body> {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "there is no registry: the state folder can't be used, and the log says why",
    )
}

/// 503: the registry has too much to do.
pub(super) fn busy() -> Response<Body> {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the registry has too much to do; ask again")
}

/// 500: the registry failed.
pub(super) fn failed(error: &StoreError) -> Response<Body> {
    tracing::error!(%error, "the registry failed");
    problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TOKEN_BYTES_MAX;
    use crate::viewer::{Key, token};

    const NOON: UnixTime = UnixTime(1_800_000_000);

    /// What is made of a wish, as text.
    #[track_caller]
    fn check(wish: &str, expected: &str) {
        let keys = Keys { current: Some(Key::new(3, &[3; 32], 0)), previous: None };
        let wanted: Wanted = serde_json::from_str(wish).unwrap();
        let made = minted(&wanted, None, &keys, NOON).map(|(made, _)| {
            let text = made["token"].as_str().unwrap().to_owned();
            assert_eq!(made["path"], format!("/s/{text}/"));
            let mut scratch = [0; TOKEN_BYTES_MAX];
            let peer = || Some("192.0.2.7".parse().unwrap());
            let token = token::opened(&text, &keys, &peer, NOON, &mut scratch).unwrap();
            assert_eq!(made["expires"], token.claims.expires.0);
            let rules: Vec<_> = token.scope.rules().map(String::from_utf8_lossy).collect();
            let claims = token.claims;
            format!(
                "{} s, {:?}, {:?}, {rules:?}",
                claims.expires.0 - NOON.0,
                claims.network.map(|network| network.to_string()),
                claims.bitrate_max
            )
        });
        assert_eq!(made.unwrap_or_else(|why| why), expected, "{wish}");
    }

    #[test]
    fn a_wish_becomes_a_token_or_is_told_what_is_wrong_with_it() {
        check("{}", "86400 s, None, None, []");
        check(
            r#"{"scope":["/tv/news/*","/vod/a/*"],"seconds":60,"bitrate_max_kbps":4000}"#,
            r#"60 s, None, Some(4000), ["/tv/news/*", "/vod/a/*"]"#,
        );
        check(r#"{"network":"192.0.2.7"}"#, r#"86400 s, Some("192.0.2.7/32"), None, []"#);
        check(r#"{"network":"192.0.2.9/24"}"#, r#"86400 s, Some("192.0.2.0/24"), None, []"#);
        for (wish, why) in [
            (r#"{"seconds":0}"#, "seconds: a token is good for 1 to 86400 seconds"),
            (r#"{"seconds":86401}"#, "seconds: a token is good for 1 to 86400 seconds"),
            (
                r#"{"network":"office"}"#,
                "network: \"office\" is none (write \"192.0.2.0/24\" or \"2001:db8::1\")",
            ),
            (
                r#"{"scope":["tv/news/*"]}"#,
                "scope: \"tv/news/*\" can't match: a pattern begins with /tv/ or /vod/",
            ),
        ] {
            check(wish, why);
        }
        let long = format!(r#"{{"scope":["/tv/{}*"]}}"#, "x".repeat(400));
        check(&long, "scope: the patterns are too long for a token");
        let many = format!(r#"{{"scope":[{}]}}"#, ["\"/tv/a\""; 17].join(","));
        check(&many, "scope: a token has at most 16 patterns");
    }

    #[test]
    fn a_token_of_a_subscriber_ends_with_what_was_paid_for() {
        let keys = Keys { current: Some(Key::new(3, &[3; 32], 0)), previous: None };
        let wanted: Wanted = serde_json::from_str("{}").unwrap();
        let made = |expires: Option<u64>| {
            let document = json!({ "expires": expires });
            let (kind, id, revision) = (Kind::Subscriber, "anna".to_owned(), Revision(1));
            let anna = Object { kind, id, number: Some(7), revision, document };
            let (made, _) = minted(&wanted, Some(&anna), &keys, NOON)?;
            let mut scratch = [0; TOKEN_BYTES_MAX];
            let text = made["token"].as_str().unwrap();
            let token = token::opened(text, &keys, &|| None, NOON, &mut scratch).unwrap();
            assert_eq!(token.claims.subscriber, NonZeroU32::new(7));
            Ok(token.claims.expires.0 - NOON.0)
        };
        assert_eq!(made(None), Ok(86_400));
        assert_eq!(made(Some(NOON.0 + 60)), Ok(60));
        assert_eq!(made(Some(NOON.0 + 90_000)), Ok(86_400));
        let ended = "subscriber: what was paid for ended on 2027-01-15T08:00:00Z".to_owned();
        assert_eq!(made(Some(NOON.0)), Err(ended));
    }
}
