//! Reports for people: fixed-width lines from the same figures that `--json` prints.

use crate::load::measure::Figures;
use crate::proc::Machine;

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
    let latency = &figures.latency;
    let mut lines = vec![
        format!(
            "requests    {} in {:.2} s: {:.0}/s, {:.1} MiB/s of bodies",
            figures.requests, figures.seconds, figures.requests_per_second, figures.mib_per_second
        ),
        format!(
            "latency     p50 {:.0} µs, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
            latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us
        ),
    ];
    if let (Some(request), Some(gib), Some(share)) =
        (figures.server_cpu_us_per_request, figures.server_cpu_ms_per_gib, figures.server_cpu_share)
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
        figures.steal_percent
    ));
    lines.push(format!(
        "generator   {:.0} % of one CPU{}",
        figures.generator_cpu_share * 100.0,
        if figures.generator_was_the_limit { ": the generator was the limit" } else { "" }
    ));
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
