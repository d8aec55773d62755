/* SPDX-License-Identifier: MIT
 *
 * slot.c - getting and putting back the descriptors that run.h defines.  Layer pages.
 */
#include "run.h"

struct run *arn_run_slot_get(unsigned nregions)
{
	unsigned nwords = (nregions + WORD_BITS - 1) / WORD_BITS;
	unsigned lines = run_lines(nwords);
	struct run *r = arn_meta_get(META_RUN + lines, lines);

	if (r == NULL)
		return NULL;
	r->lines = (uint8_t)lines;
	RELAXED_SET(r->nwords, (uint8_t)nwords);
	RELAXED_SET(r->nregions, (uint16_t)nregions);
	/* In its last life the slot may have had another number of words.  No late visitor touches
	 * them: a bit is only ever set for a live region. */
	for (unsigned i = 0; i < nwords; i++)
		atomic_store_explicit(&run_remote(r)[i], 0, memory_order_relaxed);
	return r;
}

void arn_run_slot_put(struct run *r)
{
	r->state = RUN_UNUSED;
	/* Relaxed: a late push reads it only to find that it should not have come here. */
	atomic_store_explicit(&r->owner, 0, memory_order_relaxed);
	arn_meta_put(META_RUN + r->lines, r);
}
