// SPDX-License-Identifier: GPL-2.0
//! Affinity and scheduling of threads. CPU numbers are the co-kernel's own.

use alloc::sync::Arc;

use cokernel_logic::affinity::{bytes_told, Affinity};
use cokernel_logic::syscall::membarrier::{self, Deed};
use cokernel_logic::vma::Range;
use ihk_ikc::process::right;

use crate::addr::to_usize;
use crate::arch::{self, UserFrame};
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::rights::{self, Question};
use crate::task::process::Process;
use crate::task::thread::Thread;
use crate::task::{current, process, sched};
use crate::user_memory::{int, read_bytes, uint, write_bytes, write_u32};

/// sched_yield(2).
pub fn sched_yield(_: &mut UserFrame) -> SyscallResult {
    sched::yield_now();
    Ok(0)
}

/// getcpu(2).
pub fn getcpu(frame: &mut UserFrame) -> SyscallResult {
    let [cpu, node, ..] = frame.args();
    let here = arch::this_cpu();
    if cpu != 0 {
        write_u32(cpu, here.index())?;
    }
    if node != 0 {
        write_u32(node, here.node())?;
    }
    Ok(0)
}

/// sched_getaffinity(2): returns how many bytes it wrote.
pub fn sched_getaffinity(frame: &mut UserFrame) -> SyscallResult {
    let [tid, bytes, mask, ..] = frame.args();
    let mask_bytes = bytes_told(bytes, arch::cpu_count())?;
    let Some(thread) = thread_of(int(tid), right::SEE_CPUS)? else {
        return delegate::call_directly(frame.number(), frame.args());
    };
    let affinity = thread.data.affinity();
    write_bytes(
        mask,
        &affinity.within(arch::cpu_count()).bytes()[..to_usize(mask_bytes)],
    )?;
    Ok(mask_bytes)
}

/// sched_setaffinity(2).
pub fn sched_setaffinity(frame: &mut UserFrame) -> SyscallResult {
    let [tid, bytes, mask, ..] = frame.args();
    let Some(target) = thread_of(int(tid), right::SET_CPUS)? else {
        return delegate::call_directly(frame.number(), frame.args());
    };
    let mut wanted = Affinity::NONE.bytes();
    let bytes = usize::try_from(uint(bytes)).unwrap_or(0).min(wanted.len());
    read_bytes(mask, &mut wanted[..bytes])?;
    let wanted = Affinity::from_bytes(wanted).within(arch::cpu_count());
    wanted.first().ok_or(Errno::EINVAL)?;
    target.data.set_affinity(wanted);
    // It moves on its way back to user mode, if it must.
    target.request_return_work();
    sched::kick(&target);
    Ok(0)
}

/// The thread with id `tid` (0 = the caller), if it runs on the co-kernel and Linux permits `what` (one of
/// [`right`]) with it. With the program's own threads everything is permitted.
fn thread_of(tid: i32, what: u32) -> Result<Option<Arc<Thread>>, Errno> {
    let me = sched::current_arc();
    if tid == 0 || tid == me.data.tid {
        return Ok(Some(me));
    }
    let mut own = current::process().threads().into_iter();
    match own.find(|thread| thread.data.tid == tid) {
        Some(thread) => Ok(Some(thread)),
        None => rights::ask(Question::about(what, tid)).map(|subject| subject.thread()),
    }
}

/// membarrier(2).
pub fn membarrier(frame: &mut UserFrame) -> SyscallResult {
    let [command, flags, ..] = frame.args();
    let process = current::process();
    match membarrier::deed(uint(command), uint(flags), process.barriers.registered())? {
        Deed::Answer(answer) => Ok(answer),
        Deed::Register(kind) => {
            process.barriers.register(kind);
            Ok(0)
        }
        Deed::Barrier => {
            // An interrupt of every CPU that runs the program is a barrier there, and its return
            // serialises the instruction stream.
            process.space.flush(Range { start: 0, end: 0 });
            Ok(0)
        }
        Deed::BarrierForAll(kind) => {
            let has_registered =
                |process: &&Arc<Process>| process.barriers.registered() & kind != 0;
            for process in process::all().iter().filter(has_registered) {
                process.space.flush(Range { start: 0, end: 0 });
            }
            // Linux's processes may share memory with ours.
            delegate::call_directly(frame.number(), frame.args())
        }
    }
}
