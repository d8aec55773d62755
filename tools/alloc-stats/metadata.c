/* SPDX-License-Identifier: MIT
 *
 * metadata.c - the counters of a heap, the windows of its page map, and the blocks of memory that
 * the allocator keeps for itself.
 */
#include <string.h>

#include "meta.h"
#include "snapshot.h"

/* An entry of a window: the info and the run pointer of a page. */
#define ENTRY_BYTES (sizeof(uint32_t) + sizeof(uintptr_t))

static void read_counters(struct walk *w)
{
	const struct arn_root *r = w->root;
	struct snapshot *s = w->s;
	struct pages_state p;
	struct live_state live;
	size_t n;

	if (target_read(w->t, (uintptr_t)r->pages, &p, sizeof p)) {
		s->peak_active += p.peak_used;
		s->peak_mapped += p.peak_mapped;
		s->purged += p.purged;
		s->mapped += p.mapped;
		s->metadata += p.mapped / PAGE_BYTES * ENTRY_BYTES;
	}
	if (target_read(w->t, (uintptr_t)r->meta_mapped, &n, sizeof n)) {
		s->mapped += n;
		s->peak_mapped += n;
	}
	if (target_read(w->t, (uintptr_t)r->meta_used, &n, sizeof n)) {
		s->metadata += n;
		s->metadata_used += n;
	}
	if (target_read(w->t, (uintptr_t)r->delete_mismatches, &n, sizeof n))
		s->mismatches += n;
	if (target_read(w->t, (uintptr_t)r->live, &live, sizeof live))
		s->peak_live += live.peak;
	if (!target_read(w->t, (uintptr_t)r->live_rows, w->rows, sizeof w->rows))
		memset(w->rows, 0, sizeof w->rows);
}

/* The window in use, then the ones before it: each covered less, which bounds a list of lies. */
static void walk_windows(struct walk *w)
{
	struct pagemap m;
	uintptr_t infos;
	uint64_t most = (SIZE_MAX >> PAGE_SHIFT) + 1;

	w->map_pages = 0;
	if (!target_read(w->t, (uintptr_t)w->root->pagemap, &infos, sizeof infos))
		return;
	for (; target_read(w->t, infos - sizeof m, &m, sizeof m); infos = (uintptr_t)m.older) {
		/* Before the first mapping there is a window of no pages. */
		if (m.npages == 0 || m.npages >= most)
			break;
		if (w->map_pages == 0) {
			w->map_infos = infos;
			w->map_pages = m.npages;
			w->map_end = m.top + QUANTUM;
		}
		most = m.npages;
		/* The first one lies in .bss. */
		if (m.mem == NULL || m.bytes >> 1 > ENTRY_BYTES * m.npages)
			break;
		w->s->mapped += m.bytes;
		w->s->peak_mapped += m.bytes;
		if (!target_mapped(w->t, (uintptr_t)m.mem, m.bytes))
			break;
		walk_mark(w, (uintptr_t)m.mem, m.bytes);
	}
}

static void walk_blocks(struct walk *w)
{
	struct list_walk l = {0};
	struct meta_block b;
	uint64_t room = w->room << PAGE_SHIFT;
	uintptr_t at;

	if (!target_read(w->t, (uintptr_t)w->root->meta_blocks, &at, sizeof at))
		return;
	for (; list_next(&l, at); at = (uintptr_t)b.next) {
		if (!target_read(w->t, at, &b, sizeof b) || b.bytes > room ||
		    !target_mapped(w->t, at, b.bytes)) {
			w->s->torn++;
			break;
		}
		room -= b.bytes;
		walk_mark(w, at, b.bytes);
	}
}

void walk_metadata(struct walk *w)
{
	read_counters(w);
	walk_windows(w);
	walk_blocks(w);
}
