/* SPDX-License-Identifier: MIT
 *
 * sizeclass.h - from size to class and back.  Layer base.
 *
 * Classes 1 .. 32 are the multiples of 16 to 512.  Above, each doubling 2^k .. 2^(k+1) has four
 * classes 2^k * (5, 6, 7, 8) / 4.  For every class c and size s:
 *     sizeclass_of(s) == c  <=>  class_size(c - 1) < s <= class_size(c)     (class_size(0) == 0)
 */
#ifndef ARN_SIZECLASS_H
#define ARN_SIZECLASS_H

#include "bits.h"
#include "tuning.h"

/* What the run layer needs to know of a class. */
struct sizeclass {
	uint32_t size;       /* bytes of a region */
	uint32_t recip;      /* ceil(2^31 / (size / 16)): division by multiplication */
	uint16_t run_pages;  /* pages of the first run: the fewest that lose at most an eighth */
	uint16_t run_max;    /* pages of the largest run */
	uint16_t cache_max;  /* pointers that a tcache bin may hold */
	uint16_t refill_max; /* regions that one refill may take */
};
extern const struct sizeclass arn_class[NCLASSES] ARN_HIDDEN;

/* For 1 <= size <= DIRECT_MAX (0 gives the empty class 0). */
ARN_HOT size_t sizeclass_direct(size_t size)
{
	return (size + QUANTUM - 1) >> QUANTUM_SHIFT;
}

/* For DIRECT_MAX < size <= SMALL_MAX.  With k = log2(size - 1), the two bits below the leading one
 * choose among the doubling's four classes; k = 9 begins at class 33. */
ARN_HOT size_t sizeclass_medium(size_t size)
{
	size_t s = size - 1;
	unsigned k = bits_log2(s);

	return 4 * k + (s >> (k - 2)) - 7;
}

/* For 1 <= size <= SMALL_MAX. */
static inline unsigned sizeclass_of(size_t size)
{
	return (unsigned)(size <= DIRECT_MAX ? sizeclass_direct(size) : sizeclass_medium(size));
}

/* Index of the region that holds byte OFFSET of a run.  Exact for offsets below 2^18: with
 * n = offset / 16 < 2^14 and d = size / 16 <= 2^11 the error n * (recip * d - 2^31) is below
 * 2^25, less than 2^31. */
static inline unsigned sizeclass_region(unsigned cls, size_t offset)
{
	return (unsigned)((offset >> QUANTUM_SHIFT) * (uint64_t)arn_class[cls].recip >> 31);
}

#endif
