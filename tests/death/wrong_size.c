/* SPDX-License-Identifier: MIT
 *
 * wrong_size ASKED TOLD [ALIGNMENT] - free_sized, or free_aligned_sized of a block of ALIGNMENT,
 * is told a size of another class than was asked.
 */
#include "crime.h"

int main(int argc, char **argv)
{
	size_t asked = size_argument(argc, argv, 1), told = size_argument(argc, argv, 2);
	size_t alignment = argc > 3 ? size_argument(argc, argv, 3) : 0;
	void *p = alignment ? c.memalign(alignment, asked) : c.malloc(asked);

	if (alignment)
		CRIME(p, c.free_aligned_sized(p, alignment, told));
	else
		CRIME(p, c.free_sized(p, told));
	force_flush();
	return 0;
}
