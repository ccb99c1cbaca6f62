// SPDX-License-Identifier: GPL-2.0
//! From a path to the file that defines what it names: aliases, re-exports and globs are followed.

use super::modules::{Binding, Tree};

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Target {
    /// To a module itself.
    Module(usize),
    /// To an item of this file.
    Item(usize),
}

/// Names whose `use` is being followed, by module.
type Following = Vec<(usize, String)>;

impl Tree {
    /// Everything that `path` names, seen from `module`; nothing if it leads out of the part.
    pub(super) fn resolve(&self, module: usize, path: &[String]) -> Vec<Target> {
        let mut targets = self.follow(module, path, &mut Vec::new());
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    fn follow(&self, module: usize, path: &[String], following: &mut Following) -> Vec<Target> {
        let Some((first, rest)) = path.split_first() else {
            return Vec::new();
        };
        let mut targets = self.first(module, first, following);
        for name in rest {
            let modules = targets.iter().any(|it| matches!(it, Target::Module(_)));
            let mut next = Vec::new();
            for target in targets {
                match target {
                    Target::Module(module) => next.extend(self.step(module, name, following)),
                    // The name is a function or constant of a type, or an enum's variant.
                    Target::Item(file) if !modules => next.push(Target::Item(file)),
                    Target::Item(_) => {}
                }
            }
            targets = next;
        }
        targets
    }

    /// The first name of a path.
    fn first(&self, module: usize, name: &str, following: &mut Following) -> Vec<Target> {
        let here = &self.modules[module];
        match name {
            "crate" => vec![Target::Module(here.root)],
            "self" => vec![Target::Module(module)],
            "super" => here.parent.map(Target::Module).into_iter().collect(),
            name => self
                .lookup(module, name, following)
                .or_else(|| self.bound(module, here.local.get(name)?, name, following))
                .or_else(|| Some(vec![Target::Module(*self.libraries.get(name)?)]))
                .unwrap_or_default(),
        }
    }

    /// A further name of a path, seen in `module`.
    fn step(&self, module: usize, name: &str, following: &mut Following) -> Vec<Target> {
        let here = &self.modules[module];
        match name {
            "self" => vec![Target::Module(module)],
            "super" => here.parent.map(Target::Module).into_iter().collect(),
            // What has no definition comes out of a macro there.
            name => self
                .lookup(module, name, following)
                .unwrap_or_else(|| vec![Target::Item(here.file)]),
        }
    }

    /// What `name` is in `module`; `None`: nothing there has this name.
    fn lookup(&self, module: usize, name: &str, following: &mut Following) -> Option<Vec<Target>> {
        let here = &self.modules[module];
        let own = here.names.get(name);
        if let Some(found) = own.and_then(|own| self.bound(module, own, name, following)) {
            return Some(found);
        }
        let key = (module, format!("{name}::*"));
        if following.contains(&key) {
            return None;
        }
        following.push(key);
        let found = here.globs.iter().find_map(|glob| {
            let targets = self.follow(module, glob, following);
            targets.iter().find_map(|target| match *target {
                Target::Module(other) if other != module => self.lookup(other, name, following),
                _ => None,
            })
        });
        following.pop();
        found
    }

    /// What the bindings of `name` lead to; `None` if all are already being followed.
    fn bound(
        &self,
        module: usize,
        bindings: &[Binding],
        name: &str,
        following: &mut Following,
    ) -> Option<Vec<Target>> {
        let mut found = None;
        for binding in bindings {
            let targets = match binding {
                Binding::Item(file) => vec![Target::Item(*file)],
                Binding::Module(id) => vec![Target::Module(*id)],
                Binding::Use { path, .. } => {
                    let key = (module, name.to_string());
                    if following.contains(&key) {
                        continue;
                    }
                    following.push(key);
                    let targets = self.follow(module, path, following);
                    following.pop();
                    targets
                }
            };
            found.get_or_insert_with(Vec::new).extend(targets);
        }
        found
    }
}
