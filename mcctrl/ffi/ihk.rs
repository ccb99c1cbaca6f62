// SPDX-License-Identifier: GPL-2.0
//! The seam to ihk.ko, seen from here: packets out, and the partition as bounds-checked memory.

use crate::proto::exposed::{self, FrameRun};
use crate::proto::layout::PAGE_BYTES;
use crate::proto::packet::ToCokernel;
use crate::proto::process::CreateMailbox;
use crate::proto::slot::{DelegationSlot, SLOTS_PER_PAGE};
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel::{error::to_result, prelude::*};

use super::page::{self, Hold, PageRef};
use super::service_abi;

/// Makes `service` the one service of ihk.ko.
pub(crate) fn register(service: &'static service_abi::Service) -> Result {
    // SAFETY: `service` lives for ever; process context.
    to_result(unsafe { service_abi::ihk_register_service(service) })
}

/// Detaches from every instance; no function of the service is called any more when it returns.
pub(crate) fn unregister() {
    // SAFETY: called once, after `register` succeeded; process context.
    unsafe { service_abi::ihk_unregister_service() };
}

/// One attempt to send `message` to CPU `cpu`. EAGAIN: the ring is full. Not from a line's handler.
pub(crate) fn try_send(os: u32, cpu: u32, message: &ToCokernel) -> Result {
    // SAFETY: the words are read during the call only.
    to_result(unsafe { service_abi::ihk_send(os, cpu, &message.encode().words()) })
}

/// Number of CPUs of `os`; 0 if it does not run.
pub(crate) fn cpu_count(os: u32) -> u32 {
    // SAFETY: any number may be asked for.
    unsafe { service_abi::ihk_cpu_count(os) }
}

/// The heartbeat of CPU `cpu`: a counter that moves while it lives.
pub(crate) fn heartbeat(os: u32, cpu: u32) -> u64 {
    // SAFETY: any numbers may be asked for.
    unsafe { service_abi::ihk_heartbeat(os, cpu) }
}

/// The Linux CPU that serves CPU `cpu`, plus 1; 0: any.
pub(crate) fn server(os: u32, cpu: u32) -> u32 {
    // SAFETY: any numbers may be asked for.
    unsafe { service_abi::ihk_server(os, cpu) }
}

/// Has the CPUs of `os` examined. Returns at once; if one hangs, `detach` follows from elsewhere.
pub(crate) fn examine(os: u32) {
    // SAFETY: any number may be given.
    unsafe { service_abi::ihk_examine(os) };
}

/// Says that `os` does not answer. Returns at once; `detach` follows from elsewhere.
pub(crate) fn declare_hung(os: u32, reason: &str) {
    // SAFETY: the text is read during the call only.
    unsafe { service_abi::ihk_declare_hung(os, reason.as_ptr(), reason.len()) };
}

/// A frame of the partition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its number in the partition.
    pub(crate) number: u32,
    /// Its physical address, a multiple of the page size.
    pub(crate) phys: u64,
}

/// The partition of an attached instance. Every address is checked; none outlives `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Partition<'a> {
    os: u32,
    _attached: PhantomData<&'a ()>,
}

impl<'a> Partition<'a> {
    /// The partition of `os`.
    ///
    /// # Safety
    ///
    /// `detach(os)` does not return during `'a`.
    pub(crate) unsafe fn assume_attached(os: u32) -> Self {
        Self {
            os,
            _attached: PhantomData,
        }
    }

    /// Linux's address of [`phys`, `+ bytes`) if it lies in the partition, in one run.
    pub(crate) fn memory(&self, phys: u64, bytes: u64) -> Option<NonNull<u8>> {
        // SAFETY: the instance is attached (`assume_attached`).
        NonNull::new(unsafe { service_abi::ihk_phys_to_virt(self.os, phys, bytes) }.cast())
    }

    /// The word at `phys`, read once; `None` outside the partition or if misaligned.
    pub(crate) fn word(&self, phys: u64) -> Option<u64> {
        if phys % 8 != 0 {
            return None;
        }
        let word = self.memory(phys, 8)?.cast::<AtomicU64>();
        // SAFETY: inside the partition, which is mapped while attached, and aligned.
        Some(unsafe { word.as_ref() }.load(Ordering::Acquire))
    }

    /// The `words` words from `phys` on; `None` outside the partition or if misaligned.
    pub(crate) fn words(&self, phys: u64, words: usize) -> Option<&'a [AtomicU64]> {
        if phys % 8 != 0 {
            return None;
        }
        let first = self.memory(phys, (words as u64).checked_mul(8)?)?;
        // SAFETY: inside the partition, which is mapped while attached, and aligned.
        Some(unsafe { core::slice::from_raw_parts(first.cast().as_ptr(), words) })
    }

    /// The frame that contains `phys`.
    pub(crate) fn frame(&self, phys: u64) -> Option<Frame> {
        let phys = phys & !(PAGE_BYTES - 1);
        // SAFETY: the instance is attached.
        let number = unsafe { service_abi::ihk_frame_number(self.os, phys) };
        Some(Frame {
            number: u32::try_from(number).ok()?,
            phys,
        })
    }

    /// The frame of that number.
    pub(crate) fn frame_by_number(&self, number: u32) -> Option<Frame> {
        // SAFETY: the instance is attached.
        let phys = unsafe { service_abi::ihk_frame_address(self.os, number) };
        (phys != u64::MAX).then_some(Frame { number, phys })
    }

    fn exposed(&self) -> &'a [AtomicU64] {
        let mut words = 0;
        // SAFETY: the instance is attached; `words` is ours.
        let bits = unsafe { service_abi::ihk_exposed(self.os, &mut words) };
        let Ok(words) = usize::try_from(words) else {
            return &[];
        };
        if bits.is_null() {
            return &[];
        }
        // SAFETY: ihk.ko's promise: that many words, valid while attached. Both kernels use them
        // atomically.
        unsafe { core::slice::from_raw_parts(bits.cast(), words) }
    }

    /// Marks `frame` as possibly mapped by Linux (full barrier).
    pub(crate) fn expose(&self, frame: Frame) -> bool {
        exposed::set(self.exposed(), frame.number)
    }

    /// Marks `count` frames from `first` on (full barrier).
    pub(crate) fn expose_run(&self, first: Frame, count: u32) -> bool {
        exposed::set_run(
            self.exposed(),
            FrameRun {
                first: first.number,
                count,
            },
        )
    }

    /// Takes the mark off: Linux neither maps nor pins `frame`.
    pub(crate) fn conceal(&self, frame: Frame) {
        exposed::clear(self.exposed(), frame.number);
    }

    /// The marks among `mask` of word `word` of the marks: bit n stands for frame 64 × `word` + n.
    pub(crate) fn marks(&self, word: usize, mask: u64) -> u64 {
        exposed::word(self.exposed(), word) & mask
    }

    /// Takes those marks off, of `mask` in word `word`, whose frames nothing of Linux holds. See
    /// [`page::hold`] for when that is sound.
    pub(crate) fn conceal_free(&self, word: usize, mask: u64) {
        let first = u32::try_from(word)
            .ok()
            .and_then(|word| word.checked_mul(u64::BITS));
        let Some(first) = first.and_then(|first| self.frame_by_number(first)) else {
            return;
        };
        // SAFETY: frames lie in the partition, and the instance is attached; numbers and addresses
        // of frames run in parallel within 2 MiB, so a word of marks stands for 64 adjacent frames.
        let free = unsafe { page::free_of(first.phys, mask) };
        exposed::clear_in_word(self.exposed(), word, free);
    }

    /// The hold that Linux has of `frame`; see [`page::hold`] for when the answer is to be trusted.
    pub(crate) fn hold(&self, frame: Frame) -> Hold {
        // SAFETY: frames lie in the partition, and the instance is attached.
        unsafe { page::hold(frame.phys) }
    }

    /// A reference that keeps `frame` from being reused or given back.
    pub(crate) fn pin(&self, frame: Frame) -> Option<PageRef> {
        // SAFETY: frames lie in the partition, and the instance is attached.
        unsafe { PageRef::of_partition(frame.phys) }
    }

    /// The delegation slots that begin at `phys`.
    pub(crate) fn slots(&self, phys: u64) -> Option<&'a [DelegationSlot; SLOTS_PER_PAGE]> {
        if phys % PAGE_BYTES != 0 {
            return None;
        }
        let slots = self.memory(phys, PAGE_BYTES)?.cast();
        // SAFETY: a page of the partition, which is mapped while attached; slots consist of atomics
        // and words never read, so any content is a value.
        Some(unsafe { slots.as_ref() })
    }

    /// Fills the mailbox of CPU `cpu`; the caller holds that CPU's mailbox lock.
    pub(crate) fn fill_mailbox(&self, cpu: u32, mail: &CreateMailbox) -> Result {
        // SAFETY: the instance is attached.
        let mailbox = unsafe { service_abi::ihk_mailbox(self.os, cpu) }.cast::<CreateMailbox>();
        if mailbox.is_null() {
            return Err(ENODEV);
        }
        // SAFETY: ihk.ko's promise: a mailbox, aligned, ours until the answer.
        unsafe { mailbox.copy_from_nonoverlapping(mail, 1) };
        Ok(())
    }
}
