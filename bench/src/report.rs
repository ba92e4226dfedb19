//! Reports for people: fixed-width lines from the same figures that `--json` prints.

use crate::load::measure::Figures;
use crate::load::tally::{Latency, Seen};
use crate::proc::Machine;

/// Other programs that use more than this share of one CPU are worth a line.
pub const OTHER_SHARE_NOTED: f64 = 0.05;

/// The facts a figure cannot be read without.
pub fn machine_line(machine: &Machine) -> String {
    format!(
        "{} × {}, Linux {}, congestion control {}, lo MTU {}",
        machine.cpus,
        machine.cpu_model,
        machine.kernel,
        machine.congestion_control,
        machine.loopback_mtu
    )
}

/// One run, a line a subject.
pub fn run_lines(figures: &Figures) -> String {
    let usage = &figures.usage;
    let mut lines = vec![
        format!(
            "requests    {} in {:.2} s: {:.0}/s, {:.1} MiB/s of bodies",
            figures.requests, figures.seconds, figures.requests_per_second, figures.mib_per_second
        ),
        latency_line(&figures.latency),
    ];
    if let (Some(request), Some(gib), Some(share)) =
        (figures.server_cpu_us_per_request, figures.server_cpu_ms_per_gib, usage.server_cpu_share)
    {
        let share = share * 100.0;
        lines.push(format!(
            "server CPU  {request:.2} µs a request, {gib:.1} ms a GiB, {share:.0} % of one CPU"
        ));
    }
    lines.push(format!(
        "machine CPU {:.2} µs a request, {:.1} ms a GiB (± {:.1} %: made of ticks), steal {:.2} %",
        figures.machine_cpu_us_per_request,
        figures.machine_cpu_ms_per_gib,
        figures.machine_cpu_uncertainty_percent,
        usage.steal_percent
    ));
    lines.push(format!(
        "generator   {:.0} % of one CPU{}",
        usage.generator_cpu_share * 100.0,
        if figures.generator_was_the_limit { ": the generator was the limit" } else { "" }
    ));
    if let Some(share) = usage.other_cpu_share.filter(|share| *share > OTHER_SHARE_NOTED) {
        let percent = share * 100.0;
        lines.push(format!("others      {percent:.0} % of one CPU went to other programs"));
    }
    if figures.reconnects > 0 {
        lines.push(format!("reconnects  {}", figures.reconnects));
    }
    if figures.overdue > 0 {
        lines.push(format!("overdue     {} requests found no free connection", figures.overdue));
    }
    for (kind, count) in &figures.errors {
        lines.push(format!("error       {count} × {kind}"));
    }
    lines.join("\n")
}

/// The latencies that people look at.
pub fn latency_line(latency: &Latency) -> String {
    format!(
        "latency     p50 {:.0} µs, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
        latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us
    )
}

/// Characters of the longest bar.
const BAR_LENGTH: f64 = 50.0;

/// A picture of the latencies: a line for each doubling, from the shortest to the longest seen.
pub fn histogram_lines(histogram: &[Seen]) -> String {
    let total: u64 = histogram.iter().map(|seen| seen.requests).sum();
    let (Some(first), Some(last)) = (histogram.first(), histogram.last()) else {
        return String::new();
    };
    // Latencies start at 1 µs, and a line ends where the next power of two begins.
    let line_of = |us: f64| us.max(1.0).log2().floor() as usize;
    let (first, last) = (line_of(first.us), line_of(last.us));
    let mut lines = vec![0; last - first + 1];
    for seen in histogram {
        lines[line_of(seen.us) - first] += seen.requests;
    }
    let most = lines.iter().copied().max().unwrap_or_default();
    let mut text = String::new();
    for (index, count) in lines.into_iter().enumerate() {
        let from = 1_u64 << (first + index);
        let share = 100.0 * count as f64 / total as f64;
        // What is there is seen, however little it is.
        let bar = (BAR_LENGTH * count as f64 / most as f64).ceil() as usize;
        let bar = "#".repeat(bar);
        text += &format!("{from:>10} – {:>9} µs {share:>6.2} % {bar}\n", 2 * from);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_a_line_for_each_doubling() {
        let seen = |us, requests| Seen { us, requests };
        let text = histogram_lines(&[seen(70.0, 300), seen(127.9, 100), seen(600.0, 1)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        let bar = "#".repeat(50);
        assert_eq!(lines[0], format!("        64 –       128 µs  99.75 % {bar}"));
        assert_eq!(lines[1], "       128 –       256 µs   0.00 % ");
        assert_eq!(lines[3], "       512 –      1024 µs   0.25 % #");
        assert_eq!(histogram_lines(&[]), "");
        // Whatever is shorter than the shortest that is told apart has a line, too.
        assert!(histogram_lines(&[seen(0.0, 1)]).starts_with("         1 –         2 µs 100.00 %"));
    }
}
