//! Prebuilt responses of small objects: head and body in one piece of heap memory, sent as it is.
//!
//! Of a response only its date changes; it is written over in place once a second, unless a send
//! still reads the bytes: then the response is copied once. What was not used since the hand came
//! by goes first when the capacity is reached.

use std::rc::Rc;

use ahash::AHashMap;

use super::slab::Slab;
use crate::messages::SourceId;
use crate::request::head::Date;
use crate::units::UnixTime;

/// Which response: one encoding of one object, for GET over HTTP/1.1 on a connection that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The source's version.
    pub source: SourceId,
    /// The object's number in it.
    pub entry: u32,
    /// Whether it is the gzipped one.
    pub gzip: bool,
    /// Whether it is for one viewer's eyes: its head says so.
    pub is_private: bool,
}

#[derive(Debug)]
struct Response {
    key: Key,
    bytes: Rc<[u8]>,
    date_at: u16,
    head_size: u16,
    written: UnixTime,
    touched: bool,
}

/// The responses of one shard.
#[derive(Debug)]
pub struct Cache {
    places: AHashMap<Key, u32>,
    responses: Slab<Response>,
    size: usize,
    capacity: usize,
    hand: u32,
}

/// What a response costs besides its bytes: its entry, its place, the table's slack.
const OVERHEAD: usize = 160;

impl Cache {
    /// An empty cache for so many bytes.
    pub fn new(capacity: usize) -> Self {
        Self { places: AHashMap::new(), responses: Slab::default(), size: 0, capacity, hand: 0 }
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Changes the capacity; takes effect with the next response that is put in.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// The response, dated `now`, and the size of its head.
    pub fn get(&mut self, key: Key, now: UnixTime, date: &Date) -> Option<(Rc<[u8]>, usize)> {
        let response = &mut self.responses[*self.places.get(&key)?];
        response.touched = true;
        if response.written != now {
            let at = usize::from(response.date_at);
            if Rc::get_mut(&mut response.bytes).is_none() {
                response.bytes = Rc::from(&response.bytes[..]);
            }
            let bytes = Rc::get_mut(&mut response.bytes).expect("just copied");
            bytes[at..at + date.len()].copy_from_slice(date);
            response.written = now;
        }
        Some((Rc::clone(&response.bytes), usize::from(response.head_size)))
    }

    /// Keeps a response, if it fits.
    pub fn put(
        &mut self,
        key: Key,
        bytes: &[u8],
        head_size: usize,
        date_at: usize,
        now: UnixTime,
    ) -> Rc<[u8]> {
        let bytes: Rc<[u8]> = Rc::from(bytes);
        let cost = bytes.len() + OVERHEAD;
        if cost > self.capacity || self.places.contains_key(&key) {
            return bytes;
        }
        self.make_room(cost);
        let place = self.responses.insert(Response {
            key,
            bytes: Rc::clone(&bytes),
            date_at: u16::try_from(date_at).expect("a head is shorter than 64 KiB"),
            head_size: u16::try_from(head_size).expect("a head is shorter than 64 KiB"),
            written: now,
            touched: false,
        });
        self.places.insert(key, place);
        self.size += cost;
        bytes
    }

    fn make_room(&mut self, cost: usize) {
        let places = self.responses.place_count();
        let mut steps = 2 * places;
        while self.size + cost > self.capacity && steps > 0 {
            steps -= 1;
            self.hand = (self.hand + 1) % u32::try_from(places).expect("fewer than 2^32 responses");
            let Some(response) = self.responses.get_mut(self.hand) else { continue };
            if std::mem::take(&mut response.touched) {
                continue;
            }
            // A send that still reads the bytes keeps them; they no longer count here.
            let response = self.responses.remove(self.hand);
            self.places.remove(&response.key);
            self.size -= response.bytes.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Date = *b"Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: Date = *b"Sun, 06 Nov 1994 08:49:38 GMT";

    fn key(entry: u32) -> Key {
        Key { source: SourceId(1), entry, gzip: false, is_private: false }
    }

    #[test]
    fn the_date_is_renewed_but_never_under_a_send() {
        let mut cache = Cache::new(1 << 20);
        let mut bytes = b"Date: ".to_vec();
        bytes.extend_from_slice(&OLD);
        drop(cache.put(key(1), &bytes, bytes.len(), 6, UnixTime(1)));
        let (in_flight, _) = cache.get(key(1), UnixTime(1), &OLD).unwrap();
        let (renewed, _) = cache.get(key(1), UnixTime(2), &NEW).unwrap();
        assert_eq!(&in_flight[6..], OLD, "a send in flight keeps its bytes");
        assert_eq!(&renewed[6..], NEW);
        let address = renewed.as_ptr();
        drop((in_flight, renewed));
        let (again, _) = cache.get(key(1), UnixTime(3), &OLD).unwrap();
        assert_eq!(again.as_ptr(), address, "nobody reads it: it is renewed in place");
    }

    #[test]
    fn what_was_not_used_goes_first_and_the_capacity_holds() {
        let mut cache = Cache::new(100 * (1000 + OVERHEAD));
        for entry in 0..100 {
            cache.put(key(entry), &[0; 1000], 10, 0, UnixTime(1));
        }
        for entry in 0..50 {
            assert!(cache.get(key(entry), UnixTime(1), &OLD).is_some());
        }
        for entry in 100..150 {
            cache.put(key(entry), &[0; 1000], 10, 0, UnixTime(1));
            assert!(cache.size() <= 100 * (1000 + OVERHEAD));
        }
        let kept = (0..50).filter(|&entry| cache.places.contains_key(&key(entry))).count();
        assert!(kept >= 45, "{kept} of the 50 used ones were kept");
    }
}
