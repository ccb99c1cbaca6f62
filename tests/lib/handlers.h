/* SPDX-License-Identifier: GPL-2.0 */
/* Handlers and sets of signals. Include after claims.h. */
#ifndef HANDLERS_H
#define HANDLERS_H

#include <signal.h>

/* Has `handler` run for `signal`, with its information. */
static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
	REQUIRE(sigaction(signal, &action, NULL) == 0);
}

/* The set with `signal` alone. */
static sigset_t set_of(int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	return set;
}

#endif
