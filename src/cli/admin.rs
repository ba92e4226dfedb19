//! `shardcast admin`: who administers a running server over the network, and with which keys.

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::{self, encoded};
use super::terminal::{moment, printable, say, table, word};

/// Arguments of `shardcast admin`.
#[derive(Debug, Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    verb: AdminVerb,
}

#[derive(Debug, Subcommand)]
enum AdminVerb {
    /// List all
    Ls {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one
    Show {
        /// Its name
        id: String,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Add one
    Add {
        /// The name to sign in with
        id: String,
        /// What for: owner, operator, support, viewer or ingest
        #[arg(long)]
        role: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a line; a password that was made is its "password"
        #[arg(long)]
        json: bool,
    },
    /// Change the role, or whether one may sign in; who may not is out at once
    Set {
        /// Its name
        id: String,
        /// What for: owner, operator, support, viewer or ingest
        #[arg(long)]
        role: Option<String>,
        /// Whether it may sign in: true or false
        #[arg(long, value_name = "BOOL")]
        enabled: Option<bool>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Give another password; who is signed in by the old one is out
    Password {
        /// Its name
        id: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take the second factor away, when the device is lost and no recovery code is left
    ResetFactor {
        /// Its name
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Remove one, who is out at once
    Rm {
        /// Its name
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Keys of the API, for programs
    #[command(subcommand)]
    Key(KeyVerb),
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// File with the password in its first line, or "-" for stdin [default: one is made, and shown]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum KeyVerb {
    /// List all, without what is secret
    Ls {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Make one; it is shown this once, and goes into SHARDCAST_API_KEY of whoever uses it
    Add {
        /// Its id
        id: String,
        /// What it may (again for more): channels:read, read, subscribers:write, content:write,
        /// sessions:write, tokens:mint, keys:write or admin
        #[arg(long, required = true)]
        scope: Vec<String>,
        /// What it is for
        #[arg(long)]
        name: Option<String>,
        /// Until when it is good: 30d, 2027-01-31, 2027-01-31T20:00:00Z or Unix seconds
        #[arg(long, value_name = "TIME", value_parser = objects::moment)]
        expires: Option<u64>,
        /// Where it may be used from (again for more) [default: anywhere]
        #[arg(long, value_name = "NETWORK")]
        network: Vec<String>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of the key alone
        #[arg(long)]
        json: bool,
    },
    /// Remove one, which is good for nothing from then on
    Rm {
        /// Its id
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses.
pub fn run(args: &AdminArgs) -> Result<(), Failure> {
    let at = |id: &str, more: &str| format!("/api/v1/admins/{}{more}", encoded(id));
    match &args.verb {
        AdminVerb::Ls { server, json } => {
            list(&server.get("/api/v1/admins")?["admins"], *json, ADMINS)
        }
        AdminVerb::Show { id, server, json } => objects::show(&server.get(&at(id, ""))?, *json),
        AdminVerb::Add { id, role, password, server, json } => {
            let (password, is_made) = password.read()?;
            let new = json!({ "id": id, "role": role, "password": password });
            let mut admin = server.post("/api/v1/admins", &new)?;
            if !json {
                return shown(id, &password, is_made);
            }
            if is_made {
                admin["password"] = password.into();
            }
            objects::show(&admin, true)
        }
        AdminVerb::Set { id, role, enabled, server, json } => {
            let mut changes = Map::new();
            changes.extend(role.iter().map(|role| ("role".to_owned(), role.as_str().into())));
            changes.extend(enabled.iter().map(|is| ("enabled".to_owned(), (*is).into())));
            if changes.is_empty() {
                return Err(Failure::new(format!("set {id}"), "nothing is to be changed"));
            }
            let admin = server.patch(&at(id, ""), &Value::Object(changes))?;
            if *json { objects::show(&admin, true) } else { list(&json!([admin]), false, ADMINS) }
        }
        AdminVerb::Password { id, password, server } => {
            let (password, is_made) = password.read()?;
            server.post(&at(id, "/password"), &json!({ "password": password }))?;
            shown(id, &password, is_made)
        }
        AdminVerb::ResetFactor { id, server } => server.delete(&at(id, "/factor")),
        AdminVerb::Rm { id, server } => server.delete(&at(id, "")),
        AdminVerb::Key(verb) => run_key(verb),
    }
}

fn run_key(verb: &KeyVerb) -> Result<(), Failure> {
    match verb {
        KeyVerb::Ls { server, json } => {
            list(&server.get("/api/v1/api-keys")?["api-keys"], *json, KEYS)
        }
        KeyVerb::Add { id, scope, name, expires, network, server, json } => {
            let name = name.as_deref().unwrap_or_default();
            let mut new = json!({ "id": id, "scopes": scope, "name": name, "networks": network });
            if let Some(expires) = expires {
                new["expires"] = (*expires).into();
            }
            let made = server.post("/api/v1/api-keys", &new)?;
            say(&if *json { format!("{made:#}\n") } else { format!("{}\n", word(&made["key"])) })
        }
        KeyVerb::Rm { id, server } => server.delete(&format!("/api/v1/api-keys/{}", encoded(id))),
    }
}

impl PasswordArgs {
    /// The password, and whether it was made here.
    ///
    /// # Errors
    ///
    /// The file can't be read, or none can be made.
    pub fn read(&self) -> Result<(String, bool), Failure> {
        let Some(path) = &self.password_file else { return Ok((made()?, true)) };
        let failed = |error| Failure::new(format!("read {}", path.display()), error);
        let mut text = String::new();
        if path.as_os_str() == "-" {
            std::io::stdin().lock().take(SIZE_MAX).read_to_string(&mut text).map_err(failed)?;
        } else {
            let file = std::fs::File::open(path).map_err(failed)?;
            file.take(SIZE_MAX).read_to_string(&mut text).map_err(failed)?;
        }
        // Exactly as it stands there, but for the end of its line.
        let line = text.split('\n').next().unwrap_or_default();
        Ok((line.strip_suffix('\r').unwrap_or(line).to_owned(), false))
    }
}

/// Longest password that is read, in bytes; the server takes fewer.
const SIZE_MAX: u64 = 4096;

/// A password of 100 bits that can be typed: without what looks alike.
fn made() -> Result<String, Failure> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut drawn = [0_u8; 20];
    getrandom::fill(&mut drawn).map_err(|error| Failure::new("make a password", error))?;
    let characters = drawn.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let groups = characters.chunks(5).map(|group| group.iter().collect::<String>());
    Ok(groups.collect::<Vec<_>>().join("-"))
}

/// Says whose password was set, and what it is if it was made here.
///
/// # Errors
///
/// It can't be written.
pub fn shown(id: &str, password: &str, is_made: bool) -> Result<(), Failure> {
    let id = printable(id);
    if is_made { say(&format!("{id}  {password}\n")) } else { say(&format!("{id}\n")) }
}

/// Columns of a list: their heads, and the fields that stand in them.
type Columns = &'static [(&'static str, &'static str)];

const ADMINS: Columns = &[
    ("ADMIN", "id"),
    ("ROLE", "role"),
    ("ENABLED", "enabled"),
    ("FACTOR", "factor"),
    ("RECOVERY CODES", "recovery_codes"),
    ("CREATED", "created"),
];

const KEYS: Columns = &[
    ("KEY", "id"),
    ("SCOPES", "scopes"),
    ("EXPIRES", "expires"),
    ("NETWORKS", "networks"),
    ("CREATED", "created"),
    ("BY", "made_by"),
    ("NAME", "name"),
];

fn list(all: &Value, json: bool, columns: Columns) -> Result<(), Failure> {
    let all = all.as_array().map_or(&[][..], Vec::as_slice);
    if json {
        return say(&all.iter().map(|one| format!("{one}\n")).collect::<String>());
    }
    say(&text(all, columns))
}

fn text(all: &[Value], columns: Columns) -> String {
    let cell = |field: &str, value: &Value| match (field, value) {
        ("created" | "expires", value) => moment(value),
        (_, Value::Array(some)) if some.is_empty() => "-".to_owned(),
        (_, Value::Array(some)) => some.iter().map(word).collect::<Vec<_>>().join(","),
        (_, Value::Bool(is)) => if *is { "yes" } else { "no" }.to_owned(),
        (_, value) => word(value),
    };
    let row = |one: &Value| columns.iter().map(|(_, field)| cell(field, &one[*field])).collect();
    let heads: Vec<_> = columns.iter().map(|(head, _)| *head).collect();
    table(&heads, all.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administrators_and_keys_are_a_line_each() {
        let admin = json!({
            "id": "anna", "role": "owner", "enabled": true, "factor": false, "recovery_codes": 0,
            "created": 1_800_000_000,
        });
        assert_eq!(
            text(&[admin], ADMINS),
            "ADMIN  ROLE   ENABLED  FACTOR  RECOVERY CODES  CREATED\n\
             anna   owner  yes      no      0               2027-01-15T08:00:00Z\n"
        );
        let key = json!({
            "id": "billing", "scopes": ["read", "tokens:mint"], "expires": null, "networks": [],
            "created": 1_800_000_000, "made_by": "local:0", "name": "\u{1b}[2J",
        });
        assert_eq!(
            text(&[key], KEYS),
            "KEY      SCOPES            EXPIRES  NETWORKS  CREATED               BY       NAME\n\
             billing  read,tokens:mint  -        -         2027-01-15T08:00:00Z  local:0  [2J\n"
        );
    }

    #[test]
    fn a_password_that_is_made_is_long() {
        let (one, other) = (made().unwrap(), made().unwrap());
        assert!(one.len() == 23 && one != other, "{one}");
    }
}
