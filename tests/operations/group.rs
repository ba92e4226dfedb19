//! Who may use the admin socket: root, the server's own user, and the members of a group; and
//! nobody else, whatever becomes of its mode. Only root can try that.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::running::{Place, Running, done, serve};

/// A user and a group that every Debian has, and nothing belongs to.
const NOBODY: u32 = 65534;

/// The group of `daemon`, which stands for that of administrators.
fn daemon() -> u32 {
    let groups = fs::read_to_string("/etc/group").unwrap();
    let line = groups.lines().find(|line| line.starts_with("daemon:")).expect("there is one");
    line.split(':').nth(2).unwrap().parse().unwrap()
}

/// What a process of this user and group gets from the socket.
fn asked(socket: &Path, (uid, gid): (u32, u32), request: &str) -> String {
    let script = "my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die \"$!\\n\"; \
                  print $socket $ARGV[1]; print while <$socket>;";
    let mut perl = Command::new("/usr/bin/perl");
    perl.args(["-MIO::Socket::UNIX", "-e", script]).arg(socket).arg(request);
    let output = perl.uid(uid).gid(gid).current_dir("/").output().expect("perl is installed");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn members_of_the_group_use_the_socket_and_nobody_else_does() {
    let place = Place::new();
    let folder = place.path("");
    if fs::metadata(&folder).unwrap().uid() != 0 {
        return;
    }
    // A folder for a test is its user's alone.
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let config = place.config("[admin]\ngroup = \"daemon\"\n");
    let server = Running::start(&mut serve(&config));
    let socket = place.path("state/admin.sock");
    let get = "GET /api/v1/categories HTTP/1.0\r\nHost: admin\r\n\r\n";
    let member = (NOBODY, daemon());
    assert!(asked(&socket, member, get).starts_with("HTTP/1.0 200 "));
    let body = "{\"id\":\"a\",\"sorts\":\"live\",\"name\":\"A\"}";
    let post = format!(
        "POST /api/v1/categories HTTP/1.0\r\nHost: admin\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert!(asked(&socket, member, &post).starts_with("HTTP/1.0 201 "));
    let log = done(&config, &["audit", "ls", "--json"]);
    let actor = format!("\"local:{NOBODY}\"");
    assert!(log.lines().any(|line| line.contains("category") && line.contains(&actor)), "{log}");

    let stranger = (NOBODY, NOBODY);
    assert_eq!(asked(&socket, stranger, get), "Permission denied\n");
    // Whoever opens the file and the way to it to everybody lets in nobody.
    let state = place.path("state");
    assert_eq!(fs::metadata(&state).unwrap().mode() & 0o007, 0, "it was closed");
    fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(asked(&socket, stranger, get), "");
    let event = server.says("whoever is not in the group may not use the admin socket");
    assert_eq!(event["user"], NOBODY);
    assert!(asked(&socket, member, get).starts_with("HTTP/1.0 200 "), "members as before");
    assert!(asked(&socket, (0, 0), get).starts_with("HTTP/1.0 200 "), "and root");
}
