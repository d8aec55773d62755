/* SPDX-License-Identifier: MIT
 *
 * sizeclass.h - from size to class and back.  Layer base.
 *
 * Classes 1 .. 32 are the multiples of 16 to 512.  Above, each doubling 2^k .. 2^(k+1) has five
 * classes 2^k * (9, 10, 12, 14, 16) / 8: four of equal steps, and one for a power of two with a
 * small header, which many programs ask for.  For every class c and size s:
 *     sizeclass_of(s) == c  <=>  class_size(c - 1) < s <= class_size(c)     (class_size(0) == 0)
 */
#ifndef ARN_SIZECLASS_H
#define ARN_SIZECLASS_H

#include "bits.h"
#include "tuning.h"

/* What the run layer needs to know of a class. */
struct sizeclass {
	uintptr_t inverse;   /* of the odd part of size, modulo 2^(bits of a pointer) */
	uint32_t size;       /* bytes of a region */
	uint16_t run_pages;  /* pages of the first run: the fewest that lose at most an eighth */
	uint16_t run_max;    /* pages of the largest run */
	uint16_t cache_max;  /* pointers that a tcache bin may hold */
	uint16_t refill_max; /* regions that one refill may take */
	uint8_t shift;       /* size == odd part << shift */
};
extern const struct sizeclass arn_class[NCLASSES] ARN_HIDDEN;

/* For 1 <= size <= DIRECT_MAX (0 gives the empty class 0). */
ARN_HOT size_t sizeclass_direct(size_t size)
{
	return (size + QUANTUM - 1) >> QUANTUM_SHIFT;
}

/* For DIRECT_MAX < size <= SMALL_MAX.  With k = log2(size - 1), the three bits below the leading
 * one choose among the doubling's five classes (a digit each); k = 9 begins at class 33. */
ARN_HOT size_t sizeclass_medium(size_t size)
{
	size_t s = size - 1;
	unsigned k = bits_log2(s);

	return 5 * k - 12 + (0x44332210u >> (s >> (k - 3) & 7) * 4 & 7);
}

/* For 1 <= size <= SMALL_MAX. */
static inline unsigned sizeclass_of(size_t size)
{
	return (unsigned)(size <= DIRECT_MAX ? sizeclass_direct(size) : sizeclass_medium(size));
}

/* Index of the region that starts at OFFSET of a run, or a number above RUN_REGIONS_MAX when none
 * does: dividing exactly by size == odd << shift is multiplying by the inverse of odd and rotating
 * by shift, and for every other number the result is above UINTPTR_MAX / size >= 2^17 - 1 (Granlund
 * and Montgomery, PLDI 1994, section 9).  So one compare with the number of regions finds interior
 * pointers, and those of other runs, too. */
static inline uintptr_t sizeclass_region(const struct sizeclass *c, uintptr_t offset)
{
	return bits_ror(offset * c->inverse, c->shift);
}

#endif
