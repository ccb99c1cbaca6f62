// SPDX-License-Identifier: GPL-2.0
//! Packets from the co-kernel, in the interrupt line's handler: find whom one concerns, wake, return. Hop 4a
//! of a delegated call.

use crate::process::answer::Answer;
use crate::process::instance::Instance;
use crate::proto::packet::{Packet, ToLinux};
use crate::revoke::{self, queue::Revocation};
use kernel::{prelude::*, sync::Arc};

/// Handles one packet of `instance`. Late messages about processes that are gone are no error.
pub(crate) fn receive(instance: &Arc<Instance>, cpu: u32, packet: &Packet) {
    let Some(message) = ToLinux::decode(packet) else {
        pr_warn!("os {}: unknown packet from CPU {}\n", instance.os, cpu);
        return;
    };
    match Answer::of(&message) {
        Some((token, answer)) => {
            instance.requests.answer(token, answer);
        }
        None => handle(instance, message),
    }
}

/// Does what a message asks for that is no answer.
fn handle(instance: &Arc<Instance>, message: ToLinux) {
    match message {
        ToLinux::WakeWorker { process, slot } => {
            instance.with_proxy(process, |proxy| {
                if let Some(worker) = proxy.workers.get(slot as usize) {
                    worker.wake_all();
                }
            });
        }
        ToLinux::CancelCall { process, slot } => {
            instance.with_proxy(process, |proxy| proxy.cancel(slot as usize));
        }
        ToLinux::Revoke {
            token,
            process,
            start,
            end,
            runs,
            run_count,
        } => {
            let order = Revocation {
                token,
                start,
                end,
                runs,
                run_count,
            };
            accept(instance, process, order);
        }
        ToLinux::MirrorDropped { process, number } => {
            instance.with_proxy(process, |proxy| proxy.mirror.answered(number));
        }
        ToLinux::ForgetFile { process, file } => {
            let files = instance.with_proxy(process, |proxy| proxy.files());
            if let Some(Ok(files)) = files {
                files.remove(file);
            }
        }
        ToLinux::KillProxy { process } => {
            instance.with_proxy(process, |proxy| proxy.kill());
        }
        ToLinux::ProcessFreed { process } => {
            instance.with_proxy(process, |proxy| proxy.set_freed());
            instance.call_reaper();
        }
        // ihk.ko has dealt with the first; the others are answers, which [`Answer::of`] has taken.
        ToLinux::StateChanged { .. }
        | ToLinux::ProcessCreated { .. }
        | ToLinux::FaultResolved { .. }
        | ToLinux::FaultInFile { .. }
        | ToLinux::SlotsFound { .. }
        | ToLinux::Told { .. }
        | ToLinux::PagesLent { .. }
        | ToLinux::PagesTaken { .. }
        | ToLinux::Scheduled { .. }
        | ToLinux::FileBound { .. } => {}
    }
}

fn accept(instance: &Arc<Instance>, process: u32, order: Revocation) {
    if instance.with_proxy(process, |proxy| revoke::accept(proxy, order)) != Some(true) {
        pr_err!(
            "os {}: revocation for process {:#x} not accepted\n",
            instance.os,
            process
        );
    }
}
