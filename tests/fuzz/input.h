/* SPDX-License-Identifier: MIT
 *
 * input.h - what the fuzz targets share: bytes taken from the input, and a check that ends the
 * process with its text.  A target is one function, LLVMFuzzerTestOneInput(); libFuzzer, AFL++ and
 * replay.c call it.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(e, ...) \
	do { \
		if (!(e)) { \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #e); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			abort(); \
		} \
	} while (0)

struct input {
	const uint8_t *at, *end;
};

/* The next N bytes as a number; zeros behind the end. */
static inline uint64_t take(struct input *in, unsigned n)
{
	uint64_t x = 0;

	for (unsigned i = 0; i < n; i++)
		x |= (uint64_t)(in->at < in->end ? *in->at++ : 0) << 8 * i;
	return x;
}

#endif
