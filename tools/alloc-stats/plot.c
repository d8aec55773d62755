/* SPDX-License-Identifier: MIT
 *
 * plot.c - the peak table of a command and the growth of its memory, in characters and as SVG.
 */
#include <errno.h>
#include <string.h>

#include "run.h"

enum { COLUMNS = 64, ROWS = 8, SVG_WIDTH = 800, SVG_HEIGHT = 300, MARGIN = 60 };

/* Highest RSS and live bytes of the samples in the I-th of N slices. */
static void slice(const struct sample_list *l, unsigned i, unsigned n, double *rss, double *live)
{
	size_t from = l->n * i / n, to = l->n * (i + 1) / n;

	*rss = *live = 0;
	if (to <= from)
		to = from + 1;
	for (size_t k = from; k < to && k < l->n; k++) {
		if ((double)l->at[k].rss > *rss)
			*rss = (double)l->at[k].rss;
		if ((double)l->at[k].live > *live)
			*live = (double)l->at[k].live;
	}
}

static double highest(const struct sample_list *l)
{
	double most = 1;

	for (size_t i = 0; i < l->n; i++) {
		most = (double)l->at[i].rss > most ? (double)l->at[i].rss : most;
		most = (double)l->at[i].live > most ? (double)l->at[i].live : most;
	}
	return most;
}

static void plot(FILE *f, const struct sample_list *l)
{
	double most = highest(l);
	char a[HUMAN_MAX];

	for (int r = ROWS; r > 0; r--) {
		fprintf(f, "  %9s |", r == ROWS ? human(a, most) : "");
		for (unsigned i = 0; i < COLUMNS; i++) {
			double rss, live, level = most * (r - 0.5) / ROWS;

			slice(l, i, COLUMNS, &rss, &live);
			fputc(live >= level ? '#' : rss >= level ? '.' : ' ', f);
		}
		fputc('\n', f);
	}
	fprintf(f, "  %9s +", "0");
	for (int i = 0; i < COLUMNS; i++)
		fputc('-', f);
	fprintf(f, "\n  %9s  # live   . RSS   over %.1f s\n\n", "",
		l->at[l->n - 1].time - l->at[0].time);
}

void run_show(FILE *f, const struct ended *e)
{
	const struct snapshot *s = e->last;
	char a[HUMAN_MAX];

	if (s == NULL)
		return;
	fprintf(f, "  %-12s %10s\n", "peak", "bytes");
	fprintf(f, "  %-12s %10s\n", "RSS", human(a, (double)s->peak_rss));
	fprintf(f, "  %-12s %10s\n", "active", human(a, (double)s->peak_active));
	fprintf(f, "  %-12s %10s\n", "mapped", human(a, (double)s->peak_mapped));
	fprintf(f, "  %-12s %10s\n", "live", human(a, (double)s->peak_live));
	if (snapshot_blow_up(s) > 0)
		fprintf(f, "  %-12s %10.2f  at most: peak resident / peak live\n", "blow-up",
			snapshot_blow_up(s));
	fputc('\n', f);
	if (e->samples.n > 1)
		plot(f, &e->samples);
}

struct json_object *run_json(const struct ended *e)
{
	struct json_object *j = json_object_new_object(), *list = json_object_new_array();
	const struct sample_list *l = &e->samples;

	json_object_object_add(j, "peak_live", json_object_new_int64((int64_t)(e->last != NULL ? e->last->peak_live : 0)));
	for (size_t i = 0; i < l->n; i++) {
		struct json_object *row = json_object_new_array();

		json_object_array_add(row, json_object_new_double(l->at[i].time - l->at[0].time));
		json_object_array_add(row, json_object_new_int64((int64_t)l->at[i].rss));
		json_object_array_add(row, json_object_new_int64((int64_t)l->at[i].live));
		json_object_array_add(list, row);
	}
	json_object_object_add(j, "samples", list);
	return j;
}

static void curve(FILE *f, const struct sample_list *l, double most, bool live, const char *rgb)
{
	double t0 = l->at[0].time, span = l->at[l->n - 1].time - t0;

	fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", rgb);
	for (size_t i = 0; i < l->n; i++) {
		double v = live ? (double)l->at[i].live : (double)l->at[i].rss;

		fprintf(f, "%.1f,%.1f ",
			MARGIN + (span > 0 ? (l->at[i].time - t0) / span : 0) * (SVG_WIDTH - 2 * MARGIN),
			SVG_HEIGHT - MARGIN - v / most * (SVG_HEIGHT - 2 * MARGIN));
	}
	fputs("\"/>\n", f);
}

bool run_plot_svg(const char *path, const struct ended *e)
{
	FILE *f = fopen(path, "we");
	const struct sample_list *l = &e->samples;
	double most = highest(l);
	char a[HUMAN_MAX];
	bool written;

	if (f == NULL)
		return false;
	fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
		"width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", SVG_WIDTH, SVG_HEIGHT);
	fprintf(f, "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"#444\"/>\n", MARGIN, MARGIN,
		SVG_HEIGHT - MARGIN, SVG_WIDTH - MARGIN);
	fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", 4, MARGIN + 4, human(a, most));
	fprintf(f, "<text x=\"%d\" y=\"%d\">0</text>\n", MARGIN - 14, SVG_HEIGHT - MARGIN);
	fprintf(f, "<text x=\"%d\" y=\"24\" fill=\"#d94801\">RSS</text>"
		"<text x=\"%d\" y=\"24\" fill=\"#08519c\">live</text>\n", MARGIN, MARGIN + 50);
	if (l->n > 0) {
		fprintf(f, "<text x=\"%d\" y=\"%d\">%.1f s</text>\n", SVG_WIDTH - MARGIN - 20,
			SVG_HEIGHT - MARGIN + 18, l->at[l->n - 1].time - l->at[0].time);
		curve(f, l, most, false, "#d94801");
		curve(f, l, most, true, "#08519c");
	}
	fputs("</svg>\n", f);
	written = !ferror(f);
	return fclose(f) == 0 && written;
}
