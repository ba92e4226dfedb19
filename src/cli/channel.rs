//! `shardcast channel`: what there is for every kind, and how the channels of a running server are.

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::objects::{ChannelFields, ObjectVerb, filter, pages, run_verb};
use super::terminal::{printable, say, table, word};

/// Arguments of `shardcast channel`.
#[derive(Debug, Args)]
pub struct ChannelArgs {
    #[command(subcommand)]
    verb: ObjectVerb<ChannelFields>,
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, has no such channel, or refuses.
pub fn run(args: &ChannelArgs) -> Result<(), Failure> {
    let (answer, json, text): (_, _, fn(&Value) -> String) = match &args.verb {
        ObjectVerb::Ls { category, series, server, json } => {
            let filter = filter(category.as_deref(), series.as_deref());
            let mut channels = Vec::new();
            pages::<ChannelFields>(server, &filter, |page| {
                channels.extend(page);
                Ok(())
            })?;
            (json!({ "channels": channels }), json, list)
        }
        ObjectVerb::Show { id, server, json } => {
            if !id.bytes().all(|one| one.is_ascii_alphanumeric() || b"-_.".contains(&one)) {
                return Err(Failure::new(format!("channel {id:?}"), "no channel can have this id"));
            }
            (server.get(&format!("/api/v1/channels/{id}"))?, json, shown)
        }
        verb => return run_verb(verb),
    };
    if *json {
        return say(&format!("{answer:#}\n"));
    }
    say(&text(&answer))
}

fn list(answer: &Value) -> String {
    let channels = answer["channels"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = channels.iter().map(|channel| {
        let renditions = channel["renditions"].as_array().map_or(&[][..], Vec::as_slice);
        let sum = |of: fn(&Value) -> Option<u64>| {
            renditions.iter().filter_map(of).fold(0, u64::saturating_add)
        };
        let bits = sum(|one| one["average_bandwidth"].as_u64());
        let missing = sum(|one| one["tally"]["missing_segments"].as_u64());
        vec![
            word(&channel["id"]),
            word(&channel["input"]),
            renditions.len().to_string(),
            bandwidth(bits),
            seconds(&channel["segment_ms"]),
            missing.to_string(),
            word(&channel["last_error"]["what"]),
        ]
    });
    let head = ["CHANNEL", "INPUT", "RENDITIONS", "BITRATE", "SEGMENT", "MISSING", "LAST ERROR"];
    table(&head, rows.collect())
}

fn shown(channel: &Value) -> String {
    let mut facts = vec![("name", word(&channel["name"]))];
    for fact in ["number", "categories", "file"] {
        let value = &channel[fact];
        let ids = value.as_array().map(|ids| ids.iter().map(word).collect::<Vec<_>>().join(","));
        let value = ids.unwrap_or_else(|| word(value));
        facts.extend(Some((fact, value)).filter(|(_, value)| !matches!(value.as_str(), "" | "-")));
    }
    facts.extend([
        ("input", word(&channel["input"])),
        ("segments", format!("{} s", seconds(&channel["segment_ms"]))),
        ("parts", format!("{} s", seconds(&channel["part_ms"]))),
        ("window", format!("{} s", seconds(&channel["window_ms"]))),
    ]);
    if let Some(chunks) = channel["chunks"].as_object() {
        let counts = chunks.iter().map(|(result, count)| format!("{count} {}", printable(result)));
        facts.push(("chunks", counts.collect::<Vec<_>>().join(", ")));
    }
    facts.push(("last error", word(&channel["last_error"]["what"])));
    facts.extend(input_facts(&channel["ffmpeg"]));
    let mut text = format!("{}\n", word(&channel["id"]));
    for (fact, value) in facts {
        text += &format!("  {fact:10}  {value}\n");
    }
    let renditions = channel["renditions"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = renditions.iter().map(|one| {
        let segments = &one["segments"];
        let lengths =
            format!("{}..{}", seconds(&segments["shortest_ms"]), seconds(&segments["longest_ms"]));
        vec![
            word(&one["name"]),
            word(&one["codecs"]),
            word(&one["input"]),
            bandwidth(one["average_bandwidth"].as_u64().unwrap_or(0)),
            word(&segments["newest"]),
            lengths,
            word(&one["tally"]["missing_segments"]),
            word(&one["tally"]["late_chunks"]),
            seconds(&one["delay_ms"]),
            seconds(&one["drift_ms"]),
        ]
    });
    let head = [
        "RENDITION",
        "CODECS",
        "INPUT",
        "BITRATE",
        "NEWEST",
        "LENGTHS",
        "MISSING",
        "LATE",
        "DELAY",
        "DRIFT",
    ];
    text += &table(&head, rows.collect());
    for line in channel["ffmpeg"]["lines"].as_array().map_or(&[][..], Vec::as_slice) {
        text += &format!("  ffmpeg: {}\n", word(line));
    }
    text
}

/// What ffmpeg reads for the channel, if it does.
fn input_facts(child: &Value) -> Vec<(&'static str, String)> {
    let Some(inputs) = child["inputs"].as_array() else { return Vec::new() };
    let at = child["input"].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let (count, input) = (inputs.len(), word(inputs.get(at).unwrap_or(&Value::Null)));
    let state = format!("{}, {}", word(&child["state"]), word(&child["start"]));
    let mut facts = vec![
        ("ffmpeg", format!("{state}, begun {} times", word(&child["starts"]))),
        ("reads", format!("{input} ({} of {count})", at + 1)),
    ];
    if !child["last_exit"].is_null() {
        facts.push(("last exit", word(&child["last_exit"]["what"])));
    }
    facts
}

/// Milliseconds as seconds.
fn seconds(value: &Value) -> String {
    value.as_i64().map_or_else(|| "-".to_owned(), |millis| format!("{}", millis as f64 / 1000.0))
}

fn bandwidth(bits: u64) -> String {
    match bits {
        0 => "-".to_owned(),
        1..1_000_000 => format!("{} kb/s", bits.div_ceil(1000)),
        _ => format!("{:.1} Mb/s", bits as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn news() -> Value {
        json!({
            "id": "news", "name": "The News", "input": "live",
            "segment_ms": 2000, "part_ms": 500, "window_ms": 60000,
            "chunks": { "published": 12, "late": 1 },
            "last_error": { "unix_ms": 1, "what": "PUT v/1.m4s: 400,\u{1b}[31m no" },
            "renditions": [
                {
                    "name": "v", "codecs": "avc1.64001e", "input": "live",
                    "average_bandwidth": 2_400_000,
                    "segments": { "newest": 897_825_600, "shortest_ms": 1960, "longest_ms": 2000 },
                    "tally": { "missing_segments": 3, "late_chunks": 1 },
                    "delay_ms": 120, "drift_ms": -4,
                },
                {
                    "name": "a", "codecs": "mp4a.40.2", "input": "silent",
                    "average_bandwidth": 96_000,
                    "segments": { "newest": null, "shortest_ms": null, "longest_ms": null },
                    "tally": { "missing_segments": 0, "late_chunks": 0 },
                    "delay_ms": null, "drift_ms": null,
                },
            ],
        })
    }

    #[test]
    fn what_ffmpeg_reads_is_shown_with_what_it_says() {
        let mut news = news();
        news["renditions"] = json!([]);
        news["ffmpeg"] = json!({
            "state": "running", "start": "always", "input": 1, "starts": 3,
            "inputs": ["udp://a:1", "https://b/***"],
            "last_exit": { "unix_ms": 1, "input": 0, "what": "exit status: 1; no route" },
            "lines": ["no \u{1b}route"],
        });
        let text = shown(&news);
        let (_, text) = text.split_once("no\n").unwrap();
        assert_eq!(
            text,
            "  ffmpeg      running, always, begun 3 times\n  reads       https://b/*** (2 of 2)\n  \
             last exit   exit status: 1; no route\nRENDITION  CODECS  INPUT  BITRATE  NEWEST  \
             LENGTHS  MISSING  LATE  DELAY  DRIFT\n  ffmpeg: no route\n"
        );
    }

    #[test]
    fn channels_are_a_line_each() {
        let other = json!({
            "id": "radio", "input": "waiting", "segment_ms": null, "last_error": null,
            "renditions": [],
        });
        assert_eq!(
            list(&json!({ "channels": [news(), other] })),
            "\
CHANNEL  INPUT    RENDITIONS  BITRATE   SEGMENT  MISSING  LAST ERROR
news     live     2           2.5 Mb/s  2        3        PUT v/1.m4s: 400,[31m no
radio    waiting  0           -         -        0        -
"
        );
    }

    #[test]
    fn a_channel_is_shown_with_its_renditions() {
        assert_eq!(
            shown(&news()),
            "\
news
  name        The News
  input       live
  segments    2 s
  parts       0.5 s
  window      60 s
  chunks      1 late, 12 published
  last error  PUT v/1.m4s: 400,[31m no
RENDITION  CODECS       INPUT   BITRATE   NEWEST     LENGTHS  MISSING  LATE  DELAY  DRIFT
v          avc1.64001e  live    2.4 Mb/s  897825600  1.96..2  3        1     0.12   -0.004
a          mp4a.40.2    silent  96 kb/s   -          -..-     0        0     -      -
"
        );
    }
}
