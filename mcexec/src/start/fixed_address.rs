// SPDX-License-Identifier: GPL-2.0
//! What linking to a high address needs, see `build.rs`.
//!
//! The C library refers to some of its own functions weakly: if nothing has brought them in, their address
//! is 0, and it does not call them. No relative call reaches from here to 0. So each has an empty
//! definition, which the library's own takes the place of if it is brought in. The names are those of
//! glibc 2.36 to 2.41, on the paths of start, fork and thread; the linker names what another version lacks
//! ("relocation R_X86_64_PLT32 out of range"). The last one is what the library calls to relocate a
//! position-independent program; here there is nothing to relocate.

#[cfg(fixed_address)]
std::arch::global_asm!(
    ".pushsection .text.mcexec_empty, \"ax\", @progbits",
    ".macro empty name",
    ".weak \\name",
    ".type \\name, @function",
    "\\name:",
    ".endm",
    "empty __abort_fork_reset_child",
    "empty __call_tls_dtors",
    "empty __cxa_finalize",
    "empty __getrandom_fork_subprocess",
    "empty __getrandom_reset_state",
    "empty __glibc_tls_internal_free",
    "empty __libc_dlerror_result_free",
    "empty __malloc_arena_thread_freeres",
    "empty __malloc_fork_lock_parent",
    "empty __malloc_fork_unlock_child",
    "empty __malloc_fork_unlock_parent",
    "empty __mq_notify_fork_subprocess",
    "empty __nss_database_fork_prepare_parent",
    "empty __nss_database_fork_subprocess",
    "empty __pthread_initialize_minimal",
    "empty __res_thread_freeres",
    "empty __timer_fork_subprocess",
    "empty _dl_find_object_init",
    "empty _dl_relocate_static_pie",
    "ret",
    ".popsection",
);
