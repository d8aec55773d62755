/* SPDX-License-Identifier: MIT
 *
 * pagemap.h - THE decoder from pointer to metadata.  Layer pages.
 *
 * One window of the address space holds everything of ours; for each 16 KiB page of it there is a
 * 32-bit info and a pointer to the run.  Indices count down from the top of the window, since the
 * kernel hands out addresses downwards: the first chunk's entries share one OS page with the
 * header.  The first window covers the first chunk alone and lies beside the other metadata: a
 * process that needs no more memory than that touches no page for it.
 *
 *      run pointers                 header          infos
 *    ...| runs[1] | runs[0] | top, span16, ... | info[0] | info[1] |...
 *
 * info = size class | owner id << 8.  0: not ours, or free.  With `id` shifted likewise,
 * (info ^ id) < NCLASSES says "a small region of my own heap" in one compare.
 *
 * When a mapping falls outside the window a larger copy is made and published; the old one stays
 * readable for ever (the sizes double, so all old ones together are smaller than the last).  A
 * thread that holds a live pointer has synchronised with whoever made it, so it sees a window that
 * knows it.  All writes happen under pages_lock.
 */
#ifndef ARN_PAGEMAP_H
#define ARN_PAGEMAP_H

#include "bits.h"
#include "compiler.h"
#include "run.h"
#include "tuning.h"

#define INFO_CLASS_BITS  8
#define INFO_CLASS(info) ((info)&255u)
#define INFO_OWNER(info) ((info) >> INFO_CLASS_BITS)
/* Class numbers of pages that hold other things than regions of one class: a starter run, whose
 * blocks are small too, so that CLASS <= INFO_STARTER means small. */
#define INFO_STARTER NCLASSES
#define INFO_LARGE   253u /* first page of a large block */
#define INFO_INNER   254u /* another page of a large block */
#define INFO_HUGE    255u /* first page of a huge block */

/* What lies unused before the run pointers of a window that is a mapping: so much that its header
 * has half an OS page below it, for run pointers, and the rest of it above, for infos, and the
 * highest chunks touch one OS page. */
#define WINDOW_LEAD (2 * KIB)

typedef _Atomic uint32_t page_info;

/* Lies just below info[0]; a window is named by the address of its infos, which saves the fast
 * path an addition. */
struct pagemap {
	uintptr_t top;    /* end of the window - 16 */
	uintptr_t span16; /* bytes of the window / 16 */
	size_t npages;
	page_info *older; /* the window before; still mapped */
	void *mem;        /* its mapping, and the bytes of that; the first window has none */
	size_t bytes;
	char pad[64 - 6 * sizeof(uintptr_t)];
};
_Static_assert(sizeof(struct pagemap) == 64, "one line");

extern page_info *_Atomic arn_pagemap ARN_HIDDEN;

ARN_HOT page_info *pagemap_now(void)
{
	/* Acquire pairs with the release in pagemap.c that publishes a window. */
	return atomic_load_explicit(&arn_pagemap, memory_order_acquire);
}

ARN_HOT struct pagemap *pagemap_header(page_info *m)
{
	return (struct pagemap *)m - 1;
}

/* Distance of p from the top, in 16-byte units.  A misaligned p has bits rotated to the top, and
 * so is outside of every window: one compare rejects foreign, NULL and misaligned pointers. */
ARN_HOT uintptr_t pagemap_offset(page_info *m, const void *p)
{
	return bits_ror(pagemap_header(m)->top - (uintptr_t)p, QUANTUM_SHIFT);
}

ARN_HOT bool pagemap_covers(page_info *m, uintptr_t offset)
{
	return offset < pagemap_header(m)->span16;
}

ARN_HOT uint32_t pagemap_info_at(page_info *m, uintptr_t offset)
{
	return atomic_load_explicit(&m[offset >> (PAGE_SHIFT - QUANTUM_SHIFT)],
				    memory_order_relaxed);
}

/* The info of p's page; 0 when p is misaligned or not in the window. */
static inline uint32_t pagemap_info(page_info *m, const void *p)
{
	uintptr_t off = pagemap_offset(m, p);

	return pagemap_covers(m, off) ? pagemap_info_at(m, off) : 0;
}

/* For p in the window: its page's info is m[pagemap_page(m, p)]. */
static inline uintptr_t pagemap_page(page_info *m, const void *p)
{
	return (pagemap_header(m)->top - (uintptr_t)p) >> PAGE_SHIFT;
}

/* Of the page with info m[PAGE]: the words run downwards from the header, and -1 - x is ~x. */
static inline struct run *_Atomic *pagemap_run_slot_at(page_info *m, uintptr_t page)
{
	return (struct run * _Atomic *)pagemap_header(m) + (intptr_t)~page;
}

/* The run of the page at OFFSET, which is in the window. */
static inline struct run *pagemap_run_at(page_info *m, uintptr_t offset)
{
	return atomic_load_explicit(pagemap_run_slot_at(m, offset >> (PAGE_SHIFT - QUANTUM_SHIFT)),
				    memory_order_relaxed);
}

/* For 16-aligned p in the window. */
static inline struct run *_Atomic *pagemap_run_slot(page_info *m, const void *p)
{
	return pagemap_run_slot_at(m, pagemap_page(m, p));
}

/* The run of p's page, where p is 16-aligned and in the window; NULL when the page is free. */
static inline struct run *pagemap_run(const void *p)
{
	return atomic_load_explicit(pagemap_run_slot(pagemap_now(), p), memory_order_relaxed);
}

/* Before the first mapping is used: the window of its NPAGES pages that end at END.  False: out of
 * memory. */
bool arn_pagemap_init(uintptr_t end, size_t npages);
/* With pages_lock held.  Makes the window cover [p, p + n); false: out of memory. */
bool arn_pagemap_cover(const void *p, size_t n);
/* Sets the entries of the NPAGES pages from p on, one at least; they lie in the window. */
void arn_pagemap_set(const void *p, size_t npages, uint32_t first, uint32_t rest, struct run *r);
/* Bytes of the mappings of all windows. */
size_t arn_pagemap_mapped(void);

#endif
