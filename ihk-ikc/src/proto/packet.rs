// SPDX-License-Identifier: GPL-2.0
//! Control messages: 64 bytes each, encoded from and decoded into two enums.
//!
//! A packet whose kind is unknown decodes to `None`; the receiver logs it and goes on.

mod form;

use super::errno::SyscallResult;
use form::{messages, Word};
pub use form::{Packet, PACKET_WORDS};

/// Token of a [`ToCokernel::RevokeDone`] that answers nothing: pinned frames were let go.
pub const PINS_LET_GO: u64 = 0;

/// A process in the co-kernel's table: index in the low half, generation in the high half, so
/// that a late message cannot hit a successor. Chosen by the co-kernel, never 0.
pub type ProcessHandle = u32;

messages! {
    /// Linux → co-kernel.
    pub enum ToCokernel {
        /// Create a process from the mailbox of this channel. Answer: [`ToLinux::ProcessCreated`].
        CreateProcess = 1 {
            /// Comes back in the answer.
            token: u64,
        },
        /// Start the main thread at `entry` with stack pointer `stack`.
        StartProcess = 2 {
            /// The process.
            process: u32,
            /// First instruction.
            entry: u64,
            /// Initial stack pointer, 16-byte aligned.
            stack: u64,
        },
        /// The proxy dies of `signal` (SIGKILL, or a fatal one): stop all threads now. Memory is
        /// kept until [`ToCokernel::ProxyGone`].
        KillProcess = 3 {
            /// The process.
            process: u32,
            /// Signal number.
            signal: u32,
        },
        /// No mapping of the window exists any more: free everything (kill first if still alive).
        /// Answer: [`ToLinux::ProcessFreed`].
        ProxyGone = 4 {
            /// The process.
            process: u32,
        },
        /// A worker answered a slot whose caller had set WAITER.
        WakeThread = 5 {
            /// The process.
            process: u32,
            /// Index of its slot.
            slot: u32,
        },
        /// Linux touched `address` and found no usable mapping: make one (demand paging).
        /// Answer: [`ToLinux::FaultResolved`], or [`ToLinux::FaultInFile`] if the page must come from a
        /// file first.
        ResolveFault = 6 {
            /// Comes back in the answer.
            token: u64,
            /// The process.
            process: u32,
            /// Faulting address.
            address: u64,
            /// 1 if Linux wants to write.
            write: u32,
        },
        /// Linux has dropped what [`ToLinux::Revoke`] named; frames still pinned keep their
        /// exposed bit until Linux clears it.
        RevokeDone = 7 {
            /// Of the request. 0 answers none: bits of frames that were pinned have been cleared.
            token: u64,
        },
        /// Deliver a signal to the process (thread 0) or to the thread of `slot + 1`. Answer: [`ToLinux::Told`],
        /// without records: of each process one such order at a time is under way.
        Signal = 8 {
            /// Comes back in the answer.
            token: u64,
            /// The process.
            process: u32,
            /// 0 = any thread, else slot index + 1.
            thread: u32,
            /// Signal number.
            signal: u32,
            /// si_code.
            code: i32,
            /// si_pid in the low, si_uid in the high half.
            sender: u64,
            /// si_value.
            value: u64,
        },
        /// The proxy was stopped: take all threads off their CPUs until [`ToCokernel::Thaw`].
        Freeze = 9 {
            /// The process.
            process: u32,
        },
        /// The proxy continues.
        Thaw = 10 {
            /// The process.
            process: u32,
        },
        /// Linux touched page `page` of the slots. Answer: [`ToLinux::SlotsFound`].
        FindSlots = 32 {
            /// Comes back in the answer.
            token: u64,
            /// The process.
            process: u32,
            /// Index of the page.
            page: u32,
        },
        /// A child of `parent`'s proxy stands for the process that [`super::process::op::FORK`] has
        /// prepared. Answer: [`ToLinux::ProcessCreated`]; the root is the parent's if the child
        /// shares its address space. Started by [`Self::StartProcess`], whose other fields are 0.
        AdoptProcess = 48 {
            /// Comes back in the answer.
            token: u64,
            /// The process whose proxy forked.
            parent: u32,
            /// Id of the child.
            pid: i32,
            /// The number that the parent's co-kernel side gave the prepared process.
            prepared_child: u64,
        },
        /// A question of [`super::view::what`]. Answer: [`ToLinux::Told`].
        Query = 64 {
            /// Comes back in the answer.
            token: u64,
            /// The process; 0 if the question is not about one.
            process: u32,
            /// One of [`super::view::what`].
            what: u32,
            /// Number of the first record wanted.
            from: u64,
        },
        /// Thread `thread` of the process is scheduled as `scheduling` says from now on. Answer:
        /// [`ToLinux::Scheduled`].
        Scheduling = 65 {
            /// Comes back in the answer.
            token: u64,
            /// The process.
            process: u32,
            /// The thread's id.
            thread: i32,
            /// A word of [`super::scheduling::Scheduling`].
            scheduling: u32,
        },
        /// What a thread has asked by [`super::process::op::PERMIT`] is permitted to its worker's credentials.
        /// All fields but `subject` are the question's. Answer: [`ToLinux::Told`]; ESRCH if nobody has asked that.
        Permitted = 67 {
            /// Comes back in the answer.
            token: u64,
            /// The asking process in the low half, the thread's slot in the high half.
            caller: u64,
            /// One of [`super::process::right`] in the low half, the number in the high half.
            what: u64,
            /// The process or thread that the question is about, as the caller names it.
            id: i32,
            /// What that is here: its process in the low half, 0 if it does not run here; its thread id, as it
            /// knows it itself, in the high half.
            subject: u64,
            /// The soft limit that is wanted.
            soft: u64,
            /// The hard one.
            hard: u64,
        },
        /// Linux's pages at `address` and behind it, for a mirrored area: physical addresses with
        /// [`super::process::mirror`] bits, 0 = none. Packets of one ring keep their order, so a
        /// page named here is there until [`Self::DropMirror`] says otherwise.
        MirrorPages = 80 {
            /// The process.
            process: u32,
            /// Address of the first page.
            address: u64,
            /// The page there.
            page0: u64,
            /// The next.
            page1: u64,
            /// The next.
            page2: u64,
            /// The next.
            page3: u64,
            /// The last.
            page4: u64,
        },
        /// Linux is about to change what it has mapped in [`start`, `end`): forget its pages there.
        /// Answer, also for a process that is gone: [`ToLinux::MirrorDropped`].
        DropMirror = 81 {
            /// The process.
            process: u32,
            /// Comes back in the answer; counts up.
            number: u64,
            /// First address.
            start: u64,
            /// One past the last address.
            end: u64,
        },
        /// `count` pages (at most [`super::process::MOST_LENT_PAGES`]) of a file, from page `page` on,
        /// are wanted at `address`. What the co-kernel has kept of the version it maps at once, for
        /// the rest it lends frames. Answer: [`ToLinux::PagesLent`].
        LoadPages = 96 {
            /// Comes back in the answer, and names the loan.
            token: u64,
            /// The process.
            process: u32,
            /// The address of the first page.
            address: u64,
            /// The file as it is now: a number that mcctrl gave this version of its content, and
            /// gives to no other. 0: the pages are this process's alone.
            version: u64,
            /// Number of the first page in the file.
            page: u64,
            /// The number of pages.
            count: u32,
            /// The pages are wanted because somebody has touched one, and come only where no page is
            /// and this file is bound there ([`Self::BindFile`]). 0: in place of whatever is there.
            file: u32,
        },
        /// Linux has read the file into the first `count` pages of a loan and holds none of its frames
        /// any more. Answer: [`ToLinux::PagesTaken`].
        PagesRead = 97 {
            /// Comes back in the answer.
            token: u64,
            /// Token of the [`ToCokernel::LoadPages`] that they were lent for.
            loan: u64,
            /// The number of pages, counting those that were not lent.
            count: u32,
            /// 1 if the file did not change meanwhile: others who want the version may have them, too.
            kept: u32,
        },
        /// File number `file` of the process is bound to [`address`, `+ bytes`), where no page is yet: pages
        /// that come there are its page `page` and the next. The first pages, if they are kept, are mapped at
        /// once, the others when they are touched. Answer: [`ToLinux::FileBound`].
        BindFile = 98 {
            /// Comes back in the answer.
            token: u64,
            /// The process.
            process: u32,
            /// First address.
            address: u64,
            /// Whole pages.
            bytes: u64,
            /// mcctrl keeps the file open under this number until [`ToLinux::ForgetFile`].
            file: u32,
            /// Number of the first page in the file.
            page: u64,
            /// As in [`Self::LoadPages`].
            version: u64,
        },
        /// The file of `version` has another content now.
        ForgetVersion = 99 {
            /// The version.
            version: u64,
        },
        /// A clock of Linux was set: who waits for a time of it looks again. To one CPU.
        ClockSet = 11 {},
    }
}

messages! {
    /// Co-kernel → Linux.
    pub enum ToLinux {
        /// Answer to [`ToCokernel::CreateProcess`].
        ProcessCreated = 101 {
            /// Of the request.
            token: u64,
            /// 0, or the error; the rest is valid for 0 only.
            result: SyscallResult,
            /// The new process.
            process: u32,
            /// Physical address of its top-level page table (4-level format).
            root: u64,
            /// Physical address of its first page of delegation slots.
            slots: u64,
        },
        /// Request posted to a slot whose worker sleeps: wake it.
        WakeWorker = 102 {
            /// The process.
            process: u32,
            /// Index of the slot.
            slot: u32,
        },
        /// Answer to [`ToCokernel::ResolveFault`].
        FaultResolved = 103 {
            /// Of the request.
            token: u64,
            /// 0: look again; EFAULT: no such mapping or no permission; ENOMEM.
            result: SyscallResult,
        },
        /// The co-kernel unmapped or downgraded pages that Linux may still have mapped. Linux
        /// drops its mappings of the range, looks for pins, answers [`ToCokernel::RevokeDone`].
        Revoke = 104 {
            /// Comes back in the answer.
            token: u64,
            /// The process.
            process: u32,
            /// First address.
            start: u64,
            /// One past the last address.
            end: u64,
            /// Physical address of an array of [`super::exposed::FrameRun`]: the frames.
            runs: u64,
            /// Its length.
            run_count: u32,
        },
        /// Answer to [`ToCokernel::ProxyGone`]: the handle is dead.
        ProcessFreed = 105 {
            /// The process.
            process: u32,
        },
        /// Answer to [`ToCokernel::FindSlots`].
        SlotsFound = 132 {
            /// Of the request.
            token: u64,
            /// 0, or EFAULT: there is no such page.
            result: SyscallResult,
            /// Physical address of the page.
            slots: u64,
        },
        /// A signal waits for a thread whose worker performs a call (CANCEL is set): interrupt it.
        CancelCall = 133 {
            /// The process.
            process: u32,
            /// Index of the slot.
            slot: u32,
        },
        /// Memory has run out and this process must end: its proxy dies of SIGKILL.
        KillProxy = 150 {
            /// The process.
            process: u32,
        },
        /// Answer to [`ToCokernel::Query`], [`ToCokernel::Permitted`] and [`ToCokernel::Signal`].
        Told = 164 {
            /// Of the request.
            token: u64,
            /// 0, or the error; the rest is valid for 0 only.
            result: SyscallResult,
            /// Physical address of the records.
            records: u64,
            /// Their length in words.
            words: u32,
        },
        /// Answer to [`ToCokernel::DropMirror`]: no CPU has a translation of the range left.
        MirrorDropped = 180 {
            /// The process.
            process: u32,
            /// Of the request.
            number: u64,
        },
        /// Answer to [`ToCokernel::LoadPages`].
        PagesLent = 196 {
            /// Of the request.
            token: u64,
            /// 0, or the error; the rest is valid for 0 only.
            result: SyscallResult,
            /// Physical address of a word for each page: that of the frame to read it into, 0 = it is
            /// there already. Frames are lent, and the list lasts, until [`ToCokernel::PagesRead`].
            list: u64,
            /// Length of the list; 0: there is nothing to be read, and no loan.
            count: u32,
        },
        /// Answer to [`ToCokernel::Scheduling`].
        Scheduled = 165 {
            /// Of the request.
            token: u64,
            /// 0, or ESRCH.
            result: SyscallResult,
        },
        /// Answer to [`ToCokernel::PagesRead`].
        PagesTaken = 197 {
            /// Of the request.
            token: u64,
            /// 0, or the error: pages are missing.
            result: SyscallResult,
        },
        /// Answer to [`ToCokernel::BindFile`].
        FileBound = 198 {
            /// Of the request.
            token: u64,
            /// 0, or the error: the number is not used.
            result: SyscallResult,
            /// Pages from the first on that are there.
            count: u32,
        },
        /// Answer to [`ToCokernel::ResolveFault`] if the page must come from a file: have these pages
        /// loaded, then look again.
        FaultInFile = 199 {
            /// Of the request.
            token: u64,
            /// Number of the file.
            file: u32,
            /// Number of the first page in the file.
            page: u64,
            /// Its address.
            address: u64,
            /// The number of pages.
            count: u32,
            /// The index of the touched one, from 0 on.
            touched: u32,
        },
        /// The process has no mapping of file number `file` any more.
        ForgetFile = 200 {
            /// The process in whose window it was mapped.
            process: u32,
            /// Number of the file.
            file: u32,
        },
        /// `InstanceControl::state` changed.
        StateChanged = 106 {
            /// The new state, one of [`super::control::state`].
            state: u32,
        },
    }
}
