// SPDX-License-Identifier: GPL-2.0
// fuzz SEED SECONDS: system calls that the co-kernel serves itself, with hostile arguments, in child processes. A child
// may die of what it does to itself; everybody else must not notice. Prints what it did; a seed gives the same calls.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS_PER_CHILD 400
#define CHILD_LIMIT_MS 400
#define ARENA_BYTES (256 << 10)
#define PAGE 4096ul

static const int calls[] = {
	SYS_mmap, SYS_mmap, SYS_mmap, SYS_mprotect, SYS_munmap, SYS_brk, SYS_mremap, SYS_mremap, SYS_msync, SYS_mincore,
	SYS_madvise, SYS_mlock, SYS_munlock, SYS_mlockall, SYS_munlockall, SYS_mlock2, SYS_rt_sigaction,
	SYS_rt_sigprocmask, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
	SYS_rt_sigsuspend, SYS_rt_sigreturn, SYS_sigaltstack, SYS_kill, SYS_tkill, SYS_tgkill, SYS_pause, SYS_signalfd,
	SYS_signalfd4, SYS_nanosleep, SYS_clock_nanosleep, SYS_getitimer, SYS_setitimer, SYS_sched_yield,
	SYS_sched_setaffinity, SYS_sched_getaffinity, SYS_getcpu, SYS_getpid, SYS_gettid, SYS_set_tid_address,
	SYS_set_robust_list, SYS_get_robust_list, SYS_futex, SYS_futex, SYS_futex, SYS_futex_waitv, SYS_membarrier,
	SYS_rseq, SYS_personality, SYS_prctl, SYS_arch_prctl, SYS_getrlimit, SYS_setrlimit, SYS_prlimit64, SYS_execve,
	SYS_execveat, SYS_clone, SYS_clone3, SYS_pselect6, SYS_ppoll, SYS_epoll_pwait, SYS_mbind, SYS_set_mempolicy,
	SYS_get_mempolicy, SYS_shmat, SYS_remap_file_pages, SYS_modify_ldt, SYS_set_thread_area, SYS_pkey_mprotect, 471,
};

static uint64_t state;
static unsigned char *arena;
static unsigned long edge;

static uint64_t dice(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t below(uint64_t limit)
{
	return dice() % limit;
}

static uint64_t address(void)
{
	static const uint64_t strange[] = {
		0, 1, PAGE, 0x7fffffffe000, 0x7ffffffff000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000,
		0xffffffff80000000, 0xfffffffffffff000, 0xffffffffffffffff, 0x8000000000000000, 0x100000000, 0xffffffffff600000,
	};
	switch (below(8)) {
	case 0:
		return strange[below(sizeof(strange) / sizeof(*strange))];
	case 1:
		return edge - below(40);
	case 2:
		return (uint64_t)arena + below(ARENA_BYTES);
	case 3:
		return (uint64_t)&state + below(64) * 8;
	default:
		return (uint64_t)arena + below(ARENA_BYTES / PAGE) * PAGE;
	}
}

static uint64_t length(void)
{
	switch (below(8)) {
	case 0:
		return -below(3 * PAGE);
	case 1:
		return (uint64_t)1 << below(64);
	case 2:
		return below(64);
	case 3:
		return (4 << 20) + below(4) * PAGE;
	default:
		return (1 + below(40)) * PAGE;
	}
}

static uint64_t word(void)
{
	switch (below(6)) {
	case 0:
		return below(3) - 1;
	case 1:
		return dice();
	case 2:
		return 1ul << below(64);
	case 3:
		return below(0x10000);
	default:
		return below(40);
	}
}

static uint64_t any(void)
{
	switch (below(3)) {
	case 0:
		return address();
	case 1:
		return length();
	default:
		return word();
	}
}

static void scribble(void)
{
	uint64_t *words = (uint64_t *)(arena + below(ARENA_BYTES / PAGE) * PAGE);
	unsigned char resident;
	/* Only where memory is and may be written: a fault would end the child too soon. */
	if (mincore(words, PAGE, &resident) != 0 || mprotect(words, PAGE, PROT_READ | PROT_WRITE) != 0)
		return;
	for (int i = 0; i < 16; i++)
		words[below(PAGE / 8)] = any();
}

/* The few values that would hit others, or end everything at once, are kept away. */
static void tame(int call, uint64_t *a)
{
	uint64_t who[] = { getpid(), 0x7fffffff, 1 << 22, (uint32_t)INT32_MIN };
	switch (call) {
	case SYS_kill:
	case SYS_tkill:
	case SYS_rt_sigqueueinfo:
		a[0] = who[below(4)];
		break;
	case SYS_tgkill:
	case SYS_rt_tgsigqueueinfo:
		a[0] = who[below(4)];
		a[1] = who[below(4)];
		break;
	case SYS_prlimit64:
		a[0] = below(2) ? 0 : getpid();
		break;
	case SYS_sched_setaffinity:
		a[0] = below(2) ? 0 : getpid();
		break;
	case SYS_mmap:
	case SYS_mremap:
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_madvise:
		a[0] = address();
		a[1] = length();
		if (call == SYS_mmap && below(2))
			a[3] |= MAP_PRIVATE | MAP_ANONYMOUS;
		break;
	case SYS_execve:
	case SYS_execveat:
		a[1] = address();
		break;
	}
}

static void wake(int signal)
{
	(void)signal;
}

/* The parent's nudges are to end waits, whatever the calls before have done to masks and handlers. */
static void let_nudges_in(void)
{
	struct sigaction action = { .sa_handler = wake };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGUSR1, &action, NULL);
}

static void hurt(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15 | 1;
	let_nudges_in();
	setpgid(0, 0);
	struct rlimit few = { 40, 40 }, none = { 0, 0 };
	setrlimit(RLIMIT_NPROC, &few);
	setrlimit(RLIMIT_CORE, &none);
	arena = mmap(NULL, ARENA_BYTES + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED)
		_exit(0);
	edge = (uint64_t)arena + ARENA_BYTES;
	munmap((void *)edge, PAGE);
	for (int i = 0; i < CALLS_PER_CHILD; i++) {
		int call = calls[below(sizeof(calls) / sizeof(*calls))];
		uint64_t a[6];
		if (call == SYS_rt_sigreturn && below(8) != 0)
			continue;
		if (below(2) == 0)
			let_nudges_in();
		if (below(4) == 0)
			scribble();
		for (int j = 0; j < 6; j++)
			a[j] = any();
		tame(call, a);
		long result = syscall(call, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (result == 0 && (call == SYS_clone || call == SYS_clone3))
			syscall(SYS_exit, 0);
	}
	_exit(0);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Waits for the child's end and makes it come; whether it was late. */
static int reap(pid_t child)
{
	int status, late = 0;
	for (int ms = 0; waitpid(child, &status, WNOHANG | WUNTRACED) != child || WIFSTOPPED(status); ms++) {
		late |= ms >= CHILD_LIMIT_MS;
		if (late)
			kill(child, SIGKILL);
		else
			kill(child, SIGUSR1);
		usleep(1000);
	}
	kill(-child, SIGKILL);
	return late;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	uint64_t seed = strtoull(argv[1], NULL, 0);
	let_nudges_in();
	double end = seconds() + atof(argv[2]);
	long children = 0, late = 0, refused = 0;
	open("fuzzed", O_RDWR | O_CREAT | O_TRUNC, 0600);
	open("/dev/zero", O_RDWR);
	if (write(3, argv[0], 2) != 2)
		return 2;
	for (; seconds() < end; children++) {
		pid_t child = fork();
		if (child == 0)
			hurt(seed + children);
		if (child > 0)
			late += reap(child);
		else if (refused++ > 1000)
			return 1;
	}
	printf("%ld children, %ld of them late, %ld forks refused\n", children, late, refused);
	return 0;
}
