//! How encrypted media is announced: `EXT-X-KEY` in HLS, `ContentProtection` in DASH.

use super::super::protection::{Protection, Uuid, base64};
use super::dates::Hexadecimal;
use super::put;

/// What holds from here on, if it is encrypted, or if what came before it was.
pub(in crate::live) fn write_change(
    text: &mut String,
    before: Option<&Protection>,
    now: Option<&Protection>,
) {
    match (before, now) {
        (_, Some(protection)) => write_hls(text, protection),
        (Some(_), None) => text.push_str("#EXT-X-KEY:METHOD=NONE\n"),
        (None, None) => {}
    }
}

/// The lines of HLS that hold for what follows, one a system of licences (RFC 8216bis, 4.4.4.4).
///
/// None of them if no system is named: a line needs to say where the key is, and the header did
/// not.
pub fn write_hls(text: &mut String, protection: &Protection) {
    let method = protection.method();
    for system in &protection.systems {
        let (format, uri) = system.key_format();
        put(text, format_args!("#EXT-X-KEY:METHOD={method},URI=\"{uri}\""));
        if system.fairplay_uri().is_none() {
            put(text, format_args!(",KEYID={}", Hexadecimal(&protection.key)));
        }
        put(text, format_args!(",KEYFORMAT=\"{format}\",KEYFORMATVERSIONS=\"1\"\n"));
    }
}

/// What holds for all members of a set, each of which is encrypted like this: players look for it
/// at the set. Gives it; where they differ, each has its own.
pub(in crate::live) fn write_shared<'p>(
    text: &mut String,
    members: impl Iterator<Item = Option<&'p Protection>>,
) -> Option<&'p Protection> {
    let shared = members.reduce(|one, other| one.filter(|_| one == other)).flatten();
    if let Some(protection) = shared {
        write_dash(text, protection, "   ");
    }
    shared
}

/// The elements of a manifest (ISO/IEC 23001-7, 11.2), each line behind this indent.
pub fn write_dash(text: &mut String, protection: &Protection, indent: &str) {
    // An encoder's word, which is not to end the attribute.
    let scheme = protection.scheme.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let scheme: String = scheme.map(|&byte| char::from(byte)).collect();
    let key = Uuid(protection.key);
    put(
        text,
        format_args!(
            "{indent}<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" \
             value=\"{scheme}\" xmlns:cenc=\"urn:mpeg:cenc:2013\" cenc:default_KID=\"{key}\"/>\n"
        ),
    );
    for system in &protection.systems {
        put(
            text,
            format_args!("{indent}<ContentProtection schemeIdUri=\"urn:uuid:{}\"", Uuid(system.id)),
        );
        if let Some(name) = system.name() {
            put(text, format_args!(" value=\"{name}\""));
        }
        if system.fairplay_uri().is_some() {
            text.push_str("/>\n");
            continue;
        }
        put(
            text,
            format_args!(
                " xmlns:cenc=\"urn:mpeg:cenc:2013\"><cenc:pssh>{}</cenc:pssh>\
                 </ContentProtection>\n",
                base64(&system.pssh)
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::protection::sample;
    use super::*;

    #[test]
    fn each_system_has_a_key_line() {
        let mut text = String::new();
        write_hls(&mut text, &sample(*b"cenc"));
        assert_eq!(
            text,
            "#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;base64,\
AAAAInBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAJ3dg==\",KEYID=0x30313233343536373839616263646566,\
KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\",KEYFORMATVERSIONS=\"1\"
#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;charset=UTF-16;base64,PHByLz4=\",\
KEYID=0x30313233343536373839616263646566,KEYFORMAT=\"com.microsoft.playready\",\
KEYFORMATVERSIONS=\"1\"
"
        );
        let mut text = String::new();
        write_hls(&mut text, &sample(*b"cbcs"));
        assert_eq!(text.matches("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=").count(), 2, "{text}");
    }

    #[test]
    fn fairplay_has_the_uri_of_its_key() {
        let mut protection = Protection { systems: Vec::new(), ..sample(*b"cbcs") };
        protection.name_fairplay("skd://key?1");
        let mut text = String::new();
        write_hls(&mut text, &protection);
        assert_eq!(
            text,
            "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://key?1\",\
KEYFORMAT=\"com.apple.streamingkeydelivery\",KEYFORMATVERSIONS=\"1\"\n"
        );
        let mut text = String::new();
        write_dash(&mut text, &protection, "");
        let uuid = "urn:uuid:94ce86fb-07ff-4f43-adb8-93d2fa968ca2";
        let line = format!("<ContentProtection schemeIdUri=\"{uuid}\" value=\"FairPlay\"/>\n");
        assert!(text.ends_with(&line), "{text}");
    }

    #[test]
    fn a_scheme_stays_within_its_quotes() {
        let mut text = String::new();
        write_dash(&mut text, &Protection { systems: Vec::new(), ..sample(*b"c\"<&") }, "");
        assert!(text.contains(" value=\"c\" xmlns"), "{text}");
    }

    #[test]
    fn a_manifest_names_the_key_and_the_systems() {
        let mut text = String::new();
        write_dash(&mut text, &sample(*b"cbcs"), "   ");
        assert_eq!(
            text,
            "   <ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" value=\"cbcs\" \
xmlns:cenc=\"urn:mpeg:cenc:2013\" cenc:default_KID=\"30313233-3435-3637-3839-616263646566\"/>
   <ContentProtection schemeIdUri=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\" \
value=\"Widevine\" xmlns:cenc=\"urn:mpeg:cenc:2013\">\
<cenc:pssh>AAAAInBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAJ3dg==</cenc:pssh></ContentProtection>
   <ContentProtection schemeIdUri=\"urn:uuid:9a04f079-9840-4286-ab92-e65be0885f95\" \
value=\"PlayReady\" xmlns:cenc=\"urn:mpeg:cenc:2013\">\
<cenc:pssh>AAAAJXBzc2gAAAAAmgTweZhAQoarkuZb4IhflQAAAAU8cHIvPg==</cenc:pssh></ContentProtection>
"
        );
    }
}
