//! Events that media tells of, in playlists and manifests.

use super::boxes::{MIDNIGHT, full_bytes, segment};
use super::{Station, quoted};

/// A second of pictures that tells of a splice.
fn telling(second: u64, id: u32, at: u64, section: &[u8]) -> Vec<u8> {
    let times = [&1_u32.to_be_bytes()[..], &at.to_be_bytes(), &[0xff; 4], &id.to_be_bytes()];
    let scheme = b"urn:scte:scte35:2013:bin\0\0";
    let body = [&times.concat()[..], scheme, section].concat();
    [full_bytes(b"emsg", 0x0100_0000, &body), segment(second)].concat()
}

/// `splice_insert` of event 9.
fn insert(flags: u8) -> Vec<u8> {
    let head = [0xfc, 0x30, 0x1b, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0, 0, 5, 0, 0, 0, 9, 0x7f];
    [&head[..], &[flags, 0x7f, 0, 1, 0, 0]].concat()
}

fn dates(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("#EXT-X-DATERANGE:")).collect()
}

#[test]
fn a_splice_is_a_date_range_until_it_leaves_the_window() {
    let station = Station::start(
        "[[channel]]\nid = \"news\"\nsegment = \"1s\"\npart = \"500ms\"\nwindow = \"10s\"\n",
    );
    let header = super::boxes::header(super::boxes::Media::Picture);
    assert_eq!(station.put("news/v/init.mp4", &header).status, 200);
    station.push(MIDNIGHT);
    let push = |second: u64, body: &[u8]| {
        assert_eq!(station.put(&format!("news/v/{second}.m4s"), body).status, 200);
    };
    push(MIDNIGHT + 1, &telling(MIDNIGHT + 1, 1, MIDNIGHT + 4, &insert(0xcf)));
    push(MIDNIGHT + 2, &telling(MIDNIGHT + 2, 1, MIDNIGHT + 4, &insert(0xcf)));
    station.push(MIDNIGHT + 3);
    push(MIDNIGHT + 4, &telling(MIDNIGHT + 4, 2, MIDNIGHT + 8, &insert(0x4f)));
    station.settle();
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    let low = station.get("news/v/ll.m3u8").text().to_owned();
    let listed = dates(&plain);
    assert_eq!(listed, dates(&low));
    let id = format!("scte35-9-{}000", MIDNIGHT + 4);
    assert_eq!(listed.iter().map(|line| quoted(line, "ID")).collect::<Vec<_>>(), [&id, &id]);
    assert!(listed[0].contains("SCTE35-OUT=0xFC30") && listed[1].contains("SCTE35-IN=0xFC30"));
    assert!(low.contains("CAN-SKIP-DATERANGES=YES"), "{low}");
    for name in ["manifest.mpd", "ll.mpd"] {
        let manifest = station.get(&format!("news/{name}"));
        let announced = "<InbandEventStream schemeIdUri=\"urn:scte:scte35:2013:bin\"/>";
        assert_eq!(manifest.text().matches(announced).count(), 1, "{}", manifest.text());
    }
    (5..22).for_each(|at| station.push(MIDNIGHT + at));
    station.settle();
    let low = station.get("news/v/ll.m3u8").text().to_owned();
    assert!(dates(&low).is_empty(), "{low}");
    let delta = station.get("news/v/ll.m3u8?_HLS_skip=v2");
    let removed = format!("RECENTLY-REMOVED-DATERANGES=\"{id}\"");
    assert!(delta.text().contains(&removed), "{}", delta.text());
    let delta = station.get("news/v/ll.m3u8?_HLS_skip=YES");
    assert!(!delta.text().contains("RECENTLY-REMOVED"), "{}", delta.text());
}
