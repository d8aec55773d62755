/* SPDX-License-Identifier: MIT
 *
 * fork.c - children of a multithreaded process: the child has one thread, a copy of everybody's
 * memory, and goes on allocating and freeing all sizes; the parent never notices.  vfork and
 * posix_spawn too.  Every child has a time limit: a lock held across fork shows as SIGALRM.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "form.h"

extern char **environ;

enum { noisy_threads = 4, shared_slots = 256 };

struct shared {
	size_t size;
	uint64_t seed;
	unsigned char bytes[];
};

static _Atomic(struct shared *) shared[shared_slots];
static atomic_int stop;
static atomic_size_t broken;
static pthread_t noisy[noisy_threads];

/* Keeps every lock and list of the allocator busy: all sizes, own and foreign frees. */
static void *make_noise(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg * 31 + 17;

	while (!atomic_load(&stop)) {
		size_t size = random_size(&state);
		struct shared *p, *old;

		if (random_next(&state) % 64 == 0)
			size = (size_t)1 << 22; /* a huge one now and then */
		p = F.malloc(sizeof *p + size);
		if (!p)
			continue;
		p->size = size < 4096 ? size : 4096;
		p->seed = random_next(&state);
		pattern_fill(p->bytes, 0, p->size, p->seed);
		old = atomic_exchange(&shared[random_next(&state) % shared_slots], p);
		if (old && !pattern_holds(old->bytes, 0, old->size, old->seed))
			atomic_fetch_add(&broken, 1);
		F.free(old);
	}
	return NULL;
}

static void start_noise(void)
{
	atomic_store(&stop, 0);
	for (uintptr_t i = 0; i < noisy_threads; i++)
		pthread_create(&noisy[i], NULL, make_noise, (void *)(i + 1));
}

static void end_noise(void)
{
	atomic_store(&stop, 1);
	for (int i = 0; i < noisy_threads; i++)
		pthread_join(noisy[i], NULL);
}

static void *thread_of_child(void *arg)
{
	for (size_t size = 1; size < 200000; size += size / 3 + 1)
		F.free(F.malloc(size));
	return arg;
}

/* What a child does with the heap it inherited; 0 when all is well. */
static int child_body(void *arg)
{
	static unsigned char *p[4096];
	int count = 0, round = *(int *)arg;
	pthread_t thread;

	/* Blocks that vanished threads had published: intact, and free takes them. */
	for (int i = 0; i < shared_slots; i++) {
		struct shared *s = atomic_exchange(&shared[i], NULL);

		if (s && !pattern_holds(s->bytes, 0, s->size, s->seed))
			return 2;
		F.free(s);
	}
	for (size_t size = 1; size <= 65536; size += size / 50 + 1) {
		p[count] = F.malloc(size);
		if (!p[count])
			return 3;
		pattern_fill(p[count], 0, size, size);
		count++;
	}
	count = 0;
	for (size_t size = 1; size <= 65536; size += size / 50 + 1, count++)
		if (!pattern_holds(p[count], 0, size, size))
			return 4;
	for (int i = 0; i < count; i++)
		F.free(p[i]);
	F.free(F.calloc(1, (size_t)9 << 20));
	F.trim(0);
	/* Some children make threads, some fork again.  A thread asks AddressSanitizer's own malloc,
	 * whose lock a thread that vanished in the fork may hold: it has no fork handlers. */
	if (round % 4 == 0 && !SANITIZED && pthread_create(&thread, NULL, thread_of_child, NULL) == 0)
		pthread_join(thread, NULL);
	if (round % 8 == 1 && in_child(child_body, &(int){ 2 }, 60) != 0)
		return 5;
	return 0;
}

static void test_fork_with_threads(void)
{
	int bad = 0, last_bad = 0;

	start_noise();
	for (int round = 0; round < 60; round++) {
		int status = in_child(child_body, &round, 60);

		if (status != 0) {
			bad++;
			last_bad = status;
		}
	}
	end_noise();
	tap_ok(bad == 0, "60 forks of a process with %d busy threads: children allocate all sizes "
	       "(%d failed, status %#x)", noisy_threads, bad, (unsigned)last_bad);
	tap_ok(atomic_load(&broken) == 0, "the parent's blocks are intact");
}

static int handler_runs;

static void at_fork(void)
{
	F.free(F.malloc(777));
	F.free(F.malloc(77777));
	handler_runs++;
}

/* Handlers run while the allocator may already be prepared for the fork, or not yet released. */
static void test_atfork_handlers(void)
{
	int round = 0, status;

	pthread_atfork(at_fork, at_fork, at_fork);
	status = in_child(child_body, &round, 60);
	tap_ok(status == 0 && handler_runs == 2, "pthread_atfork handlers that allocate");
}

static void test_vfork(void)
{
	unsigned char *p = F.malloc(1000);
	int status = -1;
	volatile int counted = 0, i; /* volatile: the child runs in this frame */
	pid_t pid;

	pattern_fill(p, 0, 1000, 3);
	start_noise();
	for (i = 0; i < 20; i++) {
		pid = vfork();
		if (pid == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		counted += waitpid(pid, &status, 0) == pid && status == 0;
	}
	end_noise();
	tap_ok(counted == 20 && pattern_holds(p, 0, 1000, 3), "vfork and exec, 20 times");

	/* Not allowed by POSIX, done by programs: the child uses its parent's memory. */
	counted = 0;
	for (i = 0; i < 20; i++) {
		pid = vfork();
		if (pid == 0) {
			void *q = F.malloc(500);

			memset(q, 1, 500);
			F.free(q);
			F.free(F.malloc(300000));
			_exit(q ? 0 : 1);
		}
		counted += waitpid(pid, &status, 0) == pid && status == 0;
	}
	tap_ok(counted == 20 && pattern_holds(p, 0, 1000, 3), "malloc in the child of vfork");
	F.free(p);
}

static void test_spawn(void)
{
	char *const arguments[] = { "true", NULL };
	int counted = 0, status;
	pid_t pid;

	start_noise();
	for (int i = 0; i < 20; i++)
		counted += posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0 &&
			waitpid(pid, &status, 0) == pid && status == 0;
	end_noise();
	tap_ok(counted == 20, "posix_spawn from a busy process, 20 times");
}

void test_fork(void)
{
	test_fork_with_threads();
	test_atfork_handlers();
	test_vfork();
	test_spawn();
	for (int i = 0; i < shared_slots; i++) {
		struct shared *s = atomic_exchange(&shared[i], NULL);

		F.free(s);
	}
}
