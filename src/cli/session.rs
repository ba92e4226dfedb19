//! `shardcast session`: who watches what at a running server, and an end to it.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::moment as at;
use super::objects::{encoded, show};
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
    /// Show one that goes on
    Show {
        /// Its id, as `session ls` shows it
        id: String,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// List those that are over and kept (sessions.history), those that ended last first
    History {
        /// Only those of this subscriber
        #[arg(long, value_name = "ID")]
        subscriber: Option<String>,
        /// None that ended before: 2027-01-31T20:00:00Z or Unix seconds
        #[arg(long, value_name = "TIME", value_parser = at)]
        since: Option<u64>,
        /// None that ended then or later
        #[arg(long, value_name = "TIME", value_parser = at)]
        until: Option<u64>,
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 1000)]
        limit: usize,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// List whose token was used in several networks at once, the newest first
    Sharing {
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
            let query = format!("past={past}{}", of(subscriber.as_deref()));
            let most = if *past { PAST_MAX } else { usize::MAX };
            told(&all(server, &query, most)?, *past, *json)
        }
        SessionVerb::Show { id, server, json } => {
            let session = server.get(&format!("/api/v1/sessions/{}", encoded(id)))?;
            show(&session, *json)
        }
        SessionVerb::History { subscriber, since, until, limit, server, json } => {
            let mut query = format!("past=true{}", of(subscriber.as_deref()));
            for (name, at) in [("since", since), ("until", until)] {
                if let Some(at) = at {
                    query += &format!("&{name}={at}");
                }
            }
            told(&all(server, &query, *limit)?, true, *json)
        }
        SessionVerb::Sharing { server, json } => {
            let mut told = server.get("/api/v1/sessions/sharing")?;
            let all = told["sharing"].as_array_mut().map(std::mem::take).unwrap_or_default();
            if *json {
                return say(&lines(&all));
            }
            let row = |of: &Value| {
                let words =
                    ["subscriber", "device", "from", "elsewhere"].map(|name| word(&of[name]));
                let times = [moment(&of["first"]), moment(&of["last"]), word(&of["times"])];
                words.into_iter().chain(times).collect()
            };
            let heads = ["SUBSCRIBER", "DEVICE", "FROM", "ELSEWHERE", "FIRST", "LAST", "TIMES"];
            say(&table(&heads, all.iter().map(row).collect()))
        }
        SessionVerb::Kick { id, server } => {
            server.delete(&format!("/api/v1/sessions/{}", encoded(id)))?;
            say(&format!("{} is over\n", printable(id)))
        }
    }
}

/// Of those that are over, `ls` lists so many.
const PAST_MAX: usize = 1000;

fn of(subscriber: Option<&str>) -> String {
    subscriber.map(|id| format!("&subscriber={}", encoded(id))).unwrap_or_default()
}

fn lines(all: &[Value]) -> String {
    all.iter().map(|of| format!("{of}\n")).collect()
}

fn told(sessions: &[Value], past: bool, json: bool) -> Result<(), Failure> {
    say(&if json { lines(sessions) } else { list(sessions, past) })
}

/// As many pages of them as it takes.
fn all(server: &ServerArgs, query: &str, most: usize) -> Result<Vec<Value>, Failure> {
    let (mut sessions, mut after) = (Vec::new(), String::new());
    loop {
        let limit = (most - sessions.len()).min(1000);
        let path = format!("/api/v1/sessions?{query}&limit={limit}&after={}", encoded(&after));
        let mut page = server.get(&path)?;
        if let Some(some) = page["sessions"].as_array_mut() {
            sessions.append(some);
        }
        match page["next"].as_str() {
            Some(next) if sessions.len() < most => after = next.to_owned(),
            _ => return Ok(sessions),
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
            word(&of["device"]),
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
    let heads = ["SESSION", "SUBSCRIBER", "CONTENT", "DEVICE", "FROM", "WHERE"];
    if past {
        let ends = ["SINCE", "UNTIL", "END", "PLAYER"];
        return table(&[&heads[..], &ends[..]].concat(), rows);
    }
    table(&[&heads[..], &["SINCE", "SEEN", "PLAYER"]].concat(), rows)
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
            "device": "00000000000000cd", "from": "192.0.2.1", "country": "NL", "asn": 64_496,
            "agent": "VLC\u{1b}[2J", "since": 1_800_000_000,
            "seen": 1_800_000_060,
        });
        assert_eq!(
            list(&[session], false),
            "SESSION           SUBSCRIBER  CONTENT  DEVICE            FROM       WHERE       SINCE                 SEEN                  PLAYER\n\
             00000000000000ab  anna        tv/news  00000000000000cd  192.0.2.1  NL AS64496  2027-01-15T08:00:00Z  2027-01-15T08:01:00Z  VLC[2J\n"
        );
    }
}
