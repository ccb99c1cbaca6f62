// SPDX-License-Identifier: GPL-2.0
// Claims about what a process keeps over exec, and what it loses: signals, timers, threads, properties. `PROGRAM state`
// says what there is, and ends with 6.
#define _GNU_SOURCE
#include "claims.h"
#include "described.h"
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

static char *state[] = {"name", "state", NULL};

static void execute(char **argv)
{
	execve("/proc/self/exe", argv, environ);
	say("execve: %m");
	_exit(1);
}

static void say_signals(void)
{
	struct sigaction action;
	sigset_t blocked, pending;
	stack_t stack;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	sigpending(&pending);
	for (int number = 1; number < 65; number++) {
		if (sigaction(number, NULL, &action))
			continue;
		const char *what = action.sa_handler == SIG_DFL ? "" : action.sa_handler == SIG_IGN ? " ignored" : " handled";

		if (*what || sigismember(&blocked, number) || sigismember(&pending, number))
			say("signal %d:%s%s%s", number, what, sigismember(&blocked, number) ? " blocked" : "",
			    sigismember(&pending, number) ? " pending" : "");
	}
	sigaltstack(NULL, &stack);
	say("stack for signals: flags %x", stack.ss_flags);
}

/* Takes what waits, with what it carries. */
static void take_signals(void)
{
	struct timespec none = {0, 0};
	siginfo_t info;
	sigset_t all;

	sigfillset(&all);
	while (sigtimedwait(&all, &info, &none) > 0)
		say("took %d, code %d, value %d, from this process %d", info.si_signo, info.si_code,
		    info.si_code == SI_QUEUE ? info.si_value.sival_int : 0, info.si_pid == getpid());
}

static void say_properties(void)
{
	struct sched_param parameters = {0};
	struct rlimit limit;
	cpu_set_t cpus;
	char name[17] = "", folder[256] = "";
	int death = -1;

	prctl(PR_GET_NAME, name);
	prctl(PR_GET_PDEATHSIG, &death);
	say("name %s, folder %s, mask %o", name, getcwd(folder, sizeof(folder)), umask(0));
	say("nice %d, policy %d, persona %x", getpriority(PRIO_PROCESS, 0), sched_getscheduler(0), personality(~0UL));
	sched_getparam(0, &parameters);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	say("priority %d, one cpu %d, leader %d, group %d", parameters.sched_priority, CPU_COUNT(&cpus) == 1,
	    getsid(0) == getpid(), getpgrp() == getpid());
	say("death %d, slack %d, thp %d", death, prctl(PR_GET_TIMERSLACK), prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	for (int resource = 0; resource < RLIM_NLIMITS; resource++)
		if (getrlimit(resource, &limit) == 0 && resource != RLIMIT_SIGPENDING && resource != RLIMIT_NPROC)
			say("limit %d: %ld %ld", resource, (long)limit.rlim_cur, (long)limit.rlim_max);
	int status, child = waitpid(-1, &status, 0);

	if (child > 0)
		say_end("a child of before", status);
	say("clear of threads: %d", access("/proc/self/task", F_OK) == 0);
}

static void catch(int signal)
{
	(void)signal;
}

static void signals_are_kept_and_handlers_are_not(void)
{
	static char stack[65536];
	stack_t own = {.ss_sp = stack, .ss_size = sizeof(stack)};
	sigset_t mask;

	sigaltstack(&own, NULL);
	signal(SIGUSR1, catch);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, catch);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	kill(getpid(), SIGUSR1);
	raise(SIGHUP);
	say_signals();
	IN_CHILD("a child has none", say_signals(); execute(state));
	execute(state);
}

static void timers_of_the_process_end_but_one(void)
{
	struct itimerval interval = {.it_value = {.tv_usec = 800000}};
	struct itimerspec end = {.it_value = {.tv_sec = 0, .tv_nsec = 50000000}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	timer_t timer;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	REPORT(timer_create(CLOCK_MONOTONIC, &event, &timer));
	REPORT(timer_settime(timer, 0, &end, NULL));
	REPORT(setitimer(ITIMER_REAL, &interval, NULL));
	execute((char *[]){"name", "timers", NULL});
}

static int say_timers(void)
{
	struct timespec second = {2, 0};
	struct itimerval left;
	siginfo_t info;
	sigset_t mask;

	getitimer(ITIMER_REAL, &left);
	say("the alarm is set: %d", left.it_value.tv_usec > 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigaddset(&mask, SIGUSR1);
	/* A timer that were left would end first. */
	say("took %d", sigtimedwait(&mask, &info, &second));
	REPORT(timer_delete((timer_t)0));
	return 6;
}

static void properties_are_kept(void)
{
	struct rlimit limit = {12345, 23456};

	prctl(PR_SET_NAME, "another");
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	prctl(PR_SET_TIMERSLACK, 77777);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	REPORT(setrlimit(RLIMIT_SIGPENDING, &limit));
	limit.rlim_cur = 1 << 20;
	limit.rlim_max = 1 << 28;
	REPORT(setrlimit(RLIMIT_MEMLOCK, &limit));
	REPORT(setrlimit(RLIMIT_CORE, &limit));
	limit.rlim_cur = limit.rlim_max = 1L << 40;
	REPORT(setrlimit(RLIMIT_AS, &limit));
	REPORT(setrlimit(RLIMIT_DATA, &limit));
	REPORT(setpriority(PRIO_PROCESS, 0, 5));
	REPORT(chdir("/usr"));
	umask(027);
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	REPORT(sched_setaffinity(0, sizeof(one), &one));
	if (setsid() < 0)
		say("it leads a session");
	pid_t child = fork();

	if (child == 0)
		_exit(4);
	say_properties();
	child = fork();
	if (child == 0)
		_exit(5);
	execute(state);
}

/* What the other thread does meanwhile. */
static int ends[2];
static volatile int is_ready;

static void *read_for_ever(void *argument)
{
	char byte;

	is_ready = 1;
	say_result("read", read(ends[0], &byte, 1));
	return argument;
}

static void *spin_for_ever(void *argument)
{
	is_ready = 1;
	for (;;)
		__asm__ volatile("pause");
	return argument;
}

static void *lock_for_ever(void *argument)
{
	is_ready = 1;
	pthread_mutex_lock(argument);
	return argument;
}

static void *sleep_for_ever(void *argument)
{
	struct timespec time = {1000, 0};

	is_ready = 1;
	nanosleep(&time, NULL);
	return argument;
}

static void *wait_for_ever(void *argument)
{
	is_ready = 1;
	waitpid(-1, NULL, 0);
	return argument;
}

static void *execute_in_thread(void *argument)
{
	execute(argument);
	return argument;
}

static pid_t own;

/* Starts the thread, and executes in this one, or in one more. */
static void execute_beside(void *(*work)(void *), int is_leader)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	char number[16];
	pthread_t thread;
	char *argv[] = {"name", "number", number, NULL};

	is_ready = 0;
	snprintf(number, sizeof(number), "%d", getpid());
	pthread_mutex_lock(&mutex);
	pthread_create(&thread, NULL, work, &mutex);
	while (!is_ready)
		sched_yield();
	usleep(5000);
	if (is_leader)
		execute(argv);
	pthread_create(&thread, NULL, execute_in_thread, argv);
	for (;;)
		pause();
}

static void whatever_other_threads_do_they_end(void)
{
	static void *(*const works[])(void *) = {read_for_ever, spin_for_ever, lock_for_ever, sleep_for_ever, wait_for_ever};

	REPORT(pipe2(ends, O_CLOEXEC));
	for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++) {
		say("work %zu", i);
		IN_CHILD("by the first thread", execute_beside(works[i], 1));
		IN_CHILD("by another thread", execute_beside(works[i], 0));
	}
	own = fork();
	if (own == 0)
		for (;;)
			pause();
	IN_CHILD("with a child", if (fork() == 0) { usleep(100000); _exit(0); } execute_beside(wait_for_ever, 0));
	kill(own, SIGKILL);
}

static void one_of_several_executions_wins(void)
{
	for (int round = 0; round < 10; round++)
		IN_CHILD("two", pthread_t thread; char *argv[] = {"name", "quiet", NULL};
			 for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, execute_in_thread, argv); execute(argv));
}

static void a_thread_that_fails_to_execute_goes_on(void)
{
	static char *argv[] = {"name", NULL};
	pthread_t thread;

	REPORT(pipe2(ends, O_CLOEXEC));
	pthread_create(&thread, NULL, read_for_ever, NULL);
	usleep(5000);
	for (int round = 0; round < 20; round++)
		if (execve("/nothing", argv, environ) != -1 || errno != ENOENT)
			say("execve: %m");
	if (write(ends[1], "", 1) != 1)
		say("write: %m");
	REPORT(pthread_join(thread, NULL));
	IN_CHILD("then it executes", execute_beside(spin_for_ever, 0));
}

static void after_vfork_only_the_child_executes(void)
{
	volatile int shared = 1;
	int status;
	pid_t child = vfork();

	if (child == 0) {
		shared = 2;
		execve("/nothing", state, environ);
		shared += errno == ENOENT;
		execve("/proc/self/exe", (char *[]){"name", "quiet", NULL}, environ);
		_exit(9);
	}
	say("shared %d", shared);
	REPORT(waitpid(child, &status, 0) == child);
	say_end("vfork", status);
	for (int round = 0; round < 50; round++) {
		child = vfork();
		if (child == 0) {
			execve("/proc/self/exe", (char *[]){"name", "quiet", NULL}, environ);
			_exit(9);
		}
		shared += waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 6;
	}
	say("shared %d", shared);
	child = vfork();
	if (child == 0) {
		signal(SIGTERM, SIG_IGN);
		chdir("/usr");
		execve("/proc/self/exe", (char *[]){"name", "signals", NULL}, environ);
		_exit(9);
	}
	REPORT(waitpid(child, &status, 0) == child);
	say_end("vfork", status);
	char folder[256];

	say("folder %s", strcmp(getcwd(folder, sizeof(folder)), "/usr") ? "as before" : "changed");
	say_signals();
}

/* A look at a ring of its own; the ring stays, and with it what Linux keeps of it for this thread. */
static int use_ring(void)
{
	struct io_uring_params parameters = {0};
	int ring = syscall(SYS_io_uring_setup, 4, &parameters);

	if (ring < 0) {
		say("io_uring_setup: %m");
		return -1;
	}
	REPORT(syscall(SYS_io_uring_enter, ring, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
	return ring;
}

static void rings_do_not_keep_a_process_from_exec(void)
{
	REPORT(use_ring() >= 0);
	IN_CHILD("a child uses one, too", REPORT(use_ring() >= 0); execute((char *[]){"name", "ring", NULL}));
	execute((char *[]){"name", "ring", NULL});
}

static void locks_and_mappings_are_what_linux_makes_of_them(void)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int kept = open("kept", O_CREAT | O_RDWR, 0600), closed = open("closed", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	int memory = open("memory", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	REPORT(fcntl(kept, F_SETLK, &whole));
	REPORT(flock(closed, LOCK_EX));
	REPORT(ftruncate(memory, 4096));
	strcpy(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0), "written");
	REPORT(lseek(kept, 77, SEEK_SET));
	execute((char *[]){"name", "locks", NULL});
}

static int say_locks(void)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char text[16] = "";

	IN_CHILD("another process", REPORT(fcntl(3, F_GETLK, &whole)); say("type %d, of the parent %d", whole.l_type,
		 whole.l_pid == getppid()); REPORT(flock(open("closed", O_RDWR), LOCK_EX | LOCK_NB)));
	REPORT(lseek(3, 0, SEEK_CUR));
	read_file("memory", text, 15);
	say("%s", text);
	return 6;
}

static const struct claim claims[] = {
	CLAIM(signals_are_kept_and_handlers_are_not),
	CLAIM(timers_of_the_process_end_but_one),
	CLAIM(properties_are_kept),
	CLAIM(whatever_other_threads_do_they_end),
	CLAIM(one_of_several_executions_wins),
	CLAIM(a_thread_that_fails_to_execute_goes_on),
	CLAIM(after_vfork_only_the_child_executes),
	CLAIM(rings_do_not_keep_a_process_from_exec),
	CLAIM(locks_and_mappings_are_what_linux_makes_of_them),
};

static int say_state(void)
{
	say_signals();
	take_signals();
	signal(SIGCHLD, SIG_DFL);
	say_properties();
	say_descriptors();
	return 6;
}

/* What the program is after exec. */
static int second_life(int argc, char **argv)
{
	if (strcmp(argv[1], "state") == 0)
		return say_state();
	if (strcmp(argv[1], "signals") == 0)
		say_signals();
	if (strcmp(argv[1], "timers") == 0)
		return say_timers();
	if (strcmp(argv[1], "locks") == 0)
		return say_locks();
	if (strcmp(argv[1], "ring") == 0)
		REPORT(use_ring());
	if (strcmp(argv[1], "number") == 0)
		say("same process %d, first thread %d, %d", atoi(argv[2]) == getpid(), gettid() == getpid(), argc);
	return 6;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[0], "name") == 0)
		return second_life(argc, argv);
	return RUN_CLAIMS(claims, argc, argv);
}
