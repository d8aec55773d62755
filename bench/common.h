/* SPDX-License-Identifier: MIT */
/*
 * What all benchmark programs share: key=value arguments, a random generator, clocks, size
 * distributions, and tables that do not come from the allocator under test.  Everything is
 * static inline, so that each program is one file and one compiler call.
 *
 * A program prints nothing, or one line of key=value; bench/run reads it.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- failing ---- */

static inline _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* The compiler must believe that the object escapes, or it deletes malloc/free pairs. */
static inline void escape(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static inline void *must(void *p)
{
	if (!p)
		die("out of memory");
	escape(p);
	return p;
}

/* Every object is written once, as a program would: its first word. Sizes are all >= 8. */
static inline void *get(size_t size)
{
	void *p = must(malloc(size));

	*(volatile uint64_t *)p = size;
	return p;
}

/* Touch each 4 KiB of a buffer: the grain of a page fault without huge pages. */
static inline void touch(void *p, size_t size)
{
	for (size_t i = 0; i < size; i += 4096)
		((volatile char *)p)[i] = 1;
}

/* ---- arguments: program SCENARIO key=value... ---- */

static int bench_argc;
static char **bench_argv;

static inline const char *opt_text(const char *key, const char *otherwise)
{
	size_t len = strlen(key);

	for (int i = 2; i < bench_argc; i++)
		if (!strncmp(bench_argv[i], key, len) && bench_argv[i][len] == '=')
			return bench_argv[i] + len + 1;
	return otherwise;
}

static inline size_t opt(const char *key, size_t otherwise)
{
	const char *text = opt_text(key, NULL);
	char *end;
	size_t n;

	if (!text)
		return otherwise;
	n = strtoull(text, &end, 0);
	switch (*end) {
	case 'g': n <<= 10; /* fall through */
	case 'm': n <<= 10; /* fall through */
	case 'k': n <<= 10; end++; break;
	default: break;
	}
	if (*end || end == text) {
		errno = EINVAL;
		die(key);
	}
	return n;
}

struct scenario {
	const char *name;
	void (*run)(void);
};

static inline int run_scenario(int argc, char **argv, const struct scenario *list)
{
	bench_argc = argc;
	bench_argv = argv;
	for (; argc > 1 && list->name; list++)
		if (!strcmp(list->name, argv[1])) {
			list->run();
			return 0;
		}
	fprintf(stderr, "bench: no such scenario\n");
	return 2;
}

/* ---- time ---- */

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What a part of the work costs: CPU time of all threads, and faults. */
struct cost {
	uint64_t cpu_ns;
	uint64_t faults;
};

static inline struct cost cost_now(void)
{
	struct rusage use;
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	getrusage(RUSAGE_SELF, &use);
	return (struct cost){ (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec,
		(uint64_t)use.ru_minflt };
}

static inline void print_cost_each(struct cost from, size_t n)
{
	struct cost to = cost_now();

	printf("cpu_ns_each=%.2f faults_each=%.6f\n", (double)(to.cpu_ns - from.cpu_ns) / (double)n,
		(double)(to.faults - from.faults) / (double)n);
}

static inline void sleep_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- random numbers: xorshift64*, three shifts and a multiply ---- */

static inline uint64_t rnd(uint64_t *s)
{
	uint64_t x = *s;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*s = x;
	return x * 0x2545f4914f6cdd1dull;
}

/* 0 <= result < n, n < 2^32: the high half of a product, no division. */
static inline size_t rnd_below(uint64_t *s, size_t n)
{
	return (size_t)(((rnd(s) >> 32) * n) >> 32);
}

static inline double rnd_unit(uint64_t *s)
{
	return (double)(rnd(s) >> 11) * 0x1p-53;
}

/* ---- memory of our own, already faulted in, so that only the allocator's faults differ ---- */

static inline void *table(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("table");
	return p;
}

/* ---- size distributions ---- */

#define SIZES_N 16384 /* drawn beforehand, walked in order: no pow() in the timed loop */

static inline size_t log_uniform(uint64_t *s, double lo, double hi)
{
	return (size_t)(lo * pow(hi / lo, rnd_unit(s)));
}

static inline size_t draw_size(const char *dist, uint64_t *s)
{
	/* Few sizes dominate in most programs (Zorn & Grunwald 1992; Johnstone & Wilson 1998). */
	static const uint16_t few[16] = {
		24, 24, 24, 24, 32, 32, 32, 16, 16, 48, 48, 64, 40, 80, 128, 512
	};

	if (!strcmp(dist, "small"))
		return 8 + rnd_below(s, 121);
	if (!strcmp(dist, "larson")) /* Larson & Krishnan 1998: 10 to 500 bytes, uniform */
		return 10 + rnd_below(s, 491);
	if (!strcmp(dist, "few"))
		return few[rnd_below(s, 16)];
	if (!strcmp(dist, "etc")) {
		/* Values of a memcached pool (Atikoglu et al. 2012): generalised Pareto. */
		double k = 0.348238, sigma = 214.476;
		double x = sigma / k * (pow(1 - rnd_unit(s), -k) - 1);

		return x < 8 ? 8 : x > 1e6 ? 1000000 : (size_t)x;
	}
	if (!strcmp(dist, "fleet")) {
		/*
		 * Objects of a warehouse (Zhou et al. 2024), coarsely: most of the objects are
		 * under 1 KiB, half of the bytes in objects over 8 KiB.
		 */
		double u = rnd_unit(s);

		if (u < 0.98)
			return log_uniform(s, 8, 1024);
		if (u < 0.998)
			return log_uniform(s, 1024, 8192);
		return log_uniform(s, 8192, u < 0.9998 ? 262144 : 1 << 20);
	}
	if (!strcmp(dist, "log"))
		return log_uniform(s, 16, 32768);
	errno = EINVAL;
	die(dist);
}

static inline const uint32_t *draw_sizes(const char *dist, uint64_t seed)
{
	uint32_t *sizes = table(SIZES_N * sizeof *sizes);
	size_t fixed = dist[0] >= '0' && dist[0] <= '9' ? strtoull(dist, NULL, 0) : 0;

	for (size_t i = 0; i < SIZES_N; i++)
		sizes[i] = (uint32_t)(fixed ? fixed : draw_size(dist, &seed));
	return sizes;
}

/* ---- memory of the process, read without malloc ---- */

struct footprint {
	size_t rss_kib, private_kib, lazy_kib, huge_kib;
};

static inline size_t field_kib(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static inline struct footprint footprint(void)
{
	char text[4096];
	ssize_t len = 0, got;
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("smaps_rollup");
	while (len < (ssize_t)sizeof text - 1 &&
	       (got = read(fd, text + len, sizeof text - 1 - (size_t)len)) > 0)
		len += got;
	close(fd);
	text[len] = 0;
	return (struct footprint){
		.rss_kib = field_kib(text, "\nRss:"),
		.private_kib = field_kib(text, "\nPrivate_Clean:") +
			field_kib(text, "\nPrivate_Dirty:"),
		.lazy_kib = field_kib(text, "\nLazyFree:"),
		.huge_kib = field_kib(text, "\nAnonHugePages:"),
	};
}

#endif
