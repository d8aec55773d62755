/* SPDX-License-Identifier: MIT
 *
 * sizeclass.c - the table of size classes, computed by the compiler from the list of sizes.
 * Layer base.
 */
#include "sizeclass.h"

/* Bytes of the largest run of a class: at least 64 regions of the small ones, 8 of the large. */
#define RUN_BYTES_MAX(s) ((s) <= 1 * KIB ? 64 * KIB : (s) <= 4 * KIB ? 128 * KIB : 256 * KIB)
#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define MAX(a, b)        ((a) > (b) ? (a) : (b))

/* Bytes of regions that a tcache bin may hold. */
#define TCACHE_BYTES(s) ((s) <= 1 * KIB ? TCACHE_BYTES_SMALL : TCACHE_BYTES_LARGE)

/* The fewest pages whose tail is at most an eighth of them (5 pages of the 20 KiB class hold
 * exactly 4 regions; one page could hold none). */
#define FITS(s, p) ((p)*PAGE_BYTES >= (s) && ((p)*PAGE_BYTES) % (s)*8 <= (p)*PAGE_BYTES)
#define RUN_PAGES(s)                                                                               \
	(FITS(s, 1) ? 1 : FITS(s, 2) ? 2 : FITS(s, 3) ? 3 : FITS(s, 4) ? 4 : FITS(s, 5) ? 5 : 7)

#define RUN_PAGES_MAX(s) MAX(RUN_PAGES(s), MIN(RUN_BYTES_MAX(s), RUN_REGIONS_MAX *(s)) / PAGE_BYTES)

#define ODD(s) ((uintptr_t)(s) >> __builtin_ctz((uint32_t)(s)))
/* Newton's steps double the right bits: 3 in o itself, then 6, 12, 24, 48, 96. */
#define STEP(o, x) ((x) * (2u - (o) * (x)))
#define INVERSE(o) STEP(o, STEP(o, STEP(o, STEP(o, STEP(o, o)))))

#define CLASS(s)                                                                                   \
	{                                                                                          \
		.size = (s),                                                                       \
		.inverse = INVERSE(ODD(s)),                                                        \
		.shift = (uint8_t)__builtin_ctz(s),                                                \
		.run_pages = RUN_PAGES(s),                                                         \
		.run_max = RUN_PAGES_MAX(s),                                                       \
		.cache_max = MAX(TCACHE_CAP_MIN, MIN(TCACHE_CAP_MAX, TCACHE_BYTES(s) / (s))),      \
		.refill_max = MAX(1, MIN(REFILL_MAX, REFILL_BYTES_MAX / (s))),                     \
	},
#define FOUR(s)     CLASS(s) CLASS((s) + 16) CLASS((s) + 32) CLASS((s) + 48)
#define DOUBLING(s) CLASS((s)*9 / 8) CLASS((s)*5 / 4) CLASS((s)*6 / 4) CLASS((s)*7 / 4) CLASS((s)*2)

const struct sizeclass arn_class[NCLASSES] = {
	{.size = 0, .inverse = 1},
	FOUR(16) FOUR(80) FOUR(144) FOUR(208) FOUR(272) FOUR(336) FOUR(400) FOUR(464) DOUBLING(512)
		DOUBLING(1024) DOUBLING(2048) DOUBLING(4096) DOUBLING(8192) DOUBLING(16384)};
