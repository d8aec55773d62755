/* SPDX-License-Identifier: MIT
 *
 * meta.h - the allocator's own memory: run slots, heaps, chunk descriptors, tcache arrays.
 * Layer pages; owns meta_lock.
 *
 * Memory is cut from blocks in lines of 64 bytes and never goes back to the OS.  A slot that is put
 * back serves only its own kind again (type-stable): another thread may still look at the words of
 * a run or heap that it is entitled to touch late (see run.h).  Not so an array: it is cut into
 * smaller ones and into run slots.  A slot but an array is all-zero at birth; on reuse it holds
 * what it held, but for its first word.
 */
#ifndef ARN_META_H
#define ARN_META_H

#include "lock.h"

/* Tcache arrays come in powers of two lines, 2^0 .. 2^10 (7 .. 8191 pointers and a sentinel). */
#define META_ARRAY_KINDS 11
/* Run slots have 2 .. 6 lines, those of starter runs 10. */
#define META_RUN_KINDS 11

enum meta_kind {
	META_HEAP,
	META_CHUNK,
	META_COMBINE,
	META_TABLE,
	META_WINDOW,
	META_BUCKETS,
	META_RUN,
	META_ARRAY = META_RUN + META_RUN_KINDS,
	META_KINDS = META_ARRAY + META_ARRAY_KINDS,
};

/* A slot of LINES cache lines; KIND and LINES always go together.  NULL: out of memory. */
void *arn_meta_get(unsigned kind, size_t lines);
void arn_meta_put(unsigned kind, void *slot);

/* The same, but only while the memory that lies in .bss lasts (slot.c has its own after that). */
void *arn_meta_boot_get(unsigned kind, size_t lines);
bool arn_meta_is_boot(const void *slot);

/* Bytes of all blocks, and bytes cut so far. */
extern size_t arn_meta_mapped ARN_HIDDEN, arn_meta_used ARN_HIDDEN;

/* Lies in the first line of each block that was mapped for slots. */
struct meta_block {
	struct meta_block *next;
	size_t bytes;
};
extern struct meta_block *arn_meta_blocks ARN_HIDDEN;
extern struct lock arn_meta_lock ARN_HIDDEN;

/* In a forked child. */
void arn_meta_fork_child(void);

#endif
