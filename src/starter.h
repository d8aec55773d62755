/* SPDX-License-Identifier: MIT
 *
 * starter.h - the starter run of a heap: the first few regions of every class, side by side.
 * Layer heap; under the lock of the owning heap, but where it says otherwise.
 *
 * Most processes and threads need a few regions in each of twenty classes and many in five.  With a
 * run for each class that is an OS page for each, nearly empty; so a class begins in a starter run
 * and gets a run of its own when it turns out to be wanted.  A starter run is a run of 1024
 * granules of 16 bytes; a block takes as many as its class has, in a row:
 *
 *      granule   0   1   2   3   4   5   6   7   8 ...
 *              +-------+-----------+---+-------+---
 *              |  32   |    48     |16 |  free |        bytes of the blocks
 *              +-------+-----------+---+-------+---
 *      starts    1   0   1   0   0   1   0   0   0      where a block begins, and
 *      ends      0   1   0   0   1   1   0   0   0      where it ends
 *
 *     popcount(starts) == popcount(ends),  first <= stop <= begun
 *     nfree == 1024 - granules from a start to the next end; all these lie below `begun`, none of
 *     them in [first, stop)
 *
 * A block goes behind the one before (`first`), into the row of free granules that ends at `stop`.
 * Before another OS page is begun, what is free below is used again, from the bottom: so what was
 * freed rests until its place comes round, and what is freed twice, or used after its free, mostly
 * belongs to nobody else meanwhile.
 *
 * But one freed block of each class stays at hand for the next malloc (`held` of its bin, to which
 * `top` points, so that malloc takes it like a region of an array), until the class has an array: a
 * class that turns over takes no other way.  It keeps its start and end; that it is free, `top`
 * says, also to other threads.
 *
 * A block's own start and end do not change while it lives, so whoever holds it may ask for its
 * length without a lock.  A remote word has the bit of a block's first granule.  Its pages carry
 * the info INFO_STARTER, which sends frees to the slow half: no starter block is in an array.
 */
#ifndef ARN_STARTER_H
#define ARN_STARTER_H

#include "heap.h"
#include "valgrind.h"

/* The heap of the thread that began the process: 1 is its id. */
static inline bool starter_is_first(const struct heap *h)
{
	return h->id == 1;
}

/* So many mallocs of class CLS are served from here, a new block counting STARTER_FRESH. */
static inline unsigned starter_takes(const struct heap *h, unsigned cls)
{
	return !starter_is_first(h)                  ? STARTER_TAKES
	       : arn_class[cls].size >= STARTER_RARE ? STARTER_TAKES_RARE
						     : STARTER_TAKES_FIRST;
}

/* Whether the next region of class CLS, of which TAKEN came from here, should too. */
static inline bool starter_serves(const struct heap *h, unsigned cls, unsigned taken)
{
	size_t out = RELAXED_GET(h->bins[cls].out);

	return out < STARTER_LIVE && taken < starter_takes(h, cls) &&
	       (out + 1) * arn_class[cls].size <=
		       (starter_is_first(h) ? STARTER_BYTES_FIRST : STARTER_BYTES) &&
	       !valgrind_runs();
}

/* Without the lock, by the owner: a block of class CLS, or NULL: no room, or no memory. */
void *arn_starter_malloc(struct heap *h, unsigned cls);
/* Without the lock, by the owner: anything but the start of a live block is a crime.  The first,
 * which is told the run of P, keeps one block of each class at hand for the next malloc. */
void arn_starter_free(struct heap *h, struct run *r, void *p);
void arn_starter_give(struct heap *h, const void *p);
/* What is at hand of class CLS, which has no array yet, goes back. */
void arn_starter_drop(struct heap *h, unsigned cls);
/* Takes in what other threads have freed of R; returns its bytes. */
size_t arn_starter_collect(struct heap *h, struct run *r);
/* Gives back the runs in which nothing is left. */
void arn_starter_trim(struct heap *h);

/* No lock: bytes of the block that starts at P, which its caller holds; a crime if none does. */
size_t arn_starter_size(struct run *r, const void *p);

/* No lock: whether no block of R is out any more, as far as can be seen. */
bool arn_starter_all_free(struct run *r);

bool arn_starter_check(const struct run *r);

#endif
