// SPDX-License-Identifier: GPL-2.0
//! Interrupt lines of our own: a child of the vector domain, so that we are told where a line's
//! vector moves (affinity, CPU hot-unplug).

use super::{apic, compat::HandlerResult, cpu};
use kernel::bindings;
use kernel::error::{from_err_ptr, to_result};
use kernel::prelude::*;
use kernel::str::CString;

/// A static of the C side that nobody writes.
struct Constant<T>(T);
// SAFETY: never written; Linux only reads it.
unsafe impl<T> Sync for Constant<T> {}

#[allow(clippy::disallowed_methods, reason = "`as_char_ptr` is not const")]
static CHIP: Constant<bindings::irq_chip> = Constant(bindings::irq_chip {
    name: c"IHK-IPI".as_ptr().cast(),
    irq_ack: Some(bindings::irq_chip_ack_parent),
    irq_set_affinity: Some(set_affinity),
    irq_retrigger: Some(bindings::irq_chip_retrigger_hierarchy),
    flags: bindings::IRQCHIP_SKIP_SET_WAKE as usize,
    ..pin_init::zeroed()
});

static OPERATIONS: Constant<bindings::irq_domain_ops> = Constant(bindings::irq_domain_ops {
    alloc: Some(allocate),
    free: Some(bindings::irq_domain_free_irqs_common),
    ..pin_init::zeroed()
});

/// Told that Linux has moved line `irq`, which is raised by `word` from now on (see
/// [`apic::command_word`]). Interrupts are off, and Linux holds a raw lock.
pub(crate) type Moved = fn(irq: u32, word: u64);

/// Linux moves a line: let the vector domain do it, then tell whom [`Domain::new`] was given.
///
/// # Safety
///
/// Called by Linux for a line of ours, with its descriptor locked.
unsafe extern "C" fn set_affinity(
    data: *mut bindings::irq_data,
    mask: *const bindings::cpumask,
    force: bool,
) -> c_int {
    // SAFETY: Linux's arguments, passed on unchanged.
    let result = unsafe { bindings::irq_chip_set_affinity_parent(data, mask, force) };
    // SAFETY: Linux's argument is a valid line of ours, locked by the caller, and lines go before
    // their domain, whose data `Domain::new` has set to a function of this type.
    let (irq, word, moved) = unsafe {
        let moved = (*(*data).domain).host_data;
        let moved = core::mem::transmute::<*mut c_void, Moved>(moved);
        ((*data).irq, command_word(data), moved)
    };
    if let Some(word) = word {
        moved(irq, word);
    }
    result
}

/// Makes `count` new lines of `domain`, as Linux asks for them.
///
/// # Safety
///
/// Called by Linux on behalf of [`Line::new`].
unsafe extern "C" fn allocate(
    domain: *mut bindings::irq_domain,
    first: c_uint,
    count: c_uint,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: Linux's arguments, passed on unchanged.
    let result = unsafe { bindings::irq_domain_alloc_irqs_parent(domain, first, count, argument) };
    if result != 0 {
        return result;
    }
    for irq in (0..count).map(|offset| first.wrapping_add(offset)) {
        // SAFETY: the line was just allocated in the parent; all pointers are static.
        unsafe {
            bindings::irq_domain_set_info(
                domain,
                irq,
                irq as usize,
                &CHIP.0,
                core::ptr::null_mut(),
                Some(bindings::handle_edge_irq),
                core::ptr::null_mut(),
                c"edge".as_char_ptr(),
            );
        }
    }
    0
}

/// The command that raises the line of `data`, see [`apic::command_word`].
///
/// # Safety
///
/// `data` must belong to a line of ours.
unsafe fn command_word(data: *mut bindings::irq_data) -> Option<u64> {
    // SAFETY: the caller's promise.
    let target = unsafe { bindings::irqd_cfg(data).as_ref() }?;
    Some(apic::command_word(target.vector, target.dest_apicid))
}

/// Our interrupt domain. Lines must be dropped before it.
pub(crate) struct Domain {
    domain: *mut bindings::irq_domain,
    name: *mut bindings::fwnode_handle,
}

// SAFETY: the pointers are handles that any task may use.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}

impl Domain {
    /// Creates it; `moved` is told when Linux moves one of its lines.
    pub(crate) fn new(moved: Moved) -> Result<Self> {
        // SAFETY: the label is static.
        let name = unsafe {
            bindings::__irq_domain_alloc_fwnode(
                bindings::IRQCHIP_FWNODE_NAMED,
                0,
                c"IHK-IPI".as_char_ptr(),
                core::ptr::null_mut(),
                core::ptr::null_mut(),
            )
        };
        if name.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: `x86_vector_domain` is set at boot and constant.
        let parent = unsafe { bindings::x86_vector_domain };
        let info = bindings::irq_domain_info {
            fwnode: name,
            ops: &OPERATIONS.0,
            parent,
            hwirq_max: !0,
            host_data: moved as *mut c_void,
            ..Default::default()
        };
        // SAFETY: `info` is complete; Linux copies it.
        match from_err_ptr(unsafe { bindings::irq_domain_instantiate(&info) }) {
            Ok(domain) => Ok(Self { domain, name }),
            Err(error) => {
                // SAFETY: allocated above, used by nobody.
                unsafe { bindings::irq_domain_free_fwnode(name) };
                Err(error)
            }
        }
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // SAFETY: made by `new`; the lines are gone, as the type's contract says.
        unsafe {
            bindings::irq_domain_remove(self.domain);
            bindings::irq_domain_free_fwnode(self.name);
        }
    }
}

/// The function that a line calls: in a hard interrupt, with PREEMPT_RT in a thread of the line. Both are
/// meant wherever a line's handler is spoken of.
pub(crate) type Handler = extern "C" fn(irq: c_int, cookie: *mut c_void) -> HandlerResult;

/// One interrupt line with its handler.
pub(crate) struct Line {
    irq: u32,
    /// Linux keeps a pointer to it.
    _name: CString,
}

impl Line {
    /// Makes a line called `name` that calls `handler`, on CPU `number` if that is online.
    pub(crate) fn new(
        domain: &Domain,
        name: CString,
        handler: Handler,
        number: u32,
    ) -> Result<Self> {
        let irq = Self::allocate(domain)?;
        if cpu::is_online(number) {
            // Before it is requested, so that its first vector is right and nothing has to move.
            // A refusal does no harm: the line works from any CPU.
            let _ = set_target(irq, number);
        }
        // SAFETY: the line is ours, the name lives as long as the line, the cookie is not used.
        let result = unsafe {
            let name = name.as_char_ptr();
            bindings::request_threaded_irq(irq, Some(handler), None, 0, name, core::ptr::null_mut())
        };
        if let Err(error) = to_result(result) {
            // SAFETY: allocated above, without a handler.
            unsafe { bindings::irq_domain_free_irqs(irq, 1) };
            return Err(error);
        }
        Ok(Self { irq, _name: name })
    }

    fn allocate(domain: &Domain) -> Result<u32> {
        let mut info = bindings::irq_alloc_info::default();
        // SAFETY: the domain is alive; the vector domain reads `info` during the call only.
        let irq = unsafe {
            let info = core::ptr::addr_of_mut!(info).cast();
            bindings::__irq_domain_alloc_irqs(
                domain.domain,
                -1,
                1,
                -1,
                info,
                false,
                core::ptr::null(),
            )
        };
        to_result(irq)?;
        u32::try_from(irq).map_err(|_| EINVAL)
    }

    /// Linux's number of the line.
    pub(crate) fn irq(&self) -> u32 {
        self.irq
    }

    /// The command that raises the line now, see [`apic::command_word`]. The vector is known only from the
    /// moment the line has a handler, so `Line::new` comes first by construction.
    pub(crate) fn command_word(&self) -> Option<u64> {
        // SAFETY: the line exists as long as `self`.
        unsafe { command_word(bindings::irq_get_irq_data(self.irq)) }
    }
}

/// Asks Linux to deliver line `irq` on CPU `number`. Process context.
pub(crate) fn set_target(irq: u32, number: u32) -> Result {
    let mask = cpu::mask_of(number)?;
    // SAFETY: Linux checks the number and copies the mask.
    to_result(unsafe { bindings::irq_set_affinity(irq, &*mask) })
}

impl Drop for Line {
    fn drop(&mut self) {
        // SAFETY: made by `new` with this cookie; waits for a running handler.
        unsafe {
            bindings::free_irq(self.irq, core::ptr::null_mut());
            bindings::irq_domain_free_irqs(self.irq, 1);
        }
    }
}
