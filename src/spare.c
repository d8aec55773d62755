/* SPDX-License-Identifier: MIT
 *
 * spare.c - what freed large blocks leave for the next ones.  Layer pages; under pages_lock.
 *
 * Slots: without meta_lock, and without a look for a free one.
 *
 * Short spans, with their slots, by length: a program that frees four buffers of 64 KiB and takes
 * four again (zlib) finds them without a search.  For the chunk's bitmap they are in use, for the
 * sums of arn_pages free and dirty; the page map has forgotten them, so that a stale pointer into
 * one is found like any other.  They are few, and only of lengths that are asked for again and
 * again; all go back to their chunks before anything else is given back, before a chunk is mapped,
 * and when one is in the way of a block that grows.
 */
#include "pages.h"

static struct run *slots;
static unsigned nslots;
static struct run *spans[SPARE_PAGES + 1];
static unsigned nspans;
/* Blocks of this length that were asked for since spans of it went back. */
static uint8_t asked[SPARE_PAGES + 1];

void arn_spare_slot_add(struct run *r)
{
	if (nslots == SPARE_SLOTS) {
		arn_run_slot_put(r);
		return;
	}
	RELAXED_SET(r->state, (uint8_t)RUN_UNUSED);
	atomic_store_explicit(&r->owner, 0, memory_order_relaxed);
	r->next = slots;
	atomic_signal_fence(memory_order_seq_cst);
	slots = r;
	nslots++;
}

struct run *arn_spare_slot_take(void)
{
	struct run *r = slots;

	if (r == NULL)
		return NULL;
	slots = r->next;
	nslots--;
	return r;
}

bool arn_spare_span_add(struct run *r)
{
	if (r->npages > SPARE_PAGES || asked[r->npages] < SPARE_ASKED || nspans == SPARE_SPANS)
		return false;
	RELAXED_SET(r->state, (uint8_t)RUN_UNUSED);
	atomic_store_explicit(&r->owner, 0, memory_order_relaxed);
	r->next = spans[r->npages];
	atomic_signal_fence(memory_order_seq_cst);
	spans[r->npages] = r;
	nspans++;
	return true;
}

static struct run *span_take(unsigned npages)
{
	struct run *r = spans[npages];

	if (r != NULL) {
		spans[npages] = r->next;
		nspans--;
	}
	return r;
}

struct run *arn_spare_span_take(unsigned npages)
{
	if (npages > SPARE_PAGES)
		return NULL;
	if (asked[npages] < SPARE_ASKED)
		asked[npages]++;
	return span_take(npages);
}

struct run *arn_spare_span_any(void)
{
	for (unsigned n = 0; n <= SPARE_PAGES && nspans > 0; n++)
		if (spans[n] != NULL) {
			asked[n] = 0;
			return span_take(n);
		}
	return NULL;
}

size_t arn_spare_bytes(void)
{
	size_t bytes = 0;

	for (unsigned n = 0; n <= SPARE_PAGES; n++)
		for (const struct run *r = spans[n]; r != NULL; r = r->next)
			bytes += r->size;
	return bytes;
}

void arn_spare_fork_child(void)
{
	nslots = nspans = 0;
	for (const struct run *r = slots; r != NULL; r = r->next)
		nslots++;
	for (unsigned n = 0; n <= SPARE_PAGES; n++)
		for (const struct run *r = spans[n]; r != NULL; r = r->next)
			nspans++;
}
