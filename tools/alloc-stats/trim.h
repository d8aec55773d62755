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

/* Asks, and waits for at most SECONDS. */
enum trim_outcome trim_ask(struct target *t, const struct found_root *r, double seconds,
			   uint64_t *freed);

/* Stops one thread and has it serve the request at once.  NULL, or why that could not be done. */
char *trim_now(struct target *t, const struct found_root *r, uint64_t *freed);

#endif
