/* SPDX-License-Identifier: MIT
 *
 * freed SIZE CALL - realloc, usable or sized is called with a block that was freed.
 */
#include "crime.h"
#include "call.h"

int main(int argc, char **argv)
{
	size_t size = size_argument(argc, argv, 1);
	void *p = c.malloc(size), *wall = c.malloc(size);

	c.free(p);
	CRIME(p, call_with(argv[2], p, size));
	force_flush();
	c.free(wall);
	return 0;
}
