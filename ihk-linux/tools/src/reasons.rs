// SPDX-License-Identifier: GPL-2.0
//! The meaning of an errno of our devices, in plain words.

use nix::errno::Errno;

/// The action that failed; the same errno has another meaning for each.
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
    /// Asking for the image's properties.
    Image,
    /// Settings and queries.
    Other,
}

/// `errno` of `action` as the REASON of an error line.
#[must_use]
pub fn reason(action: Action, errno: Errno) -> String {
    let text = match (action, errno) {
        (Action::ReserveCpu, Errno::EPERM) => "Linux needs it (boot CPU or last one online)",
        (Action::ReserveCpu, Errno::ENOENT) => "no such CPU",
        (Action::ReserveCpu, Errno::ENODEV) => "offline",
        (Action::ReserveCpu, Errno::EBUSY) => "already taken",
        (Action::ReserveMemory, Errno::ENOMEM) => "not enough free memory in blocks of 2M",
        (Action::ReserveMemory, Errno::ENOENT) => "no such node",
        (Action::UseReserved, Errno::ENOENT) => "not reserved, or assigned already",
        (Action::Unassign, Errno::ENOENT) => "not assigned to this instance",
        (Action::UseReserved | Action::Unassign, Errno::EBUSY) => "the instance runs",
        (Action::Create, Errno::ENOSPC) => "no free instance number",
        (Action::Load, Errno::EINVAL | Errno::ENOEXEC) => "the module refuses the image",
        (Action::Load | Action::Boot, Errno::EBUSY) => "the instance runs",
        (Action::Boot, Errno::ENOENT) => "no image loaded",
        (Action::Boot, Errno::ENXIO) => "no CPU assigned",
        (Action::Boot, Errno::ENOMEM) => "no memory assigned",
        (Action::Boot, Errno::E2BIG) => "the memory is too small or too scattered",
        (Action::Boot, Errno::EPROTO) => "the co-kernel refuses to start",
        (Action::Boot, Errno::EIO) => "the co-kernel panicked",
        (Action::Boot, Errno::ETIMEDOUT) => "the co-kernel did not come up",
        (Action::Stop, Errno::EBUSY) => "programs run (--force ends them)",
        (Action::Stop, Errno::ENOENT | Errno::ENODEV) => "no such instance, or it does not run",
        (Action::Image, Errno::ENOENT) => "no image loaded",
        (_, Errno::EPROTO) => "interface versions differ",
        (_, Errno::E2BIG) => "too long",
        (_, Errno::EPERM | Errno::EACCES) => "permission denied",
        (_, Errno::ENODEV) => "the instance is gone or does not run",
        (_, Errno::EBUSY) => "busy",
        _ => errno.desc(),
    };
    text.to_owned()
}
