// SPDX-License-Identifier: GPL-2.0
// Reads the log of instance 0 into a page that nobody ever brings, so that the call stays where it copies. Says
// "reading" before; ends by a signal.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As in the contract, ihk-ikc/src/proto/uapi/mcos.rs. */
struct read_kmsg {
	uint64_t from, buffer, bytes;
};
#define READ_KMSG _IOWR('k', 0x2c, struct read_kmsg)

enum { PAGE = 4096 };

int main(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct read_kmsg request = { .bytes = PAGE };
	int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC), device = open("/dev/mcos0", O_RDWR);
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	area.range.start = request.buffer = (uintptr_t)page;
	area.range.len = PAGE;
	if (faults < 0 || device < 0 || page == MAP_FAILED || ioctl(faults, UFFDIO_API, &api) ||
	    ioctl(faults, UFFDIO_REGISTER, &area)) {
		perror("stuck_reader");
		return 1;
	}
	puts("reading");
	fflush(stdout);
	return ioctl(device, READ_KMSG, &request) ? 2 : 3;
}
