//! The kernel, its rings and their optional features.

use super::Finding;
use crate::config::Config;
use crate::ops::{machine, rings};
use crate::sys::features::{Features, NAMES};
use crate::sys::probe;

/// The oldest kernel that has everything we need.
const FLOOR: (u32, u32) = (6, 1);

/// Kernel, rings, features.
pub fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = vec![version(&machine::kernel_release()), processors(config)];
    let shards = machine::shards(config.shards);
    match rings::tried(shards) {
        Ok(()) => {
            findings.push(operations(shards));
            findings.extend(features());
        }
        Err(error) => {
            let (why, remedy) = rings::explained(&error);
            let found = format!("no ring for {shards} shards: {why}");
            let costs = "the server can't start, and there is no other way to serve";
            findings.push(Finding::good("io_uring", found).broken(costs, remedy));
        }
    }
    findings
}

fn version(release: &str) -> Finding {
    let found = format!("Linux {release}, {}.{} is needed", FLOOR.0, FLOOR.1);
    let finding = Finding::good("kernel", found);
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) >= FLOOR => finding,
        (Some(_), Some(_)) => finding
            .broken("the rings lack what the shards need", "apt-get install linux-image-amd64"),
        _ => finding.costs("its version can't be read", "uname -r"),
    }
}

fn processors(config: &Config) -> Finding {
    let (allowed, shards) = (machine::cpus(), machine::shards(config.shards));
    let finding = Finding::good("processors", format!("{allowed} allowed, {shards} shards"));
    if shards > allowed {
        let costs = "shards are not pinned and take turns on a processor";
        finding.costs(costs, format!("set server.shards to 0 or to at most {allowed}"))
    } else {
        finding
    }
}

fn operations(shards: usize) -> Finding {
    let name = "io_uring";
    match probe::missing_operations() {
        Ok(missing) if missing.is_empty() => {
            Finding::good(name, format!("rings for {shards} shards, every operation is there"))
        }
        Ok(missing) => Finding::good(name, format!("the kernel lacks {}", missing.join(", ")))
            .broken("the shards can't run", "use a kernel from 6.1 on"),
        Err(error) => Finding::good(name, format!("operations can't be probed: {error}"))
            .costs("something may be missing", "see what the kernel says: dmesg"),
    }
}

/// Each optional feature: there or not, switched off or not.
fn features() -> Vec<Finding> {
    let mut findings = Vec::new();
    let value = std::env::var("SHARDCAST_RING_FEATURES").unwrap_or_default();
    let wanted = Features::parse(&value).unwrap_or_else(|unknown| {
        let found = format!("SHARDCAST_RING_FEATURES={value}: {unknown:?} is not a feature");
        let remedy = format!("name some of: {}", NAMES.join(", "));
        let finding = Finding::good("ring features", found);
        findings.push(finding.costs("the variable is not used at all", remedy));
        Features::ALL
    });
    let Ok(found) = probe::features() else { return findings };
    let of =
        |features: &Features| [features.cachestat, features.no_sqarray, features.registered_ring];
    for ((name, found), wanted) in NAMES.into_iter().zip(of(&found)).zip(of(&wanted)) {
        findings.push(feature(name, found, wanted));
    }
    findings
}

fn feature(name: &str, found: bool, wanted: bool) -> Finding {
    let (without, since) = match name {
        "cachestat" => ("residency is sampled, a few calls a chunk", "6.5"),
        "no_sqarray" => ("a little more memory traffic an operation", "6.6"),
        "registered_ring" => ("one look-up more a call", "5.18"),
        _ => ("it is not used", "a newer version"),
    };
    let what = format!("ring feature {name}");
    match (found, wanted) {
        (true, true) => Finding::good(what, "there, and on"),
        (true, false) => Finding::good(what, "there, and switched off")
            .costs(without, "unset SHARDCAST_RING_FEATURES"),
        (false, _) => Finding::good(what, "the kernel lacks it")
            .costs(without, format!("use a kernel from {since} on")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn kernels_are_judged_by_their_version() {
        for (release, level) in [
            ("6.1.0-30-amd64", Level::Good),
            ("6.18.44", Level::Good),
            ("10.0", Level::Good),
            ("6.0.19", Level::Broken),
            ("5.15.0-1-generic", Level::Broken),
            ("unknown", Level::Costs),
        ] {
            assert_eq!(version(release).level, level, "{release}");
        }
    }

    #[test]
    fn a_feature_that_is_off_names_what_switches_it_on() {
        assert!(feature("cachestat", true, false).remedy.contains("SHARDCAST_RING_FEATURES"));
        assert!(feature("no_sqarray", false, true).remedy.contains("6.6"));
        for name in NAMES {
            assert_ne!(feature(name, false, true).costs, "it is not used", "{name} has no words");
        }
    }
}
