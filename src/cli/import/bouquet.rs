//! The bouquet of a list: it holds the list's channels, in the list's order, and nothing else, so
//! whatever a newer list leaves out is in it no more. The channel itself stays, with its number.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Failure, ImportArgs, patiently};

/// Makes the bouquet hold these channels. What it held, and holds no more.
///
/// # Errors
///
/// The server can't be asked, or refuses.
pub fn hold(args: &ImportArgs, id: &str, channels: &[String]) -> Result<Vec<String>, Failure> {
    let path = format!("/api/v1/bouquets/{id}");
    let there = match args.server.get(&path) {
        Ok(there) => there,
        Err(failure) if failure.why.starts_with("status 404") => Value::Null,
        Err(failure) => return Err(failure),
    };
    let content: Vec<String> = channels.iter().map(|channel| format!("tv/{channel}")).collect();
    let kept: BTreeSet<&str> = content.iter().map(String::as_str).collect();
    let before = there["content"].as_array().map_or(&[][..], Vec::as_slice);
    let before = before.iter().filter_map(Value::as_str).filter(|path| !kept.contains(path));
    let gone = before.map(str::to_owned).collect();
    let line = json!({
        "kind": "bouquet", "id": id, "name": there["name"].as_str().unwrap_or(id),
        "content": content,
    });
    let body = json!({ "lines": [line], "existing": "replace", "dry_run": args.dry_run });
    let answer = patiently(|| args.server.post("/api/v1/import", &body))?;
    match answer["lines"][0]["why"].as_str() {
        Some(why) => Err(Failure::new(format!("write bouquet {id}"), why)),
        None => Ok(gone),
    }
}
