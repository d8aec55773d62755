/* SPDX-License-Identifier: MIT
 *
 * live.h - how much the program holds: the highest that it ever was, and, when the option `stats`
 * is on, how much of it was asked for.  Layer run.
 *
 * The peak is kept in slow paths.  A heap adds up what leaves and enters its runs, and tells the
 * sum here when it has moved by LIVE_STEP; large and huge blocks are told at once.  So
 *     peak >= (highest live) - LIVE_STEP * heaps
 *     peak <= (highest live + what thread caches held then) + LIVE_STEP * heaps
 *
 * Requests: malloc(100) gets a region of 112 bytes, and nothing keeps the 100.  While recording is
 * on, no thread caches regions: every call comes by the slow half, which writes the difference into
 * a table beside the run (uint16_t for each region: 1 + bytes not asked for; 0: not recorded).
 * A large or huge block keeps its difference in its descriptor.  The rows add up:
 *     row.bytes == usable bytes of live recorded blocks, row.waste == of these, not asked for
 * What was allocated before recording began stays unrecorded: row.bytes tells how much is known.
 */
#ifndef ARN_LIVE_H
#define ARN_LIVE_H

#include "run.h"

/* 64 KiB: about as much as one refill moves, so that a heap tells once in some tens of refills. */
#define LIVE_STEP (64 * KIB)

/* Rows behind those of the size classes. */
enum { LIVE_LARGE = NCLASSES, LIVE_HUGE, LIVE_ROWS };

struct live_row {
	_Atomic size_t bytes, waste;
};

struct live_state {
	_Atomic size_t
		out; /* bytes outside of runs, and of large and huge blocks; as told so far */
	_Atomic size_t peak; /* the highest `out` */
};
extern struct live_state arn_live ARN_HIDDEN;
extern struct live_row arn_live_rows[LIVE_ROWS] ARN_HIDDEN;

/* Set once, by the constructor.  Not in the line that every heap writes to. */
extern bool arn_live_recording ARN_HIDDEN;
static inline bool live_recording(void)
{
	return unlikely(RELAXED_GET(arn_live_recording));
}
void arn_live_begin(void);

/* The most that one block without an alignment can have beyond its request: of a class of SIZE
 * bytes with a next smaller one of BELOW bytes (malloc(0) has all 16) ... */
static inline size_t live_waste_max(size_t below, size_t size)
{
	return below == 0 ? size : size - below - 1;
}

/* ... and N large or huge blocks of BYTES in all: less than a page each, a fifth of one that
 * realloc made larger than it was asked to, a ninth of a cached mapping that was a little too long.
 */
static inline size_t live_block_waste_max(size_t bytes, size_t n)
{
	size_t pages = n * (PAGE_BYTES - 1), most = bytes / 10 * 3 + pages;

	return bytes == 0 ? 0 : most < bytes ? most : bytes;
}

/* BYTES more than before; fewer as a wrapped number. */
void arn_live_tell(size_t bytes);

/* For P, a region of run R that was just taken; under the lock of R's heap. */
void arn_live_record(struct run *r, const void *p, size_t asked);
/* P of run R is about to be freed, or has another request now. */
void arn_live_forget(struct run *r, const void *p);
void arn_live_change(struct run *r, const void *p, size_t asked);

/* The same for large and huge blocks. */
void arn_live_block(struct run *r, size_t asked);
/* BYTES: what run_block_bytes() was when it was recorded. */
void arn_live_block_forget(struct run *r, size_t bytes);

/* R goes back, with whatever of it is still recorded (a destroyed arena). */
void arn_live_run_end(struct run *r);

#endif
