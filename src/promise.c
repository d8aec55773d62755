/* SPDX-License-Identifier: MIT
 *
 * promise.c - how many dirty bytes may stay: regret and epochs.  Layer pages; under pages_lock.
 */
#include "promise.h"

#include "options.h"
#include "tuning.h"

static size_t extra;         /* bytes allowed because of regrets */
static size_t given;         /* bytes given back in this epoch and not yet regretted */
static uint64_t taken_epoch; /* bytes taken in this epoch; may pass 4 GiB on 32 bits too */
static size_t dirty_min;     /* fewest dirty bytes in this epoch */

size_t arn_promise_limit(size_t used)
{
	return (used >> DIRTY_SHIFT) + RELAXED_GET(arn_options.dirty_kib) * KIB + extra;
}

bool arn_promise_took(size_t taken, size_t clean, size_t dirty, size_t used)
{
	size_t regret = clean < given ? clean : given;

	given -= regret;
	extra = extra + regret < DIRTY_EXTRA_MAX ? extra + regret : DIRTY_EXTRA_MAX;
	if (dirty < dirty_min)
		dirty_min = dirty;
	taken_epoch += taken;
	if (taken_epoch < (uint64_t)EPOCH_LIMITS * arn_promise_limit(used))
		return false;
	extra -= (dirty_min < extra ? dirty_min : extra) / EPOCH_DECAY;
	dirty_min = dirty;
	taken_epoch = given = 0;
	return true;
}

void arn_promise_gave(size_t n)
{
	given += n;
}
