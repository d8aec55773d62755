/* SPDX-License-Identifier: MIT
 *
 * pagemap.c - building and growing the window of the page map.  Layer pages; under pages_lock.
 */
#include "pagemap.h"

#include "meta.h"
#include "os.h"
#include "pages.h"

/* Before the first mapping: a window of no bytes, which no pointer is in. */
static struct pagemap none[1];
page_info *_Atomic arn_pagemap = (page_info *)&none[1];
static size_t mapped;

/* Where a window ends at the highest; its end must be a number. */
#define LAST_PAGE bits_round_down(~(uintptr_t)0, PAGE_BYTES)

/* A window of NPAGES pages that end at END takes so much. */
static size_t window_bytes(size_t npages)
{
	return npages * sizeof(struct run *) + sizeof(struct pagemap) + npages * sizeof(uint32_t);
}

/* In zeroed memory at AT. */
static page_info *build(void *at, uintptr_t end, size_t npages)
{
	struct pagemap *h = (struct pagemap *)((char *)at + npages * sizeof(struct run *));

	h->top = end - QUANTUM;
	h->span16 = npages << (PAGE_SHIFT - QUANTUM_SHIFT);
	h->npages = npages;
	h->older = pagemap_now();
	return (page_info *)(h + 1);
}

static void publish(page_info *m)
{
	/* Release pairs with the acquire in pagemap_now(). */
	atomic_store_explicit(&arn_pagemap, m, memory_order_release);
}

bool arn_pagemap_init(uintptr_t end, size_t npages)
{
	size_t lines = (window_bytes(npages) + ARN_CACHE_LINE - 1) / ARN_CACHE_LINE;
	void *at = arn_meta_get(META_WINDOW, lines);

	if (at == NULL)
		return false;
	publish(build(at, end, npages));
	return true;
}

static void copy_entries(page_info *to, page_info *from, uintptr_t base, size_t n)
{
	for (uintptr_t p = base; p < base + n; p += PAGE_BYTES) {
		uint32_t info = pagemap_info(from, (void *)p);

		if (info == 0)
			continue;
		atomic_store_explicit(
			&to[pagemap_offset(to, (void *)p) >> (PAGE_SHIFT - QUANTUM_SHIFT)], info,
			memory_order_relaxed);
		atomic_store_explicit(pagemap_run_slot(to, (void *)p),
				      atomic_load_explicit(pagemap_run_slot(from, (void *)p),
							   memory_order_relaxed),
				      memory_order_relaxed);
	}
}

bool arn_pagemap_cover(const void *p, size_t n)
{
	page_info *old = pagemap_now(), *m;
	uintptr_t end = pagemap_header(old)->top + QUANTUM;
	uintptr_t begin = end - pagemap_header(old)->span16 * QUANTUM;
	uintptr_t from = bits_round_down((uintptr_t)p, PAGE_BYTES);
	uintptr_t to = bits_round_up((uintptr_t)p + n, PAGE_BYTES);
	bool first = pagemap_header(old)->mem == NULL;
	size_t want, bytes;
	char *mem;

	/* In the last page of the address space (32 bits), or the first: they have no entry.  So
	 * NULL is outside of every window, and free(NULL) ends early where all is mapped low. */
	if (to < from || from == 0)
		return false;
	if (from >= begin && to <= end)
		return true;
	/* Twice the old window, in the direction in which it was left, if that is enough; after the
	 * first one, downwards, where the kernel goes on.  All these are multiples of our page.  On
	 * 32 bits twice may be more than there is: then all. */
	want = first ? WINDOW_MAPPED : (end - begin) * 2;
	if (want < end - begin)
		want = LAST_PAGE;
	if (from < begin || first) {
		if (to < end)
			to = end;
		if (from > begin)
			from = begin;
		if (to - from < want)
			from = to > want ? to - want : PAGE_BYTES;
	} else {
		from = begin;
		if (to - from < want)
			to = LAST_PAGE - from > want ? from + want : LAST_PAGE;
	}
	bytes = bits_round_up(WINDOW_LEAD + window_bytes((to - from) >> PAGE_SHIFT),
			      arn_os_page_bytes());
	mem = arn_os_map_sparse(bytes);
	if (mem == NULL)
		return false;
	m = build(mem + WINDOW_LEAD, to, (to - from) >> PAGE_SHIFT);
	pagemap_header(m)->mem = mem;
	pagemap_header(m)->bytes = bytes;
	RELAXED_SET(mapped, mapped + bytes);
	for (struct chunk *c = arn_chunks; c != NULL; c = c->all_next)
		copy_entries(m, old, c->base, c->npages * PAGE_BYTES);
	for (struct run *r = arn_huge_live; r != NULL; r = r->next)
		copy_entries(m, old, bits_round_down(r->base, PAGE_BYTES), PAGE_BYTES);
	publish(m);
	return true;
}

void arn_pagemap_set(const void *p, size_t npages, uint32_t first, uint32_t rest, struct run *r)
{
	page_info *m = pagemap_now();
	uintptr_t i = pagemap_page(m, p);
	/* The run pointers from P's on upwards; the infos down to P's, which is the last here. */
	struct run *_Atomic *run = pagemap_run_slot_at(m, i);
	page_info *info = &m[i] - (npages - 1);

	for (size_t k = 0; k < npages - 1; k++) {
		atomic_store_explicit(&run[k], r, memory_order_relaxed);
		atomic_store_explicit(&info[k], rest, memory_order_relaxed);
	}
	atomic_store_explicit(&run[npages - 1], r, memory_order_relaxed);
	atomic_store_explicit(&info[npages - 1], first, memory_order_relaxed);
}

size_t arn_pagemap_mapped(void)
{
	return RELAXED_GET(mapped);
}
