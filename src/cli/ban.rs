//! `shardcast ban`: who is kept out of a running server.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::moment as at;
use super::objects::{encoded, show};
use super::terminal::{moment, say, table, word};
use crate::guard::networks::plain;

/// Arguments of `shardcast ban`.
#[derive(Debug, Args)]
pub struct BanArgs {
    #[command(subcommand)]
    verb: BanVerb,
}

#[derive(Debug, Subcommand)]
enum BanVerb {
    /// List who is banned: by hand (no connection is taken) or automatically (whoever has no good
    /// token is refused)
    Ls {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one
    Show {
        /// As `ban ls` shows it
        #[arg(value_parser = network)]
        network: IpNet,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Ban a network: its connections are closed within a second, and no more are taken
    Add {
        /// 192.0.2.0/24, 2001:db8::/32 or one address
        #[arg(value_parser = network)]
        network: IpNet,
        /// How long [default: until it is lifted]
        #[arg(long = "for", value_name = "TIME", value_parser = at)]
        until: Option<u64>,
        /// Why, for people
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a line
        #[arg(long)]
        json: bool,
    },
    /// Change until when a ban holds, or why; who made it stays
    Set {
        /// As `ban ls` shows it
        #[arg(value_parser = network)]
        network: IpNet,
        /// How long from now
        #[arg(long = "for", value_name = "TIME", value_parser = at, conflicts_with = "forever")]
        until: Option<u64>,
        /// Until it is lifted
        #[arg(long)]
        forever: bool,
        /// Why, for people
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Lift a ban, whoever made it
    Rm {
        /// As `ban ls` shows it
        #[arg(value_parser = network)]
        network: IpNet,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses.
pub fn run(args: &BanArgs) -> Result<(), Failure> {
    match &args.verb {
        BanVerb::Ls { server, json } => {
            let bans = all(server)?;
            if *json {
                return say(&bans.iter().map(|of| format!("{of}\n")).collect::<String>());
            }
            say(&list(&bans))
        }
        BanVerb::Show { network, server, json } => show(&server.get(&address(*network))?, *json),
        BanVerb::Set { network, until, forever, reason, server, json } => {
            let mut changes = Map::new();
            changes.extend(until.map(|until| ("until".to_owned(), until.into())));
            changes.extend(forever.then(|| ("until".to_owned(), Value::Null)));
            changes.extend(reason.iter().map(|why| ("reason".to_owned(), why.as_str().into())));
            if changes.is_empty() {
                return Err(Failure::new(format!("set {network}"), "nothing is to be changed"));
            }
            show(&server.patch(&address(*network), &Value::Object(changes))?, *json)
        }
        BanVerb::Add { network, until, reason, server, json } => {
            let wanted = json!({ "until": until, "reason": reason, "made": "hand" });
            let made = server.put(&address(*network), &wanted)?;
            if *json {
                return say(&format!("{made:#}\n"));
            }
            say(&format!("{network} is banned\n"))
        }
        BanVerb::Rm { network, server } => {
            server.delete(&address(*network))?;
            say(&format!("{network} is not banned any more\n"))
        }
    }
}

/// A network as it is kept.
fn network(text: &str) -> Result<IpNet, String> {
    let one = |_| text.parse::<IpAddr>().map(IpNet::from);
    let read = text.parse::<IpNet>().or_else(one);
    read.map(plain).map_err(|_| "write 192.0.2.0/24, 2001:db8::/32 or one address".to_owned())
}

fn address(network: IpNet) -> String {
    format!("/api/v1/bans/{}", encoded(&network.to_string()))
}

/// All pages of them.
fn all(server: &ServerArgs) -> Result<Vec<Value>, Failure> {
    let (mut bans, mut after) = (Vec::new(), String::new());
    loop {
        let mut page = server.get(&format!("/api/v1/bans?limit=1000&after={}", encoded(&after)))?;
        if let Some(some) = page["bans"].as_array_mut() {
            bans.append(some);
        }
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return Ok(bans),
        }
    }
}

fn list(bans: &[Value]) -> String {
    let row = |of: &Value| {
        vec![word(&of["id"]), word(&of["made"]), moment(&of["until"]), word(&of["reason"])]
    };
    table(&["NETWORK", "MADE BY", "UNTIL", "REASON"], bans.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_in_one_way_and_is_one_element_of_an_address() {
        for (text, expected) in [
            ("192.0.2.7", "/api/v1/bans/192.0.2.7%2F32"),
            ("192.0.2.7/24", "/api/v1/bans/192.0.2.0%2F24"),
            ("2001:db8::1/32", "/api/v1/bans/2001%3Adb8%3A%3A%2F32"),
            ("::ffff:192.0.2.0/120", "/api/v1/bans/192.0.2.0%2F24"),
        ] {
            assert_eq!(address(network(text).unwrap()), expected, "{text}");
        }
        assert!(network("tv.example.org").is_err() && network("192.0.2.0/33").is_err());
    }

    #[test]
    fn bans_are_a_line_each() {
        let ban = json!({
            "id": "192.0.2.0/24", "until": 1_800_000_000, "made": "hand", "reason": "a\u{1b}[2Jb"
        });
        assert_eq!(
            list(&[ban]),
            "NETWORK       MADE BY  UNTIL                 REASON\n\
             192.0.2.0/24  hand     2027-01-15T08:00:00Z  a[2Jb\n"
        );
    }
}
