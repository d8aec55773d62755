/* SPDX-License-Identifier: MIT
 *
 * patterns.c - what the API tests share: fill patterns that show any overlap or lost byte, a
 * generator, the size of this process, and children with a time limit.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "form.h"

static uint64_t word_at(size_t index, uint64_t seed)
{
	/* An odd multiplier (golden ratio) makes every word of every block different. */
	return (index + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ seed;
}

static unsigned char byte_at(size_t offset, uint64_t seed)
{
	return (unsigned char)(word_at(offset / 8, seed) >> (offset % 8 * 8));
}

void pattern_fill(void *block, size_t from, size_t to, uint64_t seed)
{
	unsigned char *p = block;

	while (from < to && from % 8)
		p[from] = byte_at(from, seed), from++;
	for (; from + 8 <= to; from += 8) {
		uint64_t word = word_at(from / 8, seed);

		/* Byte order: byte_at() takes the low byte first. */
		for (int i = 0; i < 8; i++)
			p[from + (size_t)i] = (unsigned char)(word >> (i * 8));
	}
	while (from < to)
		p[from] = byte_at(from, seed), from++;
}

int pattern_holds(const void *block, size_t from, size_t to, uint64_t seed)
{
	const unsigned char *p = block;

	while (from < to && from % 8) {
		if (p[from] != byte_at(from, seed))
			return 0;
		from++;
	}
	for (; from + 8 <= to; from += 8) {
		uint64_t word = 0;

		for (int i = 0; i < 8; i++)
			word |= (uint64_t)p[from + (size_t)i] << (i * 8);
		if (word != word_at(from / 8, seed))
			return 0;
	}
	for (; from < to; from++)
		if (p[from] != byte_at(from, seed))
			return 0;
	return 1;
}

int all_bytes_are(const void *block, size_t size, unsigned char byte)
{
	const unsigned char *p = block;

	/* The block compared with itself, one byte on: memcmp's speed without a second block. */
	return size == 0 || (p[0] == byte && memcmp(p, p + 1, size - 1) == 0);
}

uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

size_t random_size(uint64_t *state)
{
	uint64_t r = random_next(state);
	unsigned kind = (unsigned)(r >> 56); /* 0..255 */

	if (kind < 200)
		return (size_t)(r % 512) + 1;
	if (kind < 250)
		return (size_t)(r % 16384) + 1;
	if (kind < 255)
		return (size_t)(r % 131072) + 1;
	return (size_t)(r % 1048576) + 1;
}

size_t resident_bytes(void)
{
	char text[128];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	char *second;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	second = strchr(text, ' ');
	return second ? strtoul(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

int in_child(int (*body)(void *), void *arg, unsigned seconds)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(seconds);
		_exit(body(arg));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}
