/* SPDX-License-Identifier: MIT
 *
 * basic.c - what every block promises: not NULL, of its own, aligned, zeroed where asked, its
 * contents kept by realloc; errno kept by free; and the limits where the answer must be NULL.
 * Sources: C11/C23 7.24.3, POSIX.1-2024, and glibc 2.36 where these leave a choice.
 */
#include <limits.h>

#include "form.h"

#define MiB ((size_t)1 << 20)

static void test_malloc_zero(void)
{
	enum { count = 1000 };
	void *block[count];
	int distinct = 1;

	for (int i = 0; i < count; i++)
		block[i] = F.malloc(0);
	for (int i = 0; i < count; i++)
		for (int j = 0; j < i; j++)
			distinct &= block[i] != NULL && block[i] != block[j];
	tap_ok(distinct, "malloc(0) gives %d distinct blocks, none NULL", count);
	for (int i = 0; i < count; i++)
		F.free(block[i]);

	block[0] = F.calloc(0, 0);
	block[1] = F.calloc(0, SIZE_MAX);
	block[2] = F.calloc(SIZE_MAX, 0);
	block[3] = F.realloc(NULL, 0);
	tap_ok(block[0] && block[1] && block[2] && block[0] != block[1] && block[1] != block[2],
	       "calloc with a zero factor gives blocks of their own");
	tap_ok(block[3] != NULL, "realloc(NULL, 0) is malloc(0)");
	for (int i = 0; i < 4; i++)
		F.free(block[i]);
	block[0] = F.reallocarray(NULL, 0, SIZE_MAX);
	tap_ok(block[0] != NULL, "reallocarray(NULL, 0, n) is malloc(0)");
	F.free(block[0]);
}

/* Two of each size live at once: a single one could hide behind reuse. */
static void test_every_size(void)
{
	size_t misaligned = 0, short_blocks = 0, clobbered = 0;

	for (size_t size = 1; size <= 40000; size++) {
		unsigned char *a = F.malloc(size), *b = F.malloc(size);

		misaligned += (uintptr_t)a % 16 != 0 || (uintptr_t)b % 16 != 0;
		short_blocks += F.usable_size(a) < size;
		a[0] = a[size - 1] = 1;
		b[0] = b[size - 1] = 2;
		clobbered += a[0] != 1 || a[size - 1] != 1;
		F.free(a);
		F.free(b);
	}
	tap_ok(misaligned == 0, "sizes 1 to 40000 are aligned to 16 (%zu are not)", misaligned);
	tap_ok(short_blocks == 0, "sizes 1 to 40000: usable size is at least what was asked");
	tap_ok(clobbered == 0, "sizes 1 to 40000: two blocks do not share a byte");

	misaligned = short_blocks = clobbered = 0;
	for (size_t size = 40001; size < 64 * MiB; size += size / 9 + 7) {
		unsigned char *a = F.malloc(size), *b = F.malloc(size);

		misaligned += (uintptr_t)a % 16 != 0 || (uintptr_t)b % 16 != 0;
		short_blocks += F.usable_size(a) < size;
		a[0] = a[size - 1] = 1;
		b[0] = b[size - 1] = 2;
		clobbered += a[0] != 1 || a[size - 1] != 1;
		F.free(b);
		F.free(a);
	}
	tap_ok(misaligned == 0, "sizes up to 64 MiB are aligned to 16");
	tap_ok(short_blocks == 0, "sizes up to 64 MiB: usable size is at least what was asked");
	tap_ok(clobbered == 0, "sizes up to 64 MiB: two blocks do not share a byte");
}

static void test_calloc(void)
{
	static const size_t sizes[] = { 1, 8, 16, 24, 100, 128, 1000, 4096, 5000, 16384, 30000,
		65536, 100000, 262144, 1 * MiB, 3 * MiB, 8 * MiB, 40 * MiB };
	size_t wrong = 0;
	void *block[32];

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t size = sizes[i];
		int count = size > MiB ? 2 : 32;

		/* Dirty memory first, so that calloc meets used blocks and used pages. */
		for (int k = 0; k < count; k++) {
			block[k] = F.malloc(size);
			memset(block[k], 0xa5, F.usable_size(block[k]));
		}
		for (int k = 0; k < count; k++)
			F.free(block[k]);
		for (int k = 0; k < count; k++) {
			block[k] = F.calloc(k % 2 ? size : 1, k % 2 ? 1 : size);
			wrong += !all_bytes_are(block[k], size, 0);
			memset(block[k], 0x5a, size);
		}
		for (int k = 0; k < count; k++)
			F.free(block[k]);
	}
	tap_ok(wrong == 0, "calloc is zero after the memory was dirtied (1 B to 40 MiB)");
}

/* Growth by SEVENTHS/7 each step, whole content checked at every step, then the way back. */
static void test_realloc_ladder(size_t seventh_step, size_t top)
{
	size_t size = 1, lost = 0;
	unsigned char *p = F.malloc(size);

	pattern_fill(p, 0, size, seventh_step);
	while (size < top) {
		size_t larger = size + size * seventh_step / 7 + 1;
		unsigned char *q;

		if (larger > top)
			larger = top;
		q = F.realloc(p, larger);
		if (!q)
			break;
		p = q;
		lost += !pattern_holds(p, 0, size, seventh_step);
		pattern_fill(p, size, larger, seventh_step);
		size = larger;
	}
	tap_ok(size == top && lost == 0, "realloc 1 B to %zu MiB by %zu/7: contents kept",
	       top / MiB, seventh_step);
	lost = 0;
	while (size > 1) {
		size_t smaller = size - size * seventh_step / (7 + seventh_step) - 1;
		unsigned char *q;

		if (smaller == 0 || smaller > size)
			smaller = 1;
		q = F.realloc(p, smaller);
		if (!q)
			break;
		p = q;
		size = smaller;
		lost += !pattern_holds(p, 0, size, seventh_step);
	}
	tap_ok(size == 1 && lost == 0, "realloc %zu MiB to 1 B by %zu/7: contents kept",
	       top / MiB, seventh_step);
	F.free(p);
}

static void test_realloc(void)
{
	void *p = F.realloc(NULL, 100);
	size_t lost = 0, before;

	tap_ok(p && F.usable_size(p) >= 100, "realloc(NULL, n) is malloc(n)");
	tap_ok(F.realloc(p, 0) == NULL, "realloc(p, 0) returns NULL");

	/* It also freed: else 20000 blocks of 64 KiB, all written, would be 1.3 GB. */
	before = resident_bytes();
	for (int i = 0; i < 20000; i++) {
		p = F.malloc(65536);
		memset(p, 1, 65536);
		lost += F.realloc(p, 0) != NULL;
	}
	tap_ok(lost == 0 && resident_bytes() < before + 64 * MiB,
	       "realloc(p, 0) frees the block (20000 times 64 KiB)");

	p = F.malloc(1000);
	tap_ok(F.reallocarray(p, 0, 8) == NULL, "reallocarray(p, 0, n) frees and returns NULL");

	p = F.malloc(100);
	pattern_fill(p, 0, 100, 5);
	p = F.reallocarray(p, 100, 50);
	tap_ok(p && F.usable_size(p) >= 5000 && pattern_holds(p, 0, 100, 5),
	       "reallocarray gives n * m bytes and keeps the contents");
	F.free(p);

	/* Every pair of neighbouring sizes around the steps of any class table. */
	for (size_t size = 1; size < 70000; size += size / 40 + 1) {
		unsigned char *q = F.malloc(size);

		pattern_fill(q, 0, size, size);
		q = F.realloc(q, size + size / 3 + 1);
		lost += !pattern_holds(q, 0, size, size);
		q = F.realloc(q, size / 2 + 1);
		lost += !pattern_holds(q, 0, size / 2 + 1 < size ? size / 2 + 1 : size, size);
		F.free(q);
	}
	tap_ok(lost == 0, "realloc by a third up and then down to the half keeps contents");

	test_realloc_ladder(3, 4 * MiB);
	test_realloc_ladder(1, 16 * MiB);
	test_realloc_ladder(7, 256 * MiB);

	/* An aligned block is an ordinary block for realloc. */
	p = F.memalign(4096, 10000);
	pattern_fill(p, 0, 10000, 9);
	p = F.realloc(p, 100000);
	tap_ok(p && pattern_holds(p, 0, 10000, 9), "realloc of a memalign block keeps contents");
	F.free(p);
}

static void test_free(void)
{
	static const size_t sizes[] = { 1, 100, 5000, 20000, 100000, 1 * MiB, 5 * MiB, 64 * MiB };
	int kept = 1;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		void *p = F.malloc(sizes[i]);

		memset(p, 1, sizes[i]);
		errno = 12345; /* no such error: nobody sets it by chance */
		F.free(p);
		kept &= errno == 12345;
	}
	tap_ok(kept, "free keeps errno, 1 B to 64 MiB");
	errno = 12345;
	F.free(NULL);
	tap_ok(errno == 12345, "free(NULL) does nothing");
	if (F.cfree) {
		F.cfree(NULL);
		F.cfree(F.malloc(100));
		tap_ok(1, "cfree frees");
	} else {
		tap_skip("cfree", "this libc has none");
	}
}

static void test_free_sized(void)
{
	static const size_t sizes[] = { 0, 1, 16, 17, 100, 4096, 5000, 33000, 300000, 9 * MiB };
	static const size_t alignments[] = { 8, 16, 64, 256, 4096, 65536, 2 * MiB };

	if (!F.free_sized || !F.free_aligned_sized) {
		tap_skip("free_sized", "neither libc nor the preload has it");
		return;
	}
	F.free_sized(NULL, 0);
	F.free_sized(NULL, 77);
	F.free_aligned_sized(NULL, 16, 77);
	tap_ok(1, "free_sized and free_aligned_sized ignore NULL");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		errno = 12345;
		F.free_sized(F.malloc(sizes[i]), sizes[i]);
		F.free_sized(F.calloc(1, sizes[i]), sizes[i]);
		F.free_sized(F.realloc(NULL, sizes[i]), sizes[i]);
		if (sizes[i])
			F.free_sized(F.realloc(F.malloc(50), sizes[i]), sizes[i]);
		for (size_t k = 0; k < sizeof alignments / sizeof *alignments; k++)
			F.free_aligned_sized(F.aligned_alloc(alignments[k], sizes[i]),
					     alignments[k], sizes[i]);
		tap_ok(errno == 12345, "free_sized, free_aligned_sized of %zu bytes", sizes[i]);
	}
	/* A block that realloc shrank in place has the size last asked for. */
	for (size_t size = 100; size < 3 * MiB; size = size * 5 / 3) {
		void *p = F.realloc(F.malloc(size), size - size / 10);

		F.free_sized(p, size - size / 10);
	}
	tap_ok(1, "free_sized takes the size that realloc shrank to");
}

void test_basic(void)
{
	test_malloc_zero();
	test_every_size();
	test_calloc();
	test_realloc();
	test_free();
	test_free_sized();
}
