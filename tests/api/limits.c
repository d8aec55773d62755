/* SPDX-License-Identifier: MIT
 *
 * limits.c - sizes that no allocator can serve: NULL, ENOMEM, and nothing else changed.
 * glibc's limit is PTRDIFF_MAX, so that the difference of two pointers never overflows.
 */
#include "form.h"

static const size_t too_large[] = {
	(size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX + 4096, SIZE_MAX - 65536, SIZE_MAX - 4096,
	SIZE_MAX - 16, SIZE_MAX - 1, SIZE_MAX,
#if SIZE_MAX > UINT32_MAX
	/* Below the limit, but more than any address space has: fails in the OS layer.  A process of
	 * 32 bits on a kernel of 64 has 4 GiB, and may get them. */
	PTRDIFF_MAX, (size_t)PTRDIFF_MAX - 4096, (size_t)PTRDIFF_MAX / 2,
#endif
};

#define EACH_TOO_LARGE(i) (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++)

/* Row: EXPRESSION is NULL with ENOMEM for each size. */
#define FAILS(name, expression)                                                           \
	do {                                                                              \
		int right = 1;                                                            \
		for EACH_TOO_LARGE(i) {                                                   \
			size_t n = too_large[i];                                          \
			void *result;                                                     \
			errno = 0;                                                        \
			result = (expression);                                            \
			if (result != NULL || errno != ENOMEM) {                          \
				tap_note("%s: size %#zx gave %p, errno %d", name, n,      \
					 result, errno);                                  \
				right = 0;                                                \
			}                                                                 \
		}                                                                         \
		tap_ok(right, "%s: NULL and ENOMEM around PTRDIFF_MAX and SIZE_MAX", name); \
	} while (0)

static int overflow_fails(void *(*allocate)(size_t, size_t))
{
	static const size_t pairs[][2] = {
		{ SIZE_MAX, 2 }, { 2, SIZE_MAX }, { SIZE_MAX, SIZE_MAX },
		{ (size_t)1 << (sizeof(size_t) * 4), (size_t)1 << (sizeof(size_t) * 4) },
		{ SIZE_MAX / 16 + 1, 16 }, { 16, SIZE_MAX / 16 + 1 },
		{ SIZE_MAX / 3 + 1, 3 }, { (size_t)PTRDIFF_MAX, 3 },
	};
	int right = 1;

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		errno = 0;
		right &= allocate(pairs[i][0], pairs[i][1]) == NULL && errno == ENOMEM;
	}
	return right;
}

static void *reallocarray_null(size_t n, size_t m)
{
	return F.reallocarray(NULL, n, m);
}

static void *kept;

static void *reallocarray_kept(size_t n, size_t m)
{
	return F.reallocarray(kept, n, m);
}

/* posix_memalign reports by its value and must leave *out alone. */
static void test_posix_memalign_limits(void)
{
	static const size_t bad[] = { 0, 1, 2, 4, 3, 12, 17, 24, 48, 4095, 4097, SIZE_MAX };
	void *out = &out;
	int right = 1, untouched = 1, errno_kept = 1, errno_set = 1;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (bad[i] >= sizeof(void *) && (bad[i] & (bad[i] - 1)) == 0)
			continue; /* 4 is a good alignment where pointers have 4 bytes */
		errno = 12345;
		right &= F.posix_memalign(&out, bad[i], 100) == EINVAL;
		untouched &= out == &out;
		errno_kept &= errno == 12345;
	}
	tap_ok(right, "posix_memalign: EINVAL for 0, 1, 3, 12, 4097 ...");
	tap_ok(untouched, "posix_memalign: EINVAL leaves *out alone");
	tap_ok(errno_kept, "posix_memalign: EINVAL leaves errno alone");

	right = untouched = errno_kept = 1;
	for EACH_TOO_LARGE(i) {
		errno = 12345;
		right &= F.posix_memalign(&out, 64, too_large[i]) == ENOMEM;
		right &= F.posix_memalign(&out, 4096, too_large[i]) == ENOMEM;
		right &= F.posix_memalign(&out, 8, too_large[i]) == ENOMEM;
		untouched &= out == &out;
		errno_set &= errno == ENOMEM;
	}
	errno = 12345;
	right &= F.posix_memalign(&out, (size_t)1 << (sizeof(size_t) * 8 - 1), 1) == ENOMEM;
	errno_set &= errno == ENOMEM;
	untouched &= out == &out;
	tap_ok(right, "posix_memalign: ENOMEM for impossible sizes and alignments");
	tap_ok(untouched, "posix_memalign: ENOMEM leaves *out alone");
	if (form_is_arena())
		tap_ok(errno_set, "posix_memalign: ENOMEM is in errno too, as glibc leaves it");
	else
		tap_skip("posix_memalign: ENOMEM is in errno too", "POSIX does not ask for it");

	errno = 12345;
	right = F.posix_memalign(&out, 64, 100) == 0;
	tap_ok(right && errno == 12345, "posix_memalign: success leaves errno alone");
	F.free(out);
	right = F.posix_memalign(&out, 64, 0) == 0 && out != NULL && (uintptr_t)out % 64 == 0;
	tap_ok(right, "posix_memalign: size 0 gives a block of its own");
	F.free(out);
}

static void test_failed_realloc(void)
{
	static const size_t sizes[] = { 1, 100, 5000, 50000, (size_t)3 << 20, (size_t)30 << 20 };
	int right = 1;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		unsigned char *p = F.malloc(sizes[i]);

		pattern_fill(p, 0, sizes[i], i);
		for EACH_TOO_LARGE(k) {
			errno = 0;
			right &= F.realloc(p, too_large[k]) == NULL && errno == ENOMEM;
		}
		right &= pattern_holds(p, 0, sizes[i], i) && F.usable_size(p) >= sizes[i];
		F.free(p);
	}
	tap_ok(right, "a failed realloc leaves the old block as it was, 1 B to 30 MiB");
}

void test_limits(void)
{
	kept = F.malloc(100);
	pattern_fill(kept, 0, 100, 1);

	FAILS("malloc", F.malloc(n));
	FAILS("calloc(1, n)", F.calloc(1, n));
	FAILS("calloc(n, 1)", F.calloc(n, 1));
	FAILS("realloc(NULL, n)", F.realloc(NULL, n));
	FAILS("realloc(p, n)", F.realloc(kept, n));
	FAILS("reallocarray(NULL, n, 1)", F.reallocarray(NULL, n, 1));
	FAILS("reallocarray(p, 1, n)", F.reallocarray(kept, 1, n));
	FAILS("memalign(16, n)", F.memalign(16, n));
	FAILS("memalign(64, n)", F.memalign(64, n));
	FAILS("memalign(1 MiB, n)", F.memalign((size_t)1 << 20, n));
	FAILS("aligned_alloc(32, n)", F.aligned_alloc(32, n));
	FAILS("valloc", F.valloc(n));
	FAILS("pvalloc", F.pvalloc(n));
	tap_ok(overflow_fails(F.calloc), "calloc: NULL and ENOMEM when the product overflows");
	tap_ok(overflow_fails(reallocarray_null),
	       "reallocarray(NULL): NULL and ENOMEM when the product overflows");
	tap_ok(overflow_fails(reallocarray_kept),
	       "reallocarray(p): NULL and ENOMEM when the product overflows");
	tap_ok(pattern_holds(kept, 0, 100, 1), "the block given to failing calls is as it was");
	F.free(kept);

	errno = 0;
	tap_ok(F.memalign(SIZE_MAX / 2 + 2, 1) == NULL && errno == EINVAL,
	       "memalign: an alignment above SIZE_MAX / 2 + 1 is EINVAL");
	errno = 0;
	tap_ok(F.memalign(SIZE_MAX / 2 + 1, 1) == NULL && errno == ENOMEM,
	       "memalign: the alignment SIZE_MAX / 2 + 1 is ENOMEM");
	test_posix_memalign_limits();
	test_failed_realloc();
}
