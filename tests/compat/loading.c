/* SPDX-License-Identifier: MIT
 *
 * loading.c - probes of the ways in which a process can come by an allocator and by other code:
 * RTLD_DEEPBIND, dlmopen, dlopen, constructors, LD_AUDIT, LD_BIND_NOW, LD_PROFILE, setuid.
 * COMPAT_BIN names the directory of the built plugins.
 */
#include "probe.h"

#include <link.h>
#include <sys/auxv.h>
#include <sys/wait.h>

int compat_whoami(void);
extern char *early_block;

int compat_whoami(void)
{
	return 1; /* plugin.c's returns 2 */
}

static void *open_plugin(int flags, Lmid_t where)
{
	char path[4096];
	void *h;

	snprintf(path, sizeof path, "%s/plugin.so", getenv("COMPAT_BIN"));
	h = where == LM_ID_BASE ? dlopen(path, flags) : dlmopen(where, path, flags);
	CHECK(h != NULL, "%s", dlerror());
	return h;
}

static int churn_both_ways(void *h)
{
	void *(*p_malloc)(size_t) = dlsym(h, "plugin_malloc");
	void *(*p_realloc)(void *, size_t) = dlsym(h, "plugin_realloc");
	char *(*p_strdup)(const char *) = dlsym(h, "plugin_strdup");
	void (*p_free)(void *) = dlsym(h, "plugin_free");
	unsigned seed = 1;

	for (int i = 0; i < 5000; i++) {
		size_t n = probe_size(&seed);
		char *mine = keep(malloc(n)), *theirs = p_malloc(n), *copy = p_strdup("copy");

		CHECK(mine && theirs && copy, "no memory");
		mine[n - 1] = theirs[n - 1] = 'x';
		mine = p_realloc(mine, 2 * n);
		theirs = realloc(theirs, 2 * n);
		CHECK(mine[n - 1] == 'x' && theirs[n - 1] == 'x', "contents lost");
		CHECK(malloc_usable_size(theirs) >= 2 * n, "usable size");
		p_free(mine);
		free(theirs);
		free(copy);
	}
	return 0;
}

static int deepbind(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return churn_both_ways(open_plugin(RTLD_NOW | RTLD_DEEPBIND, LM_ID_BASE));
}

static int deepbind_lazy(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return churn_both_ways(open_plugin(RTLD_LAZY | RTLD_DEEPBIND, LM_ID_BASE));
}

static int deepbind_meaning(int argc, char **argv)
{
	void *h = open_plugin(RTLD_NOW | RTLD_DEEPBIND, LM_ID_BASE);
	int (*whoami)(void) = dlsym(h, "plugin_whoami");

	(void)argc;
	(void)argv;
	CHECK(whoami() == 2, "the plugin found the program's symbol, DEEPBIND was dropped");
	return 0;
}

static int deepbind_runpath(int argc, char **argv)
{
	void *(*open_neighbour)(void) = dlsym(open_plugin(RTLD_NOW, LM_ID_BASE),
					      "plugin_open_neighbour");

	(void)argc;
	(void)argv;
	CHECK(open_neighbour() != NULL, "%s", dlerror());
	return 0;
}

/* Another namespace has a libc and a malloc of its own: each side keeps to its own pointers. */
static int new_namespace(int argc, char **argv)
{
	void *h = open_plugin(RTLD_NOW, LM_ID_NEWLM);
	void *(*p_malloc)(size_t) = dlsym(h, "plugin_malloc");
	void (*p_free)(void *) = dlsym(h, "plugin_free");
	unsigned seed = 1;
	char *held[64] = { NULL };

	(void)argc;
	(void)argv;
	for (int i = 0; i < 20000; i++) {
		size_t n = probe_size(&seed);
		char *mine = keep(malloc(n)), *theirs = p_malloc(n);

		CHECK(mine && theirs, "no memory");
		mine[0] = theirs[0] = mine[n - 1] = theirs[n - 1] = 'x';
		free(mine);
		p_free(held[i % 64]);
		held[i % 64] = theirs;
	}
	return 0;
}

/* Runs without a preload: the library comes late, its TLS must fit into the surplus. */
static int late_open(int argc, char **argv)
{
	void *h = dlopen(argv[1], RTLD_NOW);
	void *(*l_malloc)(size_t);
	void (*l_free)(void *);
	Dl_info info;
	char real[4096];

	(void)argc;
	CHECK(h != NULL, "%s", dlerror());
	l_malloc = dlsym(h, "amalloc");
	l_free = dlsym(h, "afree");
	if (l_malloc == NULL || l_free == NULL) {
		l_malloc = dlsym(h, "malloc");
		l_free = dlsym(h, "free");
	}
	CHECK(l_malloc && dladdr((void *)l_malloc, &info) && realpath(info.dli_fname, real) &&
	      strcmp(real, argv[1]) == 0, "malloc is elsewhere, in %s", info.dli_fname);
	for (int i = 1; i < 20000; i++) {
		char *p = l_malloc((size_t)i), *q = keep(malloc((size_t)i));

		CHECK(p && q, "no memory");
		p[i - 1] = q[i - 1] = 'x';
		l_free(p);
		free(q);
	}
	return 0;
}

static void *churn_thread(void *arg)
{
	probe_churn((unsigned)(uintptr_t)arg, 20000);
	return NULL;
}

static int churn(int argc, char **argv)
{
	pthread_t t[4];

	(void)argc;
	(void)argv;
	CHECK(strcmp(early_block, "early") == 0, "block of the constructor lost its contents");
	for (uintptr_t i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, churn_thread, (void *)i) == 0, "thread");
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return 0;
}

static char *from_main;

static void at_exit(void)
{
	free(from_main);
	CHECK(probe_churn(3, 20000) == 0, "allocation refused in an atexit handler");
}

static int exit_handlers(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (int i = 0; i < 100; i++) /* beyond the 32 that glibc keeps without allocating */
		CHECK(atexit(at_exit) == 0 || errno == ENOMEM, "atexit");
	from_main = malloc(1000);
	free(from_main);
	from_main = NULL;
	return 0;
}

/*
 * Prints what an environment variable could have changed: the fill of a fresh block.  What the
 * library itself prints goes to stderr; the runner compares both with and without AT_SECURE.
 */
static int secure(int argc, char **argv)
{
	unsigned char *p = keep(malloc(64));

	(void)argc;
	(void)argv;
	printf("secure=%lu fill=%d\n", getauxval(AT_SECURE), p[40]);
	free(p);
	return 0;
}

static const struct probe probes[] = {
	{ "deepbind", deepbind },
	{ "deepbind-lazy", deepbind_lazy },
	{ "deepbind-meaning", deepbind_meaning },
	{ "deepbind-runpath", deepbind_runpath },
	{ "dlmopen", new_namespace },
	{ "churn", churn },
	{ "exit-handlers", exit_handlers },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	/* Not preloaded: the library comes by dlopen, or is linked in and AT_SECURE is set. */
	if (argc > 2 && strcmp(argv[1], "late-open") == 0)
		return late_open(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "secure") == 0)
		return secure(argc - 1, argv + 1);
	return probe_main(probes, argc, argv);
}
