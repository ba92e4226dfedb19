//! Who may push to a channel: HTTP's Basic authentication (RFC 7617).

use std::fs;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq as _;

use crate::config::sources::Encoder;
use crate::config::{Channel, Password, Push};

/// An encoder's name and password, as it sends them; empty is nobody's.
pub struct Login {
    expected: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

impl Login {
    /// Reads the password's file, if it is in one; a line end at its end is not part of it.
    ///
    /// # Errors
    ///
    /// The file can't be read, or holds nothing.
    pub fn read(push: &Push) -> io::Result<Self> {
        let shown =
            |path: &Path, why: String| io::Error::other(format!("{}: {why}", path.display()));
        let path = match &push.password {
            Password::File(path) => path,
            Password::Known(password) => {
                return Ok(Self { expected: format!("{}:{password}", push.user) });
            }
            Password::Sealed(_) => {
                let why = "the password was sealed with another secrets.key (give it anew)";
                return Err(io::Error::other(why));
            }
        };
        let text = fs::read_to_string(path).map_err(|error| shown(path, error.to_string()))?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err(shown(path, "holds no password".to_owned()));
        }
        Ok(Self { expected: format!("{}:{password}", push.user) })
    }

    /// Whether the value of an `Authorization` line is this login. How long it takes tells nothing
    /// but the length.
    #[must_use]
    pub fn is(&self, authorization: &str) -> bool {
        let Some((scheme, given)) = authorization.split_once(' ') else { return false };
        let given = BASE64_STANDARD.decode(given.trim()).unwrap_or_default();
        let is_it = || bool::from(given.ct_eq(self.expected.as_bytes()));
        scheme.eq_ignore_ascii_case("basic") && !self.expected.is_empty() && is_it()
    }
}

/// Who may push to a channel, and as which of its sources.
#[derive(Debug)]
pub struct Logins {
    own: Option<Login>,
    /// Names and logins of ordered sources; without any, all that pushes is source 0.
    sources: Vec<(String, Option<Login>)>,
}

/// Why somebody may not push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is no login, so only loopback peers may.
    NotLoopback,
    /// A login is needed.
    Missing,
    /// The login is another one.
    Wrong,
    /// No source has the name in the path.
    NoSource,
}

impl Logins {
    /// Reads the password files of a channel.
    ///
    /// # Errors
    ///
    /// See [`Login::read`].
    pub fn read(channel: &Channel) -> io::Result<Self> {
        let read = |push: Option<&Push>| push.map(Login::read).transpose();
        let encoders = channel.sources.encoders.iter();
        let named = |of: &Encoder| Ok((of.name.clone(), read(of.push.as_ref())?));
        let sources = encoders.map(named).collect::<io::Result<_>>()?;
        Ok(Self { own: read(channel.push.as_ref())?, sources })
    }

    /// Of a channel to which nobody may push but who says this: `user:password`.
    #[must_use]
    pub fn only(login: &str) -> Self {
        Self { own: Some(Login { expected: login.to_owned() }), sources: Vec::new() }
    }

    /// Of a channel to which nobody may push.
    #[must_use]
    pub fn nobody() -> Self {
        Self::only("")
    }

    /// The source as which this path is pushed to, and the path without that source's name.
    ///
    /// A source is named by the first element, `@name`; else it is the one whose login is given,
    /// else the first one.
    ///
    /// # Errors
    ///
    /// See [`Denied`].
    pub fn admit<'p>(
        &self,
        path: &'p str,
        authorization: Option<&str>,
        is_loopback: bool,
    ) -> Result<(usize, &'p str), Denied> {
        if let Some(named) = path.strip_prefix('@').filter(|_| !self.sources.is_empty()) {
            let (name, rest) = named.split_once('/').unwrap_or((named, ""));
            let at = self.sources.iter().position(|(of, _)| of == name).ok_or(Denied::NoSource)?;
            let login = self.sources[at].1.as_ref().or(self.own.as_ref());
            return check(login, authorization, is_loopback).map(|()| (at, rest));
        }
        if let Some(given) = authorization {
            let is_given =
                |of: &(String, Option<Login>)| of.1.as_ref().is_some_and(|login| login.is(given));
            if let Some(at) = self.sources.iter().position(is_given) {
                return Ok((at, path));
            }
        }
        let first = self.sources.first().and_then(|of| of.1.as_ref());
        check(self.own.as_ref().or(first), authorization, is_loopback).map(|()| (0, path))
    }
}

fn check(login: Option<&Login>, given: Option<&str>, is_loopback: bool) -> Result<(), Denied> {
    match (login, given) {
        (None, _) if is_loopback => Ok(()),
        (None, _) => Err(Denied::NotLoopback),
        (Some(login), Some(given)) if login.is(given) => Ok(()),
        (Some(_), None) => Err(Denied::Missing),
        (Some(_), Some(_)) => Err(Denied::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_nobody_whatever_is_said() {
        for said in ["", ":", "ffmpeg:", "a:b"] {
            let said = format!("Basic {}", BASE64_STANDARD.encode(said));
            assert_eq!(Logins::nobody().admit("v/1.m4s", Some(&said), true), Err(Denied::Wrong));
        }
        assert_eq!(Logins::nobody().admit("v/1.m4s", None, true), Err(Denied::Missing));
    }

    #[test]
    fn only_the_right_name_and_password_are_let_in() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "open sesame\n").unwrap();
        let push =
            Push { user: "enc".to_owned(), password: Password::File(file.path().to_owned()) };
        let login = Login::read(&push).unwrap();
        let of = |text: &str| BASE64_STANDARD.encode(text);
        assert!(login.is(&format!("Basic {}", of("enc:open sesame"))));
        assert!(login.is(&format!("basic  {}", of("enc:open sesame"))));
        for wrong in ["enc:open", "enc:open sesame\n", "other:open sesame", ""] {
            assert!(!login.is(&format!("Basic {}", of(wrong))), "{wrong}");
        }
        assert!(!login.is("Basic !!") && !login.is("Basic") && !login.is("Bearer x"));
        assert!(!format!("{login:?}").contains("sesame"));
    }

    #[test]
    fn an_empty_or_missing_file_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut push =
            Push { user: "enc".to_owned(), password: Password::File(file.path().to_owned()) };
        assert!(Login::read(&push).unwrap_err().to_string().contains("holds no password"));
        push.password = Password::File("/nowhere/at/all".into());
        assert!(Login::read(&push).unwrap_err().to_string().contains("/nowhere/at/all"));
    }

    fn login(text: &str) -> Option<Login> {
        Some(Login { expected: text.to_owned() })
    }

    #[test]
    fn a_source_is_named_by_its_path_or_by_its_login() {
        let basic = |text: &str| Some(format!("Basic {}", BASE64_STANDARD.encode(text)));
        let sources = vec![("a".to_owned(), login("a:1")), ("b".to_owned(), None)];
        let logins = Logins { own: login("own:0"), sources };
        let check = |path, given: Option<&str>, expected| {
            let given = given.and_then(basic);
            assert_eq!(logins.admit(path, given.as_deref(), true), expected, "{path} {given:?}");
        };
        check("@a/v/1.m4s", Some("a:1"), Ok((0, "v/1.m4s")));
        check("@a/v/1.m4s", Some("own:0"), Err(Denied::Wrong));
        check("@a/v/1.m4s", None, Err(Denied::Missing));
        check("@b/v/1.m4s", Some("own:0"), Ok((1, "v/1.m4s")));
        check("@b", Some("own:0"), Ok((1, "")));
        check("@c/v/1.m4s", Some("own:0"), Err(Denied::NoSource));
        check("v/1.m4s", Some("a:1"), Ok((0, "v/1.m4s")));
        check("v/1.m4s", Some("own:0"), Ok((0, "v/1.m4s")));
        check("v/1.m4s", Some("x:0"), Err(Denied::Wrong));
        check("v/1.m4s", None, Err(Denied::Missing));
        let open = Logins { own: None, sources: vec![("a".to_owned(), None)] };
        assert_eq!(open.admit("@a/v", None, true), Ok((0, "v")));
        assert_eq!(open.admit("@a/v", None, false), Err(Denied::NotLoopback));
        let single = Logins { own: None, sources: Vec::new() };
        assert_eq!(single.admit("@a/v", None, true), Ok((0, "@a/v")));
    }
}
