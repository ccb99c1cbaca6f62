// SPDX-License-Identifier: GPL-2.0
//! The description of a program that mcexec gives before it runs, and the operations that the co-kernel
//! asks of a worker beyond system calls.
//!
//! Life of a process:
//!
//! ```text
//!  mcexec                     mcctrl                           co-kernel
//!  reads ELF, chooses addresses
//!  CREATE_PROCESS(image) ───► checks, mailbox, CreateProcess ─► address space, ranges, slots
//!  maps window and slots ◄─── window descriptor ◄────────────── ProcessCreated(root, slots)
//!  BIND_FILE(file → pages) ─► which file, which version?
//!                             BindFile ───────────────────────► notes it, maps the pages it has kept
//!  writes the stack through the window; mprotects read-only ranges of the window
//!  START(entry, stack) ─────► StartProcess ───────────────────► main thread runs
//!  LOAD_PAGES(pages) ◄─────────────────────────────────────────── touches a page that is not there
//!                             LoadPages ──────────────────────► maps the pages it has kept
//!                             reads into the frames lent ◄───── PagesLent(frames for the rest)
//!                             PagesRead ──────────────────────► keeps them, maps them
//!  worker polls slot 0 …  ◄───────── delegated calls ──────────
//!  EXIT/DIE request: ends; window mappings vanish
//!                             ProxyGone ──────────────────────► frees everything, ProcessFreed
//! ```

use super::atomic::{AtomicI64, AtomicU64};

/// Most ranges of a fresh image (segments, bss, heap, stack).
pub const MAX_IMAGE_RANGES: usize = 32;
/// Most pages of Linux's vvar and vdso areas together.
pub const MAX_VDSO_PAGES: usize = 32;
/// Pages of a file loaded in one go: their list is one page.
pub const MOST_LENT_PAGES: u32 = 512;
/// Resource limits handed over (`RLIM_NLIMITS` of Linux).
pub const RLIMITS: usize = 16;

/// Protection bits, as in Linux's `PROT_*`.
pub mod prot {
    /// Readable.
    pub const READ: u32 = 1;
    /// Writable.
    pub const WRITE: u32 = 2;
    /// Executable.
    pub const EXEC: u32 = 4;
}

/// The purpose of an [`ImageRange`].
pub mod range_kind {
    /// Part of the program or its interpreter; mapped at once.
    pub const SEGMENT: u32 = 0;
    /// The main thread's stack: `start` is the lowest address it may grow to, pages come on
    /// demand, the upper end first.
    pub const STACK: u32 = 1;
    /// The heap: `start` is the initial program break, `bytes` is 0.
    pub const HEAP: u32 = 2;
}

/// A page-aligned range of the new address space, zero-filled.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageRange {
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// [`prot`] bits.
    pub prot: u32,
    /// One of [`range_kind`].
    pub kind: u32,
}

/// The places of mcexec's own vvar and vdso, and those where the program is to see them. Vvar pages come
/// first, then the vdso, contiguous on both sides. All zero: none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct VdsoArgs {
    /// First address of mcexec's `[vvar]` (including its neighbours up to `[vdso]`).
    pub source: u64,
    /// Bytes of data pages before the vdso code.
    pub vvar_bytes: u64,
    /// Bytes of vdso code.
    pub vdso_bytes: u64,
    /// Address of the first vvar page in the program.
    pub target: u64,
}

/// A program ready to be created: the argument of
/// [`super::uapi::CREATE_PROCESS`](super::uapi). Addresses are the program's, inside the window.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ProcessImage {
    /// [`super::ABI_VERSION`] of mcexec.
    pub abi_version: u32,
    /// Valid entries of `ranges`.
    pub range_count: u32,
    /// Co-kernel CPU to run on, or -1.
    pub cpu: i32,
    /// Process id as the program sees it. mcctrl overwrites it with the caller's.
    pub pid: i32,
    /// Lowest address of the window as mcexec maps it.
    pub window_start: u64,
    /// mmap areas are given out downwards from here.
    pub mmap_top: u64,
    /// The vdso.
    pub vdso: VdsoArgs,
    /// Resource limits (soft, hard) as the program is to see them, by Linux's `RLIMIT_*` number. mcctrl
    /// overwrites what Linux knows itself: all but the soft ones on memory, and those not above the hard ones.
    pub rlimits: [[u64; 2]; RLIMITS],
    /// Bit n − 1 set: signal n is ignored at start (inherited).
    pub ignored_signals: u64,
    /// Bit n − 1 set: signal n is blocked at start (inherited).
    pub blocked_signals: u64,
    /// Name of the process, NUL-padded.
    pub name: [u8; 16],
    /// How its main thread is scheduled ([`super::scheduling`]). mcctrl overwrites it with the caller's.
    pub scheduling: u32,
    /// Always 0.
    pub reserved: u32,
    /// The ranges, ascending and disjoint.
    pub ranges: [ImageRange; MAX_IMAGE_RANGES],
}

/// Bulk argument of `CreateProcess`, in the channel's mailbox.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CreateMailbox {
    /// The request of mcexec, checked by mcctrl and again by the co-kernel.
    pub image: ProcessImage,
    /// Valid entries of `vdso_pages`.
    pub vdso_page_count: u32,
    /// The number of them, from the first on, that are data (the rest is code).
    pub vvar_page_count: u32,
    /// Physical addresses of the pages to map read-only from `image.vdso.target` on; 0 = leave a
    /// hole. Linux keeps them for as long as the process exists.
    pub vdso_pages: [u64; MAX_VDSO_PAGES],
    /// Keeps the channel a multiple of a page.
    pub reserved: [u64; 306],
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<ImageRange>() == 24);
    assert!(size_of::<VdsoArgs>() == 32);
    assert!(offset_of!(ProcessImage, vdso) == 32);
    assert!(offset_of!(ProcessImage, rlimits) == 64);
    assert!(offset_of!(ProcessImage, ranges) == 360);
    assert!(size_of::<ProcessImage>() == 1128);
    assert!(size_of::<CreateMailbox>() == 3840);
};

/// Requests in a delegation slot that are not system calls of Linux, by number. Numbers start above
/// any system call number. The worker answers 0 or an error, like a system call.
pub mod op {
    /// First number of this group.
    pub const BASE: u64 = 0x1_0000;

    // The program and its memory.

    /// The process ends with exit status `args[0]`; never answered.
    pub const EXIT: u64 = BASE;
    /// The process dies of signal `args[0]`; never answered. If `args[1]` is 1, it leaves a core, if
    /// its limits allow it; the signal's si_code and the two words that follow it are `args[2..5]`,
    /// the threads' registers can be asked for.
    pub const DIE: u64 = BASE + 1;
    /// Window part [`args[0]`, `+ args[1]`) becomes `args[2]` ([`super::prot`] bits): mprotect.
    pub const PROTECT: u64 = BASE + 2;
    /// Map to [`args[1]`, `+ args[2]`) the pages from offset `args[3]` of descriptor `args[0]`
    /// on: a private file mapping. If `args[5]` is 1, or the file is one whose pages cannot be had one by
    /// one, they come now, else when they are touched. Then give the window part protection
    /// `args[4]`. Pages past the end of the file stay away. The answer has bits: [`BOUND_ZEROES`],
    /// [`BOUND_NEVER_EXECUTABLE`].
    pub const BIND_FILE: u64 = BASE + 3;
    /// In the answer to [`BIND_FILE`]: the file is nothing but zeroes (`/dev/zero`), and no page comes.
    pub const BOUND_ZEROES: u64 = 1;
    /// In the answer to [`BIND_FILE`]: the file lies on a mount without execution.
    pub const BOUND_NEVER_EXECUTABLE: u64 = 2;
    /// The program's disposition of signal `args[0]` is now `args[1]` ([`super::disposition`]), with
    /// those of Linux's action flags in `args[2]` that concern children (`SA_NOCLD…`).
    pub const DISPOSITION: u64 = BASE + 4;
    /// Drop the page tables of window part [`args[0]`, `+ args[1]`): madvise(DONTNEED), so that
    /// large pages can come again.
    pub const DROP_TABLES: u64 = BASE + 5;
    /// Load `args[1]` pages at `args[0]`, as far as none are there, from page `args[3]` of file number
    /// `args[2]` on: page `args[4]` of them was touched. EFAULT: the file ends before that.
    pub const LOAD_PAGES: u64 = BASE + 6;
    /// System call `args[4]`, one that fills or takes a buffer according to the table of system calls,
    /// with descriptor `args[0]`, length `args[2]` and file offset `args[3]`; its data lie in the slot's
    /// bounce page from byte `args[1]` on. What is written is there when this is asked; what was read is
    /// there with the answer, which is at most the length. [`NOT_BOUNCED`]: the call was not made.
    pub const BOUNCE: u64 = BASE + 7;
    /// Answer to [`BOUNCE`] of a proxy that does not want it: no call moves as much.
    pub const NOT_BOUNCED: u64 = 1 << 63;

    // Workers.

    /// Start a worker for slot `args[0]`, which inherits from this one; the answer is its thread
    /// id. Then, without making anybody wait, start one for each of the slots in `args[1..]` that
    /// is not 0.
    pub const NEW_WORKER: u64 = BASE + 16;
    /// The worker of this slot ends: it answers 0, then zeroes
    /// [`worker_tid`](super::super::slot::DelegationSlot::worker_tid).
    pub const WORKER_EXIT: u64 = BASE + 17;

    /// The co-kernel is to know how thread `args[0]` of its own is scheduled, which Linux has been told to
    /// change ([`super::super::uapi::SCHEDULING`]). The answer comes when it does.
    pub const SCHEDULING: u64 = BASE + 18;

    // Processes and signals.

    /// Fork: a child of this process stands for the process prepared as `args[0]`
    /// ([`super::super::uapi::ADOPT_PROCESS`]), finds its id at address `args[1]`, if that is
    /// not 0, and has the namespaces `args[2]` (Linux's clone flags) of its own. The answer, its id,
    /// comes when it is about to run.
    pub const FORK: u64 = BASE + 32;
    /// Become the program at path `args[1]` (an address, as are the next two) relative to directory
    /// `args[0]`, with arguments `args[2]`, environment `args[3]`, flags `args[4]` as execveat has
    /// them, and signals `args[5]` blocked. Answered only if it fails.
    pub const EXEC: u64 = BASE + 33;
    /// Linux keeps exactly the signals `args[0]` (bit n − 1 = signal n) pending for the process, and
    /// `args[1]` for this worker's thread while that performs no call; the answer comes when that is so.
    pub const MASK: u64 = BASE + 34;
    /// The program's limit of resource `args[0]`, which the co-kernel keeps, is now `args[1]`
    /// (soft), `args[2]` (hard): for the next program.
    pub const LIMIT: u64 = BASE + 35;
    /// Take one of the signals `args[0]` that Linux keeps pending for this worker or the process, its
    /// `siginfo_t` going to address `args[1]`, if that is not 0. The answer is its number, or
    /// EAGAIN.
    pub const TAKE_SIGNAL: u64 = BASE + 36;
    /// Signals `args[0]` wait for this thread in the co-kernel; the next [`EXEC`] has them wait in
    /// Linux for the new program.
    pub const BEQUEATH: u64 = BASE + 37;

    /// Has Linux's kernel answer a question about rights: `args` are those of
    /// [`super::super::uapi::Permit`], one word each. What the worker answers counts only if it is an error: that
    /// it is permitted the kernel itself says ([`super::super::packet::ToCokernel::Permitted`]).
    pub const PERMIT: u64 = BASE + 40;

    // Call queues.

    /// Programs may ask for this and the next, as for a system call. The queue
    /// ([`super::super::queue`]) at address `args[0]` has a server more, number `args[1]`, until it is
    /// closed. While the call waits, the server works in the proxy, with the thread's credentials.
    /// Work that only the thread can do is answered ([`super::serve`]) through the
    /// [`super::ServerRecord`] at `args[2]`; the thread then calls again, with 1 in `args[5]`.
    /// Functions run on the stack below `args[3]`, with thread pointer `args[4]`.
    pub const QUEUE_SERVE: u64 = BASE + 48;
    /// Linux's `futex` with the very same arguments, in the proxy: `FUTEX_WAIT_PRIVATE` and
    /// `FUTEX_WAKE_PRIVATE` only. For words that servers sleep on or wake.
    pub const QUEUE_FUTEX: u64 = BASE + 49;

    // Mirrored areas, and what else is Linux's.

    /// Map `args[1]` bytes at `args[0]`, instead of the window, with rights `args[2]` and flags
    /// `args[3]` of Linux's, from descriptor `args[4]` at offset `args[5]`: mmap.
    pub const MAP_FILE: u64 = BASE + 80;
    /// Part [`args[0]`, `+ args[1]`) is the window again.
    pub const UNMAP_FILE: u64 = BASE + 81;
    /// Show the program Linux's page at `args[0]`, to be written if `args[1]` is 1, and neighbours
    /// ([`super::super::uapi::MIRROR`]). EFAULT: there is none, as past the end of a file.
    pub const MIRROR: u64 = BASE + 82;
    /// Move the mapping of a file at `args[0]`, `args[1]` bytes, to `args[2]`, where it has `args[3]` bytes:
    /// mremap. Addresses that become free are the window again.
    pub const REMAP_FILE: u64 = BASE + 83;
    /// Advice `args[2]` about file part [`args[0]`, `+ args[1]`): madvise.
    pub const ADVISE_FILE: u64 = BASE + 84;
    /// File part [`args[0]`, `+ args[1]`) gets rights `args[2]`: mprotect.
    pub const PROTECT_FILE: u64 = BASE + 85;
    /// The answer is the size of System V shared memory `args[0]`.
    pub const SHM_SIZE: u64 = BASE + 86;
    /// Attach System V shared memory `args[0]` at `args[1]`, instead of the window: shmat with flags
    /// `args[2]`.
    pub const SHM_ATTACH: u64 = BASE + 87;
    /// When this worker is killed, Linux walks the robust list at `args[0]`, of which parts may lie in
    /// memory that Linux's programs see; 0: none.
    pub const ROBUST_LIST: u64 = BASE + 88;

    /// Whether programs may ask for `number`.
    #[must_use]
    pub const fn is_for_programs(number: u64) -> bool {
        matches!(number, QUEUE_SERVE | QUEUE_FUTEX)
    }
}

/// Rights that the co-kernel asks about ([`op::PERMIT`]). Linux's kernel judges by the credentials that the
/// worker has; what the worker itself says has no weight.
pub mod right {
    /// To use capability `number` of Linux in the initial user namespace: one of [`super::capability`].
    pub const CAPABLE: u32 = 0;
    /// To read limit `number` of process `id`.
    pub const SEE_LIMIT: u32 = 1;
    /// To set it to the wanted ones. A hard limit on memory is Linux's to keep, too, and is set there.
    pub const SET_LIMIT: u32 = 2;
    /// To learn where thread `id` may run.
    pub const SEE_CPUS: u32 = 3;
    /// To say where it may run.
    pub const SET_CPUS: u32 = 4;
}

/// Capabilities that local calls want, by Linux's number.
pub mod capability {
    /// `CAP_IPC_LOCK`: to lock memory beyond the limit.
    pub const IPC_LOCK: u32 = 14;
    /// `CAP_SYS_NICE`: to move pages that others have, too.
    pub const SYS_NICE: u32 = 23;
}

/// Answers to [`op::QUEUE_SERVE`].
pub mod serve {
    /// The queue was closed; the server is gone.
    pub const END: i64 = 0;
    /// Start another server: this one may be about to wait long.
    pub const HIRE: i64 = 1;
    /// Make the system call in the record and put its result there.
    pub const CALL: i64 = 2;
}

/// The work that a server in the proxy has its thread do. In the app's memory.
#[repr(C, align(64))]
#[derive(Default)]
pub struct ServerRecord {
    /// System call number. Writer: proxy.
    pub number: AtomicU64,
    /// Its arguments. Writer: proxy.
    pub args: [AtomicU64; 6],
    /// Its result, or a negative errno. Writer: thread.
    pub result: AtomicI64,
}

/// Bits of a page in [`super::packet::ToCokernel::MirrorPages`].
pub mod mirror {
    /// There is a page.
    pub const PRESENT: u64 = 1;
    /// It may be written.
    pub const WRITE: u64 = 2;
    /// Its caching: the index in the page attribute table, which is the same on both sides. Three bits from
    /// here on.
    pub const CACHING_SHIFT: u32 = 2;
    /// Pages in one packet.
    pub const PAGES: usize = 5;

    /// The caching of a page in its word.
    #[must_use]
    pub const fn caching(page: u64) -> u64 {
        page >> CACHING_SHIFT & 7
    }
}

/// The caching of a page, as the hardware is told: an index into the page attribute table (PAT), one bit
/// each of which is in the entries `PWT`, `PCD` and `PAT` of a leaf. Linux's table is in use on both
/// sides; index 0 is write-back memory.
pub mod caching {
    /// `PWT`; `PCD` is the next bit.
    const WRITE_THROUGH: u32 = 3;

    /// The position of the third bit in a leaf: another one if the leaf is large.
    const fn attribute_table(is_large: bool) -> u32 {
        if is_large {
            12
        } else {
            7
        }
    }

    /// The index in a leaf, or in the bits that Linux tells of one.
    #[must_use]
    pub const fn index_of(leaf: u64, is_large: bool) -> u64 {
        let two = leaf >> WRITE_THROUGH & 3;
        let third = leaf >> attribute_table(is_large) & 1;
        two | third << 2
    }

    /// The bits of a leaf for an index, of which three bits count.
    #[must_use]
    pub const fn bits_of(index: u64, is_large: bool) -> u64 {
        let (two, third) = (index & 3, index >> 2 & 1);
        two << WRITE_THROUGH | third << attribute_table(is_large)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Linux's table: index 0 write-back, 1 write-combining, 2 uncached unless a range register says
        /// write-combining, 3 uncached, 5 write-protected, 7 write-through.
        #[test]
        fn leaves_of_linux_are_read() {
            for (leaf, is_large, index) in [
                (0x8000_0000_0000_0027, false, 0),
                (0x8000_00fe_b000_002f, false, 1),
                (0x8000_00fe_b000_0237, false, 2),
                (0x8000_00fe_b000_023f, false, 3),
                (0x8000_00fe_b000_00bf, false, 7),
                (0x8000_00fe_b000_00bf, true, 3),
                (0x8000_00fe_b000_10bf, true, 7),
                (0x8000_00fe_b000_10a7, true, 4),
            ] {
                assert_eq!(index_of(leaf, is_large), index, "{leaf:x}");
            }
        }

        #[test]
        fn what_is_written_is_read_and_touches_nothing_else() {
            for is_large in [false, true] {
                for index in 0..8 {
                    let bits = bits_of(index, is_large);
                    assert_eq!(index_of(bits, is_large), index);
                    assert_eq!(bits & !(0x18 | if is_large { 0x1000 } else { 0x80 }), 0);
                }
            }
        }
    }
}

/// The effect of a signal, as far as the proxy must know.
pub mod disposition {
    /// Linux's default action, on mcexec.
    pub const DEFAULT: u64 = 0;
    /// Ignored.
    pub const IGNORE: u64 = 1;
    /// The program has a handler: mcexec forwards the signal to the co-kernel.
    pub const FORWARD: u64 = 2;
}
