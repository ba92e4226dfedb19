//! Passwords of administrators: which are taken, how they are kept, how one is compared.
//!
//! Pure and slow: a hash takes some 20 ms and 19 MiB, so all of it is for the threads of `hashing`.
//! A password is what was typed, byte for byte.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use zxcvbn::{Score, zxcvbn};

use crate::config::{
    PASSWORD_CHARACTERS_MIN, PASSWORD_MEMORY_KIB, PASSWORD_PASSES, PASSWORD_SIZE_MAX,
};

/// What nobody's password hashes to: comparing with it takes as long as with anybody's.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2hhcmRjYXN0IG5vYm9keQ\
                       $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn argon() -> Argon2<'static> {
    let parameters = Params::new(PASSWORD_MEMORY_KIB, PASSWORD_PASSES, 1, None);
    let parameters = parameters.expect("the constants are within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
}

/// A password as it is kept: a PHC string with a salt of its own.
///
/// # Errors
///
/// No salt can be drawn.
pub fn hashed(password: &str) -> Result<String, String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| format!("no salt can be drawn: {error}"))?;
    let hash = argon().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Whether this is the password that was kept. Where none was it is not, and that takes as long.
#[must_use]
pub fn is_right(password: &str, kept: Option<&str>) -> bool {
    let kept = kept.and_then(|kept| PasswordHash::new(kept).ok());
    let is_there = kept.is_some();
    let nobodys = || PasswordHash::new(NOBODYS).expect("a PHC string, by the test below");
    let kept = kept.unwrap_or_else(nobodys);
    argon().verify_password(password.as_bytes(), &kept).is_ok() && is_there
}

/// Whether a text is a hash like those that are made here: to compare with one that says more of
/// memory and passes would be the work of whoever wrote it.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    let nobodys = PasswordHash::new(NOBODYS).expect("a PHC string, by the test below");
    PasswordHash::new(text).is_ok_and(|hash| {
        let size = |hash: &PasswordHash| hash.hash.map(|hash| hash.as_bytes().len());
        hash.algorithm == nobodys.algorithm
            && hash.version == nobodys.version
            && hash.params.to_string() == nobodys.params.to_string()
            && hash.salt.is_some()
            && size(&hash) == size(&nobodys)
    })
}

/// Why a password is not taken; none if it is. There are no rules on what it is made of, and none
/// on when it is to be changed (ASVS 5.0, 6.2.5 and 6.2.10).
#[must_use]
pub fn fault(password: &str, user: &str) -> Option<String> {
    if password.chars().count() < PASSWORD_CHARACTERS_MIN {
        return Some(format!(
            "password: it has fewer than {PASSWORD_CHARACTERS_MIN} characters (15 are better)"
        ));
    }
    if password.len() > PASSWORD_SIZE_MAX {
        return Some(format!("password: it has more than {PASSWORD_SIZE_MAX} bytes"));
    }
    let guessed = zxcvbn(password, &[user, "shardcast", "iptv", "admin", "television"]);
    if guessed.score() >= Score::Three {
        return None;
    }
    let mut why = "password: it is soon guessed.".to_owned();
    if let Some(feedback) = guessed.feedback() {
        let warning = feedback.warning().map(|warning| warning.to_string());
        let hints = feedback.suggestions().iter().map(ToString::to_string);
        for hint in warning.into_iter().chain(hints) {
            why = why + " " + &hint;
        }
    }
    Some(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_kept_with_argon2id_and_a_salt_of_their_own() {
        let hash = hashed("Grünkohl & Pinkel ").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let parts: Vec<_> = hash.split('$').collect();
        assert_eq!((parts[4].len(), parts[5].len()), (22, 43), "16 and 32 bytes in base64");
        assert_ne!(hashed("Grünkohl & Pinkel ").unwrap(), hash);
        assert!(is_right("Grünkohl & Pinkel ", Some(&hash)));
    }

    #[test]
    fn a_password_is_what_was_typed() {
        let hash = hashed("Grünkohl & Pinkel ").unwrap();
        for other in ["Grünkohl & Pinkel", "grünkohl & pinkel ", "Gru\u{308}nkohl & Pinkel ", ""]
        {
            assert!(!is_right(other, Some(&hash)), "{other:?}");
        }
    }

    #[test]
    fn who_is_not_there_takes_as_long_as_who_is() {
        let nobodys = PasswordHash::new(NOBODYS).unwrap();
        let somebodys = hashed("x").unwrap();
        let somebodys = PasswordHash::new(&somebodys).unwrap();
        assert_eq!(nobodys.algorithm, somebodys.algorithm);
        assert_eq!(nobodys.params.to_string(), somebodys.params.to_string());
        assert_eq!(nobodys.hash.unwrap().as_bytes().len(), 32);
        assert!(!is_right("", None) && !is_right("x", Some("no hash")));
    }

    #[test]
    fn there_are_no_rules_but_that_it_is_not_soon_guessed() {
        for good in ["correct zebra lamp quilt", "tieniquaeZ"] {
            assert_eq!(fault(good, "anna"), None, "{good}");
        }
        let long = "kettle wander plum ".repeat(4);
        assert!(long.chars().count() > 64 && fault(&long, "anna").is_none());
        for (bad, why) in [
            ("Zq7!xWp", "fewer than 8 characters"),
            (&*"x7Kq ".repeat(52), "more than 256 bytes"),
            ("password", "This is a top-10 common password."),
            ("letmein1", "common"),
            ("qwertyuiop", "common password"),
            ("shardcast2026", "soon guessed"),
            ("annabella", "soon guessed"),
            ("aaaaaaaaaaaa", "Repeats"),
        ] {
            let said = fault(bad, "annabella").unwrap_or_default();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
