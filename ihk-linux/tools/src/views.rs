// SPDX-License-Identifier: GPL-2.0
//! Views of an instance's programs, `/sys/devices/system/{cpu,node}` and `/proc/cpuinfo`: a tree of plain
//! files, written when the instance is booted. mcexec shows it in the place of Linux's.
//! CPUs have the co-kernel's numbers, nodes Linux's.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ihk_ikc::uapi::MemorySpec;
use ihk_ikc::view::CpuView;

use crate::device::Mcos;
use crate::failure::{plain, Failure, Result};
use crate::place::{self, Place};
use crate::record::FOLDER;

/// Linux's own files, of a CPU that is like all others.
const MODEL: &str = "/sys/devices/system/cpu/cpu0";
const CPUS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";
/// Folders of Linux whose files the tree copies as they are.
const COPIED: [&str; 2] = ["vulnerabilities", "smt"];
/// The file that tells of what the tree was made; written last.
const MADE_OF: &str = "made-of";

fn folder(os: u32) -> PathBuf {
    Path::new(FOLDER).join(format!("os{os}"))
}

/// Writes the tree of `os`, which has just been booted, unless it is there since an earlier boot and
/// would be the same. Without mcctrl.ko there are no programs, and nothing is written.
///
/// # Errors
///
/// A file cannot be written.
pub fn write(os: &Mcos) -> Result {
    let Ok(cpus) = os.cpu_views() else {
        return Ok(());
    };
    let memory = os.memory().unwrap_or_default();
    let folder = folder(os.number());
    let tree = Tree {
        places: place::places(&cpus),
        cpus,
        memory,
    };
    let made_of = tree.made_of();
    let stamp = folder.join(MADE_OF);
    if fs::read_to_string(&stamp).is_ok_and(|before| before == made_of) {
        return Ok(());
    }
    forget(os.number());
    tree.write(&folder)
        .and_then(|()| put(&stamp, &made_of))
        .map_err(|error| Failure::refused(folder.display(), plain(&error)))
}

/// Removes the tree of instance `os`, if there is one.
pub fn forget(os: u32) {
    // Nobody looks at it when the instance is gone, and the next one writes it anew.
    let _ = fs::remove_dir_all(folder(os));
}

/// The facts that the tree tells.
struct Tree {
    cpus: Vec<CpuView>,
    places: Vec<Place>,
    memory: MemorySpec,
}

impl Tree {
    fn write(&self, folder: &Path) -> io::Result<()> {
        let system = folder.join("sys/devices/system");
        self.write_cpus(&system.join("cpu"))?;
        self.write_nodes(&system.join("node"))?;
        let template = fs::read_to_string("/proc/cpuinfo")?;
        put(&folder.join("proc/cpuinfo"), &self.cpuinfo(&template))
    }

    /// All that the tree depends on and that may differ between two boots of an instance.
    fn made_of(&self) -> String {
        let mut text = format!("version {}\n", env!("CARGO_PKG_VERSION"));
        for (cpu, place) in self.cpus.iter().zip(&self.places) {
            text += &format!(
                "cpu {} {} {} {place:?}\n",
                cpu.linux_cpu, cpu.apic_id, cpu.node
            );
        }
        text += &format!("memory {:?}\n", self.memory.bytes);
        for name in COPIED {
            let folder = Path::new(CPUS).join(name);
            for (name, content) in plain_files(&folder) {
                text += &format!("{} {content}", name.display());
            }
        }
        text
    }

    fn all(&self) -> Vec<usize> {
        (0..self.cpus.len()).collect()
    }

    /// Numbers of the CPUs for which `wanted` holds.
    fn those(&self, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        self.all().into_iter().filter(|cpu| wanted(*cpu)).collect()
    }

    fn write_cpus(&self, folder: &Path) -> io::Result<()> {
        for name in ["online", "possible", "present"] {
            put(&folder.join(name), &list(&self.all()))?;
        }
        put(&folder.join("offline"), "\n")?;
        put(&folder.join("isolated"), "\n")?;
        put(&folder.join("kernel_max"), "255\n")?;
        for name in COPIED {
            copy_files(&Path::new(CPUS).join(name), &folder.join(name))?;
        }
        for cpu in self.all() {
            let folder = folder.join(format!("cpu{cpu}"));
            if cpu != 0 {
                put(&folder.join("online"), "1\n")?;
            }
            self.write_topology(cpu, &folder.join("topology"))?;
            self.write_caches(cpu, &folder.join("cache"))?;
            let node = format!("node{}", self.cpus[cpu].node);
            symlink(format!("../../node/{node}"), folder.join(node))?;
        }
        Ok(())
    }

    fn write_topology(&self, cpu: usize, folder: &Path) -> io::Result<()> {
        let own = self.places[cpu];
        let in_core = self.those(|other| self.places[other] == own);
        let in_package = self.those(|other| self.places[other].package == own.package);
        put(&folder.join("core_id"), &format!("{}\n", own.core))?;
        put(
            &folder.join("physical_package_id"),
            &format!("{}\n", own.package),
        )?;
        put(&folder.join("die_id"), "0\n")?;
        let sets = [
            ("thread_siblings", &in_core),
            ("core_cpus", &in_core),
            ("core_siblings", &in_package),
            ("package_cpus", &in_package),
            ("die_cpus", &in_package),
        ];
        for (name, cpus) in sets {
            put(&folder.join(name), &self.mask(cpus))?;
            put(&folder.join(format!("{name}_list")), &list(cpus))?;
        }
        Ok(())
    }

    fn write_caches(&self, cpu: usize, folder: &Path) -> io::Result<()> {
        for index in 0.. {
            let name = format!("index{index}");
            let model = Path::new(MODEL).join("cache").join(&name);
            let Ok(properties) = fs::read_dir(&model) else {
                break;
            };
            let folder = folder.join(name);
            for property in properties.flatten() {
                let name = property.file_name();
                let text = name.to_string_lossy();
                let is_own = text.starts_with("shared_") || text == "id";
                if let (false, Ok(text)) = (is_own, fs::read_to_string(property.path())) {
                    put(&folder.join(name), &text)?;
                }
            }
            let bits = place::cache_bits(index);
            let cache = |cpu: usize| self.cpus[cpu].apic_id >> bits;
            let sharing = self.those(|other| cache(other) == cache(cpu));
            put(&folder.join("id"), &format!("{}\n", cache(cpu)))?;
            put(&folder.join("shared_cpu_map"), &self.mask(&sharing))?;
            put(&folder.join("shared_cpu_list"), &list(&sharing))?;
        }
        Ok(())
    }

    fn write_nodes(&self, folder: &Path) -> io::Result<()> {
        let with_memory =
            |node: usize| self.memory.bytes.get(node).is_some_and(|bytes| *bytes != 0);
        let has_cpu = |node: usize| self.cpus.iter().any(|cpu| cpu.node == node as u64);
        let nodes = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..self.memory.bytes.len())
                .filter(|node| wanted(*node))
                .collect()
        };
        let present = nodes(&|node| with_memory(node) || has_cpu(node));
        for name in ["online", "possible"] {
            put(&folder.join(name), &list(&present))?;
        }
        put(&folder.join("has_cpu"), &list(&nodes(&has_cpu)))?;
        for name in ["has_memory", "has_normal_memory"] {
            put(&folder.join(name), &list(&nodes(&with_memory)))?;
        }
        for node in &present {
            self.write_node(*node, &present, &folder.join(format!("node{node}")))?;
        }
        Ok(())
    }

    fn write_node(&self, node: usize, present: &[usize], folder: &Path) -> io::Result<()> {
        let cpus = self.those(|cpu| self.cpus[cpu].node == node as u64);
        put(&folder.join("cpulist"), &list(&cpus))?;
        put(&folder.join("cpumap"), &self.mask(&cpus))?;
        let kib = self.memory.bytes.get(node).copied().unwrap_or(0) / 1024;
        put(
            &folder.join("meminfo"),
            &format!("Node {node} MemTotal:       {kib:8} kB\n"),
        )?;
        put(&folder.join("distance"), &distances(node, present))?;
        for cpu in cpus {
            let name = format!("cpu{cpu}");
            symlink(format!("../../cpu/{name}"), folder.join(name))?;
        }
        Ok(())
    }

    /// `/proc/cpuinfo` by Linux's text: all CPUs are like Linux's first.
    fn cpuinfo(&self, text: &str) -> String {
        let template = text.split("\n\n").next().unwrap_or_default();
        let mut shown = String::new();
        for cpu in self.all() {
            for line in template.lines() {
                let (head, _) = line.split_once(':').unwrap_or((line, ""));
                match self.cpuinfo_value(cpu, head.trim()) {
                    Some(value) => shown += &format!("{head}: {value}\n"),
                    None => shown += &format!("{line}\n"),
                }
            }
            shown.push('\n');
        }
        shown
    }

    fn cpuinfo_value(&self, cpu: usize, name: &str) -> Option<u64> {
        let own = self.places[cpu];
        let in_package = || {
            self.places
                .iter()
                .filter(|other| other.package == own.package)
        };
        Some(match name {
            "processor" => cpu as u64,
            "physical id" => own.package,
            "core id" => own.core,
            "siblings" => in_package().count() as u64,
            "cpu cores" => place::cores(in_package()),
            "apicid" | "initial apicid" => self.cpus[cpu].apic_id,
            _ => return None,
        })
    }

    /// `cpus` as Linux prints masks, in groups of 32 bits, as wide as there are CPUs.
    fn mask(&self, cpus: &[usize]) -> String {
        let groups = self.cpus.len().div_ceil(32).max(1);
        let mut words = vec![0_u32; groups];
        for cpu in cpus {
            words[cpu / 32] |= 1 << (cpu % 32);
        }
        let width = if groups == 1 {
            self.cpus.len().div_ceil(4)
        } else {
            8
        };
        let texts: Vec<String> = words
            .iter()
            .rev()
            .map(|word| format!("{word:0width$x}"))
            .collect();
        texts.join(",") + "\n"
    }
}

/// The distances of Linux's node `node` to `present`.
fn distances(node: usize, present: &[usize]) -> String {
    let read = |path: String| fs::read_to_string(path).unwrap_or_default();
    let online = read(format!("{NODES}/online"));
    let online = crate::list::parse(online.trim()).unwrap_or_default();
    let row = read(format!("{NODES}/node{node}/distance"));
    let numbers = crate::list::numbers(&online);
    let known: Vec<_> = numbers.iter().zip(row.split_whitespace()).collect();
    let far = |other: &usize| {
        let found = known.iter().find(|(number, _)| *number == other);
        found.map_or(if *other == node { "10" } else { "20" }, |(_, text)| text)
    };
    present.iter().map(far).collect::<Vec<_>>().join(" ") + "\n"
}

/// Ascending numbers as Linux prints lists.
fn list(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let text = |(first, last): &(usize, usize)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",") + "\n"
}

/// Names and texts of the plain files of Linux's folder `from`, if it has it.
fn plain_files(from: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(from).into_iter().flatten().flatten();
    let mut files: Vec<(PathBuf, String)> = entries
        .filter_map(|entry| {
            let text = fs::read_to_string(entry.path()).ok()?;
            Some((entry.file_name().into(), text))
        })
        .collect();
    files.sort();
    files
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for (name, text) in plain_files(from) {
        put(&to.join(name), &text)?;
    }
    Ok(())
}

/// Writes a file, and makes its folder if there is none yet.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let written = fs::write(path, text);
    match (&written, path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            fs::write(path, text)
        }
        _ => written,
    }
}

#[cfg(test)]
mod tests {
    use super::{list, Tree};
    use crate::place::Place;
    use ihk_ikc::uapi::MemorySpec;
    use ihk_ikc::view::CpuView;

    fn tree(count: usize) -> Tree {
        let cpu = |number: usize| CpuView {
            apic_id: number as u64 + 2,
            ..CpuView::default()
        };
        let place = |number: usize| Place {
            package: 0,
            core: number as u64 + 2,
        };
        Tree {
            cpus: (0..count).map(cpu).collect(),
            places: (0..count).map(place).collect(),
            memory: MemorySpec::default(),
        }
    }

    #[test]
    fn lists_and_masks_have_linuxs_form() {
        assert_eq!(list(&[]), "\n");
        assert_eq!(list(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8\n");
        assert_eq!(tree(2).mask(&[1]), "2\n");
        assert_eq!(tree(8).mask(&[1]), "02\n");
        assert_eq!(tree(34).mask(&[0, 33]), "00000002,00000001\n");
    }

    #[test]
    fn a_tree_of_other_processors_or_memory_is_made_of_something_else() {
        let first = tree(2).made_of();
        assert_eq!(first, tree(2).made_of());
        assert_ne!(first, tree(3).made_of());
        let mut other = tree(2);
        other.memory.bytes[1] = 1 << 21;
        assert_ne!(first, other.made_of());
        let mut other = tree(2);
        other.cpus[1].node = 1;
        assert_ne!(first, other.made_of());
        // Files that change while it runs are no part of it.
        let mut other = tree(2);
        other.cpus[1].busy_ns = 5;
        assert_eq!(first, other.made_of());
    }

    #[test]
    fn cpuinfo_has_a_block_for_each_cpu() {
        let text =
            "processor\t: 7\nmodel name\t: M\nsiblings\t: 9\napicid\t\t: 9\n\nprocessor\t: 8\n\n";
        assert_eq!(
            tree(2).cpuinfo(text),
            "processor\t: 0\nmodel name\t: M\nsiblings\t: 2\napicid\t\t: 2\n\nprocessor\t: 1\nmodel name\t: M\nsiblings\t: 2\napicid\t\t: 3\n\n"
        );
    }
}
