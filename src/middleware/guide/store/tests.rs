//! Tests of the store with its readers: editions, priorities, shifts.

use super::*;
use crate::middleware::guide::matching::{Ours, Said, Source, lines};
use crate::middleware::guide::programme::{Gathered, Programme};
use crate::middleware::guide::{Guide, Reader};

/// Writes an edition of a source with one channel, and gives that channel.
fn edition(store: &mut Store, source: &str, programmes: &[(u64, u64, &str)]) -> SourceChannel {
    let edition = store.begin(source).unwrap();
    let mut channel = SourceChannel { xmltv: "news".to_owned(), ..SourceChannel::default() };
    channel.names = vec!["The News".to_owned(), "News".to_owned()];
    store
        .write(|writing| {
            channel.number = writing.channel(edition, &channel)?;
            for piece in programmes.chunks(2) {
                let mut gathered = Gathered::default();
                for &(start, stop, title) in piece {
                    let (start, stop) = (UnixTime(start), UnixTime(stop));
                    let title = title.to_owned();
                    gathered.add(&Programme { start, stop, title, ..Programme::default() });
                }
                writing.block(channel.number, &gathered.packed(true).unwrap())?;
            }
            channel.programmes = programmes.len() as u64;
            writing.counted(&channel)
        })
        .unwrap();
    store.finish((source, edition), &Kept::default(), UnixTime(1000)).unwrap();
    channel
}

fn told(reader: &Reader, from: u64, to: u64) -> Vec<(u64, u64, String)> {
    let programmes = reader.programmes("news", (UnixTime(from), UnixTime(to))).unwrap();
    programmes.into_iter().map(|of| (of.start.0, of.stop.0, of.title)).collect()
}

fn ours(shift_minutes: i32) -> Ours {
    let said = Said { shift_minutes, ..Said::default() };
    Ours { id: "news".to_owned(), name: "News".to_owned(), archive_seconds: 0, said }
}

fn source(id: &str, channel: SourceChannel) -> Source {
    Source { id: id.to_owned(), channels: vec![channel] }
}

#[test]
fn an_edition_counts_once_it_is_finished_and_what_it_replaced_goes_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let first = edition(&mut store, "a", &[(100, 200, "one"), (200, 300, "two")]);
    let begun = store.begin("a").unwrap();
    let reading = Reading::open(folder.path()).unwrap();
    let counts = reading.kept("a").unwrap().unwrap().edition.unwrap();
    assert_eq!(reading.channels(counts).unwrap(), std::slice::from_ref(&first));
    let second = edition(&mut store, "a", &[(100, 200, "three")]);
    let blocks = |channel: &SourceChannel| {
        let mut count = 0;
        reading.blocks(channel.number, (0, 1000), |_| count += 1).unwrap();
        count
    };
    assert_eq!((blocks(&first), blocks(&second)), (1, 1), "somebody may still read it");
    store.sweep(UnixTime(1000)).unwrap();
    assert_eq!(blocks(&first), 1, "not before its time");
    store.sweep(UnixTime(1001)).unwrap();
    assert_eq!((blocks(&first), blocks(&second)), (0, 1));
    // What was begun and not finished goes at the next start.
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let left = "SELECT COUNT(*) FROM edition WHERE number = ?1";
    let left: i64 = store.connection.query_row(left, [begun], |row| row.get(0)).unwrap();
    assert_eq!((left, blocks(&second)), (0, 1));
}

#[test]
fn the_first_source_counts_and_the_second_fills_what_it_leaves_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let first = edition(&mut store, "a", &[(7200, 9000, "one"), (9000, 9600, "two")]);
    let second = edition(&mut store, "b", &[(3600, 7200, "before"), (7000, 9500, "hidden")]);
    let guide = Guide::new(folder.path());
    let sources = [source("a", first), source("b", second)];
    guide.publish(lines(&[ours(0)], &sources, 1));
    let reader = guide.reader().unwrap();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        told(&reader, 0, 100_000),
        [(3600, 7000, text("before")), (7200, 9000, text("one")), (9000, 9600, text("two"))],
        "those of a source end where its next begins"
    );
    assert_eq!(told(&reader, 9000, 9001), [(9000, 9600, text("two"))]);
    assert_eq!(told(&reader, 9600, 9700), []);
    let found = reader.now_next(["news", "none"], UnixTime(8000)).unwrap();
    assert_eq!(found[0].now.as_ref().unwrap().title, "one");
    assert_eq!(found[0].next.as_ref().unwrap().title, "two");
    assert_eq!(found[1], crate::middleware::guide::NowNext::default());
    // The other order, and moved by an hour.
    let [first, second] = sources;
    guide.publish(lines(&[ours(60)], &[second, first], 2));
    assert_eq!(told(&reader, 10_600, 12_601), [(10_600, 13_100, text("hidden"))]);
    assert_eq!(*guide.changes().borrow(), 2);
}

#[test]
fn a_file_that_is_no_store_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(path(folder.path()), vec![b'x'; 10_000]).unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    edition(&mut store, "a", &[(1, 2, "one")]);
    assert!(folder.path().join("guide.db.aside").exists());
    assert!(store.retain(&["b".to_owned()], UnixTime(2000)).unwrap());
    assert!(!store.retain(&[], UnixTime(2000)).unwrap(), "it is forgotten once");
    assert_eq!(store.kept("a").unwrap(), Kept::default());
}
