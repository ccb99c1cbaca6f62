// SPDX-License-Identifier: GPL-2.0
//! prctl and personality: what concerns the proxy as a Linux process goes there, what would act on
//! its memory or filter its calls does not.

use crate::arch::UserFrame;
use crate::delegate::{self, pool};
use crate::errno::{Errno, SyscallResult};
use crate::task::sched;
use crate::user_memory::{int, uint, write_u32, write_words};

/// What the worker gets when the parent of its process ends goes with the thread.
const PR_SET_PDEATHSIG: i32 = 1;
const PR_SET_NAME: i32 = 15;
/// Options that change what new threads inherit.
const KEEPCAPS: i32 = 8;
const CAPBSET_DROP: i32 = 24;
const SECUREBITS: i32 = 28;
const TIMERSLACK: i32 = 29;
const NO_NEW_PRIVS: i32 = 38;
const CAP_AMBIENT: i32 = 47;
const PR_GET_SECCOMP: i32 = 21;
const PR_GET_TID_ADDRESS: i32 = 40;
const PR_GET_TSC: i32 = 25;
const PR_SET_TSC: i32 = 26;
/// The time stamp counter can be read.
const TSC_ENABLED: u32 = 1;
const PR_SET_PTRACER: i32 = 0x5961_6d61;

/// Personality flags that change how memory is laid out or protected.
const MEMORY_FLAGS: u32 = 0x0010_0000 | 0x0040_0000 | 0x0020_0000 | 0x0080_0000;
/// Only asks.
const PERSONALITY_QUERY: u32 = u32::MAX;

/// prctl(2).
pub fn prctl(frame: &mut UserFrame) -> SyscallResult {
    let [option, argument, ..] = frame.args();
    match int(option) {
        // PDEATHSIG, DUMPABLE, KEEPCAPS, NAME, CAPBSET, SECUREBITS, TIMERSLACK, CHILD_SUBREAPER,
        // NO_NEW_PRIVS, CAP_AMBIENT, SPECULATION_CTRL (asking), PTRACER; what changes nothing here but can
        // be asked for again: TIMING, TASK_PERF_EVENTS, MCE_KILL, THP_DISABLE, IO_FLUSHER
        PR_SET_PDEATHSIG | PR_SET_NAME => {
            pool::mark_current(false);
            delegate::call_directly(frame.number(), frame.args())
        }
        KEEPCAPS | CAPBSET_DROP | SECUREBITS | TIMERSLACK | NO_NEW_PRIVS | CAP_AMBIENT => {
            pool::mark_current(true);
            delegate::call_directly(frame.number(), frame.args())
        }
        2..=4
        | 7
        | 13
        | 14
        | 16
        | 23
        | 27
        | 30..=34
        | 36
        | 37
        | 39
        | 41
        | 42
        | 52
        | 57
        | 58
        | PR_SET_PTRACER => delegate::call_directly(frame.number(), frame.args()),
        PR_GET_SECCOMP => Ok(0),
        PR_GET_TSC => {
            write_u32(argument, TSC_ENABLED)?;
            Ok(0)
        }
        // To fault on reading it cannot be asked for.
        PR_SET_TSC if argument == u64::from(TSC_ENABLED) => Ok(0),
        PR_GET_TID_ADDRESS => {
            write_words(argument, &[sched::current().data.clear_child_tid()])?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// personality(2).
pub fn personality(frame: &mut UserFrame) -> SyscallResult {
    let wanted = uint(frame.args()[0]);
    if wanted != PERSONALITY_QUERY && wanted & MEMORY_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if wanted != PERSONALITY_QUERY {
        pool::mark_current(true);
    }
    delegate::call_directly(frame.number(), frame.args())
}
