// SPDX-License-Identifier: GPL-2.0
//! Memory policies of threads and areas. Nodes have Linux's numbers; those without memory of the
//! partition do not exist.

use cokernel_logic::policy::{Mode, Policy};
use cokernel_logic::vma::{Attributes, Range};
use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::process::capability;

use crate::addr::{is_page_aligned, page_up};
use crate::arch::UserFrame;
use crate::aspace::space::Inner;
use crate::errno::{Errno, SyscallResult};
use crate::mm::{fault, migrate};
use crate::partition;
use crate::process::rights;
use crate::task::process::Process;
use crate::task::{current, sched};
use crate::user_memory::{read_words, uint, write_u32, write_words};

/// Flag of `get_mempolicy` (`MPOL_F_NODE`): it answers a node instead of a mode.
const TELL_NODE: u32 = 1;
/// About an address instead of the thread.
const ABOUT_ADDRESS: u32 = 2;
/// The nodes there are.
const ALL_NODES: u32 = 4;

/// Pages must be where the policy says.
const MBIND_STRICT: u32 = 1;
/// Move those that are not.
pub const MOVE: u32 = 2;
/// Even those that others have, too.
pub const MOVE_ALL: u32 = 4;

/// Most bits of a node mask, as on Linux: those of a page.
const MOST_BITS: u64 = PAGE_BYTES * 8;

/// set_mempolicy(2).
pub fn set_mempolicy(frame: &mut UserFrame) -> SyscallResult {
    let [mode, mask, bits, ..] = frame.args();
    let policy = policy_of(uint(mode), read_nodes(mask, bits)?)?;
    sched::current().data.set_policy(policy);
    Ok(0)
}

/// get_mempolicy(2).
pub fn get_mempolicy(frame: &mut UserFrame) -> SyscallResult {
    let [mode, mask, bits, address, flags] = first_five(frame);
    let flags = uint(flags);
    let about_address = flags & ABOUT_ADDRESS != 0;
    let highest = 64 - u64::from(partition::map().nodes().leading_zeros());
    if flags & !(TELL_NODE | ABOUT_ADDRESS | ALL_NODES) != 0
        || mask != 0 && bits < highest
        || flags & ALL_NODES != 0 && flags != ALL_NODES
        || address != 0 && !about_address
    {
        return Err(Errno::EINVAL);
    }
    let (number, nodes) = if flags & ALL_NODES != 0 {
        (0, partition::map().nodes())
    } else if about_address {
        about(current::process(), address, flags & TELL_NODE != 0)?
    } else {
        let policy = sched::current().data.policy();
        (said(&policy, flags & TELL_NODE != 0)?, policy.nodes)
    };
    if mode != 0 {
        write_u32(mode, number)?;
    }
    write_nodes(mask, bits, nodes)?;
    Ok(0)
}

/// mbind(2).
pub fn mbind(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, mode, mask, bits, flags] = frame.args();
    let flags = uint(flags);
    if flags & !(MBIND_STRICT | MOVE | MOVE_ALL) != 0 || !is_page_aligned(start) {
        return Err(Errno::EINVAL);
    }
    if flags & MOVE_ALL != 0 && !rights::has(capability::SYS_NICE) {
        return Err(Errno::EPERM);
    }
    let range = page_up(bytes)
        .and_then(|bytes| Range::new(start, bytes))
        .ok_or(Errno::EINVAL)?;
    let policy = policy_of(uint(mode), read_nodes(mask, bits)?)?;
    if range.is_empty() {
        return Ok(0);
    }
    let process = current::process();
    let _layout = process.space.lock_layout();
    process.space.with(|inner| {
        if !inner.areas.is_covered(range) {
            return Err(Errno::EFAULT);
        }
        inner.check_split(range)?;
        let policy = inner.intern(policy)?;
        inner
            .areas
            .update(range, |what| Attributes { policy, ..what });
        Ok(())
    })?;
    if policy.mode == Mode::Default || flags == 0 {
        return Ok(0);
    }
    let left = migrate::apply(process, range, &policy, flags & (MOVE | MOVE_ALL) != 0);
    if left != 0 && flags & MBIND_STRICT != 0 {
        return Err(Errno::EIO);
    }
    Ok(0)
}

/// set_mempolicy_home_node(2).
pub fn set_mempolicy_home_node(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, home, flags, ..] = frame.args();
    let home = u32::try_from(home).map_err(|_| Errno::EINVAL)?;
    let is_there = partition::map().nodes() & 1_u64.checked_shl(home).unwrap_or(0) != 0;
    if !is_page_aligned(start) || flags != 0 || !is_there {
        return Err(Errno::EINVAL);
    }
    // The last page of all rounds up to nothing, as on Linux.
    let range = Range::new(start, page_up(bytes).unwrap_or(0)).ok_or(Errno::EINVAL)?;
    if range.is_empty() {
        return Ok(0);
    }
    let process = current::process();
    let _layout = process.space.lock_layout();
    process.space.with(|inner| set_home(inner, range, home))
}

/// Sets the home of the areas in `range` that have policies, up to the first that cannot have one.
fn set_home(inner: &mut Inner, range: Range, home: u32) -> SyscallResult {
    inner.check_split(range)?;
    let mut result = Err(Errno::ENOENT);
    for area in inner.areas.parts(range) {
        let Some(policy) = inner.own_policy(&area.attributes) else {
            continue;
        };
        let policy = policy.at_home(home).map_err(|_| Errno::EOPNOTSUPP)?;
        let policy = inner.intern(policy)?;
        inner
            .areas
            .update(area.range, |what| Attributes { policy, ..what });
        result = Ok(0);
    }
    result
}

fn first_five(frame: &UserFrame) -> [u64; 5] {
    let [a, b, c, d, e, _] = frame.args();
    [a, b, c, d, e]
}

fn policy_of(mode: u32, nodes: u64) -> Result<Policy, Errno> {
    Policy::new(mode, nodes, partition::map().nodes()).map_err(|_| Errno::EINVAL)
}

/// The number that `get_mempolicy` answers for a thread.
fn said(policy: &Policy, tell_node: bool) -> Result<u32, Errno> {
    match policy.mode {
        Mode::Interleave | Mode::WeightedInterleave if tell_node => Ok(policy.place(0, 0).near),
        _ if tell_node => Err(Errno::EINVAL),
        mode => Ok(mode as u32 | policy.flags),
    }
}

/// The answer of `get_mempolicy` about an address.
fn about(process: &Process, address: u64, tell_node: bool) -> Result<(u32, u64), Errno> {
    let space = &process.space;
    let policy = space.with(|inner| {
        let area = inner.areas.find(address).ok_or(Errno::EFAULT)?;
        Ok(inner.own_policy(&area.attributes).unwrap_or_default())
    })?;
    if !tell_node {
        return Ok((said(&policy, false)?, policy.nodes));
    }
    fault::bring_in(process, address, false)?;
    let page = space.with(|inner| inner.table.lookup(address));
    let node = page.and_then(|page| partition::node_of(page.pa));
    Ok((node.ok_or(Errno::EFAULT)?, policy.nodes))
}

/// The node mask of `bits` − 1 bits at `address`; a number of bits is one too high in these calls.
///
/// # Errors
///
/// `EINVAL` for nodes that cannot be, `EFAULT`.
pub fn read_nodes(address: u64, bits: u64) -> Result<u64, Errno> {
    let bits = bits.wrapping_sub(1);
    if address == 0 || bits == 0 || bits == u64::MAX {
        return Ok(0);
    }
    if bits > MOST_BITS {
        return Err(Errno::EINVAL);
    }
    let [first] = read_words::<1>(address)?;
    for offset in (8..bits.div_ceil(64) * 8).step_by(8) {
        let at = address.checked_add(offset).ok_or(Errno::EFAULT)?;
        if read_words::<1>(at)? != [0] {
            return Err(Errno::EINVAL);
        }
    }
    Ok(first
        & 1_u64
            .checked_shl(uint(bits))
            .map_or(u64::MAX, |end| end - 1))
}

fn write_nodes(address: u64, bits: u64, nodes: u64) -> Result<(), Errno> {
    if address == 0 {
        return Ok(());
    }
    for (index, offset) in
        (0..bits.wrapping_sub(1).div_ceil(64).min(MOST_BITS / 64)).zip((0..).step_by(8))
    {
        let word = if index == 0 { nodes } else { 0 };
        write_words(address.checked_add(offset).ok_or(Errno::EFAULT)?, &[word])?;
    }
    Ok(())
}
