//! What the fuzz targets call: any bytes as what a proxy says.

use super::{Networks, forwarded, proxy};

/// Reads the input as a PROXY header, and as what follows the signature of one: what is whole says
/// the same when more follows, and nothing is read beyond it.
pub fn proxy(data: &[u8]) {
    let _ = proxy::header(data);
    let signed = [&proxy::SIGNATURE[..], data].concat();
    if let Ok(Some(header)) = proxy::header(&signed) {
        assert!(header.size <= signed.len(), "it is here");
        assert_eq!(proxy::header(&signed[..header.size]), Ok(Some(header)), "the rest is not its");
        assert_eq!(proxy::header(&signed[..header.size - 1]), Ok(None), "all of it is needed");
    }
}

/// Reads the input as values of both fields, and as a head of its own.
pub fn forwarded(data: &[u8]) {
    let trusted = Networks::of(["10.0.0.0/8".parse().expect("a network")]);
    let _ = forwarded::client(data, &trusted);
    let lines = [b"Forwarded: ", data, b"\r\nX-Forwarded-For: ", data].concat();
    let _ = forwarded::client(&lines, &trusted);
}
