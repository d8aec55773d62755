/* SPDX-License-Identifier: MIT
 *
 * innocent - no crime: the same moves as its neighbours, each allowed.  Must end with status 0
 * and say nothing on stderr, or the accusations against the others are worth nothing.
 */
#include "crime.h"

int main(void)
{
	struct arena *a = c.arena_create();
	void *p;

	for (size_t size = 1; size < (size_t)20 << 20; size = size * 3 + 1) {
		p = c.realloc(c.malloc(size), size * 2);
		c.free(p);
		c.free_sized(c.malloc(size), size);
		c.free_aligned_sized(c.memalign(64, size), 64, size);
		p = c.arena_malloc(a, size);
		if (c.usable_size(p) < size)
			return 1;
		if (size % 2)
			c.free(p);
	}
	c.free(NULL);
	c.arena_destroy(a);
	force_flush();
	say("innocent\n");
	return 0;
}
