/* SPDX-License-Identifier: MIT
 *
 * root.c - the root descriptor and the ELF note that leads to it.  Layer api.
 */
#include "root.h"

#include "alloc.h"
#include "meta.h"
#include "tcache.h"

const struct arn_root arn_root __attribute__((used)) = {
	.magic = ARN_ROOT_MAGIC,
	.version = ARN_ROOT_VERSION,
	.heap_bytes = sizeof(struct heap),
	.run_bytes = sizeof(struct run),
	.chunk_bytes = sizeof(struct chunk),
	.pages_bytes = sizeof(struct pages_state),
	.nclasses = NCLASSES,
	.page_shift = PAGE_SHIFT,
	.word_bytes = sizeof(void *),
	.library_version = PACKAGE_VERSION,
	.heaps = &arn_heaps,
	.chunks = &arn_chunks,
	.huge = &arn_huge_live,
	.huge_cached = &arn_huge_cached,
	.pagemap = &arn_pagemap,
	.pages = &arn_pages,
	.classes = arn_class,
	.options = &arn_options,
	.meta_mapped = &arn_meta_mapped,
	.meta_used = &arn_meta_used,
	.delete_mismatches = &arn_delete_mismatches,
	.control = &arn_control,
	.layout = ARN_ROOT_LAYOUT,
	.meta_blocks = &arn_meta_blocks,
	.locks = {&arn_threads_lock, &arn_pages_lock, &arn_meta_lock},
	.serve = arn_control_serve_slow,
	.live = &arn_live,
	.live_rows = arn_live_rows,
	.live_nrows = LIVE_ROWS,
	.policy = &arn_policy,
};

/* namesz, descsz, type, "libarena" padded to 12, the distance: on 32 bits the root lies above. */
__asm__(".pushsection .note.libarena, \"a\", %note\n"
	"	.balign 4\n"
	"	.long 9, 8, 1\n"
	"	.asciz \"libarena\"\n"
	"	.balign 4\n"
#ifdef __LP64__
	"1:	.quad arn_root - 1b\n"
#elif __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	"1:	.long arn_root - 1b, 0\n"
#else
	"1:	.long 0, arn_root - 1b\n"
#endif
	".popsection\n");

struct arn_control arn_control;

ARN_SLOW void arn_control_serve_slow(void)
{
	uint32_t request = atomic_load_explicit(&arn_control.trim_request, memory_order_relaxed);
	uint32_t served = atomic_load_explicit(&arn_control.trim_served, memory_order_relaxed);
	size_t before;

	/* One thread serves; the others go on. */
	if (request == served ||
	    !atomic_compare_exchange_strong_explicit(&arn_control.trim_served, &served, request,
						     memory_order_relaxed, memory_order_relaxed))
		return;
	before = RELAXED_GET(arn_pages.purged);
	arn_trim(0);
	atomic_store_explicit(&arn_control.trim_bytes, arn_pages.purged - before,
			      memory_order_relaxed);
	/* Release: who sees the request done, from outside, sees its bytes.  Two requests that
	 * overlap may end in the other order: the number only goes up. */
	served = atomic_load_explicit(&arn_control.trim_done, memory_order_relaxed);
	while ((int32_t)(request - served) > 0 &&
	       !atomic_compare_exchange_weak_explicit(&arn_control.trim_done, &served, request,
						      memory_order_release, memory_order_relaxed))
		;
}
