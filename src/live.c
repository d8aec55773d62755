/* SPDX-License-Identifier: MIT
 *
 * live.c - the peak of live bytes, and the sizes that were asked for.  Layer run; no lock of its
 * own: a table is made under the lock of the run's heap, and its entries are exchanged atomically.
 */
#include "live.h"

#include <string.h>

#include "meta.h"
#include "pagemap.h"
#include "run_ops.h"

struct live_state arn_live;
struct live_row arn_live_rows[LIVE_ROWS] ARN_LAST;
bool arn_live_recording;

/* An entry is 16 bits: not every machine can exchange these (riscv64 would call libatomic), so they
 * live two in a word, and a word is what changes. */
#define ENTRY_BYTES 2
struct entry {
	_Atomic uint32_t *word; /* NULL: there is none */
	unsigned shift;
};

void arn_live_begin(void)
{
	RELAXED_SET(arn_live_recording, true);
}

void arn_live_tell(size_t bytes)
{
	size_t now = bytes + atomic_fetch_add_explicit(&arn_live.out, bytes, memory_order_relaxed);
	size_t peak = atomic_load_explicit(&arn_live.peak, memory_order_relaxed);

	/* Who frees before who allocates has told may pass below 0 for a moment. */
	while (now > peak && now <= PTRDIFF_MAX &&
	       !atomic_compare_exchange_weak_explicit(&arn_live.peak, &peak, now,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

/* BYTES and WASTE may be wrapped negative numbers. */
static void row_add(unsigned row, size_t bytes, size_t waste)
{
	atomic_fetch_add_explicit(&arn_live_rows[row].bytes, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&arn_live_rows[row].waste, waste, memory_order_relaxed);
}

/* ---- regions ----------------------------------------------------------------------------------
 */

/* A table comes from the kinds of memory that serve tcache arrays: 2^k lines. */
static unsigned table_lines(const struct run *r)
{
	size_t lines = (r->nregions * ENTRY_BYTES + ARN_CACHE_LINE - 1) / ARN_CACHE_LINE;

	return lines <= 1 ? 1 : 2u << bits_log2(lines - 1);
}

static unsigned table_kind(const struct run *r)
{
	return META_ARRAY + bits_log2(table_lines(r));
}

static bool table_make(struct run *r)
{
	size_t lines = table_lines(r);
	void *table = arn_meta_get(table_kind(r), lines);

	if (table == NULL)
		return false;
	memset(table, 0, lines * ARN_CACHE_LINE);
	/* Release pairs with the acquire in entry_of(): of a region that is not recorded, another
	 * thread may look for the entry now. */
	RELEASE_SET(r->waste, table);
	return true;
}

static struct entry entry_at(void *table, unsigned i)
{
	return (struct entry){ (_Atomic uint32_t *)table + i / 2, i % 2 * 16 };
}

static struct entry entry_of(struct run *r, const void *p)
{
	void *table = r != NULL && r->state == RUN_SMALL ? ACQUIRE_GET(r->waste) : NULL;
	int i = table != NULL ? run_region_of(r, p) : -1;

	return i < 0 ? (struct entry){ NULL, 0 } : entry_at(table, (unsigned)i);
}

static uint16_t entry_exchange(struct entry e, uint16_t next)
{
	uint32_t old = atomic_load_explicit(e.word, memory_order_relaxed), word;

	do
		word = (old & ~((uint32_t)UINT16_MAX << e.shift)) | (uint32_t)next << e.shift;
	while (!atomic_compare_exchange_weak_explicit(e.word, &old, word, memory_order_relaxed,
						      memory_order_relaxed));
	return (uint16_t)(old >> e.shift);
}

/* Sets an entry to NEXT, and the row accordingly. */
static void entry_set(const struct run *r, struct entry e, uint16_t next)
{
	uint16_t old = entry_exchange(e, next);
	size_t size = arn_class[r->cls].size;

	row_add(r->cls, (next != 0 ? size : 0) - (old != 0 ? size : 0),
		(next != 0 ? next - 1u : 0) - (size_t)(old != 0 ? old - 1u : 0));
}

void arn_live_record(struct run *r, const void *p, size_t asked)
{
	struct entry e;

	if (r->waste == NULL && !table_make(r))
		return;
	e = entry_of(r, p);
	if (e.word != NULL)
		entry_set(r, e, (uint16_t)(arn_class[r->cls].size - asked + 1));
}

void arn_live_forget(struct run *r, const void *p)
{
	struct entry e = entry_of(r, p);

	if (e.word != NULL)
		entry_set(r, e, 0);
}

void arn_live_change(struct run *r, const void *p, size_t asked)
{
	struct entry e = entry_of(r, p);

	/* One that is not recorded becomes so: its request is known now. */
	if (e.word != NULL)
		entry_set(r, e, (uint16_t)(arn_class[r->cls].size - asked + 1));
}

void arn_live_run_end(struct run *r)
{
	void *table = r->waste;

	if (table == NULL)
		return;
	for (unsigned i = 0; i < r->nregions; i++)
		entry_set(r, entry_at(table, i), 0);
	r->waste = NULL;
	arn_meta_put(table_kind(r), table);
}

/* ---- large and huge blocks ---------------------------------------------------------------------
 */

static unsigned block_row(const struct run *r)
{
	return r->state == RUN_HUGE ? LIVE_HUGE : LIVE_LARGE;
}

void arn_live_block(struct run *r, size_t asked)
{
	size_t bytes = run_block_bytes(r);

	row_add(block_row(r), bytes, bytes - asked);
	RELAXED_SET(*run_block_waste(r), bytes - asked + 1);
}

void arn_live_block_forget(struct run *r, size_t bytes)
{
	uint64_t *waste = run_block_waste(r);

	if (*waste != 0)
		row_add(block_row(r), -bytes, -(size_t)(*waste - 1));
	RELAXED_SET(*waste, 0);
}
