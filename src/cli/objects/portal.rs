//! `shardcast subscriber portal-password`: what a subscriber signs in to the portal with.

use clap::Subcommand;
use serde_json::json;

use super::{SubscriberFields, address};
use crate::cli::Failure;
use crate::cli::admin::{PasswordArgs, shown};
use crate::cli::admin_api::ServerArgs;
use crate::cli::terminal::{moment, say};

/// What can be done with a portal password.
#[derive(Debug, Subcommand)]
pub enum PortalVerb {
    /// Say whether there is one, and since when: what it is nobody can say
    Show {
        /// The subscriber
        id: String,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a sentence
        #[arg(long)]
        json: bool,
    },
    /// Give one, or another
    Set {
        /// The subscriber
        id: String,
        #[command(flatten)]
        password: PasswordArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take it away: nobody signs in to the portal with it any more
    Rm {
        /// The subscriber
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Say whether the subscriber could sign in with this
    Check {
        /// The subscriber
        id: String,
        #[command(flatten)]
        password: PasswordArgs,
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
pub fn run(verb: &PortalVerb) -> Result<(), Failure> {
    match verb {
        PortalVerb::Show { id, server, json } => {
            let told = server.get(&of(id))?;
            if *json {
                return say(&format!("{told:#}\n"));
            }
            match told["is_set"].as_bool() {
                Some(true) => say(&format!("it has one since {}\n", moment(&told["changed"]))),
                _ => say("it has none\n"),
            }
        }
        PortalVerb::Set { id, password, server } => {
            let (password, is_made) = password.read()?;
            server.put(&of(id), &json!({ "password": password }))?;
            shown(id, &password, is_made)
        }
        PortalVerb::Rm { id, server } => server.delete(&of(id)),
        PortalVerb::Check { id, password, server, json } => {
            let (password, is_made) = password.read()?;
            if is_made {
                let why = "it is to be read from somewhere: --password-file FILE, or -";
                return Err(Failure::new("check a password", why));
            }
            let pair = json!({ "user": id, "password": password });
            let told = server.post("/api/v1/portal-passwords/check", &pair)?;
            if *json {
                return say(&format!("{told:#}\n"));
            }
            say(if told["matches"] == true { "it is the one\n" } else { "it is not\n" })
        }
    }
}

fn of(id: &str) -> String {
    format!("{}/portal-password", address::<SubscriberFields>(id))
}
