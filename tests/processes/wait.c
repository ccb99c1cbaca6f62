// SPDX-License-Identifier: GPL-2.0
// Says "ready PID", then waits for ever: `wait call` in a delegated call, `wait futex` inside its own kernel, `wait timer`
// in short timed waits inside its own kernel; `wait handler` in a delegated call until SIGUSR1's handler has run.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void handler(int signal)
{
	handled = signal;
}

static void sleep_on_futex(const struct timespec *timeout)
{
	static uint32_t word;
	for (;;)
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, timeout, NULL, 0);
}

static int read_from_pipe(void)
{
	int ends[2];
	char byte;
	if (pipe(ends))
		return 1;
	while (!handled)
		(void)!read(ends[0], &byte, 1);
	printf("handled %d\n", handled);
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "call";
	struct sigaction action = { .sa_handler = handler };
	if (strcmp(how, "handler") == 0)
		sigaction(SIGUSR1, &action, NULL);
	printf("ready %d\n", getpid());
	fflush(stdout);
	if (strcmp(how, "futex") == 0)
		sleep_on_futex(NULL);
	if (strcmp(how, "timer") == 0)
		sleep_on_futex(&(struct timespec){ .tv_nsec = 10000000 });
	return read_from_pipe();
}
