/* SPDX-License-Identifier: MIT
 *
 * inside SIZE OFFSET CALL - free, realloc, usable or sized is called with a pointer OFFSET bytes
 * into a live block.
 */
#include "crime.h"
#include "call.h"

int main(int argc, char **argv)
{
	size_t size = size_argument(argc, argv, 1), offset = size_argument(argc, argv, 2);
	char *p = c.malloc(size), *wall = c.malloc(size);

	CRIME(p + offset, call_with(argv[3], p + offset, size));
	force_flush();
	c.free(wall);
	return 0;
}
