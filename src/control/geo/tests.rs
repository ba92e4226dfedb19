//! Files that are good, cut, and hostile.

use proptest::prelude::*;

use super::*;

#[path = "../../../tests/fixture/mmdb.rs"]
mod mmdb;

fn countries() -> Vec<u8> {
    mmdb::countries(&[
        ("192.0.2.0/24", "NL"),
        ("192.0.2.128/25", "DE"),
        ("198.51.100.0/24", "be"),
        ("2001:db8::/32", "NL"),
    ])
}

fn geo(country: Vec<u8>, asn: Vec<u8>) -> Geo {
    let reader = |bytes| Some(Reader::from_source(bytes).unwrap());
    Geo { country: reader(country), asn: reader(asn), allows_unknown: false }
}

#[test]
fn an_address_is_in_a_country_and_in_somebodys_network() {
    let asn = mmdb::operators(&[("192.0.2.0/24", 64_496, "Example Networks")]);
    let geo = geo(countries(), asn);
    for (address, country, asn) in [
        ("192.0.2.7", Some("NL"), Some(64_496)),
        ("192.0.2.200", Some("DE"), Some(64_496)),
        ("::ffff:192.0.2.7", Some("NL"), Some(64_496)),
        ("2001:db8:1::1", Some("NL"), None),
        ("2001:db9::1", None, None),
        // Not as ISO writes it, so it is nothing that a lock could be compared with.
        ("198.51.100.1", None, None),
        ("127.0.0.1", None, None),
    ] {
        let place = geo.place(address.parse().unwrap());
        let found = place.country.as_ref().map(Country::text);
        assert_eq!((found, place.asn), (country, asn), "{address}");
    }
    let place = geo.place("192.0.2.7".parse().unwrap());
    assert_eq!(place.organisation.as_deref(), Some("Example Networks"));
}

#[test]
fn who_may_watch_in_one_country_may_not_elsewhere_nor_where_nobody_knows() {
    let mut geo = geo(countries(), countries());
    let nl = Country::of_text("NL").unwrap();
    let at = |geo: &Geo, address: &str| geo.hold(nl, address.parse().ok());
    assert_eq!(at(&geo, "192.0.2.7"), Ok(()));
    assert_eq!(at(&geo, "192.0.2.200"), Err(Over::Abroad));
    assert_eq!(at(&geo, "10.0.0.1"), Err(Over::Somewhere));
    assert_eq!(at(&geo, "nowhere"), Err(Over::Somewhere));
    geo.allows_unknown = true;
    assert_eq!(at(&geo, "10.0.0.1"), Ok(()));
    assert_eq!(at(&geo, "192.0.2.200"), Err(Over::Abroad));
    geo.country = None;
    assert_eq!(at(&geo, "192.0.2.200"), Ok(()), "without a file nobody can say");
}

#[test]
fn a_file_that_is_cut_or_missing_is_named_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("country.mmdb");
    let config = config::Geo { country: Some(path.clone()), ..config::Geo::default() };
    let why = || Geo::open(&config).map(drop).unwrap_err();
    assert_eq!(why().key, "geo.country");
    let whole = countries();
    std::fs::write(&path, &whole).unwrap();
    assert!(Geo::open(&config).unwrap().knows_countries());
    for size in [0, 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..size]).unwrap();
        let why = why();
        assert!(why.key == "geo.country" && why.why.contains("country.mmdb"), "{size}: {why:?}");
    }
    let config = config::Geo { asn: Some(folder.path().into()), ..config::Geo::default() };
    let why = Geo::open(&config).map(drop).unwrap_err();
    assert_eq!(why.key, "geo.asn");
}

proptest! {
    /// Wherever a file is damaged, it is refused or says something.
    #[test]
    fn no_file_makes_a_lookup_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
        addresses in prop::collection::vec(any::<IpAddr>(), 1..8),
    ) {
        let mut bytes = countries();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.drain(..cut.index(bytes.len()));
        }
        let Ok(geo) = Geo::of_bytes(&bytes) else { return Ok(()) };
        let known = ["192.0.2.7", "2001:db8::1"].map(|text| text.parse().unwrap());
        for address in addresses.into_iter().chain(known) {
            let _ = geo.place(address);
        }
    }
}
