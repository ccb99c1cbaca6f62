// SPDX-License-Identifier: GPL-2.0
// Claims about corners that programs seldom look into: what handlers learn of exceptions, which signal comes first, what
// stopping and continuing take back, limits of CPU time, clone3, membarrier.
#define _GNU_SOURCE
#include "claims.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t runs;
static volatile siginfo_t last;

static void count(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	runs++;
	last = *info;
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
	REQUIRE(sigaction(signal, &action, NULL) == 0);
}

static void block(int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static bool waits(int signal)
{
	sigset_t set;
	REQUIRE(sigpending(&set) == 0);
	return sigismember(&set, signal);
}

static void pause_ms(long ms)
{
	struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };
	while (nanosleep(&rest, &rest) && errno == EINTR)
		;
}

static int status_of(pid_t child)
{
	int status;
	REQUIRE(waitpid(child, &status, 0) == child);
	return status;
}

/* What the last exception said. */
static sigjmp_buf back;
static volatile greg_t number, error, address;

static void look_at_exception(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	number = registers[REG_TRAPNO];
	error = registers[REG_ERR];
	address = registers[REG_CR2];
	siglongjmp(back, 1);
}

static void handlers_learn_which_exception_it_was(void)
{
	enum { PAGE_FAULT = 14, PROTECTION = 13, INVALID_OPCODE = 6, WRITE = 2, USER = 4, FETCH = 16 };
	handle(SIGSEGV, look_at_exception, 0);
	handle(SIGILL, look_at_exception, 0);
	if (!sigsetjmp(back, 1))
		*(volatile char *)0x18;
	REQUIRE(number == PAGE_FAULT && error == USER && address == 0x18);
	if (!sigsetjmp(back, 1))
		*(volatile char *)0x20 = 1;
	REQUIRE(number == PAGE_FAULT && error == (USER | WRITE) && address == 0x20);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED && (page[0] = 1) == 1);
	if (!sigsetjmp(back, 1))
		((void (*)(void))page)();
	REQUIRE(number == PAGE_FAULT && (error & FETCH) && address == (greg_t)page);
	if (!sigsetjmp(back, 1))
		*(volatile char *)0xffffffff80000000;
	REQUIRE(number == PAGE_FAULT && error == (USER | 1));
	if (!sigsetjmp(back, 1))
		__asm__ volatile("hlt");
	REQUIRE(number == PROTECTION && error == 0 && address == (greg_t)0xffffffff80000000);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("ud2");
	REQUIRE(number == INVALID_OPCODE);
}

static void signals_of_the_thread_come_before_the_processs(void)
{
	sigset_t all;
	sigfillset(&all);
	REQUIRE(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
	REQUIRE(kill(getpid(), SIGINT) == 0 && pthread_kill(pthread_self(), SIGRTMAX) == 0 && kill(getpid(), SIGHUP) == 0);
	int order[] = { SIGRTMAX, SIGHUP, SIGINT };
	for (int i = 0; i < 3; i++)
		REQUIRE(sigtimedwait(&all, NULL, &(struct timespec){ 1, 0 }) == order[i]);
}

static void stopping_and_continuing_undo_each_other(void)
{
	block(SIGTSTP);
	block(SIGCONT);
	REQUIRE(raise(SIGTSTP) == 0 && waits(SIGTSTP));
	REQUIRE(kill(getpid(), SIGCONT) == 0 && !waits(SIGTSTP) && waits(SIGCONT));
	REQUIRE(raise(SIGTSTP) == 0 && waits(SIGTSTP) && !waits(SIGCONT));
}

static void what_is_ignored_from_now_on_is_dropped(void)
{
	block(SIGUSR1);
	REQUIRE(raise(SIGUSR1) == 0 && waits(SIGUSR1));
	REQUIRE(signal(SIGUSR1, SIG_IGN) != SIG_ERR && !waits(SIGUSR1));
}

static void actions_keep_only_flags_that_are_known(void)
{
	struct { void (*handler)(int); uint64_t flags; void *restorer; uint64_t mask; } wish = { SIG_IGN, ~0ul, NULL, 0 }, seen;
	REQUIRE(syscall(SYS_rt_sigaction, SIGUSR1, &wish, NULL, 8) == 0);
	REQUIRE(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &seen, 8) == 0 && seen.flags == 0xdc000807);
	REQUIRE_ERROR(syscall(SYS_rt_sigaction, SIGKILL, 8, NULL, 8), EFAULT);
	REQUIRE_ERROR(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL);
	REQUIRE_ERROR(syscall(SYS_rt_sigqueueinfo, getpid(), 0, 8), EFAULT);
}

static void queued_information_arrives_unchanged(void)
{
	handle(SIGUSR1, count, 0);
	siginfo_t info = { .si_code = -60, .si_errno = 9 };
	REQUIRE(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info) == 0);
	REQUIRE(runs == 1 && last.si_code == -60 && last.si_errno == 9);
}

static void what_is_ready_goes_before_a_signal(void)
{
	handle(SIGUSR1, count, SA_RESTART);
	block(SIGUSR1);
	REQUIRE(raise(SIGUSR1) == 0);
	int ends[2], set = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	REQUIRE(pipe(ends) == 0 && write(ends[1], "x", 1) == 1 && epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event) == 0);
	struct pollfd entry = { .fd = ends[0], .events = POLLIN };
	sigset_t none;
	sigemptyset(&none);
	REQUIRE(ppoll(&entry, 1, NULL, &none) == 1 && runs == 0 && waits(SIGUSR1));
	REQUIRE(epoll_pwait(set, &event, 1, -1, &none) == 1 && runs == 0 && waits(SIGUSR1));
	char byte;
	REQUIRE(read(ends[0], &byte, 1) == 1);
	REQUIRE_ERROR(ppoll(&entry, 1, NULL, &none), EINTR);
	REQUIRE(runs == 1 && !waits(SIGUSR1));
}

static void stopped_children_tell_by_which_signal(void)
{
	int signals[] = { SIGTSTP, SIGTTIN, SIGTTOU, SIGSTOP };
	for (int i = 0; i < 4; i++) {
		pid_t child = fork();
		if (child == 0) {
			setpgid(0, 0);
			raise(signals[i]);
			_exit(3);
		}
		int status;
		REQUIRE(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == signals[i]);
		REQUIRE(kill(child, SIGCONT) == 0 && WEXITSTATUS(status_of(child)) == 3);
	}
}

static void do_nothing(int signal) { (void)signal; }

static void stop_comes_after_a_handler_that_is_reset(void)
{
	pid_t child = fork();
	if (child == 0) {
		struct sigaction action = { .sa_handler = do_nothing, .sa_flags = SA_RESETHAND };
		setpgid(0, 0);
		sigaction(SIGTSTP, &action, NULL);
		raise(SIGTSTP);
		raise(SIGTSTP);
		_exit(3);
	}
	int status;
	REQUIRE(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	REQUIRE(kill(child, SIGCONT) == 0 && WEXITSTATUS(status_of(child)) == 3);
}

static void stop_comes_to_children_of_who_has_waited_for_it(void)
{
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	block(SIGTSTP);
	REQUIRE_ERROR(sigtimedwait(&stop, NULL, &(struct timespec){ 0, 0 }), EAGAIN);
	REQUIRE(sigprocmask(SIG_UNBLOCK, &stop, NULL) == 0);
	pid_t child = fork();
	if (child == 0) {
		setpgid(0, 0);
		raise(SIGTSTP);
		_exit(3);
	}
	int status;
	REQUIRE(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	REQUIRE(kill(child, SIGCONT) == 0 && WEXITSTATUS(status_of(child)) == 3);
}

static void stopping_does_not_end_timed_waits(void)
{
	pid_t child = fork();
	if (child == 0) {
		uint32_t word = 0;
		struct timespec limit = { 0, 400000000 };
		syscall(SYS_futex, &word, FUTEX_WAIT, 0, &limit, NULL, 0);
		_exit(errno == ETIMEDOUT ? 0 : 1);
	}
	pause_ms(100);
	REQUIRE(kill(child, SIGSTOP) == 0);
	pause_ms(50);
	REQUIRE(kill(child, SIGCONT) == 0 && status_of(child) == 0);
}

/* Computes until a signal ends it, with a second of CPU time allowed and another one after a handler. */
static pid_t start_with_limit(bool handled)
{
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		if (handled)
			handle(SIGXCPU, count, 0);
		setrlimit(RLIMIT_CPU, &(struct rlimit){ 1, 2 });
		for (;;)
			;
	}
	return child;
}

static void cpu_time_is_limited(void)
{
	int status = status_of(start_with_limit(false));
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
	status = status_of(start_with_limit(true));
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void limits_of_cpu_time_survive_exec(void)
{
	pid_t child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_CPU, &(struct rlimit){ 1, 1 });
		execl("/bin/sh", "sh", "-c", "while :; do :; done", NULL);
	}
	int status = status_of(child);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void children_can_have_descriptors_and_no_handlers(void)
{
	handle(SIGUSR1, count, 0);
	REQUIRE(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
	int pidfd = -1;
	struct clone_args wish = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD,
	};
	pid_t child = (pid_t)syscall(SYS_clone3, &wish, sizeof wish);
	if (child == 0) {
		struct sigaction first, second;
		sigaction(SIGUSR1, NULL, &first);
		sigaction(SIGUSR2, NULL, &second);
		if (first.sa_handler != SIG_DFL || second.sa_handler != SIG_IGN)
			_exit(1);
		for (;;)
			pause_ms(1000);
	}
	REQUIRE(child > 0 && pidfd >= 0 && fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	pause_ms(100);
	REQUIRE(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0) == 0);
	siginfo_t info;
	REQUIRE(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) == 0 && info.si_pid == child && info.si_status == SIGUSR1);
	wish.flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM;
	REQUIRE_ERROR(syscall(SYS_clone3, &wish, sizeof wish), EINVAL);
	// There is no child that nobody can be told of.
	wish.flags = CLONE_PIDFD;
	wish.pidfd = 8;
	REQUIRE_ERROR(syscall(SYS_clone3, &wish, sizeof wish), EFAULT);
	REQUIRE_ERROR(wait(NULL), ECHILD);
}

static pid_t start_in(uint64_t namespaces)
{
	struct clone_args wish = { .flags = namespaces, .exit_signal = SIGCHLD };
	return (pid_t)syscall(SYS_clone3, &wish, sizeof wish);
}

static void children_can_have_namespaces(void)
{
	char before[64], after[64];
	REQUIRE(gethostname(before, sizeof before) == 0);
	pid_t child = start_in(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET);
	if (child == 0)
		_exit(sethostname("inner", 5) == 0 ? 3 : 1);
	REQUIRE(child > 1 && WEXITSTATUS(status_of(child)) == 3);
	REQUIRE(gethostname(after, sizeof after) == 0 && strcmp(before, after) == 0);
}

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static void barriers_want_registration(void)
{
	enum { PRIVATE = 8, REGISTER_PRIVATE = 16, SYNC_CORE = 32, REGISTER_SYNC_CORE = 64, REGISTRATIONS = 512 };
	REQUIRE_ERROR(membarrier(PRIVATE), EPERM);
	REQUIRE_ERROR(membarrier(SYNC_CORE), EPERM);
	REQUIRE(membarrier(REGISTRATIONS) == 0);
	REQUIRE(membarrier(REGISTER_PRIVATE) == 0 && membarrier(PRIVATE) == 0);
	REQUIRE_ERROR(membarrier(SYNC_CORE), EPERM);
	REQUIRE(membarrier(REGISTER_SYNC_CORE) == 0 && membarrier(SYNC_CORE) == 0);
	REQUIRE(membarrier(REGISTRATIONS) == (REGISTER_PRIVATE | REGISTER_SYNC_CORE));
	REQUIRE_ERROR(syscall(SYS_membarrier, PRIVATE, 1, 0), EINVAL);
	pid_t child = fork();
	if (child == 0)
		_exit(membarrier(PRIVATE) == 0 ? 0 : 1);
	REQUIRE(status_of(child) == 0);
}

static void registrations_are_told_as_linux_counts_them(void)
{
	enum { GLOBAL = 1, GLOBAL_EXPEDITED = 2, REGISTER_GLOBAL = 4, PRIVATE = 8, REGISTER_PRIVATE = 16 };
	enum { REGISTER_SYNC_CORE = 64, REGISTRATIONS = 512 };
	REQUIRE((membarrier(0) & 0x27f) == 0x27f && membarrier(GLOBAL) == 0 && membarrier(GLOBAL_EXPEDITED) == 0);
	REQUIRE(membarrier(REGISTER_GLOBAL) == 0 && membarrier(GLOBAL_EXPEDITED) == 0);
	REQUIRE(membarrier(REGISTRATIONS) == REGISTER_GLOBAL && membarrier(REGISTER_SYNC_CORE) == 0);
	REQUIRE(membarrier(REGISTRATIONS) == (REGISTER_GLOBAL | REGISTER_PRIVATE | REGISTER_SYNC_CORE));
	REQUIRE_ERROR(membarrier(PRIVATE), EPERM);
}

static void shared_futexes_want_memory(void)
{
	REQUIRE_ERROR(syscall(SYS_futex, 0x1000, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	REQUIRE(syscall(SYS_futex, 0x1000, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0);
	uint32_t word = 0;
	REQUIRE_ERROR(syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
}

static void locked_pages_are_dropped_only_if_so_said(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED && mlock(page, 4096) == 0 && (page[0] = 7) == 7);
	REQUIRE_ERROR(madvise(page, 4096, MADV_DONTNEED), EINVAL);
	REQUIRE(page[0] == 7 && madvise(page, 4096, MADV_DONTNEED_LOCKED) == 0 && page[0] == 0);
}

static void wishes_that_change_nothing_are_kept(void)
{
	int rights = 0;
	REQUIRE(prctl(PR_GET_TSC, &rights) == 0 && rights == PR_TSC_ENABLE && prctl(PR_SET_TSC, PR_TSC_ENABLE) == 0);
	REQUIRE(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
	REQUIRE(prctl(PR_GET_TIMING) == PR_TIMING_STATISTICAL && prctl(PR_TASK_PERF_EVENTS_DISABLE) == 0);
}

static void waiting_tells_how_long_a_child_computed(void)
{
	pid_t child = fork();
	if (child == 0) {
		while (clock() < CLOCKS_PER_SEC / 5)
			;
		_exit(0);
	}
	struct rusage usage;
	REQUIRE(wait4(child, NULL, 0, &usage) == child);
	REQUIRE(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 150000);
}

/* A set of signals in the status of the process. */
static uint64_t status_line(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	REQUIRE(file != NULL);
	char line[256];
	while (fgets(line, sizeof line, file) && strncmp(line, name, strlen(name)))
		;
	fclose(file);
	return strtoull(line + strlen(name) + 1, NULL, 16);
}

static uint64_t bit(int signal)
{
	return 1ul << (signal - 1);
}

static void status_tells_of_signals(void)
{
	handle(SIGTERM, count, 0);
	REQUIRE(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
	block(SIGUSR1);
	block(SIGRTMIN);
	REQUIRE(raise(SIGUSR1) == 0 && kill(getpid(), SIGRTMIN) == 0);
	REQUIRE(status_line("SigPnd") == bit(SIGUSR1) && status_line("ShdPnd") == bit(SIGRTMIN));
	REQUIRE(status_line("SigBlk") == (bit(SIGUSR1) | bit(SIGRTMIN)));
	REQUIRE(status_line("SigIgn") == bit(SIGUSR2) && status_line("SigCgt") == bit(SIGTERM));
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(handlers_learn_which_exception_it_was),
		CLAIM(signals_of_the_thread_come_before_the_processs),
		CLAIM(stopping_and_continuing_undo_each_other),
		CLAIM(what_is_ignored_from_now_on_is_dropped),
		CLAIM(actions_keep_only_flags_that_are_known),
		CLAIM(queued_information_arrives_unchanged),
		CLAIM(what_is_ready_goes_before_a_signal),
		CLAIM(stopped_children_tell_by_which_signal),
		CLAIM(stop_comes_after_a_handler_that_is_reset),
		CLAIM(stop_comes_to_children_of_who_has_waited_for_it),
		CLAIM(stopping_does_not_end_timed_waits),
		CLAIM(cpu_time_is_limited),
		CLAIM(limits_of_cpu_time_survive_exec),
		CLAIM(children_can_have_descriptors_and_no_handlers),
		CLAIM(children_can_have_namespaces),
		CLAIM(barriers_want_registration),
		CLAIM(registrations_are_told_as_linux_counts_them),
		CLAIM(shared_futexes_want_memory),
		CLAIM(locked_pages_are_dropped_only_if_so_said),
		CLAIM(wishes_that_change_nothing_are_kept),
		CLAIM(status_tells_of_signals),
		CLAIM(waiting_tells_how_long_a_child_computed),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
