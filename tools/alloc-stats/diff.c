/* SPDX-License-Identifier: MIT
 *
 * diff.c - what changed between two documents of --json: totals, then size classes by how much
 * their live bytes changed.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

struct change {
	int64_t size, live[2], empty[2];
};

static struct json_object *member(struct json_object *j, const char *name)
{
	struct json_object *v = NULL;

	return j != NULL && json_object_object_get_ex(j, name, &v) ? v : NULL;
}

static int64_t number(struct json_object *j, const char *name)
{
	return json_object_get_int64(member(j, name));
}

static void line(FILE *f, const char *name, int64_t a, int64_t b)
{
	char ta[HUMAN_MAX], tb[HUMAN_MAX], td[HUMAN_MAX];

	if (a == 0 && b == 0)
		return;
	fprintf(f, "  %-26s %10s %10s  %s%s\n", name, human(ta, (double)a), human(tb, (double)b),
		b > a ? "+" : "", human(td, (double)b - (double)a));
}

static bool is_ours(struct json_object *j)
{
	return number(j, "schema") == JSON_SCHEMA &&
	       json_object_is_type(member(j, "heap"), json_type_object) &&
	       json_object_is_type(member(j, "classes"), json_type_array);
}

static struct change *change_of(struct change *list, size_t *n, int64_t size)
{
	for (size_t i = 0; i < *n; i++)
		if (list[i].size == size)
			return &list[i];
	list[*n] = (struct change){.size = size};
	return &list[(*n)++];
}

/* Anybody may have written the documents: what they say may not fit into 64 bits. */
static int64_t less(int64_t b, int64_t a)
{
	return (int64_t)((uint64_t)b - (uint64_t)a);
}

static double moved(const struct change *c)
{
	return fabs(((double)c->live[1] - (double)c->live[0]) * (double)c->size);
}

static int by_moved(const void *a, const void *b)
{
	double x = moved(a), y = moved(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

static void classes(FILE *f, struct json_object *a, struct json_object *b)
{
	struct json_object *lists[] = {member(a, "classes"), member(b, "classes")};
	size_t most = json_object_array_length(lists[0]) + json_object_array_length(lists[1]), n = 0;
	struct change *list = grab((most + 1) * sizeof *list);

	for (unsigned k = 0; k < 2; k++)
		for (size_t i = 0; i < json_object_array_length(lists[k]); i++) {
			struct json_object *row = json_object_array_get_idx(lists[k], i);
			struct change *c = change_of(list, &n, number(row, "size"));

			c->live[k] = number(row, "live");
			c->empty[k] = number(row, "empty");
		}
	qsort(list, n, sizeof *list, by_moved);
	fprintf(f, "\n  %6s %12s %12s %12s %11s %12s\n", "class", "live A", "live B", "change", "bytes",
		"empty change");
	for (size_t i = 0; i < n; i++) {
		const struct change *c = &list[i];
		char t[HUMAN_MAX];
		int64_t d = less(c->live[1], c->live[0]);

		if (d == 0 && c->empty[0] == c->empty[1])
			continue;
		fprintf(f, "  %6" PRId64 " %12" PRId64 " %12" PRId64 " %+12" PRId64 " %11s %+12" PRId64 "\n",
			c->size, c->live[0], c->live[1], d, human(t, (double)d * (double)c->size),
			less(c->empty[1], c->empty[0]));
	}
	free(list);
}

bool show_diff(FILE *f, struct json_object *a, struct json_object *b)
{
	static const char *const heap[] = {"live", "peak_live", "internal", "cached", "empty", "tail", "dirty", "clean",
					   "metadata", "active", "mapped", "large", "huge"};
	static const char *const part[] = {"live", "cached", "fragmentation", "dirty", "clean",
					   "metadata", "outside"};
	struct json_object *pa = member(a, "process"), *pb = member(b, "process");
	bool known;

	if (!is_ours(a) || !is_ours(b))
		return false;
	fprintf(f, "A  %s\nB  %s\n", json_object_get_string(member(a, "verdict")),
		json_object_get_string(member(b, "verdict")));
	if (number(pa, "pid") != number(pb, "pid") ||
	    number(pa, "start_ticks") != number(pb, "start_ticks"))
		fprintf(f, "(two different processes)\n");
	else
		fprintf(f, "(%.1f seconds apart)\n", json_object_get_double(member(pb, "time")) -
							     json_object_get_double(member(pa, "time")));
	fprintf(f, "\n  %-26s %10s %10s  %s\n", "", "A", "B", "change");
	/* A core file says nothing of residence. */
	known = member(a, "resident") != NULL && member(b, "resident") != NULL;
	if (known)
		line(f, "RSS", number(member(a, "kernel"), "rss"), number(member(b, "kernel"), "rss"));
	for (unsigned i = 0; known && i < sizeof part / sizeof *part; i++) {
		char name[64];

		snprintf(name, sizeof name, "resident %s", part[i]);
		line(f, name, number(member(a, "resident"), part[i]),
		     number(member(b, "resident"), part[i]));
	}
	for (unsigned i = 0; i < sizeof heap / sizeof *heap; i++)
		line(f, heap[i], number(member(a, "heap"), heap[i]), number(member(b, "heap"), heap[i]));
	classes(f, a, b);
	return true;
}
