//! The table of every key: what it means, how it is read, how it is shown, when it takes effect.
//!
//! The file, the environment, the flags, `print-config` and the check of unknown keys all go by
//! this one table, so that a key cannot be known to one of them and unknown to another.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use toml::Value;

use super::app_answers;
use super::given::{Given, Wrong};
use super::guide::settings as guide;
use super::outside::{fetch, geo, hook};
use super::slates::settings as slates;
use super::values::{self, duration_ms, duration_text, rate_text, size, size_text};
use super::{
    ADMIN_HOSTS_MAX, Access, AccessLog, AdminTls, BAN_AFTER_MAX, Backend, Config, EGRESS_MIN,
    HISTORY_MS_MAX, Listen, LogFormat, SHARDS_MAX, SecurityLog,
};
use crate::units::KIB;

/// One key that can be set.
pub struct Setting {
    /// Section and key.
    pub key: &'static str,
    /// What it is, in one or two sentences.
    pub about: &'static str,
    /// Puts a given value into the config.
    pub set: fn(&mut Config, Given<'_>) -> Result<(), Wrong>,
    /// The value that the config has; none for a key that this version accepts and does not use.
    pub shown: Option<fn(&Config) -> Value>,
    /// Whether a change takes effect on SIGHUP.
    pub reloads: bool,
}

/// The setting of this key.
#[must_use]
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Longest deadline that can be set, in milliseconds: a week.
const DURATION_MS_MAX: u64 = 7 * 86_400_000;

/// Every key outside `[[library]]` and `[[channel]]`, in the order of the file.
pub static SETTINGS: &[Setting] = &[
    Setting {
        key: "server.listen",
        about: "Public addresses, for players: a string, or { address = \"…\", backend = \"sendfile\" }, \
                where backend \"send_zc\" is for real network cards.",
        set: |config, given| set_listen(config, given),
        shown: Some(|config| Value::Array(config.listen.iter().map(shown_listen).collect())),
        reloads: false,
    },
    Setting {
        key: "server.ingest",
        about: "Where encoders push; \"off\" for none. Without a login only loopback may push.",
        set: |config, given| put(&mut config.ingest, address_or_off(given)),
        shown: Some(|config| shown_address(config.ingest)),
        reloads: false,
    },
    Setting {
        key: "server.admin",
        about: "Metrics, health and the admin API; \"off\" for none. Keep it on loopback.",
        set: |config, given| put(&mut config.admin, address_or_off(given)),
        shown: Some(|config| shown_address(config.admin)),
        reloads: false,
    },
    app_answers::PUBLIC,
    Setting {
        key: "server.trusted_proxies",
        about: "Networks of proxies: their PROXY v2 header, or else the rightmost address in \
                Forwarded or X-Forwarded-For that is not one of these, is where the client is.",
        set: |config, given| put(&mut config.guard.trusted_proxies, networks(given)),
        shown: Some(|config| shown_networks(&config.guard.trusted_proxies)),
        reloads: false,
    },
    Setting {
        key: "server.shards",
        about: "Threads that serve, one a CPU. 0 = one for each CPU that the server may run on.",
        set: |config, given| put(&mut config.shards, given.count(SHARDS_MAX)),
        shown: Some(|config| number(config.shards)),
        reloads: false,
    },
    Setting {
        key: "server.state",
        about: "Folder of the server's own files; the admin socket admin.sock lies there.",
        set: |config, given| put(&mut config.state, path(given)),
        shown: Some(|config| text(config.state.display().to_string())),
        reloads: false,
    },
    Setting {
        key: "server.access",
        about: "Who may watch where nothing else is said: \"token\" or \"open\".",
        set: |config, given| put(&mut config.access, given.read(Access::from_word)),
        shown: Some(|config| text(config.access.word())),
        reloads: false,
    },
    Setting {
        key: "admin.hosts",
        about: "Names by which the admin port is called; addresses and localhost need none. \
                Called by another name it signs in nobody.",
        set: |config, given| {
            let hosts = given.list()?;
            if let Some(beyond) = hosts.get(ADMIN_HOSTS_MAX) {
                return Err(beyond.blame(format!("is one too many (at most {ADMIN_HOSTS_MAX})")));
            }
            let hosts = hosts.iter().map(|host| host.read(values::host)).collect();
            put(&mut config.admin_port.hosts, hosts)
        },
        shown: Some(|config| {
            Value::Array(config.admin_port.hosts.iter().map(|host| text(host.as_str())).collect())
        }),
        reloads: false,
    },
    Setting {
        key: "admin.tls",
        about: "{ cert = \"…\", key = \"…\" }: PEM files with the admin port's certificate and its \
                key, read again on SIGHUP.",
        set: |config, given| {
            config.admin_port.tls = admin_tls(given)?;
            Ok(())
        },
        shown: Some(|config| config.admin_port.tls.as_ref().map_or_else(|| text("off"), shown_tls)),
        reloads: false,
    },
    Setting {
        key: "admin.group",
        about: "Group of this machine whose members may use admin.sock, as root may; where there is \
                no such group, the server's own. Its user has to be a member.",
        set: |config, given| put(&mut config.admin_port.group, given.read(values::group)),
        shown: Some(|config| text(&*config.admin_port.group)),
        reloads: false,
    },
    Setting {
        key: "admin.plaintext",
        about: "\"on\": passwords and keys come to the admin port from other machines without \
                TLS, and whoever is on the way reads them. \"off\": from this machine only.",
        set: |config, given| put(&mut config.admin_port.plaintext, given.read(values::switch)),
        shown: Some(|config| text(if config.admin_port.plaintext { "on" } else { "off" })),
        reloads: false,
    },
    Setting {
        key: "http.cors",
        about: "Access-Control-Allow-Origin of every response, so that players in browsers may \
                read them; \"\" = no such headers.",
        set: |config, given| {
            config.cors = given.read(|text| values::cors(text).map(|()| text.to_owned()))?;
            Ok(())
        },
        shown: Some(|config| text(&*config.cors)),
        reloads: false,
    },
    Setting {
        key: "http.pacing",
        about: "\"on\": sessions are sent to as fast as their players ask for (CMCD rtp), and no \
                faster than four times real time for long. Caps of plans hold in any case.",
        set: |config, given| put(&mut config.limits.bandwidth.is_paced, given.read(values::switch)),
        shown: Some(|config| text(if config.limits.bandwidth.is_paced { "on" } else { "off" })),
        reloads: true,
    },
    Setting {
        key: "http.cmsd",
        about: "\"on\": responses tell players what they are and how fast the way to them is \
                (CMSD, CTA-5006).",
        set: |config, given| {
            put(&mut config.limits.bandwidth.tells_players, given.read(values::switch))
        },
        shown: Some(|config| {
            text(if config.limits.bandwidth.tells_players { "on" } else { "off" })
        }),
        reloads: true,
    },
    Setting {
        key: "log.format",
        about: "Shape of the log on stderr: \"json\" or \"text\".",
        set: |config, given| put(&mut config.log_format, given.read(LogFormat::from_word)),
        shown: Some(|config| text(config.log_format.word())),
        reloads: false,
    },
    Setting {
        key: "log.level",
        about: "What is logged: error, warn, info, debug, trace, or module=level pairs.",
        set: |config, given| {
            config.log_level = given.read(log_level)?;
            Ok(())
        },
        shown: Some(|config| text(&*config.log_level)),
        reloads: false,
    },
    Setting {
        key: "log.access",
        about: "Shape of the access log: \"off\", \"combined\" (as nginx writes it) or \"json\". \
                Tokens and passwords are redacted.",
        set: |config, given| put(&mut config.access_log, given.read(AccessLog::from_word)),
        shown: Some(|config| text(config.access_log.word())),
        reloads: false,
    },
    Setting {
        key: "log.access_path",
        about: "File of the access log, reopened on SIGUSR1; \"-\" = stdout.",
        set: |config, given| {
            let path = path(given)?;
            config.access_log_path = (path.as_os_str() != "-").then_some(path);
            Ok(())
        },
        shown: Some(|config| {
            let path = config.access_log_path.as_ref();
            text(path.map_or_else(|| "-".to_owned(), |path| path.display().to_string()))
        }),
        reloads: false,
    },
    Setting {
        key: "log.security",
        about: "Security events are always objects in the server's own log (target \"security\"). \
                \"nginx\": also lines of nginx's error log, for fail2ban.",
        set: |config, given| put(&mut config.guard.log, given.read(SecurityLog::from_word)),
        shown: Some(|config| text(config.guard.log.word())),
        reloads: false,
    },
    Setting {
        key: "log.security_path",
        about: "File of those lines, reopened on SIGUSR1; \"-\" = stderr.",
        set: |config, given| {
            let path = path(given)?;
            config.guard.log_path = (path.as_os_str() != "-").then_some(path);
            Ok(())
        },
        shown: Some(|config| {
            let path = config.guard.log_path.as_ref();
            text(path.map_or_else(|| "-".to_owned(), |path| path.display().to_string()))
        }),
        reloads: false,
    },
    Setting {
        key: "guard.allow",
        about: "Networks that are never banned, besides server.trusted_proxies: balancers, \
                monitoring, your office.",
        set: |config, given| put(&mut config.guard.allow, networks(given)),
        shown: Some(|config| shown_networks(&config.guard.allow)),
        reloads: false,
    },
    Setting {
        key: "guard.ban_after",
        about: "Different tokens that are none of ours, and paths of nobody, that one address may \
                come with in an hour; then whoever comes from there without a good token is \
                refused for guard.ban_for. 0 = never.",
        set: |config, given| put(&mut config.guard.ban_after, given.count(BAN_AFTER_MAX)),
        shown: Some(|config| number(config.guard.ban_after)),
        reloads: false,
    },
    Setting {
        key: "guard.ban_for",
        about: "How long that is.",
        set: |config, given| put(&mut config.guard.ban_for_ms, positive_ms(given)),
        shown: Some(|config| text(duration_text(config.guard.ban_for_ms))),
        reloads: false,
    },
    hook::URL,
    hook::SECRET_FILE,
    hook::CA_FILE,
    hook::DEADLINE,
    hook::CONCURRENT_MAX,
    hook::CACHE,
    hook::CACHE_REFUSED,
    hook::ON_FAILURE,
    hook::EVENTS,
    geo::COUNTRY,
    geo::ASN,
    geo::UNKNOWN,
    fetch::ALLOW,
    super::catalogue::EVERY,
    super::apps::START,
    app_answers::REFUSE,
    app_answers::MEMORY,
    slates::PATH,
    slates::LANGUAGES,
    slates::REASONS,
    guide::REFRESH,
    guide::DOWNLOAD_MAX,
    guide::UNPACKED_MAX,
    guide::NETWORKS,
    guide::FOLDER,
    Setting {
        key: "sessions.history",
        about: "How long sessions that are over are kept for `session history`. 0 = not at all.",
        set: |config, given| put(&mut config.sessions.history_ms, history_ms(given)),
        shown: Some(|config| text(duration_text(config.sessions.history_ms))),
        reloads: false,
    },
    Setting {
        key: "limits.connections",
        about: "Open connections of the machine; at the limit accepting pauses until clients \
                that were idle for 10 s are closed, or others have gone. 0 = what RLIMIT_NOFILE allows, less a reserve.",
        set: |config, given| put(&mut config.limits.connections, given.count(COUNT_MAX)),
        shown: Some(|config| number(config.limits.connections)),
        reloads: false,
    },
    Setting {
        key: "limits.connections_per_address",
        about: "Open connections of one client address, on one shard; at the limit a new one is \
                closed. 0 = off, since carrier NAT and balancers look like one address.",
        set: |config, given| {
            put(&mut config.limits.connections_per_address, given.count(COUNT_MAX))
        },
        shown: Some(|config| number(config.limits.connections_per_address)),
        reloads: true,
    },
    Setting {
        key: "limits.head_timeout",
        about: "Time for a whole request head, from its first byte; then 408.",
        set: |config, given| put(&mut config.limits.head_timeout_ms, positive_ms(given)),
        shown: Some(|config| text(duration_text(config.limits.head_timeout_ms))),
        reloads: true,
    },
    Setting {
        key: "limits.idle_timeout",
        about: "Time between two requests on one connection; then it is closed.",
        set: |config, given| put(&mut config.limits.idle_timeout_ms, positive_ms(given)),
        shown: Some(|config| text(duration_text(config.limits.idle_timeout_ms))),
        reloads: true,
    },
    Setting {
        key: "limits.send_rate_min",
        about: "Bytes a second that a client must take while it is sent to, over half a minute; \
                below it the connection is reset. 0 = off.",
        set: |config, given| put(&mut config.limits.send_rate_min, given.read_number_or_text(size)),
        shown: Some(|config| text(size_text(config.limits.send_rate_min))),
        reloads: true,
    },
    Setting {
        key: "limits.cache_memory",
        about: "Hot small bodies and packs on huge pages, all shards together; at the limit the \
                least recently used go. 0 = none.",
        set: |config, given| put(&mut config.limits.cache_memory, memory(given)),
        shown: Some(|config| text(size_text(config.limits.cache_memory as u64))),
        reloads: true,
    },
    Setting {
        key: "limits.open_sources",
        about: "Packs and large files open at once; at the limit the least recently used is \
                closed. 0 = what RLIMIT_NOFILE allows.",
        set: |config, given| put(&mut config.limits.open_sources, given.count(COUNT_MAX)),
        shown: Some(|config| number(config.limits.open_sources)),
        reloads: false,
    },
    Setting {
        key: "limits.folder_memory",
        about: "Small files of plain folders held in memory; at the limit the least recently used \
                go.",
        set: |config, given| {
            let bytes = memory(given)?;
            if bytes < 1024 * KIB {
                return Err(given.blame("is less than one such file may take (at least \"1MiB\")"));
            }
            config.limits.folder_memory = bytes;
            Ok(())
        },
        shown: Some(|config| text(size_text(config.limits.folder_memory as u64))),
        reloads: true,
    },
    Setting {
        key: "limits.index_memory",
        about: "Indexes of open packs, about 100 bytes an object; at the limit the packs least \
                recently used are closed.",
        set: |config, given| put(&mut config.limits.index_memory, memory(given)),
        shown: Some(|config| text(size_text(config.limits.index_memory as u64))),
        reloads: true,
    },
    Setting {
        key: "limits.huge_pages",
        about: "\"on\": packs of large bodies are brought onto huge pages, within half of \
                cache_memory; what is in memory already is dropped and read again, unless the disk \
                is slow. \"off\": never.",
        set: |config, given| {
            config.limits.huge_pages = given.read(values::switch)?;
            Ok(())
        },
        shown: Some(|config| text(if config.limits.huge_pages { "on" } else { "off" })),
        reloads: true,
    },
    Setting {
        key: "limits.scrub_rate",
        about: "Bytes a second at which packs are read in the background to check their payloads. \
                0 = never.",
        set: |config, given| put(&mut config.limits.scrub_rate, given.read_number_or_text(size)),
        shown: Some(|config| text(size_text(config.limits.scrub_rate))),
        reloads: true,
    },
    Setting {
        key: "limits.drain_timeout",
        about: "Time that running transfers may take after SIGTERM; then they are reset.",
        set: |config, given| put(&mut config.limits.drain_timeout_ms, bounded_ms(given)),
        shown: Some(|config| text(duration_text(config.limits.drain_timeout_ms))),
        reloads: true,
    },
    Setting {
        key: "limits.ingest_idle",
        about: "Time that an encoder may be silent in the middle of a request; then it hears 408, \
                and what was whole stays published.",
        set: |config, given| put(&mut config.limits.ingest_idle_ms, positive_ms(given)),
        shown: Some(|config| text(duration_text(config.limits.ingest_idle_ms))),
        reloads: true,
    },
    Setting {
        key: "limits.egress",
        about: "Bits a second that the machine sends, such as \"9Gbit\"; at the limit new sessions \
                get 503 with Retry-After, and those that are there go on. 0 = off.",
        set: |config, given| put(&mut config.limits.bandwidth.egress, egress(given)),
        shown: Some(|config| text(rate_text(config.limits.bandwidth.egress))),
        reloads: true,
    },
];

/// Most that a count can be set to: what a kernel may allow a process to open.
const COUNT_MAX: usize = 1 << 30;

pub(super) fn put<T>(place: &mut T, value: Result<T, Wrong>) -> Result<(), Wrong> {
    *place = value?;
    Ok(())
}

pub(super) fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

pub(super) fn number(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn networks(given: Given<'_>) -> Result<Vec<IpNet>, Wrong> {
    given.list()?.iter().map(|element| element.read(values::network)).collect()
}

pub(super) fn shown_networks(networks: &[IpNet]) -> Value {
    Value::Array(networks.iter().map(|network| text(network.to_string())).collect())
}

/// A path that is not empty.
pub(super) fn path(given: Given<'_>) -> Result<PathBuf, Wrong> {
    given.read(|text| match text {
        "" => Err("is empty (write a path)".to_owned()),
        text if text.contains('\0') => Err("has a NUL in it".to_owned()),
        text => Ok(PathBuf::from(text)),
    })
}

pub(super) fn bounded_ms(given: Given<'_>) -> Result<u64, Wrong> {
    match given.read_number_or_text(duration_ms)? {
        ms if ms <= DURATION_MS_MAX => Ok(ms),
        _ => Err(given.blame("is longer than a week (write at most \"7d\")")),
    }
}

fn history_ms(given: Given<'_>) -> Result<u64, Wrong> {
    let ms = given.read(duration_ms)?;
    if ms <= HISTORY_MS_MAX { Ok(ms) } else { Err(given.blame("is longer than ten years")) }
}

fn positive_ms(given: Given<'_>) -> Result<u64, Wrong> {
    match bounded_ms(given)? {
        0 => Err(given.blame("is 0, and nobody could be served in no time (write \"10s\")")),
        ms => Ok(ms),
    }
}

fn memory(given: Given<'_>) -> Result<usize, Wrong> {
    let bytes = given.read_number_or_text(size)?;
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= 1 << 46)
        .ok_or_else(|| given.blame("is more memory than any machine has"))
}

fn egress(given: Given<'_>) -> Result<u64, Wrong> {
    match given.read_number_or_text(values::rate)? {
        bits if bits == 0 || bits >= EGRESS_MIN => Ok(bits),
        _ => Err(given.blame("is less than one viewer takes (at least \"1Mbit\", or 0 for none)")),
    }
}

fn log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let good = text.split(',').all(|part| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        LEVELS.contains(&level.trim())
    });
    good.then(|| text.to_owned()).ok_or_else(|| {
        format!("{text:?} is no log level (write \"info\", or \"info,shardcast::library=debug\")")
    })
}

fn address_or_off(given: Given<'_>) -> Result<Option<SocketAddr>, Wrong> {
    given.read(|text| match text {
        "off" => Ok(None),
        text => values::address(text).map(Some),
    })
}

fn shown_address(address: Option<SocketAddr>) -> Value {
    text(address.map_or_else(|| "off".to_owned(), |address| address.to_string()))
}

fn set_listen(config: &mut Config, given: Given<'_>) -> Result<(), Wrong> {
    let listen: Vec<_> = given.list()?.into_iter().map(listen).collect::<Result<_, _>>()?;
    if listen.is_empty() {
        return Err(given.blame("is empty (write [\"[::]:8080\"])"));
    }
    config.listen = listen;
    Ok(())
}

/// One public address: its text, or a table.
fn listen(given: Given<'_>) -> Result<Listen, Wrong> {
    let Some(table) = given.table() else {
        let address = given.read(values::address)?;
        return Ok(Listen { address, backend: Backend::default() });
    };
    let (mut address, mut backend) = (None, Backend::default());
    for (key, value) in table {
        let value = Given::Toml(value);
        match key.get_ref().as_ref() {
            "address" => address = Some(value.read(values::address)?),
            "backend" => backend = value.read(Backend::from_word)?,
            other => {
                return Err(Wrong {
                    why: format!("{other:?} is not known here (write address and backend)"),
                    span: Some(key.span()),
                });
            }
        }
    }
    let address = address.ok_or_else(|| given.blame("has no address"))?;
    Ok(Listen { address, backend })
}

/// The files of a certificate: a table of both, or "off".
fn admin_tls(given: Given<'_>) -> Result<Option<AdminTls>, Wrong> {
    if given.read(|text| Ok(text == "off")) == Ok(true) {
        return Ok(None);
    }
    let table = given.table().ok_or_else(|| given.not_a_table())?;
    let (mut cert, mut key) = (None, None);
    for (name, value) in table {
        match name.get_ref().as_ref() {
            "cert" => cert = Some(path(Given::Toml(value))?),
            "key" => key = Some(path(Given::Toml(value))?),
            other => {
                let why = format!("{other:?} is not known here (write cert and key)");
                return Err(Wrong { why, span: Some(name.span()) });
            }
        }
    }
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(AdminTls { cert, key })),
        (None, _) => Err(given.blame("has no cert")),
        (_, None) => Err(given.blame("has no key")),
    }
}

fn shown_tls(tls: &AdminTls) -> Value {
    let mut table = toml::Table::new();
    for (name, path) in [("cert", &tls.cert), ("key", &tls.key)] {
        table.insert(name.to_owned(), text(path.display().to_string()));
    }
    Value::Table(table)
}

fn shown_listen(listen: &Listen) -> Value {
    let address = text(listen.address.to_string());
    if listen.backend == Backend::default() {
        return address;
    }
    let mut table = toml::Table::new();
    table.insert("address".to_owned(), address);
    table.insert("backend".to_owned(), text(listen.backend.word()));
    Value::Table(table)
}
