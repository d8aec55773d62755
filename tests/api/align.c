/* SPDX-License-Identifier: MIT
 *
 * align.c - memalign, posix_memalign, aligned_alloc, valloc and pvalloc: every power of two from
 * 1 B to 64 MiB, below and above the size, rounding of other alignments, and free and realloc of
 * what they give.
 */
#include "form.h"

static const size_t sizes[] = { 0, 1, 7, 16, 24, 100, 500, 1000, 4000, 4096, 4097, 12345, 40000,
	70000, 300000, 1u << 20, 5u << 20 };

#define SIZE_COUNT (sizeof sizes / sizeof *sizes)

/* Three blocks of each size at once, all bytes written, then freed out of order. */
static int alignment_works(void *(*allocate)(size_t, size_t), size_t alignment)
{
	int right = 1;

	for (size_t i = 0; i < SIZE_COUNT; i++) {
		unsigned char *p[3];

		for (int k = 0; k < 3; k++) {
			p[k] = allocate(alignment, sizes[i]);
			if (p[k] == NULL)
				return 0;
			right &= (uintptr_t)p[k] % alignment == 0;
			right &= F.usable_size(p[k]) >= sizes[i];
			pattern_fill(p[k], 0, sizes[i], (uint64_t)k);
		}
		for (int k = 0; k < 3; k++)
			right &= pattern_holds(p[k], 0, sizes[i], (uint64_t)k);
		F.free(p[1]);
		F.free(p[0]);
		right &= pattern_holds(p[2], 0, sizes[i], 2);
		F.free(p[2]);
	}
	return right;
}

static void *by_posix_memalign(size_t alignment, size_t size)
{
	void *out = NULL;

	/* posix_memalign takes only multiples of a pointer's size. */
	if (alignment < sizeof(void *))
		alignment = sizeof(void *);
	return F.posix_memalign(&out, alignment, size) == 0 ? out : NULL;
}

static void test_powers(void)
{
	for (size_t alignment = 1; alignment <= (size_t)4 << 20; alignment *= 2) {
		tap_ok(alignment_works(F.memalign, alignment), "memalign(%zu, 0 to 5 MiB)",
		       alignment);
		tap_ok(alignment_works(F.aligned_alloc, alignment),
		       "aligned_alloc(%zu, 0 to 5 MiB)", alignment);
		tap_ok(alignment_works(by_posix_memalign, alignment),
		       "posix_memalign(%zu, 0 to 5 MiB)", alignment);
	}
	/* Larger than any chunk: address space is cut to fit, and given back.  A 32-bit one has four
	 * places for 1 GiB, and the program and its libraries need some of them. */
	for (size_t alignment = (size_t)8 << 20;
	     alignment <= (size_t)1 << 30 && alignment <= SIZE_MAX / 16 + 1; alignment *= 2)
		tap_ok(alignment_works(F.memalign, alignment), "memalign(%zu MiB, 0 to 5 MiB)",
		       alignment >> 20);
}

static void test_rounding(void)
{
	static const struct { size_t asked, given; } rows[] = {
		{ 0, 16 }, { 3, 16 }, { 5, 16 }, { 17, 32 }, { 24, 32 }, { 33, 64 }, { 48, 64 },
		{ 65, 128 }, { 1000, 1024 }, { 3000, 4096 }, { 5000, 8192 }, { 100000, 131072 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		void *p[20];
		int right = 1;

		/* Twenty: one may be aligned by chance. */
		for (int k = 0; k < 20; k++) {
			p[k] = F.memalign(rows[i].asked, 100);
			right &= p[k] && (uintptr_t)p[k] % rows[i].given == 0;
		}
		tap_ok(right, "memalign(%zu) is aligned to %zu", rows[i].asked, rows[i].given);
		for (int k = 0; k < 20; k++)
			F.free(p[k]);
	}
}

static void test_pages(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int valloc_right = 1, pvalloc_right = 1, whole_pages = 1;

	for (size_t i = 0; i < SIZE_COUNT; i++) {
		unsigned char *a = F.valloc(sizes[i]), *b = F.pvalloc(sizes[i]);
		size_t rounded = (sizes[i] + page - 1) / page * page;

		valloc_right &= a && (uintptr_t)a % page == 0 && F.usable_size(a) >= sizes[i];
		pvalloc_right &= b && (uintptr_t)b % page == 0;
		whole_pages &= F.usable_size(b) >= rounded;
		memset(a, 1, sizes[i]);
		memset(b, 2, rounded);
		valloc_right &= all_bytes_are(a, sizes[i], 1);
		F.free(a);
		F.free(b);
	}
	tap_ok(valloc_right, "valloc is aligned to the OS page");
	tap_ok(pvalloc_right, "pvalloc is aligned to the OS page");
	tap_ok(whole_pages, "pvalloc gives whole OS pages");
}

/* Freed aligned blocks come back as ordinary ones, without eating memory. */
static void test_aligned_reuse(void)
{
	size_t before, after;
	int right = 1;

	for (int warm = 0; warm < 2; warm++) {
		before = resident_bytes();
		for (int i = 0; i < 20000; i++) {
			void *p = F.memalign((size_t)64 << (i % 8), 300 + (size_t)(i % 5) * 900);

			memset(p, 7, 300);
			p = i % 3 ? p : F.realloc(p, 2000);
			right &= p != NULL && all_bytes_are(p, 300, 7);
			F.free(p);
		}
		after = resident_bytes();
	}
	tap_ok(right, "realloc and free of 40000 aligned blocks");
	tap_ok(after < before + ((size_t)16 << 20), "20000 aligned blocks freed grow no memory");
}

void test_align(void)
{
	test_powers();
	test_rounding();
	test_pages();
	test_aligned_reuse();
}
