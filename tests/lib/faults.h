/* SPDX-License-Identifier: GPL-2.0 */
/* Touching memory that may not be there, for programs of one thread. Include after claims.h. */
#ifndef FAULTS_H
#define FAULTS_H

#include <setjmp.h>
#include <signal.h>

static sigjmp_buf escape;
/* The fault that came last. */
static siginfo_t last_fault;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	last_fault = *info;
	siglongjmp(escape, 1);
}

/* Makes faults come back to FAULTS(). The handler's stack is its own, for the claims about the stack. */
static void catch_faults(void)
{
	static char handler_stack[64 * 1024];
	stack_t stack = { .ss_sp = handler_stack, .ss_size = sizeof handler_stack };
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	REQUIRE(sigaltstack(&stack, NULL) == 0);
	REQUIRE(sigaction(SIGBUS, &action, NULL) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
}

/* Whether the statement ends in a fault. */
#define FAULTS(statement) (sigsetjmp(escape, 1) ? 1 : ((void)(statement), 0))

static inline int reads(const volatile char *address)
{
	return !FAULTS(*address);
}

static inline int writes(volatile char *address)
{
	return !FAULTS(*address = 1);
}

/* The signal that touching `byte` ends in; 0 if it does not. */
static inline int signal_of(volatile char *byte, int write)
{
	catch_faults();
	return (write ? writes(byte) : reads(byte)) ? 0 : last_fault.si_signo;
}

#endif
