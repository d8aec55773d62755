/* SPDX-License-Identifier: MIT
 *
 * residence.c - the part of a snapshot that the kernel knows: the process's own figures, the
 * allocator's metadata that is resident, and what lies outside of the heap.
 */
#include <stdlib.h>
#include <string.h>

#include "snapshot.h"

static int by_start(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Resident bytes of the metadata that the walk met, each page once. */
static double marks_resident(struct walk *w)
{
	uint64_t done = 0;
	double sum = 0;

	qsort(w->marks, w->nmarks, sizeof *w->marks, by_start);
	for (size_t i = 0; i < w->nmarks; i++) {
		uint64_t from = w->marks[i].start > done ? w->marks[i].start : done;
		double resident, swapped;

		if (from >= w->marks[i].end)
			continue;
		done = w->marks[i].end;
		if (target_mapped(w->t, from, done - from) &&
		    target_resident_bytes(w->t, from, done, &resident, &swapped))
			sum += resident;
	}
	return sum;
}

static void process_figures(struct walk *w)
{
	struct snapshot *s = w->s;
	char *rollup = target_proc(w->t, "smaps_rollup"), *status = target_proc(w->t, "status");
	char *stat = target_proc(w->t, "stat"), *field;

	if (rollup != NULL) {
		s->rss = kb_line(rollup, "Rss");
		s->pss = kb_line(rollup, "Pss");
		s->swap = kb_line(rollup, "Swap");
	}
	if (status != NULL) {
		s->peak_rss = kb_line(status, "VmHWM");
		if (rollup == NULL)
			s->rss = kb_line(status, "VmRSS");
	}
	/* The kernel updates its peak late. */
	if (s->peak_rss < s->rss)
		s->peak_rss = s->rss;
	/* starttime is the 22nd field, the 20th behind the name in parentheses. */
	field = stat != NULL ? strrchr(stat, ')') : NULL;
	for (int i = 0; field != NULL && i < 20; i++)
		field = strchr(field + 1, ' ');
	s->start_ticks = field != NULL ? strtoull(field, NULL, 10) : 0;
	free(rollup);
	free(status);
	free(stat);
}

void residence_finish(struct walk *w)
{
	struct snapshot *s = w->s;
	struct parts *p = &s->part;
	double heap, total = 0, live;

	process_figures(w);
	if (!s->resident_known)
		return;
	p->metadata = marks_resident(w);
	for (size_t i = 0; i < w->t->nareas; i++)
		total += (double)w->t->areas[i].rss;
	heap = p->live + p->cached + p->fragmentation + p->dirty + p->clean + p->metadata;
	p->outside = total > heap ? total - heap : 0;
	p->difference = (double)s->rss - heap - p->outside;
	live = (double)s->live - p->live - s->live_swapped;
	s->live_untouched = live > 0 ? live : 0;
}
