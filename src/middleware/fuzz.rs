//! What the fuzz targets call: any bytes as parameters, and as the Host that addresses begin with.

use axum::http::{HeaderMap, HeaderValue, header};

use super::base::{Base, Bases};
use super::xtream::parameters::Parameters;

/// Reads the input as a line of a media type, a query and a body.
pub fn form(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (media_type, query, body) = (next(), next(), next());
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(media_type) {
        headers.insert(header::CONTENT_TYPE, value.clone());
        headers.insert(header::HOST, value);
    }
    let parameters = Parameters::of(str::from_utf8(query).ok(), &headers, body);
    let _ = parameters.number("stream_id");
    let base = Bases::default().of(&headers, false);
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]/".contains(&byte);
    assert!(base.bytes().all(is_good), "{base}");
    assert!(!Base::of(&base).host.is_empty());
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_are_read() {
        for name in ["parts", "urlencoded"] {
            let path = format!("{}/tests/fuzz/seeds/form/{name}", env!("CARGO_MANIFEST_DIR"));
            super::form(&std::fs::read(path).unwrap());
        }
    }
}
