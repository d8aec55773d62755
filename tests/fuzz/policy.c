/* SPDX-License-Identifier: MIT
 *
 * policy.c - arena.conf and its directory from bytes, for libFuzzer or as a plain program that reads
 * files.  The OS layer is played here: what policy.c opens, lists, reads and is told comes from
 * the input, in pieces of any size, with refusals in between.
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc -o fuzz-policy tests/fuzz/policy.c \
 *       src/policy.c src/options.c
 *   ./fuzz-policy -max_len=8192 -dict=tests/fuzz/policy.dict
 */
#include <stdlib.h>
#include <string.h>

#include "fatal.h"
#include "os.h"
#include "policy.h"

static const uint8_t *input;
static size_t left;
static unsigned warnings;

static unsigned take(void)
{
	return left > 0 ? (left--, *input++) : 0;
}

int arn_os_open(int dir, const char *path)
{
	unsigned c = take();

	(void)dir;
	if (strlen(path) == 0)
		abort();
	return c < 8 ? -(int)c - 1 : 3;
}

void arn_os_close(int fd)
{
	if (fd != 3)
		abort();
}

/* Up to N bytes; mostly as many as there are before a byte 0xff. */
static long some(void *buf, size_t n)
{
	size_t m = 0;

	while (m < n && m < left && input[m] != 0xff)
		m++;
	memcpy(buf, input, m);
	input += m;
	left -= m;
	if (left > 0 && *input == 0xff)
		take();
	return (long)m;
}

long arn_os_read(int fd, void *buf, size_t n)
{
	unsigned c = take();

	(void)fd;
	return c == 0xfe ? -5 : some(buf, n);
}

/* As the kernel makes it: 8-byte aligned entries with names that end. */
long arn_os_list(int fd, void *buf, size_t n)
{
	size_t at = 0;

	(void)fd;
	memset(buf, 0, n);
	while (left > 0 && at + 320 < n) {
		char name[256];
		long m = some(name, take() % 251);
		uint16_t step = (uint16_t)((19 + (size_t)m + 6 + 7) & ~(size_t)7);

		if (m == 0)
			break;
		memcpy((char *)buf + at + 16, &step, 2);
		memcpy((char *)buf + at + 19, name, (size_t)m);
		if (take() & 1)
			memcpy((char *)buf + at + 19 + strlen((char *)buf + at + 19), ".conf", 5);
		at += step;
	}
	return (long)at;
}

long arn_os_readlink(const char *path, char *buf, size_t n)
{
	(void)path;
	return take() == 0 ? -2 : some(buf, n);
}

bool arn_os_stat(int fd, struct os_file *f)
{
	unsigned c = take();

	(void)fd;
	*f = (struct os_file){.uid = c & 1 ? 0 : 1000, .mode = c & 2 ? 0644 : 0666, .regular = c & 4};
	return (c & 8) != 0;
}

bool arn_os_is_secure(void)
{
	return left & 1;
}

uint32_t arn_os_uid(void)
{
	return 1000;
}

const char *arn_os_execfn(void)
{
	return left & 2 ? "/usr/bin/program" : NULL;
}

void arn_warn(const char *text, const char *detail, size_t detail_n)
{
	/* Once, and nothing that a terminal would obey. */
	if (++warnings > 1 || strlen(text) == 0)
		abort();
	for (size_t i = 0; detail != NULL && i < detail_n; i++)
		if (detail[i] < ' ' || detail[i] > '~')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct options defaults = {
#define OPTION(name, value, lowest, highest, what) .name = (value),
#include "options.def"
#undef OPTION
	};

	input = data;
	left = size;
	warnings = 0;
	arn_options = defaults;
	memset(arn_option_sources, 0, sizeof arn_option_sources);
	arn_policy.nwrong = arn_policy.nfiles = 0;
	arn_policy_read();
#define OPTION(name, value, lowest, highest, what)                                                 \
	if (arn_options.name < (lowest) && (lowest) > 0)                                           \
		abort();                                                                           \
	if (arn_options.name > (highest))                                                          \
		abort();
#include "options.def"
#undef OPTION
	for (int i = 0; i < OPTION_COUNT; i++)
		if (memchr(arn_option_sources[i].file, '\0', OPTION_FILE_BYTES) == NULL)
			abort();
	return 0;
}
