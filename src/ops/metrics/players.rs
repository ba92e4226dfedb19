//! The lines of what players say of themselves, and of how fast they are sent to.

use super::exposition::{Exposition, Kind};
use crate::messages::ShardReport;

/// Name, help, and where a report has it.
type Sum = (&'static str, &'static str, fn(&ShardReport) -> u64);

/// Writes them; `sent` is what the machine sends, in bits a second, and whether that is all it may.
pub fn append(out: &mut Exposition, reports: &[ShardReport], sent: Option<(u64, bool)>) {
    let name = "shardcast_cmcd_requests_total";
    let help = "Requests with which a player told of itself (CMCD), by what it asked for.";
    out.family(name, Kind::Counter, help);
    let counts = reports.iter().flat_map(|report| report.told.iter().copied());
    for (object, count) in super::summed(counts) {
        out.sample(name, &[("object", object)], count);
    }
    let sums: [Sum; 4] = [
        (
            "shardcast_cmcd_stalls_total",
            "Requests with which a player said that it had stalled (CMCD bs).",
            |report| report.stalls,
        ),
        (
            "shardcast_cmcd_starts_total",
            "Requests with which a player said that it starts, seeks or recovers (CMCD su).",
            |report| report.starts,
        ),
        (
            "shardcast_cmcd_malformed_total",
            "Parts of what players told that were not understood.",
            |report| report.malformed,
        ),
        (
            "shardcast_pacing_changes_total",
            "Times that the rate of a connection was set.",
            |report| report.paces_set,
        ),
    ];
    for (name, help, of) in sums {
        out.family(name, Kind::Counter, help);
        out.sample(name, &[], reports.iter().map(of).sum());
    }
    let Some((bits, is_full)) = sent else { return };
    let name = "shardcast_egress_bits_per_second";
    out.family(name, Kind::Gauge, "What the machine sends, over the last seconds.");
    out.sample(name, &[], bits);
    let name = "shardcast_egress_full";
    out.family(name, Kind::Gauge, "1 while new sessions are refused because of limits.egress.");
    out.sample(name, &[], u64::from(is_full));
}
