//! A section `[[token]]` as it is shown. Of its keys only where they stand.

use toml::Value;

use crate::config::foreign::{Key, Kind, Piece, Section};

/// The keys of a section that have a value.
pub(super) fn keys_of(section: &Section) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::String(text.to_owned());
    let path = |path: &std::path::Path| text(&path.display().to_string());
    let mut keys = vec![
        ("kind", text(section.kind.word())),
        ("name", text(&section.name)),
        ("path", text(&section.path)),
        ("keys", Value::Array(section.keys.iter().map(key).collect())),
    ];
    let is = |kinds: &[Kind]| kinds.contains(&section.kind);
    let named = |name: &Option<String>| text(name.as_deref().unwrap_or_default());
    let carried = &section.carried;
    if !is(&[Kind::SecureLinkSecret]) {
        let names = carried.query.iter().map(|name| text(name));
        keys.push(("query", Value::Array(names.collect())));
    }
    if is(&[Kind::EdgeAuth, Kind::Cat, Kind::Jwt]) {
        keys.push(("cookie", named(&carried.cookie)));
        keys.push(("header", named(&carried.header)));
    }
    let given = [
        ("subject", &section.subject),
        ("scope", &section.scope),
        ("issuer", &section.issuer),
        ("audience", &section.audience),
        ("scheme", &section.scheme),
    ];
    keys.extend(given.into_iter().filter_map(|(key, name)| Some((key, text(name.as_ref()?)))));
    // Of a CAT it is `cti`, and no matter of the config.
    let session = section.session.as_ref().filter(|_| !is(&[Kind::Cat]));
    keys.extend(session.map(|name| ("session", text(name))));
    if is(&[Kind::SecureLink]) {
        keys.push(("expression", text(&expression(&section.expression))));
        keys.push(("expires", named(&section.expires)));
    }
    if is(&[Kind::SecureLink, Kind::SecureLinkSecret]) {
        keys.push(("covers", text(if section.covers_folder { "folder" } else { "file" })));
    }
    keys.extend(section.salt_file.as_ref().map(|file| ("salt_file", path(file))));
    if is(&[Kind::EdgeAuth]) {
        keys.push(("escape", text(if section.escapes { "on" } else { "off" })));
    }
    keys
}

fn key(key: &Key) -> Value {
    let mut table = toml::Table::new();
    let mut put = |name: &str, text: &str| {
        table.insert(name.to_owned(), Value::String(text.to_owned()));
    };
    if !key.id.is_empty() {
        put("id", &key.id);
    }
    put("algorithm", key.algorithm.word());
    put("key_file", &key.file.display().to_string());
    Value::Table(table)
}

/// An expression in nginx's words. What is text in ours can't be a secret: that has a word.
fn expression(pieces: &[Piece]) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Secret => "${secret}".to_owned(),
        Piece::Expires => "${secure_link_expires}".to_owned(),
        Piece::Uri => "${uri}".to_owned(),
        Piece::Address => "${remote_addr}".to_owned(),
        Piece::Argument(name) => format!("${{arg_{name}}}"),
    };
    pieces.iter().map(piece).collect()
}
