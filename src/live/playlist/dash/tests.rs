//! Manifests, whole, as a player gets them.

use super::super::super::cut::Cutter;
use super::super::super::fixture::{MIDNIGHT, fed, feed, feed_cut, lengths};
use super::super::super::protection::sample;
use super::super::super::time::Length;
use super::super::multivariant::Bandwidth;
use super::super::name::Longer;
use super::*;

fn text(timelines: [&Timeline; 2], edition: Edition) -> String {
    protected(timelines, edition, &[])
}

fn protected(
    timelines: [&Timeline; 2],
    edition: Edition,
    protections: &[Option<Protection>],
) -> String {
    let bandwidth = Bandwidth { peak: 800_000, average: 700_000 };
    let video = Rendition {
        name: "v",
        carries: Carries::Video { resolution: (640, 360), frame_rate: Some((25, 1)) },
        codecs: "avc1.4d401e",
        bandwidth,
    };
    let audio = Rendition {
        name: "a",
        carries: Carries::Audio { language: Some("de"), channels: 2 },
        codecs: "mp4a.40.2",
        bandwidth: Bandwidth { peak: 96_000, average: 96_000 },
    };
    let headers = ["init-0.mp4".to_owned(), "init-1.mp4".to_owned()];
    let track = |rendition, timeline| Track {
        rendition,
        timeline,
        headers: &headers,
        protections,
        extension: "m4s",
        streams: Vec::new(),
    };
    let presentation = Presentation {
        tracks: &[track(&video, timelines[0]), track(&audio, timelines[1])],
        window_micros: 60_000_000,
        clock: "time",
    };
    let head = head(&presentation, edition, (1_795_651_205_250_000, "patch/1.mpp"));
    head + &body(&presentation, edition)
}

#[test]
fn a_plain_manifest_lists_whole_segments() {
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" \
type=\"dynamic\" id=\"live\" availabilityStartTime=\"1970-01-01T00:00:00Z\" \
publishTime=\"2026-11-26T00:00:05.250Z\" minimumUpdatePeriod=\"PT2.0S\" \
timeShiftBufferDepth=\"PT60.0S\" suggestedPresentationDelay=\"PT6.0S\" minBufferTime=\"PT2S\" \
maxSegmentDuration=\"PT2.0S\">
 <PatchLocation ttl=\"60\">patch/1.mpp</PatchLocation>
 <Period id=\"0\" start=\"PT0.0S\">
  <AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" \
startWithSAP=\"1\">
   <Representation id=\"v\" bandwidth=\"800000\" codecs=\"avc1.4d401e\" width=\"640\" \
height=\"360\" frameRate=\"25/1\">
    <SegmentTemplate timescale=\"90000\" presentationTimeOffset=\"0\" \
initialization=\"v/init-0.mp4\" media=\"v/0-$Time$.m4s\">
     <SegmentTimeline>
      <S t=\"161608608000000\" d=\"180000\" r=\"1\"/>
     </SegmentTimeline>
    </SegmentTemplate>
   </Representation>
  </AdaptationSet>
  <AdaptationSet id=\"1\" contentType=\"audio\" mimeType=\"audio/mp4\" segmentAlignment=\"true\" \
startWithSAP=\"1\" lang=\"de\">
   <Representation id=\"a\" bandwidth=\"96000\" codecs=\"mp4a.40.2\">
    <AudioChannelConfiguration \
schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"2\"/>
    <SegmentTemplate timescale=\"48000\" presentationTimeOffset=\"0\" \
initialization=\"a/init-0.mp4\" media=\"a/0-$Time$.m4s\">
     <SegmentTimeline>
      <S t=\"86191257600000\" d=\"96000\" r=\"1\"/>
     </SegmentTimeline>
    </SegmentTemplate>
   </Representation>
  </AdaptationSet>
 </Period>
 <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"time\"/>
</MPD>
";
    let found = text([&fed(90_000, MIDNIGHT, 10), &fed(48_000, MIDNIGHT, 10)], Edition::Plain);
    assert_eq!(found, expected);
}

#[test]
fn a_low_latency_manifest_lists_the_segment_that_grows_at_its_full_length() {
    let (video, audio) = (fed(90_000, MIDNIGHT, 9), fed(48_000, MIDNIGHT, 9));
    let found = text([&video, &audio], Edition::LowLatency);
    assert!(found.contains("<S t=\"161608608000000\" d=\"180000\" r=\"2\"/>"), "{found}");
    let offset = "availabilityTimeOffset=\"1.5\" availabilityTimeComplete=\"false\"";
    assert_eq!(found.matches(offset).count(), 2);
    // What is told of it comes as often as parts do.
    assert!(found.contains(" minimumUpdatePeriod=\"PT0.5S\" "), "{found}");
    assert!(found.contains("<Latency target=\"2000\" min=\"1000\" max=\"6000\"/>"));
}

#[test]
fn a_segment_that_did_not_come_keeps_its_number() {
    let mut video = fed(90_000, MIDNIGHT, 4);
    video.add_gap();
    video.add_gap();
    feed(&mut video, 90_000, MIDNIGHT + 12, 5);
    let audio = fed(48_000, MIDNIGHT, 16);
    let found = text([&video, &audio], Edition::Plain);
    let (t, d) = (161_608_608_000_000_u64, 180_000);
    let expected = format!(
        "     <FailoverContent valid=\"false\">
      <FCS t=\"{}\" d=\"{d}\"/>
      <FCS t=\"{}\" d=\"{d}\"/>
     </FailoverContent>
     <SegmentTimeline>
      <S t=\"{t}\" d=\"{d}\" r=\"3\"/>
",
        t + d,
        t + 2 * d
    );
    assert!(found.contains(&expected), "{found}");
}

#[test]
fn another_timeline_is_another_period() {
    let mut timelines = [fed(90_000, MIDNIGHT, 8), fed(48_000, MIDNIGHT, 8)];
    for (timeline, timescale) in timelines.iter_mut().zip([90_000, 48_000]) {
        // An encoder that counts from nothing, four seconds after midnight.
        timeline.begin_anew((MIDNIGHT / 2 + 4) * 1_000_000);
        timeline.change_header(1);
        feed(timeline, timescale, 0, 9);
    }
    let found = text([&timelines[0], &timelines[1]], Edition::Plain);
    assert!(found.contains("<Period id=\"0\" start=\"PT0.0S\">"), "{found}");
    let begins = "<Period id=\"1\" start=\"PT1795651204.0S\">";
    let second = &found[found.find(begins).expect("there are two")..];
    let names = "initialization=\"v/init-1.mp4\" media=\"v/1795651204000000-0-$Time$.m4s\"";
    assert!(second.contains(names), "{second}");
    assert!(second.contains("<S t=\"0\" d=\"180000\" r=\"1\"/>"), "{second}");
    // When the first has left the window, the second keeps its number.
    for (timeline, timescale) in timelines.iter_mut().zip([90_000, 48_000]) {
        feed(timeline, timescale, 12, 20);
        timeline.trim(0);
    }
    let later = text([&timelines[0], &timelines[1]], Edition::Plain);
    assert!(!later.contains("<Period id=\"0\""));
    assert_eq!(later.matches(begins).count(), 1);
}

#[test]
fn a_period_has_only_what_lies_in_it() {
    let mut video = fed(90_000, MIDNIGHT, 8);
    video.change_header(1);
    // One whole segment might be of a rendition that is just ahead of the others.
    let mut cutter = Cutter::new(lengths());
    feed_cut(&mut video, &mut cutter, 90_000, (MIDNIGHT + 8, 5));
    let found = text([&fed(48_000, MIDNIGHT, 8), &video], Edition::Plain);
    assert!(!found.contains("<Period id=\"1\""), "{found}");
    feed_cut(&mut video, &mut cutter, 90_000, (MIDNIGHT + 13, 4));
    let found = text([&fed(48_000, MIDNIGHT, 8), &video], Edition::Plain);
    let begins = "<Period id=\"1\" start=\"PT1795651204.0S\">\n";
    let (first, second) = found.split_once(begins).expect("there are two");
    assert_eq!(first.matches("<AdaptationSet id").count(), 2, "{found}");
    assert!(second.starts_with("  <AdaptationSet id=\"1\""), "{second}");
    assert_eq!(second.matches("<AdaptationSet id").count(), 1, "{second}");
    let offset = (MIDNIGHT + 8) * 45_000;
    assert!(second.contains(&format!("presentationTimeOffset=\"{offset}\"")), "{second}");
}

#[test]
fn messages_in_the_media_are_announced_once_a_set() {
    let stream = |value: &str| Stream {
        rendition: 0,
        scheme: "urn:scte:scte35:2013:bin".to_owned(),
        value: value.to_owned(),
    };
    let streams = [stream(""), stream("a\"")];
    let mut text = String::new();
    write_streams(&mut text, [&streams[1], &streams[0], &streams[1]].iter());
    assert_eq!(
        text,
        "   <InbandEventStream schemeIdUri=\"urn:scte:scte35:2013:bin\"/>
   <InbandEventStream schemeIdUri=\"urn:scte:scte35:2013:bin\" value=\"a&quot;\"/>
"
    );
}

#[test]
fn encrypted_media_says_so_at_its_set() {
    let protections = [Some(sample(*b"cenc"))];
    let (video, audio) = (fed(90_000, MIDNIGHT, 8), fed(48_000, MIDNIGHT, 8));
    let found = protected([&video, &audio], Edition::Plain, &protections);
    let set = found.split("startWithSAP=\"1\">\n").nth(1).expect("a set");
    let begins = "   <ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\"";
    assert!(set.starts_with(begins), "{found}");
    assert_eq!(found.matches("<cenc:pssh>").count(), 2 * 2, "{found}");
}

#[test]
fn names_are_escaped() {
    assert_eq!(Escaped("a<b>&\"c\"\u{1}").to_string(), "a&lt;b>&amp;&quot;c&quot;");
}

#[test]
fn a_period_that_one_of_its_renditions_has_left_is_listed_no_more() {
    let mut timelines = [fed(90_000, MIDNIGHT, 8), fed(48_000, MIDNIGHT, 8)];
    for (timeline, timescale) in timelines.iter_mut().zip([90_000, 48_000]) {
        timeline.change_header(1);
        feed(timeline, timescale, MIDNIGHT + 8, 120);
    }
    let [video, audio] = &mut timelines;
    let both = text([video, audio], Edition::Plain);
    assert_eq!(both.matches("<Period id=\"0\"").count(), 1);
    audio.trim(60_000_000);
    assert!(audio.segments()[0].sequence == 1 && video.segments()[0].sequence == 0);
    let found = text([video, audio], Edition::Plain);
    assert!(!found.contains("<Period id=\"0\""), "{found}");
}

#[test]
fn a_period_is_left_later_where_its_segments_are_longer() {
    // The sound came to its end by one segment of six seconds later than the picture.
    let mut timelines = [fed(90_000, MIDNIGHT, 8), fed(48_000, MIDNIGHT, 20)];
    for (timeline, (timescale, from)) in timelines.iter_mut().zip([(90_000, 8), (48_000, 20)]) {
        timeline.change_header(1);
        feed(timeline, timescale, MIDNIGHT + from, 128 - from);
        let (segment, part) = (Length::of_millis(6000), Length::of_millis(500));
        timeline.lengthen(Longer { segment, part });
    }
    let [video, audio] = &mut timelines;
    assert!(text([video, audio], Edition::Plain).contains("<Period id=\"0\""));
    video.trim(60_000_000);
    assert!(video.segments()[0].sequence == 1 && audio.segments()[0].sequence == 0);
    let found = text([video, audio], Edition::Plain);
    assert!(!found.contains("<Period id=\"0\""), "{found}");
}
