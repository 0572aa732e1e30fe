//! Source files of the workspace, read and parsed, with their tests left out.

use std::path::{Path, PathBuf};
use std::process::Command;

use syn::spanned::Spanned;

use crate::error::Error;

/// File of code that is not a test.
pub(super) struct SourceFile {
    /// Path relative to the workspace.
    pub(super) path: PathBuf,
    /// Lines of the file that belong to no test module, with their numbers from 1.
    pub(super) lines: Vec<(usize, String)>,
    /// Syntax tree of the file without the items that only tests compile.
    pub(super) syntax: syn::File,
}

/// Folder and file names that hold nothing but tests.
const TEST_NAMES: [&str; 3] = ["tests", "fuzz", "tests.rs"];

/// Reads every Rust file of the checkout that is not a test.
///
/// # Errors
/// [`Error::NoCheckout`], [`Error::Io`] and [`Error::Syntax`].
pub(super) fn read_all(workspace: &Path) -> Result<Vec<SourceFile>, Error> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.rs",
        ])
        .current_dir(workspace)
        .output()
        .map_err(Error::io("start git"))?;
    if !listed.status.success() {
        return Err(Error::NoCheckout);
    }
    let mut files = Vec::new();
    for path in String::from_utf8_lossy(&listed.stdout)
        .lines()
        .map(PathBuf::from)
    {
        // A file that was deleted and not yet staged is still listed.
        if is_test(&path) || !workspace.join(&path).exists() {
            continue;
        }
        let action = format!("read {}", path.display());
        let text = std::fs::read_to_string(workspace.join(&path)).map_err(Error::io(action))?;
        files.push(SourceFile::parse(path, &text)?);
    }
    Ok(files)
}

fn is_test(path: &Path) -> bool {
    path.iter()
        .any(|part| TEST_NAMES.iter().any(|name| part == *name))
}

impl SourceFile {
    /// Parses the text of the file at `path`.
    ///
    /// # Errors
    /// [`Error::Syntax`].
    pub(super) fn parse(path: PathBuf, text: &str) -> Result<Self, Error> {
        let mut syntax = syn::parse_file(text).map_err(|error| Error::Syntax {
            path: path.clone(),
            error,
        })?;
        let mut tests = Vec::new();
        syntax.items.retain(|item| {
            let only_tests = attributes(item).iter().any(is_cfg_test);
            if only_tests {
                let span = item.span();
                tests.push(span.start().line..=span.end().line);
            }
            !only_tests
        });
        let lines = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.to_owned()))
            .filter(|(number, _)| !tests.iter().any(|range| range.contains(number)))
            .collect();
        Ok(Self {
            path,
            lines,
            syntax,
        })
    }

    /// Number of lines that hold code: neither blank nor only a comment.
    pub(super) fn code_lines(&self) -> usize {
        let is_code = |line: &str| !line.is_empty() && !line.starts_with("//");
        let lines = self.lines.iter();
        lines.filter(|(_, line)| is_code(line.trim())).count()
    }
}

/// Attributes of an item of a file.
pub(super) fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an attribute is `#[cfg(test)]` or a `cfg` that requires `test` beside others.
fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let condition = list.tokens.to_string();
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all (test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_modules_are_left_out_of_lines_and_syntax() {
        let text = "//! Doc.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        let file = SourceFile::parse("a.rs".into(), text).unwrap();
        assert_eq!(file.syntax.items.len(), 1);
        assert_eq!(file.lines.len(), 3);
        assert_eq!(file.code_lines(), 1);
    }

    #[test]
    fn files_that_hold_only_tests_are_known_by_their_path() {
        assert!(is_test(Path::new("crates/a/tests/it/main.rs")));
        assert!(is_test(Path::new("crates/a/src/b/tests.rs")));
        assert!(!is_test(Path::new("crates/dev/testbed/src/lib.rs")));
    }
}
