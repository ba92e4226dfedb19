//! Attribute lists in playlists of others (RFC 8216bis, 4.2).

/// The value of an attribute, without its quotes.
#[must_use]
pub fn attribute(list: &str, name: &str) -> Option<String> {
    let mut rest = list;
    loop {
        let (key, value) = rest.split_once('=')?;
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        if key.trim() == name {
            return Some(value.to_owned());
        }
        rest = behind.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_end_nothing() {
        let list = "METHOD=SAMPLE-AES,URI=\"skd://a,b=c\", KEYFORMAT=\"x\",IV=0x1";
        let of = |name: &str| attribute(list, name);
        assert_eq!(of("URI").as_deref(), Some("skd://a,b=c"));
        assert_eq!(of("KEYFORMAT").as_deref(), Some("x"));
        assert_eq!(of("IV").as_deref(), Some("0x1"));
        assert_eq!(of("b"), None);
        assert_eq!(attribute("URI=\"torn", "URI"), None);
    }
}
