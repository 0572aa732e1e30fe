//! Module cycles: files of one crate that use each other, directly or over others.
//!
//! A module may use the modules below it in its own folder; that is not counted, so a cycle is one
//! that remains when each folder's `mod.rs` is allowed to name what lies inside the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use super::names::{UsedName, names_of};
use super::source::SourceFile;

/// Longest chain of re-exports that is followed to the module that defines a name.
const MAX_REEXPORTS: u32 = 8;

/// Cycle of modules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cycle {
    /// Uses that tie the cycle, as `file -> file: name, name`.
    pub(super) ties: Vec<String>,
    /// Number of modules in the cycle.
    pub(super) modules: usize,
}

/// Path of a module inside its crate, without the crate's own name.
type ModulePath = Vec<String>;

/// Module of a crate, which is one file.
struct Module {
    file: PathBuf,
    names: Vec<UsedName>,
    /// Names that `use` brings into the module, and that others can take from it.
    imports: BTreeMap<String, ModulePath>,
}

/// Finds the cycles of every crate.
pub(super) fn find(files: &[SourceFile]) -> Vec<Cycle> {
    let mut crates: BTreeMap<PathBuf, BTreeMap<ModulePath, Module>> = BTreeMap::new();
    for file in files {
        let Some((root, module_path)) = module_path(&file.path) else {
            continue;
        };
        let names = names_of(&file.syntax);
        let imports = names
            .iter()
            .filter(|name| name.is_import)
            .filter_map(|name| Some((name.bound_to.clone()?, absolute(name, &module_path)?)))
            .collect();
        let module = Module {
            file: file.path.clone(),
            names,
            imports,
        };
        crates.entry(root).or_default().insert(module_path, module);
    }
    crates.values().flat_map(cycles_of_crate).collect()
}

/// Source folder of a file's crate and the path of its module, from the file's path.
fn module_path(file: &Path) -> Option<(PathBuf, ModulePath)> {
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    let src = parts.iter().position(|part| *part == "src")?;
    let root = parts[..=src].iter().collect();
    let mut path: ModulePath = parts[src + 1..].iter().map(ToString::to_string).collect();
    let last = path.pop()?;
    match last.strip_suffix(".rs")? {
        "mod" => {}
        "lib" | "main" if path.is_empty() => {}
        name => path.push(name.to_owned()),
    }
    Some((root, path))
}

/// Path from the crate's root that a name used in `module` means; none if it is another crate's.
fn absolute(name: &UsedName, module: &[String]) -> Option<ModulePath> {
    let mut path = match name.path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module.split_last()?.1.to_vec(),
        _ => return None,
    };
    for segment in &name.path[1..] {
        match segment.as_str() {
            "super" => {
                path.pop()?;
            }
            other => path.push(other.to_owned()),
        }
    }
    Some(path)
}

fn cycles_of_crate(modules: &BTreeMap<ModulePath, Module>) -> Vec<Cycle> {
    let mut ties: BTreeMap<(&ModulePath, &ModulePath), BTreeSet<String>> = BTreeMap::new();
    for (path, module) in modules {
        for name in &module.names {
            let Some(used) = absolute(name, path) else {
                continue;
            };
            let Some((target, item)) = resolve(modules, &used, 0) else {
                continue;
            };
            if target != path && !target.starts_with(path) {
                ties.entry((path, target)).or_default().insert(item);
            }
        }
    }
    let mut graph: DiGraphMap<&ModulePath, ()> = DiGraphMap::new();
    for (from, to) in ties.keys() {
        graph.add_edge(*from, *to, ());
    }
    let groups = tarjan_scc(&graph)
        .into_iter()
        .filter(|group| group.len() > 1);
    groups.map(|group| cycle(modules, &ties, &group)).collect()
}

fn cycle(
    modules: &BTreeMap<ModulePath, Module>,
    ties: &BTreeMap<(&ModulePath, &ModulePath), BTreeSet<String>>,
    group: &[&ModulePath],
) -> Cycle {
    let inside = ties
        .iter()
        .filter(|((from, to), _)| group.contains(from) && group.contains(to));
    let described = inside.map(|((from, to), names)| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!(
            "{} -> {}: {}",
            modules[*from].file.display(),
            modules[*to].file.display(),
            names.join(", ")
        )
    });
    Cycle {
        ties: described.collect(),
        modules: group.len(),
    }
}

/// Module that defines the item at `path`, re-exports followed, and the item's name.
fn resolve<'a>(
    modules: &'a BTreeMap<ModulePath, Module>,
    path: &[String],
    followed: u32,
) -> Option<(&'a ModulePath, String)> {
    let deepest = (0..=path.len())
        .rev()
        .find(|length| modules.contains_key(&path[..*length]))?;
    let (found, module) = modules.get_key_value(&path[..deepest])?;
    let Some(item) = path.get(deepest) else {
        return Some((found, "the module".to_owned()));
    };
    match module.imports.get(item) {
        Some(imported) if followed < MAX_REEXPORTS && imported.as_slice() != path => {
            resolve(modules, imported, followed + 1)
        }
        _ => Some((found, item.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(files: &[(&str, &str)]) -> Vec<Cycle> {
        let parsed = files
            .iter()
            .map(|file| SourceFile::parse(PathBuf::from("a/src").join(file.0), file.1).unwrap());
        find(&parsed.collect::<Vec<_>>())
    }

    #[test]
    fn files_that_use_each_other_are_a_cycle() {
        let found = cycles(&[
            ("lib.rs", "mod b; mod c;"),
            ("b.rs", "use crate::c::{self, C};\npub struct B;"),
            ("c.rs", "pub struct C;\nfn c() { super::b::B; }"),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].modules, 2);
        assert!(
            found[0].ties[1].ends_with("c.rs -> a/src/b.rs: B"),
            "{found:?}"
        );
    }

    #[test]
    fn re_exports_are_followed_to_the_file_that_defines_the_name() {
        let found = cycles(&[
            ("lib.rs", "mod b; mod c;\npub use b::B;\npub use c::C;"),
            ("b.rs", "use crate::C;\npub struct B(C);"),
            ("c.rs", "use crate::B;\npub struct C(Vec<B>);"),
        ]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_folder_may_use_what_lies_in_it_and_the_other_way_round() {
        let found = cycles(&[
            ("lib.rs", "mod b;\npub struct A;"),
            ("b/mod.rs", "mod c;\nuse c::C;\npub struct B;"),
            (
                "b/c.rs",
                "use super::B;\nuse crate::A;\npub struct C(B, A);",
            ),
        ]);
        assert_eq!(found, []);
    }

    #[test]
    fn names_in_macros_and_in_grouped_imports_count() {
        let found = cycles(&[
            ("lib.rs", "mod b; mod c;"),
            ("b.rs", "fn b() { assert!(crate::c::c()); }"),
            (
                "c.rs",
                "use {crate::{b::{B as Other, d}}, std::fmt};\npub fn c() {}",
            ),
        ]);
        assert_eq!(found.len(), 1);
    }
}
