//! All fuzz targets in one binary: one build and one link, of which the environment says which
//! target it is. `scripts/fuzz` builds and runs it.
#![no_main]
#![allow(dead_code, reason = "the simulator has more than the peers here need")]
#![allow(clippy::unwrap_used, reason = "a panic is the finding")]

mod connection;

#[path = "../../sim/client.rs"]
mod client;
#[path = "../../sim/content.rs"]
mod content;
#[path = "../../sim/heads.rs"]
mod heads;
#[path = "../../sim/kernel.rs"]
mod kernel;
#[path = "../../sim/library.rs"]
mod library;
#[path = "../../sim/net.rs"]
mod net;
#[path = "../../sim/ops.rs"]
mod ops;
#[path = "../../sim/pipe.rs"]
mod pipe;
#[path = "../../sim/random.rs"]
mod random;
#[path = "../../sim/request.rs"]
mod request;
#[path = "../../sim/response.rs"]
mod response;
#[path = "../../sim/run.rs"]
mod run;
#[path = "../../sim/world.rs"]
mod world;

use std::sync::OnceLock;

use shardcast::middleware::guide::programme::unpacked;
use shardcast::middleware::guide::xmltv::{Guide, Item};
use shardcast::units::{Class, media_type};

/// Takes any bytes, and panics where something does not hold.
type Target = fn(&[u8]);

/// Every target, by its name: that of its seeds, its corpus, and what it crashed on.
const TARGETS: &[(&str, Target)] = &[
    // Any file name: it has a class and a media type. The smallest one.
    ("names", names),
    // A request head: one reading however it is cut, and no path that climbs.
    ("head", shardcast::request::fuzz::head),
    // A Range value of an object of any size: what is selected exists, once.
    ("range", shardcast::request::fuzz::range),
    // A text as a token, and signed fields: what is none of ours is unknown.
    ("token", shardcast::viewer::fuzz::token),
    // A token of others, and claims that somebody signed.
    ("foreign", shardcast::viewer::fuzz::foreign),
    // What a proxy says before its client: a header that is whole, or none.
    ("proxy", shardcast::guard::fuzz::proxy),
    // The fields that proxies add to: somebody is named, or nobody.
    ("forwarded", shardcast::guard::fuzz::forwarded),
    // What a player tells of itself, in a field and in a query.
    ("cmcd", shardcast::viewer::fuzz::cmcd),
    // A chunked body: one reading however it is cut.
    ("body", shardcast::request::fuzz::body),
    // A pack: refused, or every object is found, safe and inside the file.
    ("pack", shardcast::pack::fuzz::pack),
    // The journal of an archive hour: what is believed can be gone on with.
    ("journal", shardcast::pack::fuzz::journal),
    // A multivariant playlist, and a manifest, of which caps leave something out.
    ("ladder", shardcast::live::fuzz::ladder),
    // A path and a query that ask for what is past as others do.
    ("dialect", shardcast::live::fuzz::dialect),
    // An encoder's stream: one reading however it is cut, and nothing outside of it.
    ("boxes", shardcast::live::fuzz::boxes),
    // A transport stream: one reading however it is cut, in whole packets.
    ("transport", shardcast::live::fuzz::transport),
    // Peers at the driver, over the simulator's kernel.
    ("connection", connection::play),
    // An address by which an app starts something, and the playlist that it gets.
    ("start", shardcast::request::fuzz::start),
    // What an operator's back end answers.
    ("hook", shardcast::control::fuzz::hook),
    // The parameters of an app's request.
    ("form", shardcast::middleware::fuzz::form),
    // A guide of somebody else, and a block of the store.
    ("guide", guide),
    // A file that says where addresses are.
    ("mmdb", shardcast::control::fuzz::mmdb),
];

/// Names the target; `list` has them written down.
const VARIABLE: &str = "SHARDCAST_FUZZ_TARGET";

static CHOSEN: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    CHOSEN.get().expect("it was chosen before the first input")(data);
});

/// Before the first input: no input pays for it.
fn choose() {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    if wanted == "list" {
        for (name, _) in TARGETS {
            println!("{name}");
        }
        std::process::exit(0);
    }
    let Some((_, target)) = TARGETS.iter().find(|(name, _)| *name == wanted) else {
        eprintln!("no target is called \"{wanted}\" ({VARIABLE}=list names them)");
        std::process::exit(2);
    };
    CHOSEN.set(*target).expect("it is chosen once");
}

/// Whatever a guide says, its programmes have a title, and end behind their start.
fn guide(data: &[u8]) {
    let _ = unpacked(data);
    let Ok(mut guide) = Guide::new(data, 60) else { return };
    while let Ok(Some(item)) = guide.next_item() {
        if let Item::Programme { programme, .. } = item {
            assert!(!programme.title.is_empty() && programme.start.0 > 0);
            assert!(programme.stop.0 == 0 || programme.stop > programme.start);
        }
    }
}

/// As far as it is text.
fn names(data: &[u8]) {
    let name = match str::from_utf8(data) {
        Ok(name) => name,
        Err(error) => str::from_utf8(&data[..error.valid_up_to()]).expect("it is text so far"),
    };
    assert!(Class::ALL.contains(&Class::of(name)));
    assert!(media_type(name).contains('/'), "a media type has a type and a subtype");
}
