// SPDX-License-Identifier: GPL-2.0
//! clone(2) and clone3(2): the request that both come down to, and whether it makes a thread or a process.

use ihk_ikc::errno::Errno;

use crate::addr::USER_END;
use crate::signals::number::SIGCHLD;

/// Flags of clone and clone3 (`CLONE_*` of Linux).
#[allow(missing_docs, reason = "the names are Linux's")]
pub mod flag {
    pub const VM: u64 = 0x100;
    pub const FS: u64 = 0x200;
    pub const FILES: u64 = 0x400;
    pub const SIGHAND: u64 = 0x800;
    pub const PIDFD: u64 = 0x1000;
    pub const VFORK: u64 = 0x4000;
    pub const PTRACE: u64 = 0x2000;
    pub const THREAD: u64 = 0x1_0000;
    pub const SYSVSEM: u64 = 0x4_0000;
    pub const SETTLS: u64 = 0x8_0000;
    pub const PARENT_SETTID: u64 = 0x10_0000;
    pub const CHILD_CLEARTID: u64 = 0x20_0000;
    pub const DETACHED: u64 = 0x40_0000;
    pub const UNTRACED: u64 = 0x80_0000;
    pub const CHILD_SETTID: u64 = 0x100_0000;
    pub const NEWPID: u64 = 0x2000_0000;
    /// Namespaces of the child's own: mounts, cgroups, host name, IPC, users, processes, network.
    pub const NAMESPACES: u64 =
        0x2_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | NEWPID | 0x4000_0000;
    pub const IO: u64 = 0x8000_0000;
    pub const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
}

/// The flags that make a child a thread; the worker that stands for it shares all that with the others.
const OF_THREAD: u64 =
    flag::VM | flag::FS | flag::FILES | flag::SIGHAND | flag::THREAD | flag::SYSVSEM;
/// Flags that are allowed for a thread besides. Nobody traces, so the flags about that mean nothing.
const ALLOWED_FOR_THREAD: u64 = flag::PTRACE
    | flag::SETTLS
    | flag::PARENT_SETTID
    | flag::CHILD_CLEARTID
    | flag::DETACHED
    | flag::UNTRACED
    | flag::CHILD_SETTID;
/// Nobody traces here, and who shares an I/O context with whom cannot be seen.
const MEANINGLESS: u64 = flag::PTRACE | flag::UNTRACED | flag::IO;
/// Flags that are allowed for a child process; all others make another kind of thing, or are not supported.
const ALLOWED_FOR_PROCESS: u64 = flag::VM
    | flag::VFORK
    | flag::SETTLS
    | flag::PARENT_SETTID
    | flag::CHILD_SETTID
    | flag::CHILD_CLEARTID
    | flag::PIDFD
    | flag::CLEAR_SIGHAND
    | flag::NAMESPACES
    | MEANINGLESS;
/// The signal a child sends when it ends lies in the lowest bits of clone's flags; threads send none.
const EXIT_SIGNAL: u64 = 0xff;

/// Words of `struct clone_args` in its first version, which everybody may use.
const WORDS_V0: u64 = 8;
/// Words known to Linux: set_tid, set_tid_size, cgroup.
pub const WORDS: usize = 11;

/// A request for a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloneArgs {
    /// Linux's flags, without the exit signal.
    pub flags: u64,
    /// Signal to the parent at the child's end.
    pub exit_signal: u64,
    /// Stack pointer of the child; 0 = the parent's.
    pub stack: u64,
    /// Address at which the parent finds a descriptor of the child, if the flags say so.
    pub pidfd: u64,
    /// Address at which the parent finds the child's id, if the flags say so.
    pub parent_tid: u64,
    /// Address at which the child finds its id, or has it zeroed when it ends, if the flags say so.
    pub child_tid: u64,
    /// The child's FS base, if the flags say so.
    pub tls: u64,
}

/// The kind of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// A thread of the process.
    Thread,
    /// Another process.
    Process,
}

impl CloneArgs {
    /// The arguments of fork(2) and, with `flags`, vfork(2).
    #[must_use]
    pub const fn plain(flags: u64) -> Self {
        Self {
            flags,
            exit_signal: SIGCHLD as u64,
            stack: 0,
            pidfd: 0,
            parent_tid: 0,
            child_tid: 0,
            tls: 0,
        }
    }

    /// The arguments of clone(2). A descriptor of the child goes where its id would.
    ///
    /// # Errors
    ///
    /// `EINVAL`: a descriptor and an id are wanted.
    pub const fn of_clone(registers: [u64; 6]) -> Result<Self, Errno> {
        let [flags, stack, parent_tid, child_tid, tls, _] = registers;
        let args = Self {
            flags: flags & 0xffff_ffff & !EXIT_SIGNAL,
            exit_signal: flags & EXIT_SIGNAL,
            stack,
            pidfd: parent_tid,
            parent_tid,
            child_tid,
            tls,
        };
        if args.has(flag::PIDFD) && args.flags & (flag::PARENT_SETTID | flag::DETACHED) != 0 {
            return Err(Errno::EINVAL);
        }
        Ok(args)
    }

    /// The arguments of clone3(2), with zeroes for what the caller does not know of.
    ///
    /// # Errors
    ///
    /// `EINVAL`: a thread with an exit signal, or a stack without a size; `ENOSYS`: a chosen id, or a group.
    pub fn of_clone3(words: [u64; WORDS]) -> Result<Self, Errno> {
        let [flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_bytes, tls, rest @ ..] =
            words;
        if exit_signal != 0 && flags & flag::THREAD != 0 || (stack == 0) != (stack_bytes == 0) {
            return Err(Errno::EINVAL);
        }
        if rest.iter().any(|word| *word != 0) {
            return Err(Errno::ENOSYS);
        }
        Ok(Self {
            flags,
            exit_signal,
            stack: stack.wrapping_add(stack_bytes),
            pidfd,
            parent_tid,
            child_tid,
            tls,
        })
    }

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn has(&self, flags: u64) -> bool {
        self.flags & flags == flags
    }

    /// `value`, if `flag` is set.
    #[must_use]
    pub fn given(&self, flag: u64, value: u64) -> Option<u64> {
        self.has(flag).then_some(value)
    }

    /// The kind of child that it asks for.
    ///
    /// # Errors
    ///
    /// `EINVAL` for combinations that make no sense, and for processes that are not supported; `ENOSYS` for
    /// such threads; `EPERM` for an FS base that is not the program's.
    pub fn child(&self) -> Result<Child, Errno> {
        self.check_sense()?;
        let child = if !self.has(flag::THREAD) {
            let known = self.flags & !ALLOWED_FOR_PROCESS == 0;
            if !known || self.exit_signal != u64::from(SIGCHLD) {
                return Err(Errno::EINVAL);
            }
            Child::Process
        } else if self.has(OF_THREAD) && self.flags & !(OF_THREAD | ALLOWED_FOR_THREAD) == 0 {
            Child::Thread
        } else {
            return Err(Errno::ENOSYS);
        };
        if self.has(flag::SETTLS) && self.tls >= USER_END {
            return Err(Errno::EPERM);
        }
        Ok(child)
    }

    /// Combinations that make no sense (`copy_process` of Linux).
    fn check_sense(&self) -> Result<(), Errno> {
        let lonely_thread = self.has(flag::THREAD) && !self.has(flag::SIGHAND);
        let lonely_handlers = self.has(flag::SIGHAND) && !self.has(flag::VM);
        let shared_and_cleared = self.has(flag::SIGHAND | flag::CLEAR_SIGHAND);
        if lonely_thread || lonely_handlers || shared_and_cleared {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }
}

/// The number of bytes to read of a `struct clone_args` whose size is said to be `bytes`.
///
/// # Errors
///
/// `EINVAL`: less than the first version; `E2BIG`: more than is known.
pub fn struct_bytes(bytes: u64) -> Result<usize, Errno> {
    if bytes < WORDS_V0 * 8 {
        return Err(Errno::EINVAL);
    }
    let bytes = usize::try_from(bytes).ok();
    bytes
        .filter(|bytes| *bytes <= WORDS * 8)
        .ok_or(Errno::E2BIG)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PTHREAD: u64 = OF_THREAD | flag::SETTLS | flag::PARENT_SETTID | flag::CHILD_CLEARTID;

    fn child(flags: u64) -> Result<Child, Errno> {
        CloneArgs::of_clone([flags, 0, 0, 0, 0, 0])?.child()
    }

    /// The flags of glibc's and musl's pthread_create, fork and posix_spawn.
    #[test]
    fn what_c_libraries_ask_for_is_made() {
        assert_eq!(child(PTHREAD), Ok(Child::Thread));
        assert_eq!(child(PTHREAD | flag::DETACHED), Ok(Child::Thread), "musl");
        let fork = flag::CHILD_CLEARTID | flag::CHILD_SETTID | 17;
        assert_eq!(child(fork), Ok(Child::Process));
        let spawn = flag::VM | flag::VFORK | 17;
        assert_eq!(child(spawn), Ok(Child::Process));
        assert_eq!(CloneArgs::plain(0).child(), Ok(Child::Process));
        assert_eq!(CloneArgs::plain(spawn & !17).child(), Ok(Child::Process));
    }

    /// clone(2): EINVAL for CLONE_THREAD without CLONE_SIGHAND, CLONE_SIGHAND without CLONE_VM, and both
    /// CLONE_SIGHAND and CLONE_CLEAR_SIGHAND.
    #[test]
    fn combinations_without_sense_are_invalid() {
        for flags in [
            flag::THREAD | flag::VM | 17,
            flag::SIGHAND | 17,
            flag::THREAD | flag::SIGHAND,
        ] {
            assert_eq!(child(flags), Err(Errno::EINVAL), "{flags:#x}");
        }
        let both = CloneArgs {
            flags: PTHREAD | flag::CLEAR_SIGHAND,
            ..CloneArgs::plain(0)
        };
        assert_eq!(both.child(), Err(Errno::EINVAL));
    }

    #[test]
    fn a_thread_shares_everything_or_is_not_supported() {
        for missing in [flag::FS, flag::FILES, flag::SYSVSEM] {
            assert_eq!(
                child(PTHREAD & !missing),
                Err(Errno::ENOSYS),
                "{missing:#x}"
            );
        }
        assert_eq!(child(PTHREAD | flag::VFORK), Err(Errno::ENOSYS));
    }

    #[test]
    fn a_process_shares_nothing_but_memory() {
        for shared in [flag::FS, flag::FILES, flag::SYSVSEM] {
            assert_eq!(child(shared | 17), Err(Errno::EINVAL), "{shared:#x}");
        }
        assert_eq!(child(flag::VM | flag::SIGHAND | 17), Err(Errno::EINVAL));
        assert_eq!(
            child(0x0200_0000 | 17),
            Ok(Child::Process),
            "a cgroup namespace"
        );
        assert_eq!(child(10), Err(Errno::EINVAL), "another signal than SIGCHLD");
    }

    /// arch_prctl(2), which the flag is the same as: EPERM for an address that is not user space's.
    #[test]
    fn an_fs_base_is_user_spaces() {
        let args = |flags, tls| CloneArgs::of_clone([flags, 0, 0, 0, tls, 0]);
        for (flags, kind) in [
            (PTHREAD, Child::Thread),
            (flag::SETTLS | 17, Child::Process),
        ] {
            let of = |tls| args(flags, tls).and_then(|args| args.child());
            assert_eq!(of(USER_END - 1), Ok(kind));
            assert_eq!(of(USER_END), Err(Errno::EPERM));
        }
        let unused = args(17, u64::MAX).and_then(|args| args.child());
        assert_eq!(unused, Ok(Child::Process), "without CLONE_SETTLS");
    }

    /// clone(2): EINVAL for CLONE_PIDFD with CLONE_DETACHED or CLONE_PARENT_SETTID; clone3 has a field for each.
    #[test]
    fn clone_has_one_place_for_descriptor_and_id() {
        for other in [flag::PARENT_SETTID, flag::DETACHED] {
            assert_eq!(child(flag::PIDFD | other | 17), Err(Errno::EINVAL));
        }
        let args = CloneArgs::of_clone([flag::PIDFD | 17, 0, 0x1000, 0, 0, 0]);
        assert_eq!(args.map(|args| args.pidfd), Ok(0x1000));
        let words = [
            flag::PIDFD | flag::PARENT_SETTID,
            1,
            2,
            3,
            17,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        let args = CloneArgs::of_clone3(words).expect("clone3 has two places");
        assert_eq!((args.pidfd, args.child_tid, args.parent_tid), (1, 2, 3));
        assert_eq!(args.child(), Ok(Child::Process));
    }

    /// The upper half of clone's flags means nothing: CLONE_CLEAR_SIGHAND and others are clone3's.
    #[test]
    fn clone_has_32_bits_of_flags() {
        let args = CloneArgs::of_clone([flag::CLEAR_SIGHAND | 17, 0, 0, 0, 0, 0]);
        assert_eq!(args.map(|args| args.flags), Ok(0));
    }

    /// clone3(2): EINVAL for a stack without a size or a size without a stack, and for an exit signal with
    /// CLONE_THREAD.
    #[test]
    fn clone3_wants_stack_and_size_and_no_signal_of_threads() {
        let words = |flags, signal, stack, size| [flags, 0, 0, 0, signal, stack, size, 0, 0, 0, 0];
        let of = |words| CloneArgs::of_clone3(words);
        assert_eq!(of(words(0, 17, 0x1000, 0)), Err(Errno::EINVAL));
        assert_eq!(of(words(0, 17, 0, 0x1000)), Err(Errno::EINVAL));
        assert_eq!(of(words(PTHREAD, 17, 0, 0)), Err(Errno::EINVAL));
        let good = of(words(PTHREAD, 0, 0x1000, 0x2000)).expect("as glibc does it");
        assert_eq!((good.stack, good.child()), (0x3000, Ok(Child::Thread)));
        let chosen_id = [0, 0, 0, 0, 17, 0, 0, 0, 0x1000, 1, 0];
        assert_eq!(of(chosen_id), Err(Errno::ENOSYS));
    }

    /// clone3(2): EINVAL below CLONE_ARGS_SIZE_VER0; larger ones must be zero where the kernel does not know
    /// them, and are not read here.
    #[test]
    fn clone3_reads_the_versions_that_it_knows() {
        assert_eq!(struct_bytes(63), Err(Errno::EINVAL));
        assert_eq!((struct_bytes(64), struct_bytes(88)), (Ok(64), Ok(88)));
        assert_eq!(struct_bytes(89), Err(Errno::E2BIG));
        assert_eq!(struct_bytes(u64::MAX), Err(Errno::E2BIG));
    }
}
