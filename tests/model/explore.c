/* SPDX-License-Identifier: MIT
 *
 * explore.c - runs the threads of a scenario in every order that can make a difference.
 *
 * Stateless model checking with dynamic partial-order reduction (Flanagan, Godefroid 2005) and sleep
 * sets: an execution runs to its end; where two steps of different threads touch the same word, one
 * of them writes and nothing orders them, the other order is tried later, from the beginning.  Steps
 * are the atomic operations of the library's own sources (points.h), on words that at least two
 * threads use; what lies between two steps is done at once.
 *
 * Memory is that of C11 without cycles of relaxed operations: a word has a history, and a load may
 * see any value that is not older than what its thread knows; acquire and release pass knowledge on.
 * Stores go to the end of the history, read-modify-writes see the end.  -s: sequential consistency.
 *
 * Some thousand executions at random come first: they find at once what the search in order, which
 * turns round the end of an execution first, finds late.
 *
 *   explore [-s] [-n EXECUTIONS] SCENARIO     exit 0: all explored; 1: a violation; 3: -n reached
 */
#include "explore.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "heap.h"
#include "points.h"

/* Without the macros of points.h here. */
#undef __atomic_load_n

enum {
	STEPS_MAX = 1500,   /* in one execution: more is no end */
	WORDS_MAX = 160,    /* shared words */
	SEEN_MAX = 8192,    /* words looked at, by hash */
	HISTORY_MAX = 160,  /* values of one word in one execution */
	STACK_BYTES = 64 * 1024,
	WANDER = 3000,      /* executions at random, before all are explored in order */
};

enum kind { LOAD, STORE, RMW, WAIT, FUTEX_WAIT, FUTEX_WAKE, ZERO };
#define WRITES(k) ((k) != LOAD)

struct step {
	enum kind kind;
	int word; /* index of the shared word; -1: a range (ZERO) */
	const struct place *where;
	const char *from; /* ZERO */
	size_t n;
	uint32_t expected; /* FUTEX_WAIT */
};

typedef uint16_t view[WORDS_MAX];

struct message {
	uint64_t value;
	view known;
};

struct word {
	const volatile void *p;
	unsigned n; /* bytes */
	unsigned count;
	struct message history[HISTORY_MAX];
	/* For the reduction: number + 1 of the last write, and of each thread's last read. */
	unsigned last_write, last_read[THREADS_MAX];
};

struct thread {
	jmp_buf at;
	struct step next;
	bool finished, asleep;
	bool woken;
	struct heap *heap; /* arn_heap and arn_locks_mine of this thread */
	unsigned locks;
	unsigned clock[THREADS_MAX];
	view known;
};

/* One node of the tree: the state before a step. */
struct node {
	uint8_t enabled, backtrack, done, sleep;
	int8_t thread;
	uint8_t choice, choices; /* which value a load saw */
	struct step step;
	struct step pending[THREADS_MAX];
	unsigned clock[THREADS_MAX]; /* of the step */
	uint64_t value;
};

static struct engine {
	const struct scenario *s;
	bool weak, running;
	bool wander; /* at random: finds at once what the search in order finds late */
	int nthreads, now;
	jmp_buf scheduler;
	struct thread thread[THREADS_MAX];
	struct word word[WORDS_MAX];
	int nwords;
	struct {
		const volatile void *p;
		unsigned n;
		uint8_t threads;
		bool written;
		int shared; /* index + 1 */
	} seen[SEEN_MAX];
	const char *zero;
	size_t zero_n;
	bool grown; /* a word turned out to be shared: begin again */
	struct node node[STEPS_MAX];
	unsigned depth, length;
	unsigned long executions, pruned, steps;
	char *data, *data_copy, *memory, *memory_copy;
	size_t data_n, memory_n;
	struct thread fresh;
	char *stack[THREADS_MAX];
	ucontext_t context[THREADS_MAX];
} *E;

extern char __data_start[], _end[];

/* ---- what is shown ----------------------------------------------------------------------------- */

static const char *const kind_name[] = {"load",       "store",      "change", "wait",
					"futex wait", "futex wake", "purge"};

static void show_schedule(void)
{
	for (unsigned i = 0; i < E->depth; i++) {
		const struct node *n = &E->node[i];
		const char *file = n->step.where != NULL ? strrchr(n->step.where->file, '/') : NULL;

		printf("#  %3u thread %d %-10s", i, n->thread, kind_name[n->step.kind]);
		if (n->step.word >= 0)
			printf(" word %-2d = %llx", n->step.word, (unsigned long long)n->value);
		if (n->choices > 1 && n->choice > 0)
			printf(" (stale by %u)", n->choice);
		if (n->step.where != NULL)
			printf("  %s:%d", file != NULL ? file + 1 : n->step.where->file,
			       n->step.where->line);
		putchar('\n');
	}
}

void violation(const char *format, ...)
{
	va_list ap;

	E->running = false;
	printf("violation after %lu executions: ", E->executions);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	show_schedule();
	fflush(stdout);
	_exit(1);
}

static void on_signal(int sig)
{
	violation("signal %d", sig);
}

/* ---- words ------------------------------------------------------------------------------------- */

static uint64_t read_word(const volatile void *p, size_t n)
{
	uint64_t x = 0;

	memcpy(&x, (const void *)p, n);
	return x;
}

/* The shared word at P, or -1; notes who uses it. */
static int word_of(const volatile void *p, size_t n, bool write)
{
	unsigned i = (unsigned)((uintptr_t)p / 2 * 2654435761u % SEEN_MAX);
	uint8_t both;

	while (E->seen[i].p != NULL && E->seen[i].p != p)
		i = (i + 1) % SEEN_MAX;
	E->seen[i].p = p;
	E->seen[i].n = (unsigned)n;
	if (E->seen[i].shared)
		return E->seen[i].shared - 1;
	both = E->seen[i].threads |= (uint8_t)(1u << E->now);
	E->seen[i].written |= write;
	if (E->seen[i].written && (both & (both - 1)) != 0) {
		if (E->nwords == WORDS_MAX)
			violation("more than %d shared words", WORDS_MAX);
		E->word[E->nwords].p = p;
		E->word[E->nwords].n = (unsigned)n;
		E->seen[i].shared = ++E->nwords;
		E->grown = true;
	}
	return -1;
}

static void append(int w, uint64_t value, const view known)
{
	struct word *x = &E->word[w];

	if (x->count == HISTORY_MAX)
		violation("a word changes too often");
	x->history[x->count].value = value;
	memcpy(x->history[x->count].known, known, sizeof(view));
	x->history[x->count].known[w] = (uint16_t)x->count;
	x->count++;
}

static void join(view a, const view b)
{
	for (int i = 0; i < E->nwords; i++)
		if (b[i] > a[i])
			a[i] = b[i];
}

static bool acquires(int order)
{
	return order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static bool releases(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

/* ---- stepping ---------------------------------------------------------------------------------- */

/* Leaves the thread until the scheduler takes this step. */
static void step(enum kind kind, int word, const struct place *where, uint32_t expected)
{
	struct thread *t = &E->thread[E->now];

	t->next = (struct step){.kind = kind, .word = word, .where = where, .expected = expected};
	if (kind == ZERO) {
		t->next.from = E->zero;
		t->next.n = E->zero_n;
	}
	if (_setjmp(t->at) == 0)
		_longjmp(E->scheduler, 1);
}

static struct node *now_node(void)
{
	return &E->node[E->depth - 1];
}

/* The end of a word's history is what lies in memory, or somebody writes it by other means. */
static void check_end(const struct word *x)
{
	if (x->history[x->count - 1].value != read_word(x->p, x->n))
		violation("word %d was written, and not atomically", (int)(x - E->word));
}

static uint64_t do_load(int w, int order)
{
	struct thread *t = &E->thread[E->now];
	struct word *x = &E->word[w];
	struct node *n = now_node();
	unsigned oldest = E->weak ? t->known[w] : x->count - 1;
	unsigned at;

	check_end(x);
	n->choices = (uint8_t)(x->count - oldest);
	if (E->wander)
		n->choice = (uint8_t)((unsigned)rand() % n->choices);
	at = x->count - 1 - n->choice;
	t->known[w] = (uint16_t)at;
	if (acquires(order))
		join(t->known, x->history[at].known);
	return n->value = x->history[at].value;
}

static uint64_t do_change(int w, int order, uint64_t value)
{
	struct thread *t = &E->thread[E->now];
	struct word *x = &E->word[w];
	struct message *last = &x->history[x->count - 1];
	uint64_t old = last->value;
	view known;

	check_end(x);
	if (acquires(order))
		join(t->known, last->known);
	memcpy(known, last->known, sizeof known);
	t->known[w] = (uint16_t)x->count;
	if (releases(order))
		join(known, t->known);
	append(w, value, known);
	now_node()->value = value;
	return old;
}

static void write_through(volatile void *p, uint64_t value, size_t n)
{
	memcpy((void *)p, &value, n);
}

void point_load(const volatile void *p, void *value, size_t n, int order, const struct place *where)
{
	int w = E != NULL && E->running ? word_of(p, n, false) : -1;
	uint64_t x;

	if (w < 0) {
		memcpy(value, (const void *)p, n);
		return;
	}
	step(LOAD, w, where, 0);
	x = do_load(w, order);
	memcpy(value, &x, n);
}

void point_store(volatile void *p, const void *value, size_t n, int order, const struct place *where)
{
	int w = E != NULL && E->running ? word_of(p, n, true) : -1;
	uint64_t x = read_word(value, n);
	view none = {0};

	if (w >= 0) {
		struct thread *t = &E->thread[E->now];

		step(STORE, w, where, 0);
		t->known[w] = (uint16_t)E->word[w].count;
		append(w, x, releases(order) ? t->known : none);
		now_node()->value = x;
	}
	write_through(p, x, n);
}

void point_exchange(volatile void *p, const void *value, void *old, size_t n, int order,
		    const struct place *where)
{
	int w = E != NULL && E->running ? word_of(p, n, true) : -1;
	uint64_t x = read_word(value, n), was;

	if (w >= 0)
		step(RMW, w, where, 0);
	was = read_word(p, n);
	if (w >= 0)
		was = do_change(w, order, x);
	write_through(p, x, n);
	memcpy(old, &was, n);
}

bool point_compare(volatile void *p, void *expected, const void *value, size_t n, int order,
		   const struct place *where)
{
	int w = E != NULL && E->running ? word_of(p, n, true) : -1;
	uint64_t was;

	if (w >= 0)
		step(RMW, w, where, 0);
	was = read_word(p, n);
	if (was != read_word(expected, n)) {
		memcpy(expected, &was, n);
		if (w >= 0) {
			E->thread[E->now].known[w] = (uint16_t)(E->word[w].count - 1);
			now_node()->value = was;
		}
		return false;
	}
	if (w >= 0)
		do_change(w, order, read_word(value, n));
	write_through(p, read_word(value, n), n);
	return true;
}

unsigned long point_fetch(volatile void *p, unsigned long value, size_t n, char kind, int order,
			  const struct place *where)
{
	int w = E != NULL && E->running ? word_of(p, n, true) : -1;
	uint64_t was, x;

	if (w >= 0)
		step(RMW, w, where, 0);
	was = read_word(p, n);
	x = kind == '|' ? was | value : was + value;
	if (w >= 0)
		do_change(w, order, x);
	write_through(p, x, n);
	return was;
}

int explore_me(void)
{
	return E->running ? E->now : -1;
}

void explore_wait_zero(const volatile void *p)
{
	static const struct place here = {"(lock)", 0};
	int w = word_of(p, sizeof(uint32_t), true);

	if (w >= 0)
		step(WAIT, w, &here, 0);
	/* Not yet known to be shared: this execution is thrown away. */
	else if (read_word(p, sizeof(uint32_t)) != 0)
		_longjmp(E->scheduler, 2);
	if (w >= 0)
		do_change(w, __ATOMIC_ACQUIRE, 1);
	write_through((volatile void *)p, 1, sizeof(uint32_t));
}

void explore_futex_wait(const volatile void *p, uint32_t expected)
{
	static const struct place here = {"(futex)", 0};
	int w = word_of(p, sizeof(uint32_t), true);

	if (w < 0)
		_longjmp(E->scheduler, 2);
	step(FUTEX_WAIT, w, &here, expected);
	now_node()->value = read_word(p, sizeof expected);
	if (read_word(p, sizeof expected) != expected)
		return;
	E->thread[E->now].asleep = true;
	step(FUTEX_WAIT, w, &here, expected);
}

void explore_futex_wake(const volatile void *p)
{
	static const struct place here = {"(futex)", 0};
	int w = word_of(p, sizeof(uint32_t), true);

	if (w < 0)
		_longjmp(E->scheduler, 2);
	step(FUTEX_WAKE, w, &here, 0);
	for (int i = 0; i < E->nthreads; i++)
		if (E->thread[i].asleep && E->thread[i].next.word == w) {
			E->thread[i].asleep = false;
			break;
		}
}

void explore_zero(void *p, size_t n)
{
	static const struct place here = {"(kernel)", 0};
	struct thread *t = &E->thread[E->now];

	if (!E->running) {
		memset(p, 0, n);
		return;
	}
	/* All that anybody looks at there is written by this. */
	for (unsigned i = 0; i < SEEN_MAX; i++)
		if (E->seen[i].p != NULL && (uintptr_t)E->seen[i].p - (uintptr_t)p < n)
			word_of(E->seen[i].p, E->seen[i].n, true);
	E->zero = p;
	E->zero_n = n;
	step(ZERO, -1, &here, 0);
	memset(p, 0, n);
	for (int w = 0; w < E->nwords; w++)
		if ((uintptr_t)E->word[w].p - (uintptr_t)p < n) {
			t->known[w] = (uint16_t)E->word[w].count;
			append(w, 0, t->known);
		}
}

/* ---- the reduction ----------------------------------------------------------------------------- */

static bool touches(const struct step *s, int w)
{
	return s->kind == ZERO ? (uintptr_t)E->word[w].p - (uintptr_t)s->from < s->n : s->word == w;
}

static bool dependent(const struct step *a, const struct step *b)
{
	if (a->kind == ZERO)
		return b->kind == ZERO || touches(a, b->word);
	return touches(b, a->word) && (WRITES(a->kind) || WRITES(b->kind));
}

static bool enabled(const struct thread *t)
{
	if (t->finished || t->asleep)
		return false;
	return t->next.kind != WAIT || read_word(E->word[t->next.word].p, sizeof(uint32_t)) == 0;
}

/* Step number I - 1 of thread Q and the next step of P are in a race, unless ordered: the other order
 * is to be tried. */
static void race(int p, unsigned i)
{
	struct node *n;

	if (i == 0)
		return;
	n = &E->node[i - 1];
	if (n->thread == p || E->thread[p].clock[n->thread] >= i)
		return;
	if (n->enabled & 1u << p)
		n->backtrack |= (uint8_t)(1u << p);
	else
		n->backtrack |= n->enabled;
}

static void find_races(int p)
{
	const struct step *s = &E->thread[p].next;

	if (E->thread[p].finished)
		return;
	for (int w = 0; w < E->nwords; w++) {
		if (!touches(s, w))
			continue;
		race(p, E->word[w].last_write);
		if (WRITES(s->kind))
			for (int q = 0; q < E->nthreads; q++)
				race(p, E->word[w].last_read[q]);
	}
}

static void join_clock(unsigned *a, unsigned i)
{
	if (i > 0)
		for (int q = 0; q < E->nthreads; q++)
			if (E->node[i - 1].clock[q] > a[q])
				a[q] = E->node[i - 1].clock[q];
}

/* Step number DEPTH (from 1) is that of thread P on its word. */
static void order_step(int p, const struct step *s, unsigned depth)
{
	unsigned *clock = E->thread[p].clock;

	for (int w = 0; w < E->nwords; w++) {
		struct word *x = &E->word[w];

		if (!touches(s, w))
			continue;
		join_clock(clock, x->last_write);
		if (!WRITES(s->kind)) {
			x->last_read[p] = depth;
			continue;
		}
		for (int q = 0; q < E->nthreads; q++)
			join_clock(clock, x->last_read[q]);
		x->last_write = depth;
	}
	clock[p] = depth;
	memcpy(E->node[depth - 1].clock, clock, sizeof E->node[0].clock);
}

/* ---- one execution ------------------------------------------------------------------------------ */

static void entry(int i)
{
	E->s->thread[i]();
	E->thread[i].finished = true;
	_longjmp(E->scheduler, 1);
}

static void put_back(void)
{
	world_again();
	memcpy(E->data, E->data_copy, E->data_n);
	memcpy(E->memory, E->memory_copy, E->memory_n);
}

/* Runs thread I until its next step, or its end.  False: the execution is of no use. */
static bool resume(int i, bool first)
{
	int how;

	E->now = i;
	arn_heap = E->thread[i].heap;
	arn_locks_mine = E->thread[i].locks;
	E->running = true;
	how = _setjmp(E->scheduler);
	if (how == 0) {
		if (first) {
			getcontext(&E->context[i]);
			E->context[i].uc_stack.ss_sp = E->stack[i];
			E->context[i].uc_stack.ss_size = STACK_BYTES;
			E->context[i].uc_link = NULL;
			makecontext(&E->context[i], (void (*)(void))entry, 1, i);
			setcontext(&E->context[i]);
		}
		_longjmp(E->thread[i].at, 1);
	}
	E->running = false;
	E->thread[E->now].heap = arn_heap;
	E->thread[E->now].locks = arn_locks_mine;
	arn_locks_mine = 0;
	return how == 1 && !E->grown;
}

static bool begin(void)
{
	put_back();
	for (int w = 0; w < E->nwords; w++) {
		view none = {0};

		E->word[w].count = 0;
		append(w, read_word(E->word[w].p, E->word[w].n), none);
		E->word[w].last_write = 0;
		memset(E->word[w].last_read, 0, sizeof E->word[w].last_read);
	}
	for (int i = 0; i < E->nthreads; i++) {
		E->thread[i] = E->fresh;
		E->thread[i].heap = &arn_heap_none;
	}
	E->depth = 0;
	for (int i = 0; i < E->nthreads; i++)
		if (!resume(i, true))
			return false;
	return true;
}

/* The thread for a new node: the one that ran, if it may. */
static int choose(const struct node *n)
{
	unsigned may = n->enabled & ~n->sleep;

	if (may == 0)
		return -1;
	if (E->wander) {
		unsigned skip = (unsigned)rand() % (unsigned)__builtin_popcount(may);

		while (skip-- > 0)
			may &= may - 1;
		return __builtin_ctz(may);
	}
	if (may & 1u << E->now)
		return E->now;
	return __builtin_ctz(may);
}

/* Makes the node of the present state.  False: no thread can go on in a new way. */
static bool new_node(unsigned at)
{
	struct node *n = &E->node[at];
	uint8_t sleep = 0;

	memset(n, 0, sizeof *n);
	for (int i = 0; i < E->nthreads; i++) {
		n->pending[i] = E->thread[i].next;
		if (enabled(&E->thread[i]))
			n->enabled |= (uint8_t)(1u << i);
	}
	if (at > 0 && !E->wander) {
		const struct node *before = n - 1;
		unsigned asleep = before->sleep | (before->done & ~(1u << before->thread));

		for (int i = 0; i < E->nthreads; i++)
			if ((asleep & 1u << i) && !dependent(&before->pending[i], &before->step))
				sleep |= (uint8_t)(1u << i);
	}
	n->sleep = sleep;
	n->thread = (int8_t)choose(n);
	if (n->thread < 0)
		return false;
	n->backtrack = (uint8_t)(1u << n->thread);
	return true;
}

static bool all_finished(void)
{
	bool all = true;

	for (int i = 0; i < E->nthreads; i++)
		all &= E->thread[i].finished;
	return all;
}

/* Runs to the end; false: cut short. */
static bool execute(void)
{
	if (!begin())
		return false;
	while (!all_finished()) {
		struct node *n = &E->node[E->depth];

		for (int i = 0; i < E->nthreads; i++)
			find_races(i);
		if (E->depth == STEPS_MAX - 1)
			violation("no end after %d steps", STEPS_MAX);
		if (E->depth >= E->length) {
			if (!new_node(E->depth)) {
				if (n->enabled == 0)
					violation("no thread can go on");
				E->pruned++;
				return false;
			}
			E->length = E->depth + 1;
		}
		n->step = E->thread[(int)n->thread].next;
		E->depth++;
		E->steps++;
		order_step(n->thread, &n->step, E->depth);
		if (!resume(n->thread, false))
			return false;
	}
	E->now = 0;
	E->s->check();
	return true;
}

/* Turns to the next path; false: there is none. */
static bool next_path(void)
{
	while (E->length > 0) {
		struct node *n = &E->node[E->length - 1];
		unsigned left;

		if (n->choice + 1 < n->choices) {
			n->choice++;
			return true;
		}
		n->done |= (uint8_t)(1u << n->thread);
		left = n->backtrack & ~n->done & ~n->sleep & n->enabled;
		if (left != 0) {
			n->thread = (int8_t)__builtin_ctz(left);
			n->choice = n->choices = 0;
			return true;
		}
		E->length--;
	}
	return false;
}

static void prepare(const struct scenario *s)
{
	E->s = s;
	for (E->nthreads = 0; E->nthreads < THREADS_MAX && s->thread[E->nthreads] != NULL; E->nthreads++)
		E->stack[E->nthreads] = malloc(STACK_BYTES);
	s->setup();
	E->data = __data_start;
	E->data_n = (size_t)(_end - __data_start);
	E->data_copy = malloc(E->data_n);
	memcpy(E->data_copy, E->data, E->data_n);
	E->memory = world_memory(&E->memory_n);
	E->memory_copy = malloc(E->memory_n);
	memcpy(E->memory_copy, E->memory, E->memory_n);
}

int main(int argc, char **argv)
{
	unsigned long most = 0;
	const struct scenario *s = scenarios;
	bool weak = true;
	int c;

	while ((c = getopt(argc, argv, "sn:")) != -1) {
		weak &= c != 's';
		if (c == 'n')
			most = strtoul(optarg, NULL, 10);
	}
	for (; s->name != NULL && (argv[optind] == NULL || strcmp(s->name, argv[optind]) != 0); s++)
		;
	if (s->name == NULL)
		return 2;
	E = calloc(1, sizeof *E);
	E->weak = weak;
	signal(SIGSEGV, on_signal);
	signal(SIGABRT, on_signal);
	world_begin();
	prepare(s);
	srand(1);
	E->wander = true;
	for (int i = 0; i < WANDER; i++) {
		execute();
		E->executions++;
		E->length = 0;
		E->grown = false;
	}
	E->wander = false;
	E->executions = E->pruned = E->steps = 0;
	do {
		E->executions += execute();
		if (E->grown) {
			/* Explore anew, with one more word to step at. */
			E->grown = false;
			E->length = 0;
			E->executions = E->pruned = E->steps = 0;
			continue;
		}
		if (most > 0 && E->executions >= most) {
			printf("%s: %lu executions, not all\n", s->name, E->executions);
			return 3;
		}
	} while ((E->length == 0 && E->executions + E->pruned == 0) || next_path());
	printf("%s: %lu executions, %lu cut short, %lu steps, %d words: all explored\n", s->name,
	       E->executions, E->pruned, E->steps, E->nwords);
	return 0;
}
