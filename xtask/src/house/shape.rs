//! Shape of the code: lengths of functions, values packed into tuples, names of types.

use std::collections::BTreeMap;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Place;
use super::source::SourceFile;

/// Functions, tuples and type names of the tree.
#[derive(Default)]
pub(super) struct Shape {
    /// Functions with their numbers of lines.
    pub(super) functions: Vec<(usize, Place)>,
    /// Places of `let (a, b) = (x, y);`.
    pub(super) tuple_lets: Vec<Place>,
    /// Places of functions' parameters that are tuples.
    pub(super) tuple_parameters: Vec<Place>,
    /// Places of the definitions of each type name.
    pub(super) types: BTreeMap<String, Vec<Place>>,
}

impl Shape {
    /// Adds a file.
    pub(super) fn add(&mut self, file: &SourceFile) {
        let mut visitor = ShapeVisitor { file, shape: self };
        visitor.visit_file(&file.syntax);
    }
}

struct ShapeVisitor<'a> {
    file: &'a SourceFile,
    shape: &'a mut Shape,
}

impl ShapeVisitor<'_> {
    fn function(&mut self, signature: &syn::Signature, whole: proc_macro2::Span) {
        let first = signature.span().start().line;
        let place = Place::new(self.file, first, signature.ident.to_string());
        self.shape
            .functions
            .push((whole.end().line + 1 - first, place));
        for input in &signature.inputs {
            let syn::FnArg::Typed(parameter) = input else {
                continue;
            };
            let is_tuple = match (&*parameter.pat, &*parameter.ty) {
                (syn::Pat::Tuple(_), _) => true,
                (_, syn::Type::Tuple(tuple)) => !tuple.elems.is_empty(),
                _ => false,
            };
            if is_tuple {
                let line = parameter.span().start().line;
                let place = Place::new(self.file, line, signature.ident.to_string());
                self.shape.tuple_parameters.push(place);
            }
        }
    }

    fn type_name(&mut self, name: &syn::Ident) {
        let place = Place::new(self.file, name.span().start().line, name.to_string());
        self.shape
            .types
            .entry(name.to_string())
            .or_default()
            .push(place);
    }
}

impl<'ast> Visit<'ast> for ShapeVisitor<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, item.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, item.span());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        let mut pattern = &local.pat;
        while let syn::Pat::Type(typed) = pattern {
            pattern = &typed.pat;
        }
        // A `let … else` tests its values together, so it cannot be taken apart.
        let init = local.init.as_ref().filter(|init| init.diverge.is_none());
        let value = init.map(|init| &*init.expr);
        if let (syn::Pat::Tuple(_), Some(syn::Expr::Tuple(_))) = (pattern, value) {
            let line = local.span().start().line;
            self.shape
                .tuple_lets
                .push(Place::new(self.file, line, "let".to_owned()));
        }
        visit::visit_local(self, local);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.type_name(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.type_name(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.type_name(&item.ident);
        visit::visit_item_trait(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Shape {
        let mut shape = Shape::default();
        shape.add(&SourceFile::parse("a.rs".into(), text).unwrap());
        shape
    }

    #[test]
    fn tuple_lets_and_parameters_are_found_and_other_tuples_are_not() {
        let text = "fn a((b, c): (u8, u8), d: (), e: (u8, u8)) {\n    let (f, g) = (b, c);\n    \
                    let (h, i): (u8, u8) = (f, g);\n    let (j, k) = pair(h, i);\n    \
                    let (Some(l), Some(m)) = (j, k) else { return };\n}\n";
        let shape = shape(text);
        assert_eq!(shape.tuple_parameters.len(), 2);
        let lines: Vec<usize> = shape.tuple_lets.iter().map(|place| place.line).collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn the_length_of_a_function_is_counted_without_its_comment() {
        let shape = shape("/// Doc.\n#[must_use]\nfn a() -> u8 {\n    1\n}\n");
        assert_eq!(shape.functions[0].0, 3);
        assert_eq!(shape.functions[0].1.line, 3);
    }

    #[test]
    fn a_type_name_that_is_defined_twice_has_two_places() {
        let shape = shape("struct A;\nmod b {\n    enum A {}\n}\n");
        assert_eq!(shape.types["A"].len(), 2);
    }
}
