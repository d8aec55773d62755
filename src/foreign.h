/* SPDX-License-Identifier: MIT
 *
 * foreign.h - pointers that are not ours.  Layer api.
 *
 * They belong to libc's malloc only where that is known to be in play, which is when somebody was
 * handed its functions: a library opened with RTLD_DEEPBIND, or a program handed back by policy.
 * In every other case, and always in the prefixed library, a foreign pointer is a crime.
 */
#ifndef ARN_FOREIGN_H
#define ARN_FOREIGN_H

#include "compiler.h"

struct foreign_calls {
	void (*free)(void *);
	void *(*realloc)(void *, size_t);
	size_t (*usable_size)(void *);
};

/* From now on pointers that are not ours go to C's functions. */
void arn_foreign_allow(const struct foreign_calls *c);

/* Each returns false when libc's malloc is not in play. */
bool arn_foreign_free(void *p);
bool arn_foreign_realloc(void *p, size_t size, void **out);
bool arn_foreign_usable_size(const void *p, size_t *out);

#endif
