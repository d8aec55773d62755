/* SPDX-License-Identifier: MIT
 *
 * openmetrics.c - OpenMetrics 1.0 text, also accepted by Prometheus' textfile collector.  The
 * samples of one family stand together, over all processes.
 */
#include <inttypes.h>

#include "show.h"

static double get_rss(const struct snapshot *s) { return (double)s->rss; }
static double get_peak_rss(const struct snapshot *s) { return (double)s->peak_rss; }
static double get_live(const struct snapshot *s) { return (double)s->live; }
static double get_cached(const struct snapshot *s) { return (double)s->cached; }
static double get_empty(const struct snapshot *s) { return (double)(s->empty + s->tail); }
static double get_dirty(const struct snapshot *s) { return (double)s->dirty; }
static double get_metadata(const struct snapshot *s) { return (double)s->metadata; }
static double get_active(const struct snapshot *s) { return (double)s->active; }
static double get_mapped(const struct snapshot *s) { return (double)s->mapped; }
static double get_peak_active(const struct snapshot *s) { return (double)s->peak_active; }
static double get_peak_live(const struct snapshot *s) { return (double)s->peak_live; }
static double get_recorded(const struct snapshot *s) { return (double)s->recorded; }
static double get_internal(const struct snapshot *s) { return (double)s->internal; }
static double get_purged(const struct snapshot *s) { return (double)s->purged; }
static double get_heaps(const struct snapshot *s) { return (double)s->threads; }
static double get_torn(const struct snapshot *s) { return (double)s->torn; }

static const struct family {
	const char *name, *type, *unit, *help;
	double (*get)(const struct snapshot *s);
} families[] = {
	{"libarena_process_resident_bytes", "gauge", "bytes", "Rss of the process.", get_rss},
	{"libarena_process_resident_peak_bytes", "gauge", "bytes", "Highest Rss so far.", get_peak_rss},
	{"libarena_live_bytes", "gauge", "bytes", "Blocks that the program holds.", get_live},
	{"libarena_live_peak_bytes", "gauge", "bytes", "Highest live so far.", get_peak_live},
	{"libarena_recorded_bytes", "gauge", "bytes", "Part of live whose requests are recorded.", get_recorded},
	{"libarena_internal_bytes", "gauge", "bytes", "Part of recorded that was not asked for.", get_internal},
	{"libarena_cached_bytes", "gauge", "bytes", "Free regions in thread caches.", get_cached},
	{"libarena_fragmentation_bytes", "gauge", "bytes", "Free regions and ends of runs.", get_empty},
	{"libarena_dirty_bytes", "gauge", "bytes", "Free pages not yet given back.", get_dirty},
	{"libarena_metadata_bytes", "gauge", "bytes", "The allocator's own data.", get_metadata},
	{"libarena_active_bytes", "gauge", "bytes", "Pages of runs and blocks in use.", get_active},
	{"libarena_active_peak_bytes", "gauge", "bytes", "Highest active so far.", get_peak_active},
	{"libarena_mapped_bytes", "gauge", "bytes", "Address space held.", get_mapped},
	{"libarena_given_back_bytes", "counter", "bytes", "Memory given back so far.", get_purged},
	{"libarena_thread_heaps", "gauge", "", "Thread heaps that exist.", get_heaps},
	{"libarena_torn_pieces", "gauge", "", "Pieces that changed while being read.", get_torn},
};

static const struct {
	const char *name;
	size_t offset;
} parts[] = {
	{"live", offsetof(struct parts, live)},
	{"thread_caches", offsetof(struct parts, cached)},
	{"fragmentation", offsetof(struct parts, fragmentation)},
	{"dirty", offsetof(struct parts, dirty)},
	{"clean", offsetof(struct parts, clean)},
	{"metadata", offsetof(struct parts, metadata)},
	{"outside", offsetof(struct parts, outside)},
};

/* {pid="1",command="x"   without the closing brace */
static void labels(FILE *f, const struct snapshot *s)
{
	fprintf(f, "{pid=\"%d\",command=\"", s->pid);
	for (const unsigned char *c = (const unsigned char *)s->command; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(f, "\\%c", *c);
		else if (*c == '\n')
			fputs("\\n", f);
		else
			fputc(*c < 0x80 ? *c : '?', f); /* comm need not be UTF-8 */
	}
	fputc('"', f);
}

static void head(FILE *f, const char *name, const char *type, const char *unit, const char *help)
{
	fprintf(f, "# TYPE %s %s\n", name, type);
	if (*unit != '\0')
		fprintf(f, "# UNIT %s %s\n", name, unit);
	fprintf(f, "# HELP %s %s\n", name, help);
}

static void classes(FILE *f, struct snapshot *const *s, size_t n)
{
	static const char name[] = "libarena_class_bytes";

	head(f, name, "gauge", "bytes", "Regions of a size class by state.");
	for (size_t i = 0; i < n; i++)
		for (unsigned c = 1; c < NCLASSES; c++) {
			const struct class_row *k = &s[i]->cls[c];
			const uint64_t count[] = {k->live, k->cached, k->empty};
			static const char *const state[] = {"live", "cached", "empty"};

			for (unsigned j = 0; j < 3 && k->regions > 0; j++) {
				fputs(name, f);
				labels(f, s[i]);
				fprintf(f, ",class=\"%u\",state=\"%s\"} %" PRIu64 "\n", k->size, state[j],
					count[j] * k->size);
			}
		}
}

void show_openmetrics(FILE *f, struct snapshot *const *s, size_t n)
{
	for (unsigned k = 0; k < sizeof families / sizeof *families; k++) {
		const struct family *m = &families[k];

		head(f, m->name, m->type, m->unit, m->help);
		for (size_t i = 0; i < n; i++) {
			fprintf(f, "%s%s", m->name, m->type[0] == 'c' ? "_total" : "");
			labels(f, s[i]);
			fprintf(f, "} %.0f\n", m->get(s[i]));
		}
	}
	head(f, "libarena_resident_bytes", "gauge", "bytes", "Where the resident memory is.");
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < sizeof parts / sizeof *parts && s[i]->resident_known; k++) {
			fputs("libarena_resident_bytes", f);
			labels(f, s[i]);
			fprintf(f, ",part=\"%s\"} %.0f\n", parts[k].name,
				*(const double *)((const char *)&s[i]->part + parts[k].offset));
		}
	classes(f, s, n);
	fputs("# EOF\n", f);
}
