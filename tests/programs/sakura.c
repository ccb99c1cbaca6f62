// SPDX-License-Identifier: GPL-2.0
// Claims about posted functions (Sakura Call).
#define _GNU_SOURCE
#include "claims.h"
#include "mckernel.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static mk_queue *open_queue(unsigned entries)
{
	mk_queue *queue;
	REQUIRE(mk_queue_open(&queue, entries) == 0);
	return queue;
}

static int64_t result_of(mk_queue *queue, mk_handle handle)
{
	int64_t result;
	REQUIRE(handle >= 0);
	REQUIRE(mk_wait(queue, handle, &result) == 0);
	return result;
}

static int64_t run(int64_t (*function)(void *), void *argument)
{
	mk_queue *queue = open_queue(4);
	int64_t result = result_of(queue, sakura_call(queue, function, argument, 0));
	REQUIRE(mk_queue_close(queue) == 0);
	return result;
}

static double scale = 1.5;

static int64_t compute(void *argument)
{
	double sum = 0;
	for (int i = 0; i < *(int *)argument; i++)
		sum += scale * i;
	return (int64_t)sum;
}

static void a_function_returns_its_result(void)
{
	int n = 1000;
	REQUIRE(run(compute, &n) == 749250);
	n = 3;
	REQUIRE(run(compute, &n) == 4);
}

static int64_t copy_file(void *argument)
{
	const char *text = argument;
	char back[32] = "";
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	REQUIRE(fd >= 0);
	REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	REQUIRE(pread(fd, back, sizeof back, 0) == (ssize_t)strlen(text));
	REQUIRE(strcmp(back, text) == 0);
	REQUIRE(close(fd) == 0);
	return strlen(back);
}

static void calls_in_a_function_reach_linux(void)
{
	char text[] = "from a function";
	REQUIRE(run(copy_file, text) == sizeof text - 1);
}

static int64_t use_memory(void *argument)
{
	char *blocks[64];
	(void)argument;
	for (int i = 0; i < 64; i++) {
		size_t bytes = (size_t)(i + 1) * 7000;
		REQUIRE((blocks[i] = malloc(bytes)) != NULL);
		memset(blocks[i], i, bytes);
	}
	for (int i = 0; i < 64; i++) {
		REQUIRE(blocks[i][(i + 1) * 7000 - 1] == i);
		free(blocks[i]);
	}
	char *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(map != MAP_FAILED);
	map[12345] = 7;
	REQUIRE(mprotect(map, 1 << 20, PROT_READ) == 0 && map[12345] == 7);
	REQUIRE(munmap(map, 1 << 20) == 0);
	return 0;
}

static void a_function_may_allocate_memory(void)
{
	REQUIRE(run(use_memory, NULL) == 0);
	char *still = malloc(1 << 20);
	REQUIRE(still != NULL);
	memset(still, 1, 1 << 20);
	free(still);
}

struct shared {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	long count;
};

static int64_t count_up(void *argument)
{
	struct shared *shared = argument;
	for (int i = 0; i < 500; i++) {
		REQUIRE(pthread_mutex_lock(&shared->lock) == 0);
		shared->count++;
		REQUIRE(pthread_cond_signal(&shared->changed) == 0);
		REQUIRE(pthread_mutex_unlock(&shared->lock) == 0);
	}
	return 0;
}

static void locks_are_shared_with_threads(void)
{
	struct shared shared = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
	mk_queue *queue = open_queue(4);
	mk_handle handle = sakura_call(queue, count_up, &shared, 0);
	count_up(&shared);
	REQUIRE(pthread_mutex_lock(&shared.lock) == 0);
	while (shared.count < 1000)
		REQUIRE(pthread_cond_wait(&shared.changed, &shared.lock) == 0);
	REQUIRE(pthread_mutex_unlock(&shared.lock) == 0);
	REQUIRE(result_of(queue, handle) == 0);
	REQUIRE(mk_queue_close(queue) == 0);
}

static __thread int mine = 5;

static int64_t look_at_thread(void *argument)
{
	pid_t *poster = argument;
	REQUIRE(mine == 5);
	mine = 6;
	errno = 0;
	REQUIRE(close(1000) == -1 && errno == EBADF);
	REQUIRE(getpid() == poster[0]);
	return syscall(SYS_gettid) == poster[1];
}

static void a_function_has_its_servers_thread_local_storage(void)
{
	pid_t ids[2] = { getpid(), (pid_t)syscall(SYS_gettid) };
	mine = 7;
	errno = 77;
	REQUIRE(run(look_at_thread, ids) == 0);
	REQUIRE(mine == 7 && errno == 77);
}

static int64_t tell_time(void *argument)
{
	struct timespec *before = argument, now;
	REQUIRE(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	REQUIRE(now.tv_sec - before->tv_sec < 60);
	return now.tv_sec > before->tv_sec || (now.tv_sec == before->tv_sec && now.tv_nsec >= before->tv_nsec);
}

static void time_goes_on_in_a_function(void)
{
	struct timespec before;
	REQUIRE(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
	REQUIRE(run(tell_time, &before) == 1);
}

static int64_t read_byte(void *argument)
{
	char byte;
	return read(*(int *)argument, &byte, 1) == 1 ? byte : -1;
}

static void functions_that_block_do_not_stop_others(void)
{
	enum { PIPES = 12 };
	mk_queue *queue = open_queue(32);
	int ends[PIPES][2];
	mk_handle reads[PIPES];
	int n = 10;
	for (int i = 0; i < PIPES; i++) {
		REQUIRE(pipe(ends[i]) == 0);
		reads[i] = sakura_call(queue, read_byte, &ends[i][0], 0);
	}
	REQUIRE(result_of(queue, sakura_call(queue, compute, &n, 0)) == 67);
	for (int i = 0; i < PIPES; i++) {
		char byte = 'a' + i;
		REQUIRE(write(ends[i][1], &byte, 1) == 1);
	}
	for (int i = 0; i < PIPES; i++)
		REQUIRE(result_of(queue, reads[i]) == 'a' + i);
	REQUIRE(mk_queue_close(queue) == 0);
}

static int64_t sleep_shortly(void *argument)
{
	struct timespec pause = { 0, 30000000 };
	(void)argument;
	return nanosleep(&pause, NULL);
}

static void functions_and_calls_share_a_queue(void)
{
	mk_queue *queue = open_queue(16);
	int n = 100;
	mk_handle sleeps[4], sums[4], calls[4];
	struct mk_call call = { SYS_getppid, { 0 } };
	for (int i = 0; i < 4; i++) {
		sleeps[i] = sakura_call(queue, sleep_shortly, NULL, 0);
		sums[i] = sakura_call(queue, compute, &n, 0);
		calls[i] = mk_post(queue, &call, 0);
	}
	for (int i = 0; i < 4; i++) {
		REQUIRE(result_of(queue, calls[i]) == getppid());
		REQUIRE(result_of(queue, sums[i]) == 7425);
		REQUIRE(result_of(queue, sleeps[i]) == 0);
	}
	REQUIRE(mk_queue_close(queue) == 0);
}

// Crashes: a child posts the function and must die of what the function did, as natively.

static int64_t write_nowhere(void *argument)
{
	*(volatile int *)argument = 1;
	return 0;
}

static int64_t run_data(void *argument)
{
	static char data[64];
	(void)argument;
	memset(data, 0xc3, sizeof data);
	((void (*)(void))data)();
	return 0;
}

static int64_t abort_it(void *argument)
{
	(void)argument;
	abort();
}

static int64_t divide(void *argument) { return 1000 / *(volatile int *)argument; }

static int64_t overflow(void *argument)
{
	volatile char page[4096];
	page[0] = 1;
	return page[0] ? overflow((void *)page) + page[0] : 0;
}

static int64_t end_it(void *argument)
{
	(void)argument;
	_exit(42);
}

static int fate_of(int64_t (*function)(void *), void *argument)
{
	int status;
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		mk_queue *queue = open_queue(2);
		result_of(queue, sakura_call(queue, function, argument, 0));
		_exit(1);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	return status;
}

static void a_crash_in_a_function_is_the_programs(void)
{
	int zero = 0;
	int status = fate_of(write_nowhere, NULL);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = fate_of(divide, &zero);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGFPE);
	status = fate_of(abort_it, NULL);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	status = fate_of(overflow, NULL);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void data_does_not_execute_in_a_function(void)
{
	int status = fate_of(run_data, NULL);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	// Nor read-only data, nor what may be read only since.
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED);
	memset(page, 0xc3, 4096);
	REQUIRE(mprotect(page, 4096, PROT_READ) == 0);
	status = fate_of((int64_t (*)(void *))page, NULL);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void code_made_at_run_time_executes_once_it_is_read_only(void)
{
	// mov eax, 7; ret
	static const unsigned char code[] = { 0xb8, 7, 0, 0, 0, 0xc3 };
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED);
	memcpy(page, code, sizeof code);
	REQUIRE(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
	REQUIRE(run((int64_t (*)(void *))page, NULL) == 7);
}

static void a_function_can_end_the_program(void)
{
	int status = fate_of(end_it, NULL);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static const struct claim claims[] = {
	CLAIM(a_function_returns_its_result),
	CLAIM(calls_in_a_function_reach_linux),
	CLAIM(a_function_may_allocate_memory),
	CLAIM(locks_are_shared_with_threads),
	CLAIM(a_function_has_its_servers_thread_local_storage),
	CLAIM(time_goes_on_in_a_function),
	CLAIM(functions_that_block_do_not_stop_others),
	CLAIM(functions_and_calls_share_a_queue),
	CLAIM(a_crash_in_a_function_is_the_programs),
	CLAIM(data_does_not_execute_in_a_function),
	CLAIM(code_made_at_run_time_executes_once_it_is_read_only),
	CLAIM(a_function_can_end_the_program),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
