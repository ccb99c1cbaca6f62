// SPDX-License-Identifier: GPL-2.0
//! Hop 2 of a system call looks it up here. The system call table: every number of Linux on x86-64, up to 7.3, one row per line.
//!
//! `Local(f)`: done here. `Delegate`: performed by the thread's worker on Linux, as it is; possible
//! because pointers mean the same there. `ThreadState`: as `Delegate`, but it changes what the thread
//! is to Linux and new threads inherit (credentials, priorities, namespaces). `Refuse(e)`: always that error. `Enosys`: not there (yet).
//! A number without a row is `ENOSYS`. Calls that act on memory, on signal stacks, on the robust
//! list, on filters of system calls or on the identity of a thread are never `Delegate`: on Linux
//! they would silently act on the proxy.

use core::sync::atomic::{AtomicBool, Ordering};

use Route::{Delegate, Local, Refuse, ThreadState};

use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::syscall::{
    advice, arch_prctl, brk, clone, execve, exit, futex, identity, itimer, kill, madvise, masked,
    mempolicy, mlock, mmap, move_pages, mprotect, mremap, munmap, pkey, prctl, rlimit, robust_list,
    sched, shm, sigaction, sigaltstack, sigmask, signalfd, sigreturn, sigwait, sleep, times,
};

/// Where a system call goes.
#[derive(Clone, Copy)]
pub enum Route {
    /// To this function.
    Local(fn(&mut UserFrame) -> SyscallResult),
    /// To the worker.
    Delegate,
    /// To the worker, which is then no longer what other threads' workers are: new ones must come
    /// from it.
    ThreadState,
    /// Back with this error.
    Refuse(Errno),
}

#[allow(
    non_upper_case_globals,
    reason = "reads like the other routes in the table"
)]
const Enosys: Route = Refuse(Errno::ENOSYS);

/// One row: number, name, route.
pub struct Row {
    /// Linux's number.
    pub number: u64,
    /// Linux's name.
    pub name: &'static str,
    /// Where it goes.
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

/// One more than the highest number.
const NUMBERS: usize = 473;

macro_rules! syscall_table {
    ($($number:literal $name:ident $route:expr;)*) => {
        const ROWS: &[Row] = &[$(Row { number: $number, name: stringify!($name), route: $route }),*];
    };
}

/// The rows by number.
static TABLE: [Option<&'static Row>; NUMBERS] = {
    let mut table = [None; NUMBERS];
    let mut index = 0;
    while index < ROWS.len() {
        let number = ROWS[index].number as usize;
        assert!(table[number].is_none(), "two rows for one number");
        table[number] = Some(&ROWS[index]);
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

syscall_table! {
    0   read                     Delegate;
    1   write                    Delegate;
    2   open                     Delegate;
    3   close                    Delegate;
    4   stat                     Delegate;
    5   fstat                    Delegate;
    6   lstat                    Delegate;
    7   poll                     Delegate;
    8   lseek                    Delegate;
    9   mmap                     Local(mmap::mmap);
    10  mprotect                 Local(mprotect::mprotect);
    11  munmap                   Local(munmap::munmap);
    12  brk                      Local(brk::brk);
    13  rt_sigaction             Local(sigaction::rt_sigaction);
    14  rt_sigprocmask           Local(sigmask::rt_sigprocmask);
    15  rt_sigreturn             Local(sigreturn::rt_sigreturn);
    16  ioctl                    Delegate;
    17  pread64                  Delegate;
    18  pwrite64                 Delegate;
    19  readv                    Delegate;
    20  writev                   Delegate;
    21  access                   Delegate;
    22  pipe                     Delegate;
    23  select                   Delegate;
    24  sched_yield              Local(sched::sched_yield);
    25  mremap                   Local(mremap::mremap);
    26  msync                    Local(advice::msync);
    27  mincore                  Local(advice::mincore);
    28  madvise                  Local(madvise::madvise);
    29  shmget                   Delegate;
    30  shmat                    Local(shm::shmat);
    31  shmctl                   Delegate;
    32  dup                      Delegate;
    33  dup2                     Delegate;
    34  pause                    Local(sigmask::pause);
    35  nanosleep                Local(sleep::nanosleep);
    36  getitimer                Local(itimer::getitimer);
    37  alarm                    Delegate;
    38  setitimer                Local(itimer::setitimer);
    39  getpid                   Local(identity::getpid);
    40  sendfile                 Delegate;
    41  socket                   Delegate;
    42  connect                  Delegate;
    43  accept                   Delegate;
    44  sendto                   Delegate;
    45  recvfrom                 Delegate;
    46  sendmsg                  Delegate;
    47  recvmsg                  Delegate;
    48  shutdown                 Delegate;
    49  bind                     Delegate;
    50  listen                   Delegate;
    51  getsockname              Delegate;
    52  getpeername              Delegate;
    53  socketpair               Delegate;
    54  setsockopt               Delegate;
    55  getsockopt               Delegate;
    56  clone                    Local(clone::clone);
    57  fork                     Local(clone::fork);
    58  vfork                    Local(clone::vfork);
    59  execve                   Local(execve::execve);
    60  exit                     Local(exit::exit);
    61  wait4                    Local(times::wait4);
    62  kill                     Local(kill::kill);
    63  uname                    Delegate;
    64  semget                   Delegate;
    65  semop                    Delegate;
    66  semctl                   Delegate;
    67  shmdt                    Local(shm::shmdt);
    68  msgget                   Delegate;
    69  msgsnd                   Delegate;
    70  msgrcv                   Delegate;
    71  msgctl                   Delegate;
    72  fcntl                    Delegate;
    73  flock                    Delegate;
    74  fsync                    Delegate;
    75  fdatasync                Delegate;
    76  truncate                 Delegate;
    77  ftruncate                Delegate;
    78  getdents                 Delegate;
    79  getcwd                   Delegate;
    80  chdir                    Delegate;
    81  fchdir                   Delegate;
    82  rename                   Delegate;
    83  mkdir                    Delegate;
    84  rmdir                    Delegate;
    85  creat                    Delegate;
    86  link                     Delegate;
    87  unlink                   Delegate;
    88  symlink                  Delegate;
    89  readlink                 Delegate;
    90  chmod                    Delegate;
    91  fchmod                   Delegate;
    92  chown                    Delegate;
    93  fchown                   Delegate;
    94  lchown                   Delegate;
    95  umask                    Delegate;
    96  gettimeofday             Delegate;
    97  getrlimit                Local(rlimit::getrlimit);
    98  getrusage                Local(times::getrusage);
    99  sysinfo                  Delegate;
    100 times                    Local(times::times);
    101 ptrace                   Enosys;
    102 getuid                   Delegate;
    103 syslog                   Delegate;
    104 getgid                   Delegate;
    105 setuid                   ThreadState;
    106 setgid                   ThreadState;
    107 geteuid                  Delegate;
    108 getegid                  Delegate;
    109 setpgid                  Delegate;
    110 getppid                  Delegate;
    111 getpgrp                  Delegate;
    112 setsid                   Delegate;
    113 setreuid                 ThreadState;
    114 setregid                 ThreadState;
    115 getgroups                Delegate;
    116 setgroups                ThreadState;
    117 setresuid                ThreadState;
    118 getresuid                Delegate;
    119 setresgid                ThreadState;
    120 getresgid                Delegate;
    121 getpgid                  Delegate;
    122 setfsuid                 ThreadState;
    123 setfsgid                 ThreadState;
    124 getsid                   Delegate;
    125 capget                   Delegate;
    126 capset                   ThreadState;
    127 rt_sigpending            Local(sigmask::rt_sigpending);
    128 rt_sigtimedwait          Local(sigwait::rt_sigtimedwait);
    129 rt_sigqueueinfo          Local(kill::rt_sigqueueinfo);
    130 rt_sigsuspend            Local(sigmask::rt_sigsuspend);
    131 sigaltstack              Local(sigaltstack::sigaltstack);
    132 utime                    Delegate;
    133 mknod                    Delegate;
    134 uselib                   Enosys;
    135 personality              Local(prctl::personality);
    136 ustat                    Delegate;
    137 statfs                   Delegate;
    138 fstatfs                  Delegate;
    139 sysfs                    Delegate;
    140 getpriority              Delegate;
    141 setpriority              ThreadState;
    142 sched_setparam           ThreadState;
    143 sched_getparam           Delegate;
    144 sched_setscheduler       ThreadState;
    145 sched_getscheduler       Delegate;
    146 sched_get_priority_max   Delegate;
    147 sched_get_priority_min   Delegate;
    148 sched_rr_get_interval    Delegate;
    149 mlock                    Local(mlock::mlock);
    150 munlock                  Local(mlock::munlock);
    151 mlockall                 Local(mlock::mlockall);
    152 munlockall               Local(mlock::munlockall);
    153 vhangup                  Delegate;
    154 modify_ldt               Enosys;
    155 pivot_root               Delegate;
    156 _sysctl                  Enosys;
    157 prctl                    Local(prctl::prctl);
    158 arch_prctl               Local(arch_prctl::arch_prctl);
    159 adjtimex                 Delegate;
    160 setrlimit                Local(rlimit::setrlimit);
    161 chroot                   Delegate;
    162 sync                     Delegate;
    163 acct                     Delegate;
    164 settimeofday             Delegate;
    165 mount                    Delegate;
    166 umount2                  Delegate;
    167 swapon                   Delegate;
    168 swapoff                  Delegate;
    169 reboot                   Delegate;
    170 sethostname              Delegate;
    171 setdomainname            Delegate;
    172 iopl                     Refuse(Errno::EPERM);
    173 ioperm                   Refuse(Errno::EPERM);
    174 create_module            Enosys;
    175 init_module              Delegate;
    176 delete_module            Delegate;
    177 get_kernel_syms          Enosys;
    178 query_module             Enosys;
    179 quotactl                 Delegate;
    180 nfsservctl               Enosys;
    181 getpmsg                  Enosys;
    182 putpmsg                  Enosys;
    183 afs_syscall              Enosys;
    184 tuxcall                  Enosys;
    185 security                 Enosys;
    186 gettid                   Local(identity::gettid);
    187 readahead                Delegate;
    188 setxattr                 Delegate;
    189 lsetxattr                Delegate;
    190 fsetxattr                Delegate;
    191 getxattr                 Delegate;
    192 lgetxattr                Delegate;
    193 fgetxattr                Delegate;
    194 listxattr                Delegate;
    195 llistxattr               Delegate;
    196 flistxattr               Delegate;
    197 removexattr              Delegate;
    198 lremovexattr             Delegate;
    199 fremovexattr             Delegate;
    200 tkill                    Local(kill::tkill);
    201 time                     Delegate;
    202 futex                    Local(futex::futex);
    203 sched_setaffinity        Local(sched::sched_setaffinity);
    204 sched_getaffinity        Local(sched::sched_getaffinity);
    205 set_thread_area          Enosys;
    206 io_setup                 Enosys;
    207 io_destroy               Enosys;
    208 io_getevents             Enosys;
    209 io_submit                Enosys;
    210 io_cancel                Enosys;
    211 get_thread_area          Enosys;
    212 lookup_dcookie           Enosys;
    213 epoll_create             Delegate;
    214 epoll_ctl_old            Enosys;
    215 epoll_wait_old           Enosys;
    216 remap_file_pages         Enosys;
    217 getdents64               Delegate;
    218 set_tid_address          Local(identity::set_tid_address);
    219 restart_syscall          Refuse(Errno::EINTR);
    220 semtimedop               Delegate;
    221 fadvise64                Delegate;
    222 timer_create             Delegate;
    223 timer_settime            Delegate;
    224 timer_gettime            Delegate;
    225 timer_getoverrun         Delegate;
    226 timer_delete             Delegate;
    227 clock_settime            Delegate;
    228 clock_gettime            Local(times::clock_gettime);
    229 clock_getres             Delegate;
    230 clock_nanosleep          Local(sleep::clock_nanosleep);
    231 exit_group               Local(exit::exit_group);
    232 epoll_wait               Delegate;
    233 epoll_ctl                Delegate;
    234 tgkill                   Local(kill::tgkill);
    235 utimes                   Delegate;
    236 vserver                  Enosys;
    237 mbind                    Local(mempolicy::mbind);
    238 set_mempolicy            Local(mempolicy::set_mempolicy);
    239 get_mempolicy            Local(mempolicy::get_mempolicy);
    240 mq_open                  Delegate;
    241 mq_unlink                Delegate;
    242 mq_timedsend             Delegate;
    243 mq_timedreceive          Delegate;
    244 mq_notify                Delegate;
    245 mq_getsetattr            Delegate;
    246 kexec_load               Delegate;
    247 waitid                   Delegate;
    248 add_key                  Delegate;
    249 request_key              Delegate;
    250 keyctl                   ThreadState;
    251 ioprio_set               ThreadState;
    252 ioprio_get               Delegate;
    253 inotify_init             Delegate;
    254 inotify_add_watch        Delegate;
    255 inotify_rm_watch         Delegate;
    256 migrate_pages            Local(move_pages::migrate_pages);
    257 openat                   Delegate;
    258 mkdirat                  Delegate;
    259 mknodat                  Delegate;
    260 fchownat                 Delegate;
    261 futimesat                Delegate;
    262 newfstatat               Delegate;
    263 unlinkat                 Delegate;
    264 renameat                 Delegate;
    265 linkat                   Delegate;
    266 symlinkat                Delegate;
    267 readlinkat               Delegate;
    268 fchmodat                 Delegate;
    269 faccessat                Delegate;
    270 pselect6                 Local(masked::pselect6);
    271 ppoll                    Local(masked::ppoll);
    272 unshare                  ThreadState;
    273 set_robust_list          Local(robust_list::set_robust_list);
    274 get_robust_list          Local(robust_list::get_robust_list);
    275 splice                   Delegate;
    276 tee                      Delegate;
    277 sync_file_range          Delegate;
    278 vmsplice                 Delegate;
    279 move_pages               Local(move_pages::move_pages);
    280 utimensat                Delegate;
    281 epoll_pwait              Local(masked::epoll_pwait);
    282 signalfd                 Local(signalfd::signalfd);
    283 timerfd_create           Delegate;
    284 eventfd                  Delegate;
    285 fallocate                Delegate;
    286 timerfd_settime          Delegate;
    287 timerfd_gettime          Delegate;
    288 accept4                  Delegate;
    289 signalfd4                Local(signalfd::signalfd);
    290 eventfd2                 Delegate;
    291 epoll_create1            Delegate;
    292 dup3                     Delegate;
    293 pipe2                    Delegate;
    294 inotify_init1            Delegate;
    295 preadv                   Delegate;
    296 pwritev                  Delegate;
    297 rt_tgsigqueueinfo        Local(kill::rt_tgsigqueueinfo);
    298 perf_event_open          Enosys;
    299 recvmmsg                 Delegate;
    300 fanotify_init            Delegate;
    301 fanotify_mark            Delegate;
    302 prlimit64                Local(rlimit::prlimit64);
    303 name_to_handle_at        Delegate;
    304 open_by_handle_at        Delegate;
    305 clock_adjtime            Delegate;
    306 syncfs                   Delegate;
    307 sendmmsg                 Delegate;
    308 setns                    ThreadState;
    309 getcpu                   Local(sched::getcpu);
    310 process_vm_readv         Delegate;
    311 process_vm_writev        Delegate;
    312 kcmp                     Delegate;
    313 finit_module             Delegate;
    314 sched_setattr            ThreadState;
    315 sched_getattr            Delegate;
    316 renameat2                Delegate;
    317 seccomp                  Enosys;
    318 getrandom                Delegate;
    319 memfd_create             Delegate;
    320 kexec_file_load          Delegate;
    321 bpf                      Delegate;
    322 execveat                 Local(execve::execveat);
    323 userfaultfd              Enosys;
    324 membarrier               Local(sched::membarrier);
    325 mlock2                   Local(mlock::mlock2);
    326 copy_file_range          Delegate;
    327 preadv2                  Delegate;
    328 pwritev2                 Delegate;
    329 pkey_mprotect            Local(pkey::pkey_mprotect);
    330 pkey_alloc               Local(pkey::pkey_alloc);
    331 pkey_free                Local(pkey::pkey_free);
    332 statx                    Delegate;
    333 io_pgetevents            Enosys;
    334 rseq                     Enosys;
    335 uretprobe                Enosys;
    336 uprobe                   Enosys;
    424 pidfd_send_signal        Delegate;
    425 io_uring_setup           Delegate;
    426 io_uring_enter           Delegate;
    427 io_uring_register        Delegate;
    428 open_tree                Delegate;
    429 move_mount               Delegate;
    430 fsopen                   Delegate;
    431 fsconfig                 Delegate;
    432 fsmount                  Delegate;
    433 fspick                   Delegate;
    434 pidfd_open               Delegate;
    435 clone3                   Local(clone::clone3);
    436 close_range              Delegate;
    437 openat2                  Delegate;
    438 pidfd_getfd              Delegate;
    439 faccessat2               Delegate;
    440 process_madvise          Enosys;
    441 epoll_pwait2             Local(masked::epoll_pwait2);
    442 mount_setattr            Delegate;
    443 quotactl_fd              Delegate;
    444 landlock_create_ruleset  Delegate;
    445 landlock_add_rule        Delegate;
    446 landlock_restrict_self   ThreadState;
    447 memfd_secret             Enosys;
    448 process_mrelease         Enosys;
    449 futex_waitv              Local(futex::waitv);
    450 set_mempolicy_home_node  Local(mempolicy::set_mempolicy_home_node);
    451 cachestat                Delegate;
    452 fchmodat2                Delegate;
    453 map_shadow_stack         Refuse(Errno::EOPNOTSUPP);
    454 futex_wake               Enosys;
    455 futex_wait               Enosys;
    456 futex_requeue            Enosys;
    457 statmount                Delegate;
    458 listmount                Delegate;
    459 lsm_get_self_attr        Delegate;
    460 lsm_set_self_attr        Delegate;
    461 lsm_list_modules         Delegate;
    462 mseal                    Enosys;
    463 setxattrat               Delegate;
    464 getxattrat               Delegate;
    465 listxattrat              Delegate;
    466 removexattrat            Delegate;
    467 open_tree_attr           Delegate;
    468 file_getattr             Delegate;
    469 file_setattr             Delegate;
    470 listns                   Delegate;
    471 rseq_slice_yield         Enosys;
    472 fchroot                  Delegate;
}
