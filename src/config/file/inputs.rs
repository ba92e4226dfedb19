//! What ffmpeg reads for a channel: the keys `inputs`, `start`, `encode` and `idle`.

use std::net::IpAddr;

use toml::Spanned;
use toml::de::DeTable;

use super::{Reading, Whose};
use crate::config::given::{Given, Wrong};
use crate::config::inputs::{
    Encode, INPUT_SIZE_MAX, INPUTS_MAX, Input, Place, SCHEMES, Scheme, host, lengths_ms,
};
use crate::config::{Channel, values};

/// What is encoded anew has lengths of ours, and need not be learnt from.
pub(super) fn settle_encoded(channel: &mut Channel) {
    if channel.sources.inputs.encode == Encode::All {
        let (segment, part) = lengths_ms(channel.segment_ms, channel.part_ms);
        (channel.segment_ms, channel.part_ms) = (Some(segment), Some(part));
    }
}

/// Keys of an input that is written as a table.
const KEYS: &str = "url or path, listen and paced";

impl Reading<'_> {
    /// Inputs in their order: `inputs = ["udp://239.1.1.1:5000", { path = "sorry.mp4" }]`.
    pub(super) fn inputs(&self, given: Given<'_>) -> Result<Vec<Input>, Wrong> {
        let inputs = given.few(INPUTS_MAX, "leave it out, and somebody pushes")?;
        inputs.into_iter().map(|given| self.may_read(self.input(given)?, given)).collect()
    }

    /// Whoever asks by the network does not get at what listens on this machine for nobody else,
    /// or at what a cloud tells its machines by link-local addresses.
    fn may_read(&self, input: Input, given: Given<'_>) -> Result<Input, Wrong> {
        let Place::Url { url, .. } = &input.place else { return Ok(input) };
        let connects = input.tcp_port().is_some() && !input.listens;
        if self.whose == Whose::Operator && connects && is_ours(host(url)) {
            let why = "is an address of this machine, which only the config file may name";
            return Err(given.blame(why));
        }
        Ok(input)
    }

    /// What goes with inputs, and what does not.
    pub(super) fn look_at_inputs(&mut self, channel: &Channel, table: &DeTable<'_>) {
        let has = |key: &str| table.contains_key(key);
        let mut wrong = Vec::new();
        for other in ["ingest", "source", "playlist", "folder"] {
            if has("inputs") && has(other) {
                wrong.push((other, "does not go with inputs: what they give is all there is"));
            }
        }
        for key in ["start", "encode", "idle"] {
            if has(key) && !has("inputs") {
                wrong.push((key, "needs inputs (write inputs = [\"udp://239.1.1.1:5000\"])"));
            }
        }
        if has("idle") && has("inputs") && !channel.sources.inputs.on_demand {
            wrong.push(("idle", "needs start = \"on-demand\""));
        }
        for (key, why) in wrong {
            let span = table.get(key).map(Spanned::span);
            self.complain(span, &format!("channel.{key}"), why.to_owned());
        }
    }

    fn input(&self, given: Given<'_>) -> Result<Input, Wrong> {
        let Some(table) = given.table() else {
            let place = self.place_of(given)?;
            let listens = calls_listener(&place);
            let is_paced = matches!(place, Place::File(_));
            return Ok(Input { place, listens, is_paced });
        };
        self.input_of_table(given, table)
    }

    /// A URL if it looks like one, else a file beside the config.
    fn place_of(&self, given: Given<'_>) -> Result<Place, Wrong> {
        let has_scheme = given.read(|text| Ok(scheme_of(text).is_some()))?;
        if has_scheme {
            return given.read(url);
        }
        Ok(Place::File(self.file(given)?))
    }

    fn input_of_table(&self, given: Given<'_>, table: &DeTable<'_>) -> Result<Input, Wrong> {
        let (mut place, mut listen, mut paced) = (None, None, None);
        for (name, value) in table {
            match name.get_ref().as_ref() {
                "url" | "path" if place.is_some() => {
                    return Err(given.blame("has both url and path (write one of them)"));
                }
                "url" => place = Some(Given::Toml(value).read(url)?),
                "path" => {
                    place = Some(Place::File(self.file(Given::Toml(value))?));
                }
                "listen" => {
                    let value = Given::Toml(value);
                    listen = Some((value.read(values::switch)?, value));
                }
                "paced" => paced = Some(Given::Toml(value).read(values::switch)?),
                other => {
                    let why = format!("{other:?} is not known here (write {KEYS})");
                    return Err(Wrong { why, span: Some(name.span()) });
                }
            }
        }
        let place = place.ok_or_else(|| given.blame("needs url or path"))?;
        if let Some((true, said)) = listen
            && !can_listen(&place)
        {
            let all = SCHEMES.iter().filter(|scheme| scheme.listen.is_some());
            let names: Vec<_> = all.map(|scheme| scheme.name).collect();
            let why = format!(
                "goes with {} only (srt has ?mode=listener, and tcp ?listen)",
                names.join(" and ")
            );
            return Err(said.blame(why));
        }
        let listens = listen.is_some_and(|(listens, _)| listens) || calls_listener(&place);
        let is_paced = paced.unwrap_or(matches!(place, Place::File(_)));
        Ok(Input { place, listens, is_paced })
    }
}

/// Whether a host with its port is this machine, or link-local; what a name stands for is not
/// looked up.
fn is_ours(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let address = name.split('%').next().unwrap_or_default().parse::<IpAddr>();
    match address.map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(of)) => of.is_loopback() || of.is_unspecified() || of.is_link_local(),
        Ok(IpAddr::V6(of)) => of.is_loopback() || of.is_unspecified() || of.is_unicast_link_local(),
        // Resolvers take numbers of one to four parts, in any base, for addresses (inet_aton).
        Err(_) => {
            name == "localhost"
                || name.ends_with(".localhost")
                || name.split('.').all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
        }
    }
}

fn can_listen(place: &Place) -> bool {
    matches!(place, Place::Url { scheme, .. } if scheme.listen.is_some())
}

/// SRT and TCP say in their URLs that they wait for a sender.
fn calls_listener(place: &Place) -> bool {
    let Place::Url { scheme, url } = place else { return false };
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let says = |words: &[&str]| query.split('&').any(|one| words.contains(&one));
    match scheme.name {
        "srt" => says(&["mode=listener"]),
        "tcp" => says(&["listen", "listen=1"]),
        _ => false,
    }
}

/// What stands before the first colon, if that can be a scheme (RFC 3986, 3.1).
fn scheme_of(text: &str) -> Option<&str> {
    let (name, _) = text.split_once(':')?;
    let is_scheme = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.,".contains(&c));
    is_scheme.then_some(name)
}

/// The URL itself is never part of what is said of it: it may hold a password.
fn url(text: &str) -> Result<Place, String> {
    let name = scheme_of(text).ok_or("is no URL (write scheme://host:port/…)")?;
    let scheme = Scheme::find(name).ok_or_else(|| {
        let names: Vec<_> = SCHEMES.iter().map(|scheme| scheme.name).collect();
        let known = names.join(", ");
        format!("{name:?} is not read (write {known}, or the path of a file)")
    })?;
    if text.len() > INPUT_SIZE_MAX {
        return Err(format!("is longer than {INPUT_SIZE_MAX} bytes"));
    }
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("has a space or a control character in it (write %20 for a space)".to_owned());
    }
    if !text[name.len()..].starts_with("://") || host(text).is_empty() {
        return Err(format!("names no host (write {name}://host:port/…)"));
    }
    Ok(Place::Url { scheme, url: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::file::Draft;

    fn read(keys: &str) -> Draft {
        let mut draft = Draft::default();
        let text = format!("[[channel]]\nid = \"a\"\n{keys}\n");
        draft.apply_file(Path::new("/etc/x.toml"), &text);
        draft
    }

    #[test]
    fn inputs_are_urls_and_files_in_their_order() {
        let draft = read(
            "inputs = [\"udp://239.1.1.1:5000\", \"srt://0.0.0.0:9000?mode=listener\",\n\
             { url = \"rtmp://0.0.0.0/live/key\", listen = \"on\" }, \"films/sorry.mp4\",\n\
             { url = \"HTTP://cdn/a.mp4\", paced = \"on\" }]\n\
             start = \"on-demand\"\nencode = \"all\"\nidle = \"30s\"",
        );
        assert!(draft.errors.is_empty(), "{:?}", draft.errors);
        let channel = &draft.config.channels[0];
        assert!(channel.is_pushed());
        assert_eq!((channel.segment_ms, channel.part_ms), (Some(2000), Some(500)));
        let inputs = &channel.sources.inputs;
        assert_eq!((inputs.on_demand, inputs.encode), (true, Encode::All));
        assert_eq!(inputs.idle_ms, Some(30_000));
        let of = |input: &Input| (input.to_string(), input.listens, input.is_paced);
        let list: Vec<_> = inputs.list.iter().map(of).collect();
        let expected = [
            ("udp://239.1.1.1:5000", false, false),
            ("srt://0.0.0.0:9000/***", true, false),
            ("rtmp://0.0.0.0/***", true, false),
            ("/etc/films/sorry.mp4", false, true),
            ("http://cdn/***", false, true),
        ];
        let expected = expected.map(|(shown, listens, paced)| (shown.to_owned(), listens, paced));
        assert_eq!(list, expected);
    }

    #[track_caller]
    fn refused(keys: &str, line: usize, complaint: &str) {
        let draft = read(keys);
        let complaints: Vec<_> = draft.errors.iter().map(ToString::to_string).collect();
        let channel = format!("/etc/x.toml:{line}: channel.{complaint}");
        assert_eq!(complaints, [channel], "{keys}");
        assert!(!complaints[0].contains("secret"), "a URL may hold a password");
    }

    #[test]
    fn what_can_be_no_input_is_refused_with_its_line_and_key() {
        let known = "udp, rtp, srt, rtsp, rtsps, rtmp, rtmps, http, https, tcp";
        for name in ["concat", "subfile,,start,0", "data", "file", "pipe", "lavfi", "unix"] {
            let keys = format!("inputs = [\n\"{name}:secret\"]");
            let why = format!("\"{name}\" is not read (write {known}, or the path of a file)");
            refused(&keys, 4, &format!("inputs: {why}"));
        }
        let check = |input, why: &str| {
            refused(&format!("inputs = [{input}]"), 3, &format!("inputs: {why}"));
        };
        check("\"http:secret\"", "names no host (write http://host:port/…)");
        check("\"http:///secret\"", "names no host (write http://host:port/…)");
        let space = "has a space or a control character in it (write %20 for a space)";
        check("\"http://secret@a/ b\"", space);
        check("\"rtmp://a/b\\n-f\"", space);
        check("", "is empty (leave it out, and somebody pushes)");
        check("{ listen = \"on\" }", "needs url or path");
        check("{ url = \"udp://a:1\", path = \"b\" }", "has both url and path (write one of them)");
        check(
            "{ url = \"udp://a:1\", listen = \"on\" }",
            "goes with rtsp and rtmp only (srt has \
               ?mode=listener, and tcp ?listen)",
        );
        check(
            "{ uri = \"udp://a:1\" }",
            "\"uri\" is not known here (write url or path, listen and paced)",
        );
        check("{ url = \"films/a\" }", "is no URL (write scheme://host:port/…)");
        let many = ["\"udp://a:1\""; INPUTS_MAX + 1].join(",");
        check(&many, "is one too many (at most 8)");
    }

    #[test]
    fn keys_that_do_not_go_together_are_refused() {
        let udp = "inputs = [\"udp://a:1\"]\n";
        let none = "does not go with inputs: what they give is all there is";
        refused(&format!("{udp}folder = \"x\""), 4, &format!("folder: {none}"));
        refused(&format!("{udp}source = [{{ name = \"a\" }}]"), 4, &format!("source: {none}"));
        let needs = "needs inputs (write inputs = [\"udp://239.1.1.1:5000\"])";
        refused("start = \"always\"", 3, &format!("start: {needs}"));
        refused("encode = \"all\"", 3, &format!("encode: {needs}"));
        let word = "\"video\" is not known here (write \"none\", \"audio\" or \"all\")";
        refused(&format!("{udp}encode = \"video\""), 4, &format!("encode: {word}"));
        let word = "\"now\" is not known here (write \"always\" or \"on-demand\")";
        refused(&format!("{udp}start = \"now\""), 4, &format!("start: {word}"));
        let idle = "needs start = \"on-demand\"";
        refused(&format!("{udp}idle = \"60s\""), 4, &format!("idle: {idle}"));
    }
}
