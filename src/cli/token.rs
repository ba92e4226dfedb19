//! `shardcast token`: tokens for viewers of a running server.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::encoded;
use super::terminal::{moment, printable, say, table, word};
use crate::config::values::duration_ms;

/// Arguments of `shardcast token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    verb: TokenVerb,
}

#[derive(Debug, Subcommand)]
enum TokenVerb {
    /// Make a token, and print it: /s/TOKEN/tv/… is good for whoever has it
    Mint {
        /// The subscriber that it is for, who gets what the plan holds [default: nobody, who gets
        /// all that the scope holds]
        #[arg(long, value_name = "ID")]
        subscriber: Option<String>,
        /// Paths that it is good for, as /tv/news/* (again for more) [default: all of them]
        #[arg(long, value_name = "PATTERN")]
        scope: Vec<String>,
        /// How long it is good, a day at most
        #[arg(long = "for", value_name = "TIME", default_value = "24h", value_parser = seconds)]
        time: u64,
        /// Network or address that it may be used from
        #[arg(long, value_name = "NETWORK")]
        network: Option<String>,
        /// Most that a rendition may take, in kilobits a second [default: what the plan says]
        #[arg(long, value_name = "KBPS")]
        bitrate: Option<u32>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document, which also says when it expires
        #[arg(long)]
        json: bool,
    },
    /// Revoke one: within a second it is refused everywhere, what is sent by it ends, and so it is
    /// with every token of the same device
    Revoke {
        /// The token; or its device, as `session ls` shows it; or with --section what tokens of
        /// others name as their session
        #[arg(value_name = "TOKEN|DEVICE|SESSION")]
        token: String,
        /// Name of the `[[token]]` of the config that tokens of others come by
        #[arg(long, value_name = "NAME")]
        section: Option<String>,
        /// How long at least [default: until it expires; of others, 30 days, and until they expire
        /// if they are shown meanwhile]
        #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
        time: Option<u64>,
        /// Why, for people
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a line
        #[arg(long)]
        json: bool,
    },
    /// List what is revoked
    Revoked {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Take a revocation back
    Lift {
        /// As `token revoked` shows it
        device: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses.
pub fn run(args: &TokenArgs) -> Result<(), Failure> {
    match &args.verb {
        TokenVerb::Mint { subscriber, scope, time, network, bitrate, server, json } => {
            let (seconds, json) = (time, *json);
            let wanted = json!({
                "subscriber": subscriber, "scope": scope, "seconds": seconds, "network": network,
                "bitrate_max_kbps": bitrate,
            });
            let made = server.post("/api/v1/tokens", &wanted)?;
            if json {
                return say(&format!("{made:#}\n"));
            }
            say(&format!("{}\n", printable(made["token"].as_str().unwrap_or_default())))
        }
        TokenVerb::Revoke { token, section, time, reason, server, json } => {
            let mut wanted = named(token, section.as_deref());
            wanted["seconds"] = json!(time);
            wanted["reason"] = json!(reason);
            let made = server.post("/api/v1/tokens/revoke", &wanted)?;
            if *json {
                return say(&format!("{made:#}\n"));
            }
            let (session, until) = (word(&made["session"]), moment(&made["until"]));
            say(&format!("{session} is revoked until {until}\n"))
        }
        TokenVerb::Revoked { server, json } => {
            let all = revoked(server)?;
            if *json {
                return say(&all.iter().map(|of| format!("{of}\n")).collect::<String>());
            }
            let row = |of: &Value| vec![word(&of["id"]), moment(&of["until"]), word(&of["reason"])];
            say(&table(&["DEVICE", "UNTIL", "REASON"], all.iter().map(row).collect()))
        }
        TokenVerb::Lift { device, server } => {
            server.delete(&format!("/api/v1/revocations/{}", encoded(device)))?;
            say(&format!("{} is not revoked any more\n", printable(device)))
        }
    }
}

/// What is to be revoked: tokens of ours are longer than what names their device.
fn named(text: &str, section: Option<&str>) -> Value {
    match section {
        Some(section) => json!({ "section": section, "claim": text }),
        None if text.len() == 16 => json!({ "session": text }),
        None => {
            // Whoever has the address has the token.
            let token = text.split_once("/s/").map_or(text, |(_, rest)| rest);
            json!({ "token": token.split('/').next().unwrap_or_default() })
        }
    }
}

/// All pages of them.
fn revoked(server: &ServerArgs) -> Result<Vec<Value>, Failure> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/revocations?limit=1000&after={}", encoded(&after));
        let mut page = server.get(&path)?;
        if let Some(some) = page["revocations"].as_array_mut() {
            all.append(some);
        }
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return Ok(all),
        }
    }
}

/// Seconds of "6h".
fn seconds(text: &str) -> Result<u64, String> {
    let ms = duration_ms(text)?;
    if ms > 0 && ms.is_multiple_of(1000) {
        Ok(ms / 1000)
    } else {
        Err("write \"6h\" or \"90s\"".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_whole_seconds() {
        assert_eq!(seconds("6h"), Ok(21_600));
        assert_eq!(seconds("1.5min"), Ok(90));
        for wrong in ["0", "1ms", "1500ms", "soon", "6"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_revoked_is_a_token_an_address_a_device_or_what_others_name() {
        let token = "A".repeat(46);
        for (text, section, expected) in [
            (&*token, None, json!({ "token": token })),
            (&format!("https://tv/s/{token}/tv/news"), None, json!({ "token": token })),
            ("00000000000000ab", None, json!({ "session": "00000000000000ab" })),
            (
                "00000000000000ab",
                Some("members"),
                json!({ "section": "members", "claim": "00000000000000ab" }),
            ),
        ] {
            assert_eq!(named(text, section), expected);
        }
    }
}
