// SPDX-License-Identifier: GPL-2.0
// Claims about memory that one thread changes while others use it.
#define _GNU_SOURCE
#include "claims.h"
#include "threads.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

static atomic_int running;

static volatile long *page;
static __thread sigjmp_buf escape;

static void leave_writing(int signal)
{
	(void)signal;
	siglongjmp(escape, 1);
}

static void *write_page(void *unused)
{
	running = 1;
	if (sigsetjmp(escape, 1) == 0)
		for (;;)
			++*page;
	return unused;
}

// What one thread takes away is gone for the others when the call returns, whatever their cores remember.
static void a_revoked_right_is_gone_on_all_cores(void)
{
	struct sigaction action = { .sa_handler = leave_writing };
	REQUIRE(sigaction(SIGSEGV, &action, NULL) == 0);
	for (int round = 0; round < 50; round++) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		REQUIRE(page != MAP_FAILED);
		running = 0;
		pthread_t thread = start(write_page, NULL);
		while (running == 0 || *page < 1000)
			;
		if (round % 2) {
			REQUIRE(mprotect((void *)page, 4096, PROT_READ) == 0);
			long value = *page;
			for (int i = 0; i < 10000; i++)
				REQUIRE(*page == value);
		} else {
			REQUIRE(munmap((void *)page, 4096) == 0);
		}
		end_of(thread);
	}
}

static void *allocate(void *index)
{
	for (int round = 0; round < 200; round++) {
		size_t bytes = 4096 * (1 + (size_t)round % 40);
		unsigned char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		REQUIRE(p != MAP_FAILED);
		for (size_t i = 0; i < bytes; i += 4096) {
			REQUIRE(p[i] == 0);
			p[i] = (unsigned char)(intptr_t)index;
		}
		for (size_t i = 0; i < bytes; i += 4096)
			REQUIRE(p[i] == (unsigned char)(intptr_t)index);
		REQUIRE(munmap(p, bytes) == 0);
	}
	return NULL;
}

static void threads_map_and_unmap_at_once(void)
{
	run_in(FEW, allocate);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(a_revoked_right_is_gone_on_all_cores),
		CLAIM(threads_map_and_unmap_at_once),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
