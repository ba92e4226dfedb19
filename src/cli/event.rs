//! `shardcast event`: what a running server has to say of its security.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::show;
use super::terminal::{moment, printable, say, table, word};

/// Arguments of `shardcast event`.
#[derive(Debug, Args)]
pub struct EventArgs {
    #[command(subcommand)]
    verb: EventVerb,
}

#[derive(Debug, Subcommand)]
enum EventVerb {
    /// List the newest since the server began: wrong credentials, floods, bans, shared tokens
    Ls {
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one
    Show {
        /// Its number, as `event ls` shows it
        id: u64,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses.
pub fn run(args: &EventArgs) -> Result<(), Failure> {
    match &args.verb {
        EventVerb::Ls { limit, server, json } => {
            let events = all(server, *limit)?;
            say(&if *json {
                events.iter().map(|of| format!("{of}\n")).collect()
            } else {
                list(&events)
            })
        }
        EventVerb::Show { id, server, json } => {
            show(&server.get(&format!("/api/v1/events/{id}"))?, *json)
        }
    }
}

/// As many pages as it takes.
fn all(server: &ServerArgs, most: usize) -> Result<Vec<Value>, Failure> {
    let (mut events, mut after) = (Vec::new(), 0);
    while events.len() < most {
        let limit = (most - events.len()).min(1000);
        let mut page = server.get(&format!("/api/v1/events?limit={limit}&after={after}"))?;
        if let Some(some) = page["events"].as_array_mut() {
            events.append(some);
        }
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    Ok(events)
}

fn list(events: &[Value]) -> String {
    let row = |of: &Value| {
        let details = of["details"].as_object().into_iter().flatten();
        let details = details.filter(|(_, value)| !value.is_null());
        let said = details.map(|(name, value)| format!("{}={}", printable(name), word(value)));
        let said = said.collect::<Vec<_>>().join(" ");
        vec![word(&of["id"]), moment(&of["at"]), word(&of["event"]), said]
    };
    table(&["EVENT", "AT", "WHAT", "DETAILS"], events.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_a_line_each() {
        let event = json!({
            "id": 7, "at": 1_800_000_000, "event": "flood",
            "details": { "client": "192.0.2.1", "times": 3, "account": null },
        });
        assert_eq!(
            list(&[event]),
            "EVENT  AT                    WHAT   DETAILS\n\
             7      2027-01-15T08:00:00Z  flood  client=192.0.2.1 times=3\n"
        );
    }
}
