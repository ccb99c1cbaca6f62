/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the checking programs share. A claim is a function that returns when it holds and calls REQUIRE() on the way.
 * `PROGRAM` lists the claims, `PROGRAM NAME` checks one: exit status 0 if it holds, else 1 and a line that says why.
 */
#ifndef CLAIMS_H
#define CLAIMS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct claim {
	const char *name;
	void (*check)(void);
};

#define CLAIM(function) { #function, function }

/* Ends the program with status 1 and the reason unless the condition holds. */
#define REQUIRE(condition)                                                              \
	do {                                                                            \
		if (!(condition)) {                                                     \
			printf("%s:%d: not %s (errno %s)\n", __FILE__, __LINE__,        \
			       #condition, strerrorname_np(errno));                     \
			exit(1);                                                        \
		}                                                                       \
	} while (0)

/* A call that must fail, and how. */
#define REQUIRE_ERROR(call, error) REQUIRE((errno = 0, (long)(call) == -1 && errno == (error)))

#define RUN_CLAIMS(table, argc, argv) run_claims(table, sizeof(table) / sizeof(*(table)), argc, argv)

static int run_claims(const struct claim *claims, size_t count, int argc, char **argv)
{
	for (size_t i = 0; i < count; i++) {
		if (argc < 2) {
			puts(claims[i].name);
		} else if (strcmp(argv[1], claims[i].name) == 0) {
			claims[i].check();
			return 0;
		}
	}
	if (argc >= 2)
		printf("no such claim: %s\n", argv[1]);
	return argc >= 2;
}

#endif
