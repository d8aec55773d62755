/* SPDX-License-Identifier: MIT
 *
 * limits.c - probes of small worlds: address space, data, descriptors, locked memory, mapping
 * count, no /proc, huge pages for all, memory that is accounted.  The runner sets what must hold
 * from exec on (RLIMIT_AS, RLIMIT_DATA, mount namespace, sysctls, control group); the others are
 * set here.
 */
#include "probe.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define MIB (1u << 20)

static void *churn_thread(void *arg)
{
	CHECK(probe_churn((unsigned)(uintptr_t)arg, 20000) == 0, "allocation refused");
	return NULL;
}

/* 256 KiB stacks: the default 8 MiB would use up the limits that are probed. */
static void churn_threads(int count)
{
	pthread_attr_t attr;
	pthread_t t[16];

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	for (intptr_t i = 0; i < count; i++)
		CHECK(pthread_create(&t[i], &attr, churn_thread, (void *)i) == 0, "thread");
	for (int i = 0; i < count; i++)
		pthread_join(t[i], NULL);
}

/* A number of kB out of /proc/self/status; read(2) alone, so that it allocates nothing. */
static long status_kb(const char *key)
{
	static char text[8192];
	FILE *f = fopen("/proc/self/status", "r");
	size_t n;
	char *at;

	if (f == NULL)
		_exit(PROBE_SKIP);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	at = strstr(text, key);
	CHECK(at != NULL, "no %s", key);
	return atol(at + strlen(key));
}

static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int c, lines = 0;

	if (f == NULL)
		_exit(PROBE_SKIP);
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

#define MAX_BLOCKS (1 << 20)
static char *block[MAX_BLOCKS];

/*
 * limited MIB: at least so much can be had in 4000-byte blocks, then comes NULL and ENOMEM;
 * freed memory can be had again, in another size too, and threads find theirs.
 */
static int limited(int argc, char **argv)
{
	size_t least = argc > 1 ? (size_t)atoi(argv[1]) * MIB : 0;
	int n = 0;
	void *p;

	churn_threads(2);
	while (n < MAX_BLOCKS) {
		errno = 0;
		block[n] = malloc(4000);
		if (block[n] == NULL)
			break;
		memset(block[n++], 'l', 4000);
	}
	CHECK(n < MAX_BLOCKS && errno == ENOMEM, "errno %d after %d blocks", errno, n);
	CHECK((size_t)n * 4000 >= least, "only %d MiB of %zu", n * 4 / 1050, least / MIB);
	for (int i = 0; i < n; i++) {
		CHECK(block[i][3999] == 'l', "contents lost");
		free(block[i]);
	}
	for (int i = 0; i < n / 2; i++)
		CHECK((block[i] = malloc(4000)) != NULL, "freed blocks are gone at %d of %d", i, n);
	for (int i = 0; i < n / 2; i++)
		free(block[i]);
	p = malloc(least / 4);
	CHECK(p != NULL, "%zu bytes after all was freed", least / 4);
	memset(p, 1, least / 4);
	free(p);
	churn_threads(2);
	return 0;
}

static int no_descriptors(int argc, char **argv)
{
	const struct rlimit none = { 0, 0 };

	(void)argc;
	(void)argv;
	for (int fd = 0; fd < 256; fd++)
		close(fd);
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0, "setrlimit");
	CHECK(probe_churn(1, 50000) == 0, "allocation refused");
	churn_threads(8);
	return 0;
}

static int closed_descriptors(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	free(malloc(100));
	for (int fd = 0; fd < 256; fd++)
		close(fd);
	/* Whatever the library kept open is /dev/zero now. */
	if (access("/dev/zero", R_OK) == 0)
		for (int i = 0; i < 16; i++)
			CHECK(fopen("/dev/zero", "r") != NULL, "open");
	CHECK(probe_churn(1, 50000) == 0, "allocation refused");
	churn_threads(8);
	return 0;
}

/* With all mappings locked and populated, an idle reservation costs real memory. */
static int locked(int argc, char **argv)
{
	const int live = 64; /* MiB, in 4000-byte blocks */
	int n = live * (int)(MIB / 4000);
	long before;

	(void)argc;
	(void)argv;
	free(malloc(100));
	before = status_kb("VmRSS:");
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		return PROBE_SKIP;
	for (int i = 0; i < n; i++)
		CHECK((block[i] = malloc(4000)) != NULL, "refused");
	churn_threads(4);
	/*
	 * The program itself brings 8 MiB of block[] and 1 MiB of stacks; libc and the library
	 * some 4 MiB.  Half of the live memory again is slack enough for any allocator.
	 */
	CHECK(status_kb("VmRSS:") - before < (live + live / 2 + 16) * 1024L,
	      "%ld MiB resident for %d MiB", (status_kb("VmRSS:") - before) / 1024, live);
	for (int i = 0; i < n; i++)
		free(block[i]);
	CHECK(probe_churn(1, 50000) == 0, "allocation refused");
	return 0;
}

/* 4 GiB of blocks of 64 KiB, of which only the first page is touched. */
static int mappings(int argc, char **argv)
{
	const int n = 65536, most = n / 16; /* one mapping for each MiB */
	unsigned x = 1;

	(void)argc;
	(void)argv;
	for (int i = 0; i < n; i++) {
		CHECK((block[i] = malloc(65536)) != NULL, "refused at %d", i);
		block[i][0] = 'm';
	}
	CHECK(count_maps() < most, "%d mappings when full", count_maps());
	for (int i = 0; i < n; i += 2) {
		free(block[i]);
		block[i] = NULL;
	}
	CHECK(count_maps() < most, "%d mappings after every second free", count_maps());
	for (int i = 0; i < n; i++) {
		int k = (int)((x = x * 1103515245u + 12345u) >> 8) % n;

		free(block[k]);
		block[k] = malloc(x % 3 ? 65536 : 30000);
		CHECK(block[k] != NULL, "refused");
		block[k][0] = 'm';
	}
	CHECK(count_maps() < most, "%d mappings after random load", count_maps());
	for (int i = 0; i < n; i++)
		free(block[i]);
	return 0;
}

/* The runner took /proc and /sys away and made every mount read-only. */
static int bare(int argc, char **argv)
{
	static const char *const places[] = { "/usr", "/tmp", "/run", "/dev/shm", NULL };

	(void)argc;
	(void)argv;
	CHECK(access("/proc/self", F_OK) != 0, "/proc is still there");
	CHECK(access("/sys/kernel", F_OK) != 0, "/sys is still there");
	for (const char *const *d = places; *d != NULL; d++)
		CHECK(access(*d, W_OK) != 0 && (errno == EROFS || errno == ENOENT),
		      "%s is writable", *d);
	CHECK(probe_churn(1, 50000) == 0, "allocation refused");
	churn_threads(8);
	return 0;
}

/*
 * The runner has set transparent_hugepage/enabled to always: whatever covers an aligned 2 MiB gets
 * them at its first touch.  A process that holds 104 KiB has none, and stays below a third of one.
 */
/* Blocks [from, to) of 16 to 512 bytes are written; no huge page may have come, and at most MOST KiB. */
static int small_blocks(int from, int to, long most)
{
	long rss = status_kb("RssAnon:"), after, huge = -1;
	char line[256];
	FILE *f;

	for (int i = from; i < to; i++) {
		size_t n = 16 + (size_t)i % 32 * 16;

		CHECK((block[i] = malloc(n)) != NULL, "refused");
		memset(block[i], 's', n);
	}
	after = status_kb("RssAnon:");
	/* Of the whole process: its mapping may be part of the allocator's. */
	if ((f = fopen("/proc/self/smaps_rollup", "r")) == NULL)
		return PROBE_SKIP;
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "AnonHugePages:", 14) == 0)
			huge = atol(line + 14);
	fclose(f);
	CHECK(huge == 0, "%ld KiB in huge pages", huge);
	CHECK(after - rss < most, "%ld KiB more resident for %d blocks", after - rss, to - from);
	return 0;
}

static int small(int argc, char **argv)
{
	int rc;

	(void)argc;
	(void)argv;
	/* Our own table is large enough for a huge page. */
	madvise((void *)((uintptr_t)block & -4096ul), sizeof block, MADV_NOHUGEPAGE);
	/* 400 blocks are 104 KiB in 32 sizes; block[] and stdio bring a few pages.  12,000 more are
	 * 3.1 MiB, of which no part deserves a huge page yet. */
	rc = small_blocks(0, 400, 640);
	return rc != 0 ? rc : small_blocks(400, 12400, 3700);
}

/* A number of kB out of /proc/meminfo. */
static long meminfo_kb(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[256];
	long kb = -1;

	if (f == NULL)
		_exit(PROBE_SKIP);
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			kb = atol(line + strlen(key));
	fclose(f);
	CHECK(kb >= 0, "no %s", key);
	return kb;
}

/*
 * Under overcommit_memory=2 each writable page is charged, touched or not.  On a machine where
 * nothing else runs: 64 MiB live are charged at most half as much again, and most of it goes back.
 */
static int charged(int argc, char **argv)
{
	const int live = 64, n = live * (int)(MIB / 4000);
	long before, full, after;

	(void)argc;
	(void)argv;
	before = meminfo_kb("Committed_AS:");
	for (int i = 0; i < n; i++) {
		CHECK((block[i] = malloc(4000)) != NULL, "refused at %d of %d", i, n);
		block[i][0] = 'c';
	}
	full = meminfo_kb("Committed_AS:") - before;
	CHECK(full > live * 1000, "only %ld KiB charged: this sysctl is not what it should be", full);
	CHECK(full < (live + live / 2) * 1024L, "%ld MiB charged for %d", full / 1024, live);
	for (int i = 0; i < n; i++)
		free(block[i]);
	free(malloc(4000));
	after = meminfo_kb("Committed_AS:") - before;
	CHECK(after < live * 1024L, "%ld MiB still charged", after / 1024);
	return 0;
}

/* One phase: so many MiB in blocks of n bytes, touched, then freed. */
static void phase(size_t mib, size_t n)
{
	size_t count = mib * MIB / n;

	CHECK(count <= MAX_BLOCKS, "too many blocks");
	for (size_t i = 0; i < count; i++) {
		CHECK((block[i] = malloc(n)) != NULL, "%zu bytes refused", n);
		memset(block[i], 'p', n);
	}
	for (size_t i = 0; i < count; i++) {
		CHECK(block[i][n - 1] == 'p', "contents lost");
		free(block[i]);
	}
}

#define PHASE_MIB 96

static void *phase_thread(void *arg)
{
	phase(PHASE_MIB, (size_t)(uintptr_t)arg);
	return NULL;
}

/*
 * In a control group whose memory.max is 144 MiB: each phase holds 96 MiB in blocks of one size and
 * frees them all, every second by a thread that ends.  What an allocator keeps of one phase beyond
 * some 30 MiB, and cannot use in the next, gets the process killed; nobody is asked before.
 */
static int phases(int argc, char **argv)
{
	static const size_t sizes[] = { 128, 4000, 100 << 10, 1 << 20, 96 << 20, 256, 20000, 3 << 20 };
	pthread_t t;

	(void)argc;
	(void)argv;
	for (int round = 0; round < 2; round++)
		for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			phase(PHASE_MIB, sizes[i]);
			CHECK(pthread_create(&t, NULL, phase_thread,
					     (void *)(uintptr_t)sizes[i]) == 0, "thread");
			pthread_join(t, NULL);
		}
	return 0;
}

static void *hold(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg;
	char **kept = arg;

	for (int i = 0; i < 20000; i++) {
		size_t n = probe_size(&x);

		if ((kept[i] = malloc(n)) == NULL)
			_exit(1);
		kept[i][0] = 'h';
	}
	return NULL;
}

/*
 * What checkpointing, userfaultfd and low or tagged pointers take for granted: whatever appears in
 * /proc/self/maps is private, anonymous and not executable, and every block lies below 2^47.
 */
static int own_mappings(int argc, char **argv)
{
	enum { THREADS = 4, EACH = 20000, HUGE = 8 };
	char line[512], perms[8], name[256];
	unsigned long from, to, inode;
	pthread_t t[THREADS];
	FILE *f;

	(void)argc;
	(void)argv;
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, hold, &block[i * EACH]) == 0, "thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < HUGE; i++)
		CHECK((block[THREADS * EACH + i] = malloc(512 * MIB)) != NULL, "512 MiB");
	for (int i = 0; i < THREADS * EACH + HUGE; i++)
		CHECK((uint64_t)(uintptr_t)block[i] >> 47 == 0, "a block at %p", (void *)block[i]);
	if ((f = fopen("/proc/self/maps", "r")) == NULL)
		return PROBE_SKIP;
	while (fgets(line, sizeof line, f) != NULL) {
		name[0] = '\0';
		if (sscanf(line, "%lx-%lx %7s %*s %*s %lu %255s", &from, &to, perms, &inode, name) < 4)
			continue;
		CHECK(strstr(name, "memfd") == NULL && strstr(name, "/dev/zero") == NULL &&
		      strstr(name, "/shm/") == NULL, "a mapping of %s", name);
		if (inode == 0 && name[0] == '\0')
			CHECK(perms[2] != 'x' && perms[3] == 'p', "a mapping %s", perms);
	}
	fclose(f);
	for (int i = 0; i < THREADS * EACH + HUGE; i++)
		free(block[i]);
	return 0;
}

static const struct probe probes[] = {
	{ "limited", limited },
	{ "no-descriptors", no_descriptors },
	{ "closed-descriptors", closed_descriptors },
	{ "locked", locked },
	{ "mappings", mappings },
	{ "bare", bare },
	{ "small", small },
	{ "charged", charged },
	{ "phases", phases },
	{ "own-mappings", own_mappings },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return probe_main(probes, argc, argv);
}
