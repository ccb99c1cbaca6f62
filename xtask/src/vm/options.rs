// SPDX-License-Identifier: GPL-2.0
//! The options of `cargo xtask vm`, their values and their checks.

use anyhow::{bail, ensure, Context, Result};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::setup::catalogue::Wanted;

/// The machine to boot and what to put in it.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct VmOptions {
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub smp: u32,
    /// Memory, as N[K|M|G]
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = parse_size)]
    pub mem: u64,
    /// NUMA nodes, equal contiguous parts of CPUs and memory
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub numa: u32,
    /// Machine with x2APIC and interrupt remapping
    #[arg(long)]
    pub x2apic: bool,
    /// QEMU CPU model
    #[arg(long, value_name = "MODEL", default_value = "max,-erms,-fsrm")]
    pub cpu: String,
    /// CPUs of the co-kernel [default: the upper half]
    #[arg(long, value_name = "LIST")]
    pub lwk_cpus: Option<String>,
    /// Memory of the co-kernel, SIZE@NODE{,SIZE@NODE}
    #[arg(long, value_name = "SPEC", default_value = "512M@0")]
    pub lwk_mem: String,
    /// Leave the co-kernel alone: modules not loaded, tools in PATH
    #[arg(long)]
    pub no_lwk: bool,
    /// Appended to the Linux command line
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub append: Option<String>,
    /// Arguments of the co-kernel
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub kargs: Option<String>,
    /// Copy files or folders into the guest (default place: /root/NAME)
    #[arg(long, value_name = "HOST[:GUEST]", num_args = 1..)]
    pub copy: Vec<OsString>,
    /// A guest without what only tests and curious people want: its root is the base tree's, and the tests' programs
    /// need not be built.
    #[arg(skip)]
    pub small: bool,
    /// Install Debian packages in the guest; cached per set
    #[arg(long, value_name = "DEBPKG", num_args = 1.., value_delimiter = ',')]
    pub install: Vec<String>,
    /// Kill the machine after so many seconds, status 124 [default: 600; interactive: none]
    #[arg(long, value_name = "S")]
    pub timeout: Option<u64>,
    /// Count instructions instead of time; deterministic, one vCPU runs at a time
    #[arg(long)]
    pub icount: bool,
    /// Load a QEMU TCG plugin, FILE[,ARG=VALUE…]
    #[arg(long, value_name = "FILE")]
    pub plugin: Vec<OsString>,
    /// Linux to build for and boot: SERIES[-FLAVOUR], as in 7.3, 7.2-amd64 or 7.3-rt [default: the newest known to pass]
    #[arg(
        long,
        value_name = "SERIES[-FLAVOUR]",
        env = "MCKERNEL_KERNEL",
        hide_env = true
    )]
    pub kernel: Option<Wanted>,
    /// Boot with what was built last
    #[arg(long, hide = true)]
    pub no_build: bool,
    /// Boot the compressed kernel through its own boot loader stub
    #[arg(long, hide = true)]
    pub bzimage: bool,
}

/// See [`KernelOption::make_default`].
static DEFAULT: OnceLock<Wanted> = OnceLock::new();

/// `--kernel`, for commands without the other options.
#[derive(Debug, Clone, Args)]
pub struct KernelOption {
    /// Linux to build for and boot: SERIES[-FLAVOUR], as in 7.3, 7.2-amd64 or 7.3-rt [default: the newest known to pass]
    #[arg(
        long,
        value_name = "SERIES[-FLAVOUR]",
        env = "MCKERNEL_KERNEL",
        hide_env = true
    )]
    kernel: Option<Wanted>,
}

impl KernelOption {
    /// The kernel that was asked for, or the default.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        self.kernel.clone().unwrap_or_default()
    }

    /// The kernel that was asked for.
    #[must_use]
    pub fn asked(&self) -> Option<Wanted> {
        self.kernel.clone()
    }

    /// Makes it what [`VmOptions::default`] has, for commands that make their machines themselves.
    pub fn make_default(&self) {
        if let Some(wanted) = &self.kernel {
            // The first one counts; a command has only one.
            let _ = DEFAULT.set(wanted.clone());
        }
    }

    /// What was made the default, or what the variable says that goes with the option.
    fn default_kernel() -> Option<Wanted> {
        if let Some(wanted) = DEFAULT.get() {
            return Some(wanted.clone());
        }
        let text = std::env::var("MCKERNEL_KERNEL").ok()?;
        match text.parse() {
            Ok(wanted) => Some(wanted),
            Err(error) => panic!("MCKERNEL_KERNEL {text}: {error:#}"),
        }
    }
}

impl Default for VmOptions {
    fn default() -> Self {
        Self {
            smp: 4,
            mem: 2 << 30,
            numa: 1,
            x2apic: false,
            cpu: "max,-erms,-fsrm".into(),
            lwk_cpus: None,
            lwk_mem: "512M@0".into(),
            no_lwk: false,
            append: None,
            kargs: None,
            copy: Vec::new(),
            small: false,
            install: Vec::new(),
            timeout: Some(600),
            icount: false,
            plugin: Vec::new(),
            kernel: KernelOption::default_kernel(),
            no_build: false,
            bzimage: false,
        }
    }
}

impl VmOptions {
    /// The kernel to boot.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        self.kernel.clone().unwrap_or_default()
    }

    /// Checks what only makes sense together.
    ///
    /// # Errors
    /// One line `OPTION VALUE: REASON`.
    pub fn check(&self) -> Result<()> {
        ensure!(
            (1..=255).contains(&self.smp),
            "--smp {}: not in 1-255",
            self.smp
        );
        ensure!(self.mem >= 256 << 20, "--mem {}: less than 256M", self.mem);
        ensure!(
            self.numa >= 1 && self.smp.is_multiple_of(self.numa),
            "--numa {}: does not divide --smp {}",
            self.numa,
            self.smp
        );
        let part = self.mem / u64::from(self.numa);
        ensure!(
            part.is_multiple_of(2 << 20),
            "--mem {}: parts of {} nodes are no multiple of 2M",
            self.mem,
            self.numa
        );
        ensure!(
            self.timeout != Some(0),
            "--timeout 0: not a positive number of seconds"
        );
        if !self.no_lwk {
            ensure!(
                self.smp >= 2,
                "--smp {}: the co-kernel needs a CPU of its own; use --no-lwk",
                self.smp
            );
        }
        for copy in &self.copy {
            let (host, _) = split_copy(copy)?;
            host.symlink_metadata()
                .with_context(|| format!("--copy {}", copy.display()))?;
        }
        Ok(())
    }

    /// The command that starts the co-kernel before the user's; empty with `--no-lwk`.
    #[must_use]
    pub fn mcreboot(&self) -> Vec<Vec<u8>> {
        if self.no_lwk {
            return Vec::new();
        }
        let upper_half = match (self.smp / 2, self.smp - 1) {
            (first, last) if first == last => last.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let cpus = self.lwk_cpus.clone().unwrap_or(upper_half);
        let mut argv = vec!["mcreboot", "-c", &cpus, "-m", &self.lwk_mem];
        if let Some(kargs) = &self.kargs {
            argv.extend(["-k", kargs]);
        }
        argv.into_iter()
            .map(|word| word.as_bytes().to_vec())
            .collect()
    }
}

/// Splits `HOST[:GUEST]` at the last colon; GUEST defaults to /root/NAME.
///
/// # Errors
/// GUEST is not an absolute path, or HOST has no name to use.
pub fn split_copy(text: &OsString) -> Result<(PathBuf, PathBuf)> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = text.as_bytes();
    if let Some(at) = bytes.iter().rposition(|&byte| byte == b':') {
        let host = PathBuf::from(OsString::from_vec(bytes[..at].to_vec()));
        let guest = PathBuf::from(OsString::from_vec(bytes[at + 1..].to_vec()));
        let plain = guest
            .components()
            .all(|part| !matches!(part, std::path::Component::ParentDir));
        ensure!(
            guest.is_absolute() && plain,
            "--copy {}: the guest's path is not absolute",
            text.display()
        );
        return Ok((host, guest));
    }
    let host = PathBuf::from(text);
    let absolute =
        std::path::absolute(&host).with_context(|| format!("--copy {}", text.display()))?;
    let name = absolute
        .file_name()
        .with_context(|| format!("--copy {}: has no name", text.display()))?;
    Ok((host, PathBuf::from("/root").join(name)))
}

/// Parses N[K|M|G] (binary multiples) into bytes.
fn parse_size(text: &str) -> Result<u64> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits
        .parse::<u64>()
        .ok()
        .filter(|_| plain)
        .and_then(|number| number.checked_mul(1 << shift));
    match number {
        Some(bytes) => Ok(bytes),
        None => bail!("not a size N[K|M|G]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_and_strict() {
        assert_eq!(parse_size("3G").unwrap(), 3 << 30);
        assert_eq!(parse_size("4096").unwrap(), 4096);
        for bad in ["", "G", "+1G", "1g", "1.5G", "99999999999G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn copy_splits_at_the_last_colon() {
        let pair = |text: &str| split_copy(&OsString::from(text)).unwrap();
        assert_eq!(pair("a:b:/c"), ("a:b".into(), "/c".into()));
        assert_eq!(pair("x/y"), ("x/y".into(), "/root/y".into()));
        assert!(split_copy(&OsString::from("a:b")).is_err());
    }

    #[test]
    fn cokernel_gets_the_upper_half() {
        let words = |options: VmOptions| {
            options
                .mcreboot()
                .iter()
                .map(|w| String::from_utf8_lossy(w).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(words(VmOptions::default())[..3], ["mcreboot", "-c", "2-3"]);
        assert_eq!(
            words(VmOptions {
                smp: 2,
                ..VmOptions::default()
            })[2],
            "1"
        );
        assert_eq!(
            words(VmOptions {
                smp: 5,
                ..VmOptions::default()
            })[2],
            "2-4"
        );
        assert!(words(VmOptions {
            no_lwk: true,
            ..VmOptions::default()
        })
        .is_empty());
    }
}
