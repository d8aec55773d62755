/* SPDX-License-Identifier: MIT
 *
 * json.c - the form for machines.  The schema only grows; a change of meaning raises JSON_SCHEMA.
 */
#include <stdlib.h>

#include "show.h"

/* A damaged core may claim any figure: one that does not fit is the largest that does. */
static int64_t whole(double value)
{
	const double limit = 0x1p63;

	value += value < 0 ? -0.5 : 0.5;
	return value >= limit ? INT64_MAX : value > -limit ? (int64_t)value : INT64_MIN;
}

static void number(struct json_object *j, const char *name, double value)
{
	json_object_object_add(j, name, json_object_new_int64(whole(value)));
}

static void text(struct json_object *j, const char *name, char *value)
{
	json_object_object_add(j, name, json_object_new_string(value));
	free(value);
}

static struct json_object *process(const struct snapshot *s)
{
	struct json_object *j = json_object_new_object();

	number(j, "pid", s->pid);
	text(j, "command", grab_text(s->command));
	text(j, "libarena", grab_text(s->version));
	json_object_object_add(j, "core", json_object_new_boolean(s->core));
	number(j, "start_ticks", (double)s->start_ticks);
	json_object_object_add(j, "time", json_object_new_double(s->time));
	return j;
}

static struct json_object *kernel(const struct snapshot *s)
{
	struct json_object *j = json_object_new_object();

	number(j, "rss", (double)s->rss);
	number(j, "pss", (double)s->pss);
	number(j, "swap", (double)s->swap);
	number(j, "peak_rss", (double)s->peak_rss);
	return j;
}

static struct json_object *totals(const struct snapshot *s)
{
	double blow_up = snapshot_blow_up(s);
	struct json_object *j = json_object_new_object();

	number(j, "live", (double)s->live);
	number(j, "live_small", (double)s->small_live);
	number(j, "large", (double)s->large);
	number(j, "large_blocks", (double)s->large_blocks);
	number(j, "huge", (double)s->huge_live);
	number(j, "cached", (double)s->cached);
	number(j, "empty", (double)s->empty);
	number(j, "tail", (double)s->tail);
	number(j, "active", (double)s->active);
	number(j, "dirty", (double)s->dirty);
	number(j, "clean", (double)s->clean);
	number(j, "metadata", (double)s->metadata);
	number(j, "mapped", (double)s->mapped);
	number(j, "peak_live", (double)s->peak_live);
	number(j, "peak_active", (double)s->peak_active);
	number(j, "peak_mapped", (double)s->peak_mapped);
	number(j, "purged", (double)s->purged);
	number(j, "recorded", (double)s->recorded);
	number(j, "internal", (double)s->internal);
	number(j, "internal_max", (double)s->internal_max);
	json_object_object_add(j, "blow_up", blow_up > 0 ? json_object_new_double(blow_up) : NULL);
	number(j, "live_untouched", s->live_untouched);
	number(j, "live_swapped", s->live_swapped);
	number(j, "chunks", (double)s->nchunks);
	number(j, "heaps", (double)s->threads);
	number(j, "heaps_parked", (double)s->parked);
	number(j, "sized_delete_mismatches", (double)s->mismatches);
	return j;
}

static struct json_object *resident(const struct snapshot *s)
{
	struct json_object *j;

	if (!s->resident_known)
		return NULL;
	j = json_object_new_object();
	number(j, "live", s->part.live);
	number(j, "cached", s->part.cached);
	number(j, "fragmentation", s->part.fragmentation);
	number(j, "dirty", s->part.dirty);
	number(j, "clean", s->part.clean);
	number(j, "metadata", s->part.metadata);
	number(j, "outside", s->part.outside);
	number(j, "difference", s->part.difference);
	return j;
}

static struct json_object *classes(const struct snapshot *s)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 1; i < NCLASSES; i++) {
		const struct class_row *k = &s->cls[i];
		struct json_object *j;

		if (k->regions == 0)
			continue;
		j = json_object_new_object();
		number(j, "size", k->size);
		number(j, "runs", (double)k->runs);
		number(j, "empty_runs", (double)k->empty_runs);
		number(j, "regions", (double)k->regions);
		number(j, "live", (double)k->live);
		number(j, "cached", (double)k->cached);
		number(j, "empty", (double)k->empty);
		number(j, "active_bytes", (double)k->active);
		number(j, "tail_bytes", (double)k->tail);
		number(j, "recorded_bytes", (double)k->recorded);
		number(j, "internal_bytes", (double)k->internal);
		if (s->resident_known) {
			number(j, "resident_out_bytes", k->resident_out);
			number(j, "resident_empty_bytes", k->resident_empty);
		}
		json_object_array_add(list, j);
	}
	return list;
}

static struct json_object *starters(const struct snapshot *s)
{
	struct json_object *j = json_object_new_object();

	number(j, "runs", (double)s->starters);
	number(j, "out_bytes", (double)s->starter_out);
	number(j, "active_bytes", (double)(s->starters << PAGE_SHIFT));
	return j;
}

static struct json_object *heaps(const struct snapshot *s)
{
	static const char *const kind[] = {"none", "thread", "shared", "lost"};
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < s->nheaps; i++) {
		const struct heap_row *h = &s->heaps[i];
		struct json_object *j = json_object_new_object();

		number(j, "id", h->id);
		text(j, "kind", grab_text(h->kind < 4 ? kind[h->kind] : "?"));
		json_object_object_add(j, "parked", json_object_new_boolean(h->parked));
		number(j, "runs", (double)h->runs);
		number(j, "out_bytes", (double)h->out);
		number(j, "cached_bytes", (double)h->cached);
		json_object_array_add(list, j);
	}
	return list;
}

static struct json_object *reading(const struct snapshot *s)
{
	struct json_object *j = json_object_new_object();

	number(j, "torn", (double)s->torn);
	number(j, "attempts", s->attempts);
	json_object_object_add(j, "seconds", json_object_new_double(s->seconds));
	return j;
}

struct json_object *json_heap(const struct snapshot *s)
{
	struct json_object *j = json_object_new_object();

	number(j, "schema", JSON_SCHEMA);
	json_object_object_add(j, "process", process(s));
	text(j, "verdict", verdict_line(s));
	text(j, "advice", verdict_advice(s));
	json_object_object_add(j, "kernel", s->core ? NULL : kernel(s));
	json_object_object_add(j, "heap", totals(s));
	json_object_object_add(j, "resident", resident(s));
	json_object_object_add(j, "classes", classes(s));
	json_object_object_add(j, "starters", starters(s));
	json_object_object_add(j, "heaps", heaps(s));
	json_object_object_add(j, "reading", reading(s));
	return j;
}

void show_json(FILE *f, struct json_object *j)
{
	fprintf(f, "%s\n", json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
}
