// SPDX-License-Identifier: GPL-2.0
//! The programs of this folder that check claims about themselves, natively and then under mcexec.

programs!(PROGRAMS:
    "files",
    "memory",
    "areas",
    "reservations",
    "fresh",
    "signals",
    "sent_signals",
    "timers",
    "clocks",
    "signal_stacks",
    "parent_death",
    "corners",
    "directed",
    "processor",
    "keys",
    "process",
    "uring",
    "threads",
    "thread_signals",
    "thread_memory",
    "futexes",
    "scheduling",
    "queue",
    "sakura",
);
