/* SPDX-License-Identifier: MIT
 *
 * verdict.c - one line that says where the resident memory is, and one that says what would help.
 */
#include "show.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double class_empty_share(const struct class_row *k)
{
	return k->regions > 0 ? (double)k->empty / (double)k->regions : 0;
}

unsigned verdict_worst(const struct snapshot *s, double *empty_share)
{
	unsigned worst = 0;
	uint64_t most = 0;

	for (unsigned c = 1; c < NCLASSES; c++) {
		uint64_t bytes = s->cls[c].empty * s->cls[c].size;

		if (bytes > most) {
			most = bytes;
			worst = c;
		}
	}
	*empty_share = worst != 0 ? class_empty_share(&s->cls[worst]) : 0;
	return worst;
}

enum { LIVE, CACHED, FRAGMENTATION, DIRTY, CLEAN, METADATA, OUTSIDE, DIFFERENCE, PARTS };
static const char *const part_name[PARTS] = {
	"live", "thread caches", "fragmentation", "dirty", "clean", "metadata", "outside the heap",
	"changed while being read",
};

/* Rounds the parts to whole steps so that what is printed adds up to TOTAL steps: the largest
 * remainders are rounded up. */
static void round_parts(const double *part, double step, long total, long *out)
{
	long left = total;

	for (int i = 0; i < PARTS; i++) {
		out[i] = (long)floor(part[i] / step);
		left -= out[i];
	}
	while (left != 0) {
		int best = 0;
		double most = -1e300;

		for (int i = 0; i < PARTS; i++) {
			double rest = (part[i] / step - (double)out[i]) * (left > 0 ? 1 : -1);

			if (rest > most) {
				most = rest;
				best = i;
			}
		}
		out[best] += left > 0 ? 1 : -1;
		left += left > 0 ? -1 : 1;
	}
}

char *verdict_line(const struct snapshot *s)
{
	static const char *const units[] = {"KiB", "MiB", "GiB"};
	double part[PARTS], total = (double)s->rss, unit = 1024, share;
	unsigned u = 0, worst = verdict_worst(s, &share);
	int decimals;
	long steps[PARTS], all;
	char *text = NULL;
	size_t n;
	FILE *f;

	part[LIVE] = s->part.live;
	part[CACHED] = s->part.cached;
	part[FRAGMENTATION] = s->part.fragmentation;
	part[DIRTY] = s->part.dirty;
	part[CLEAN] = s->part.clean;
	part[METADATA] = s->part.metadata;
	part[OUTSIDE] = s->part.outside;
	part[DIFFERENCE] = s->part.difference;
	if (!s->resident_known) {
		part[LIVE] = (double)s->live;
		part[CACHED] = (double)s->cached;
		part[FRAGMENTATION] = (double)(s->empty + s->tail);
		part[DIRTY] = (double)s->dirty;
		part[METADATA] = (double)s->metadata;
		part[CLEAN] = part[OUTSIDE] = part[DIFFERENCE] = 0;
		total = 0;
		for (int i = 0; i < PARTS; i++)
			total += part[i];
	}
	/* Four digits rather than the next unit: 1700 KiB say more than 1.7 MiB. */
	while (total >= 9999.5 * unit && u < 2) {
		unit *= 1024;
		u++;
	}
	decimals = total >= 99.5 * unit ? 0 : 1;
	unit /= decimals ? 10 : 1;
	all = lround(total / unit);
	round_parts(part, unit, all, steps);
	f = open_memstream(&text, &n);
	if (f == NULL)
		fatal(EXIT_FAILED, "out of memory");
	fprintf(f, "%s %.*f %s =", s->resident_known ? "RSS" : "heap", decimals,
		(double)all / (decimals ? 10 : 1), units[u]);
	for (int i = 0; i < PARTS; i++) {
		double value = (double)steps[i] / (decimals ? 10 : 1);

		if (steps[i] == 0 && (i == DIFFERENCE || i == CLEAN || (i == OUTSIDE && !s->resident_known)))
			continue;
		fprintf(f, "%s%s %.*f", i == LIVE ? " " : value < 0 ? " - " : " + ", part_name[i],
			decimals, fabs(value));
		if (i == FRAGMENTATION && worst != 0 && steps[i] != 0)
			fprintf(f, " (worst: %u-byte class, %.0f%% empty)", s->cls[worst].size,
				100 * share);
	}
	fclose(f);
	return text;
}

static char *advise_fragmentation(const struct snapshot *s)
{
	double share;
	unsigned worst = verdict_worst(s, &share);
	const struct class_row *k = &s->cls[worst];
	char a[HUMAN_MAX], b[HUMAN_MAX];

	if (worst == 0)
		return grab_format("fragmentation is the unused ends of runs: nothing to gain");
	/* Not one class, but all of them alike. */
	if ((double)(k->empty * k->size) < 0.5 * (double)(s->empty + s->tail))
		return grab_format("cause: %s are free between live objects of all sizes, most by the %u-byte "
				   "class (%.0f%% empty, %s): a peak has passed, and objects from all over it are "
				   "still in use", human(a, (double)(s->empty + s->tail)), k->size, 100 * share,
				   human(b, (double)k->empty * k->size));
	return grab_format("cause: %" PRIu64 " live objects of %u bytes or just below are spread over %"
			   PRIu64 " runs and keep %s of free memory between them; such objects outlive "
			   "the peak of their class", k->live, k->size, k->runs,
			   human(a, (double)k->empty * k->size));
}

/* Where requests are recorded. */
static char *advise_internal(const struct snapshot *s)
{
	unsigned worst = 1;
	const struct class_row *k;
	char a[HUMAN_MAX];

	for (unsigned c = 1; c < NCLASSES; c++)
		if (s->cls[c].internal > s->cls[worst].internal)
			worst = c;
	k = &s->cls[worst];
	if (k->internal == 0)
		return grab_format("cause: %s of the live blocks were not asked for; they are large blocks, "
				   "whose sizes are rounded up to pages", human(a, (double)s->internal));
	return grab_format("cause: %s of the live blocks were not asked for, most in the %u-byte class: "
			   "there %.0f bytes on average were asked for", human(a, (double)s->internal), k->size,
			   k->size * (1 - (double)k->internal / (double)k->recorded));
}

char *verdict_advice(const struct snapshot *s)
{
	const struct parts *p = &s->part;
	char a[HUMAN_MAX], b[HUMAN_MAX];

	if (!s->resident_known)
		return grab_format("residence is not known from a core file: these are bytes of address "
				   "space; never-written pages among them took no memory");
	if (s->live_untouched > 0.1 * (double)s->live && s->live_untouched > 1 << 20 &&
	    s->live_untouched > p->fragmentation)
		return grab_format("%s of the %s live were never written: the kernel gives a page its "
				   "memory at the first write, so they are allocated but not in RSS",
				   human(a, s->live_untouched), human(b, (double)s->live));
	if (s->live_swapped > 0.1 * (double)s->live && s->live_swapped > 1 << 20)
		return grab_format("%s of the %s live are swapped out", human(a, s->live_swapped),
				   human(b, (double)s->live));
	if (p->outside > 0.5 * (double)s->rss)
		return grab_format("the heap is not the cause: %s of RSS are program files, stacks and "
				   "mappings of the program's own", human(a, p->outside));
	if (p->fragmentation > 0.15 * (double)s->rss && p->fragmentation >= p->dirty)
		return advise_fragmentation(s);
	if (s->internal > 0.15 * (double)s->rss)
		return advise_internal(s);
	if (p->clean > 0.1 * (double)s->rss)
		return grab_format("knob: the kernel gave huge pages, and %s of them were never used: "
				   "ARENA_OPTIONS=thp:0 asks for none", human(a, p->clean));
	if (p->dirty > 0.1 * (double)s->rss && s->pid != 0)
		return grab_format("knob: `alloc-stats --trim %d` gives up to %s back now; "
				   "ARENA_OPTIONS=dirty_kib:N changes what is kept, see libarena(7)", s->pid,
				   human(a, p->dirty));
	if (p->cached > 0.1 * (double)s->rss)
		return grab_format("cause: %" PRIu64 " thread heaps hold cached regions; fewer threads, or "
				   "threads that end, hold less", s->threads);
	return grab_format("the memory is the program's own: %s in live blocks",
			   human(a, (double)s->live));
}
