// SPDX-License-Identifier: GPL-2.0
//! The names that a `use` item gives, each with its path.

use syn::{ItemUse, UseTree};

/// One name of a `use` item.
pub(super) struct Used<'a> {
    pub(super) path: Vec<String>,
    /// The name it gets here; `None`: all names of the module.
    pub(super) name: Option<String>,
    /// Where it stands.
    pub(super) ident: &'a proc_macro2::Ident,
}

/// All names of a `use` item that may be this crate's.
pub(super) fn used(item: &ItemUse) -> Vec<Used<'_>> {
    let mut found = Vec::new();
    if item.leading_colon.is_none() {
        flatten(&item.tree, &[], None, &mut found);
    }
    found
}

fn flatten<'a>(
    tree: &'a UseTree,
    before: &[String],
    last: Option<&'a proc_macro2::Ident>,
    found: &mut Vec<Used<'a>>,
) {
    let with = |ident: &proc_macro2::Ident| [before, &[plain(ident)]].concat();
    // `self` in a group is the group's own path.
    let whole = |ident: &proc_macro2::Ident| match before {
        [.., _] if ident == "self" => before.to_vec(),
        _ => with(ident),
    };
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(&path.ident), Some(&path.ident), found),
        UseTree::Name(it) => {
            let path = whole(&it.ident);
            let name = path.last().cloned();
            let ident = &it.ident;
            found.push(Used { path, name, ident });
        }
        UseTree::Rename(it) => found.push(Used {
            path: whole(&it.ident),
            name: Some(plain(&it.rename)),
            ident: &it.ident,
        }),
        UseTree::Glob(_) => found.extend(last.map(|ident| Used {
            path: before.to_vec(),
            name: None,
            ident,
        })),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, last, found);
            }
        }
    }
}

/// A name without `r#`.
pub(super) fn plain(ident: &proc_macro2::Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_string()
}
