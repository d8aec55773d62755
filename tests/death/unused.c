/* SPDX-License-Identifier: MIT
 *
 * unused SIZE CALL - a pointer to a place where a block of SIZE could be, but that was never handed
 * out: a hundred sizes after a live block, in the same run, or in the free pages behind.
 */
#include "crime.h"
#include "call.h"

int main(int argc, char **argv)
{
	size_t size = size_argument(argc, argv, 1);
	char *p = c.malloc(size);
	size_t step = c.usable_size(p);

	CRIME(p + 100 * step, call_with(argv[2], p + 100 * step, size));
	force_flush();
	return 0;
}
