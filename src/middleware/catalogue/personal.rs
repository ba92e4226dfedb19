//! Bodies that are one subscriber's: a template with places, and what stands in them.
//!
//! A template is made once like any catalogue. What is put together of it lives as long as it is
//! being sent, and so many bytes of that there may be.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::PERSONAL_SIZE_MAX;
use crate::control::answers;
use crate::messages::Opened;
use crate::units::UnixTime;

/// Stands where user and password stand in paths: `user/password`. No text that is shown has
/// control characters.
pub const IN_PATH: u8 = 1;
/// Stands where they stand in queries: `username=user&password=password`.
pub const IN_QUERY: u8 = 2;
/// Stands where the account stands that a body of JSON begins with.
pub const ACCOUNT: u8 = 3;

/// What stands in the places.
#[derive(Clone, Debug, Default)]
pub struct Fillings {
    /// See `IN_PATH`.
    pub in_path: String,
    /// See `IN_QUERY`.
    pub in_query: String,
    /// See `ACCOUNT`.
    pub account: String,
}

/// A body with places.
#[derive(Debug)]
pub struct Template {
    text: Vec<u8>,
    /// Where they are.
    places: Vec<u32>,
    media_type: &'static str,
}

impl Template {
    /// Of a text in which bytes mark the places; none if it is longer than 4 GiB.
    #[must_use]
    pub fn of(text: Vec<u8>, media_type: &'static str) -> Option<Self> {
        let marks = memchr::memchr3_iter(IN_PATH, IN_QUERY, ACCOUNT, &text);
        let places = marks.map(u32::try_from).collect::<Result<_, _>>().ok()?;
        Some(Self { text, places, media_type })
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len() + self.places.len() * size_of::<u32>()
    }

    fn filling<'f>(&self, place: u32, fillings: &'f Fillings) -> &'f str {
        match self.text[place as usize] {
            IN_PATH => &fillings.in_path,
            IN_QUERY => &fillings.in_query,
            _ => &fillings.account,
        }
    }

    /// The body with this in its places.
    #[must_use]
    pub fn filled(&self, fillings: &Fillings) -> Vec<u8> {
        let added: usize =
            self.places.iter().map(|place| self.filling(*place, fillings).len()).sum();
        let mut body = Vec::with_capacity(self.text.len() - self.places.len() + added);
        let mut at = 0;
        for &place in &self.places {
            body.extend_from_slice(&self.text[at..place as usize]);
            body.extend_from_slice(self.filling(place, fillings).as_bytes());
            at = place as usize + 1;
        }
        body.extend_from_slice(&self.text[at..]);
        body
    }
}

/// Bodies that are being sent.
#[derive(Debug, Default)]
pub struct Sending(Mutex<Vec<(Weak<Opened>, usize)>>);

impl Sending {
    /// One more, if there may be one.
    pub fn filled(
        &self,
        template: &Template,
        fillings: &Fillings,
        now: UnixTime,
    ) -> Option<Arc<Opened>> {
        if !self.has_room(template.size()) {
            return None;
        }
        let body = template.filled(fillings);
        let size = body.len();
        let opened = answers::personal(template.media_type, body, now);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((Arc::downgrade(&opened), size));
        Some(opened)
    }

    fn has_room(&self, size: usize) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(of, _)| of.strong_count() > 0);
        let taken: usize = all.iter().map(|(_, size)| size).sum();
        // The first is always sent.
        taken == 0 || taken + size <= PERSONAL_SIZE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_nothing_else_changes() {
        let fillings = Fillings {
            in_path: "anna/x%2Fy".to_owned(),
            in_query: "username=anna&password=x%2Fy".to_owned(),
            account: "{}".to_owned(),
        };
        for (text, expected) in [
            ("", ""),
            ("a", "a"),
            ("\u{1}", "anna/x%2Fy"),
            (
                "/live/\u{1}/1.ts\n\u{2}\u{3}\u{1}",
                "/live/anna/x%2Fy/1.ts\nusername=anna&password=x%2Fy{}anna/x%2Fy",
            ),
        ] {
            let template = Template::of(text.into(), "text/plain").unwrap();
            assert_eq!(String::from_utf8(template.filled(&fillings)).unwrap(), expected);
        }
    }

    #[test]
    fn only_so_much_is_sent_at_once() {
        let template = Template::of(vec![b'x'; PERSONAL_SIZE_MAX / 4], "text/plain").unwrap();
        let sending = Sending::default();
        let one = || sending.filled(&template, &Fillings::default(), UnixTime(0));
        let mut all: Vec<_> = (0..4).map(|_| one().unwrap()).collect();
        assert!(one().is_none());
        all.pop();
        assert!(one().is_some());
    }
}
