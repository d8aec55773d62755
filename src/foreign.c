/* SPDX-License-Identifier: MIT
 *
 * foreign.c - passing pointers and calls on to libc's malloc, once somebody has said that it is in
 * play.  Layer api.
 */
#include "foreign.h"

/* handback.c has another one. */
__attribute__((weak)) bool arn_foreign_replaced(const struct foreign_calls **libc)
{
	*libc = NULL;
	return false;
}

static const struct foreign_calls *_Atomic calls, *_Atomic serving;

void arn_foreign_allow(const struct foreign_calls *c, bool serves)
{
	/* Release pairs with the acquire loads below: the table is whole. */
	atomic_store_explicit(&calls, c, memory_order_release);
	atomic_store_explicit(&serving, serves ? c : NULL, memory_order_release);
}

const struct foreign_calls *arn_foreign_serving(void)
{
	return atomic_load_explicit(&serving, memory_order_acquire);
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
