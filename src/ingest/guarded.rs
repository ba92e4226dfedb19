//! Passwords of encoders: who guesses is told nothing more, and control hears of what was wrong.
//!
//! Counted on this thread, which lets in and refuses; the events, and what follows from them for
//! the address, are control's.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::http::header;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::sync::mpsc::Sender;

use crate::config::{GUESSES_AN_HOUR_MAX, STRIKE_HEAD_SIZE_MAX};
use crate::guard::failures::{Counted, Failures, LockedOut, Who};
use crate::guard::{Marks, Offence, Strike};
use crate::units::UnixTime;

/// What is counted of encoders.
#[derive(Debug)]
pub struct Guarded {
    failures: RefCell<Failures>,
    marks: Marks,
    strikes: Option<Sender<Vec<Strike>>>,
    /// When it began, by both clocks.
    began: (Instant, UnixTime),
}

/// A login as it was said.
#[derive(Debug)]
pub struct Said<'a> {
    from: IpAddr,
    /// Whose it is to be.
    user: String,
    who: Who,
    mark: u64,
    head: &'a Parts,
}

impl Guarded {
    /// Nothing yet; control is told by this.
    pub fn new(marks: Marks, strikes: Option<Sender<Vec<Strike>>>) -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began = (Instant::now(), UnixTime(unix.as_secs()));
        Self { failures: RefCell::default(), marks, strikes, began }
    }

    /// The login in a request, if there is one.
    pub fn said<'a>(&self, head: &'a Parts, from: IpAddr) -> Option<Said<'a>> {
        let value = head.headers.get(header::AUTHORIZATION)?.as_bytes();
        let (_, encoded) = value.split_at_checked(value.iter().position(|byte| *byte == b' ')?)?;
        let decoded = BASE64_STANDARD.decode(encoded.trim_ascii()).unwrap_or_default();
        let user = decoded.split(|byte| *byte == b':').next().unwrap_or_default();
        // The whole value: a user that does not exist is guessed at, too.
        let (user, mark) = (String::from_utf8_lossy(user).into_owned(), self.marks.of(value));
        let who = Who::saying(from, self.marks.of(user.as_bytes()));
        Some(Said { from, user, who, mark, head })
    }

    /// Whether it may be looked at.
    ///
    /// # Errors
    ///
    /// `LockedOut`.
    pub fn may_try(&self, said: &Said<'_>) -> Result<(), LockedOut> {
        self.failures.borrow_mut().may_try(said.who, said.mark, self.steady())
    }

    /// It was right.
    pub fn succeeded(&self, said: &Said<'_>) {
        self.failures.borrow_mut().succeeded(said.who, said.mark, self.steady());
    }

    /// It was wrong.
    pub fn failed(&self, said: &Said<'_>) {
        let mut failures = self.failures.borrow_mut();
        let counted = failures.failed(said.who, said.mark, GUESSES_AN_HOUR_MAX, self.steady());
        let (Counted::New(_), Some(strikes)) = (counted, &self.strikes) else { return };
        let host = said.head.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or("-");
        let (method, path) = (&said.head.method, said.head.uri.path());
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
        head.truncate(STRIKE_HEAD_SIZE_MAX);
        let strike = Strike {
            from: said.from,
            offence: Offence::Password,
            mark: said.mark,
            times: 1,
            account: Some(said.user.as_str().into()),
            head: head.into(),
        };
        // What finds no room was refused all the same.
        let _ = strikes.try_send(vec![strike]);
    }

    /// The time by a clock that nobody sets: an hour is one whatever is done to the other.
    fn steady(&self) -> UnixTime {
        let (began, at) = self.began;
        UnixTime(at.0.saturating_add(began.elapsed().as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn head(login: &str) -> Parts {
        let value = format!("Basic {}", BASE64_STANDARD.encode(login));
        let request = Request::put("/ingest/news/1.m4s").header(header::AUTHORIZATION, value);
        request.header(header::HOST, "tv").body(()).unwrap().into_parts().0
    }

    #[test]
    fn whoever_guesses_is_locked_out_and_each_guess_is_told_of_once() {
        let (strikes, mut told) = tokio::sync::mpsc::channel(100);
        let guarded = Guarded::new(Marks::default(), Some(strikes));
        let from = "192.0.2.7".parse().unwrap();
        let mut looked_at = 0;
        for guess in 0..1_000 {
            let head = head(&format!("enc1:{}", guess / 2));
            let said = guarded.said(&head, from).unwrap();
            if guarded.may_try(&said).is_ok() {
                looked_at += 1;
                guarded.failed(&said);
            }
        }
        // Each twice, but for the last: after that nothing is looked at.
        assert_eq!(looked_at, 2 * GUESSES_AN_HOUR_MAX - 1);
        let mut count = 0;
        while let Ok(lot) = told.try_recv() {
            assert_eq!(lot[0].account.as_deref(), Some("enc1"));
            assert_eq!(&*lot[0].head, b"PUT /ingest/news/1.m4s HTTP/1.1\r\nHost: tv\r\n");
            count += lot.len();
        }
        assert_eq!(count, GUESSES_AN_HOUR_MAX);
        let other = head("enc2:1");
        assert_eq!(guarded.may_try(&guarded.said(&other, from).unwrap()), Ok(()));
    }

    #[test]
    fn an_encoder_that_was_right_goes_on() {
        let guarded = Guarded::new(Marks::default(), None);
        let (from, right) = ("192.0.2.7".parse().unwrap(), head("enc1:right"));
        guarded.succeeded(&guarded.said(&right, from).unwrap());
        for guess in 0..50 {
            guarded.failed(&guarded.said(&head(&format!("enc1:{guess}")), from).unwrap());
        }
        assert_eq!(guarded.may_try(&guarded.said(&right, from).unwrap()), Ok(()));
        assert!(guarded.may_try(&guarded.said(&head("enc1:x"), from).unwrap()).is_err());
        let none = Request::put("/").body(()).unwrap().into_parts().0;
        assert!(guarded.said(&none, from).is_none());
    }
}
