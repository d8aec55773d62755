/* SPDX-License-Identifier: MIT
 *
 * double_free_apart SIZE COUNT - COUNT other blocks of the size are freed between the two frees.
 */
#include "crime.h"

int main(int argc, char **argv)
{
	size_t size = size_argument(argc, argv, 1), count = size_argument(argc, argv, 2);
	void *p = c.malloc(size), **other = c.malloc((count + 1) * sizeof *other);

	for (size_t i = 0; i < count; i++)
		other[i] = c.malloc(size);
	c.free(p);
	for (size_t i = 0; i < count; i++)
		c.free(other[i]);
	CRIME(p, c.free(p));
	force_flush();
	return 0;
}
