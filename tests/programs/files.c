// SPDX-License-Identifier: GPL-2.0
// Claims about delegated calls on descriptors: which descriptors there are and how calls treat the program's memory.
#define _GNU_SOURCE
#include "claims.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MEGABYTE = 1 << 20 };

static char *pages(size_t bytes, int protection)
{
	char *memory = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

/* An unlinked file on the root file system with `bytes` bytes of a pattern. */
static int pattern_file(size_t bytes, int flags)
{
	char name[] = "files-XXXXXX";
	int file = mkostemp(name, flags);
	REQUIRE(file >= 0 && unlink(name) == 0);
	char *buffer = pages(MEGABYTE, PROT_READ | PROT_WRITE);
	for (size_t done = 0; done < bytes; done += MEGABYTE) {
		for (size_t i = 0; i < MEGABYTE; i++)
			buffer[i] = (char)((done + i) * 2654435761u >> 13);
		size_t now = bytes - done < MEGABYTE ? bytes - done : MEGABYTE;
		REQUIRE(write(file, buffer, now) == (ssize_t)now);
	}
	REQUIRE(lseek(file, 0, SEEK_SET) == 0 && munmap(buffer, MEGABYTE) == 0);
	return file;
}

static int has_pattern(const char *memory, size_t bytes, size_t offset)
{
	for (size_t i = 0; i < bytes; i++)
		if (memory[i] != (char)((offset + i) * 2654435761u >> 13))
			return 0;
	return 1;
}

static void first_open_returns_3(void)
{
	REQUIRE(open("/etc/passwd", O_RDONLY) == 3);
}

static void only_standard_descriptors_are_open(void)
{
	struct rlimit limit;
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	for (rlim_t fd = 3; fd < limit.rlim_cur && fd < 65536; fd++)
		REQUIRE_ERROR(fcntl((int)fd, F_GETFD), EBADF);
}

static void proc_self_fd_lists_the_programs_own(void)
{
	DIR *folder = opendir("/proc/self/fd");
	REQUIRE(folder != NULL);
	for (struct dirent *entry; (entry = readdir(folder));)
		REQUIRE(entry->d_name[0] == '.' || atoi(entry->d_name) <= dirfd(folder));
}

static void closing_every_descriptor_harms_nothing(void)
{
	REQUIRE(syscall(SYS_close_range, 3, ~0u, 0) == 0);
	for (int fd = 3; fd < 4096; fd++)
		close(fd);
	int file = open("/proc/self/exe", O_RDONLY);
	REQUIRE(file == 3);
	char *mapping = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	REQUIRE(mapping != MAP_FAILED && memcmp(mapping, "\177ELF", 4) == 0);
	REQUIRE(mprotect(mapping, PAGE, PROT_NONE) == 0 && munmap(mapping, PAGE) == 0);
}

static void read_into_a_read_only_page_fails_with_efault(void)
{
	int file = pattern_file(PAGE, 0);
	char *touched = pages(PAGE, PROT_READ | PROT_WRITE), *untouched = pages(PAGE, PROT_READ);
	memset(touched, 'x', PAGE);
	REQUIRE(mprotect(touched, PAGE, PROT_READ) == 0);
	REQUIRE_ERROR(read(file, touched, 100), EFAULT);
	REQUIRE_ERROR(read(file, untouched, 100), EFAULT);
	REQUIRE(touched[0] == 'x' && untouched[0] == 0 && lseek(file, 0, SEEK_CUR) == 0);
}

static void rights_of_a_page_that_linux_has_seen_can_change(void)
{
	int file = pattern_file(PAGE, 0);
	char *page = pages(PAGE, PROT_READ | PROT_WRITE);
	for (int round = 0; round < 20; round++) {
		REQUIRE(pread(file, page, PAGE, 0) == PAGE && has_pattern(page, PAGE, 0));
		REQUIRE(mprotect(page, PAGE, PROT_READ) == 0);
		REQUIRE_ERROR(pread(file, page, PAGE, 0), EFAULT);
		REQUIRE(pwrite(file, page, PAGE, 0) == PAGE);
		REQUIRE(mprotect(page, PAGE, PROT_NONE) == 0);
		REQUIRE_ERROR(pwrite(file, page, PAGE, 0), EFAULT);
		REQUIRE(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
		memset(page, round, PAGE);
	}
}

static void write_from_a_read_only_page_works(void)
{
	static const char constant[] = "from a read-only segment";
	char *page = pages(PAGE, PROT_READ | PROT_WRITE), answer[64] = "";
	strcpy(page, "from a read-only page");
	REQUIRE(mprotect(page, PAGE, PROT_READ) == 0);
	int file = pattern_file(0, 0);
	REQUIRE(pwrite(file, page, 22, 0) == 22 && pread(file, answer, 64, 0) == 22 && strcmp(answer, page) == 0);
	REQUIRE(pwrite(file, constant, sizeof constant, 0) == sizeof constant);
	REQUIRE(pread(file, answer, 64, 0) == sizeof constant && strcmp(answer, constant) == 0);
}

static int is_zero(const char *memory, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (memory[i])
			return 0;
	return 1;
}

/* Reads and writes of all sizes, the first and the second that use a page. */
static void small_first_uses_move_exactly_their_bytes(void)
{
	int file = pattern_file(4 * PAGE, 0), other = pattern_file(0, 0);
	for (int round = 0; round < 64; round++) {
		char *page = pages(PAGE, PROT_READ | PROT_WRITE), *source = pages(PAGE, PROT_READ | PROT_WRITE);
		size_t at = (size_t)round * 97 % PAGE, bytes = 1 + (size_t)round * 1031 % (PAGE - at);
		for (int again = 0; again < 2; again++) {
			size_t offset = (size_t)(round * 13 + again);
			REQUIRE(pread(file, page + at, bytes, (off_t)offset) == (ssize_t)bytes);
			REQUIRE(has_pattern(page + at, bytes, offset) && is_zero(page, at));
			REQUIRE(is_zero(page + at + bytes, PAGE - at - bytes));
			memset(source + at, round + again + 1, bytes);
			REQUIRE(pwrite(other, source + at, bytes, 0) == (ssize_t)bytes);
			REQUIRE(pread(other, page + at, bytes, 0) == (ssize_t)bytes);
			REQUIRE(memcmp(page, source, PAGE) == 0);
		}
		/* Every other time the pages stay, so that the next ones come to another place. */
		REQUIRE(round % 2 || (munmap(page, PAGE) == 0 && munmap(source, PAGE) == 0));
	}
}

/* What a first use does not get stays where it is. */
static void small_first_uses_end_as_others_do(void)
{
	int ends[2], file = pattern_file(100, 0);
	char *page = pages(PAGE, PROT_READ | PROT_WRITE);
	REQUIRE(pread(file, page, PAGE, 0) == 100 && has_pattern(page, 100, 0) && is_zero(page + 100, PAGE - 100));
	REQUIRE(pread(file, pages(PAGE, PROT_READ | PROT_WRITE), PAGE, 100) == 0);
	REQUIRE_ERROR(read(-1, pages(PAGE, PROT_READ | PROT_WRITE), PAGE), EBADF);
	REQUIRE_ERROR(write(-1, pages(PAGE, PROT_READ | PROT_WRITE), PAGE), EBADF);
	REQUIRE(pipe2(ends, O_NONBLOCK) == 0);
	REQUIRE_ERROR(read(ends[0], pages(PAGE, PROT_READ | PROT_WRITE), PAGE), EAGAIN);
	REQUIRE(write(ends[1], "abc", 3) == 3);
	REQUIRE_ERROR(read(ends[0], pages(PAGE, PROT_READ), 3), EFAULT);
	char *fresh = pages(PAGE, PROT_READ | PROT_WRITE);
	REQUIRE(read(ends[0], fresh + PAGE - 2, 2) == 2 && memcmp(fresh + PAGE - 2, "ab", 2) == 0);
	REQUIRE(read(ends[0], fresh, PAGE) == 1 && fresh[0] == 'c');
	/* No address at all, although its lower bits are one of a page. */
	fresh = pages(PAGE, PROT_READ | PROT_WRITE);
	REQUIRE(write(ends[1], "d", 1) == 1);
	REQUIRE_ERROR(syscall(SYS_read, ends[0], (uintptr_t)fresh | 1ul << 60, 1), EFAULT);
	REQUIRE(read(ends[0], fresh, PAGE) == 1 && fresh[0] == 'd');
}

enum { CROWD = 40 };

static void *use_fresh_pages(void *argument)
{
	int file = *(int *)argument;
	for (int round = 0; round < 20; round++) {
		char *page = pages(PAGE, PROT_READ | PROT_WRITE);
		REQUIRE(pread(file, page, PAGE, round) == PAGE && has_pattern(page, PAGE, (size_t)round));
		REQUIRE(munmap(page, PAGE) == 0);
	}
	return NULL;
}

/* More threads than there are bounce pages, and a child of theirs. */
static void small_first_uses_of_many_threads_do_not_mix(void)
{
	int file = pattern_file(2 * PAGE, 0), status;
	pthread_t threads[CROWD];
	for (int i = 0; i < CROWD; i++)
		REQUIRE(pthread_create(&threads[i], NULL, use_fresh_pages, &file) == 0);
	pid_t child = fork();
	if (child == 0) {
		use_fresh_pages(&file);
		_exit(0);
	}
	use_fresh_pages(&file);
	for (int i = 0; i < CROWD; i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
	REQUIRE(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void read_stops_at_the_end_of_mapped_memory(void)
{
	int file = pattern_file(2 * PAGE, 0);
	char *two = pages(2 * PAGE, PROT_READ | PROT_WRITE);
	REQUIRE(munmap(two + PAGE, PAGE) == 0);
	REQUIRE(read(file, two, 2 * PAGE) == PAGE && has_pattern(two, PAGE, 0));
	REQUIRE(lseek(file, 0, SEEK_CUR) == PAGE);
}

static void bad_pointers_fail_with_efault(void)
{
	int file = pattern_file(PAGE, 0), ends[2];
	REQUIRE(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
	void *const bad[] = { NULL, (void *)16, pages(PAGE, PROT_NONE), (void *)0x7ffffffff000,
			      (void *)0x8000000000000000, (void *)0xffff800000000000, (void *)-8 };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		void *p = bad[i];
		REQUIRE_ERROR(syscall(SYS_read, file, p, 8), EFAULT);
		REQUIRE_ERROR(syscall(SYS_write, ends[1], p, 8), EFAULT);
		REQUIRE_ERROR(syscall(SYS_openat, AT_FDCWD, p, O_RDONLY), EFAULT);
		REQUIRE_ERROR(syscall(SYS_stat, "/", p), EFAULT);
		REQUIRE_ERROR(syscall(SYS_readv, file, p, 1), EFAULT);
		REQUIRE_ERROR(syscall(SYS_uname, p), EFAULT);
		REQUIRE_ERROR(syscall(SYS_getcwd, p, 100), EFAULT);
		REQUIRE_ERROR(syscall(SYS_pipe2, p, 0), EFAULT);
		REQUIRE_ERROR(syscall(SYS_getrandom, p, 8, 0), EFAULT);
		REQUIRE_ERROR(syscall(SYS_clock_gettime, CLOCK_REALTIME, p), EFAULT);
		REQUIRE_ERROR(syscall(SYS_nanosleep, p, NULL), EFAULT);
		REQUIRE_ERROR(syscall(SYS_poll, p, 1, 0), EFAULT);
	}
	char byte;
	REQUIRE(read(ends[0], &byte, 1) == 1 && lseek(file, 0, SEEK_CUR) == 0);
}

static void bad_pointers_to_local_calls_fail_with_efault(void)
{
	void *const bad[] = { (void *)16, pages(PAGE, PROT_NONE), (void *)0x7ffffffff000, (void *)0xffff800000000000 };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		void *p = bad[i];
		REQUIRE_ERROR(syscall(SYS_rt_sigaction, SIGUSR1, p, NULL, 8), EFAULT);
		REQUIRE_ERROR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, p, 8), EFAULT);
		REQUIRE_ERROR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, NULL, 8), EFAULT);
		REQUIRE_ERROR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, p, 8), EFAULT);
		REQUIRE_ERROR(syscall(SYS_rt_sigpending, p, 8), EFAULT);
		REQUIRE_ERROR(syscall(SYS_sigaltstack, p, NULL), EFAULT);
		REQUIRE_ERROR(syscall(SYS_sched_getaffinity, 0, 8, p), EFAULT);
		REQUIRE_ERROR(syscall(SYS_prlimit64, 0, RLIMIT_STACK, NULL, p), EFAULT);
		REQUIRE_ERROR(syscall(SYS_futex, p, 0 /* WAIT */, 0, NULL, NULL, 0), EFAULT);
	}
}

static void direct_io_reads_and_writes_program_memory(void)
{
	int file = pattern_file(MEGABYTE, 0);
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", file);
	REQUIRE(fsync(file) == 0);
	int direct = open(name, O_RDWR | O_DIRECT);
	REQUIRE(direct >= 0);
	char *fresh = pages(MEGABYTE, PROT_READ | PROT_WRITE);
	REQUIRE(pread(direct, fresh, MEGABYTE, 0) == MEGABYTE && has_pattern(fresh, MEGABYTE, 0));
	memmove(fresh, fresh + 7 * PAGE, PAGE);
	REQUIRE(pwrite(direct, fresh, PAGE, 3 * PAGE) == PAGE);
	char *check = pages(PAGE, PROT_READ | PROT_WRITE);
	REQUIRE(pread(file, check, PAGE, 3 * PAGE) == PAGE && has_pattern(check, PAGE, 7 * PAGE));
	REQUIRE_ERROR(pread(direct, fresh + 1, PAGE, 0), EINVAL);
	REQUIRE(mprotect(check, PAGE, PROT_READ) == 0);
	REQUIRE_ERROR(pread(direct, check, PAGE, 0), EFAULT);
}

static void large_reads_fill_fresh_memory(void)
{
	size_t bytes = 8 * MEGABYTE + 12345;
	int file = pattern_file(bytes, 0);
	char *fresh = pages(16 * MEGABYTE, PROT_READ | PROT_WRITE);
	REQUIRE(read(file, fresh + 777, 16 * MEGABYTE - 777) == (ssize_t)bytes);
	REQUIRE(has_pattern(fresh + 777, bytes, 0) && fresh[776] == 0 && fresh[777 + bytes] == 0);
}

static void vectors_scatter_and_gather(void)
{
	int file = pattern_file(3 * PAGE, 0), ends[2];
	char *a = pages(PAGE, PROT_READ | PROT_WRITE), *b = pages(2 * PAGE, PROT_READ | PROT_WRITE);
	struct iovec parts[] = { { a, 100 }, { b + 5, PAGE + 100 }, { a + 200, 50 } };
	REQUIRE(readv(file, parts, 3) == PAGE + 250);
	REQUIRE(has_pattern(a, 100, 0) && has_pattern(b + 5, PAGE + 100, 100) && has_pattern(a + 200, 50, PAGE + 200));
	REQUIRE(pipe(ends) == 0 && writev(ends[1], parts, 3) == PAGE + 250);
	char *back = pages(2 * PAGE, PROT_READ | PROT_WRITE);
	REQUIRE(read(ends[0], back, 2 * PAGE) == PAGE + 250 && has_pattern(back, PAGE + 250, 0));
}

static void private_file_mapping_has_the_files_bytes(void)
{
	int file = pattern_file(5 * PAGE + 100, 0);
	char *reading = mmap(NULL, 5 * PAGE, PROT_READ, MAP_PRIVATE, file, PAGE);
	REQUIRE(reading != MAP_FAILED && has_pattern(reading, 4 * PAGE + 100, PAGE));
	for (int i = 4 * PAGE + 100; i < 5 * PAGE; i++)
		REQUIRE(reading[i] == 0);
	char *writing = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	REQUIRE(writing != MAP_FAILED && has_pattern(writing, 5 * PAGE, 0));
	memset(writing, 'w', 5 * PAGE);
	char *check = pages(5 * PAGE, PROT_READ | PROT_WRITE);
	REQUIRE(pread(file, check, 5 * PAGE, 0) == 5 * PAGE && has_pattern(check, 5 * PAGE, 0));
	REQUIRE(lseek(file, 0, SEEK_CUR) == 0);
}

static void file_mappings_fail_as_on_linux(void)
{
	int file = pattern_file(PAGE, 0), write_only = open("files-write-only", O_WRONLY | O_CREAT, 0600);
	REQUIRE(write_only >= 0 && unlink("files-write-only") == 0);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 100), EINVAL);
	REQUIRE_ERROR(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, file, 0), EINVAL);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, write_only, 0), EACCES);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open("/", O_RDONLY), 0), ENODEV);
	// The descriptor is looked at before all else but a part of a page.
	REQUIRE_ERROR(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
	REQUIRE_ERROR(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, open("/", O_PATH), 0), EBADF);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, 0, 999, 0), EBADF);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 100), EINVAL);
	REQUIRE_ERROR(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, 999, 0), EINVAL);
}

static void files_on_a_mount_without_execution_are_never_executable(void)
{
	char place[] = "files-noexec-XXXXXX";
	REQUIRE(mkdtemp(place) && mount("none", place, "tmpfs", MS_NOEXEC, NULL) == 0);
	REQUIRE(chdir(place) == 0);
	int file = open("file", O_RDWR | O_CREAT, 0700);
	REQUIRE(file >= 0 && ftruncate(file, 8 * MEGABYTE) == 0 && chdir("..") == 0);
	REQUIRE(umount2(place, MNT_DETACH) == 0 && rmdir(place) == 0);
	// Small ones are the partition's pages, large ones may be Linux's.
	for (size_t bytes = 4 * PAGE; bytes <= 8 * MEGABYTE; bytes += 8 * MEGABYTE - 4 * PAGE) {
		for (int sharing = MAP_SHARED; sharing <= MAP_PRIVATE; sharing++) {
			REQUIRE_ERROR(mmap(NULL, bytes, PROT_READ | PROT_EXEC, sharing, file, 0), EPERM);
			for (int rights = PROT_NONE; rights <= (PROT_READ | PROT_WRITE); rights++) {
				char *memory = mmap(NULL, bytes, rights, sharing, file, 0);
				REQUIRE(memory != MAP_FAILED);
				REQUIRE_ERROR(mprotect(memory + PAGE, PAGE, PROT_READ | PROT_EXEC), EACCES);
				REQUIRE(mprotect(memory + PAGE, PAGE, PROT_READ) == 0 && memory[PAGE] == 0);
				REQUIRE(munmap(memory, bytes) == 0);
			}
		}
	}
	// What lies before it changes.
	char *memory = pages(4 * PAGE, PROT_READ);
	REQUIRE(mmap(memory + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) == memory + PAGE);
	REQUIRE_ERROR(mprotect(memory, 3 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES);
	memory[0] = 1;
	REQUIRE_ERROR(read(open("/dev/zero", O_RDONLY), memory + 2 * PAGE, 1), EFAULT);
}

static void sockets_carry_data_and_flags(void)
{
	int ends[2];
	char answer[16] = "";
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	REQUIRE(send(ends[0], "question", 8, 0) == 8 && recv(ends[1], answer, 16, MSG_PEEK) == 8);
	REQUIRE(recv(ends[1], answer, 16, 0) == 8 && memcmp(answer, "question", 8) == 0);
	REQUIRE_ERROR(recv(ends[1], answer, 16, MSG_DONTWAIT), EAGAIN);
}

static void poll_waits_as_long_as_told(void)
{
	struct timespec before, after;
	int ends[2];
	REQUIRE(pipe(ends) == 0);
	struct pollfd wait = { .fd = ends[0], .events = POLLIN };
	clock_gettime(CLOCK_MONOTONIC, &before);
	REQUIRE(poll(&wait, 1, 50) == 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	long ns = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
	REQUIRE(ns >= 50000000 && ns < 2000000000);
	REQUIRE(write(ends[1], "x", 1) == 1 && poll(&wait, 1, -1) == 1 && wait.revents == POLLIN);
}

static void sigpipe_and_epipe_are_reported(void)
{
	int ends[2];
	REQUIRE(pipe(ends) == 0 && close(ends[0]) == 0 && signal(SIGPIPE, SIG_IGN) == SIG_DFL);
	REQUIRE_ERROR(write(ends[1], "x", 1), EPIPE);
}

static void unknown_calls_fail_with_enosys(void)
{
	const long numbers[] = { 337, 400, 999, 5000, 0x40000001, -1, 0x7fffffffffffffff };
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		REQUIRE_ERROR(syscall(numbers[i], 0, 0, 0, 0, 0, 0), ENOSYS);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(first_open_returns_3),
		CLAIM(only_standard_descriptors_are_open),
		CLAIM(proc_self_fd_lists_the_programs_own),
		CLAIM(closing_every_descriptor_harms_nothing),
		CLAIM(read_into_a_read_only_page_fails_with_efault),
		CLAIM(rights_of_a_page_that_linux_has_seen_can_change),
		CLAIM(write_from_a_read_only_page_works),
		CLAIM(small_first_uses_move_exactly_their_bytes),
		CLAIM(small_first_uses_end_as_others_do),
		CLAIM(small_first_uses_of_many_threads_do_not_mix),
		CLAIM(read_stops_at_the_end_of_mapped_memory),
		CLAIM(bad_pointers_fail_with_efault),
		CLAIM(bad_pointers_to_local_calls_fail_with_efault),
		CLAIM(direct_io_reads_and_writes_program_memory),
		CLAIM(large_reads_fill_fresh_memory),
		CLAIM(vectors_scatter_and_gather),
		CLAIM(private_file_mapping_has_the_files_bytes),
		CLAIM(file_mappings_fail_as_on_linux),
		CLAIM(files_on_a_mount_without_execution_are_never_executable),
		CLAIM(sockets_carry_data_and_flags),
		CLAIM(poll_waits_as_long_as_told),
		CLAIM(sigpipe_and_epipe_are_reported),
		CLAIM(unknown_calls_fail_with_enosys),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
