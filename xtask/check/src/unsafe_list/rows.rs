// SPDX-License-Identifier: GPL-2.0
//! The attributes that allow unsafe code, read from the text of a package, and the unsafe blocks that each allows.

use anyhow::{ensure, Context, Result};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprUnsafe, File, ImplItem, Item, Lit, Macro, Meta, Token};

use crate::attributes;

/// What one attribute allows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// A module, or a function of one, by its path.
    pub(super) place: String,
    pub(super) reason: String,
    /// How many unsafe blocks it has.
    pub(super) blocks: usize,
}

/// What the attributes in `files` allow, in the order of the places.
pub(super) fn rows(files: &[(String, String)]) -> Result<Vec<Row>> {
    let parse =
        |(file, text): &(String, String)| syn::parse_file(text).with_context(|| file.clone());
    let parsed = files.iter().map(parse).collect::<Result<Vec<_>>>()?;
    let all: Vec<(Vec<String>, &File)> = files
        .iter()
        .map(|(file, _)| module(file))
        .zip(&parsed)
        .collect();
    let mut rows = Vec::new();
    for ((file, _), (names, parsed)) in files.iter().zip(&all) {
        let mut finder = Finder {
            all: &all,
            names: names.clone(),
            rows: Vec::new(),
            attributes: 0,
        };
        finder.note(&parsed.attrs, |blocks| blocks.visit_file(parsed));
        finder.visit_file(parsed);
        ensure!(
            finder.attributes == finder.rows.len(),
            "{file}: unsafe code is allowed for something that is neither a module nor an item"
        );
        let silent = finder.rows.iter().find(|row| row.reason.is_empty());
        ensure!(
            silent.is_none(),
            "{file}: unsafe code is allowed without a reason"
        );
        rows.append(&mut finder.rows);
    }
    rows.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(rows)
}

/// The names of the module that `file` holds; none for a root.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let roots = ["lib", "main", "ihk", "mcctrl", "host"];
    let names = path.split('/').map(String::from);
    names
        .filter(|name| !roots.contains(&name.as_str()))
        .collect()
}

/// The reason, perhaps empty, if `attribute` allows unsafe code.
fn reason(attribute: &Meta) -> Option<String> {
    let Meta::List(list) = attribute else {
        return None;
    };
    let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let inner = inner.ok()?;
    if list.path.is_ident("cfg_attr") {
        return inner.iter().skip(1).find_map(reason);
    }
    let allows = list.path.is_ident("allow") || list.path.is_ident("expect");
    let named = inner.iter().any(|it| it.path().is_ident("unsafe_code"));
    let text = |it: &Meta| match it {
        Meta::NameValue(pair) if pair.path.is_ident("reason") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    (allows && named).then(|| inner.iter().find_map(text).unwrap_or_default())
}

/// Finds attributes that allow unsafe code.
struct Finder<'a> {
    /// The files of the package by the names of their modules.
    all: &'a [(Vec<String>, &'a File)],
    /// The names of the module, and of the items around.
    names: Vec<String>,
    rows: Vec<Row>,
    /// How many there are.
    attributes: usize,
}

impl Finder<'_> {
    /// Adds a row if `attributes` allow unsafe code, with as many blocks as `visit` comes across.
    fn note(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Blocks)) {
        let Some(reason) = attributes.iter().find_map(|it| reason(&it.meta)) else {
            return;
        };
        let mut blocks = Blocks(0);
        visit(&mut blocks);
        self.rows.push(Row {
            place: self.names.join("::"),
            reason,
            blocks: blocks.0,
        });
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let own = attributes::of_item(item);
        if attributes::is_test_only(own) {
            return;
        }
        let (depth, all) = (self.names.len(), self.all);
        self.names.extend(match item {
            Item::Mod(module) => Some(module.ident.to_string()),
            item => attributes::names(item).into_iter().next(),
        });
        let names = self.names.clone();
        self.note(own, |blocks| match item {
            Item::Mod(module) if module.content.is_none() => {
                let files = all.iter().filter(|(module, _)| module.starts_with(&names));
                files.for_each(|(_, file)| blocks.visit_file(file));
            }
            item => blocks.visit_item(item),
        });
        visit::visit_item(self, item);
        self.names.truncate(depth);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let own = attributes::of_impl_item(item);
        if attributes::is_test_only(own) {
            return;
        }
        let depth = self.names.len();
        if let ImplItem::Fn(function) = item {
            self.names.push(function.sig.ident.to_string());
        }
        self.note(own, |blocks| blocks.visit_impl_item(item));
        visit::visit_impl_item(self, item);
        self.names.truncate(depth);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        self.attributes += usize::from(reason(&attribute.meta).is_some());
    }
}

/// Counts unsafe blocks.
struct Blocks(usize);

impl Blocks {
    /// Those among the arguments, or in the text, of a macro.
    fn visit_tokens(&mut self, tokens: TokenStream) {
        let mut is_unsafe = false;
        for token in tokens {
            if let TokenTree::Group(group) = &token {
                let is_block = is_unsafe && group.delimiter() == Delimiter::Brace;
                self.0 += usize::from(is_block);
                self.visit_tokens(group.stream());
            }
            is_unsafe = matches!(token, TokenTree::Ident(word) if word == "unsafe");
        }
    }
}

impl<'ast> Visit<'ast> for Blocks {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes::is_test_only(attributes::of_item(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_expr_unsafe(&mut self, block: &'ast ExprUnsafe) {
        self.0 += 1;
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_macro(&mut self, it: &'ast Macro) {
        self.visit_tokens(it.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Result<Vec<Row>> {
        let own = files.iter().map(|(a, b)| (a.to_string(), b.to_string()));
        rows(&own.collect::<Vec<_>>())
    }

    fn row(place: &str, reason: &str, blocks: usize) -> Row {
        let (place, reason) = (place.into(), reason.into());
        Row {
            place,
            reason,
            blocks,
        }
    }

    #[test]
    fn modules_and_functions_that_may_be_unsafe_are_found_with_their_blocks() {
        let main = "#![deny(unsafe_code)]
            #[expect(unsafe_code, reason = \"deep\")] mod folder;
            #[cfg_attr(not(test), expect(unsafe_code, reason = \"entry\"))] mod entry;
            mod safe;
            impl S { #[allow(unsafe_code, dead_code, reason = \"act\")] fn act() { unsafe { f() } } }
            #[cfg(test)] mod tests { #[allow(unsafe_code)] fn f() { unsafe {} } }";
        let inner =
            "macro_rules! m { () => { unsafe { g() } } } fn f() { unsafe { if x { unsafe {} } } }";
        let files = [
            ("main.rs", main),
            ("folder/mod.rs", "mod inner;"),
            ("folder/inner.rs", inner),
            ("folder_two.rs", "fn f() { unsafe {} }"),
            ("entry.rs", "unsafe fn f() {}"),
        ];
        assert_eq!(
            found(&files).unwrap(),
            [
                row("act", "act", 1),
                row("entry", "entry", 0),
                row("folder", "deep", 3),
            ]
        );
    }

    #[test]
    fn reasons_are_asked_for_and_unusual_places_refused() {
        assert!(found(&[("main.rs", "#[allow(unsafe_code)] mod a;")]).is_err());
        let statement = "fn f() { #[allow(unsafe_code, reason = \"x\")] { unsafe {} } }";
        assert!(found(&[("main.rs", statement)]).is_err());
    }
}
