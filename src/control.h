/* SPDX-License-Identifier: MIT
 *
 * control.h - requests from outside of the process.  Layer os.
 */
#ifndef ARN_CONTROL_H
#define ARN_CONTROL_H

#include "compiler.h"

/* alloc-stats writes trim_request.  A number that differs from the one served last is a request;
 * the next slow path of any thread serves it, and a process that sleeps leaves it pending. */
struct arn_control {
	_Atomic uint32_t trim_request;
	_Atomic uint32_t trim_served; /* a thread has begun with it */
	_Atomic uint32_t trim_done;   /* ... and has ended; trim_bytes is its answer */
	_Atomic uint64_t trim_bytes;  /* what the last one gave back */
};
extern struct arn_control arn_control ARN_HIDDEN;

/* One load and compare on slow paths that hold no lock. */
static inline bool control_pending(void)
{
	return atomic_load_explicit(&arn_control.trim_request, memory_order_relaxed) !=
	       atomic_load_explicit(&arn_control.trim_served, memory_order_relaxed);
}
void arn_control_serve_slow(void);

#endif
