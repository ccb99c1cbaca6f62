// SPDX-License-Identifier: GPL-2.0
//! A part as a tree of modules: which file each lies in, and what its names stand for.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, Visibility};

use super::parts::Sources;
use super::uses::{plain, used};
use crate::attributes;

/// All modules of a part. A file that two modules include is two modules and one file.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) modules: Vec<Module>,
    /// Paths of files, relative to the repository.
    pub(super) files: Vec<String>,
    /// Root modules of libraries, by the names by which programs import them.
    pub(super) libraries: BTreeMap<String, usize>,
    /// Files of tests, and of models that are compiled for tests only.
    pub(super) tests: BTreeSet<String>,
}

/// One module, with a file of its own or within its parent's.
pub(super) struct Module {
    pub(super) file: usize,
    /// The root module of its crate.
    pub(super) root: usize,
    pub(super) parent: Option<usize>,
    /// Whether other files hold modules of this one.
    pub(super) is_folder: bool,
    pub(super) names: BTreeMap<String, Vec<Binding>>,
    /// Names that `use` gives within functions.
    pub(super) local: BTreeMap<String, Vec<Binding>>,
    pub(super) globs: Vec<Vec<String>>,
    /// What is compiled, without its modules.
    pub(super) items: Vec<Item>,
}

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Binding {
    /// For an item that this file defines.
    Item(usize),
    /// For a module.
    Module(usize),
    /// For whatever `path` is.
    Use { path: Vec<String>, public: bool },
}

impl Tree {
    /// Reads `part` from its roots on.
    ///
    /// # Errors
    /// A file cannot be parsed.
    pub(super) fn new(sources: &Sources, part: &str) -> Result<Self> {
        let mut tree = Self::default();
        for root in sources.roots(part) {
            let module = tree.add(sources, None, &root, &folder(&root))?;
            if root.ends_with("/lib.rs") {
                let name = sources.package(part);
                tree.libraries.extend(name.map(|name| (name, module)));
            }
        }
        Ok(tree)
    }

    /// Adds the module that `file` holds, and the modules below it, whose files are in `children`.
    fn add(
        &mut self,
        sources: &Sources,
        parent: Option<usize>,
        file: &str,
        children: &str,
    ) -> Result<usize> {
        let text = sources.get(file).unwrap_or_default();
        let items = syn::parse_file(text)
            .with_context(|| file.to_string())?
            .items;
        let known = self.files.iter().position(|it| it == file);
        let file = known.unwrap_or_else(|| {
            self.files.push(file.to_string());
            self.files.len() - 1
        });
        self.add_items(sources, parent, file, children, items)
    }

    fn add_items(
        &mut self,
        sources: &Sources,
        parent: Option<usize>,
        file: usize,
        children: &str,
        items: Vec<Item>,
    ) -> Result<usize> {
        let id = self.modules.len();
        let root = parent.map_or(id, |parent| self.modules[parent].root);
        self.modules.push(Module::new(file, root, parent));
        for item in items {
            match item {
                item if attributes::is_test_only(attributes::of_item(&item)) => {
                    if let Item::Mod(module) = item {
                        let found = self.find(sources, id, children, &module);
                        self.tests.extend(found.map(|(file, _)| file));
                    }
                }
                Item::Mod(module) => self.add_child(sources, id, children, module)?,
                item => self.add_item(id, item),
            }
        }
        Ok(id)
    }

    fn add_child(
        &mut self,
        sources: &Sources,
        parent: usize,
        children: &str,
        item: ItemMod,
    ) -> Result<()> {
        let name = plain(&item.ident);
        let file = self.modules[parent].file;
        let child = if let Some((_, items)) = item.content {
            let below = join(children, &name);
            self.add_items(sources, Some(parent), file, &below, items)?
        } else {
            let Some((file, children)) = self.find(sources, parent, children, &item) else {
                // What is generated is not there: its items are as foreign as another crate's.
                let (path, public) = (Vec::new(), false);
                self.modules[parent].bind(&name, Binding::Use { path, public });
                return Ok(());
            };
            self.modules[parent].is_folder = true;
            self.add(sources, Some(parent), &file, &children)?
        };
        self.modules[parent].bind(&name, Binding::Module(child));
        Ok(())
    }

    /// The file of the module that `item` declares in `parent`, and the folder of its children.
    fn find(
        &self,
        sources: &Sources,
        parent: usize,
        children: &str,
        item: &ItemMod,
    ) -> Option<(String, String)> {
        let below = join(children, &plain(&item.ident));
        let candidates = match attributes::path(&item.attrs) {
            Some(path) => {
                let here = &self.files[self.modules[parent].file];
                let path = join(&folder(here), &path);
                let children = folder(&path);
                vec![(path, children)]
            }
            None => vec![
                (format!("{below}.rs"), below.clone()),
                (format!("{below}/mod.rs"), below),
            ],
        };
        candidates
            .into_iter()
            .find(|(file, _)| sources.get(file).is_some())
    }

    fn add_item(&mut self, id: usize, item: Item) {
        let module = &mut self.modules[id];
        let (file, root) = (module.file, module.root);
        let names = attributes::names(&item);
        for name in &names {
            module.bind(name, Binding::Item(file));
        }
        match &item {
            Item::Use(item) => {
                let public = !matches!(item.vis, Visibility::Inherited);
                for used in used(item) {
                    let path = used.path;
                    match used.name {
                        Some(name) => module.bind(&name, Binding::Use { path, public }),
                        None => module.globs.push(path),
                    }
                }
            }
            item => Locals(module).visit_item(item),
        }
        module.items.push(item);
        let exported = self.modules[id].items.last().map(attributes::of_item);
        if exported.is_some_and(|it| attributes::has(it, "macro_export")) {
            for name in &names {
                self.modules[root].bind(name, Binding::Item(file));
            }
        }
    }

    /// Whether `file` holds a module below `module`.
    pub(super) fn is_below(&self, file: usize, module: usize) -> bool {
        (0..self.modules.len()).any(|id| {
            let parent = |&id: &usize| self.modules[id].parent;
            let mut line = std::iter::successors(parent(&id), parent);
            self.modules[id].file == file && line.any(|id| id == module)
        })
    }
}

impl Module {
    fn new(file: usize, root: usize, parent: Option<usize>) -> Self {
        Self {
            file,
            root,
            parent,
            is_folder: false,
            names: BTreeMap::new(),
            local: BTreeMap::new(),
            globs: Vec::new(),
            items: Vec::new(),
        }
    }

    fn bind(&mut self, name: &str, binding: Binding) {
        self.names
            .entry(name.to_string())
            .or_default()
            .push(binding);
    }
}

/// Collects the names that `use` gives within functions.
struct Locals<'a>(&'a mut Module);

impl<'ast> Visit<'ast> for Locals<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for used in used(item) {
            let path = used.path;
            match used.name {
                Some(name) => {
                    let public = false;
                    let names = self.0.local.entry(name).or_default();
                    names.push(Binding::Use { path, public });
                }
                None => self.0.globs.push(path),
            }
        }
        visit::visit_item_use(self, item);
    }
}

/// The folder of `file`.
fn folder(file: &str) -> String {
    file.rsplit_once('/')
        .map_or_else(String::new, |(folder, _)| folder.to_string())
}

/// `path` seen from `folder`.
fn join(folder: &str, path: &str) -> String {
    let mut names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    for name in path.split('/') {
        match name {
            ".." => drop(names.pop()),
            "." => {}
            name => names.push(name),
        }
    }
    names.join("/")
}
