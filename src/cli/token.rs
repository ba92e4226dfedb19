//! `shardcast token`: tokens for viewers of a running server.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Failure;
use super::admin_api::ServerArgs;
use super::terminal::{printable, say};
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
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses.
pub fn run(args: &TokenArgs) -> Result<(), Failure> {
    let TokenVerb::Mint { subscriber, scope, time, network, bitrate, server, json } = &args.verb;
    let wanted = json!({
        "subscriber": subscriber, "scope": scope, "seconds": time, "network": network,
        "bitrate_max_kbps": bitrate,
    });
    let made = server.post("/api/v1/tokens", &wanted)?;
    if *json {
        return say(&format!("{made:#}\n"));
    }
    say(&format!("{}\n", printable(made["token"].as_str().unwrap_or_default())))
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
}
