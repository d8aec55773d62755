/* SPDX-License-Identifier: MIT
 *
 * neighbour.c - a shared object that only the RUNPATH of plugin.so leads to.
 */
int neighbour(void);

int neighbour(void)
{
	return 1;
}
