/* SPDX-License-Identifier: MIT
 *
 * double_free_realloc SIZE - realloc moved the block; the old pointer is freed.
 */
#include "crime.h"

int main(int argc, char **argv)
{
	size_t size = size_argument(argc, argv, 1);
	void *volatile p = c.malloc(size), *volatile wall = c.malloc(size);
	void *volatile q = p;

	/* Until it moves: it may grow in place for a while. */
	while (q == p)
		q = c.realloc(p, size += size + 64);
	CRIME(p, c.free(p));
	force_flush();
	c.free(wall);
	return 0;
}
