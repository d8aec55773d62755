/* SPDX-License-Identifier: MIT
 *
 * sizes.c - malloc_usable_size and amalloc_good_size: at least what was asked, all of it usable,
 * the same answer for the life of the block, and the two agree.
 */
#include "form.h"

static size_t next_size(size_t size)
{
	return size + size / 30 + 1;
}

void test_sizes(void)
{
	enum { neighbours = 5 };
	size_t short_blocks = 0, unstable = 0, clobbered = 0, disagree = 0, shrinks = 0;
	size_t largest = (size_t)8 << 20;

	tap_ok(F.usable_size(NULL) == 0, "usable size of NULL is 0");
	for (size_t size = 0; size < largest; size = next_size(size)) {
		unsigned char *p[neighbours];
		size_t usable[neighbours];

		for (size_t k = 0; k < neighbours; k++) {
			p[k] = F.malloc(size);
			usable[k] = F.usable_size(p[k]);
			short_blocks += usable[k] < size;
			memset(p[k], (int)k + 1, usable[k]);
		}
		for (size_t k = 0; k < neighbours; k++) {
			clobbered += !all_bytes_are(p[k], usable[k], (unsigned char)(k + 1));
			unstable += F.usable_size(p[k]) != usable[k];
			F.free(p[k]);
		}
	}
	tap_ok(short_blocks == 0, "usable size is at least what was asked, 0 to 8 MiB");
	tap_ok(clobbered == 0, "all of the usable size may be written, 0 to 8 MiB");
	tap_ok(unstable == 0, "usable size stays the same after writing");

	if (!F.good_size) {
		tap_skip("amalloc_good_size", "libarena does not serve");
		return;
	}
	for (size_t size = 0; size < largest; size = next_size(size)) {
		void *p = F.malloc(size);
		size_t good = F.good_size(size);

		if (good != F.usable_size(p) && disagree++ < 3)
			tap_note("size %zu: good_size %zu, usable size %zu", size, good,
				 F.usable_size(p));
		shrinks += good < size || F.good_size(good) != good;
		F.free(p);
	}
	tap_ok(disagree == 0, "good_size(n) is the usable size of malloc(n), 0 to 8 MiB");
	tap_ok(shrinks == 0, "good_size(n) >= n and good_size(good_size(n)) == good_size(n)");
	tap_ok(F.good_size((size_t)PTRDIFF_MAX + 1) == 0 && F.good_size(SIZE_MAX) == 0,
	       "good_size above PTRDIFF_MAX is 0");
}
