//! A row of somebody else's table of subscribers as one of ours: names of columns as Xtream panels
//! have them, or our own.
//!
//! User names and passwords stay as they are, to the byte. What has no counterpart here is said.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::config::{DOCUMENT_TEXT_MAX, OBJECT_ID_MAX};
use crate::units::UnixTime;

/// Columns by name, as texts. What is NULL is not there.
pub type Row = BTreeMap<String, String>;

/// A subscriber, as the server takes it.
#[derive(Debug, PartialEq)]
pub struct Subscriber {
    /// The object, without a plan if the row names none.
    pub object: Map<String, Value>,
    /// Numbers of bouquets that the row has instead of a plan.
    pub bouquets: BTreeSet<u64>,
    /// What is not kept.
    pub warnings: Vec<String>,
}

/// Names of a column, the first of which is looked for first.
type Names = &'static [&'static str];

const USER: Names = &["username", "user", "login"];
const PASSWORD: Names = &["password", "pass"];
const EXPIRES: Names = &["expires", "exp_date", "expiry", "expiration"];
const SESSIONS: Names = &["sessions_max", "max_connections", "connections", "sessions"];
const TRIAL: Names = &["trial", "is_trial"];
const NETWORKS: Names = &["networks", "allowed_ips"];
const AGENTS: Names = &["agents_allowed", "allowed_ua"];
const AGENTS_DENIED: Names = &["agents_denied"];
const COUNTRY: Names = &["country", "forced_country"];
const BOUQUETS: Names = &["bouquet", "bouquets"];
const NOTES: [Names; 3] = [&["notes"], &["admin_notes"], &["reseller_notes"]];
const AS_THEY_ARE: [&str; 3] = ["plan", "external_id", "language"];
const OTHERS: [&str; 9] =
    ["id", "number", "status", "enabled", "admin_enabled", "tags", "is_isplock", "is_mag", "is_e2"];

/// Whether a column of this name says who it is.
pub fn is_user(name: &str) -> bool {
    name == "id" || USER.contains(&name)
}

/// Whether a column of this name means something here.
pub fn is_known(name: &str) -> bool {
    let groups = [
        USER,
        PASSWORD,
        EXPIRES,
        SESSIONS,
        TRIAL,
        NETWORKS,
        AGENTS,
        AGENTS_DENIED,
        COUNTRY,
        BOUQUETS,
    ];
    groups.into_iter().chain(NOTES).any(|names| names.contains(&name))
        || AS_THEY_ARE.contains(&name)
        || OTHERS.contains(&name)
}

/// The subscriber of a row.
///
/// # Errors
///
/// `COLUMN: WHY`.
pub fn subscriber(row: &Row) -> Result<Subscriber, String> {
    let user = text(row, USER);
    let id = user.or_else(|| row.get("id").map(String::as_str));
    let id = id.filter(|id| !id.is_empty()).ok_or("username: it is missing")?;
    let mut object =
        Map::from_iter([("kind".to_owned(), "subscriber".into()), ("id".to_owned(), id.into())]);
    let mut put = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(field.to_owned(), value);
        }
    };
    // One that is empty is none: whoever has it could sign in without a password.
    let password = text(row, PASSWORD).filter(|password| !password.is_empty());
    put("passwords", password.map(|password| json!([{ "password": password }])));
    put("expires", in_column(row, EXPIRES, moment)?);
    put("sessions_max", in_column(row, SESSIONS, number)?);
    put("number", in_column(row, &["number"], number)?);
    put("trial", in_column(row, TRIAL, flag)?.map(Value::from));
    put("networks", listed(row, NETWORKS, &[',', ';', '|', '\n', ' '])?);
    put("agents_allowed", listed(row, AGENTS, &['|', '\n'])?);
    put("agents_denied", listed(row, AGENTS_DENIED, &['|', '\n'])?);
    put(
        "country",
        filled(row, COUNTRY).filter(|of| *of != "ALL").map(|of| of.to_uppercase().into()),
    );
    put("status", status(row)?.map(Value::from));
    for field in AS_THEY_ARE {
        put(field, filled_one(row, field).map(Value::from));
    }
    if user.is_some() && !row.contains_key("external_id") {
        put("external_id", filled_one(row, "id").map(Value::from));
    }
    put("notes", notes(row));
    let (tags, warnings) = tags(row)?;
    put("tags", (!tags.is_empty()).then(|| tags.into()));
    Ok(Subscriber { object, bouquets: bouquets(row)?, warnings })
}

fn text(row: &Row, names: Names) -> Option<&str> {
    names.iter().find_map(|name| row.get(*name)).map(String::as_str)
}

/// What a column has, if it has something.
fn filled(row: &Row, names: Names) -> Option<&str> {
    text(row, names).map(str::trim).filter(|text| !text.is_empty())
}

fn filled_one<'r>(row: &'r Row, name: &str) -> Option<&'r str> {
    row.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// What a column says, read so.
fn in_column<T>(
    row: &Row,
    names: Names,
    read: impl Fn(&str) -> Result<Option<T>, String>,
) -> Result<Option<T>, String> {
    let Some(name) = names.iter().find(|name| row.contains_key(**name)) else { return Ok(None) };
    read(row[*name].trim()).map_err(|why| format!("{name}: {why}"))
}

/// Seconds since 1970, or a date; nothing and 0 are never.
fn moment(text: &str) -> Result<Option<Value>, String> {
    if matches!(text, "" | "0") || text.eq_ignore_ascii_case("null") {
        return Ok(None);
    }
    let date = || UnixTime::of_iso(&format!("{}Z", text.replacen(' ', "T", 1)));
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => Some(seconds),
        Err(_) => UnixTime::of_iso(text).or_else(date).map(|moment| moment.0),
    };
    let seconds = seconds.ok_or_else(|| {
        format!("{text:?} is no moment (Unix seconds, 2027-01-31, or 2027-01-31 20:00:00 in UTC)")
    })?;
    // Year 9999: what is above are milliseconds, mostly.
    if seconds > 253_402_300_799 {
        return Err(format!("{text:?} is too far away; it is to be in seconds"));
    }
    Ok(Some(seconds.into()))
}

fn number(text: &str) -> Result<Option<Value>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<u32>();
    number.map(|number| Some(number.into())).map_err(|_| format!("{text:?} is no number"))
}

fn flag(text: &str) -> Result<Option<bool>, String> {
    match text.to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "1" | "true" | "yes" | "on" => Ok(Some(true)),
        "0" | "false" | "no" | "off" => Ok(Some(false)),
        _ => Err(format!("{text:?} is neither 1 nor 0")),
    }
}

/// A list, in JSON or with something between its entries; nothing if it is empty.
fn entries(text: &str, between: &[char]) -> Result<Vec<String>, String> {
    if text.starts_with('[') || text.starts_with('{') {
        let list = match serde_json::from_str(text) {
            Ok(Value::Array(list)) => list,
            // PHP writes a list with holes as an object.
            Ok(Value::Object(list)) => list.into_iter().map(|(_, entry)| entry).collect(),
            _ => return Err(format!("{text:?} is no list")),
        };
        let entry = |entry: Value| match entry {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        return Ok(list.into_iter().filter_map(entry).filter(|entry| !entry.is_empty()).collect());
    }
    if text.eq_ignore_ascii_case("null") {
        // What PHP writes of nothing.
        return Ok(Vec::new());
    }
    let parts = text.split(between).map(str::trim).filter(|part| !part.is_empty());
    Ok(parts.map(str::to_owned).collect())
}

fn listed(row: &Row, names: Names, between: &[char]) -> Result<Option<Value>, String> {
    let list = in_column(row, names, |text| entries(text, between).map(Some))?.unwrap_or_default();
    // Twice the same is no mistake worth a subscriber.
    let mut seen = BTreeSet::new();
    let list: Vec<_> = list.into_iter().filter(|entry| seen.insert(entry.clone())).collect();
    Ok((!list.is_empty()).then(|| list.into()))
}

fn bouquets(row: &Row) -> Result<BTreeSet<u64>, String> {
    let list = in_column(row, BOUQUETS, |text| entries(text, &[',', ';', '|', ' ']).map(Some))?;
    let number = |entry: &String| {
        entry.parse().map_err(|_| format!("bouquet: {entry:?} is no number of one"))
    };
    list.unwrap_or_default().iter().map(number).collect()
}

/// Blocked if one of the columns that say so does.
fn status(row: &Row) -> Result<Option<&'static str>, String> {
    let mut status = None;
    for name in ["enabled", "admin_enabled"] {
        if let Some(text) = row.get(name) {
            let is_enabled = flag(text.trim()).map_err(|why| format!("{name}: {why}"))?;
            if is_enabled == Some(false) {
                status = Some("blocked");
            }
        }
    }
    match filled_one(row, "status").map(str::to_ascii_lowercase).as_deref() {
        None => {}
        // Its date says that.
        Some("active" | "enabled" | "expired" | "trial") => status = status.or(Some("active")),
        Some("blocked" | "banned" | "disabled" | "inactive") => status = Some("blocked"),
        Some(other) => return Err(format!("status: {other:?} is neither active nor blocked")),
    }
    Ok(status)
}

fn notes(row: &Row) -> Option<Value> {
    let notes: Vec<_> = NOTES.iter().filter_map(|names| filled(row, names)).collect();
    let text = notes.join("\n").replace("\r\n", "\n");
    let text: String =
        text.chars().map(|one| if one.is_control() && one != '\n' { ' ' } else { one }).collect();
    (!text.is_empty()).then(|| text.into())
}

/// Words to find subscribers by, and what a lock that is not kept costs.
fn tags(row: &Row) -> Result<(Vec<String>, Vec<String>), String> {
    let mut tags: BTreeSet<String> = row
        .get("tags")
        .map_or(Ok(Vec::new()), |text| entries(text, &[',', ';', '|']))?
        .into_iter()
        .collect();
    let mut warnings = Vec::new();
    for (name, tag) in [("is_isplock", "isp-lock"), ("is_mag", "mag"), ("is_e2", "enigma2")] {
        let Some(text) = row.get(name) else { continue };
        let is_set = flag(text.trim()).map_err(|why| format!("{name}: {why}"))?;
        if is_set == Some(true) {
            tags.insert(tag.to_owned());
            if name == "is_isplock" {
                let why = "is_isplock: the lock to one network provider is not kept; the tag \
                           \"isp-lock\" says who had it";
                warnings.push(why.to_owned());
            }
        }
    }
    Ok((tags.into_iter().collect(), warnings))
}

/// The id of the plan of these bouquets: the same for the same ones.
pub fn plan_id(bouquets: &BTreeSet<u64>) -> String {
    let id = bouquets.iter().fold("xtream".to_owned(), |id, number| format!("{id}-{number}"));
    if id.len() <= OBJECT_ID_MAX {
        return id;
    }
    let hash = xxhash_rust::xxh3::xxh3_64(id.as_bytes());
    format!("xtream-{}-bouquets-{hash:016x}", bouquets.len())
}

/// A name that is not too long for one.
pub fn shortened(name: &str) -> String {
    let end = name.floor_char_boundary(DOCUMENT_TEXT_MAX.min(200));
    if end == name.len() { name.to_owned() } else { format!("{}…", &name[..end]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: &[(&str, &str)]) -> Row {
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn read(fields: &[(&str, &str)]) -> Result<Value, String> {
        subscriber(&row(fields)).map(|read| Value::Object(read.object))
    }

    #[test]
    fn a_line_of_a_panel_is_a_subscriber() {
        let line = row(&[
            ("id", "17"),
            ("username", "Straße7"),
            ("password", "p ä&"),
            ("exp_date", "1800000000"),
            ("max_connections", "2"),
            ("is_trial", "1"),
            ("enabled", "1"),
            ("admin_enabled", "0"),
            ("allowed_ips", r#"["192.0.2.7","192.0.2.7",""]"#),
            ("allowed_ua", "[\"VLC, old\"]"),
            ("is_isplock", "1"),
            ("forced_country", "nl"),
            ("bouquet", r#"["3",1,1]"#),
            ("notes", ""),
            ("admin_notes", "paid\r\ncash"),
            ("is_mag", "0"),
        ]);
        let read = subscriber(&line).unwrap();
        assert_eq!(
            Value::Object(read.object),
            json!({
                "kind": "subscriber", "id": "Straße7", "passwords": [{ "password": "p ä&" }],
                "expires": 1_800_000_000, "sessions_max": 2, "trial": true, "status": "blocked",
                "networks": ["192.0.2.7"], "agents_allowed": ["VLC, old"], "country": "NL",
                "external_id": "17", "notes": "paid\ncash", "tags": ["isp-lock"],
            })
        );
        assert_eq!(read.bouquets, BTreeSet::from([1, 3]));
        assert_eq!(read.warnings.len(), 1);
        assert!(line.keys().all(|name| is_known(name)));
        assert!(!is_known("play_token"));
    }

    #[test]
    fn our_own_names_are_known_too() {
        let of = [
            ("id", "anna"),
            ("plan", "gold"),
            ("expires", "2027-01-15 08:00:00"),
            ("status", "banned"),
            ("networks", "192.0.2.0/24; 2001:db8::1"),
            ("tags", "a,b"),
            ("sessions_max", "0"),
            ("language", "nl"),
            ("number", "7"),
        ];
        assert_eq!(
            read(&of).unwrap(),
            json!({
                "kind": "subscriber", "id": "anna", "plan": "gold", "expires": 1_800_000_000,
                "status": "blocked", "networks": ["192.0.2.0/24", "2001:db8::1"],
                "tags": ["a", "b"], "sessions_max": 0, "language": "nl", "number": 7,
            })
        );
    }

    #[test]
    fn what_never_expires_and_what_is_empty_is_left_out() {
        let nothing = json!({ "kind": "subscriber", "id": "anna" });
        for (expires, list) in [("", "[]"), ("0", ""), ("NULL", "null"), ("", "{}")] {
            let of = [
                ("username", "anna"),
                ("password", ""),
                ("exp_date", expires),
                ("allowed_ips", list),
                ("allowed_ua", list),
                ("forced_country", "ALL"),
                ("max_connections", ""),
                ("bouquet", list),
                ("is_isplock", "0"),
            ];
            assert_eq!(read(&of).unwrap(), nothing);
        }
    }

    #[test]
    fn what_makes_no_sense_names_its_column() {
        for (name, text, begin) in [
            ("username", "", "username: it is missing"),
            ("exp_date", "soon", "exp_date: \"soon\" is no moment"),
            ("exp_date", "1800000000000", "exp_date: \"1800000000000\" is too far away"),
            ("max_connections", "-1", "max_connections: \"-1\" is no number"),
            ("is_trial", "2", "is_trial: \"2\" is neither 1 nor 0"),
            ("status", "sleeping", "status: \"sleeping\" is neither"),
            ("allowed_ips", "[1", "allowed_ips: \"[1\" is no list"),
            ("bouquet", "[\"all\"]", "bouquet: \"all\" is no number"),
            ("enabled", "maybe", "enabled: "),
        ] {
            let mut fields = row(&[("username", "anna")]);
            fields.insert(name.to_owned(), text.to_owned());
            let why = subscriber(&fields).unwrap_err();
            assert!(why.starts_with(begin), "{why}");
        }
    }

    #[test]
    fn plans_of_the_same_bouquets_are_the_same() {
        assert_eq!(plan_id(&BTreeSet::from([3, 1, 20])), "xtream-1-3-20");
        let many: BTreeSet<u64> = (1..100).collect();
        let id = plan_id(&many);
        assert!(id.starts_with("xtream-99-bouquets-") && id.len() <= OBJECT_ID_MAX, "{id}");
        assert_ne!(id, plan_id(&(2..101).collect()));
    }
}
