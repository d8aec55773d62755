/* SPDX-License-Identifier: MIT
 *
 * trim.h - asking a running process to give its free memory back.
 */
#ifndef STATS_TRIM_H
#define STATS_TRIM_H

#include "snapshot.h"

enum trim_outcome {
	TRIM_DONE,    /* *freed bytes went back */
	TRIM_PENDING, /* the process sleeps; its next slow path will serve the request */
	TRIM_FAILED,  /* no permission, or the process is gone */
};

/* Asks, and waits for at most SECONDS until the request is taken up.  NOW: has a thread serve it;
 * when none can, *WHY says why, the caller frees it, and the request waits like any other. */
enum trim_outcome trim_ask(struct target *t, const struct found_root *r, bool now, double seconds,
			   uint64_t *freed, char **why);

/* Stops one thread and has it serve the request that stands in the control word.  NULL, or why that
 * could not be done. */
char *trim_now(struct target *t, const struct found_root *r);

#endif
