// SPDX-License-Identifier: GPL-2.0
// Claims about NUMA nodes: policies of threads and areas, and moving pages. Wants memory on nodes 0 and 1.
#define _GNU_SOURCE
#include "claims.h"

#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif
#define BOUND_TO_NODE_1 "--bound-to-node-1"
#define HOLD_ON_NODE_1 "--hold-on-node-1"

static const char *own_path;

enum { PAGE = 4096, LARGE = 2 << 20, MEGABYTE = 1 << 20, BITS = 65, READ_WRITE = PROT_READ | PROT_WRITE };
#define BOTH 3ul

static long set_policy(int mode, unsigned long nodes)
{
	return syscall(SYS_set_mempolicy, mode, &nodes, BITS);
}

static long bind_area(void *start, size_t bytes, int mode, unsigned long nodes, unsigned flags)
{
	return syscall(SYS_mbind, start, bytes, mode, &nodes, BITS, flags);
}

static long ask(int *mode, unsigned long *nodes, void *address, unsigned long flags)
{
	return syscall(SYS_get_mempolicy, mode, nodes, nodes ? BITS : 0, address, flags);
}

static char *map(size_t bytes, int flags)
{
	char *memory = mmap(NULL, bytes, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	REQUIRE(memory != MAP_FAILED);
	return memory;
}

/* The node of a page, or a negative errno. */
static int node_of(void *page)
{
	int status = -1000;

	REQUIRE(syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) == 0);
	return status;
}

static int all_on(int node, char *memory, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += PAGE)
		if (node_of(memory + at) != node)
			return 0;
	return 1;
}

static void memory_comes_from_the_nodes_told(void)
{
	for (int node = 0; node < 2; node++) {
		REQUIRE(set_policy(node ? MPOL_PREFERRED : MPOL_BIND, 1ul << node) == 0);
		char *memory = map(5 * LARGE, 0);
		memset(memory, 1, 5 * LARGE);
		REQUIRE(all_on(node, memory, 5 * LARGE));
		char *reserved = map(3 * LARGE, MAP_NORESERVE);
		memset(reserved, 1, 3 * LARGE);
		REQUIRE(all_on(node, reserved, 3 * LARGE));
	}
}

static void interleaved_memory_comes_from_all_nodes_in_turn(void)
{
	enum { PAGES = 200 };
	int on[2] = { 0, 0 };
	REQUIRE(set_policy(MPOL_INTERLEAVE, BOTH) == 0);
	char *memory = map(PAGES * PAGE, 0);
	memset(memory, 1, PAGES * PAGE);
	for (int i = 0; i < PAGES; i++)
		on[node_of(memory + i * PAGE) & 1]++;
	REQUIRE(on[0] == PAGES / 2 && on[1] == PAGES / 2);
}

static void areas_have_policies_of_their_own(void)
{
	REQUIRE(set_policy(MPOL_BIND, 1) == 0);
	char *memory = map(8 * PAGE, MAP_NORESERVE);
	REQUIRE(bind_area(memory + 2 * PAGE, 4 * PAGE, MPOL_BIND, 2, 0) == 0);
	memset(memory, 1, 8 * PAGE);
	for (int i = 0; i < 8; i++)
		REQUIRE(node_of(memory + i * PAGE) == (i >= 2 && i < 6));
	int mode, node;
	unsigned long nodes;
	REQUIRE(ask(&mode, &nodes, memory + 2 * PAGE, MPOL_F_ADDR) == 0 && mode == MPOL_BIND && nodes == 2);
	REQUIRE(ask(&mode, &nodes, memory, MPOL_F_ADDR) == 0 && mode == MPOL_DEFAULT && nodes == 0);
	REQUIRE(ask(&node, NULL, memory + 3 * PAGE, MPOL_F_ADDR | MPOL_F_NODE) == 0 && node == 1);
}

static void misplaced_pages_can_be_moved(void)
{
	REQUIRE(set_policy(MPOL_BIND, 1) == 0);
	char *memory = map(2 * LARGE + 5 * PAGE, 0);
	for (int i = 0; i < 2 * LARGE + 5 * PAGE; i += 8)
		*(uint64_t *)(memory + i) = i;
	int null = memfd_create("seen", 0);
	REQUIRE(write(null, memory, LARGE) == LARGE);
	REQUIRE_ERROR(bind_area(memory, 2 * LARGE + 5 * PAGE, MPOL_BIND, 2, MPOL_MF_STRICT), EIO);
	REQUIRE(all_on(0, memory, 2 * LARGE + 5 * PAGE));
	REQUIRE(bind_area(memory, 2 * LARGE + 5 * PAGE, MPOL_BIND, 2, MPOL_MF_STRICT | MPOL_MF_MOVE) == 0);
	REQUIRE(all_on(1, memory, 2 * LARGE + 5 * PAGE));
	for (int i = 0; i < 2 * LARGE + 5 * PAGE; i += 8)
		REQUIRE(*(uint64_t *)(memory + i) == (uint64_t)i);
	REQUIRE(pwrite(null, memory + PAGE, PAGE, 0) == PAGE && pread(null, memory, PAGE, 0) == PAGE);
	REQUIRE(memcmp(memory, memory + PAGE, PAGE) == 0);
}

static void single_pages_can_be_moved(void)
{
	REQUIRE(set_policy(MPOL_BIND, 1) == 0);
	char *memory = map(4 * PAGE, 0);
	memset(memory, 7, 3 * PAGE);
	REQUIRE(munmap(memory + 3 * PAGE, PAGE) == 0);
	void *pages[] = { memory, memory + PAGE, memory + 3 * PAGE };
	int nodes[] = { 1, 0, 1 }, status[3];
	REQUIRE(syscall(SYS_move_pages, 0, 3ul, pages, nodes, status, MPOL_MF_MOVE) == 0);
	REQUIRE(status[0] == 1 && status[1] == 0 && (status[2] == -EFAULT || status[2] == -ENOENT));
	REQUIRE(node_of(memory) == 1 && memory[0] == 7 && memory[PAGE - 1] == 7 && node_of(memory + PAGE) == 0);
	nodes[0] = 9;
	REQUIRE_ERROR(syscall(SYS_move_pages, 0, 1ul, pages, nodes, status, MPOL_MF_MOVE), ENODEV);
	REQUIRE_ERROR(syscall(SYS_move_pages, 0, 1ul, pages, nodes, status, 64), EINVAL);
}

static void whole_programs_can_be_moved(void)
{
	unsigned long from = 1, to = 2;
	REQUIRE(set_policy(MPOL_BIND, 1) == 0);
	char *memory = map(LARGE, 0);
	memset(memory, 3, LARGE);
	REQUIRE(node_of(memory) == 0);
	REQUIRE(syscall(SYS_migrate_pages, 0, BITS, &from, &to) >= 0);
	REQUIRE(all_on(1, memory, LARGE) && memory[LARGE - 1] == 3);
}

static void *on_thread(void *memory)
{
	memset(memory, 1, 4 * PAGE);
	return NULL;
}

static void policies_are_inherited(void)
{
	REQUIRE(set_policy(MPOL_BIND, 1) == 0);
	char *memory = map(4 * PAGE, MAP_NORESERVE);
	pthread_t thread;
	REQUIRE(pthread_create(&thread, NULL, on_thread, memory) == 0 && pthread_join(thread, NULL) == 0);
	REQUIRE(all_on(0, memory, 4 * PAGE));
	REQUIRE(set_policy(MPOL_BIND, 2) == 0);
	int mode, status;
	unsigned long nodes;
	pid_t child = fork();
	if (child == 0)
		_exit(!(ask(&mode, &nodes, NULL, 0) == 0 && mode == MPOL_BIND && nodes == 2 &&
			(memset(memory, 2, 4 * PAGE), all_on(1, memory, 4 * PAGE))));
	REQUIRE(waitpid(child, &status, 0) == child && status == 0 && all_on(0, memory, 4 * PAGE));
}

static int is_bound_to_node_1(void)
{
	int mode;
	unsigned long nodes;
	char *memory = map(LARGE, 0);

	memset(memory, 1, LARGE);
	return ask(&mode, &nodes, NULL, 0) == 0 && mode == MPOL_BIND && nodes == 2 && all_on(1, memory, LARGE);
}

static void policies_are_kept_over_exec(void)
{
	REQUIRE(set_policy(MPOL_BIND, 2) == 0);
	execl(own_path, own_path, BOUND_TO_NODE_1, (char *)0);
	REQUIRE(0);
}

static long set_home(void *start, size_t bytes, unsigned long node, unsigned long flags)
{
	return syscall(SYS_set_mempolicy_home_node, start, bytes, node, flags);
}

static void bound_areas_have_a_home_node(void)
{
	char *memory = map(16 * PAGE, MAP_NORESERVE);
	REQUIRE_ERROR(set_home(memory, 16 * PAGE, 1, 0), ENOENT);
	REQUIRE(bind_area(memory, 8 * PAGE, MPOL_BIND, BOTH, 0) == 0);
	for (int home = 1; home >= 0; home--) {
		REQUIRE(set_home(memory, 4 * PAGE, home, 0) == 0 && madvise(memory, 4 * PAGE, MADV_DONTNEED) == 0);
		memset(memory, 1, 4 * PAGE);
		REQUIRE(all_on(home, memory, 4 * PAGE));
	}
	REQUIRE(set_home(memory, 0, 1, 0) == 0);
	REQUIRE_ERROR(set_home(memory, 4 * PAGE, 1, 1), EINVAL);
	REQUIRE_ERROR(set_home(memory, 4 * PAGE, 9, 0), EINVAL);
	REQUIRE_ERROR(set_home(memory, 4 * PAGE, 1ul << 40, 0), EINVAL);
	REQUIRE_ERROR(set_home(memory + 1, 4 * PAGE, 1, 0), EINVAL);
	REQUIRE(set_home(memory, -1ul, 1, 0) == 0);
	REQUIRE_ERROR(set_home(memory, -(size_t)PAGE, 1, 0), EINVAL);
	REQUIRE(bind_area(memory + 8 * PAGE, 8 * PAGE, MPOL_INTERLEAVE, BOTH, 0) == 0);
	REQUIRE_ERROR(set_home(memory + 4 * PAGE, 12 * PAGE, 1, 0), EOPNOTSUPP);
	int mode;
	unsigned long nodes;
	REQUIRE(ask(&mode, &nodes, memory, MPOL_F_ADDR) == 0 && mode == MPOL_BIND && nodes == BOTH);
}

static void policy_calls_fail_as_on_linux(void)
{
	char *memory = map(4 * PAGE, 0);
	int mode;
	unsigned long nodes;
	REQUIRE_ERROR(set_policy(MPOL_DEFAULT, 1), EINVAL);
	REQUIRE_ERROR(set_policy(MPOL_BIND, 0), EINVAL);
	REQUIRE_ERROR(set_policy(MPOL_BIND, 1ul << 40), EINVAL);
	REQUIRE_ERROR(set_policy(MPOL_LOCAL, 1), EINVAL);
	REQUIRE_ERROR(set_policy(99, 1), EINVAL);
	REQUIRE_ERROR(set_policy(MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, 1), EINVAL);
	REQUIRE_ERROR(syscall(SYS_set_mempolicy, MPOL_BIND, (void *)8, BITS), EFAULT);
	REQUIRE_ERROR(syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 1ul << 30), EINVAL);
	REQUIRE(set_policy(MPOL_PREFERRED, 0) == 0 && ask(&mode, &nodes, NULL, 0) == 0);
	REQUIRE(mode == MPOL_LOCAL || mode == MPOL_PREFERRED);
	REQUIRE(set_policy(MPOL_DEFAULT, 0) == 0 && ask(&mode, &nodes, NULL, 0) == 0 && mode == MPOL_DEFAULT && nodes == 0);
	REQUIRE(ask(NULL, &nodes, NULL, MPOL_F_MEMS_ALLOWED) == 0 && (nodes & BOTH) == BOTH);
	REQUIRE_ERROR(ask(&mode, &nodes, memory, 0), EINVAL);
	REQUIRE_ERROR(ask(&mode, &nodes, NULL, MPOL_F_NODE), EINVAL);
	REQUIRE_ERROR(ask(&mode, &nodes, NULL, MPOL_F_MEMS_ALLOWED | MPOL_F_ADDR), EINVAL);
	REQUIRE_ERROR(ask(&mode, &nodes, NULL, 64), EINVAL);
	REQUIRE_ERROR(bind_area(memory + 1, PAGE, MPOL_BIND, 1, 0), EINVAL);
	REQUIRE_ERROR(bind_area(memory, PAGE, MPOL_BIND, 1, 1 << 9), EINVAL);
	REQUIRE(bind_area(memory, 0, MPOL_BIND, 1, 0) == 0);
	REQUIRE(munmap(memory + PAGE, PAGE) == 0);
	REQUIRE_ERROR(bind_area(memory, 3 * PAGE, MPOL_BIND, 1, 0), EFAULT);
}

/* Has 64 MiB of node 1 until its input ends. */
static int hold_on_node_1(void)
{
	char *memory;
	char end;

	REQUIRE(set_policy(MPOL_BIND, 2) == 0);
	memory = map(64 * MEGABYTE, MAP_POPULATE);
	REQUIRE(node_of(memory) == 1);
	puts("held");
	fflush(stdout);
	return read(STDIN_FILENO, &end, 1) != 0;
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(memory_comes_from_the_nodes_told),
		CLAIM(interleaved_memory_comes_from_all_nodes_in_turn),
		CLAIM(areas_have_policies_of_their_own),
		CLAIM(misplaced_pages_can_be_moved),
		CLAIM(single_pages_can_be_moved),
		CLAIM(whole_programs_can_be_moved),
		CLAIM(policies_are_inherited),
		CLAIM(policies_are_kept_over_exec),
		CLAIM(bound_areas_have_a_home_node),
		CLAIM(policy_calls_fail_as_on_linux),
	};
	own_path = argv[0];
	if (argc == 2 && strcmp(argv[1], BOUND_TO_NODE_1) == 0)
		return !is_bound_to_node_1();
	if (argc == 2 && strcmp(argv[1], HOLD_ON_NODE_1) == 0)
		return hold_on_node_1();
	return RUN_CLAIMS(claims, argc, argv);
}
