//! The arguments that `serve` and `print-config` share: config file, flags, folders.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::load::Sources;

/// Read if neither --config nor a PATH is given.
pub const USUAL_FILE: &str = "/etc/shardcast/shardcast.toml";

/// Where the config comes from. Flags beat variables (SHARDCAST_SERVER_LISTEN), variables the file.
#[derive(Clone, Debug, Default, Args)]
pub struct SourceArgs {
    /// Config file [default: /etc/shardcast/shardcast.toml, if no PATH is given]
    #[arg(long, value_name = "FILE", env = "SHARDCAST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Packs and folders to serve; without a config file they are open to all
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Public address; may be given several times [default: port 8080 of every interface]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Vec<String>,
    /// Address of metrics and health, or "off" [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// Serving threads [default: 0, one for each CPU]
    #[arg(long, value_name = "COUNT")]
    pub shards: Option<String>,
    /// Folder of the server's own files [default: /var/lib/shardcast]
    #[arg(long, value_name = "DIR")]
    pub state: Option<String>,
    /// Who may watch: token or open
    #[arg(long, value_name = "WHO")]
    pub access: Option<String>,
    /// Access-Control-Allow-Origin [default: *]
    #[arg(long, value_name = "ORIGIN")]
    pub cors: Option<String>,
    /// Shape of the log on stderr: json or text [default: json]
    #[arg(long, value_name = "SHAPE")]
    pub log_format: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or module=level pairs [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Access log: off, combined or json [default: off]
    #[arg(long, value_name = "SHAPE")]
    pub access_log: Option<String>,
    /// File of the access log; "-" = stdout
    #[arg(long, value_name = "FILE")]
    pub access_log_path: Option<String>,
}

impl SourceArgs {
    /// These arguments, and the environment.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let listen = (!self.listen.is_empty()).then(|| self.listen.join(","));
        let flags = [
            ("--listen", "server.listen", &listen),
            ("--admin", "server.admin", &self.admin),
            ("--shards", "server.shards", &self.shards),
            ("--state", "server.state", &self.state),
            ("--access", "server.access", &self.access),
            ("--cors", "http.cors", &self.cors),
            ("--log-format", "log.format", &self.log_format),
            ("--log-level", "log.level", &self.log_level),
            ("--access-log", "log.access", &self.access_log),
            ("--access-log-path", "log.access_path", &self.access_log_path),
        ];
        let usual = Path::new(USUAL_FILE);
        let file = self
            .config
            .clone()
            .or_else(|| (self.paths.is_empty() && usual.exists()).then(|| usual.to_owned()));
        Sources {
            file,
            environment: Sources::variables_of_process(),
            flags: flags
                .into_iter()
                .filter_map(|(flag, key, text)| Some((flag, key, text.clone()?)))
                .collect(),
            paths: self.paths.clone(),
        }
    }
}
