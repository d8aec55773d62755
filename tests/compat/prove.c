/* SPDX-License-Identifier: MIT
 *
 * prove.c - ends with 0 only if the library named in PROBE_LIB serves malloc, see probe.h.
 */
#include "probe.h"

int main(void)
{
	prove_library();
	return 0;
}
