//! Lists, as players read them.

use std::collections::HashMap;

use super::*;
use crate::middleware::catalogue::personal::{Fillings, Template};
use crate::middleware::content::Content;
use crate::middleware::fixture;

/// The list that Anna gets, whose password has everything in it.
fn written(list: List) -> String {
    let content = fixture::content();
    let held = content.held(&content.set_of("all"));
    let of = Of { content: &content, held: &held, base: "http://tv:8080" };
    let mut body = Body::default();
    let media_type = write(&of, list, &mut body);
    let template = Template::of(body.plain(), media_type).unwrap();
    let fillings = Fillings {
        in_path: in_path("anna", "a/b\"\n?"),
        in_query: in_query("anna", "a/b\"\n?"),
        account: String::new(),
    };
    String::from_utf8(template.filled(&fillings)).unwrap()
}

#[test]
fn a_list_has_channels_films_and_episodes_with_all_attributes() {
    let expected = "\
#EXTM3U url-tvg=\"http://tv:8080/xmltv.php?username=anna&password=a%2Fb%22%0A%3F\" \
x-tvg-url=\"http://tv:8080/xmltv.php?username=anna&password=a%2Fb%22%0A%3F\"
#EXTINF:-1 tvg-id=\"news\" tvg-name=\"The 'News' #EXTINF, live\" \
tvg-logo=\"http://tv:8080/img/logo-320.jpg\" tvg-chno=\"1\" group-title=\"News;World, all\" \
catchup=\"default\" catchup-days=\"2\" \
catchup-source=\"http://tv:8080/timeshift/anna/a%2Fb%22%0A%3F/{duration:60}/{utc}/1.ts\",\
The 'News' #EXTINF, live
http://tv:8080/live/anna/a%2Fb%22%0A%3F/1.ts
#EXTINF:-1 tvg-id=\"sport\" tvg-name=\"Sport\" tvg-chno=\"2\",Sport
http://tv:8080/live/anna/a%2Fb%22%0A%3F/2.ts
#EXTINF:-1 tvg-name=\"A Film\" tvg-logo=\"https://pictures.example/p.jpg\" \
group-title=\"Drama\",A Film
http://tv:8080/movie/anna/a%2Fb%22%0A%3F/1.mp4
#EXTINF:-1 tvg-name=\"Bare\",Bare
http://tv:8080/movie/anna/a%2Fb%22%0A%3F/2.m3u8
#EXTINF:-1 tvg-name=\"Serial S01E02 Second\" group-title=\"Serials\",Serial S01E02 Second
http://tv:8080/series/anna/a%2Fb%22%0A%3F/1.m3u8
";
    assert_eq!(written(List::default()), expected);
}

#[test]
fn a_plain_list_has_names_and_addresses_only() {
    let list = List::of(Some("m3u"), Some("hls"), None);
    let text = written(list);
    assert!(text.starts_with("#EXTM3U\n#EXTINF:-1,The 'News' #EXTINF, live\nhttp://tv:8080/live/"));
    assert!(text.contains("/1.m3u8\n") && !text.contains(".ts\n") && !text.contains("tvg-"));
    assert_eq!(text.lines().count(), 1 + 2 * 5);
}

#[test]
fn players_are_told_of_the_past_as_they_ask() {
    for (asked, expected) in [
        (
            "default",
            "catchup=\"default\" catchup-days=\"2\" catchup-source=\"http://tv:8080/timeshift/",
        ),
        (
            "append",
            "catchup=\"append\" catchup-days=\"2\" catchup-source=\"?utc={utc}&lutc={lutc}\",",
        ),
        ("shift", "catchup=\"shift\" catchup-days=\"2\","),
        ("flussonic", "catchup=\"flussonic\" catchup-days=\"2\","),
        ("xc", "catchup=\"xc\" catchup-days=\"2\","),
        ("nonsense", "catchup=\"default\" "),
    ] {
        let text = written(List::of(None, Some("m3u8"), Some(asked)));
        assert!(text.contains(expected), "{asked}: {text}");
        // Of what has no past nothing is said.
        assert_eq!(text.matches("catchup=").count(), 1, "{asked}");
    }
}

#[test]
fn every_line_is_an_entry_or_an_address_whatever_things_are_called() {
    let mut content: Content = fixture::content();
    let names =
        ["a\nhttp://evil/", "a\r\n#EXTINF:-1,b", "\u{1}\u{2}\u{3}", "x\u{2028}y", "a\u{85}b"];
    let channel = content.channels["sport"].clone();
    for name in names {
        let channel = crate::middleware::content::Channel {
            name: name.into(),
            logo: Some(name.into()),
            ..fixture::copied(&channel)
        };
        content.channels.insert("sport".into(), std::sync::Arc::new(channel));
        let held = content.held(&content.set_of("all"));
        let of = Of { content: &content, held: &held, base: "http://tv" };
        let mut body = Body::default();
        write(&of, List::default(), &mut body);
        let template = Template::of(body.plain(), CHANNEL_LIST).unwrap();
        let text = String::from_utf8(template.filled(&Fillings::default())).unwrap();
        let mut kinds = HashMap::new();
        for line in text.lines() {
            let kind = line.split([':', ' ']).next().unwrap().to_owned();
            *kinds.entry(kind).or_insert(0) += 1;
        }
        let expected = [("#EXTM3U", 1), ("#EXTINF", 5), ("http", 5)];
        let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(kinds, HashMap::from(expected), "{name:?}: {text}");
    }
}
