// SPDX-License-Identifier: GPL-2.0
//! Records that the co-kernel gives of a process or of itself, for views like `/proc/PID/maps`: arrays of
//! records of 64-bit words, in one page of the co-kernel, which mcctrl copies to mcexec
//! ([`super::uapi::QUERY`]). The co-kernel writes the page when it is asked, and not again before
//! mcctrl asks anew: mcctrl asks one question of an instance at a time.

/// Most words of an answer.
pub const VIEW_WORDS: usize = 512;

/// The subject of a question. The records come in ascending order, from number `from` on, as many as
/// fit; none means that there are no more.
pub mod what {
    /// [`super::ProcessView`] of the process.
    pub const PROCESS: u32 = 1;
    /// [`super::AreaView`] of its areas; `from` is an address.
    pub const AREAS: u32 = 2;
    /// [`super::ThreadView`] of its threads; `from` is a slot.
    pub const THREADS: u32 = 3;
    /// [`super::MachineView`] of the co-kernel.
    pub const MACHINE: u32 = 4;
    /// [`super::CpuView`] of its CPUs; `from` is a CPU.
    pub const CPUS: u32 = 5;
    /// [`super::RunView`] of the memory that is there; `from` is an address.
    pub const RUNS: u32 = 6;
    /// The registers of thread number `from` of a process that leaves a core, one thread an answer.
    /// The first died of the signal. [`super::REGISTER_WORDS`] words, then the FPU state: at least an
    /// FXSAVE area; longer, an XSAVE area in standard format with XCR0 in word [`super::XCR0_AT`].
    pub const REGISTERS: u32 = 7;
}

/// Words of an FXSAVE area.
pub const FXSAVE_WORDS: usize = 64;
/// The first word of an FXSAVE area that is software's to use: where Linux's cores have XCR0.
pub const XCR0_AT: usize = 58;
/// Words that tell of a thread's integer registers: its id, the 21 of Linux's `struct pt_regs`, FS
/// and GS base.
pub const REGISTER_WORDS: usize = 1 + 21 + 2;

/// Generates a record: a structure of 64-bit words.
macro_rules! records {
    ($(
        $(#[$rmeta:meta])*
        pub struct $name:ident { $( $(#[$fmeta:meta])* $field:ident ),* $(,)? }
    )*) => {$(
        $(#[$rmeta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $( $(#[$fmeta])* pub $field: u64 ),* }

        impl $name {
            /// The number of its words.
            pub const WORDS: usize = [$( stringify!($field) ),*].len();

            /// The words, in order.
            #[must_use]
            pub const fn words(&self) -> [u64; Self::WORDS] {
                [$( self.$field ),*]
            }

            /// The record of these words.
            #[must_use]
            pub const fn from_words(words: &[u64; Self::WORDS]) -> Self {
                let [$( $field ),*] = *words;
                Self { $( $field ),* }
            }
        }
    )*};
}

records! {
    /// A process as a whole.
    pub struct ProcessView {
        /// Threads.
        threads,
        /// CPU time of all threads it has or had, ns.
        cpu_ns,
        /// Most bytes of memory it had at once.
        peak_bytes,
        /// Initial program break.
        break_start,
        /// Present program break.
        break_now,
        /// Signals that wait for the process as a whole, bit n − 1 = signal n, as below.
        pending,
        /// Signals it ignores.
        ignored,
        /// Signals it has handlers for.
        caught,
    }

    /// An area, or the part of it that was looked at.
    pub struct AreaView {
        /// First address.
        start,
        /// One past the last address.
        end,
        /// [`super::process::prot`] bits and those of [`area`].
        flags,
        /// Bytes of memory that are there.
        resident_bytes,
        /// Of these, in pages of 1 GiB.
        giant_bytes,
    }

    /// A run of memory that is there.
    pub struct RunView {
        /// First address.
        start,
        /// One past the last address.
        end,
    }

    /// A thread.
    pub struct ThreadView {
        /// Its slot.
        slot,
        /// Its thread id.
        tid,
        /// One of [`thread_state`].
        state,
        /// The CPU it runs on, or ran on last.
        cpu,
        /// CPU time, ns.
        cpu_ns,
        /// Signals that wait for it.
        pending,
        /// Signals it blocks.
        blocked,
    }

    /// The co-kernel.
    pub struct MachineView {
        /// CPUs.
        cpus,
        /// Bytes of memory it manages.
        total_bytes,
        /// Of these, free, or kept for nobody but who may want it again.
        free_bytes,
        /// Of the free ones, pages of files kept for who maps the same file next.
        cached_bytes,
        /// Pages of files that Linux has read for programs since the co-kernel booted.
        pages_read,
        /// Nanoseconds since it booted.
        uptime_ns,
        /// Processes.
        processes,
        /// Threads of programs.
        threads,
    }

    /// A CPU of the co-kernel.
    pub struct CpuView {
        /// Number Linux gave it.
        linux_cpu,
        /// Local APIC id.
        apic_id,
        /// NUMA node.
        node,
        /// Time it ran programs, ns.
        busy_ns,
    }
}

/// Bits of [`AreaView::flags`] beyond the rights.
pub mod area {
    /// Shared by a child of fork.
    pub const SHARED: u64 = 1 << 3;
    /// Locked.
    pub const LOCKED: u64 = 1 << 4;
    /// The record is a part; the next one continues the same area.
    pub const CONTINUES: u64 = 1 << 5;
    /// A core does not have it.
    pub const OMITTED_FROM_CORE: u64 = 1 << 6;
    /// The lowest bit of the kind.
    pub const KIND_SHIFT: u32 = 8;
    /// Part of the program image.
    pub const SEGMENT: u64 = 0;
    /// Anonymous memory.
    pub const ANONYMOUS: u64 = 1;
    /// A private copy of a file's pages.
    pub const FILE: u64 = 2;
    /// The main thread's stack.
    pub const STACK: u64 = 3;
    /// Below the program break.
    pub const HEAP: u64 = 4;
    /// Linux's vvar and vdso pages.
    pub const SPECIAL: u64 = 5;
    /// Linux's pages of a file or of shared memory, as the proxy has them mapped.
    pub const MIRRORED: u64 = 6;
}

/// Values of [`ThreadView::state`].
pub mod thread_state {
    /// Runs or wants to.
    pub const RUNNING: u64 = 0;
    /// Waits.
    pub const SLEEPING: u64 = 1;
    /// Stopped with its process.
    pub const STOPPED: u64 = 2;
}

#[cfg(not(loom))]
const _: () = {
    assert!(AreaView::WORDS == 5);
    assert!(RunView::WORDS == 2);
    assert!(ThreadView::WORDS == 7);
    assert!(CpuView::WORDS == 4);
    assert!(ProcessView::WORDS <= VIEW_WORDS && MachineView::WORDS <= VIEW_WORDS);
};
