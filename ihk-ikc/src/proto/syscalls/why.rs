// SPDX-License-Identifier: GPL-2.0
//! Reasons for the routes of system calls, one for each group of calls.

// Reasons why a call is local.
pub const MEMORY: &str =
    "the program's memory is the co-kernel's; the window in the proxy only shows it";
pub const FRAMES: &str = "frames, and the nodes that they come from, are the co-kernel's";
pub const KEYS: &str = "protection keys are bits of the co-kernel's page tables";
pub const SIGNALS: &str =
    "the co-kernel delivers signals, so actions, masks, stacks and frames are its own";
pub const SENDING: &str =
    "a signal to the caller itself needs no Linux; to others it goes through Linux";
pub const SIGNAL_FILES: &str =
    "what the descriptor shows must wait in Linux, and no longer in the co-kernel";
pub const MASKED_WAITS: &str =
    "the signal mask is the program's and stays here; only the waiting is Linux's";
pub const SLEEP: &str = "the core can do something else meanwhile, and no worker is kept waiting";
pub const CPU_TIME: &str = "the program's CPU time is spent, and counted, on the co-kernel's CPUs";
pub const LIMITS: &str = "limits on memory and CPU time bound what the co-kernel hands out";
pub const LIFE: &str =
    "threads and processes run on the co-kernel's CPUs; a worker would double or end itself";
pub const KNOWN: &str = "the co-kernel knows the caller's numbers on Linux and need not ask";
pub const THREAD_END: &str =
    "the co-kernel clears the word, and wakes who waits for it, at the thread's end";
pub const CPUS: &str = "the CPUs that threads run on, and their numbers, are the co-kernel's";
pub const REGISTERS: &str = "the FS and GS bases are registers of the co-kernel's CPU";
pub const ATTRIBUTES: &str =
    "some options act on memory, filters or registers and would hit the proxy";
pub const FUTEXES: &str = "a thread that waits for a word of its own memory sleeps on its own core";
pub const ROBUST_LISTS: &str = "the co-kernel walks the list when a thread ends";

// Reasons why a call is delegated.
pub const FILES: &str = "files, directories and descriptors are Linux's";
pub const NETWORK: &str = "sockets and the network are Linux's";
pub const IPC: &str =
    "objects of interprocess communication are Linux's, and natively used ones are the same";
pub const RELATIVES: &str =
    "who is whose parent, group or session is Linux's; orphans change their parent there";
pub const CREDENTIALS: &str =
    "credentials and keyrings are the worker's, because Linux checks them there";
pub const PRIORITIES: &str =
    "policies and priorities are the worker's on Linux, which judges them; the co-kernel obeys them";
pub const NAMESPACES: &str = "namespaces are the worker's, because Linux looks names up in them";
pub const TIMERS: &str = "Linux runs the timer; only its signal comes to the co-kernel";
pub const CLOCKS: &str = "Linux sets the clocks; programs read them without a call, in the vdso";
pub const MACHINE: &str = "the machine, its kernel and their settings are Linux's";
pub const RANDOM: &str = "Linux collects the randomness";
pub const COPIES: &str =
    "Linux copies between the windows of two proxies, or with a program of its own";

// Reasons why a call is refused.
pub const TRACING: &str = "it would trace or count the proxy instead of the program";
pub const FILTERS: &str = "a filter would act on mcexec's own calls";
pub const FAULTS: &str =
    "page faults are the co-kernel's, which has no handlers of the program for them";
pub const GONE: &str = "Linux does not have it on x86-64, or no longer";
pub const SEGMENTS: &str = "the co-kernel has no local descriptor tables";
pub const PORTS: &str = "the ports of the machine are not the partition's";
pub const RINGS: &str =
    "Linux would put the ring into the proxy's memory, where the program does not see it";
pub const RESTARTS: &str = "interrupted calls begin again without it";
pub const UNSUPPORTED_MEMORY: &str = "the co-kernel's memory has no such areas";
pub const OTHERS_MEMORY: &str = "it would act on the proxy's memory instead of the other program's";
pub const SHADOW_STACKS: &str = "the co-kernel has no shadow stacks";
pub const SEQUENCES: &str =
    "the co-kernel has no restartable sequences; the C library does without";
pub const NEW_FUTEXES: &str = "not there yet; `futex` does the same";
