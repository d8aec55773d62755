/* SPDX-License-Identifier: MIT
 *
 * text.c - the page for people.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "show.h"

/* In a smaller heap what is there anyway, such as metadata, is what the figure shows. */
#define BLOW_UP_MIN (1u << 20)

/* BYTES below 0: not known. */
static void row(FILE *f, const char *name, double bytes, double resident, bool known,
		const char *note)
{
	char a[HUMAN_MAX], b[HUMAN_MAX];

	fprintf(f, "  %-22s %10s  %10s  %s\n", name, bytes >= 0 ? human(a, bytes) : "",
		known ? human(b, resident) : "", note);
}

static void internal(FILE *f, const struct snapshot *s)
{
	char a[HUMAN_MAX], b[HUMAN_MAX];

	fputs("\n  internal fragmentation: ", f);
	if (s->recorded > 0)
		fprintf(f, "%s of the %s whose requests are recorded (%.1f%%)%s", human(a, (double)s->internal),
			human(b, (double)s->recorded), 100 * (double)s->internal / (double)s->recorded,
			s->internal_max > 0 ? "; of the others " : "");
	if (s->recorded == 0 || s->internal_max > 0)
		fprintf(f, "between 0 and %s", human(a, (double)s->internal_max));
	fputs(s->recorded == 0 ? " of live (exact with ARENA_OPTIONS=stats:2)\n" : "\n", f);
}

static void totals(FILE *f, const struct snapshot *s)
{
	bool known = s->resident_known;
	char note[128], a[HUMAN_MAX];

	fprintf(f, "  %-22s %10s  %10s\n", "", "bytes", known ? "resident" : "");
	snprintf(note, sizeof note, "%s small, %" PRIu64 " large blocks, %zu huge",
		 human(a, (double)s->small_live), s->large_blocks, s->nhuge);
	row(f, "live", (double)s->live, s->part.live, known, note);
	snprintf(note, sizeof note, "%" PRIu64 " thread heap%s, %" PRIu64 " of them parked", s->threads,
		 s->threads == 1 ? "" : "s", s->parked);
	row(f, "thread caches", (double)s->cached, s->part.cached, known, note);
	row(f, "fragmentation", (double)(s->empty + s->tail), s->part.fragmentation, known,
	    "free regions and ends of runs");
	row(f, "dirty", (double)s->dirty, s->part.dirty, known, "free pages, kept for reuse");
	row(f, "clean", (double)s->clean, s->part.clean, known,
	    s->part.clean < 1 ? "free pages without memory" : "free pages; resident: rests of huge pages");
	row(f, "metadata", (double)s->metadata, s->part.metadata, known,
	    known ? "descriptors and page map; resident: whole pages" : "descriptors and page map");
	if (known)
		row(f, "outside the heap", -1, s->part.outside, known, "files, stacks, other mappings");
	row(f, "heap and metadata", (double)s->mapped, (double)s->rss - s->part.outside, known,
	    "bytes: mapped address space");
	fprintf(f, "  active %s, ", human(a, (double)s->active));
	fprintf(f, "peak live %s, ", human(a, (double)s->peak_live));
	fprintf(f, "peak active %s, ", human(a, (double)s->peak_active));
	fprintf(f, "peak mapped %s", human(a, (double)s->peak_mapped));
	if (s->peak_rss > 0)
		fprintf(f, ", peak RSS %s", human(a, (double)s->peak_rss));
	if (s->swap > 0)
		fprintf(f, ", swapped %s", human(a, (double)s->swap));
	fprintf(f, "\n  starter runs: %" PRIu64 ", with %s in use", s->starters, human(a, (double)s->starter_out));
	fprintf(f, " of %s", human(a, (double)(s->starters << PAGE_SHIFT)));
	internal(f, s);
	if (s->peak_live >= BLOW_UP_MIN && snapshot_blow_up(s) > 0)
		fprintf(f, "  blow-up at most %.2f (peak resident / peak live)\n", snapshot_blow_up(s));
	fprintf(f, "  given back to the system so far: %s\n", human(a, (double)s->purged));
	if (s->mismatches > 0)
		fprintf(f, "  sized operator delete with a wrong size: %" PRIu64 "\n", s->mismatches);
}

static void classes(FILE *f, const struct snapshot *s)
{
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX];

	fprintf(f, "\n  %6s %7s %10s %10s %8s %10s %6s  %10s %10s %10s%s\n", "class", "runs", "regions",
		"live", "cached", "empty", "empty%", "live", "empty", "active",
		s->recorded > 0 ? "   internal" : "");
	for (unsigned i = 1; i < NCLASSES; i++) {
		const struct class_row *k = &s->cls[i];

		if (k->regions == 0)
			continue;
		fprintf(f, "  %6u %7" PRIu64 " %10" PRIu64 " %10" PRIu64 " %8" PRIu64 " %10" PRIu64
			" %5.0f%%  %10s %10s %10s", k->size, k->runs, k->regions, k->live, k->cached,
			k->empty, 100 * class_empty_share(k), human(a, (double)k->live * k->size),
			human(b, (double)k->empty * k->size), human(c, (double)k->active));
		if (s->recorded > 0)
			fprintf(f, " %10s", k->recorded > 0 ? human(a, (double)k->internal) : "");
		fputc('\n', f);
	}
	if (s->large_blocks > 0)
		fprintf(f, "  %6s %7" PRIu64 " %59s\n", "large", s->large_blocks,
			human(a, (double)s->large));
	if (s->huge_live > 0)
		fprintf(f, "  %6s %7zu %59s\n", "huge", s->nhuge, human(a, (double)s->huge_live));
}

void show_text(FILE *f, const struct snapshot *s)
{
	char *line = verdict_line(s), *advice = verdict_advice(s);

	if (s->core)
		fprintf(f, "%s (core file): libarena %s\n", s->command, s->version);
	else
		fprintf(f, "%s [%d]: libarena %s\n", s->command, s->pid, s->version);
	fprintf(f, "%s\n%s\n\n", line, advice);
	totals(f, s);
	classes(f, s);
	if (s->torn > 0)
		fprintf(f, "\n  %" PRIu64 " pieces changed while being read (or are damaged) and are not "
			"counted\n", s->torn);
	for (unsigned i = 0; i < s->nroots; i++)
		if (!s->roots[i].usable) {
			char *why = root_refusal(&s->roots[i]);

			fprintf(f, "\n  a second libarena, in %s, is not counted: %s\n",
				s->roots[i].file, why);
			free(why);
		}
	free(line);
	free(advice);
}
