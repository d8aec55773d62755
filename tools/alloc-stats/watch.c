/* SPDX-License-Identifier: MIT
 *
 * watch.c - one line per interval: what there is, and what changed since the line before.
 */
#include "watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "show.h"

/* Columns are headed anew as often as a screen has lines. */
#define HEAD_EVERY 20

static void column(FILE *f, double now, double before, bool first)
{
	double mib = 1024 * 1024, d = (now - before) / mib;
	char change[16] = "";

	if (!first && fabs(d) >= 0.05)
		snprintf(change, sizeof change, "%+.*f", fabs(d) < 99.95, d);
	fprintf(f, " %9.1f %7s", now / mib, change);
}

/* The class whose live bytes changed most. */
static void biggest_change(FILE *f, const struct snapshot *s, const struct snapshot *before)
{
	double most = 0;
	unsigned which = 0;

	for (unsigned c = 1; c < NCLASSES; c++) {
		double d = ((double)s->cls[c].live - (double)before->cls[c].live) * s->cls[c].size;

		if (fabs(d) > fabs(most)) {
			most = d;
			which = c;
		}
	}
	if (which != 0)
		fprintf(f, "  %+.0f x %u", most / s->cls[which].size, s->cls[which].size);
}

static void text_line(FILE *f, const struct snapshot *s, const struct snapshot *before, uint64_t i)
{
	const struct snapshot *b = before != NULL ? before : s;
	time_t seconds = (time_t)s->time;
	struct tm tm;
	char clock[16];

	if (i % HEAD_EVERY == 0)
		fprintf(f, "%-10s %9s %7s %9s %7s %9s %7s %9s %7s  %s\n", "MiB", "RSS", "", "live", "",
			"fragm.", "", "dirty", "", "class that changed most");
	localtime_r(&seconds, &tm);
	strftime(clock, sizeof clock, "%H:%M:%S", &tm);
	fprintf(f, "%-8s.%d", clock, (int)(10 * (s->time - (double)seconds)) % 10);
	column(f, (double)s->rss, (double)b->rss, before == NULL);
	column(f, (double)s->live, (double)b->live, before == NULL);
	column(f, (double)(s->empty + s->tail), (double)(b->empty + b->tail), before == NULL);
	column(f, (double)s->dirty, (double)b->dirty, before == NULL);
	if (before != NULL)
		biggest_change(f, s, b);
	if (s->torn > 0)
		fprintf(f, "  (%llu torn)", (unsigned long long)s->torn);
	fputc('\n', f);
}

static void json_line(FILE *f, const struct snapshot *s)
{
	struct json_object *j = json_heap(s);

	fprintf(f, "%s\n", json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(j);
}

int watch(FILE *f, struct target *t, double seconds, uint64_t count, bool json)
{
	struct snapshot *before = NULL, *s;
	double next = now_seconds();
	int status = 0;

	for (uint64_t i = 0; count == 0 || i < count; i++) {
		double wait = next - now_seconds();
		struct timespec ts = {(time_t)wait, (long)((wait - floor(wait)) * 1e9)};

		if (wait > 0)
			nanosleep(&ts, NULL);
		next = wait > -seconds ? next + seconds : now_seconds() + seconds;
		s = snapshot_take(t);
		if (s == NULL || !target_alive(t)) {
			snapshot_free(s);
			if (before == NULL) {
				warning("%s", t->error != NULL ? t->error : "it has ended");
				status = t->error != NULL ? t->error_status : EXIT_FAILED;
			} else {
				warning("process %d has ended", t->pid);
			}
			break;
		}
		if (json)
			json_line(f, s);
		else
			text_line(f, s, before, i);
		if (fflush(f) != 0)
			break;
		snapshot_free(before);
		before = s;
	}
	snapshot_free(before);
	return status;
}
