/* SPDX-License-Identifier: MIT
 *
 * run_ops.h - taking regions from a run and giving them back.  Layer run; under the lock of the
 * owning heap.
 */
#ifndef ARN_RUN_OPS_H
#define ARN_RUN_OPS_H

#include "pagemap.h"
#include "run.h"
#include "sizeclass.h"

/* A run of class CLS for heap OWNER, all regions free; NULL: out of memory. */
struct run *arn_run_new(unsigned cls, unsigned npages, uint32_t owner);
/* Gives the pages and the slot of a run or large block back. */
void arn_run_release(struct run *r);

/* Takes up to WANT free regions in address order and stores the k-th lowest at end[-1 - k].
 * Returns how many. */
unsigned arn_run_take(struct run *r, void **end, unsigned want);

/* Gives the OS pages back on which all is free, in rows of PURGE_ROW_MIN; returns their bytes. */
size_t arn_run_purge(struct run *r);

/* Marks the COUNT regions of MASK in word W free; none of them is. */
static inline void run_add(struct run *r, unsigned w, uint64_t mask, unsigned count)
{
	RELAXED_SET(r->bits[w], r->bits[w] | mask);
	RELAXED_SET(r->nfree, (uint16_t)(r->nfree + count));
}

/* Marks the regions of MASK in word W free; returns those that were free already (a crime). */
uint64_t arn_run_merge(struct run *r, unsigned w, uint64_t mask);

/* Index of the region that starts at P, or -1: P is inside a region or in the unused tail. */
static inline int run_region_of(const struct run *r, const void *p)
{
	uintptr_t i = sizeclass_region(&arn_class[r->cls], (uintptr_t)p - r->base);

	return i < r->nregions ? (int)i : -1;
}

static inline void *run_region(const struct run *r, unsigned i)
{
	return (void *)(r->base + i * (uintptr_t)arn_class[r->cls].size);
}

/* The equations of run.h that can be checked from inside. */
bool arn_run_check(const struct run *r);

#endif
