//! `check-config`: everything that is wrong with a file, a line each.

use std::path::PathBuf;

use clap::Args;

use super::terminal::{say, warn};
use super::{Failure, slates};
use crate::config::file::{Complaint, Draft};
use crate::config::load::Sources;
use crate::control::outside::Outside;
use crate::library;

/// Arguments of `check-config`.
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// The config file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Prints `FILE:LINE: KEY: WHY` for each thing that is wrong.
pub fn run(args: &CheckConfigArgs) -> Result<(), Failure> {
    // The environment of whoever checks is not that of the server: the file stands for itself.
    let sources = Sources { file: Some(args.file.clone()), ..Sources::default() };
    let mut draft = sources.read();
    look_at_libraries(&mut draft);
    look_outside(&mut draft);
    look_at_slates(&mut draft);
    for error in &draft.errors {
        warn(error);
    }
    for warning in &draft.warnings {
        warn(format_args!("{warning} (a warning)"));
    }
    let file = args.file.display();
    match draft.errors.len() {
        0 => say(&format!("{file}: good\n")),
        1 => Err(Failure::new(file.to_string(), "1 error").remedy("see the line above")),
        count => Err(Failure::new(file.to_string(), format_args!("{count} errors"))
            .remedy("see the lines above")),
    }
}

/// Secrets, certificates and MMDB files, without which a server does not start.
fn look_outside(draft: &mut Draft) {
    let Err(wrong) = Outside::open(&draft.config.outside) else { return };
    for (key, why) in wrong {
        let place = draft.places.get(key).cloned().unwrap_or_default();
        draft.errors.push(Complaint { place, key: key.to_owned(), why });
    }
}

/// The server does not start without a slate that it shall have.
fn look_at_slates(draft: &mut Draft) {
    if let Err(wrong) = library::slates::look(&draft.config.slates) {
        let place = draft.places.get("slates.path").cloned().unwrap_or_default();
        let remedy =
            if wrong.is_missing { format!(" ({})", slates::REMEDY) } else { String::new() };
        let why = format!("{}: {}{remedy}", wrong.path.display(), wrong.why);
        draft.errors.push(Complaint { place, key: "slates.path".to_owned(), why });
    }
}

/// A library that is not there may be mounted later, so it is only worth a warning.
fn look_at_libraries(draft: &mut Draft) {
    for (library, place) in draft.config.libraries.iter().zip(&draft.library_places) {
        if let Err(error) = std::fs::metadata(&library.path) {
            draft.warnings.push(Complaint {
                place: place.clone(),
                key: "library.path".to_owned(),
                why: format!("{}: {error}", library.path.display()),
            });
        }
    }
}
