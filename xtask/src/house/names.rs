//! Names that a file takes from elsewhere in its crate, found in its tokens.
//!
//! Tokens rather than syntax, since names inside macro calls have no syntax tree.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

/// Path of a name that a file uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UsedName {
    /// Segments; the first is `crate`, `self` or `super`, or the name of a module below.
    pub(super) path: Vec<String>,
    /// True if a `use` declaration names it.
    pub(super) is_import: bool,
    /// Name that the `use` declaration gives it in the file.
    pub(super) bound_to: Option<String>,
}

/// Collects the used names of a file.
pub(super) fn names_of(syntax: &syn::File) -> Vec<UsedName> {
    let mut names = Vec::new();
    let modules: Vec<String> = syntax
        .items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(module) if module.content.is_none() => Some(module.ident.to_string()),
            _ => None,
        })
        .collect();
    for item in &syntax.items {
        if let syn::Item::Use(declaration) = item {
            import(&declaration.tree, &mut Vec::new(), &modules, &mut names);
        } else {
            walk(item.to_token_stream(), &mut names);
        }
    }
    names
}

/// Adds the names of one `use` tree; `modules` are the file's own, which need no `self::`.
fn import(
    tree: &syn::UseTree,
    before: &mut Vec<String>,
    modules: &[String],
    names: &mut Vec<UsedName>,
) {
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            import(&path.tree, before, modules, names);
            before.pop();
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                import(tree, before, modules, names);
            }
        }
        syn::UseTree::Name(name) => {
            let name = name.ident.to_string();
            push_import(before, &name, &name, modules, names);
        }
        syn::UseTree::Rename(rename) => {
            let name = rename.ident.to_string();
            push_import(before, &name, &rename.rename.to_string(), modules, names);
        }
        syn::UseTree::Glob(_) => push_import(before, "self", "*", modules, names),
    }
}

fn push_import(
    before: &[String],
    name: &str,
    bound_to: &str,
    modules: &[String],
    names: &mut Vec<UsedName>,
) {
    let mut path = before.to_vec();
    let mut bound_to = bound_to.to_owned();
    if name == "self" {
        if bound_to == "self" {
            bound_to = path.last().cloned().unwrap_or_default();
        }
    } else {
        path.push(name.to_owned());
    }
    if path.first().is_some_and(|first| modules.contains(first)) {
        path.insert(0, "self".to_owned());
    }
    names.push(UsedName {
        path,
        is_import: true,
        bound_to: Some(bound_to),
    });
}

/// Adds the paths in `tokens` that begin with `crate`, `self` or `super`.
fn walk(tokens: TokenStream, names: &mut Vec<UsedName>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => walk(group.stream(), names),
            TokenTree::Ident(first) if is_root(&first.to_string()) => {
                let mut path = vec![first.to_string()];
                while let Some(segment) = next_segment(&tokens[at + 1..]) {
                    path.push(segment);
                    at += 3;
                }
                if path.len() > 1 {
                    names.push(UsedName {
                        path,
                        is_import: false,
                        bound_to: None,
                    });
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn is_root(word: &str) -> bool {
    matches!(word, "crate" | "self" | "super")
}

fn is_colons(tokens: &[TokenTree]) -> bool {
    let is_colon = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ':',
        _ => false,
    };
    tokens.len() >= 2 && tokens[..2].iter().all(is_colon)
}

/// Identifier after `::` at the beginning of `tokens`.
fn next_segment(tokens: &[TokenTree]) -> Option<String> {
    match tokens.get(2) {
        Some(TokenTree::Ident(name)) if is_colons(tokens) => Some(name.to_string()),
        _ => None,
    }
}
