// SPDX-License-Identifier: GPL-2.0
// Claims about io_uring on the program's memory, by raw calls. The rings lie in memory of the program (NO_MMAP), so that
// nothing but the pages themselves is shared with the kernel.
#define _GNU_SOURCE
#include "claims.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, ENTRIES = 8, BUFFER = 64 * 1024 };

static struct io_uring_params parameters;
static char *rings;
static struct io_uring_sqe *submissions;
static int ring;

static char *pages(size_t bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static void set_up(void)
{
	rings = pages(PAGE);
	submissions = (struct io_uring_sqe *)pages(PAGE);
	parameters.flags = IORING_SETUP_NO_MMAP | IORING_SETUP_NO_SQARRAY;
	parameters.cq_off.user_addr = (uintptr_t)rings;
	parameters.sq_off.user_addr = (uintptr_t)submissions;
	ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &parameters);
	REQUIRE(ring >= 0);
}

static uint32_t *word(uint32_t offset)
{
	return (uint32_t *)(rings + offset);
}

/* One request, done when this returns: its result. */
static int32_t perform(uint8_t opcode, int file, void *memory, uint32_t bytes, uint64_t offset)
{
	uint32_t tail = *word(parameters.sq_off.tail), head = *word(parameters.cq_off.head);
	submissions[tail % ENTRIES] = (struct io_uring_sqe){
		.opcode = opcode, .fd = file, .addr = (uintptr_t)memory, .len = bytes, .off = offset, .user_data = tail + 100
	};
	__atomic_store_n(word(parameters.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	REQUIRE(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	REQUIRE(__atomic_load_n(word(parameters.cq_off.tail), __ATOMIC_ACQUIRE) == head + 1);
	struct io_uring_cqe *done = (struct io_uring_cqe *)(rings + parameters.cq_off.cqes) + head % parameters.cq_entries;
	REQUIRE(done->user_data == tail + 100);
	__atomic_store_n(word(parameters.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return done->res;
}

static char *registered_buffer(void)
{
	char *buffer = pages(BUFFER);
	struct iovec whole = { buffer, BUFFER };
	REQUIRE(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &whole, 1) == 0);
	return buffer;
}

/* A file whose every byte is `value`, opened for direct I/O. */
static int direct_file(int value)
{
	char name[] = "uring-XXXXXX", *bytes = pages(BUFFER);
	int file = mkostemp(name, O_DIRECT);
	memset(bytes, value, BUFFER);
	REQUIRE(file >= 0 && unlink(name) == 0 && write(file, bytes, BUFFER) == BUFFER && munmap(bytes, BUFFER) == 0);
	return file;
}

static int all(const char *memory, int value)
{
	for (int i = 0; i < BUFFER; i++)
		if (memory[i] != value)
			return 0;
	return 1;
}

static void rings_in_program_memory_carry_requests(void)
{
	set_up();
	char *buffer = pages(BUFFER);
	int file = direct_file('u');
	for (int round = 0; round < 3 * ENTRIES; round++) {
		REQUIRE(perform(IORING_OP_NOP, -1, NULL, 0, 0) == 0);
		REQUIRE(perform(IORING_OP_READ, file, buffer, BUFFER, 0) == BUFFER && all(buffer, 'u'));
		memset(buffer, 0, BUFFER);
	}
	REQUIRE(perform(IORING_OP_READ, file, (void *)16, BUFFER, 0) == -EFAULT);
}

static void registered_buffers_read_and_write(void)
{
	set_up();
	char *buffer = registered_buffer();
	int file = direct_file('r');
	REQUIRE(perform(IORING_OP_READ_FIXED, file, buffer, BUFFER, 0) == BUFFER && all(buffer, 'r'));
	memset(buffer, 'w', BUFFER);
	REQUIRE(perform(IORING_OP_WRITE_FIXED, file, buffer, BUFFER, 0) == BUFFER);
	memset(buffer, 0, BUFFER);
	REQUIRE(perform(IORING_OP_READ_FIXED, file, buffer, BUFFER, 0) == BUFFER && all(buffer, 'w'));
	REQUIRE(perform(IORING_OP_READ_FIXED, file, buffer + BUFFER, PAGE, 0) == -EFAULT);
}

static void registered_buffer_stays_pinned_after_munmap(void)
{
	set_up();
	char *buffer = registered_buffer(), *others[16];
	int file = direct_file('p');
	REQUIRE(munmap(buffer, BUFFER) == 0);
	for (int i = 0; i < 16; i++) {
		others[i] = pages(BUFFER);
		memset(others[i], i + 1, BUFFER);
	}
	REQUIRE(perform(IORING_OP_READ_FIXED, file, buffer, BUFFER, 0) == BUFFER);
	for (int i = 0; i < 16; i++)
		REQUIRE(all(others[i], i + 1));
	REQUIRE(syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0) == 0);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(rings_in_program_memory_carry_requests),
		CLAIM(registered_buffers_read_and_write),
		CLAIM(registered_buffer_stays_pinned_after_munmap),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
