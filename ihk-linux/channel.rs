// SPDX-License-Identifier: GPL-2.0
//! Inter-kernel communication: packets out, and packets in from the interrupt line's handler.

use crate::proto::packet::{Packet, ToLinux};
use crate::proto::ring::{Doorbell, RingError};
use crate::running::{CpuLink, Running};
use crate::service;
use kernel::prelude::*;

/// Most packets taken from one channel in one interrupt; a co-kernel that pushes on without end is
/// broken.
const DRAIN_LIMIT: usize = 1 << 16;

impl Running {
    /// Sends `packet` to CPU `index`. Any context but a line's handler.
    ///
    /// # Errors
    ///
    /// ENODEV: does not run; EINVAL: no such CPU; EAGAIN: no room; EIO: the co-kernel's counter is
    /// impossible, and the instance is given up.
    pub(crate) fn send(&self, index: u32, packet: &Packet) -> Result {
        let link = self.cpus.get(index as usize).ok_or(EINVAL)?;
        if !self.is_alive() {
            return Err(ENODEV);
        }
        let pushed = {
            let _single = link.sending.lock();
            link.channel.to_cokernel.push(packet)
        };
        match pushed {
            Ok(Doorbell::Ring) => self.ring(index as usize),
            Ok(Doorbell::NotNeeded) => {}
            Err(RingError::Full) => return Err(EAGAIN),
            Err(RingError::BadIndex { .. }) => {
                self.instance.give_up(c"a ring counter is impossible");
                return Err(EIO);
            }
        }
        Ok(())
    }

    /// Asks for a doorbell with every packet: Linux does not poll.
    pub(crate) fn request_doorbells(&self) {
        for link in self.cpus.iter() {
            link.channel.to_linux.request_doorbell();
        }
    }

    /// Takes what has come from all CPUs. In a line's handler.
    pub(crate) fn drain(&self) {
        for (index, link) in (0..).zip(self.cpus.iter()) {
            if link.channel.to_linux.has_packets() {
                self.drain_channel(index, link);
            }
        }
    }

    fn drain_channel(&self, index: u32, link: &CpuLink) {
        let _single = link.receiving.lock();
        for _ in 0..DRAIN_LIMIT {
            match link.channel.to_linux.pop() {
                Ok(Some(packet)) => self.deliver(index, &packet),
                Ok(None) => return,
                Err(_) => return self.instance.give_up(c"a ring counter is impossible"),
            }
        }
        self.instance.give_up(c"it floods a ring");
    }

    fn deliver(&self, index: u32, packet: &Packet) {
        match ToLinux::decode(packet) {
            Some(ToLinux::StateChanged { .. }) => self.instance.look_after(),
            Some(_) if service::packet(self, index, &packet.words()) => {}
            _ => {
                let number = self.instance.number;
                pr_warn!("mcos{}: unexpected packet {:?}\n", number, packet);
            }
        }
    }
}
