//! Doc comments: how many items have one, and how many open without naming their subject.

use syn::visit::{self, Visit};
use syn::{Attribute, Visibility};

use super::Place;
use super::source::SourceFile;

/// First words that leave the reader asking what the line is about.
const RIDDLES: [&str; 31] = [
    "And", "As", "Both", "Else", "Here", "How", "If", "It", "Its", "Not", "Nothing", "One", "Or",
    "Other", "Others", "Same", "So", "Such", "That", "Their", "Them", "Then", "There", "These",
    "They", "This", "Those", "What", "Which", "Who", "Whose",
];

/// Counts of doc comments in the tree.
#[derive(Default)]
pub(super) struct DocCounts {
    /// Number of doc comments.
    pub(super) comments: usize,
    /// Places of doc comments whose first word is one of [`RIDDLES`], with their first line.
    pub(super) riddles: Vec<Place>,
    /// Number of items, fields and variants that other modules can see.
    pub(super) visible: usize,
    /// Places of those visible items that have no doc comment.
    pub(super) undocumented: Vec<Place>,
}

impl DocCounts {
    /// Adds the doc comments of a file.
    pub(super) fn add(&mut self, file: &SourceFile) {
        let mut visitor = DocVisitor { file, counts: self };
        visitor.visit_file(&file.syntax);
    }
}

struct DocVisitor<'a> {
    file: &'a SourceFile,
    counts: &'a mut DocCounts,
}

impl DocVisitor<'_> {
    /// Counts an item that can be seen by other modules.
    fn visible(&mut self, visibility: &Visibility, attributes: &[Attribute], name: &syn::Ident) {
        if matches!(visibility, Visibility::Inherited) {
            return;
        }
        self.counts.visible += 1;
        if !attributes
            .iter()
            .any(|attribute| attribute.path().is_ident("doc"))
        {
            let line = name.span().start().line;
            self.counts
                .undocumented
                .push(Place::new(self.file, line, name.to_string()));
        }
    }

    /// Counts the doc comment of one item, which is as many attributes as it has lines.
    fn comment(&mut self, attributes: &[Attribute]) {
        let Some(first) = attributes
            .iter()
            .find(|attribute| attribute.path().is_ident("doc"))
        else {
            return;
        };
        let syn::Meta::NameValue(value) = &first.meta else {
            return;
        };
        let syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) = &value.value
        else {
            return;
        };
        let text = text.value();
        self.counts.comments += 1;
        if opens_with_riddle(&text) {
            let line = text_line(first);
            self.counts
                .riddles
                .push(Place::new(self.file, line, text.trim().to_owned()));
        }
    }
}

fn text_line(attribute: &Attribute) -> usize {
    attribute.pound_token.spans[0].start().line
}

fn opens_with_riddle(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    let word = word.trim_end_matches([',', ':', ';', '.']);
    RIDDLES.contains(&word)
}

impl<'ast> Visit<'ast> for DocVisitor<'_> {
    fn visit_file(&mut self, file: &'ast syn::File) {
        self.comment(&file.attrs);
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.comment(super::source::attributes(item));
        match item {
            syn::Item::Const(item) => self.visible(&item.vis, &item.attrs, &item.ident),
            syn::Item::Enum(item) => self.visible(&item.vis, &item.attrs, &item.ident),
            syn::Item::Fn(item) => self.visible(&item.vis, &item.attrs, &item.sig.ident),
            syn::Item::Static(item) => self.visible(&item.vis, &item.attrs, &item.ident),
            syn::Item::Struct(item) => self.visible(&item.vis, &item.attrs, &item.ident),
            syn::Item::Trait(item) => self.visible(&item.vis, &item.attrs, &item.ident),
            syn::Item::Type(item) => self.visible(&item.vis, &item.attrs, &item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.comment(&item.attrs);
        self.visible(&item.vis, &item.attrs, &item.sig.ident);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.comment(&item.attrs);
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.comment(&variant.attrs);
        visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.comment(&field.attrs);
        if let Some(name) = &field.ident {
            self.visible(&field.vis, &field.attrs, name);
        }
        visit::visit_field(self, field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> DocCounts {
        let mut counts = DocCounts::default();
        counts.add(&SourceFile::parse("a.rs".into(), text).unwrap());
        counts
    }

    #[test]
    fn only_the_first_word_of_a_comment_can_be_a_riddle() {
        let counts = counts("/// Number of rows.\n/// Its unit is one.\npub fn a() {}\n");
        assert_eq!(counts.comments, 1);
        assert!(counts.riddles.is_empty());
    }

    #[test]
    fn riddles_are_found_on_items_fields_and_variants() {
        let text = "//! What lives here.\n/// So many.\npub struct A {\n    /// Its name.\n    \
                    pub b: u8,\n}\nenum B {\n    /// One of them.\n    C,\n}\n";
        let counts = counts(text);
        let lines: Vec<usize> = counts.riddles.iter().map(|place| place.line).collect();
        assert_eq!(lines, [1, 2, 4, 8]);
    }

    #[test]
    fn visible_items_without_a_comment_are_listed() {
        let counts = counts("pub fn a() {}\nfn b() {}\n/// C.\npub(crate) fn c() {}\n");
        assert_eq!(counts.visible, 2);
        assert_eq!(counts.undocumented.len(), 1);
    }
}
