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
 *      bits      0   0   0   0   0   0   1   1   1      1: free
 *      starts    1   0   1   0   0   1   0   0   0      where a block begins, and
 *      ends      0   1   0   0   1   1   0   0   0      where it ends
 *
 *     nfree == popcount(bits),  popcount(starts) == popcount(ends),  first <= used
 *     every used granule lies in exactly one row from a start to the next end, below `used`
 *
 * A block goes behind the one before (`first`).  Before another OS page is begun, what is free
 * below is used again, from the bottom: so what was freed rests until its place comes round, and
 * what is freed twice, or used after its free, mostly belongs to nobody else meanwhile.
 *
 * A block's own start and end do not change while it lives, so whoever holds it may ask for its
 * length without a lock.  A remote word has the bit of a block's first granule.  Its pages carry
 * the info INFO_STARTER, which sends frees to the slow half: no starter block is in a tcache.
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

/* Whether the next region of class CLS, of which TAKEN came from here so far, should too. */
static inline bool starter_serves(const struct heap *h, unsigned cls, unsigned taken)
{
	bool first = starter_is_first(h);
	size_t out = h->bins[cls].out;
	unsigned takes = !first                                ? STARTER_TAKES
			 : arn_class[cls].size >= STARTER_RARE ? STARTER_TAKES_RARE
							       : STARTER_TAKES_FIRST;

	return out < STARTER_LIVE && taken < takes &&
	       (out + 1) * arn_class[cls].size <= (first ? STARTER_BYTES_FIRST : STARTER_BYTES) &&
	       !valgrind_runs();
}

/* A block for a region of class CLS, or NULL: no room, or no memory. */
void *arn_starter_take(struct heap *h, unsigned cls);
/* Anything but the start of a live block is a crime. */
void arn_starter_give(struct heap *h, struct run *r, const void *p);
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
