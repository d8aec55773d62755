/* SPDX-License-Identifier: MIT
 *
 * remote.c - frees into the heap of another thread.  Layer heap.
 *
 * A freed region becomes a bit in a remote word of its run.  Who makes a word leave zero queues the
 * run on its owner's list, once; the owner takes the list when it wants regions.  The protocol:
 *
 *     freer      R1  old = fetch_or(word, mask)
 *                R2  if old == 0 and exchange(queued, 1) == 0: push the run
 *     collector  C1  take the whole list with exchange(head, NULL), once the last is worked off
 *                C2  for each run: exchange(queued, 0)
 *                C3  for each word: exchange(word, 0)
 *
 * A bit set after C3 finds the word at zero, so R2 runs after C2 and queues again.  A bit set
 * before C3 is taken by C3; its R2 may queue the run with nothing in it, which is harmless.  All of
 * R1, R2, C2, C3 are read-modify-writes with acquire and release, so C2 cannot sink below C3.
 *
 * R2 may come so late that the run serves another heap by then: its list is then the wrong one.
 * Who takes a run from a list looks at its owner, and passes it on.  Runs and heaps are
 * type-stable, so looking is always allowed.
 *
 * An owner that sleeps collects nothing.  So who has given it much, or frees the last region of a
 * run, tries the owner's lock and collects in its place.
 *
 * Regions to 1 KiB are gathered first, in a table of the freeing thread, one slot per word: one
 * atomic operation for up to 64 frees.  A slot's mask is cleared before its word changes, and set
 * after, with `combining` raised around: a child forked in between leaves the table alone.
 */
#include <limits.h>

#include "fatal.h"
#include "heap.h"
#include "pagemap.h"
#include "run_ops.h"
#include "starter.h"

static void push(struct heap *owner, struct run *r)
{
	struct run *head = atomic_load_explicit(&owner->remote_head, memory_order_relaxed);

	do {
		atomic_store_explicit(&r->remote_next, head, memory_order_relaxed);
		/* Release pairs with the acquire exchange in arn_heap_collect(). */
	} while (!atomic_compare_exchange_weak_explicit(
		&owner->remote_head, &head, r, memory_order_release, memory_order_relaxed));
}

static void queue(struct run *r, uint32_t owner_id)
{
	struct heap *owner = owner_id != 0 ? arn_heap_by_id(owner_id) : NULL;

	if (owner != NULL &&
	    atomic_exchange_explicit(&r->remote_queued, 1, memory_order_acq_rel) == 0)
		push(owner, r);
}

/* Whether no region of R is outside any more, as far as can be seen without its owner's lock.  Most
 * calls end at word W, whose remote bits are REMOTE: it must be free as a whole. */
static bool run_all_free(struct run *r, unsigned w, uint64_t remote)
{
	unsigned n = RELAXED_GET(r->nfree), nwords = RELAXED_GET(r->nwords);
	_Atomic uint64_t *theirs = (_Atomic uint64_t *)&r->bits[nwords];

	if (unlikely(RELAXED_GET(r->state) == RUN_STARTER))
		return arn_starter_all_free(r);
	if ((RELAXED_GET(r->bits[w]) | remote) != ~0ull && w + 1u < nwords)
		return false;
	for (unsigned i = 0; i < nwords; i++)
		n += bits_popcount(atomic_load_explicit(&theirs[i], memory_order_relaxed));
	return n >= RELAXED_GET(r->nregions);
}

/* Sets the bits of MASK, which stand for BYTES, in remote word W of R. */
static void apply(struct run *r, unsigned w, uint64_t mask, size_t bytes)
{
	uint32_t owner_id = atomic_load_explicit(&r->owner, memory_order_relaxed);
	struct heap *owner = owner_id != 0 ? arn_heap_by_id(owner_id) : NULL;
	uint64_t old;

	/* The run is gone: this is the second free of one of its regions. */
	if (unlikely(owner == NULL))
		arn_heap_crime(CRIME_DOUBLE_FREE, (void *)r->base);
	old = atomic_fetch_or_explicit(&run_remote(r)[w], mask, memory_order_acq_rel);
	if (unlikely((old & mask) != 0))
		arn_heap_crime(CRIME_DOUBLE_FREE,
			       run_region(r, w * WORD_BITS + bits_ctz(old & mask)));
	if (old == 0)
		queue(r, owner_id);
	/* R may be gone from here on, or serve another: looking is allowed, and a wrong guess costs
	 * a collection too many.  Heaps stay. */
	bytes += atomic_fetch_add_explicit(&owner->remote_bytes, bytes, memory_order_relaxed);
	/* The owner may have collected, and subtracted, them before they were added here. */
	if (likely((ptrdiff_t)bytes < (ptrdiff_t)HELP_RUNS_BYTES &&
		   !atomic_load_explicit(&owner->sleeps, memory_order_relaxed)))
		return;
	/* A signal handler that interrupted a holder waits for no lock. */
	if (unlikely(arn_locks_mine != 0))
		return;
	if (((ptrdiff_t)bytes >= (ptrdiff_t)HELP_BYTES || run_all_free(r, w, old | mask)) &&
	    owner->kind == HEAP_THREAD && lock_try(&owner->lock)) {
		atomic_store_explicit(&owner->sleeps, true, memory_order_relaxed);
		arn_heap_collect(owner);
		lock_drop(&owner->lock);
	}
}

void arn_heap_collect_some(struct heap *h, unsigned runs)
{
	size_t bytes = 0;

	/* Acquire pairs with the release in push(). */
	if (h->collecting == NULL)
		h->collecting =
			atomic_exchange_explicit(&h->remote_head, NULL, memory_order_acquire);
	for (; h->collecting != NULL && runs > 0; runs--) {
		struct run *r = h->collecting;
		uint32_t owner;
		unsigned n = 0;

		h->collecting = atomic_load_explicit(&r->remote_next, memory_order_relaxed);
		if (h->collecting != NULL) {
			__builtin_prefetch(h->collecting, 1);
			__builtin_prefetch(&h->collecting->base, 1);
		}
		atomic_exchange_explicit(&r->remote_queued, 0, memory_order_acq_rel);
		owner = atomic_load_explicit(&r->owner, memory_order_relaxed);
		if (unlikely(owner != h->id)) {
			/* A late push: the run has another owner now, who may have missed a word
			 * that left zero while the run was queued here. */
			queue(r, owner);
			continue;
		}
		if (unlikely(r->state == RUN_STARTER)) {
			bytes += arn_starter_collect(h, r);
			continue;
		}
		for (unsigned w = 0; w < r->nwords; w++) {
			_Atomic uint64_t *word = &run_remote(r)[w];
			uint64_t mask, twice;

			if (atomic_load_explicit(word, memory_order_relaxed) == 0)
				continue;
			mask = atomic_exchange_explicit(word, 0, memory_order_acq_rel);
			twice = arn_run_merge(r, w, mask);
			if (unlikely(twice != 0))
				arn_heap_crime(CRIME_DOUBLE_FREE,
					       run_region(r, w * WORD_BITS + bits_ctz(twice)));
			n += bits_popcount(mask);
		}
		if (n > 0) {
			bytes += (size_t)n * arn_class[r->cls].size;
			heap_out(h, r->cls, -(size_t)n);
			arn_heap_run_freed(h, r);
		}
	}
	if (bytes > 0)
		atomic_fetch_add_explicit(&h->remote_bytes, -bytes, memory_order_relaxed);
	heap_settle(h);
}

void arn_heap_collect(struct heap *h)
{
	/* The rest of an earlier part, and what came since. */
	if (h->collecting != NULL)
		arn_heap_collect_some(h, UINT_MAX);
	arn_heap_collect_some(h, UINT_MAX);
}

static void slot_send(struct combine_slot *s)
{
	struct run *r = combine_run(s);
	uint64_t mask = s->mask;

	RELAXED_SET(s->mask, 0);
	atomic_signal_fence(memory_order_seq_cst);
	if (mask != 0)
		apply(r, (unsigned)(s->key % ARN_CACHE_LINE), mask,
		      bits_popcount(mask) * (size_t)arn_class[r->cls].size);
}

void arn_remote_free(struct heap *me, struct run *r, void *p)
{
	int region = run_region_of(r, p);
	struct combine_slot *s;
	uintptr_t key;
	unsigned w;
	uint64_t bit;

	if (unlikely(region < 0))
		arn_heap_crime(CRIME_INTERIOR, p);
	w = (unsigned)region / WORD_BITS;
	bit = 1ull << (region % WORD_BITS);
	if (unlikely(r->state == RUN_STARTER)) {
		apply(r, w, bit, arn_starter_size(r, p));
		return;
	}
	if (me->combine == NULL && me->kind == HEAP_THREAD)
		RELEASE_SET(me->combine,
			    arn_meta_get(META_COMBINE, sizeof *me->combine / ARN_CACHE_LINE));
	/* Combining already: a signal handler interrupted just that. */
	if (me->combine == NULL || me->kind != HEAP_THREAD || me->combining ||
	    arn_class[r->cls].size > COMBINE_SIZE_MAX) {
		apply(r, w, bit, arn_class[r->cls].size);
		return;
	}
	key = (uintptr_t)r + w;
	me->combining = true;
	atomic_signal_fence(memory_order_seq_cst);
	/* Only now: a signal handler may move the words of a pair. */
	s = combine_slot(me->combine, key);
	if (s->key != key) {
		/* The second of the two slots goes, the first is the second now. */
		slot_send(s);
		RELAXED_SET(s->key, s[-1].key);
		RELAXED_SET(s->mask, s[-1].mask);
		s--;
		RELAXED_SET(s->mask, 0);
		RELAXED_SET(s->key, key);
	} else if (unlikely((s->mask & bit) != 0)) {
		arn_heap_crime(CRIME_DOUBLE_FREE, p);
	}
	RELAXED_SET(s->mask, s->mask | bit);
	if (s->mask == ~0ull)
		slot_send(s);
	atomic_signal_fence(memory_order_seq_cst);
	me->combining = false;
}

void arn_remote_flush(struct heap *me)
{
	/* Combining: in a signal handler that interrupted just that. */
	if (me->combine == NULL || me->combining)
		return;
	me->combining = true;
	atomic_signal_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < COMBINE_SLOTS; i++)
		slot_send(&me->combine->slots[i]);
	atomic_signal_fence(memory_order_seq_cst);
	me->combining = false;
}

size_t arn_remote_pending(const struct heap *me)
{
	size_t bytes = 0;

	if (me->combine == NULL)
		return 0;
	for (unsigned i = 0; i < COMBINE_SLOTS; i++) {
		const struct combine_slot *s = &me->combine->slots[i];

		if (s->mask != 0)
			bytes += bits_popcount(s->mask) *
				 (size_t)arn_class[combine_run(s)->cls].size;
	}
	return bytes;
}
