/* SPDX-License-Identifier: MIT
 *
 * double_free SIZE - free(p); free(p); nothing in between.
 */
#include "crime.h"

int main(int argc, char **argv)
{
	void *p = c.malloc(size_argument(argc, argv, 1));

	c.free(p);
	CRIME(p, c.free(p));
	force_flush();
	return 0;
}
