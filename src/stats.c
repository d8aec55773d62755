/* SPDX-License-Identifier: MIT
 *
 * stats.c - the reporters: malloc_stats, malloc_info, mallinfo2, amalloc_stats.  Layer api.
 *
 * Nothing is counted on the fast path: a class's live regions are those outside of its runs, less
 * those in tcaches and those that other threads have freed and not yet sent.  Heaps whose owner is
 * at rest are asked to take in remote frees first.  The definitions stand in libarena(7);
 * alloc-stats and gdb compute the same from outside, to the byte when no thread is inside malloc.
 */
#include "stats.h"

#include <errno.h>
#include <unistd.h>

#include "alloc.h"
#include "heap.h"
#include "meta.h"
#include "os.h"
#include "pagemap.h"
#include "pages.h"
#include "sizeclass.h"
#include "tcache.h"

struct class_sum {
	size_t out;    /* regions outside of runs */
	size_t cached; /* of these, in tcaches or gathered by those who freed them */
	size_t nfree;  /* regions inside of runs; only where it is asked for */
	size_t nruns;
};

struct sums {
	struct class_sum cls[NCLASSES];
	size_t cached_bytes, live_small, heaps, parked;
};

/* What the thread of H has freed into other heaps and not sent.  Only it writes there. */
static void sum_gathered(struct heap *h, struct sums *s)
{
	struct combine *k = h->kind == HEAP_THREAD ? ACQUIRE_GET(h->combine) : NULL;

	for (unsigned i = 0; k != NULL && i < COMBINE_SLOTS; i++) {
		uint64_t mask = RELAXED_GET(k->slots[i].mask);
		struct run *r = combine_run(&k->slots[i]);

		if (mask != 0 && r != NULL)
			s->cls[RELAXED_GET(r->cls)].cached += bits_popcount(mask);
	}
}

static void sum_heap(struct heap *h, struct sums *s)
{
	for (unsigned c = 1; c < NCLASSES; c++) {
		const struct bin *b = &h->bins[c];
		void **base = RELAXED_GET(b->base), **top = RELAXED_GET(h->top[c]);
		size_t cached = base != NULL && top > base ? (size_t)(top - base) : 0;
		/* A starter block at hand counts as free in its run. */
		size_t held = base == NULL && top == &b->held[1], out = RELAXED_GET(b->out);

		/* Its owner may have dropped it since. */
		s->cls[c].out += out > held ? out - held : 0;
		s->cls[c].cached += cached;
		s->cls[c].nruns += RELAXED_GET(b->nruns);
	}
	sum_gathered(h, s);
}

/* Under the lock of H. */
static void sum_free(struct heap *h, struct sums *s)
{
	for (unsigned c = 1; c < NCLASSES; c++)
		for (const struct run *r = h->bins[c].partial; r != NULL; r = r->next)
			s->cls[c].nfree += r->nfree;
}

/* FREE: free regions are counted too, which means to walk over the runs that have some. */
static void sum_all(struct sums *s, bool count_free)
{
	*s = (struct sums){.heaps = 0};
	if (arn_heap->kind == HEAP_THREAD)
		arn_remote_flush(arn_heap);
	for (struct heap *h = ACQUIRE_GET(arn_heaps); h != NULL; h = h->all_next) {
		bool may = h->kind != HEAP_LOST && arn_locks_mine == 0;
		bool locked = may && lock_try(&h->lock);

		if (!locked && count_free && may) {
			lock_take(&h->lock);
			locked = true;
		}
		if (locked) {
			arn_heap_collect(h);
			if (count_free)
				sum_free(h, s);
			lock_drop(&h->lock);
		}
		sum_heap(h, s);
		s->heaps += h->kind == HEAP_THREAD;
		s->parked += h->kind == HEAP_THREAD && RELAXED_GET(h->parked);
	}
	for (unsigned c = 1; c < NCLASSES; c++) {
		struct class_sum *k = &s->cls[c];

		if (k->cached > k->out)
			k->cached = k->out;
		s->cached_bytes += k->cached * arn_class[c].size;
		s->live_small += (k->out - k->cached) * arn_class[c].size;
	}
}

static size_t row_bytes(unsigned row)
{
	return atomic_load_explicit(&arn_live_rows[row].bytes, memory_order_relaxed);
}

static size_t at_least_0(size_t a, size_t b)
{
	return a > b ? a - b : 0;
}

/* recorded, internal, internal_max. */
static void sum_requests(const struct sums *s, const struct pages_state *pages,
			 struct amalloc_stats *st)
{
	size_t most;

	for (unsigned i = 1; i < LIVE_ROWS; i++) {
		st->recorded += row_bytes(i);
		st->internal += atomic_load_explicit(&arn_live_rows[i].waste, memory_order_relaxed);
	}
	for (unsigned c = 1; c < NCLASSES; c++) {
		size_t live = s->cls[c].out - s->cls[c].cached;

		st->internal_max += at_least_0(live, row_bytes(c) / arn_class[c].size) *
				    live_waste_max(arn_class[c - 1].size, arn_class[c].size);
	}
	most = at_least_0(pages->large, row_bytes(LIVE_LARGE));
	st->internal_max += live_block_waste_max(most, pages->nlarge);
	most = at_least_0(pages->huge, row_bytes(LIVE_HUGE));
	st->internal_max += live_block_waste_max(most, pages->nhuge);
}

static void stats_of(const struct sums *s, struct amalloc_stats *st)
{
	struct pages_state pages;
	size_t own, peak = atomic_load_explicit(&arn_live.peak, memory_order_relaxed);

	arn_pages_snapshot(&pages);
	/* Never given back: at the peak of the blocks it was at most this, and no peak is below the
	 * present. */
	own = RELAXED_GET(arn_meta_mapped) + arn_pagemap_mapped();
	*st = (struct amalloc_stats){
		.live = s->live_small + pages.large + pages.huge,
		.cached = s->cached_bytes,
		.active = pages.used,
		.dirty = pages.dirty,
		/* The page map has 12 bytes for each page of ours. */
		.metadata = RELAXED_GET(arn_meta_used) + pages.mapped / PAGE_BYTES * 12,
		.mapped = pages.mapped + own,
		.peak_active = pages.peak_used,
		.peak_mapped = pages.peak_mapped + own,
		.huge = pages.huge,
		.large = pages.large,
		.purged = pages.purged,
		.heaps = s->heaps,
		.heaps_parked = s->parked,
		.chunks = pages.nchunks,
		.sized_delete_mismatches = arn_delete_mismatches,
	};
	/* What heaps have not told yet may be above the peak; once said, it is never less. */
	while (st->live > peak &&
	       !atomic_compare_exchange_weak_explicit(&arn_live.peak, &peak, st->live,
						      memory_order_relaxed, memory_order_relaxed))
		;
	st->peak_live = st->live > peak ? st->live : peak;
	sum_requests(s, &pages, st);
}

ARN_COLD void arn_stats_get(struct amalloc_stats *st)
{
	struct sums s;

	sum_all(&s, false);
	stats_of(&s, st);
}

/* Without printf: each function of libc that is named here is looked up in every exec. */
struct report {
	char text[1024]; /* 14 lines of at most 40 characters, or a heap's 10 of at most 100 */
	size_t n;
};

static void put_char(struct report *r, char c)
{
	if (r->n < sizeof r->text)
		r->text[r->n++] = c;
}

/* TEXT, with the next of the NUMBERS for each "%", of WIDTH characters at least. */
static void put(struct report *r, int width, const char *text, const size_t *numbers)
{
	for (; *text != '\0'; text++) {
		char digits[20]; /* 2^64 has so many */
		int n = 0;

		if (*text != '%') {
			put_char(r, *text);
			continue;
		}
		for (size_t x = *numbers++; x > 0 || n == 0; x /= 10)
			digits[n++] = (char)('0' + x % 10);
		for (int i = n; i < width; i++)
			put_char(r, ' ');
		while (n > 0)
			put_char(r, digits[--n]);
	}
}

ARN_COLD void arn_stats_print(void)
{
	struct amalloc_stats st;
	struct report r = {.n = 0};

	arn_stats_get(&st);
	put(&r, 10,
	    "Arena 0:\n"
	    "system bytes     = %\n"
	    "in use bytes     = %\n"
	    "Total (incl. mmap):\n"
	    "system bytes     = %\n"
	    "in use bytes     = %\n"
	    "cached bytes     = %\n"
	    "dirty bytes      = %\n"
	    "metadata bytes   = %\n"
	    "max active bytes = %\n"
	    "max live bytes   = %\n"
	    "recorded bytes   = %\n"
	    "internal bytes   = %\n"
	    "thread heaps     = %\n"
	    "max mmap bytes   = %\n", /* glibc's last line: readers wait for it */
	    (const size_t[]){st.active + st.dirty - st.huge, st.live - st.huge,
			     st.active + st.dirty, st.live, st.cached, st.dirty, st.metadata,
			     st.peak_active, st.peak_live, st.recorded, st.internal, st.heaps,
			     st.peak_mapped});
	/* One write(2), not stdio: glibc's malloc_stats is no cancellation point. */
	arn_os_write_err(r.text, r.n);
}

/* One <heap> of malloc_info(3): of CURRENT bytes FAST and REST are free, in so many pieces. */
struct info_heap {
	size_t nfast, fast, nrest, rest, current;
};

static void info_totals(struct report *r, const struct info_heap *h)
{
	put(r, 0,
	    "<total type=\"fast\" count=\"%\" size=\"%\"/>\n"
	    "<total type=\"rest\" count=\"%\" size=\"%\"/>\n",
	    (const size_t[]){h->nfast, h->fast, h->nrest, h->rest});
}

static void info_system(struct report *r, size_t current, size_t max, size_t mapped)
{
	put(r, 0,
	    "<system type=\"current\" size=\"%\"/>\n"
	    "<system type=\"max\" size=\"%\"/>\n"
	    "<aspace type=\"total\" size=\"%\"/>\n"
	    "<aspace type=\"mprotect\" size=\"%\"/>\n",
	    (const size_t[]){current, max, mapped, mapped});
}

static void info_write(FILE *stream, struct report *r)
{
	fwrite(r->text, 1, r->n, stream);
	r->n = 0;
}

/* A size class as a heap of its own: what is neither fast nor rest of it is live. */
static struct info_heap info_class(struct report *r, const struct class_sum *k, unsigned c)
{
	const size_t size = arn_class[c].size;
	struct info_heap h = {
		.nfast = k->cached,
		.fast = k->cached * size,
		.nrest = k->nfree,
		.rest = k->nfree * size,
		.current = (k->out + k->nfree) * size,
	};

	put(r, 0,
	    "<heap nr=\"%\">\n<sizes>\n"
	    "  <size from=\"%\" to=\"%\" total=\"%\" count=\"%\"/>\n</sizes>\n",
	    (const size_t[]){c, arn_class[c - 1].size + 1, size, h.fast + h.rest,
			     h.nfast + h.nrest});
	info_totals(r, &h);
	info_system(r, h.current, h.current, h.current);
	put(r, 0, "</heap>\n", NULL);
	return h;
}

/* glibc's schema: a heap for each size class, and heap 0 for large blocks and free pages. */
ARN_COLD int arn_info(int options, FILE *stream)
{
	struct amalloc_stats st;
	struct info_heap all = {.current = 0}, pages;
	struct report r = {.n = 0};
	struct sums s;

	if (options != 0) {
		errno = EINVAL;
		return -1;
	}
	sum_all(&s, true);
	stats_of(&s, &st);
	put(&r, 0, "<malloc version=\"1\">\n", NULL);
	for (unsigned c = 1; c < NCLASSES; c++) {
		struct info_heap h;

		if (s.cls[c].out + s.cls[c].nfree == 0)
			continue;
		h = info_class(&r, &s.cls[c], c);
		info_write(stream, &r);
		all.nfast += h.nfast;
		all.fast += h.fast;
		all.nrest += h.nrest;
		all.rest += h.rest;
		all.current += h.current;
	}
	/* The ends of runs and dirty pages; other threads may have changed the sums meanwhile. */
	pages.nfast = pages.fast = 0;
	pages.nrest = st.chunks;
	pages.current = at_least_0(st.active + st.dirty - st.huge, all.current);
	pages.rest = at_least_0(pages.current, st.large);
	put(&r, 0, "<heap nr=\"0\">\n<sizes>\n</sizes>\n", NULL);
	info_totals(&r, &pages);
	info_system(&r, pages.current, pages.current, st.mapped);
	put(&r, 0, "</heap>\n", NULL);
	info_write(stream, &r);
	all.nrest += pages.nrest;
	all.rest += pages.rest;
	info_totals(&r, &all);
	put(&r, 0, "<total type=\"mmap\" count=\"%\" size=\"%\"/>\n",
	    (const size_t[]){RELAXED_GET(arn_pages.nhuge), st.huge});
	info_system(&r, all.current + pages.current, st.peak_active, st.mapped);
	put(&r, 0, "</malloc>\n", NULL);
	info_write(stream, &r);
	return 0;
}

ARN_COLD struct amallinfo arn_mallinfo2(void)
{
	struct amalloc_stats st;

	arn_stats_get(&st);
	return (struct amallinfo){
		.arena = st.active + st.dirty - st.huge,
		.ordblks = st.chunks,
		.hblks = RELAXED_GET(arn_pages.nhuge),
		.hblkhd = st.huge,
		.usmblks = 0,
		.uordblks = st.live - st.huge,
		.fordblks = st.active + st.dirty - st.live,
		.keepcost = st.dirty,
	};
}
