//! Copies with keys: app passwords are of use on another machine, for whoever has the passphrase.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::running::{PATIENCE, Place, Running, done, serve, verb};

struct Machine {
    place: Place,
    config: PathBuf,
    _server: Running,
}

impl Machine {
    fn new() -> Self {
        let place = Place::new();
        let config = place.config("");
        let server = Running::start(&mut serve(&config));
        Self { place, config, _server: server }
    }

    /// What `restore` of a copy says that is wrong.
    fn restored(&self, copy: &Path, more: &[&str]) -> String {
        verb(&self.config, &[&["restore", copy.to_str().unwrap()], more].concat()).err
    }

    /// Whether Anna's app signs in with this.
    fn signs_in(&self, password: &str) -> bool {
        let body = format!("{{\"user\":\"Anna\",\"password\":\"{password}\"}}");
        let mut stream = UnixStream::connect(self.place.path("state/admin.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "POST /api/v1/app-passwords/check HTTP/1.0\r\nHost: admin\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.contains("\"matches\":true")
    }
}

#[test]
fn app_passwords_of_a_copy_with_keys_are_of_use_on_another_machine() {
    let first = Machine::new();
    let done_there = |arguments: &[&str]| done(&first.config, arguments);
    done_there(&["subscriber", "add", "Anna"]);
    let password = done_there(&["subscriber", "password", "add", "Anna"]).trim_end().to_owned();
    let file = |name: &str, text: &str| {
        let path = first.place.path(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let right = file("right", "kettle wander plum ticket");
    let wrong = file("wrong", "kettle wander plum tickets");
    let weak = file("weak", "passwordpassword");
    let (copy, bare) = (first.place.path("copy.db"), first.place.path("bare.db"));
    let backup = ["backup", copy.to_str().unwrap(), "--passphrase-file"];
    let said = verb(&first.config, &[&backup[..], &[&weak]].concat());
    assert!(said.err.contains("the passphrase is soon guessed"), "{}", said.err);
    assert!(!copy.exists());
    let said = done_there(&[&backup[..], &[&right]].concat());
    assert!(said.contains("with keys, encrypted"), "{said}");
    assert!(done_there(&["backup", bare.to_str().unwrap()]).contains("without keys"));
    let secrets = std::fs::read(first.place.path("state/secrets.key")).unwrap();
    let bytes = std::fs::read(&copy).unwrap();
    for secret in [&secrets[..], password.as_bytes()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }

    // Without the passphrase they are of no use, as before.
    let second = Machine::new();
    assert_eq!(second.restored(&copy, &[]), "");
    assert!(!second.signs_in(&password));
    let said = second.restored(&copy, &["--passphrase-file", &wrong]);
    assert!(said.contains("the passphrase is another one"), "{said}");
    let said = second.restored(&bare, &["--passphrase-file", &right]);
    assert!(said.contains("the copy has no keys"), "{said}");
    assert_eq!(second.restored(&copy, &["--passphrase-file", &right, "--dry-run"]), "");
    assert!(!second.signs_in(&password));
    assert_eq!(second.restored(&copy, &["--passphrase-file", &right]), "");
    assert!(second.signs_in(&password));
    let shown = done(&second.config, &["subscriber", "password", "ls", "Anna", "--reveal"]);
    assert!(shown.contains(&password), "{shown}");
    assert_ne!(std::fs::read(second.place.path("state/secrets.key")).unwrap(), secrets);
    // And where it was made.
    assert_eq!(first.restored(&copy, &["--passphrase-file", &right]), "");
    assert!(first.signs_in(&password));
}
