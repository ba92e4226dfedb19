//! `shardcast session`: who watches what at a running server, and an end to it.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::encoded;
use super::terminal::{moment, printable, say, table, word};

/// Arguments of `shardcast session`.
#[derive(Debug, Args)]
pub struct SessionArgs {
    #[command(subcommand)]
    verb: SessionVerb,
}

#[derive(Debug, Subcommand)]
enum SessionVerb {
    /// List who watches what: one line for each subscriber, device and content
    Ls {
        /// Only those of this subscriber
        #[arg(long, value_name = "ID")]
        subscriber: Option<String>,
        /// Those that are over, the newest first
        #[arg(long)]
        past: bool,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// End one: what is watched there can't be watched there for a minute, everything else can
    Kick {
        /// Its id, as `session ls` shows it
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
pub fn run(args: &SessionArgs) -> Result<(), Failure> {
    match &args.verb {
        SessionVerb::Ls { subscriber, past, server, json } => {
            let sessions = all(server, subscriber.as_deref(), *past)?;
            if *json {
                return say(&sessions.iter().map(|of| format!("{of}\n")).collect::<String>());
            }
            say(&list(&sessions, *past))
        }
        SessionVerb::Kick { id, server } => {
            server.delete(&format!("/api/v1/sessions/{}", encoded(id)))?;
            say(&format!("{} is over\n", printable(id)))
        }
    }
}

/// All pages of them.
fn all(server: &ServerArgs, subscriber: Option<&str>, past: bool) -> Result<Vec<Value>, Failure> {
    let of = subscriber.map(|id| format!("&subscriber={}", encoded(id))).unwrap_or_default();
    let (mut sessions, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/sessions?past={past}&limit=1000&after={}{of}", encoded(&after));
        let mut page = server.get(&path)?;
        if let Some(some) = page["sessions"].as_array_mut() {
            sessions.append(some);
        }
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return Ok(sessions),
        }
    }
}

fn list(sessions: &[Value], past: bool) -> String {
    let rows = sessions.iter().map(|of| {
        let last = if past { &of["until"] } else { &of["seen"] };
        let mut row = vec![
            word(&of["id"]),
            word(&of["subscriber"]),
            word(&of["content"]),
            word(&of["from"]),
            place(of),
            moment(&of["since"]),
            moment(last),
        ];
        if past {
            row.push(word(&of["end"]));
        }
        row.push(word(&of["agent"]));
        row
    });
    let rows = rows.collect();
    if past {
        let heads = [
            "SESSION",
            "SUBSCRIBER",
            "CONTENT",
            "FROM",
            "WHERE",
            "SINCE",
            "UNTIL",
            "END",
            "PLAYER",
        ];
        return table(&heads, rows);
    }
    table(&["SESSION", "SUBSCRIBER", "CONTENT", "FROM", "WHERE", "SINCE", "SEEN", "PLAYER"], rows)
}

/// Country and network, as far as the server knows them.
fn place(of: &Value) -> String {
    let asn = of["asn"].as_u64().map(|asn| format!("AS{asn}"));
    let parts = of["country"].as_str().map(str::to_owned).into_iter().chain(asn);
    word(&parts.collect::<Vec<_>>().join(" ").into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sessions_are_a_line_each() {
        let session = json!({
            "id": "00000000000000ab", "subscriber": "anna", "content": "tv/news",
            "from": "192.0.2.1", "country": "NL", "asn": 64_496, "agent": "VLC\u{1b}[2J", "since": 1_800_000_000,
            "seen": 1_800_000_060,
        });
        assert_eq!(
            list(&[session], false),
            "SESSION           SUBSCRIBER  CONTENT  FROM       WHERE       SINCE                 SEEN                  PLAYER\n\
             00000000000000ab  anna        tv/news  192.0.2.1  NL AS64496  2027-01-15T08:00:00Z  2027-01-15T08:01:00Z  VLC[2J\n"
        );
    }
}
