//! What must hold of a response's head in the moment in which the driver sends it.

use shardcast::messages::SourceId;
use shardcast::units::Extent;

use crate::content;
use crate::response::Head;
use crate::world::World;

impl World {
    /// Looks at bytes that are being sent, if a head begins them.
    pub fn check_head(&mut self, socket: usize, bytes: &[u8], is_direct: bool) {
        if !bytes.starts_with(b"HTTP/1.1 ") || bytes.starts_with(b"HTTP/1.1 100 ") {
            return;
        }
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head ends") + 4;
        let head = Head::parse(&bytes[..end]).expect("a head is well formed");
        // One that found no room in the socket is not written again when there is some.
        let waited = std::mem::replace(&mut self.sockets[socket].head_waits, is_direct);
        if !waited {
            self.check_date_of(&head, is_direct);
            if is_direct {
                self.check_first_chunk(&head);
            }
        }
    }

    /// The second in which a response is sent is the one that it is dated with. Heads that wait
    /// for their turn, or for the disk, were written before.
    fn check_date_of(&self, head: &Head, may_have_waited: bool) {
        let date = head.field("date").expect("one Date").expect("a Date");
        let date = httpdate::parse_http_date(date).expect("a well formed Date");
        let dated = date.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let now = self.unix + self.now / 1_000_000_000;
        let cold = self.profile.cold > 0 || self.evicts;
        let oldest = match (may_have_waited, cold) {
            (false, _) => now,
            (true, false) => now - 1,
            (true, true) => now - 100,
        };
        let jumps = may_have_waited && self.profile.jumps > 0;
        assert!(jumps || (oldest..=now).contains(&dated), "sent at {now}, but dated {dated}");
    }

    /// A head goes out when the first byte of its body can follow it.
    fn check_first_chunk(&mut self, head: &Head) {
        let forgets = self.evicts || self.profile.evicted > 0;
        let Some(tag) = head.field("etag").expect("one ETag").filter(|_| !forgets) else { return };
        let (source, number, gzip): (SourceId, usize, bool) =
            content::tagged(tag).expect("a tag of ours");
        let object = &self.sources[&source].objects[number];
        let extent = if gzip { object.gzip.expect("it has one") } else { object.identity };
        let first = match (head.status, head.field("content-range").expect("one range at most")) {
            (206, Some(range)) => {
                let range = range.strip_prefix("bytes ").expect("bytes are the unit");
                range.split('-').next().expect("a first byte").parse().expect("a number")
            }
            (206, None) => return,
            _ => 0,
        };
        let place = Extent { offset: extent.offset + first, size: 1 };
        let is_file =
            !matches!(self.sources[&source].opened.payload, shardcast::messages::Payload::Heap(_));
        let resident = !is_file || self.resident_size(source, place) > 0;
        assert!(resident, "a head before the first byte of {source:?} {place:?}");
    }
}
