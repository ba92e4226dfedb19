//! The whole config: file, then environment, then flags; and the relations between its values.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::file::{Complaint, Draft, Place, nearest};
use super::settings::SETTINGS;
use super::{Access, Channel, Library};

/// Variables that begin like a setting's and are something else.
const OTHER_VARIABLES: &[&str] = &[
    "SHARDCAST_RING_FEATURES",
    "SHARDCAST_CONFIG",
    // Set while building, and by the long form of the tests.
    "SHARDCAST_REVISION",
    "SHARDCAST_FULL",
];

/// Where a config comes from. Kept by `serve`, which reads it all again on SIGHUP.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The config file, if there is one.
    pub file: Option<PathBuf>,
    /// The variables that begin with `SHARDCAST_`.
    pub environment: Vec<(String, String)>,
    /// Flag, key and text.
    pub flags: Vec<(&'static str, &'static str, String)>,
    /// Packs and folders named on the command line.
    pub paths: Vec<PathBuf>,
}

impl Sources {
    /// The variables of this process that are meant for us.
    #[must_use]
    pub fn variables_of_process() -> Vec<(String, String)> {
        let mut variables: Vec<_> = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
            .filter(|(name, _)| name.starts_with("SHARDCAST_"))
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect();
        variables.sort();
        variables
    }

    /// Reads the file, and everything else with it.
    #[must_use]
    pub fn read(&self) -> Draft {
        match &self.file {
            None => self.with_text(None),
            Some(path) => match std::fs::read_to_string(path) {
                Ok(text) => self.with_text(Some((path, &text))),
                Err(error) => {
                    let why = format!("{}: can't be read: {error}", path.display());
                    let mut draft = Draft::default();
                    draft.errors.push(Complaint { place: Place::Default, key: String::new(), why });
                    draft
                }
            },
        }
    }

    /// Puts everything together; `file` is the file's path and text.
    #[must_use]
    pub fn with_text(&self, file: Option<(&Path, &str)>) -> Draft {
        let mut draft = Draft::default();
        if file.is_none() && !self.paths.is_empty() {
            // Whoever serves a folder by naming it has no keys yet; everybody may watch.
            draft.config.access = Access::Open;
            draft.places.insert("server.access", Place::Flag("PATH without a config".to_owned()));
        }
        if let Some((path, text)) = file {
            draft.apply_file(path, text);
        }
        self.apply_environment(&mut draft);
        for (flag, key, text) in &self.flags {
            draft.apply_text(key, Place::Flag((*flag).to_owned()), text);
        }
        for path in &self.paths {
            draft.config.libraries.push(Library { path: path.clone(), access: None });
            draft.library_places.push(Place::Flag("PATH".to_owned()));
        }
        relations(&mut draft);
        draft
    }

    fn apply_environment(&self, draft: &mut Draft) {
        for (name, value) in &self.environment {
            if OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let place = Place::Variable(name.clone());
            match SETTINGS.iter().find(|setting| variable(setting.key) == *name) {
                Some(setting) => draft.apply_text(setting.key, place, value),
                None => {
                    let names: Vec<_> =
                        SETTINGS.iter().map(|setting| variable(setting.key)).collect();
                    let why = match nearest(name, names.iter().map(String::as_str)) {
                        Some(near) => format!("is not a known variable (did you mean {near}?)"),
                        None => "is not a known variable".to_owned(),
                    };
                    draft.warnings.push(Complaint { place, key: String::new(), why });
                }
            }
        }
    }
}

/// The variable of a key: `SHARDCAST_SERVER_LISTEN` of `server.listen`.
#[must_use]
pub fn variable(key: &str) -> String {
    format!("SHARDCAST_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// What no single value can show.
fn relations(draft: &mut Draft) {
    doors(draft);
    hook(draft);
    let config = &draft.config;
    let mut errors = Vec::new();
    for (index, library) in config.libraries.iter().enumerate() {
        if config.libraries[..index].iter().any(|earlier| earlier.path == library.path) {
            errors.push(Complaint {
                place: draft.library_places[index].clone(),
                key: "library.path".to_owned(),
                why: format!("{} is named twice", library.path.display()),
            });
        }
    }
    draft.errors.append(&mut errors);
}

/// A back end is asked with a signature, so that it can tell who asks.
fn hook(draft: &mut Draft) {
    let hook = &draft.config.outside.hook;
    let (key, why) = match (&hook.url, &hook.secret_file) {
        (Some(_), None) => ("hook.url", "takes a hook.secret_file, by which questions are signed"),
        (None, Some(_)) => ("hook.secret_file", "is of no use without a hook.url"),
        _ => return,
    };
    let place = draft.places.get(key).cloned().unwrap_or_default();
    draft.errors.push(Complaint { place, key: key.to_owned(), why: why.to_owned() });
}

/// Addresses that would take each other's clients, and an admin port that is open to the world.
fn doors(draft: &mut Draft) {
    let config = &draft.config;
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for (index, listen) in config.listen.iter().enumerate() {
        for earlier in &config.listen[..index] {
            if same_port(listen.address, earlier.address)
                && (listen.address == earlier.address || both_wild(listen.address, earlier.address))
            {
                errors.push(Complaint {
                    place: draft.places.get("server.listen").cloned().unwrap_or_default(),
                    key: "server.listen".to_owned(),
                    why: format!("{} and {} are the same door", earlier.address, listen.address),
                });
            }
        }
    }
    let public = config.listen.iter().map(|listen| ("server.listen", listen.address));
    let ingest = config.ingest.map(|address| ("server.ingest", address));
    let admin = config.admin.map(|address| ("server.admin", address));
    let doors: Vec<_> = public.chain(ingest).chain(admin).collect();
    for (index, door) in doors.iter().enumerate().skip(config.listen.len()) {
        let earlier = doors[..index].iter().filter(|earlier| takes_clients(earlier.1, door.1));
        errors.extend(earlier.map(|earlier| taken(draft, *door, *earlier)));
    }
    let reads = |channel: &&Channel| !channel.sources.inputs.list.is_empty();
    if let (None, Some(channel)) = (config.ingest, config.channels.iter().find(reads)) {
        errors.push(Complaint {
            place: draft.places.get("server.ingest").cloned().unwrap_or_default(),
            key: "server.ingest".to_owned(),
            why: format!("is off, but what ffmpeg reads for channel {} comes there", channel.id),
        });
    }
    if let Some(admin) = config.admin
        && !admin.ip().to_canonical().is_loopback()
    {
        warnings.push(Complaint {
            place: draft.places.get("server.admin").cloned().unwrap_or_default(),
            key: "server.admin".to_owned(),
            why: format!("{admin} is not a loopback address, and metrics ask for no login"),
        });
    }
    draft.errors.append(&mut errors);
    draft.warnings.append(&mut warnings);
}

/// Blames the first of two keys that want one door; the other one, if only that was set.
fn taken(
    draft: &Draft,
    door: (&'static str, SocketAddr),
    other: (&'static str, SocketAddr),
) -> Complaint {
    let set = |key| draft.places.get(key);
    let (blamed, by) = if set(door.0).is_some() { (door, other) } else { (other, door) };
    Complaint {
        place: set(blamed.0).cloned().unwrap_or_default(),
        key: blamed.0.to_owned(),
        why: format!("{} is taken by {} {}", blamed.1, by.0, by.1),
    }
}

/// Whether two listeners want the same clients.
fn takes_clients(a: SocketAddr, b: SocketAddr) -> bool {
    same_port(a, b) && overlaps(a.ip(), b.ip())
}

/// Port 0 asks the kernel for a free port, so it is never the same one.
fn same_port(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.port() != 0
}

fn both_wild(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip().is_unspecified() && b.ip().is_unspecified()
}

/// Whether a listener on one address would get the other's clients. `[::]` takes IPv4 too.
fn overlaps(a: IpAddr, b: IpAddr) -> bool {
    let takes = |wild: IpAddr, other: IpAddr| {
        wild.is_unspecified() && (wild.is_ipv6() || other.to_canonical().is_ipv4())
    };
    a.to_canonical() == b.to_canonical() || takes(a, b) || takes(b, a)
}

#[cfg(test)]
mod tests;
