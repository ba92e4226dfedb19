//! Rules about size: files a reader can hold, functions that fit a screen, lines that do not wrap.

use super::mask::{closing, identifier_at};
use super::{File, Finding, Tree};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const COMMENT_COLUMNS_MAX: usize = 100;

/// Files to 600 lines, functions to 70.
pub fn lengths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        let lines = file.text.lines().count();
        let is_source = [".rs", ".mjs", ".html"].iter().any(|end| file.path.ends_with(end));
        if is_source && lines > FILE_LINES_MAX {
            let what = format!("{lines} lines, at most {FILE_LINES_MAX} (split it by subject)");
            findings.push(Finding::whole(&file.path, "file-length", what));
        }
    }
    for file in tree.rust() {
        for (start, end, name) in functions(file) {
            let lines = 1 + file.text[start..end].matches('\n').count();
            if lines > FUNCTION_LINES_MAX {
                let what = format!(
                    "`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX} (move work to leaves)"
                );
                findings.push(Finding::at(file, start, "function-length", what));
            }
        }
    }
    findings
}

/// Every function with a body: from its `fn` to its closing brace.
fn functions(file: &File) -> Vec<(usize, usize, &str)> {
    let code = &file.masked.code;
    let mut functions = Vec::new();
    for at in file.masked.words("fn") {
        let name = at + 2 + code[at + 2..].len() - code[at + 2..].trim_start().len();
        let name_text = identifier_at(code, name);
        // A function pointer's type has no name.
        if name_text.is_empty() {
            continue;
        }
        let mut depth = 0_usize;
        for (index, byte) in code.bytes().enumerate().skip(name) {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                b';' if depth == 0 => break,
                b'{' if depth == 0 => {
                    functions.push((at, closing(code, index), name_text));
                    break;
                }
                _ => {}
            }
        }
    }
    functions
}

/// Comments to 100 columns; rustfmt sees to the code.
pub fn widths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let lines = file.text.lines().zip(file.masked.comments.lines());
        for (index, (line, comment)) in lines.enumerate() {
            let width = line.chars().count();
            // A long address cannot be broken.
            let breakable = !comment.contains("://");
            if !comment.trim().is_empty() && breakable && width > COMMENT_COLUMNS_MAX {
                let what =
                    format!("{width} columns, at most {COMMENT_COLUMNS_MAX} (break the line)");
                let mut finding = Finding::whole(&file.path, "width", what);
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
    fn a_file_of_601_lines_is_found() {
        check(lengths, &[("src/a.rs", &"\n".repeat(600))], &[]);
        check(lengths, &[("src/a.rs", &"\n".repeat(601))], &["src/a.rs:1"]);
    }

    #[test]
    fn a_function_of_71_lines_is_found() {
        let function = |inner: usize| {
            format!("fn short() {{}}\nfn long(a: [u8; 2]) {{\n{}}}\n", "a;\n".repeat(inner))
        };
        check(lengths, &[("src/a.rs", &function(68))], &[]);
        check(lengths, &[("src/a.rs", &function(69))], &["src/a.rs:2"]);
    }

    #[test]
    fn braces_in_strings_and_comments_do_not_count() {
        let text = format!("fn f() {{ \"}}\" /* }} */; '}}' }}\n{}", "\n".repeat(100));
        check(lengths, &[("src/a.rs", &text)], &[]);
    }

    #[test]
    fn a_comment_of_101_columns_is_found() {
        check(
            widths,
            &[("src/a.rs", &format!("// {}\n// {}\n", "x".repeat(97), "x".repeat(98)))],
            &["src/a.rs:2"],
        );
    }
}
