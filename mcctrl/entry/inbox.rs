// SPDX-License-Identifier: GPL-2.0
//! Packets from the co-kernel. In the interrupt line's handler, with PREEMPT_RT its thread: find who it
//! concerns, wake, return.

use crate::process::instance::Instance;
use crate::process::requests::{Answer, FilePages};
use crate::proto::packet::{Packet, ToLinux};
use crate::revoke::{self, queue::Revocation};
use kernel::{prelude::*, sync::Arc};

/// Handles one packet of `instance`. Late messages about processes that are gone are no error.
pub(crate) fn receive(instance: &Arc<Instance>, cpu: u32, packet: &Packet) {
    match ToLinux::decode(packet) {
        Some(ToLinux::ProcessCreated {
            token,
            result,
            process,
            root,
            slots,
        }) => {
            instance.requests.answer(
                token,
                Answer {
                    result,
                    process,
                    root,
                    slots,
                    ..Answer::default()
                },
            );
        }
        Some(ToLinux::FaultResolved { token, result }) => {
            instance.requests.answer(
                token,
                Answer {
                    result,
                    ..Answer::default()
                },
            );
        }
        Some(ToLinux::SlotsFound {
            token,
            result,
            slots,
        }) => {
            instance.requests.answer(
                token,
                Answer {
                    result,
                    slots,
                    ..Answer::default()
                },
            );
        }
        Some(ToLinux::Told {
            token,
            result,
            records,
            words,
        }) => {
            instance.requests.answer(
                token,
                Answer {
                    result,
                    records,
                    words,
                    ..Answer::default()
                },
            );
        }
        Some(ToLinux::PagesLent {
            token,
            result,
            list,
            count,
        }) => {
            instance.requests.answer(
                token,
                Answer {
                    result,
                    records: list,
                    words: count,
                    ..Answer::default()
                },
            );
        }
        Some(ToLinux::FileNamed {
            token,
            result,
            count,
        }) => {
            instance.requests.answer(
                token,
                Answer {
                    result,
                    words: count,
                    ..Answer::default()
                },
            );
        }
        Some(ToLinux::FaultInFile {
            token,
            file,
            page,
            address,
            count,
            touched,
        }) => {
            let pages = FilePages {
                file,
                page,
                address,
                count,
                touched,
            };
            instance.requests.answer(
                token,
                Answer {
                    pages: Some(pages),
                    ..Answer::default()
                },
            );
        }
        Some(ToLinux::ForgetFile { process, file }) => {
            let files = instance.with_proxy(process, |proxy| proxy.files());
            if let Some(Ok(files)) = files {
                files.remove(file);
            }
        }
        Some(ToLinux::PagesTaken { token, result }) => {
            instance.requests.answer(
                token,
                Answer {
                    result,
                    ..Answer::default()
                },
            );
        }
        Some(ToLinux::CancelCall { process, slot }) => {
            instance.with_proxy(process, |proxy| proxy.cancel(slot as usize));
        }
        Some(ToLinux::KillProxy { process }) => {
            instance.with_proxy(process, |proxy| proxy.kill());
        }
        Some(ToLinux::WakeWorker { process, slot }) => {
            instance.with_proxy(process, |proxy| {
                if let Some(worker) = proxy.workers.get(slot as usize) {
                    worker.wake_all();
                }
            });
        }
        Some(ToLinux::Revoke {
            token,
            process,
            start,
            end,
            runs,
            run_count,
        }) => {
            let order = Revocation {
                token,
                start,
                end,
                runs,
                run_count,
            };
            if instance.with_proxy(process, |proxy| revoke::accept(proxy, order)) != Some(true) {
                pr_err!(
                    "os {}: revocation for process {:#x} not accepted\n",
                    instance.os,
                    process
                );
            }
        }
        Some(ToLinux::ProcessFreed { process }) => {
            instance.with_proxy(process, |proxy| proxy.set_freed());
            instance.call_undertaker();
        }
        Some(ToLinux::MirrorDropped { process, number }) => {
            instance.with_proxy(process, |proxy| proxy.mirror.answered(number));
        }
        Some(ToLinux::StateChanged { .. }) => {}
        None => pr_warn!("os {}: unknown packet from CPU {}\n", instance.os, cpu),
    }
}
