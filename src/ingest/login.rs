//! Who may push to a channel: HTTP's Basic authentication (RFC 7617).

use std::fs;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq as _;

use crate::config::Push;

/// An encoder's name and password, as it sends them.
pub struct Login {
    expected: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

impl Login {
    /// Reads the password's file; a line end at its end is not part of it.
    ///
    /// # Errors
    ///
    /// The file can't be read, or holds nothing.
    pub fn read(push: &Push) -> io::Result<Self> {
        let shown =
            |path: &Path, why: String| io::Error::other(format!("{}: {why}", path.display()));
        let path = &push.password_file;
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
        scheme.eq_ignore_ascii_case("basic") && bool::from(given.ct_eq(self.expected.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_name_and_password_are_let_in() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "open sesame\n").unwrap();
        let push = Push { user: "enc".to_owned(), password_file: file.path().to_owned() };
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
        let mut push = Push { user: "enc".to_owned(), password_file: file.path().to_owned() };
        assert!(Login::read(&push).unwrap_err().to_string().contains("holds no password"));
        push.password_file = "/nowhere/at/all".into();
        assert!(Login::read(&push).unwrap_err().to_string().contains("/nowhere/at/all"));
    }
}
