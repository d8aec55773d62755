/* SPDX-License-Identifier: MIT
 *
 * run.c - the regions of a run.  Layer run; under the lock of the owning heap.
 */
#include "run_ops.h"

#include "fatal.h"
#include "os.h"
#include "live.h"
#include "pages.h"

struct run *arn_run_new(unsigned cls, unsigned npages, uint32_t owner)
{
	unsigned nregions = (unsigned)((npages << PAGE_SHIFT) / arn_class[cls].size);
	uint32_t info = cls | owner << INFO_CLASS_BITS;
	struct run *r;

	if (nregions > RUN_REGIONS_MAX)
		nregions = RUN_REGIONS_MAX;
	r = arn_run_slot_get(nregions);
	if (r == NULL)
		return NULL;
	for (unsigned i = 0; i < r->nwords; i++)
		RELAXED_SET(r->bits[i], ~0ull);
	if (nregions % WORD_BITS != 0)
		RELAXED_SET(r->bits[r->nwords - 1], bits_low(nregions % WORD_BITS));
	RELAXED_SET(r->cls, (uint8_t)cls);
	RELAXED_SET(r->nfree, (uint16_t)nregions);
	r->looked = 0;
	r->gone_kib = 0;
	r->listed = false;
	r->waste = NULL;
	RELAXED_SET(r->state, (uint8_t)RUN_SMALL);
	atomic_store_explicit(&r->owner, owner, memory_order_relaxed);
	if (!arn_pages_get(r, npages, 1, info, info)) {
		arn_run_slot_put(r);
		return NULL;
	}
	return r;
}

void arn_run_release(struct run *r)
{
	ARN_ASSERT(r->state != RUN_SMALL || r->nfree == r->nregions);
	if (live_recording() && r->state == RUN_SMALL)
		arn_live_run_end(r);
	arn_pages_put(r);
	arn_run_slot_put(r);
}

/* A row of fewer regions is taken region by region, and so is the rest of its word: where a short
 * row is, others are, and their ends would be guessed wrong. */
#define TAKE_ROW_MIN 4

/* Stores the N regions of SIZE bytes from P on below END; returns the end that is left. */
static inline void **take_row(void **end, uintptr_t p, size_t size, unsigned n)
{
	for (; n >= 4; n -= 4, p += 4 * size) {
		end -= 4;
		end[3] = (void *)p;
		end[2] = (void *)(p + size);
		end[1] = (void *)(p + 2 * size);
		end[0] = (void *)(p + 3 * size);
	}
	for (; n > 0; n--, p += size)
		*--end = (void *)p;
	return end;
}

/* The same for up to WANT regions of *BITS, one by one; returns how many. */
static inline unsigned take_bits(uint64_t *bits, void ***end, uintptr_t word_base, size_t size,
				 unsigned want)
{
	uint64_t left = *bits;
	void **to = *end;

	do {
		*--to = (void *)(word_base + bits_ctz(left) * size);
		left &= left - 1;
	} while (left != 0 && (unsigned)(*end - to) < want);
	want = (unsigned)(*end - to);
	*bits = left;
	*end = to;
	return want;
}

unsigned arn_run_take(struct run *r, void **end, unsigned want)
{
	size_t size = arn_class[r->cls].size;
	unsigned got = 0, w = 0;

	if (want > r->nfree)
		want = r->nfree;
	while (got < want) {
		uint64_t bits;
		uintptr_t word_base;

		while ((bits = r->bits[w]) == 0)
			w++;
		word_base = r->base + (size_t)w * WORD_BITS * size;

		/* Row by row: what is free mostly lies side by side, in real programs 98 of 100. */
		while (bits != 0 && got < want) {
			unsigned from = bits_ctz(bits);
			uint64_t used = ~(bits >> from);
			unsigned n = used != 0 ? bits_ctz(used) : WORD_BITS;

			if (n < TAKE_ROW_MIN) {
				got += take_bits(&bits, &end, word_base, size, want - got);
				break;
			}
			if (n > want - got)
				n = want - got;
			end = take_row(end, word_base + from * size, size, n);
			bits &= ~(bits_low(n) << from);
			got += n;
		}
		RELAXED_SET(r->bits[w], bits);
	}
	RELAXED_SET(r->nfree, (uint16_t)(r->nfree - got));
	return got;
}

size_t arn_run_purge(struct run *r)
{
	const size_t os = arn_os_page_bytes(), size = arn_class[r->cls].size;
	const unsigned least = (unsigned)((PURGE_ROW_MIN + size - 1) / size);
	unsigned from = 0;
	size_t bytes = 0;

	/* Backwards from where a row that is long enough would end: where regions are free here and
	 * there, most of the bits need not be looked at. */
	while (from + least <= r->nregions) {
		unsigned to = bitmap_last(r->bits, from, from + least, false);
		uintptr_t start, end;

		if (to < from + least) {
			from = to + 1;
			continue;
		}
		start = bits_round_up(r->base + from * size, os);
		from = bitmap_next(r->bits, to, r->nregions, false);
		end = bits_round_down(r->base + from * size, os);
		if (start + PURGE_ROW_MIN > end)
			continue;
		/* Locked memory, or a sandbox: the next row would fare no better. */
		if (!arn_os_purge((void *)start, end - start))
			break;
		bytes += end - start;
	}
	r->looked = r->nfree;
	return bytes;
}

uint64_t arn_run_merge(struct run *r, unsigned w, uint64_t mask)
{
	uint64_t twice = r->bits[w] & mask;

	mask &= ~twice;
	run_add(r, w, mask, bits_popcount(mask));
	return twice;
}

bool arn_run_check(const struct run *r)
{
	unsigned n = 0, remote = 0;
	bool ok = true;

	for (unsigned i = 0; i < r->nwords; i++) {
		uint64_t theirs =
			atomic_load_explicit(&run_remote((struct run *)r)[i], memory_order_relaxed);

		n += bits_popcount(r->bits[i]);
		remote += bits_popcount(theirs);
		ok &= (r->bits[i] & theirs) == 0;
	}
	return ok && n == r->nfree && n + remote <= r->nregions;
}
