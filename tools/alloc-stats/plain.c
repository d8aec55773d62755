/* SPDX-License-Identifier: MIT
 *
 * plain.c - what /proc knows of a process that does not use libarena.
 */
#include <stdlib.h>
#include <string.h>

#include "show.h"

/* Parts of file names, and whose malloc they mean. */
static const char *const other[][2] = {
	{"jemalloc", "jemalloc"}, {"tcmalloc", "tcmalloc"}, {"mimalloc", "mimalloc"},
	{"hardened_malloc", "hardened_malloc"}, {"snmalloc", "snmalloc"}, {"/ld-musl", "musl's malloc"},
};

void show_plain(FILE *f, struct target *t)
{
	char *rollup = target_proc(t, "smaps_rollup"), a[HUMAN_MAX];
	const char *malloc_name = "libc's malloc, or one of its own";
	uint64_t heap = 0, stack = 0, anonymous = 0, file = 0;

	for (size_t i = 0; i < t->nareas; i++) {
		const struct area *r = &t->areas[i];

		for (unsigned k = 0; k < sizeof other / sizeof *other; k++)
			if (strstr(r->name, other[k][0]) != NULL)
				malloc_name = other[k][1];
		if (strcmp(r->name, "[heap]") == 0)
			heap += r->rss;
		else if (strncmp(r->name, "[stack", 6) == 0)
			stack += r->rss;
		else if (r->file)
			file += r->rss;
		else
			anonymous += r->rss;
	}
	fprintf(f, "It uses %s.  From the kernel:\n", malloc_name);
	if (rollup != NULL) {
		fprintf(f, "RSS %s", human(a, (double)kb_line(rollup, "Rss")));
		fprintf(f, " = [heap] %s", human(a, (double)heap));
		fprintf(f, " + other anonymous memory %s", human(a, (double)anonymous));
		fprintf(f, " + files %s", human(a, (double)file));
		fprintf(f, " + stack %s\n", human(a, (double)stack));
		fprintf(f, "Pss %s", human(a, (double)kb_line(rollup, "Pss")));
		fprintf(f, ", swapped %s\n", human(a, (double)kb_line(rollup, "Swap")));
	}
	fprintf(f, "To see its heap, start it with `alloc-stats -- COMMAND`, or preload libarena.so.0.\n");
	free(rollup);
}
