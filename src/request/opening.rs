//! The multivariant playlist of a channel for an app that started it: the channel's own text in,
//! the same with whole paths out, so that it can be read wherever it was asked for.
//!
//! Players differ in what they do after a redirection: some take the address that they were given
//! for the base of what they find, and ask for that one again. Written into the caller's buffer.

/// Where what is listed lies: `/s/{token}`, and then the channel's folder.
#[derive(Clone, Copy, Debug)]
pub struct Base<'b> {
    /// The token.
    pub token: &'b [u8],
    /// `/tv/news/`.
    pub folder: &'b [u8],
}

/// A buffer, and how much of it is written.
struct Out<'o> {
    bytes: &'o mut [u8],
    size: usize,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.size.checked_add(bytes.len())?;
        self.bytes.get_mut(self.size..end)?.copy_from_slice(bytes);
        self.size = end;
        Some(())
    }

    /// An address as it is read from everywhere.
    fn put_whole(&mut self, uri: &[u8], base: &Base<'_>) -> Option<()> {
        if !is_elsewhere(uri) {
            self.put(b"/s/")?;
            self.put(base.token)?;
            if !uri.starts_with(b"/") {
                self.put(base.folder)?;
            }
        }
        self.put(uri)
    }
}

/// Whether an address has a scheme or a host of its own (RFC 3986, 4.1), or stands for itself
/// without a token.
fn is_elsewhere(uri: &[u8]) -> bool {
    let end = uri.iter().position(|byte| b":/?#".contains(byte));
    let has_scheme = end.is_some_and(|at| uri[at] == b':');
    let is_ours = |uri: &[u8]| uri.starts_with(b"/tv/") || uri.starts_with(b"/vod/");
    has_scheme || uri.starts_with(b"/") && !is_ours(uri)
}

/// How large the text is that was written; none = the buffer has no room for it.
#[must_use]
pub fn written(text: &[u8], base: &Base<'_>, out: &mut [u8]) -> Option<usize> {
    let mut out = Out { bytes: out, size: 0 };
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [b'\n'] | [b'\r', b'\n'] => out.put(line)?,
            [b'#', ..] => put_tag(&mut out, line, base)?,
            _ => out.put_whole(line, base)?,
        }
    }
    Some(out.size)
}

const URI: &[u8] = b"URI=\"";

/// A line of a tag, of which an attribute may be an address.
fn put_tag(out: &mut Out<'_>, line: &[u8], base: &Base<'_>) -> Option<()> {
    let mut rest = line;
    while let Some(at) = memchr::memmem::find(rest, URI) {
        let (before, uri) = rest.split_at(at + URI.len());
        out.put(before)?;
        // Behind another letter it is the end of another attribute's name.
        let begins = at.checked_sub(1).is_none_or(|at| b":,".contains(&rest[at]));
        rest = uri;
        if begins {
            let end = memchr::memchr(b'"', uri).unwrap_or(uri.len());
            out.put_whole(&uri[..end], base)?;
            rest = &uri[end..];
        }
    }
    out.put(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: Base<'_> = Base { token: b"T", folder: b"/tv/news/" };

    fn shown(text: &str) -> String {
        let mut out = [0; 4096];
        let size = written(text.as_bytes(), &BASE, &mut out).unwrap();
        String::from_utf8(out[..size].to_vec()).unwrap()
    }

    #[test]
    fn every_address_is_whole_and_the_rest_is_as_it_was() {
        let text = "#EXTM3U\r\n#EXT-X-VERSION:6\n\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"URI=\",URI=\"en/index.m3u8\",X-URI=\"x\"\n\
            #EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://key\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1,mp4a\",AUDIO=\"a\"\nv/index.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2\n../../vod/a.m3u8?x=1:2\n\
            #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=3,URI=\"v/keys.m3u8\"\n\
            /vod/films/a/v.m3u8\n/slate/limit/live.m3u8\nhttps://cdn/v.m3u8\n//cdn/v.m3u8\nlast";
        let expected = "#EXTM3U\r\n#EXT-X-VERSION:6\n\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"URI=\",\
            URI=\"/s/T/tv/news/en/index.m3u8\",X-URI=\"x\"\n\
            #EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://key\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1,mp4a\",AUDIO=\"a\"\n\
            /s/T/tv/news/v/index.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2\n/s/T/tv/news/../../vod/a.m3u8?x=1:2\n\
            #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=3,URI=\"/s/T/tv/news/v/keys.m3u8\"\n\
            /s/T/vod/films/a/v.m3u8\n/slate/limit/live.m3u8\nhttps://cdn/v.m3u8\n//cdn/v.m3u8\n\
            /s/T/tv/news/last";
        assert_eq!(shown(text), expected);
        assert_eq!(shown(""), "");
    }

    #[test]
    fn what_has_no_room_is_not_written_by_halves() {
        let text = b"#EXTM3U\nv.m3u8\n";
        let whole = written(text, &BASE, &mut [0; 100]).unwrap();
        assert_eq!(written(text, &BASE, &mut vec![0; whole]), Some(whole));
        for size in 0..whole {
            assert_eq!(written(text, &BASE, &mut vec![0; size]), None, "{size}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_written_or_not(text: Vec<u8>, room in 0_usize..2000) {
            let mut out = vec![0; room];
            if let Some(size) = written(&text, &BASE, &mut out) {
                prop_assert!(size >= text.len() && size <= room);
            }
        }
    }
}
