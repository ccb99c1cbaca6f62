// SPDX-License-Identifier: GPL-2.0
//! All imports of a part: `use` items, paths in code, and paths among the arguments of macros.

use proc_macro2::{Ident, Spacing, Span, TokenStream, TokenTree};
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemUse, Macro, Path, Stmt, VisRestricted, Visibility};

use super::modules::{Binding, Module, Tree};
use super::resolve::Target;
use super::uses::{plain, used};
use crate::attributes::{is_test_only, of_impl_item, of_item};

/// One file names something that another defines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) line: usize,
    /// The path as it is written, without braces.
    pub(super) path: String,
}

/// The imports, by file and line. Where a name that `use` gives is used further is not repeated.
pub(super) fn all(tree: &Tree) -> Vec<Import> {
    let (mut explicit, mut implied) = (BTreeSet::new(), BTreeSet::new());
    for (id, module) in tree.modules.iter().enumerate() {
        let mut reader = Reader {
            tree,
            id,
            module,
            explicit: &mut explicit,
            implied: &mut implied,
        };
        for item in &module.items {
            reader.visit_item(item);
        }
    }
    let pairs: BTreeSet<_> = explicit.iter().map(|it| (it.from, it.to)).collect();
    explicit.extend(
        implied
            .into_iter()
            .filter(|it| !pairs.contains(&(it.from, it.to))),
    );
    let mut all: Vec<Import> = explicit.into_iter().collect();
    all.sort_by_key(|it| (it.from, it.line, it.to));
    all
}

/// Reads the items of one module.
struct Reader<'a> {
    tree: &'a Tree,
    id: usize,
    module: &'a Module,
    /// What `use` items and whole paths name.
    explicit: &'a mut BTreeSet<Import>,
    /// What paths name that begin with the name of a child, or one that `use` gives.
    implied: &'a mut BTreeSet<Import>,
}

impl Reader<'_> {
    /// Files whose items `path` names. A module of several files is not one of them: what is used of it is named
    /// elsewhere.
    fn files(&self, path: &[String]) -> Vec<usize> {
        let targets = self.tree.resolve(self.id, path);
        let files = targets.iter().filter_map(|target| match *target {
            Target::Item(file) => Some(file),
            Target::Module(id) if self.tree.modules[id].is_folder => None,
            Target::Module(id) => Some(self.tree.modules[id].file),
        });
        files.filter(|&file| file != self.module.file).collect()
    }

    fn add(&mut self, path: &[String], to: usize, at: Span) {
        let import = Import {
            from: self.module.file,
            to,
            line: at.start().line,
            path: path.join("::"),
        };
        let whole = matches!(path[0].as_str(), "crate" | "super" | "self");
        let known = if whole {
            &mut *self.explicit
        } else {
            &mut *self.implied
        };
        known.insert(import);
    }

    /// A path in code, or among the arguments of a macro.
    fn path(&mut self, path: &[String], at: Span) {
        let worth = match path {
            [] => false,
            [name] => self.is_reexport(name),
            [..] => true,
        };
        if worth {
            for file in self.files(path) {
                self.add(path, file, at);
            }
        }
    }

    /// Whether nothing but its use says that `name` is imported: re-exported from a child, or given by a glob.
    fn is_reexport(&self, name: &str) -> bool {
        match self.module.names.get(name) {
            Some(bindings) => bindings
                .iter()
                .any(|it| matches!(it, Binding::Use { public: true, .. })),
            None => !self.module.globs.is_empty(),
        }
    }

    fn use_item(&mut self, item: &ItemUse) {
        let public = !matches!(item.vis, Visibility::Inherited);
        for used in used(item) {
            for file in self.files(&used.path) {
                // What a module shows of its own children it does not import by that.
                if !(public && self.tree.is_below(file, self.id)) {
                    let line = used.ident.span().start().line;
                    self.explicit.insert(Import {
                        from: self.module.file,
                        to: file,
                        line,
                        path: used.path.join("::"),
                    });
                }
            }
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<Ident> = Vec::new();
        let mut colons = 0;
        let mut outside = false;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 || path.is_empty() {
                        self.token_path(&mut path, outside);
                        outside = colons == 2;
                    }
                    path.push(ident);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    let first = colons == 0 && punct.spacing() == Spacing::Joint;
                    colons = if first { 1 } else { colons * 2 };
                }
                other => {
                    self.token_path(&mut path, outside);
                    (colons, outside) = (0, false);
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.token_path(&mut path, outside);
    }

    fn token_path(&mut self, path: &mut Vec<Ident>, outside: bool) {
        let names: Vec<String> = path.iter().map(plain).collect();
        // A single word among tokens may be anything.
        if let ([first, ..], true) = (&path[..], names.len() > 1 && !outside) {
            self.path(&names, first.span());
        }
        path.clear();
    }

    /// A macro that is called by its bare name: one of this module or of a module around it.
    fn bare_macro(&mut self, name: &Ident) {
        let text = plain(name);
        let mut module = Some(self.id);
        while let Some(id) = module {
            let here = &self.tree.modules[id];
            let mut items = here.items.iter();
            let is_macro =
                |item: &Item| matches!(item, Item::Macro(it) if it.ident.as_ref() == Some(name));
            if items.any(is_macro) {
                if here.file != self.module.file {
                    self.add(&[text], here.file, name.span());
                }
                return;
            }
            module = here.parent;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(of_item(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !is_test_only(of_impl_item(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_test_only(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes: &[Attribute] = match statement {
            Stmt::Local(it) => &it.attrs,
            Stmt::Macro(it) => &it.attrs,
            _ => &[],
        };
        if !is_test_only(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.use_item(item);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names: Vec<String> = path.segments.iter().map(|it| plain(&it.ident)).collect();
        if let (None, Some(first)) = (path.leading_colon, path.segments.first()) {
            self.path(&names, first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, it: &'ast Macro) {
        if let Some(name) = it.path.get_ident() {
            self.bare_macro(name);
        }
        self.tokens(it.tokens.clone());
        visit::visit_macro(self, it);
    }

    // Neither who may see an item nor what is said about it is an import.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}
