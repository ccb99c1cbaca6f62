// SPDX-License-Identifier: GPL-2.0
//! The rings of one co-kernel CPU: packets out, and packets in from interrupt context. Hops 4a and 8a of a
//! delegated call.

use super::shared::Shared;
use crate::ffi::apic;
use crate::ffi::irq_lock::IrqLock;
use crate::proto::channel::CpuChannel;
use crate::proto::layout::{Region, DOORBELL_VECTOR};
use crate::proto::packet::Packet;
use crate::proto::ring::{Doorbell, RingError};
use core::ffi::c_void;
use core::ptr::addr_of;
use kernel::prelude::*;

/// Most packets taken from one channel in one interrupt; a co-kernel that pushes on without end is
/// broken.
const DRAIN_LIMIT: usize = 1 << 16;

/// One CPU of a booted instance.
pub(crate) struct CpuLink {
    /// The APIC id by which interrupts are sent to it.
    apic_id: u32,
    /// Its rings and mailbox.
    channel: Shared<CpuChannel>,
    /// Keeps Linux a single producer of `to_cokernel`.
    sending: IrqLock<()>,
    /// Keeps Linux a single consumer of `to_linux`.
    receiving: IrqLock<()>,
}

impl CpuLink {
    /// The CPU with `apic_id`, whose channel is the `index`-th of `channels`.
    ///
    /// # Safety
    ///
    /// `channels` must lie in memory that stays the instance's as long as the value lives.
    pub(crate) unsafe fn new(apic_id: u32, channels: Region, index: usize) -> Result<Self> {
        Ok(Self {
            apic_id,
            // SAFETY: the caller's promise; a channel consists of atomics.
            channel: unsafe { Shared::in_region(channels, index)? },
            sending: IrqLock::new(()),
            receiving: IrqLock::new(()),
        })
    }

    /// The APIC id by which interrupts are sent to it.
    pub(crate) fn apic_id(&self) -> u32 {
        self.apic_id
    }

    /// Interrupts it.
    pub(crate) fn ring(&self) {
        apic::ring(self.apic_id, DOORBELL_VECTOR);
    }

    /// Its bulk mailbox.
    pub(crate) fn mailbox(&self) -> *mut c_void {
        addr_of!(self.channel.mailbox).cast_mut().cast()
    }

    /// Puts `packet` into its ring, and says whether it wants to be rung, which is done without the
    /// ring's lock. Any context but a line's handler.
    pub(crate) fn push(&self, packet: &Packet) -> Result<Doorbell, RingError> {
        let _single = self.sending.lock();
        self.channel.to_cokernel.push(packet)
    }

    /// Asks for a doorbell with every packet: Linux does not poll.
    pub(crate) fn request_doorbell(&self) {
        self.channel.to_linux.request_doorbell();
    }

    /// Hands all packets that have come to `deliver`, which must not sleep. In a line's handler.
    ///
    /// # Errors
    ///
    /// Says what the co-kernel did wrong, so that it is beyond help.
    pub(crate) fn drain(&self, mut deliver: impl FnMut(&Packet)) -> Result<(), &'static CStr> {
        if !self.channel.to_linux.has_packets() {
            return Ok(());
        }
        let _single = self.receiving.lock();
        for _ in 0..DRAIN_LIMIT {
            match self.channel.to_linux.pop() {
                Ok(Some(packet)) => deliver(&packet),
                Ok(None) => return Ok(()),
                Err(_) => return Err(c"a ring counter is impossible"),
            }
        }
        Err(c"it floods a ring")
    }
}
