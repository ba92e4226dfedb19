//! Linear channels: their texts are made when a shard asks, and kept until the next segment.
//!
//! Nothing is done for a channel that nobody watches: its assets are read when the first viewer
//! comes, and not again until the config is. A text of a moment follows from the assets and the
//! clock alone (`live/linear.rs`), so nothing has to be remembered either.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use tower::ServiceExt as _;

use super::ask::Granted;
use super::problem::{problem, unknown};
use crate::config::sources::{ASSET_MANIFEST_SIZE_MAX, ASSETS_AGAIN_MS, Programme};
use crate::config::{Access, Channel, Config, Library};
use crate::library::read::Roots;
use crate::live::linear::Schedule;
use crate::live::linear::asset::{Asset, Unfit};
use crate::live::linear::hls;
use crate::live::linear::plan::{DAY, Entry};
use crate::live::playlist::ladder::{self, Ladder, Narrow};
use crate::live::playlist::{PLAIN, linear};
use crate::messages::{Change, Listing};
use crate::units::{Class, ETag, media_type};
use crate::viewer::Terms;

/// Where the server tells its time, as seen from a channel's manifest.
const CLOCK: &str = "../clock";

/// All linear channels.
#[derive(Clone, Debug, Default)]
pub struct Stations {
    all: Arc<Mutex<HashMap<String, Arc<Station>>>>,
}

/// One channel.
#[derive(Debug)]
struct Station {
    of: Channel,
    libraries: Vec<Library>,
    /// Held while assets are read, so that they are read once.
    schedule: tokio::sync::Mutex<Loaded>,
    /// Texts by their path, as long as they hold.
    texts: Mutex<HashMap<String, Text>>,
}

#[derive(Clone, Debug, Default)]
enum Loaded {
    #[default]
    NotYet,
    Failed(Instant),
    Ready(Arc<Schedule>),
}

#[derive(Clone, Debug)]
struct Text {
    body: Bytes,
    media_type: &'static str,
    etag: HeaderValue,
    /// What viewers get who may not have every rendition, with their caps: the lowest first.
    narrowed: Vec<(u32, Bytes, HeaderValue)>,
    /// From which cap on it is the whole text.
    whole_from_kbps: u32,
    /// Nanoseconds of Unix time.
    until: u64,
}

impl Text {
    /// The text as a viewer gets it, and its tag.
    fn form(&self, terms: Terms) -> (&Bytes, &HeaderValue) {
        let cap_kbps = terms.bitrate_max_kbps;
        let narrowed = self.narrowed.iter().rfind(|(from_kbps, ..)| *from_kbps <= cap_kbps);
        match narrowed.filter(|_| cap_kbps < self.whole_from_kbps) {
            Some((_, body, etag)) => (body, etag),
            None => (&self.body, &self.etag),
        }
    }
}

/// What shards are to be told of these channels: that they are to ask.
#[must_use]
pub fn listings(linear: &[Channel], access: Access) -> Vec<Listing> {
    let of = |channel: &Channel| Listing {
        path: format!("/tv/{}", channel.id).into(),
        change: Change::Asked(channel.access.unwrap_or(access)),
    };
    linear.iter().map(of).collect()
}

fn is_linear(channel: &Channel) -> bool {
    !channel.is_pushed()
}

impl Stations {
    /// The linear channels of a config.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let stations = Self::default();
        stations.reload(config);
        stations
    }

    /// Takes those of a config that was read again; assets are read anew.
    pub fn reload(&self, config: &Config) {
        let station = |channel: &Channel| {
            let (of, libraries) = (channel.clone(), config.libraries.clone());
            Arc::new(Station {
                of,
                libraries,
                schedule: Default::default(),
                texts: Mutex::default(),
            })
        };
        let linear = config.channels.iter().filter(|channel| is_linear(channel));
        let new = linear.map(|channel| (channel.id.clone(), station(channel))).collect();
        *self.all.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Answers for them; for all that is not theirs, these others do.
    pub fn router(&self, others: Router) -> Router {
        let router = Router::new()
            .route("/tv/{channel}/{*rest}", get(answer))
            .route("/s/{token}/tv/{channel}/{*rest}", get(answer_with_token));
        router.with_state((self.clone(), others.clone())).fallback_service(others)
    }

    fn station(&self, id: &str) -> Option<Arc<Station>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

/// Whoever is let in is let in by the shard: a token is nobody's business here.
async fn answer_with_token(
    stations: State<(Stations, Router)>,
    Path((_, channel, rest)): Path<(String, String, String)>,
    request: Request,
) -> Response<Body> {
    answer(stations, Path((channel, rest)), request).await
}

async fn answer(
    State((stations, others)): State<(Stations, Router)>,
    Path((channel, rest)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    let Some(station) = stations.station(&channel) else {
        return others.oneshot(request).await.unwrap_or_else(|never| match never {});
    };
    let granted = request.extensions().get::<Granted<()>>();
    let terms = granted.map_or(Terms::ALL, |granted| granted.terms);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    if let Some(text) = station.kept(&rest, now) {
        return response(&text, terms);
    }
    let Some(schedule) = station.schedule().await else {
        let why = "the assets of this channel can't be read";
        return problem(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    match text(&schedule, &rest, now) {
        Some(text) => {
            station.keep(&rest, &text);
            response(&text, terms)
        }
        None => unknown().await,
    }
}

fn response(text: &Text, terms: Terms) -> Response<Body> {
    let (body, etag) = text.form(terms);
    let mut response = Response::new(Body::from(body.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text.media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
    headers.insert(header::ETAG, etag.clone());
    response
}

/// The text at this path of the channel, and how long it holds.
fn text(schedule: &Schedule, rest: &str, now: u64) -> Option<Text> {
    let tracks = schedule.tracks();
    let changes = |track| schedule.next_change(track, now);
    let (text, until) = match rest {
        "master.m3u8" => (linear::multivariant(schedule), u64::MAX),
        "manifest.mpd" if schedule.has_manifest() => {
            let until = (0..tracks.len()).map(changes).min()?;
            (linear::manifest(schedule, now, CLOCK), until)
        }
        _ => {
            let (name, playlist) = rest.split_once('/')?;
            let track = tracks.iter().position(|track| track.name == name)?;
            let text = (playlist == PLAIN).then(|| linear::media(schedule, track, now))?;
            (text, changes(track))
        }
    };
    let tagged = |text: String| {
        let etag = HeaderValue::from_bytes(&ETag::of(text.as_bytes()).wire()).ok()?;
        Some((Bytes::from(text), etag))
    };
    let Ladder { narrow, whole_from_kbps } = ladder::narrowed(Class::of(rest), &text);
    let form = |narrow: Narrow| {
        let (body, etag) = tagged(narrow.text)?;
        Some((narrow.from_kbps, body, etag))
    };
    let narrowed = narrow.into_iter().filter_map(form).collect();
    let (body, etag) = tagged(text)?;
    Some(Text { body, media_type: media_type(rest), etag, narrowed, whole_from_kbps, until })
}

impl Station {
    fn kept(&self, rest: &str, now: u64) -> Option<Text> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.get(rest).filter(|text| now < text.until).cloned()
    }

    /// There are as many texts as a channel has renditions, and two more.
    fn keep(&self, rest: &str, text: &Text) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.insert(rest.to_owned(), text.clone());
    }

    async fn schedule(self: &Arc<Self>) -> Option<Arc<Schedule>> {
        let mut loaded = self.schedule.lock().await;
        match &*loaded {
            Loaded::Ready(schedule) => return Some(Arc::clone(schedule)),
            Loaded::Failed(at) if at.elapsed() < Duration::from_millis(ASSETS_AGAIN_MS) => {
                return None;
            }
            _ => {}
        }
        let station = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || station.read()).await;
        match read.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(schedule) => {
                let schedule = Arc::new(schedule);
                *loaded = Loaded::Ready(Arc::clone(&schedule));
                Some(schedule)
            }
            Err(why) => {
                tracing::error!(channel = self.of.id, "its assets can't be used: {why}");
                *loaded = Loaded::Failed(Instant::now());
                None
            }
        }
    }

    /// Reads the manifest of an asset, or its playlists if it has none.
    fn asset(roots: &Roots<'_>, path: &str) -> Result<Asset, String> {
        let read = |name: &str| {
            let place = format!("{path}/{name}");
            let text = roots.text(&place, ASSET_MANIFEST_SIZE_MAX);
            text.map_err(|error| (error.kind(), format!("{place}: {error}")))
        };
        let why = match read("manifest.mpd") {
            Ok(text) => {
                let asset = Asset::read(path, &text);
                return asset.map_err(|unfit| format!("{path}/manifest.mpd: {unfit}"));
            }
            Err((ErrorKind::NotFound, why)) => why,
            Err((_, why)) => return Err(why),
        };
        // Who has neither is told of the manifest, which is the better one.
        let text = read("master.m3u8").map_err(|_| why)?;
        let unfit = |unfit: Unfit| format!("{path}/master.m3u8: {unfit}");
        let mut renditions = Vec::new();
        for said in hls::renditions(&text).map_err(unfit)? {
            let text = read(&said.uri).map_err(|(_, why)| why)?;
            renditions.push(hls::rendition(&said, &text).map_err(unfit)?);
        }
        Ok(Asset { path: path.to_owned(), renditions })
    }

    /// Reads the manifests of all assets; each once, however often it is in the list.
    fn read(&self) -> Result<Schedule, String> {
        let roots = Roots::new(&self.libraries);
        let mut known: HashMap<&str, usize> = HashMap::new();
        let (mut assets, mut list) = (Vec::new(), Vec::new());
        let offset = i64::from(self.of.sources.utc_offset) * 60 * 1_000_000_000;
        for Programme { asset: path, at } in &self.of.sources.playlist {
            let asset = match known.get(path.as_str()) {
                Some(&asset) => asset,
                None => {
                    assets.push(Self::asset(&roots, path)?);
                    known.insert(path, assets.len() - 1);
                    assets.len() - 1
                }
            };
            let at = at.map(|seconds| u64::from(seconds) * 1_000_000_000);
            let at = at.map(|at| (at + DAY).saturating_add_signed(-offset) % DAY);
            list.push(Entry { asset, at });
        }
        let window = self.of.window_ms * 1_000_000;
        let (schedule, left_out) = Schedule::new(assets, &list, window).map_err(|unfit| unfit.0)?;
        if !left_out.is_empty() {
            let renditions = left_out.join(", ");
            tracing::warn!(channel = self.of.id, renditions, "not in all assets, so left out");
        }
        Ok(schedule)
    }
}
