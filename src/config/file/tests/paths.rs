//! Where paths of the file lie.

use super::*;

#[test]
fn paths_count_from_the_file() {
    let draft = read(
        "[server]\nstate = \"state\"\n[log]\naccess_path = \"/var/log/a\"\nsecurity_path = \"b\"\n[[library]]\npath = \"vod\"\n",
    );
    assert_eq!(draft.config.state, Path::new("/etc/state"));
    assert_eq!(draft.config.access_log_path.as_deref(), Some(Path::new("/var/log/a")));
    assert_eq!(draft.config.guard.log_path.as_deref(), Some(Path::new("/etc/b")));
    assert_eq!(draft.config.libraries[0].path, Path::new("/etc/vod"));
}
