//! Tokens written and read again, and everything that is none.

use proptest::prelude::*;

use super::*;

const NOON: UnixTime = UnixTime(1_800_000_000);
const SECRET: [u8; 32] = [7; 32];

fn key(id: u8) -> Key {
    Key::new(id, &SECRET, 0)
}

fn keys() -> Keys {
    Keys { current: Some(key(2)), previous: Some(key(1)) }
}

fn claims() -> Claims {
    Claims {
        subscriber: NonZeroU32::new(70_000),
        session: 0x0102_0304_0506_0708,
        expires: UnixTime(NOON.0 + 60),
        bitrate_max: None,
        network: None,
    }
}

fn full() -> Claims {
    let network = Some("192.0.2.0/24".parse().unwrap());
    Claims { bitrate_max: Some(8_000), network, ..claims() }
}

/// What is read of a text, as text.
#[track_caller]
fn check(text: &str, keys: &Keys, peer: &str, now: UnixTime, expected: &str) {
    let peer = (!peer.is_empty()).then(|| peer.parse().unwrap());
    let mut scratch = [0; TOKEN_BYTES_MAX];
    let read = match opened(text, keys, &|| peer, now, &mut scratch) {
        Ok(token) => {
            let rules: Vec<_> = token.scope.rules().map(String::from_utf8_lossy).collect();
            format!("{} {}", token.claims.subscriber.map_or(0, NonZeroU32::get), rules.join(" "))
        }
        Err(Denial::Unknown) => "unknown".to_owned(),
        Err(Denial::Expired(at)) => format!("expired {}", at.0),
        Err(Denial::Elsewhere) => "elsewhere".to_owned(),
        Err(Denial::Revoked) => unreachable!("the text alone does not say that"),
    };
    assert_eq!(read.trim_end(), expected, "{text}");
}

#[test]
fn what_is_written_is_read() {
    let text = sealed(&full(), &["/tv/news/*", "/vod/films/*"], &key(2)).unwrap();
    check(&text, &keys(), "192.0.2.9", NOON, "70000 /tv/news/* /vod/films/*");
    let mut scratch = [0; TOKEN_BYTES_MAX];
    let peer = Some("::ffff:192.0.2.1".parse().unwrap());
    assert_eq!(opened(&text, &keys(), &|| peer, NOON, &mut scratch).unwrap().claims, full());
}

#[test]
fn the_smallest_is_46_characters_and_the_same_everywhere() {
    // Computed with Python's hmac and base64: whoever changes the format changes this.
    let text = sealed(&claims(), &[], &key(2)).unwrap();
    assert_eq!(text, "AQJrSdI8AAERcAECAwQFBgcIa6L0yu-mXiBSaSrpsu210w");
    assert_eq!(text.len(), 46);
}

#[test]
fn the_text_that_takes_no_memory_is_the_same() {
    let nobody = Claims { subscriber: None, ..claims() };
    for claims in [claims(), nobody] {
        let text = plain(&claims, &key(2)).unwrap();
        assert_eq!(text.text(), sealed(&claims, &[], &key(2)).unwrap().as_bytes());
    }
    let late = Claims { expires: UnixTime(u64::from(u32::MAX) + 1), ..claims() };
    assert!(plain(&late, &key(2)).is_none());
}

#[test]
fn it_is_good_before_the_second_in_which_it_expires() {
    let text = sealed(&claims(), &[], &key(2)).unwrap();
    check(&text, &keys(), "", UnixTime(NOON.0 + 59), "70000");
    check(&text, &keys(), "", UnixTime(NOON.0 + 60), "expired 1800000060");
    check(&text, &keys(), "", UnixTime(NOON.0 + 61), "expired 1800000060");
}

#[test]
fn two_keys_are_live_and_a_third_one_is_unknown() {
    for (id, expected) in [(2, "70000"), (1, "70000"), (3, "unknown")] {
        check(&sealed(&claims(), &[], &key(id)).unwrap(), &keys(), "", NOON, expected);
    }
    let foreign = Key::new(2, &[8; 32], 0);
    check(&sealed(&claims(), &[], &foreign).unwrap(), &keys(), "", NOON, "unknown");
    let text = sealed(&claims(), &[], &key(2)).unwrap();
    check(&text, &Keys::default(), "", NOON, "unknown");
}

#[test]
fn another_epoch_makes_all_older_ones_unknown() {
    let text = sealed(&claims(), &[], &key(2)).unwrap();
    let restored = Keys { current: Some(Key::new(2, &SECRET, 1)), previous: None };
    check(&text, &restored, "", NOON, "unknown");
}

#[test]
fn it_may_be_bound_to_a_network() {
    let text = sealed(&full(), &[], &key(2)).unwrap();
    check(&text, &keys(), "192.0.2.255", NOON, "70000");
    check(&text, &keys(), "192.0.3.0", NOON, "elsewhere");
    check(&text, &keys(), "2001:db8::1", NOON, "elsewhere");
    check(&text, &keys(), "", NOON, "elsewhere");
    let network = Some("2001:db8:0:7::/64".parse().unwrap());
    let text = sealed(&Claims { network, ..claims() }, &[], &key(2)).unwrap();
    check(&text, &keys(), "2001:db8:0:7::1", NOON, "70000");
    check(&text, &keys(), "2001:db8:0:8::1", NOON, "elsewhere");
}

#[test]
fn each_bit_counts_and_each_byte_that_is_missing() {
    let text = sealed(&full(), &["/tv/news/*"], &key(2)).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        check(&URL_SAFE_NO_PAD.encode(changed), &keys(), "192.0.2.1", NOON, "unknown");
    }
    for size in 0..bytes.len() {
        check(&URL_SAFE_NO_PAD.encode(&bytes[..size]), &keys(), "192.0.2.1", NOON, "unknown");
        check(&URL_SAFE_NO_PAD.encode(&bytes[size + 1..]), &keys(), "192.0.2.1", NOON, "unknown");
    }
}

#[test]
fn there_is_one_text_for_each() {
    let text = sealed(&claims(), &[], &key(2)).unwrap();
    let last = text.as_bytes()[45];
    // The last character carries two bits that count; the others must be 0.
    for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
        let changed = format!("{}{}", &text[..45], char::from(*other));
        let expected = if *other == last { "70000" } else { "unknown" };
        check(&changed, &keys(), "", NOON, expected);
    }
    for other in [format!("{text}=="), format!("{text}="), format!(" {text}"), String::new()] {
        check(&other, &keys(), "", NOON, "unknown");
    }
}

#[test]
fn what_this_version_does_not_know_is_unknown_although_it_is_signed() {
    let rule = [FIELD_RULE, 1, b'*'];
    let bitrate = [FIELD_BITRATE, 4, 0, 0, 1, 0];
    for (fields, expected) in [
        (&[][..], "70000"),
        (&[&bitrate[..], &rule, &rule].concat(), "70000 * *"),
        (&[&rule[..], &bitrate].concat(), "unknown"),
        (&[&bitrate[..], &bitrate].concat(), "unknown"),
        (&[9, 0], "unknown"),
        (&[FIELD_BITRATE, 2, 0, 0], "unknown"),
        (&[FIELD_NETWORK, 5, 33, 192, 0, 2, 0], "unknown"),
        (&[FIELD_NETWORK, 4, 24, 192, 0, 2], "unknown"),
        (&[FIELD_NETWORK, 0], "unknown"),
        (&[FIELD_RULE, 9, b'*'], "unknown"),
        (&[FIELD_RULE], "unknown"),
    ] {
        let text = signed(&claims(), fields, &key(2)).unwrap();
        check(&text, &keys(), "192.0.2.1", NOON, expected);
    }
    let text = signed(&claims(), &[], &key(2)).unwrap();
    let mut newer = URL_SAFE_NO_PAD.decode(text).unwrap();
    newer.truncate(FIELDS_AT);
    newer[0] = 2;
    let mac = key(2).over(&newer).finalize().into_bytes();
    newer.extend(&mac[..MAC_SIZE]);
    check(&URL_SAFE_NO_PAD.encode(newer), &keys(), "", NOON, "unknown");
}

#[test]
fn what_does_not_fit_is_not_written() {
    let long = "x".repeat(256);
    assert_eq!(sealed(&claims(), &[&long], &key(2)), Err(Unwritable::TooLong));
    let many = ["/tv/a-channel-with-a-name/*"; 20];
    assert_eq!(sealed(&claims(), &many, &key(2)), Err(Unwritable::TooLong));
    let late = Claims { expires: UnixTime(1 << 32), ..claims() };
    assert_eq!(sealed(&late, &[], &key(2)), Err(Unwritable::TooLate));
}

proptest! {
    #[test]
    fn whatever_is_claimed_is_read_as_it_was(
        subscriber: u32, session: u64, expires in 1_800_000_001_u64..1 << 32,
        bitrate_max: Option<u32>, prefix in 0_u8..=32, address: [u8; 4],
        rules in prop::collection::vec("[a-z/*?]{0,20}", 0..8),
    ) {
        let network = Ipv4Net::new(address.into(), prefix).unwrap().trunc();
        let claims = Claims {
            subscriber: NonZeroU32::new(subscriber), session, expires: UnixTime(expires),
            bitrate_max, network: Some(IpNet::V4(network)),
        };
        let rules: Vec<_> = rules.iter().map(String::as_str).collect();
        let text = sealed(&claims, &rules, &key(1)).unwrap();
        let mut scratch = [0; TOKEN_BYTES_MAX];
        let peer = Some(IpAddr::from(address));
        let token = opened(&text, &keys(), &|| peer, NOON, &mut scratch).unwrap();
        prop_assert_eq!(token.claims, claims);
        let read: Vec<_> = token.scope.rules().map(|rule| str::from_utf8(rule).unwrap()).collect();
        prop_assert_eq!(read, rules);
    }

    #[test]
    fn no_text_is_one_of_ours_by_chance(text in "[A-Za-z0-9_-]{0,520}") {
        let mut scratch = [0; TOKEN_BYTES_MAX];
        let read = opened(&text, &keys(), &|| None, NOON, &mut scratch);
        prop_assert_eq!(read, Err(Denial::Unknown));
    }
}

#[test]
fn without_its_mac_it_opens_nothing_and_its_key_alone_makes_it_whole() {
    let text = sealed(&full(), &["/tv/news/*"], &key(1)).unwrap();
    let unsigned = keys().unsigned(&text).unwrap();
    assert!(text.starts_with(&unsigned.says[..unsigned.says.len() - 1]));
    check(&unsigned.says, &keys(), "192.0.2.9", NOON, "unknown");
    assert_eq!(keys().signed(&unsigned), Some(text.clone()));
    let rotated = Keys { current: Some(key(3)), previous: Some(key(2)) };
    assert_eq!(rotated.signed(&unsigned), None);
    assert_eq!(rotated.unsigned(&text), None);
    // Another key that came to have its id.
    let other = Keys { current: Some(Key::new(1, &SECRET, 1)), previous: None };
    assert_eq!(other.signed(&unsigned), None);
    for says in ["", "AQ", "ä"] {
        let unsigned = Unsigned { says: says.to_owned(), ..unsigned };
        assert_eq!(keys().signed(&unsigned), None, "{says}");
    }
}
