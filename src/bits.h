/* SPDX-License-Identifier: MIT
 *
 * bits.h - small arithmetic on words and on bitmaps of 64-bit words.  Layer base.
 *
 * A bitmap of n bits is (n + 63) / 64 words; bit i is bit i % 64 of word i / 64.
 */
#ifndef ARN_BITS_H
#define ARN_BITS_H

#include "compiler.h"

#define WORD_BITS 64u

static inline unsigned bits_ctz(uint64_t w)
{
	return (unsigned)__builtin_ctzll(w);
}

static inline unsigned bits_popcount(uint64_t w)
{
#ifdef __POPCNT__
	return (unsigned)__builtin_popcountll(w);
#else
	/* Sums of 2, 4 and 8 bits side by side, then all bytes into the highest; the compiler would
	 * call a function with a table. */
	w -= w >> 1 & 0x5555555555555555u;
	w = (w & 0x3333333333333333u) + (w >> 2 & 0x3333333333333333u);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (unsigned)(w * 0x0101010101010101u >> 56);
#endif
}

/* Index of the highest set bit; X must not be 0. */
static inline unsigned bits_log2(uintptr_t x)
{
	/* Not 63 minus it: x86 counts from the other end, with one more xor, which this one undoes.
	 */
	return (unsigned)(sizeof(long long) * 8 - 1) ^ (unsigned)__builtin_clzll(x);
}

/* N below the number of bits. */
static inline uintptr_t bits_ror(uintptr_t x, unsigned n)
{
	return x >> n | x << (-n & (sizeof x * 8 - 1));
}

static inline bool bits_is_pow2(uintptr_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

static inline uintptr_t bits_round_up(uintptr_t x, uintptr_t pow2)
{
	return (x + pow2 - 1) & ~(pow2 - 1);
}

static inline uintptr_t bits_round_down(uintptr_t x, uintptr_t pow2)
{
	return x & ~(pow2 - 1);
}

/* The lowest n bits, 1 <= n <= 64. */
static inline uint64_t bits_low(unsigned n)
{
	return ~0ull >> (WORD_BITS - n);
}

static inline bool bitmap_test(const uint64_t *map, unsigned i)
{
	return map[i / WORD_BITS] >> (i % WORD_BITS) & 1;
}

/* Sets bit I % 64 of *W, a variable that nobody else sees; returns whether it was set.  x86 has one
 * instruction for that, which no compiler makes of a test and an or. */
static inline bool bits_test_and_set(uint64_t *w, uintptr_t i)
{
	bool was;

#ifdef __x86_64__
	__asm__("btsq %2, %0" : "+r"(*w), "=@ccc"(was) : "r"((uint64_t)i));
#else
	was = *w >> (i % WORD_BITS) & 1;
	*w |= 1ull << (i % WORD_BITS);
#endif
	return was;
}

/* Sets (ON) or clears bits [from, from + n). */
static inline void bitmap_fill(uint64_t *map, unsigned from, unsigned n, bool on)
{
	while (n > 0) {
		unsigned bit = from % WORD_BITS;
		unsigned take = n < WORD_BITS - bit ? n : WORD_BITS - bit;
		uint64_t mask = bits_low(take) << bit;

		if (on)
			map[from / WORD_BITS] |= mask;
		else
			map[from / WORD_BITS] &= ~mask;
		from += take;
		n -= take;
	}
}

/* The first bit at or after FROM whose value is ON, or N when there is none below N. */
static inline unsigned bitmap_next(const uint64_t *map, unsigned from, unsigned n, bool on)
{
	while (from < n) {
		uint64_t w = on ? map[from / WORD_BITS] : ~map[from / WORD_BITS];

		w &= ~0ull << (from % WORD_BITS);
		if (w != 0) {
			unsigned i = from / WORD_BITS * WORD_BITS + bits_ctz(w);

			return i < n ? i : n;
		}
		from = (from / WORD_BITS + 1) * WORD_BITS;
	}
	return n;
}

/* The last bit in [from, n) whose value is ON, or N when there is none. */
static inline unsigned bitmap_last(const uint64_t *map, unsigned from, unsigned n, bool on)
{
	unsigned end = n;

	while (end > from) {
		unsigned i = (end - 1) / WORD_BITS;
		uint64_t w = on ? map[i] : ~map[i];

		w &= bits_low((end - 1) % WORD_BITS + 1);
		end = i * WORD_BITS;
		if (w != 0) {
			i = end + (WORD_BITS - 1) - (unsigned)__builtin_clzll(w);
			return i >= from ? i : n;
		}
	}
	return n;
}

/* How many of bits [from, from + n) are set. */
static inline unsigned bitmap_count(const uint64_t *map, unsigned from, unsigned n)
{
	unsigned sum = 0;

	while (n > 0) {
		unsigned bit = from % WORD_BITS;
		unsigned take = n < WORD_BITS - bit ? n : WORD_BITS - bit;

		uint64_t w = map[from / WORD_BITS] >> bit & bits_low(take);

		sum += w == bits_low(take) ? take : bits_popcount(w);
		from += take;
		n -= take;
	}
	return sum;
}

#endif
