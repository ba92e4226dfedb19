//! Channels that are not there yet: they are added when what there was of them is known.
//!
//! A config may be read again meanwhile, and one of them be gone, or gone and come again. So each
//! has a ticket, and only the newest one counts.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// Which they are.
#[derive(Debug, Default)]
pub struct Coming {
    tickets: RefCell<HashMap<String, u64>>,
    next: Cell<u64>,
}

impl Coming {
    /// A ticket for a channel; none if it is coming already.
    pub fn begin(&self, id: &str) -> Option<u64> {
        let mut tickets = self.tickets.borrow_mut();
        if tickets.contains_key(id) {
            return None;
        }
        let ticket = self.next.get();
        self.next.set(ticket + 1);
        tickets.insert(id.to_owned(), ticket);
        Some(ticket)
    }

    /// What there was of a channel is known; whether it is still to be added.
    pub fn arrive(&self, id: &str, ticket: u64) -> bool {
        let mut tickets = self.tickets.borrow_mut();
        let is_newest = tickets.get(id) == Some(&ticket);
        if is_newest {
            tickets.remove(id);
        }
        is_newest
    }

    /// Gives those that are gone before they came.
    pub fn retain(&self, stays: impl Fn(&String) -> bool) -> Vec<String> {
        let mut tickets = self.tickets.borrow_mut();
        tickets.extract_if(|id, _| !stays(id)).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_gone_and_comes_again_is_added_once_and_for_the_last_time_it_came() {
        let coming = Coming::default();
        let first = coming.begin("news").unwrap();
        let film = coming.begin("film").unwrap();
        assert_eq!(coming.begin("news"), None, "it is coming");
        assert_eq!(coming.retain(|id| id == "film"), ["news"]);
        let second = coming.begin("news").unwrap();
        assert!(!coming.arrive("news", first));
        assert!(coming.arrive("news", second) && !coming.arrive("news", second));
        assert!(coming.arrive("film", film));
        assert!(coming.retain(|_| false).is_empty());
    }
}
