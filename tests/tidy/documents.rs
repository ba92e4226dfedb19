//! Rules about everything that is not Rust: documents, scenarios, manifests, sizes.

use super::{File, Finding, Tree};

const FILE_SIZE_MAX: u64 = 1024 * 1024;

/// No file over 1 MiB: samples are made by scripts, records are small.
pub fn sizes(tree: &Tree) -> Vec<Finding> {
    let big = tree.files.iter().filter(|file| file.size > FILE_SIZE_MAX);
    big.map(|file| {
        let what = format!("{} bytes, at most {FILE_SIZE_MAX} (make it by a script)", file.size);
        Finding::whole(&file.path, "file-size", what)
    })
    .collect()
}

/// The documents that tests/tidy.toml lists are there.
pub fn present(tree: &Tree) -> Vec<Finding> {
    let text = |path: &String| tree.file(path).map_or("", |file| file.text.trim());
    let missing = tree.settings.documents.iter().filter(|path| text(path).is_empty());
    missing.map(|path| Finding::whole(path, "documents", "missing or empty (write it)")).collect()
}

/// Every path that ARCHITECTURE.md names exists.
pub fn paths_exist(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file("ARCHITECTURE.md") else { return Vec::new() };
    let mut findings = Vec::new();
    for (at, quoted) in quoted(file) {
        for path in expanded(quoted) {
            if looks_like_a_path(&path) && !tree.has(&path) {
                let what = format!("`{path}` does not exist (mend the page, or the tree)");
                findings.push(Finding::at(file, at, "paths", what));
            }
        }
    }
    findings
}

/// What stands between single backquotes on one line, with its offset.
fn quoted(file: &File) -> Vec<(usize, &str)> {
    let mut quoted = Vec::new();
    let mut line_start = 0;
    for line in file.text.split_inclusive('\n') {
        let mut at = line_start;
        for (index, part) in line.split('`').enumerate() {
            if index % 2 == 1 {
                quoted.push((at, part));
            }
            at += part.len() + 1;
        }
        line_start += line.len();
    }
    quoted
}

/// `a/{b,c}.rs` is two paths.
fn expanded(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(before, rest)| {
        rest.split_once('}').map(|(inside, after)| (before, inside, after))
    });
    match parts {
        Some((before, inside, after)) => {
            inside.split(',').map(|one| format!("{before}{}{after}", one.trim())).collect()
        }
        None => vec![path.to_owned()],
    }
}

fn looks_like_a_path(text: &str) -> bool {
    const FOLDERS: &[&str] = &["src/", "bench/", "tests/", "scripts/", "docs/", ".ci/"];
    const ENDS: &[&str] = &[".md", ".toml"];
    let plain =
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
    let in_folder = FOLDERS.iter().any(|folder| text.starts_with(folder));
    let at_root = !text.contains('/') && ENDS.iter().any(|end| text.ends_with(end));
    plain && (in_folder || at_root)
}

/// Every scenario of the harness has its place in PERF.md.
pub fn scenarios(tree: &Tree) -> Vec<Finding> {
    let perf = tree.file("PERF.md").map_or("", |file| file.text.as_str());
    let mut findings = Vec::new();
    for file in &tree.files {
        let name = file.path.strip_prefix("bench/scenarios/");
        let Some(name) = name.and_then(|name| name.strip_suffix(".toml")) else { continue };
        let mut words =
            perf.split(|letter: char| !letter.is_alphanumeric() && !"_-".contains(letter));
        if !words.any(|word| word == name) {
            let what = format!("scenario {name} is not in PERF.md (say what it measures there)");
            findings.push(Finding::whole(&file.path, "scenarios", what));
        }
    }
    findings
}

/// Every dependency stands in a block that begins with a comment saying what it buys.
pub fn dependencies_say_why(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("Cargo.toml"));
    for file in manifests {
        let (mut in_table, mut explained) = (false, false);
        for (index, line) in file.text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with('[') {
                in_table = line.trim_end_matches(']').ends_with("dependencies");
            }
            explained =
                line.starts_with('#') || explained && !line.is_empty() && !line.starts_with('[');
            let is_own = line.contains("path = ");
            if in_table && line.contains('=') && !line.starts_with('#') && !explained && !is_own {
                let name = line.split('=').next().unwrap_or_default().trim();
                let what = format!("{name} has no comment above it (say what it buys)");
                let mut finding = Finding::whole(&file.path, "dependencies", what);
                finding.line = index + 1;
                findings.push(finding);
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
    fn a_file_over_one_mebibyte_is_found() {
        check(sizes, &[("a.bin", &"x".repeat(1024 * 1024 + 1)), ("b", "x")], &["a.bin:1"]);
    }

    #[test]
    fn a_missing_document_is_found() {
        check(
            present,
            &[("tests/tidy.toml", "documents = [\"A.md\", \"B.md\"]"), ("A.md", "A"), ("C.md", "")],
            &["B.md:1"],
        );
    }

    #[test]
    fn a_path_that_is_gone_is_found() {
        let page = "See `src/a.rs`,\n`src/{a,b}.rs`, `src/pack/` and `GET /src`; `src/*.rs`.\n";
        check(
            paths_exist,
            &[("ARCHITECTURE.md", page), ("src/a.rs", ""), ("src/pack/mod.rs", "")],
            &["ARCHITECTURE.md:2"],
        );
    }

    #[test]
    fn a_scenario_without_a_word_in_perf_is_found() {
        check(
            scenarios,
            &[
                ("PERF.md", "| small-hot | 2 KiB |"),
                ("bench/scenarios/small-hot.toml", ""),
                ("bench/scenarios/small.toml", ""),
                ("bench/scenarios/cold.toml", ""),
            ],
            &["bench/scenarios/small.toml:1", "bench/scenarios/cold.toml:1"],
        );
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\n# Dates.\na = \"1\"\nb = \"1\"\n\n\
                        c = \"1\"\n[profile.dev]\npanic = \"abort\"\n";
        check(dependencies_say_why, &[("Cargo.toml", manifest)], &["Cargo.toml:8"]);
    }
}
