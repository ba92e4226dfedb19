//! The rules of the house that a compiler does not know, as one test.
//!
//! A rule takes the whole tree and gives findings; each prints `file:line: rule: what is wrong
//! (what to do instead)`. Exceptions stand in tests/tidy.toml, each with its reason, and one that
//! is no longer needed is itself a finding. Every rule has a test of its own on a bad sample.

use std::fmt;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

#[path = "tidy/mask.rs"]
mod mask;
#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/requirements.rs"]
mod requirements;
#[path = "tidy/shape.rs"]
mod shape;

use mask::Masked;

/// One file of the tree, as git knows it.
struct File {
    /// From the root of the repository, with forward slashes.
    path: String,
    size: u64,
    /// Empty for files that are not UTF-8.
    text: String,
    /// Only for Rust files.
    masked: Masked,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let masked = if is_rust(path) { Masked::of(text) } else { Masked::default() };
        Self { path: path.to_owned(), size: text.len() as u64, text: text.to_owned(), masked }
    }
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// Everything a rule may look at.
struct Tree {
    files: Vec<File>,
    settings: Settings,
}

impl Tree {
    fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| is_rust(&file.path))
    }

    fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether this is a file of the tree, or a folder with files in it.
    fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    }

    /// Whether the byte at `offset` of this file is compiled for tests only.
    fn is_test(&self, file: &File, offset: usize) -> bool {
        file.masked.is_test(offset) || code::is_test_file(self, &file.path)
    }
}

/// tests/tidy.toml.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Which module of the library may import which others.
    #[serde(default)]
    imports: std::collections::BTreeMap<String, Vec<String>>,
    /// Documents that must be there and not empty.
    #[serde(default)]
    documents: Vec<String>,
    #[serde(default)]
    exception: Vec<Exception>,
}

/// A place where a rule is known not to hold, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: String,
    path: String,
    /// A word that the finding must contain: the function's name, say. Absent: the whole file.
    name: Option<String>,
    reason: String,
}

/// Where a rule is broken, and what to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.what)
    }
}

impl Finding {
    /// A finding at a byte of a file.
    fn at(file: &File, offset: usize, rule: &'static str, what: impl Into<String>) -> Self {
        let line = 1 + file.text[..offset].matches('\n').count();
        Self { path: file.path.clone(), line, rule, what: what.into() }
    }

    /// A finding about a file as a whole.
    fn whole(path: &str, rule: &'static str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 1, rule, what: what.into() }
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    code::module_doc,
    code::unsafe_fence,
    code::unwraps,
    code::marks,
    code::ignored_tests,
    code::names,
    shape::lengths,
    shape::widths,
    imports::imports,
    imports::harness_stands_alone,
    documents::sizes,
    documents::present,
    documents::paths_exist,
    documents::scenarios,
    documents::dependencies_say_why,
    requirements::requirements,
    requirements::named_tests,
];

/// All findings of all rules that no exception covers, and the exceptions that cover nothing.
fn findings(tree: &Tree) -> Vec<Finding> {
    let mut used = vec![false; tree.settings.exception.len()];
    let mut left = Vec::new();
    for finding in RULES.iter().flat_map(|rule| rule(tree)) {
        let exception = tree.settings.exception.iter().position(|exception| {
            exception.rule == finding.rule
                && exception.path == finding.path
                && exception.name.as_ref().is_none_or(|name| finding.what.contains(name.as_str()))
        });
        match exception {
            Some(index) => used[index] = true,
            None => left.push(finding),
        }
    }
    for (exception, used) in tree.settings.exception.iter().zip(used) {
        let Exception { rule, path, reason, .. } = exception;
        if !used {
            let what = format!("the exception of {rule} for {path} covers nothing (delete it)");
            left.push(Finding::whole("tests/tidy.toml", "exceptions", what));
        }
        if reason.split_whitespace().count() < 4 {
            let what = format!("the exception of {rule} for {path} has no reason (say why)");
            left.push(Finding::whole("tests/tidy.toml", "exceptions", what));
        }
    }
    left.sort();
    left
}

/// The tree as it lies on disk: what git tracks, and what it would track.
fn tree_on_disk() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git must run: the rules are about the files that it tracks");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let mut files = Vec::new();
    for path in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
        // A file that is tracked and deleted is on its way out.
        let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
        let size = bytes.len() as u64;
        let text = String::from_utf8(bytes).unwrap_or_default();
        files.push(File { size, ..File::new(path, &text) });
    }
    let settings = std::fs::read_to_string(root.join("tests/tidy.toml")).expect("tests/tidy.toml");
    Tree { files, settings: toml::from_str(&settings).expect("tests/tidy.toml must parse") }
}

#[test]
fn the_tree_is_tidy() {
    let tree = tree_on_disk();
    assert!(tree.rust().count() > 5, "the tree was not found");
    let findings = findings(&tree);
    let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    assert!(findings.is_empty(), "{} findings:\n{lines}", findings.len());
}

/// What a rule finds in a made-up tree, as `path:line` each.
#[cfg(test)]
#[track_caller]
fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
    let tree = sample(files);
    let found: Vec<String> =
        rule(&tree).iter().map(|one| format!("{}:{}", one.path, one.line)).collect();
    assert_eq!(found, expected, "{:#?}", rule(&tree));
}

fn sample(files: &[(&str, &str)]) -> Tree {
    let settings = files.iter().find(|(path, _)| *path == "tests/tidy.toml");
    let settings = settings.map_or_else(Settings::default, |(_, text)| {
        toml::from_str(text).expect("the settings of a sample parse")
    });
    Tree { files: files.iter().map(|(path, text)| File::new(path, text)).collect(), settings }
}

#[test]
fn an_exception_covers_one_rule_in_one_file() {
    let settings = "[[exception]]\nrule = \"module-doc\"\npath = \"src/a.rs\"\n\
                    reason = \"made by another program altogether\"\n";
    let tree = sample(&[("src/a.rs", "\n"), ("src/b.rs", "\n"), ("tests/tidy.toml", settings)]);
    let rules: Vec<_> = findings(&tree).into_iter().map(|one| (one.path, one.rule)).collect();
    assert!(!rules.contains(&("src/a.rs".to_owned(), "module-doc")));
    assert!(rules.contains(&("src/b.rs".to_owned(), "module-doc")));
}

#[test]
fn a_stale_or_unexplained_exception_is_a_finding() {
    let settings = "[[exception]]\nrule = \"module-doc\"\npath = \"src/a.rs\"\nreason = \"old\"\n";
    let tree = sample(&[("src/a.rs", "//! A.\n"), ("tests/tidy.toml", settings)]);
    let count = findings(&tree).iter().filter(|one| one.rule == "exceptions").count();
    assert_eq!(count, 2);
}
