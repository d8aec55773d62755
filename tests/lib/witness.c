/* SPDX-License-Identifier: MIT
 *
 * witness.c - preloaded behind libarena: testifies, for every program that starts, whose malloc it
 * got.  Its constructor adds one line "PROGRAM OBJECT SEEN" to the file ARENA_WITNESS: the file
 * that malloc comes from (dladdr), and "counted" when libarena's own counter saw a block.
 * Allocates nothing itself but that block; says nothing when ARENA_WITNESS is not set.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arena/amalloc.h>

static int counter_sees_block(void)
{
	int (*stats)(struct amalloc_stats *, size_t);
	struct amalloc_stats before, after;
	void *volatile block;
	int seen;

	*(void **)&stats = dlsym(RTLD_DEFAULT, "amalloc_stats");
	if (!stats || stats(&before, sizeof before) != 0)
		return 0;
	block = malloc((size_t)1 << 20); /* 1 MiB: no cache has it, so the counter must move */
	seen = block && stats(&after, sizeof after) == 0 && after.live >= before.live + (1 << 20);
	free(block);
	return seen;
}

__attribute__((constructor))
static void testify(void)
{
	const char *path = getenv("ARENA_WITNESS"), *slash;
	char line[512], program[256] = "?";
	ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
	Dl_info info;
	int fd, n;

	if (!path)
		return;
	if (length > 0)
		program[length] = '\0';
	slash = strrchr(program, '/');
	if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info))
		info.dli_fname = "nobody";
	n = snprintf(line, sizeof line, "%s %s %s\n", slash ? slash + 1 : program, info.dli_fname,
		     counter_sees_block() ? "counted" : "not-counted");
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	/* One write of one line: appends of many processes do not mix. */
	if (write(fd, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1) < 0)
		_exit(70); /* a witness that cannot speak must be noticed */
	close(fd);
}
