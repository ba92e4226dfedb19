//! Small manifests, and what turns one into another, word for word; larger ones are in `recent`.

use super::applier::{applied, read};
use super::*;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD id=\"x\" publishTime=\"";

fn manifest(published: u32, body: &str) -> String {
    format!("{HEAD}{published}\">\n{body}</MPD>\n")
}

/// What the operations are that turn one body into another.
#[track_caller]
fn check(old: &str, new: &str, expected: &str) {
    let (old, new) = (manifest(1, old), manifest(2, new));
    let found = patch(&old, &new).expect("there is one");
    assert_eq!(applied(&old, &found), read(&new), "{found}");
    let operations = found.split_once("</replace>\n").map(|(_, rest)| rest);
    assert_eq!(operations, Some(format!("{expected}</Patch>\n").as_str()), "{found}");
}

#[test]
fn a_patch_says_from_when_it_leads_to_when() {
    assert_eq!(
        patch(&manifest(1, ""), &manifest(2, "")).unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<Patch xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" mpdId=\"x\" originalPublishTime=\"1\" \
publishTime=\"2\">
 <replace sel=\"/MPD/@publishTime\">2</replace>
</Patch>
"
    );
}

fn timeline(entries: &str) -> String {
    format!(
        "<Period id=\"0\"><Representation id=\"v\">\n<SegmentTemplate n=\"1\">\
         <SegmentTimeline>\n{entries}</SegmentTimeline></SegmentTemplate></Representation></Period>\n"
    )
}

#[test]
fn entries_leave_the_front_and_come_to_the_end() {
    let of = "/MPD/Period[@id='0']/Representation[@id='v']/SegmentTemplate/SegmentTimeline";
    let old = timeline("<S t=\"0\" d=\"2\" r=\"9\"/>\n");
    let new = timeline("<S t=\"2\" d=\"2\" r=\"9\"/>\n");
    check(
        &old,
        &new,
        &format!(" <replace sel=\"{of}/S[1]\"><S t=\"2\" d=\"2\" r=\"9\"/></replace>\n"),
    );
    let old = timeline("<S t=\"0\" d=\"1\"/><S d=\"2\"/><S d=\"3\"/><S d=\"4\"/>");
    let new = timeline("<S t=\"1\" d=\"2\"/><S d=\"3\"/><S d=\"4\"/><S d=\"5\"/><S d=\"6\"/>");
    let expected = format!(
        " <remove sel=\"{of}/S[1]\"/>\n <replace sel=\"{of}/S[1]\"><S t=\"1\" d=\"2\"/></replace>\n \
         <add sel=\"{of}/S[3]\" pos=\"after\"><S d=\"5\"/><S d=\"6\"/></add>\n"
    );
    check(&old, &new, &expected);
    let expected = format!(
        " <remove sel=\"{of}/S[5]\"/>\n <replace sel=\"{of}/S[1]\"><S t=\"0\" d=\"1\"/></replace>\n \
         <replace sel=\"{of}/S[2]\"><S d=\"2\"/></replace>\n \
         <replace sel=\"{of}/S[3]\"><S d=\"3\"/></replace>\n \
         <replace sel=\"{of}/S[4]\"><S d=\"4\"/></replace>\n"
    );
    check(&new, &old, &expected);
}

#[test]
fn periods_come_and_go() {
    let period = |id: u32| format!("<Period id=\"{id}\"><A id=\"0\"/></Period>\n");
    let all = |ids: &[u32]| {
        let periods: String = ids.iter().map(|id| period(*id)).collect();
        format!("<PatchLocation ttl=\"60\">a</PatchLocation>\n{periods}<UTCTiming value=\"u\"/>")
    };
    check(
        &all(&[0]),
        &all(&[0, 1, 2]),
        &format!(
            " <add sel=\"/MPD/Period[@id='0']\" pos=\"after\">{}{}</add>\n",
            period(1).trim_end(),
            period(2).trim_end()
        ),
    );
    check(&all(&[0, 1]), &all(&[1]), " <remove sel=\"/MPD/Period[@id='0']\"/>\n");
    check(
        &all(&[0]),
        &all(&[1]),
        &format!(
            " <remove sel=\"/MPD/Period[@id='0']\"/>\n \
         <add sel=\"/MPD/PatchLocation[1]\" pos=\"after\">{}</add>\n",
            period(1).trim_end()
        ),
    );
    assert_eq!(patch(&manifest(1, &all(&[0, 1])), &manifest(2, &all(&[1, 0]))), None);
}

#[test]
fn what_a_selector_cannot_say_is_counted() {
    let body =
        |id: &str, codecs: &str| format!("<A id=\"{id}\" codecs=\"{codecs}\"><B value=\"1\"/></A>");
    let expected =
        " <replace sel=\"/MPD/A[1]\"><A id=\"it's\" codecs=\"b\"><B value=\"1\"/></A></replace>\n";
    // Of those with children there is one of a name, unless it has an id.
    let expected = expected.replace(
        " <replace sel=\"/MPD/A[1]\"><A id=\"it's\" codecs=\"b\"><B value=\"1\"/></A></replace>",
        " <replace sel=\"/MPD/A/@codecs\">b</replace>",
    );
    check(&body("it's", "a"), &body("it's", "b"), &expected);
    check(
        &body("v", "a"),
        &body("v", "b]]>"),
        " <replace sel=\"/MPD/A[@id='v']/@codecs\">b]]&gt;</replace>\n",
    );
    // Prefixes are declared where they are used, so what has them is told as a whole.
    let key = |text: &str| format!("<C xmlns:cenc=\"u\"><cenc:pssh>{text}</cenc:pssh></C>");
    let whole = format!(" <replace sel=\"/MPD/C[1]\">{}</replace>\n", key("b"));
    check(&key("a"), &key("b"), &whole);
}

#[test]
fn attributes_come_and_go() {
    check(
        "<A id=\"0\" a=\"1\" b=\"2\"><B/></A>",
        "<A id=\"0\" a=\"3\" c=\"4\"><B/></A>",
        " <remove sel=\"/MPD/A[@id='0']/@b\"/>\n \
         <replace sel=\"/MPD/A[@id='0']/@a\">3</replace>\n \
         <add sel=\"/MPD/A[@id='0']\" type=\"@c\">4</add>\n",
    );
    // What stays is not told, whatever stands in it.
    check(
        "<A id=\"0\" a=\"1\" b=\"x>y\"><B/></A>",
        "<A id=\"0\" a=\"3\" b=\"x>y\"><B/></A>",
        " <replace sel=\"/MPD/A[@id='0']/@a\">3</replace>\n",
    );
}

#[test]
fn what_players_could_not_follow_has_no_patch() {
    let (none, one) = ("<A id=\"0\"><B/></A>", "<A id=\"0\"><B/><C id=\"1\"/></A>");
    let missing = "<A id=\"0\"><FailoverContent><FCS t=\"1\"/></FailoverContent><B/></A>";
    for (old, new) in [(none, one), (one, none), (none, missing), (missing, none)] {
        assert_eq!(patch(&manifest(1, old), &manifest(2, new)), None, "{old} {new}");
    }
}

#[test]
fn what_is_no_manifest_has_no_patch() {
    let whole = manifest(1, "<A/>");
    for text in ["", "<MPD>", HEAD, "<?xml ?><Patch id=\"x\"/>", &whole[..whole.len() - 9]] {
        assert_eq!(patch(text, &whole), None, "{text}");
    }
    assert_eq!(patch(&whole, &whole.replace("id=\"x\"", "id=\"y\"")), None);
    let none = roxmltree::Document::parse(NONE).expect("it is XML");
    assert_eq!(none.root_element().attribute("mpdId"), Some("none"));
}
