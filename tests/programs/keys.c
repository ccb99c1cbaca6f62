// SPDX-License-Identifier: GPL-2.0
// Claims about protection keys, which hold on Linux, too.
#define _GNU_SOURCE
#include "claims.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define INITIAL 0x55555554u
#define PKUERR 4

static sigjmp_buf back;
static volatile uint32_t in_handler;
static siginfo_t seen;

static uint32_t rights(void)
{
	uint32_t value, unused;
	asm volatile("rdpkru" : "=a"(value), "=d"(unused) : "c"(0));
	return value;
}

static void note(int signal, siginfo_t *info, void *context)
{
	(void)context;
	in_handler = rights();
	seen = *info;
	if (signal == SIGSEGV)
		siglongjmp(back, 1);
}

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | flags };
	REQUIRE(sigaction(signal, &action, NULL) == 0);
}

/* A jump out of the handler leaves the handler's rights behind. */
#define FAULTS(access, key, rights_then)                                              \
	({                                                                            \
		int faulted = sigsetjmp(back, 1);                                     \
		if (!faulted)                                                         \
			access;                                                       \
		asm volatile("wrpkru" ::"a"(rights_then), "c"(0), "d"(0) : "memory"); \
		faulted && seen.si_code == PKUERR && seen.si_pkey == (uint32_t)(key); \
	})

static volatile char *new_page(size_t bytes)
{
	volatile char *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED);
	for (size_t i = 0; i < bytes; i += PAGE)
		page[i] = 1;
	return page;
}

static void keys_are_given_and_taken_back(void)
{
	REQUIRE(rights() == INITIAL);
	for (int key = 1; key < 16; key++)
		REQUIRE(pkey_alloc(0, 0) == key && pkey_get(key) == 0);
	REQUIRE_ERROR(pkey_alloc(0, 0), ENOSPC);
	REQUIRE(pkey_free(7) == 0 && pkey_free(3) == 0);
	REQUIRE_ERROR(pkey_free(7), EINVAL);
	REQUIRE_ERROR(pkey_free(16), EINVAL);
	REQUIRE_ERROR(pkey_free(-1), EINVAL);
	REQUIRE_ERROR(pkey_alloc(1, 0), EINVAL);
	REQUIRE_ERROR(pkey_alloc(0, 8), EINVAL);
	REQUIRE(pkey_alloc(0, PKEY_DISABLE_WRITE) == 3 && pkey_get(3) == PKEY_DISABLE_WRITE);
	void *page = (void *)new_page(PAGE);
	REQUIRE_ERROR(pkey_mprotect(page, PAGE, PROT_READ, 7), EINVAL);
	REQUIRE_ERROR(pkey_mprotect(page, PAGE, PROT_READ, 16), EINVAL);
	REQUIRE_ERROR(pkey_mprotect((char *)page + 1, PAGE, PROT_READ, 3), EINVAL);
	REQUIRE(pkey_mprotect(page, 0, PROT_READ, 7) == 0);
	REQUIRE(pkey_mprotect(page, PAGE, PROT_READ, -1) == 0);
}

static void keys_forbid_what_the_thread_says(void)
{
	const size_t bytes = 4 << 20;
	volatile char *pages = new_page(bytes);
	int key = pkey_alloc(0, 0);
	uint32_t all = rights(), no_write = all | 2u << 2 * key, nothing = all | 3u << 2 * key;
	volatile char *middle = pages + bytes / 2 + PAGE;
	handle(SIGSEGV, 0);
	REQUIRE(pkey_mprotect((void *)middle, PAGE, PROT_READ | PROT_WRITE, key) == 0);
	*middle = 2;
	pkey_set(key, PKEY_DISABLE_WRITE);
	REQUIRE(*middle == 2 && FAULTS(*middle = 3, key, no_write));
	REQUIRE(seen.si_addr == middle && in_handler == INITIAL);
	middle[-1] = middle[PAGE] = 3;
	pkey_set(key, PKEY_DISABLE_ACCESS);
	REQUIRE(FAULTS((void)*middle, key, nothing));
	REQUIRE_ERROR(syscall(SYS_getcpu, middle, NULL, NULL), EFAULT);
	/* What mprotect changes keeps its key, what is mapped anew has none. */
	REQUIRE(mprotect((void *)(middle - PAGE), 3 * PAGE, PROT_READ) == 0 && middle[-1] == 3);
	REQUIRE(FAULTS((void)*middle, key, nothing));
	pkey_set(key, 0);
	REQUIRE(*middle == 2 && !FAULTS(*middle = 4, key, all) && seen.si_code == SEGV_ACCERR);
	pkey_set(key, PKEY_DISABLE_ACCESS);
	REQUIRE(mmap((void *)middle, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == middle && *middle == 0);
	/* All of it, in large pages where there are some; also what has not been touched yet. */
	REQUIRE(pkey_mprotect((void *)pages, bytes, PROT_READ | PROT_WRITE, key) == 0);
	REQUIRE(FAULTS((void)pages[bytes - 1], key, nothing) && FAULTS(pages[0] = 1, key, nothing));
	REQUIRE(FAULTS((void)*middle, key, nothing));
	pkey_set(key, 0);
	REQUIRE(pages[0] == 1 && middle[-1] == 3 && middle[0] == 0 && munmap((void *)pages, bytes) == 0);
}

/* Linux says EFAULT and leaves the bytes where they are; on the co-kernel the read succeeds. Nothing is lost either way. */
static void nothing_read_into_a_forbidden_page_is_lost(void)
{
	int key = pkey_alloc(0, 0), ends[2];
	volatile char *page = new_page(PAGE);
	REQUIRE(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
	REQUIRE(pkey_mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE, key) == 0);
	pkey_set(key, PKEY_DISABLE_ACCESS);
	ssize_t got = read(ends[0], (void *)page, 1);
	pkey_set(key, 0);
	REQUIRE(got == 1 ? *page == 'x' : errno == EFAULT && read(ends[0], (void *)page, 1) == 1 && *page == 'x');
}

static void register_survives_calls_and_signals(void)
{
	int key = pkey_alloc(0, PKEY_DISABLE_WRITE);
	uint32_t mine = INITIAL & ~(3u << 2 * key) | 2u << 2 * key;
	REQUIRE(rights() == mine);
	handle(SIGUSR1, 0);
	for (int i = 0; i < 200; i++) {
		in_handler = 0;
		REQUIRE(syscall(SYS_getpid) > 0 && rights() == mine && syscall(SYS_getppid) > 0 && rights() == mine);
		REQUIRE(sched_yield() == 0 && rights() == mine && usleep(i % 50 ? 0 : 2000) == 0 && rights() == mine);
		REQUIRE(raise(SIGUSR1) == 0 && in_handler == INITIAL && rights() == mine);
	}
	pid_t child = fork();
	if (child == 0)
		_exit(rights() == mine && pkey_free(key) == 0 ? 0 : 1);
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	REQUIRE(pkey_free(key) == 0);
}

static void *keep_own(void *argument)
{
	uint32_t inherited = rights(), mine = INITIAL & ~0xcu | (uint32_t)(uintptr_t)argument << 2;
	if (inherited != (INITIAL & ~0xcu))
		return "does not inherit";
	pkey_set(1, (unsigned)(uintptr_t)argument);
	for (int i = 0; i < 2000; i++) {
		if (rights() != mine)
			return "has another's rights";
		if (i % 8 == 0)
			syscall(SYS_getppid);
		sched_yield();
	}
	return NULL;
}

static void threads_have_rights_of_their_own(void)
{
	pthread_t threads[8];
	REQUIRE(pkey_alloc(0, 0) == 1);
	for (uintptr_t i = 0; i < 8; i++)
		REQUIRE(pthread_create(&threads[i], NULL, keep_own, (void *)(i % 4)) == 0);
	for (int i = 0; i < 8; i++) {
		void *wrong;
		REQUIRE(pthread_join(threads[i], &wrong) == 0);
		REQUIRE(wrong == NULL);
	}
}

static void handlers_run_on_stacks_that_the_thread_may_not_touch(void)
{
	int key = pkey_alloc(0, 0);
	void *stack = (void *)new_page(16 * PAGE);
	stack_t alternate = { .ss_sp = stack, .ss_size = 16 * PAGE };
	REQUIRE(pkey_mprotect(stack, 16 * PAGE, PROT_READ | PROT_WRITE, key) == 0 && sigaltstack(&alternate, NULL) == 0);
	/* The handler itself may touch only what has no key, so it has to open its stack first. */
	pid_t child = fork();
	if (child == 0) {
		handle(SIGUSR1, SA_ONSTACK);
		pkey_set(key, PKEY_DISABLE_ACCESS);
		raise(SIGUSR1);
		_exit(0);
	}
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	child = fork();
	if (child == 0) {
		REQUIRE(pkey_mprotect(stack, 16 * PAGE, PROT_READ | PROT_WRITE, 0) == 0);
		handle(SIGUSR1, SA_ONSTACK);
		pkey_set(key, PKEY_DISABLE_ACCESS);
		raise(SIGUSR1);
		_exit(in_handler == INITIAL ? 0 : 1);
	}
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(keys_are_given_and_taken_back),
		CLAIM(keys_forbid_what_the_thread_says),
		CLAIM(nothing_read_into_a_forbidden_page_is_lost),
		CLAIM(register_survives_calls_and_signals),
		CLAIM(threads_have_rights_of_their_own),
		CLAIM(handlers_run_on_stacks_that_the_thread_may_not_touch),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
