//! Rules about what stands in Rust files: docs, the fence around unsafe, unwraps, marks, names.

use super::mask::{identifier_at, words};
use super::{Finding, Tree};

/// Files of tests: under a `tests` folder, called tests.rs, or declared under `#[cfg(test)]`.
pub fn is_test_file(tree: &Tree, path: &str) -> bool {
    let in_tests = path.split('/').any(|part| part == "tests" || part == "tests.rs");
    in_tests || tree.rust().any(|parent| declares_test_module(parent, path))
}

fn declares_test_module(parent: &super::File, path: &str) -> bool {
    let (folder, name) = parent.path.rsplit_once('/').unwrap_or(("", &parent.path));
    let stem = name.trim_end_matches(".rs");
    let folder = if matches!(stem, "mod" | "lib" | "main") {
        folder.to_owned()
    } else {
        format!("{folder}/{stem}")
    };
    let Some(below) = path.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/')) else {
        return false;
    };
    let module = below.split(['/', '.']).next().unwrap_or(below);
    let declaration = format!("mod {module};");
    let mut places = parent.masked.code.match_indices(&declaration);
    places.any(|(at, _)| parent.masked.is_test(at))
}

/// Every file says at its head what comes in, what goes out, what it never does.
pub fn module_doc(tree: &Tree) -> Vec<Finding> {
    let silent = tree.rust().filter(|file| !file.text.starts_with("//!"));
    silent
        .map(|file| {
            let what = "the file does not open with `//!` (say what comes in and what goes out)";
            Finding::whole(&file.path, "module-doc", what)
        })
        .collect()
}

/// `unsafe` stays behind the fence.
pub fn unsafe_fence(tree: &Tree) -> Vec<Finding> {
    let outside = |path: &str| !path.starts_with("src/sys") && !path.starts_with("bench/src/sys");
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| outside(&file.path)) {
        for at in file.masked.words("unsafe") {
            let what = "unsafe code outside src/sys (give src/sys a safe owning type for it)";
            findings.push(Finding::at(file, at, "unsafe", what));
        }
    }
    findings
}

/// No `unwrap()` outside tests, and an `expect` that says why it cannot fail.
pub fn unwraps(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let code = &file.masked.code;
        for name in [".unwrap(", ".unwrap_err("] {
            for (at, _) in code.match_indices(name) {
                if !tree.is_test(file, at) {
                    let what = "unwrap outside tests (use `?`, or `expect` with the invariant)";
                    findings.push(Finding::at(file, at, "unwrap", what));
                }
            }
        }
        for (at, call) in code.match_indices(".expect(\"") {
            let start = at + call.len();
            let message = file.text[start..].split('"').next().unwrap_or_default();
            if !tree.is_test(file, at) && message.split_whitespace().count() < 2 {
                let what = "an `expect` without an invariant (say why it cannot fail)";
                findings.push(Finding::at(file, at, "unwrap", what));
            }
        }
    }
    findings
}

/// Nothing half-done: no marks for later, no left-over debugging.
pub fn marks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for name in ["dbg!", "todo!", "unimplemented!"] {
            for (at, _) in file.masked.code.match_indices(name) {
                let what = format!("`{name}` is left (finish it, or take it out)");
                findings.push(Finding::at(file, at, "marks", what));
            }
        }
        for name in ["FIXME", "TODO", "XXX"] {
            for at in words(&file.masked.comments, name) {
                let what = format!("a comment says {name} (do it, or describe the limit as it is)");
                findings.push(Finding::at(file, at, "marks", what));
            }
        }
    }
    findings
}

/// A test that does not run says nothing.
pub fn ignored_tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (at, _) in file.masked.code.match_indices("#[ignore") {
            let what = "an ignored test (make it quick, or give it a long form under --full)";
            findings.push(Finding::at(file, at, "ignored", what));
        }
    }
    findings
}

/// Names that say nothing: of files, types and functions.
pub fn names(tree: &Tree) -> Vec<Finding> {
    const FILES: &[&str] =
        &["util", "utils", "helper", "helpers", "manager", "managers", "misc", "common"];
    const PARTS: &[&str] = &["Manager", "Helper", "Util", "Misc"];
    let mut findings = Vec::new();
    for file in &tree.files {
        let stem = |part: &str| part.split('.').next().unwrap_or_default().to_owned();
        if file.path.split('/').any(|part| FILES.contains(&stem(part).as_str())) {
            let what = "a name that says nothing (name the file after its subject)";
            findings.push(Finding::whole(&file.path, "names", what));
        }
    }
    for file in tree.rust() {
        let code = &file.masked.code;
        for kind in ["struct", "enum", "trait", "type", "fn"] {
            for at in file.masked.words(kind) {
                let start = at + kind.len() + 1;
                let name = if start < code.len() { identifier_at(code, start) } else { "" };
                let vague = PARTS.iter().any(|part| name.contains(part)) || name.ends_with("Info");
                let idle = name == "process" || name.starts_with("do_");
                if vague || idle {
                    let what = format!("`{name}` says nothing (a noun of television or HTTP does)");
                    findings.push(Finding::at(file, at, "names", what));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn a_file_without_a_module_doc_is_found() {
        check(module_doc, &[("src/a.rs", "use b;\n"), ("src/b.rs", "//! B.\n")], &["src/a.rs:1"]);
    }

    #[test]
    fn unsafe_outside_the_fence_is_found() {
        check(
            unsafe_fence,
            &[
                ("src/sys/ring.rs", "unsafe {}"),
                ("src/a.rs", "// unsafe\n#![allow(unsafe_code)]\nfn f() { unsafe {} }"),
            ],
            &["src/a.rs:3"],
        );
    }

    #[test]
    fn unwraps_and_empty_expects_are_found_outside_tests() {
        check(
            unwraps,
            &[
                ("src/a.rs", "x.unwrap();\nx.expect(\"oops\");\nx.expect(\"just inserted\");"),
                ("src/b.rs", "#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }"),
                ("src/c.rs", "#[cfg(test)]\nmod fixture;\n#[cfg(test)]\npub mod samples;"),
                ("src/c/fixture.rs", "fn f() { x.unwrap() }"),
                ("src/c/samples.rs", "fn f() { x.unwrap() }"),
                ("src/c/other.rs", "fn f() { x.unwrap() }"),
                ("tests/it/main.rs", "fn f() { x.unwrap() }"),
            ],
            &["src/a.rs:1", "src/a.rs:2", "src/c/other.rs:1"],
        );
    }

    #[test]
    fn marks_are_found_in_code_and_comments() {
        check(
            marks,
            &[("src/a.rs", "dbg!(x);\ntodo!()\n// FIXME: later\nlet x = \"TODO\";\n")],
            &["src/a.rs:1", "src/a.rs:2", "src/a.rs:3"],
        );
    }

    #[test]
    fn ignored_tests_are_found() {
        check(
            ignored_tests,
            &[("tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}")],
            &["tests/a.rs:2"],
        );
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        check(
            names,
            &[
                ("src/utils.rs", ""),
                ("src/a/misc/b.rs", ""),
                (
                    "src/c.rs",
                    "struct SegmentManager;\nstruct Segment;\nfn do_it() {}\nfn done() {}",
                ),
            ],
            &["src/utils.rs:1", "src/a/misc/b.rs:1", "src/c.rs:1", "src/c.rs:3"],
        );
    }
}
