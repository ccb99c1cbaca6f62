// SPDX-License-Identifier: GPL-2.0
// flood SECONDS: orders signals for itself from mcctrl without end, by the ioctl that its mcexec would make, from four threads on
// CPU 0; each order makes the CPU on which it was started look at nine hundred threads. Prints how many were carried out.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SLEEPERS 900
#define FLOODERS 4

struct forward {
	uint32_t signal;
	int32_t code;
	uint32_t pid, uid;
	uint64_t value;
	uint32_t thread, reserved;
};
#define SIGNAL _IOW('k', 0x66, struct forward)

static int device;
static volatile int is_over;
static unsigned long sent;

static void *sleeper(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

static void *flooder(void *unused)
{
	(void)unused;
	struct forward order = { .signal = SIGCONT, .pid = 1, .uid = 1 };
	cpu_set_t first;
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof first, &first);
	while (!is_over)
		if (ioctl(device, SIGNAL, &order) == 0)
			__atomic_add_fetch(&sent, 1, __ATOMIC_RELAXED);
	return NULL;
}

int main(int count, char **arguments)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	device = open("/dev/mcos0", O_RDWR);
	if (device < 0) {
		perror("/dev/mcos0");
		return 1;
	}
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 32 << 10);
	pthread_t thread;
	for (int i = 0; i < SLEEPERS; i++) {
		int error = pthread_create(&thread, &small, sleeper, NULL);
		if (error) {
			printf("thread %d: %s\n", i, strerror(error));
			return 1;
		}
	}
	for (int i = 0; i < FLOODERS; i++)
		pthread_create(&thread, &small, flooder, NULL);
	sleep(atoi(arguments[count - 1]));
	is_over = 1;
	printf("%lu orders\n", sent);
	return 0;
}
