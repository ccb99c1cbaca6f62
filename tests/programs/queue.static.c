// SPDX-License-Identifier: GPL-2.0
// Claims about posted system calls (FlexSC mode).
#define _GNU_SOURCE
#include "claims.h"
#include "mckernel.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
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

static mk_handle post(mk_queue *queue, unsigned flags, long number, unsigned long a, unsigned long b, unsigned long c,
		      unsigned long d)
{
	struct mk_call call = { (uint64_t)number, { a, b, c, d, 0, 0 } };
	return mk_post(queue, &call, flags);
}

static int64_t result_of(mk_queue *queue, mk_handle handle)
{
	int64_t result;
	REQUIRE(handle >= 0);
	REQUIRE(mk_wait(queue, handle, &result) == 0);
	return result;
}

static unsigned long address(const void *pointer) { return (unsigned long)pointer; }

static int scratch_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	REQUIRE(fd >= 0);
	return fd;
}

static void posted_calls_do_what_calls_do(void)
{
	mk_queue *queue = open_queue(8);
	int fd = scratch_file();
	char back[6] = "";
	REQUIRE(result_of(queue, post(queue, 0, SYS_pwrite64, fd, address("hello"), 5, 100)) == 5);
	REQUIRE(result_of(queue, post(queue, 0, SYS_pread64, fd, address(back), 5, 100)) == 5);
	REQUIRE(strcmp(back, "hello") == 0);
	REQUIRE(lseek(fd, 0, SEEK_END) == 105);
	REQUIRE(mk_queue_close(queue) == 0);
}

static void many_calls_are_posted_at_once_and_collected_in_any_order(void)
{
	enum { CALLS = 64 };
	mk_queue *queue = open_queue(CALLS);
	int fd = scratch_file();
	mk_handle handles[CALLS];
	for (int round = 0; round < 20; round++) {
		for (long i = 0; i < CALLS; i++)
			handles[i] = post(queue, MK_NONBLOCK, SYS_pwrite64, fd, address(&handles), (unsigned long)i, 0);
		for (int i = 0; i < CALLS; i++) {
			int which = (i * 37 + round) % CALLS;
			REQUIRE(result_of(queue, handles[which]) == which);
		}
	}
	REQUIRE(mk_queue_close(queue) == 0);
}

static void errors_come_back_as_results(void)
{
	mk_queue *queue = open_queue(4);
	errno = 77;
	REQUIRE(result_of(queue, post(queue, 0, SYS_close, 1000, 0, 0, 0)) == -EBADF);
	REQUIRE(result_of(queue, post(queue, 0, SYS_write, 1, 16, 4, 0)) == -EFAULT);
	int ends[2];
	REQUIRE(errno == 77);
	REQUIRE(pipe(ends) == 0 && close(ends[0]) == 0);
	// No signal: nobody runs that could take it.
	REQUIRE(result_of(queue, post(queue, 0, SYS_write, ends[1], address("x"), 1, 0)) == -EPIPE);
	REQUIRE(mk_queue_close(queue) == 0);
}

static void calls_of_the_thread_itself_cannot_be_posted(void)
{
	static const long numbers[] = { SYS_mmap,   SYS_munmap, SYS_brk,    SYS_clone,  SYS_fork,   SYS_execve, SYS_exit,
					SYS_getpid, SYS_futex,  SYS_prctl,  SYS_setuid, SYS_gettid, SYS_rt_sigaction };
	mk_queue *queue = open_queue(4);
	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
		REQUIRE(post(queue, 0, numbers[i], 0, 0, 0, 0) == -ENOSYS);
	REQUIRE(post(queue, 0, 100000, 0, 0, 0, 0) == -ENOSYS);
	REQUIRE(post(queue, 0, 0x10030, 0, 0, 0, 0) == -ENOSYS);
	REQUIRE(post(queue, 4, SYS_write, 0, 0, 0, 0) == -EINVAL);
	REQUIRE(mk_queue_close(queue) == 0);
}

static void a_full_queue_refuses_or_waits(void)
{
	mk_queue *queue = open_queue(2);
	int ends[2];
	char byte;
	int64_t result;
	REQUIRE(pipe(ends) == 0);
	mk_handle first = post(queue, MK_NONBLOCK, SYS_read, ends[0], address(&byte), 1, 0);
	// Its entry becomes free without anybody's help, but only after the call below was posted and waits.
	struct timespec pause = { 0, 50000000 };
	mk_handle second = post(queue, MK_NONBLOCK | MK_DETACHED, SYS_poll, 0, 0, 50, 0);
	REQUIRE(first >= 0 && second >= 0);
	REQUIRE(post(queue, MK_NONBLOCK, SYS_getppid, 0, 0, 0, 0) == -EAGAIN);
	mk_handle third = post(queue, 0, SYS_getppid, 0, 0, 0, 0);
	REQUIRE(result_of(queue, third) == getppid());
	REQUIRE(mk_poll(queue, first, &result) == -EAGAIN);
	REQUIRE(nanosleep(&pause, NULL) == 0 && mk_poll(queue, first, &result) == -EAGAIN);
	REQUIRE(mk_queue_close(queue) == -EBUSY);
	REQUIRE(write(ends[1], "x", 1) == 1);
	REQUIRE(result_of(queue, first) == 1 && byte == 'x');
	REQUIRE(mk_queue_close(queue) == 0);
}

static void a_result_is_collected_once(void)
{
	mk_queue *queue = open_queue(1);
	int64_t result;
	mk_handle handle = post(queue, 0, SYS_getppid, 0, 0, 0, 0);
	REQUIRE(result_of(queue, handle) == getppid());
	REQUIRE(mk_poll(queue, handle, &result) == -EINVAL);
	mk_handle other = post(queue, 0, SYS_getppid, 0, 0, 0, 0);
	REQUIRE(other != handle);
	REQUIRE(mk_wait(queue, handle, &result) == -EINVAL);
	REQUIRE(result_of(queue, other) == getppid());
	REQUIRE(mk_wait(queue, -1, &result) == -EINVAL);
	REQUIRE(mk_wait(queue, 1ll << 40, &result) == -EINVAL);
	REQUIRE(mk_queue_close(queue) == 0);
}

// Each read waits for the write that was posted after it, so all of them must be under way at once.
static void blocked_calls_do_not_stop_later_ones(void)
{
	enum { PIPES = 20 };
	mk_queue *queue = open_queue(64);
	int ends[PIPES][2];
	char bytes[PIPES] = { 0 };
	mk_handle reads[PIPES], writes[PIPES];
	for (int i = 0; i < PIPES; i++) {
		REQUIRE(pipe(ends[i]) == 0);
		reads[i] = post(queue, 0, SYS_read, ends[i][0], address(&bytes[i]), 1, 0);
	}
	for (int i = 0; i < PIPES; i++)
		writes[i] = post(queue, 0, SYS_write, ends[i][1], address("abcdefghijklmnopqrstuvwxyz" + i), 1, 0);
	for (int i = 0; i < PIPES; i++) {
		REQUIRE(result_of(queue, reads[i]) == 1 && bytes[i] == 'a' + i);
		REQUIRE(result_of(queue, writes[i]) == 1);
	}
	REQUIRE(mk_queue_close(queue) == 0);
}

struct crowd {
	mk_queue *queue;
	int fd;
	_Atomic int calls;
};

static void *post_and_collect(void *argument)
{
	struct crowd *crowd = argument;
	for (unsigned long i = 0; i < 300; i++) {
		char buffer[8];
		REQUIRE(result_of(crowd->queue, post(crowd->queue, 0, SYS_pwrite64, crowd->fd, address(buffer), i % 8, 0)) ==
			(int64_t)(i % 8));
		REQUIRE(pwrite(crowd->fd, buffer, i % 8, 0) == (ssize_t)(i % 8));
		crowd->calls++;
	}
	return NULL;
}

static void any_thread_posts_beside_usual_calls(void)
{
	enum { THREADS = 6 };
	struct crowd crowd = { open_queue(4), scratch_file(), 0 };
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, post_and_collect, &crowd) == 0);
	for (int i = 0; i < THREADS; i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
	REQUIRE(crowd.calls == THREADS * 300);
	REQUIRE(mk_queue_close(crowd.queue) == 0);
}

static void sleeping_servers_wake_up(void)
{
	mk_queue *queue = open_queue(4);
	struct timespec pause = { 0, 20000000 };
	for (int i = 0; i < 10; i++) {
		REQUIRE(nanosleep(&pause, NULL) == 0);
		REQUIRE(result_of(queue, post(queue, 0, SYS_getppid, 0, 0, 0, 0)) == getppid());
	}
	REQUIRE(mk_queue_close(queue) == 0);
}

static volatile sig_atomic_t alarms;
static void on_alarm(int signal) { alarms += signal == SIGALRM; }

static void a_signal_interrupts_no_posted_call(void)
{
	mk_queue *queue = open_queue(4);
	struct sigaction action = { .sa_handler = on_alarm };
	int ends[2];
	char byte;
	REQUIRE(sigaction(SIGALRM, &action, NULL) == 0 && pipe(ends) == 0);
	mk_handle read = post(queue, 0, SYS_read, ends[0], address(&byte), 1, 0);
	mk_handle sleep = post(queue, 0, SYS_poll, 0, 0, 300, 0);
	REQUIRE(ualarm(50000, 0) == 0);
	REQUIRE(result_of(queue, sleep) == 0);
	REQUIRE(alarms == 1);
	REQUIRE(write(ends[1], "x", 1) == 1);
	REQUIRE(result_of(queue, read) == 1);
	REQUIRE(mk_queue_close(queue) == 0);
}

static void a_forked_child_has_servers_of_its_own(void)
{
	mk_queue *queue = open_queue(4);
	int ends[2], status;
	char byte;
	int64_t result;
	REQUIRE(pipe(ends) == 0);
	mk_handle read = post(queue, 0, SYS_read, ends[0], address(&byte), 1, 0);
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		REQUIRE(mk_poll(queue, read, &result) == -EINVAL);
		REQUIRE(result_of(queue, post(queue, 0, SYS_getppid, 0, 0, 0, 0)) == getppid());
		REQUIRE(result_of(queue, post(queue, 0, SYS_write, ends[1], address("x"), 1, 0)) == 1);
		REQUIRE(mk_queue_close(queue) == 0);
		_exit(0);
	}
	REQUIRE(result_of(queue, read) == 1 && byte == 'x');
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	REQUIRE(mk_queue_close(queue) == 0);
}

static void rights_that_were_dropped_are_dropped_for_posted_calls(void)
{
	static const char path[] = "/tmp/only-for-root";
	int fd = open(path, O_CREAT | O_WRONLY, 0600), status;
	REQUIRE(fd >= 0 && close(fd) == 0);
	// Servers that have not heard of it yet would still be root: as often as it takes to meet one.
	for (int round = 0; round < 20; round++) {
		pid_t child = fork();
		REQUIRE(child >= 0);
		if (child == 0) {
			mk_queue *queue = open_queue(4);
			int64_t opened = result_of(queue, post(queue, 0, SYS_open, address(path), O_RDONLY, 0, 0));
			REQUIRE(opened >= 0);
			REQUIRE(setresuid(65534, 65534, 65534) == 0);
			opened = result_of(queue, post(queue, 0, SYS_open, address(path), O_RDONLY, 0, 0));
			// Natively the servers have become somebody else, too; under mcexec they refuse to go on.
			REQUIRE(opened == -EACCES || opened == -EPERM);
			REQUIRE(mk_queue_close(queue) == 0);
			queue = open_queue(4);
			REQUIRE(result_of(queue, post(queue, 0, SYS_open, address(path), O_RDONLY, 0, 0)) == -EACCES);
			_exit(0);
		}
		REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	}
	REQUIRE(unlink(path) == 0);
}

static void wrong_sizes_are_refused(void)
{
	mk_queue *queue;
	REQUIRE(mk_queue_open(&queue, 0) == -EINVAL);
	REQUIRE(mk_queue_open(&queue, 3) == -EINVAL);
	REQUIRE(mk_queue_open(&queue, 2048) == -EINVAL);
	for (int i = 0; i < 20; i++)
		REQUIRE(mk_queue_close(open_queue(1024)) == 0);
}

static const struct claim claims[] = {
	CLAIM(posted_calls_do_what_calls_do),
	CLAIM(many_calls_are_posted_at_once_and_collected_in_any_order),
	CLAIM(errors_come_back_as_results),
	CLAIM(calls_of_the_thread_itself_cannot_be_posted),
	CLAIM(a_full_queue_refuses_or_waits),
	CLAIM(a_result_is_collected_once),
	CLAIM(blocked_calls_do_not_stop_later_ones),
	CLAIM(any_thread_posts_beside_usual_calls),
	CLAIM(sleeping_servers_wake_up),
	CLAIM(a_signal_interrupts_no_posted_call),
	CLAIM(a_forked_child_has_servers_of_its_own),
	CLAIM(rights_that_were_dropped_are_dropped_for_posted_calls),
	CLAIM(wrong_sizes_are_refused),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
