//! Connections of trusted proxies: their word on whom they speak for is taken.
//!
//! A proxy says it once, before the client's first byte (PROXY v2), or with each request, in a
//! header field. From then on that address is the client's, wherever one is needed. Nobody else's
//! word is taken: to all others a PROXY header is a malformed request, and the fields are none of
//! our business.

use std::net::IpAddr;

use super::connection::{Ending, Pending, Via};
use super::input::Wish;
use super::kernel::Kernel;
use super::{Inbox, Shard};
use crate::guard::forwarded::{self, Contradiction};
use crate::guard::{Networks, proxy};
use crate::request::plan;
use crate::request::refusal::Refusal;

/// Whom the request is of that these bytes begin with; none if its head is not whole.
pub(super) fn said(
    bytes: &[u8],
    trusted: &Networks,
) -> Option<Result<Option<IpAddr>, Contradiction>> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    Some(forwarded::client(&bytes[..end], trusted))
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Reads what a proxy says before its client does; gives what follows, if anything does and the
    /// connection goes on.
    pub(super) fn introduced(&mut self, owner: u32, pending: Box<Pending>) -> Option<Box<Pending>> {
        let read = proxy::header(pending.rest());
        let connection = &mut self.connections[owner];
        match read {
            Err(proxy::Unreadable::Absent) => {
                connection.via = Via::Forwarding;
                Some(pending)
            }
            Err(proxy::Unreadable::Malformed) => {
                let size = pending.rest().len();
                let wish = Wish::Response { plan: plan::unreadable(Refusal::Malformed), size };
                let record = self.record_of(pending.rest(), &wish);
                self.connections[owner].record = record;
                self.shortened(pending, size);
                self.grant(owner, wish);
                None
            }
            Ok(None) => {
                connection.pending = Some(pending);
                self.grant(owner, Wish::Incomplete);
                self.receive_if_open(owner);
                None
            }
            Ok(Some(header)) => {
                connection.via = Via::Forwarding;
                if let Some(refusal) = header.client.and_then(|of| self.belongs_to(owner, of)) {
                    self.counters.refused(refusal);
                    self.connections[owner].pending = Some(pending);
                    self.close(owner, Ending::Reset);
                    return None;
                }
                let rest = self.shortened(pending, header.size);
                if rest.is_none() {
                    self.rest(owner);
                }
                rest
            }
        }
    }

    /// The whole connection is this client's; why nothing is taken from there, if so.
    fn belongs_to(&mut self, owner: u32, client: IpAddr) -> Option<Refusal> {
        self.connections[owner].set_peer(Some(client));
        if self.settings.door.trusted.holds(client) {
            // Another proxy, behind this one: it may say more.
            return None;
        }
        self.connections[owner].via = Via::Direct;
        let refusal = self.shut_to(client);
        if refusal.is_none() {
            self.count_address(owner, client);
        }
        refusal
    }

    /// The next request of a proxy's connection is of whom it says; why it is refused, if so.
    pub(super) fn hear_of_client(
        &mut self,
        owner: u32,
        said: Result<Option<IpAddr>, Contradiction>,
    ) -> Option<Refusal> {
        let Ok(client) = said else { return Some(Refusal::Malformed) };
        let connection = &mut self.connections[owner];
        let Some(client) = client else {
            // It asks for itself, or does not know for whom.
            connection.set_peer(None);
            return None;
        };
        connection.set_peer(Some(client));
        if self.address_of.get(&owner) == Some(&client) {
            return self.bans.close(client).then_some(Refusal::Banned);
        }
        self.forget_address(owner);
        let refusal = self.shut_to(client);
        if refusal.is_none() {
            self.count_address(owner, client);
        }
        refusal
    }
}
