// SPDX-License-Identifier: GPL-2.0
//! The gate by which mcexec calls without a descriptor: a mapping, and a table of calls in mcexec's own
//! memory. A fork inherits it, so nothing but the calling process counts.

use super::ioctl;
use crate::ffi::gate_file::{self, GateOperations, GateOps};
use crate::ffi::task::AddressSpace;
use crate::ffi::user;
use crate::process::adopt;
use crate::process::births::Births;
use crate::process::execution::Execution;
use crate::process::instance::Instance;
use crate::proto::uapi::{self, gate};
use kernel::{prelude::*, sync::Arc};

/// The way of a process to one instance.
pub(crate) struct Gate {
    instance: Arc<Instance>,
    /// The one that has led to this process's image.
    execution: Option<Arc<Execution>>,
    /// Children of those who have it.
    births: Births,
}

static FILE_OPERATIONS: GateOperations<Gate> = GateOperations::new();

impl GateOps for Gate {
    fn file_operations() -> &'static GateOperations<Self> {
        &FILE_OPERATIONS
    }

    fn call(&self, index: u64) -> Result {
        let place = gate::place(index).ok_or(EINVAL)?;
        let place = usize::try_from(place).map_err(|_| EFAULT)?;
        let call = user::read::<gate::Call>(place)?;
        let argument = usize::try_from(call.argument).map_err(|_| EFAULT)?;
        match (call.command, &self.execution) {
            (uapi::CARRIED, execution) => return execution.as_ref().ok_or(ENOENT)?.tell(argument),
            (uapi::START, Some(execution)) => execution.program_runs(),
            (uapi::ANNOUNCE_FORK, _) => return self.births.announce(call.argument),
            (uapi::ADOPT_PROCESS, _) => {
                return adopt::adopt(&self.instance, &self.births.take()?, argument);
            }
            _ => {}
        }
        ioctl::serve(Some(&self.instance), call.command, argument)
    }

    fn inherited(&self, child: AddressSpace) {
        self.births.inherited(child);
    }

    fn gone(&self, space: &AddressSpace) {
        self.births.gone(space);
    }
}

/// MAP_GATE: ESRCH if no co-kernel runs, EEXIST if the caller has a gate.
pub(crate) fn map(instance: &Arc<Instance>) -> Result {
    let gate = Gate {
        instance: instance.clone(),
        execution: None,
        births: Births::new(),
    };
    gate_file::map_gate(Arc::new(gate, GFP_KERNEL)?)
}

/// Gives the calling process, whose image `execution` has led to, its gate.
pub(crate) fn attach(execution: Arc<Execution>) -> Result {
    let gate = Gate {
        instance: execution.instance.clone(),
        execution: Some(execution),
        births: Births::new(),
    };
    gate_file::map_gate(Arc::new(gate, GFP_KERNEL)?)
}
