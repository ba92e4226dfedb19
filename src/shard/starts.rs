//! What apps start: playlists that are written as they are sent, redirections, and what control
//! says of whoever signs in.

use std::rc::Rc;

use super::Shard;
use super::connection::Quick;
use super::exchange::{Waiter, Work};
use super::input::{Wish, wish_again};
use super::kernel::{Kernel, Outgoing};
use crate::config::{START_TEXT_SIZE_MAX, START_TEXTS_KEPT};
use crate::messages::mail::Inbox;
use crate::messages::{AskKey, Wants};
use crate::request::View;
use crate::request::head::{self, Begins};
use crate::request::locate::ObjectKey;
use crate::request::opening::{self, Base};
use crate::request::plan::{self, Connection as Goes, Plan};
use crate::request::refusal::Refusal;
use crate::request::sign_in::{Begun, not_let_in};
use crate::request::start::Form;
use crate::units::Variant;
use crate::viewer::numbers::{Numbered, Played};
use crate::viewer::sign_ins::NotLetIn;
use crate::viewer::token::{self, Plain};

/// Buffers of texts that are written as they are sent, used again when a send has ended.
#[derive(Debug, Default)]
pub(super) struct Texts {
    buffers: Vec<Rc<[u8]>>,
    hand: usize,
}

impl Texts {
    /// Writes one; none = there is no room for it. In the long run nothing is allocated.
    fn write(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<(Rc<[u8]>, usize)> {
        let count = self.buffers.len();
        let is_free = |at: &usize| Rc::strong_count(&self.buffers[*at]) == 1;
        let free = (self.hand..count).chain(0..self.hand.min(count)).find(is_free);
        let mut buffer = match free {
            Some(at) => {
                self.hand = at + 1;
                self.buffers.swap_remove(at)
            }
            None => Rc::from([0; START_TEXT_SIZE_MAX]),
        };
        let size = Rc::get_mut(&mut buffer).and_then(write);
        if self.buffers.len() < START_TEXTS_KEPT {
            self.buffers.push(Rc::clone(&buffer));
        }
        size.map(|size| (buffer, size))
    }
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Sends an app what it starts: the channel's playlist with whole paths, or where that is.
    pub(super) fn respond_start(
        &mut self,
        owner: u32,
        plan: &Plan,
        begun: &Begun,
        text: Option<(ObjectKey, Variant)>,
    ) {
        let token = self.keys.current.as_ref().and_then(|key| token::plain(&begun.claims(), key));
        let played = self.apps.numbers.find(begun.kind, begun.number);
        let (Some(token), Some(played)) = (token, played) else {
            self.respond_without_object(owner, plan::instead(plan, Refusal::Busy));
            return;
        };
        let text = text.filter(|_| !self.settings.limits.start_redirects);
        let written = text.and_then(|(key, variant)| {
            self.catalog.touch(key.source);
            let held = self.catalog.opened(key.source);
            let base = Base { token: token.text(), folder: played.folder().as_bytes() };
            let own = held.in_memory(variant.extent)?;
            self.texts.write(|out| opening::written(own, &base, out))
        });
        let mut plan = *plan;
        let begins = match &written {
            Some((_, size)) => Begins::Playlist(*size),
            None => {
                plan.status = 302;
                there(&token, played, begun)
            }
        };
        let mut buffer = self.heads.pop().unwrap_or_default();
        let out = &mut buffer.bytes[..];
        let Some(size) = head::write_start(&plan, &begins, &self.common, &self.date, out) else {
            self.keep_head_buffer(buffer);
            self.respond_without_object(owner, plan::instead(&plan, Refusal::Busy));
            return;
        };
        buffer.range = 0..u16::try_from(size).expect("a head fits its buffer");
        let body = written.filter(|_| plan.with_body).map(|(text, size)| (text, 0..size));
        let quick = Quick {
            started: self.now.nanos,
            body_size: body.as_ref().map_or(0, |(_, range)| range.len() as u32),
            status: plan.status,
            class: plan.class,
            last: plan.connection == Goes::Close,
        };
        self.send_quick(owner, quick, Outgoing { head: Some(buffer), body });
    }

    /// Control has said whether somebody is let in.
    pub(super) fn handle_signed_in(&mut self, key: AskKey, said: Result<(), NotLetIn>) {
        let AskKey { exchange: place, generation, .. } = key;
        let Some(exchange) = self.waiting(Waiter { exchange: place, generation }) else { return };
        let (owner, started) = (exchange.owner, exchange.started);
        let Work::Ask { head, wants: Wants::SignIn(marks), .. } = &mut exchange.work else {
            return;
        };
        if let Err(why) = said {
            self.answer_refused(place, not_let_in(why));
            return;
        }
        let (head, marks) = (std::mem::take(head), *marks);
        self.known.sign_ins.let_in(&marks, self.now.ticks);
        self.drop_exchange(owner);
        let connection = &self.connections[owner];
        let peer = || connection.peer(&self.kernel);
        let (catalog, keys, rights, apps) = (&self.catalog, &self.keys, &self.rights, &self.apps);
        let (foreign, bans) = (&self.foreign, &self.bans);
        let (slates, now) = (&self.slates, self.now);
        let view = View { catalog, keys, rights, apps, foreign, bans, slates, peer: &peer, now };
        let both = (&mut self.known, &mut self.refusals);
        match wish_again(&head, &view, both, &mut self.path) {
            // What control knows of is not here yet: it asks again by itself.
            Wish::Ask(_) => {
                self.respond_without_object(owner, super::input::refused(&head, Refusal::Busy));
            }
            wish => self.grant(owner, wish),
        }
        self.backdate(owner, started);
    }
}

/// Where what is started goes on.
fn there<'b>(token: &'b Plain, played: &'b Played, begun: &Begun) -> Begins<'b> {
    match (begun.kind, begun.form) {
        (Numbered::Channel, Form::Playlist) => Begins::There([b"/s/", token.text()], played.path()),
        (Numbered::Channel, _) => Begins::There([b"/s/", token.text()], played.stream()),
        // Its path begins behind `/vod`.
        _ => Begins::There([b"/s/", token.text()], played.master()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_when_their_sends_have_ended() {
        let mut texts = Texts::default();
        let mut write = |byte: u8| {
            let written = texts.write(|out| {
                out[0] = byte;
                Some(1)
            });
            written.map(|(buffer, _)| buffer).expect("there is room")
        };
        let (first, second) = (write(1), write(2));
        assert_eq!((first[0], second[0]), (1, 2), "each has its own");
        let place = first.as_ptr();
        drop(first);
        assert_eq!(write(3).as_ptr(), place);
        let all: Vec<_> = (0..2 * START_TEXTS_KEPT).map(|_| write(4)).collect();
        assert_eq!((all.len(), second[0]), (2 * START_TEXTS_KEPT, 2));
        assert_eq!(texts.buffers.len(), START_TEXTS_KEPT);
        assert!(texts.write(|_| None).is_none(), "it had no room");
    }
}
