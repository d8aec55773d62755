/* SPDX-License-Identifier: MIT
 *
 * target.c - what live processes and core files have in common: the cache of blocks, the search in
 * the list of areas, and residence by area.
 */
#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u
/* Blocks come from slabs of this many, and all are forgotten beyond CACHE_MAX: half a GiB, so that
 * a heap made of lies cannot fill the reader's memory. */
#define SLAB_BLOCKS 256u
#define CACHE_MAX (512u << 20 >> 12)
/* Areas above this are asked for their pages piece by piece (16 GiB have 4 million pages), and all
 * of them once this many pages were asked for. */
#define AREA_WHOLE ((uint64_t)16 << 30)
#define PAGES_WHOLE ((uint64_t)1 << 26)

struct block_cache {
	uint64_t *key;     /* open addressing; 0: empty.  Address of the block, plus 1 */
	uint32_t *index;
	size_t slots, count;
	unsigned char **slab;
	size_t nslabs, slab_capacity;
};

static size_t hash(uint64_t key, size_t slots)
{
	return (size_t)(key * 0x9e3779b97f4a7c15ull >> 20) & (slots - 1);
}

static void cache_resize(struct block_cache *c, size_t slots)
{
	uint64_t *key = grab(slots * sizeof *key);
	uint32_t *index = grab(slots * sizeof *index);

	for (size_t i = 0; i < c->slots; i++) {
		size_t at;

		if (c->key[i] == 0)
			continue;
		for (at = hash(c->key[i], slots); key[at] != 0; at = (at + 1) & (slots - 1))
			;
		key[at] = c->key[i];
		index[at] = c->index[i];
	}
	free(c->key);
	free(c->index);
	c->key = key;
	c->index = index;
	c->slots = slots;
}

static unsigned char *cache_block(struct block_cache *c, uint32_t index)
{
	return c->slab[index / SLAB_BLOCKS] + (size_t)(index % SLAB_BLOCKS) * BLOCK;
}

/* The bytes of the block at BASE, fetched if need be; NULL: not readable. */
static unsigned char *block_get(struct target *t, uint64_t base)
{
	struct block_cache *c = t->cache;
	uint64_t key = base | 1;
	unsigned char *block;
	size_t at;

	if (c->count * 2 >= c->slots)
		cache_resize(c, c->slots == 0 ? 1024 : c->slots * 2);
	for (at = hash(key, c->slots); c->key[at] != 0; at = (at + 1) & (c->slots - 1))
		if (c->key[at] == key)
			return cache_block(c, c->index[at]);
	if (c->count >= CACHE_MAX) {
		target_forget(t);
		return block_get(t, base);
	}
	if (c->count / SLAB_BLOCKS >= c->nslabs) {
		c->slab = grab_room(c->slab, c->nslabs, &c->slab_capacity, sizeof *c->slab);
		c->slab[c->nslabs++] = grab((size_t)SLAB_BLOCKS * BLOCK);
	}
	block = cache_block(c, (uint32_t)c->count);
	if (!t->ops->read(t, base, block, BLOCK))
		return NULL;
	c->key[at] = key;
	c->index[at] = (uint32_t)c->count++;
	return block;
}

bool target_read(struct target *t, uint64_t addr, void *buf, size_t n)
{
	char *to = buf;

	if (addr + n < addr)
		return false;
	while (n > 0) {
		size_t at = addr % BLOCK, take = BLOCK - at < n ? BLOCK - at : n;
		const unsigned char *block = block_get(t, addr - at);

		if (block == NULL)
			return false;
		memcpy(to, block + at, take);
		to += take;
		addr += take;
		n -= take;
	}
	return true;
}

void target_forget(struct target *t)
{
	struct block_cache *c = t->cache;

	if (c->count > 0)
		memset(c->key, 0, c->slots * sizeof *c->key);
	c->count = 0;
}

void target_refresh(struct target *t, uint64_t addr, size_t n)
{
	struct block_cache *c = t->cache;

	if (c->slots == 0)
		return;
	for (uint64_t base = addr / BLOCK * BLOCK; base < addr + n; base += BLOCK)
		for (size_t at = hash(base | 1, c->slots); c->key[at] != 0; at = (at + 1) & (c->slots - 1))
			if (c->key[at] == (base | 1)) {
				t->ops->read(t, base, cache_block(c, c->index[at]), BLOCK);
				break;
			}
}

struct target *target_new(const struct target_ops *ops)
{
	struct target *t = grab(sizeof *t);

	t->ops = ops;
	t->cache = grab(sizeof *t->cache);
	t->proc_fd = t->mem_fd = t->pagemap_fd = -1;
	t->page_bytes = 4096;
	return t;
}

void target_close(struct target *t)
{
	if (t == NULL)
		return;
	t->ops->close(t);
	target_free_areas(t);
	for (size_t i = 0; i < t->cache->nslabs; i++)
		free(t->cache->slab[i]);
	free(t->cache->slab);
	free(t->cache->key);
	free(t->cache->index);
	free(t->cache);
	free(t->command);
	free(t->error);
	free(t);
}

void target_fail(struct target *t, int status, const char *format, ...)
{
	va_list ap;

	free(t->error);
	va_start(ap, format);
	if (vasprintf(&t->error, format, ap) < 0)
		t->error = NULL;
	va_end(ap);
	t->error_status = status;
}

/* ---- areas ------------------------------------------------------------------------------- */

void target_free_areas(struct target *t)
{
	for (size_t i = 0; i < t->nareas; i++) {
		free(t->areas[i].name);
		free(t->areas[i].pages);
	}
	free(t->areas);
	t->areas = NULL;
	t->nareas = 0;
}

bool target_list(struct target *t, bool with_rss)
{
	target_free_areas(t);
	return t->ops->list(t, with_rss);
}

struct area *target_area(struct target *t, uint64_t addr)
{
	size_t low = 0, high = t->nareas;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t->areas[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < t->nareas && t->areas[low].start <= addr ? &t->areas[low] : NULL;
}

bool target_mapped(struct target *t, uint64_t addr, uint64_t n)
{
	uint64_t end = addr + n;

	if (end < addr)
		return false;
	while (addr < end) {
		const struct area *a = target_area(t, addr);

		if (a == NULL)
			return false;
		addr = a->end;
	}
	return true;
}

/* A page that is present but not exclusively mapped is either shared with a relative (in the
 * resident set) or the zero page (not in it).  The area's Rss tells how many of them count. */
static void area_ask(struct target *t, struct area *a)
{
	uint64_t n = (a->end - a->start) / t->page_bytes;
	uint64_t ours = 0, maybe = 0;

	a->asked = true;
	a->maybe_weight = 1;
	if (a->end - a->start > AREA_WHOLE || t->pages_asked > PAGES_WHOLE)
		return;
	t->pages_asked += n;
	a->pages = grab(n);
	if (!t->ops->pages(t, a->start, a->end, a->pages)) {
		free(a->pages);
		a->pages = NULL;
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		ours += (a->pages[i] & PAGE_OURS) != 0;
		maybe += (a->pages[i] & PAGE_MAYBE) != 0;
	}
	if (maybe > 0) {
		double in_rss = (double)a->rss / (double)t->page_bytes - (double)ours;

		a->maybe_weight = in_rss <= 0 ? 0 : in_rss >= (double)maybe ? 1 : in_rss / (double)maybe;
	}
}

static float share_of(const struct area *a, uint8_t flags)
{
	return flags & PAGE_OURS ? 1 : flags & PAGE_MAYBE ? (float)a->maybe_weight :
	       flags & PAGE_SWAPPED ? -1 : 0;
}

bool target_residence(struct target *t, uint64_t start, uint64_t end, float *share)
{
	uint64_t ps = t->page_bytes;

	if (t->ops->pages == NULL)
		return false;
	while (start < end) {
		struct area *a = target_area(t, start);
		uint64_t stop = a != NULL && a->end < end ? a->end : end;
		uint64_t n;

		if (a == NULL) {
			*share++ = 0;
			start += ps;
			continue;
		}
		if (!a->asked)
			area_ask(t, a);
		n = (stop - start + ps - 1) / ps;
		if (a->pages != NULL) {
			for (uint64_t i = 0; i < n; i++)
				share[i] = share_of(a, a->pages[(start - a->start) / ps + i]);
		} else {
			uint8_t *flags = grab(n);
			bool known = t->ops->pages(t, start, start + n * ps, flags);

			for (uint64_t i = 0; i < n; i++)
				share[i] = share_of(a, flags[i]);
			free(flags);
			if (!known)
				return false;
		}
		share += n;
		start += n * ps;
	}
	return true;
}

bool target_resident_bytes(struct target *t, uint64_t start, uint64_t end, double *resident,
			   double *swapped)
{
	enum { PIECE = 1024 };
	uint64_t ps = t->page_bytes;
	float share[PIECE];

	*resident = *swapped = 0;
	if (t->ops->pages == NULL)
		return false;
	start = start / ps * ps;
	while (start < end) {
		struct area *a = target_area(t, start);
		uint64_t stop;

		if (a == NULL)
			return true;
		if (a->start == start && a->end <= end) {
			*resident += (double)a->rss;
			*swapped += (double)a->swap;
			start = a->end;
			continue;
		}
		stop = a->end < end ? a->end : end;
		if (stop - start > PIECE * ps)
			stop = start + PIECE * ps;
		if (!target_residence(t, start, stop, share))
			return false;
		for (uint64_t i = 0; start + i * ps < stop; i++) {
			*resident += share[i] > 0 ? share[i] * (double)ps : 0;
			*swapped += share[i] < 0 ? (double)ps : 0;
		}
		start = (stop + ps - 1) / ps * ps;
	}
	return true;
}
