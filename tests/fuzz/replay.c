/* SPDX-License-Identifier: MIT
 *
 * replay.c - runs a fuzz target without a fuzzer: each file that it is given, or without any those of
 * FUZZ_FOUND (what once crashed), then inputs of a fixed seed.  TAP; a crash ends it and so fails it.
 *
 *   replay [-n INPUTS] [FILE...]
 */
#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "input.h"

/* Some hundred calls. */
enum { LENGTH_MAX = 2048 };
static uint8_t buffer[1 << 20];

static uint64_t random64(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void replay(const char *path)
{
	FILE *f = fopen(path, "rb");

	REQUIRE(f != NULL, "%s cannot be read", path);
	LLVMFuzzerTestOneInput(buffer, fread(buffer, 1, sizeof buffer, f));
	fclose(f);
}

int main(int argc, char **argv)
{
	unsigned long inputs = FUZZ_INPUTS;
	uint64_t state = 20240;
	glob_t found;
	int c;

	while ((c = getopt(argc, argv, "n:")) == 'n')
		inputs = strtoul(optarg, NULL, 10);
	if (glob(FUZZ_FOUND, 0, NULL, &found) != 0)
		found.gl_pathc = 0;
	for (size_t i = 0; optind == argc && i < found.gl_pathc; i++)
		replay(found.gl_pathv[i]);
	printf("ok 1 - %zu inputs that were found\n", found.gl_pathc);
	for (int i = optind; i < argc; i++)
		replay(argv[i]);
	for (unsigned long i = 0; i < inputs; i++) {
		size_t n = random64(&state) % LENGTH_MAX;

		for (size_t k = 0; k < n; k++)
			buffer[k] = (uint8_t)(random64(&state) >> 32);
		LLVMFuzzerTestOneInput(buffer, n);
	}
	printf("ok 2 - %lu inputs of a fixed seed\n1..2\n", inputs);
	return 0;
}
