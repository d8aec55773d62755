/* SPDX-License-Identifier: MIT
 *
 * foreign.c - passing pointers of libc's malloc on to it, once somebody has said that it is in
 * play.  Layer api.
 */
#include "foreign.h"

static const struct foreign_calls *_Atomic calls;

void arn_foreign_allow(const struct foreign_calls *c)
{
	/* Release pairs with the acquire loads below: the table is whole. */
	atomic_store_explicit(&calls, c, memory_order_release);
}

bool arn_foreign_free(void *p)
{
	const struct foreign_calls *c = atomic_load_explicit(&calls, memory_order_acquire);

	if (c == NULL)
		return false;
	c->free(p);
	return true;
}

bool arn_foreign_realloc(void *p, size_t size, void **out)
{
	const struct foreign_calls *c = atomic_load_explicit(&calls, memory_order_acquire);

	if (c == NULL)
		return false;
	*out = c->realloc(p, size);
	return true;
}

bool arn_foreign_usable_size(const void *p, size_t *out)
{
	const struct foreign_calls *c = atomic_load_explicit(&calls, memory_order_acquire);

	if (c == NULL)
		return false;
	*out = c->usable_size((void *)p);
	return true;
}
