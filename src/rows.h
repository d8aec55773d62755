/* SPDX-License-Identifier: MIT
 *
 * rows.h - rows of unused pages in a chunk, read from its bitmap.  Layer pages; under pages_lock.
 * All bits from npages on are set, so that no row needs to be cut there.
 */
#ifndef ARN_ROWS_H
#define ARN_ROWS_H

#include "pages.h"

/* Where used and unused pages meet, from page 0 on. */
struct row_edges {
	uint64_t left; /* of the word before NEXT, those not yet seen */
	uint64_t last; /* 1: the page before NEXT's first is unused */
	unsigned next;
};

/* The next page whose state is not that of the one before it: rows of unused pages begin and end
 * in turn.  CHUNK_PAGES at the end, where a last row may end. */
static inline unsigned rows_edge(const uint64_t *used, struct row_edges *e)
{
	unsigned at;

	while (e->left == 0) {
		uint64_t unused;

		if (e->next == CHUNK_WORDS)
			return CHUNK_PAGES;
		unused = ~used[e->next++];
		e->left = unused ^ (unused << 1 | e->last);
		e->last = unused >> (WORD_BITS - 1);
	}
	at = (e->next - 1) * WORD_BITS + bits_ctz(e->left);
	e->left &= e->left - 1;
	return at;
}

static inline unsigned rows_longest(const struct chunk *c)
{
	struct row_edges e = {0};
	unsigned best = 0, from;

	while ((from = rows_edge(c->used, &e)) < CHUNK_PAGES) {
		unsigned len = rows_edge(c->used, &e) - from;

		if (len > best)
			best = len;
	}
	return best;
}

static inline unsigned rows_max(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

struct row_place {
	unsigned at;
	unsigned largest; /* the longest row that is left when it is taken; or ROWS_UNKNOWN */
};

#define ROWS_UNKNOWN (CHUNK_PAGES + 1)

/* N aligned pages in the tightest row of LEAST or more that has them.  Among equals the one with
 * the most dirty pages: they are resident already. */
static inline bool rows_find(const struct chunk *c, unsigned least, unsigned n, unsigned align,
			     struct row_place *p)
{
	struct row_edges e = {0};
	unsigned from, best = 0, best_len = CHUNK_PAGES + 1, before = 0, others = 0;
	unsigned base_page = (unsigned)(c->base >> PAGE_SHIFT);

	while ((from = rows_edge(c->used, &e)) < CHUNK_PAGES) {
		unsigned len = rows_edge(c->used, &e) - from, worse = len;

		if (len >= least && len <= best_len) {
			unsigned lead = (0u - (base_page + from)) & (align - 1);

			if (lead + n <= len &&
			    (len < best_len || bitmap_count(c->dirty, from + lead, n) >
						       bitmap_count(c->dirty, best, n))) {
				worse = best_len <= CHUNK_PAGES ? best_len : 0;
				best = from + lead;
				best_len = len;
				before = lead;
			}
		}
		others = rows_max(others, worse);
	}
	if (best_len > CHUNK_PAGES)
		return false;
	p->at = best;
	p->largest = rows_max(others, rows_max(before, best_len - before - n));
	return true;
}

/* N aligned pages that are all resident, in the tightest row of such. */
static inline bool rows_find_dirty(const struct chunk *c, unsigned n, unsigned align,
				   struct row_place *p)
{
	struct row_edges e = {0};
	unsigned from, best_len = CHUNK_PAGES + 1, base_page = (unsigned)(c->base >> PAGE_SHIFT);
	uint64_t other[CHUNK_WORDS];

	for (unsigned i = 0; i < CHUNK_WORDS; i++)
		other[i] = c->used[i] | ~c->dirty[i];
	while ((from = rows_edge(other, &e)) < CHUNK_PAGES) {
		unsigned len = rows_edge(other, &e) - from;
		unsigned lead = (0u - (base_page + from)) & (align - 1);

		if (lead + n <= len && len < best_len) {
			p->at = from + lead;
			best_len = len;
		}
	}
	p->largest = ROWS_UNKNOWN;
	return best_len <= CHUNK_PAGES;
}

/* The length of the row that pages [at, at + n) are in when they are unused. */
static inline unsigned rows_around(const struct chunk *c, unsigned at, unsigned n)
{
	unsigned before = bitmap_last(c->used, 0, at, true);
	unsigned from = before == at ? 0 : before + 1;

	return bitmap_next(c->used, at + n, c->npages, true) - from;
}

#endif
