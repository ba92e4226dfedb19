//! What caps leave of texts of ours and of others.

use proptest::prelude::*;

use super::*;

/// What a cap leaves of a text; lines are marks of what is left.
#[track_caller]
fn check(class: Class, text: &str, marks: &[&str], cases: &[(u32, &[&str])]) {
    let ladder = narrowed(class, text);
    for (cap_kbps, expected) in cases {
        let form = ladder.narrow.iter().rfind(|narrow| narrow.from_kbps <= *cap_kbps);
        let form = form.filter(|_| *cap_kbps < ladder.whole_from_kbps);
        let text = form.map_or(text, |narrow| &narrow.text);
        let left: Vec<_> = marks.iter().filter(|mark| text.contains(**mark)).copied().collect();
        assert_eq!(left, *expected, "{cap_kbps}: {text}");
    }
}

const MASTER: &str = "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"low\",NAME=\"de\",URI=\"a64/i.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"high\",NAME=\"de\",URI=\"a256/i.m3u8\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"de\",URI=\"s/i.m3u8\"
#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=2000000,BANDWIDTH=3000001,CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=1280x720,AUDIO=\"high\",SUBTITLES=\"text\"
v720/i.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=640x360,AUDIO=\"low\",SUBTITLES=\"text\"

# a word
v360/i.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=6000000,RESOLUTION=1920x1080,AUDIO=\"high\"\r
v1080/i.m3u8\r
#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.2\",AUDIO=\"low\"
a64/alone.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=300000,RESOLUTION=1280x720,URI=\"v720/winding.m3u8\"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,RESOLUTION=640x360,URI=\"winding-360.m3u8\"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=700000,RESOLUTION=1920x1080,URI=\"winding-1080.m3u8\"
";

#[test]
fn variants_beyond_a_cap_are_left_out_with_what_belongs_to_them() {
    let marks = [
        "a64/i",
        "a256/i",
        "s/i",
        "v720/i",
        "v360/i",
        "v1080/i",
        "alone",
        "v720/winding",
        "winding-360",
        "winding-1080",
    ];
    let lowest: &[&str] = &["a64/i", "s/i", "v360/i", "alone", "winding-360"];
    let middle: &[&str] =
        &["a64/i", "a256/i", "s/i", "v720/i", "v360/i", "alone", "v720/winding", "winding-360"];
    let cases: &[(u32, &[&str])] = &[
        (0, lowest),
        (799, lowest),
        (800, lowest),
        // What is within a cap is so to the bit.
        (3000, lowest),
        (3001, middle),
        (5999, middle),
        (6000, &marks),
        (u32::MAX, &marks),
    ];
    check(Class::Playlist, MASTER, &marks, cases);
    assert_eq!(narrowed(Class::Playlist, MASTER).narrow.len(), 2, "one for each set");
}

#[test]
fn what_has_nothing_to_choose_from_is_left_alone() {
    let radio = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.2\"\na\n\
                 #EXT-X-STREAM-INF:BANDWIDTH=256000,CODECS=\"mp4a.40.2\"\nb\n";
    let single = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=6400000\na\n";
    let media = "#EXTM3U\n#EXTINF:2,\n1.m4s\n";
    for text in [radio, single, media, "", "#EXT-X-STREAM-INF:BANDWIDTH=5"] {
        assert_eq!(narrowed(Class::Playlist, text), Ladder::default(), "{text}");
    }
}

const MANIFEST: &str = r#"<?xml version="1.0"?>
<!-- <AdaptationSet> -->
<MPD type="dynamic" id="news">
 <PatchLocation ttl="60">patch/1.mpp</PatchLocation>
 <Period id="0">
  <AdaptationSet contentType="video">
   <Representation id="v360" bandwidth="800000"><SegmentTemplate media="v360/$Number$.m4s"/></Representation>
   <Representation id="v720" bandwidth="3000000" label="a > b"/>
  </AdaptationSet>
  <AdaptationSet mimeType="video/mp4">
   <Representation bandwidth="2500000" id="hevc"></Representation>
  </AdaptationSet>
  <AdaptationSet contentType="audio">
   <Representation id="sound" bandwidth="9000000"/>
  </AdaptationSet>
  <AdaptationSet>
   <EssentialProperty schemeIdUri="http://dashif.org/guidelines/trickmode" value="1"/>
   <Representation id="winding" codecs="avc1.64" bandwidth="100000"/>
  </AdaptationSet>
 </Period>
 <Period id="1">
  <AdaptationSet><Representation mimeType="video/mp4" id="alone" bandwidth="7000000"/></AdaptationSet>
 </Period>
</MPD>
"#;

#[test]
fn representations_beyond_a_cap_are_left_out_and_none_of_a_period_is_without_pictures() {
    let marks = ["patch/", "\"v360\"", "\"v720\"", "\"hevc\"", "sound", "winding", "alone"];
    let lowest: &[&str] = &["\"v360\"", "sound", "winding", "alone"];
    let middle: &[&str] = &["\"v360\"", "\"hevc\"", "sound", "winding", "alone"];
    let cases: &[(u32, &[&str])] =
        &[(0, lowest), (2499, lowest), (2500, middle), (2999, middle), (3000, &marks)];
    check(Class::Manifest, MANIFEST, &marks, cases);
    for Narrow { text, .. } in narrowed(Class::Manifest, MANIFEST).narrow {
        roxmltree::Document::parse(&text).expect("it is well-formed");
        let sets = text.matches("</AdaptationSet>").count();
        assert_eq!(sets, text.matches("<AdaptationSet").count() - 1, "{text}");
        assert!(text.contains("   <Representation id=\"v360\""), "{text}");
    }
}

/// Where the renditions of a text lie, as `place=kbps`, with `*` where caps hold.
#[track_caller]
fn check_places(class: Class, text: &str, expected: &[&str]) {
    let mut read = |path: &str| {
        Some(format!("#EXT-X-MAP:URI=\"{path}.mp4\"\n1%20.ts\n1%20.ts\n../up.ts\n#x\nhttp://b/c\n"))
    };
    let places = places(class, text, &mut read).into_iter().map(|(place, rung)| {
        format!("{place}={}{}", rung.kbps, if rung.is_capped { "*" } else { "" })
    });
    assert_eq!(places.collect::<Vec<_>>(), expected);
}

#[test]
fn a_rendition_lies_in_its_folder_or_where_its_playlist_says() {
    let variant = |kbps: u32, uri: &str| format!("#EXT-X-STREAM-INF:BANDWIDTH={kbps}000\n{uri}\n");
    let own = [variant(9, "a/i.m3u8"), variant(3, "b/c/i.m3u8?x"), variant(12, "a/i.m3u8")];
    check_places(Class::Playlist, &own.concat(), &["a=9*", "b/c=3"]);
    let shared = [variant(9, "a/1.m3u8"), variant(3, "a/2.m3u8"), variant(5, "https://b/c.m3u8")];
    check_places(
        Class::Playlist,
        &shared.concat(),
        &[
            "a/a/1.m3u8.mp4=9*",
            "a/1 .ts=9*",
            "up.ts=9*",
            "a/1.m3u8=9*",
            "a/a/2.m3u8.mp4=3",
            "a/1 .ts=3",
            "up.ts=3",
            "a/2.m3u8=3",
        ],
    );
    // With a sound in the same folder, or outside of the asset.
    let sound = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"a/s.m3u8\"\n";
    let outside = [sound, &variant(9, "a/1.m3u8"), &variant(3, "../2.m3u8")].concat();
    check_places(
        Class::Playlist,
        &outside,
        &["a/a/1.m3u8.mp4=9", "a/1 .ts=9", "up.ts=9", "a/1.m3u8=9"],
    );
}

#[test]
fn a_manifest_says_where_renditions_lie_that_have_a_folder_or_are_one_file() {
    let set = |inner: &str| {
        format!("<Period><AdaptationSet contentType=\"video\">{inner}</AdaptationSet></Period>")
    };
    let one = |id: &str, kbps: u32, inner: &str| {
        format!("<Representation id=\"{id}\" bandwidth=\"{kbps}000\">{inner}</Representation>")
    };
    let template = "<SegmentTemplate media=\"$RepresentationID$/s-$Number%05d$.m4s\"/>";
    let shared = set(&[template, &one("x", 9, ""), &one("y", 3, "")].concat());
    // Two periods have the same renditions.
    check_places(Class::Manifest, &shared.repeat(2), &["x=9*", "y=3"]);
    let files =
        [one("x", 9, "<BaseURL>x.mp4</BaseURL>"), one("y", 3, "<BaseURL> d/y.mp4 </BaseURL>")];
    check_places(Class::Manifest, &set(&files.concat()), &["x.mp4=9*", "d/y.mp4=3"]);
    let flat = "<SegmentTemplate media=\"$RepresentationID$-$Number$.m4s\"/>";
    let flat = set(&[flat, &one("x", 9, ""), &one("y", 3, "")].concat());
    check_places(Class::Manifest, &flat, &[]);
    let based =
        "<BaseURL>media/</BaseURL><SegmentTemplate media=\"$RepresentationID$/$Time$.m4s\"/>";
    let based = set(&[based, &one("x", 9, ""), &one("y", 3, "<BaseURL>low/</BaseURL>")].concat());
    check_places(Class::Manifest, &based, &["media/x=9*", "media/low/y=3"]);
}

#[test]
fn there_are_so_many_sets_at_most() {
    let line = |kbps: usize| format!("#EXT-X-STREAM-INF:BANDWIDTH={}\n{kbps}.m3u8\n", kbps * 1000);
    let text: String = (1..=100).map(line).collect();
    let ladder = narrowed(Class::Playlist, &text);
    assert_eq!(ladder.narrow.len(), VARIANT_SETS_MAX);
    assert_eq!((ladder.narrow[0].from_kbps, ladder.whole_from_kbps), (0, 100));
    assert!(ladder.narrow.is_sorted_by_key(|narrow| narrow.from_kbps));
    for narrow in &ladder.narrow {
        let count = narrow.text.matches(".m3u8").count();
        assert_eq!(count, narrow.from_kbps.max(1) as usize, "what is beyond is never there");
    }
}

proptest! {
    #[test]
    fn whatever_is_cut_up_is_read(
        pieces in proptest::collection::vec((0_usize..2000, 0_usize..400), 0..12),
        is_manifest in any::<bool>(),
    ) {
        let whole = if is_manifest { MANIFEST } else { MASTER };
        let piece = |(from, size): (usize, usize)| {
            let from = from.min(whole.len());
            &whole[from..(from + size).min(whole.len())]
        };
        let text: String = pieces.into_iter().map(piece).collect();
        crate::live::fuzz::ladder(text.as_bytes());
    }

    #[test]
    fn no_text_makes_it_panic(text in "[<>/\"'= \n#A-Za-z:0-9é%.-]{0,120}") {
        let begun = "#EXT-X-STREAM-INF:BANDWIDTH=5\na\n#EXT-X-STREAM-INF:";
        let text = format!("{begun}{text}\n<Period><AdaptationSet {text}");
        crate::live::fuzz::ladder(text.as_bytes());
    }
}
