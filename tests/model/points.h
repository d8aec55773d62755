/* SPDX-License-Identifier: MIT
 *
 * points.h - put before a source file of src/ by -include: each atomic operation in it becomes a call
 * of one of the functions below.  The model checker (explore.c) makes each a step of an interleaving;
 * the stress test (yield.c) waits a little at some of them.  The sources themselves do not change:
 * the macros of <stdatomic.h> and compiler.h come down to the compiler's builtins, and those are
 * what is defined here.
 */
#ifndef TESTS_MODEL_POINTS_H
#define TESTS_MODEL_POINTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* The object at P has N bytes; ORDER is a memory_order; WHERE is the source line. */
struct place {
	const char *file;
	int line;
};
void point_load(const volatile void *p, void *value, size_t n, int order, const struct place *where);
void point_store(volatile void *p, const void *value, size_t n, int order,
		 const struct place *where);
void point_exchange(volatile void *p, const void *value, void *old, size_t n, int order,
		    const struct place *where);
bool point_compare(volatile void *p, void *expected, const void *value, size_t n, int order,
		   const struct place *where);
/* KIND: '|' or '+'. */
unsigned long point_fetch(volatile void *p, unsigned long value, size_t n, char kind, int order,
			  const struct place *where);

#define POINT_PLACE \
	({ \
		static const struct place here_ = {__FILE__, __LINE__}; \
		&here_; \
	})
#define POINT_TYPE(p) __typeof__((void)0, *(p))

#ifndef __clang__
#define __atomic_load(p, r, o)  point_load((p), (r), sizeof *(p), (o), POINT_PLACE)
#define __atomic_store(p, v, o) point_store((p), (v), sizeof *(p), (o), POINT_PLACE)
#define __atomic_exchange(p, v, r, o) \
	point_exchange((p), (v), (r), sizeof *(p), (o), POINT_PLACE)
#define __atomic_compare_exchange(p, e, v, w, o, f) \
	point_compare((p), (e), (v), sizeof *(p), (o), POINT_PLACE)
#define __atomic_fetch_or(p, v, o) \
	((POINT_TYPE(p))point_fetch((p), (unsigned long)(v), sizeof *(p), '|', (o), POINT_PLACE))
#define __atomic_fetch_add(p, v, o) \
	((POINT_TYPE(p))point_fetch((p), (unsigned long)(v), sizeof *(p), '+', (o), POINT_PLACE))
#else
#error "points.h knows gcc's builtins only"
#endif

#define __atomic_load_n(p, o) \
	({ \
		POINT_TYPE(p) point_value_; \
		point_load((p), &point_value_, sizeof *(p), (o), POINT_PLACE); \
		point_value_; \
	})
#define __atomic_store_n(p, v, o) \
	({ \
		POINT_TYPE(p) point_value_ = (v); \
		point_store((p), &point_value_, sizeof *(p), (o), POINT_PLACE); \
	})

#endif
