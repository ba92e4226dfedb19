//! What can be given of each kind on the command line; the names of the API are the server's.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;

use super::Fields;
use crate::config::values::duration_ms;
use crate::units::UnixTime;

/// Of a category.
#[derive(Debug, Args, Serialize)]
pub struct CategoryFields {
    /// What it sorts: live, film or series
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sorts: Option<String>,
    /// Its name, as people see it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Its place: the smallest comes first
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<i32>,
}

impl Fields for CategoryFields {
    const PLURAL: &'static str = "categories";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("CATEGORY", "id"),
        ("NUMBER", "number"),
        ("SORTS", "sorts"),
        ("ORDER", "order"),
        ("NAME", "name"),
    ];
}

/// Of a bouquet.
#[derive(Debug, Args, Serialize)]
pub struct BouquetFields {
    /// Its name, as people see it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A channel (tv/news), an asset (vod/films/a) or a folder of them (vod/films); again for more,
    /// in the order in which they are shown
    #[arg(long, value_name = "PATH")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    content: Vec<String>,
}

impl Fields for BouquetFields {
    const PLURAL: &'static str = "bouquets";
    const COLUMNS: &'static [(&'static str, &'static str)] =
        &[("BOUQUET", "id"), ("NAME", "name"), ("CONTENT", "content")];
}

/// Of a plan.
#[derive(Debug, Args, Serialize)]
pub struct PlanFields {
    /// Its name, as people see it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A bouquet that may be watched (again for more)
    #[arg(long = "bouquet", value_name = "ID")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bouquets: Vec<String>,
    /// At how many places at once [default: 1; 0 = as many as one likes]
    #[arg(long = "sessions", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions_max: Option<u32>,
    /// What becomes of one place more: refuse-newest or end-oldest [default: refuse-newest]
    #[arg(long = "when-full", value_name = "WHICH")]
    #[serde(skip_serializing_if = "Option::is_none")]
    when_full: Option<String>,
    /// Most that a rendition may take, in kilobits a second [default: 0 = whatever it takes]
    #[arg(long = "bitrate", value_name = "KBPS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    bitrate_max_kbps: Option<u32>,
    /// How far back the past may be watched, in days [default: 0]
    #[arg(long = "catch-up", value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up_days: Option<u32>,
    /// Most that is sent to a session, in kilobits a second [default: 0 = as fast as it takes it]
    #[arg(long = "rate", value_name = "KBPS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_max_kbps: Option<u32>,
}

impl Fields for PlanFields {
    const PLURAL: &'static str = "plans";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("PLAN", "id"),
        ("NAME", "name"),
        ("BOUQUETS", "bouquets"),
        ("SESSIONS", "sessions_max"),
        ("KBPS", "bitrate_max_kbps"),
        ("CATCH-UP DAYS", "catch_up_days"),
    ];
}

/// Of a subscriber.
#[derive(Debug, Args, Serialize)]
pub struct SubscriberFields {
    /// What was paid for
    #[arg(long, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// When it ends: 30d from now, 2027-01-31, 2027-01-31T20:00:00Z, or Unix seconds
    #[arg(long, value_name = "TIME", value_parser = moment)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    /// active or blocked
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// Whether nothing was paid yet
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<bool>,
    /// At how many places at once, in place of the plan's
    #[arg(long = "sessions", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions_max: Option<u32>,
    /// A network or address where it may be watched (again for more) [default: anywhere]
    #[arg(long = "network", value_name = "NETWORK")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    networks: Vec<String>,
    /// A word of the User-Agents that may be used (again for more) [default: any]
    #[arg(long = "agent", value_name = "WORD")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agents_allowed: Vec<String>,
    /// A word of the User-Agents that may not (again for more)
    #[arg(long = "no-agent", value_name = "WORD")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agents_denied: Vec<String>,
    /// The only country where it may be watched, as NL
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    /// What a billing system calls it
    #[arg(long, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// What its texts are written in, as nl or pt-BR
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    /// A word to find it by (again for more)
    #[arg(long = "tag", value_name = "WORD")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

impl Fields for SubscriberFields {
    const PLURAL: &'static str = "subscribers";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("SUBSCRIBER", "id"),
        ("NUMBER", "number"),
        ("PLAN", "plan"),
        ("STATUS", "status"),
        ("EXPIRES", "expires"),
        ("TAGS", "tags"),
    ];
}

/// A moment in Unix seconds.
pub fn moment(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    if let Some(moment) = UnixTime::of_iso(text) {
        return Ok(moment.0);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match duration_ms(text) {
        Ok(ms) => Ok(now + ms / 1000),
        Err(_) => Err("write 30d, 2027-01-31, 2027-01-31T20:00:00Z or Unix seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_a_number_or_a_time_from_now() {
        assert_eq!(moment("1800000000"), Ok(1_800_000_000));
        assert_eq!(moment("2027-01-15"), Ok(1_799_971_200));
        assert_eq!(moment("2027-01-15T08:00:00Z"), Ok(1_800_000_000));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!((now + 86_400..now + 86_500).contains(&moment("1d").unwrap()));
        for wrong in ["", "soon", "2027-02-29", "2027-13-01", "2027-01-15T24:00:00Z", "2027-1-5"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
