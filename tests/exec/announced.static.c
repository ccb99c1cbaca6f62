// SPDX-License-Identifier: GPL-2.0
// Announces to mcctrl that it executes a program, as mcexec does, and does something else then. Whoever may open the
// device can do that: nothing may come of it that he could not do otherwise.
//   announced thread PROGRAM ARGUMENT…: the announcing thread dies of another one's exec, and the new program executes PROGRAM
//   announced ring PROGRAM ARGUMENT…: executes PROGRAM with a request to io_uring under way
//   announced narrow BYTES PROGRAM ARGUMENT…: executes PROGRAM with so little address space
//   announced limits PROGRAM ARGUMENT…: says that its stack is unlimited, and executes PROGRAM
//   announced plain PROGRAM ARGUMENT…: executes PROGRAM
//   announced not PROGRAM ARGUMENT…: the same without having announced it
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ihk-ikc/src/proto/uapi/programs.rs */
struct execute {
	uint64_t limits[16][2], kept;
	int32_t cpu;
	uint32_t reserved;
};
#define EXECUTE _IOW('k', 0x85, struct execute)

static char **words;

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerrorname_np(errno));
	return 1;
}

static int announce(void)
{
	struct execute announced = {.cpu = -1};
	int device = open("/dev/mcos0", O_RDWR | O_CLOEXEC);

	if (strcmp(words[1], "limits") == 0) {
		announced.kept = 1 << RLIMIT_STACK;
		announced.limits[RLIMIT_STACK][0] = announced.limits[RLIMIT_STACK][1] = ~0UL;
	}

	return ioctl(device, EXECUTE, &announced);
}

static void *execute_self(void *nothing)
{
	words[1] = "not";
	execv("/proc/self/exe", words);
	_exit(fail("exec"));
	return nothing;
}

static int die_of_other_thread(void)
{
	pthread_t thread;
	cpu_set_t one;

	/* What the one frees the next one gets. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (announce() || pthread_create(&thread, NULL, execute_self, NULL))
		return fail("announced");
	for (;;)
		pause();
}

static int begin_request(void)
{
	char *rings = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct io_uring_sqe *entry = (void *)(rings + 4096);
	struct io_uring_params parameters = {.flags = IORING_SETUP_NO_MMAP | IORING_SETUP_NO_SQARRAY};
	int ends[2];

	parameters.cq_off.user_addr = (uintptr_t)rings;
	parameters.sq_off.user_addr = (uintptr_t)entry;
	int ring = (int)syscall(SYS_io_uring_setup, 8, &parameters);

	if (ring < 0 || pipe(ends))
		return -1;
	*entry = (struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD, .fd = ends[0], .poll32_events = POLLIN};
	__atomic_store_n((unsigned int *)(rings + parameters.sq_off.tail), 1, __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) == 1 ? 0 : -1;
}

int main(int argc, char **argv)
{
	int first = argc > 1 && strcmp(argv[1], "narrow") == 0 ? 3 : 2;

	if (argc <= first)
		return 2;
	words = argv;
	if (strcmp(argv[1], "thread") == 0)
		return die_of_other_thread();
	if (strcmp(argv[1], "ring") == 0 && begin_request())
		return fail("io_uring");
	if (strcmp(argv[1], "not") != 0 && announce())
		return fail("announced");
	if (first == 3) {
		struct rlimit limit = {strtoul(argv[2], NULL, 0), RLIM_INFINITY};

		setrlimit(RLIMIT_AS, &limit);
	}
	execv(argv[first], argv + first);
	return fail("exec");
}
