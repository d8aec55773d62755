/* SPDX-License-Identifier: MIT
 *
 * meta.c - the allocator's own memory.  Layer pages.
 *
 * Every list and cursor changes by single stores, so that a child forked in between loses at most
 * one slot.
 */
#include "meta.h"

#include "bits.h"
#include "lock.h"
#include "os.h"
#include "run.h"
#include "tuning.h"
#include "valgrind.h"

/* The first slots lie in .bss beside the globals, all kinds in a row: after that each length of run
 * slots begins an OS page of its own, which took 16 KiB of an sshd that has 23 of metadata. */
#define BOOT_BYTES (64 * KIB)
/* Blocks grow with the metadata, an eighth of it at a time between these bounds. */
#define BLOCK_MIN (64 * KIB)
#define BLOCK_MAX (4 * MIB)

struct lock arn_meta_lock;
struct meta_block *arn_meta_blocks;
static void *free_slots[META_KINDS];
char arn_meta_boot[BOOT_BYTES] ARN_LAST __attribute__((aligned(ARN_CACHE_LINE)));
static char *cursor = arn_meta_boot;
static size_t left = BOOT_BYTES;
size_t arn_meta_mapped = BOOT_BYTES, arn_meta_used;

static bool new_block(size_t need)
{
	size_t n = bits_round_up(arn_meta_mapped / 8, arn_os_page_bytes());
	char *p;

	need += ARN_CACHE_LINE; /* struct meta_block */
	n = n < BLOCK_MIN ? BLOCK_MIN : n > BLOCK_MAX ? BLOCK_MAX : n;
	if (n < need)
		n = bits_round_up(need, arn_os_page_bytes());
	p = arn_os_map(NULL, n);
	if (p == NULL) {
		n = bits_round_up(need, arn_os_page_bytes());
		p = arn_os_map(NULL, n);
		if (p == NULL)
			return false;
	}
	/* As the first chunk: a stack may lie below. */
	arn_os_want_no_huge(p, n);
	RELAXED_SET(arn_meta_mapped, arn_meta_mapped + n);
	*(struct meta_block *)(void *)p = (struct meta_block){arn_meta_blocks, n};
	atomic_signal_fence(memory_order_seq_cst);
	arn_meta_blocks = (struct meta_block *)(void *)p;
	p += ARN_CACHE_LINE;
	n -= ARN_CACHE_LINE;
	/* Order for fork: no moment shows an old cursor with a new length. */
	left = 0;
	atomic_signal_fence(memory_order_seq_cst);
	cursor = p;
	atomic_signal_fence(memory_order_seq_cst);
	left = n;
	valgrind_hide(p, n);
	return true;
}

static void put(unsigned kind, void *slot)
{
	*(void **)slot = free_slots[kind];
	atomic_signal_fence(memory_order_seq_cst);
	free_slots[kind] = slot;
}

/* N bytes of an array that a bin has outgrown, or NULL; the rest of it are arrays again.  Those
 * that nobody wanted were a fifth of systemd's metadata. */
static void *take_of_array(size_t n)
{
	unsigned kind = META_ARRAY + bits_log2(2 * n / ARN_CACHE_LINE - 1);
	size_t rest;
	char *p, *end;

	while (kind < META_KINDS && free_slots[kind] == NULL)
		kind++;
	if (kind >= META_KINDS)
		return NULL;
	p = free_slots[kind];
	free_slots[kind] = *(void **)p;
	end = p + ((size_t)ARN_CACHE_LINE << (kind - META_ARRAY));
	while ((rest = (size_t)(end - p) - n) > 0) {
		kind = META_ARRAY + bits_log2(rest / ARN_CACHE_LINE);
		end -= (size_t)ARN_CACHE_LINE << (kind - META_ARRAY);
		put(kind, end);
	}
	return p;
}

/* With meta_lock held. */
static void *take(unsigned kind, size_t n)
{
	void *slot = free_slots[kind];

	if (ARN_VALGRIND && cursor == arn_meta_boot)
		valgrind_hide(arn_meta_boot, sizeof arn_meta_boot);
	if (slot != NULL) {
		free_slots[kind] = *(void **)slot;
		*(void **)slot = NULL;
	} else if (kind >= META_RUN && (slot = take_of_array(n)) != NULL) {
		/* Arrays need not be zero, and only slots that begin as zeros are valid. */
		if (kind < META_ARRAY)
			__builtin_memset(slot, 0, n);
	} else if (n <= left || new_block(n)) {
		slot = cursor;
		left -= n;
		atomic_signal_fence(memory_order_seq_cst);
		cursor += n;
		RELAXED_SET(arn_meta_used, arn_meta_used + n);
	}
	return slot;
}

void *arn_meta_get(unsigned kind, size_t lines)
{
	void *slot;

	lock_take(&arn_meta_lock);
	slot = take(kind, lines * ARN_CACHE_LINE);
	lock_drop(&arn_meta_lock);
	return slot;
}

bool arn_meta_is_boot(const void *slot)
{
	return (uintptr_t)slot - (uintptr_t)arn_meta_boot < sizeof arn_meta_boot;
}

void *arn_meta_boot_get(unsigned kind, size_t lines)
{
	size_t n = lines * ARN_CACHE_LINE;
	void *slot = NULL;

	lock_take(&arn_meta_lock);
	if (free_slots[kind] != NULL || (arn_meta_is_boot(cursor) && n <= left))
		slot = take(kind, n);
	lock_drop(&arn_meta_lock);
	return slot;
}

void arn_meta_put(unsigned kind, void *slot)
{
	lock_take(&arn_meta_lock);
	put(kind, slot);
	lock_drop(&arn_meta_lock);
}

void arn_meta_fork_child(void)
{
	if (lock_reset(&arn_meta_lock))
		arn_run_slot_fork_child();
	/* Caught between `left -= n` and `cursor += n`: the end is still right when both move, so
	 * the worst is n bytes lost at the end of the block. */
}
