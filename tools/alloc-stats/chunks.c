/* SPDX-License-Identifier: MIT
 *
 * chunks.c - walks the chunks of a heap: pages, runs and their regions, large blocks, and how much
 * of each is resident.
 */
#include <string.h>

#include "snapshot.h"

/* A piece that does not fit together is read again this often before it counts as torn. */
#define TRIES 3

/* A run as far as its bitmaps. */
union run_copy {
	struct run r;
	char bytes[offsetof(struct run, bits) + 4 * (RUN_REGIONS_MAX / 8)];
};

/* Where the page at ADDR has its info (SIZE 4) or run pointer (SIZE 8). */
static uint64_t map_entry(const struct walk *w, uint64_t addr, unsigned size)
{
	uint64_t i = (w->map_end - 1 - addr) >> PAGE_SHIFT;

	if (addr >= w->map_end || i >= w->map_pages)
		return 0;
	return size == 4 ? w->map_infos + 4 * i :
			   w->map_infos - sizeof(struct pagemap) - sizeof(uintptr_t) * (1 + i);
}

static bool read_run(struct walk *w, uint64_t page, union run_copy *u, uint64_t *at)
{
	uint64_t slot = map_entry(w, page, 8);
	uintptr_t p;
	size_t n;

	if (slot == 0 || !target_read(w->t, slot, &p, sizeof p) || p == 0 ||
	    !target_read(w->t, p, &u->r, sizeof u->r))
		return false;
	*at = p;
	if (u->r.nwords > RUN_REGIONS_MAX / WORD_BITS)
		return false;
	n = u->r.state == RUN_SMALL ? 16u * u->r.nwords : u->r.state == RUN_STARTER ? 32u * u->r.nwords : 0;
	return target_read(w->t, p + offsetof(struct run, bits),
			   u->bytes + offsetof(struct run, bits), n);
}

/* Whether run U is what the page map says of PAGE, and possible at all. */
static bool run_fits(const struct walk *w, const union run_copy *u, uint64_t page, uint32_t info,
		     unsigned pages_left)
{
	const struct run *r = &u->r;
	unsigned cls = INFO_CLASS(info);

	if (r->base != page || r->npages == 0 || r->npages > pages_left)
		return false;
	if (cls == INFO_LARGE)
		return r->state == RUN_LARGE;
	if (cls == INFO_STARTER)
		return r->state == RUN_STARTER && r->npages == 1 && r->nregions == RUN_REGIONS_MAX &&
		       r->nwords == RUN_REGIONS_MAX / WORD_BITS;
	return cls > 0 && cls < NCLASSES && r->state == RUN_SMALL && r->cls == cls &&
	       r->nregions > 0 && r->nregions <= RUN_REGIONS_MAX && r->nwords == (r->nregions + WORD_BITS - 1) / WORD_BITS &&
	       (uint64_t)r->nregions * w->size[cls] <= (uint64_t)r->npages << PAGE_SHIFT;
}

static bool region_free(const uint64_t *map, unsigned i)
{
	return map[i / WORD_BITS] >> (i % WORD_BITS) & 1;
}

/* Of the bytes [from, to) of a run, those in free regions. */
static uint64_t free_bytes(const uint64_t *map, uint32_t size, unsigned nregions, uint64_t from,
			   uint64_t to)
{
	uint64_t sum = 0;

	for (uint64_t i = from / size; i < nregions && i * size < to; i++)
		if (region_free(map, (unsigned)i)) {
			uint64_t a = i * size, b = a + size;

			sum += (b < to ? b : to) - (a > from ? a : from);
		}
	return sum;
}

/* Adds what of a run is resident to its class. */
static void run_residence(struct walk *w, const struct run *r, const uint64_t *map, unsigned nfree,
			  const float *share, struct class_row *k)
{
	uint64_t ps = w->t->page_bytes, bytes = (uint64_t)r->npages << PAGE_SHIFT;
	uint64_t regions = (uint64_t)r->nregions * k->size, n = bytes / ps, whole = 0, none = 0;

	for (uint64_t i = 0; i < n; i++) {
		whole += share[i] >= 1;
		none += share[i] <= 0;
	}
	if (whole == n) {
		k->resident_out += (double)((r->nregions - nfree) * (uint64_t)k->size);
		k->resident_empty += (double)(bytes - regions + nfree * (uint64_t)k->size);
		return;
	}
	for (uint64_t i = 0; i < n && none < n; i++) {
		uint64_t from = i * ps, to = from + ps, empty;

		if (share[i] < 0)
			w->s->live_swapped += (double)ps * (r->nregions - nfree) / r->nregions;
		if (share[i] <= 0)
			continue;
		empty = free_bytes(map, k->size, r->nregions, from, to);
		/* The tail counts as empty too. */
		if (to > regions)
			empty += to - (from > regions ? from : regions);
		k->resident_empty += share[i] * (double)empty;
		k->resident_out += share[i] * (double)(ps - empty);
	}
}

static void walk_small(struct walk *w, const union run_copy *u, const float *share, uint8_t *fill)
{
	const struct run *r = &u->r;
	struct class_row *k = &w->s->cls[r->cls];
	uint64_t map[RUN_REGIONS_MAX / WORD_BITS];
	unsigned nfree = 0;

	for (unsigned i = 0; i < r->nwords; i++) {
		map[i] = r->bits[i] | r->bits[r->nwords + i];
		if (i == r->nwords - 1u && r->nregions % WORD_BITS != 0)
			map[i] &= bits_low(r->nregions % WORD_BITS);
		nfree += bits_popcount(map[i]);
	}
	k->runs++;
	k->empty_runs += nfree == r->nregions;
	k->regions += r->nregions;
	k->empty += nfree;
	k->active += (uint64_t)r->npages << PAGE_SHIFT;
	k->tail += ((uint64_t)r->npages << PAGE_SHIFT) - (uint64_t)r->nregions * k->size;
	if (w->s->resident_known)
		run_residence(w, r, map, nfree, share, k);
	/* At least 1 when anything is out: the map shows such runs. */
	*fill = (uint8_t)((r->nregions - nfree) * 254u / r->nregions + (nfree < r->nregions));
}

/* Resident bytes of the bytes [from, to) of a span; adds to *SWAPPED what lies in swap. */
static double resident_part(const struct walk *w, const float *share, uint64_t from, uint64_t to,
			    double *swapped)
{
	uint64_t ps = w->t->page_bytes;
	double sum = 0;

	for (uint64_t i = from / ps; i * ps < to; i++) {
		uint64_t a = i * ps > from ? i * ps : from, b = (i + 1) * ps < to ? (i + 1) * ps : to;

		if (share[i] > 0)
			sum += share[i] * (double)(b - a);
		else if (share[i] < 0)
			*swapped += (double)(b - a);
	}
	return sum;
}

/* Granules of the block of a starter run that begins at I; 0: none is out there, -1: torn. */
static int starter_block(const struct walk *w, const struct run *r, unsigned i)
{
	const uint64_t *remote = &r->bits[r->nwords];
	unsigned n;

	if (!bitmap_test(run_starts(r), i) || bitmap_test(remote, i) || walk_holds(w, r->base + i * QUANTUM))
		return 0;
	n = bitmap_next(run_ends(r), i, r->nregions, true) + 1 - i;
	if (i + n > r->nregions || n * QUANTUM > SMALL_MAX || w->size[sizeclass_of(n * QUANTUM)] != n * QUANTUM)
		return -1;
	return (int)n;
}

/* A starter run: each block counts as a region of its class; what is free, as an end of the
 * smallest class's runs.  False: torn, and nothing was counted. */
static bool walk_starter(struct walk *w, const struct run *r, const float *share, uint8_t *fill)
{
	double resident = 0, all, ignored = 0;
	unsigned out = 0;
	int n;

	for (unsigned i = 0; i < r->nregions; i += n > 0 ? (unsigned)n : 1) {
		n = starter_block(w, r, i);
		if (n < 0)
			return false;
	}
	for (unsigned i = 0; i < r->nregions; i += n > 0 ? (unsigned)n : 1) {
		struct class_row *k;

		n = starter_block(w, r, i);
		if (n == 0)
			continue;
		k = &w->s->cls[sizeclass_of((unsigned)n * QUANTUM)];
		out += (unsigned)n;
		k->regions++;
		k->active += k->size;
		if (w->s->resident_known) {
			double part = resident_part(w, share, i * QUANTUM, i * QUANTUM + k->size,
						    &w->s->live_swapped);

			k->resident_out += part;
			resident += part;
		}
	}
	w->s->starters++;
	w->s->starter_out += out * QUANTUM;
	w->s->cls[1].runs++;
	w->s->cls[1].tail += (r->nregions - out) * QUANTUM;
	w->s->cls[1].active += (r->nregions - out) * QUANTUM;
	if (w->s->resident_known) {
		all = resident_part(w, share, 0, PAGE_BYTES, &ignored);
		w->s->cls[1].resident_empty += all > resident ? all - resident : 0;
	}
	*fill = (uint8_t)(out * 254u / r->nregions + (out > 0));
	return true;
}

static void walk_large(struct walk *w, const struct run *r, const float *share)
{
	uint64_t ps = w->t->page_bytes, bytes = (uint64_t)r->npages << PAGE_SHIFT;

	w->s->large += bytes;
	w->s->large_blocks++;
	for (uint64_t i = 0; w->s->resident_known && i < bytes / ps; i++) {
		if (share[i] > 0)
			w->s->part.live += share[i] * (double)ps;
		else if (share[i] < 0)
			w->s->live_swapped += (double)ps;
	}
}

/* What begins at page I of chunk C; returns its number of pages, 0 when it is torn. */
static unsigned walk_span(struct walk *w, const struct chunk *c, unsigned i,
			  struct chunk_row *row)
{
	uint64_t page = c->base + ((uint64_t)i << PAGE_SHIFT), at = 0;
	const float *share = &w->share[((uint64_t)i << PAGE_SHIFT) / w->t->page_bytes];
	union run_copy u;
	uint32_t info = 0;
	bool fits = false;
	uint8_t fill = 255;

	for (int try = 0; try < TRIES && !fits; try++) {
		uint64_t entry = map_entry(w, page, 4);

		if (entry == 0)
			return 0;
		if (try > 0) {
			target_refresh(w->t, entry, 4);
			target_refresh(w->t, map_entry(w, page, 8), 8);
			if (at != 0)
				target_refresh(w->t, at, sizeof u);
		}
		fits = target_read(w->t, entry, &info, sizeof info) && read_run(w, page, &u, &at) &&
		       run_fits(w, &u, page, info, c->npages - i);
	}
	if (!fits)
		return 0;
	walk_mark(w, at, (uint64_t)u.r.lines * ARN_CACHE_LINE);
	if (u.r.state == RUN_STARTER) {
		if (!walk_starter(w, &u.r, share, &fill))
			return 0;
	} else if (u.r.state == RUN_SMALL) {
		walk_small(w, &u, share, &fill);
	} else {
		walk_large(w, &u.r, share);
	}
	for (unsigned k = 0; k < u.r.npages; k++) {
		row->use[i + k] = u.r.state == RUN_LARGE ? USE_LARGE : (uint8_t)INFO_CLASS(info);
		row->fill[i + k] = fill;
	}
	return u.r.npages;
}

static void walk_free_page(struct walk *w, const struct chunk *c, unsigned i,
			   struct chunk_row *row)
{
	uint64_t ps = w->t->page_bytes, per = ps < PAGE_BYTES ? PAGE_BYTES / ps : 1;
	const float *share = &w->share[((uint64_t)i << PAGE_SHIFT) / ps];
	double *part;

	if (bitmap_test(c->dirty, i)) {
		row->use[i] = USE_DIRTY;
		row->dirty++;
		w->s->dirty += PAGE_BYTES;
	} else {
		w->s->clean += PAGE_BYTES;
	}
	/* A huge page may hold clean pages resident. */
	part = bitmap_test(c->dirty, i) ? &w->s->part.dirty : &w->s->part.clean;
	for (uint64_t k = 0; w->s->resident_known && k < per; k++)
		if (share[k] > 0)
			*part += share[k] * (double)(ps < PAGE_BYTES ? ps : PAGE_BYTES);
}

static void chunk_residence(struct walk *w, const struct chunk *c, struct chunk_row *row)
{
	uint64_t ps = w->t->page_bytes, bytes = (uint64_t)c->npages << PAGE_SHIFT;

	memset(w->share, 0, sizeof w->share);
	if (!w->s->resident_known)
		return;
	w->s->resident_known = target_residence(w->t, c->base, c->base + bytes, w->share);
	for (uint64_t i = 0; i < bytes / ps; i++)
		if (w->share[i] > 0) {
			uint8_t *in_ram = &row->in_ram[i * ps >> PAGE_SHIFT];

			row->resident += w->share[i] * (double)ps;
			*in_ram += (uint8_t)(255 * w->share[i] *
					     (float)(ps < PAGE_BYTES ? ps : PAGE_BYTES) / PAGE_BYTES);
		}
}

/* Whether page I was freed since the chunk C, which is at address AT, was read. */
static bool freed_since(struct walk *w, struct chunk *c, uint64_t at, unsigned i)
{
	struct chunk now;

	target_refresh(w->t, at, sizeof now);
	if (!target_read(w->t, at, &now, sizeof now) || now.base != c->base ||
	    now.npages != c->npages)
		return false;
	memcpy(c->used, now.used, sizeof c->used);
	memcpy(c->dirty, now.dirty, sizeof c->dirty);
	return !bitmap_test(c->used, i);
}

/* Whether the page map has nothing for page I, which is in use for the bitmap: a spare span's
 * (src/spare.c), and free. */
static bool is_spare(struct walk *w, const struct chunk *c, unsigned i)
{
	uint64_t entry = map_entry(w, c->base + ((uint64_t)i << PAGE_SHIFT), 4);
	uint32_t info;

	return entry != 0 && target_read(w->t, entry, &info, sizeof info) && info == 0;
}

static void walk_chunk(struct walk *w, struct chunk *c, uint64_t at)
{
	struct snapshot *s = w->s;
	struct chunk_row *row;

	if (s->nchunks == s->chunks_capacity)
		s->chunks = grab_room(s->chunks, s->nchunks, &s->chunks_capacity, sizeof *row);
	row = &s->chunks[s->nchunks++];
	memset(row, 0, sizeof *row);
	row->base = c->base;
	row->npages = c->npages;
	row->huge_pages = TRUTH(c->huge_pages);
	chunk_residence(w, c, row);
	for (unsigned i = 0; i < c->npages;) {
		unsigned n;

		if (!bitmap_test(c->used, i)) {
			walk_free_page(w, c, i++, row);
			continue;
		}
		n = walk_span(w, c, i, row);
		if (n == 0 && freed_since(w, c, at, i))
			continue;
		if (n == 0 && is_spare(w, c, i)) {
			bitmap_fill(c->dirty, i, 1, true);
			walk_free_page(w, c, i++, row);
			continue;
		}
		if (n == 0) {
			row->use[i] = USE_TORN;
			s->torn++;
			n = 1;
		}
		row->used += n;
		i += n;
	}
}

bool walk_chunks(struct walk *w)
{
	struct list_walk l = {0};
	struct chunk c;
	uintptr_t at;

	if (!target_read(w->t, (uintptr_t)w->root->chunks, &at, sizeof at)) {
		target_fail(w->t, EXIT_NOT_OURS, "its root descriptor leads nowhere");
		return false;
	}
	for (; list_next(&l, at); at = (uintptr_t)c.all_next) {
		if (!target_read(w->t, at, &c, sizeof c)) {
			w->s->torn++;
			break;
		}
		walk_mark(w, at, sizeof c);
		if (c.npages == 0)
			continue;
		if (c.npages > CHUNK_PAGES || c.npages > w->room || c.base % PAGE_BYTES != 0 ||
		    !target_mapped(w->t, c.base, (uint64_t)c.npages << PAGE_SHIFT)) {
			w->s->torn++;
			continue;
		}
		w->room -= c.npages;
		walk_chunk(w, &c, at);
	}
	return true;
}
