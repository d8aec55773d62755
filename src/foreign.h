/* SPDX-License-Identifier: MIT
 *
 * foreign.h - pointers that are not ours, and programs that are not.  Layer api.
 *
 * A pointer belongs to libc's malloc only where that is in play, which is when the policy has
 * handed the program back to it (init.c).  In every other case, and always in the prefixed library,
 * a foreign pointer is a crime.
 */
#ifndef ARN_FOREIGN_H
#define ARN_FOREIGN_H

#include "compiler.h"

struct foreign_calls {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*memalign)(size_t, size_t);
	void (*free)(void *);
	void *(*realloc)(void *, size_t);
	size_t (*usable_size)(void *);
};

/* False: libc's malloc is not replaced here (the prefixed library, the core alone).  True, and what
 * it replaces, or NULL when there is nothing behind it: handback.c, in libarena. */
bool arn_foreign_replaced(const struct foreign_calls **libc);

/* From now on pointers that are not ours go to C's functions, and while SERVES all new blocks come
 * from there. */
void arn_foreign_allow(const struct foreign_calls *c, bool serves);
/* C while it serves, else NULL. */
const struct foreign_calls *arn_foreign_serving(void);

/* Each returns false when libc's malloc is not in play. */
bool arn_foreign_free(void *p);
bool arn_foreign_realloc(void *p, size_t size, void **out);
bool arn_foreign_usable_size(const void *p, size_t *out);

#endif
