//! Imports point one way: the table of tests/tidy.toml, held against every `crate::` path.
//!
//! Code of tests is free: a test of `request` may build its view with anything.

use super::mask::{closing, identifier_at};
use super::{File, Finding, Tree};

const RULE: &str = "imports";

/// Each module of the library imports only what the table allows it.
pub fn imports(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let Some(module) = top_module(&file.path) else { continue };
        let Some(allowed) = tree.settings.imports.get(module) else {
            let what = format!("`{module}` is not in the import table (give it a line there)");
            findings.push(Finding::whole(&file.path, RULE, what));
            continue;
        };
        for (at, imported) in crate_paths(file) {
            let known = tree.settings.imports.contains_key(imported);
            let fine = imported == module || !known || allowed.iter().any(|one| one == imported);
            if !fine && !tree.is_test(file, at) {
                let what = format!(
                    "`{module}` may not import `{imported}` (pass the value in, or move the line \
                     of the import table, with the reason)"
                );
                findings.push(Finding::at(file, at, RULE, what));
            }
        }
    }
    findings
}

/// `src/pack/index.rs` is in `pack`; main.rs and lib.rs are outside the table.
fn top_module(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let module = below.split(['/', '.']).next()?;
    (!matches!(module, "lib" | "main")).then_some(module)
}

/// The first name of every `crate::…` path, groups included.
fn crate_paths(file: &File) -> Vec<(usize, &str)> {
    let code = &file.masked.code;
    let mut paths = Vec::new();
    for at in file.masked.words("crate") {
        let after = at + "crate".len();
        let Some(rest) = code[after..].strip_prefix("::") else { continue };
        let start = after + 2;
        if rest.starts_with('{') {
            let group = &code[start + 1..closing(code, start) - 1];
            paths.extend(group_names(group).into_iter().map(|name| (at, name)));
        } else {
            paths.push((at, identifier_at(code, start)));
        }
    }
    paths
}

/// The first name of each member of `{a::b, c, d::{e, f}}`, without the outer braces.
fn group_names(group: &str) -> Vec<&str> {
    let (mut names, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (index, byte) in group.bytes().chain(*b",").enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                let member = group[start..index].trim_start();
                names.push(identifier_at(member, 0));
                start = index + 1;
            }
            _ => {}
        }
    }
    names
}

/// The harness shares no code with what it measures.
pub fn harness_stands_alone(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("bench/")) {
        for at in file.masked.words("shardcast") {
            let rest = &file.masked.code[at + "shardcast".len()..];
            if rest.starts_with("::") || rest.starts_with(" as ") {
                let what = "the harness imports the server (it must not share its mistakes)";
                findings.push(Finding::at(file, at, RULE, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    const TABLE: &str =
        "[imports]\nunits = []\npack = [\"units\"]\nshard = [\"units\", \"pack\"]\n";

    #[test]
    fn an_import_against_the_table_is_found() {
        check(
            imports,
            &[
                ("tests/tidy.toml", TABLE),
                ("src/units.rs", "use crate::pack::Pack;\n"),
                ("src/pack/mod.rs", "use crate::{units::ETag,\n shard::{self, Loop}};\n"),
                ("src/shard/mod.rs", "// crate::control\nuse crate::{units, pack::Pack};\n"),
            ],
            &["src/units.rs:1", "src/pack/mod.rs:1"],
        );
    }

    #[test]
    fn tests_may_import_anything() {
        check(
            imports,
            &[
                ("tests/tidy.toml", TABLE),
                ("src/units.rs", "#[cfg(test)]\nmod tests { use crate::shard::Loop; }\n"),
            ],
            &[],
        );
    }

    #[test]
    fn a_module_without_a_line_is_found() {
        check(
            imports,
            &[("tests/tidy.toml", TABLE), ("src/extra.rs", "//! Extra.\n")],
            &["src/extra.rs:1"],
        );
    }

    #[test]
    fn the_harness_may_not_import_the_server() {
        check(
            harness_stands_alone,
            &[("bench/src/a.rs", "use shardcast_bench::x;\nuse shardcast::units;\n")],
            &["bench/src/a.rs:2"],
        );
    }
}
