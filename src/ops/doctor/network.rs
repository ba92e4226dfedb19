//! Congestion control and network cards.

use std::path::Path;

use super::{Finding, line_of, number_of};

/// All of it.
pub fn findings() -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(line_of("/proc/sys/net/ipv4/tcp_congestion_control").map(|name| {
        congestion(&name, &line_of("/proc/sys/net/core/default_qdisc").unwrap_or_default())
    }));
    let mut cards: Vec<_> =
        std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten().collect();
    cards.sort_by_key(std::fs::DirEntry::file_name);
    findings.extend(cards.iter().filter_map(|entry| card(&entry.path())));
    findings
}

fn congestion(name: &str, queue: &str) -> Finding {
    let found = |more: &str| Finding::good("congestion control", format!("{name}, {more}"));
    match name {
        "bbr" if matches!(queue, "fq" | "fq_codel" | "fq_pie" | "cake") => {
            found("paced, good over long and lossy lines; figures of a loopback wander with it")
        }
        "bbr" => found(&format!("paced by timers of TCP itself, since the queue is {queue}"))
            .costs(
                "a timer a connection",
                "sysctl -w net.core.default_qdisc=fq, then make the interfaces' queues again",
            ),
        "cubic" => found("fills the line until it loses; long or lossy lines are better with bbr"),
        _ => found("not one that is usual for servers")
            .costs("clients may be slow", "sysctl -w net.ipv4.tcp_congestion_control=cubic"),
    }
}

/// A card that is up; nothing of loopback and of interfaces without hardware.
fn card(path: &Path) -> Option<Finding> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let driver = std::fs::read_link(path.join("device/driver")).ok()?;
    let driver = driver.file_name()?.to_string_lossy().into_owned();
    if line_of(path.join("operstate")).as_deref() == Some("down") {
        return None;
    }
    let sending = std::fs::read_dir(path.join("queues")).ok()?.flatten();
    let sending =
        sending.filter(|queue| queue.file_name().to_string_lossy().starts_with("tx-")).count();
    let speed = number_of(path.join("speed"))
        .map_or_else(|| "speed unknown".to_owned(), |megabits| format!("{megabits} Mbit/s"));
    let mtu = number_of(path.join("mtu")).unwrap_or_default();
    let what = format!("network card {name}");
    let found = format!("{driver}, {speed}, {sending} sending queues, MTU {mtu}");
    let processors = crate::ops::machine::cpus();
    let offloads = format!(
        "ethtool -k {name} | grep -E '^(scatter-gather|tcp-segmentation-offload|tx-checksumming)'"
    );
    if sending < processors {
        return Some(Finding::good(what, found).costs(
            format!("{processors} processors share {sending} sending queues"),
            format!("ethtool -L {name} combined {processors}; see the offloads: {offloads}"),
        ));
    }
    Some(Finding::good(what, format!("{found}; its offloads: {offloads}")))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn congestion_controls_are_told_apart() {
        for (name, queue, level) in [
            ("cubic", "pfifo_fast", Level::Good),
            ("bbr", "fq", Level::Good),
            ("bbr", "pfifo_fast", Level::Costs),
            ("vegas", "fq", Level::Costs),
        ] {
            assert_eq!(congestion(name, queue).level, level, "{name} {queue}");
        }
    }
}
