//! `shardcast subscriber`: what there is for every kind, and `explain`.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::password::{self, PasswordVerb};
use super::portal::{self, PortalVerb};
use super::{ObjectVerb, SubscriberFields, address, encoded, run_verb};
use crate::cli::Failure;
use crate::cli::admin_api::ServerArgs;
use crate::cli::terminal::{say, table, word};
use crate::units::UnixTime;

/// Arguments of `shardcast subscriber`.
#[derive(Debug, Args)]
pub struct SubscriberArgs {
    #[command(subcommand)]
    verb: SubscriberVerb,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "the arguments of a call, of which there is one")]
enum SubscriberVerb {
    #[command(flatten)]
    Object(ObjectVerb<SubscriberFields>),
    /// What a subscriber's apps sign in with
    #[command(subcommand)]
    Password(PasswordVerb),
    /// What a subscriber signs in to the portal with
    #[command(subcommand)]
    PortalPassword(PortalVerb),
    /// Say why one may watch something, or not: every check, up to the one that decides
    Explain {
        /// The subscriber
        id: String,
        /// What is to be watched: tv/news, or vod/films/a [default: whatever the plan holds]
        #[arg(long, value_name = "PATH")]
        content: Option<String>,
        /// From where [default: not looked at]
        #[arg(long, value_name = "IP")]
        from: Option<IpAddr>,
        /// What the player says of itself, its User-Agent [default: not looked at]
        #[arg(long, value_name = "TEXT")]
        agent: Option<String>,
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
pub fn run(args: &SubscriberArgs) -> Result<(), Failure> {
    match &args.verb {
        SubscriberVerb::Object(verb) => run_verb(verb),
        SubscriberVerb::Password(verb) => password::run(verb),
        SubscriberVerb::PortalPassword(verb) => portal::run(verb),
        SubscriberVerb::Explain { id, content, from, agent, server, json } => {
            let from = from.map(|from| from.to_string());
            let asked = [("content", content), ("from", &from), ("agent", agent)];
            let asked = asked
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_ref()?))));
            let query = asked.collect::<Vec<_>>().join("&");
            let path = format!("{}/explain?{query}", address::<SubscriberFields>(id));
            let explained = server.get(&path)?;
            say(&if *json { format!("{explained:#}\n") } else { text(&explained) })
        }
    }
}

fn text(explained: &Value) -> String {
    let checks = explained["checks"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = checks.iter().map(|check| {
        let passes = if check["passes"] == Value::Bool(true) { "yes" } else { "no" };
        vec![word(&check["check"]), passes.to_owned(), word(&check["says"])]
    });
    let verdict = match explained["reason"].as_str() {
        Some(_) => format!("refused: {}", word(&explained["reason"])),
        None => "allowed".to_owned(),
    };
    let checks = table(&["CHECK", "PASSES", "SAYS"], rows.collect());
    format!("{checks}{verdict}\n{}", refusals(&explained["refusals"]))
}

/// What was refused last, the newest first; nothing if that is nothing.
fn refusals(all: &Value) -> String {
    let all = all.as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return String::new();
    }
    let time = |value: &Value| value.as_u64().map(|at| UnixTime(at).iso()).unwrap_or_default();
    let rows = all.iter().map(|one| {
        let words = ["count", "reason", "path", "from"].map(|name| word(&one[name]));
        std::iter::once(time(&one["last"])).chain(words).collect()
    });
    format!("\n{}", table(&["REFUSED LAST", "TIMES", "REASON", "PATH", "FROM"], rows.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn checks_are_a_line_each_and_the_verdict_is_the_last() {
        let explained = json!({
            "id": "anna", "allowed": false, "reason": "subscriber-blocked", "deciding": "status",
            "checks": [{ "check": "status", "passes": false, "says": "blocked" }],
        });
        assert_eq!(
            text(&explained),
            "CHECK   PASSES  SAYS\nstatus  no      blocked\nrefused: subscriber-blocked\n"
        );
        let refused = json!([{
            "reason": "not-entitled", "path": "/tv/sport/ll.m3u8", "from": "192.0.2.7",
            "first": 1_800_000_000, "last": 1_800_000_060, "count": 3,
        }]);
        assert_eq!(
            refusals(&refused),
            "\nREFUSED LAST          TIMES  REASON        PATH               FROM\n\
             2027-01-15T08:01:00Z  3      not-entitled  /tv/sport/ll.m3u8  192.0.2.7\n"
        );
        let allowed = json!({ "allowed": true, "reason": null, "checks": [] });
        assert_eq!(text(&allowed), "CHECK  PASSES  SAYS\nallowed\n");
    }
}
