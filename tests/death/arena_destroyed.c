/* SPDX-License-Identifier: MIT
 *
 * arena_destroyed SIZE CALL - a block of a first-class arena is used after arena_destroy().
 */
#include "crime.h"
#include "call.h"

int main(int argc, char **argv)
{
	size_t size = size_argument(argc, argv, 1);
	struct arena *a = c.arena_create();
	void *p = c.arena_malloc(a, size);

	c.arena_destroy(a);
	CRIME(p, call_with(argv[2], p, size));
	force_flush();
	return 0;
}
