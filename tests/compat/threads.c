/* SPDX-License-Identifier: MIT
 *
 * threads.c - probes of threads: very many, very short-lived, dying with destructors that
 * allocate, made by raw clone, and contexts that move between them.
 */
#include "probe.h"

#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

static pthread_attr_t small;

static long rss_kb(void)
{
	long pages = 0, all;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f != NULL && fscanf(f, "%ld %ld", &all, &pages) == 2, "statm");
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void small_stacks(void)
{
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10); /* 10,000 of them: 640 MiB of addresses */
}

static sem_t arrived, leave;

static void *live(void *arg)
{
	char *p[8];

	for (int i = 0; i < 8; i++) {
		p[i] = malloc((size_t)16 << i);
		CHECK(p[i] != NULL, "refused");
		memset(p[i], i, (size_t)16 << i);
	}
	sem_post(&arrived);
	while (sem_wait(&leave) != 0)
		;
	for (int i = 0; i < 8; i++) {
		CHECK(p[i][(16 << i) - 1] == i, "contents lost");
		free(p[i]);
	}
	return arg;
}

static int ten_thousand(int argc, char **argv)
{
	enum { COUNT = 10000 };
	static pthread_t t[COUNT];
	int n;

	(void)argc;
	(void)argv;
	small_stacks();
	sem_init(&arrived, 0, 0);
	sem_init(&leave, 0, 0);
	for (n = 0; n < COUNT; n++)
		if (pthread_create(&t[n], &small, live, NULL) != 0)
			break;
	for (int i = 0; i < n; i++)
		sem_wait(&arrived);
	for (int i = 0; i < n; i++)
		sem_post(&leave);
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	CHECK(n == COUNT, "only %d threads could be made", n);
	return 0;
}

static void *brief_life(void *arg)
{
	char *p = malloc(100), *q = malloc(3000), *r = calloc(10, 1000);

	CHECK(p && q && r, "refused");
	free(q);
	free(arg);
	free(r);
	return p; /* freed by another thread */
}

static void churn_of(int count, void *(*life)(void *))
{
	enum { AT_ONCE = 8 };
	pthread_t t[AT_ONCE];

	for (int i = 0; i < count; i += AT_ONCE) {
		for (int k = 0; k < AT_ONCE; k++)
			CHECK(pthread_create(&t[k], &small, life, malloc(200)) == 0, "thread");
		for (int k = 0; k < AT_ONCE; k++) {
			void *p;

			pthread_join(t[k], &p);
			free(p);
		}
	}
}

/* The first tenth brings everything that may be kept; after that nothing grows. */
#define MAY_GROW_KB 8192 /* 90,000 threads that left 100 bytes each would need 9 MiB */
static int no_growth(int count, void *(*life)(void *))
{
	long before, after;

	small_stacks();
	churn_of(count / 10, life);
	before = rss_kb();
	churn_of(count - count / 10, life);
	after = rss_kb();
	CHECK(after - before < MAY_GROW_KB, "%ld kB more after %d threads", after - before, count);
	return 0;
}

static int hundred_thousand(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return no_growth(100000, brief_life);
}

#define KEYS 4
static pthread_key_t key[KEYS];
static _Atomic int last_round;

struct value {
	int key, round;
};

/* Comes again in every round that POSIX grants, and allocates in each of them. */
static void tsd_end(void *arg)
{
	struct value *old = arg, *new = malloc(sizeof *new);
	void *p = malloc(500);

	CHECK(p != NULL && new != NULL, "refused in a destructor");
	free(malloc(40000));
	*new = (struct value){ old->key, old->round + 1 };
	free(old);
	free(p);
	if (new->round < PTHREAD_DESTRUCTOR_ITERATIONS) {
		pthread_setspecific(key[new->key], new);
	} else {
		last_round = new->round;
		free(new);
	}
}

static void *tsd_life(void *arg)
{
	for (int i = 0; i < KEYS; i++) {
		struct value *v = malloc(sizeof *v);

		*v = (struct value){ i, 0 };
		pthread_setspecific(key[i], v);
	}
	free(arg);
	return malloc(10);
}

static int tsd_rounds(int argc, char **argv)
{
	int result;

	(void)argc;
	(void)argv;
	for (int i = 0; i < KEYS; i++)
		pthread_key_create(&key[i], tsd_end);
	result = no_growth(20000, tsd_life);
	CHECK(last_round == PTHREAD_DESTRUCTOR_ITERATIONS, "only %d rounds", last_round);
	return result;
}

/* What a C++ thread_local with a destructor compiles to. */
extern int __cxa_thread_atexit_impl(void (*fn)(void *), void *arg, void *dso);
extern void *__dso_handle;
static __thread int rounds;

static void tls_end(void *arg)
{
	char *p = malloc(2000);

	CHECK(p != NULL && strcmp(arg, "tls") == 0, "destructor");
	free(arg);
	if (++rounds < 6) {
		strcpy(p, "tls");
		__cxa_thread_atexit_impl(tls_end, p, &__dso_handle);
	} else {
		free(p);
	}
}

static void *tls_life(void *arg)
{
	for (int i = 0; i < 3; i++)
		__cxa_thread_atexit_impl(tls_end, strcpy(malloc(30), "tls"), &__dso_handle);
	free(arg);
	return malloc(10);
}

static int tls_destructors(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return no_growth(20000, tls_life);
}

static void handler_allocates(void)
{
	free(malloc(300));
}

static int many_handlers(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (int i = 0; i < 60; i++) /* glibc's list has room for 48 before it allocates */
		CHECK(pthread_atfork(handler_allocates, handler_allocates, handler_allocates) == 0,
		      "atfork");
	for (int i = 0; i < 50; i++) {
		int status;
		pid_t child = fork();

		if (child == 0) {
			alarm(5);
			_exit(probe_churn(1, 1000));
		}
		CHECK(waitpid(child, &status, 0) == child && status == 0, "child %#x", status);
	}
	return 0;
}

enum { MANY_KEYS = 40 }; /* glibc keeps 32 in the thread, the others in a block it callocs */
static pthread_key_t many_key[MANY_KEYS];

static void *keys_first(void *arg)
{
	for (int i = MANY_KEYS - 1; i >= 0; i--)
		CHECK(pthread_setspecific(many_key[i], &many_key[i]) == 0, "setspecific");
	free(malloc(100));
	for (int i = 0; i < MANY_KEYS; i++)
		CHECK(pthread_getspecific(many_key[i]) == &many_key[i], "key lost");
	free(arg);
	return malloc(10);
}

static int many_keys(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (int i = 0; i < MANY_KEYS; i++)
		CHECK(pthread_key_create(&many_key[i], NULL) == 0, "key");
	return no_growth(10000, keys_first);
}

/* ---- contexts that move between kernel threads ------------------------------------------ */

enum { FIBERS = 32, HOPS = 2000 };
static struct fiber {
	ucontext_t self, *back;
	pthread_mutex_t lock;
	char *held;
	size_t size;
	int hops;
} fiber[FIBERS];
static _Atomic int fibers_done;

/* volatile and noinline: the fiber must look again, it may have changed threads. */
static __attribute__((noinline)) void hop(struct fiber *f)
{
	swapcontext(&f->self, *(ucontext_t *volatile *)&f->back);
}

static void fiber_life(int n)
{
	struct fiber *f = &fiber[n];
	unsigned seed = (unsigned)n + 1;

	for (f->hops = 0; f->hops < HOPS; f->hops++) {
		char *p = malloc(100 + (size_t)f->hops % 1000);

		CHECK(p != NULL, "refused");
		if (f->held != NULL)
			CHECK(f->held[f->size - 1] == (char)n, "contents lost");
		free(f->held);
		f->size = probe_size(&seed);
		f->held = malloc(f->size);
		f->held[f->size - 1] = (char)n;
		hop(f);
		free(p);
	}
	free(f->held);
	fibers_done++;
	for (;;)
		hop(f);
}

static void *carry(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg * 7919u + 1;

	while (fibers_done < FIBERS) {
		struct fiber *f = &fiber[(x = x * 1103515245u + 12345u) >> 16 & (FIBERS - 1)];
		ucontext_t here;

		if (pthread_mutex_trylock(&f->lock) != 0)
			continue;
		if (f->hops < HOPS) {
			f->back = &here;
			swapcontext(&here, &f->self);
		}
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

static int fibers(int argc, char **argv)
{
	pthread_t t[4];

	(void)argc;
	(void)argv;
	for (int i = 0; i < FIBERS; i++) {
		struct fiber *f = &fiber[i];

		pthread_mutex_init(&f->lock, NULL);
		getcontext(&f->self);
		f->self.uc_stack.ss_sp = malloc(64 << 10);
		f->self.uc_stack.ss_size = 64 << 10;
		makecontext(&f->self, (void (*)(void))fiber_life, 1, i);
	}
	for (uintptr_t i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, carry, (void *)i) == 0, "thread");
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return 0;
}

/* ---- threads that libpthread does not know ---------------------------------------------- */

#if defined(__x86_64__)
static _Atomic int raw_done;
static void *passed[8];

static int raw_life(void *arg)
{
	void **mine = arg;

	probe_churn((unsigned)(uintptr_t)arg, 20000);
	free(*mine);
	*mine = malloc(777);
	raw_done++;
	/* No exit handlers, no destructors: the allocator is not told. */
	syscall(SYS_exit, 0);
	return 0;
}

/* The layout of tcbhead_t: self pointers at 0 and 16, the two guards at 40 and 48. */
static void *new_tls(void)
{
	void *(*allocate)(void *) = dlvsym(RTLD_DEFAULT, "_dl_allocate_tls", "GLIBC_PRIVATE");
	char *self, *tcb;

	if (allocate == NULL)
		_exit(PROBE_SKIP);
	__asm__("mov %%fs:0, %0" : "=r"(self));
	tcb = allocate(NULL);
	CHECK(tcb != NULL, "_dl_allocate_tls");
	memcpy(tcb, &tcb, sizeof tcb);
	memcpy(tcb + 16, &tcb, sizeof tcb);
	memcpy(tcb + 40, self + 40, 16);
	return tcb;
}

static void *idle(void *arg)
{
	pause();
	return arg;
}

static int raw_threads(int argc, char **argv)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_SETTLS;
	pthread_t t;

	(void)argc;
	(void)argv;
	/* glibc's malloc takes no locks as long as it knows of one thread only. */
	CHECK(pthread_create(&t, NULL, idle, NULL) == 0, "thread");
	for (int round = 0; round < 50; round++) {
		char *stack[8];

		raw_done = 0;
		for (int i = 0; i < 8; i++) {
			passed[i] = malloc(333);
			stack[i] = mmap(NULL, 1 << 17, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			CHECK(clone(raw_life, stack[i] + (1 << 17), flags, &passed[i], NULL,
				    new_tls()) > 0, "clone: %s", strerror(errno));
		}
		while (raw_done < 8)
			usleep(200);
		usleep(2000); /* their last instructions use the stacks, so those stay mapped */
		for (int i = 0; i < 8; i++)
			free(passed[i]);
	}
	return 0;
}
#else
static int raw_threads(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return PROBE_SKIP; /* the layout of the thread block is written down for x86-64 only */
}
#endif

/* ---- malloc in a handler that interrupted malloc: undefined by POSIX, but no hang -------- */

static volatile sig_atomic_t handled;

static void allocate_in_handler(int sig)
{
	/* Of every kind: what is refused may be NULL, but not waited for. */
	static const size_t sizes[] = { 50, 600, 20000, 300000, 9000000 };
	int saved = errno;
	size_t n = sizes[handled % 5];
	char *p = malloc(n);

	(void)sig;
	if (p != NULL)
		p[n - 1] = 'h';
	free(p);
	handled++;
	errno = saved;
}

static int in_handler(int argc, char **argv)
{
	const struct itimerval often = { { 0, 200 }, { 0, 200 } };
	struct sigaction act = { .sa_handler = allocate_in_handler, .sa_flags = SA_RESTART };

	(void)argc;
	(void)argv;
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned i = 0; handled < 3000; i++)
		probe_churn(i, 1000);
	return 0;
}

static const struct probe probes[] = {
	{ "ten-thousand", ten_thousand },
	{ "hundred-thousand", hundred_thousand },
	{ "tsd-rounds", tsd_rounds },
	{ "tls-destructors", tls_destructors },
	{ "many-handlers", many_handlers },
	{ "many-keys", many_keys },
	{ "fibers", fibers },
	{ "raw-threads", raw_threads },
	{ "in-handler", in_handler },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return probe_main(probes, argc, argv);
}
