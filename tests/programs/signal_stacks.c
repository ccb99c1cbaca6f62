// SPDX-License-Identifier: GPL-2.0
// Claims about signal stacks: what a handler sees of them, and what stands when it returns.
#define _GNU_SOURCE
#include "claims.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
enum { BYTES = 65536 };

static char *place, *elsewhere;
static stack_t in_frame, in_handler;
static bool on_it;
static const stack_t *wanted;
static int refused;

static void look(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	char here;
	in_frame = ((ucontext_t *)context)->uc_stack;
	on_it = &here > place && &here <= place + BYTES;
	REQUIRE(sigaltstack(NULL, &in_handler) == 0);
	refused = wanted && sigaltstack(wanted, NULL) ? errno : 0;
}

static void prepare(void)
{
	struct sigaction action = { .sa_sigaction = look, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	place = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(place != MAP_FAILED);
	elsewhere = place + BYTES;
}

static stack_t of(char *start, unsigned flags)
{
	return (stack_t){ .ss_sp = start, .ss_size = BYTES, .ss_flags = flags };
}

static bool is(stack_t seen, char *start, unsigned flags)
{
	return seen.ss_sp == start && seen.ss_size == (start ? BYTES : 0) && (unsigned)seen.ss_flags == flags;
}

static bool stands(char *start, unsigned flags)
{
	stack_t seen;
	REQUIRE(sigaltstack(NULL, &seen) == 0);
	return is(seen, start, flags);
}

static void the_frame_has_the_flags_that_were_given(void)
{
	prepare();
	unsigned given[] = { 0, SS_ONSTACK };
	for (int i = 0; i < 2; i++) {
		stack_t stack = of(place, given[i]);
		REQUIRE(sigaltstack(&stack, NULL) == 0 && stands(place, 0) && raise(SIGUSR1) == 0);
		REQUIRE(on_it && is(in_frame, place, given[i]) && is(in_handler, place, SS_ONSTACK) && stands(place, 0));
	}
}

static void a_stack_in_use_cannot_be_changed(void)
{
	prepare();
	stack_t stack = of(place, 0), other = of(elsewhere, 0);
	wanted = &other;
	REQUIRE(sigaltstack(&stack, NULL) == 0 && raise(SIGUSR1) == 0);
	REQUIRE(refused == EPERM && stands(place, 0));
}

static void a_stack_that_disarms_itself_comes_back_unless_its_handler_arms_it(void)
{
	prepare();
	stack_t stack = of(place, SS_AUTODISARM), plain = of(place, 0), other = of(elsewhere, 0);
	REQUIRE(sigaltstack(&stack, NULL) == 0 && stands(place, SS_AUTODISARM) && raise(SIGUSR1) == 0);
	REQUIRE(on_it && is(in_frame, place, SS_AUTODISARM) && is(in_handler, NULL, SS_DISABLE) && stands(place, SS_AUTODISARM));
	/* Another one that the handler sets: the frame's comes back. */
	wanted = &other;
	REQUIRE(raise(SIGUSR1) == 0 && refused == 0 && stands(place, SS_AUTODISARM));
	/* The one it runs on: to set that back is refused, as it is in use. */
	wanted = &plain;
	REQUIRE(raise(SIGUSR1) == 0 && refused == 0 && stands(place, 0));
}

static void change_frame(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	((ucontext_t *)context)->uc_stack = *wanted;
}

static void a_handler_may_change_the_stack_in_its_frame(void)
{
	prepare();
	struct sigaction action = { .sa_sigaction = change_frame, .sa_flags = SA_SIGINFO };
	REQUIRE(sigaction(SIGUSR2, &action, NULL) == 0);
	stack_t other = of(elsewhere, 0), small = { .ss_sp = place, .ss_size = 100 }, unknown = of(place, 4), none = of(place, SS_DISABLE);
	wanted = &other;
	REQUIRE(raise(SIGUSR2) == 0 && stands(elsewhere, 0));
	wanted = &small;
	REQUIRE(raise(SIGUSR2) == 0 && stands(elsewhere, 0));
	wanted = &unknown;
	REQUIRE(raise(SIGUSR2) == 0 && stands(elsewhere, 0));
	wanted = &none;
	REQUIRE(raise(SIGUSR2) == 0 && stands(NULL, SS_DISABLE));
}

static void *without_stack(void *unused)
{
	(void)unused;
	REQUIRE(stands(NULL, SS_DISABLE) && raise(SIGUSR1) == 0);
	REQUIRE(!on_it && is(in_frame, NULL, SS_DISABLE));
	return NULL;
}

static void a_thread_begins_without_one(void)
{
	prepare();
	stack_t stack = of(place, 0);
	pthread_t thread;
	REQUIRE(sigaltstack(&stack, NULL) == 0);
	REQUIRE(pthread_create(&thread, NULL, without_stack, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

static const struct claim claims[] = {
	CLAIM(the_frame_has_the_flags_that_were_given),
	CLAIM(a_stack_in_use_cannot_be_changed),
	CLAIM(a_stack_that_disarms_itself_comes_back_unless_its_handler_arms_it),
	CLAIM(a_handler_may_change_the_stack_in_its_frame),
	CLAIM(a_thread_begins_without_one),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
