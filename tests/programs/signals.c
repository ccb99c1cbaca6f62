// SPDX-License-Identifier: GPL-2.0
// Claims about signals: handlers, masks, stacks, faults, and what a handler may change.
#define _GNU_SOURCE
#include "claims.h"
#include "handlers.h"

#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* All volatile: the C library promises the compiler that kill() does not call back. */
static volatile sig_atomic_t runs, last_signal, depth, deepest;
static volatile siginfo_t last;
static void *volatile handler_frame;

static void count(int signal, siginfo_t *info, void *context)
{
	(void)context;
	deepest = ++depth > deepest ? depth : deepest;
	runs++;
	last_signal = signal;
	last = *info;
	handler_frame = __builtin_frame_address(0);
	depth--;
}

static void raised_signal_runs_its_handler(void)
{
	handle(SIGUSR1, count, 0);
	REQUIRE(raise(SIGUSR1) == 0 && runs == 1 && last_signal == SIGUSR1);
	REQUIRE(last.si_signo == SIGUSR1 && last.si_code == SI_TKILL && last.si_pid == getpid() && last.si_uid == getuid());
	REQUIRE(kill(getpid(), SIGUSR1) == 0 && runs == 2 && last.si_code == SI_USER);
	union sigval value = { .sival_int = 77 };
	REQUIRE(sigqueue(getpid(), SIGUSR1, value) == 0 && runs == 3);
	REQUIRE(last.si_code == SI_QUEUE && last.si_value.sival_int == 77);
}

static void registers_survive_a_handler(void)
{
	handle(SIGUSR1, count, 0);
	uint64_t seen[6];
	long number = SYS_kill, self = getpid();
	asm volatile("mov $0x1111, %%rbx; mov $0x2222, %%r12; mov $0x3333, %%r13; mov $0x4444, %%r14; mov $0x5555, %%r8;"
		     "mov $0x6666, %%r9; syscall;"
		     "mov %%rbx, 0(%[out]); mov %%r12, 8(%[out]); mov %%r13, 16(%[out]); mov %%r14, 24(%[out]);"
		     "mov %%r8, 32(%[out]); mov %%r9, 40(%[out])"
		     : "+a"(number)
		     : "D"(self), "S"((long)SIGUSR1), [out] "d"(seen)
		     : "rbx", "r8", "r9", "r12", "r13", "r14", "rcx", "r11", "memory");
	REQUIRE(number == 0 && runs == 1);
	for (int i = 0; i < 6; i++)
		REQUIRE(seen[i] == 0x1111u * (i + 1));
}

static sigjmp_buf back;

static void count_and_jump(int signal, siginfo_t *info, void *context)
{
	count(signal, info, context);
	siglongjmp(back, 1);
}

static void touch(volatile char *address)
{
	if (sigsetjmp(back, 1) == 0)
		*address = 1;
}

static void segmentation_fault_tells_address_and_kind(void)
{
	char *read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handle(SIGSEGV, count_and_jump, 0);
	touch((char *)0x123450);
	REQUIRE(runs == 1 && last.si_addr == (void *)0x123450 && last.si_code == SEGV_MAPERR);
	touch(read_only);
	REQUIRE(runs == 2 && last.si_addr == read_only && last.si_code == SEGV_ACCERR);
	touch((char *)0x8000000000000000);
	REQUIRE(runs == 3 && last.si_addr == NULL && last.si_code == SI_KERNEL);
	touch((char *)0xffff888000000000);
	REQUIRE(runs == 4 && last.si_code == SEGV_MAPERR);
}

/* Continues behind the faulting instruction, whose length is in rdx, and leaves a mark in rbx. */
static void skip(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	count(signal, info, context);
	registers[REG_RIP] += registers[REG_RDX];
	registers[REG_RBX] = 4711;
}

static void handler_can_change_the_registers(void)
{
	long mark;
	handle(SIGILL, skip, 0);
	asm volatile("ud2" : "=b"(mark) : "d"(2l));
	REQUIRE(runs == 1 && mark == 4711 && last_signal == SIGILL && last.si_code == ILL_ILLOPN);
}

static void arithmetic_and_debug_traps_become_signals(void)
{
	long mark;
	handle(SIGFPE, skip, 0);
	handle(SIGTRAP, count, 0);
	handle(SIGSEGV, skip, 0);
	asm volatile("xor %%ecx, %%ecx; mov $1, %%eax; .byte 0xf7, 0xf1" : "=b"(mark) : "d"(2l) : "rax", "rcx");
	REQUIRE(runs == 1 && last_signal == SIGFPE && last.si_code == FPE_INTDIV && mark == 4711);
	asm volatile("int3");
	REQUIRE(runs == 2 && last_signal == SIGTRAP);
	asm volatile("hlt" : "=b"(mark) : "d"(1l));
	REQUIRE(runs == 3 && last_signal == SIGSEGV && last.si_code == SI_KERNEL);
}

static void blocked_signal_waits_until_unblocked(void)
{
	sigset_t set = set_of(SIGUSR1), pending, old;
	handle(SIGUSR1, count, 0);
	REQUIRE(sigprocmask(SIG_BLOCK, &set, &old) == 0 && !sigismember(&old, SIGUSR1));
	REQUIRE(raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0 && runs == 0);
	REQUIRE(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2));
	REQUIRE(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0 && runs == 1);
	REQUIRE(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
}

static void sigsuspend_waits_with_another_mask(void)
{
	sigset_t set = set_of(SIGUSR1), nothing, now;
	sigemptyset(&nothing);
	handle(SIGUSR1, count, 0);
	REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGUSR1) == 0 && runs == 0);
	REQUIRE_ERROR(sigsuspend(&nothing), EINTR);
	REQUIRE(runs == 1 && sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGUSR1));
}

static void raise_again(int signal, siginfo_t *info, void *context)
{
	deepest = ++depth > deepest ? depth : deepest;
	if (runs++ < 3)
		raise(signal);
	depth--;
	(void)info, (void)context;
}

static void handler_masks_its_own_signal(void)
{
	handle(SIGUSR1, raise_again, 0);
	REQUIRE(raise(SIGUSR1) == 0 && runs == 4 && deepest == 1);
	runs = deepest = 0;
	handle(SIGUSR1, raise_again, SA_NODEFER);
	REQUIRE(raise(SIGUSR1) == 0 && runs == 4 && deepest == 4);
}

static void ignored_signal_does_nothing(void)
{
	REQUIRE(signal(SIGTERM, SIG_IGN) == SIG_DFL && raise(SIGTERM) == 0 && kill(getpid(), SIGTERM) == 0);
	REQUIRE(raise(SIGCHLD) == 0 && raise(SIGURG) == 0 && raise(SIGWINCH) == 0);
}

static void reset_handler_runs_once(void)
{
	struct sigaction now;
	handle(SIGUSR1, count, SA_RESETHAND);
	REQUIRE(raise(SIGUSR1) == 0 && runs == 1);
	REQUIRE(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
}

static void alternate_stack_is_used_and_reported(void)
{
	static char memory[64 * 1024];
	stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory }, now;
	REQUIRE(sigaltstack(&stack, NULL) == 0);
	handle(SIGUSR1, count, SA_ONSTACK);
	handle(SIGUSR2, count, 0);
	REQUIRE(raise(SIGUSR1) == 0 && (char *)handler_frame >= memory && (char *)handler_frame < memory + sizeof memory);
	REQUIRE(raise(SIGUSR2) == 0 && ((char *)handler_frame < memory || (char *)handler_frame >= memory + sizeof memory));
	REQUIRE(sigaltstack(NULL, &now) == 0 && now.ss_sp == memory && now.ss_size == sizeof memory && now.ss_flags == 0);
	stack.ss_size = 100;
	REQUIRE_ERROR(sigaltstack(&stack, NULL), ENOMEM);
	stack.ss_flags = 0x1000;
	REQUIRE_ERROR(sigaltstack(&stack, NULL), EINVAL);
}

static void signal_calls_fail_as_on_linux(void)
{
	struct sigaction action = { .sa_handler = SIG_IGN };
	REQUIRE_ERROR(syscall(SYS_rt_sigaction, SIGKILL, &action, NULL, 8), EINVAL);
	REQUIRE_ERROR(syscall(SYS_rt_sigaction, 0, &action, NULL, 8), EINVAL);
	REQUIRE_ERROR(syscall(SYS_rt_sigaction, 65, &action, NULL, 8), EINVAL);
	REQUIRE_ERROR(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 16), EINVAL);
	REQUIRE_ERROR(syscall(SYS_rt_sigprocmask, 99, &action, NULL, 8), EINVAL);
	REQUIRE_ERROR(kill(getpid(), 65), EINVAL);
	REQUIRE_ERROR(kill(0x3fffffff, 0), ESRCH);
	REQUIRE(kill(getpid(), 0) == 0);
	sigset_t set = set_of(SIGKILL), now;
	REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && sigprocmask(SIG_BLOCK, NULL, &now) == 0);
	REQUIRE(!sigismember(&now, SIGKILL));
}

static void alarm_after(long us)
{
	struct itimerval timer = { .it_value = { .tv_usec = us } };
	REQUIRE(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void alarm_reaches_a_computing_program(void)
{
	handle(SIGALRM, count, 0);
	alarm_after(50000);
	time_t start = time(NULL);
	while (!runs)
		REQUIRE(time(NULL) < start + 10);
	REQUIRE(last_signal == SIGALRM && last.si_code == SI_KERNEL);
}

static void alarm_interrupts_a_waiting_call(void)
{
	int ends[2];
	char byte;
	REQUIRE(pipe(ends) == 0);
	handle(SIGALRM, count, 0);
	alarm_after(50000);
	REQUIRE_ERROR(read(ends[0], &byte, 1), EINTR);
	REQUIRE(runs == 1);
	alarm_after(50000);
	REQUIRE_ERROR(pause(), EINTR);
	REQUIRE(runs == 2);
}

static void write_something(int signal, siginfo_t *info, void *context)
{
	static int end;
	if (!end)
		end = info->si_value.sival_int;
	count(signal, info, context);
	if (write(end, "x", 1) != 1)
		_exit(3);
}

static void restartable_call_goes_on_after_a_handler(void)
{
	int ends[2];
	char byte = 0;
	REQUIRE(pipe(ends) == 0);
	handle(SIGALRM, write_something, SA_RESTART);
	union sigval end = { .sival_int = ends[1] };
	REQUIRE(sigqueue(getpid(), SIGALRM, end) == 0 && runs == 1 && read(ends[0], &byte, 1) == 1);
	alarm_after(50000);
	REQUIRE(read(ends[0], &byte, 1) == 1 && byte == 'x' && runs == 2);
}

/* More than anybody keeps: some are refused, none of the others is lost, and a fault still comes through. */
static void a_full_queue_refuses_more(void)
{
	handle(SIGRTMIN, count, 0);
	sigset_t set = set_of(SIGRTMIN);
	REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	union sigval value = { .sival_int = 1 };
	int queued = 0;
	while (queued < 100000 && sigqueue(getpid(), SIGRTMIN, value) == 0)
		queued++;
	REQUIRE(queued == 100000 || errno == EAGAIN);
	REQUIRE(queued >= 1000 && runs == 0);
	handle(SIGUSR1, count, 0);
	REQUIRE(raise(SIGUSR1) == 0 && runs == 1 && last_signal == SIGUSR1);
	REQUIRE(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0 && runs == queued + 1);
}

static void burn(double seconds)
{
	struct timespec now, end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	end.tv_nsec += (seconds - (long)seconds) * 1e9;
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec + now.tv_nsec / 1e9 < end.tv_sec + end.tv_nsec / 1e9);
}

static void timers_of_cpu_time_strike_while_computing(void)
{
	static const struct { int timer, signal; } kinds[] = { { ITIMER_VIRTUAL, SIGVTALRM }, { ITIMER_PROF, SIGPROF } };
	for (int i = 0; i < 2; i++) {
		struct itimerval each = { { 0, 50000 }, { 0, 50000 } }, off = { 0 }, left;
		runs = 0;
		handle(kinds[i].signal, count, 0);
		REQUIRE(setitimer(kinds[i].timer, &each, NULL) == 0);
		struct timespec sleep = { 0, 300000000 };
		nanosleep(&sleep, NULL);
		REQUIRE(runs <= 1);
		for (int turn = 0; turn < 100 && runs < 4; turn++)
			burn(0.1);
		REQUIRE(runs >= 4 && last_signal == kinds[i].signal);
		REQUIRE(getitimer(kinds[i].timer, &left) == 0 && left.it_interval.tv_usec == 50000);
		REQUIRE(setitimer(kinds[i].timer, &off, &left) == 0 && (left.it_value.tv_usec != 0 || left.it_value.tv_sec != 0));
		int before = runs;
		burn(0.2);
		REQUIRE(runs == before);
		struct itimerval wrong = { { 0, 0 }, { 0, 1000000 } };
		REQUIRE_ERROR(setitimer(kinds[i].timer, &wrong, NULL), EINVAL);
	}
	struct itimerval once = { { 0, 0 }, { 0, 20000 } }, left;
	REQUIRE_ERROR(setitimer(3, &once, NULL), EINVAL);
	runs = 0;
	REQUIRE(setitimer(ITIMER_PROF, &once, NULL) == 0);
	while (runs == 0)
		;
	burn(0.1);
	REQUIRE(runs == 1 && getitimer(ITIMER_PROF, &left) == 0 && left.it_value.tv_usec == 0);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(raised_signal_runs_its_handler),
		CLAIM(registers_survive_a_handler),
		CLAIM(segmentation_fault_tells_address_and_kind),
		CLAIM(handler_can_change_the_registers),
		CLAIM(arithmetic_and_debug_traps_become_signals),
		CLAIM(blocked_signal_waits_until_unblocked),
		CLAIM(sigsuspend_waits_with_another_mask),
		CLAIM(handler_masks_its_own_signal),
		CLAIM(ignored_signal_does_nothing),
		CLAIM(reset_handler_runs_once),
		CLAIM(alternate_stack_is_used_and_reported),
		CLAIM(signal_calls_fail_as_on_linux),
		CLAIM(alarm_reaches_a_computing_program),
		CLAIM(alarm_interrupts_a_waiting_call),
		CLAIM(restartable_call_goes_on_after_a_handler),
		CLAIM(a_full_queue_refuses_more),
		CLAIM(timers_of_cpu_time_strike_while_computing),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
