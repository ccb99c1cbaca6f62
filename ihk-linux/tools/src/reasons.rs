// SPDX-License-Identifier: GPL-2.0
//! What an errno of our devices means, in plain words.

use nix::errno::Errno;

/// What was tried; the same errno has another meaning for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Taking CPUs from Linux.
    ReserveCpu,
    /// Taking memory from Linux.
    ReserveMemory,
    /// Giving resources back to Linux, or assigning them: they must be reserved and unassigned.
    UseReserved,
    /// Taking resources from an instance: it must hold them and not run.
    Unassign,
    /// Creating an instance.
    Create,
    /// Keeping an image.
    Load,
    /// Booting.
    Boot,
    /// Shutting down or destroying.
    Stop,
    /// Settings and queries.
    Other,
}

/// `errno` of `action` as the REASON of an error line.
#[must_use]
pub fn reason(action: Action, errno: Errno) -> String {
    let text = match (action, errno) {
        (Action::ReserveCpu, Errno::EPERM) => "Linux needs it (boot CPU or last one online)",
        (Action::ReserveCpu, Errno::EINVAL | Errno::ENOENT | Errno::ENXIO) => {
            "no such CPU, or it is offline"
        }
        (Action::ReserveCpu, Errno::EBUSY) => "already taken",
        (Action::ReserveMemory, Errno::ENOMEM) => "not enough free memory in blocks of 2M",
        (Action::ReserveMemory, Errno::EINVAL | Errno::ENOENT | Errno::ENXIO) => {
            "no such node or size"
        }
        (Action::UseReserved, Errno::EINVAL | Errno::ENOENT | Errno::ENXIO | Errno::ENOMEM) => {
            "not reserved, or assigned already"
        }
        (Action::UseReserved | Action::Unassign, Errno::EBUSY) => "in use by a running instance",
        (Action::Unassign, Errno::EINVAL | Errno::ENOENT | Errno::ENXIO) => {
            "not assigned to this instance"
        }
        (Action::Create, Errno::ENOSPC) => "no free instance number",
        (Action::Load, Errno::EINVAL | Errno::ENOEXEC) => "the module refuses the image",
        (Action::Load | Action::Boot, Errno::EBUSY) => "the instance runs",
        (Action::Boot, Errno::ENOENT) => "no image loaded",
        (Action::Boot, Errno::ENXIO) => "no CPU assigned",
        (Action::Boot, Errno::ENOMEM) => "no or too little memory assigned",
        (Action::Boot, Errno::ETIMEDOUT) => "the co-kernel did not come up",
        (Action::Boot, Errno::EINVAL) => "CPUs, memory or image missing",
        (Action::Stop, Errno::EBUSY) => "programs run (--force ends them)",
        (Action::Stop, Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => "no such instance",
        (_, Errno::EPROTO) => "interface versions differ",
        (_, Errno::E2BIG) => "too long",
        (_, Errno::EPERM | Errno::EACCES) => "permission denied",
        (_, Errno::ENODEV) => "the instance is gone or does not run",
        (_, Errno::EBUSY) => "busy",
        _ => errno.desc(),
    };
    text.to_owned()
}
