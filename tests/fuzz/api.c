/* SPDX-License-Identifier: MIT
 *
 * api.c - fuzz target: sequences of every call of the API, in several threads and arenas, against a
 * model that knows each block's place, size, alignment, arena and contents.
 *
 * The threads are ours: one kernel thread takes turns with their heaps, so that an input always does
 * the same.  A thread ends by the library's own TSD destructor; the child of a fork is the library's
 * own repair, after which all other threads are gone.  The operating system refuses when the input
 * says so.  At the end of an input all is freed, and nothing may be live.
 */
#include "input.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "alloc.h"
#include "arena/amalloc.h"
#include "fork.h"
#include "os.h"
#include "pages.h"
#include "tcache.h"

enum { THREADS = 4, ARENAS = 3, BLOCKS = 400 };
/* So much may be live: inputs that only ask for memory end here. */
#define LIVE_MAX (96 * MIB)
/* Contents are written and looked at whole up to this size, above at both ends and at some places
 * in between: each page that is touched costs the kernel more than the call under test. */
#define WHOLE  ((size_t)2048)
#define PLACES 5

struct block {
	unsigned char *p;
	size_t asked, usable, align;
	int arena; /* or -1 */
	uint8_t mark;
	bool sized; /* by amalloc, acalloc or arealloc: afree_sized() takes it */
};

static struct block blocks[BLOCKS];
static unsigned nblocks;
static size_t live;
static struct heap *thread[THREADS];
static unsigned now;
static struct arena *arena[ARENAS];
static unsigned char mark;

/* ---- the world of the library -------------------------------------------------------------- */

static unsigned refuse_after, refuse_for;
static bool refused; /* since the last look */

static bool refuse(void)
{
	if (refuse_for == 0)
		return false;
	if (refuse_after > 0) {
		refuse_after--;
		return false;
	}
	refuse_for--;
	refused = true;
	return true;
}

#define WRAP(type, name, failure, params, args) \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params \
	{ \
		return refuse() ? (failure) : __real_##name args; \
	}
WRAP(void *, arn_os_map, NULL, (void *hint, size_t n), (hint, n))
WRAP(void *, arn_os_map_aligned, NULL, (void *hint, size_t n, size_t align), (hint, n, align))
WRAP(void *, arn_os_map_sparse, NULL, (size_t n), (n))
WRAP(bool, arn_os_unmap, false, (void *p, size_t n), (p, n))
WRAP(bool, arn_os_purge, false, (void *p, size_t n), (p, n))
WRAP(bool, arn_os_resize, false, (void *p, size_t o, size_t n), (p, o, n))
WRAP(bool, arn_os_move, (__real_arn_os_unmap(to, n), false), (void *p, size_t o, size_t n, void *to),
	(p, o, n, to))

static void (*thread_end)(void *);
int __real_pthread_key_create(pthread_key_t *key, void (*end)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*end)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*end)(void *))
{
	thread_end = end;
	return __real_pthread_key_create(key, NULL);
}

static void turn_to(unsigned t)
{
	thread[now] = arn_heap;
	now = t;
	arn_heap = thread[t];
}

static void end_thread(unsigned t)
{
	turn_to(t);
	for (int round = 0; arn_heap->kind == HEAP_THREAD && round < 8; round++)
		thread_end(arn_heap);
	REQUIRE(arn_heap->kind != HEAP_THREAD, "thread %u does not end", t);
	/* A new thread takes its place. */
	arn_heap = &arn_heap_none;
}

static bool forked;

static void fork_here(void)
{
	forked = true;
	arn_fork_child();
	for (unsigned i = 0; i < THREADS; i++)
		if (i != now)
			thread[i] = &arn_heap_none;
}

/* What a thread has gathered and not sent counts as live. */
static void send_gathered(void)
{
	for (unsigned t = 0; t < THREADS; t++) {
		turn_to(t);
		if (arn_heap->kind == HEAP_THREAD)
			arn_remote_flush(arn_heap);
	}
}

/* Heaps that a fork left behind send what they gathered when a thread has them and ends. */
static void adopt_all(void)
{
	enum { MOST = 64 };
	struct heap *adopted[MOST];
	unsigned n = 0;

	for (; n < MOST && (n == 0 || arn_thread_parked() > 0); n++) {
		arn_heap = &arn_heap_none;
		adopted[n] = arn_thread_heap_slow();
		REQUIRE(adopted[n] != NULL && adopted[n]->kind == HEAP_THREAD, "no heap");
	}
	while (n-- > 0) {
		arn_heap = adopted[n];
		for (int round = 0; arn_heap->kind == HEAP_THREAD && round < 8; round++)
			thread_end(arn_heap);
	}
	forked = false;
}

/* ---- the model ------------------------------------------------------------------------------- */

static size_t stride(size_t n)
{
	return n / PLACES + 1;
}

static void paint(struct block *b, size_t n)
{
	size_t ends = n < WHOLE ? n : WHOLE / 2;

	memset(b->p, b->mark, ends);
	memset(b->p + n - ends, b->mark, ends);
	for (size_t i = ends; i + ends < n; i += stride(n))
		b->p[i] = b->mark;
}

static void look(const unsigned char *p, size_t from, size_t to, uint8_t want, const char *what)
{
	for (size_t i = from; i < to; i++)
		REQUIRE(p[i] == want, "%s: byte %zu at %p is %u, not %u", what, i, (void *)p, p[i], want);
}

/* The first N bytes of what was painted over PAINTED bytes. */
static void look_all(const struct block *b, size_t painted, size_t n, uint8_t want, const char *what)
{
	size_t ends = painted < WHOLE ? painted : WHOLE / 2;

	look(b->p, 0, ends < n ? ends : n, want, what);
	if (painted - ends < n)
		look(b->p, painted - ends, n, want, what);
	for (size_t i = ends; i + ends < painted && i < n; i += stride(painted))
		look(b->p, i, i + 1, want, what);
}

static void check_place(const struct block *b)
{
	uintptr_t from = (uintptr_t)b->p, to = from + b->usable;

	REQUIRE(from % 16 == 0 && from % b->align == 0, "%p: alignment %zu", (void *)b->p, b->align);
	REQUIRE(b->usable >= b->asked, "usable %zu of %zu", b->usable, b->asked);
	for (unsigned i = 0; i < nblocks; i++)
		if (&blocks[i] != b)
			REQUIRE(to <= (uintptr_t)blocks[i].p ||
					from >= (uintptr_t)blocks[i].p + blocks[i].usable,
				"%p + %zu overlaps %p + %zu", (void *)b->p, b->usable,
				(void *)blocks[i].p, blocks[i].usable);
	REQUIRE(arena_of(b->p) == (b->arena >= 0 ? arena[b->arena] : NULL), "wrong arena");
}

/* Every call that allocates ends here: P of SIZE bytes, or NULL. */
static void made(void *p, size_t size, size_t align, int in, bool zero, bool sized)
{
	struct block *b = &blocks[nblocks];

	if (p == NULL) {
		REQUIRE(errno == ENOMEM, "errno %d", errno);
		REQUIRE(refused, "%zu bytes refused", size);
		return;
	}
	*b = (struct block){p, size, amalloc_usable_size(p), align, in, mark++, sized};
	nblocks++;
	check_place(b);
	if (zero)
		look_all(b, size, size, 0, "calloc");
	if (sized && in < 0 && b->usable != amalloc_good_size(size))
		REQUIRE(size > SMALL_MAX, "usable %zu, good %zu", b->usable, amalloc_good_size(size));
	paint(b, b->usable);
	live += b->usable;
}

static void forget(unsigned i)
{
	live -= blocks[i].usable;
	blocks[i] = blocks[--nblocks];
}

static void unmake(unsigned i, unsigned how)
{
	struct block b = blocks[i];

	REQUIRE(amalloc_usable_size(b.p) == b.usable, "usable size changed");
	look_all(&b, b.usable, b.usable, b.mark, "free");
	forget(i);
	errno = 4711;
	if (b.sized && how % 4 == 1)
		afree_sized(b.p, b.asked);
	else if (!b.sized && b.arena < 0 && how % 4 == 1)
		afree_aligned_sized(b.p, b.align, b.asked);
	else if (how % 4 == 2)
		acfree(b.p);
	else if (how % 4 == 3)
		REQUIRE(arealloc(b.p, 0) == NULL, "realloc to 0");
	else
		afree(b.p);
	REQUIRE(errno == 4711, "free changed errno to %d", errno);
}

static void remake(unsigned i, size_t size, unsigned how)
{
	struct block old = blocks[i], *b;
	void *p;

	errno = 0;
	p = how % 2 != 0 && size % 3 == 0 ? areallocarray(old.p, 3, size / 3) : arealloc(old.p, size);
	if (p == NULL) {
		REQUIRE(errno == ENOMEM && refused && size > old.usable, "realloc %zu to %zu: errno %d",
			old.usable, size, errno);
		look_all(&old, old.usable, old.usable, old.mark, "failed realloc");
		return;
	}
	forget(i);
	b = &blocks[nblocks];
	*b = old;
	b->p = p;
	b->asked = size;
	b->align = 16;
	b->usable = amalloc_usable_size(p);
	b->sized = true;
	nblocks++;
	check_place(b);
	look_all(b, old.usable, old.usable < size ? old.usable : size, old.mark, "realloc");
	b->mark = mark++;
	paint(b, b->usable);
	live += b->usable;
}

static size_t huge_live(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < nblocks; i++)
		if (pagemap_run(blocks[i].p)->state == RUN_HUGE)
			n += blocks[i].usable;
	return n;
}

/* ---- the input --------------------------------------------------------------------------------- */

static size_t take_size(struct input *in)
{
	unsigned kind = (unsigned)take(in, 1);

	if (kind < 128)
		return take(in, 2) % 1100;
	if (kind < 192)
		return take(in, 2) % (SMALL_MAX + PAGE_BYTES);
	if (kind < 232)
		return take(in, 3) % (LARGE_MAX + 4096);
	if (kind < 248)
		return take(in, 3); /* to 16 MiB */
	/* At the edges. */
	switch (kind & 3) {
	case 0:
		return SMALL_MAX - 1 + take(in, 1) % 3;
	case 1:
		return LARGE_MAX - 1 + take(in, 1) % 3;
	case 2:
		return PAGE_BYTES * (1 + take(in, 1) % 16) - 1 + take(in, 1) % 3;
	default:
		return LARGE_MAX + 4096 * take(in, 1) + take(in, 1);
	}
}

static size_t take_align(struct input *in)
{
	return (size_t)1 << take(in, 1) % 23;
}

/* Sizes that no machine has: NULL and ENOMEM, or what the header says. */
static void absurd(size_t x, size_t align)
{
	const volatile size_t most = SIZE_MAX; /* or gcc warns of each */
	void *p = &p;

	errno = 0;
	REQUIRE(amalloc(most / 2 + 1 + x % 4096) == NULL && errno == ENOMEM, "malloc");
	errno = 0;
	REQUIRE(acalloc(most / 2, 3 + x % 99) == NULL && errno == ENOMEM, "calloc");
	errno = 0;
	REQUIRE(amemalign(align, most - x % 99) == NULL && errno == ENOMEM, "memalign");
	errno = 0;
	REQUIRE(apvalloc(most - x % 99) == NULL && errno == ENOMEM, "pvalloc");
	REQUIRE(aposix_memalign(&p, 3 + 8 * (x % 99), 1) == EINVAL && p == &p, "posix_memalign");
	REQUIRE(amalloc_good_size(most - x % 99) == 0, "good size");
	if (nblocks > 0) {
		errno = 0;
		REQUIRE(arealloc(blocks[0].p, most - x % 99) == NULL && errno == ENOMEM, "realloc");
		REQUIRE(areallocarray(blocks[0].p, most / 2, 3) == NULL, "reallocarray");
	}
}

static size_t huge_bytes(const struct run *r, bool *sane)
{
	size_t n = 0;

	for (; r != NULL; r = r->next) {
		n += r->size + r->slack_kib * KIB;
		*sane &= r->next == NULL || r->next->prev == r;
	}
	return n;
}

static void walk(void)
{
	size_t in_use, cached, chunks = 0;
	bool sane = true;

	REQUIRE(arn_pages_check(), "pages");
	in_use = huge_bytes(arn_huge_live, &sane);
	cached = huge_bytes(arn_huge_cached, &sane);
	for (struct chunk *c = arn_chunks; c != NULL; c = c->all_next)
		chunks += c->npages * PAGE_BYTES;
	REQUIRE(sane, "links of huge blocks");
	REQUIRE(arn_pages.huge == in_use, "huge %zu, counted %zu", arn_pages.huge, in_use);
	REQUIRE(arn_pages.mapped == chunks + in_use + cached, "mapped %zu, counted %zu",
		arn_pages.mapped, chunks + in_use + cached);
	for (struct heap *h = arn_heaps; h != NULL; h = h->all_next)
		if (h->kind != HEAP_LOST)
			REQUIRE(arn_heap_check(h), "heap %u", h->id);
}

static void allocate(struct input *in, unsigned how)
{
	size_t size = take_size(in), align = 16;
	size_t page = arn_os_page_bytes();
	void *p = NULL;

	if (nblocks == BLOCKS || live + size > LIVE_MAX)
		return;
	errno = 0;
	switch (how % 8) {
	case 0:
	case 1:
		made(amalloc(size), size, 1, -1, false, true);
		break;
	case 2:
		made(acalloc(1 + how / 8, size / (1 + how / 8)), size / (1 + how / 8) * (1 + how / 8), 1, -1,
		     true, true);
		break;
	case 3:
		align = take_align(in);
		made(amemalign(align, size), size, align, -1, false, false);
		break;
	case 4:
		align = take_align(in);
		if (align < sizeof p)
			align = sizeof p;
		if (aposix_memalign(&p, align, size) != 0)
			REQUIRE(p == NULL, "written on failure");
		made(p, size, align, -1, false, false);
		break;
	case 5:
		align = take_align(in);
		made(aaligned_alloc(align, size), size, align, -1, false, false);
		break;
	case 6:
		p = how & 8 ? avalloc(size) : apvalloc(size);
		if ((how & 8) == 0)
			size = bits_round_up(size == 0 ? 1 : size, page);
		made(p, size, page, -1, false, false);
		break;
	default:
		made(arealloc(NULL, size), size, 1, -1, false, true);
	}
}

static void use_arena(struct input *in, unsigned how)
{
	int k = (int)(how % ARENAS);
	size_t size, align;

	if (arena[k] == NULL) {
		errno = 0;
		arena[k] = arena_create();
		REQUIRE(arena[k] != NULL || (refused && errno == ENOMEM), "arena_create");
		REQUIRE(arena[k] == NULL || arena_live(arena[k]) == 0, "a new arena is not empty");
		return;
	}
	size = take_size(in);
	if (nblocks == BLOCKS || live + size > LIVE_MAX)
		return;
	errno = 0;
	if (how / ARENAS % 3 == 0) {
		made(arena_malloc(arena[k], size), size, 1, k, false, true);
	} else if (how / ARENAS % 3 == 1) {
		made(arena_calloc(arena[k], 1, size), size, 1, k, true, true);
	} else {
		align = take_align(in);
		made(arena_memalign(arena[k], align, size), size, align, k, false, false);
	}
}

static void end_arena(int k)
{
	size_t held = 0;

	if (arena[k] == NULL)
		return;
	for (unsigned i = nblocks; i-- > 0;)
		if (blocks[i].arena == k) {
			look_all(&blocks[i], blocks[i].usable, blocks[i].usable, blocks[i].mark, "arena");
			held += blocks[i].usable;
			forget(i);
		}
	REQUIRE(arena_live(arena[k]) == held, "%zu live in the arena, %zu known", arena_live(arena[k]),
		held);
	arena_destroy(arena[k]);
	arena[k] = NULL;
}

/* Many of one size, and every STEP-th of them gone again: what one by one takes long inputs. */
static void burst(size_t size, unsigned n, unsigned step)
{
	for (unsigned i = 0; i < n && nblocks < BLOCKS && live + size < LIVE_MAX; i++) {
		errno = 0;
		made(amalloc(size), size, 1, -1, false, true);
	}
	for (unsigned i = nblocks; i-- > 0;)
		if (i % step == 0)
			unmake(i, 0);
}

static void one(struct input *in)
{
	unsigned op = (unsigned)take(in, 1), how = (unsigned)take(in, 1);
	struct amalloc_stats s;

	/* Six of eight calls come from the thread that had the last one. */
	if ((op & 0xc0) == 0xc0)
		turn_to(how / 16 % THREADS);
	switch (op % 24) {
	case 0 ... 5:
		allocate(in, how);
		break;
	case 6 ... 10:
		if (nblocks > 0)
			unmake(how % nblocks, how / 7);
		break;
	case 11 ... 13:
		if (nblocks > 0) {
			size_t size = take_size(in);

			if (size != 0 && live + size < LIVE_MAX)
				remake(how % nblocks, size, how / 7);
		}
		break;
	case 14:
		use_arena(in, how);
		break;
	case 15:
		if (how % 8 == 0)
			end_arena((int)(how / 8 % ARENAS));
		else
			use_arena(in, how);
		break;
	case 16:
		amalloc_trim(how % 4 == 0 ? 0 : (size_t)how << 12);
		break;
	case 17:
		if (how % 2 == 0)
			end_thread(how / 2 % THREADS);
		else if (how % 16 == 1)
			fork_here();
		break;
	case 18:
		refuse_after = how % 16;
		refuse_for = how / 16 == 15 ? 1000 : how / 16;
		break;
	case 19:
		walk();
		break;
	case 20:
		absurd(take(in, 8), take_align(in));
		break;
	case 21:
		burst(take_size(in) % 40000, how, 1 + (unsigned)take(in, 1) % 5);
		break;
	case 22:
		REQUIRE(amallopt(-1, (int)how << 12) == 1, "mallopt");
		break;
	case 23:
		send_gathered();
		REQUIRE(amalloc_stats(&s, sizeof s) == 0, "stats");
		/* A huge block may have got a mapping a little too long. */
		s.live -= s.huge;
		REQUIRE(s.live == live - huge_live() || (forked && s.live > live - huge_live()),
			"%zu bytes live, %zu known", (size_t)s.live, live - huge_live());
		s.live += s.huge;
		REQUIRE(s.active >= s.live + s.cached, "active %zu", (size_t)s.active);
		REQUIRE(s.mapped >= s.active + s.dirty + s.metadata, "mapped %zu", (size_t)s.mapped);
		break;
	}
}

static void finish(void)
{
	struct amalloc_stats s;

	refuse_for = 0;
	while (nblocks > 0)
		unmake(nblocks - 1, nblocks);
	for (int i = 0; i < ARENAS; i++)
		end_arena(i);
	for (unsigned t = 0; t < THREADS; t++)
		end_thread(t);
	for (unsigned t = 0; t < THREADS; t++)
		thread[t] = &arn_heap_none;
	if (forked)
		adopt_all();
	arn_heap = &arn_heap_none;
	walk();
	REQUIRE(amalloc_stats(&s, sizeof s) == 0 && s.live == 0, "%zu bytes live at the end",
		(size_t)s.live);
	amallopt(-1, 1 << 20);
	refused = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = {data, data + n};

	for (unsigned t = 0; t < THREADS; t++)
		thread[t] = &arn_heap_none;
	arn_heap = &arn_heap_none;
	now = 0;
	mark = 1;
	while (in.at < in.end)
		one(&in);
	finish();
	return 0;
}
