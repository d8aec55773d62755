/* SPDX-License-Identifier: MIT
 *
 * heap.c - what the heap tells about itself and takes as orders: mallinfo, mallinfo2, malloc_info,
 * malloc_stats, amalloc_stats, malloc_trim, mallopt.  "True" means here: the numbers follow what
 * the program does, by the amounts it does.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <malloc.h>
#include <sys/wait.h>

#include "form.h"

#define MiB ((size_t)1 << 20)

/* 100 MiB as 1600 blocks of 64 KiB: below every limit for a mapping of its own, so that they
 * count as blocks and not as mmap. */
enum { block_count = 1600 };
#define BLOCK_SIZE ((size_t)65536)

static void *block[block_count];

static void take_blocks(void)
{
	for (int i = 0; i < block_count; i++) {
		block[i] = F.malloc(BLOCK_SIZE);
		memset(block[i], 1, BLOCK_SIZE);
	}
}

static void give_blocks(void)
{
	for (int i = 0; i < block_count; i++)
		F.free(block[i]);
}

/* 2%: headers, rounding; what else the program allocates meanwhile is nothing. */
static int is_near(size_t difference, size_t expected)
{
	return difference >= expected - expected / 50 && difference <= expected + expected / 50;
}

static void test_mallinfo(const char *name, struct amallinfo (*get)(void))
{
	struct amallinfo before, during, after;
	void *huge;

	if (!get) {
		tap_skip("mallinfo", "this form has no such name");
		return;
	}
	before = get();
	take_blocks();
	during = get();
	give_blocks();
	after = get();
	tap_ok(is_near(during.uordblks - before.uordblks, 100 * MiB),
	       "%s: 1600 blocks of 64 KiB add 100 MiB to uordblks", name);
	tap_ok(during.arena >= during.uordblks, "%s: arena holds uordblks", name);
	tap_ok(during.fordblks == during.arena - during.uordblks,
	       "%s: fordblks is arena - uordblks", name);
	tap_ok(after.uordblks <= before.uordblks + MiB,
	       "%s: uordblks is back after free", name);

	before = get();
	huge = F.malloc(100 * MiB);
	during = get();
	F.free(huge);
	after = get();
	tap_ok(during.uordblks + during.hblkhd - before.uordblks - before.hblkhd >= 100 * MiB,
	       "%s: one block of 100 MiB adds 100 MiB to uordblks + hblkhd", name);
	tap_ok(during.hblkhd >= before.hblkhd + 100 * MiB && during.hblks == before.hblks + 1,
	       "%s: it is one huge block in hblks and hblkhd", name);
	tap_ok(after.hblks == before.hblks && after.hblkhd == before.hblkhd,
	       "%s: hblks and hblkhd are back after free", name);
}

static void test_stats(void)
{
	struct amalloc_stats before, during, after;
	void *huge;

	if (!F.stats) {
		tap_skip("amalloc_stats", "libarena does not serve");
		return;
	}
	F.stats(&before, sizeof before);
	take_blocks();
	F.stats(&during, sizeof during);
	give_blocks();
	F.stats(&after, sizeof after);
	tap_ok(is_near(during.live - before.live, 100 * MiB), "amalloc_stats: live adds 100 MiB");
	tap_ok(during.active >= during.live + during.cached, "active >= live + cached");
	tap_ok(during.mapped >= during.active + during.dirty + during.metadata,
	       "mapped >= active + dirty + metadata");
	tap_ok(during.peak_active >= during.active &&
	       during.peak_mapped >= during.mapped, "peaks are at least the present");
	tap_ok(after.live <= before.live + MiB, "live is back after free");
	tap_ok(during.heaps >= 1 && during.chunks >= 1, "there is a heap and a chunk");

	huge = F.malloc(100 * MiB);
	F.stats(&during, sizeof during);
	tap_ok(during.huge >= after.huge + 100 * MiB && during.live >= after.live + 100 * MiB,
	       "a block of 100 MiB is in huge and in live");
	F.free(huge);

	errno = 0;
	tap_ok(F.stats(&after, 0) == -1 && errno == EINVAL, "amalloc_stats: size 0 is EINVAL");
	after.mapped = 12345;
	tap_ok(F.stats(&after, offsetof(struct amalloc_stats, mapped)) == 0 &&
	       after.mapped == 12345, "amalloc_stats writes no byte beyond the size given");
	tap_ok(strcmp(F.version(), "0.1.0") == 0 || isdigit((unsigned char)F.version()[0]),
	       "amalloc_version is a number (%s)", F.version());
}

static void test_trim(void)
{
	enum { count = 16384 };
	void **small = F.malloc(count * sizeof *small);
	size_t before, full, trimmed;
	int result;

	F.trim(0);
	before = resident_bytes();
	for (int i = 0; i < count; i++) {
		small[i] = F.malloc(4000);
		memset(small[i], 1, 4000);
	}
	take_blocks();
	full = resident_bytes();
	give_blocks();
	for (int i = 0; i < count; i++)
		F.free(small[i]);
	F.free(small);
	result = F.trim(0);
	trimmed = resident_bytes();
	tap_ok(full > before + 150 * MiB, "160 MiB written are resident");
	tap_ok(trimmed < before + 16 * MiB, "malloc_trim(0) after free gives them back (%zu MiB "
	       "left of %zu)", trimmed / MiB, full / MiB);
	tap_ok(result == 1 || trimmed > full - MiB, "malloc_trim says 1 when it gave memory back");
	if (!form_is_arena()) {
		tap_skip("malloc_trim says 0 when there is nothing to give", "glibc says 1");
		return;
	}
	F.trim(0);
	tap_ok(F.trim(0) == 0, "malloc_trim says 0 when there is nothing to give");

	take_blocks();
	give_blocks();
	result = F.trim(SIZE_MAX);
	tap_ok(result == 0, "malloc_trim(SIZE_MAX) leaves everything and says 0");
	F.trim(0);
}

/* ---- malloc_info: glibc's schema ----------------------------------------------------------- */

static const char *const elements[] = {
	"malloc", "heap", "sizes", "size", "unsorted", "total", "system", "aspace",
};

static int element_is_known(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
		if (strlen(elements[i]) == length && memcmp(elements[i], name, length) == 0)
			return 1;
	return 0;
}

/* Walks the attributes up to '>': name="value" each; returns where it ended or NULL. */
static const char *skip_attributes(const char *p, int *is_empty_element)
{
	*is_empty_element = 0;
	for (;;) {
		p += strspn(p, " \t\n");
		if (*p == '>')
			return p + 1;
		if (p[0] == '/' && p[1] == '>') {
			*is_empty_element = 1;
			return p + 2;
		}
		if (!isalpha((unsigned char)*p))
			return NULL;
		p += strspn(p, "abcdefghijklmnopqrstuvwxyz_");
		if (p[0] != '=' || p[1] != '"')
			return NULL;
		p = strchr(p + 2, '"');
		if (!p)
			return NULL;
		p++;
	}
}

/* Well formed, only glibc's elements, one root. */
static int xml_is_sound(const char *p)
{
	const char *stack[16];
	size_t depth = 0, roots = 0;

	for (;;) {
		size_t length;
		int closes, is_empty_element;
		const char *name;

		p += strspn(p, " \t\n");
		if (!*p)
			return depth == 0 && roots == 1;
		if (*p++ != '<')
			return 0;
		closes = *p == '/';
		p += closes;
		name = p;
		length = strspn(p, "abcdefghijklmnopqrstuvwxyz");
		p += length;
		if (!element_is_known(name, length))
			return 0;
		p = skip_attributes(p, &is_empty_element);
		if (!p)
			return 0;
		if (closes) {
			if (depth == 0 || strncmp(stack[--depth], name, length) != 0)
				return 0;
		} else if (!is_empty_element) {
			if (depth == sizeof stack / sizeof *stack)
				return 0;
			roots += depth == 0;
			stack[depth++] = name;
		}
	}
}

/* The size="" of the LAST element that begins with PREFIX: that of the whole process. */
static size_t last_size(const char *text, const char *prefix)
{
	const char *found = NULL;

	for (const char *p = strstr(text, prefix); p; p = strstr(p + 1, prefix))
		found = p;
	if (found)
		found = strstr(found, "size=\"");
	return found ? strtoul(found + strlen("size=\""), NULL, 10) : 0;
}

/* The stream is a file: a memory stream would allocate from what is being printed. */
static size_t info_text(char *text, size_t size)
{
	FILE *stream = tmpfile();
	size_t n;

	text[0] = '\0';
	if (!stream)
		return 0;
	if (F.info(0, stream) != 0) {
		fclose(stream);
		return 0;
	}
	rewind(stream);
	n = fread(text, 1, size - 1, stream);
	text[n] = '\0';
	fclose(stream);
	return n;
}

static void test_info(void)
{
	static char before[1 << 20], during[1 << 20]; /* 1 MiB: 100 times the usual text */
	static const char *const needed[] = {
		"<malloc version=\"1\">", "<heap nr=\"0\">", "<sizes", "<total type=\"fast\" count=\"",
		"<total type=\"rest\" count=\"", "<total type=\"mmap\" count=\"",
		"<system type=\"current\" size=\"", "<system type=\"max\" size=\"",
		"<aspace type=\"total\" size=\"", "<aspace type=\"mprotect\" size=\"",
	};
	size_t grown;
	FILE *null_stream = fopen("/dev/null", "w");
	void *huge;

	tap_ok(F.info(1, null_stream) != 0, "malloc_info: options other than 0 are refused");
	fclose(null_stream);

	tap_ok(info_text(before, sizeof before) > 0, "malloc_info writes");
	tap_ok(xml_is_sound(before), "malloc_info: well-formed XML of glibc's elements only");
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		tap_ok(strstr(before, needed[i]) != NULL, "malloc_info has %s", needed[i]);
	take_blocks();
	huge = F.malloc(200 * MiB);
	info_text(during, sizeof during);
	F.free(huge);
	give_blocks();
	grown = last_size(during, "<system type=\"current\"") +
		last_size(during, "<total type=\"mmap\"");
	tap_ok(grown >= 300 * MiB, "malloc_info: 300 MiB live are in system current + mmap (%zu MiB)",
	       grown / MiB);
	tap_ok(last_size(during, "<system type=\"max\"") >= 100 * MiB,
	       "malloc_info: system max is at least what was live");
}

/* ---- malloc_stats, mallopt: in children, for they write to stderr and change the process ---- */

static int stats_to_file(void *arg)
{
	if (dup2(fileno((FILE *)arg), STDERR_FILENO) < 0)
		return 2;
	F.print_stats();
	fflush(stderr);
	return 0;
}

static void test_print_stats(void)
{
	FILE *stream = tmpfile();
	char text[4096];
	size_t n, digits = 0;
	int status = in_child(stats_to_file, stream, 10);

	rewind(stream);
	n = fread(text, 1, sizeof text, stream);
	fclose(stream);
	for (size_t i = 0; i < n; i++)
		digits += isdigit((unsigned char)text[i]) != 0;
	tap_ok(status == 0 && n > 20 && digits > 2, "malloc_stats prints numbers on stderr");
}

struct option_row {
	const char *name;
	int param, value, result;
};

static int set_option(void *arg)
{
	const struct option_row *row = arg;
	unsigned char *p;
	int result = F.mallopt(row->param, row->value);

	if (result != row->result)
		return 2;
	/* The heap goes on as promised, whatever was set. */
	for (size_t size = 1; size < 300000; size = size * 2 + 1) {
		p = F.malloc(size);
		if (!p || (uintptr_t)p % 16)
			return 3;
		pattern_fill(p, 0, size, size);
		p = F.realloc(p, size + 999);
		if (!p || !pattern_holds(p, 0, size, size))
			return 4;
		F.free(p);
		p = F.calloc(1, size);
		if (!p || !all_bytes_are(p, size, 0))
			return 5;
		F.free(p);
	}
	return 0;
}

static void test_mallopt(void)
{
	static const struct option_row rows[] = {
		{ "M_MXFAST", M_MXFAST, 64, 1 },
		{ "M_MXFAST", M_MXFAST, 0, 1 },
		{ "M_NLBLKS", M_NLBLKS, 10, 1 },
		{ "M_GRAIN", M_GRAIN, 16, 1 },
		{ "M_KEEP", M_KEEP, 1, 1 },
		{ "M_TRIM_THRESHOLD", M_TRIM_THRESHOLD, 65536, 1 },
		{ "M_TRIM_THRESHOLD", M_TRIM_THRESHOLD, -1, 1 },
		{ "M_TOP_PAD", M_TOP_PAD, 1 << 20, 1 },
		{ "M_MMAP_THRESHOLD", M_MMAP_THRESHOLD, 1 << 20, 1 },
		{ "M_MMAP_THRESHOLD", M_MMAP_THRESHOLD, 4096, 1 },
		{ "M_MMAP_MAX", M_MMAP_MAX, 0, 1 },
		{ "M_CHECK_ACTION", M_CHECK_ACTION, 3, 1 },
		{ "M_PERTURB", M_PERTURB, 0x55, 1 },
		{ "M_ARENA_TEST", M_ARENA_TEST, 4, 1 },
		{ "M_ARENA_MAX", M_ARENA_MAX, 2, 1 },
	};
	/* 9999 is nobody's parameter; glibc says 1 to everything. */
	static const struct option_row unknown = { "unknown", 9999, 1, 0 };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int status = in_child(set_option, (void *)&rows[i], 20);

		tap_ok(status == 0, "mallopt(%s, %d) is accepted and the heap goes on (%d)",
		       rows[i].name, rows[i].value, WEXITSTATUS(status));
	}
	if (form_is_arena())
		tap_ok(in_child(set_option, (void *)&unknown, 20) == 0,
		       "mallopt refuses an unknown parameter");
	else
		tap_skip("mallopt refuses an unknown parameter", "glibc says 1 to everything");
}

void test_heap(void)
{
	test_mallinfo("mallinfo2", F.mallinfo2);
	test_mallinfo("mallinfo", F.mallinfo);
	test_stats();
	test_trim();
	test_info();
	test_print_stats();
	test_mallopt();
}
