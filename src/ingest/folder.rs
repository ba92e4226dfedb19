//! A folder that an encoder of this machine writes: what it writes there is taken as if it had been
//! pushed under the same name, a segment also while it grows.
//!
//! A thread of the folder's own looks at the files (`files`), and hands over what is in them piece
//! by piece; here that is read as the body of a request is, one piece after the other.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use super::receive::{self, Outcome};
use super::{Live, transport};
use crate::config::sources::FOLDER_WAITING_SIZE_MAX;
use crate::config::{CHUNK_SIZE_MAX, PUSHED_TEXT_SIZE_MAX};
use crate::live::upload::{Kind, upload};

mod files;

use files::{Again, Piece};

/// How often it is looked whether the channel is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches the folders of a channel, if it has any.
pub fn begin(live: &Rc<Live>) {
    for (source, root) in live.of.sources.folders() {
        tokio::task::spawn_local(watch(root.clone(), source, Rc::downgrade(live)));
    }
}

/// Takes what is written in a folder until the channel is gone.
async fn watch(root: PathBuf, source: usize, live: Weak<Live>) {
    let shown = root.display().to_string();
    let (mut pieces, again) = match files::start(root) {
        Ok(started) => started,
        Err(error) => return tracing::error!(folder = shown, "it can't be watched: {error}"),
    };
    let mut folder = Folder { source, open: HashMap::new() };
    loop {
        let piece = tokio::time::timeout(LOOK_EVERY, next(&mut pieces)).await;
        let Some(live) = live.upgrade() else { return };
        match piece {
            Ok(Some(piece)) => folder.take(piece, &live, &again),
            Ok(None) => return tracing::error!(folder = shown, "it is not watched any more"),
            Err(_) => {}
        }
    }
}

/// The next piece, after others had their turn: a folder may have much to say at once.
async fn next(pieces: &mut Receiver<Piece>) -> Option<Piece> {
    tokio::task::yield_now().await;
    pieces.recv().await
}

/// Files of which pieces come.
struct Folder {
    source: usize,
    open: HashMap<String, Open>,
}

/// A file that is read as a body.
struct Open {
    intake: Intake,
    /// What was wrong.
    refused: Option<Outcome>,
}

enum Intake {
    Boxes(receive::Intake),
    Transport(transport::Intake),
    /// A playlist or a manifest, of this source and path.
    Text((usize, String), Kind, Vec<u8>),
}

impl Folder {
    fn take(&mut self, piece: Piece, live: &Rc<Live>, again: &Again) {
        let Piece { path, bytes, is_first, is_last, is_torn, series } = piece;
        let waiting: usize = self.open.values().map(|open| open.intake.waiting()).sum();
        if is_first {
            self.open.insert(path.clone(), Open::new(&path, self.source, live));
        }
        let Some(open) = self.open.get_mut(&path) else { return };
        if open.refused.is_none() {
            open.refused = open.intake.take(&bytes, waiting).err();
        }
        if open.refused.is_some() {
            series.refuse();
        }
        if !is_last {
            return;
        }
        let Some(open) = self.open.remove(&path) else { return };
        let torn = || Outcome::new(408, "its writer was silent for too long, or has removed it");
        let outcome = open.intake.finish(open.refused.or_else(|| is_torn.then(torn)), live);
        if outcome.status.is_success() {
            return;
        }
        // What was taken while it grew may have been changed behind us.
        if outcome.status.is_client_error() && !is_torn && series.grew() {
            return again.ask(path);
        }
        let channel = live.of.id.as_str();
        tracing::warn!(channel, path, "not taken: {}", outcome.why);
        let what = format!("{path}: not taken: {}", outcome.why);
        live.channel.borrow_mut().note(what, receive::now());
    }
}

impl Open {
    fn new(path: &str, source: usize, live: &Rc<Live>) -> Self {
        let upload = upload(path, None);
        let place = (source, path);
        let intake = match upload.kind {
            kind @ (Kind::Playlist | Kind::Manifest) => {
                Intake::Text((source, path.to_owned()), kind, Vec::new())
            }
            _ if upload.is_ts => Intake::Transport(transport::Intake::new(live, place, &upload)),
            _ => Intake::Boxes(receive::Intake::new(live, place, &upload)),
        };
        Self { intake, refused: None }
    }
}

impl Intake {
    /// Takes the next bytes, beside so many of all files that wait to be whole.
    fn take(&mut self, bytes: &[u8], waiting: usize) -> Result<(), Outcome> {
        match self {
            Self::Boxes(intake) => intake.take(bytes),
            Self::Transport(intake) => intake.take(Some(bytes)),
            Self::Text(.., text) if text.len() + bytes.len() > PUSHED_TEXT_SIZE_MAX => {
                Err(receive::text_too_long())
            }
            Self::Text(.., text) => {
                text.extend_from_slice(bytes);
                Ok(())
            }
        }?;
        if self.waiting() > CHUNK_SIZE_MAX || waiting + bytes.len() > FOLDER_WAITING_SIZE_MAX {
            return Err(Outcome::new(413, "a chunk is longer than is taken"));
        }
        Ok(())
    }

    /// Bytes that wait to be whole.
    fn waiting(&self) -> usize {
        match self {
            Self::Boxes(intake) => intake.waiting(),
            Self::Transport(intake) => intake.waiting(),
            Self::Text(.., text) => text.len(),
        }
    }

    fn finish(self, torn: Option<Outcome>, live: &Rc<Live>) -> Outcome {
        match self {
            Self::Boxes(intake) => intake.finish(torn, live),
            Self::Transport(intake) => intake.finish(torn, live).0,
            Self::Text((source, path), kind, text) => {
                if let Some(outcome) = torn {
                    return outcome;
                }
                let mut channel = live.channel.borrow_mut();
                channel.take_text((source, &path), kind, &text, receive::now());
                Outcome::new(200, "taken")
            }
        }
    }
}
