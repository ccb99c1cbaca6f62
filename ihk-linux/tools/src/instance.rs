// SPDX-License-Identifier: GPL-2.0
//! The steps of an instance's life, each with its error line.

use std::fs::File;

use crate::device::Mcd;
use crate::device::Mcos;
use crate::failure::{Failure, Result};
use crate::image::Image;
use crate::operand::{parse_cpus, parse_memory};
use crate::reasons::{reason, Action};
use crate::{kmsg, list, memory, views};

/// Gives `os` the reserved CPUs that `text` (a LIST or `all`) names.
///
/// # Errors
///
/// `text` is no LIST, or they are not all reserved and unassigned.
pub fn assign_cpus(os: &Mcos, text: &str) -> Result {
    let what = format!("assign cpu {text}");
    let failed = |errno| Failure::refused(&what, reason(Action::UseReserved, errno));
    let cpus = if text == "all" {
        Mcd::open("0")?.cpus().map_err(failed)?
    } else {
        parse_cpus(&what, text)?
    };
    if list::is_empty(&cpus) {
        return Err(Failure::refused(&what, "nothing is reserved"));
    }
    os.assign_cpus(&cpus).map_err(failed)
}

/// Gives `os` the reserved memory that `text` (a SPEC or `all`) names.
///
/// # Errors
///
/// `text` is no SPEC, or less is reserved and unassigned.
pub fn assign_memory(os: &Mcos, text: &str) -> Result {
    let what = format!("assign mem {text}");
    let failed = |errno| Failure::refused(&what, reason(Action::UseReserved, errno));
    let spec = if text == "all" {
        Mcd::open("0")?.memory().map_err(failed)?
    } else {
        parse_memory(&what, text)?
    };
    if memory::is_empty(&spec) {
        return Err(Failure::refused(&what, "nothing is reserved"));
    }
    os.assign_memory(&spec).map_err(failed)
}

/// Loads a checked image.
///
/// # Errors
///
/// The module refuses it.
pub fn load(os: &Mcos, image: &Image) -> Result {
    let done = os.load(&image.plan, &image.file);
    done.map_err(|errno| Failure::refused("load", reason(Action::Load, errno)))
}

/// Sets the arguments of the next boot.
///
/// # Errors
///
/// They are too long, or the instance runs.
pub fn set_kargs(os: &Mcos, kargs: &str) -> Result {
    let done = os.set_kargs(kargs);
    done.map_err(|errno| {
        Failure::refused(format_args!("kargs {kargs:?}"), reason(Action::Boot, errno))
    })
}

/// Boots; what the co-kernel said last is part of the error.
///
/// # Errors
///
/// It is not RUNNING now, or what its programs see of the machine cannot be written.
pub fn boot(os: &Mcos) -> Result {
    os.boot().map_err(|errno| {
        let said = kmsg::last_line(os)
            .map(|line| format!("; its last words: {line}"))
            .unwrap_or_default();
        let what = format!("boot {}", os.number());
        Failure::refused(what, format_args!("{}{said}", reason(Action::Boot, errno)))
    })?;
    name_mcexec(os);
    views::write(os)
}

/// Names the mcexec that lies beside this tool, as it was installed. Without one, or without mcctrl.ko,
/// programs run but cannot execute others.
fn name_mcexec(os: &Mcos) {
    let here = std::env::current_exe().unwrap_or_default();
    let beside = here
        .parent()
        .into_iter()
        .flat_map(|folder| [folder.join("mcexec"), folder.join("../bin/mcexec")]);
    if let Some(mcexec) = beside.filter_map(|path| File::open(path).ok()).next() {
        let _ = os.set_mcexec(&mcexec);
    }
}

/// Shuts down, with `force` even if programs run.
///
/// # Errors
///
/// Programs run, or nothing does.
pub fn shutdown(os: &Mcos, force: bool) -> Result {
    let what = format!("shutdown {}", os.number());
    os.shutdown(force)
        .map_err(|errno| Failure::refused(what, reason(Action::Stop, errno)))
}
