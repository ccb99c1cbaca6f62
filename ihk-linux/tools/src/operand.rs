// SPDX-License-Identifier: GPL-2.0
//! LIST and SPEC as operands of a command and as answers of a query.

use ihk_ikc::uapi::{CpuSet, MemorySpec};

use crate::failure::{say, say_json, Failure, Result};
use crate::list;
use crate::memory::{self, SpecError};

/// The CPUs that operand `text` of `what` names.
///
/// # Errors
///
/// It is no LIST.
pub fn parse_cpus(what: &str, text: &str) -> Result<CpuSet> {
    list::parse(text).map_err(|reason| Failure::usage(what, reason))
}

/// The memory that operand `text` of `what` names.
///
/// # Errors
///
/// It is no SPEC, or an impossible one.
pub fn parse_memory(what: &str, text: &str) -> Result<MemorySpec> {
    memory::parse(text).map_err(|error| match error {
        SpecError::Malformed(reason) => Failure::usage(what, reason),
        SpecError::Impossible(reason) => Failure::refused(what, reason),
    })
}

/// Prints CPUs as a LIST or as `{"cpus":[…]}`.
///
/// # Errors
///
/// stdout takes no more.
pub fn print_cpus(cpus: CpuSet, json: bool) -> Result {
    if json {
        return say_json(&serde_json::json!({ "cpus": list::numbers(&cpus) }));
    }
    say(format_args!("{}\n", list::print(&cpus)))
}

/// Prints memory as a SPEC or as `{"mem":[{"node":…,"bytes":…}]}`.
///
/// # Errors
///
/// stdout takes no more.
pub fn print_memory(spec: MemorySpec, json: bool) -> Result {
    if json {
        #[derive(serde::Serialize)]
        struct Answer {
            mem: Vec<memory::NodeBytes>,
        }
        return say_json(&Answer {
            mem: memory::nodes(&spec),
        });
    }
    say(format_args!("{}\n", memory::print(&spec)))
}
