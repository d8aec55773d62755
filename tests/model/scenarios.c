/* SPDX-License-Identifier: MIT
 *
 * scenarios.c - what two to four threads do at the same time, and what must then be true.
 *
 * Each is as small as can be while the protocol in question still has all of its steps: what the
 * explorer visits grows with the product of the threads' steps.
 */
#include <string.h>

#include "alloc.h"
#include "arena/amalloc.h"
#include "explore.h"
#include "pages.h"
#include "run_ops.h"
#include "starter.h"
#include "tcache.h"
#include "world.h"

/* 128-byte regions: 128 in a page, two words of bitmap. */
enum { SIZE = 128, PER_RUN = 128, WORD = 64 };

static struct heap *heap_a, *heap_b, *heap_c;
static unsigned cls;
static char *block[4 * PER_RUN];
static char *other[PER_RUN];

static struct heap *heap_for(void)
{
	struct heap *h;

	arn_heap = &arn_heap_none;
	h = arn_thread_heap_slow();
	EXPECT(h != NULL, "no heap");
	/* Its table of gathered frees is there. */
	h->combine = arn_meta_get(META_COMBINE, sizeof *h->combine / ARN_CACHE_LINE);
	arn_heap = &arn_heap_none;
	return h;
}

/* N regions of class CLS out of the runs of H, in address order. */
static void take_from(struct heap *h, char **to, unsigned n)
{
	void *p[PER_RUN];

	while (n > 0) {
		unsigned got, want = n < PER_RUN ? n : PER_RUN;

		lock_take(&h->lock);
		got = arn_heap_take(h, cls, p + want, want);
		lock_drop(&h->lock);
		EXPECT(got > 0, "no memory");
		for (unsigned i = 0; i < got; i++)
			*to++ = p[want - 1 - i];
		n -= got;
	}
}

static void give_back(struct heap *h, char *const *from, unsigned n)
{
	lock_take(&h->lock);
	for (unsigned i = 0; i < n; i++) {
		void *p = from[i];

		arn_heap_give(h, cls, &p, 1);
	}
	lock_drop(&h->lock);
}

static void collect(struct heap *h)
{
	lock_take(&h->lock);
	arn_heap_collect(h);
	lock_drop(&h->lock);
}

static void free_remotely(struct heap *me, void *p)
{
	arn_remote_free(me, pagemap_run(p), p);
}

static void expect_out(struct heap *h, size_t out)
{
	EXPECT(h->bins[cls].out == out, "%zu regions of heap %u are out, not %zu", h->bins[cls].out,
	       h->id, out);
	EXPECT(atomic_load(&h->remote_head) == NULL, "a run is queued still");
	EXPECT(arn_heap_check(h), "heap %u", h->id);
	EXPECT(arn_pages_check(), "pages");
}

/* ---- remote: two free, the owner collects ------------------------------------------------------ */

static void remote_setup(void)
{
	cls = sizeclass_of(SIZE);
	heap_a = heap_for();
	heap_b = heap_for();
	heap_c = heap_for();
	take_from(heap_a, block, PER_RUN);
}

static void remote_first(void)
{
	arn_heap = heap_b;
	free_remotely(heap_b, block[1]);
	free_remotely(heap_b, block[WORD + 1]);
	arn_remote_flush(heap_b);
}

/* One of the two alone. */
static void late_first(void)
{
	arn_heap = heap_b;
	free_remotely(heap_b, block[1]);
	arn_remote_flush(heap_b);
}

static void remote_second(void)
{
	arn_heap = heap_c;
	free_remotely(heap_c, block[2]);
	arn_remote_flush(heap_c);
}

static void remote_owner(void)
{
	arn_heap = heap_a;
	collect(heap_a);
	/* What was freed can be had again. */
	take_from(heap_a, other, 1);
}

/* The owner comes by its list once more, and has everything. */
static void remote_check(void)
{
	collect(heap_a);
	expect_out(heap_a, PER_RUN - 3 + 1);
}

/* ---- queue: two runs at once --------------------------------------------------------------------- */

static void queue_setup(void)
{
	remote_setup();
	take_from(heap_a, block + PER_RUN, PER_RUN);
}

static void queue_second(void)
{
	arn_heap = heap_c;
	free_remotely(heap_c, block[PER_RUN + 2]);
	arn_remote_flush(heap_c);
}

static void queue_check(void)
{
	collect(heap_a);
	expect_out(heap_a, 2 * PER_RUN - 2 + 1);
}

/* ---- parts: the owner collects one run of two ---------------------------------------------------- */

static void parts_setup(void)
{
	queue_setup();
	free_remotely(heap_b, block[1]);
	free_remotely(heap_b, block[PER_RUN + 1]);
	arn_remote_flush(heap_b);
}

static void parts_second(void)
{
	arn_heap = heap_c;
	free_remotely(heap_c, block[2]);
	free_remotely(heap_c, block[PER_RUN + 2]);
	arn_remote_flush(heap_c);
}

static void parts_owner(void)
{
	arn_heap = heap_a;
	lock_take(&heap_a->lock);
	arn_heap_collect_some(heap_a, 1);
	lock_drop(&heap_a->lock);
}

static void parts_check(void)
{
	collect(heap_a);
	expect_out(heap_a, 2 * PER_RUN - 4);
}

/* ---- late: a run ends, and serves another heap, while it is being queued ------------------------ */

static void late_setup(void)
{
	remote_setup();
	/* Another run of the class, so that the first one goes when it is empty. */
	take_from(heap_a, block + PER_RUN, PER_RUN);
	for (unsigned i = 0; i < PER_RUN; i++)
		if (i != 1 && i != WORD + 1)
			give_back(heap_a, &block[i], 1);
}

static void late_second(void)
{
	arn_heap = heap_c;
	free_remotely(heap_c, block[WORD + 1]);
	arn_remote_flush(heap_c);
}

static void late_owner(void)
{
	arn_heap = heap_a;
	collect(heap_a);
	/* The slot of the run, if that has ended, now serves heap_c's owner. */
	take_from(heap_c, other, 1);
	free_remotely(heap_a, other[0]);
	arn_remote_flush(heap_a);
}

static void late_check(void)
{
	collect(heap_a);
	collect(heap_c);
	expect_out(heap_a, PER_RUN);
	expect_out(heap_c, 0);
}

/* ---- slot: the same, and the slot's memory goes back to the kernel ------------------------------- */

static void slot_setup(void)
{
	enum { SLOTS = 600, OS_PAGE = 4096, FREE = 2 * OS_PAGE };
	static struct run *slot[SLOTS];
	const size_t size = run_lines(PER_RUN / WORD_BITS) * ARN_CACHE_LINE;

	cls = sizeclass_of(SIZE);
	heap_a = heap_for();
	heap_b = heap_for();
	heap_c = heap_for();
	/* The slots in .bss never go back, nor does the first OS page of a block.  So that the run's
	 * slot is alone in the third, take all slots, give back those behind the third page's begin,
	 * take the run, and give back the one that lies across the begin. */
	for (unsigned i = 0; i < SLOTS; i++)
		slot[i] = arn_run_slot_get(PER_RUN);
	for (unsigned i = 0; i < SLOTS; i++)
		if (!arn_meta_is_boot(slot[i]) && (uintptr_t)slot[i] % (64 * KIB) >= FREE)
			arn_run_slot_put(slot[i]);
	take_from(heap_a, block, PER_RUN);
	for (unsigned i = 0; i < SLOTS; i++)
		if (!arn_meta_is_boot(slot[i]) && (uintptr_t)slot[i] % (64 * KIB) < FREE &&
		    (uintptr_t)slot[i] % (64 * KIB) + size > FREE)
			arn_run_slot_put(slot[i]);
	EXPECT((uintptr_t)pagemap_run(block[0]) % (64 * KIB) >= FREE, "the run's slot lies elsewhere");
	take_from(heap_a, block + PER_RUN, PER_RUN);
	for (unsigned i = 0; i < PER_RUN; i++)
		if (i != 1 && i != WORD + 1)
			give_back(heap_a, &block[i], 1);
}

/* Another run comes before the one that ends in the list. */
static void slot_second(void)
{
	late_second();
	free_remotely(heap_c, block[PER_RUN + 3]);
	arn_remote_flush(heap_c);
}

static void slot_owner(void)
{
	arn_heap = heap_a;
	collect(heap_a);
	arn_run_slot_trim();
}

static void slot_check(void)
{
	collect(heap_a);
	expect_out(heap_a, PER_RUN - 1);
	/* Slots that came back serve again, and lose nothing. */
	take_from(heap_c, other, 2);
	arn_heap = heap_a;
	free_remotely(heap_a, other[0]);
	arn_remote_flush(heap_a);
	collect(heap_a);
	collect(heap_c);
	expect_out(heap_c, 1);
}

/* ---- sleep: who frees collects for an owner that is away, and one adopts the heap ---------------- */

static void sleep_setup(void)
{
	remote_setup();
	arn_heap = heap_a;
	world_thread_end(heap_a);
	arn_heap = &arn_heap_none;
	/* So much was given already that each free tries to help. */
	atomic_store(&heap_a->remote_bytes, HELP_BYTES);
}

static void sleep_adopter(void)
{
	struct heap *h = arn_thread_heap_slow();

	EXPECT(h == heap_a, "not the parked heap");
	take_from(heap_a, other, 1);
}

static void sleep_check(void)
{
	collect(heap_a);
	expect_out(heap_a, PER_RUN - 2 + 1);
	EXPECT(arn_thread_parked() == 0, "still parked");
}

/* ---- adopt: threads end and begin ------------------------------------------------------------- */

static struct heap *now_of[THREADS_MAX];
static void *mine[THREADS_MAX];

static void adopt_setup(void)
{
	cls = sizeclass_of(SIZE);
	heap_a = heap_for();
	heap_b = heap_for();
	take_from(heap_a, block, 1);
	take_from(heap_b, other, 1);
	arn_heap = heap_a;
	afree(amalloc(SIZE));
	arn_heap = heap_b;
	world_thread_end(heap_b);
	arn_heap = &arn_heap_none;
}

static void adopt_end(void)
{
	arn_heap = heap_a;
	world_thread_end(heap_a);
	/* libc frees even later, under a shared heap. */
	EXPECT(arn_heap->kind == HEAP_SHARED, "an ended thread has a heap");
}

static void adopt_new(int i)
{
	struct heap *h = arn_thread_heap_slow();

	EXPECT(h != NULL && h == arn_heap && h->kind == HEAP_THREAD, "no heap");
	for (int k = 0; k < THREADS_MAX; k++)
		EXPECT(now_of[k] != h, "two threads have heap %u", h->id);
	now_of[i] = h;
	mine[i] = amalloc(SIZE);
	EXPECT(mine[i] != NULL, "no memory");
}

static void adopt_one(void)
{
	adopt_new(1);
}

static void adopt_two(void)
{
	adopt_new(2);
}

static void adopt_check(void)
{
	EXPECT(now_of[1] != now_of[2] && mine[1] != mine[2], "one heap for two");
	for (int i = 1; i <= 2; i++) {
		const struct run *r = pagemap_run(mine[i]);
		unsigned k = (unsigned)run_region_of(r, mine[i]);

		EXPECT((r->bits[k / WORD] >> k % WORD & 1) == 0, "a live block is free in its run");
	}
	/* Two threads begin, one ends, one heap was waiting: all or all but one are in use. */
	EXPECT(arn_thread_parked() + 2 + 1 == arn_heap_count(), "%zu of %u heaps are parked",
	       arn_thread_parked(), arn_heap_count());
	for (struct heap *h = arn_heaps; h != NULL; h = h->all_next)
		EXPECT(arn_heap_check(h), "heap %u", h->id);
}

/* ---- chunk: claims of pages, while the window of the page map grows and somebody decodes --------- */

static void *huge_block;

static void chunk_setup(void)
{
	remote_setup();
	/* Something to give back. */
	take_from(heap_b, other, PER_RUN);
	world_maps_far = true;
}

static void chunk_take(struct heap *h, char **to)
{
	arn_heap = h;
	take_from(h, to, 1);
}

static void chunk_first(void)
{
	chunk_take(heap_c, block + PER_RUN);
}

static void chunk_second(void)
{
	/* Outside of the window: a larger one is published. */
	arn_heap = heap_b;
	huge_block = amalloc(5 * MIB);
	EXPECT(huge_block != NULL, "no memory");
	EXPECT(amalloc_usable_size(huge_block) >= 5 * MIB, "not found in the new window");
}

static void chunk_reader(void)
{
	arn_heap = heap_a;
	for (int i = 0; i < 2; i++) {
		struct run *r = pagemap_run(block[3]);

		EXPECT(r != NULL && r->owner == heap_a->id, "a live block is not found");
		EXPECT(amalloc_usable_size(block[3]) == SIZE, "a live block has another size");
	}
}

static void chunk_check(void)
{
	struct run *r[3] = {pagemap_run(block[3]), pagemap_run(block[PER_RUN]), pagemap_run(other[0])};

	EXPECT(arn_pages_check(), "pages");
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < i; k++)
			EXPECT(r[i] != NULL && r[k] != NULL &&
				       (r[i]->base + r[i]->size <= r[k]->base ||
					r[k]->base + r[k]->size <= r[i]->base),
			       "runs overlap");
	EXPECT(pagemap_run(huge_block)->state == RUN_HUGE, "the huge block is lost");
}

/* ---- boot: the first two mallocs of a process ----------------------------------------------------- */

static void *first_block[2];

static void boot_setup(void)
{
}

static void boot_one(void)
{
	first_block[0] = amalloc(100);
}

static void boot_two(void)
{
	first_block[1] = amalloc(100);
}

static void boot_check(void)
{
	EXPECT(first_block[0] != NULL && first_block[1] != NULL && first_block[0] != first_block[1],
	       "blocks %p and %p", first_block[0], first_block[1]);
	EXPECT(arn_heap_count() == 2 && arn_pages_check(), "two heaps");
	/* A second boot would put another window in the place of the first. */
	EXPECT(pagemap_run(first_block[0]) != NULL && pagemap_run(first_block[1]) != NULL,
	       "a block that the page map does not know");
}

/* ---- lock: the futex lock itself ------------------------------------------------------------------ */

static struct lock lock;
static unsigned inside, entered;

static void lock_setup(void)
{
	world_real_lock = true;
}

static void lock_user(void)
{
	lock_take(&lock);
	EXPECT(RELAXED_GET(inside) == 0, "two are inside");
	RELAXED_SET(inside, 1);
	RELAXED_SET(entered, RELAXED_GET(entered) + 1);
	RELAXED_SET(inside, 0);
	lock_drop(&lock);
}

static void lock_check(void)
{
	EXPECT(entered == 3 && !lock_is_held(&lock), "%u entered", entered);
}

/* ---- starter: two free, the owner frees and collects ------------------------------------------- */

static void starter_setup(void)
{
	static const unsigned size[] = {16, 48, 112, 32};

	heap_a = heap_for();
	heap_b = heap_for();
	heap_c = heap_for();
	for (int i = 0; i < 4; i++)
		block[i] = arn_starter_malloc(heap_a, sizeclass_of(size[i]));
}

static void starter_first(void)
{
	arn_heap = heap_b;
	free_remotely(heap_b, block[0]);
}

static void starter_second(void)
{
	arn_heap = heap_c;
	free_remotely(heap_c, block[2]);
}

static void starter_owner(void)
{
	arn_heap = heap_a;
	arn_starter_free(heap_a, pagemap_run(block[1]), block[1]);
	collect(heap_a);
}

static void starter_check(void)
{
	collect(heap_a);
	EXPECT(arn_starter_size(pagemap_run(block[3]), block[3]) == 32, "a live block changed");
	for (cls = 1; cls <= sizeclass_of(112); cls++)
		expect_out(heap_a, cls == sizeclass_of(32));
}

const struct scenario scenarios[] = {
	{"remote", "two threads free, the owner collects", remote_setup,
	 {remote_first, remote_second, remote_owner}, remote_check},
	{"queue", "two threads queue two runs, the owner collects", queue_setup,
	 {late_first, queue_second, remote_owner}, queue_check},
	{"parts", "of two queued runs the owner collects one, while frees go on", parts_setup,
	 {parts_second, parts_owner}, parts_check},
	{"late", "a run ends and serves another heap while it is queued", late_setup,
	 {late_first, late_second, late_owner}, late_check},
	{"slot", "its slot goes back to the kernel meanwhile", slot_setup,
	 {late_first, slot_second, slot_owner}, slot_check},
	{"sleep", "two free into a heap whose thread has ended, one adopts it", sleep_setup,
	 {late_first, late_second, sleep_adopter}, sleep_check},
	{"adopt", "a thread ends, two begin", adopt_setup, {adopt_end, adopt_one, adopt_two},
	 adopt_check},
	{"chunk", "pages are claimed, the page map grows, a block is looked up", chunk_setup,
	 {chunk_first, chunk_second, chunk_reader}, chunk_check},
	{"starter", "two free into a starter run, the owner frees and collects", starter_setup,
	 {starter_first, starter_second, starter_owner}, starter_check},
	{"boot", "the first two mallocs of a process", boot_setup, {boot_one, boot_two}, boot_check},
	{"lock", "three threads and the futex lock", lock_setup, {lock_user, lock_user, lock_user},
	 lock_check},
	{0},
};
