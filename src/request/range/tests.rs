//! What Range fields select, and a slow second reading of RFC 9110 to compare with.

use proptest::prelude::*;

use super::*;

/// `whole`, `none`, or the ranges.
fn shown(selection: Selection) -> String {
    let ranges = match selection {
        Selection::Whole => return "whole".to_owned(),
        Selection::Unsatisfiable => return "none".to_owned(),
        Selection::One(range) => vec![range],
        Selection::Several(ranges) => ranges.as_slice().to_vec(),
    };
    let ranges = ranges.iter().map(|range| format!("{}-{}", range.first, range.last));
    ranges.collect::<Vec<_>>().join(",")
}

#[track_caller]
fn check(size: u64, cases: &[(&str, &str)]) {
    for (value, expected) in cases {
        assert_eq!(shown(selection(value.as_bytes(), size)), *expected, "{value} of {size}");
    }
}

#[test]
fn single_ranges() {
    check(
        1000,
        &[
            ("bytes=0-0", "0-0"),
            ("bytes=0-", "0-999"),
            ("bytes=0-999", "0-999"),
            ("bytes=0-1000", "0-999"),
            ("bytes=999-", "999-999"),
            ("bytes=999-5000", "999-999"),
            ("bytes=1000-", "none"),
            ("bytes=1000-1000", "none"),
            ("bytes=-1", "999-999"),
            ("bytes=-1000", "0-999"),
            ("bytes=-1001", "0-999"),
            ("bytes=-0", "none"),
            ("bytes=-000", "none"),
            ("bytes=0005-0007", "5-7"),
            ("BYTES=1-2", "1-2"),
            ("bytes= 1-2 ", "1-2"),
        ],
    );
}

#[test]
fn numbers_beyond_64_bits_are_large() {
    check(
        1000,
        &[
            ("bytes=-18446744073709551615", "0-999"),
            ("bytes=-9223372036854775808", "0-999"),
            ("bytes=-99999999999999999999999", "0-999"),
            ("bytes=0-18446744073709551615", "0-999"),
            ("bytes=0-18446744073709551616", "0-999"),
            ("bytes=9223372036854775807-", "none"),
            ("bytes=18446744073709551615-", "none"),
            ("bytes=18446744073709551616-", "none"),
            ("bytes=18446744073709551616-18446744073709551617", "none"),
            ("bytes=18446744073709551617-18446744073709551616", "whole"),
            ("bytes=00000000000000000000000000001-2", "1-2"),
        ],
    );
    check(
        u64::MAX,
        &[("bytes=18446744073709551614-", "18446744073709551614-18446744073709551614")],
    );
}

#[test]
fn what_is_malformed_selects_everything() {
    check(
        1000,
        &[
            ("", "whole"),
            ("bytes", "whole"),
            ("bytes=", "whole"),
            ("bytes=,", "whole"),
            ("bytes=-", "whole"),
            ("bytes=5-4", "whole"),
            ("bytes=--5", "whole"),
            ("bytes=5--6", "whole"),
            ("bytes=+5-6", "whole"),
            ("bytes=a-b", "whole"),
            ("bytes=0x1-2", "whole"),
            ("bytes=1", "whole"),
            ("bytes=1 - 2", "whole"),
            ("bytes=1-2-3", "whole"),
            ("bytes=0-0,5-4", "whole"),
            ("bytes=0-0,x", "whole"),
            ("bytes =0-1", "whole"),
            ("bytes:0-1", "whole"),
            ("lines=0-1", "whole"),
            ("seconds=1-2", "whole"),
            ("none", "whole"),
            ("bytes=0-1;x", "whole"),
            ("\u{e9}\u{e9}\u{e9}\u{e9}", "whole"),
        ],
    );
}

#[test]
fn several_ranges() {
    check(
        1000,
        &[
            ("bytes=0-0,-1", "0-0,999-999"),
            ("bytes=500-600 , 0-9", "500-600,0-9"),
            ("bytes=0-9,10-19", "0-9,10-19"),
            ("bytes=0-9,2000-", "0-9"),
            ("bytes=2000-,-0", "none"),
            ("bytes=2000-,-5,3000-", "995-999"),
            (",bytes=0-1", "whole"),
            ("bytes=,0-1,", "0-1"),
            ("bytes=0-1,,4-5", "0-1,4-5"),
            ("bytes=0-10,5-15", "whole"),
            ("bytes=0-10001, 0-0", "whole"),
            ("bytes=0-,0-", "whole"),
            ("bytes=0-0,0-0", "whole"),
            ("bytes=-500,500-", "whole"),
            ("bytes=-18446744073709551615,0-0", "whole"),
            ("bytes=-18446744073709550615,-18446744073709550616", "whole"),
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7", "0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7"),
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8", "whole"),
            ("bytes=,,,,,,,,1-1", "whole"),
        ],
    );
    let flood = format!("bytes={}", "0-,".repeat(10_000));
    check(1000, &[(&flood, "whole")]);
}

#[test]
fn an_empty_object_has_no_first_byte() {
    check(
        0,
        &[
            ("bytes=0-", "none"),
            ("bytes=0-0", "none"),
            ("bytes=-0", "none"),
            // Satisfiable by RFC 9110, 14.1.2, but no Content-Range can say so.
            ("bytes=-1", "whole"),
            ("bytes=0-0,-1", "whole"),
        ],
    );
    check(1, &[("bytes=0-0,-1", "whole"), ("bytes=0-", "0-0"), ("bytes=-5", "0-0")]);
}

/// RFC 9110, 14, read slowly: numbers of 128 bits, lists and sets.
fn slowly(value: &str, size: u64) -> String {
    let Some(set) = value.strip_prefix("bytes=") else { return "whole".to_owned() };
    let size = u128::from(size);
    let (mut ranges, mut said) = (Vec::new(), false);
    if set.split(',').count() > RANGES_MAX {
        return "whole".to_owned();
    }
    for spec in set.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        said = true;
        let Some((first, last)) = spec.split_once('-') else { return "whole".to_owned() };
        let (first_number, last_number) = (first.parse::<u128>(), last.parse::<u128>());
        let signed = |text: &str| text.starts_with('+');
        if signed(first) || signed(last) {
            return "whole".to_owned();
        }
        match (first_number, last_number) {
            (Ok(first), Ok(last)) if last < first => return "whole".to_owned(),
            (Ok(first), Ok(last)) if first < size => ranges.push((first, last.min(size - 1))),
            (Ok(first), Err(_)) if last.is_empty() && first < size => {
                ranges.push((first, size - 1))
            }
            (Ok(_), Ok(_)) => {}
            (Ok(_), Err(_)) if last.is_empty() => {}
            (Err(_), Ok(0)) if first.is_empty() => {}
            (Err(_), Ok(_)) if first.is_empty() && size == 0 => return "whole".to_owned(),
            (Err(_), Ok(count)) if first.is_empty() => {
                ranges.push((size.saturating_sub(count), size - 1));
            }
            _ => return "whole".to_owned(),
        }
    }
    let mut sorted = ranges.clone();
    sorted.sort_unstable();
    let overlapping = sorted.windows(2).any(|two| two[1].0 <= two[0].1);
    match ranges.is_empty() {
        true if said => "none".to_owned(),
        true => "whole".to_owned(),
        false if overlapping => "whole".to_owned(),
        false => {
            let ranges = ranges.iter().map(|(first, last)| format!("{first}-{last}"));
            ranges.collect::<Vec<_>>().join(",")
        }
    }
}

proptest! {
    #[test]
    fn the_slow_reading_agrees(value in "bytes=([0-9]{0,2}-[0-9]{0,2}|[-0-9+ ,x]{0,8}|[0-9]{18,22}-[0-9]{18,22}|-[0-9]{1,21}|[0-9]{1,21}-)(,([0-9]{0,2}-[0-9]{0,2}|[-0-9 x]{0,4}|)){0,9}", size in prop_oneof![0_u64..120, any::<u64>()]) {
        prop_assert_eq!(shown(selection(value.as_bytes(), size)), slowly(&value, size));
    }

    #[test]
    fn what_is_selected_exists(value in proptest::collection::vec(any::<u8>(), 0..40), size in any::<u64>()) {
        let value = [b"bytes=", &value[..]].concat();
        if let Selection::One(range) = selection(&value, size) {
            prop_assert!(range.first <= range.last && range.last < size);
        }
    }
}
