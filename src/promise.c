/* SPDX-License-Identifier: MIT
 *
 * promise.c - how many dirty bytes may stay: regret and epochs.  Layer pages; under pages_lock,
 * but for what heaps call.
 */
#include "promise.h"

#include "options.h"
#include "pages.h"
#include "tuning.h"

static size_t extra;         /* bytes allowed because of regrets */
static size_t extra_runs;    /* the same for free OS pages inside of runs, of all heaps */
static size_t given;         /* bytes given back in this epoch and not yet regretted */
static uint64_t taken_epoch; /* bytes taken in this epoch: on 32 bits too more than 4 GiB */
static size_t dirty_min;     /* fewest dirty bytes in this epoch */
static size_t used_max;      /* most bytes in use in this epoch */

size_t arn_promise_firm(size_t used)
{
	size_t kib = RELAXED_GET(arn_options.dirty_kib);

	/* On 32 bits the option's highest value is more than there are bytes. */
	if (sizeof(size_t) == 4 && kib > SIZE_MAX / KIB / 2)
		kib = SIZE_MAX / KIB / 2;
	return (used >> DIRTY_SHIFT) + kib * KIB;
}

size_t arn_promise_limit(size_t used)
{
	return arn_promise_firm(used) + extra;
}

bool arn_promise_took(size_t taken, size_t clean, bool block, size_t dirty, size_t used)
{
	size_t regret = clean < given ? clean : given, idle;

	given -= regret;
	if (regret > DIRTY_EXTRA_MAX)
		regret = DIRTY_EXTRA_MAX;
	if (block)
		regret *= BLOCK_REGRET;
	extra = extra + regret < DIRTY_EXTRA_MAX ? extra + regret : DIRTY_EXTRA_MAX;
	if (dirty < dirty_min)
		dirty_min = dirty;
	taken_epoch += taken;
	if (used > used_max)
		used_max = used;
	if (taken_epoch < (uint64_t)EPOCH_LIMITS * arn_promise_limit(used_max))
		return false;
	idle = dirty_min > arn_promise_limit(used_max) / 2 ? dirty_min / EPOCH_DECAY : 0;
	extra -= idle < extra ? idle : extra;
	dirty_min = dirty;
	used_max = used;
	taken_epoch = 0;
	/* What was given back lately may still be regretted. */
	given /= 2;
	return true;
}

size_t arn_promise_regret_runs(size_t n)
{
	size_t room = DIRTY_EXTRA_MAX - extra_runs;

	n = n < room ? n : room;
	extra_runs += n;
	return n;
}

void arn_promise_forget_runs(size_t n)
{
	extra_runs -= n;
}

void arn_promise_gave(size_t n)
{
	given += n;
}

/* ---- of heaps, which do not have the lock ---------------------------------------------------- */

size_t arn_pages_heap_share(void)
{
	size_t heaps = atomic_load_explicit(&arn_pages_heaps, memory_order_relaxed), share;

	lock_take(&arn_pages_lock);
	share = arn_promise_limit(arn_pages.used) / (heaps > 0 ? heaps : 1);
	lock_drop(&arn_pages_lock);
	return share > HEAP_SHARE_MIN ? share : HEAP_SHARE_MIN;
}

void arn_pages_runs_purged(size_t n, size_t forget)
{
	lock_take(&arn_pages_lock);
	RELAXED_SET(arn_pages.purged, arn_pages.purged + n);
	arn_promise_forget_runs(forget);
	lock_drop(&arn_pages_lock);
}

size_t arn_pages_runs_regret(size_t n)
{
	lock_take(&arn_pages_lock);
	n = arn_promise_regret_runs(n);
	lock_drop(&arn_pages_lock);
	return n;
}
