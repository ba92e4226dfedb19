//! Addresses of others, and what they ask for.

use proptest::prelude::*;

use super::*;

/// 2026-11-26T20:15:00Z.
const START: u64 = 1_795_724_100;

#[track_caller]
fn moments(expected: Option<u64>, texts: &[&str]) {
    for text in texts {
        assert_eq!(moment(text), expected, "{text:?}");
    }
}

#[test]
fn every_way_to_write_a_moment_is_the_same_second() {
    moments(
        Some(START),
        &[
            "1795724100",
            "1795724100000",
            "1795724100999",
            "2026-11-26:20-15",
            "2026-11-26:20-15-00",
            "2026-11-26_20-15",
            "2026-11-26_20:15:00",
            "2026-11-26:20:15",
            "2026-11-26 20:15:00",
            "2026-11-26 20-15",
            "2026-11-26+20:15",
            "2026-11-26T20:15:00Z",
            "2026-11-26T20:15Z",
            "2026-11-26T20:15:00",
            "2026-11-26T20:15:00.750Z",
            "2026-11-26T21:15:00+01:00",
            // As a query reads that was not escaped.
            "2026-11-26T21:15:00 01:00",
            "2026-11-26T21:15+0100",
            "2026-11-26T21:15:00+01",
            "2026-11-26T15:15:00-05:00",
            "2026-11-27T01:45:00+05:30",
            "20261126T201500Z",
            "20261126T2015",
            " 2026-11-26:20-15 ",
        ],
    );
    moments(Some(START + 30), &["2026-11-26:20-15-30", "2026-11-26T20:15:30Z"]);
}

#[test]
fn what_is_no_moment_is_none() {
    moments(
        None,
        &[
            "",
            "now",
            "179572410",
            "17957241000",
            "2026-11-26",
            "2026-02-29:20-15",
            "2026-13-01:20-15",
            "2026-11-26:24-00",
            "2026-11-26:20-60",
            "2026-11-26:20",
            "2026-11-26:20-15-60x",
            "2026-11-26T20:15:00+1",
            "2026-11-26T20:15:00+24:00",
            "2026-11-26T20:15:00+01:00x",
            "2026-11-26T20:15:00+:",
            "1970-01-01T00:00:00+01:00",
            "２０２６-11-26:20-15",
            "2026-11-26/20-15",
        ],
    );
}

/// What an address asks for, in a few words: where it leads at that moment, and for whom.
fn told(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let asked = match Asked::read(path, query) {
        None => return "nothing".to_owned(),
        Some(Err(fault)) => return format!("{fault:?}"),
        Some(Ok(asked)) => asked,
    };
    let id = match &asked.channel {
        Channel::Id(id) => id.clone(),
        Channel::Number(number) => number.to_string(),
    };
    let place = asked.path(&id, START + 3600);
    match asked.viewer {
        Viewer::Anyone => place,
        Viewer::Token(token) => format!("{place} by {token}"),
        Viewer::SignsIn(user, password) => format!("{place} for {user}:{password}"),
    }
}

#[track_caller]
fn check(expected: &str, targets: &[&str]) {
    for target in targets {
        assert_eq!(told(target), expected, "{target}");
    }
}

#[test]
fn the_xtream_api_says_minutes_and_whoever_asks() {
    check(
        "/tv/7/archive/1795724100-5400/stream.ts for u:p w",
        &[
            "/timeshift/u/p w/90/2026-11-26:20-15/7.ts",
            "/timeshift/u/p w/90/2026-11-26:20-15/7",
            "/timeshift/u/p w/90/1795724100/7.ts",
            "/timeshift.php?username=u&password=p+w&stream=7&start=2026-11-26:20-15&duration=90",
            "/streaming/timeshift.php?username=u&password=p%20w&stream=7.ts&duration=90\
             &start=2026-11-26%2020%3A15",
            "/streaming/timeshift.php?username=u&password=p%20w&stream=7&duration=90\
             &start=2026-11-26T21:15:00+01:00&extension=ts",
        ],
    );
    check(
        "/tv/7/archive/1795724100-7200/master.m3u8 for u:p",
        &[
            "/timeshift/u/p/120/2026-11-26:20-15/7.m3u8",
            "/timeshift/u/p/0/2026-11-26:20-15/7.m3u8",
            "/timeshift/u/p//2026-11-26:20-15/7.m3u8",
            "/timeshift.php?username=u&password=p&stream=7&start=1795724100&extension=m3u8",
        ],
    );
    check("Channel", &["/timeshift/u/p/60/2026-11-26:20-15/news.ts", "/timeshift.php"]);
    check("Channel", &["/timeshift/u/p/60/2026-11-26:20-15/99999999999.ts"]);
    check("Start", &["/timeshift/u/p/60/yesterday/7.ts", "/timeshift.php?stream=7"]);
    check("Length", &["/timeshift/u/p/1h/2026-11-26:20-15/7.ts"]);
    check(
        "TooLong",
        &[
            "/timeshift/u/p/1441/2026-11-26:20-15/7.ts",
            "/timeshift/u/p/9999999999999/2026-11-26:20-15/7.ts",
        ],
    );
    check("nothing", &["/timeshift/u/p/60/7.ts", "/timeshift/", "/timeshift/u/p/60/1/2/7.ts"]);
}

#[test]
fn names_of_flussonic_say_seconds() {
    check(
        "/tv/news/archive/1795724100-600/master.m3u8",
        &[
            "/news/archive-1795724100-600.m3u8",
            "/news/index-1795724100-600.m3u8",
            "/news/video-1795724100-600.m3u8",
            "/news/mono-1795724100-600.m3u8",
            "/tv/news/archive-1795724100-600.m3u8",
            "/tv/news/archive-1795724100000-600.m3u8?token=x",
        ],
    );
    check(
        "/tv/news/archive/1795724100-now/master.m3u8",
        &[
            "/news/archive-1795724100-now.m3u8",
            "/news/timeshift_abs-1795724100.m3u8",
            "/news/video-timeshift_abs-1795724100.m3u8",
            "/news/timeshift_rel-3600.m3u8",
            "/news/rewind-3600.m3u8",
            "/tv/news/master-timeshift_rel-3600.m3u8",
        ],
    );
    check(
        "/tv/news/archive/1795724100-now/stream.ts",
        &["/news/timeshift_abs-1795724100.ts", "/news/timeshift_rel-3600.ts"],
    );
    check("/tv/a.b_c-1/archive/1-2/stream.ts by T", &["/s/T/a.b_c-1/archive-1-2.ts"]);
    check("/tv/news/archive/1-2/manifest.mpd by T", &["/s/T/tv/news/archive-1-2.mpd"]);
    check("Length", &["/news/archive-1-0.m3u8", "/news/archive-1-2-3.m3u8"]);
    check("TooLong", &["/news/archive-1-86401.m3u8"]);
    check(
        "nothing",
        &[
            "/news/archive-now.m3u8",
            "/news/archive-1.m3u8",
            "/news/timeshift_abs-.m3u8",
            "/news/mytimeshift_abs-1.m3u8",
            "/news/archive-1-2.mp4",
            "/a/b/archive-1-2.m3u8",
            "/ne%ws/archive-1-2.m3u8",
            "/.news/archive-1-2.m3u8",
            "/s//news/archive-1-2.m3u8",
            "/s/T",
        ],
    );
}

#[test]
fn a_query_behind_something_live_asks_for_what_is_past() {
    check(
        "/tv/news/archive/1795724100-now/master.m3u8",
        &[
            "/tv/news/master.m3u8?utc=1795724100&lutc=1795727700",
            "/tv/news/ll.m3u8?a=b&utc=1795724100",
            "/news/index.m3u8?utc=1795724100",
            "/tv/news/master.m3u8?start=2026-11-26T20:15:00Z",
            "/tv/news/master.m3u8?time_delay=3600",
        ],
    );
    check(
        "/tv/news/archive/1795724100-600/stream.ts by T",
        &[
            "/s/T/tv/news/stream.ts?utc=1795724100&utcend=1795724700",
            "/s/T/tv/news/stream.ts?utc=1795724100&duration=600&lutc=1795727700",
            "/s/T/news/mpegts?start=1795724100&end=1795724700",
            "/s/T/news/mpegts?start=2026-11-26T20:15:00Z&end=2026-11-26T20:25:00Z",
        ],
    );
    check("/tv/news/archive/1795724100-now/manifest.mpd", &["/tv/news/ll.mpd?utc=1795724100"]);
    check("Start", &["/tv/news/master.m3u8?utc=x", "/tv/news/master.m3u8?time_delay=x"]);
    check("Length", &["/tv/news/master.m3u8?start=1795724100&end=1795724100"]);
    check(
        "nothing",
        &[
            "/tv/news/master.m3u8",
            "/tv/news/master.m3u8?utc=",
            "/tv/news/master.m3u8?_HLS_msn=4",
            "/tv/news/video/media.m3u8?utc=1795724100",
            "/tv/news/1.m4s?utc=1795724100",
        ],
    );
    for (query, expected) in [
        ("", false),
        ("_HLS_msn=1&_HLS_part=2", false),
        ("lutc=1", false),
        ("a=1&start=1", true),
        ("utc=1", true),
    ] {
        assert_eq!(asks("/tv/news/master.m3u8", query.as_bytes()), expected, "{query}");
    }
    assert!(!asks("/tv/news/v/media.m3u8", b"utc=1"));
}

proptest! {
    #[test]
    fn a_moment_is_found_again_however_it_is_written(
        at in 0_u64..253_402_300_800,
        shift in -1439_i64..1440,
    ) {
        let iso = crate::units::UnixTime(at).iso();
        let xtream = format!("{}:{}-{}-{}", &iso[..10], &iso[11..13], &iso[14..16], &iso[17..19]);
        prop_assert_eq!(moment(&iso), Some(at));
        prop_assert_eq!(moment(&xtream), Some(at));
        let sign = if shift < 0 { '-' } else { '+' };
        let (hours, minutes) = (shift.unsigned_abs() / 60, shift.unsigned_abs() % 60);
        let local = format!("{}{sign}{hours:02}:{minutes:02}", &iso[..19]);
        prop_assert_eq!(moment(&local), at.checked_add_signed(-shift * 60));
    }

    #[test]
    fn nothing_panics_and_what_is_asked_for_is_an_address_of_ours(
        path in concat!(
            "(/(s|tv|timeshift|news|[a-z0-9%:. -]{0,8}))?/",
            "((archive|index|timeshift_abs|rewind)-)?\\PC{0,20}(\\.(ts|m3u8))?",
        ),
        query in "((utc|start|end|duration)=[0-9:TZ%+-]{0,14}&?){0,3}\\PC{0,10}",
    ) {
        super::super::super::fuzz::dialect(path.as_bytes());
        super::super::super::fuzz::dialect(format!("{path}?{query}").as_bytes());
    }
}
