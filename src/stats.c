/* SPDX-License-Identifier: MIT
 *
 * stats.c - the reporters: malloc_stats, malloc_info, mallinfo2, amalloc_stats.  Layer api.
 *
 * Nothing is counted on the fast path: a class's live regions are those outside of its runs, less
 * those in tcaches.  Heaps whose owner is at rest are asked to take in remote frees first.
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
	size_t cached; /* of these, in tcaches */
	size_t nruns;
};

struct sums {
	struct class_sum cls[NCLASSES];
	size_t cached_bytes, live_small, heaps, parked;
};

static void sum_heap(struct heap *h, struct sums *s)
{
	for (unsigned c = 1; c < NCLASSES; c++) {
		void **base = RELAXED_GET(h->bins[c].base), **top = RELAXED_GET(h->top[c]);
		size_t cached = base != NULL && top > base ? (size_t)(top - base) : 0;
		size_t out = RELAXED_GET(h->bins[c].out);

		if (cached > out)
			cached = out;
		s->cls[c].out += out;
		s->cls[c].cached += cached;
		s->cls[c].nruns += RELAXED_GET(h->bins[c].nruns);
		s->cached_bytes += cached * arn_class[c].size;
		s->live_small += (out - cached) * arn_class[c].size;
	}
}

static void sum_all(struct sums *s)
{
	*s = (struct sums){.heaps = 0};
	if (arn_heap->kind == HEAP_THREAD)
		arn_remote_flush(arn_heap);
	for (struct heap *h = ACQUIRE_GET(arn_heaps); h != NULL; h = h->all_next) {
		if (h->kind != HEAP_LOST && arn_locks_mine == 0 && lock_try(&h->lock)) {
			arn_heap_collect(h);
			lock_drop(&h->lock);
		}
		sum_heap(h, s);
		s->heaps += h->kind == HEAP_THREAD;
		s->parked += h->kind == HEAP_THREAD && RELAXED_GET(h->parked);
	}
}

void arn_stats_get(struct amalloc_stats *st)
{
	struct pages_state pages;
	struct sums s;
	size_t own;

	sum_all(&s);
	arn_pages_snapshot(&pages);
	/* Never given back: at the peak of the blocks it was at most this, and no peak is below the
	 * present. */
	own = RELAXED_GET(arn_meta_mapped) + arn_pagemap_mapped();
	*st = (struct amalloc_stats){
		.live = s.live_small + pages.large + pages.huge,
		.cached = s.cached_bytes,
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
		.heaps = s.heaps,
		.heaps_parked = s.parked,
		.chunks = pages.nchunks,
		.sized_delete_mismatches = arn_delete_mismatches,
	};
}

void arn_stats_print(void)
{
	struct amalloc_stats st;
	char text[512]; /* eleven lines of at most 40 characters */
	int n;

	arn_stats_get(&st);
	/* One write(2), not stdio: glibc's malloc_stats is no cancellation point. */
	n = snprintf(text, sizeof text,
		     "Arena 0:\n"
		     "system bytes     = %10zu\n"
		     "in use bytes     = %10zu\n"
		     "Total (incl. mmap):\n"
		     "system bytes     = %10zu\n"
		     "in use bytes     = %10zu\n"
		     "cached bytes     = %10zu\n"
		     "dirty bytes      = %10zu\n"
		     "metadata bytes   = %10zu\n"
		     "max active bytes = %10zu\n"
		     "thread heaps     = %10zu\n"
		     "max mmap bytes   = %10zu\n", /* glibc's last line: readers wait for it */
		     (size_t)(st.active + st.dirty - st.huge), (size_t)(st.live - st.huge),
		     (size_t)(st.active + st.dirty), (size_t)st.live, (size_t)st.cached,
		     (size_t)st.dirty, (size_t)st.metadata, (size_t)st.peak_active,
		     (size_t)st.heaps, (size_t)st.peak_mapped);
	arn_os_write_err(text, (size_t)n);
}

/* glibc's schema: one heap, its free blocks by size, then the totals. */
int arn_info(int options, FILE *stream)
{
	struct amalloc_stats st;
	struct sums s;
	size_t lowest = 1, count = 0, bytes = 0;

	if (options != 0) {
		errno = EINVAL;
		return -1;
	}
	arn_stats_get(&st);
	sum_all(&s);
	fprintf(stream, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n");
	for (unsigned c = 1; c < NCLASSES; c++) {
		size_t n = s.cls[c].cached;

		if (n > 0)
			fprintf(stream,
				"  <size from=\"%zu\" to=\"%u\" total=\"%zu\" count=\"%zu\"/>\n",
				lowest, arn_class[c].size, n * arn_class[c].size, n);
		lowest = arn_class[c].size + 1;
		count += n;
		bytes += n * arn_class[c].size;
	}
	for (int both = 0; both < 2; both++) {
		fprintf(stream,
			"%s<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n"
			"<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n",
			both ? "</heap>\n" : "</sizes>\n", count, bytes, (size_t)st.chunks,
			(size_t)(st.active - st.live - st.cached + st.dirty));
		if (both)
			fprintf(stream, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n",
				RELAXED_GET(arn_pages.nhuge), (size_t)st.huge);
		fprintf(stream,
			"<system type=\"current\" size=\"%zu\"/>\n"
			"<system type=\"max\" size=\"%zu\"/>\n"
			"<aspace type=\"total\" size=\"%zu\"/>\n"
			"<aspace type=\"mprotect\" size=\"%zu\"/>\n",
			(size_t)(st.active + st.dirty), (size_t)st.peak_active, (size_t)st.mapped,
			(size_t)st.mapped);
	}
	fprintf(stream, "</malloc>\n");
	return 0;
}

struct amallinfo arn_mallinfo2(void)
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
