//! tests/requirements.toml: every clause that was promised, and what shows that it holds.
//!
//! A row that says `shown` names tests, scripts, cases, fuzz targets, scenarios or files, and every
//! one of them must exist. So a test cannot be renamed or deleted without the promise noticing.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::mask::{closing, identifier_at};
use super::{File, Finding, Tree};

const RULE: &str = "requirements";
const PATH: &str = "tests/requirements.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    requirement: Vec<toml::Spanned<Row>>,
}

/// One clause.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// `area.section.number`, and a word where a number has several rows: `serve.build.4.ranges`.
    key: String,
    /// What is promised.
    clause: String,
    /// What shows it; see `exists`.
    shown_by: Vec<String>,
    state: State,
    /// What is missing (needed by `part`), or where a figure stands.
    note: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Shown,
    Part,
    Open,
}

/// Rows are well formed, and what they name exists.
pub fn requirements(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(PATH) else {
        return vec![Finding::whole(PATH, RULE, "missing (every promised clause has a row there)")];
    };
    let table: Table = match toml::from_str(&file.text) {
        Ok(table) => table,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            return vec![Finding::at(file, at, RULE, error.message().to_owned())];
        }
    };
    let mut keys = BTreeSet::new();
    let mut findings = Vec::new();
    for row in &table.requirement {
        let at = row.span().start;
        let row = row.get_ref();
        let mut say = |what: String| findings.push(Finding::at(file, at, RULE, what));
        if !keys.insert(row.key.as_str()) {
            say(format!("{} stands twice (give each row its own key)", row.key));
        }
        for what in faults(tree, row) {
            say(format!("{}: {what}", row.key));
        }
    }
    findings
}

/// Tests that a page below docs/ names exist.
pub fn named_tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.starts_with("docs/")) {
        for (at, _) in file.text.match_indices("`test:") {
            let name = file.text[at + 1..].split('`').next().unwrap_or_default();
            if let Err(why) = exists(tree, name) {
                findings.push(Finding::at(file, at, RULE, format!("`{name}`: {why}")));
            }
        }
    }
    findings
}

/// What is wrong with one row.
fn faults(tree: &Tree, row: &Row) -> Vec<String> {
    let mut faults = Vec::new();
    let parts: Vec<_> = row.key.split('.').collect();
    let numbered = parts.get(2).is_some_and(|number| number.parse::<u32>().is_ok());
    if parts.len() < 3 || !["build", "tests", "acceptance"].contains(&parts[1]) || !numbered {
        faults.push("the key is not area.build|tests|acceptance.number (rename it)".to_owned());
    }
    if row.clause.split_whitespace().count() < 3 {
        faults.push("no clause (say what is promised)".to_owned());
    }
    if row.state == State::Shown && row.shown_by.is_empty() {
        faults.push("shown by nothing (name the test, or call it open)".to_owned());
    }
    if row.state == State::Part && row.note.is_none() {
        faults.push("part, without a note (say what is missing)".to_owned());
    }
    for shown_by in &row.shown_by {
        if let Err(why) = exists(tree, shown_by) {
            faults.push(format!("`{shown_by}`: {why}"));
        }
    }
    faults
}

/// Whether a thing that a row names exists.
///
/// `test:lib::request::range::name` (src), `test:it::ranges::name` (tests/it), `test:bench::name`
/// (bench) · `case:name` · `fuzz:target` · `bench:scenario` · `script:scripts/test --only step` ·
/// `file:path`.
fn exists(tree: &Tree, shown_by: &str) -> Result<(), &'static str> {
    let (kind, name) = shown_by.split_once(':').ok_or("no kind (test: case: fuzz: …)")?;
    let found = match kind {
        "test" => has_test(tree, name),
        "case" => tree.files.iter().any(|file| {
            let below = file.path.strip_prefix("tests/cases/");
            below.is_some_and(|below| below.starts_with(name) || file.text.contains(name))
        }),
        "fuzz" => tree.file("tests/fuzz/targets/main.rs").is_some_and(|targets| {
            let named = format!("(\"{name}\", ");
            targets.text.lines().any(|line| line.trim_start().starts_with(&named))
        }),
        "bench" => tree.has(&format!("bench/scenarios/{name}.toml")),
        "script" => has_script(tree, name),
        "file" => tree.has(name),
        _ => return Err("unknown kind (test, case, fuzz, bench, script or file)"),
    };
    if found { Ok(()) } else { Err("does not exist (mend the row, or write it)") }
}

/// A script, and the step of scripts/test where one is named.
fn has_script(tree: &Tree, command: &str) -> bool {
    let mut words = command.split_whitespace();
    let Some(script) = words.next().and_then(|path| tree.file(path)) else { return false };
    let step = words.skip_while(|word| *word != "--only").nth(1);
    step.is_none_or(|step| script.text.contains(&format!("step_{step}()")))
}

/// A test, by the target it is built into and its path of modules. Modules called `tests` may be
/// left out.
fn has_test(tree: &Tree, name: &str) -> bool {
    let Some((target, path)) = name.split_once("::") else { return false };
    let wanted = without_tests(path);
    tree.rust().any(|file| {
        module_of(&file.path, target).is_some_and(|module| {
            tests_of(file).any(|test| {
                let full = if module.is_empty() { test } else { format!("{module}::{test}") };
                without_tests(&full) == wanted
            })
        })
    })
}

fn without_tests(path: &str) -> String {
    let kept: Vec<_> = path.split("::").filter(|part| *part != "tests").collect();
    kept.join("::")
}

/// The module that a file is in a target (`lib`, `bench`, or an integration test), if it is there.
fn module_of(path: &str, target: &str) -> Option<String> {
    let below = match target {
        "lib" => path.strip_prefix("src/")?.to_owned(),
        "bench" => {
            path.strip_prefix("bench/src/").or(path.strip_prefix("bench/tests/"))?.to_owned()
        }
        _ => path.strip_prefix(&format!("tests/{target}"))?.trim_start_matches('/').to_owned(),
    };
    let modules = below.strip_suffix(".rs")?.replace('/', "::");
    let modules = modules.strip_suffix("mod").unwrap_or(&modules).trim_end_matches(':');
    let is_root = matches!(modules, "main" | "lib" | "");
    Some(if is_root { String::new() } else { modules.to_owned() })
}

/// The tests in a file, with the inline modules around them.
fn tests_of(file: &File) -> impl Iterator<Item = String> {
    let code = &file.masked.code;
    let inline = |at: usize| {
        let name = identifier_at(code, at + "mod ".len());
        let after = at + "mod ".len() + name.len();
        let brace = after + code[after..].find('{')?;
        let is_inline = code[after..brace].trim().is_empty();
        is_inline.then(|| (name, brace..closing(code, brace)))
    };
    let modules: Vec<_> = file.masked.words("mod").filter_map(inline).collect();
    code.match_indices("#[test]").filter_map(move |(at, _)| {
        let start = at + code[at..].find("fn ")? + 3;
        let around = modules.iter().filter(|(_, region)| region.contains(&at));
        let mut path: Vec<_> = around.map(|(name, _)| *name).collect();
        path.push(identifier_at(code, start));
        Some(path.join("::"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    fn row(key: &str, shown_by: &str, state: &str) -> String {
        format!(
            "[[requirement]]\nkey = \"{key}\"\nclause = \"Three plain words.\"\n\
             shown_by = [{shown_by}]\nstate = \"{state}\"\n"
        )
    }

    const TREE: &[(&str, &str)] = &[
        ("src/request/range.rs", "#[cfg(test)]\nmod tests {\n#[test]\nfn suffix() {}\n}\n"),
        ("src/shard/mod.rs", "#[test]\nfn turns() {}\n"),
        ("tests/it/main.rs", "#[test]\nfn starts() {}\n"),
        ("tests/it/ranges.rs", "mod odd { #[test]\nfn prefix() {} }\nfn plain() {}\n"),
        ("tests/sim.rs", "#[test]\nfn seeds() {}\n"),
        ("tests/cases/framing.txt", "== two-lengths\n"),
        ("tests/fuzz/targets/main.rs", "const TARGETS: T = &[\n    (\"head\", head),\n];\n"),
        ("scripts/test", "step_players() { :; }\n"),
        ("bench/scenarios/small.toml", ""),
    ];

    #[track_caller]
    fn check_row(row: &str, expected: &[&str]) {
        check(requirements, &[&[(PATH, row)], TREE].concat(), expected);
    }

    #[test]
    fn everything_that_exists_may_be_named() {
        for shown_by in [
            "test:lib::request::range::suffix",
            "test:lib::request::range::tests::suffix",
            "test:lib::shard::turns",
            "test:it::starts",
            "test:it::ranges::odd::prefix",
            "test:sim::seeds",
            "case:two-lengths",
            "case:framing",
            "fuzz:head",
            "script:scripts/test --only players",
            "bench:small",
            "file:tests/sim.rs",
        ] {
            check_row(&row("serve.build.1", &format!("\"{shown_by}\""), "shown"), &[]);
        }
    }

    #[test]
    fn what_does_not_exist_is_found() {
        for shown_by in [
            "test:lib::request::suffix",
            "test:it::ranges::plain",
            "test:it::ranges::prefix",
            "case:three-lengths",
            "fuzz:tail",
            "script:scripts/test --only music",
            "script:scripts/missing",
            "bench:large",
            "hearsay",
        ] {
            let row = row("serve.build.1", &format!("\"{shown_by}\""), "shown");
            check_row(&row, &["tests/requirements.toml:1"]);
        }
    }

    #[test]
    fn rows_that_claim_without_showing_are_found() {
        check_row(&row("serve.build.1", "", "shown"), &["tests/requirements.toml:1"]);
        check_row(&row("serve.build.1", "", "part"), &["tests/requirements.toml:1"]);
        check_row(&row("serve.build.1", "", "open"), &[]);
    }

    #[test]
    fn odd_keys_and_twins_are_found() {
        check_row(&row("serve.4", "", "open"), &["tests/requirements.toml:1"]);
        let twins = [row("serve.build.1", "", "open"), row("serve.build.1", "", "open")].concat();
        check_row(&twins, &["tests/requirements.toml:6"]);
    }

    #[test]
    fn a_key_that_no_row_has_is_found() {
        check_row(
            &(row("serve.build.1", "", "open") + "extra = 1\n"),
            &["tests/requirements.toml:6"],
        );
    }

    #[test]
    fn a_page_that_names_a_test_that_is_gone_is_found() {
        let page = "| a | `test:lib::shard::turns` |\n| b | `test:lib::shard::gone` |\n";
        let files = [TREE, &[("docs/table.md", page), ("other.md", page)]].concat();
        check(named_tests, &files, &["docs/table.md:2"]);
    }
}
