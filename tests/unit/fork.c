/* SPDX-License-Identifier: MIT
 *
 * fork.c - unit tests of what a forked child mends: locks that vanished threads held, heaps caught
 * busy, heaps at rest, forks without handlers and in signal handlers.  The linker (--wrap) lets us
 * fork right before and after each system call of the core, where another thread would be caught.
 */
#include "unit.h"

#include <sys/syscall.h>
#include <time.h>

#include "alloc.h"
#include "lock.h"
#include "options.h"
#include "meta.h"
#include "pagemap.h"
#include "pages.h"
#include "run_ops.h"
#include "tcache.h"

/* All kinds of blocks, in every child: what it was forked from must serve it whole. */
static void work(uint64_t seed)
{
	enum { N = 200 };
	unsigned char *p[N] = {NULL};
	size_t size[N];

	for (int i = 0; i < 3000; i++) {
		unsigned k = (unsigned)(unit_random(&seed) % N);

		if (p[k] == NULL) {
			size[k] = unit_random(&seed) % 64 == 0 ? 5 * MIB :
				  unit_random(&seed) % 8 == 0  ? 200 * KIB :
								 1 + unit_random(&seed) % 3000;
			p[k] = tcache_malloc(size[k]);
			if (p[k] == NULL)
				abort();
			p[k][0] = p[k][size[k] - 1] = (unsigned char)k;
		} else {
			if (p[k][0] != k || p[k][size[k] - 1] != k)
				abort();
			tcache_free(p[k]);
			p[k] = NULL;
		}
	}
	for (int i = 0; i < N; i++)
		tcache_free(p[i]);
	if (arn_locks_mine != 0)
		abort();
}

static void *work_in_thread(void *arg)
{
	work((uintptr_t)arg);
	return arg;
}

/* An emulated machine is slower: build-aux/cross says by how much, to Check too. */
static void end_in(unsigned seconds)
{
	const char *factor = getenv("CK_TIMEOUT_MULTIPLIER");

	alarm(factor != NULL ? seconds * (unsigned)atoi(factor) : seconds);
}

static void child_works(void)
{
	pthread_t t;

	end_in(20); /* a lock that stays held would hang it */
	work(1);
	if (pthread_create(&t, NULL, work_in_thread, (void *)2) != 0)
		abort();
	pthread_join(t, NULL);
	arn_trim(0);
	if (!arn_pages_check())
		abort();
	for (struct heap *h = arn_heaps; h != NULL; h = h->all_next)
		if (h->kind != HEAP_LOST && !arn_heap_check(h))
			abort();
}

#define REQUIRE_CHILD(pid) \
	do { \
		int status_; \
		ck_assert_int_ge(pid, 0); \
		ck_assert_int_eq(waitpid(pid, &status_, 0), pid); \
		ck_assert_msg(status_ == 0, "the child ended with status %#x", status_); \
	} while (0)

/* ---- a second thread in a known state -------------------------------------------------------- */

static pthread_barrier_t barrier;
static struct heap *their_heap;
static void *theirs[300];
static void (*enter)(void), (*leave)(void); /* the state that the thread is in during the fork */

static void *be_there(void *arg)
{
	for (int i = 0; i < 300; i++)
		theirs[i] = tcache_malloc((size_t)(i + 1) * 40);
	their_heap = arn_heap;
	enter();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	leave();
	return arg;
}

static void with_thread(void (*in)(void), void (*out)(void), void (*child)(void))
{
	pthread_t t;
	pid_t pid;

	enter = in;
	leave = out;
	pthread_barrier_init(&barrier, NULL, 2);
	work(9); /* ours is the first heap, the thread's the second */
	ck_assert_int_eq(pthread_create(&t, NULL, be_there, NULL), 0);
	pthread_barrier_wait(&barrier);
	pid = fork();
	if (pid == 0) {
		child();
		_exit(0);
	}
	REQUIRE_CHILD(pid);
	pthread_barrier_wait(&barrier);
	pthread_join(t, NULL);
	work(10);
	for (int i = 0; i < 300; i++)
		tcache_free(theirs[i]);
	ck_assert(arn_pages_check());
}

static void rest(void)
{
}

static void *id_of_heap(void *arg)
{
	tcache_free(tcache_malloc(100));
	*(struct heap **)arg = arn_heap;
	return arg;
}

static struct heap *heap_of_new_thread(void)
{
	struct heap *h = NULL;
	pthread_t t;

	if (pthread_create(&t, NULL, id_of_heap, &h) != 0)
		abort();
	pthread_join(t, NULL);
	return h;
}

static void free_theirs(void)
{
	for (int i = 0; i < 300; i++)
		tcache_free(theirs[i]);
}

static void child_adopts(void)
{
	if (heap_of_new_thread() != their_heap)
		abort();
	free_theirs();
	child_works();
}

START_TEST(heap_at_rest_is_adopted)
{
	with_thread(rest, rest, child_adopts);
}
END_TEST

/* What the vanished thread had cached is nobody's, and pins nothing once its heap is adopted. */
static void cache_some(void)
{
	static void *p[200];

	for (int i = 0; i < 200; i++)
		p[i] = tcache_malloc(640);
	for (int i = 0; i < 200; i++)
		tcache_free(p[i]);
	REQUIRE(tcache_count(arn_heap, sizeclass_of(640)) > 100);
}

static void *is_empty(void *arg)
{
	tcache_free(tcache_malloc(100));
	for (unsigned c = 1; c < NCLASSES; c++)
		if (c != sizeclass_of(100) && (arn_heap->bins[c].base != NULL || tcache_count(arn_heap, c) != 0))
			return NULL;
	return arn_heap == their_heap ? arg : NULL;
}

static void child_adopts_it_empty(void)
{
	pthread_t t;
	void *ok;

	if (pthread_create(&t, NULL, is_empty, &t) != 0 || pthread_join(t, &ok) != 0 || ok == NULL)
		abort();
	free_theirs();
	child_works();
}

START_TEST(orphan_is_emptied)
{
	with_thread(cache_some, rest, child_adopts_it_empty);
}
END_TEST

static void hold_heap(void)
{
	lock_take(&arn_heap->lock);
}

static void drop_heap(void)
{
	lock_drop(&arn_heap->lock);
}

static void child_leaves_alone(void)
{
	if (heap_of_new_thread() == their_heap)
		abort();
	free_theirs();
	child_works();
	if (their_heap->kind != HEAP_LOST)
		abort();
}

START_TEST(busy_heap_is_left_alone)
{
	with_thread(hold_heap, drop_heap, child_leaves_alone);
}
END_TEST

static void hold_pages(void)
{
	lock_take(&arn_pages_lock);
}

static void drop_pages(void)
{
	lock_drop(&arn_pages_lock);
}

static void child_frees(void)
{
	free_theirs();
	child_works();
}

START_TEST(pages_lock_was_held)
{
	with_thread(hold_pages, drop_pages, child_frees);
}
END_TEST

/* Half a change: what is derived from the bitmaps is wrong in the parent's picture. */
static struct pages_state kept;
static struct chunk *spoilt;
static uint16_t spoilt_nfree, spoilt_largest, spoilt_ndirty;

static void spoil_pages(void)
{
	lock_take(&arn_pages_lock);
	kept = arn_pages;
	spoilt = arn_chunks;
	spoilt_nfree = spoilt->nfree;
	spoilt_largest = spoilt->largest;
	spoilt_ndirty = spoilt->ndirty;
	spoilt->nfree = spoilt->largest = 3;
	spoilt->ndirty = 200;
	arn_pages.used += 5 * PAGE_BYTES;
	arn_pages.dirty = 77 * PAGE_BYTES;
}

static void mend_pages(void)
{
	spoilt->nfree = spoilt_nfree;
	spoilt->largest = spoilt_largest;
	spoilt->ndirty = spoilt_ndirty;
	arn_pages = kept;
	lock_drop(&arn_pages_lock);
}

START_TEST(pages_are_derived_again)
{
	with_thread(spoil_pages, mend_pages, child_frees);
}
END_TEST

/* Hazard: between the stores of a combining slot.  The child must not send the mask. */
static void *ours;

static void half_a_slot(void)
{
	arn_remote_free(arn_heap, pagemap_run(ours), ours);
	if (arn_remote_pending(arn_heap) == 0)
		abort();
	arn_heap->combining = true;
}

static void whole_slot(void)
{
	arn_heap->combining = false;
}

static void child_drops_table(void)
{
	if (heap_of_new_thread() != their_heap || their_heap->combining ||
	    arn_remote_pending(their_heap) != 0)
		abort();
	child_works();
}

START_TEST(combining_slot_was_half_written)
{
	tcache_free(arn_memalign(32, 64)); /* the next one is no starter's */
	ours = tcache_malloc(64);
	with_thread(half_a_slot, whole_slot, child_drops_table);
}
END_TEST

/* ---- any state ------------------------------------------------------------------------------- */

static _Atomic bool stop;
#define SHARED 64
static void *_Atomic shared[SHARED];

static _Atomic int nbusy;

static void *busy(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	atomic_fetch_add(&nbusy, 1);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t x = unit_random(&seed);
		size_t n = x % 50 == 0 ? 5 * MIB : x % 5 == 0 ? 100 * KIB : 1 + x % 2000;
		void *p = tcache_malloc(n);

		tcache_free(atomic_exchange(&shared[(x >> 32) % SHARED], p));
	}
	return arg;
}

START_TEST(forks_while_threads_work)
{
	pthread_t t[3];
	pid_t pid;

	/* No cached pages: chunks and huge blocks come and go all the time. */
	arn_options.dirty_kib = 0;
	work(4);
	for (uintptr_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, busy, (void *)(i + 1)), 0);
	/* A thread that begins takes AddressSanitizer's own locks, which no child could take again. */
	while (atomic_load(&nbusy) < 3)
		sched_yield();
	for (int i = 0; i < 150; i++) {
		pid = fork();
		if (pid == 0) {
			end_in(20);
			work((uint64_t)i + 1);
			/* What the threads left where we can see it is whole; a block may have been
			 * taken out of its place and not freed yet, not the other way round. */
			for (int k = 0; k < SHARED; k++)
				tcache_free(atomic_exchange(&shared[k], NULL));
			child_works();
			_exit(0);
		}
		REQUIRE_CHILD(pid);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}
END_TEST

/* ---- at every system call -------------------------------------------------------------------- */

static bool fork_at_calls;
static int forks_made;

void *__wrap_arn_os_map(void *hint, size_t n);
void *__wrap_arn_os_map_aligned(void *hint, size_t n, size_t align);
bool __wrap_arn_os_unmap(void *p, size_t n);
bool __wrap_arn_os_purge(void *p, size_t n);
bool __wrap_arn_os_resize(void *p, size_t old_n, size_t new_n);
bool __wrap_arn_os_move(void *p, size_t old_n, size_t new_n, void *to);
void *__real_arn_os_map(void *hint, size_t n);
void *__real_arn_os_map_aligned(void *hint, size_t n, size_t align);
bool __real_arn_os_unmap(void *p, size_t n);
bool __real_arn_os_purge(void *p, size_t n);
bool __real_arn_os_resize(void *p, size_t old_n, size_t new_n);
bool __real_arn_os_move(void *p, size_t old_n, size_t new_n, void *to);

/* The child does not return: its caller is the thread that vanished. */
static void fork_here(void)
{
	pid_t pid;

	if (!fork_at_calls)
		return;
	forks_made++;
	pid = fork();
	if (pid == 0) {
		fork_at_calls = false;
		child_works();
		_exit(0);
	}
	REQUIRE_CHILD(pid);
}

#define AROUND(type, call) \
	type result_; \
	fork_here(); \
	result_ = (call); \
	fork_here(); \
	return result_

void *__wrap_arn_os_map(void *hint, size_t n)
{
	AROUND(void *, __real_arn_os_map(hint, n));
}

void *__wrap_arn_os_map_aligned(void *hint, size_t n, size_t align)
{
	AROUND(void *, __real_arn_os_map_aligned(hint, n, align));
}

bool __wrap_arn_os_unmap(void *p, size_t n)
{
	AROUND(bool, __real_arn_os_unmap(p, n));
}

bool __wrap_arn_os_purge(void *p, size_t n)
{
	AROUND(bool, __real_arn_os_purge(p, n));
}

bool __wrap_arn_os_resize(void *p, size_t old_n, size_t new_n)
{
	AROUND(bool, __real_arn_os_resize(p, old_n, new_n));
}

bool __wrap_arn_os_move(void *p, size_t old_n, size_t new_n, void *to)
{
	AROUND(bool, __real_arn_os_move(p, old_n, new_n, to));
}

START_TEST(forks_at_every_system_call)
{
	void *p[20], *wall;

	arn_options.dirty_kib = 0;
	work(1);
	fork_at_calls = true;
	/* Chunks come and go. */
	for (int i = 0; i < 8; i++)
		memset(p[i] = tcache_malloc(LARGE_MAX - 5), 1, 100);
	for (int i = 0; i < 8; i++)
		tcache_free(p[i]);
	/* Huge blocks: fresh, cached, cut, grown, moved, shrunk, given back. */
	arn_options.dirty_kib = 64 * 1024;
	p[0] = tcache_malloc(20 * MIB);
	tcache_free(p[0]);
	p[0] = tcache_malloc(5 * MIB);
	p[1] = tcache_malloc(9 * MIB);
	tcache_free(p[0]);
	tcache_free(p[1]);
	p[0] = tcache_malloc(30 * MIB);
	wall = tcache_malloc(5 * MIB);
	p[0] = arn_realloc(p[0], 50 * MIB);
	p[0] = arn_realloc(p[0], 5 * MIB);
	tcache_free(wall);
	tcache_free(p[0]);
	arn_options.dirty_kib = 0;
	arn_trim(0);
	/* Runs. */
	work(2);
	fork_at_calls = false;
	ck_assert_int_ge(forks_made, 40);
	child_works();
}
END_TEST

START_TEST(forks_of_forks)
{
	for (int depth = 0; depth < 8; depth++) {
		pid_t pid;

		work((uint64_t)depth + 1);
		heap_of_new_thread();
		pid = fork();
		if (pid != 0) {
			REQUIRE_CHILD(pid);
			if (depth > 0)
				_exit(0);
			return;
		}
		child_works();
	}
	_exit(0);
}
END_TEST

/* ---- forks that run no handlers, and forks in handlers ---------------------------------------- */

START_TEST(fork_without_handlers)
{
	pid_t pid;

	work(1);
#ifdef __s390x__ /* flags come second there */
	pid = (pid_t)syscall(SYS_clone, 0, SIGCHLD, 0, 0, 0);
#else
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
	if (pid == 0) {
		work(2);
		work(3);
		_exit(arn_pages_check() ? 0 : 1);
	}
	REQUIRE_CHILD(pid);
	work(4);
}
END_TEST

static _Atomic int signals, failures;
static timer_t timer;
static const struct itimerspec soon = {.it_value = {0, 300000}}; /* 0.3 ms */

static void fork_in_handler(int sig)
{
	int status = 0;
	pid_t pid = fork();

	(void)sig;
	if (pid == 0) {
		end_in(20);
		work(7);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		failures++;
	signals++;
	/* Only now: the next one must find the program at work, not in here. */
	timer_settime(timer, 0, &soon, NULL);
}

/* Hazard: the signal interrupted the slow half, and the child's own heap is busy. */
START_TEST(fork_in_signal_handler)
{
	struct sigaction sa = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};

	arn_options.dirty_kib = 0; /* long slow halves */
	work(1);
	sigaction(SIGUSR1, &sa, NULL);
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	timer_settime(timer, 0, &soon, NULL);
	for (uint64_t seed = 1; signals < 150; seed++)
		work(seed);
	timer_delete(timer);
	ck_assert_int_eq(failures, 0);
	ck_assert(arn_pages_check());
}
END_TEST

/* ---- forked between any two stores ------------------------------------------------------------ */

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
enum { SLOT_REGIONS = 1024 }; /* the longest slots: few calls until new blocks are mapped */

/* Two slots, whole and apart: their remote words are written by arn_run_slot_get. */
static bool slots_are_good(void)
{
	struct run *a = arn_run_slot_get(SLOT_REGIONS), *b = arn_run_slot_get(SLOT_REGIONS);

	return a != NULL && b != NULL && a != b && a->nregions == SLOT_REGIONS;
}

static unsigned steps;

static void fork_at_instruction(int sig)
{
	int status = 0;
	pid_t pid = fork();

	(void)sig;
	if (pid == 0)
		_exit(slots_are_good() ? 0 : 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		failures++;
	steps++;
}

/* The trap flag: a signal after each instruction from here on. */
static void single_step(bool on)
{
	if (on)
		__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
	else
		__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

/* The mapping of new blocks for descriptors, stepped through as another thread would be caught. */
START_TEST(forks_at_every_instruction)
{
	struct sigaction sa = {.sa_handler = fork_at_instruction};
	int *calls = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	tcache_free(tcache_malloc(1)); /* the library has begun */
	pid = fork();
	if (pid == 0) {
		size_t mapped = arn_meta_mapped;

		for (; arn_meta_mapped == mapped && arn_run_slot_get(SLOT_REGIONS) != NULL; ++*calls)
			;
		_exit(0);
	}
	REQUIRE_CHILD(pid);
	ck_assert_int_gt(*calls, 0);
	for (int i = 1; i < *calls; i++)
		arn_run_slot_get(SLOT_REGIONS);
	sigaction(SIGTRAP, &sa, NULL);
	single_step(true);
	arn_run_slot_get(SLOT_REGIONS);
	single_step(false);
	ck_assert_int_gt(steps, 100);
	ck_assert_int_eq(failures, 0);
}
END_TEST

static struct {
	struct heap *me;
	struct run *r;
	void *p;
	unsigned at, now;
} handler;

static void free_at_instruction(int sig)
{
	(void)sig;
	if (handler.now++ == handler.at)
		arn_remote_free(handler.me, handler.r, handler.p);
}

/* While a free goes to the table, a signal handler frees into the other slot of its pair: no word may
 * end in another pair, or before the table. */
START_TEST(handler_frees_at_every_instruction)
{
	struct sigaction sa = {.sa_handler = free_at_instruction};
	struct heap *h = unit_heap(HEAP_THREAD), *me = unit_heap(HEAP_THREAD);
	unsigned c = sizeclass_of(64), n, word, at;
	static void *p[256];
	struct run *r;
	void *first, *second, *other;

	n = arn_heap_take(h, c, p + 256, 256);
	r = pagemap_run(p[255]);
	ck_assert_uint_eq(n, r->nregions);
	word = (uintptr_t)r / ARN_CACHE_LINE % 2;
	first = run_region(r, word * WORD_BITS);
	second = run_region(r, word * WORD_BITS + 1);
	other = run_region(r, (word + 1) * WORD_BITS);
	sigaction(SIGTRAP, &sa, NULL);
	for (at = 0;; at++) {
		arn_remote_free(me, r, first);
		arn_remote_flush(me); /* the slot is empty, and keeps its key */
		handler.me = me;
		handler.r = r;
		handler.p = other;
		handler.at = at;
		handler.now = 0;
		single_step(true);
		arn_remote_free(me, r, second);
		single_step(false);
		if (handler.now <= at)
			break;
		for (unsigned i = 0; i < COMBINE_SLOTS; i++) {
			const struct combine_slot *s = &me->combine->slots[i];

			if (s->mask != 0)
				ck_assert_ptr_eq(combine_slot(me->combine, s->key), s);
		}
		arn_remote_flush(me);
		arn_heap_collect(h);
		ck_assert_uint_eq(h->bins[c].out, n - 3);
		ck_assert_uint_eq(arn_heap_take(h, c, p + 3, 3), 3);
		memset(me->combine, 0, sizeof *me->combine); /* or each key has its slot already */
	}
	ck_assert_uint_gt(at, 50);
}
END_TEST
#define HAVE_STEPS 1
#else
#define HAVE_STEPS 0
#endif

int main(void)
{
	Suite *s = suite_create("fork");

	if (UNIT_TSAN) {
		puts("1..0 # SKIP ThreadSanitizer cannot follow threads that a forked child starts");
		return 0;
	}
	unit_add(s, "known", heap_at_rest_is_adopted);
	unit_add(s, "known", orphan_is_emptied);
	unit_add(s, "known", busy_heap_is_left_alone);
	unit_add(s, "known", pages_lock_was_held);
	unit_add(s, "known", pages_are_derived_again);
	unit_add(s, "known", combining_slot_was_half_written);
	unit_add(s, "any", forks_while_threads_work);
	unit_add(s, "any", forks_at_every_system_call);
	unit_add(s, "any", forks_of_forks);
#if HAVE_STEPS
	unit_add(s, "any", forks_at_every_instruction);
	unit_add(s, "any", handler_frees_at_every_instruction);
#endif
	unit_add(s, "raw", fork_without_handlers);
	unit_add(s, "raw", fork_in_signal_handler);
	return unit_run(s);
}
