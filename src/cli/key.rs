//! `shardcast key`: the keys that sign tokens of a running server.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::show;
use super::terminal::{moment, say, table, word};

/// Arguments of `shardcast key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    verb: KeyVerb,
}

#[derive(Debug, Subcommand)]
enum KeyVerb {
    /// List the live keys: the one that signs, and the one that did before it
    Ls {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one of them
    Show {
        /// Its number, as `key ls` shows it
        id: u64,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Sign with a new key from now on; what the one before the current one signed is void then
    Rotate {
        /// Also if tokens of that one may still be in use
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses.
pub fn run(args: &KeyArgs) -> Result<(), Failure> {
    let (answer, json) = match &args.verb {
        KeyVerb::Ls { server, json } => (server.get("/api/v1/keys")?, json),
        KeyVerb::Show { id, server, json } => {
            let mut answer = server.get("/api/v1/keys")?;
            let keys = answer["keys"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let key = keys.into_iter().find(|key| key["id"] == *id);
            let missing = || Failure::new(format!("key {id}"), "no live key has this number");
            return show(&key.ok_or_else(missing)?, *json);
        }
        KeyVerb::Rotate { force, server, json } => {
            (server.post("/api/v1/keys/rotate", &json!({ "force": force }))?, json)
        }
    };
    if *json {
        return say(&format!("{answer:#}\n"));
    }
    say(&list(&answer))
}

fn list(answer: &Value) -> String {
    let keys = answer["keys"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = keys.iter().map(|key| {
        vec![
            word(&key["id"]),
            word(&key["state"]),
            moment(&key["created"]),
            moment(&key["retired"]),
        ]
    });
    table(&["KEY", "STATE", "CREATED", "SIGNED UNTIL"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_a_line_each() {
        let answer = json!({ "keys": [
            { "id": 2, "state": "current", "created": 1_800_000_000 },
            { "id": 1, "state": "previous", "created": 1_700_000_000, "retired": 1_800_000_000 },
        ] });
        assert_eq!(
            list(&answer),
            "\
KEY  STATE     CREATED               SIGNED UNTIL
2    current   2027-01-15T08:00:00Z  -
1    previous  2023-11-14T22:13:20Z  2027-01-15T08:00:00Z
"
        );
    }
}
