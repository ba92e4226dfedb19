//! `shardcast subscriber password`: what a subscriber's apps sign in with.

use std::io::Read as _;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{SubscriberFields, address, encoded};
use crate::cli::Failure;
use crate::cli::admin_api::ServerArgs;
use crate::cli::terminal::{moment, say, table, word};
use crate::config::APP_PASSWORD_SIZE_MAX;

/// What can be done with app passwords.
#[derive(Debug, Subcommand)]
pub enum PasswordVerb {
    /// List them: which apps have one, since when
    Ls {
        /// The subscriber
        id: String,
        /// The passwords too, and which of them are weak
        #[arg(long)]
        reveal: bool,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Add one, and print it: a new one, or what is given
    Add {
        /// The subscriber
        id: String,
        /// Which app or device it is for
        #[arg(long, value_name = "TEXT", default_value = "app")]
        name: String,
        /// Read it from stdin, to its first line's end [default: one is made]
        #[arg(long)]
        stdin: bool,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of the password
        #[arg(long)]
        json: bool,
    },
    /// Remove one
    Rm {
        /// The subscriber
        id: String,
        /// Which app or device it is for
        #[arg(long, value_name = "TEXT", default_value = "app")]
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Say whether an app could sign in with what is read from stdin
    Check {
        /// The subscriber
        id: String,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a sentence
        #[arg(long)]
        json: bool,
    },
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses.
pub fn run(verb: &PasswordVerb) -> Result<(), Failure> {
    match verb {
        PasswordVerb::Ls { id, reveal, server, json } => {
            let all = server.get(&format!("{}?reveal={reveal}", of(id)))?;
            say(&if *json { format!("{all:#}\n") } else { list(&all, *reveal) })
        }
        PasswordVerb::Add { id, name, stdin, server, json } => {
            let mut wanted = Map::from_iter([("name".to_owned(), name.as_str().into())]);
            if *stdin {
                wanted.insert("password".to_owned(), typed()?.into());
            }
            let added = server.post(&of(id), &Value::Object(wanted))?;
            if let Some(why) = added["weak"].as_str() {
                crate::cli::terminal::warn(format!("it is kept, and weak: {why}"));
            }
            let password = added["password"].as_str().unwrap_or_default();
            say(&if *json { format!("{added:#}\n") } else { format!("{password}\n") })
        }
        PasswordVerb::Rm { id, name, server } => {
            server.delete(&format!("{}/{}", of(id), encoded(name)))
        }
        PasswordVerb::Check { id, server, json } => {
            let pair = json!({ "user": id, "password": typed()? });
            let checked = server.post("/api/v1/app-passwords/check", &pair)?;
            if *json {
                return say(&format!("{checked:#}\n"));
            }
            match checked["name"].as_str() {
                Some(_) => say(&format!("it is the one called {}\n", word(&checked["name"]))),
                None => say("it is none of them\n"),
            }
        }
    }
}

fn of(id: &str) -> String {
    format!("{}/app-passwords", address::<SubscriberFields>(id))
}

/// What stands on stdin's first line, as it is. Arguments are shown to everybody on the machine.
fn typed() -> Result<String, Failure> {
    let mut text = String::new();
    let longest = APP_PASSWORD_SIZE_MAX as u64 + 3;
    std::io::stdin()
        .lock()
        .take(longest)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new("read the password from stdin", error))?;
    Ok(text.split(['\r', '\n']).next().unwrap_or_default().to_owned())
}

fn list(all: &Value, reveal: bool) -> String {
    let all = all["passwords"].as_array().map_or(&[][..], Vec::as_slice);
    let row = |one: &Value| {
        let mut row = vec![word(&one["name"]), moment(&one["created"])];
        if reveal {
            row.extend([word(&one["password"]), word(&one["weak"])]);
        }
        row
    };
    let heads: &[&str] =
        if reveal { &["APP", "SINCE", "PASSWORD", "WEAK"] } else { &["APP", "SINCE"] };
    table(heads, all.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_shown_to_those_who_ask() {
        let all = json!({ "passwords": [
            { "name": "tv", "created": 1_800_000_000, "password": "12345", "weak": "it is short" },
        ] });
        assert_eq!(list(&all, false), "APP  SINCE\ntv   2027-01-15T08:00:00Z\n");
        assert_eq!(
            list(&all, true),
            "APP  SINCE                 PASSWORD  WEAK\ntv   2027-01-15T08:00:00Z  12345     it is short\n"
        );
    }
}
