//! Live channels over real sockets: encoders that push CMAF, players that ask for what comes of it.

use std::cell::Cell;
use std::path::PathBuf;

use crate::running::{self, PATIENCE, Place, Running, serve};

mod boxes;
pub mod http;
mod statuses;
mod aligned;
mod apps;
mod repeats;
mod torn;
mod mistakes;
mod orders;
mod protocols;
mod pushed;
mod sources;
mod linear;
mod folder;
mod inputs;
mod blocking;
mod growing;
mod manifests;
mod times;
mod window;
mod longer;
mod health;
mod made;
mod events;
mod texts;
mod archive;
mod restarts;
mod revoked;
mod clock;
mod underway;
mod catchup;
mod past;
mod transport;
mod continuous;
mod remux;
mod slates;
mod variants;
mod lookalikes;

use boxes::{MIDNIGHT, Media};
use http::Answer;
pub use transport::encoder;

/// A server with channels.
struct Station {
    server: Running,
    /// Kept as long as the server runs.
    place: Place,
    /// Seconds that the channel `mark` has.
    marks: Cell<u64>,
}

/// A channel in segments of a second and parts of half a second, whose encoder may be silent as
/// long as a busy machine makes it.
fn channel(id: &str) -> String {
    let patience = PATIENCE.as_secs();
    format!(
        "[[channel]]\nid = \"{id}\"\nsegment = \"1s\"\npart = \"500ms\"\n\
         patience = \"{patience}s\"\n"
    )
}

/// A channel that is kept; whether an encoder hears of success only then.
fn kept(id: &str, mode: &str) -> String {
    format!("{}archive = \"7d\"\narchive_mode = \"{mode}\"\n", channel(id))
}

/// A second that has passed a while ago: of media on the epoch's time.
fn past() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970");
    now.as_secs() - 60
}

/// A config with channels, and an ingest port that is free.
fn config(place: &Place, channels: &str) -> PathBuf {
    let path = place.config(channels);
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("[server]\n", "[server]\ningest = \"127.0.0.1:0\"\n");
    std::fs::write(&path, text).unwrap();
    path
}

impl Station {
    /// One channel, `news`, whose picture `v` has its header.
    fn news() -> Self {
        let station = Self::start(&channel("news"));
        assert_eq!(station.put("news/v/init.mp4", &boxes::header(Media::Picture)).status, 200);
        station
    }

    fn start(channels: &str) -> Self {
        let place = Place::new();
        let config = config(&place, &format!("{channels}{}", channel("mark")));
        let server = Running::start(&mut serve(&config));
        let station = Self { server, place, marks: Cell::new(0) };
        assert_eq!(station.put("mark/v/init.mp4", &boxes::header(Media::Picture)).status, 200);
        station
    }

    /// Where its config stands.
    fn config(&self) -> PathBuf {
        self.place.path("shardcast.toml")
    }

    /// An encoder's `PUT` below `/ingest/`.
    fn put(&self, path: &str, body: &[u8]) -> Answer {
        http::put(self.server.ingest, &format!("/ingest/{path}"), body)
    }

    /// Pushes a segment of the picture of `news` that has its place, in one request.
    #[track_caller]
    fn push(&self, second: u64) {
        let answer = self.put(&format!("news/v/{second}.m4s"), &boxes::segment(second));
        assert_eq!((answer.status, answer.text()), (200, "taken\n"), "{second}");
    }

    /// Pushes a segment of the picture of `news` until it is durable.
    #[track_caller]
    fn push_durable(&self, second: u64) {
        let answer = self.put(&format!("news/v/{second}.m4s"), &boxes::segment(second));
        assert_eq!((answer.status, answer.header("Shardcast-Durable")), (200, Some("yes")));
    }

    /// Ends the server as nobody should, and starts it again on the same folders.
    fn started_again(self) -> Self {
        let config = self.config();
        self.server.signal("KILL");
        self.server.ended();
        let server = Running::start(&mut serve(&config));
        Self { server, ..self }
    }

    /// A player's `GET` below `/tv/`.
    fn get(&self, path: &str) -> Answer {
        http::get(self.server.public, &format!("/tv/{path}"))
    }

    /// Waits until the shard knows of everything that was pushed before: news stay in their order.
    fn settle(&self) {
        let second = MIDNIGHT + self.marks.get();
        self.marks.set(self.marks.get() + 1);
        self.put(&format!("mark/v/{second}.m4s"), &boxes::segment(second));
        self.until(&format!("mark/v/{second}.m4s"), |answer| answer.status == 200);
    }

    /// Asks until the answer is as wanted.
    #[track_caller]
    fn until(&self, path: &str, is_wanted: impl Fn(&Answer) -> bool) -> Answer {
        running::until_found(|| {
            let answer = self.get(path);
            match is_wanted(&answer) {
                true => Ok(answer),
                false => Err(format!("{path}: {}", String::from_utf8_lossy(&answer.body))),
            }
        })
    }

    /// Asks until a playlist says this.
    #[track_caller]
    fn until_says(&self, path: &str, what: &str) -> String {
        let says = |answer: &Answer| answer.status == 200 && answer.text().contains(what);
        self.until(path, says).text().to_owned()
    }

    /// Waits until the metrics say this.
    #[track_caller]
    fn until_counted(&self, what: &str) {
        running::until(what, || self.server.admin_get("/metrics").contains(what));
    }

    /// Waits until so many requests are held.
    #[track_caller]
    fn until_held(&self, count: usize) {
        let wanted = format!("{count}");
        running::until_found(|| {
            let metrics = self.server.admin_get("/metrics");
            let mut lines = metrics.lines().filter(|line| line.starts_with("shardcast_parked"));
            let value = lines.next_back().and_then(|line| line.rsplit(' ').next());
            (value == Some(&wanted)).then_some(()).ok_or_else(|| format!("held: {value:?}"))
        });
    }
}

/// URIs of a playlist: every line that is no tag.
fn uris(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| !line.starts_with('#')).collect()
}

/// The path that a reference in the text at `base` leads to (RFC 3986, 5.2).
fn resolved(base: &str, reference: &str) -> String {
    let mut folder: Vec<_> = base.split('/').collect();
    folder.pop();
    for element in reference.split('/') {
        match element {
            ".." => drop(folder.pop()),
            element => folder.push(element),
        }
    }
    folder.join("/")
}

/// The value of an attribute in quotes, the first of its name.
fn quoted<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, behind) = text.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{text}"));
    behind.split('"').next().expect("a split gives one piece")
}
