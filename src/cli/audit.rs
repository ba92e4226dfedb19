//! `shardcast audit`: who did what to the registry, and whether that can be believed.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::encoded;
use super::terminal::{moment, say, table, word};
use crate::config::values::duration_ms;
use crate::control::audit::Head;
use crate::control::registry::verified;
use crate::units::UnixTime;

/// Arguments of `shardcast audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    verb: AuditVerb,
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    /// List what was done, the oldest first
    Ls {
        /// Nothing that is older, as 24h, 2027-01-15 or 2027-01-15T08:00:00Z
        #[arg(long, value_name = "TIME", value_parser = past)]
        since: Option<u64>,
        /// Only what this one did: server, local:0 (the number of a user)
        #[arg(long, value_name = "WHO")]
        actor: Option<String>,
        /// Only so many, the newest ones
        #[arg(long, value_name = "COUNT", conflicts_with_all = ["since", "actor"])]
        last: Option<u64>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Look at all of it: nothing was changed, taken out or put in, and every object is as it says
    Verify {
        /// State folder of the server, which need not run [default: the one of the config]
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
        /// What the server wrote into its log, as 17:5f…: this entry must be there
        #[arg(long, value_name = "SEQ:MAC")]
        head: Option<Head>,
        /// Take what comes before this entry, with which a chain begins, as it is: its key is lost
        #[arg(long, value_name = "SEQ", default_value_t = 0, hide_default_value = true)]
        from: u64,
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
/// The server can't be asked, or refuses; or the log does not hold.
pub fn run(args: &AuditArgs) -> Result<(), Failure> {
    match &args.verb {
        AuditVerb::Ls { since, actor, last, server, json } => {
            let mut filter = since.map(|since| format!("&since={since}")).unwrap_or_default();
            if let Some(actor) = actor {
                filter += &format!("&actor={}", encoded(actor));
            }
            list(server, &filter, *last, *json)
        }
        AuditVerb::Verify { state, head, from, server, json } => {
            let state = state.clone().map_or_else(|| server.state_here("audit verify"), Ok)?;
            let verified = verified(&state, head.as_ref(), *from)
                .map_err(|error| Failure::new("verify the audit log", error))?;
            let (entries, objects) = (verified.head.sequence, verified.objects);
            let head = verified.head;
            if *json {
                let head = head.to_string();
                let told = json!({ "entries": entries, "objects": objects, "head": head });
                return say(&format!("{told:#}\n"));
            }
            say(&format!("{entries} entries, {objects} objects as they say, head {head}\n"))
        }
    }
}

/// Page by page: there may be more entries than fit into memory.
fn list(server: &ServerArgs, filter: &str, last: Option<u64>, json: bool) -> Result<(), Failure> {
    let mut after = match last {
        None => 0,
        Some(last) => {
            let page = server.get("/api/v1/audit?limit=1")?;
            let head = page["head"].as_str().and_then(|head| head.split(':').next()?.parse().ok());
            head.unwrap_or(0_u64).saturating_sub(last)
        }
    };
    let mut is_first = true;
    loop {
        let page = server.get(&format!("/api/v1/audit?limit=1000&after={after}{filter}"))?;
        let entries = page["entries"].as_array().map_or(&[][..], Vec::as_slice);
        if json {
            say(&entries.iter().map(|entry| format!("{entry}\n")).collect::<String>())?;
        } else if is_first || !entries.is_empty() {
            say(&lines(entries))?;
        }
        is_first = false;
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
}

/// Seconds since 1970 of a moment, or of so long ago.
fn past(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    if let Some(moment) = UnixTime::of_iso(text) {
        return Ok(moment.0);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match duration_ms(text) {
        Ok(ms) => Ok(now.saturating_sub(ms / 1000)),
        Err(_) => Err("write 24h, 2027-01-31, 2027-01-31T20:00:00Z or Unix seconds".to_owned()),
    }
}

fn lines(entries: &[Value]) -> String {
    let rows = entries.iter().map(|of| {
        let object = match of["id"].as_str() {
            Some("") | None => word(&of["kind"]),
            Some(_) => format!("{} {}", word(&of["kind"]), word(&of["id"])),
        };
        vec![
            word(&of["sequence"]),
            moment(&of["at"]),
            word(&of["actor"]),
            word(&of["peer"]),
            word(&of["deed"]),
            object,
            word(&of["revision"]),
            word(&of["details"]),
        ]
    });
    let heads = ["ENTRY", "TIME", "WHO", "FROM", "DID", "TO", "REVISION", "DETAILS"];
    table(&heads, rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_so_long_ago() {
        assert_eq!(past("2027-01-15T08:00:00Z"), Ok(1_800_000_000));
        assert_eq!(past("1800000000"), Ok(1_800_000_000));
        let hour = past("1h").unwrap();
        assert!((3600..3700).contains(&(past("0h").unwrap_or(hour + 3600) - hour)));
        assert!(past("yesterday").is_err());
    }

    #[test]
    fn entries_are_a_line_each() {
        let entries = [
            json!({
                "sequence": 1, "at": 1_800_000_000, "actor": "server", "peer": null,
                "deed": "begin", "kind": "audit", "id": "", "revision": 0, "details": null,
            }),
            json!({
                "sequence": 2, "at": 1_800_000_060, "actor": "local:0", "peer": "192.0.2.1",
                "deed": "change", "kind": "plan", "id": "gold\u{1b}[2J", "revision": 17,
                "details": { "fields": ["name"] },
            }),
        ];
        assert_eq!(
            lines(&entries),
            "\
ENTRY  TIME                  WHO      FROM       DID     TO            REVISION  DETAILS
1      2027-01-15T08:00:00Z  server   -          begin   audit         0         -
2      2027-01-15T08:01:00Z  local:0  192.0.2.1  change  plan gold[2J  17        {\"fields\":[\"name\"]}
"
        );
    }
}
