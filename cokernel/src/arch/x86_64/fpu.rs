// SPDX-License-Identifier: GPL-2.0
//! FPU, vector and protection-key registers. The kernel uses none of them, so a program's stay in
//! the CPU until another program's thread comes; they are saved whenever the thread gives up the
//! CPU, because it may go on elsewhere, and loaded only if somebody else's took their place.

use alloc::alloc::{alloc_zeroed, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::{cpu, features, protection_key};

/// Bytes of the part every x86-64 CPU has.
const LEGACY_BYTES: usize = 512;
/// Bytes of the header that follows it.
const HEADER_BYTES: usize = 64;
/// Offsets in the area.
const MXCSR: usize = 24;
const MXCSR_MASK: usize = 28;
const XSTATE_BV: usize = LEGACY_BYTES;
const XCOMP_BV: usize = LEGACY_BYTES + 8;
/// Values a program starts with.
const INITIAL_FCW: u16 = 0x37f;
const INITIAL_MXCSR: u32 = 0x1f80;

static BYTES: AtomicUsize = AtomicUsize::new(LEGACY_BYTES);
/// The offset of the protection keys' register in the area; 0: there is none.
static KEYS_PLACE: AtomicUsize = AtomicUsize::new(0);
static OPTIMISED: AtomicBool = AtomicBool::new(false);

/// No CPU.
const NOWHERE: u32 = u32::MAX;

/// Measures the area. The boot CPU, once, after the features are enabled.
pub(super) fn init() {
    if features::has_xsave() {
        BYTES.store(features::cpuid(0xd, 0).ebx as usize, Ordering::Relaxed);
        OPTIMISED.store(features::cpuid(0xd, 1).eax & 1 != 0, Ordering::Relaxed);
    }
    if features::has_protection_keys() {
        let place = features::cpuid(0xd, 9).ebx as usize;
        assert!(place + 4 <= bytes(), "PKRU lies outside the state");
        KEYS_PLACE.store(place, Ordering::Relaxed);
    }
}

/// Bytes of a thread's state: what a signal frame must hold (FXSAVE or XSAVE standard format).
pub fn bytes() -> usize {
    BYTES.load(Ordering::Relaxed)
}

/// The XCR0 bits of that state; `None` if it is FXSAVE's.
pub fn features() -> Option<u64> {
    features::has_xsave().then(features::xcr0)
}

/// A thread's registers while it does not run.
pub struct FpuState {
    area: Option<NonNull<u8>>,
    /// CPU whose registers were last loaded from or saved to this.
    cpu: AtomicU32,
}

// SAFETY: the area is owned like a `Box<[u8]>`.
unsafe impl Send for FpuState {}
// SAFETY: shared references do not touch the area except in `switch`, for the owning CPU.
unsafe impl Sync for FpuState {}

impl FpuState {
    /// The state of a thread that has no FPU or vector registers.
    pub const fn none() -> Self {
        Self {
            area: None,
            cpu: AtomicU32::new(NOWHERE),
        }
    }

    /// The state with which a program begins.
    pub fn initial() -> Self {
        let layout = layout();
        // SAFETY: the layout is not empty.
        let Some(area) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout)
        };
        // SAFETY: both lie in the area just allocated, which is aligned to 64 bytes.
        unsafe {
            area.cast::<u16>().write(INITIAL_FCW);
            area.add(MXCSR).cast::<u32>().write(INITIAL_MXCSR);
        }
        let keys = KEYS_PLACE.load(Ordering::Relaxed);
        if keys != 0 {
            // SAFETY: the header lies in the area, and so, as `init` has checked, does this state; both
            // are aligned.
            unsafe {
                area.add(XSTATE_BV)
                    .cast::<u64>()
                    .write(features::PROTECTION_KEYS);
                area.add(keys).cast::<u32>().write(protection_key::INITIAL);
            }
        }
        Self {
            area: Some(area),
            cpu: AtomicU32::new(NOWHERE),
        }
    }

    /// The state of a thread that the running one makes: it inherits what is in the registers.
    pub fn of_current() -> Self {
        let copy = Self::initial();
        if let Some(area) = copy.area {
            // SAFETY: the area is large enough, and nobody else knows it.
            unsafe { save(area.as_ptr()) };
        }
        copy
    }

    /// Copies the registers, [`bytes`] of them, into `buffer`. The state is that of the running thread.
    pub fn save_to(&mut self, buffer: &mut [u8]) {
        let (area, length) = self.own_area();
        assert!(buffer.len() >= length, "buffer too small for the FPU state");
        // SAFETY: the running thread's registers are in the CPU, its area is unused meanwhile.
        unsafe { save(area.as_ptr()) };
        // SAFETY: the area has `length` bytes and nobody else touches it.
        let saved = unsafe { core::slice::from_raw_parts(area.as_ptr(), length) };
        buffer[..length].copy_from_slice(saved);
    }

    /// Loads the registers from `buffer`, which came from user space. The state is that of the running thread.
    ///
    /// # Errors
    ///
    /// [`BadState`] if the header asks for what does not exist; nothing was changed.
    pub fn load_from(&mut self, buffer: &[u8]) -> Result<(), BadState> {
        let (area, length) = self.own_area();
        let state = buffer.get(..length).ok_or(BadState)?;
        if let Some(xcr0) = features() {
            let word =
                |at: usize| u64::from_le_bytes(core::array::from_fn(|byte| state[at + byte]));
            let reserved = &state[XCOMP_BV..LEGACY_BYTES + HEADER_BYTES];
            if word(XSTATE_BV) & !xcr0 != 0 || reserved.iter().any(|byte| *byte != 0) {
                return Err(BadState);
            }
        }
        // SAFETY: the area has `length` bytes and nobody else touches it; source and area are different memory.
        unsafe { core::ptr::copy_nonoverlapping(state.as_ptr(), area.as_ptr(), length) };
        let mxcsr = area.as_ptr().wrapping_add(MXCSR).cast::<u32>();
        // SAFETY: lies in the area, which is aligned to 64 bytes. Reserved bits would fault.
        unsafe { *mxcsr &= mxcsr_mask() };
        // SAFETY: the header was checked and the rest takes any value.
        unsafe { restore(area.as_ptr()) };
        Ok(())
    }

    fn own_area(&self) -> (NonNull<u8>, usize) {
        (self.area.expect("the thread has no FPU state"), bytes())
    }
}

impl Drop for FpuState {
    fn drop(&mut self) {
        if let Some(area) = self.area {
            // SAFETY: allocated in `initial` with the same layout.
            unsafe { dealloc(area.as_ptr(), layout()) };
        }
    }
}

fn layout() -> Layout {
    let bytes = bytes().max(LEGACY_BYTES + HEADER_BYTES);
    Layout::from_size_align(bytes, 64).expect("the size of the FPU state")
}

/// Saves `old`'s registers and loads `new`'s, where there are any. Called by the stack switch.
pub fn switch(old: &mut FpuState, new: &FpuState) {
    let me = cpu::cpu_index();
    if let Some(area) = old.area {
        // SAFETY: the area is large enough and `old`'s registers are in the CPU.
        unsafe { save(area.as_ptr()) };
        old.cpu.store(me, Ordering::Relaxed);
    }
    let Some(area) = new.area else {
        return;
    };
    let owner = cpu::this_cpu().fpu_owner();
    let address = area.as_ptr().addr();
    if owner.load(Ordering::Relaxed) != address || new.cpu.load(Ordering::Relaxed) != me {
        // SAFETY: the area holds a valid state: the initial one, a saved one or a checked one.
        unsafe { restore(area.as_ptr()) };
        owner.store(address, Ordering::Relaxed);
        new.cpu.store(me, Ordering::Relaxed);
    }
}

/// The state is not one that can be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadState;

/// Gives the running thread a fresh program's registers.
pub fn reset_current() {
    let fresh = FpuState::initial();
    if let Some(area) = fresh.area {
        // SAFETY: the initial state is valid.
        unsafe { restore(area.as_ptr()) };
    }
}

fn mxcsr_mask() -> u32 {
    #[repr(align(64))]
    struct Area([u8; LEGACY_BYTES]);
    let mut area = Area([0; LEGACY_BYTES]);
    // SAFETY: 512 bytes, aligned.
    unsafe {
        core::arch::asm!("fxsave64 [{}]", in(reg) area.0.as_mut_ptr(), options(nostack, preserves_flags))
    };
    match u32::from_le_bytes(core::array::from_fn(|byte| area.0[MXCSR_MASK + byte])) {
        0 => 0xffbf,
        mask => mask,
    }
}

/// # Safety
///
/// `area` has [`bytes`] bytes, aligned to 64, and is nobody else's.
unsafe fn save(area: *mut u8) {
    // SAFETY: by this function's contract; the forms exist as `init` found.
    unsafe {
        if !features::has_xsave() {
            core::arch::asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags));
        } else if OPTIMISED.load(Ordering::Relaxed) {
            core::arch::asm!("xsaveopt64 [{}]", in(reg) area, in("eax") -1, in("edx") -1, options(nostack, preserves_flags));
        } else {
            core::arch::asm!("xsave64 [{}]", in(reg) area, in("eax") -1, in("edx") -1, options(nostack, preserves_flags));
        }
    }
}

/// # Safety
///
/// `area` holds a state that loads without a fault.
unsafe fn restore(area: *const u8) {
    // SAFETY: by this function's contract.
    unsafe {
        if features::has_xsave() {
            core::arch::asm!("xrstor64 [{}]", in(reg) area, in("eax") -1, in("edx") -1, options(nostack, preserves_flags));
        } else {
            core::arch::asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags));
        }
    }
}
