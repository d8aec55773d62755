/* SPDX-License-Identifier: MIT
 *
 * map.c - a picture of a heap: one row for each chunk, lowest address first, its 256 pages from
 * left to right, coloured by how full their run is; beside it the size classes and huge blocks.
 * Rows get thinner as the heap grows, down to a pixel; neighbours of one colour become one stroke,
 * so that 10 GiB make a picture of a few MB.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

enum {
	PAGE_WIDTH = 3,       /* pixels of a page of ours: 256 of them fill 768 */
	LEFT = 130,           /* room for addresses */
	TOP = 112,
	MAP_WIDTH = PAGE_WIDTH * CHUNK_PAGES,
	BAR_LEFT = LEFT + MAP_WIDTH + 90,
	BAR_WIDTH = 260,
	BAR_STEP = 15,
	WIDTH = BAR_LEFT + BAR_WIDTH + 170,
	HUGE_SHOWN = 40,
};

/* Colours that stay apart for the colour-blind: blue is well used, orange and red are sparse. */
enum colour { FULL, HIGH, LOW, SPARSE, SPARE, LARGE, DIRTY, CLEAN, UNWRITTEN, TORN, COLOURS };
static const struct {
	const char *rgb, *what;
} colours[COLOURS] = {
	{"#08519c", "run 75-100% in use"}, {"#6baed6", "run 50-75%"}, {"#fdae6b", "run 25-50%"},
	{"#d94801", "run below 25%"}, {"#fdd9c4", "empty run"}, {"#756bb1", "large or huge block"},
	{"#d9c736", "free, dirty"}, {"#eeeeee", "free, clean"}, {"#c7e9c0", "in use, not resident"},
	{"#000000", "changed while read"},
};

static enum colour colour_of(const struct chunk_row *c, unsigned i, bool resident_known)
{
	unsigned use = c->use[i], fill = c->fill[i];

	if (use == USE_FREE)
		return CLEAN;
	if (use == USE_DIRTY)
		return DIRTY;
	if (use == USE_TORN)
		return TORN;
	if (resident_known && c->in_ram[i] == 0)
		return UNWRITTEN;
	if (use == USE_LARGE)
		return LARGE;
	return fill == 0 ? SPARE : fill >= 192 ? FULL : fill >= 128 ? HIGH : fill >= 64 ? LOW : SPARSE;
}

static int by_base(const void *a, const void *b)
{
	const struct chunk_row *x = *(struct chunk_row *const *)a, *y = *(struct chunk_row *const *)b;

	return x->base < y->base ? -1 : x->base > y->base;
}

static int by_size(const void *a, const void *b)
{
	const struct block_row *x = a, *y = b;

	return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

static struct chunk_row **sorted_chunks(const struct snapshot *s)
{
	struct chunk_row **list = grab((s->nchunks + 1) * sizeof *list);

	for (size_t i = 0; i < s->nchunks; i++)
		list[i] = &s->chunks[i];
	qsort(list, s->nchunks, sizeof *list, by_base);
	return list;
}

static void escaped(FILE *f, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default:
			/* A command's name may hold anything; XML may not. */
			fputc((unsigned char)*text < ' ' || (unsigned char)*text > '~' ? '?' : *text, f);
		}
}

static void text_at(FILE *f, int x, int y, const char *attributes, const char *text)
{
	fprintf(f, "<text x=\"%d\" y=\"%d\" %s>", x, y, attributes);
	escaped(f, text);
	fputs("</text>\n", f);
}

static int row_height(size_t nchunks)
{
	return nchunks <= 80 ? 8 : nchunks <= 200 ? 4 : nchunks <= 500 ? 2 : 1;
}

static void rows(FILE *f, const struct snapshot *s, struct chunk_row *const *list, int height)
{
	int label_every = height >= 8 ? 2 : 16 / height;

	for (int k = 0; k < COLOURS; k++) {
		fprintf(f, "<path stroke=\"%s\" stroke-width=\"%d\" d=\"", colours[k].rgb,
			height > 2 ? height - 1 : height);
		for (size_t r = 0; r < s->nchunks; r++) {
			const struct chunk_row *c = list[r];

			for (unsigned i = 0, n; i < c->npages; i += n) {
				bool mine = colour_of(c, i, s->resident_known) == (enum colour)k;

				for (n = 1; i + n < c->npages && mine ==
				     (colour_of(c, i + n, s->resident_known) == (enum colour)k); n++)
					;
				if (mine)
					fprintf(f, "M%u %g", LEFT + i * PAGE_WIDTH,
						TOP + (double)r * height + height / 2.0);
				if (mine)
					fprintf(f, "h%u", n * PAGE_WIDTH);
			}
		}
		fputs("\"/>\n", f);
	}
	for (size_t r = 0; r < s->nchunks; r += (size_t)label_every) {
		char label[32];

		snprintf(label, sizeof label, "%" PRIx64, list[r]->base);
		text_at(f, LEFT - 6, TOP + (int)r * height + (height < 8 ? 4 : 7), "class=\"a\"", label);
	}
}

static void legend(FILE *f)
{
	int x = LEFT;

	for (int k = 0; k < COLOURS; k++) {
		fprintf(f, "<rect x=\"%d\" y=\"84\" width=\"12\" height=\"12\" fill=\"%s\" "
			"stroke=\"#999\" stroke-width=\".5\"/>\n", x, colours[k].rgb);
		text_at(f, x + 16, 94, "class=\"s\"", colours[k].what);
		x += 30 + 6 * (int)strlen(colours[k].what);
	}
}

/* The classes as bars; returns the y below them. */
static int class_bars(FILE *f, const struct snapshot *s)
{
	static const char *const rgb[] = {"#08519c", "#9ecae1", "#d94801"};
	static const char *const state[] = {"live", "cached", "empty"};
	uint64_t most = 1;
	int y = TOP + 22;

	for (unsigned c = 1; c < NCLASSES; c++)
		if (s->cls[c].active > most)
			most = s->cls[c].active;
	text_at(f, BAR_LEFT, TOP + 8, "class=\"h\"", "size classes:");
	for (int i = 0; i < 3; i++) {
		fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"10\" fill=\"%s\"/>\n",
			BAR_LEFT + 90 + 62 * i, TOP - 1, rgb[i]);
		text_at(f, BAR_LEFT + 105 + 62 * i, TOP + 8, "class=\"s\"", state[i]);
	}
	for (unsigned c = 1; c < NCLASSES; c++) {
		const struct class_row *k = &s->cls[c];
		const uint64_t part[] = {k->live * k->size, k->cached * k->size, k->empty * k->size};
		double x = BAR_LEFT;
		char label[96], a[HUMAN_MAX];

		if (k->regions == 0)
			continue;
		snprintf(label, sizeof label, "%u", k->size);
		text_at(f, BAR_LEFT - 6, y + 9, "class=\"a\"", label);
		fprintf(f, "<g><title>%u bytes: %" PRIu64 " live, %" PRIu64 " cached, %" PRIu64
			" empty regions in %" PRIu64 " runs</title>\n", k->size, k->live, k->cached,
			k->empty, k->runs);
		for (unsigned i = 0; i < 3; i++) {
			double w = (double)part[i] * BAR_WIDTH / (double)most;

			if (w > 0)
				fprintf(f, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" "
					"fill=\"%s\"/>", x, y, w, BAR_STEP - 4, rgb[i]);
			x += w;
		}
		fputs("</g>\n", f);
		snprintf(label, sizeof label, "%s, %.0f%% empty", human(a, (double)k->active),
			 100 * class_empty_share(k));
		text_at(f, (int)x + 5, y + 9, "class=\"s\"", label);
		y += BAR_STEP;
	}
	return y;
}

static int huge_bars(FILE *f, const struct snapshot *s, int y)
{
	struct block_row *list = grab((s->nhuge + 1) * sizeof *list);
	char label[96], a[HUMAN_MAX], b[HUMAN_MAX];
	size_t n = s->nhuge < HUGE_SHOWN ? s->nhuge : HUGE_SHOWN;

	if (s->nhuge > 0)
		memcpy(list, s->huge, s->nhuge * sizeof *list);
	qsort(list, s->nhuge, sizeof *list, by_size);
	y += 20;
	snprintf(label, sizeof label, "huge blocks: %zu%s", s->nhuge,
		 n < s->nhuge ? " (the largest are shown)" : "");
	if (s->nhuge > 0)
		text_at(f, BAR_LEFT, y, "class=\"h\"", label);
	for (size_t i = 0; i < n; i++) {
		double w = (double)list[i].size * BAR_WIDTH / (double)list[0].size, in = w;
		enum colour k = list[i].cached ? DIRTY : LARGE;

		y += BAR_STEP;
		if (s->resident_known)
			in = w * list[i].resident / (double)list[i].size;
		fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>"
			"<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", BAR_LEFT,
			y - 8, w, BAR_STEP - 4, colours[UNWRITTEN].rgb, BAR_LEFT, y - 8, in, BAR_STEP - 4,
			colours[k].rgb);
		snprintf(label, sizeof label, "%s%s, %s resident", human(a, (double)list[i].size),
			 list[i].cached ? " free" : "", human(b, list[i].resident));
		text_at(f, BAR_LEFT + (int)w + 5, y + 1, "class=\"s\"", label);
	}
	free(list);
	return y;
}

static void svg(FILE *f, const struct snapshot *s, struct chunk_row *const *list, int height,
		bool inside_html)
{
	char *line = verdict_line(s), *advice = verdict_advice(s), *title, *body = NULL;
	size_t n;
	FILE *m = open_memstream(&body, &n);
	int bottom = TOP + (int)s->nchunks * height, y;

	if (m == NULL)
		fatal(EXIT_FAILED, "out of memory");
	y = huge_bars(m, s, class_bars(m, s));
	fclose(m);
	if (y > bottom)
		bottom = y;
	title = s->core ? grab_format("%s (core file)", s->command)
			: grab_format("%s [%d]", s->command, s->pid);
	if (!inside_html)
		fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", f);
	fprintf(f, "<svg id=\"map\" xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\">\n<style>text{font-family:sans-serif;fill:#222}.a{font:9px "
		"monospace;text-anchor:end}.s{font-size:10px}.h{font-size:12px;font-weight:bold}"
		"</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", WIDTH, bottom + 20,
		WIDTH, bottom + 20);
	text_at(f, 10, 22, "font-size=\"16\" font-weight=\"bold\"", title);
	text_at(f, 10, 44, "font-size=\"13\"", line);
	text_at(f, 10, 63, "font-size=\"12\"", advice);
	legend(f);
	rows(f, s, list, height);
	fputs(body, f);
	fputs("</svg>\n", f);
	free(body);
	free(title);
	free(line);
	free(advice);
}

/* [address, [[pages, use, fill %, resident %], ...]] for each chunk; use: class size, "large", ... */
static void script_data(FILE *f, const struct snapshot *s, struct chunk_row *const *list)
{
	fputs("const chunks=[", f);
	for (size_t r = 0; r < s->nchunks; r++) {
		const struct chunk_row *c = list[r];

		fprintf(f, "%s[\"%" PRIx64 "\",[", r > 0 ? ",\n" : "", c->base);
		for (unsigned i = 0, n; i < c->npages; i += n) {
			unsigned use = c->use[i];

			for (n = 1; i + n < c->npages && c->use[i + n] == use &&
			     c->fill[i + n] == c->fill[i] && c->in_ram[i + n] == c->in_ram[i]; n++)
				;
			fprintf(f, "%s[%u,%u,%u,%u]", i > 0 ? "," : "", n,
				use < INFO_STARTER ? s->cls[use].size : use + 1000000, c->fill[i] * 100u / 255,
				c->in_ram[i] * 100u / 255);
		}
		fputs("]]", f);
	}
	fputs("];\n", f);
}

_Static_assert(INFO_STARTER == 63, "the number in the script");
static const char page_script[] =
	"const tip=document.getElementById('tip'),map=document.getElementById('map');\n"
	"map.addEventListener('mousemove',e=>{\n"
	" const b=map.getBoundingClientRect(),x=Math.floor((e.clientX-b.left-left)/width),\n"
	"  y=Math.floor((e.clientY-b.top-top_)/height);\n"
	" let t='';\n"
	" if(x>=0&&x<256&&y>=0&&y<chunks.length){\n"
	"  let at=0,s=null;\n"
	"  for(const k of chunks[y][1]){if(x<at+k[0]){s=k;break}at+=k[0]}\n"
	"  if(s){const a=(BigInt('0x'+chunks[y][0])+BigInt(x)*16384n).toString(16);\n"
	"   const what={0:'free, clean',1000254:'free, dirty',1000253:'large block',1000255:'changed while read',"
	"1000063:'starter run: the first regions of each class'}[s[1]]\n"
	"    ||s[1]+'-byte regions, '+s[2]+'% in use';\n"
	"   t='0x'+a+' (chunk 0x'+chunks[y][0]+', page '+x+')\\n'+what+'\\nresident: '+s[3]+'%';}\n"
	" }\n"
	" tip.textContent=t;tip.style.display=t?'block':'none';\n"
	" tip.style.left=(e.pageX+14)+'px';tip.style.top=(e.pageY+14)+'px';\n"
	"});\n"
	"map.addEventListener('mouseleave',()=>{tip.style.display='none'});\n";

void show_map(FILE *f, const struct snapshot *s, bool html)
{
	struct chunk_row **list = sorted_chunks(s);
	int height = row_height(s->nchunks);

	if (html) {
		fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>heap of ", f);
		escaped(f, s->command);
		fputs("</title>\n<style>body{margin:0}#tip{position:absolute;display:none;white-space:pre;"
		      "font:12px monospace;background:#ffffe8;border:1px solid #888;padding:4px 6px;"
		      "pointer-events:none}</style></head><body>\n", f);
	}
	svg(f, s, list, height, html);
	if (html) {
		fprintf(f, "<div id=\"tip\"></div>\n<script>\nconst left=%d,top_=%d,width=%d,height=%d;\n",
			LEFT, TOP, PAGE_WIDTH, height);
		script_data(f, s, list);
		fputs(page_script, f);
		fputs("</script></body></html>\n", f);
	}
	free(list);
}
