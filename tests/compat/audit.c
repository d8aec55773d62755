/* SPDX-License-Identifier: MIT
 *
 * audit.c - the smallest useful LD_AUDIT library: with one present, ld.so lays out TLS before
 * it maps the preloads, and calls malloc before libc is relocated.
 */
#include <link.h>

unsigned int la_version(unsigned int version)
{
	return version;
}

unsigned int la_objopen(struct link_map *map, Lmid_t lmid, uintptr_t *cookie)
{
	(void)map;
	(void)lmid;
	(void)cookie;
	return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
