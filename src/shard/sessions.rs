//! Sessions of viewers: what is asked of control, what control says, and who may go on then.

use super::kernel::Kernel;
use super::{SessionNews, Shard};
use crate::catalog::Effect;
use crate::messages::mail::Inbox;
use crate::request::locate::Place;
use crate::request::plan::Plan;
use crate::viewer::SessionId;
use crate::viewer::leases::Verdict;

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Tells control of sessions, and lets those in of which it did not speak in time.
    pub(super) fn tend_leases(&mut self) {
        let (now, shard) = (self.now.ticks, self.settings.number);
        let to = self.outside.sessions.as_ref();
        self.known.leases.tell(now, |news| {
            let Some(to) = to else { return Ok(()) };
            to.try_send(SessionNews { shard, news }).map_err(|error| unsent(error).news)
        });
        // Behind what tells of the sessions that this is about.
        self.tell_of_bandwidth();
        while let Some(id) = self.known.leases.overdue(now) {
            self.follow(Effect::Release(Place::Session(id)));
        }
    }

    /// A client has had all of an answer: control is to know which segment that was.
    pub(super) fn note_fetched(&mut self, plan: &Plan) {
        if let (Some(segment), Some(id)) = (plan.segment, plan.permit.session()) {
            self.known.leases.fetched(id, segment);
        }
    }

    /// Control has spoken.
    pub(super) fn hear_of_sessions(&mut self, said: &[(SessionId, Verdict)]) {
        let mut has_ended = false;
        for (id, verdict) in said {
            if self.known.leases.hear(*id, *verdict, self.now.ticks) {
                self.follow(Effect::Release(Place::Session(*id)));
            } else {
                has_ended |= matches!(verdict, Verdict::Refused { .. });
            }
        }
        if has_ended {
            self.review.begin();
        }
    }
}

pub(super) fn unsent(error: tokio::sync::mpsc::error::TrySendError<SessionNews>) -> SessionNews {
    use tokio::sync::mpsc::error::TrySendError;
    match error {
        TrySendError::Full(news) | TrySendError::Closed(news) => news,
    }
}
