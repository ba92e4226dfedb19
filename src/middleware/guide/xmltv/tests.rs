//! Tests of reading XMLTV: what is taken, what is skipped, what is refused.

use proptest::prelude::*;

use super::*;

/// All that a text holds, or where it is refused.
fn all(text: &str) -> Result<Vec<Item>, Malformed> {
    let mut guide = Guide::new(text.as_bytes(), 0)?;
    let mut items = Vec::new();
    while let Some(item) = guide.next()? {
        items.push(item);
    }
    Ok(items)
}

fn within(text: &str) -> Vec<Item> {
    all(&format!("<tv>\n{text}\n</tv>")).unwrap()
}

#[track_caller]
fn programme(inner: &str) -> Programme {
    let text = format!(
        "<programme channel=\"c\" start=\"20261127200000 +0000\" stop=\"20261127210000 +0000\">\
         {inner}</programme>"
    );
    match within(&text).pop() {
        Some(Item::Programme { programme, .. }) => *programme,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn skipped(text: &str, line: u64, why: &'static str) {
    assert_eq!(within(text), [Item::Skipped { line, why }], "{text}");
}

#[test]
fn a_channel_and_a_programme_are_read_with_all_that_is_kept() {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tv SYSTEM "xmltv.dtd">
<!-- made by hand -->
<tv generator-info-name="x">
  <channel id="news&amp;more">
    <display-name lang="en"> The News </display-name>
    <display-name>News</display-name>
    <icon src="https://example.org/n.png?a=1&amp;b=2"/>
    <url>https://example.org/</url>
  </channel>
  <programme start="20261127200000 +0100" stop="20261127213000 +0100" channel="news&amp;more">
    <title lang="de">Tagesschau &amp; &#87;etter</title>
    <title lang="en">News</title>
    <sub-title>Kurz</sub-title>
    <desc>
      Erste Zeile
      <![CDATA[zwei <b>]]>
    </desc>
    <credits><director>A</director><actor role="x">B</actor><actor>C</actor><writer>D</writer></credits>
    <date>2026</date>
    <category>News</category><category>News</category><category>Info</category>
    <icon src="http://example.org/p.jpg"/>
    <country>DE</country>
    <episode-num system="xmltv_ns">0 . 4 . 0/1</episode-num>
    <episode-num system="onscreen">S01E05</episode-num>
    <episode-num system="dd_progid">EP0</episode-num>
    <previously-shown/><premiere/><new/><live/>
    <rating system="FSK"><value>12</value></rating>
    <star-rating><value>7.4/10</value></star-rating>
  </programme>
</tv>
"#;
    let of = |text: &str| text.to_owned();
    let channel = Item::Channel {
        xmltv: of("news&more"),
        names: vec![of("The News"), of("News")],
        icon: of("https://example.org/n.png?a=1&b=2"),
    };
    let programme = Programme {
        start: UnixTime::of_iso("2026-11-27T19:00:00Z").unwrap(),
        stop: UnixTime::of_iso("2026-11-27T20:30:00Z").unwrap(),
        title: of("Tagesschau & Wetter"),
        language: of("de"),
        sub_title: of("Kurz"),
        description: of("Erste Zeile\nzwei <b>"),
        episode: of("0 . 4 . 0/1"),
        onscreen: of("S01E05"),
        date: of("2026"),
        country: of("DE"),
        rating_system: of("FSK"),
        rating: of("12"),
        star_rating: of("7.4/10"),
        icon: of("http://example.org/p.jpg"),
        categories: vec![of("News"), of("Info")],
        directors: vec![of("A")],
        actors: vec![of("B"), of("C")],
        is_new: true,
        is_premiere: true,
        is_repeat: true,
        is_live: true,
    };
    let programme = Item::Programme { xmltv: of("news&more"), programme: Box::new(programme) };
    assert_eq!(all(text).unwrap(), [channel, programme]);
}

#[test]
fn what_makes_no_sense_costs_one_programme() {
    let times = "start=\"20261127200000\" stop=\"20261127210000\"";
    for (text, why) in [
        (format!("<programme {times}><title>a</title></programme>"), "a programme says no channel"),
        (
            "<programme channel=\"c\" start=\"soon\"><title>a</title></programme>".to_owned(),
            "a programme's start is no time",
        ),
        (
            "<programme channel=\"c\" start=\"2026\" stop=\"x\"><title>a</title></programme>"
                .to_owned(),
            "a programme's stop is no time",
        ),
        (
            "<programme channel=\"c\" start=\"20261127200000\" stop=\"20261127200000\">\
             <title>a</title></programme>"
                .to_owned(),
            "a programme ends before it has begun",
        ),
        (
            "<programme channel=\"c\" start=\"2026\" stop=\"2027\"><title>a</title></programme>"
                .to_owned(),
            "a programme goes on for weeks",
        ),
        (
            format!("<programme channel=\"c\" {times}><desc>a</desc></programme>"),
            "a programme has no title",
        ),
        (
            format!("<programme channel=\"c\" {times}><title>&nbsp;</title></programme>"),
            "it has an entity that XML does not know",
        ),
        (
            format!("<programme channel=\"c\" {times}><title>&#0;</title></programme>"),
            "it has a number that is no character",
        ),
        ("<channel><display-name>a</display-name></channel>".to_owned(), "a channel has no id"),
    ] {
        skipped(&text, 2, why);
    }
    let good = format!("<programme channel=\"c\" {times}><title>b</title></programme>");
    let items =
        within(&format!("<programme channel=\"c\"/>\n{good}\n<other><title>x</title></other>"));
    assert!(matches!(items[0], Item::Skipped { line: 2, .. }));
    assert!(matches!(&items[1], Item::Programme { programme, .. } if programme.title == "b"));
    assert_eq!(items.len(), 2);
}

#[test]
fn texts_are_cut_and_cleaned() {
    assert_eq!(programme("<title>a & b</title>").title, "a & b", "an ampersand that is none");
    assert_eq!(programme("<title>a&#7;b&#10;c</title>").title, "ab\nc");
    assert_eq!(programme("<title>a</title><desc/>").description, "");
    let long = "é".repeat(GUIDE_TEXT_SIZE_MAX);
    let read = programme(&format!("<title>{long}</title><desc>{long}</desc>"));
    assert_eq!(read.title.len(), GUIDE_WORD_SIZE_MAX);
    assert_eq!(read.description.len(), GUIDE_TEXT_SIZE_MAX);
    let many: String = (0..100).map(|at| format!("<category>{at}</category>")).collect();
    assert_eq!(programme(&format!("<title>a</title>{many}")).categories.len(), GUIDE_LIST_MAX);
}

#[test]
fn what_is_no_guide_is_refused_with_its_line() {
    let lol = "<!DOCTYPE tv [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>\n<tv>&b;</tv>";
    let deep = format!("<tv>\n{}", "<a>".repeat(GUIDE_DEPTH_MAX + 1));
    let long = format!("<tv>\n<channel id=\"{}\"/></tv>", "x".repeat(3 << 20));
    for (text, line, why) in [
        (lol, 1, "DOCTYPE declares"),
        (
            "<!DOCTYPE tv SYSTEM \"file:///etc/passwd\" [\n<!ENTITY % x SYSTEM \"y\">\n%x;]>\n<tv/>",
            3,
            "DOCTYPE declares",
        ),
        ("\n<html><tv/></html>", 2, "this is no XMLTV: it begins with <html>"),
        (&deep, 2, "deep in each other"),
        (&long, 2, "longer than"),
        ("<tv>\n<channel id=\"a\">\n</programme>\n</tv>", 3, "programme"),
        ("<tv>\n<channel id=\"a\">", 2, "in the middle"),
        ("<tv>\n<channel id=\"a", 2, "not found before end"),
        ("", 1, "in the middle"),
        ("just a text", 1, "in the middle"),
        ("<tv/><tv/>", 1, "begins with <tv>"),
    ] {
        let refused = all(text).unwrap_err();
        assert!(refused.why.contains(why) && refused.line == line, "{refused}: {text:.80}");
    }
    assert_eq!(all("<!DOCTYPE tv SYSTEM \"xmltv.dtd\"><tv/>"), Ok(Vec::new()));
}

#[test]
fn a_tag_with_a_megabyte_of_attributes_is_read_at_once() {
    let many: String = (0..90_000).map(|at| format!(" a{at}=\"\"")).collect();
    let began = std::time::Instant::now();
    let items = within(&format!("<channel{many} id=\"c\"><icon{many}/></channel>"));
    assert!(matches!(&items[0], Item::Channel { xmltv, .. } if xmltv == "c"));
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(mut guide) = Guide::new(bytes.as_slice(), 0) {
            while let Ok(Some(_)) = guide.next() {}
        }
    }

    #[test]
    fn no_mixture_of_tags_breaks_it(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "<tv>", "</tv>", "<programme channel=\"c\" start=\"2026\" stop=\"202601020000\">",
            "</programme>", "<title>", "</title>", "<channel id=\"c\">", "</channel>", "<value>",
            "</value>", "<rating>", "<star-rating>", "&amp;", "&x;", "&", "text", "<![CDATA[", "]]>",
            "<!--", "-->", "<icon src='a'/>", "<credits>", "<actor>", "\u{fffd}", "<", ">", "<?", "?>",
        ]), 0..60)
    ) {
        let text = format!("<tv>{}", pieces.concat());
        if let Ok(mut guide) = Guide::new(text.as_bytes(), 0) {
            while let Ok(Some(item)) = guide.next() {
                if let Item::Programme { programme, .. } = item {
                    prop_assert!(!programme.title.is_empty() && programme.start.0 > 0);
                }
            }
        }
    }
}
