//! The tables `[[token]]` of a file into sections, with the line of everything that is wrong.
//!
//! A key file is named here and not read: whoever checks a config need not be let into it.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use super::{Reading, nearest, unknown_key};
use crate::config::foreign::{
    Algorithm, Carriers, FOREIGN_KEYS_MAX, FOREIGN_NAMES_MAX, FOREIGN_SECTIONS_MAX, Key, Kind,
    Piece, Section,
};
use crate::config::given::{Given, Wrong};
use crate::config::{settings, values};

/// Keys of every section.
const KEYS: [&str; 4] = ["name", "kind", "path", "keys"];

/// Keys of sections of a kind.
fn keys_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::SecureLink => &["query", "expression", "expires", "covers", "subject", "session"],
        Kind::SecureLinkSecret => &["covers"],
        Kind::EdgeAuth => {
            &["query", "cookie", "header", "subject", "session", "salt_file", "escape"]
        }
        Kind::Cat => &["query", "cookie", "header", "subject", "issuer", "audience", "scheme"],
        Kind::Jwt => {
            &["query", "cookie", "header", "subject", "session", "scope", "issuer", "audience"]
        }
    }
}

/// Where tokens of a kind are carried, unless a section says something else.
fn carried(kind: Kind) -> Carriers {
    let (query, cookie, header): (&[&str], _, _) = match kind {
        Kind::SecureLink => (&["md5"], None, None),
        Kind::SecureLinkSecret => (&[], None, None),
        Kind::EdgeAuth => (&["__token__", "hdnts", "hdnea"], Some("__token__"), Some("__token__")),
        Kind::Cat => (&["CAT"], Some("CTA-Common-Access-Token"), Some("CTA-Common-Access-Token")),
        Kind::Jwt => (&["token"], None, Some("Authorization")),
    };
    Carriers {
        query: query.iter().map(|&name| name.to_owned()).collect(),
        cookie: cookie.map(str::to_owned),
        header: header.map(str::to_owned),
    }
}

impl Reading<'_> {
    pub(super) fn token(&mut self, table: &DeTable<'_>, span: Range<usize>) {
        let errors = self.draft.errors.len();
        let kind = match table.get("kind") {
            None => return self.complain(Some(span), "token.kind", "is missing".to_owned()),
            Some(word) => match Given::Toml(word).read(Kind::from_word) {
                Ok(kind) => kind,
                Err(wrong) => return self.blame(wrong, "token.kind", word),
            },
        };
        let usual = |name: &str| Some(name.to_owned());
        let mut section = Section {
            name: kind.word().to_owned(),
            kind,
            path: if kind == Kind::SecureLinkSecret { "/vod/" } else { "/" }.to_owned(),
            carried: carried(kind),
            keys: Vec::new(),
            subject: None,
            session: match kind {
                Kind::EdgeAuth => usual("id"),
                Kind::Cat => usual("cti"),
                Kind::Jwt => usual("jti"),
                Kind::SecureLink | Kind::SecureLinkSecret => None,
            },
            scope: None,
            issuer: None,
            audience: None,
            scheme: None,
            expression: Vec::new(),
            expires: (kind == Kind::SecureLink).then(|| "expires".to_owned()),
            covers_folder: false,
            salt_file: None,
            escapes: false,
        };
        for (name, value) in table {
            let word = name.get_ref().as_ref();
            let key = format!("token.{word}");
            let known = || KEYS.iter().chain(keys_of(kind)).copied();
            if !known().any(|known| known == word) {
                let near = nearest(word, known());
                let what = format!("key of a {} token", kind.word());
                self.complain(Some(name.span()), &key, unknown_key(&what, near));
            } else if let Err(wrong) = self.put(&mut section, word, Given::Toml(value)) {
                self.blame(wrong, &key, value);
            }
        }
        self.look_at_token(&section, table, &span);
        if errors != self.draft.errors.len() {
            return;
        }
        let place = self.place(span.start);
        self.draft.token_places.push(place);
        self.draft.config.tokens.push(section);
    }

    /// Puts one value into the section.
    fn put(&self, section: &mut Section, key: &str, given: Given<'_>) -> Result<(), Wrong> {
        match key {
            "kind" => {}
            "name" => {
                let read = |name: &str| values::identifier(name).map(|()| name.to_owned());
                section.name = given.read(read)?;
            }
            "path" => section.path = given.read(base_path)?,
            "keys" => section.keys = self.foreign_keys(section.kind, given)?,
            "query" => section.carried.query = names(given)?,
            "cookie" => section.carried.cookie = given.read(name_or_none)?,
            "header" => section.carried.header = given.read(name_or_none)?,
            "subject" => section.subject = Some(given.read(claim)?),
            "session" => section.session = Some(given.read(claim)?),
            "scope" => section.scope = Some(given.read(claim)?),
            "issuer" => section.issuer = Some(given.read(claim)?),
            "audience" => section.audience = Some(given.read(claim)?),
            "scheme" => section.scheme = Some(given.read(scheme)?),
            "expression" => section.expression = given.read(expression)?,
            "expires" => section.expires = given.read(name_or_none)?,
            "covers" => section.covers_folder = given.read(covers)?,
            "salt_file" => section.salt_file = Some(self.beside(settings::path(given)?)),
            _ => section.escapes = given.read(values::switch)?,
        }
        Ok(())
    }

    /// `keys = [{ id = "2026", algorithm = "ES256", key_file = "seller.pem" }]`.
    fn foreign_keys(&self, kind: Kind, given: Given<'_>) -> Result<Vec<Key>, Wrong> {
        let mut keys: Vec<Key> = Vec::new();
        for one in given.few(FOREIGN_KEYS_MAX, "write { key_file = \"…\" }")? {
            let key = self.foreign_key(kind, one)?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(one.blame(format!("the id {:?} is named twice", key.id)));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    fn foreign_key(&self, kind: Kind, given: Given<'_>) -> Result<Key, Wrong> {
        let (mut id, mut algorithm, mut file) = (None, None, None);
        for (name, value) in given.table().ok_or_else(|| given.not_a_table())? {
            let value = Given::Toml(value);
            match name.get_ref().as_ref() {
                "id" => id = Some(value.read(claim)?),
                "algorithm" => {
                    let known = value.read(Algorithm::from_word)?;
                    if !kind.algorithms().contains(&known) {
                        let words: Vec<_> = kind.algorithms().iter().map(Algorithm::word).collect();
                        let why =
                            format!("is none of {} (write {})", kind.word(), words.join(", "));
                        return Err(value.blame(why));
                    }
                    algorithm = Some(known);
                }
                "key_file" => file = Some(self.beside(settings::path(value)?)),
                other => {
                    let why =
                        format!("{other:?} is not known here (write id, algorithm and key_file)");
                    return Err(Wrong { why, span: Some(name.span()) });
                }
            }
        }
        let usual = || (!matches!(kind, Kind::Cat | Kind::Jwt)).then(|| kind.algorithms()[0]);
        let Some(algorithm) = algorithm.or_else(usual) else {
            return Err(given.blame("needs an algorithm: a token must not choose its own"));
        };
        let file = file.ok_or_else(|| given.blame("needs key_file"))?;
        // Whoever names no key has only one.
        Ok(Key { id: id.unwrap_or_default(), algorithm, file })
    }

    /// What no single value can show.
    fn look_at_token(&mut self, section: &Section, table: &DeTable<'_>, span: &Range<usize>) {
        let span_of = |key: &str| table.get(key).map_or_else(|| span.clone(), Spanned::span);
        let mut wrong = |key: &str, why: String| {
            self.complain(Some(span_of(key)), &format!("token.{key}"), why);
        };
        if !table.contains_key("keys") {
            wrong("keys", "is missing".to_owned());
        }
        let has = |piece: &Piece| section.expression.contains(piece);
        let argument = |name: &String| has(&Piece::Argument(name.clone()));
        match section.kind {
            Kind::SecureLink => {
                if !table.contains_key("expression") {
                    let why = "is missing (write what secure_link_md5 says, with $secret for the \
                               secret)";
                    wrong("expression", why.to_owned());
                } else if !has(&Piece::Secret) {
                    wrong("expression", "has no $secret in it: anybody could sign".to_owned());
                } else if section
                    .expires
                    .as_ref()
                    .is_some_and(|name| !has(&Piece::Expires) && !argument(name))
                {
                    let why = "has no $secure_link_expires in it: anybody could write another time \
                               (write expires = \"\" if links do not expire)";
                    wrong("expression", why.to_owned());
                }
                for (key, name) in [("subject", &section.subject), ("session", &section.session)] {
                    if name.as_ref().is_some_and(|name| !argument(name)) {
                        let why = "is not in the expression: anybody could write another one";
                        wrong(key, why.to_owned());
                    }
                }
            }
            Kind::EdgeAuth => {
                for (key, name) in [("subject", &section.subject), ("session", &section.session)] {
                    if name.as_ref().is_some_and(|name| name != "id" && name != "data") {
                        wrong(key, "is none of such a token (write id or data)".to_owned());
                    }
                }
            }
            Kind::Cat if section.subject.as_ref().is_some_and(|name| name != "sub") => {
                wrong("subject", "is none of such a token (write sub)".to_owned());
            }
            Kind::SecureLinkSecret if section.path.matches('/').count() != 2 => {
                wrong("path", "is no single element (write \"/vod/\")".to_owned());
            }
            _ => {}
        }
        let carried = &section.carried;
        let is_carried =
            !carried.query.is_empty() || carried.cookie.is_some() || carried.header.is_some();
        if !is_carried && section.kind != Kind::SecureLinkSecret {
            wrong("query", "is empty, and so is all else: nothing carries a token".to_owned());
        }
        let tokens = &self.draft.config.tokens;
        let is_taken = tokens.iter().any(|earlier| earlier.name == section.name);
        let is_one_too_many = tokens.len() == FOREIGN_SECTIONS_MAX;
        if is_taken {
            let why = format!("{:?} is named twice", section.name);
            self.complain(Some(span_of("name")), "token.name", why);
        }
        if is_one_too_many {
            let why = format!("is one too many (at most {FOREIGN_SECTIONS_MAX})");
            self.complain(Some(span.clone()), "token", why);
        }
    }
}

/// Names of parameters.
fn names(given: Given<'_>) -> Result<Vec<String>, Wrong> {
    let names = given.list()?;
    if let Some(beyond) = names.get(FOREIGN_NAMES_MAX) {
        return Err(beyond.blame(format!("is one too many (at most {FOREIGN_NAMES_MAX})")));
    }
    names.into_iter().map(|one| one.read(name)).collect()
}

/// A name of a parameter, a cookie or a header field.
fn name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no name (write letters, digits, \"_\", \"-\" and \".\")"))
}

fn name_or_none(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() { Ok(None) } else { name(text).map(Some) }
}

/// What a token calls something, or says of itself.
fn claim(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 256 || text.contains(char::is_control) {
        return Err(format!("{text:?} can't be in a token (write 1 to 256 characters)"));
    }
    Ok(text.to_owned())
}

fn base_path(text: &str) -> Result<String, String> {
    let is_ours = text == "/" || text.starts_with("/tv/") || text.starts_with("/vod/");
    let is_plain = !text.contains(['*', '?', '%', '\\']) && !text.contains("//");
    if is_ours && is_plain && text.ends_with('/') && text.len() <= 128 {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is none (write \"/\", or \"/tv/…/\" or \"/vod/…/\")"))
}

/// What addresses begin with, as viewers have them.
fn scheme(word: &str) -> Result<String, String> {
    if ["http", "https"].contains(&word) {
        return Ok(word.to_owned());
    }
    Err(format!("{word:?} is not known here (write \"http\" or \"https\")"))
}

/// What a link to a file is good for.
fn covers(word: &str) -> Result<bool, String> {
    match word {
        "file" => Ok(false),
        "folder" => Ok(true),
        _ => Err(format!("{word:?} is not known here (write \"file\" or \"folder\")")),
    }
}

/// What nginx hashes, in its own words, with `$secret` for what it has as text.
fn expression(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_owned()));
        }
        let behind = &rest[at + 1..];
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let (word, after) = if let Some(braced) = behind.strip_prefix('{') {
            braced.split_once('}').ok_or("has a \"${\" without its \"}\"")?
        } else {
            let end = behind.bytes().position(|byte| !is_name(byte)).unwrap_or(behind.len());
            behind.split_at(end)
        };
        pieces.push(match word {
            "secret" => Piece::Secret,
            "secure_link_expires" => Piece::Expires,
            "uri" => Piece::Uri,
            "remote_addr" => Piece::Address,
            _ => match word.strip_prefix("arg_").filter(|name| !name.is_empty()) {
                Some(argument) => Piece::Argument(name(argument)?),
                None => {
                    return Err(format!(
                        "${word} is not known here (write $secret, $secure_link_expires, $uri, \
                         $remote_addr or $arg_NAME)"
                    ));
                }
            },
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Draft;
    use super::*;

    fn read(keys: &str) -> Draft {
        let mut draft = Draft::default();
        draft.apply_file(Path::new("/etc/x.toml"), &format!("[[token]]\n{keys}\n"));
        draft
    }

    #[track_caller]
    fn refused(keys: &str, complaint: &str) {
        let draft = read(keys);
        let complaints: Vec<_> = draft.errors.iter().map(ToString::to_string).collect();
        assert_eq!(complaints, [format!("/etc/x.toml:{complaint}")], "{keys}");
    }

    #[test]
    fn a_section_has_what_is_usual_for_its_kind_and_files_beside_the_config() {
        let draft = read(
            "kind = \"jwt\"\nkeys = [{ id = \"a\", algorithm = \"EdDSA\", key_file = \"k.pem\" }]\n\
             cookie = \"tv\"\nsubject = \"sub\"",
        );
        assert_eq!((draft.errors, draft.token_places.len()), (vec![], 1));
        let [jwt] = &draft.config.tokens[..] else { panic!("one") };
        assert_eq!((&*jwt.name, &*jwt.path), ("jwt", "/"));
        assert_eq!(jwt.carried.query, ["token"]);
        assert_eq!(jwt.carried.cookie.as_deref(), Some("tv"));
        assert_eq!(jwt.carried.header.as_deref(), Some("Authorization"));
        assert_eq!(jwt.session.as_deref(), Some("jti"));
        let file = Path::new("/etc/k.pem").to_owned();
        let key = Key { id: "a".to_owned(), algorithm: Algorithm::EdDsa, file };
        assert_eq!(jwt.keys, [key]);
    }

    #[test]
    fn an_expression_is_read_as_nginx_reads_it() {
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(
            expression("$secure_link_expires${uri}a$remote_addr $secret-$arg_u"),
            Ok(vec![
                Piece::Expires,
                Piece::Uri,
                text("a"),
                Piece::Address,
                text(" "),
                Piece::Secret,
                text("-"),
                Piece::Argument("u".to_owned()),
            ])
        );
        for wrong in ["$", "$host", "${uri", "$arg_", "${}", "$args"] {
            assert!(expression(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let keys = "keys = [{ key_file = \"k\" }]\n";
        let link = format!("kind = \"secure_link\"\n{keys}");
        let good = "expression = \"$secure_link_expires$uri$secret\"\n";
        let jwt = "kind = \"jwt\"\n";
        let missing = "is missing (write what secure_link_md5 says, with $secret for the secret)";
        for (keys, complaint) in [
            (keys.to_owned(), "1: token.kind: is missing".to_owned()),
            (
                format!("kind = \"jwts\"\n{keys}"),
                "2: token.kind: \"jwts\" is not known here (write \"secure_link\" or \
                 \"secure_link_secret\" or \"edge_auth\" or \"cat\" or \"jwt\")"
                    .to_owned(),
            ),
            (jwt.to_owned(), "1: token.keys: is missing".to_owned()),
            (
                format!("{jwt}{keys}"),
                "3: token.keys: needs an algorithm: a token must not choose its own".to_owned(),
            ),
            (
                format!("{jwt}keys = [{{ algorithm = \"MD5\", key_file = \"k\" }}]"),
                "3: token.keys: is none of jwt (write HS256, ES256, EdDSA)".to_owned(),
            ),
            (
                format!("{jwt}keys = [{{ algorithm = \"none\", key_file = \"k\" }}]"),
                "3: token.keys: \"none\" is not known here (write \"MD5\" or \"HMAC-MD5\" or \
                 \"HMAC-SHA1\" or \"HS256\" or \"ES256\" or \"EdDSA\")"
                    .to_owned(),
            ),
            (link.clone(), format!("1: token.expression: {missing}")),
            (
                format!("{link}expression = \"$secure_link_expires$uri\""),
                "4: token.expression: has no $secret in it: anybody could sign".to_owned(),
            ),
            (
                format!("{link}expression = \"$uri$secret\""),
                "4: token.expression: has no $secure_link_expires in it: anybody could write \
                 another time (write expires = \"\" if links do not expire)"
                    .to_owned(),
            ),
            (
                format!("{link}{good}subject = \"user\""),
                "5: token.subject: is not in the expression: anybody could write another one"
                    .to_owned(),
            ),
            (
                format!("{link}{good}cookie = \"c\""),
                "5: token.cookie: is not a known key of a secure_link token".to_owned(),
            ),
            (
                format!("{link}{good}querry = []"),
                "5: token.querry: is not a known key of a secure_link token (did you mean query?)"
                    .to_owned(),
            ),
            (
                format!("{link}{good}query = []"),
                "5: token.query: is empty, and so is all else: nothing carries a token".to_owned(),
            ),
            (
                format!("{link}{good}path = \"/live/\""),
                "5: token.path: \"/live/\" is none (write \"/\", or \"/tv/…/\" or \"/vod/…/\")"
                    .to_owned(),
            ),
        ] {
            refused(&keys, &complaint);
        }
    }

    #[test]
    fn what_does_not_go_together_is_named_with_its_line() {
        let keys = "keys = [{ key_file = \"k\" }]\n";
        let link = format!("kind = \"secure_link\"\n{keys}");
        let good = "expression = \"$secure_link_expires$uri$secret\"\n";
        for (keys, complaint) in [
            (
                format!("kind = \"edge_auth\"\n{keys}subject = \"sub\""),
                "4: token.subject: is none of such a token (write id or data)".to_owned(),
            ),
            (
                format!("kind = \"secure_link_secret\"\n{keys}path = \"/vod/a/\""),
                "4: token.path: is no single element (write \"/vod/\")".to_owned(),
            ),
            (
                format!("{link}{good}[[token]]\n{link}{good}"),
                "5: token.name: \"secure_link\" is named twice".to_owned(),
            ),
        ] {
            refused(&keys, &complaint);
        }
    }
}
