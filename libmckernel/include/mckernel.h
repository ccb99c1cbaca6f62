/* SPDX-License-Identifier: GPL-2.0 */
/*
 * FlexSC mode and Sakura Call: post system calls and functions, go on computing, collect the results.
 * Link with libmckernel.a. The same program runs natively and under mcexec.
 *
 * All functions answer a negative errno if they fail and leave errno alone. Any thread may call them, at any time,
 * beside system calls made the usual way. Guarantees and limits: docs/flexsc-and-sakura.md.
 */
#ifndef MCKERNEL_H
#define MCKERNEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mk_queue mk_queue;

/* Names a posted call until its result has been collected; not negative. */
typedef int64_t mk_handle;

/* A system call. Addresses in it must stay valid until it is done. */
struct mk_call {
	uint64_t number;
	uint64_t args[6];
};

enum {
	MK_NONBLOCK = 1, /* -EAGAIN if no entry is free, instead of waiting until one is */
	MK_DETACHED = 2, /* nobody collects the result: the entry is free when the call is done */
};

/* Makes a queue for at most `entries` calls at once, a power of two up to 1024. -EINVAL, -ENOMEM, -EAGAIN. */
int mk_queue_open(mk_queue **queue, uint32_t entries);

/* Ends it. -EBUSY if a call is under way or a result was not collected. */
int mk_queue_close(mk_queue *queue);

/*
 * Posts a call. -ENOSYS if it is one that cannot be posted, -EAGAIN as flags say or if a child of fork has no room for its
 * servers, -EINVAL for unknown flags.
 */
mk_handle mk_post(mk_queue *queue, const struct mk_call *call, uint32_t flags);

/* Posts a call of `function` with `argument`, system calls in it included, to be run on a Linux core. */
mk_handle sakura_call(mk_queue *queue, int64_t (*function)(void *argument), void *argument, uint32_t flags);

/*
 * Waits for a call and collects its result: what the system call returned, or its negative errno; what the function
 * returned. -EINVAL if there is no such call, or its result was collected before.
 */
int mk_wait(mk_queue *queue, mk_handle handle, int64_t *result);

/* The same without waiting: -EAGAIN if the call is not done yet. */
int mk_poll(mk_queue *queue, mk_handle handle, int64_t *result);

#ifdef __cplusplus
}
#endif

#endif
