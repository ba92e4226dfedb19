//! Files that somebody writes, news of them by hand, and the pieces that come of it.

use std::io::Write as _;

use super::*;

/// A folder, those who read it, and what they hand over.
struct Fixture {
    dir: tempfile::TempDir,
    files: Files,
    pieces: mpsc::Receiver<Piece>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let (sender, pieces) = mpsc::channel(1000);
        let files = Files::new(dir.path().to_owned(), None, sender, Arc::default());
        Self { dir, files, pieces }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What has been handed over since: paths, `<` at the first piece, `>` at the last, `!` if that
    /// is torn.
    fn said(&mut self) -> String {
        let mut said = String::new();
        while let Ok(piece) = self.pieces.try_recv() {
            let flag = |is: bool, word: &'static str| if is { word } else { "" };
            said += &format!(
                "{}{}{}{}{} ",
                piece.path,
                flag(piece.is_first, "<"),
                String::from_utf8_lossy(&piece.bytes),
                flag(piece.is_last, ">"),
                flag(piece.is_torn, "!")
            );
        }
        said.trim_end().to_owned()
    }
}

#[test]
fn a_segment_is_read_as_far_as_it_has_come_and_other_files_when_they_are_whole() {
    let mut fixture = Fixture::new();
    let path = fixture.path("1.m4s");
    let mut file = File::create(&path).unwrap();
    fixture.files.grow(&path);
    assert_eq!(fixture.said(), "1.m4s<");
    for piece in ["abc", "de"] {
        file.write_all(piece.as_bytes()).unwrap();
        fixture.files.grow(&path);
        fixture.files.grow(&path);
        assert_eq!(fixture.said(), format!("1.m4s{piece}"));
    }
    file.write_all(b"f").unwrap();
    fixture.files.look(&path, false);
    assert_eq!(fixture.said(), "1.m4sf 1.m4s>");
    // It is known, however often it is told of.
    fixture.files.look(&path, false);
    fixture.files.grow(&path);
    fixture.files.scan(false);
    assert_eq!(fixture.said(), "");
    for name in ["init.mp4", "index.m3u8", "2.m4s.tmp", "x.key"] {
        let path = fixture.path(name);
        fs::write(&path, name).unwrap();
        fixture.files.grow(&path);
        assert_eq!(fixture.said(), "", "{name}");
        fixture.files.look(&path, false);
        let is_read = matches!(name, "init.mp4" | "index.m3u8");
        let expected = if is_read { format!("{name}<{name} {name}>") } else { String::new() };
        assert_eq!(fixture.said(), expected);
    }
}

#[test]
fn a_file_that_is_cut_replaced_or_removed_while_it_grows_is_torn_and_read_anew() {
    let mut fixture = Fixture::new();
    let path = fixture.path("1.m4s");
    fs::write(&path, "abc").unwrap();
    fixture.files.grow(&path);
    fs::write(&path, "x").unwrap();
    fixture.files.grow(&path);
    assert_eq!(fixture.said(), "1.m4s< 1.m4sabc 1.m4s>!");
    fixture.files.look(&path, false);
    assert_eq!(fixture.said(), "1.m4s<x 1.m4s>");

    let (path, beside) = (fixture.path("2.m4s"), fixture.path("beside"));
    fs::write(&path, "abc").unwrap();
    fixture.files.grow(&path);
    fs::write(&beside, "defg").unwrap();
    fs::rename(&beside, &path).unwrap();
    fixture.files.look(&path, false);
    assert_eq!(fixture.said(), "2.m4s< 2.m4sabc 2.m4s>! 2.m4s<defg 2.m4s>");

    let path = fixture.path("3.m4s");
    fs::write(&path, "abc").unwrap();
    fixture.files.grow(&path);
    fs::remove_file(&path).unwrap();
    fixture.files.look(&path, false);
    assert_eq!(fixture.said(), "3.m4s< 3.m4sabc 3.m4s>!");
    assert!(fixture.files.tails.is_empty());
}

#[test]
fn what_is_of_no_use_is_not_read_on_and_once_more_when_it_is_asked_for() {
    let mut fixture = Fixture::new();
    let path = fixture.path("1.m4s");
    fs::write(&path, "abc").unwrap();
    fixture.files.grow(&path);
    let first = fixture.pieces.try_recv().unwrap();
    assert!(first.series.grew());
    first.series.refuse();
    assert_eq!(fixture.said(), "1.m4sabc");
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(b"def").unwrap();
    fixture.files.grow(&path);
    fixture.files.look(&path, false);
    assert_eq!(fixture.said(), "1.m4s>");
    let (sender, news) = sync_channel(1);
    let again = Again(sender, Arc::clone(&fixture.files.lost));
    again.ask("1.m4s".to_owned());
    assert!(fixture.files.turn(&news));
    assert_eq!(fixture.said(), "1.m4s<abcdef 1.m4s>");
}

#[test]
fn what_lay_there_is_known_but_for_headers_which_come_first() {
    let mut fixture = Fixture::new();
    for name in ["1.m4s", "init.mp4", "2.m4s", "a.txt"] {
        fs::write(fixture.path(name), name).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", fixture.path("3.m4s")).unwrap();
    fixture.files.scan(true);
    assert_eq!(fixture.said(), "init.mp4<init.mp4 init.mp4>");
    fs::write(fixture.path("other.init"), "o").unwrap();
    fs::write(fixture.path("4.m4s"), "4").unwrap();
    fixture.files.scan(false);
    assert_eq!(fixture.said(), "other.init<o other.init> 4.m4s<4 4.m4s>");
}

#[test]
fn news_that_found_no_room_is_found_by_a_scan() {
    let mut fixture = Fixture::new();
    let (sender, news) = sync_channel(1);
    let lost = Arc::clone(&fixture.files.lost);
    let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
    let grew = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
    for name in ["1.m4s", "2.m4s", "3.m4s"] {
        let path = fixture.path(name);
        fs::write(&path, name).unwrap();
        tell(Ok(notify::Event::new(closed).add_path(path)), &sender, &lost);
        assert_eq!(lost.load(Ordering::Acquire), name != "1.m4s", "{name}");
    }
    assert!(fixture.files.turn(&news));
    let said = fixture.said();
    assert!(said.starts_with("1.m4s<1.m4s 1.m4s> "), "{said}");
    for name in ["1.m4s", "2.m4s", "3.m4s"] {
        assert_eq!(said.matches(&format!("{name}<{name} {name}>")).count(), 1, "{said}");
    }
    // What only grew is told of again; an overflow of the kernel is one of ours.
    lost.store(false, Ordering::Release);
    for _ in 0..3 {
        let event = notify::Event::new(grew).add_path(fixture.path("1.m4s"));
        tell(Ok(event), &sender, &lost);
    }
    assert!(!lost.load(Ordering::Acquire));
    let overflow = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
    tell(Ok(overflow), &sender, &lost);
    assert!(lost.swap(false, Ordering::AcqRel));
    tell(Err(notify::Error::generic("of the watcher")), &sender, &lost);
    assert!(lost.load(Ordering::Acquire));
}

#[test]
fn nobody_reads_for_nobody() {
    let mut fixture = Fixture::new();
    let (_sender, news) = sync_channel(1);
    fixture.pieces.close();
    fs::write(fixture.path("1.m4s"), vec![7; 4 << 20]).unwrap();
    assert!(!fixture.files.turn(&news));
}
