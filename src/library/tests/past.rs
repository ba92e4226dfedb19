//! What is read from the side of an archive, while it is being written and afterwards.

use super::*;
use crate::library::archive::Label;
use crate::library::hours::{Hour, Hours};
use crate::library::past::Past;

const HOUR: Hour = Hour { since_1970: 498_787, part: 0 };
const SECONDS: u64 = HOUR.since_1970 * 3600;

#[test]
fn an_object_is_read_from_an_open_hour_and_a_finished_one_and_a_damaged_one_is_not() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("archive/news");
    std::fs::create_dir_all(&folder).unwrap();
    let mut hours = Hours::new(&RealDisk, folder.clone());
    let mut past = Past::in_state(state.path());
    let commit = |hours: &mut Hours<'static, RealDisk>, number: u32| {
        let (path, bytes) = (format!("v/{number}.m4s"), format!("segment {number}"));
        let label = Label { path: &path, media_type: "video/mp4", modified: (7, 0) };
        hours.append(&label, bytes.as_bytes()).unwrap();
        hours.commit().unwrap();
    };
    let mut read = |number: u32| {
        let read = past.read("news", &format!("v/{number}.m4s"), SECONDS + 5000);
        read.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|error| error.kind())
    };
    let missing = Err(std::io::ErrorKind::NotFound);
    assert_eq!(read(1), missing.clone());
    hours.begin(HOUR).unwrap();
    commit(&mut hours, 1);
    assert_eq!((read(1), read(2)), (Ok("segment 1".to_owned()), missing.clone()));
    // What has come since is found, too.
    commit(&mut hours, 2);
    assert_eq!(read(2), Ok("segment 2".to_owned()));
    hours.finish().unwrap();
    hours.begin(Hour { since_1970: HOUR.since_1970 + 1, ..HOUR }).unwrap();
    commit(&mut hours, 3);
    assert_eq!((read(1), read(3)), (Ok("segment 1".to_owned()), Ok("segment 3".to_owned())));
    let mut afresh = Past::in_state(state.path());
    assert_eq!(afresh.read("news", "v/2.m4s", SECONDS).unwrap(), b"segment 2");
    assert!(afresh.read("film", "v/2.m4s", SECONDS).is_err());
    let open = folder.join(format!("{}.open", Hour { since_1970: HOUR.since_1970 + 1, ..HOUR }));
    let mut bytes = std::fs::read(&open).unwrap();
    let at = bytes.windows(9).position(|window| window == b"segment 3").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&open, bytes).unwrap();
    let error = Past::in_state(state.path()).read("news", "v/3.m4s", SECONDS).unwrap_err();
    assert_eq!(error.to_string(), "it is damaged");
}
