// SPDX-License-Identifier: GPL-2.0
//! Attributes of Rust items: whether an item is compiled, and from which file; and the names that it defines.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ForeignItem, ImplItem, Item, Lit, Meta, Token};

/// Whether `attributes` leave an item out of everything but tests and models.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let off = |meta: Meta| holds(&meta) == Some(false);
        path.is_ident("test") || path.is_ident("cfg") && attribute.parse_args().is_ok_and(off)
    })
}

/// Whether the condition holds in a build that is no test; `None`: it depends on something else.
fn holds(condition: &Meta) -> Option<bool> {
    let Meta::List(list) = condition else {
        let path = condition.path();
        return (path.is_ident("test") || path.is_ident("loom")).then_some(false);
    };
    let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let inner: Vec<_> = inner.ok()?.iter().map(holds).collect();
    let unknown = inner.contains(&None);
    match list.path.get_ident()?.to_string().as_str() {
        "not" => inner.first()?.map(|it| !it),
        "all" if inner.contains(&Some(false)) => Some(false),
        "any" if inner.contains(&Some(true)) => Some(true),
        name @ ("all" | "any") => (!unknown).then_some(name == "all"),
        _ => None,
    }
}

/// The file that `#[path = "…"]` names.
pub(crate) fn path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        match &pair.value {
            Expr::Lit(literal) if pair.path.is_ident("path") => match &literal.lit {
                Lit::Str(file) => Some(file.value()),
                _ => None,
            },
            _ => None,
        }
    })
}

/// Whether `#[name]` is among the attributes.
pub(crate) fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident(name))
}

/// The attributes of an item.
pub(crate) fn of_item(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::ExternCrate(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::ForeignMod(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::TraitAlias(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Union(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

/// The attributes of an item of an `impl` block.
pub(crate) fn of_impl_item(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(it) => &it.attrs,
        ImplItem::Fn(it) => &it.attrs,
        ImplItem::Type(it) => &it.attrs,
        ImplItem::Macro(it) => &it.attrs,
        _ => &[],
    }
}

/// The names that an item defines in its module.
pub(crate) fn names(item: &Item) -> Vec<String> {
    let ident = match item {
        Item::Const(it) => &it.ident,
        Item::Enum(it) => &it.ident,
        Item::Fn(it) => &it.sig.ident,
        Item::Static(it) => &it.ident,
        Item::Struct(it) => &it.ident,
        Item::Trait(it) => &it.ident,
        Item::TraitAlias(it) => &it.ident,
        Item::Type(it) => &it.ident,
        Item::Union(it) => &it.ident,
        Item::Macro(it) => match &it.ident {
            Some(ident) => ident,
            None => return Vec::new(),
        },
        Item::ForeignMod(it) => return it.items.iter().filter_map(foreign_name).collect(),
        _ => return Vec::new(),
    };
    vec![ident.to_string()]
}

fn foreign_name(item: &ForeignItem) -> Option<String> {
    let ident = match item {
        ForeignItem::Fn(it) => &it.sig.ident,
        ForeignItem::Static(it) => &it.ident,
        ForeignItem::Type(it) => &it.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
