/* SPDX-License-Identifier: MIT
 *
 * preload-check: proves inside a process that a preloaded library serves malloc,
 * and that what kills other preloaded allocators does not kill this one.
 *
 *	preload-check NAME LIBRARY
 * NAME is one row of the table at the end, LIBRARY the path that must serve.
 * Exit 0: all is well.  Otherwise one line on stderr and exit 1, or a signal.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <dlfcn.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *library;

#define FAIL(...) (fprintf(stderr, "preload-check: " __VA_ARGS__), fputc('\n', stderr), _exit(1))
#define CHECK(cond) ((cond) ? (void)0 : FAIL("line %d: %s", __LINE__, #cond))

/* The compiler must not see that a block is never used, or it removes the calls. */
static void *keep(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static bool same_file(const char *x, const char *y)
{
	struct stat a, b;

	return stat(x, &a) == 0 && stat(y, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static const char *server_of(const char *symbol)
{
	void *p = dlsym(RTLD_DEFAULT, symbol);
	Dl_info info;

	if (!p || !dladdr(p, &info) || !info.dli_fname)
		FAIL("%s is nowhere", symbol);
	return info.dli_fname;
}

static void must_serve(const char *symbol)
{
	const char *where = server_of(symbol);

	if (!same_file(where, library))
		FAIL("%s is served by %s, not by %s", symbol, where, library);
}

static void use_family(void)
{
	void *p, *q;

	CHECK((p = keep(malloc(100))) && (uintptr_t)p % 16 == 0);
	CHECK((p = keep(realloc(p, 100000))));
	memset(p, 1, 100000);
	free(p);
	CHECK((p = keep(calloc(1000, 100))) && ((char *)p)[99999] == 0);
	free(p);
	CHECK((p = keep(malloc(0))));
	free(p);
	CHECK((p = keep(aligned_alloc(4096, 8192))) && (uintptr_t)p % 4096 == 0);
	CHECK(malloc_usable_size(p) >= 8192);
	free(p);
	CHECK(posix_memalign(&q, 65536, 1) == 0 && (uintptr_t)q % 65536 == 0);
	free(q);
	CHECK((p = keep(memalign(64, 1000))) && (uintptr_t)p % 64 == 0);
	free(p);
	CHECK((p = keep(strdup("libc's own call"))));
	free(p);
	errno = 0;
	CHECK(!keep(malloc((size_t)PTRDIFF_MAX / 2)) && errno == ENOMEM);
}

static void check_family(void)
{
	static const char *const family[] = {
		"malloc", "free", "calloc", "realloc", "memalign", "aligned_alloc", "posix_memalign",
		"malloc_usable_size", "reallocarray", "valloc", "pvalloc",
	};

	for (size_t i = 0; i < sizeof(family) / sizeof(*family); i++)
		must_serve(family[i]);
	use_family();
}

enum { NTHREADS = 16, NSLOTS = 64, NROUNDS = 2000 };
static _Atomic(void *) slots[NSLOTS];
static atomic_bool stop;

/* Blocks go from thread to thread through the slots. */
static void *exchange_blocks(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg * 2654435761u + 1;

	for (int i = 0; i < NROUNDS && !atomic_load(&stop); i++) {
		x = x * 1664525u + 1013904223u;
		void *p = malloc(x >> 20 & 4095);

		CHECK(p);
		free(atomic_exchange(&slots[x >> 16 & (NSLOTS - 1)], p));
	}
	return NULL;
}

static void check_threads(void)
{
	pthread_t t[NTHREADS];

	must_serve("malloc");
	/* twice: the second wave meets what the first has left behind */
	for (int wave = 0; wave < 2; wave++) {
		for (uintptr_t i = 0; i < NTHREADS; i++)
			CHECK(pthread_create(&t[i], NULL, exchange_blocks, (void *)i) == 0);
		for (int i = 0; i < NTHREADS; i++)
			CHECK(pthread_join(t[i], NULL) == 0);
	}
}

static void *allocate_until_told(void *arg)
{
	while (!atomic_load(&stop))
		exchange_blocks(arg);
	return NULL;
}

static void check_fork(void)
{
	enum { FORKERS = 3, FORKS = 40 };
	pthread_t t[FORKERS];
	time_t begin = time(NULL);
	int status;

	must_serve("malloc");
	for (uintptr_t i = 0; i < FORKERS; i++)
		CHECK(pthread_create(&t[i], NULL, allocate_until_told, (void *)i) == 0);
	/* eight seconds: an emulated machine needs as long for a few forks */
	for (int i = 0; i < FORKS && time(NULL) - begin < 8; i++) {
		pid_t pid;

		alarm(20);	/* a lock held across fork shows as a hang */
		pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			alarm(10);	/* fork clears the parent's */
			use_family();
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < FORKERS; i++)
		pthread_join(t[i], NULL);
}

/* php opens every extension so: the library's malloc must meet the program's free. */
static void check_deepbind(void)
{
	char *(*give)(size_t);
	void (*take)(void *);
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	void *h;

	must_serve("malloc");
	CHECK(n > 0);
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, "preload-check-module.so");
	h = dlopen(path, RTLD_NOW | RTLD_DEEPBIND);
	if (!h)
		FAIL("%s", dlerror());
	*(void **)&give = dlsym(h, "preload_check_give");
	*(void **)&take = dlsym(h, "preload_check_take");
	CHECK(give && take);
	for (size_t n_bytes = 1; n_bytes < 1 << 20; n_bytes *= 3) {
		free(give(n_bytes));
		take(keep(malloc(n_bytes)));
		CHECK(malloc_usable_size(give(n_bytes)) >= n_bytes);
		free(keep(realloc(give(n_bytes), n_bytes * 2)));
	}
}

static void rerun_family(char *self)
{
	char *argv[] = { self, "family", (char *)library, NULL };

	execv("/proc/self/exe", argv);
	FAIL("exec: %s", strerror(errno));
}

/* Limits that are in force before the library's first instruction. */
static void check_rlimits(void)
{
	static const struct {
		int which;
		rlim_t limit;
	} rows[] = {
		/* 64 MiB: the smallest common "ulimit -v"; big reservations fail here */
		{ RLIMIT_AS, 64 << 20 },
		{ RLIMIT_DATA, 16 << 20 },
	};
	struct rlimit none = { 0, 0 };
	int status;

	must_serve("malloc");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct rlimit r = { rows[i].limit, rows[i].limit };
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			CHECK(setrlimit(rows[i].which, &r) == 0);
			rerun_family("preload-check");
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		if (status)
			FAIL("status %#x under resource limit %d", status, rows[i].which);
	}
	/* sshd's child lives like this: no descriptor can be opened any more */
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	use_family();
}

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define ARCH AUDIT_ARCH_ARM
#elif defined(__riscv)
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define ARCH AUDIT_ARCH_S390X
#endif
#ifdef __NR_mmap2
#define NR_MMAP __NR_mmap2
#else
#define NR_MMAP __NR_mmap
#endif

/* From now on each of these calls fails with EPERM; filters add up. */
static void forbid(const unsigned *calls, unsigned n)
{
#ifdef ARCH
	struct sock_filter f[16] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog prog = { .filter = f };
	unsigned short k = 4;

	for (unsigned i = 0; i < n; i++) {
		f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
		f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	}
	f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = k;
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
#else
	(void)calls;
	(void)n;
#endif
}

static void churn(void)
{
	void *p[64];

	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < 64; i++) {
			p[i] = keep(malloc((size_t)1 << (i % 20)));
			if (p[i])
				memset(p[i], 1, (size_t)1 << (i % 20));
		}
		for (int i = 0; i < 64; i++)
			free(p[i]);
	}
}

static void check_seccomp(void)
{
	static const unsigned advice[] = { __NR_madvise, __NR_mremap };
	/* not brk: no filter refuses it, and glibc's own wrapper does not survive that */
	static const unsigned all[] = { NR_MMAP, __NR_munmap, __NR_mprotect };
	void *p;

	must_serve("malloc");
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL)
		return;		/* a kernel without: nothing can be forbidden here */
	alarm(20);	/* mimalloc hangs at the second level */
	forbid(advice, 2);
	use_family();
	churn();
	forbid(all, 3);
	churn();	/* some of it may fail, none of it may die */
	errno = 0;
	p = keep(malloc((size_t)256 << 20));
	CHECK(p || errno == ENOMEM);
	free(p);
}

static void check_setuid(void)
{
	CHECK(getauxval(AT_SECURE) != 0);
	must_serve("malloc");
	use_family();
}

/* For --root-only: a user's setuid program runs, and libc serves it. */
static void check_unserved(void)
{
	CHECK(getauxval(AT_SECURE) != 0);
	CHECK(!same_file(server_of("malloc"), library));
	use_family();
}

static const struct {
	const char *name;
	void (*run)(void);
} table[] = {
	{ "family", check_family },	{ "threads", check_threads },
	{ "fork", check_fork },		{ "deepbind", check_deepbind },
	{ "rlimits", check_rlimits },	{ "seccomp", check_seccomp },
	{ "setuid", check_setuid },	{ "unserved", check_unserved },
};

int main(int argc, char **argv)
{
	if (argc != 3)
		FAIL("usage: preload-check NAME LIBRARY");
	library = argv[2];
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		if (strcmp(argv[1], table[i].name) == 0) {
			table[i].run();
			return 0;
		}
	}
	FAIL("no check is called %s", argv[1]);
}
