//! `shardcast guide`: where guides are read, which channel of them is which of ours, what is on.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::{Fields, ObjectVerb, encoded, run_verb};
use super::terminal::{moment, printable, say, table, word};

/// How often it is asked how far an import is.
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// Of a source.
#[derive(Debug, Args, Serialize)]
pub struct SourceFields {
    /// Its name, as people see it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// An http or https address of XMLTV: plain, .gz, .xz or .zip
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// A file on the server's machine, below guide.folder
    #[arg(long, conflicts_with = "url")]
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// Its place: the smallest counts, the others fill what it leaves open
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<i32>,
    /// How often it is looked at, as 6h [default: guide.refresh]
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<String>,
    /// Minutes that times are ahead of UTC which say no offset
    #[arg(long, value_name = "MINUTES", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_minutes: Option<i32>,
    /// Not looked at by itself: true or false
    #[arg(long, value_name = "WHETHER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
}

impl Fields for SourceFields {
    const PLURAL: &'static str = "guides";
    const COLUMNS: &'static [(&'static str, &'static str)] =
        &[("SOURCE", "id"), ("ORDER", "order"), ("URL", "url"), ("FILE", "file")];
}

/// Arguments of `shardcast guide`.
#[derive(Debug, Args)]
pub struct GuideArgs {
    #[command(subcommand)]
    verb: GuideVerb,
}

/// What can be done with guides.
#[derive(Debug, Subcommand)]
enum GuideVerb {
    #[command(flatten)]
    Source(ObjectVerb<SourceFields>),
    /// Look at a source now, and wait for what comes of it
    Refresh {
        /// Its id
        id: String,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// List which channel of a guide is which of ours, or say it of one
    Match {
        /// The channel that something is said of [default: all are listed]
        channel: Option<String>,
        /// What guides call it
        #[arg(long, value_name = "ID", requires = "channel")]
        xmltv: Option<String>,
        /// Only in this source
        #[arg(long, value_name = "ID", requires = "xmltv")]
        source: Option<String>,
        /// Take what is proposed first
        #[arg(long, requires = "channel", conflicts_with_all = ["xmltv", "off", "auto"])]
        accept: bool,
        /// Move its programmes by so many minutes
        #[arg(long, value_name = "MINUTES", requires = "channel", allow_negative_numbers = true)]
        shift: Option<i32>,
        /// It has no guide
        #[arg(long, requires = "channel", conflicts_with = "xmltv")]
        off: bool,
        /// It is found by itself again
        #[arg(long, requires = "channel", conflicts_with_all = ["xmltv", "off"])]
        auto: bool,
        /// Only those without a guide, with what they may be
        #[arg(long, conflicts_with = "channel")]
        unmatched: bool,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// List what is on a channel
    Programmes {
        /// The channel
        channel: String,
        /// From this second of Unix time on [default: now]
        #[arg(long, value_name = "SECOND")]
        from: Option<u64>,
        /// So many hours
        #[arg(long, default_value_t = 24)]
        hours: u64,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses; or what is imported is no guide.
pub fn run(args: &GuideArgs) -> Result<(), Failure> {
    match &args.verb {
        GuideVerb::Source(ObjectVerb::Ls { server, json, .. }) => list(server, *json),
        GuideVerb::Source(ObjectVerb::Show { id, server, json }) => {
            show(&server.get(&address(id))?, *json)
        }
        GuideVerb::Source(verb) => run_verb(verb),
        GuideVerb::Refresh { id, server, json } => refresh(id, server, *json),
        GuideVerb::Match { channel: None, unmatched, server, json, .. } => {
            matches(server, *unmatched, *json)
        }
        GuideVerb::Match { channel: Some(channel), server, json, .. } => {
            say_of(channel, &args.verb, server, *json)
        }
        GuideVerb::Programmes { channel, from, hours, server, json } => {
            programmes(channel, (*from, *hours), server, *json)
        }
    }
}

fn address(id: &str) -> String {
    format!("/api/v1/guide/sources/{}", encoded(id))
}

fn entries(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A line a document.
fn lines(documents: &[Value]) -> Result<(), Failure> {
    say(&documents.iter().map(|document| format!("{document}\n")).collect::<String>())
}

fn list(server: &ServerArgs, json: bool) -> Result<(), Failure> {
    let told = server.get("/api/v1/guide/sources")?;
    let sources = entries(&told["sources"]);
    if json {
        return lines(sources);
    }
    let row = |of: &Value| {
        vec![
            word(&of["id"]),
            word(&of["state"]),
            word(&of["import"]["channels"]),
            word(&of["import"]["programmes"]),
            word(&of["import"]["skipped"]),
            moment(&of["import"]["last"]),
            moment(&of["looked_at"]),
            word(&of["error"]),
        ]
    };
    let head =
        ["SOURCE", "STATE", "CHANNELS", "PROGRAMMES", "SKIPPED", "UNTIL", "LOOKED AT", "ERROR"];
    say(&table(&head, sources.iter().map(row).collect()))
}

fn show(of: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return say(&format!("{of:#}\n"));
    }
    let import = &of["import"];
    let mut text = format!("{}\n", word(&of["id"]));
    for (fact, value) in [
        ("name", word(&of["name"])),
        ("url", word(&of["url"])),
        ("file", word(&of["file"])),
        ("order", word(&of["order"])),
        ("state", word(&of["state"])),
        ("looked at", moment(&of["looked_at"])),
        ("next look", moment(&of["next_at"])),
        ("error", word(&of["error"])),
        ("imported", moment(&of["imported_at"])),
        ("channels", word(&import["channels"])),
        ("programmes", word(&import["programmes"])),
        ("of the past", word(&import["past_programmes"])),
        ("from", moment(&import["first"])),
        ("until", moment(&import["last"])),
        ("skipped", word(&import["skipped"])),
        ("bytes", word(&import["size"])),
        ("took", import["took_ms"].as_u64().map_or("-".to_owned(), |ms| format!("{ms} ms"))),
    ] {
        text += &format!("  {fact:11}  {value}\n");
    }
    for skip in entries(&import["skips"]) {
        text += &format!("  line {}: {}\n", word(&skip["line"]), word(&skip["why"]));
    }
    say(&text)
}

fn refresh(id: &str, server: &ServerArgs, json: bool) -> Result<(), Failure> {
    let before = server.get(&address(id))?;
    server.post(&format!("{}/refresh", address(id)), &Value::Object(Map::new()))?;
    let bar = ProgressBar::no_length();
    if json || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let now = loop {
        let now = server.get(&address(id))?;
        let is_over = now["state"] == "waiting";
        bar.set_message(printable(now["state"].as_str().unwrap_or_default()));
        if let Some(size) = now["size"].as_u64().filter(|size| *size > 0) {
            bar.set_length(size);
        }
        bar.set_position(now["read"].as_u64().unwrap_or_default());
        if is_over {
            break now;
        }
        std::thread::sleep(ASKED_EVERY);
    };
    bar.finish_and_clear();
    if let Some(why) = now["error"].as_str() {
        return Err(Failure::new(format!("import the guide {id}"), printable(why)));
    }
    if !json && now["imported_at"] == before["imported_at"] && now["import"] == before["import"] {
        return say(&format!("{id}: it is what it was\n"));
    }
    show(&now, json)
}

fn matches(server: &ServerArgs, unmatched: bool, json: bool) -> Result<(), Failure> {
    let (mut after, mut rows) = (String::new(), Vec::new());
    loop {
        let path = format!("/api/v1/guide/channels?limit=500&unmatched={unmatched}&after={after}");
        let page = server.get(&path)?;
        let channels = entries(&page["channels"]);
        if json {
            lines(channels)?;
        }
        for of in channels {
            let named = |of: &Value| format!("{}:{}", word(&of["source"]), word(&of["xmltv"]));
            let feeds = entries(&of["feeds"]);
            let found = match feeds.first() {
                _ if of["off"] == true => "off".to_owned(),
                Some(first) => word(&first["found_by"]),
                None => "-".to_owned(),
            };
            let of_guide: Vec<_> = feeds.iter().map(named).collect();
            let proposals: Vec<_> = entries(&of["proposals"])
                .iter()
                .map(|of| format!("{}:{}?", word(&of["source"]), word(&of["xmltv"])))
                .collect();
            let guide = [of_guide, proposals].concat().join(" ");
            let guide = if guide.is_empty() { "-".to_owned() } else { guide };
            let shift = word(&of["shift_minutes"]);
            rows.push(vec![word(&of["id"]), word(&of["name"]), found, shift, guide]);
        }
        let Some(next) = page["next"].as_str() else { break };
        after = encoded(next);
    }
    if json {
        return Ok(());
    }
    say(&table(&["CHANNEL", "NAME", "FOUND BY", "SHIFT", "GUIDE"], rows))
}

/// Says by what a channel is found.
fn say_of(channel: &str, verb: &GuideVerb, server: &ServerArgs, json: bool) -> Result<(), Failure> {
    let GuideVerb::Match { xmltv, source, accept, shift, off, auto, .. } = verb else {
        return Ok(());
    };
    let now = format!("/api/v1/guide/channels/{}", encoded(channel));
    let told = server.get(&now)?;
    let before = told["said"].as_object().cloned().unwrap_or_default();
    let mut document = before.clone();
    if let Some(xmltv) = xmltv {
        document.insert("xmltv".to_owned(), xmltv.as_str().into());
        document.insert("source".to_owned(), source.clone().into());
        document.insert("off".to_owned(), false.into());
    }
    if *accept {
        let why = "nothing is proposed for it";
        let first = entries(&told["proposals"]).first();
        let first = first.ok_or_else(|| Failure::new(format!("match {channel}"), why))?;
        document.insert("xmltv".to_owned(), first["xmltv"].clone());
        document.insert("source".to_owned(), first["source"].clone());
        document.insert("off".to_owned(), false.into());
    }
    if *off || *auto {
        document.insert("xmltv".to_owned(), Value::Null);
        document.insert("source".to_owned(), Value::Null);
        document.insert("off".to_owned(), (*off).into());
    }
    if let Some(shift) = shift {
        document.insert("shift_minutes".to_owned(), (*shift).into());
    }
    if document == before {
        return say(&format!("{told:#}\n"));
    }
    let path = format!("/api/v1/guide-matches/{}", encoded(channel));
    let said = server.put(&path, &Value::Object(document))?;
    if json {
        return say(&format!("{said:#}\n"));
    }
    let fact = |name: &str| word(&said[name]);
    let (xmltv, source, shift) = (fact("xmltv"), fact("source"), fact("shift_minutes"));
    say(&format!("{channel}: xmltv {xmltv}, source {source}, shift {shift}, off {}\n", fact("off")))
}

fn programmes(
    channel: &str,
    (from, hours): (Option<u64>, u64),
    server: &ServerArgs,
    json: bool,
) -> Result<(), Failure> {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let from = from.unwrap_or_else(|| now.map(|now| now.as_secs()).unwrap_or_default());
    let to = from.saturating_add(hours.saturating_mul(3600));
    let channel = encoded(channel);
    let path = format!("/api/v1/guide/programmes?channel={channel}&from={from}&to={to}");
    let told = server.get(&path)?;
    if json {
        return say(&format!("{told:#}\n"));
    }
    let row = |of: &Value| {
        let minutes = of["stop"].as_u64().zip(of["start"].as_u64());
        let minutes = minutes.map_or(0, |(stop, start)| stop.saturating_sub(start) / 60);
        let parts = [word(&of["title"]), word(&of["sub_title"])];
        let title = parts.into_iter().filter(|part| part != "-").collect::<Vec<_>>().join(" – ");
        vec![moment(&of["start"]), format!("{minutes} min"), title]
    };
    let rows = entries(&told["programmes"]).iter().map(row).collect();
    say(&table(&["START", "LENGTH", "TITLE"], rows))
}
