/* SPDX-License-Identifier: MIT
 *
 * snapshot.c - takes one picture of a heap: class table, heaps, huge blocks and totals.  The chunks
 * are in chunks.c, counters and metadata in metadata.c, the kernel's figures in residence.c.
 *
 * Nothing that is read is trusted: every list is walked with a bound and a search for cycles, every
 * address is looked up in the list of mapped areas.  What does not fit together is read again, and
 * counted as torn when it still does not.
 */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A picture with torn pieces is taken again this often; the best one is kept. */
#define ATTEMPTS 3
#define LIST_MAX (1u << 22)

bool list_next(struct list_walk *l, uint64_t node)
{
	/* Brent: the checkpoint moves to the node at each power of two. */
	if (node == 0 || node == l->seen || ++l->steps > LIST_MAX)
		return false;
	if ((l->steps & (l->steps - 1)) == 0)
		l->seen = node;
	return true;
}

void walk_mark(struct walk *w, uint64_t start, uint64_t bytes)
{
	uint64_t ps = w->t->page_bytes, end = (start + bytes + ps - 1) / ps * ps;
	struct mark *last = w->nmarks > 0 ? &w->marks[w->nmarks - 1] : NULL;

	start = start / ps * ps;
	if (last != NULL && start >= last->start && start <= last->end) {
		if (end > last->end)
			last->end = end;
		return;
	}
	w->marks = grab_room(w->marks, w->nmarks, &w->marks_capacity, sizeof *w->marks);
	w->marks[w->nmarks++] = (struct mark){start, end};
}

/* The size of class C by the rule of sizeclass.h: a core file need not hold the table, which is
 * constant data of the library's file. */
static uint32_t size_by_rule(unsigned c)
{
	static const uint8_t eighths[] = {9, 10, 12, 14, 16};

	return c <= NDIRECT ? c * (uint32_t)QUANTUM :
	       (uint32_t)eighths[(c - NDIRECT - 1) % 5] << ((c - NDIRECT - 1) / 5 + 6);
}

static bool read_classes(struct walk *w)
{
	struct sizeclass table[NCLASSES];
	bool there = target_read(w->t, (uintptr_t)w->root->classes, table, sizeof table);

	for (unsigned c = 1; c < NCLASSES; c++) {
		w->size[c] = there ? table[c].size : size_by_rule(c);
		if (w->size[c] <= w->size[c - 1] || w->size[c] > SMALL_MAX) {
			target_fail(w->t, EXIT_NOT_OURS, "the table of size classes is damaged");
			return false;
		}
		w->s->cls[c].size = w->size[c];
	}
	return true;
}

/* ---- heaps ------------------------------------------------------------------------------- */

/* Pointers in the tcache bin, or -1 when the words do not fit together. */
static long cached_regions(const struct heap *h, unsigned c)
{
	uintptr_t base = (uintptr_t)h->bins[c].base, top = (uintptr_t)h->top[c];

	if (base == 0)
		return 0;
	if (top < base || (top - base) / sizeof(void *) > h->bins[c].cap ||
	    h->bins[c].cap > TCACHE_CAP_MAX)
		return -1;
	return (long)((top - base) / sizeof(void *));
}

/* The starter block that the heap at ADDR has at hand, or 0.  It counts as free in its run. */
static uint64_t held_block(const struct heap *h, uint64_t addr, unsigned c)
{
	uint64_t full = addr + offsetof(struct heap, bins) + c * sizeof(struct bin) + offsetof(struct bin, held) +
			sizeof(void *);

	if (h->bins[c].base != NULL || h->bins[c].out == 0 || (uintptr_t)h->top[c] != full)
		return 0;
	return (uintptr_t)h->bins[c].held[0];
}

static void walk_combine(struct walk *w, const struct heap *h, struct heap_row *row)
{
	struct combine k;

	if (h->combine == NULL || !target_read(w->t, (uintptr_t)h->combine, &k, sizeof k))
		return;
	walk_mark(w, (uintptr_t)h->combine, sizeof k);
	for (unsigned i = 0; i < COMBINE_SLOTS; i++) {
		struct run r;
		unsigned n = bits_popcount(k.slots[i].mask);

		if (n == 0 || !target_read(w->t, (uintptr_t)combine_run(&k.slots[i]), &r, sizeof r) ||
		    r.cls == 0 || r.cls >= NCLASSES)
			continue;
		w->s->cls[r.cls].cached += n;
		row->cached += (uint64_t)n * w->size[r.cls];
	}
}

static void walk_heap(struct walk *w, uint64_t addr, const struct heap *h)
{
	struct snapshot *s = w->s;
	struct heap_row row = {.id = h->id, .kind = h->kind, .parked = TRUTH(h->parked)};

	walk_mark(w, addr, sizeof *h);
	for (unsigned c = 1; c < NCLASSES; c++) {
		long n = cached_regions(h, c);
		uint64_t held;

		if (n < 0) {
			s->torn++;
			n = 0;
		}
		if (h->bins[c].base != NULL && n >= 0)
			walk_mark(w, (uintptr_t)h->bins[c].base - sizeof(void *),
				  (h->bins[c].cap + 1u) * sizeof(void *));
		s->cls[c].cached += (uint64_t)n;
		row.cached += (uint64_t)n * w->size[c];
		row.runs += h->bins[c].nruns;
		row.out += h->bins[c].out * w->size[c];
		held = held_block(h, addr, c);
		if (held == 0)
			continue;
		row.out -= w->size[c];
		w->held = grab_room(w->held, w->nheld, &w->held_capacity, sizeof *w->held);
		w->held[w->nheld++] = held;
	}
	row.runs += h->nstarters;
	walk_combine(w, h, &row);
	s->threads += h->kind == HEAP_THREAD;
	s->parked += row.parked && h->kind == HEAP_THREAD;
	s->heaps = grab_room(s->heaps, s->nheaps, &s->heaps_capacity, sizeof row);
	s->heaps[s->nheaps++] = row;
}

static bool heap_fits(const struct heap *h)
{
	bool fits = h->kind >= HEAP_THREAD && h->kind <= HEAP_LOST;

	for (unsigned c = 1; c < NCLASSES; c++)
		fits &= cached_regions(h, c) >= 0;
	return fits;
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

bool walk_holds(const struct walk *w, uint64_t block)
{
	return w->nheld > 0 && bsearch(&block, w->held, w->nheld, sizeof block, by_address) != NULL;
}

static bool walk_heaps(struct walk *w)
{
	struct list_walk l = {0};
	struct heap *h = grab(sizeof *h);
	uintptr_t at;

	if (!target_read(w->t, (uintptr_t)w->root->heaps, &at, sizeof at))
		at = 0;
	for (; list_next(&l, at); at = (uintptr_t)h->all_next) {
		bool read = false;

		for (int i = 0; i < ATTEMPTS; i++) {
			read = target_read(w->t, at, h, sizeof *h);
			if (!read || heap_fits(h))
				break;
			target_refresh(w->t, at, sizeof *h);
		}
		if (!read) {
			w->s->torn++;
			break;
		}
		walk_heap(w, at, h);
	}
	free(h);
	/* A process may have some ten thousands of them. */
	if (w->nheld > 0)
		qsort(w->held, w->nheld, sizeof *w->held, by_address);
	return true;
}

/* ---- huge blocks ------------------------------------------------------------------------- */

static void walk_huge(struct walk *w, uint64_t head, bool cached)
{
	struct list_walk l = {0};
	struct snapshot *s = w->s;
	struct run r;
	uintptr_t at;

	if (!target_read(w->t, head, &at, sizeof at))
		return;
	for (; list_next(&l, at); at = (uintptr_t)r.next) {
		struct block_row row;
		uint64_t bytes;

		if (!target_read(w->t, at, &r, sizeof r)) {
			s->torn++;
			return;
		}
		walk_mark(w, at, sizeof r);
		bytes = r.size + (cached ? 0 : (uint64_t)r.slack_kib * KIB);
		if (r.state != (cached ? RUN_UNUSED : RUN_HUGE) || r.size == 0 || bytes < r.size ||
		    bytes >> PAGE_SHIFT > w->room || !target_mapped(w->t, r.base, bytes)) {
			s->torn++;
			continue;
		}
		w->room -= bytes >> PAGE_SHIFT;
		row = (struct block_row){.base = r.base, .size = bytes, .cached = cached};
		if (s->resident_known) {
			double swapped = 0;

			s->resident_known = target_resident_bytes(w->t, r.base, r.base + bytes,
								  &row.resident, &swapped);
			if (!cached)
				s->live_swapped += swapped;
		}
		if (cached) {
			*(TRUTH(r.zero) ? &s->part.clean : &s->part.dirty) += row.resident;
			s->dirty += TRUTH(r.zero) ? 0 : r.size;
			s->clean += TRUTH(r.zero) ? r.size : 0;
		} else {
			s->part.live += row.resident;
			s->huge_live += bytes;
			s->huge_blocks++;
		}
		s->huge = grab_room(s->huge, s->nhuge, &s->huge_capacity, sizeof row);
		s->huge[s->nhuge++] = row;
	}
}

/* ---- the whole ---------------------------------------------------------------------------- */

static uint64_t unrecorded(uint64_t live, uint64_t recorded)
{
	return live > recorded ? live - recorded : 0;
}

/* What is known of requests in one library. */
static void sum_requests(struct walk *w)
{
	struct snapshot *s = w->s;

	for (unsigned i = 1; i < LIVE_ROWS; i++) {
		if (i < NCLASSES) {
			s->cls[i].recorded += w->rows[i].bytes;
			s->cls[i].internal += w->rows[i].waste;
		}
		s->recorded += w->rows[i].bytes;
		s->internal += w->rows[i].waste;
	}
	s->large_recorded += w->rows[LIVE_LARGE].bytes;
	s->huge_recorded += w->rows[LIVE_HUGE].bytes;
}

/* Resident bytes of the regions that are out, cut into live and cached ones: cached regions are
 * taken to be as resident as the others of their class. */
static void sum_classes(struct walk *w)
{
	struct snapshot *s = w->s;

	for (unsigned c = 1; c < NCLASSES; c++) {
		struct class_row *k = &s->cls[c];
		uint64_t out = k->regions - k->empty;
		double cached;

		if (k->cached > out)
			k->cached = out;
		k->live = out - k->cached;
		cached = out > 0 ? k->resident_out * (double)k->cached / (double)out : 0;
		s->part.cached += cached;
		s->part.live += k->resident_out - cached;
		s->part.fragmentation += k->resident_empty;
		s->small_live += k->live * k->size;
		s->cached += k->cached * k->size;
		s->empty += k->empty * k->size;
		s->tail += k->tail;
		s->active += k->active;
		s->internal_max += unrecorded(k->live, k->recorded / k->size) *
				   live_waste_max(w->size[c - 1], k->size);
	}
	s->live = s->small_live + s->large + s->huge_live;
	s->active += s->large + s->huge_live;
	s->internal_max += live_block_waste_max(unrecorded(s->large, s->large_recorded),
						s->large_blocks);
	s->internal_max += live_block_waste_max(unrecorded(s->huge_live, s->huge_recorded),
						s->huge_blocks);
	/* What heaps have not told yet may be above the peak. */
	if (s->peak_live < s->live)
		s->peak_live = s->live;
}

double snapshot_blow_up(const struct snapshot *s)
{
	double heap = (double)s->peak_rss - s->part.outside;

	if (!s->resident_known || s->peak_live == 0 || heap <= 0)
		return 0;
	return (heap < (double)s->peak_mapped ? heap : (double)s->peak_mapped) / (double)s->peak_live;
}

static bool walk_root(struct walk *w)
{
	walk_metadata(w);
	if (!read_classes(w) || !walk_heaps(w) || !walk_chunks(w))
		return false;
	walk_huge(w, (uintptr_t)w->root->huge, false);
	walk_huge(w, (uintptr_t)w->root->huge_cached, true);
	sum_requests(w);
	return true;
}

static struct snapshot *snapshot_once(struct target *t)
{
	struct snapshot *s = grab(sizeof *s);
	struct walk *w = grab(sizeof *w);
	double began = now_seconds();
	struct timespec ts;
	bool ok = false;

	clock_gettime(CLOCK_REALTIME, &ts);
	s->time = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
	s->pid = t->pid;
	s->core = t->pid == 0;
	s->command = grab_text(t->command);
	s->resident_known = t->ops->pages != NULL;
	*w = (struct walk){.t = t, .s = s};
	target_forget(t);
	if (target_list(t, true)) {
		roots_find(t, s->roots, &s->nroots);
		for (size_t i = 0; i < t->nareas; i++)
			w->room += (t->areas[i].end - t->areas[i].start) >> PAGE_SHIFT;
		for (unsigned i = 0; i < s->nroots; i++) {
			if (!s->roots[i].usable)
				continue;
			memcpy(s->version, s->roots[i].version, sizeof s->version);
			w->root = &s->roots[i].root;
			if (!walk_root(w)) {
				ok = false;
				break;
			}
			ok = true;
		}
	}
	if (ok) {
		sum_classes(w);
		residence_finish(w);
	} else if (t->error == NULL && s->nroots > 0) {
		char *why = root_refusal(&s->roots[0]);

		target_fail(t, EXIT_NOT_OURS, "%s", why);
		free(why);
	} else if (t->error == NULL) {
		target_fail(t, EXIT_NOT_OURS, "it does not use libarena");
	}
	free(w->marks);
	free(w->held);
	free(w);
	s->seconds = now_seconds() - began;
	if (ok)
		return s;
	snapshot_free(s);
	return NULL;
}

struct snapshot *snapshot_take(struct target *t)
{
	struct snapshot *best = NULL;

	for (unsigned i = 1; i <= ATTEMPTS; i++) {
		struct snapshot *s = snapshot_once(t);

		if (s == NULL && best == NULL)
			return NULL;
		if (best == NULL || (s != NULL && s->torn < best->torn)) {
			snapshot_free(best);
			best = s;
			s = NULL;
		}
		snapshot_free(s);
		best->attempts = i;
		if (best->torn == 0 || best->core)
			break;
	}
	return best;
}

void snapshot_free(struct snapshot *s)
{
	if (s == NULL)
		return;
	roots_free(s->roots, s->nroots);
	free(s->command);
	free(s->heaps);
	free(s->chunks);
	free(s->huge);
	free(s);
}

/* ---- the cheap figures -------------------------------------------------------------------- */

bool quick_take(struct target *t, const struct found_root *roots, unsigned count, struct quick *q)
{
	char *statm = target_proc(t, "statm");
	unsigned long long size, resident;
	struct heap *h = grab(sizeof *h);
	bool ok = statm != NULL && sscanf(statm, "%llu %llu", &size, &resident) == 2 && size > 0;

	*q = (struct quick){.time = now_seconds()};
	free(statm);
	if (ok)
		q->rss = resident * t->page_bytes;
	target_forget(t);
	for (unsigned i = 0; i < count && ok; i++) {
		struct list_walk l = {0};
		struct pages_state p;
		uintptr_t at;

		if (!roots[i].usable)
			continue;
		ok = target_read(t, (uintptr_t)roots[i].root.pages, &p, sizeof p) &&
		     target_read(t, (uintptr_t)roots[i].root.heaps, &at, sizeof at);
		if (!ok)
			break;
		q->active += p.used;
		q->mapped += p.mapped;
		q->dirty += p.dirty;
		q->live += p.large + p.huge;
		for (; list_next(&l, at) && target_read(t, at, h, sizeof *h); at = (uintptr_t)h->all_next)
			for (unsigned c = 1; c < NCLASSES; c++) {
				long n = cached_regions(h, c);
				uint64_t out = h->bins[c].out - (held_block(h, at, c) != 0);

				q->live += (out - (n > 0 && (uint64_t)n < out ? (uint64_t)n : 0)) *
					   size_by_rule(c);
			}
	}
	free(h);
	return ok;
}
