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
    let processors = crate::ops::machine::cpus();
    findings.extend(cards.iter().filter_map(|entry| card(&entry.path(), processors)));
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
fn card(path: &Path, processors: usize) -> Option<Finding> {
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
    use std::fs;
    use std::path::PathBuf;

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

    /// What /sys says of a card; without a driver it is no hardware.
    fn made(net: &Path, name: &str, driver: Option<&str>, state: &str, queues: usize) -> PathBuf {
        let path = net.join(name);
        for index in 0..queues {
            for direction in ["tx", "rx"] {
                fs::create_dir_all(path.join(format!("queues/{direction}-{index}"))).unwrap();
            }
        }
        fs::create_dir_all(path.join("device")).unwrap();
        if let Some(driver) = driver {
            let target = net.join("drivers").join(driver);
            std::os::unix::fs::symlink(target, path.join("device/driver")).unwrap();
        }
        fs::write(path.join("operstate"), format!("{state}\n")).unwrap();
        fs::write(path.join("mtu"), "1500\n").unwrap();
        path
    }

    #[test]
    fn cards_are_judged_by_their_sending_queues() {
        let scratch = tempfile::tempdir().unwrap();
        let net = scratch.path();
        let wide = made(net, "eth0", Some("ixgbe"), "up", 4);
        fs::write(wide.join("speed"), "10000\n").unwrap();
        let offloads = "ethtool -k eth0 | grep -E \
                        '^(scatter-gather|tcp-segmentation-offload|tx-checksumming)'";
        let good = card(&wide, 4).unwrap();
        assert_eq!((good.level, good.what.as_str()), (Level::Good, "network card eth0"));
        let found = "ixgbe, 10000 Mbit/s, 4 sending queues, MTU 1500; its offloads: ";
        assert_eq!(good.found, format!("{found}{offloads}"));

        let narrow = card(&wide, 8).unwrap();
        assert_eq!(narrow.level, Level::Costs);
        assert_eq!(narrow.costs, "8 processors share 4 sending queues");
        let remedy = format!("ethtool -L eth0 combined 8; see the offloads: {offloads}");
        assert_eq!(narrow.remedy, remedy);

        // A virtual card says that its speed is -1, and often that its state is unknown.
        let virtual_card = made(net, "ens3", Some("virtio_net"), "unknown", 1);
        fs::write(virtual_card.join("speed"), "-1\n").unwrap();
        let found = card(&virtual_card, 1).unwrap();
        assert_eq!(found.level, Level::Good);
        assert!(found.found.starts_with("virtio_net, speed unknown, 1 sending queues"), "{found}");

        assert!(card(&made(net, "eth1", Some("ixgbe"), "down", 4), 4).is_none());
        assert!(card(&made(net, "veth0", None, "up", 1), 4).is_none());
        assert!(card(&net.join("lo"), 4).is_none());
    }
}
