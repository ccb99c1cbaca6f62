// SPDX-License-Identifier: GPL-2.0
// Claims about shared memory that children have from their parents, and that an exec lets go.
#define _GNU_SOURCE
#include "claims.h"
#include "faults.h"
#include "shared_files.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/wait.h>

/* Runs `body` in a child, which must end well. */
static void in_child(void (*body)(char *, int), char *memory, int file)
{
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		body(memory, file);
		_exit(0);
	}
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
}

static void change_as_child(char *memory, int file)
{
	REQUIRE(memory[0] == 'p' && memory[40 * PAGE] == 0);
	memory[0] = 'c';
	memory[40 * PAGE] = 'd';
	REQUIRE(read(open("/dev/zero", O_RDONLY), memory + PAGE, PAGE) == PAGE);
	char *own = mmap(NULL, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(pread(file, own, BYTES, 0) == BYTES && own[40 * PAGE] == 'd');
	REQUIRE(munmap(memory, BYTES) == 0 && signal_of(memory, 0) == SIGSEGV);
}

static void children_share(int file)
{
	char *memory = map(file, BYTES, RW);
	memory[0] = 'p';
	memory[PAGE] = 'q';
	in_child(change_as_child, memory, file);
	REQUIRE(memory[0] == 'c' && memory[40 * PAGE] == 'd' && memory[PAGE] == 0);
}

static void children_share_files(void) { children_share(new_file(".", BYTES)); }
static void children_share_memory_files(void) { children_share(new_file("/dev/shm", BYTES)); }

static void children_share_zeroes(void)
{
	char *memory = map(open("/dev/zero", O_RDWR), BYTES, RW);
	memory[0] = 'p';
	pid_t child = fork();
	if (child == 0) {
		memory[BYTES - 1] = memory[0];
		_exit(0);
	}
	REQUIRE(waitpid(child, NULL, 0) == child && memory[BYTES - 1] == 'p');
}

static void expect_a_hole(char *memory, int file)
{
	REQUIRE(signal_of(memory, 0) == SIGSEGV && signal_of(memory + PAGE, 0) == 0);
	REQUIRE_ERROR(pread(file, memory, 1, 0), EFAULT);
}

static void children_may_be_denied(void)
{
	int file = new_file(".", BYTES);
	char *memory = map(file, BYTES, RW);
	REQUIRE(madvise(memory, PAGE, MADV_DONTFORK) == 0);
	in_child(expect_a_hole, memory, file);
	REQUIRE(signal_of(memory, 1) == 0);
}

static void vfork_children_see_it(void)
{
	int file = new_file(".", BYTES);
	static char *memory;
	memory = map(file, BYTES, RW);
	memory[0] = 'p';
	pid_t child = vfork();
	if (child == 0) {
		memory[50 * PAGE] = memory[0];
		_exit(0);
	}
	REQUIRE(child > 0 && memory[50 * PAGE] == 'p' && waitpid(child, NULL, 0) == child);
	memory[51 * PAGE] = 'q';
	char back = 0;
	REQUIRE(pread(file, &back, 1, 51 * PAGE) == 1 && back == 'q' && memory[0] == 'p');
}

static void execution_lets_go(void)
{
	int id = shmget(IPC_PRIVATE, BYTES, IPC_CREAT | 0600), status;
	char *memory = shmat(id, NULL, 0);
	memory[0] = 'x';
	pid_t child = fork();
	if (child == 0) {
		memory[1] = 'y';
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	struct shmid_ds state;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0 && memory[1] == 'y');
	REQUIRE(shmctl(id, IPC_STAT, &state) == 0 && state.shm_nattch == 1 && shmctl(id, IPC_RMID, NULL) == 0);
}

static const struct claim claims[] = {
	CLAIM(children_share_files),
	CLAIM(children_share_memory_files),
	CLAIM(children_share_zeroes),
	CLAIM(children_may_be_denied),
	CLAIM(vfork_children_see_it),
	CLAIM(execution_lets_go),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
