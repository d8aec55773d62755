/* SPDX-License-Identifier: MIT
 *
 * forks.c - probes of every way to make a process while other threads are inside malloc.
 * Each child allocates, so a lock or a structure that another thread held at that instant
 * shows; it has 5 s (alarm) before that counts as a hang.
 */
#include "probe.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define THREADS 4
#define CHILD_SECONDS 5

extern char **environ;
static _Atomic bool stop;
static pthread_t worker[THREADS];

/* Small and large blocks, blocks that another thread frees, and stdio's list lock. */
static void *_Atomic mailbox[64];

static void *load(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg + 1;

	while (!stop) {
		probe_churn(seed, 500);
		for (int i = 0; i < 64; i++)
			free(__atomic_exchange_n((void **)&mailbox[i], malloc(probe_size(&seed)),
						 __ATOMIC_ACQ_REL));
		FILE *f = fopen("/dev/null", "w");
		if (f != NULL)
			fclose(f);
	}
	return NULL;
}

static void start_load(void)
{
	stop = false;
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&worker[i], NULL, load, (void *)i) == 0, "thread");
	usleep(20000);
}

static void stop_load(void)
{
	stop = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(worker[i], NULL);
}

static void reap(pid_t child, const char *what, int round)
{
	int status = -1;

	CHECK(child > 0, "%s: %s", what, strerror(errno));
	while (waitpid(child, &status, 0) < 0)
		CHECK(errno == EINTR, "waitpid");
	CHECK(!(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM), "%s %d: child hangs", what,
	      round);
	CHECK(status == 0, "%s %d: child status %#x", what, round, status);
}

static void *thread_in_child(void *arg)
{
	probe_churn(5, 2000);
	return arg;
}

/* What a child does: everything its parent could. */
static void child_life(bool threads)
{
	pthread_t t;

	alarm(CHILD_SECONDS);
	if (probe_churn((unsigned)getpid(), 3000) != 0)
		_exit(3);
	for (int i = 0; i < 64; i++) /* blocks of threads that do not exist here */
		free(__atomic_exchange_n((void **)&mailbox[i], NULL, __ATOMIC_ACQ_REL));
	if (threads && (pthread_create(&t, NULL, thread_in_child, NULL) || pthread_join(t, NULL)))
		_exit(4);
	_exit(0);
}

static int under_load(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	start_load();
	for (int i = 0; i < 100; i++) {
		pid_t child = fork();

		if (child == 0)
			child_life(true);
		reap(child, "fork", i);
	}
	stop_load();
	return 0;
}

static int without_handlers(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	start_load();
	for (int i = 0; i < 100; i++) {
		pid_t child = _Fork();

		if (child == 0)
			child_life(false);
		reap(child, "_Fork", i);
	}
	stop_load();
	return 0;
}

static int raw(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	start_load();
	for (int i = 0; i < 100; i++) {
		pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

		if (child == 0)
			child_life(false);
		reap(child, "clone", i);
	}
	stop_load();
	return 0;
}

static pid_t main_pid;
static volatile sig_atomic_t handler_forks;
static bool child_returns;

static void fork_in_handler(int sig)
{
	int saved = errno;
	pid_t child = fork();

	(void)sig;
	if (child == 0) {
		alarm(CHILD_SECONDS);
		if (!child_returns)
			_exit(0);
		/* Only the main thread's loop goes on in the child, with a malloc to finish. */
		signal(SIGUSR1, SIG_IGN);
		return;
	}
	reap(child, "fork in handler", handler_forks++);
	errno = saved;
}

/* A process of its own, because a thread would change what the libc does about locks. */
static pid_t start_pesterer(void)
{
	pid_t parent = getpid(), child = fork();

	if (child == 0)
		for (;;) {
			if (kill(parent, SIGUSR1) != 0 || getppid() != parent)
				_exit(0);
			usleep(500);
		}
	CHECK(child > 0, "fork");
	return child;
}

static int in_handler(bool returns)
{
	struct sigaction act = { .sa_handler = fork_in_handler, .sa_flags = SA_RESTART };
	sigset_t usr1;
	pid_t pesterer;

	main_pid = getpid();
	child_returns = returns;
	sigaction(SIGUSR1, &act, NULL);
	/* Not before its own fork has ended: fork in a handler that interrupted fork hangs libc. */
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	pesterer = start_pesterer();
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	for (unsigned i = 0; handler_forks < 300; i++) {
		probe_churn(i, 200);
		if (getpid() != main_pid) {
			probe_churn(i, 3000);
			_exit(0);
		}
	}
	/* A signal between the loop and here leaves a child here. */
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	if (getpid() != main_pid)
		_exit(0);
	kill(pesterer, SIGKILL);
	return waitpid(pesterer, NULL, 0) != pesterer;
}

static int handler_exit(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return in_handler(false);
}

static int handler_return(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return in_handler(true);
}

/* The same with threads inside malloc; only the main thread takes the signal. */
static int handler_threads(int argc, char **argv)
{
	sigset_t usr1;
	int result;

	(void)argc;
	(void)argv;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	start_load();
	result = in_handler(false);
	stop_load();
	return result;
}

static void *storm_thread(void *arg)
{
	for (int i = 0; i < 25; i++) {
		pid_t child = fork();

		if (child == 0) {
			alarm(CHILD_SECONDS);
			for (int k = 0; k < 2; k++) {
				pid_t grand = fork();

				if (grand == 0)
					child_life(false);
				reap(grand, "grandchild", k);
			}
			child_life(true);
		}
		reap(child, "storm", i);
	}
	return arg;
}

static int storm(int argc, char **argv)
{
	pthread_t t[8];

	(void)argc;
	(void)argv;
	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&t[i], NULL, storm_thread, NULL) == 0, "thread");
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	return 0;
}

static int with_vfork(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	start_load();
	for (int i = 0; i < 200; i++) {
		pid_t child = vfork();

		if (child == 0) {
			if (i & 1)
				_exit(0);
			execl("/bin/true", "true", (char *)NULL);
			_exit(5);
		}
		reap(child, "vfork", i);
		CHECK(probe_churn((unsigned)i, 500) == 0, "parent");
	}
	stop_load();
	return 0;
}

static int spawn(int argc, char **argv)
{
	char *const args[] = { (char[]){ "true" }, NULL };

	(void)argc;
	(void)argv;
	start_load();
	for (int i = 0; i < 200; i++) {
		pid_t child;

		CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, args, environ) == 0, "spawn");
		reap(child, "posix_spawn", i);
		CHECK(probe_churn((unsigned)i, 500) == 0, "parent");
	}
	stop_load();
	return 0;
}

static char *from_clone[200];

static int share_memory(void *arg)
{
	for (int i = 0; i < 200; i++) {
		free(from_clone[i]);
		from_clone[i] = malloc((size_t)(i + 1) * 50);
		if (from_clone[i] == NULL)
			return 1;
		from_clone[i][i * 50] = 'c';
	}
	(void)arg;
	return 0;
}

/* The child has the parent's memory and the parent's TLS; the parent waits (CLONE_VFORK). */
static int clone_vm(int argc, char **argv)
{
	char *stack = mmap(NULL, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);

	(void)argc;
	(void)argv;
	start_load();
	for (int i = 0; i < 200; i++) {
		reap(clone(share_memory, stack + (1 << 18), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL),
		     "clone", i);
		for (int k = 0; k < 200; k++)
			CHECK(from_clone[k][k * 50] == 'c', "contents lost");
		CHECK(probe_churn((unsigned)i, 500) == 0, "parent");
		for (int k = i % 2; k < 200; k += 2) {
			free(from_clone[k]);
			from_clone[k] = NULL;
		}
		for (int k = 0; k < 200; k++)
			if (from_clone[k] == NULL)
				from_clone[k] = malloc(10);
	}
	stop_load();
	return 0;
}

/* ---- caches of threads that a fork left behind ------------------------------------------- */

enum { GENERATIONS = 30, SETTLED = 5, BLOCKS = 4000 /* of 1000 bytes: 4 MiB for each thread */ };
static _Atomic int resting;

/* Frees all it had and comes to rest: a child may take whatever this thread still caches. */
static void *rest(void *arg)
{
	void *p[BLOCKS];

	for (int i = 0; i < BLOCKS; i++)
		p[i] = memset(malloc(1000), 1, 1000);
	for (int i = 0; i < BLOCKS; i++)
		free(p[i]);
	resting++;
	pause();
	return arg;
}

static long resident_kb(void)
{
	long all, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f != NULL && fscanf(f, "%ld %ld", &all, &pages) == 2, "statm");
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Each generation is the child of the one before, whose threads it has lost. */
static int recover(int argc, char **argv)
{
	long settled = 0;

	(void)argc;
	(void)argv;
	for (int g = 0; g < GENERATIONS; g++) {
		pid_t child;

		resting = 0;
		for (int i = 0; i < THREADS; i++)
			CHECK(pthread_create(&worker[i], NULL, rest, NULL) == 0, "thread");
		while (resting < THREADS)
			usleep(1000);
		if (g == SETTLED)
			settled = resident_kb();
		child = fork();
		if (child != 0) {
			reap(child, "generation", g);
			_exit(0);
		}
	}
	/* 24 generations that lost all would have lost 384 MiB. */
	CHECK(resident_kb() - settled < 16 * 1024, "%ld kB more after %d forks",
	      resident_kb() - settled, GENERATIONS - SETTLED);
	return 0;
}

static const struct probe probes[] = {
	{ "under-load", under_load },
	{ "without-handlers", without_handlers },
	{ "raw", raw },
	{ "handler-exit", handler_exit },
	{ "handler-return", handler_return },
	{ "handler-threads", handler_threads },
	{ "storm", storm },
	{ "vfork", with_vfork },
	{ "spawn", spawn },
	{ "clone-vm", clone_vm },
	{ "recover", recover },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return probe_main(probes, argc, argv);
}
