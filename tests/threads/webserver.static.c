// SPDX-License-Identifier: GPL-2.0
// Example of Sakura Call: a small web server whose main thread accepts connections and posts a request handler for each.
// Usage: webserver [PORT [CONNECTIONS]]   serves GET of files below the current directory on 127.0.0.1; port 0 or none:
// any, printed on the first line; ends after so many connections, or never.
//
// The handler is ordinary code. Under mcexec it runs on a Linux core, so that its many system calls cost what they cost
// there, while the accept loop and whatever else the program computes stay on the co-kernel.
#include "mckernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES = 256, REQUEST_BYTES = 2048 };

static void fail(const char *what, int error)
{
	fprintf(stderr, "webserver: %s: %s\n", what, strerror(error));
	exit(1);
}

static void say(int connection, const char *status, long bytes)
{
	char head[128];
	int length = snprintf(head, sizeof head, "HTTP/1.0 %s\r\nContent-Length: %ld\r\n\r\n", status, bytes);
	// A client that went away is no concern of ours: no posted function gets SIGPIPE.
	(void)!write(connection, head, (size_t)length);
}

// Reads up to the empty line that ends a request; false if there is none.
static int read_request(int connection, char *request)
{
	size_t length = 0;
	while (length < REQUEST_BYTES - 1) {
		ssize_t got = read(connection, request + length, REQUEST_BYTES - 1 - length);
		if (got <= 0)
			return 0;
		length += (size_t)got;
		request[length] = 0;
		if (strstr(request, "\r\n\r\n"))
			return 1;
	}
	return 0;
}

static void send_file(int connection, const char *path)
{
	struct stat stat;
	int file = open(path, O_RDONLY);
	if (file < 0 || fstat(file, &stat) || !S_ISREG(stat.st_mode)) {
		say(connection, "404 Not Found", 0);
	} else {
		say(connection, "200 OK", stat.st_size);
		for (off_t offset = 0; offset < stat.st_size;)
			if (sendfile(connection, file, &offset, (size_t)(stat.st_size - offset)) <= 0)
				break;
	}
	if (file >= 0)
		close(file);
}

// The posted function: one request from its first byte to the end of the connection.
static int64_t handle_request(void *argument)
{
	int connection = (int)(intptr_t)argument;
	char request[REQUEST_BYTES], path[REQUEST_BYTES];
	if (!read_request(connection, request) || sscanf(request, "GET /%s HTTP/", path) != 1)
		say(connection, "400 Bad Request", 0);
	else if (path[0] == '/' || strstr(path, ".."))
		say(connection, "403 Forbidden", 0);
	else
		send_file(connection, path);
	shutdown(connection, SHUT_WR);
	return close(connection);
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
	    bind(listener, (struct sockaddr *)&address, length) || listen(listener, 64) ||
	    getsockname(listener, (struct sockaddr *)&address, &length))
		fail("listen", errno);
	printf("port %d\n", ntohs(address.sin_port));
	fflush(stdout);
	return listener;
}

int main(int argc, char **argv)
{
	int listener = listen_on(argc > 1 ? (uint16_t)atoi(argv[1]) : 0);
	long left = argc > 2 ? atol(argv[2]) : -1;
	mk_queue *queue;
	int error = mk_queue_open(&queue, ENTRIES);
	if (error)
		fail("queue", -error);
	for (; left != 0; left -= left > 0) {
		int connection = accept(listener, NULL, NULL);
		if (connection < 0)
			fail("accept", errno);
		mk_handle handle = sakura_call(queue, handle_request, (void *)(intptr_t)connection, MK_DETACHED);
		if (handle < 0)
			fail("post", (int)-handle);
	}
	while (mk_queue_close(queue) == -EBUSY)
		usleep(1000);
	return 0;
}
