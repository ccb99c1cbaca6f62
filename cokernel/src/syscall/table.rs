// SPDX-License-Identifier: GPL-2.0
//! The table of system calls: the routes of the contract's table
//! (`ihk-ikc/src/proto/syscalls/table.rs`), with a function for each call that is local. Hop 2 of a
//! delegated call looks it up here.
//!
//! A local call without a function here, or a function of a call that is not local, does not compile.

use core::sync::atomic::{AtomicBool, Ordering};

use ihk_ikc::syscalls::{self, number, CALLS, NUMBERS};

use crate::addr::to_usize;
use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::syscall::{
    advice, arch_prctl, brk, clone, execve, exit, futex, identity, itimer, kill, madvise, masked,
    mempolicy, mlock, mmap, move_pages, mprotect, mremap, munmap, pkey, posix_timer, prctl,
    priority, rlimit, robust_list, sched, shm, sigaction, sigaltstack, sigmask, signalfd,
    sigreturn, sigwait, sleep, times,
};

/// A function that performs a local call.
type Function = fn(&mut UserFrame) -> SyscallResult;

/// The route of a system call.
#[derive(Clone, Copy)]
pub enum Route {
    /// To this function.
    Local(Function),
    /// To the worker.
    Delegated,
    /// To the worker, of which new threads inherit what the call changes: new workers must come from it.
    Inherited,
    /// Back with this error.
    Refused(Errno),
}

/// One row: number, name, route.
#[derive(Clone, Copy)]
pub struct Row {
    /// Linux's number.
    pub number: u64,
    /// Linux's name.
    pub name: &'static str,
    /// Its route.
    pub route: Route,
}

impl Row {
    /// Whether no program was refused this call since boot, until now.
    pub fn is_first_refusal(&self) -> bool {
        static REFUSED: [AtomicBool; NUMBERS] = [const { AtomicBool::new(false) }; NUMBERS];
        usize::try_from(self.number)
            .ok()
            .and_then(|number| REFUSED.get(number))
            .is_some_and(|refused| !refused.swap(true, Ordering::Relaxed))
    }
}

macro_rules! local_calls {
    ($($name:ident $function:path;)*) => {
        const LOCAL: &[(u64, Function)] = &[$((number::$name, $function)),*];
    };
}

/// One row for each of the contract's, in the same order.
static ROWS: [Row; CALLS.len()] = {
    let mut rows = [Row {
        number: 0,
        name: "",
        route: Route::Delegated,
    }; CALLS.len()];
    let mut local = 0;
    let mut index = 0;
    while index < CALLS.len() {
        let call = &CALLS[index];
        let route = match call.route {
            syscalls::Route::Local => {
                local += 1;
                Route::Local(function(call.number))
            }
            syscalls::Route::Delegated => Route::Delegated,
            syscalls::Route::Inherited => Route::Inherited,
            syscalls::Route::Refused(errno) => Route::Refused(Errno::new(errno as i32)),
        };
        rows[index] = Row {
            number: call.number,
            name: call.name,
            route,
        };
        index += 1;
    }
    assert!(
        local == LOCAL.len(),
        "a function of a call that is not local"
    );
    rows
};

/// Returns the function of local call `number`.
const fn function(number: u64) -> Function {
    let mut index = 0;
    while index < LOCAL.len() {
        if LOCAL[index].0 == number {
            return LOCAL[index].1;
        }
        index += 1;
    }
    panic!("a local call without a function");
}

/// The rows by number.
static TABLE: [Option<&'static Row>; NUMBERS] = {
    let mut table = [None; NUMBERS];
    let mut index = 0;
    while index < ROWS.len() {
        table[to_usize(ROWS[index].number)] = Some(&ROWS[index]);
        index += 1;
    }
    table
};

/// The row of `number`.
pub fn find(number: u64) -> Option<&'static Row> {
    let index = usize::try_from(number)
        .ok()
        .filter(|&index| index < NUMBERS)?;
    TABLE[index]
}

local_calls! {
    mmap                    mmap::mmap;
    mprotect                mprotect::mprotect;
    munmap                  munmap::munmap;
    brk                     brk::brk;
    rt_sigaction            sigaction::rt_sigaction;
    rt_sigprocmask          sigmask::rt_sigprocmask;
    rt_sigreturn            sigreturn::rt_sigreturn;
    sched_yield             sched::sched_yield;
    mremap                  mremap::mremap;
    msync                   advice::msync;
    mincore                 advice::mincore;
    madvise                 madvise::madvise;
    shmat                   shm::shmat;
    pause                   sigmask::pause;
    nanosleep               sleep::nanosleep;
    getitimer               itimer::getitimer;
    setitimer               itimer::setitimer;
    getpid                  identity::getpid;
    clone                   clone::clone;
    fork                    clone::fork;
    vfork                   clone::vfork;
    execve                  execve::execve;
    exit                    exit::exit;
    wait4                   times::wait4;
    kill                    kill::kill;
    shmdt                   shm::shmdt;
    getrlimit               rlimit::getrlimit;
    getrusage               times::getrusage;
    times                   times::times;
    rt_sigpending           sigmask::rt_sigpending;
    rt_sigtimedwait         sigwait::rt_sigtimedwait;
    rt_sigqueueinfo         kill::rt_sigqueueinfo;
    rt_sigsuspend           sigmask::rt_sigsuspend;
    sigaltstack             sigaltstack::sigaltstack;
    personality             prctl::personality;
    setpriority             priority::setpriority;
    sched_setparam          priority::set_scheduling;
    sched_setscheduler      priority::set_scheduling;
    mlock                   mlock::mlock;
    munlock                 mlock::munlock;
    mlockall                mlock::mlockall;
    munlockall              mlock::munlockall;
    prctl                   prctl::prctl;
    arch_prctl              arch_prctl::arch_prctl;
    setrlimit               rlimit::setrlimit;
    gettid                  identity::gettid;
    tkill                   kill::tkill;
    futex                   futex::futex;
    sched_setaffinity       sched::sched_setaffinity;
    sched_getaffinity       sched::sched_getaffinity;
    set_tid_address         identity::set_tid_address;
    clock_gettime           times::clock_gettime;
    timer_create            posix_timer::timer_create;
    timer_settime           posix_timer::timer_settime;
    timer_gettime           posix_timer::timer_gettime;
    timer_getoverrun        posix_timer::timer_getoverrun;
    timer_delete            posix_timer::timer_delete;
    clock_nanosleep         sleep::clock_nanosleep;
    exit_group              exit::exit_group;
    tgkill                  kill::tgkill;
    mbind                   mempolicy::mbind;
    set_mempolicy           mempolicy::set_mempolicy;
    get_mempolicy           mempolicy::get_mempolicy;
    migrate_pages           move_pages::migrate_pages;
    pselect6                masked::pselect6;
    ppoll                   masked::ppoll;
    set_robust_list         robust_list::set_robust_list;
    get_robust_list         robust_list::get_robust_list;
    move_pages              move_pages::move_pages;
    epoll_pwait             masked::epoll_pwait;
    signalfd                signalfd::signalfd;
    signalfd4               signalfd::signalfd;
    rt_tgsigqueueinfo       kill::rt_tgsigqueueinfo;
    prlimit64               rlimit::prlimit64;
    getcpu                  sched::getcpu;
    sched_setattr           priority::set_scheduling;
    execveat                execve::execveat;
    membarrier              sched::membarrier;
    mlock2                  mlock::mlock2;
    pkey_mprotect           pkey::pkey_mprotect;
    pkey_alloc              pkey::pkey_alloc;
    pkey_free               pkey::pkey_free;
    clone3                  clone::clone3;
    epoll_pwait2            masked::epoll_pwait2;
    futex_waitv             futex::waitv;
    set_mempolicy_home_node mempolicy::set_mempolicy_home_node;
}
