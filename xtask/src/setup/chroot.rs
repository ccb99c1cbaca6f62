// SPDX-License-Identifier: GPL-2.0
//! Runs a command inside a Debian tree, in namespaces of its own, so that nothing stays mounted or at work whatever
//! happens.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::host;

/// A tree to run commands in, and the folders of the host that they see.
#[derive(Debug)]
pub struct Chroot {
    tree: PathBuf,
    binds: Vec<(PathBuf, String)>,
}

/// Mounts and enters: temporary files are the command's own, because somebody may be copying the tree.
/// `$1` = tree, then pairs of host folder and place in the tree up to `--`, then the command.
const ENTER: &str = r#"
umask 022
tree=$1; shift
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount -t tmpfs -o mode=1777 tmp "$tree/tmp"
while [ "$1" != -- ]; do
    mkdir -p "$tree$2"
    mount --bind "$1" "$tree$2"
    shift 2
done
shift
exec chroot "$tree" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
"#;

impl Chroot {
    /// The tree at `tree`.
    #[must_use]
    pub fn new(tree: &Path) -> Self {
        Self {
            tree: tree.to_path_buf(),
            binds: Vec::new(),
        }
    }

    /// Shows the host's folder `host` at `inside`.
    #[must_use]
    pub fn bind(mut self, host: &Path, inside: &str) -> Self {
        self.binds.push((host.to_path_buf(), inside.to_string()));
        self
    }

    /// A command that runs `program` inside; arguments can be added.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = host::root_family("/bin/sh");
        command.args(["-ec", ENTER, "sh"]).arg(&self.tree);
        for (host, inside) in &self.binds {
            command.arg(host).arg(inside);
        }
        command.args(["--", program]);
        command
    }

    /// Lets name resolution inside work as on the host, which apt needs.
    ///
    /// # Errors
    /// The host's resolver configuration cannot be copied.
    pub fn share_resolver(&self) -> Result<()> {
        let target = self.tree.join("etc/resolv.conf");
        let here = std::fs::read("/etc/resolv.conf").context("resolv.conf")?;
        // Others may just be reading it.
        if std::fs::read(&target).is_ok_and(|there| there == here) {
            return Ok(());
        }
        host::as_root("cp", |command| {
            command
                .args(["--dereference", "/etc/resolv.conf"])
                .arg(&target)
        })
        .context("resolv.conf")
    }
}

#[cfg(test)]
mod tests {
    use super::Chroot;
    use std::path::Path;

    #[test]
    fn temporary_files_of_a_command_are_its_own() {
        let name = format!("/tmp/mckernel-chroot-{}", std::process::id());
        let script = format!("echo x >{name}; cat {name}");
        let mut command = Chroot::new(Path::new("/")).command("sh");
        let output = command.args(["-c", &script]).output().expect("unshare");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "x\n", "{output:?}");
        assert!(!Path::new(&name).exists());
    }
}
