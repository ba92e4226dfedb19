//! What refused viewers see: texts that are written as they are sent, and how fast a stream goes.

use super::Shard;
use super::connection::Quick;
use super::kernel::{Kernel, Outgoing};
use crate::live::slate::SlateIndex;
use crate::live::slate::text::{self, Reader};
use crate::messages::mail::Inbox;
use crate::messages::{Change, Listing};
use crate::request::head;
use crate::request::plan::{self, Connection as Goes, Plan};
use crate::request::refusal::Refusal;
use crate::units::Class;

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Sends the playlist of a slate as it is now. Its head and its text are one buffer's.
    pub(super) fn respond_slate(
        &mut self,
        owner: u32,
        plan: &Plan,
        index: SlateIndex,
        reader: Reader,
    ) {
        let now_ms = self.now.unix.0 * 1000 + u64::from(self.now.millis);
        let slates = &self.slates.slates;
        let Some(text) = slates.get(index).map(|slate| text::live(slate, reader, now_ms)) else {
            unreachable!("it was found in this turn")
        };
        let text = text.bytes();
        let mut buffer = self.head_buffer();
        let out = &mut buffer.bytes[..];
        let size = head::write_slate(plan, text.len(), &self.common, &self.date, out);
        let body = if plan.with_body { text } else { b"" };
        let end = size + body.len();
        if end > buffer.bytes.len() {
            // No origin that may read it is so long that there is no room for both.
            self.keep_head_buffer(buffer);
            self.respond_without_object(owner, plan::instead(plan, Refusal::Busy));
            return;
        }
        buffer.bytes[size..end].copy_from_slice(body);
        buffer.range = 0..u16::try_from(end).expect("it fits its buffer");
        self.send_quick(
            owner,
            Quick {
                started: self.now.nanos,
                body_size: body.len() as u32,
                status: plan.status,
                class: plan.class,
                last: plan.connection == Goes::Close,
            },
            Outgoing { head: Some(buffer), body: None },
        );
    }

    /// The transport stream of a slate is sent about as fast as it is played.
    pub(super) fn pace_slate(&mut self, owner: u32, plan: &Plan) {
        if let Some(kbps) = plan.slate.and_then(|slate| slate.kbps) {
            self.set_pace(owner, Some(kbps));
        }
    }

    /// Media that has come tells that its channel is on air; gaps in place of it do not, although
    /// playlists list them.
    pub(super) fn hear_of_channels(&mut self, listings: &[Listing]) {
        if self.slates.on_air.is_empty() {
            return;
        }
        for listing in listings {
            let is_there = matches!(listing.change, Change::Present { opened: Some(_), .. });
            if is_there && Class::of(&listing.path) == Class::Segment {
                self.slates.on_air.hear(&listing.path, self.now.ticks);
            }
        }
    }
}
