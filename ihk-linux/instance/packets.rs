// SPDX-License-Identifier: GPL-2.0
//! Packets to and from booted instances: into the ring of a CPU, and out of it to whom they concern.
//! Hops 4a and 8a of a delegated call.

use super::running::{self, Running};
use crate::ikc::channel::CpuLink;
use crate::ikc::doorbell::Listener;
use crate::proto::control::InstanceControl;
use crate::proto::packet::{Packet, ToLinux};
use crate::proto::ring::{Doorbell, RingError};
use kernel::prelude::*;

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
        match link.push(packet) {
            Ok(Doorbell::Ring) => link.ring(),
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
        self.cpus.iter().for_each(CpuLink::request_doorbell);
    }

    /// Takes what has come from all CPUs. In a line's handler.
    fn drain(&self) {
        for (index, link) in (0..).zip(self.cpus.iter()) {
            if let Err(reason) = link.drain(|packet| self.deliver(index, packet)) {
                self.instance.give_up(reason);
            }
        }
    }

    fn deliver(&self, index: u32, packet: &Packet) {
        match ToLinux::decode(packet) {
            Some(ToLinux::StateChanged { .. }) => self.instance.look_after(),
            Some(_) if self.service.packet(index, &packet.words()) => {}
            _ => {
                let number = self.instance.number;
                pr_warn!("mcos{}: unexpected packet {:?}\n", number, packet);
            }
        }
    }
}

/// All booted instances.
pub(crate) struct Booted;

impl Listener for Booted {
    fn rung() {
        running::for_each(Running::drain);
    }

    fn for_each_control(mut visit: impl FnMut(&InstanceControl)) {
        running::for_each(|running| visit(&running.control));
    }
}
