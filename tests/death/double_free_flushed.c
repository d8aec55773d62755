/* SPDX-License-Identifier: MIT
 *
 * double_free_flushed SIZE - the first free has left the cache when the second comes: the block
 * is free in its run, or its run is gone.  Blocks that stay live hold the neighbourhood.
 */
#include "crime.h"

enum { count = 5000 }; /* more than a cache keeps, so that freeing all flushes some */
static void *block[count];

int main(int argc, char **argv)
{
	size_t size = size_argument(argc, argv, 1);
	size_t used = size > 100000 ? 20 : count; /* large blocks: 20 are enough, and fast */

	for (size_t i = 0; i < used; i++)
		block[i] = c.malloc(size);
	for (size_t i = 0; i + 1 < used; i++)
		c.free(block[i]);
	c.trim(0);
	CRIME(block[0], c.free(block[0]));
	force_flush();
	return 0;
}
